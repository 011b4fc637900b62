//! Facts as people read them.

use clap::ValueEnum;
use comfy_table::Cell;

use super::{
    output::Output,
    term::{Prefixes, printable},
};
use crate::proto::v1::{Basis, Fact, Source, Stance, Standing, Term, ValidTime, term::Term as Kind};

/// A standing as an argument.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandingArg {
    Preferred,
    Accepted,
    Unconfirmed,
    Disputed,
    Rejected,
}

impl StandingArg {
    pub(super) fn to_proto(self) -> Standing {
        match self {
            Self::Preferred => Standing::Preferred,
            Self::Accepted => Standing::Accepted,
            Self::Unconfirmed => Standing::Unconfirmed,
            Self::Disputed => Standing::Disputed,
            Self::Rejected => Standing::Rejected,
        }
    }
}

/// A stance as an argument.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub(super) enum StanceArg {
    Asserted,
    Attributed,
    Reported,
    Planned,
    Projected,
    Opinion,
}

/// What a fact rests on, as an argument.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub(super) enum BasisArg {
    Stated,
    Inferred,
    Background,
}

impl StanceArg {
    pub(super) fn to_proto(self) -> Stance {
        match self {
            Self::Asserted => Stance::Asserted,
            Self::Attributed => Stance::Attributed,
            Self::Reported => Stance::Reported,
            Self::Planned => Stance::Planned,
            Self::Projected => Stance::Projected,
            Self::Opinion => Stance::Opinion,
        }
    }
}

impl BasisArg {
    pub(super) fn to_proto(self) -> Basis {
        match self {
            Self::Stated => Basis::Stated,
            Self::Inferred => Basis::Inferred,
            Self::Background => Basis::Background,
        }
    }
}

/// The columns of [`cells`].
pub(super) const COLUMNS: [&str; 6] = ["SUBJECT", "PREDICATE", "OBJECT", "STANDING", "TIME", "SOURCE"];

/// Returns the cells of a fact, one for each of [`COLUMNS`].
pub(super) fn cells(fact: &Fact, prefixes: &Prefixes, output: &Output) -> Vec<Cell> {
    let object = fact
        .object
        .as_ref()
        .map(|term| prefixes.show(term))
        .unwrap_or_default();
    vec![
        Cell::new(subject(&fact.subject, prefixes)),
        Cell::new(prefixes.shorten(&fact.predicate)),
        Cell::new(object),
        output.standing(fact.standing(), standing(fact)),
        Cell::new(fact.valid_time.as_ref().map(time).unwrap_or_default()),
        Cell::new(sources(&fact.sources, prefixes)),
    ]
}

/// Returns the subject as a term: an IRI, or a blank node where it begins with `_:`.
pub(super) fn subject_term(subject: &str) -> Term {
    let kind = match subject.strip_prefix("_:") {
        Some(label) => Kind::BlankNode(label.to_owned()),
        None => Kind::Iri(subject.to_owned()),
    };
    Term { term: Some(kind) }
}

/// Returns the sources with their places, one after the other.
pub(super) fn sources(sources: &[Source], prefixes: &Prefixes) -> String {
    let show = |source: &Source| match source.locator.as_str() {
        "" => prefixes.shorten(&source.iri),
        locator => format!("{} {}", prefixes.shorten(&source.iri), printable(locator)),
    };
    sources.iter().map(show).collect::<Vec<_>>().join("; ")
}

/// Returns the word for a standing; empty if it is not stated.
pub(super) fn standing_word(standing: Standing) -> String {
    word(standing.as_str_name(), "STANDING_")
}

/// Returns the time as the statement gives it: EDTF, else the bounds, else the day on which the source says so.
pub(super) fn time(time: &ValidTime) -> String {
    let bounds = match (time.valid_from.as_str(), time.valid_until.as_str()) {
        ("", "") => String::new(),
        (from, "") => format!("from {from}"),
        ("", until) => format!("until {until}"),
        (from, until) => format!("{from} until {until}"),
    };
    let stated = if time.edtf.is_empty() {
        bounds
    } else {
        time.edtf.clone()
    };
    match (stated.is_empty(), time.observed_on.is_empty()) {
        (false, _) => printable(&stated).into_owned(),
        (true, false) => format!("on {}", printable(&time.observed_on)),
        (true, true) => String::new(),
    }
}

pub(super) fn subject(subject: &str, prefixes: &Prefixes) -> String {
    prefixes.show(&subject_term(subject))
}

/// Returns the standing, and what qualifies it: `unconfirmed, reported`.
pub(super) fn standing(fact: &Fact) -> String {
    let mut words = vec![standing_word(fact.standing())];
    // That a source asserts what it says goes without saying.
    if !matches!(fact.stance(), Stance::Unspecified | Stance::Asserted) {
        words.push(word(fact.stance().as_str_name(), "STANCE_"));
    }
    if fact.negated {
        words.push("denied".to_owned());
    }
    words.retain(|word| !word.is_empty());
    words.join(", ")
}

/// Returns an enum value's name as people write it, without its prefix; empty if it is unspecified.
pub(super) fn word(name: &str, prefix: &str) -> String {
    let word = name.strip_prefix(prefix).unwrap_or(name).to_lowercase();
    if word == "unspecified" {
        String::new()
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_stated() {
        let check = |[edtf, valid_from, valid_until, observed_on]: [&str; 4], expected: &str| {
            let stated = ValidTime {
                edtf: edtf.to_owned(),
                valid_from: valid_from.to_owned(),
                valid_until: valid_until.to_owned(),
                observed_on: observed_on.to_owned(),
                ..ValidTime::default()
            };
            assert_eq!(time(&stated), expected);
        };
        check(["2019-07/..", "2019-07-01", "", ""], "2019-07/..");
        check(
            ["", "2016-11-23", "2019-11-23", ""],
            "2016-11-23 until 2019-11-23",
        );
        check(["", "2016-11-23", "", "2019-08-27"], "from 2016-11-23");
        check(["", "", "2019-11-23", ""], "until 2019-11-23");
        check(["", "", "", "2019-08-27"], "on 2019-08-27");
        check(["", "", "", ""], "");
    }

    #[test]
    fn standings_come_with_what_qualifies_them() {
        let check = |standing: Standing, stance: Stance, negated: bool, expected: &str| {
            let fact = Fact {
                standing: standing.into(),
                stance: stance.into(),
                negated,
                ..Fact::default()
            };
            assert_eq!(super::standing(&fact), expected);
        };
        check(Standing::Accepted, Stance::Unspecified, false, "accepted");
        check(Standing::Preferred, Stance::Asserted, false, "preferred");
        check(
            Standing::Unconfirmed,
            Stance::Reported,
            false,
            "unconfirmed, reported",
        );
        check(
            Standing::Rejected,
            Stance::Opinion,
            true,
            "rejected, opinion, denied",
        );
        check(Standing::Unspecified, Stance::Unspecified, false, "");
    }

    #[test]
    fn sources_have_their_places() {
        let source = |iri: &str, locator: &str| Source {
            iri: iri.to_owned(),
            locator: locator.to_owned(),
            ..Source::default()
        };
        let shown = sources(&[source("a:x", "P3"), source("a:y", "")], &Prefixes::default());
        assert_eq!(shown, "<a:x> P3; <a:y>");
    }
}
