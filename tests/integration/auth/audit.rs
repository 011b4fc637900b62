//! The audit log.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dossier::{
    auth::Tokens,
    config::AuditPlace,
    proto::v1::{
        EraseEntityRequest, ErrorReason, ImportRequest, QueryRequest, UpdateRequest,
        admin_service_client::AdminServiceClient, import_request::Part,
        sparql_service_client::SparqlServiceClient,
    },
};
use serde_json::Value;
use tempfile::TempDir;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
};

use super::{info, now_seconds, write_tokens};
use crate::{
    harness::{Server, check_error, complete, header},
    http_client::send,
};

#[tokio::test]
async fn writes_and_denials_are_told_and_no_secrets() {
    let folder = TempDir::new().unwrap();
    let (path, audit) = (
        folder.path().join("tokens.json"),
        folder.path().join("audit.jsonl"),
    );
    let mut tokens = Tokens::default();
    let [writer, reader] = ["write", "read"].map(|role| {
        tokens
            .create(
                &format!("who may {role}"),
                &[role.to_owned()],
                now_seconds(),
                None,
            )
            .unwrap()
    });
    write_tokens(&path, &tokens);
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.auth.tokens = Some(path);
        settings.auth.audit_log = Some(dossier::config::AuditPlace::File(audit.clone()));
    })
    .await;
    let update = |bearer: &str, validate_only: bool| {
        let mut request = Request::new(UpdateRequest {
            update: "INSERT DATA { <http://example.com/canary> <http://example.com/p> 1, 2 }".to_owned(),
            validate_only,
            ..Default::default()
        });
        let value = format!("Bearer {bearer}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        let mut sparql = SparqlServiceClient::new(server.channel.clone());
        async move {
            sparql
                .update(request)
                .await
                .map(|answer| answer.into_inner().revision)
        }
    };
    let code = |outcome: Result<i64, Status>| outcome.unwrap_err().code();
    update(writer.secret(), true).await.unwrap();
    let revision = update(writer.secret(), false).await.unwrap();
    assert_eq!(code(update(reader.secret(), false).await), Code::PermissionDenied);
    assert_eq!(code(update("dossier_canary", false).await), Code::Unauthenticated);
    info(&server.channel, Some(reader.secret())).await.unwrap();

    let text = fs::read_to_string(&audit).unwrap();
    for secret in [writer.secret(), reader.secret(), "canary"] {
        assert!(!text.contains(secret), "{text}");
    }
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["event"].as_str().unwrap(),
                line["subject"].as_str(),
                line["reason"].as_str(),
            )
        })
        .collect();
    assert_eq!(told.len(), 3, "{text}");
    assert_eq!(told[0], ("write", Some("who may write"), None));
    assert_eq!((&told[1].0, told[1].1), (&"denial", Some("who may read")));
    assert_eq!(told[2], ("denial", None, Some("CREDENTIALS_INVALID")));
    assert_eq!(lines[0]["revision"], revision);
    assert_eq!(
        (&lines[0]["quads_inserted"], &lines[0]["quads_removed"]),
        (&2.into(), &0.into())
    );
    assert_eq!(lines[2]["cause"], "not the form of a token");
    for line in &lines {
        assert_eq!(line["method"], "/dossier.v1.SparqlService/Update");
        assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
}

#[tokio::test]
async fn commits_that_change_graphs_alone_are_told() {
    let (server, bearer, audit) = audited("write").await;
    let update = async |update: &str, request_id: &str| {
        let mut request = Request::new(UpdateRequest {
            update: update.to_owned(),
            request_id: request_id.to_owned(),
            ..Default::default()
        });
        request.metadata_mut().insert("authorization", bearer.clone());
        let mut sparql = SparqlServiceClient::new(server.channel.clone());
        sparql.update(request).await.unwrap();
    };
    let (create, drop) = ("CREATE GRAPH <http://ex/g>", "DROP GRAPH <http://ex/g>");
    update(create, "once").await;
    // As before.
    update(create, "once").await;
    update(drop, "").await;
    update("DROP SILENT GRAPH <http://ex/g>", "").await;
    let put = http::Request::put("/store?graph=http://ex/g")
        .header("authorization", bearer.to_str().unwrap())
        .header("content-type", "text/turtle")
        .body(String::new());
    send(server.address, put.unwrap()).await.unwrap();
    let told: Vec<_> = lines(&audit)
        .iter()
        .map(|line| {
            assert_eq!(
                (&line["event"], &line["quads_inserted"]),
                (&"write".into(), &0.into())
            );
            ["revision", "graphs_created", "graphs_dropped"].map(|name| line[name].as_u64().unwrap())
        })
        .collect();
    assert_eq!(told, [[1, 1, 0], [1, 1, 0], [2, 0, 1], [3, 1, 0]]);
}

#[tokio::test]
async fn denials_at_the_end_of_a_stream_are_told() {
    let (server, bearer, audit) = audited("mine").await;
    let mut query = Request::new(QueryRequest {
        query: "SELECT * { SERVICE <http://ex/> { ?s ?p ?o } }".to_owned(),
        ..Default::default()
    });
    query.metadata_mut().insert("authorization", bearer.clone());
    let mut rows = SparqlServiceClient::new(server.channel.clone())
        .query(query)
        .await
        .unwrap()
        .into_inner();
    check_error(
        rows.message().await,
        Code::PermissionDenied,
        ErrorReason::AdminOnly,
    );
    let quad = "<http://ex/s> <http://ex/p> \"o\" <http://ex/other> .\n";
    let parts = [Part::Header(header("nq")), Part::Chunk(quad.as_bytes().into())];
    let parts = parts.map(|part| ImportRequest { part: Some(part) });
    let mut import = Request::new(tokio_stream::iter(parts));
    import.metadata_mut().insert("authorization", bearer);
    let answers = server.writes().import(import).await.unwrap().into_inner();
    check_error(
        complete(answers).await,
        Code::PermissionDenied,
        ErrorReason::GraphNotGranted,
    );
    let told: Vec<_> = lines(&audit)
        .iter()
        .map(|line| ["event", "method", "reason"].map(|name| line[name].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(
        told,
        [
            ["denial", "/dossier.v1.SparqlService/Query", "ADMIN_ONLY"],
            ["denial", "/dossier.v1.WriteService/Import", "GRAPH_NOT_GRANTED"],
        ]
    );
}

/// Starts a server that tells a log of what is done, and knows one caller, with a role.
async fn audited(role: &str) -> (Server, MetadataValue<Ascii>, PathBuf) {
    let folder = TempDir::new().unwrap();
    let [path, policy, audit] =
        ["tokens.json", "policy.toml", "audit.jsonl"].map(|name| folder.path().join(name));
    fs::write(&policy, "[roles.mine]\nwrite = [\"http://ex/mine\"]\n").unwrap();
    let mut tokens = Tokens::default();
    let made = tokens.create(role, &[role.to_owned()], now_seconds(), None);
    let bearer = format!("Bearer {}", made.unwrap().secret()).parse().unwrap();
    write_tokens(&path, &tokens);
    let place = AuditPlace::File(audit.clone());
    let server = Server::start_in(folder, |settings| {
        settings.load_shipped_data = false;
        settings.auth.tokens = Some(path);
        settings.auth.policy = Some(policy);
        settings.auth.audit_log = Some(place);
    });
    (server.await, bearer, audit)
}

fn lines(audit: &Path) -> Vec<Value> {
    let text = fs::read_to_string(audit).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn erasures_are_told() {
    let (server, bearer, audit) = audited("admin").await;
    let mut update = Request::new(UpdateRequest {
        update: "INSERT DATA { <http://example.com/canary> <http://example.com/p> 1, 2 }".to_owned(),
        ..Default::default()
    });
    update.metadata_mut().insert("authorization", bearer.clone());
    let mut sparql = SparqlServiceClient::new(server.channel.clone());
    sparql.update(update).await.unwrap();
    let mut admin = AdminServiceClient::new(server.channel.clone());
    // The second time only the log is written anew.
    for validate_only in [true, false, false] {
        let mut erase = Request::new(EraseEntityRequest {
            entity: "http://example.com/canary".to_owned(),
            validate_only,
            ..Default::default()
        });
        erase.metadata_mut().insert("authorization", bearer.clone());
        admin.erase_entity(erase).await.unwrap();
    }
    let text = fs::read_to_string(&audit).unwrap();
    assert!(!text.contains("canary"), "{text}");
    let told: Vec<_> = text
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["subject"], "admin");
            let number = |name: &str| line[name].as_u64();
            (
                line["event"].as_str().unwrap().to_owned(),
                number("revision"),
                number("quads_removed").or(number("record_count")),
            )
        })
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(event, revision, count)| (event.as_str(), *revision, *count))
        .collect();
    assert_eq!(
        told,
        [
            ("write", Some(1), Some(0)),
            ("write", Some(2), Some(2)),
            ("erasure", Some(2), Some(2)),
            ("erasure", Some(2), Some(0)),
        ]
    );
}
