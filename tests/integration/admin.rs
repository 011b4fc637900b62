use dossier::{model::prefixes::PREFIXES, proto::v1::ErrorReason};
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_reflection::pb::{v1 as reflection, v1alpha as reflection_alpha};

use crate::{
    harness::{Server, check_error},
    sparql::{ask, query},
};

#[tokio::test]
async fn server_info_tells_what_is_there() {
    let server = Server::start().await;
    let info = server.info().await;
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(info.revision, 1);
    assert!(info.quad_count > 3_000, "{}", info.quad_count);
    assert!(info.term_count > 1_000);
    assert_eq!(info.named_graph_count, 4);
    assert!(info.graph_memory_bytes > 100_000);
    let prefixes: Vec<_> = info
        .prefixes
        .iter()
        .map(|prefix| (&*prefix.name, &*prefix.iri))
        .collect();
    assert_eq!(prefixes, PREFIXES);
    let limits = info.limits.unwrap();
    assert_eq!(limits.message_bytes_max, 16 << 20);
    assert_eq!(limits.graph_memory_bytes_max, 256 << 20);
    assert_eq!(limits.query_timeout_ms_max, 60_000);
    let names = |iri: &str| iri.rsplit('/').next().unwrap().to_owned();
    let sets: Vec<_> = info.data_sets.iter().map(|set| names(&set.iri)).collect();
    assert_eq!(sets, ["countries", "japan-korea-2019"]);
    let countries = &info.data_sets[0];
    assert_eq!(countries.title, "Countries and territories of the world");
    assert!(countries.created.starts_with("20"), "{countries:?}");
    assert_eq!(
        countries.licenses,
        [
            "https://creativecommons.org/licenses/by/4.0/",
            "https://spdx.org/licenses/Unicode-3.0"
        ]
    );
    assert!(countries.sources.iter().any(|iri| names(iri) == "natural-earth"));
    assert_eq!(
        countries.attributions[0],
        "Contains data from GeoNames (www.geonames.org), CC BY 4.0"
    );
    assert!(Server::start_empty().await.info().await.data_sets.is_empty());
}

#[tokio::test]
async fn limits_are_as_they_were_set() {
    let server = Server::start_with(|settings| {
        settings.query_operator_count_max = 3;
        settings.query_clause_count_max = 4;
        settings.query_pattern_count_max = 5;
        settings.query_ambiguity_max = 2;
        settings.query_iri_bytes_max = 256;
        settings.query_memory_bytes_max = 8 << 20;
        settings.queries_memory_bytes_max = 4 << 20;
        settings.slow_query_ms = 7;
    })
    .await;
    let limits = server.info().await.limits.unwrap();
    assert_eq!(limits.query_operator_count_max, 3);
    assert_eq!(limits.query_clause_count_max, 4);
    assert_eq!(limits.query_pattern_count_max, 5);
    assert_eq!(limits.query_ambiguity_max, 2);
    assert_eq!(limits.query_iri_bytes_max, 256);
    // One takes no more than all.
    assert_eq!(limits.query_memory_bytes_max, 4 << 20);
    assert_eq!(limits.queries_memory_bytes_max, 4 << 20);
    assert_eq!(limits.query_parameter_count_max, 100);
    assert_eq!(limits.slow_query_ms, 7);
    for (limit, value, text) in [
        ("query_operator_count_max", "3", &|n| {
            format!("ASK {{ FILTER({}1) }}", "1 + ".repeat(n))
        }),
        ("query_clause_count_max", "4", &|n| {
            format!("ASK {{ {} }}", "FILTER(1) ".repeat(n))
        }),
        ("query_pattern_count_max", "5", &|n| {
            format!("ASK {{ {} }}", "?s ?p ?o . ".repeat(n))
        }),
        ("query_ambiguity_max", "2", &|n| {
            format!("ASK {{ FILTER({}1{}) }}", "!(".repeat(n), ")".repeat(n))
        }),
        ("query_iri_bytes_max", "256", &|n| {
            format!("ASK {{ ?s ?p <e:{}> }}", "a".repeat(n - 2))
        }),
    ] as [(&str, &str, &dyn Fn(usize) -> String); 5]
    {
        let max: usize = value.parse().unwrap();
        query(&server, ask(&text(max))).await.unwrap();
        let metadata = check_error(
            query(&server, ask(&text(max + 1))).await,
            Code::InvalidArgument,
            ErrorReason::SparqlTooComplex,
        );
        assert_eq!(
            (metadata["limit"].as_str(), metadata["limit_value"].as_str()),
            (limit, value)
        );
    }
}

#[tokio::test]
async fn reflection_lists_every_service() {
    let server = Server::start_empty().await;
    let expected = [
        "dossier.v1.AdminService",
        "dossier.v1.EntityService",
        "dossier.v1.FactService",
        "dossier.v1.WriteService",
        "grpc.health.v1.Health",
    ];

    let list = reflection::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = reflection::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(list),
    };
    let mut client =
        reflection::server_reflection_client::ServerReflectionClient::new(server.channel.clone());
    let mut answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
    let reflection::server_reflection_response::MessageResponse::ListServicesResponse(listed) = answer else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
    assert!(
        expected
            .iter()
            .all(|name| names.iter().any(|listed| listed == name)),
        "{names:?}"
    );

    let list = reflection_alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = reflection_alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(list),
    };
    let mut client =
        reflection_alpha::server_reflection_client::ServerReflectionClient::new(server.channel.clone());
    let mut answers = client
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap()
        .into_inner();
    assert!(answers.next().await.unwrap().unwrap().message_response.is_some());
}
