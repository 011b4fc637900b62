//! `SparqlService.Query`.

use std::time::{Duration, Instant};

use dossier::proto::v1::{
    self, ErrorReason, QueryRequest, query_response::Frame, sparql_service_client::SparqlServiceClient,
};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt as _;

use crate::harness::{Server, check_error, check_fields};

/// Does not end while anybody waits.
pub(crate) const ENDLESS: &str = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }";
/// Far more than an interrupt takes, far less than the query.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn client(server: &Server) -> SparqlServiceClient<Channel> {
    SparqlServiceClient::new(server.channel.clone())
}

pub(crate) fn ask(query: &str) -> QueryRequest {
    QueryRequest {
        query: query.into(),
        ..Default::default()
    }
}

/// A whole result.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) header: v1::QueryHeader,
    pub(crate) rows: Vec<Vec<v1::Term>>,
    triples: Vec<v1::TripleTerm>,
    pub(crate) boolean: Option<bool>,
    pub(crate) complete: v1::QueryComplete,
}

impl Answer {
    /// The rows as text, sorted.
    pub(crate) fn texts(&self) -> Vec<String> {
        let row = |row: &Vec<v1::Term>| row.iter().map(text).collect::<Vec<_>>().join(" ");
        let mut rows: Vec<_> = self.rows.iter().map(row).collect();
        rows.sort();
        rows
    }
}

/// Runs a query and checks the order and the counts of its frames.
pub(crate) async fn query(
    server: &Server,
    request: impl tonic::IntoRequest<QueryRequest>,
) -> Result<Answer, Status> {
    let mut frames = client(server).query(request).await?.into_inner();
    let Some(Frame::Header(header)) = frames.message().await?.unwrap().frame else {
        panic!("a result starts with its header");
    };
    let width = header.variables.len();
    let (mut rows, mut triples, mut boolean, mut complete) = (Vec::new(), Vec::new(), None, None);
    let mut dictionary = vec![v1::Term::default()];
    while let Some(frame) = frames.message().await? {
        assert!(complete.is_none(), "something came after `complete`");
        match frame.frame.unwrap() {
            Frame::Header(_) => panic!("a second header"),
            Frame::Rows(batch) => {
                dictionary.extend(batch.new_terms);
                let mut cells = batch
                    .cells
                    .iter()
                    .map(|&number| dictionary[number as usize].clone());
                let row_count = usize::try_from(batch.row_count).unwrap();
                if batch.rows.is_empty() {
                    rows.extend((0..row_count).map(|_| cells.by_ref().take(width).collect::<Vec<_>>()));
                } else {
                    assert_eq!(batch.rows.len(), row_count);
                    rows.extend(batch.rows.into_iter().map(|row| row.terms));
                }
                assert_eq!(cells.next(), None);
            }
            Frame::Triples(batch) => triples.extend(batch.triples),
            Frame::Boolean(answer) => assert_eq!(boolean.replace(answer), None),
            Frame::Complete(last) => complete = Some(last),
        }
    }
    let complete = complete.expect("a stream without an error ends with `complete`");
    assert!(rows.iter().all(|row| row.len() == width));
    let count = rows.len() + triples.len() + usize::from(boolean.is_some());
    assert_eq!(complete.row_count, i64::try_from(count).unwrap());
    assert!(complete.elapsed.is_some());
    Ok(Answer {
        header,
        rows,
        triples,
        boolean,
        complete,
    })
}

fn text(term: &v1::Term) -> String {
    let part = |term: &Option<Box<v1::Term>>| term.as_deref().map_or(String::new(), text);
    match &term.term {
        None => "-".into(),
        Some(v1::term::Term::Iri(iri)) => format!("<{iri}>"),
        Some(v1::term::Term::BlankNode(_)) => "_".into(),
        Some(v1::term::Term::Literal(literal)) => format!(
            "{}|{}|{}|{}",
            literal.lexical_form, literal.datatype, literal.language, literal.direction
        ),
        Some(v1::term::Term::Triple(triple)) => {
            format!(
                "({} {} {})",
                part(&triple.subject),
                triple.predicate,
                part(&triple.object)
            )
        }
    }
}

pub(crate) async fn insert(server: &Server, data: &str) -> v1::UpdateResponse {
    let request = v1::UpdateRequest {
        update: format!("INSERT DATA {{ {data} }}"),
        ..Default::default()
    };
    client(server).update(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn each_form_has_its_frames() {
    let server = Server::start_empty().await;
    let written = insert(&server, "e:a e:p 1, 2 . e:b e:p 3 .").await;
    for (text, form, rows, triples, boolean) in [
        ("SELECT ?s ?o { ?s e:p ?o }", v1::QueryForm::Select, 3, 0, None),
        ("SELECT ?s ?o { ?s e:q ?o }", v1::QueryForm::Select, 0, 0, None),
        ("SELECT * {}", v1::QueryForm::Select, 1, 0, None),
        ("ASK { e:a e:p 2 }", v1::QueryForm::Ask, 0, 0, Some(true)),
        ("ASK { e:a e:p 3 }", v1::QueryForm::Ask, 0, 0, Some(false)),
        (
            "CONSTRUCT { ?s e:q ?o } { ?s e:p ?o }",
            v1::QueryForm::Construct,
            0,
            3,
            None,
        ),
        ("DESCRIBE e:a", v1::QueryForm::Describe, 0, 2, None),
    ] {
        for encoding in [v1::RowEncoding::Plain, v1::RowEncoding::Dictionary] {
            let request = QueryRequest {
                query_id: "mine".into(),
                row_encoding: encoding.into(),
                ..ask(text)
            };
            let answer = query(&server, request).await.unwrap();
            assert_eq!(
                (answer.header.form(), answer.header.query_id.as_str()),
                (form, "mine")
            );
            assert_eq!(answer.header.revision, written.revision, "{text}");
            let sent = (
                usize::try_from(answer.complete.row_count).unwrap(),
                answer.triples.len(),
            );
            let expected = rows + triples + usize::from(boolean.is_some());
            assert_eq!((sent, answer.boolean), ((expected, triples), boolean), "{text}");
        }
    }
    let answer = query(&server, ask("SELECT ?o ?s { ?s e:p ?o }")).await.unwrap();
    assert_eq!(answer.header.variables, ["o", "s"]);
    assert!(!answer.header.query_id.is_empty());
}

#[tokio::test]
async fn both_encodings_are_the_same_rows() {
    let server = Server::start_empty().await;
    let triples = (0..12_000).map(|number| format!("e:s{} e:p{} {number} .", number / 10, number % 3));
    insert(&server, &triples.collect::<Vec<_>>().join(" ")).await;
    let text = "SELECT ?s ?p ?o ?made ?none { ?s ?p ?o BIND(STR(?o) AS ?made) } ORDER BY ?o";
    let request = |encoding: v1::RowEncoding| QueryRequest {
        row_encoding: encoding.into(),
        ..ask(text)
    };
    let plain = query(&server, request(v1::RowEncoding::Plain)).await.unwrap();
    let dictionary = query(&server, request(v1::RowEncoding::Dictionary))
        .await
        .unwrap();
    let unspecified = query(&server, ask(text)).await.unwrap();
    assert_eq!(plain.rows.len(), 12_000);
    assert!(plain.rows == dictionary.rows && plain.rows == unspecified.rows);
    assert!(
        plain
            .rows
            .iter()
            .all(|row| row[4].term.is_none() && row[3].term.is_some())
    );
}

#[tokio::test]
async fn terms_come_out_as_they_went_in() {
    let server = Server::start_empty().await;
    let xsd = "http://www.w3.org/2001/XMLSchema#";
    let ex = "https://w3id.org/dossier/e/";
    for (term, expected) in [
        ("\"01\"^^xsd:int", format!("01|{xsd}int||0")),
        ("1.50", format!("1.50|{xsd}decimal||0")),
        ("\"plain\"", "plain|||0".into()),
        ("\"color\"@en-US", "color||en-US|0".into()),
        ("\"left\"@en--ltr", "left||en|1".into()),
        ("\"right\"@he--rtl", "right||he|2".into()),
        (
            "<<( e:a e:b \"02\"^^xsd:int )>>",
            format!("(<{ex}a> {ex}b 02|{xsd}int||0)"),
        ),
        ("e:x", format!("<{ex}x>")),
        ("[]", "_".into()),
    ] {
        insert(&server, &format!("e:s e:p {term}")).await;
        for encoding in [v1::RowEncoding::Plain, v1::RowEncoding::Dictionary] {
            let request = QueryRequest {
                row_encoding: encoding.into(),
                ..ask("SELECT ?o ?none { e:s e:p ?o }")
            };
            let answer = query(&server, request).await.unwrap();
            assert!(
                answer.texts().contains(&format!("{expected} -")),
                "{term}: {answer:?}"
            );
        }
        let built = query(&server, ask("CONSTRUCT WHERE { e:s e:p ?o }"))
            .await
            .unwrap();
        let objects: Vec<_> = built
            .triples
            .iter()
            .map(|triple| text(triple.object.as_ref().unwrap()))
            .collect();
        assert!(objects.contains(&expected), "{term}: {objects:?}");
    }
}

#[tokio::test]
async fn graphs_of_the_request_replace_those_of_the_text() {
    let server = Server::start_empty().await;
    insert(
        &server,
        "e:d e:p 0 GRAPH g:a { e:a e:p 1 } GRAPH g:b { e:b e:p 2 . e:a e:p 1 }",
    )
    .await;
    let default = "SELECT ?o FROM g:b { ?s e:p ?o }";
    let named = "SELECT ?o { GRAPH ?g { ?s e:p ?o } }";
    for (text, default_graphs, named_graphs, expected) in [
        ("SELECT ?o { ?s e:p ?o }", &[][..], &[][..], "0"),
        (default, &[], &[], "1 2"),
        (default, &["g:a"], &[], "1"),
        (default, &["g:a", "https://w3id.org/dossier/g/b"], &[], "1 2"),
        (default, &["g:none"], &[], ""),
        (default, &[], &["g:a"], ""),
        (named, &[], &[], "1 1 2"),
        (named, &[], &["g:a"], "1"),
        (named, &["g:a"], &[], ""),
    ] {
        let request = QueryRequest {
            default_graphs: default_graphs.iter().map(|&name: &&str| name.into()).collect(),
            named_graphs: named_graphs.iter().map(|&name: &&str| name.into()).collect(),
            ..ask(text)
        };
        let rows = query(&server, request).await.unwrap().texts();
        let numbers: Vec<_> = rows.iter().map(|row| row.split('|').next().unwrap()).collect();
        assert_eq!(
            numbers.join(" "),
            expected,
            "{text} {default_graphs:?} {named_graphs:?}"
        );
    }
}

#[tokio::test]
async fn the_caller_limits_rows() {
    let server = Server::start_empty().await;
    insert(&server, "e:a e:p 1, 2, 3").await;
    for (text, row_count_max, count, is_limited) in [
        ("SELECT * { ?s ?p ?o }", 0, 3, false),
        ("SELECT * { ?s ?p ?o }", 2, 2, true),
        ("SELECT * { ?s ?p ?o }", 4, 3, false),
        ("CONSTRUCT WHERE { ?s ?p ?o }", 2, 2, true),
        ("ASK {}", 1, 1, false),
    ] {
        let limits = v1::QueryLimits {
            row_count_max,
            ..Default::default()
        };
        let request = QueryRequest {
            limits: Some(limits),
            ..ask(text)
        };
        let complete = query(&server, request).await.unwrap().complete;
        let limited = complete.limit_reached() == v1::QueryLimit::RowCount;
        assert_eq!(
            (complete.row_count, limited),
            (count, is_limited),
            "{text} {row_count_max}"
        );
    }
}

#[tokio::test]
async fn deadlines_end_a_query_while_others_are_answered() {
    let server = Server::start_with(|settings| settings.query_concurrency_max = 2).await;
    let timeout = QueryRequest {
        limits: Some(v1::QueryLimits {
            timeout: Some(prost_types::Duration {
                seconds: 0,
                nanos: 500_000_000,
            }),
            ..Default::default()
        }),
        ..ask(ENDLESS)
    };
    let mut by_header = Request::new(ask(ENDLESS));
    by_header
        .metadata_mut()
        .insert("grpc-timeout", "500m".parse().unwrap());
    for request in [Request::new(timeout), by_header] {
        let start = Instant::now();
        let others = async {
            assert_eq!(query(&server, ask("ASK {}")).await.unwrap().boolean, Some(true));
            server.entity("e:KR").await.unwrap();
        };
        let (outcome, ()) = tokio::join!(query(&server, request), others);
        check_error(outcome, Code::DeadlineExceeded, ErrorReason::DeadlineExceeded);
        assert!(start.elapsed() < PATIENCE);
    }
}

#[tokio::test]
async fn a_dropped_stream_frees_its_place() {
    let server = Server::start_with(|settings| settings.query_concurrency_max = 1).await;
    let mut streams = Vec::new();
    for _ in 0..9 {
        streams.push(client(&server).query(ask(ENDLESS)).await.unwrap());
    }
    let outcome = query(&server, ask("ASK {}")).await;
    let retry = outcome.as_ref().unwrap_err().get_details_retry_info().unwrap();
    assert!(retry.retry_delay.is_some_and(|delay| !delay.is_zero()));
    check_error(outcome, Code::ResourceExhausted, ErrorReason::Overloaded);
    server.entity("e:KR").await.unwrap();
    drop(streams);
    let again = async {
        loop {
            match query(&server, ask("ASK {}")).await {
                Err(status) if status.code() == Code::ResourceExhausted => {}
                outcome => break outcome.unwrap(),
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, again).await.unwrap();
    assert_eq!(answer.boolean, Some(true));
}

#[tokio::test]
async fn bad_queries_are_refused_with_their_reason() {
    let server = Server::start_empty().await;
    let nested = format!("SELECT * {}", "{".repeat(100_000));
    for (text, reason, expected) in [
        (
            "SELECT * {\n  ?s ?p }",
            ErrorReason::SparqlSyntax,
            &[("line", "2"), ("column", "9")][..],
        ),
        ("INSERT DATA { e:a e:b e:c }", ErrorReason::SparqlWrongForm, &[]),
        (
            &nested,
            ErrorReason::SparqlTooComplex,
            &[("limit", "query_nesting_max"), ("limit_value", "100")],
        ),
        (
            "SELECT * { SERVICE <http://a/> { ?s ?p ?o } }",
            ErrorReason::SparqlUnsupported,
            &[],
        ),
    ] {
        let metadata = check_error(query(&server, ask(text)).await, Code::InvalidArgument, reason);
        for &(key, value) in expected {
            assert_eq!(metadata[key], value);
        }
    }
    let request = QueryRequest {
        default_graphs: vec![String::new()],
        named_graphs: vec!["g:a".into(), "<>".into()],
        min_revision: -1,
        query_id: "x".repeat(129),
        row_encoding: 9,
        limits: Some(v1::QueryLimits {
            row_count_max: -1,
            timeout: Some(prost_types::Duration::default()),
            ..Default::default()
        }),
        ..ask("ASK {}")
    };
    let fields = [
        "default_graphs[0]",
        "named_graphs[1]",
        "min_revision",
        "query_id",
        "row_encoding",
        "limits.row_count_max",
        "limits.timeout",
    ];
    check_fields(query(&server, request).await, ErrorReason::InvalidField, &fields);
    let request = QueryRequest {
        min_revision: 1_000,
        ..ask("ASK {}")
    };
    let outcome = query(&server, request).await;
    let metadata = check_error(outcome, Code::FailedPrecondition, ErrorReason::RevisionNotReached);
    assert_eq!(metadata["min_revision"], "1000");
}
