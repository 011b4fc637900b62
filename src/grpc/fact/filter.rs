//! Which facts a request is about.

use crate::{
    facts::{FactFilter, Scope, Versions},
    grpc::{
        convert::{basis_from_proto, stance_from_proto, standing_from_proto, term_from_proto},
        page_token,
        validate::Violations,
    },
    model::fact::Standing,
    proto::v1,
};

/// Values in one filter: more would repeat some.
const VALUE_COUNT_MAX: usize = 100;

/// Reads the filter of a list.
pub(super) fn read(request: &v1::ListFactsRequest, violations: &mut Violations) -> FactFilter {
    let mut filter = FactFilter {
        subject: violations.optional_name("subject", &request.subject),
        predicate: violations.optional_name("predicate", &request.predicate),
        object: request
            .object
            .as_ref()
            .and_then(|term| term_from_proto(term, "object", violations)),
        source: violations.optional_name("source", &request.source),
        standings: values(
            "standings",
            "standing",
            &request.standings,
            standing_from_proto,
            violations,
        ),
        stances: values(
            "stances",
            "stance",
            &request.stances,
            stance_from_proto,
            violations,
        ),
        bases: values("bases", "basis", &request.bases, basis_from_proto, violations),
        attributed_to: violations.optional_name("attributed_to", &request.attributed_to),
        is_sole_source: request.sole_source,
        ..FactFilter::default()
    };
    let unset = if filter.standings.iter().any(|one| never_holds(*one)) {
        Scope::Live
    } else {
        Scope::Holding
    };
    filter.scope = violations.scope(request.scope, unset);
    if request.sole_source && request.source.is_empty() {
        violations.invalid("sole_source", "needs a source");
    }
    filter
}

fn never_holds(standing: Option<Standing>) -> bool {
    matches!(
        standing,
        Some(Standing::Unconfirmed | Standing::Disputed | Standing::Rejected)
    )
}

fn values<T>(
    field: &str,
    name: &str,
    numbers: &[i32],
    value: impl Fn(i32) -> Option<T>,
    violations: &mut Violations,
) -> Vec<T> {
    let mut values = Vec::new();
    if numbers.len() > VALUE_COUNT_MAX {
        violations.invalid(field, format!("at most {VALUE_COUNT_MAX}"));
        return values;
    }
    for (index, &number) in numbers.iter().enumerate() {
        match value(number) {
            Some(value) => values.push(value),
            None => violations.invalid(&format!("{field}[{index}]"), format!("{number} is not a {name}")),
        }
    }
    values
}

/// Reads which versions are asked for.
pub(super) fn versions(
    request: &v1::ListFactHistoryRequest,
    violations: &mut Violations,
) -> Option<Versions> {
    let about = [&request.subject, &request.predicate];
    let is_about = about.iter().any(|text| !text.is_empty()) || request.object.is_some();
    match (request.id.is_empty(), is_about) {
        (false, true) => {
            violations.invalid("id", "either this, or subject and predicate");
            None
        }
        (false, false) => violations
            .name("id", &request.id)
            .map(|id| Versions::Of(id.into_string())),
        (true, _) => {
            let subject = violations.name("subject", &request.subject);
            let predicate = violations.name("predicate", &request.predicate);
            let object = match &request.object {
                None => None,
                Some(term) => Some(term_from_proto(term, "object", violations)?),
            };
            Some(Versions::About(
                subject?.into_string(),
                predicate?.into_string(),
                object,
            ))
        }
    }
}

/// Returns the hash of a filter and a sealed time, for page tokens.
pub(super) fn seal(filter: &FactFilter, time: &str) -> u64 {
    page_token::filter("facts", &[&format!("{filter:?}"), time])
}
