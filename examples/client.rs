//! A client of Dossier: look an entity up, stream a query, write, and read the write.
//!
//! ```sh
//! cargo run --release -- serve
//! cargo run --example client
//! ```

use std::error::Error;

use dossier::proto::v1::{
    GetEntityRequest, QueryRequest, ReadOptions, UpdateRequest, entity_service_client::EntityServiceClient,
    query_response::Frame, sparql_service_client::SparqlServiceClient, term::Term,
};
use tonic::transport::Channel;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = std::env::var("DOSSIER_SERVER").unwrap_or_else(|_| "http://127.0.0.1:50051".to_owned());
    let channel = Channel::from_shared(server)?.connect().await?;
    let mut entities = EntityServiceClient::new(channel.clone());
    let mut sparql = SparqlServiceClient::new(channel);

    let request = GetEntityRequest {
        entity: "e:gsomia".to_owned(),
        languages: vec!["en".to_owned()],
        ..GetEntityRequest::default()
    };
    let entity = entities
        .get_entity(request)
        .await?
        .into_inner()
        .entity
        .unwrap_or_default();
    for label in &entity.labels {
        println!("{} is called {}", entity.iri, label.text);
    }
    for fact in &entity.facts {
        let sources: Vec<_> = fact.sources.iter().map(|source| source.iri.as_str()).collect();
        println!("{} by {sources:?}", fact.predicate);
    }

    let request = QueryRequest {
        query: "SELECT ?agreement WHERE { ?agreement d:party e:KR }".to_owned(),
        ..QueryRequest::default()
    };
    let mut frames = sparql.query(request).await?.into_inner();
    let mut is_whole = false;
    while let Some(frame) = frames.message().await? {
        match frame.frame {
            Some(Frame::Rows(batch)) => {
                for term in batch.rows.into_iter().flat_map(|row| row.terms) {
                    if let Some(Term::Iri(iri)) = term.term {
                        println!("South Korea is a party to {iri}");
                    }
                }
            }
            Some(Frame::Complete(_)) => is_whole = true,
            _ => {}
        }
    }
    assert!(is_whole, "a stream without `complete` ends with an error");

    let request = UpdateRequest {
        update: "INSERT DATA { e:seoul rdfs:label \"Séoul\"@fr }".to_owned(),
        // The same id again would not do it again.
        request_id: "example-1".to_owned(),
        ..UpdateRequest::default()
    };
    let revision = sparql.update(request).await?.into_inner().revision;
    let request = GetEntityRequest {
        entity: "e:seoul".to_owned(),
        read: Some(ReadOptions {
            min_revision: revision,
            ..ReadOptions::default()
        }),
        languages: vec!["fr".to_owned()],
        ..GetEntityRequest::default()
    };
    let entity = entities
        .get_entity(request)
        .await?
        .into_inner()
        .entity
        .unwrap_or_default();
    println!("at revision {revision}, Seoul is {:?} in French", entity.labels);
    Ok(())
}
