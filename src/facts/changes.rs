//! What a commit changed, as facts.
//!
//! A fact is what a list of facts would tell: every statement, also one that was retracted, and every triple of the default graph
//! that holds by none.

use std::collections::VecDeque;

use super::{
    Budget, Lookup, Reader, default_graph, derive,
    holding::Holding,
    record::TimeView,
    support::{Next, Support},
};
use crate::{
    graph::{Changes, Pattern, QuadIds, Snapshot, TermId},
    model::{
        day::Day,
        fact::{Fact, Statement},
        vocabulary,
    },
};

/// Steps of gathering what may have changed after which it is asked whether to go on.
pub(super) const STEPS_PER_LOOK: usize = 1_024;

/// What happened to a fact.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FactChangeKind {
    /// It came to be there.
    Written,
    /// Its statement was retracted, and is kept.
    Retracted,
    /// It says something else, or holds where it did not, or the other way round.
    Changed,
    /// It is no longer there.
    Removed,
}

/// A fact that a commit changed.
#[derive(Clone, Debug, PartialEq)]
pub struct FactChange {
    /// What happened to it.
    pub kind: FactChangeKind,
    /// The fact as it is after the commit; as it was before, if it is no longer there.
    pub fact: Fact,
    /// What it was told by, before the commit or after it.
    pub origin: Origin,
}

/// What a node is and where it comes from, before a commit or after it: IRIs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    /// Sources (`prov:wasDerivedFrom`).
    pub sources: Vec<String>,
    /// Types (`rdf:type`, in the default graph).
    pub types: Vec<String>,
}

impl Origin {
    fn add(&mut self, other: Self) {
        for (texts, others) in [(&mut self.sources, other.sources), (&mut self.types, other.types)] {
            for text in others {
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
        }
    }
}

/// Two snapshots, of which the second came of the first by a commit.
#[derive(Debug)]
pub struct Transition {
    before: Side,
    after: Side,
}

impl Transition {
    /// Compares two snapshots; the second has all terms of the first, under the same identifiers.
    pub fn new(before: Snapshot, after: Snapshot) -> Self {
        Self {
            before: Side::new(before),
            after: Side::new(after),
        }
    }

    /// Returns what a subject is and where it comes from.
    pub fn origin(&self, subject: TermId) -> Origin {
        let mut origin = self.after.origin(subject);
        origin.add(self.before.origin(subject));
        origin
    }

    /// Returns the snapshot after the commit.
    pub fn after(&self) -> &Snapshot {
        &self.after.snapshot
    }

    /// Returns what changed, as facts. While it gathers what may have changed, `go_on` is asked again and again, with about the bytes
    /// that it takes so far.
    pub fn into_facts<E>(
        mut self,
        changes: &Changes,
        go_on: &mut dyn FnMut(u64) -> Result<(), E>,
    ) -> Result<FactChanges, E> {
        let gathering = &mut Gathering { go_on, step_count: 0 };
        let statements = self.after.snapshot.iri_id(vocabulary::STATEMENTS);
        let mut nodes = Vec::new();
        if let Some(graph) = statements {
            for quad in changes.inserted_in(graph).chain(changes.removed_in(graph)) {
                gathering.step(size_of_val(nodes.as_slice()))?;
                nodes.push(quad.subject);
            }
        }
        self.add_turned(&mut nodes, gathering)?;
        let default = TermId::DEFAULT_GRAPH;
        let mut triples = Vec::new();
        for quad in changes.inserted_in(default).chain(changes.removed_in(default)) {
            gathering.step(size_of_val(nodes.as_slice()) + size_of_val(triples.as_slice()))?;
            triples.push([quad.subject, quad.predicate, quad.object]);
        }
        for side in [&self.before, &self.after] {
            let reader = side.reader();
            for node in &nodes {
                gathering.step(size_of_val(nodes.as_slice()) + size_of_val(triples.as_slice()))?;
                triples.extend(reader.triple_of(*node, None));
            }
        }
        triples.sort_unstable();
        triples.dedup();
        for side in [&mut self.before, &mut self.after] {
            for triple in &triples {
                side.each_statement(*triple, &mut |node| {
                    nodes.extend(node);
                    gathering.step(size_of_val(nodes.as_slice()) + size_of_val(triples.as_slice()))
                })?;
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        // Those of a subject follow each other, and of them those of a predicate.
        let mut sorted = Vec::new();
        for node in nodes {
            gathering.step(2 * size_of_val(sorted.as_slice()) + size_of_val(triples.as_slice()))?;
            let side = |side: &Side| side.reader().triple_of(node, None);
            sorted.push((side(&self.after).or_else(|| side(&self.before)), node));
        }
        sorted.sort_unstable();
        Ok(FactChanges {
            transition: self,
            nodes: sorted.into_iter().map(|(_, node)| node).collect(),
            triples: triples.into(),
        })
    }

    /// Adds to the nodes that a commit changed the statements that may hold now, or no longer do, though nothing was said of them: the
    /// day is another, or there is a preferred one beside them where there was none, or the other way round.
    fn add_turned<E>(&self, nodes: &mut Vec<TermId>, gathering: &mut Gathering<'_, E>) -> Result<(), E> {
        let sides = [&self.before, &self.after];
        if self.before.day != self.after.day {
            let days = self.before.day.zip(self.after.day);
            for side in sides {
                derive::turned(&side.snapshot, days, &mut |node| {
                    nodes.push(node);
                    gathering.step(size_of_val(nodes.as_slice()))
                })?;
            }
        }
        // A statement is there once for each quad of it.
        nodes.sort_unstable();
        nodes.dedup();
        let mut pairs = Vec::new();
        for side in sides {
            let reader = side.reader();
            for node in &*nodes {
                gathering.step(size_of_val(nodes.as_slice()) + size_of_val(pairs.as_slice()))?;
                let triple = reader.triple_of(*node, None);
                pairs.extend(triple.map(|[subject, predicate, _]| [subject, predicate]));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        let budget = &mut Budget::page();
        for pair in &pairs {
            gathering.step(size_of_val(nodes.as_slice()) + size_of_val(pairs.as_slice()))?;
            let [before, after] = sides.map(|side| side.has_preferred(*pair, budget));
            if before != after {
                for side in sides {
                    side.each_of(*pair, &mut |node| {
                        nodes.extend(node);
                        gathering.step(size_of_val(nodes.as_slice()) + size_of_val(pairs.as_slice()))
                    })?;
                }
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        Ok(())
    }
}

/// Asks now and then whether to go on.
struct Gathering<'a, E> {
    go_on: &'a mut dyn FnMut(u64) -> Result<(), E>,
    step_count: usize,
}

impl<E> Gathering<'_, E> {
    /// Takes a step; `bytes` is what was gathered so far.
    fn step(&mut self, bytes: usize) -> Result<(), E> {
        self.step_count += 1;
        if self.step_count.is_multiple_of(STEPS_PER_LOOK) {
            (self.go_on)(bytes as u64)?;
        }
        Ok(())
    }
}

/// The facts that a commit changed, in no particular order. An item without one only says that something was looked at.
#[derive(Debug)]
pub struct FactChanges {
    transition: Transition,
    nodes: VecDeque<TermId>,
    triples: VecDeque<[TermId; 3]>,
}

impl Iterator for FactChanges {
    type Item = Option<FactChange>;

    fn next(&mut self) -> Option<Self::Item> {
        let Transition { before, after } = &mut self.transition;
        let (old, new) = if let Some(node) = self.nodes.pop_front() {
            (before.statement(node), after.statement(node))
        } else {
            let triple = self.triples.pop_front()?;
            (before.plain(triple), after.plain(triple))
        };
        Some(compare(old, new))
    }
}

fn compare(old: Option<Told>, new: Option<Told>) -> Option<FactChange> {
    let is_retracted = |told: &Told| told.fact.statement.as_ref().is_some_and(|s| s.is_retracted);
    let (kind, told, other) = match (old, new) {
        (None, None) => return None,
        (None, Some(new)) => (FactChangeKind::Written, new, None),
        (Some(old), None) => (FactChangeKind::Removed, old, None),
        (Some(old), Some(new)) if old.fact == new.fact => return None,
        (Some(old), Some(new)) if is_retracted(&new) && !is_retracted(&old) => {
            (FactChangeKind::Retracted, new, Some(old))
        }
        (Some(old), Some(new)) => (FactChangeKind::Changed, new, Some(old)),
    };
    let mut origin = told.origin;
    if let Some(other) = other {
        origin.add(other.origin);
    }
    Some(FactChange {
        kind,
        fact: told.fact,
        origin,
    })
}

/// All facts of a snapshot, as if they had just been written, in no particular order. As [`FactChanges`].
#[derive(Debug)]
pub struct AllFacts {
    side: Side,
    /// Of triples in the default graph, and whether of what statements say of them.
    patterns: VecDeque<(Pattern, bool)>,
    after: Option<QuadIds>,
}

impl AllFacts {
    /// Goes through the facts about some subjects, or by some predicates, or all: a part that is `None` is open.
    pub fn new(snapshot: Snapshot, subjects: Option<&[TermId]>, predicates: Option<&[TermId]>) -> Self {
        let side = Side::new(snapshot);
        let words = side.reader().words;
        let stated = |property, value| side.reader().in_statements(None, Some(property), value);
        let patterns = match (subjects, predicates) {
            (Some(subjects), _) => subjects
                .iter()
                .flat_map(|&id| {
                    [
                        (stated(words.subject, Some(id)), true),
                        (default_graph(Some(id), None, None), false),
                    ]
                })
                .collect(),
            (None, Some(predicates)) => predicates
                .iter()
                .flat_map(|&id| {
                    [
                        (stated(words.predicate, Some(id)), true),
                        (default_graph(None, Some(id), None), false),
                    ]
                })
                .collect(),
            (None, None) => [
                (stated(words.subject, None), true),
                (default_graph(None, None, None), false),
            ]
            .into(),
        };
        Self {
            side,
            patterns,
            after: None,
        }
    }
}

impl Iterator for AllFacts {
    type Item = Option<FactChange>;

    fn next(&mut self) -> Option<Self::Item> {
        let &(pattern, is_stated) = self.patterns.front()?;
        let snapshot = &self.side.snapshot;
        let found = match self.after {
            None => snapshot.quads(pattern).next(),
            Some(after) => snapshot.quads_after(pattern, after).next(),
        };
        self.after = found;
        let Some(quad) = found else {
            self.patterns.pop_front();
            return Some(None);
        };
        let told = if is_stated {
            // A node with two subjects, or two predicates, is met twice.
            let reader = self.side.reader();
            let is_first = reader.triple_of(quad.subject, None).is_some_and(|triple| {
                let at = usize::from(quad.predicate == reader.words.predicate);
                triple[at] == quad.object
            });
            is_first.then(|| self.side.statement(quad.subject)).flatten()
        } else {
            self.side.plain([quad.subject, quad.predicate, quad.object])
        };
        Some(told.map(|told| FactChange {
            kind: FactChangeKind::Written,
            fact: told.fact,
            origin: told.origin,
        }))
    }
}

struct Told {
    fact: Fact,
    origin: Origin,
}

/// One snapshot, and what was looked up in it.
#[derive(Debug)]
struct Side {
    snapshot: Snapshot,
    lookup: Lookup,
    support: Support,
    /// The day that the default graph is for.
    day: Option<Day>,
    /// What holds on that day; nothing, if there is none.
    holding: Option<Holding>,
}

impl Side {
    fn new(snapshot: Snapshot) -> Self {
        let day = derive::reference_day(&snapshot);
        Self {
            snapshot,
            lookup: Lookup::default(),
            support: Support::default(),
            day,
            holding: day.map(|day| Holding::at(now_on(day))),
        }
    }

    fn reader(&self) -> Reader<'_> {
        self.lookup.on(&self.snapshot)
    }

    /// Returns the fact of a statement node.
    fn statement(&mut self, node: TermId) -> Option<Told> {
        let reader = self.lookup.on(&self.snapshot);
        let budget = &mut Budget::page();
        let triple = reader.triple_of(node, None)?;
        let statement = reader.any_statement(node, budget)?;
        let holding = self.holding.as_mut();
        let holds = holding.is_some_and(|holding| holding.is_by(&reader, node, triple, budget));
        let mut told = self.tell(in_default_graph(triple), Some(statement))?;
        told.fact.holds = holds;
        Some(told)
    }

    /// Returns the fact of a triple that holds by no statement.
    fn plain(&mut self, triple: [TermId; 3]) -> Option<Told> {
        let quad = in_default_graph(triple);
        if !self.snapshot.contains(quad) {
            return None;
        }
        let reader = self.lookup.on(&self.snapshot);
        let holding = self.holding.as_mut();
        if holding.is_some_and(|holding| holding.has(&reader, quad, &mut Budget::page())) {
            return None;
        }
        let inherited = self.reader().inherited_by(quad, &mut Budget::page());
        self.tell(quad, inherited)
    }

    fn tell(&self, quad: QuadIds, statement: Option<Statement>) -> Option<Told> {
        let sources = statement.iter().flat_map(|statement| &statement.sources);
        let sources = sources.map(|source| source.iri.clone()).collect();
        let fact = self.reader().fact(quad, statement, true, &mut Budget::page())?;
        let types = self.origin(quad.subject).types;
        Some(Told {
            fact: *fact,
            origin: Origin { sources, types },
        })
    }

    fn origin(&self, subject: TermId) -> Origin {
        let reader = self.reader();
        let sources = reader.objects(subject, reader.words.derived_from);
        let types = self
            .snapshot
            .quads(default_graph(Some(subject), Some(reader.words.r#type), None));
        Origin {
            sources: sources.filter_map(|id| reader.node_text(id)).collect(),
            types: types.filter_map(|quad| reader.node_text(quad.object)).collect(),
        }
    }

    /// Tells whether a preferred statement of a subject and a predicate counts.
    fn has_preferred(&self, pair: [TermId; 2], budget: &mut Budget) -> bool {
        self.day
            .is_some_and(|day| self.reader().has_preferred(pair, &now_on(day), budget))
    }

    /// Calls `each` for the statements of a subject and a predicate, and without one now and then.
    fn each_of<E>(
        &self,
        [subject, predicate]: [TermId; 2],
        each: &mut dyn FnMut(Option<TermId>) -> Result<(), E>,
    ) -> Result<(), E> {
        let reader = self.reader();
        let (pattern, _) = reader.fewest_of([subject, predicate]);
        for quad in self.snapshot.quads(pattern) {
            let triple = reader.triple_of(quad.subject, Some(subject));
            each(
                triple
                    .is_some_and(|triple| triple[1] == predicate)
                    .then_some(quad.subject),
            )?;
        }
        Ok(())
    }

    /// Calls `each` for the statements about a triple, and without one now and then.
    fn each_statement<E>(
        &mut self,
        triple: [TermId; 3],
        each: &mut dyn FnMut(Option<TermId>) -> Result<(), E>,
    ) -> Result<(), E> {
        let reader = self.lookup.on(&self.snapshot);
        let quad = in_default_graph(triple);
        let mut after = TermId::DEFAULT_GRAPH;
        loop {
            let found = match self.support.next(&reader, quad, after, &mut Budget::page()) {
                Next::End => return each(None),
                Next::Spent(last) => {
                    after = last;
                    None
                }
                Next::Statement(node) => {
                    after = node;
                    Some(node)
                }
            };
            each(found)?;
        }
    }
}

const fn now_on(day: Day) -> TimeView {
    TimeView { day, known_at: None }
}

const fn in_default_graph([subject, predicate, object]: [TermId; 3]) -> QuadIds {
    QuadIds {
        subject,
        predicate,
        object,
        graph: TermId::DEFAULT_GRAPH,
    }
}
