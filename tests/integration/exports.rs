//! `WriteService.Export`.

use std::{collections::BTreeSet, fmt::Write as _, io::Read as _, time::Duration};

use dossier::proto::v1::{
    self, Compression, ErrorReason, ExportRequest, ImportHeader, UpdateRequest,
    change_service_client::ChangeServiceClient, export_request::Scope, export_response::Part,
    write_service_client::WriteServiceClient,
};
use oxigraph::{
    io::{RdfFormat, RdfParser},
    model::{Dataset, dataset::CanonicalizationAlgorithm},
};
use tonic::{Code, Status};

use crate::{
    changes::watch,
    harness::{Server, check_error, check_fields, connect},
    updates::update,
};

/// Exports, and returns the header, the document and what was told at the end.
pub(crate) async fn export(
    server: &Server,
    request: ExportRequest,
) -> Result<(v1::ExportHeader, Vec<u8>, v1::ExportComplete), Status> {
    let mut parts = server.writes().export(request).await?.into_inner();
    let Some(Part::Header(header)) = parts.message().await?.unwrap().part else {
        panic!("an export begins with its header");
    };
    let (mut document, mut complete) = (Vec::new(), None);
    while let Some(message) = parts.message().await? {
        assert_eq!(complete, None);
        match message.part.unwrap() {
            Part::Header(_) => panic!("a second header"),
            Part::Chunk(chunk) => document.extend(chunk),
            Part::Complete(told) => complete = Some(told),
        }
    }
    let complete = complete.expect("a stream without an error ends with `complete`");
    assert_eq!(complete.bytes_written, i64::try_from(document.len()).unwrap());
    Ok((header, document, complete))
}

fn format(format: &str) -> ExportRequest {
    ExportRequest {
        format: format.into(),
        ..ExportRequest::default()
    }
}

fn dataset(format: RdfFormat, document: &[u8]) -> Dataset {
    let parser = RdfParser::from_format(format).for_slice(document);
    let mut dataset: Dataset = parser.collect::<Result<_, _>>().unwrap();
    dataset.canonicalize(CanonicalizationAlgorithm::Unstable);
    dataset
}

#[tokio::test]
async fn what_is_exported_makes_the_same_graph() {
    let server = Server::start().await;
    let more = "PREFIX e: <http://e.com/> _:a e:p _:b . _:g { _:a e:p <<( e:s e:p 'x'@ar--rtl )>> }";
    server.import_text("trig", more).await.unwrap();
    let (header, whole, complete) = export(&server, format("nq")).await.unwrap();
    let info = server.info().await;
    assert_eq!(
        (header.revision, header.quad_count),
        (info.revision, info.quad_count)
    );
    assert_eq!(complete.quads_written, info.quad_count);
    assert_eq!(header.media_type, "application/n-quads");
    let expected = dataset(RdfFormat::NQuads, &whole);
    let compressions = [Compression::Unspecified, Compression::Gzip, Compression::Zstd];
    for (name, compression, grouped) in [
        ("trig", 0, false),
        ("jelly", 1, false),
        ("jelly", 0, true),
        ("nq", 2, false),
        ("nq", 1, false),
    ] {
        let compression = compressions[compression].into();
        let request = ExportRequest {
            compression,
            grouped,
            ..format(name)
        };
        let (_, document, _) = export(&server, request).await.unwrap();
        let copy = Server::start_empty().await;
        let header = ImportHeader {
            format: name.into(),
            compression,
            ..ImportHeader::default()
        };
        copy.import(header, &document).await.unwrap();
        let (_, again, _) = export(&copy, format("nq")).await.unwrap();
        assert!(
            dataset(RdfFormat::NQuads, &again) == expected,
            "{name} {compression} {grouped}"
        );
        copy.stop().await;
    }
}

#[tokio::test]
async fn one_graph_is_a_document() {
    let server = Server::start().await;
    let of = |scope: Scope, name: &str| ExportRequest {
        scope: Some(scope),
        ..format(name)
    };
    let (header, facts, _) = export(&server, of(Scope::DefaultGraph(true), "nt"))
        .await
        .unwrap();
    assert_eq!(
        std::str::from_utf8(&facts).unwrap().lines().count(),
        usize::try_from(header.quad_count).unwrap()
    );
    let (_, sources, _) = export(&server, of(Scope::Graph("g:sources".into()), "ttl"))
        .await
        .unwrap();
    assert!(
        String::from_utf8(sources)
            .unwrap()
            .contains("src:diplomat-2019-gsomia")
    );

    // Statements as reifiers are statements again.
    let statements = Scope::Graph("g:statements".into());
    let (_, plain, _) = export(&server, of(statements.clone(), "nt")).await.unwrap();
    let reified = ExportRequest {
        reified_statements: true,
        ..of(statements.clone(), "nt")
    };
    let (header, reified, complete) = export(&server, reified).await.unwrap();
    assert!(complete.quads_written < header.quad_count);
    let copy = Server::start_empty().await;
    let into = ImportHeader {
        format: "nt".into(),
        default_graph: "g:statements".into(),
        ..ImportHeader::default()
    };
    copy.import(into, &reified).await.unwrap();
    let (_, again, _) = export(&copy, of(statements, "nt")).await.unwrap();
    let lines = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(lines(&again), lines(&plain));
}

/// Plain triples stay plain, with whatever statements there are of them.
#[tokio::test]
async fn reified_statements_make_the_same_graph() {
    let server = Server::start_empty().await;
    let statement = |id: &str, object: &str, standing: &str| {
        format!(
            "s:{id} rdf:subject e:rt ; rdf:predicate d:p ; rdf:object e:{object} ; d:standing d:{standing} ;
                d:stance d:Asserted ; d:basis d:Inferred . "
        )
    };
    let insert = async |quads: &str| {
        let request = UpdateRequest {
            update: format!("INSERT DATA {{ {quads} }}"),
            ..UpdateRequest::default()
        };
        update(&server, request).await.unwrap();
    };
    insert("e:rt d:p e:x, e:y").await;
    let unconfirmed = statement("1", "x", "Unconfirmed");
    insert(&format!("GRAPH g:statements {{ {unconfirmed} }}")).await;
    let whole = async |server: &Server, is_reified| {
        let request = ExportRequest {
            reified_statements: is_reified,
            ..format("nq")
        };
        export(server, request).await.unwrap().1
    };
    let check = async || {
        let copy = Server::start_empty().await;
        let header = ImportHeader {
            format: "nq".into(),
            ..ImportHeader::default()
        };
        copy.import(header, &whole(&server, true).await).await.unwrap();
        let [expected, found] = [whole(&server, false).await, whole(&copy, false).await]
            .map(|document| dataset(RdfFormat::NQuads, &document));
        assert!(expected == found, "{found}");
        copy.stop().await;
    };
    // Nothing is derived.
    check().await;
    // Some of what is stated is derived, and some is plain too.
    let (derived, plain) = (statement("2", "z", "Accepted"), statement("3", "y", "Accepted"));
    insert(&format!("GRAPH g:statements {{ {derived} {plain} }}")).await;
    check().await;
}

#[tokio::test]
async fn compressed_documents_are_what_they_are_said_to_be() {
    let server = Server::start().await;
    let (_, plain, _) = export(&server, format("nq")).await.unwrap();
    let packed = async |compression: Compression| {
        let request = ExportRequest {
            compression: compression.into(),
            ..format("nq")
        };
        export(&server, request).await.unwrap().1
    };
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed(Compression::Gzip).await.as_slice())
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, plain);
    assert_eq!(
        zstd::decode_all(packed(Compression::Zstd).await.as_slice()).unwrap(),
        plain
    );
}

#[tokio::test]
async fn bad_exports_are_refused() {
    let server = Server::start_empty().await;
    let check = async |request: ExportRequest, fields: &[&str]| {
        check_fields(export(&server, request).await, ErrorReason::InvalidField, fields);
    };
    check(format("docx"), &["format"]).await;
    check(format("ttl"), &["format"]).await;
    let odd = ExportRequest {
        compression: 9,
        min_revision: -1,
        scope: Some(Scope::DefaultGraph(false)),
        ..format("")
    };
    check(odd, &["format", "compression", "min_revision", "default_graph"]).await;
    let nowhere = ExportRequest {
        scope: Some(Scope::Graph("http://e.com/none".into())),
        ..format("ttl")
    };
    let metadata = check_error(
        export(&server, nowhere).await,
        Code::NotFound,
        ErrorReason::GraphNotFound,
    );
    assert_eq!(metadata["graph"], "http://e.com/none");
    // JSON-LD has no triple terms.
    let (_, document, complete) = export(&server, format("jsonld")).await.unwrap();
    assert_eq!((document.len() < 100, complete.quads_written), (true, 0));
    let term = "PREFIX e: <http://e.com/> e:s e:p <<( e:s e:p e:o )>> .";
    server.import_text("ttl", term).await.unwrap();
    check(format("jsonld"), &["format"]).await;
    let update = v1::UpdateRequest {
        update: "CLEAR ALL".into(),
        ..v1::UpdateRequest::default()
    };
    let mut sparql = v1::sparql_service_client::SparqlServiceClient::new(server.channel.clone());
    sparql.update(update).await.unwrap();
    let (_, document, complete) = export(&server, format("nq")).await.unwrap();
    assert_eq!((document.len(), complete.quads_written), (0, 0));
}

#[tokio::test]
async fn readers_that_stop_reading_hold_up_nobody() {
    let server = Server::start_with(|settings| settings.watch_stall_max = Duration::from_millis(300)).await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut parts = server.writes().export(format("nq")).await.unwrap().into_inner();
        parts.message().await.unwrap();
        slow.push(parts);
    }
    check_error(
        export(&server, format("nq")).await,
        Code::ResourceExhausted,
        ErrorReason::Overloaded,
    );
    // One goes, the other is ended: both places are free again.
    drop(slow.pop());
    let outcome = loop {
        match export(&server, format("nq")).await {
            Err(status) if status.code() == Code::ResourceExhausted => {}
            outcome => break outcome,
        }
    };
    outcome.unwrap();
}

#[tokio::test]
async fn slow_readers_of_an_old_graph_give_way() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.watch_stall_max = Duration::from_hours(1);
        settings.connections.answer_stall_max = Duration::from_hours(1);
        settings.diff_memory_bytes_max = 1 << 20;
        settings.watcher_count_max = 1;
    })
    .await;
    let import = async |name: &str, count: usize, word: &str| {
        let mut text = String::new();
        for number in 0..count {
            writeln!(
                text,
                "<http://ex/{name}/{number}> <http://ex/p> \"{word}{number}\" ."
            )
            .unwrap();
        }
        server.import_text("nt", &text).await.unwrap();
    };
    // More than connections take that nobody reads.
    import("old", 20_000, &"x".repeat(500)).await;
    let mut exports = Vec::new();
    for _ in 0..2 {
        let mut writes = WriteServiceClient::new(connect(server.address).await);
        let mut parts = writes.export(format("nq")).await.unwrap().into_inner();
        parts.message().await.unwrap();
        exports.push(parts);
    }
    let from_snapshot = || v1::WatchRequest {
        start: Some(v1::watch_request::Start::Position(
            v1::WatchStart::Snapshot.into(),
        )),
        ..Default::default()
    };
    let mut alone = ChangeServiceClient::new(connect(server.address).await);
    let mut frames = alone.watch(from_snapshot()).await.unwrap().into_inner();
    frames.message().await.unwrap();
    let refused = |status| check_error::<()>(Err(status), Code::ResourceExhausted, ErrorReason::Overloaded);
    refused(export(&server, format("nq")).await.unwrap_err());
    // What they read becomes one layer with what comes now.
    import("new", 10_000, "").await;
    while export(&server, format("nq")).await.map_err(refused).is_err() {
        tokio::task::yield_now().await;
    }
    while watch(&server, from_snapshot()).await.is_err() {
        tokio::task::yield_now().await;
    }
    let mut ended_count = 0;
    for mut parts in exports {
        while let Some(part) = parts.message().await.transpose() {
            if let Err(status) = part {
                check_error::<()>(Err(status), Code::ResourceExhausted, ErrorReason::ReaderTooSlow);
                ended_count += 1;
                break;
            }
        }
    }
    assert!(ended_count > 0);
    let ended = loop {
        match frames.message().await {
            Ok(frame) => assert!(frame.is_some()),
            Err(status) => break status,
        }
    };
    let metadata = check_error::<()>(Err(ended), Code::ResourceExhausted, ErrorReason::ReaderTooSlow);
    assert!(!metadata.contains_key("after_revision"));
}
