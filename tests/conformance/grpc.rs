//! A query over gRPC.

use std::net::SocketAddr;

use dossier::proto::v1::{
    self, QueryForm, QueryRequest, query_response::Frame, sparql_service_client::SparqlServiceClient,
};
use oxigraph::model::{BaseDirection, BlankNode, Graph, Literal, NamedNode, NamedOrBlankNode, Term, Triple};

use crate::compare::Answer;

/// Runs a query and returns its whole result.
pub(crate) async fn query(address: SocketAddr, query: String) -> Result<Answer, String> {
    let client = SparqlServiceClient::connect(format!("http://{address}")).await;
    let request = QueryRequest {
        query,
        ..Default::default()
    };
    let response = client.unwrap().query(request).await;
    let mut frames = response.map_err(|status| status.to_string())?.into_inner();
    let (mut header, mut rows, mut graph) = (v1::QueryHeader::default(), Vec::new(), Graph::new());
    let mut boolean = false;
    while let Some(frame) = frames.message().await.map_err(|status| status.to_string())? {
        match frame.frame.unwrap() {
            Frame::Header(first) => header = first,
            Frame::Rows(batch) => rows.extend(batch.rows),
            Frame::Triples(batch) => graph.extend(batch.triples.iter().map(triple)),
            Frame::Boolean(answer) => boolean = answer,
            Frame::Complete(_) => {}
        }
    }
    Ok(match header.form() {
        QueryForm::Ask => Answer::Boolean(boolean),
        QueryForm::Construct | QueryForm::Describe => Answer::Graph(Box::new(graph)),
        QueryForm::Select | QueryForm::Unspecified => {
            let bindings = |row: v1::Row| {
                let cells = header.variables.iter().cloned().zip(row.terms);
                cells
                    .filter_map(|(name, cell)| Some((name, term(&cell)?)))
                    .collect()
            };
            Answer::Rows {
                rows: rows.into_iter().map(bindings).collect(),
                is_ordered: false,
            }
        }
    })
}

fn triple(triple: &v1::TripleTerm) -> Triple {
    let subject = match term(triple.subject.as_ref().unwrap()).unwrap() {
        Term::NamedNode(node) => NamedOrBlankNode::from(node),
        Term::BlankNode(node) => node.into(),
        other => panic!("{other} is no subject"),
    };
    let object = term(triple.object.as_ref().unwrap()).unwrap();
    Triple::new(subject, NamedNode::new_unchecked(&triple.predicate), object)
}

fn term(cell: &v1::Term) -> Option<Term> {
    Some(match cell.term.as_ref()? {
        v1::term::Term::Iri(iri) => NamedNode::new_unchecked(iri).into(),
        v1::term::Term::BlankNode(label) => BlankNode::new_unchecked(label).into(),
        v1::term::Term::Triple(inner) => Term::Triple(Box::new(triple(inner))),
        v1::term::Term::Literal(literal) => {
            let (text, language) = (&literal.lexical_form, literal.language.as_str());
            let literal = match (literal.direction(), literal.datatype.as_str()) {
                (v1::Direction::Unspecified, "") if language.is_empty() => Literal::new_simple_literal(text),
                (v1::Direction::Unspecified, _) if !language.is_empty() => {
                    Literal::new_language_tagged_literal(text, language).unwrap()
                }
                (v1::Direction::Unspecified, datatype) => {
                    Literal::new_typed_literal(text, NamedNode::new_unchecked(datatype))
                }
                (direction, _) => {
                    let direction = match direction {
                        v1::Direction::Rtl => BaseDirection::Rtl,
                        _ => BaseDirection::Ltr,
                    };
                    Literal::new_directional_language_tagged_literal(text, language, direction).unwrap()
                }
            };
            literal.into()
        }
    })
}
