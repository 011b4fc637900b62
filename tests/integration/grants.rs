//! What a caller may do by the policy: the right role for the wrong graph, in every method.

mod commits;

use dossier::{
    auth::Tokens,
    proto::v1::{
        self, ErrorReason, admin_service_client::AdminServiceClient,
        change_service_client::ChangeServiceClient, entity_service_client::EntityServiceClient,
        sparql_service_client::SparqlServiceClient, write_service_client::WriteServiceClient,
    },
};
use http::Request as HttpRequest;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_client::ServerReflectionClient};

use crate::{
    harness::{Server, check_error, header, sourced_fact},
    http_client::send,
};

const POLICY: &str = r#"
[roles.mine]
write = ["http://ex/mine"]

[roles.facts]
write = ["default"]

[subjects]
"token:subject" = ["mine"]
"#;

/// Shows a token with every call.
#[derive(Clone)]
struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

struct Guarded {
    server: Server,
    tokens: Vec<(&'static str, String)>,
}

impl Guarded {
    async fn start() -> Self {
        let mut tokens = Tokens::default();
        let secrets = [
            ("mine", "mine"),
            ("facts", "facts"),
            ("read", "read"),
            ("write", "write"),
            ("admin", "admin"),
            ("metrics", "metrics"),
            ("stranger", "no-such-role"),
            ("subject", "no-such-role"),
        ];
        let secrets = secrets.map(|(name, role)| {
            let made = tokens.create(name, &[role.to_owned()], 0, None).unwrap();
            (name, made.secret().to_owned())
        });
        let server = Server::start_guarded(&tokens, POLICY).await;
        let guarded = Self {
            server,
            tokens: secrets.into(),
        };
        let data = "INSERT DATA { <http://ex/s> <http://ex/p> 1 \
            GRAPH <http://ex/mine> { <http://ex/s> <http://ex/p> 2 } \
            GRAPH <http://ex/other> { <http://ex/s> <http://ex/p> 3 } }";
        guarded.update("admin", data).await.unwrap();
        guarded
    }

    fn secret(&self, name: &str) -> &str {
        let mut found = self.tokens.iter().filter(|(of, _)| *of == name);
        &found.next().unwrap().1
    }

    fn client(&self, name: &str) -> InterceptedService<Channel, Bearer> {
        let value = format!("Bearer {}", self.secret(name)).parse().unwrap();
        InterceptedService::new(self.server.channel.clone(), Bearer(value))
    }

    fn sparql(&self, name: &str) -> SparqlServiceClient<InterceptedService<Channel, Bearer>> {
        SparqlServiceClient::new(self.client(name))
    }

    async fn update(&self, name: &str, update: &str) -> Result<v1::UpdateResponse, Status> {
        let request = v1::UpdateRequest {
            update: update.to_owned(),
            ..Default::default()
        };
        Ok(self.sparql(name).update(request).await?.into_inner())
    }

    async fn quad_count(&self, name: &str) -> i64 {
        let mut admin = AdminServiceClient::new(self.client(name));
        let info = admin.get_server_info(v1::GetServerInfoRequest {}).await;
        info.unwrap().into_inner().quad_count
    }

    async fn http(
        &self,
        name: &str,
        method: &str,
        path: &str,
        media_type: &str,
        body: &str,
    ) -> (u16, String) {
        let request = HttpRequest::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.secret(name)))
            .header("content-type", media_type)
            .body(body.to_owned());
        let answer = send(self.server.address, request.unwrap()).await.unwrap();
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        (answer.status().as_u16(), body)
    }

    async fn import(&self, name: &str, text: &str) -> Result<(), Status> {
        let parts = [
            v1::import_request::Part::Header(header("nq")),
            v1::import_request::Part::Chunk(text.to_owned().into_bytes().into()),
        ];
        let parts = parts.map(|part| v1::ImportRequest { part: Some(part) });
        let mut client = WriteServiceClient::new(self.client(name));
        let mut answers = client.import(tokio_stream::iter(parts)).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok(())
    }
}

#[track_caller]
fn check<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: Code,
    reason: ErrorReason,
    metadata: &[(&str, &str)],
) {
    let found = check_error(answer, code, reason);
    for (key, value) in metadata {
        assert_eq!(found[*key], *value);
    }
}

#[track_caller]
fn check_denied<T: std::fmt::Debug>(answer: Result<T, Status>, graph: &str) {
    check(
        answer,
        Code::PermissionDenied,
        ErrorReason::GraphNotGranted,
        &[("graph", graph)],
    );
}

#[tokio::test]
async fn a_write_to_the_wrong_graph_is_denied_and_changes_nothing() {
    let server = Guarded::start().await;
    let (mine, other, never) = ("<http://ex/mine>", "<http://ex/other>", "<http://ex/never>");
    let triple = "<http://ex/s> <http://ex/p>";
    for graph in [other, never] {
        for update in [
            format!("INSERT DATA {{ GRAPH {graph} {{ {triple} 3 }} }}"),
            format!("INSERT DATA {{ GRAPH {graph} {{ {triple} 4 }} }}"),
            format!("INSERT DATA {{ GRAPH {mine} {{ {triple} 4 }} GRAPH {graph} {{ {triple} 4 }} }}"),
            format!("DELETE DATA {{ GRAPH {graph} {{ {triple} 3 }} }}"),
            format!("DELETE DATA {{ GRAPH {graph} {{ {triple} 4 }} }}"),
            format!("INSERT {{ GRAPH {graph} {{ ?s ?p ?o }} }} WHERE {{ GRAPH {mine} {{ ?s ?p ?o }} }}"),
            format!("CREATE GRAPH {graph}"),
            format!("COPY {mine} TO {graph}"),
        ] {
            // One who may read the graph is told no more than one who may not.
            for name in ["mine", "subject"] {
                check_denied(server.update(name, &update).await, graph);
            }
        }
        check_denied(
            server.import("mine", &format!("{triple} \"4\" {graph} .")).await,
            graph,
        );
        let iri = graph.trim_matches(['<', '>']);
        for method in ["PUT", "POST", "DELETE"] {
            let path = format!("/store?graph={iri}");
            let (status, body) = server
                .http("mine", method, &path, "text/turtle", &format!("{triple} 4 ."))
                .await;
            assert!(
                status == 403 && body.contains("GRAPH_NOT_GRANTED"),
                "{method} {status} {body}"
            );
        }
        let update = format!("INSERT DATA {{ GRAPH {graph} {{ {triple} 4 }} }}");
        let (status, _) = server
            .http("mine", "POST", "/sparql", "application/sparql-update", &update)
            .await;
        assert_eq!(status, 403);
    }
    check_denied(
        server
            .update("mine", "INSERT DATA { <http://ex/s> <http://ex/p> 1 }")
            .await,
        "the default graph",
    );
    check_denied(
        server
            .update(
                "facts",
                &format!("DELETE DATA {{ GRAPH {mine} {{ {triple} 2 }} }}"),
            )
            .await,
        mine,
    );
    // Those who may read it all may still not write.
    check_denied(
        server.update("read", &format!("CLEAR GRAPH {other}")).await,
        other,
    );
    check_denied(server.update("read", "CLEAR DEFAULT").await, "the default graph");
    // What is hidden is not there to be cleared.
    assert_eq!(server.update("mine", "CLEAR ALL").await.unwrap().quads_removed, 1);
    assert_eq!(
        server
            .update("mine", &format!("DROP SILENT GRAPH {other}"))
            .await
            .unwrap()
            .quads_removed,
        0
    );
    let gone = server.update("mine", &format!("DROP GRAPH {other}")).await;
    check(gone, Code::InvalidArgument, ErrorReason::SparqlEvaluation, &[]);
    assert_eq!(server.quad_count("admin").await, 2);
    assert_eq!(server.quad_count("mine").await, 0);
}

#[tokio::test]
async fn facts_are_written_by_who_may_write_the_default_graph() {
    let server = Guarded::start().await;
    let request = v1::WriteFactsRequest {
        facts: vec![sourced_fact()],
        ..Default::default()
    };
    let write = async |name: &str| {
        let mut client = WriteServiceClient::new(server.client(name));
        client.write_facts(request.clone()).await
    };
    for name in ["mine", "read"] {
        let denied = write(name).await.unwrap_err();
        assert_eq!(denied.code(), Code::PermissionDenied, "{name}: {denied:?}");
    }
    let written = write("facts").await.unwrap().into_inner();
    let retract = async |name: &str| {
        let request = v1::RetractFactsRequest {
            ids: written.ids.clone(),
            ..Default::default()
        };
        WriteServiceClient::new(server.client(name))
            .retract_facts(request)
            .await
    };
    // To one it is not there, to the other it is there to be read alone.
    let missing = retract("mine").await;
    check(
        missing,
        Code::NotFound,
        ErrorReason::FactNotFound,
        &[("id", &written.ids[0])],
    );
    assert_eq!(retract("read").await.unwrap_err().code(), Code::PermissionDenied);
    retract("facts").await.unwrap();
}

#[tokio::test]
async fn what_may_not_be_read_is_not_there() {
    let server = Guarded::start().await;
    let entity = v1::GetEntityRequest {
        entity: "http://ex/s".to_owned(),
        ..Default::default()
    };
    let get = async |name: &str| {
        let mut client = EntityServiceClient::new(server.client(name));
        client.get_entity(entity.clone()).await
    };
    let missing = get("mine").await;
    check(
        missing,
        Code::NotFound,
        ErrorReason::EntityNotFound,
        &[("entity", "http://ex/s")],
    );
    get("facts").await.unwrap();
    let graph = |iri: &str| v1::ExportRequest {
        format: "nq".to_owned(),
        scope: Some(v1::export_request::Scope::Graph(iri.to_owned())),
        ..Default::default()
    };
    for iri in ["http://ex/other", "http://ex/never"] {
        let mut client = WriteServiceClient::new(server.client("mine"));
        let missing = client.export(graph(iri)).await;
        check(
            missing,
            Code::NotFound,
            ErrorReason::GraphNotFound,
            &[("graph", iri)],
        );
        let path = format!("/store?graph={iri}");
        assert_eq!(
            server.http("mine", "GET", &path, "text/plain", "").await.0,
            404,
            "{iri}"
        );
    }
    // A commit of which nothing may be read is none.
    server
        .update(
            "admin",
            "INSERT DATA { GRAPH <http://ex/other> { <http://ex/s> <http://ex/p> 9 } }",
        )
        .await
        .unwrap();
    let revision = async |name: &str| {
        let request = v1::GetRevisionRequest { revision: 2 };
        ChangeServiceClient::new(server.client(name))
            .get_revision(request)
            .await
    };
    check(
        revision("mine").await,
        Code::NotFound,
        ErrorReason::RevisionNotFound,
        &[("revision", "2")],
    );
    let told = revision("read").await.unwrap().into_inner().revision.unwrap();
    assert_eq!((told.quads_inserted, told.author.as_str()), (1, "admin"));
    let first = v1::GetRevisionRequest { revision: 1 };
    let first = ChangeServiceClient::new(server.client("mine"))
        .get_revision(first)
        .await;
    assert_eq!(first.unwrap().into_inner().revision.unwrap().quads_inserted, 0);
}

/// The rule that keeps claims out of the default graph looks at the default graph and its statements alone.
#[tokio::test]
async fn claims_in_another_graph_neither_tell_of_statements_nor_hinder_them() {
    let server = Guarded::start().await;
    let statement = |id: &str, standing: &str, stance: &str| {
        format!(
            "GRAPH g:statements {{ s:{id} rdf:subject <http://ex/{id}> ; rdf:predicate <http://ex/p> ; rdf:object 1 ;
            d:standing d:{standing} ; d:stance d:{stance} ; d:basis d:Stated ; prov:wasDerivedFrom src:a }}"
        )
    };
    let [accepted, unconfirmed] = [
        statement("accepted", "Accepted", "Asserted"),
        statement("unconfirmed", "Unconfirmed", "Attributed"),
    ];
    let insert = format!("INSERT DATA {{ {accepted} {unconfirmed} }}");
    server.update("facts", &insert).await.unwrap();
    // Whether there is a statement, and whether it is accepted, is not told to who may not read it.
    for id in ["accepted", "unconfirmed", "never"] {
        let claim = format!("INSERT DATA {{ GRAPH <http://ex/mine> {{ <urn:claim> d:content s:{id} }} }}");
        for validate_only in [true, false] {
            let request = v1::UpdateRequest {
                update: claim.clone(),
                validate_only,
                ..Default::default()
            };
            let update = server.sparql("mine").update(request).await;
            let update = update.unwrap_or_else(|status| panic!("{id}: {status:?}"));
            assert_eq!(update.into_inner().quads_inserted, 1);
        }
    }
    // Nor do those who may not read the claim hear of it, and it is no veto.
    for update in [
        "INSERT DATA { <http://ex/unconfirmed> <http://ex/p> 1 }",
        "DELETE DATA { GRAPH g:statements { s:unconfirmed d:standing d:Unconfirmed ; d:stance d:Attributed } } ;
        INSERT DATA { GRAPH g:statements { s:unconfirmed d:standing d:Accepted ; d:stance d:Asserted } }",
    ] {
        server.update("facts", update).await.unwrap();
    }
    // One in the default graph is told of, and counts.
    let claim = "INSERT DATA { <urn:claim> d:content s:accepted }";
    check(
        server.update("facts", claim).await,
        Code::FailedPrecondition,
        ErrorReason::ClaimContent,
        &[("claim", "urn:claim")],
    );
}

#[tokio::test]
async fn what_administers_is_for_administrators() {
    let server = Guarded::start().await;
    let service = "SELECT * { SERVICE SILENT <http://127.0.0.1:1/> { ?s ?p ?o } }";
    let load = "LOAD SILENT <http://127.0.0.1:1/x.nt>";
    for name in ["mine", "read", "write"] {
        let request = v1::QueryRequest {
            query: service.to_owned(),
            ..Default::default()
        };
        let mut frames = server.sparql(name).query(request).await.unwrap().into_inner();
        check(
            frames.message().await,
            Code::PermissionDenied,
            ErrorReason::AdminOnly,
            &[],
        );
        check(
            server.update(name, load).await,
            Code::PermissionDenied,
            ErrorReason::AdminOnly,
            &[],
        );
    }
    // An administrator is only told that the settings list no such URL.
    let unlisted = server.update("admin", load).await;
    check(
        unlisted,
        Code::InvalidArgument,
        ErrorReason::SparqlUnsupported,
        &[],
    );
    // The query of another is not there to be cancelled.
    let open = v1::QueryRequest {
        query: "SELECT * { VALUES ?a { 1 2 3 4 5 6 7 8 9 } VALUES ?b { 1 2 3 4 5 6 7 8 9 } VALUES ?c { 1 2 3 4 5 6 7 8 9 } \
            VALUES ?d { 1 2 3 4 5 6 7 8 9 } VALUES ?e { 1 2 3 4 5 6 7 8 9 } VALUES ?f { 1 2 3 4 5 6 7 8 9 } }"
            .to_owned(),
        query_id: "mine".to_owned(),
        ..Default::default()
    };
    let mut frames = server.sparql("mine").query(open).await.unwrap().into_inner();
    frames.message().await.unwrap().unwrap();
    let listed = async |name: &str| {
        let listed = server.sparql(name).list_queries(v1::ListQueriesRequest {}).await;
        listed.unwrap().into_inner().query_count
    };
    assert_eq!(
        [listed("mine").await, listed("read").await, listed("admin").await],
        [1, 0, 1]
    );
    let cancel = async |name: &str| {
        let query_id = "mine".to_owned();
        server
            .sparql(name)
            .cancel_query(v1::CancelQueryRequest { query_id })
            .await
    };
    check(
        cancel("read").await,
        Code::NotFound,
        ErrorReason::QueryNotFound,
        &[("query_id", "mine")],
    );
    cancel("admin").await.unwrap();
}

#[tokio::test]
async fn counts_are_for_who_has_the_role_for_them() {
    let server = Guarded::start().await;
    for (name, expected, said) in [
        ("admin", 200, "dossier_quads"),
        ("metrics", 200, "dossier_quads"),
        ("mine", 403, "ADMIN_ONLY"),
        ("read", 403, "ADMIN_ONLY"),
        ("write", 403, "ADMIN_ONLY"),
        ("stranger", 403, "NO_ROLE"),
    ] {
        let (status, body) = server.http(name, "GET", "/metrics", "text/plain", "").await;
        assert!(
            status == expected && body.contains(said),
            "{name} {status} {body}"
        );
    }
    // And for nothing else.
    assert_eq!(server.quad_count("metrics").await, 0);
    check_denied(
        server
            .update("metrics", "INSERT DATA { <http://ex/s> <http://ex/p> 1 }")
            .await,
        "the default graph",
    );
}

#[tokio::test]
async fn whoever_has_no_role_may_do_nothing() {
    let server = Guarded::start().await;
    let denied = server
        .update("stranger", "INSERT DATA { <http://ex/s> <http://ex/p> 1 }")
        .await;
    check(denied, Code::PermissionDenied, ErrorReason::NoRole, &[]);
    let mut admin = AdminServiceClient::new(server.client("stranger"));
    let denied = admin.get_server_info(v1::GetServerInfoRequest {}).await;
    check(denied, Code::PermissionDenied, ErrorReason::NoRole, &[]);
    let mut reflection = ServerReflectionClient::new(server.client("stranger"));
    let question = tokio_stream::once(ServerReflectionRequest::default());
    let denied = reflection.server_reflection_info(question).await;
    check(denied, Code::PermissionDenied, ErrorReason::NoRole, &[]);
    for path in ["/sparql?query=ASK%7B%7D", "/store?default", "/changes"] {
        let (status, body) = server.http("stranger", "GET", path, "text/plain", "").await;
        assert!(
            status == 403 && body.contains("NO_ROLE"),
            "{path} {status} {body}"
        );
    }
    let (_, counts) = server.http("metrics", "GET", "/metrics", "text/plain", "").await;
    for name in ["dossier_denials", "dossier_errors"] {
        let expected = format!("{name}_total{{reason=\"NO_ROLE\"}} 6\n");
        assert!(counts.contains(&expected), "{counts}");
    }
    assert_eq!(
        server
            .http("stranger", "GET", "/healthz", "text/plain", "")
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_new_policy_counts_at_once_and_a_bad_one_not_at_all() {
    let server = Guarded::start().await;
    let file = server.server.folder.path().join("policy.toml");
    let insert = "INSERT DATA { GRAPH <http://ex/other> { <http://ex/s> <http://ex/p> 3 } }";
    check_denied(server.update("mine", insert).await, "<http://ex/other>");
    std::fs::write(&file, "[roles.mine]\nwrite = [\"http://ex/other\"]\nread = 1\n").unwrap();
    // The server looks at its files every second: it has looked after this one is over.
    let looked = tokio::time::Instant::now() + std::time::Duration::from_millis(2_500);
    while tokio::time::Instant::now() < looked {
        check_denied(server.update("mine", insert).await, "<http://ex/other>");
    }
    std::fs::write(&file, "[roles.mine]\nwrite = [\"http://ex/other\"]\n").unwrap();
    while server.update("mine", insert).await.is_err() {}
    let gone = "INSERT DATA { GRAPH <http://ex/mine> { <http://ex/s> <http://ex/p> 3 } }";
    check_denied(server.update("mine", gone).await, "<http://ex/mine>");
}
