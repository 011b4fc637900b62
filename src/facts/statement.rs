//! Reads statement nodes.

use std::{str::FromStr as _, sync::LazyLock};

use oxigraph::model::{LiteralRef, NamedNodeRef, Term, vocab::xsd};
use oxsdatatypes::{DateTime, TimezoneOffset};

use super::{Budget, Reader, default_graph};
use crate::{
    graph::{GraphPattern, Pattern, QuadIds, Quads, TermId, TermView},
    model::{
        fact::{Basis, Source, Stance, Standing, Statement, UnixTime},
        value::Value,
    },
};

const NANOS: i128 = 1_000_000_000;

impl Reader<'_> {
    /// Returns what a statement node says, of its quads if they were read; `None` if it was invalidated or denies its triple.
    pub(super) fn statement(
        &self,
        id: TermId,
        quads: Option<&[QuadIds]>,
        budget: &mut Budget,
    ) -> Option<Statement> {
        match quads {
            Some(quads) => self.read_statement(id, quads.iter().copied(), false, budget),
            None => self.read_statement(id, self.statement_quads(id), false, budget),
        }
    }

    /// Returns what a statement node says, whatever it is.
    pub(super) fn any_statement(&self, id: TermId, budget: &mut Budget) -> Option<Statement> {
        self.read_statement(id, self.statement_quads(id), true, budget)
    }

    /// Returns the quads of a node among the statements.
    pub(super) fn statement_quads(&self, id: TermId) -> Quads<'_> {
        self.snapshot.quads(self.in_statements(Some(id), None, None))
    }

    fn read_statement(
        &self,
        id: TermId,
        quads: impl Iterator<Item = QuadIds>,
        any: bool,
        budget: &mut Budget,
    ) -> Option<Statement> {
        let words = &self.words;
        let mut statement = Statement {
            id: self.node_text(id)?,
            ..Statement::default()
        };
        let mut locators = Vec::new();
        for quad in quads {
            budget.step(1);
            let property = quad.predicate;
            let is_retraction = property == words.invalidated_at;
            let is_denial = property == words.negated && self.is_true(quad.object);
            if (is_retraction || is_denial) && !any {
                return None;
            }
            statement.is_retracted |= is_retraction;
            statement.is_negated |= is_denial;
            if property == words.subject || property == words.predicate || property == words.object {
                continue;
            }
            if property == words.locator {
                locators.push(quad);
            } else if !self.fill(&mut statement, quad, budget) {
                self.qualify(&mut statement, quad, budget);
            }
        }
        self.place_locators(&mut statement, &locators, budget);
        Some(statement)
    }

    /// Puts a value into the field for its property. Returns false if there is none, or it is taken, or the value does not
    /// fit: nothing that is stated is lost, it is a qualifier then.
    pub(super) fn fill(&self, statement: &mut Statement, quad: QuadIds, budget: &mut Budget) -> bool {
        let words = &self.words;
        let (property, object) = (quad.predicate, quad.object);
        if property == words.standing {
            put(&mut statement.standing, self.standing(object))
        } else if property == words.stance {
            put(&mut statement.stance, self.stance(object))
        } else if property == words.basis {
            put(&mut statement.basis, self.basis(object))
        } else if property == words.derived_from {
            let source = self.source(object, budget);
            source.map(|source| statement.sources.push(source)).is_some()
        } else if property == words.generated_at {
            put(&mut statement.recorded_at, self.time(object))
        } else if property == words.invalidated_at {
            put(&mut statement.retracted_at, self.time(object))
        } else if property == words.revision_of {
            put(&mut statement.revises, self.node_text(object))
        } else if property == words.edtf {
            put_text(&mut statement.valid_time.edtf, self.literal_text(object))
        } else if property == words.valid_from {
            put_text(&mut statement.valid_time.valid_from, self.literal_text(object))
        } else if property == words.valid_until {
            put_text(&mut statement.valid_time.valid_until, self.literal_text(object))
        } else if property == words.observed_on {
            put_text(&mut statement.valid_time.observed_on, self.literal_text(object))
        } else if property == words.confidence {
            let number = self
                .literal_text(object)
                .and_then(|text| text.parse::<f64>().ok());
            put(
                &mut statement.confidence,
                number.filter(|number| (0.0..=1.0).contains(number)),
            )
        } else if property == words.attributed_to {
            put(&mut statement.attributed_to, self.node_text(object))
        } else if property == words.disputes {
            self.node_text(object)
                .map(|id| statement.disputes.push(id))
                .is_some()
        } else {
            // A negation that is not one says nothing that the triple does not.
            property == words.negated
        }
    }

    fn qualify(&self, statement: &mut Statement, quad: QuadIds, budget: &mut Budget) {
        let (TermView::Iri(property), value) = (
            self.snapshot.view(quad.predicate),
            self.snapshot.term(quad.object),
        ) else {
            return;
        };
        budget.text(property.len() + term_bytes(&value));
        statement.qualifiers.push((property.to_owned(), value));
    }

    /// Gives the locators to the source if there is just one; else nothing says whose they are.
    pub(super) fn place_locators(
        &self,
        statement: &mut Statement,
        locators: &[QuadIds],
        budget: &mut Budget,
    ) {
        let texts: Option<Vec<_>> = locators
            .iter()
            .map(|quad| self.literal_text(quad.object))
            .collect();
        match (statement.sources.as_mut_slice(), texts) {
            ([source], Some(texts)) => source.locator = texts.join(", "),
            _ => {
                for &quad in locators {
                    self.qualify(statement, quad, budget);
                }
            }
        }
    }

    /// Returns a source with what the graph of sources says of it, or else the default graph.
    fn source(&self, id: TermId, budget: &mut Budget) -> Option<Source> {
        budget.step(4);
        let words = &self.words;
        let mut texts: [Option<String>; 4] = Default::default();
        for graph in [GraphPattern::Named(words.sources), GraphPattern::Default] {
            let about = Pattern {
                graph,
                ..default_graph(Some(id), None, None)
            };
            let properties = [words.title, words.publisher, words.attribution, words.license];
            self.with_properties(about, properties, |place, quad| {
                if texts[place].is_none() {
                    texts[place] = self.text_or_name(quad.object);
                }
            });
        }
        let [title, publisher, attribution, license] = texts.map(Option::unwrap_or_default);
        let source = Source {
            iri: self.node_text(id)?,
            title,
            publisher,
            locator: String::new(),
            attribution,
            license,
        };
        let texts = [
            &source.iri,
            &source.title,
            &source.publisher,
            &source.attribution,
            &source.license,
        ];
        budget.text(texts.into_iter().map(String::len).sum());
        Some(source)
    }

    pub(super) fn standing(&self, id: TermId) -> Option<Standing> {
        let words = &self.words;
        [
            (words.preferred, Standing::Preferred),
            (words.accepted, Standing::Accepted),
            (words.unconfirmed, Standing::Unconfirmed),
            (words.disputed, Standing::Disputed),
            (words.rejected, Standing::Rejected),
        ]
        .into_iter()
        .find_map(|(word, standing)| (word == id).then_some(standing))
    }

    pub(super) fn stance(&self, id: TermId) -> Option<Stance> {
        let words = &self.words;
        [
            (words.asserted, Stance::Asserted),
            (words.attributed, Stance::Attributed),
            (words.reported, Stance::Reported),
            (words.planned, Stance::Planned),
            (words.projected, Stance::Projected),
            (words.opinion, Stance::Opinion),
        ]
        .into_iter()
        .find_map(|(word, stance)| (word == id).then_some(stance))
    }

    fn basis(&self, id: TermId) -> Option<Basis> {
        let words = &self.words;
        [
            (words.stated, Basis::Stated),
            (words.inferred, Basis::Inferred),
            (words.background, Basis::Background),
        ]
        .into_iter()
        .find_map(|(word, basis)| (word == id).then_some(basis))
    }

    pub(super) fn is_true(&self, id: TermId) -> bool {
        matches!(
            self.snapshot.view(id),
            TermView::Typed { value: "true" | "1", datatype } if datatype == xsd::BOOLEAN.as_str()
        )
    }

    pub(super) fn time(&self, id: TermId) -> Option<UnixTime> {
        unix_time(self.literal_text(id)?)
    }

    pub(super) fn literal_text(&self, id: TermId) -> Option<&str> {
        match self.snapshot.view(id) {
            TermView::String(value) | TermView::Typed { value, .. } | TermView::Language { value, .. } => {
                Some(value)
            }
            TermView::Iri(_) | TermView::BlankNode(_) | TermView::Triple { .. } => None,
        }
    }

    /// Returns the value of a literal that can be written in more than one way.
    pub(super) fn value(&self, id: TermId) -> Option<Value> {
        match self.snapshot.view(id) {
            TermView::Typed { value, datatype } => {
                let datatype = NamedNodeRef::new_unchecked(datatype);
                Value::of(LiteralRef::new_typed_literal(value, datatype))
            }
            _ => None,
        }
    }

    /// Returns an IRI, or a blank node's label after `_:`.
    pub(super) fn node_text(&self, id: TermId) -> Option<String> {
        match self.snapshot.view(id) {
            TermView::Iri(iri) => Some(iri.to_owned()),
            TermView::BlankNode(label) => Some(format!("_:{label}")),
            _ => None,
        }
    }
}

/// Returns the bytes of text in a term, roughly.
pub(super) fn term_bytes(term: &Term) -> usize {
    match term {
        Term::NamedNode(node) => node.as_str().len(),
        Term::BlankNode(node) => node.as_str().len(),
        Term::Literal(literal) => literal.value().len() + 16,
        Term::Triple(triple) => 128 + term_bytes(&triple.object),
    }
}

/// Returns an `xsd:dateTime` as a time; one without a time zone is taken for UTC.
pub(super) fn unix_time(text: &str) -> Option<UnixTime> {
    static EPOCH: LazyLock<Option<DateTime>> =
        LazyLock::new(|| DateTime::from_str("1970-01-01T00:00:00Z").ok());
    let time = DateTime::from_str(text).ok()?;
    let epoch = (*EPOCH)?;
    let time = if time.timezone_offset().is_none() {
        time.adjust(Some(TimezoneOffset::UTC))?
    } else {
        time
    };
    // A decimal is kept as a whole number of 10^-18.
    let units = i128::from_be_bytes(time.checked_sub(epoch)?.as_seconds().to_be_bytes());
    let nanos = units.div_euclid(NANOS);
    Some(UnixTime {
        seconds: i64::try_from(nanos.div_euclid(NANOS)).ok()?,
        nanos: i32::try_from(nanos.rem_euclid(NANOS)).ok()?,
    })
}

fn put<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    if field.is_some() || value.is_none() {
        return false;
    }
    *field = value;
    true
}

fn put_text(field: &mut String, value: Option<&str>) -> bool {
    match value {
        Some(text) if field.is_empty() && !text.is_empty() => {
            text.clone_into(field);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_time(text: &str, expected: Option<(i64, i32)>) {
        let expected = expected.map(|(seconds, nanos)| UnixTime { seconds, nanos });
        assert_eq!(unix_time(text), expected, "{text}");
    }

    #[test]
    fn date_times_are_unix_times() {
        check_time("1970-01-01T00:00:00Z", Some((0, 0)));
        check_time("2019-08-27T00:00:00Z", Some((1_566_864_000, 0)));
        check_time("2019-08-27T09:00:00+09:00", Some((1_566_864_000, 0)));
        check_time("2019-08-27T00:00:00", Some((1_566_864_000, 0)));
        check_time("1969-12-31T23:59:59.25Z", Some((-1, 250_000_000)));
        check_time("2019-08-27", None);
        check_time("yesterday", None);
    }
}
