//! One fact a call.

use dossier::proto::v1::{
    Fact, Source, Term, WriteFactsRequest, term, write_service_client::WriteServiceClient,
};
use tonic::transport::Channel;

use super::Failure;

/// Writes a fact of an entity, which nobody wrote before.
pub(crate) async fn write(channel: Channel, subject: String, number: usize) -> Result<(), Failure> {
    let fact = Fact {
        subject,
        predicate: "http://example.com/measured".to_owned(),
        object: Some(Term {
            term: Some(term::Term::Iri(format!("http://example.com/{number}"))),
        }),
        sources: vec![Source {
            iri: "http://example.com/source".to_owned(),
            title: "A source".to_owned(),
            ..Source::default()
        }],
        ..Fact::default()
    };
    let request = WriteFactsRequest {
        facts: vec![fact],
        ..WriteFactsRequest::default()
    };
    WriteServiceClient::new(channel).write_facts(request).await?;
    Ok(())
}
