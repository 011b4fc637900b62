use std::fmt::Write as _;

use dossier::proto::v1::{self, ErrorReason, import_request::Part};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

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
