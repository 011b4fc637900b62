//! `SparqlService.Explain` and `SparqlService.Validate`.

use dossier::proto::v1::{self, ErrorReason, ExplainRequest, TextKind, ValidateRequest};
use tonic::{Code, Status};

use crate::{
    harness::{Server, check_error, check_fields},
    parameters::iri,
    sparql::{ENDLESS, client, insert},
};

async fn explain(server: &Server, request: ExplainRequest) -> Result<v1::ExplainResponse, Status> {
    Ok(client(server).explain(request).await?.into_inner())
}

fn plan(query: &str, execute: bool) -> ExplainRequest {
    ExplainRequest {
        query: query.into(),
        execute,
        ..Default::default()
    }
}

async fn validate(server: &Server, text: &str, kind: TextKind) -> v1::ValidateResponse {
    let request = ValidateRequest {
        text: text.into(),
        kind: kind.into(),
    };
    client(server).validate(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_plan_is_a_tree_in_a_list() {
    let server = Server::start_empty().await;
    let revision = insert(&server, "e:a e:p 1, 2 . e:b e:p 3").await.revision;
    let query = "SELECT ?o { ?s e:p ?o FILTER(?o > 1) } ORDER BY ?o";
    for execute in [false, true] {
        let answer = explain(&server, plan(query, execute)).await.unwrap();
        assert_eq!(
            (answer.form(), answer.revision),
            (v1::QueryForm::Select, revision)
        );
        assert_eq!(
            (answer.row_count, answer.elapsed.is_some()),
            (execute.then_some(2), execute)
        );
        assert!(answer.planning_time.is_some() && !answer.query_id.is_empty());
        assert_eq!(answer.plan[0].depth, 0);
        let depths: Vec<_> = answer.plan.iter().map(|node| node.depth).collect();
        assert!(
            depths
                .windows(2)
                .all(|pair| pair[1] >= 1 && pair[1] <= pair[0] + 1),
            "{depths:?}"
        );
        let leaf = answer.plan.last().unwrap();
        assert_eq!(
            (leaf.operator.as_str(), leaf.row_count),
            ("Scan", execute.then_some(3))
        );
        assert_eq!(leaf.elapsed.is_some(), execute);
    }
}

#[tokio::test]
async fn a_plan_has_parameters_graphs_and_limits() {
    let server = Server::start_empty().await;
    insert(&server, "e:a e:p 1, 2, 3 . e:b e:p 3 . GRAPH g:a { e:a e:p 9 }").await;
    let request = |limits| ExplainRequest {
        parameters: [("s".to_owned(), iri("e:a"))].into(),
        limits,
        ..plan("SELECT ?o { ?s e:p ?o }", true)
    };
    let limited = v1::QueryLimits {
        row_count_max: 2,
        ..Default::default()
    };
    let in_graph = ExplainRequest {
        default_graphs: vec!["g:a".into()],
        ..request(None)
    };
    for (request, row_count, limit) in [
        (request(None), 3, v1::QueryLimit::Unspecified),
        (request(Some(limited)), 2, v1::QueryLimit::RowCount),
        (in_graph, 1, v1::QueryLimit::Unspecified),
    ] {
        let answer = explain(&server, request).await.unwrap();
        assert_eq!(
            (answer.row_count, answer.limit_reached()),
            (Some(row_count), limit)
        );
    }
    // Nothing is run unless it is asked for.
    explain(&server, plan(ENDLESS, false)).await.unwrap();
}

#[tokio::test]
async fn explain_fails_as_query_does() {
    let server = Server::start().await;
    for (request, code, reason) in [
        (
            plan("SELECT", false),
            Code::InvalidArgument,
            ErrorReason::SparqlSyntax,
        ),
        (
            plan("CLEAR ALL", false),
            Code::InvalidArgument,
            ErrorReason::SparqlWrongForm,
        ),
        (
            ExplainRequest {
                parameters: [("none".to_owned(), iri("e:a"))].into(),
                ..plan("ASK {}", false)
            },
            Code::InvalidArgument,
            ErrorReason::InvalidParameter,
        ),
        (
            ExplainRequest {
                limits: Some(v1::QueryLimits {
                    timeout: Some(prost_types::Duration {
                        seconds: 0,
                        nanos: 200_000_000,
                    }),
                    ..Default::default()
                }),
                ..plan(ENDLESS, true)
            },
            Code::DeadlineExceeded,
            ErrorReason::DeadlineExceeded,
        ),
    ] {
        check_error(explain(&server, request).await, code, reason);
    }
    let request = ExplainRequest {
        named_graphs: vec![String::new()],
        min_revision: -1,
        ..plan("ASK {}", false)
    };
    let fields = ["named_graphs[0]", "min_revision"];
    check_fields(
        explain(&server, request).await,
        ErrorReason::InvalidField,
        &fields,
    );
}

#[tokio::test]
async fn a_valid_text_is_described() {
    let server = Server::start_empty().await;
    let text = "SELECT ?s (COUNT(*) AS ?n) FROM g:a { ?s ?p ?o } GROUP BY ?s";
    let answer = validate(&server, text, TextKind::Unspecified).await;
    assert!(answer.valid && answer.fault.is_none());
    assert_eq!(
        (answer.kind(), answer.form()),
        (TextKind::Query, v1::QueryForm::Select)
    );
    assert_eq!(answer.result_variables, ["s", "n"]);
    assert_eq!(answer.variables, ["n", "o", "p", "s"]);
    assert_eq!(answer.parameters, ["o", "p", "s"]);
    assert_eq!(answer.graphs, ["https://w3id.org/dossier/g/a"]);
    let figure = |limit: &str| {
        let figure = answer
            .figures
            .iter()
            .find(|figure| figure.limit == limit)
            .unwrap();
        (figure.value, figure.limit_value)
    };
    assert_eq!(
        figure("query_bytes_max"),
        (i64::try_from(text.len()).unwrap(), 1 << 20)
    );
    assert_eq!(figure("query_clause_count_max"), (1, 500));
    assert_eq!(answer.figures.len(), 7);
    let answer = validate(&server, "INSERT { ?s e:p 1 } WHERE {}", TextKind::Update).await;
    assert_eq!((answer.valid, answer.kind()), (true, TextKind::Update));
}

#[tokio::test]
async fn a_fault_is_an_answer() {
    let server = Server::start_empty().await;
    let nested = "{".repeat(1_000);
    for (text, kind, reason, place) in [
        (
            "SELECT * {\n ?s ?p }",
            TextKind::Unspecified,
            "SPARQL_SYNTAX",
            (2, 8),
        ),
        ("", TextKind::Unspecified, "SPARQL_SYNTAX", (1, 1)),
        ("CLEAR ALL", TextKind::Query, "SPARQL_WRONG_FORM", (0, 0)),
        (
            "LOAD <http://a/>",
            TextKind::Unspecified,
            "SPARQL_UNSUPPORTED",
            (0, 0),
        ),
        (&nested, TextKind::Unspecified, "SPARQL_TOO_COMPLEX", (0, 0)),
    ] {
        let answer = validate(&server, text, kind).await;
        let fault = answer.fault.clone().unwrap();
        assert_eq!((answer.valid, answer.kind()), (false, TextKind::Unspecified));
        assert_eq!(
            (fault.reason.as_str(), (fault.line, fault.column)),
            (reason, place),
            "{text}"
        );
        assert!(!fault.message.is_empty() && answer.variables.is_empty());
        assert_eq!(answer.figures.len(), 7);
    }
    let request = ValidateRequest {
        text: String::new(),
        kind: 9,
    };
    check_fields(
        client(&server).validate(request).await,
        ErrorReason::InvalidField,
        &["kind"],
    );
}
