//! `LookupEntities` of `EntityService`.

use oxigraph::model::{Literal, Term};
use tonic::{Extensions, Status};

use super::{
    convert::{term_from_proto, to_int64},
    entity::timeless,
    read::Reads,
    validate::Violations,
};
use crate::{
    facts::{Budget, Identified, Identifier, Reader},
    proto::v1::{self, entity_identifier::Value, term},
};

const IDENTIFIER_COUNT_MAX: usize = 1_000;
/// Bytes of an identifier.
const VALUE_BYTES_MAX: usize = 2_048;
/// More of them go to a thread that may block at once.
const INLINE_COUNT_MAX: usize = 16;

pub(super) async fn entities(
    reads: &Reads,
    extensions: &Extensions,
    request: v1::LookupEntitiesRequest,
) -> Result<v1::LookupEntitiesResponse, Status> {
    let mut violations = Violations::default();
    let count = request.identifiers.len();
    if !(1..=IDENTIFIER_COUNT_MAX).contains(&count) {
        violations.invalid(
            "identifiers",
            format!("must be 1 to {IDENTIFIER_COUNT_MAX} identifiers, not {count}"),
        );
    }
    let mut identifiers = Vec::with_capacity(count.min(IDENTIFIER_COUNT_MAX));
    for (index, asked) in request.identifiers.iter().take(IDENTIFIER_COUNT_MAX).enumerate() {
        identifiers.extend(identifier(
            asked,
            &format!("identifiers[{index}]"),
            &mut violations,
        ));
    }
    violations.languages(&request.languages);
    let when = timeless(request.read.as_ref(), &mut violations);
    violations.finish()?;
    let view = reads.view(&when, extensions).await?;
    let languages = request.languages;
    let read =
        move |reader: Reader<'_>, budget: &mut Budget| reader.identified(&identifiers, &languages, budget);
    let found = if count > INLINE_COUNT_MAX {
        reads.run_blocking(&view, extensions, read).await?
    } else {
        reads.run(&view, extensions, read).await?
    };
    Ok(v1::LookupEntitiesResponse {
        results: found.into_iter().map(Into::into).collect(),
        revision: to_int64(view.revision),
    })
}

fn identifier(asked: &v1::EntityIdentifier, path: &str, violations: &mut Violations) -> Option<Identifier> {
    let property = violations.optional_name(&format!("{path}.property"), &asked.property);
    let value = match &asked.value {
        Some(Value::Text(text)) if !text.is_empty() => {
            violations.text(&format!("{path}.text"), text, VALUE_BYTES_MAX);
            Literal::new_simple_literal(text).into()
        }
        Some(Value::Term(term)) => {
            let path = format!("{path}.term");
            violations.text(&path, text_of(term), VALUE_BYTES_MAX);
            let term = term_from_proto(term, &path, violations)?;
            if !matches!(term, Term::Literal(_) | Term::NamedNode(_)) {
                violations.invalid(&path, "must be a literal or an IRI");
                return None;
            }
            term
        }
        _ => {
            violations.invalid(path, "a text or a term is required");
            return None;
        }
    };
    Some(Identifier { value, property })
}

fn text_of(term: &v1::Term) -> &str {
    match &term.term {
        Some(term::Term::Iri(iri)) => iri,
        Some(term::Term::Literal(literal)) => &literal.lexical_form,
        _ => "",
    }
}

impl From<Identified> for v1::IdentifierResult {
    fn from(found: Identified) -> Self {
        let matches = found.matches.into_iter();
        Self {
            matches: matches
                .map(|(entity, property)| v1::IdentifierMatch {
                    entity: Some(entity.into()),
                    property,
                })
                .collect(),
            has_more: found.has_more,
        }
    }
}
