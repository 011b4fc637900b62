//! `SparqlService.Update`.

use dossier::proto::v1::{self, ErrorReason, QueryRequest, UpdateRequest, UpdateResponse};
use tonic::{Code, Status};

use crate::{
    harness::{Server, check_error, check_fields},
    sparql::{ask, client, insert, query},
};

pub(crate) fn change(update: &str) -> UpdateRequest {
    UpdateRequest {
        update: update.into(),
        ..Default::default()
    }
}

pub(crate) async fn update(server: &Server, request: UpdateRequest) -> Result<UpdateResponse, Status> {
    Ok(client(server).update(request).await?.into_inner())
}

/// Counts the quads of the default graph and tells the revision.
async fn state(server: &Server) -> (usize, i64) {
    let answer = query(server, ask("SELECT * { ?s ?p ?o }")).await.unwrap();
    (answer.rows.len(), answer.header.revision)
}

#[tokio::test]
async fn counts_are_exact_and_writes_are_read() {
    let server = Server::start_empty().await;
    let (_, mut revision) = state(&server).await;
    for (text, inserted, removed, count) in [
        ("INSERT DATA { e:a e:p 1, 2 }", 2, 0, 2),
        ("INSERT DATA { e:a e:p 2, 3, 3 }", 1, 0, 3),
        ("INSERT DATA { e:a e:p 3 }", 0, 0, 3),
        ("DELETE DATA { e:a e:p 1, 9 }", 0, 1, 2),
        (
            "DELETE { ?s e:p ?o } INSERT { ?s e:q ?o } WHERE { ?s e:p ?o }",
            2,
            2,
            2,
        ),
        ("INSERT DATA { e:b e:p 1 }; DELETE DATA { e:b e:p 1 }", 0, 0, 2),
        ("DELETE WHERE { ?s e:q 2 }; INSERT DATA { e:a e:q 2 }", 0, 0, 2),
        ("CLEAR ALL", 0, 2, 0),
        ("", 0, 0, 0),
    ] {
        let answer = update(&server, change(text)).await.unwrap();
        assert_eq!(
            (answer.quads_inserted, answer.quads_removed),
            (inserted, removed),
            "{text}"
        );
        // What changes nothing makes no commit.
        revision += i64::from(inserted + removed > 0);
        assert_eq!(answer.revision, revision, "{text}");
        let request = QueryRequest {
            min_revision: answer.revision,
            ..ask("SELECT * { ?s ?p ?o }")
        };
        let read = query(&server, request).await.unwrap();
        assert_eq!(
            (read.rows.len(), read.header.revision),
            (count, revision),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_update_is_all_or_nothing() {
    let server = Server::start_empty().await;
    insert(&server, "e:a e:p 1 GRAPH g:a { e:a e:p 1 }").await;
    let before = state(&server).await;
    let nested = format!("INSERT {{}} WHERE {}", "{".repeat(100_000));
    for (text, reason, expected) in [
        (
            "INSERT DATA { e:b e:p 2 }; CREATE GRAPH g:a",
            ErrorReason::SparqlEvaluation,
            &[][..],
        ),
        (
            "CLEAR DEFAULT; CREATE GRAPH g:a",
            ErrorReason::SparqlEvaluation,
            &[],
        ),
        (
            "CLEAR DEFAULT; LOAD <http://a/>",
            ErrorReason::SparqlUnsupported,
            &[],
        ),
        (
            "INSERT { ?s ?p ?o } WHERE { SERVICE <http://a/> { ?s ?p ?o } }",
            ErrorReason::SparqlUnsupported,
            &[],
        ),
        ("ASK {}", ErrorReason::SparqlWrongForm, &[]),
        (
            &nested,
            ErrorReason::SparqlTooComplex,
            &[("limit", "query_nesting_max")],
        ),
        (
            "CLEAR DEFAULT;\n INSERT DATA [",
            ErrorReason::SparqlSyntax,
            &[("line", "2"), ("column", "14")],
        ),
    ] {
        let metadata = check_error(update(&server, change(text)).await, Code::InvalidArgument, reason);
        for &(key, value) in expected {
            assert_eq!(metadata[key], value);
        }
        assert_eq!(state(&server).await, before);
    }
    let request = UpdateRequest {
        request_id: "x".repeat(129),
        message: "x".repeat(1_025),
        expected_revision: Some(-1),
        ..change("CLEAR ALL")
    };
    check_fields(
        update(&server, request).await,
        ErrorReason::InvalidField,
        &["request_id", "message", "expected_revision"],
    );
    assert_eq!(state(&server).await, before);
}

#[tokio::test]
async fn validate_only_commits_nothing() {
    let server = Server::start_empty().await;
    insert(&server, "e:a e:p 1").await;
    let before = state(&server).await;
    let request = UpdateRequest {
        validate_only: true,
        ..change("DELETE DATA { e:a e:p 1 }; INSERT DATA { e:a e:p 2, 3 }")
    };
    let expected = UpdateResponse {
        revision: before.1,
        quads_inserted: 2,
        quads_removed: 1,
    };
    assert_eq!(update(&server, request).await.unwrap(), expected);
    assert_eq!(state(&server).await, before);
}

#[tokio::test]
async fn an_update_expects_a_revision() {
    let server = Server::start_empty().await;
    let (_, revision) = state(&server).await;
    let request = UpdateRequest {
        expected_revision: Some(revision),
        ..change("INSERT DATA { e:a e:p [] }")
    };
    assert_eq!(
        update(&server, request.clone()).await.unwrap().revision,
        revision + 1
    );
    let outcome = update(&server, request).await;
    let metadata = check_error(outcome, Code::Aborted, ErrorReason::RevisionMismatch);
    assert_eq!(metadata["revision"], (revision + 1).to_string());
    assert_eq!(state(&server).await, (1, revision + 1));
}

#[tokio::test]
async fn a_request_id_makes_an_update_idempotent() {
    let server = Server::start_empty().await;
    let request = |text: &str| v1::UpdateRequest {
        request_id: "once".into(),
        ..change(text)
    };
    let text = "INSERT DATA { e:a e:p [] }";
    let first = update(&server, request(text)).await.unwrap();
    insert(&server, "e:b e:p 1").await;
    assert_eq!(update(&server, request(text)).await.unwrap(), first);
    assert_eq!(state(&server).await, (2, first.revision + 1));
    let outcome = update(&server, request("CLEAR ALL")).await;
    let metadata = check_error(outcome, Code::AlreadyExists, ErrorReason::RequestIdReused);
    assert_eq!(metadata["request_id"], "once");
    assert_eq!(metadata["revision"], first.revision.to_string());
    assert_eq!(state(&server).await, (2, first.revision + 1));
}
