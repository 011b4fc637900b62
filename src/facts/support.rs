//! Which statements are about a triple.

use super::{Budget, Reader, default_graph, past};
use crate::graph::{GraphPattern, Pattern, QuadIds, Quads, TermId};

/// Subjects with at most this many statements get a list of them all; others are probed triple by triple.
const LISTED_COUNT_MAX: u64 = 512;
/// Quads of a subject up to which one pass over all of them is cheaper than some look-ups.
const ONE_PASS_QUAD_COUNT_MAX: u64 = 48;
/// Derived triples of a subject up to which they are read in one pass.
const DERIVED_COUNT_MAX: u64 = 512;

/// Finds the statements about triples; fastest if consecutive triples have the same subject.
#[derive(Debug, Default)]
pub(super) struct Support {
    subject: Option<TermId>,
    listed: Option<Listed>,
}

/// The statements about one subject.
#[derive(Debug, Default)]
struct Listed {
    /// Predicate, object and statement of each, sorted.
    triples: Vec<[TermId; 3]>,
    /// What they say, by statement; of those that say much, nothing.
    quads: Vec<QuadIds>,
    /// Predicate and object of what of the subject is derived, sorted; none without statements. `None`: too many to list.
    derived: Option<Vec<[TermId; 2]>>,
}

/// The next statement about a triple.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    Statement(TermId),
    /// There are no more.
    End,
    /// The budget ran out after having looked at this one.
    Spent(TermId),
}

impl Support {
    /// Returns the first statement about a triple with an identifier above `after`, whether live or not.
    pub(super) fn next(
        &mut self,
        reader: &Reader<'_>,
        quad: QuadIds,
        after: TermId,
        budget: &mut Budget,
    ) -> Next {
        match self.listed(reader, quad.subject, budget) {
            Some(listed) => next_listed(&listed.triples, quad, after),
            None => next_about(reader, quad, after, budget, Budget::is_spent),
        }
    }

    /// Returns the statements about a triple and, if there are any, whether it is derived. `None` if those about its subject are too
    /// many to list.
    pub(super) fn about(
        &mut self,
        reader: &Reader<'_>,
        quad: QuadIds,
        budget: &mut Budget,
    ) -> Option<(&[[TermId; 3]], bool)> {
        let listed = self.listed(reader, quad.subject, budget)?;
        let pair = [quad.predicate, quad.object];
        let first = listed.triples.partition_point(|entry| entry[..2] < pair[..]);
        let count = listed.triples[first..].partition_point(|entry| entry[..2] == pair);
        let is_derived = match &listed.derived {
            Some(derived) => derived.binary_search(&pair).is_ok(),
            None => reader.is_derived(quad),
        };
        Some((&listed.triples[first..first + count], is_derived))
    }

    /// Returns what a statement about the last subject says, if that was read.
    pub(super) fn quads(&self, statement: TermId) -> Option<&[QuadIds]> {
        let quads = &self.listed.as_ref()?.quads;
        let first = quads.partition_point(|quad| quad.subject < statement);
        let count = quads[first..].partition_point(|quad| quad.subject == statement);
        (count > 0).then(|| &quads[first..first + count])
    }

    fn listed(&mut self, reader: &Reader<'_>, subject: TermId, budget: &mut Budget) -> Option<&Listed> {
        if self.subject != Some(subject) {
            self.subject = Some(subject);
            self.listed = list(reader, subject, budget);
        }
        self.listed.as_ref()
    }
}

fn list(reader: &Reader<'_>, subject: TermId, budget: &mut Budget) -> Option<Listed> {
    let mut listed = Listed::default();
    // By statement.
    for quad in reader.few_about(subject)? {
        budget.step(3);
        let of_statement = reader.statement_quads(quad.subject);
        let triple = if of_statement.remaining() <= ONE_PASS_QUAD_COUNT_MAX {
            let first = listed.quads.len();
            listed.quads.extend(of_statement);
            reader.triple_in(&listed.quads[first..])
        } else {
            reader.triple_of(quad.subject, None)
        };
        let triple = triple.filter(|triple| triple[0] == subject);
        listed
            .triples
            .extend(triple.map(|[_, predicate, object]| [predicate, object, quad.subject]));
    }
    listed.triples.sort_unstable();
    let derived = reader.snapshot.quads(Pattern {
        graph: GraphPattern::Named(reader.words.derived),
        ..default_graph(Some(subject), None, None)
    });
    if listed.triples.is_empty() {
        listed.derived = Some(Vec::new());
    } else if derived.remaining() <= DERIVED_COUNT_MAX {
        let mut derived: Vec<_> = derived.map(|quad| [quad.predicate, quad.object]).collect();
        derived.sort_unstable();
        listed.derived = Some(derived);
    }
    Some(listed)
}

/// Returns the first statement about a triple with an identifier above `after`, of predicates, objects and statements that are
/// sorted.
pub(super) fn next_listed(listed: &[[TermId; 3]], quad: QuadIds, after: TermId) -> Next {
    let key = [quad.predicate, quad.object, after];
    match listed.get(listed.partition_point(|entry| *entry <= key)) {
        Some(&[predicate, object, statement]) if [predicate, object] == key[..2] => {
            Next::Statement(statement)
        }
        _ => Next::End,
    }
}

/// Looks through the statements with the triple's subject or those with its object, whichever are fewer, until `is_over`.
pub(super) fn next_about(
    reader: &Reader<'_>,
    quad: QuadIds,
    after: TermId,
    budget: &mut Budget,
    is_over: fn(&Budget) -> bool,
) -> Next {
    let words = &reader.words;
    let by_subject = reader.in_statements(None, Some(words.subject), Some(quad.subject));
    let by_object = reader.in_statements(None, Some(words.object), Some(quad.object));
    let pattern = if reader.snapshot.count(by_subject) <= reader.snapshot.count(by_object) {
        by_subject
    } else {
        by_object
    };
    let mut last = after;
    for candidate in reader.snapshot.quads_after(pattern, past(pattern, after)) {
        if is_over(budget) {
            return Next::Spent(last);
        }
        budget.step(3);
        last = candidate.subject;
        if reader.triple_of(last, None) == Some([quad.subject, quad.predicate, quad.object]) {
            return Next::Statement(last);
        }
    }
    Next::End
}

impl Reader<'_> {
    /// Matches quads of the graph of statements.
    pub(super) const fn in_statements(
        &self,
        subject: Option<TermId>,
        predicate: Option<TermId>,
        object: Option<TermId>,
    ) -> Pattern {
        Pattern {
            subject,
            predicate,
            object,
            graph: GraphPattern::Named(self.words.statements),
        }
    }

    /// Returns what says that statements are about a subject; `None` if there are too many to list.
    pub(super) fn few_about(&self, subject: TermId) -> Option<Quads<'_>> {
        let pattern = self.in_statements(None, Some(self.words.subject), Some(subject));
        let about = self.snapshot.quads(pattern);
        (about.remaining() <= LISTED_COUNT_MAX).then_some(about)
    }

    /// Returns the triple that a statement is about, of what it says.
    fn triple_in(&self, quads: &[QuadIds]) -> Option<[TermId; 3]> {
        let words = &self.words;
        let first = |property| quads.iter().find(|quad| quad.predicate == property);
        let [subject, predicate, object] = [words.subject, words.predicate, words.object].map(first);
        Some([subject?.object, predicate?.object, object?.object])
    }

    /// Returns the triple that a statement is about: the first subject, predicate and object in index order, should there
    /// be more. `None` if one is missing, or the subject is not the expected one.
    pub(super) fn triple_of(&self, statement: TermId, expected: Option<TermId>) -> Option<[TermId; 3]> {
        let properties = [self.words.subject, self.words.predicate, self.words.object];
        let mut triple = [None; 3];
        let of_statement = self.in_statements(Some(statement), None, None);
        self.with_properties(of_statement, properties, |place, quad| {
            triple[place].get_or_insert(quad.object);
        });
        let [subject, predicate, object] = triple;
        let subject = subject.filter(|subject| expected.is_none_or(|expected| expected == *subject))?;
        Some([subject, predicate?, object?])
    }

    /// Hands on the quads of a subject that have one of some properties, with the place of the property: those of each in
    /// index order.
    pub(super) fn with_properties<const N: usize>(
        &self,
        of_subject: Pattern,
        properties: [TermId; N],
        mut take: impl FnMut(usize, QuadIds),
    ) {
        let quads = self.snapshot.quads(of_subject);
        if quads.remaining() <= ONE_PASS_QUAD_COUNT_MAX {
            for quad in quads {
                let place = properties.iter().position(|property| *property == quad.predicate);
                if let Some(place) = place {
                    take(place, quad);
                }
            }
            return;
        }
        for (place, &property) in properties.iter().enumerate() {
            let quads = self.snapshot.quads(Pattern {
                predicate: Some(property),
                ..of_subject
            });
            quads.for_each(|quad| take(place, quad));
        }
    }
}
