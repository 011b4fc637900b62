//! Finds entities by a label or another name.

use std::collections::BTreeMap;

use oxigraph::model::{Literal, vocab::rdfs};

use super::{client::Client, failure::Failure, rows::RowReader};
use crate::proto::v1::{QueryRequest, RowEncoding, Term, query_response::Frame, term::Term as Kind};

const ALT_LABEL: &str = "http://www.w3.org/2004/02/skos/core#altLabel";

/// How well a name fits, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Label,
    Alias,
    LabelInOtherCase,
    AliasInOtherCase,
}

/// An entity with a name that fits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) iri: String,
    pub(super) fit: Fit,
    pub(super) name: Term,
}

/// What a name stands for.
#[derive(Debug, PartialEq)]
pub(super) enum Choice {
    Nothing,
    /// One entity fits best; others may fit less well.
    One(Candidate, Vec<Candidate>),
    /// Several fit equally well.
    Several(Vec<Candidate>),
}

/// Asks the server for all entities with this name, whatever its case, and chooses.
pub(super) async fn look_up(client: &mut Client, name: &str) -> Result<Choice, Failure> {
    let request = QueryRequest {
        query: query_text(name),
        row_encoding: RowEncoding::Plain.into(),
        ..QueryRequest::default()
    };
    let mut frames = client.sparql.query(request).await?.into_inner();
    let mut reader = RowReader::new(3);
    let mut candidates = Vec::new();
    while let Some(message) = frames.message().await? {
        match message.frame {
            Some(Frame::Rows(batch)) => reader.read(batch, |row| {
                candidates.extend(candidate(row, name));
                Ok(())
            })?,
            Some(Frame::Complete(_)) => return Ok(choose(candidates)),
            _ => {}
        }
    }
    Err(Failure::failed(
        "the server ended the result before it was complete",
    ))
}

fn query_text(name: &str) -> String {
    // As a literal of N-Triples the name cannot be anything else than a literal.
    let name = Literal::new_simple_literal(name);
    let label = rdfs::LABEL;
    format!(
        "SELECT ?entity ?property ?name WHERE {{\n  \
           VALUES ?property {{ {label} <{ALT_LABEL}> }}\n  \
           ?entity ?property ?name .\n  \
           FILTER(LCASE(STR(?name)) = LCASE({name}) && isIRI(?entity))\n\
         }}"
    )
}

fn candidate(row: Vec<Option<Term>>, sought: &str) -> Option<Candidate> {
    let [entity, property, name] = <[_; 3]>::try_from(row).ok()?;
    let (Kind::Iri(iri), Kind::Iri(property), name) = (entity?.term?, property?.term?, name?) else {
        return None;
    };
    let Some(Kind::Literal(literal)) = &name.term else {
        return None;
    };
    let fit = match (property == ALT_LABEL, literal.lexical_form == sought) {
        (false, true) => Fit::Label,
        (true, true) => Fit::Alias,
        (false, false) => Fit::LabelInOtherCase,
        (true, false) => Fit::AliasInOtherCase,
    };
    Some(Candidate { iri, fit, name })
}

/// Chooses the entity that fits best, if there is just one.
///
/// A label goes before an alias: "Seoul" is the city first, and the government by another name. The right case goes before
/// any other.
fn choose(found: Vec<Candidate>) -> Choice {
    // An entity may have the name in several languages: its best fit counts.
    let mut best: BTreeMap<String, Candidate> = BTreeMap::new();
    for candidate in found {
        let known = best
            .entry(candidate.iri.clone())
            .or_insert_with(|| candidate.clone());
        if candidate.fit < known.fit {
            *known = candidate;
        }
    }
    let mut candidates: Vec<_> = best.into_values().collect();
    // Stable: within a fit they stay in the order of their IRIs.
    candidates.sort_by_key(|candidate| candidate.fit);
    let Some(first) = candidates.first().map(|candidate| candidate.fit) else {
        return Choice::Nothing;
    };
    match candidates
        .iter()
        .take_while(|candidate| candidate.fit == first)
        .count()
    {
        1 => Choice::One(candidates.remove(0), candidates),
        count => {
            candidates.truncate(count);
            Choice::Several(candidates)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    fn row(entity: &str, property: &str, name: &str) -> Vec<Option<Term>> {
        let iri = |iri: &str| {
            Some(Term {
                term: Some(Kind::Iri(iri.to_owned())),
            })
        };
        let name = v1::Literal {
            lexical_form: name.to_owned(),
            ..v1::Literal::default()
        };
        vec![
            iri(entity),
            iri(property),
            Some(Term {
                term: Some(Kind::Literal(name)),
            }),
        ]
    }

    /// `expected`: the entity, or those among which it is not decided; then those that fit less well.
    fn check(sought: &str, rows: &[(&str, &str, &str)], expected: (&[&str], &[&str])) {
        let found = rows
            .iter()
            .filter_map(|(entity, property, name)| candidate(row(entity, property, name), sought));
        let (best, others) = match choose(found.collect()) {
            Choice::Nothing => (vec![], vec![]),
            Choice::One(candidate, others) => (vec![candidate], others),
            Choice::Several(candidates) => (candidates, vec![]),
        };
        let iris =
            |candidates: &[Candidate]| candidates.iter().map(|one| one.iri.clone()).collect::<Vec<_>>();
        let owned = |iris: &[&str]| iris.iter().map(|iri| (*iri).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            (iris(&best), iris(&others)),
            (owned(expected.0), owned(expected.1)),
            "{sought}"
        );
    }

    const LABEL: &str = "http://www.w3.org/2000/01/rdf-schema#label";

    #[test]
    fn a_label_goes_before_an_alias() {
        let rows = [("e:government", ALT_LABEL, "Seoul"), ("e:seoul", LABEL, "Seoul")];
        check("Seoul", &rows, (&["e:seoul"], &["e:government"]));
        check("seoul", &rows, (&["e:seoul"], &["e:government"]));
        check("Seoul", &rows[..1], (&["e:government"], &[]));
    }

    #[test]
    fn the_right_case_goes_first() {
        let rows = [("e:a", LABEL, "us"), ("e:b", ALT_LABEL, "US")];
        check("US", &rows, (&["e:b"], &["e:a"]));
        check("Us", &rows, (&["e:a"], &["e:b"]));
    }

    #[test]
    fn an_entity_counts_once() {
        let rows = [
            ("e:a", LABEL, "Moon"),
            ("e:a", ALT_LABEL, "moon"),
            ("e:a", LABEL, "Moon"),
        ];
        check("Moon", &rows, (&["e:a"], &[]));
        check("moon", &rows, (&["e:a"], &[]));
    }

    #[test]
    fn equals_are_not_decided() {
        let rows = [
            ("e:b", LABEL, "Moon"),
            ("e:a", LABEL, "Moon"),
            ("e:c", ALT_LABEL, "Moon"),
        ];
        check("Moon", &rows, (&["e:a", "e:b"], &[]));
        check("Moon", &[], (&[], &[]));
    }

    #[test]
    fn a_name_cannot_leave_its_literal() {
        let text = query_text("\" ) } DROP ALL # \\ \n 서울");
        assert!(
            text.contains(r#"LCASE("\" ) } DROP ALL # \\ \n 서울")"#),
            "{text}"
        );
        assert!(
            oxigraph::sparql::SparqlEvaluator::new()
                .parse_query(&text)
                .is_ok(),
            "{text}"
        );
    }
}
