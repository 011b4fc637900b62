//! The right role for the wrong graph, with every method: what is in it is neither told nor changed.
//!
//! The methods are those that the server itself describes: one that is added fails here until somebody says what it must answer.

use std::future::poll_fn;

use bytes::Bytes;
use dossier::{
    auth::Tokens,
    proto::v1::{self, ErrorReason},
};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};

use tonic::{Code, Status, body::Body, codegen::Service as _};
use tonic_types::StatusExt as _;

use super::matrix::{GRPC, service_methods};
use crate::harness::Server;

/// What is in the wrong graphs, in the messages of their commits, and in the names of what runs there.
const CANARY: &str = "canary";
/// What is in the right graph, written after it.
const MARK: &str = "http://ex/mark";
const POLICY: &str = "[roles.mine]\nwrite = [\"http://ex/mine\"]\n";

/// What a caller must hear who may write another graph.
enum Expected {
    /// An error.
    Refused(Code, ErrorReason),
    /// An answer in which nothing is of the wrong graph, and what an administrator is told is.
    Without,
    /// An answer that is another one than an administrator's.
    Other,
    /// The same as everybody hears: it is about no graph.
    Same,
}

use Expected::{Other, Refused, Same, Without};

fn missing(reason: ErrorReason) -> Expected {
    Refused(Code::NotFound, reason)
}

fn denied() -> Expected {
    Refused(Code::PermissionDenied, ErrorReason::GraphNotGranted)
}

fn for_administrators() -> Expected {
    Refused(Code::PermissionDenied, ErrorReason::AdminOnly)
}

/// What is asked of every method, one message or several; those that change something come last.
#[expect(clippy::too_many_lines, reason = "one table")]
fn asked() -> Vec<(&'static str, Value, Expected)> {
    let subject = "http://ex/s";
    let about = json!({"subject": subject, "predicate": "http://ex/p"});
    let other = "INSERT DATA { GRAPH <http://ex/other> { <http://ex/s> <http://ex/p> 2 } }";
    let all = "SELECT * { { ?s ?p ?o } UNION { GRAPH ?g { ?s ?p ?o } } }";
    let document = "<http://ex/s> <http://ex/p> \"3\" <http://ex/other> .\n";
    vec![
        ("AdminService/GetServerInfo", json!({}), Other),
        ("AdminService/CreateBackup", json!({}), for_administrators()),
        ("AdminService/VerifyBackup", json!({}), for_administrators()),
        ("AdminService/ListBackups", json!({}), for_administrators()),
        (
            "ChangeService/Watch",
            json!({"position": "WATCH_START_EARLIEST"}),
            Without,
        ),
        (
            "ChangeService/GetRevision",
            json!({"revision": 1}),
            missing(ErrorReason::RevisionNotFound),
        ),
        ("ChangeService/ListRevisions", json!({}), Without),
        (
            "ChangeService/DiffRevisions",
            json!({"fromRevision": 0, "toRevision": 3}),
            Without,
        ),
        (
            "EntityService/GetEntity",
            json!({"entity": subject}),
            missing(ErrorReason::EntityNotFound),
        ),
        (
            "EntityService/BatchGetEntities",
            json!({"entities": [subject]}),
            Without,
        ),
        ("EntityService/ListEntities", json!({}), Without),
        (
            "EntityService/LookupEntities",
            json!({"identifiers": [{"text": CANARY, "property": "rdfs:label"}]}),
            Other,
        ),
        ("EntityService/ListClasses", json!({}), Without),
        ("EntityService/ListPredicates", json!({}), Without),
        ("FactService/ListFacts", json!({"subject": subject}), Without),
        (
            "FactService/GetFact",
            json!({"id": "http://ex/fact"}),
            missing(ErrorReason::FactNotFound),
        ),
        (
            "FactService/CheckFact",
            json!({"subject": subject, "predicate": "http://ex/p", "object": {"literal": {"lexicalForm": CANARY}}}),
            Other,
        ),
        (
            "FactService/ListFactHistory",
            json!({"id": "http://ex/fact"}),
            Other,
        ),
        ("FactService/CompareFacts", about, Without),
        ("FactService/ListConflicts", json!({}), Without),
        (
            "FactService/GetTimeline",
            json!({"entity": subject}),
            missing(ErrorReason::EntityNotFound),
        ),
        ("SparqlService/Query", json!({"query": all}), Without),
        (
            "SparqlService/Explain",
            json!({"query": all, "execute": true}),
            Other,
        ),
        (
            "SparqlService/Validate",
            json!({"text": all, "kind": "TEXT_KIND_QUERY"}),
            Same,
        ),
        ("SparqlService/ListQueries", json!({}), Without),
        ("WriteService/Export", json!({"format": "nq"}), Without),
        (
            "SparqlService/CancelQuery",
            json!({"queryId": CANARY}),
            missing(ErrorReason::QueryNotFound),
        ),
        (
            "WriteService/Import",
            json!([{"header": {"format": "nq"}}, {"chunk": base64(document)}]),
            denied(),
        ),
        ("SparqlService/Update", json!({"update": other}), denied()),
        (
            "WriteService/WriteFacts",
            json!({"facts": [fact("http://ex/new", "http://ex/t")]}),
            denied(),
        ),
        (
            "WriteService/RetractFacts",
            json!({"ids": ["http://ex/fact"]}),
            missing(ErrorReason::FactNotFound),
        ),
        (
            "AdminService/EraseEntity",
            json!({"entity": subject}),
            for_administrators(),
        ),
    ]
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn fact(id: &str, subject: &str) -> Value {
    json!({
        "id": id, "subject": subject, "predicate": "http://ex/p", "object": {"literal": {"lexicalForm": CANARY}},
        "standing": "STANDING_DISPUTED", "sources": [{"iri": "http://ex/canary-source", "title": CANARY}],
    })
}

/// A server with something in each graph.
struct Wrong {
    server: Server,
    pool: DescriptorPool,
}

impl Wrong {
    /// Calls a method and returns what comes until the end, or until the mark comes on a watch, which has none.
    async fn call(&self, bearer: &str, method: &str, messages: &Value) -> (Vec<u8>, Status) {
        let (mut body, status) = self.begin(bearer, method, messages).await;
        if let Some(status) = status {
            return (Vec::new(), status);
        }
        let mut told = Vec::new();
        let mut trailers = None;
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => told.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
            if method.ends_with("/Watch") && contains(&told, MARK) {
                return (told, Status::ok(""));
            }
        }
        let trailers = trailers.expect("an answer ends with trailers");
        (told, Status::from_header_map(&trailers).unwrap())
    }

    /// Begins a call; the status if there is nothing but that.
    async fn begin(&self, bearer: &str, method: &str, messages: &Value) -> (Body, Option<Status>) {
        let (service, name) = method.split_once('/').unwrap();
        let service = format!("dossier.v1.{service}");
        let described = self.pool.get_service_by_name(&service).unwrap();
        let described = described.methods().find(|known| known.name() == name).unwrap();
        let messages = match messages {
            Value::Array(messages) => messages.clone(),
            one => vec![one.clone()],
        };
        let mut bytes = Vec::new();
        for message in messages {
            let message = DynamicMessage::deserialize(described.input(), message)
                .unwrap_or_else(|error| panic!("{method}: {error}"));
            bytes.push(0);
            bytes.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
            bytes.extend(message.encode_to_vec());
        }
        let request = Request::post(format!("/{service}/{name}"))
            .header(header::CONTENT_TYPE, GRPC)
            .header(header::TE, "trailers")
            .header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        let request = request.body(Body::new(Full::new(Bytes::from(bytes)))).unwrap();
        let mut channel = self.server.channel.clone();
        poll_fn(|context| channel.poll_ready(context)).await.unwrap();
        let response = channel.call(request).await.unwrap();
        let status = Status::from_header_map(response.headers());
        (response.into_body(), status)
    }

    async fn must(&self, bearer: &str, method: &str, message: Value) {
        let (_, status) = self.call(bearer, method, &message).await;
        assert_eq!(status.code(), Code::Ok, "{method} {message}: {status:?}");
    }
}

fn contains(told: &[u8], text: &str) -> bool {
    told.windows(text.len()).any(|part| part == text.as_bytes())
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    info.map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn every_method_keeps_the_wrong_graph_to_itself() {
    let mut tokens = Tokens::default();
    let [mine, admin, nobody] = ["mine", "admin", "no-such-role"].map(|role| {
        let made = tokens.create(role, &[role.to_owned()], 0, None);
        made.unwrap().secret().to_owned()
    });
    let wrong = Wrong {
        server: Server::start_guarded(&tokens, POLICY).await,
        pool: DescriptorPool::decode(v1::FILE_DESCRIPTOR_SET).unwrap(),
    };
    let data = "INSERT DATA { <http://ex/s> a <http://ex/canary-class> ; <http://ex/canary-predicate> 1 ;
        rdfs:label \"canary\" .
        GRAPH <http://ex/other> { <http://ex/s> <http://ex/p> \"canary\" } }";
    let fact = json!({"facts": [fact("http://ex/fact", "http://ex/s")]});
    let mark = format!("INSERT DATA {{ GRAPH <http://ex/mine> {{ <{MARK}> <http://ex/p> 1 }} }}");
    for (method, message) in [
        ("SparqlService/Update", json!({"update": data, "message": CANARY})),
        ("WriteService/WriteFacts", fact),
        ("SparqlService/Update", json!({"update": mark})),
    ] {
        wrong.must(&admin, method, message).await;
    }
    let values = (0..9).map(|number| format!("VALUES ?v{number} {{ 1 2 3 4 5 6 7 8 9 }}"));
    let long = format!("SELECT * {{ {} }}", values.collect::<String>());
    let endless = json!({"query": long, "queryId": CANARY});
    let (_running, begun) = wrong.begin(&admin, "SparqlService/Query", &endless).await;
    assert!(begun.is_none());

    let asked = asked();
    let mut named: Vec<_> = asked
        .iter()
        .map(|(method, ..)| format!("/dossier.v1.{method}"))
        .collect();
    named.sort_unstable();
    assert_eq!(
        named,
        service_methods(),
        "methods that are not tried, or are not there"
    );
    let mut faults = Vec::new();
    let mut check = |is_so: bool, method: &str, who: &str, status: &Status| {
        if !is_so {
            faults.push(format!("{method}, {who}: {status:?}"));
        }
    };
    for (method, messages, expected) in &asked {
        let (_, status) = wrong.call(&nobody, method, messages).await;
        let outcome = (status.code(), reason(&status));
        let no_role = (Code::PermissionDenied, "NO_ROLE".to_owned());
        check(outcome == no_role, method, "who has no role", &status);
        let (told, status) = wrong.call(&mine, method, messages).await;
        let is_so = match expected {
            Refused(code, because) => {
                let because = because.as_str_name().trim_start_matches("ERROR_REASON_");
                (status.code(), reason(&status).as_str()) == (*code, because)
            }
            Without | Same => status.code() == Code::Ok && !contains(&told, CANARY),
            // It may have the canary of the request.
            Other => true,
        };
        check(is_so, method, "who may write another graph", &status);
    }
    // An administrator hears something else, so what was asked was worth asking.
    for (method, messages, expected) in &asked {
        let (restricted, refused) = wrong.call(&mine, method, messages).await;
        let (told, status) = wrong.call(&admin, method, messages).await;
        let is_so = match expected {
            Refused(..) => reason(&status) != reason(&refused),
            Without => contains(&told, CANARY),
            Other => told != restricted || status.code() != refused.code(),
            Same => told == restricted,
        };
        check(is_so, method, "who administers", &status);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
