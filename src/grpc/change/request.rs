//! Reads requests for changes.

use std::time::Duration;

use oxigraph::model::NamedNode;
use prost_types::Timestamp;

use crate::{
    feed::{Filter, Output, Start},
    grpc::validate::Violations,
    proto::v1::{self, watch_request},
};

/// Names in one part of a filter.
const NAME_COUNT_MAX: usize = 100;
const CHECKPOINT_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
const CHECKPOINT_INTERVAL_MIN: Duration = Duration::from_secs(1);
const CHECKPOINT_INTERVAL_MAX: Duration = Duration::from_mins(5);
/// The first and the last second of the years 1 to 9999, which protobuf's times are of.
const SECONDS_MIN: i64 = -62_135_596_800;
const SECONDS_MAX: i64 = 253_402_300_799;
const NANOS_MAX: i32 = 999_999_999;

pub(super) fn start(start: Option<watch_request::Start>, violations: &mut Violations) -> Start {
    match start {
        None => Start::Now,
        Some(watch_request::Start::AfterRevision(revision)) => {
            Start::After(violations.min_revision("after_revision", revision))
        }
        Some(watch_request::Start::Position(number)) => match v1::WatchStart::try_from(number) {
            Ok(v1::WatchStart::Earliest) => Start::Earliest,
            Ok(v1::WatchStart::Now) => Start::Now,
            Ok(v1::WatchStart::Snapshot) => Start::Snapshot,
            Ok(v1::WatchStart::Unspecified) | Err(_) => {
                violations.invalid("position", format!("{number} is not a place to begin"));
                Start::Now
            }
        },
    }
}

/// Reads the hash of the commit after which to begin; none if it is not known.
pub(super) fn after_hash(hash: &[u8], start: Start, violations: &mut Violations) -> Option<u64> {
    if hash.is_empty() {
        return None;
    }
    if !matches!(start, Start::After(_)) {
        violations.invalid("after_hash", "must be empty without after_revision");
        return None;
    }
    let hash = hash.try_into().ok().map(u64::from_be_bytes);
    if hash.is_none() {
        violations.invalid("after_hash", "not a hash as commits and checkpoints have it");
    }
    hash
}

pub(super) fn filter(filter: &v1::ChangeFilter, violations: &mut Violations) -> Filter {
    let mut names = |field: &str, names: &[String]| {
        let field = format!("filter.{field}");
        if names.len() > NAME_COUNT_MAX {
            violations.invalid(
                &field,
                format!("at most {NAME_COUNT_MAX} names, not {}", names.len()),
            );
            return Vec::new();
        }
        let names = names.iter().enumerate();
        names
            .filter_map(|(index, name)| violations.name(&format!("{field}[{index}]"), name))
            .collect::<Vec<NamedNode>>()
    };
    Filter {
        subjects: names("subjects", &filter.subjects).into_iter().collect(),
        predicates: names("predicates", &filter.predicates).into_iter().collect(),
        graphs: names("graphs", &filter.graphs).into_iter().collect(),
        default_graph: filter.default_graph,
        sources: names("sources", &filter.sources).into_iter().collect(),
        types: names("types", &filter.types).into_iter().collect(),
    }
}

/// Reads what to tell of a commit. Facts are of no graph.
pub(super) fn output(number: i32, filter: &Filter, violations: &mut Violations) -> Output {
    match v1::WatchOutput::try_from(number) {
        Ok(v1::WatchOutput::Unspecified) => Output::Quads,
        Ok(v1::WatchOutput::Facts) => {
            if !filter.graphs.is_empty() {
                violations.invalid("filter.graphs", "must be empty for facts, which are of no graph");
            }
            if filter.default_graph {
                violations.invalid(
                    "filter.default_graph",
                    "must be unset for facts, which are of no graph",
                );
            }
            Output::Facts
        }
        Err(_) => {
            violations.invalid("output", format!("{number} is no output"));
            Output::Quads
        }
    }
}

pub(super) fn checkpoint_interval(
    interval: Option<prost_types::Duration>,
    violations: &mut Violations,
) -> Duration {
    let Some(interval) = interval else {
        return CHECKPOINT_INTERVAL_DEFAULT;
    };
    let interval = Duration::try_from(interval).ok();
    let range = CHECKPOINT_INTERVAL_MIN..=CHECKPOINT_INTERVAL_MAX;
    interval
        .filter(|interval| range.contains(interval))
        .unwrap_or_else(|| {
            violations.invalid("checkpoint_interval", "must be from 1 second to 5 minutes");
            CHECKPOINT_INTERVAL_DEFAULT
        })
}

/// Returns a time in microseconds since 1970, rounded up: commits are told apart to the microsecond.
pub(super) fn time_us(field: &str, time: Option<Timestamp>, violations: &mut Violations) -> Option<u64> {
    let time = time?;
    if !(SECONDS_MIN..=SECONDS_MAX).contains(&time.seconds) || !(0..=NANOS_MAX).contains(&time.nanos) {
        violations.invalid(field, "not a time of the years 1 to 9999");
        return None;
    }
    let nanos = u64::from(time.nanos.unsigned_abs());
    // Nothing was committed before 1970.
    let seconds = u64::try_from(time.seconds);
    Some(seconds.map_or(0, |seconds| seconds * 1_000_000 + nanos.div_ceil(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_checked_at_their_limits() {
        let check = |seconds, nanos, expected: Option<u64>| {
            let mut violations = Violations::default();
            let interval =
                checkpoint_interval(Some(prost_types::Duration { seconds, nanos }), &mut violations);
            assert_eq!(violations.finish().is_ok(), expected.is_some());
            assert_eq!(interval, Duration::from_secs(expected.unwrap_or(10)));
        };
        check(1, 0, Some(1));
        check(0, 999_999_999, None);
        check(300, 0, Some(300));
        check(300, 1, None);
        check(-1, 0, None);
    }

    #[test]
    fn times_are_rounded_up_to_the_microsecond() {
        let check = |seconds, nanos, expected: Option<u64>| {
            let mut violations = Violations::default();
            let time = Some(Timestamp { seconds, nanos });
            assert_eq!(time_us("t", time, &mut violations), expected);
            assert_eq!(violations.finish().is_ok(), expected.is_some());
        };
        check(0, 0, Some(0));
        check(1, 1, Some(1_000_001));
        check(1, 1_000, Some(1_000_001));
        check(-1, 999_999_999, Some(0));
        check(SECONDS_MIN, 0, Some(0));
        check(SECONDS_MIN - 1, 0, None);
        check(SECONDS_MAX, NANOS_MAX, Some(253_402_300_800_000_000));
        check(SECONDS_MAX + 1, 0, None);
        check(0, -1, None);
        check(0, NANOS_MAX + 1, None);
    }

    #[test]
    fn a_part_of_a_filter_has_so_many_names_and_no_more() {
        let check = |count, is_fine| {
            let mut violations = Violations::default();
            let request = v1::ChangeFilter {
                subjects: (0..count).map(|index| format!("e:{index}")).collect(),
                ..v1::ChangeFilter::default()
            };
            filter(&request, &mut violations);
            assert_eq!(violations.finish().is_ok(), is_fine);
        };
        check(NAME_COUNT_MAX, true);
        check(NAME_COUNT_MAX + 1, false);
    }
}
