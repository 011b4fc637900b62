//! What reads are to answer, straight from `docs/`: a list of what was said, gone through as simply as can be. Nothing here
//! uses the rule, the verdicts or the times of the service.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    fact::{Stance, Standing},
    verdict::Verdict,
};

/// Days from the first to before the second, since 1970-01-01.
type Days = (i64, i64);

const ALWAYS: Days = (i64::MIN, i64::MAX);
const NEVER: Days = (0, 0);

/// A time as it is written, and by hand the days that it means.
#[derive(Clone, Copy)]
pub(super) struct Time {
    pub(super) edtf: &'static str,
    pub(super) observed: &'static str,
    /// When it is presumed to hold.
    presumed: Days,
    certain: Days,
    possible: Days,
    /// The first and the last day on which it can begin, and on which it can be there for the last time.
    pub(super) edges: [Option<Days>; 2],
}

const fn time(edtf: &'static str, days: [Days; 3], edges: [Option<Days>; 2]) -> Time {
    let [presumed, certain, possible] = days;
    Time {
        edtf,
        observed: "",
        presumed,
        certain,
        possible,
        edges,
    }
}

const fn observed(observed: &'static str, time: Time) -> Time {
    Time { observed, ..time }
}

const MAX: i64 = i64::MAX;
const MIN: i64 = i64::MIN;
const DAY_8: Option<Days> = Some((7, 7));
const JANUARY: Option<Days> = Some((0, 30));
const FEBRUARY: Option<Days> = Some((31, 58));

pub(super) const TIMES: [Time; 12] = [
    time("", [ALWAYS; 3], [None, None]),
    observed("1970-01-06", time("", [(5, MAX), (5, 6), ALWAYS], [None, None])),
    time("1970-01-08", [(7, 8); 3], [DAY_8, DAY_8]),
    time("1970-01-05/1970-01-08", [(4, 8); 3], [Some((4, 4)), DAY_8]),
    time("1970-01/..", [(30, MAX), (30, MAX), (0, MAX)], [JANUARY, None]),
    observed(
        "1970-01-08",
        time("1970-01/..", [(7, MAX), (7, MAX), (0, MAX)], [JANUARY, None]),
    ),
    time("../1970-01-08", [(MIN, 8); 3], [None, DAY_8]),
    time("/1970-01-08", [NEVER, NEVER, (MIN, 8)], [None, DAY_8]),
    time("1970-01-08/", [(7, MAX), (7, 8), (7, MAX)], [DAY_8, None]),
    time(
        "1970-01/1970-02",
        [(30, 32), (30, 32), (0, 59)],
        [JANUARY, FEBRUARY],
    ),
    observed(
        "1970-02-10",
        time(
            "1970-01/1970-02",
            [(30, 41), (30, 41), (0, 59)],
            [JANUARY, FEBRUARY],
        ),
    ),
    time("1970-02~", [NEVER, NEVER, (0, 90)], [FEBRUARY, FEBRUARY]),
];

/// How something can be put.
pub(super) const MARKS: [(Stance, Standing); 7] = [
    (Stance::Asserted, Standing::Preferred),
    (Stance::Asserted, Standing::Accepted),
    (Stance::Asserted, Standing::Unconfirmed),
    (Stance::Planned, Standing::Unconfirmed),
    (Stance::Attributed, Standing::Unconfirmed),
    (Stance::Reported, Standing::Disputed),
    (Stance::Asserted, Standing::Rejected),
];

/// Subject, predicate and object, by their numbers.
pub(super) type Triple = [u8; 3];
/// The predicate that says when something is.
pub(super) const DATE: u8 = 2;
/// The days of its objects.
pub(super) const DATES: [(&str, Days); 3] = [
    ("1970-01-20", (19, 19)),
    ("1970-02", (31, 58)),
    ("1970", (0, 364)),
];

/// What somebody said; all times are days.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) triple: Triple,
    pub(super) marks: usize,
    pub(super) is_negated: bool,
    pub(super) time: usize,
    pub(super) recorded: i64,
    pub(super) retracted: Option<i64>,
    pub(super) revises: Option<usize>,
    pub(super) disputes: Option<usize>,
}

/// All that was said, and what is plain.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) said: Vec<Said>,
    pub(super) plain: BTreeSet<Triple>,
}

/// A day, and when it was known.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) day: i64,
    pub(super) known: Option<i64>,
}

/// A triple, who says it if anybody does, and whether it holds.
pub(super) type Row = (Triple, Option<usize>, bool);

const fn is_in(days: Days, day: i64) -> bool {
    days.0 <= day && day < days.1
}

impl Said {
    fn is_recorded(&self, at: At) -> bool {
        at.known.is_none_or(|known| self.recorded <= known)
    }

    pub(super) fn is_known(&self, at: At) -> bool {
        let is_retracted = match at.known {
            None => self.retracted.is_some(),
            Some(known) => self.retracted.is_some_and(|retracted| retracted <= known),
        };
        self.is_recorded(at) && !is_retracted
    }

    fn standing(&self) -> Standing {
        MARKS[self.marks].1
    }

    /// Tells whether it is taken as true, or as false if it is negated.
    fn is_accepted(&self) -> bool {
        matches!(self.standing(), Standing::Accepted | Standing::Preferred)
    }

    fn is_presumed(&self, day: i64) -> bool {
        is_in(TIMES[self.time].presumed, day)
    }

    fn is_certain(&self, day: i64) -> bool {
        is_in(TIMES[self.time].certain, day)
    }

    fn is_possible(&self, day: i64) -> bool {
        is_in(TIMES[self.time].possible, day)
    }

    fn counts(&self, day: i64) -> bool {
        self.is_accepted() && !self.is_negated && self.is_presumed(day)
    }
}

impl Oracle {
    fn known(&self, at: At) -> impl Iterator<Item = (usize, &Said)> {
        self.said
            .iter()
            .enumerate()
            .filter(move |(_, said)| said.is_known(at))
    }

    /// What is known of a subject and predicate.
    fn group(&self, triple: Triple, at: At) -> Vec<Said> {
        let known = self.known(at).map(|(_, said)| *said);
        known.filter(|said| said.triple[..2] == triple[..2]).collect()
    }

    /// Whether something said is itself a reason why it is so.
    pub(super) fn holds(&self, index: usize, at: At) -> bool {
        let said = &self.said[index];
        let is_preferred = |said: &Said| said.standing() == Standing::Preferred;
        let has_preferred = || {
            let group = self.group(said.triple, at);
            group
                .iter()
                .any(|other| is_preferred(other) && other.counts(at.day))
        };
        said.is_known(at) && said.counts(at.day) && (is_preferred(said) || !has_preferred())
    }

    fn row(&self, at: At, index: usize) -> Row {
        (self.said[index].triple, Some(index), self.holds(index, at))
    }

    /// The facts about an entity: what is said and holds, and what is plain and nothing makes hold.
    pub(super) fn entity(&self, subject: u8, at: At) -> BTreeSet<Row> {
        let stated = self.known(at).map(|(index, _)| self.row(at, index));
        let mut rows: BTreeSet<Row> = stated.filter(|row| row.0[0] == subject && row.2).collect();
        for triple in self.plain.iter().filter(|triple| triple[0] == subject) {
            if rows.iter().all(|row| row.0 != *triple) {
                rows.insert((*triple, None, true));
            }
        }
        rows
    }

    /// The versions of a subject and predicate: the day of each, with what it says and whether it was retracted by then.
    pub(super) fn about(&self, [subject, predicate]: [u8; 2], at: At) -> BTreeSet<(i64, Row, bool)> {
        let indices = 0..self.said.len();
        self.versions(
            at,
            indices.filter(|index| self.said[*index].triple[..2] == [subject, predicate]),
        )
    }

    /// The versions that one replaces and that replace it.
    pub(super) fn chain(&self, first: usize, at: At) -> BTreeSet<(i64, Row, bool)> {
        let mut chain = BTreeSet::from([first]);
        for _ in &self.said {
            for (index, said) in self.said.iter().enumerate() {
                if let Some(old) = said.revises
                    && (chain.contains(&old) || chain.contains(&index))
                {
                    chain.extend([old, index]);
                }
            }
        }
        self.versions(at, chain.into_iter())
    }

    fn versions(&self, at: At, indices: impl Iterator<Item = usize>) -> BTreeSet<(i64, Row, bool)> {
        indices
            .filter(|index| self.said[*index].is_recorded(at))
            .map(|index| {
                let said = &self.said[index];
                (said.recorded, self.row(at, index), !said.is_known(at))
            })
            .collect()
    }

    /// What is stated of a subject and predicate, by object and whether that is denied: the verdict on the object, and the facts.
    pub(super) fn compare(&self, pair: [u8; 2], at: At) -> BTreeMap<(u8, bool), (Verdict, BTreeSet<Row>)> {
        let mut sides = BTreeMap::<_, BTreeSet<Row>>::new();
        for (index, said) in self.known(at).filter(|(_, said)| said.triple[..2] == pair) {
            let side = sides.entry((said.triple[2], said.is_negated)).or_default();
            side.insert(self.row(at, index));
        }
        for triple in self.plain.iter().filter(|triple| triple[..2] == pair) {
            let side = sides.entry((triple[2], false)).or_default();
            if side.iter().all(|row| !row.2) {
                side.insert((*triple, None, true));
            }
        }
        let judged = sides.into_iter().map(|((object, is_negated), rows)| {
            let verdict = self.verdict([pair[0], pair[1], object], at);
            ((object, is_negated), (verdict, rows))
        });
        judged.collect()
    }

    /// Whether something is contested or held to be wrong, disputes or is disputed, or is denied and said.
    pub(super) fn conflicts(&self, pair: [u8; 2], at: At) -> bool {
        let group = self.group([pair[0], pair[1], 0], at);
        let is_of_pair = |index: usize| self.said[index].triple[..2] == pair;
        let is_disputed = self.known(at).any(|(index, said)| {
            let disputed = said.disputes.filter(|disputed| self.said[*disputed].is_known(at));
            disputed.is_some_and(|disputed| is_of_pair(index) || is_of_pair(disputed))
        });
        is_disputed
            || group.iter().any(|said| {
                let is_said = || {
                    self.plain.contains(&said.triple)
                        || group
                            .iter()
                            .any(|other| !other.is_negated && other.triple == said.triple)
                };
                matches!(said.standing(), Standing::Disputed | Standing::Rejected)
                    || (said.is_negated && is_said())
            })
    }

    fn verdict(&self, triple: Triple, at: At) -> Verdict {
        let group = self.group(triple, at);
        let day = at.day;
        let is_hidden = group
            .iter()
            .any(|said| said.triple != triple && said.standing() == Standing::Preferred && said.counts(day));
        let own: Vec<_> = group.iter().filter(|said| said.triple == triple).collect();
        let any = |test: &dyn Fn(&Said) -> bool| own.iter().any(|said| test(said));
        let is_plain = self.plain.contains(&triple);
        let is_denied = any(&|said| said.is_accepted() && said.is_negated && said.is_certain(day));
        let is_certain = any(&|said| said.is_accepted() && !said.is_negated && said.is_certain(day));
        let is_seen = any(&|said| {
            let is_hidden = is_hidden && said.standing() == Standing::Accepted;
            said.is_accepted() && !said.is_negated && said.is_certain(day) && !is_hidden
        });
        let is_possible = any(&|said| said.is_accepted() && !said.is_negated && said.is_possible(day));
        let is_accepted = any(&|said| said.is_accepted() && !said.is_negated);
        let is_contested = any(&|said| said.standing() == Standing::Disputed && said.is_possible(day));
        let decides = |said: &Said| said.is_accepted() && said.is_certain(day);
        let is_opposed = self.known(at).any(|(_, said)| {
            let disputed = said.disputes.map(|disputed| &self.said[disputed]);
            decides(said)
                && disputed.is_some_and(|one| one.triple == triple && one.is_known(at) && decides(one))
        });
        if is_contested || is_opposed || (is_denied && (is_plain || is_certain)) {
            Verdict::Disputed
        } else if is_seen || is_plain {
            Verdict::True
        } else if is_denied || (is_accepted && !is_possible) {
            Verdict::False
        } else if !is_possible
            && any(&|said| {
                said.standing() == Standing::Unconfirmed && !said.is_negated && said.is_possible(day)
            })
        {
            Verdict::Unconfirmed
        } else {
            Verdict::Unknown
        }
    }

    /// The dates of a timeline: kind (`event`, `start`, `end`), the event or the statement, its first day and its last.
    pub(super) fn timeline(&self, entity: u8, at: At) -> BTreeSet<(&'static str, usize, Days)> {
        let mut entries = BTreeSet::new();
        for (index, said) in self.known(at).filter(|(_, said)| said.triple[0] == entity) {
            let [start, end] = TIMES[said.time].edges;
            entries.extend(start.map(|days| ("start", index, days)));
            entries.extend(end.map(|days| ("end", index, days)));
        }
        let stated = self
            .known(at)
            .filter(|(_, said)| !said.is_negated && said.standing() != Standing::Rejected);
        let links: BTreeSet<Triple> = stated
            .map(|(_, said)| said.triple)
            .chain(self.plain.iter().copied())
            .filter(|triple| triple[1] != DATE)
            .collect();
        let mut events = BTreeSet::from([entity]);
        events.extend(
            links
                .iter()
                .filter(|triple| triple[0] == entity)
                .map(|triple| triple[2]),
        );
        events.extend(
            links
                .iter()
                .filter(|triple| triple[2] == entity)
                .map(|triple| triple[0]),
        );
        for event in events {
            let date = self.date(event, at);
            entries.extend(date.map(|days| ("event", usize::from(event), days)));
        }
        entries
    }

    /// When an event is, on whatever day that is asked: the earliest of what is plain or accepted (or, where there are such,
    /// preferred), or else of what is said and not rejected.
    fn date(&self, event: u8, at: At) -> Option<Days> {
        let group = self.group([event, DATE, 0], at);
        let said = |standings: &[Standing]| {
            let said = group
                .iter()
                .filter(|said| !said.is_negated && standings.contains(&said.standing()));
            said.map(|said| said.triple[2]).collect::<Vec<_>>()
        };
        let plain = self.plain.iter().filter(|triple| triple[..2] == [event, DATE]);
        let mut best = said(&[Standing::Preferred]);
        if best.is_empty() {
            best = said(&[Standing::Accepted]);
        }
        best.extend(plain.map(|triple| triple[2]));
        if best.is_empty() {
            best = said(&[Standing::Unconfirmed, Standing::Disputed]);
        }
        best.into_iter().map(|object| DATES[usize::from(object)].1).min()
    }
}
