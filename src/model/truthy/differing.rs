//! Where a property that can have one value only has two on one day.

use std::collections::BTreeSet;

use super::{super::day::Day, super::fact::Standing, Evidence, supporting};

/// Objects of one day that are looked at for two that differ. More of them do not all refine each other.
const LOOKED_AT_COUNT_MAX: usize = 100;

/// Returns two statements of different objects that hold on a day, and of which neither makes the other more precise.
pub fn differing_on<O: Copy + Ord>(
    statements: &[Evidence<O>],
    day: Day,
    mut refine: impl FnMut(usize, usize) -> bool,
) -> Option<[usize; 2]> {
    let holding = supporting(statements, day).map(|index| (statements[index].object, index));
    first_pair(&holding.collect(), &mut refine)
}

/// Returns two statements of different objects that hold on one day, whichever, and of which neither makes the other more precise.
///
/// What holds changes only where a time begins or ends, so that those days are gone through, with what holds on each.
pub fn differing<O: Copy + Ord>(
    statements: &[Evidence<O>],
    mut refine: impl FnMut(usize, usize) -> bool,
) -> Option<[usize; 2]> {
    let mut changes = Vec::new();
    for (index, statement) in statements.iter().enumerate().filter(|(_, one)| one.can_count()) {
        if let Some((from, until)) = statement.validity.presumed() {
            changes.push((from, true, index));
            changes.extend(until.map(|until| (Some(until), false, index)));
        }
    }
    changes.sort_unstable();
    let [mut accepted, mut preferred] = [BTreeSet::new(), BTreeSet::new()];
    for of_day in changes.chunk_by(|one, other| one.0 == other.0) {
        for &(_, begins, index) in of_day {
            let statement = &statements[index];
            let holding = if statement.standing == Standing::Preferred {
                &mut preferred
            } else {
                &mut accepted
            };
            if begins {
                holding.insert((statement.object, index));
            } else {
                holding.remove(&(statement.object, index));
            }
        }
        let holding = if preferred.is_empty() {
            &accepted
        } else {
            &preferred
        };
        if let Some(pair) = first_pair(holding, &mut refine) {
            return Some(pair);
        }
    }
    None
}

fn first_pair<O: Copy + Ord>(
    holding: &BTreeSet<(O, usize)>,
    refine: &mut impl FnMut(usize, usize) -> bool,
) -> Option<[usize; 2]> {
    if holding.first().map(|(object, _)| object) == holding.last().map(|(object, _)| object) {
        return None;
    }
    // Of one object or of all, the last differs from the first.
    let ends = holding.iter().take(LOOKED_AT_COUNT_MAX).chain(holding.last());
    let looked_at: Vec<_> = ends.collect();
    for (at, (object, one)) in looked_at.iter().enumerate() {
        let mut others = looked_at[at + 1..].iter().filter(|(other, _)| other != object);
        if let Some((_, other)) = others.find(|(_, other)| !refine(*one, *other)) {
            return Some([*one, *other]);
        }
    }
    None
}
