//! Facts, one a call: written, and asked about among many statements.

use std::fmt::Write as _;

use dossier::proto::v1::{
    CheckFactRequest, Fact, ImportHeader, ImportRequest, Source, Term, Verdict, WriteFactsRequest,
    fact_service_client::FactServiceClient, import_request, term, write_service_client::WriteServiceClient,
};
use tonic::transport::Channel;

use super::Failure;

/// Statements of one import.
const IMPORT_STATEMENT_COUNT: u64 = 100_000;
/// Statements of one chunk of it, less than 1 MiB.
const CHUNK_STATEMENT_COUNT: usize = 500;
const D: &str = "https://w3id.org/dossier/ns#";
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// Imports statements, of eight quads each and one that the server adds.
pub(crate) async fn load_statements(
    channel: &Channel,
    statement_count: u64,
    subject: impl Fn(u64) -> String + Copy + Send + 'static,
) -> Result<(), Failure> {
    for start in (0..statement_count).step_by(usize::try_from(IMPORT_STATEMENT_COUNT)?) {
        let end = statement_count.min(start + IMPORT_STATEMENT_COUNT);
        let header = ImportHeader {
            format: "nq".to_owned(),
            ..ImportHeader::default()
        };
        let chunks = (start..end).step_by(CHUNK_STATEMENT_COUNT).map(move |first| {
            let last = end.min(first + CHUNK_STATEMENT_COUNT as u64);
            let mut text = String::new();
            (first..last).for_each(|number| statement(&mut text, number, &subject(number)));
            import_request::Part::Chunk(text.into())
        });
        let parts = std::iter::once(import_request::Part::Header(header)).chain(chunks);
        let requests = tokio_stream::iter(parts.map(|part| ImportRequest { part: Some(part) }));
        let mut client = WriteServiceClient::new(channel.clone());
        let mut answers = client.import(requests).await?.into_inner();
        while answers.message().await?.is_some() {}
    }
    Ok(())
}

fn statement(text: &mut String, number: u64, subject: &str) {
    let about = [
        (format!("{RDF}subject"), format!("<{subject}>")),
        (format!("{RDF}predicate"), "<http://example.com/held>".to_owned()),
        (format!("{RDF}object"), format!("<{}>", object(number))),
        (format!("{D}stance"), format!("<{D}Asserted>")),
        (format!("{D}standing"), format!("<{D}Accepted>")),
        (format!("{D}basis"), format!("<{D}Stated>")),
        (format!("{D}edtf"), "\"2016/..\"".to_owned()),
        (
            "http://www.w3.org/ns/prov#wasDerivedFrom".to_owned(),
            format!("<http://example.com/source/{}>", number % 1_000),
        ),
    ];
    for (property, value) in about {
        // A text has room for what is written to it.
        let _ = writeln!(
            text,
            "<http://example.com/statement/{number}> <{property}> {value} <https://w3id.org/dossier/g/statements> ."
        );
    }
}

fn object(number: u64) -> String {
    format!("http://example.com/held/{}", number % 97)
}

/// Asks whether what a statement says is so; it is.
pub(crate) async fn check(channel: Channel, number: u64, subject: String) -> Result<(), Failure> {
    let request = CheckFactRequest {
        subject,
        predicate: "http://example.com/held".to_owned(),
        object: Some(Term {
            term: Some(term::Term::Iri(object(number))),
        }),
        ..CheckFactRequest::default()
    };
    let answer = FactServiceClient::new(channel)
        .check_fact(request)
        .await?
        .into_inner();
    if answer.verdict() == Verdict::True {
        Ok(())
    } else {
        Err(format!("statement {number}: {}", answer.explanation).into())
    }
}

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
