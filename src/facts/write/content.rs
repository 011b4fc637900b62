//! What a statement node says of its triple.

use oxigraph::model::{Literal, NamedNode, Term, vocab::xsd};

use super::{NewFact, State};
use crate::{
    graph::TermView,
    model::{
        fact::{Basis, Stance, Standing},
        vocabulary,
    },
};

/// Properties of a statement that have fields of their own: no qualifier has them.
pub const OWN_PROPERTIES: [&str; 18] = [
    vocabulary::SUBJECT,
    vocabulary::PREDICATE,
    vocabulary::OBJECT,
    vocabulary::REIFIES,
    vocabulary::STANDING,
    vocabulary::STANCE,
    vocabulary::BASIS,
    vocabulary::NEGATED,
    vocabulary::CONFIDENCE,
    vocabulary::ATTRIBUTED_TO,
    vocabulary::EDTF,
    vocabulary::VALID_FROM,
    vocabulary::VALID_UNTIL,
    vocabulary::DISPUTES,
    vocabulary::DERIVED_FROM,
    vocabulary::GENERATED_AT,
    vocabulary::INVALIDATED_AT,
    vocabulary::REVISION_OF,
];

/// Returns the properties of a fact's statement, but for the time when it was recorded.
pub(super) fn of(fact: &NewFact) -> Vec<(NamedNode, Term)> {
    let mut content = Vec::with_capacity(16);
    let mut add = |property: &str, value: Term| content.push((NamedNode::new_unchecked(property), value));
    add(vocabulary::SUBJECT, fact.subject.clone().into());
    add(vocabulary::PREDICATE, fact.predicate.clone().into());
    add(vocabulary::OBJECT, fact.object.clone());
    add(vocabulary::STANDING, iri(standing(fact.standing)));
    add(vocabulary::STANCE, iri(stance(fact.stance)));
    add(vocabulary::BASIS, iri(basis(fact.basis)));
    if fact.is_negated {
        add(vocabulary::NEGATED, Literal::from(true).into());
    }
    if let Some(confidence) = fact.confidence {
        add(vocabulary::CONFIDENCE, decimal(confidence));
    }
    if let Some(agent) = &fact.attributed_to {
        add(vocabulary::ATTRIBUTED_TO, agent.clone().into());
    }
    if let Some(edtf) = &fact.edtf {
        add(vocabulary::EDTF, Literal::new_simple_literal(edtf).into());
    }
    let days = [
        (vocabulary::VALID_FROM, &fact.valid_from),
        (vocabulary::VALID_UNTIL, &fact.valid_until),
        (vocabulary::OBSERVED_ON, &fact.observed_on),
    ];
    for (property, day) in days {
        if let Some(day) = day {
            add(property, Literal::new_typed_literal(day, xsd::DATE).into());
        }
    }
    for source in &fact.sources {
        add(vocabulary::DERIVED_FROM, source.iri.clone().into());
        if !source.locator.is_empty() {
            add(
                vocabulary::LOCATOR,
                Literal::new_simple_literal(&source.locator).into(),
            );
        }
    }
    for disputed in &fact.disputes {
        add(vocabulary::DISPUTES, disputed.clone().into());
    }
    if let Some(old) = &fact.revises {
        add(vocabulary::REVISION_OF, old.clone().into());
    }
    content.extend(fact.qualifiers.iter().cloned());
    content
}

/// Tells whether the statement with a fact's IRI says just what the fact says.
pub(super) fn is_same(state: &State<'_>, fact: &NewFact) -> bool {
    let mut wanted: Vec<_> = of(fact)
        .into_iter()
        .filter_map(|(property, value)| comparable(property.as_str(), value))
        .collect();
    if let Some(time) = fact.recorded_at {
        wanted.push((vocabulary::GENERATED_AT.to_owned(), super::date_time(time).into()));
    }
    let mut found: Vec<_> = state
        .statement(&fact.id)
        .filter_map(|quad| {
            let TermView::Iri(property) = state.snapshot.view(quad.predicate) else {
                return None;
            };
            let is_asked = property != vocabulary::GENERATED_AT || fact.recorded_at.is_some();
            is_asked
                .then(|| comparable(property, state.snapshot.term(quad.object)))
                .flatten()
        })
        .collect();
    for content in [&mut wanted, &mut found] {
        split_locators(content);
        content.sort_by_cached_key(|(property, value)| (property.clone(), value.to_string()));
        content.dedup();
    }
    wanted == found
}

/// Makes each place a locator of its own: those of one source are told as one text.
fn split_locators(content: &mut Vec<(String, Term)>) {
    let is_locator = |(property, _): &mut (String, Term)| property == vocabulary::LOCATOR;
    for (property, value) in content.extract_if(.., is_locator).collect::<Vec<_>>() {
        match value {
            Term::Literal(literal) => content.extend(literal.value().split(", ").map(|place| {
                let place = Literal::new_simple_literal(place);
                (property.clone(), place.into())
            })),
            other => content.push((property, other)),
        }
    }
}

/// Returns a property in the form that is compared. `None` for what follows from others, or says nothing.
fn comparable(property: &str, value: Term) -> Option<(String, Term)> {
    match property {
        vocabulary::VALID_FROM | vocabulary::VALID_UNTIL | vocabulary::INVALIDATED_AT => return None,
        vocabulary::NEGATED if matches!(&value, Term::Literal(literal) if matches!(literal.value(), "false" | "0")) =>
        {
            return None;
        }
        vocabulary::CONFIDENCE => {
            // One number has several forms.
            let number = match &value {
                Term::Literal(literal) => literal.value().parse::<f64>().ok(),
                _ => None,
            };
            let value = number.map_or(value, decimal);
            return Some((property.to_owned(), value));
        }
        _ => {}
    }
    Some((property.to_owned(), value))
}

/// Returns a number in the shortest form that is read back as the same.
fn decimal(number: f64) -> Term {
    Literal::new_typed_literal(number.to_string(), xsd::DECIMAL).into()
}

fn iri(iri: &str) -> Term {
    NamedNode::new_unchecked(iri).into()
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Preferred => vocabulary::PREFERRED,
        Standing::Accepted => vocabulary::ACCEPTED,
        Standing::Unconfirmed => vocabulary::UNCONFIRMED,
        Standing::Disputed => vocabulary::DISPUTED,
        Standing::Rejected => vocabulary::REJECTED,
    }
}

fn stance(stance: Stance) -> &'static str {
    match stance {
        Stance::Asserted => vocabulary::ASSERTED,
        Stance::Attributed => vocabulary::ATTRIBUTED,
        Stance::Reported => vocabulary::REPORTED,
        Stance::Planned => vocabulary::PLANNED,
        Stance::Projected => vocabulary::PROJECTED,
        Stance::Opinion => vocabulary::OPINION,
    }
}

fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Stated => vocabulary::STATED,
        Basis::Inferred => vocabulary::INFERRED,
        Basis::Background => vocabulary::BACKGROUND,
    }
}
