//! Verdicts as protobuf and in words.

use crate::{
    facts::Checked,
    model::{
        day::Day,
        fact::Fact,
        verdict::{Rule, Verdict},
    },
    proto::v1,
};

/// Facts that an explanation names.
const NAMED_COUNT_MAX: usize = 3;

impl From<Verdict> for v1::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::True => Self::True,
            Verdict::False => Self::False,
            Verdict::Unconfirmed => Self::Unconfirmed,
            Verdict::Disputed => Self::Disputed,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

impl From<Rule> for v1::VerdictRule {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Contested => Self::Contested,
            Rule::Contradicted => Self::Contradicted,
            Rule::Opposed => Self::Opposed,
            Rule::Stated => Self::Stated,
            Rule::Plain => Self::Plain,
            Rule::Denied => Self::Denied,
            Rule::OutsideTime => Self::OutsideTime,
            Rule::NotAmongAll => Self::NotAmongAll,
            Rule::Unconfirmed => Self::Unconfirmed,
            Rule::Attributed => Self::Attributed,
            Rule::Reported => Self::Reported,
            Rule::Planned => Self::Planned,
            Rule::Projected => Self::Projected,
            Rule::Opinion => Self::Opinion,
            Rule::Uncertain(_) => Self::Uncertain,
            Rule::Hidden => Self::Hidden,
            Rule::DenialUncertain(_) => Self::DenialUncertain,
            Rule::SomeValue => Self::SomeValue,
            Rule::OnlyDenied => Self::OnlyDenied,
            Rule::Rejected => Self::Rejected,
            Rule::PlannedElsewhen => Self::PlannedElsewhen,
            Rule::NothingRecorded => Self::NothingRecorded,
        }
    }
}

/// Says why a verdict is what it is, and by which statements: `accepted on 2019-08-27, by <…/s/F65> (<…/src/x>, P10)`.
pub(super) fn explain(checked: &Checked, day: Day) -> String {
    let mut text = format!("{}, for {day}", checked.rule);
    let mut named = checked.evidence.iter().filter_map(name).take(NAMED_COUNT_MAX);
    if let Some(first) = named.next() {
        text.push_str(": ");
        text.push_str(&first);
        for name in named {
            text.push_str(", ");
            text.push_str(&name);
        }
    }
    if checked.evidence.len() > NAMED_COUNT_MAX {
        text.push_str(" and others");
    }
    text
}

fn name(fact: &Fact) -> Option<String> {
    let statement = fact.statement.as_deref()?;
    // What is inherited from an event, a claim or an observation has no statement.
    let id = match statement.id.as_str() {
        "" => format!("{} itself", fact.subject),
        id => format!("<{id}>"),
    };
    let Some(source) = statement.sources.first() else {
        return Some(id);
    };
    let locator = match source.locator.as_str() {
        "" => String::new(),
        locator => format!(", {locator}"),
    };
    Some(format!("{id} from <{}>{locator}", source.iri))
}
