//! `WriteService.Import` in pieces.

use std::fmt::Write as _;

use dossier::proto::v1::{
    self, ErrorReason, ExportRequest, ImportAbort, ImportHeader, ImportMode, import_request,
    import_response::Part,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::{
    exports::export,
    harness::{Server, check_error, check_fields, header},
};

pub(crate) const QUAD_COUNT: usize = 60_000;

/// A chain of blank nodes, three quads each.
pub(crate) fn document() -> String {
    let mut text = String::new();
    for number in 0..QUAD_COUNT / 3 {
        let next = number + 1;
        writeln!(text, "_:n{number} <http://e.com/next> _:n{next} .").unwrap();
        writeln!(text, "_:n{number} <http://e.com/number> \"{number}\" .").unwrap();
        writeln!(
            text,
            "_:n{number} <http://e.com/of> <http://e.com/x> <http://e.com/g> ."
        )
        .unwrap();
    }
    text
}

pub(crate) fn chunked(format: &str, resume_token: &str) -> ImportHeader {
    ImportHeader {
        mode: ImportMode::Chunked.into(),
        resume_token: resume_token.into(),
        quads_per_commit: 1_000,
        ..header(format)
    }
}

/// An import under way.
pub(crate) struct Import {
    parts: Option<mpsc::Sender<v1::ImportRequest>>,
    answers: Streaming<v1::ImportResponse>,
    pub(crate) accepted: v1::ImportAccepted,
}

impl Import {
    pub(crate) async fn begin(server: &Server, header: ImportHeader) -> Result<Self, Status> {
        let (parts, received) = mpsc::channel(64);
        let part = Some(import_request::Part::Header(header));
        parts.send(v1::ImportRequest { part }).await.unwrap();
        let answers = server.writes().import(ReceiverStream::new(received)).await?;
        let mut answers = answers.into_inner();
        let Some(Part::Accepted(accepted)) = answers.message().await?.unwrap().part else {
            panic!("it is not accepted first");
        };
        Ok(Self {
            parts: Some(parts),
            answers,
            accepted,
        })
    }

    async fn send(&self, part: import_request::Part) {
        let part = Some(part);
        let parts = self.parts.as_ref().unwrap();
        // The server may have ended.
        let _ = parts.send(v1::ImportRequest { part }).await;
    }

    /// Sends from where the server wants it.
    pub(crate) async fn send_from(&self, document: &[u8], until: usize) {
        let from = usize::try_from(self.accepted.send_from_byte).unwrap();
        for chunk in document[from..until].chunks(100_000) {
            self.send(import_request::Part::Chunk(chunk.to_vec().into()))
                .await;
        }
    }

    pub(crate) async fn next(&mut self) -> Result<Part, Status> {
        loop {
            match self.answers.message().await?.unwrap().part.unwrap() {
                Part::Progress(_) => {}
                part => return Ok(part),
            }
        }
    }

    async fn ack(&mut self) -> v1::ImportAck {
        match self.next().await.unwrap() {
            Part::Ack(ack) => ack,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn complete(mut self) -> (Vec<v1::ImportAck>, v1::ImportComplete) {
        self.parts = None;
        let mut acks = Vec::new();
        loop {
            match self.next().await.unwrap() {
                Part::Ack(ack) => acks.push(ack),
                Part::Complete(complete) => {
                    assert!(self.answers.message().await.unwrap().is_none());
                    return (acks, complete);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Checks that there is the chain, whole and once.
async fn check_chain(server: &Server) {
    let info = server.info().await;
    assert_eq!(usize::try_from(info.quad_count).unwrap(), QUAD_COUNT);
    let text = "SELECT (COUNT(*) AS ?n) { ?a <http://e.com/next> ?b . ?b <http://e.com/number> ?number }";
    let answer = crate::sparql::query(server, crate::sparql::ask(text))
        .await
        .unwrap();
    let shown = format!("{:?}", answer.rows);
    assert!(shown.contains(&format!("\"{}\"", QUAD_COUNT / 3 - 1)), "{shown}");
}

async fn jelly_of(document: &str) -> Vec<u8> {
    let server = Server::start_empty().await;
    server.import_text("nq", document).await.unwrap();
    let request = ExportRequest {
        format: "jelly".into(),
        ..Default::default()
    };
    export(&server, request).await.unwrap().1
}

#[tokio::test]
async fn what_was_acknowledged_stays_and_is_not_imported_again() {
    let text = document();
    for (format, document) in [
        ("nq", text.clone().into_bytes()),
        ("jelly", jelly_of(&text).await),
    ] {
        let mut server = Server::start_empty().await;
        let mut token = String::new();
        let mut acks: Vec<v1::ImportAck> = Vec::new();
        for round in 0..3 {
            let mut import = Import::begin(&server, chunked(format, &token)).await.unwrap();
            let last = acks.last().cloned().unwrap_or_default();
            assert_eq!(import.accepted.quads_committed, last.quads_committed);
            assert_eq!(import.accepted.send_from_byte, last.bytes_committed);
            import
                .send_from(&document, document.len() * (round + 1) / 4)
                .await;
            // In the second round the acknowledgement is lost, and the client goes on with what it has.
            let ack = import.ack().await;
            assert!(ack.quads_committed > last.quads_committed && ack.revision > last.revision);
            if round != 1 {
                token.clone_from(&ack.resume_token);
                acks.push(ack);
            }
            // The stream is cut.
            drop(import);
            let folder = server.stop().await;
            server = Server::start_in(folder, |settings| settings.load_shipped_data = false).await;
        }
        let import = Import::begin(&server, chunked(format, &token)).await.unwrap();
        import.send_from(&document, document.len()).await;
        let (rest, complete) = import.complete().await;
        assert!(rest.len() > 1);
        assert_eq!(usize::try_from(complete.quads_read).unwrap(), QUAD_COUNT);
        assert_eq!(complete.revision, rest.last().unwrap().revision);
        check_chain(&server).await;
        // The last token of all has nothing behind it.
        let done = &rest.last().unwrap().resume_token;
        let import = Import::begin(&server, chunked(format, done)).await.unwrap();
        import.send_from(&document, document.len()).await;
        let (acks, complete) = import.complete().await;
        assert_eq!((acks.len(), complete.quads_inserted), (0, 0));
    }
}

#[tokio::test]
async fn a_request_id_makes_pieces_idempotent_from_the_beginning() {
    let text = document();
    let other = text.replace("/number>", "/other>");
    check_idempotent("nq", text.as_bytes(), other.as_bytes()).await;
    // One whose numbers are the same.
    check_idempotent("jelly", &jelly_of(&text).await, &jelly_of(&other).await).await;
}

async fn check_idempotent(format: &str, text: &[u8], other: &[u8]) {
    let server = Server::start_empty().await;
    let named = || ImportHeader {
        request_id: "once".into(),
        ..chunked(format, "")
    };
    let mut revisions = Vec::new();
    for round in 0..2 {
        let import = Import::begin(&server, named()).await.unwrap();
        import.send_from(text, text.len()).await;
        let (acks, complete) = import.complete().await;
        revisions.push(acks.iter().map(|ack| ack.revision).collect::<Vec<_>>());
        assert_eq!(complete.quads_read, i64::try_from(QUAD_COUNT).unwrap(), "{round}");
    }
    assert!(revisions[0].len() > 2);
    assert_eq!(revisions[0], revisions[1]);
    check_chain(&server).await;
    // Another document under the same name.
    let import = Import::begin(&server, named()).await.unwrap();
    import.send_from(other, other.len()).await;
    let mut import = import;
    import.parts = None;
    check_error(
        import.next().await,
        Code::AlreadyExists,
        ErrorReason::RequestIdReused,
    );
}

#[tokio::test]
async fn a_token_goes_on_only_where_the_log_has_what_it_says() {
    let text = document();
    let server = Server::start_empty().await;
    let import = Import::begin(&server, chunked("nq", "")).await.unwrap();
    import.send_from(text.as_bytes(), text.len()).await;
    let (acks, _) = import.complete().await;
    // A log that ends before the last piece, as after a restore.
    let other = Server::start_empty().await;
    let import = Import::begin(&other, chunked("nq", "")).await.unwrap();
    import.send_from(text.as_bytes(), text.len() / 4).await;
    let mut import = import;
    import.ack().await;
    drop(import);
    for ack in [&acks[0], acks.last().unwrap()] {
        Import::begin(&server, chunked("nq", &ack.resume_token))
            .await
            .unwrap();
        let refused = Import::begin(&other, chunked("nq", &ack.resume_token)).await;
        let (code, reason) = (Code::FailedPrecondition, ErrorReason::ImportOtherHistory);
        let metadata = check_error(refused.map(|_| ()), code, reason);
        assert_eq!(metadata["revision"], ack.revision.to_string());
    }
}

#[tokio::test]
async fn an_import_can_be_aborted() {
    let server = Server::start_empty().await;
    let text = document();
    let parts = vec![
        import_request::Part::Header(header("nq")),
        // A chunk of what is not whole.
        import_request::Part::Chunk(text[..100_000].to_owned().into()),
        import_request::Part::Abort(ImportAbort {}),
    ];
    let messages = parts
        .into_iter()
        .map(|part| v1::ImportRequest { part: Some(part) });
    let stream = tokio_stream::iter(messages.collect::<Vec<_>>());
    let mut answers = server.writes().import(stream).await.unwrap().into_inner();
    let aborted = loop {
        match answers.message().await.unwrap().unwrap().part.unwrap() {
            Part::Progress(_) => {}
            Part::Aborted(aborted) => break aborted,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(aborted, v1::ImportAborted::default());
    assert!(answers.message().await.unwrap().is_none());
    assert_eq!(server.info().await.revision, 0);

    let mut import = Import::begin(&server, chunked("nq", "")).await.unwrap();
    import.send_from(text.as_bytes(), text.len() / 2).await;
    let mut last = import.ack().await;
    import.send(import_request::Part::Abort(ImportAbort {})).await;
    let aborted = loop {
        match import.next().await.unwrap() {
            Part::Ack(ack) => last = ack,
            Part::Aborted(aborted) => break aborted,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(aborted.quads_committed, last.quads_committed);
    assert_eq!(aborted.resume_token, last.resume_token);
    assert_eq!(server.info().await.quad_count, last.quads_committed);
    let import = Import::begin(&server, chunked("nq", &aborted.resume_token))
        .await
        .unwrap();
    import.send_from(text.as_bytes(), text.len()).await;
    import.complete().await;
    check_chain(&server).await;
}

#[tokio::test]
async fn a_fault_is_told_with_its_line_and_what_came_before_it_stays() {
    let server = Server::start_empty().await;
    let mut text = document();
    text.push_str("<http://e.com/a> <http://e.com/b> oops .\n");
    let mut import = Import::begin(&server, chunked("nq", "")).await.unwrap();
    import.send_from(text.as_bytes(), text.len()).await;
    import.parts = None;
    let mut last = v1::ImportAck::default();
    let fault = loop {
        match import.next().await {
            Ok(Part::Ack(ack)) => last = ack,
            Ok(other) => panic!("{other:?}"),
            Err(fault) => break fault,
        }
    };
    let metadata = check_error::<()>(Err(fault), Code::InvalidArgument, ErrorReason::RdfSyntax);
    assert_eq!(metadata["line"], (QUAD_COUNT + 1).to_string());
    assert!(last.quads_committed > 0);
    assert_eq!(server.info().await.quad_count, last.quads_committed);
    // All or nothing, it is nothing.
    let metadata = check_error(
        server.import_text("nq", &text).await,
        Code::InvalidArgument,
        ErrorReason::RdfSyntax,
    );
    assert_eq!(metadata["line"], (QUAD_COUNT + 1).to_string());
    assert_eq!(server.info().await.quad_count, last.quads_committed);
}

#[tokio::test]
async fn what_cannot_be_cut_and_bad_tokens_are_refused() {
    let server = Server::start_empty().await;
    let check = async |header: ImportHeader, fields: &[&str]| {
        let outcome = Import::begin(&server, header).await.map(|_| ());
        check_fields(outcome, ErrorReason::InvalidField, fields);
    };
    for format in ["ttl", "trig", "rdf", "jsonld"] {
        check(chunked(format, ""), &["header.mode"]).await;
    }
    let packed = ImportHeader {
        compression: v1::Compression::Gzip.into(),
        ..chunked("nq", "")
    };
    check(packed, &["header.mode"]).await;
    let conditional = ImportHeader {
        preconditions: vec![v1::Precondition::default()],
        expected_revision: Some(0),
        validate_only: true,
        ..chunked("nq", "")
    };
    let fields = [
        "header.preconditions",
        "header.expected_revision",
        "header.validate_only",
    ];
    check(conditional, &fields).await;
    for (count, is_fine) in [
        (999, false),
        (1_000, true),
        (1_000_000, true),
        (1_000_001, false),
        (-1, false),
    ] {
        let header = ImportHeader {
            quads_per_commit: count,
            ..chunked("nq", "")
        };
        if is_fine {
            Import::begin(&server, header).await.unwrap();
        } else {
            check(header, &["header.quads_per_commit"]).await;
        }
    }
    let token = Import::begin(&server, chunked("nq", ""))
        .await
        .unwrap()
        .accepted
        .resume_token;
    Import::begin(&server, chunked("nq", &token)).await.unwrap();
    check(chunked("nt", &token), &["header.resume_token"]).await;
    check(chunked("nq", "AAAA"), &["header.resume_token"]).await;
    let whole = ImportHeader {
        resume_token: token,
        quads_per_commit: 1_000,
        ..header("nq")
    };
    check(whole, &["header.resume_token", "header.quads_per_commit"]).await;
    let unknown = ImportHeader {
        mode: 7,
        ..header("nq")
    };
    check(unknown, &["header.mode"]).await;
}

/// Statements, what follows from them and what is plain come in different pieces, and mean the same.
#[tokio::test]
async fn a_knowledge_base_is_the_same_whole_and_in_pieces() {
    let ours = Server::start_with(|settings| settings.load_shipped_data = true).await;
    let whole = |reified_statements: bool, format: &str| ExportRequest {
        format: format.into(),
        reified_statements,
        ..Default::default()
    };
    let lines = |document: Vec<u8>| {
        let text = String::from_utf8(document).unwrap();
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let all = lines(export(&ours, whole(false, "nq")).await.unwrap().1);
    assert!(all.iter().any(|line| line.ends_with("/g/derived> .")));
    for (format, reified_statements) in [("nq", false), ("nq", true), ("jelly", false)] {
        let document = export(&ours, whole(reified_statements, format)).await.unwrap().1;
        let server = Server::start_empty().await;
        let import = Import::begin(&server, chunked(format, "")).await.unwrap();
        import.send_from(&document, document.len()).await;
        let (acks, _) = import.complete().await;
        assert!(
            acks.len() > 2,
            "{format} {reified_statements}: {} pieces",
            acks.len()
        );
        let again = lines(export(&server, whole(false, "nq")).await.unwrap().1);
        assert!(again == all, "{format} {reified_statements}");
    }
}

#[tokio::test]
async fn annotated_triples_are_not_imported_in_pieces() {
    let text = "<http://e.com/s> <http://e.com/p> <http://e.com/o> .
        <http://e.com/r> <http://www.w3.org/1999/02/22-rdf-syntax-ns#reifies> <<( <http://e.com/s> <http://e.com/p> <http://e.com/o> )>> .
        <http://e.com/r> <https://w3id.org/dossier/ns#standing> <https://w3id.org/dossier/ns#Disputed> .
        ";
    let server = Server::start_empty().await;
    let mut import = Import::begin(&server, chunked("nt", "")).await.unwrap();
    import.send_from(text.as_bytes(), text.len()).await;
    import.parts = None;
    let refused = import.next().await.unwrap_err();
    assert!(
        refused.message().contains("import the document whole"),
        "{refused}"
    );
    assert_eq!(server.info().await.quad_count, 0);
}
