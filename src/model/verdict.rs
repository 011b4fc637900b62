//! The verdict on "is it so that `s p o`, on this day?".
//!
//! It is the first of these that applies. Only live statements are looked at; *accepted* is as in [`Evidence::is_accepted`].
//!
//! 1. [`Verdict::Disputed`]: a statement of the triple has the standing disputed and its time does not exclude the day, or one
//!    that is accepted and a plain triple or accepted statement against it both certainly hold, or one that is accepted and certainly
//!    holds or denies it is opposed ([`Evidence::opposed`]). A statement that opposes has to be accepted itself: that a disputed,
//!    unconfirmed or rejected one disputes a fact leaves it as it is.
//! 2. [`Verdict::True`]: an accepted statement certainly holds on the day, and is not hidden by a preferred sibling of another
//!    object; or the triple is plain, which has no time and needs no statement.
//! 3. [`Verdict::False`]: an accepted statement certainly denies it, or that there is one at all; or the times of all accepted ones exclude the day; or the
//!    predicate is closed for the subject ([`Question::closed`]) and no accepted statement has the object.
//! 4. [`Verdict::Unconfirmed`]: all there is are plans, expectations, judgements, reports, attributions or unconfirmed
//!    statements, of a time that does not exclude the day.
//! 5. [`Verdict::Unknown`]: all else. That nothing is recorded does not make it false.
//!
//! Asked whether there is some value, `d:SomeValue` is an object like any other; but that the predicate is closed says nothing of it.
//!
//! What is true here holds by the truthy rule ([`super::truthy`]) or plainly, but that there is some value. What holds by that rule can be unknown here, as
//! it takes a side where a verdict does not: after the last observation, for one.

mod bystanders;
#[cfg(test)]
mod tests;

use std::fmt;

use super::day::Day;
use super::fact::{Stance, Standing};
use super::truthy::Evidence;
use super::validity::{Certainty, Uncertainty};
pub use bystanders::bystanders;

/// Is it so that subject, predicate and object, on a day?
#[derive(Clone, Copy, Debug)]
pub struct Question<'a, O> {
    /// All statements of the subject and the predicate, of whatever object.
    pub statements: &'a [Evidence<O>],
    /// The object.
    pub object: O,
    /// The day.
    pub day: Day,
    /// Whether the triple is in the default graph by itself, not because it is derived.
    pub plain: bool,
    /// Whether every object that the subject has by the predicate is recorded: `d:closedFor`, a fact like any other, which
    /// may be plain or stated, with its source and time, and closes where its own verdict is true.
    pub closed: bool,
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// It is only said, reported, planned or expected to be so.
    Unconfirmed,
    /// It is contested.
    Disputed,
    /// What is recorded does not tell.
    Unknown,
}

/// A verdict, and what it rests on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// Why it is so.
    pub rule: Rule,
    /// The indices of the statements that decided, in their order. Empty if none did.
    pub statements: Vec<usize>,
}

impl Judgement {
    /// Returns the verdict.
    pub fn verdict(&self) -> Verdict {
        self.rule.verdict()
    }
}

/// Why a verdict is what it is. [`fmt::Display`] writes it as an English phrase.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// A statement has the standing disputed: Kono's "South Korea does not understand the regional security situation".
    Contested,
    /// Accepted statements contradict each other: one says that Jerusalem is the capital, one denies it.
    Contradicted,
    /// Another accepted statement disputes one that decides, or has another value where there can be one only: born in 1953, says one, and
    /// another that it was 1954.
    Opposed,
    /// An accepted statement certainly holds: South Korea on the white list, on 2019-08-27.
    Stated,
    /// A plain triple, without statements: `e:KR a schema:Country`.
    Plain,
    /// An accepted statement denies it, or that there is any: the end of GSOMIA does not end all sharing of intelligence.
    Denied,
    /// Every accepted time excludes the day: GSOMIA, of 2016, in force on 2015-01-01.
    OutsideTime,
    /// Every object is recorded, and this is none: China as a party to GSOMIA.
    NotAmongAll,
    /// Said without confirmation: F19, asserted but not taken as a fact.
    Unconfirmed,
    /// Said by somebody: "Seoul broke its word".
    Attributed,
    /// Reported at second hand: the demand for 5 billion dollars.
    Reported,
    /// Planned: the end of GSOMIA.
    Planned,
    /// Expected: that a crisis takes longer to handle.
    Projected,
    /// Judged: that Seoul should share intelligence with Tokyo.
    Opinion,
    /// An accepted statement may hold or not: restrictions since July 2019, on 2019-07-01.
    Uncertain(Uncertainty),
    /// Accepted, but a preferred sibling says something else: "signed in 2016", where 2016-11-23 is preferred.
    Hidden,
    /// An accepted denial may hold or not: denied in 2019, asked for 2019-06-01.
    DenialUncertain(Uncertainty),
    /// There is such a thing, which is not known: the author of the article.
    SomeValue,
    /// Denied by a claim that nobody confirmed.
    OnlyDenied,
    /// Recorded, but held to be wrong: GSOMIA's end on 24 August.
    Rejected,
    /// Planned, reported or the like, but for another time: removal on 2019-08-28, on the day before.
    PlannedElsewhen,
    /// Nothing that is recorded is about it: the prime minister of Japan.
    NothingRecorded,
}

impl Rule {
    /// Returns the verdict.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Contested | Self::Contradicted | Self::Opposed => Verdict::Disputed,
            Self::Stated | Self::Plain => Verdict::True,
            Self::Denied | Self::OutsideTime | Self::NotAmongAll => Verdict::False,
            Self::Unconfirmed
            | Self::Attributed
            | Self::Reported
            | Self::Planned
            | Self::Projected
            | Self::Opinion => Verdict::Unconfirmed,
            Self::Uncertain(_)
            | Self::Hidden
            | Self::DenialUncertain(_)
            | Self::SomeValue
            | Self::OnlyDenied
            | Self::Rejected
            | Self::PlannedElsewhen
            | Self::NothingRecorded => Verdict::Unknown,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Contested => "disputed",
            Self::Contradicted => "both accepted and denied",
            Self::Opposed => "accepted, and so is what contradicts it",
            Self::Stated => "accepted",
            Self::Plain => "a plain triple",
            Self::Denied => "denied",
            Self::OutsideTime => "not at that time",
            Self::NotAmongAll => "not among the objects, all of which are recorded",
            Self::Unconfirmed => "stated, not confirmed",
            Self::Attributed => "said by somebody, not confirmed",
            Self::Reported => "reported, not confirmed",
            Self::Planned => "planned, not accomplished",
            Self::Projected => "expected, not accomplished",
            Self::Opinion => "a judgement, not a fact",
            Self::Uncertain(why) => return why.fmt(formatter),
            Self::Hidden => "accepted, but another statement is preferred",
            Self::DenialUncertain(why) => return write!(formatter, "denied, but the denial {}", Denial(why)),
            Self::SomeValue => "there is one, but it is not known",
            Self::OnlyDenied => "denied, not confirmed",
            Self::Rejected => "stated, but rejected",
            Self::PlannedElsewhen => "not confirmed, and for another time",
            Self::NothingRecorded => "nothing is recorded",
        })
    }
}

/// Why a denial may hold or not, after "the denial".
struct Denial<'a>(&'a Uncertainty);

impl fmt::Display for Denial<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Uncertainty::NeverKnown => formatter.write_str("has no day on which it is known to hold"),
            Uncertainty::FirstKnown(_) | Uncertainty::LastKnown(_) => write!(formatter, "was {}", self.0),
            Uncertainty::Start(_) | Uncertainty::End(_) => self.0.fmt(formatter),
        }
    }
}

/// Returns the verdict on a question. The order of the statements does not matter.
pub fn judge<O: Eq>(question: &Question<'_, O>) -> Judgement {
    // One of the same object takes nothing away: with it, the object holds all the same.
    let hides = question.statements.iter().any(|statement| {
        statement.object != question.object
            && statement.standing == Standing::Preferred
            && statement.counts(question.day)
    });
    let roles = || {
        question
            .statements
            .iter()
            .map(|statement| role(statement, question, hides))
    };
    let mut seen = Seen::default();
    for role in roles() {
        seen.add(role);
    }
    let rule = seen.rule(question.plain, question.closed);
    let statements = roles()
        .enumerate()
        .filter(|(_, role)| role.decides(rule))
        .map(|(index, _)| index)
        .collect();
    Judgement { rule, statements }
}

/// What a statement says to a question.
#[derive(Clone, Copy)]
enum Role {
    /// Nothing.
    Silent,
    Contested,
    /// An accepted statement that certainly holds, or that would if no preferred one hid it.
    Holds {
        hidden: bool,
        opposed: bool,
    },
    /// An accepted statement that may hold or not.
    MayHold(Uncertainty),
    /// One that may hold or not, and is hidden.
    HiddenMayHold,
    /// An accepted statement whose time excludes the day.
    OutsideTime,
    Denies {
        opposed: bool,
    },
    MayDeny(Uncertainty),
    /// An accepted statement of an object that is not known.
    SomeValue,
    /// A statement that is not accepted, by the rule that it makes.
    Weak(Rule),
    WeakElsewhen,
    WeakDenial,
    Rejected,
}

fn role<O: Eq>(statement: &Evidence<O>, question: &Question<'_, O>, hides: bool) -> Role {
    if !statement.live {
        return Role::Silent;
    }
    let hidden = hides && statement.standing == Standing::Accepted;
    let certainty = statement.validity.holds_at(question.day);
    let excluded = certainty == Certainty::CertainlyNot;
    let opposed = statement.opposed;
    if statement.object != question.object {
        // That there is one says nothing of this one; that there is none does.
        let is_about_all = statement.is_some_value && statement.is_accepted();
        return match (statement.negated, certainty) {
            _ if !is_about_all => Role::Silent,
            (true, Certainty::Certainly) => Role::Denies { opposed },
            (true, Certainty::Uncertain(why)) => Role::MayDeny(why),
            (false, Certainty::Certainly | Certainty::Uncertain(_)) if !hidden => Role::SomeValue,
            _ => Role::Silent,
        };
    }
    match statement.standing {
        Standing::Disputed if !excluded => Role::Contested,
        Standing::Rejected if !excluded => Role::Rejected,
        Standing::Disputed | Standing::Rejected => Role::Silent,
        _ if statement.is_accepted() => match (statement.negated, certainty) {
            (false, Certainty::Certainly) => Role::Holds { hidden, opposed },
            (false, Certainty::Uncertain(_)) if hidden => Role::HiddenMayHold,
            (false, Certainty::Uncertain(why)) => Role::MayHold(why),
            (false, Certainty::CertainlyNot) => Role::OutsideTime,
            (true, Certainty::Certainly) => Role::Denies { opposed },
            (true, Certainty::Uncertain(why)) => Role::MayDeny(why),
            (true, Certainty::CertainlyNot) => Role::Silent,
        },
        _ => match (statement.negated, excluded) {
            (false, false) => Role::Weak(weak_rule(statement.stance)),
            (false, true) => Role::WeakElsewhen,
            (true, false) => Role::WeakDenial,
            (true, true) => Role::Silent,
        },
    }
}

fn weak_rule(stance: Stance) -> Rule {
    match stance {
        Stance::Asserted => Rule::Unconfirmed,
        Stance::Attributed => Rule::Attributed,
        Stance::Reported => Rule::Reported,
        Stance::Planned => Rule::Planned,
        Stance::Projected => Rule::Projected,
        Stance::Opinion => Rule::Opinion,
    }
}

impl Role {
    /// Tells whether statements of this role are what a rule rests on.
    fn decides(self, rule: Rule) -> bool {
        match rule {
            Rule::Contested => matches!(self, Self::Contested),
            Rule::Contradicted => matches!(self, Self::Holds { .. } | Self::Denies { .. }),
            Rule::Opposed => matches!(
                self,
                Self::Holds { opposed: true, .. } | Self::Denies { opposed: true }
            ),
            Rule::Stated => matches!(self, Self::Holds { hidden: false, .. }),
            Rule::Denied => matches!(self, Self::Denies { .. }),
            Rule::OutsideTime => matches!(self, Self::OutsideTime),
            Rule::Unconfirmed
            | Rule::Attributed
            | Rule::Reported
            | Rule::Planned
            | Rule::Projected
            | Rule::Opinion => matches!(self, Self::Weak(_)),
            Rule::Uncertain(_) => matches!(self, Self::MayHold(_)),
            Rule::Hidden => matches!(self, Self::Holds { hidden: true, .. } | Self::HiddenMayHold),
            Rule::DenialUncertain(_) => matches!(self, Self::MayDeny(_)),
            Rule::SomeValue => matches!(self, Self::SomeValue),
            Rule::OnlyDenied => matches!(self, Self::WeakDenial),
            Rule::Rejected => matches!(self, Self::Rejected),
            Rule::PlannedElsewhen => matches!(self, Self::WeakElsewhen),
            Rule::Plain | Rule::NotAmongAll | Rule::NothingRecorded => false,
        }
    }
}

/// Which roles the statements have.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each role is there or not, in any combination"
)]
struct Seen {
    contested: bool,
    opposed: bool,
    holds: bool,
    hidden_holds: bool,
    may_hold: Option<Uncertainty>,
    hidden_may_hold: bool,
    outside_time: bool,
    denies: bool,
    may_deny: Option<Uncertainty>,
    some_value: bool,
    weak: Option<Rule>,
    weak_elsewhen: bool,
    weak_denial: bool,
    rejected: bool,
}

impl Seen {
    fn add(&mut self, role: Role) {
        match role {
            Role::Silent => {}
            Role::Contested => self.contested = true,
            Role::Holds { hidden, opposed } => {
                self.holds |= !hidden;
                self.hidden_holds |= hidden;
                self.opposed |= opposed;
            }
            Role::MayHold(why) => self.may_hold = Some(told_most(self.may_hold, why)),
            Role::HiddenMayHold => self.hidden_may_hold = true,
            Role::OutsideTime => self.outside_time = true,
            Role::Denies { opposed } => {
                self.denies = true;
                self.opposed |= opposed;
            }
            Role::MayDeny(why) => self.may_deny = Some(told_most(self.may_deny, why)),
            Role::SomeValue => self.some_value = true,
            Role::Weak(weak) => self.weak = Some(self.weak.map_or(weak, |other| nearer(other, weak))),
            Role::WeakElsewhen => self.weak_elsewhen = true,
            Role::WeakDenial => self.weak_denial = true,
            Role::Rejected => self.rejected = true,
        }
    }

    fn rule(&self, plain: bool, closed: bool) -> Rule {
        let hidden = self.hidden_holds || self.hidden_may_hold;
        let perhaps = hidden || self.may_hold.is_some();
        if self.contested {
            Rule::Contested
        } else if self.denies && (plain || self.holds || self.hidden_holds) {
            Rule::Contradicted
        } else if self.opposed {
            Rule::Opposed
        } else if self.holds {
            Rule::Stated
        } else if plain {
            Rule::Plain
        } else if self.denies {
            Rule::Denied
        } else if self.outside_time && !perhaps {
            Rule::OutsideTime
        } else if closed && !perhaps && !self.some_value {
            Rule::NotAmongAll
        } else if let (Some(rule), false) = (self.weak, perhaps) {
            rule
        } else {
            self.unknown(hidden)
        }
    }

    /// Returns why nothing is known, by what tells most.
    fn unknown(&self, hidden: bool) -> Rule {
        if let Some(why) = self.may_hold {
            Rule::Uncertain(why)
        } else if hidden {
            Rule::Hidden
        } else if let Some(why) = self.may_deny {
            Rule::DenialUncertain(why)
        } else if self.weak_elsewhen {
            Rule::PlannedElsewhen
        } else if self.weak_denial {
            Rule::OnlyDenied
        } else if self.rejected {
            Rule::Rejected
        } else if self.some_value {
            Rule::SomeValue
        } else {
            Rule::NothingRecorded
        }
    }
}

fn told_most(one: Option<Uncertainty>, other: Uncertainty) -> Uncertainty {
    match one {
        Some(one) if one.rank() >= other.rank() => one,
        _ => other,
    }
}

/// Returns the rule of the stance that is nearer to a fact.
fn nearer(one: Rule, other: Rule) -> Rule {
    const NEAREST_FIRST: [Rule; 6] = [
        Rule::Unconfirmed,
        Rule::Attributed,
        Rule::Reported,
        Rule::Planned,
        Rule::Projected,
        Rule::Opinion,
    ];
    NEAREST_FIRST
        .into_iter()
        .find(|rule| *rule == one || *rule == other)
        .unwrap_or(one)
}
