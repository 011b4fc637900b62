use std::fmt::Write as _;

use dossier::proto::v1::{self, ErrorReason, import_request::Part, precondition::Condition};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use crate::harness::{Server, check_error, check_fields, complete, header};

fn lines(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        writeln!(text, "<http://e.com/{number}> <http://e.com/p> \"{number}\" .").unwrap();
    }
    text
}

#[tokio::test]
async fn every_format_is_imported() {
    let server = Server::start_empty().await;
    let documents = [
        ("text/turtle", "<http://e.com/ttl> <http://e.com/p> 1 ."),
        (
            "trig",
            "<http://e.com/g> { <http://e.com/trig> <http://e.com/p> 1 }",
        ),
        (
            "application/n-triples",
            "<http://e.com/nt> <http://e.com/p> \"1\" .",
        ),
        (
            "nq",
            "<http://e.com/nq> <http://e.com/p> \"1\" <http://e.com/g> .",
        ),
        ("jsonld", r#"{"@id": "http://e.com/jsonld", "http://e.com/p": 1}"#),
        (
            "rdf",
            r#"<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e.com/"><r:Description r:about="http://e.com/rdf" e:p="1"/></r:RDF>"#,
        ),
    ];
    for (index, (format, text)) in (1..).zip(documents) {
        let done = server.import_text(format, text).await.unwrap();
        assert_eq!(
            (done.revision, done.quads_read, done.quads_inserted),
            (index, 1, 1),
            "{format}"
        );
        let again = server.import_text(format, text).await.unwrap();
        assert_eq!(
            (again.revision, again.quads_read, again.quads_inserted),
            (index, 1, 0),
            "{format}"
        );
    }
    assert_eq!(server.info().await.quad_count, 6);
}

#[tokio::test]
async fn headers_say_how_to_read() {
    let server = Server::start_empty().await;
    let compressed = zstd::encode_all("<a> <p> <b> .".as_bytes(), 1).unwrap();
    let header = v1::ImportHeader {
        compression: v1::Compression::Zstd.into(),
        base_iri: "http://e.com/".into(),
        default_graph: "g:mine".into(),
        ..header("ttl")
    };
    assert_eq!(
        server.import(header, &compressed).await.unwrap().quads_inserted,
        1
    );
    assert_eq!(server.info().await.named_graph_count, 1);
}

#[tokio::test]
async fn a_bad_line_deep_down_commits_nothing() {
    let server = Server::start_empty().await;
    let text = format!("{}<http://e.com/s> oops .\n", lines(20_000));
    let metadata = check_error(
        server.import_text("nt", &text).await,
        Code::InvalidArgument,
        ErrorReason::RdfSyntax,
    );
    assert_eq!(metadata["line"], "20001");
    assert!(metadata["column"].parse::<u64>().unwrap() > 1);
    let info = server.info().await;
    assert_eq!((info.revision, info.quad_count), (0, 0));
    let doctype = "<!DOCTYPE a><rdf/>";
    check_error(
        server.import_text("rdf", doctype).await,
        Code::InvalidArgument,
        ErrorReason::RdfSyntax,
    );
}

#[tokio::test]
async fn bad_headers_are_refused() {
    let server = Server::start_empty().await;
    let import = |header| server.import(header, b"");
    let bad = v1::ImportHeader {
        format: "n3".into(),
        compression: 9,
        base_iri: "<>".into(),
        default_graph: "nope:g".into(),
        request_id: "x".repeat(129),
        message: "x".repeat(1_025),
        preconditions: vec![v1::Precondition::default()],
        expected_revision: Some(-1),
        ..Default::default()
    };
    check_fields(
        import(bad).await,
        ErrorReason::InvalidField,
        &[
            "header.format",
            "header.compression",
            "header.base_iri",
            "header.default_graph",
            "header.request_id",
            "header.message",
            "header.preconditions[0]",
            "header.expected_revision",
        ],
    );
    let most = v1::ImportHeader {
        request_id: "x".repeat(128),
        message: "x".repeat(1_024),
        ..header("nt")
    };
    assert_eq!(import(most).await.unwrap().revision, 0);
    for parts in [
        vec![],
        vec![Part::Chunk("x".into())],
        vec![Part::Header(header("nt")), Part::Header(header("nt"))],
    ] {
        check_error(
            server.import_parts(parts).await,
            Code::InvalidArgument,
            ErrorReason::MalformedMessage,
        );
    }
}

#[tokio::test]
async fn request_ids_make_imports_idempotent() {
    let server = Server::start_empty().await;
    let header = || v1::ImportHeader {
        request_id: "once".into(),
        ..header("nt")
    };
    let text = "_:a <http://e.com/p> _:b .";
    let first = server.import(header(), text.as_bytes()).await.unwrap();
    assert_eq!(server.import(header(), text.as_bytes()).await.unwrap(), first);
    assert_eq!(server.info().await.quad_count, 1);
    let outcome = server.import(header(), lines(1).as_bytes()).await;
    let metadata = check_error(outcome, Code::AlreadyExists, ErrorReason::RequestIdReused);
    assert_eq!(
        (metadata["request_id"].as_str(), metadata["revision"].as_str()),
        ("once", "1")
    );
}

fn is_there(number: usize, graph: &str) -> v1::Quad {
    let iri = |iri: &str| v1::Term {
        term: Some(v1::term::Term::Iri(iri.into())),
    };
    v1::Quad {
        subject: Some(iri(&format!("http://e.com/{number}"))),
        predicate: "http://e.com/p".into(),
        object: Some(iri("http://e.com/o")),
        graph: (!graph.is_empty()).then(|| iri(graph)),
    }
}

#[tokio::test]
async fn imports_are_committed_under_their_conditions() {
    let server = Server::start_empty().await;
    let line = |number: usize| format!("<http://e.com/{number}> <http://e.com/p> <http://e.com/o> .\n");
    let import = async |header, number| server.import(header, line(number).as_bytes()).await;
    let asked = |expected_revision, validate_only| v1::ImportHeader {
        expected_revision,
        validate_only,
        ..header("nt")
    };
    let (done, stays) = ((1, 1), (0, 1));
    let told = |complete: v1::ImportComplete| (complete.revision, complete.quads_inserted);
    assert_eq!(told(import(asked(None, true), 1).await.unwrap()), stays);
    assert_eq!(server.info().await.quad_count, 0);
    assert_eq!(told(import(asked(Some(0), false), 1).await.unwrap()), done);
    for validate_only in [true, false] {
        let refused = import(asked(Some(0), validate_only), 2).await;
        let metadata = check_error(refused, Code::Aborted, ErrorReason::RevisionMismatch);
        assert_eq!(metadata["revision"], "1");
    }
    let under = |condition, request_id: &str| v1::ImportHeader {
        preconditions: vec![
            v1::Precondition {
                condition: Some(Condition::AbsentFact("s:nobody".into())),
            },
            v1::Precondition {
                condition: Some(condition),
            },
        ],
        request_id: request_id.into(),
        ..header("nt")
    };
    for unmet in [
        Condition::PresentQuad(is_there(2, "")),
        Condition::PresentQuad(is_there(1, "http://e.com/g")),
        Condition::AbsentQuad(is_there(1, "")),
        Condition::LiveFact("s:nobody".into()),
    ] {
        let refused = import(under(unmet, ""), 2).await.unwrap_err();
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        let fields: Vec<_> = violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(fields, ["header.preconditions[1]"]);
        let (code, reason) = (Code::Aborted, ErrorReason::PreconditionFailed);
        assert_eq!(check_error::<()>(Err(refused), code, reason)["precondition"], "1");
    }
    assert_eq!(server.info().await.revision, 1);
    let met = || Condition::AbsentQuad(is_there(2, ""));
    assert_eq!(told(import(under(met(), "once"), 2).await.unwrap()), (2, 1));
    // Repeated it is answered, though they are no longer met; with others it is another request.
    assert_eq!(told(import(under(met(), "once"), 2).await.unwrap()), (2, 1));
    for other in [under(Condition::AbsentQuad(is_there(3, "")), "once"), {
        let mut without = under(met(), "once");
        without.preconditions.clear();
        without
    }] {
        check_error(
            import(other, 2).await,
            Code::AlreadyExists,
            ErrorReason::RequestIdReused,
        );
    }
}

#[tokio::test]
async fn imports_stay_within_the_memory_of_the_graph() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.graph_memory_bytes_max = 2 << 20;
    })
    .await;
    assert_eq!(
        server
            .import_text("nt", &lines(100))
            .await
            .unwrap()
            .quads_inserted,
        100
    );
    let outcome = server.import_text("nt", &lines(50_000)).await;
    let metadata = check_error(outcome, Code::ResourceExhausted, ErrorReason::GraphFull);
    assert_eq!(metadata["graph_memory_bytes_max"], (2 << 20).to_string());
    assert_eq!(server.info().await.quad_count, 100);
}

#[tokio::test]
async fn a_stream_that_is_broken_off_commits_nothing() {
    let server = Server::start_empty().await;
    let (sender, parts) = mpsc::channel(4);
    let send = |part| sender.send(v1::ImportRequest { part: Some(part) });
    send(Part::Header(header("nt"))).await.unwrap();
    send(Part::Chunk(lines(100).into())).await.unwrap();
    let mut answers = server
        .writes()
        .import(ReceiverStream::new(parts))
        .await
        .unwrap()
        .into_inner();
    // The first answer is progress: the import is under way.
    assert!(answers.message().await.unwrap().is_some());
    // This resets the stream; its sending half stays open.
    drop(answers);
    // The import after it takes its turn behind all that the first one could commit.
    server
        .import_text("nt", "<http://e.com/a> <http://e.com/b> <http://e.com/c> .")
        .await
        .unwrap();
    assert_eq!(server.info().await.quad_count, 1);
    drop(sender);
}

#[tokio::test]
async fn one_import_too_many_is_refused() {
    let server = Server::start_empty().await;
    let mut open = Vec::new();
    for _ in 0..4 {
        let (sender, parts) = mpsc::channel(1);
        sender
            .send(v1::ImportRequest {
                part: Some(Part::Header(header("nt"))),
            })
            .await
            .unwrap();
        let answers = server
            .writes()
            .import(ReceiverStream::new(parts))
            .await
            .unwrap()
            .into_inner();
        open.push((sender, answers));
    }
    check_error(
        server.import_text("nt", "").await,
        Code::ResourceExhausted,
        ErrorReason::Overloaded,
    );
    for (sender, answers) in open {
        drop(sender);
        complete(answers).await.unwrap();
    }
}

#[tokio::test]
async fn an_import_ends_at_its_deadline() {
    let server = Server::start_empty().await;
    let (sender, parts) = mpsc::channel(4);
    let send = |part| sender.send(v1::ImportRequest { part: Some(part) });
    send(Part::Header(header("nt"))).await.unwrap();
    send(Part::Chunk(lines(100).into())).await.unwrap();
    let mut request = Request::new(ReceiverStream::new(parts));
    request
        .metadata_mut()
        .insert("grpc-timeout", "200m".parse().unwrap());
    let answers = server.writes().import(request).await.unwrap().into_inner();
    // The rest of the document does not come.
    check_error(
        complete(answers).await,
        Code::DeadlineExceeded,
        ErrorReason::DeadlineExceeded,
    );
    // The import after it takes its turn behind all that the first one could commit.
    server
        .import_text("nt", "<http://e.com/a> <http://e.com/b> <http://e.com/c> .")
        .await
        .unwrap();
    assert_eq!(server.info().await.quad_count, 1);
    drop(sender);
}
