//! Statement nodes as the truthy rule and verdicts see them, and what is known of them at a time.

use super::{Budget, Reader, derive::boolean};
use crate::{
    graph::TermId,
    model::{
        day::Day,
        edtf::Bounds,
        fact::{Stance, Standing, UnixTime},
        truthy::Evidence,
        validity::Validity,
    },
};

/// The time that a read looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeView {
    /// The day whose facts hold.
    pub day: Day,
    /// When it was known; `None` is now.
    pub known_at: Option<UnixTime>,
}

/// What a statement node says, as far as it decides what holds.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is said or not, in any combination"
)]
pub(super) struct Record {
    pub(super) id: TermId,
    pub(super) triple: [TermId; 3],
    pub(super) stance: Option<Stance>,
    pub(super) standing: Option<Standing>,
    pub(super) is_negated: bool,
    pub(super) is_some_value: bool,
    pub(super) is_retracted: bool,
    pub(super) has_other_source: bool,
    pub(super) has_source: bool,
    pub(super) bounds: Option<Bounds>,
    /// Whether it says something twice that a statement says once, or what cannot be read: nothing rests on it then. No write leaves
    /// such a node; one from before statements were checked may be there.
    pub(super) is_malformed: bool,
    pub(super) observed: Option<(Day, Day)>,
    pub(super) recorded_at: Option<UnixTime>,
    pub(super) retracted_at: Option<UnixTime>,
}

impl Record {
    /// Tells whether it was recorded by then.
    pub(super) fn is_recorded(&self, view: &TimeView) -> bool {
        match (view.known_at, self.recorded_at) {
            (Some(known_at), Some(recorded_at)) => recorded_at <= known_at,
            _ => true,
        }
    }

    /// Tells whether it was recorded and not yet retracted by then.
    pub(super) fn is_known(&self, view: &TimeView) -> bool {
        let is_retracted = match (view.known_at, self.retracted_at) {
            (Some(known_at), Some(retracted_at)) => retracted_at <= known_at,
            _ => self.is_retracted,
        };
        self.is_recorded(view) && !is_retracted
    }

    /// Returns what the rule looks at; `None` if the statement is not whole.
    pub(super) fn evidence(&self, view: &TimeView) -> Option<Evidence<TermId>> {
        if self.is_malformed {
            return None;
        }
        let observed = self.observed.into_iter().flat_map(|(first, last)| [first, last]);
        Some(Evidence {
            object: self.triple[2],
            stance: self.stance?,
            standing: self.standing?,
            negated: self.is_negated,
            is_some_value: self.is_some_value,
            validity: Validity::new(self.bounds, observed),
            live: self.is_known(view),
            opposed: false,
        })
    }
}

impl Reader<'_> {
    /// Reads a node; `None` if it is no statement. A statement `has_source` if it comes from `source`.
    pub(super) fn record(&self, id: TermId, source: Option<TermId>, budget: &mut Budget) -> Option<Record> {
        let words = &self.words;
        let mut triple = [None; 3];
        let mut is_negation_said = false;
        let mut record = Record {
            id,
            triple: [TermId::MAX; 3],
            stance: None,
            standing: None,
            is_negated: false,
            is_some_value: false,
            is_retracted: false,
            has_other_source: false,
            has_source: false,
            bounds: None,
            is_malformed: false,
            observed: None,
            recorded_at: None,
            retracted_at: None,
        };
        for quad in self.statement_quads(id) {
            budget.step(1);
            let (property, object) = (quad.predicate, quad.object);
            let place = [words.subject, words.predicate, words.object]
                .iter()
                .position(|word| *word == property);
            if let Some(place) = place {
                record.is_malformed |= triple[place].is_some();
                triple[place].get_or_insert(object);
            } else if property == words.stance {
                record.is_malformed |= record.stance.is_some();
                record.stance = self.stance(object);
            } else if property == words.standing {
                record.is_malformed |= record.standing.is_some();
                record.standing = self.standing(object);
            } else if property == words.negated {
                let value = boolean(self.snapshot.view(object));
                record.is_malformed |= is_negation_said || value.is_none();
                is_negation_said = true;
                record.is_negated |= value == Some(true);
            } else if property == words.derived_from {
                record.has_source |= Some(object) == source;
                record.has_other_source |= Some(object) != source;
            } else if property == words.edtf {
                record.is_malformed |= record.bounds.is_some();
                record.bounds = self.literal_text(object).and_then(|text| text.parse().ok());
                record.is_malformed |= record.bounds.is_none();
            } else if property == words.observed_on {
                if let Some(day) = self.literal_text(object).and_then(|text| text.parse().ok()) {
                    let (first, last) = record.observed.unwrap_or((day, day));
                    record.observed = Some((first.min(day), last.max(day)));
                }
            } else if property == words.generated_at {
                record.recorded_at = self.time(object);
            } else if property == words.invalidated_at {
                record.is_retracted = true;
                record.retracted_at = self.time(object);
            }
        }
        record.triple = [triple[0]?, triple[1]?, triple[2]?];
        record.is_some_value = record.triple[2] == words.some_value;
        Some(record)
    }
}
