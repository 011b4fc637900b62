//! What timelines are made of.

use super::Cursor;
use crate::model::{
    day::Day,
    edtf::Date,
    fact::{Fact, Stance, Standing},
};

/// Which part of a timeline.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Span {
    /// Only what can be on this day or later.
    pub from: Option<Day>,
    /// Only what can be on this day or earlier.
    pub to: Option<Day>,
}

/// A page of a timeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimelinePage {
    /// The entries.
    pub entries: Vec<Moment>,
    /// Where the page ends, if there may be more.
    pub end: Option<Cursor>,
}

/// One date of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// What happens.
    pub kind: MomentKind,
    /// When.
    pub date: Date,
    /// The whole time, as stated.
    pub edtf: String,
    /// The event: an IRI, or a blank node with `_:` before its label. `None` for starts and ends of facts.
    pub event: Option<String>,
    /// The label of the event, in English if there is one.
    pub event_label: String,
    /// The fact that begins or ends, or by which the entity takes part.
    pub fact: Option<Fact>,
    /// How it is put.
    pub stance: Option<Stance>,
    /// The editorial verdict on it.
    pub standing: Option<Standing>,
}

/// What happens.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum MomentKind {
    /// An event.
    Event,
    /// A fact begins to hold.
    FactStart,
    /// A fact ceases to hold.
    FactEnd,
}
