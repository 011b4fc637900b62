//! Entities, facts, and the statements that facts rest on.

use oxigraph::model::{NamedNode, NamedOrBlankNode, Term};

/// An entity with one page of its facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entity {
    /// Its IRI.
    pub iri: String,
    /// Its labels.
    pub labels: Vec<Text>,
    /// Its other names.
    pub aliases: Vec<Text>,
    /// The IRIs of its types; a blank node has `_:` before its label.
    pub types: Vec<String>,
    /// Facts, without labels, aliases and types.
    pub facts: Vec<Fact>,
}

/// A text, in a language or none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// The language tag in lower case; empty if there is none.
    pub language: String,
}

/// A triple, with a statement about it if there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The subject.
    pub subject: NamedOrBlankNode,
    /// The predicate.
    pub predicate: NamedNode,
    /// The object.
    pub object: Term,
    /// What is stated of it. `None` for a plain triple.
    pub statement: Option<Box<Statement>>,
    /// Whether it holds: a statement by which the truthy rule derives its triple, or a plain triple without one.
    pub holds: bool,
    /// Labels, where they were asked for.
    pub labels: Option<Box<FactLabels>>,
}

/// Labels of the terms of a fact, as far as they have any.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FactLabels {
    /// Of the subject.
    pub subject: Option<Text>,
    /// Of the predicate.
    pub predicate: Option<Text>,
    /// Of the object.
    pub object: Option<Text>,
}

impl Fact {
    /// Returns the standing: that of the statement, and accepted for a plain triple.
    pub fn standing(&self) -> Option<Standing> {
        match &self.statement {
            Some(statement) => statement.standing,
            None => Some(Standing::Accepted),
        }
    }

    /// Returns the stance of the statement.
    pub fn stance(&self) -> Option<Stance> {
        self.statement.as_ref()?.stance
    }
}

/// What a statement node says of its triple.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    /// Its IRI; a blank node has `_:` before its label.
    pub id: String,
    /// The editorial verdict.
    pub standing: Option<Standing>,
    /// How the source put it.
    pub stance: Option<Stance>,
    /// What it rests on.
    pub basis: Option<Basis>,
    /// Whether it denies the triple.
    pub is_negated: bool,
    /// From 0 to 1.
    pub confidence: Option<f64>,
    /// Whose words it is, an IRI or a blank node with `_:` before its label.
    pub attributed_to: Option<String>,
    /// When it holds.
    pub valid_time: ValidTime,
    /// Every property that has no field of its own, or whose value does not fit there.
    pub qualifiers: Vec<(String, Term)>,
    /// The documents that it was taken from.
    pub sources: Vec<Source>,
    /// When it was recorded.
    pub recorded_at: Option<UnixTime>,
    /// When it was retracted.
    pub retracted_at: Option<UnixTime>,
    /// Whether it was retracted, be it that the time cannot be read.
    pub is_retracted: bool,
    /// The statement that it replaces.
    pub revises: Option<String>,
    /// The statements that it disputes.
    pub disputes: Vec<String>,
}

/// A time as seconds and nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnixTime {
    /// Seconds, negative before 1970.
    pub seconds: i64,
    /// Nanoseconds that count forward, below 1,000,000,000.
    pub nanos: i32,
}

/// A valid time as a statement gives it. Empty texts are not stated.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ValidTime {
    /// EDTF level 1.
    pub edtf: String,
    /// The earliest possible first day.
    pub valid_from: String,
    /// The day after the latest possible last day.
    pub valid_until: String,
    /// The day on which the source says so.
    pub observed_on: String,
}

impl ValidTime {
    /// Tells whether no time is stated.
    pub fn is_empty(&self) -> bool {
        self.edtf.is_empty()
            && self.valid_from.is_empty()
            && self.valid_until.is_empty()
            && self.observed_on.is_empty()
    }
}

/// A document. Empty texts are not recorded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Source {
    /// Its IRI; a blank node has `_:` before its label.
    pub iri: String,
    /// Its title.
    pub title: String,
    /// Its publisher, an IRI or a name.
    pub publisher: String,
    /// The place in the source.
    pub locator: String,
    /// What those who show what is taken from it are to name, as its licence asks.
    pub attribution: String,
    /// Its licence, an IRI or a name.
    pub license: String,
}

/// A set of data that was loaded. Empty texts are not recorded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DataSet {
    /// Its IRI; a blank node has `_:` before its label.
    pub iri: String,
    /// Its title.
    pub title: String,
    /// What is in it.
    pub description: String,
    /// The day that it was made on.
    pub created: String,
    /// The day that it was published on.
    pub issued: String,
    /// Its version.
    pub version: String,
    /// What is said of the rights in it.
    pub rights: String,
    /// The IRIs of its licences.
    pub licenses: Vec<String>,
    /// The sources that it was made from.
    pub sources: Vec<String>,
    /// What those who show its data are to name, as the licences ask.
    pub attributions: Vec<String>,
}

/// The editorial verdict on a statement, the strongest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// Holds, and is preferred.
    Preferred,
    /// Holds.
    Accepted,
    /// Not confirmed.
    Unconfirmed,
    /// Sources contradict each other.
    Disputed,
    /// Held to be wrong.
    Rejected,
}

/// How a source put a statement, the strongest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stance {
    /// Asserted by the source itself.
    Asserted,
    /// Said by somebody whom the source names or describes.
    Attributed,
    /// Reported at second hand.
    Reported,
    /// Planned.
    Planned,
    /// Expected.
    Projected,
    /// The author's judgement.
    Opinion,
}

/// What a statement rests on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Basis {
    /// The source says so.
    Stated,
    /// It follows from what the source says.
    Inferred,
    /// It is background from another source.
    Background,
}
