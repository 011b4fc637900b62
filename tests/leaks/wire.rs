//! The same over the wire: a server that has everything, asked by a restricted caller, and one that has no more than that
//! caller may read.

use std::fmt::Debug;

use dossier::{
    auth::Tokens,
    proto::v1::{
        self, change_service_client::ChangeServiceClient, entity_service_client::EntityServiceClient,
        export_response, fact_service_client::FactServiceClient, query_response::Frame,
        sparql_service_client::SparqlServiceClient, watch_request, watch_response,
        write_service_client::WriteServiceClient,
    },
};
use http::Request as HttpRequest;
use oxigraph::model::Quad;
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tonic::{
    Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_types::StatusExt as _;

use super::{
    QUERY_COUNT,
    generate::{node, quad},
    graph_set,
    harness::{Server, header},
    http_client::send,
    queries, query_count,
};

type Client = InterceptedService<Channel, Bearer>;

/// Shows a token with every call.
#[derive(Clone)]
struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A server, and somebody who asks it.
struct Side {
    server: Server,
    token: Option<String>,
    admin: Option<String>,
}

impl Side {
    /// Starts a server whose caller has a role.
    async fn restricted(role: &str) -> Self {
        let mut tokens = Tokens::default();
        let mut token = |name: &str, role: &str| {
            let made = tokens.create(name, &[role.to_owned()], 0, None).unwrap();
            made.secret().to_owned()
        };
        let (some, admin) = (token("some", "some"), token("admin", "admin"));
        let server = Server::start_guarded(&tokens, role).await;
        Self {
            server,
            token: Some(some),
            admin: Some(admin),
        }
    }

    /// Starts a server that asks nobody.
    async fn open() -> Self {
        Self {
            server: Server::start_empty().await,
            token: None,
            admin: None,
        }
    }

    async fn stop(self) {
        self.server.stop().await;
    }

    fn client(&self, token: Option<&String>) -> Client {
        let value = token.map(|token| format!("Bearer {token}").parse().unwrap());
        InterceptedService::new(self.server.channel.clone(), Bearer(value))
    }

    fn some(&self) -> Client {
        self.client(self.token.as_ref())
    }

    /// Imports quads, as whoever may.
    async fn import(&self, quads: &[Quad]) {
        let lines: Vec<_> = quads.iter().map(|quad| format!("{quad} .\n")).collect();
        let text = lines.concat();
        let parts = [
            v1::import_request::Part::Header(header("nq")),
            v1::import_request::Part::Chunk(text.into_bytes().into()),
        ];
        let parts = parts.map(|part| v1::ImportRequest { part: Some(part) });
        let mut client = WriteServiceClient::new(self.client(self.admin.as_ref()));
        let mut answers = client
            .import(tokio_stream::iter(parts))
            .await
            .unwrap()
            .into_inner();
        while answers.message().await.unwrap().is_some() {}
    }

    async fn update(&self, text: &str) {
        let mut client = SparqlServiceClient::new(self.client(self.admin.as_ref()));
        let request = v1::UpdateRequest {
            update: text.to_owned(),
            ..Default::default()
        };
        client.update(request).await.unwrap();
    }

    /// Returns the frames of a query, or its error.
    async fn query(&self, text: &str) -> String {
        let request = v1::QueryRequest {
            query: text.to_owned(),
            ..Default::default()
        };
        let stream = SparqlServiceClient::new(self.some()).query(request).await;
        shown_all(
            stream.map(tonic::Response::into_inner),
            |frame: &mut v1::QueryResponse| match &mut frame.frame {
                Some(Frame::Header(header)) => (header.query_id, header.revision) = (String::new(), 0),
                Some(Frame::Complete(complete)) => complete.elapsed = None,
                _ => {}
            },
        )
        .await
        .join("\n")
    }

    /// Returns the plan with its estimates, and what its run came to.
    async fn explain(&self, text: &str) -> String {
        let request = v1::ExplainRequest {
            query: text.to_owned(),
            execute: true,
            ..Default::default()
        };
        let explained = SparqlServiceClient::new(self.some()).explain(request).await;
        let told = shown(explained, |explained| {
            (explained.query_id, explained.revision) = (String::new(), 0);
            (explained.planning_time, explained.elapsed) = (None, None);
            for node in &mut explained.plan {
                node.elapsed = None;
            }
        });
        super::alike(&told)
    }

    /// Returns status, media type and body of what HTTP answers.
    async fn http(&self, method: &str, path: &str, accept: &str, body: &str) -> String {
        let mut request = HttpRequest::builder()
            .method(method)
            .uri(path)
            .header("accept", accept);
        if method == "POST" {
            request = request.header("content-type", "application/sparql-query");
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = send(self.server.address, request.body(body.to_owned()).unwrap())
            .await
            .unwrap();
        let media_type = answer.headers().get("content-type");
        let body = String::from_utf8_lossy(answer.body());
        format!("{} {media_type:?}\n{body}", answer.status())
    }

    /// Asks everything that is no query, about these IRIs; lines of documents are sorted.
    async fn look_everywhere(&self, iris: &[String]) -> Vec<String> {
        let mut told = self.lists().await;
        for iri in iris {
            told.extend(self.look_up(iri).await);
        }
        told.extend(self.changes().await);
        told.extend(self.documents(iris).await);
        told
    }

    async fn lists(&self) -> Vec<String> {
        let mut entities = EntityServiceClient::new(self.some());
        let mut facts = FactServiceClient::new(self.some());
        let mut admin = v1::admin_service_client::AdminServiceClient::new(self.some());
        vec![
            shown(
                entities.list_classes(v1::ListClassesRequest::default()).await,
                |page| page.revision = 0,
            ),
            shown(
                entities
                    .list_predicates(v1::ListPredicatesRequest::default())
                    .await,
                |page| page.revision = 0,
            ),
            shown(
                entities.list_entities(v1::ListEntitiesRequest::default()).await,
                |page| page.revision = 0,
            ),
            shown(
                facts.list_conflicts(v1::ListConflictsRequest::default()).await,
                |page| page.revision = 0,
            ),
            shown(admin.get_server_info(v1::GetServerInfoRequest {}).await, |info| {
                // What is of all graphs is told to none but who may read them.
                assert!(self.token.is_none() || (info.term_count, info.graph_memory_bytes) == (0, 0));
                (info.term_count, info.graph_memory_bytes) = (0, 0);
                (info.revision, info.uptime_seconds) = (0, 0);
            }),
        ]
    }

    async fn look_up(&self, iri: &str) -> Vec<String> {
        let mut entities = EntityServiceClient::new(self.some());
        let mut facts = FactServiceClient::new(self.some());
        let entity = v1::GetEntityRequest {
            entity: iri.to_owned(),
            ..Default::default()
        };
        let batch = v1::BatchGetEntitiesRequest {
            entities: vec![iri.to_owned()],
            ..Default::default()
        };
        let typed = v1::ListEntitiesRequest {
            r#type: iri.to_owned(),
            ..Default::default()
        };
        let lookup = v1::LookupEntitiesRequest {
            identifiers: vec![v1::EntityIdentifier {
                value: Some(v1::entity_identifier::Value::Text(iri.to_owned())),
                ..Default::default()
            }],
            ..Default::default()
        };
        let of_subject = v1::ListFactsRequest {
            subject: iri.to_owned(),
            ..Default::default()
        };
        let of_predicate = v1::ListFactsRequest {
            predicate: iri.to_owned(),
            ..Default::default()
        };
        let check = v1::CheckFactRequest {
            subject: iri.to_owned(),
            predicate: node(5).into_string(),
            object: Some(v1::Term {
                term: Some(v1::term::Term::Iri(node(1).into_string())),
            }),
            ..Default::default()
        };
        let compare = v1::CompareFactsRequest {
            subject: iri.to_owned(),
            predicate: node(5).into_string(),
            ..Default::default()
        };
        let timeline = v1::GetTimelineRequest {
            entity: iri.to_owned(),
            ..Default::default()
        };
        let fact = v1::GetFactRequest {
            id: iri.to_owned(),
            ..Default::default()
        };
        let history = v1::ListFactHistoryRequest {
            id: iri.to_owned(),
            ..Default::default()
        };
        vec![
            shown(entities.get_entity(entity).await, |found| found.revision = 0),
            shown(entities.batch_get_entities(batch).await, |found| {
                found.revision = 0;
            }),
            shown(entities.list_entities(typed).await, |page| page.revision = 0),
            shown(entities.lookup_entities(lookup).await, |found| found.revision = 0),
            shown(facts.list_facts(of_subject).await, |page| page.revision = 0),
            shown(facts.list_facts(of_predicate).await, |page| page.revision = 0),
            shown(facts.check_fact(check).await, |found| found.revision = 0),
            shown(facts.compare_facts(compare).await, |found| found.revision = 0),
            shown(facts.get_timeline(timeline).await, |page| page.revision = 0),
            shown(facts.get_fact(fact).await, |found| found.revision = 0),
            shown(facts.list_fact_history(history).await, |page| page.revision = 0),
        ]
    }

    /// Returns what the feed tells: commits without numbers, times and counts, each with its changes.
    async fn changes(&self) -> Vec<String> {
        let mut changes = ChangeServiceClient::new(self.some());
        let mut told = Vec::new();
        for start in [
            watch_request::Start::AfterRevision(0),
            watch_request::Start::Position(v1::WatchStart::Snapshot.into()),
        ] {
            let request = v1::WatchRequest {
                start: Some(start),
                ..Default::default()
            };
            let mut frames = changes.watch(request).await.unwrap().into_inner();
            loop {
                let frame = frames.message().await.unwrap().unwrap().frame.unwrap();
                match frame {
                    watch_response::Frame::Checkpoint(_) => break,
                    watch_response::Frame::Commit(mut commit) => {
                        let header = commit.header.take().unwrap();
                        let counts = [
                            header.quads_inserted,
                            header.quads_removed,
                            header.graphs_created,
                            header.graphs_dropped,
                        ];
                        assert!(self.token.is_none() || counts == [0; 4]);
                        commit.revision = 0;
                        assert_eq!(header.hash.len(), 8);
                        told.push(sorted(&format!("{commit:#?}")));
                    }
                    watch_response::Frame::Snapshot(mut fragment) => {
                        (fragment.revision, fragment.hash) = (0, Vec::new());
                        told.push(sorted(&format!("{fragment:#?}")));
                    }
                }
            }
        }
        let listed = changes
            .list_revisions(v1::ListRevisionsRequest::default())
            .await
            .unwrap()
            .into_inner();
        told.push(format!("{} commits", listed.revisions.len()));
        for revision in &listed.revisions {
            let request = v1::GetRevisionRequest {
                revision: revision.revision,
            };
            let one = changes.get_revision(request).await.unwrap().into_inner();
            assert_eq!(one.revision.as_ref(), Some(revision));
        }
        let newest = listed.revision;
        let request = v1::DiffRevisionsRequest {
            from_revision: 0,
            to_revision: newest,
        };
        let differences = changes
            .diff_revisions(request)
            .await
            .map(tonic::Response::into_inner);
        // In no particular order.
        let sort = |difference: &mut v1::DiffRevisionsResponse| {
            difference.removed.sort_by_key(|quad| format!("{quad:?}"));
            difference.inserted.sort_by_key(|quad| format!("{quad:?}"));
            difference
                .created_graphs
                .sort_by_key(|graph| format!("{graph:?}"));
            difference
                .dropped_graphs
                .sort_by_key(|graph| format!("{graph:?}"));
        };
        told.push(sorted(&shown_all(differences, sort).await.join("\n")));
        told
    }

    /// Returns what is exported and downloaded.
    async fn documents(&self, iris: &[String]) -> Vec<String> {
        let mut writes = WriteServiceClient::new(self.some());
        let mut told = Vec::new();
        let graphs = iris
            .iter()
            .map(|iri| v1::export_request::Scope::Graph(iri.clone()));
        let scopes = [None, Some(v1::export_request::Scope::DefaultGraph(true))];
        for scope in scopes.into_iter().chain(graphs.map(Some)) {
            let request = v1::ExportRequest {
                format: "nq".to_owned(),
                scope,
                ..Default::default()
            };
            let parts = writes.export(request).await.map(tonic::Response::into_inner);
            let clear = |part: &mut v1::ExportResponse| {
                if let Some(export_response::Part::Header(header)) = &mut part.part {
                    header.revision = 0;
                }
                if let Some(export_response::Part::Chunk(chunk)) = &mut part.part {
                    *chunk = sorted(&String::from_utf8_lossy(chunk)).into_bytes().into();
                }
            };
            told.push(shown_all(parts, clear).await.join("\n"));
        }
        let nquads = "application/n-quads";
        told.push(sorted(&self.http("GET", "/store", nquads, "").await));
        told.push(sorted(
            &self
                .http("GET", "/store?default", "application/n-triples", "")
                .await,
        ));
        for iri in iris {
            let path = format!("/store?graph={iri}");
            told.push(sorted(
                &self.http("GET", &path, "application/n-triples", "").await,
            ));
        }
        told
    }
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn shown<T: Debug>(answer: Result<tonic::Response<T>, Status>, clear: impl FnOnce(&mut T)) -> String {
    match answer {
        Ok(answer) => {
            let mut answer = answer.into_inner();
            clear(&mut answer);
            format!("{answer:?}")
        }
        Err(status) => fault(&status),
    }
}

async fn shown_all<T: Debug>(
    stream: Result<Streaming<T>, Status>,
    mut clear: impl FnMut(&mut T),
) -> Vec<String> {
    let mut told = Vec::new();
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(status) => return vec![fault(&status)],
    };
    loop {
        match stream.message().await {
            Ok(None) => return told,
            Ok(Some(mut message)) => {
                clear(&mut message);
                told.push(format!("{message:?}"));
            }
            Err(status) => {
                told.push(fault(&status));
                return told;
            }
        }
    }
}

fn fault(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap();
    let mut metadata: Vec<_> = info.metadata.into_iter().collect();
    metadata.sort();
    format!(
        "{:?} {} {} {metadata:?}",
        status.code(),
        status.message(),
        info.reason
    )
}

/// Returns the policy that gives a role these graphs.
fn policy(bits: u8) -> String {
    let default = (bits & 1 != 0).then(|| "\"default\"".to_owned());
    let graphs = (10..13_u8).filter(|graph| bits & (2 << (graph - 10)) != 0);
    let graphs = graphs.map(|graph| format!("\"{}\"", node(graph).as_str()));
    let read: Vec<_> = default.into_iter().chain(graphs).collect();
    format!("[roles.some]\nread = [{}]\n", read.join(", "))
}

/// Queries that two servers answer before others take their place.
const QUERIES_PER_SERVER: u32 = 500;
/// What goes over the wire is a part of all queries, unless more are asked for.
const WIRE_QUERY_PART: u32 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_caller_is_told_the_same_as_by_a_filtered_server() {
    let count = match query_count() {
        QUERY_COUNT => QUERY_COUNT / WIRE_QUERY_PART,
        asked => asked,
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut left = count;
    // Few and all of the graphs, with and without the default graph.
    for bits in [0b0011, 0b1100, 0b0101, 0, 0b0001, 0b1011].into_iter().cycle() {
        let quads = prop::collection::vec(quad(), 30..80)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let later = prop::collection::vec(quad(), 0..20)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let set = graph_set(bits);
        let (visible, hidden): (Vec<_>, Vec<_>) = quads
            .into_iter()
            .partition(|quad| set.has(quad.graph_name.as_ref()));
        let (whole, filtered) = (Side::restricted(&policy(bits)).await, Side::open().await);
        // What is hidden comes last, so that terms are numbered alike.
        whole.import(&visible).await;
        whole.import(&hidden).await;
        filtered.import(&visible).await;
        let here = left.min(QUERIES_PER_SERVER.min(count / 3 + 1));
        for _ in 0..here {
            let text = queries::query().new_tree(&mut runner).unwrap().current();
            assert_eq!(
                whole.query(&text).await,
                filtered.query(&text).await,
                "{bits:b} {text}"
            );
            assert_eq!(
                whole.explain(&text).await,
                filtered.explain(&text).await,
                "{bits:b} {text}"
            );
            let json = "application/sparql-results+json, application/n-triples";
            let over_http = async |side: &Side| side.http("POST", "/sparql", json, &text).await;
            assert_eq!(
                over_http(&whole).await,
                over_http(&filtered).await,
                "{bits:b} {text}"
            );
        }
        left -= here;
        let iris: Vec<_> = [0, 1, 5, 6, 10, 11, 12, 13]
            .map(|number| node(number).into_string())
            .into();
        // More commits: of what is hidden, of what is not, of both, and one that takes back.
        whole.import(&later).await;
        let seen = |quads: &[Quad]| -> Vec<Quad> {
            quads
                .iter()
                .filter(|quad| set.has(quad.graph_name.as_ref()))
                .cloned()
                .collect()
        };
        filtered.import(&seen(&later)).await;
        for graph in 10..13 {
            let text = format!("DELETE WHERE {{ GRAPH {} {{ ?s {} ?o }} }}", node(graph), node(5));
            whole.update(&text).await;
            if set.has_named(node(graph).as_str()) {
                filtered.update(&text).await;
            }
        }
        let (told, expected) = (
            whole.look_everywhere(&iris).await,
            filtered.look_everywhere(&iris).await,
        );
        for (told, expected) in told.iter().zip(&expected) {
            assert_eq!(told, expected, "{bits:b}");
        }
        assert_eq!(told.len(), expected.len());
        whole.stop().await;
        filtered.stop().await;
        if left == 0 {
            break;
        }
    }
}
