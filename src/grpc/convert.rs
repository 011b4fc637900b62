//! Facts and terms as protobuf, and back.

use oxigraph::model::{
    BaseDirection, BlankNode, Literal, NamedNode, NamedOrBlankNode, Term, Triple,
    vocab::{rdf, xsd},
};
use tonic_types::FieldViolation;

use super::{
    time::{fill_bounds, timestamp},
    validate::{Violation, Violations},
};
use crate::{
    model::{fact, language::recommended_case},
    proto::v1::{self, term},
};

/// Converts a term: every term has a form in protobuf.
pub fn term_to_proto(term: Term) -> v1::Term {
    let kind = match term {
        Term::NamedNode(node) => term::Term::Iri(node.into_string()),
        Term::BlankNode(node) => term::Term::BlankNode(node.into_string()),
        Term::Literal(literal) => term::Term::Literal(literal_to_proto(literal)),
        Term::Triple(triple) => term::Term::Triple(Box::new(triple_to_proto(*triple))),
    };
    v1::Term { term: Some(kind) }
}

/// Converts a triple.
pub fn triple_to_proto(triple: Triple) -> v1::TripleTerm {
    v1::TripleTerm {
        subject: Some(Box::new(term_to_proto(triple.subject.into()))),
        predicate: triple.predicate.into_string(),
        object: Some(Box::new(term_to_proto(triple.object))),
    }
}

fn literal_to_proto(literal: Literal) -> v1::Literal {
    let (lexical_form, datatype, language, direction) = literal.destruct();
    let direction = match direction {
        None => v1::Direction::Unspecified,
        Some(BaseDirection::Ltr) => v1::Direction::Ltr,
        Some(BaseDirection::Rtl) => v1::Direction::Rtl,
    };
    v1::Literal {
        lexical_form,
        datatype: datatype.map(NamedNode::into_string).unwrap_or_default(),
        language: language.map(recommended).unwrap_or_default(),
        direction: direction.into(),
    }
}

fn recommended(language: String) -> String {
    match recommended_case(&language) {
        std::borrow::Cow::Borrowed(_) => language,
        std::borrow::Cow::Owned(cased) => cased,
    }
}

/// Converts a term of a request; what is wrong goes to `violations` under the path `field`.
pub fn term_from_proto(term: &v1::Term, field: &str, violations: &mut Violations) -> Option<Term> {
    match &term.term {
        None => {
            violations.invalid(field, "a term needs a kind");
            None
        }
        Some(term::Term::Iri(iri)) => violations.name(&format!("{field}.iri"), iri).map(Term::from),
        Some(term::Term::BlankNode(label)) => {
            let node = BlankNode::new(label).ok();
            if node.is_none() {
                violations.invalid(&format!("{field}.blank_node"), "not a blank node label");
            }
            node.map(Term::from)
        }
        Some(term::Term::Literal(literal)) => {
            literal_from_proto(literal, &format!("{field}.literal"), violations).map(Term::from)
        }
        Some(term::Term::Triple(triple)) => {
            triple_from_proto(triple, &format!("{field}.triple"), violations).map(Term::from)
        }
    }
}

fn triple_from_proto(triple: &v1::TripleTerm, field: &str, violations: &mut Violations) -> Option<Triple> {
    let mut part = |term: &Option<Box<v1::Term>>, name: &str| {
        let field = format!("{field}.{name}");
        let Some(term) = term else {
            violations.invalid(&field, "required");
            return None;
        };
        term_from_proto(term, &field, violations)
    };
    let subject = part(&triple.subject, "subject");
    let object = part(&triple.object, "object");
    let predicate = violations.name(&format!("{field}.predicate"), &triple.predicate);
    let Ok(subject) = NamedOrBlankNode::try_from(subject?) else {
        violations.invalid(&format!("{field}.subject"), "a subject is an IRI or a blank node");
        return None;
    };
    Some(Triple::new(subject, predicate?, object?))
}

fn literal_from_proto(literal: &v1::Literal, field: &str, violations: &mut Violations) -> Option<Literal> {
    let value = &literal.lexical_form;
    let Ok(direction) = v1::Direction::try_from(literal.direction) else {
        violations.invalid(&format!("{field}.direction"), "not a direction");
        return None;
    };
    let datatype = match literal.datatype.as_str() {
        "" => None,
        name => Some(violations.name(&format!("{field}.datatype"), name)?),
    };
    let direction = match direction {
        v1::Direction::Unspecified => None,
        v1::Direction::Ltr => Some(BaseDirection::Ltr),
        v1::Direction::Rtl => Some(BaseDirection::Rtl),
    };
    if literal.language.is_empty() {
        let needs_language =
            |datatype: &NamedNode| *datatype == rdf::LANG_STRING || *datatype == rdf::DIR_LANG_STRING;
        if direction.is_some() || datatype.as_ref().is_some_and(needs_language) {
            violations.invalid(
                &format!("{field}.language"),
                "required by the direction or the datatype",
            );
            return None;
        }
        return Some(match datatype {
            Some(datatype) if datatype != xsd::STRING => Literal::new_typed_literal(value, datatype),
            _ => Literal::new_simple_literal(value),
        });
    }
    let expected = if direction.is_some() {
        rdf::DIR_LANG_STRING
    } else {
        rdf::LANG_STRING
    };
    if datatype.is_some_and(|datatype| datatype != expected) {
        violations.invalid(
            &format!("{field}.datatype"),
            "a text in a language has no other datatype",
        );
        return None;
    }
    let tagged = match direction {
        Some(direction) => {
            Literal::new_directional_language_tagged_literal(value, &literal.language, direction)
        }
        None => Literal::new_language_tagged_literal(value, &literal.language),
    };
    if tagged.is_err() {
        violations.invalid(
            &format!("{field}.language"),
            "not a well-formed language tag (BCP 47)",
        );
    }
    tagged.ok()
}

impl From<fact::Entity> for v1::Entity {
    fn from(entity: fact::Entity) -> Self {
        let texts = |texts: Vec<fact::Text>| texts.into_iter().map(Into::into).collect();
        Self {
            iri: entity.iri,
            labels: texts(entity.labels),
            aliases: texts(entity.aliases),
            types: entity.types,
            facts: entity.facts.into_iter().map(Into::into).collect(),
            next_page_token: String::new(),
        }
    }
}

impl From<fact::Text> for v1::LangString {
    fn from(text: fact::Text) -> Self {
        Self {
            text: text.text,
            language: recommended(text.language),
        }
    }
}

impl From<fact::Fact> for v1::Fact {
    fn from(fact: fact::Fact) -> Self {
        let subject = match fact.subject {
            NamedOrBlankNode::NamedNode(node) => node.into_string(),
            NamedOrBlankNode::BlankNode(node) => node.to_string(),
        };
        let mut proto = Self {
            subject,
            predicate: fact.predicate.into_string(),
            object: Some(term_to_proto(fact.object)),
            standing: v1::Standing::Accepted.into(),
            holds: fact.holds,
            ..Self::default()
        };
        if let Some(labels) = fact.labels {
            proto.subject_label = labels.subject.map(Into::into);
            proto.predicate_label = labels.predicate.map(Into::into);
            proto.object_label = labels.object.map(Into::into);
        }
        if let Some(statement) = fact.statement {
            fill_statement(&mut proto, *statement);
        }
        proto
    }
}

fn fill_statement(proto: &mut v1::Fact, statement: fact::Statement) {
    proto.id = statement.id;
    proto.standing = standing_to_proto(statement.standing).into();
    proto.stance = statement
        .stance
        .map_or(v1::Stance::Unspecified, Into::into)
        .into();
    proto.basis = statement.basis.map_or(v1::Basis::Unspecified, Into::into).into();
    proto.negated = statement.is_negated;
    proto.confidence = statement.confidence;
    proto.attributed_to = statement.attributed_to.unwrap_or_default();
    let time = statement.valid_time;
    proto.valid_time = (!time.is_empty()).then(|| {
        let mut valid_time = v1::ValidTime {
            edtf: time.edtf,
            valid_from: time.valid_from,
            valid_until: time.valid_until,
            observed_on: time.observed_on,
            ..v1::ValidTime::default()
        };
        fill_bounds(&mut valid_time);
        valid_time
    });
    let qualifiers = statement.qualifiers.into_iter();
    proto.qualifiers = qualifiers
        .map(|(property, value)| v1::Qualifier {
            property,
            value: Some(term_to_proto(value)),
        })
        .collect();
    proto.sources = statement.sources.into_iter().map(Into::into).collect();
    proto.recorded_at = statement.recorded_at.map(timestamp);
    proto.retracted_at = statement.retracted_at.map(timestamp);
    proto.disputes = statement.disputes;
    proto.revises = statement.revises.unwrap_or_default();
}

impl From<fact::Source> for v1::Source {
    fn from(source: fact::Source) -> Self {
        Self {
            iri: source.iri,
            title: source.title,
            publisher: source.publisher,
            locator: source.locator,
            attribution: source.attribution,
            license: source.license,
        }
    }
}

/// Converts a standing.
pub fn standing_to_proto(standing: Option<fact::Standing>) -> v1::Standing {
    match standing {
        None => v1::Standing::Unspecified,
        Some(fact::Standing::Preferred) => v1::Standing::Preferred,
        Some(fact::Standing::Accepted) => v1::Standing::Accepted,
        Some(fact::Standing::Unconfirmed) => v1::Standing::Unconfirmed,
        Some(fact::Standing::Disputed) => v1::Standing::Disputed,
        Some(fact::Standing::Rejected) => v1::Standing::Rejected,
    }
}

/// Converts a standing of a request. `Some(None)` is one that is not stated; `None` is no standing.
pub fn standing_from_proto(standing: i32) -> Option<Option<fact::Standing>> {
    Some(match v1::Standing::try_from(standing).ok()? {
        v1::Standing::Unspecified => None,
        v1::Standing::Preferred => Some(fact::Standing::Preferred),
        v1::Standing::Accepted => Some(fact::Standing::Accepted),
        v1::Standing::Unconfirmed => Some(fact::Standing::Unconfirmed),
        v1::Standing::Disputed => Some(fact::Standing::Disputed),
        v1::Standing::Rejected => Some(fact::Standing::Rejected),
    })
}

/// Converts a stance of a request. `Some(None)` is one that is not stated; `None` is no stance.
pub fn stance_from_proto(stance: i32) -> Option<Option<fact::Stance>> {
    Some(match v1::Stance::try_from(stance).ok()? {
        v1::Stance::Unspecified => None,
        v1::Stance::Asserted => Some(fact::Stance::Asserted),
        v1::Stance::Attributed => Some(fact::Stance::Attributed),
        v1::Stance::Reported => Some(fact::Stance::Reported),
        v1::Stance::Planned => Some(fact::Stance::Planned),
        v1::Stance::Projected => Some(fact::Stance::Projected),
        v1::Stance::Opinion => Some(fact::Stance::Opinion),
    })
}

/// Converts a basis of a request. `Some(None)` is one that is not stated; `None` is no basis.
pub fn basis_from_proto(basis: i32) -> Option<Option<fact::Basis>> {
    Some(match v1::Basis::try_from(basis).ok()? {
        v1::Basis::Unspecified => None,
        v1::Basis::Stated => Some(fact::Basis::Stated),
        v1::Basis::Inferred => Some(fact::Basis::Inferred),
        v1::Basis::Background => Some(fact::Basis::Background),
    })
}

impl From<fact::Stance> for v1::Stance {
    fn from(stance: fact::Stance) -> Self {
        match stance {
            fact::Stance::Asserted => Self::Asserted,
            fact::Stance::Attributed => Self::Attributed,
            fact::Stance::Reported => Self::Reported,
            fact::Stance::Planned => Self::Planned,
            fact::Stance::Projected => Self::Projected,
            fact::Stance::Opinion => Self::Opinion,
        }
    }
}

impl From<fact::Basis> for v1::Basis {
    fn from(basis: fact::Basis) -> Self {
        match basis {
            fact::Basis::Stated => Self::Stated,
            fact::Basis::Inferred => Self::Inferred,
            fact::Basis::Background => Self::Background,
        }
    }
}

impl From<Violation> for FieldViolation {
    fn from(violation: Violation) -> Self {
        Self::new(violation.field, violation.description)
    }
}

/// Returns a revision or count as protobuf has it.
pub fn to_int64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::v1::ErrorReason;

    fn literals() -> impl Strategy<Value = Literal> {
        prop_oneof![
            ".*".prop_map(|value: String| Literal::new_simple_literal(value)),
            (".*", "[a-z]{2}(-[a-z]{4})?(-[a-z]{2})?").prop_map(|(value, language): (String, String)| {
                Literal::new_language_tagged_literal(value, language).unwrap()
            }),
            (".*", any::<bool>()).prop_map(|(value, is_ltr): (String, bool)| {
                let direction = if is_ltr {
                    BaseDirection::Ltr
                } else {
                    BaseDirection::Rtl
                };
                Literal::new_directional_language_tagged_literal(value, "ar", direction).unwrap()
            }),
            (".*", "[a-z]{1,8}").prop_map(|(value, name): (String, String)| {
                Literal::new_typed_literal(
                    value,
                    NamedNode::new_unchecked(format!("http://example.com/{name}")),
                )
            }),
        ]
    }

    fn terms() -> impl Strategy<Value = Term> {
        let leaves = prop_oneof![
            "[a-z]{1,8}"
                .prop_map(|name| NamedNode::new_unchecked(format!("http://example.com/{name}")).into()),
            "[a-z0-9]{1,8}".prop_map(|label| BlankNode::new_unchecked(label).into()),
            literals().prop_map(Term::from),
        ];
        leaves.prop_recursive(3, 8, 1, |inner| {
            inner.prop_map(|object| {
                let node = NamedNode::new_unchecked("http://example.com/s");
                Triple::new(node.clone(), node, object).into()
            })
        })
    }

    proptest! {
        #[test]
        fn terms_survive_the_round_trip(term in terms()) {
            let mut violations = Violations::default();
            let back = term_from_proto(&term_to_proto(term.clone()), "term", &mut violations);
            prop_assert!(violations.finish().is_ok());
            prop_assert_eq!(back, Some(term));
        }
    }

    fn check_violation(term: term::Term, expected_field: &str, expected_reason: ErrorReason) {
        let mut violations = Violations::default();
        let converted = term_from_proto(&v1::Term { term: Some(term) }, "object", &mut violations);
        assert_eq!(converted, None);
        let (reason, violations) = violations.into_parts();
        assert_eq!(
            (reason, violations[0].field.as_str()),
            (expected_reason, expected_field)
        );
    }

    #[test]
    fn violations_have_paths() {
        let literal = |datatype: &str, language: &str, direction: i32| {
            term::Term::Literal(v1::Literal {
                lexical_form: "x".into(),
                datatype: datatype.into(),
                language: language.into(),
                direction,
            })
        };
        check_violation(
            literal("", "en_US", 0),
            "object.literal.language",
            ErrorReason::InvalidField,
        );
        check_violation(
            literal("nope:x", "", 0),
            "object.literal.datatype",
            ErrorReason::UnknownPrefix,
        );
        check_violation(
            literal("xsd:string", "en", 0),
            "object.literal.datatype",
            ErrorReason::InvalidField,
        );
        check_violation(
            literal("rdf:langString", "", 0),
            "object.literal.language",
            ErrorReason::InvalidField,
        );
        check_violation(
            literal("", "", 1),
            "object.literal.language",
            ErrorReason::InvalidField,
        );
        check_violation(
            literal("", "en", 7),
            "object.literal.direction",
            ErrorReason::InvalidField,
        );
        check_violation(
            term::Term::Iri("<>".into()),
            "object.iri",
            ErrorReason::InvalidIri,
        );
        check_violation(
            term::Term::BlankNode("a b".into()),
            "object.blank_node",
            ErrorReason::InvalidField,
        );
        let triple = v1::TripleTerm {
            subject: None,
            predicate: "e:p".into(),
            object: None,
        };
        check_violation(
            term::Term::Triple(Box::new(triple)),
            "object.triple.subject",
            ErrorReason::InvalidField,
        );
    }
}
