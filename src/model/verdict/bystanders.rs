//! What statements say of objects that are not their own.

use crate::model::{
    day::Day,
    fact::Standing,
    truthy::Evidence,
    validity::{Certainty, Uncertainty},
};

/// Returns the few statements that count for objects that are not their own: preferred ones, which hide others, and those
/// that there is some value or none.
///
/// The rule for an object is that of its own statements and these. So the objects of a property are judged one by one without
/// going through all its statements for each.
pub fn bystanders<O: Copy + Eq>(statements: &[Evidence<O>], day: Day) -> Vec<Evidence<O>> {
    let mut hiding: Vec<Evidence<O>> = Vec::new();
    let mut denial: Option<Evidence<O>> = None;
    let mut possible_denial: Option<(Uncertainty, Evidence<O>)> = None;
    let mut existence = [None; 2];
    for statement in statements {
        if statement.standing == Standing::Preferred && statement.counts(day) {
            // Of two objects, one at least is another.
            if hiding.len() < 2 && hiding.iter().all(|one| one.object != statement.object) {
                hiding.push(*statement);
            }
            continue;
        }
        if !statement.is_some_value || !statement.is_accepted() {
            continue;
        }
        match (statement.negated, statement.validity.holds_at(day)) {
            (_, Certainty::CertainlyNot) => {}
            (true, Certainty::Certainly) => {
                if denial.is_none_or(|known| !known.opposed) {
                    denial = Some(*statement);
                }
            }
            (true, Certainty::Uncertain(why)) => {
                if possible_denial.is_none_or(|(known, _)| known.rank() < why.rank()) {
                    possible_denial = Some((why, *statement));
                }
            }
            (false, _) => {
                existence[usize::from(statement.standing == Standing::Preferred)] = Some(*statement);
            }
        }
    }
    let possible_denial = possible_denial.map(|(_, statement)| statement);
    hiding
        .into_iter()
        .chain(denial)
        .chain(possible_denial)
        .chain(existence.into_iter().flatten())
        .collect()
}
