//! Statement nodes as the rule sees them.

use std::collections::HashMap;

use super::property::{self, PROPERTIES, PROPERTY_COUNT, part};
use crate::{
    graph::{GraphPattern, Pattern, QuadIds, Snapshot, TermId, TermView},
    model::{
        day::Day,
        edtf::Bounds,
        fact::{Stance, Standing},
        truthy::Evidence,
        validity::Validity,
        vocabulary as iris,
    },
};

/// Texts of EDTF that are remembered: many statements share few of them.
const REMEMBERED_TIME_COUNT_MAX: usize = 100_000;

/// Reads statement nodes. Its identifiers are good for a snapshot and those that it grew from.
pub(super) struct Nodes {
    pub(super) statements: TermId,
    pub(super) derived: TermId,
    pub(super) meta: TermId,
    pub(super) reference_date: TermId,
    /// `d:content` of a claim.
    pub(super) content: TermId,
    properties: [TermId; PROPERTY_COUNT],
    stances: [(TermId, Stance); 6],
    standings: [(TermId, Standing); 5],
    pub(super) inferred: TermId,
    some_value: TermId,
    times: HashMap<TermId, Option<Bounds>>,
}

/// What a node says, as far as the rule and the checks look at it.
#[derive(Clone, Copy)]
pub(super) struct Node {
    /// The first value of each property.
    values: [Option<TermId>; PROPERTY_COUNT],
    pub(super) counts: [u32; PROPERTY_COUNT],
    /// The first and last day of observation.
    pub(super) observed: Option<(Day, Day)>,
}

impl Node {
    /// Returns the value of a property, if it has one alone.
    pub(super) fn only(&self, part: usize) -> Option<TermId> {
        self.values[part].filter(|_| self.counts[part] == 1)
    }

    /// Tells whether it is a statement: it has a subject, a predicate or an object.
    pub(super) fn is_statement(&self) -> bool {
        self.count_of(&[part::SUBJECT, part::PREDICATE, part::OBJECT]) > 0
    }

    /// Returns how many values it has of some properties.
    pub(super) fn count_of(&self, parts: &[usize]) -> u64 {
        parts.iter().map(|&part| u64::from(self.counts[part])).sum()
    }

    /// Returns the triple, if it has one alone.
    pub(super) fn triple(&self) -> Option<[TermId; 3]> {
        Some([
            self.only(part::SUBJECT)?,
            self.only(part::PREDICATE)?,
            self.only(part::OBJECT)?,
        ])
    }

    /// Tells whether it denies its triple.
    pub(super) fn is_negated(&self, snapshot: &Snapshot) -> bool {
        self.values[part::NEGATED].is_some_and(|id| property::boolean(snapshot.view(id)) == Some(true))
    }

    pub(super) fn is_live(&self) -> bool {
        self.counts[part::INVALIDATED_AT] == 0
    }
}

/// Matches what a graph says about a node.
pub(super) fn about(graph: TermId, node: TermId) -> Pattern {
    let graph = match graph {
        TermId::DEFAULT_GRAPH => GraphPattern::Default,
        graph => GraphPattern::Named(graph),
    };
    Pattern {
        subject: Some(node),
        ..Pattern::all(graph)
    }
}

impl Nodes {
    /// Returns a reader.
    pub(super) fn on(snapshot: &Snapshot) -> Self {
        let id = |iri: &str| snapshot.iri_id(iri).unwrap_or(TermId::MAX);
        Self {
            statements: id(iris::STATEMENTS),
            derived: id(iris::DERIVED),
            meta: id(iris::META),
            reference_date: id(iris::REFERENCE_DATE),
            content: id(iris::CONTENT),
            properties: PROPERTIES.each_ref().map(|property| id(property.iri)),
            stances: [
                (id(iris::ASSERTED), Stance::Asserted),
                (id(iris::ATTRIBUTED), Stance::Attributed),
                (id(iris::REPORTED), Stance::Reported),
                (id(iris::PLANNED), Stance::Planned),
                (id(iris::PROJECTED), Stance::Projected),
                (id(iris::OPINION), Stance::Opinion),
            ],
            standings: [
                (id(iris::PREFERRED), Standing::Preferred),
                (id(iris::ACCEPTED), Standing::Accepted),
                (id(iris::UNCONFIRMED), Standing::Unconfirmed),
                (id(iris::DISPUTED), Standing::Disputed),
                (id(iris::REJECTED), Standing::Rejected),
            ],
            inferred: id(iris::INFERRED),
            some_value: id(iris::SOME_VALUE),
            times: HashMap::new(),
        }
    }

    /// Tells whether a snapshot has neither statements nor derived triples.
    pub(super) fn has_none(&self, snapshot: &Snapshot) -> bool {
        [self.statements, self.derived].into_iter().all(|graph| {
            graph == TermId::MAX || snapshot.count(Pattern::all(GraphPattern::Named(graph))) == 0
        })
    }

    /// Matches the nodes of a graph with a standing, or one of them.
    pub(super) fn judged(&self, graph: TermId, node: Option<TermId>) -> Pattern {
        Pattern {
            subject: node,
            predicate: Some(self.properties[part::STANDING]),
            ..about(graph, TermId::MAX)
        }
    }

    /// Matches quads of `g:statements` by the property of [`PROPERTIES`].
    pub(super) fn with(&self, part: usize, object: Option<TermId>) -> Pattern {
        Pattern {
            subject: None,
            predicate: Some(self.properties[part]),
            object,
            graph: GraphPattern::Named(self.statements),
        }
    }

    /// Tells whether a node has a value of a property.
    pub(super) fn says(&self, snapshot: &Snapshot, node: TermId, part: usize, object: TermId) -> bool {
        snapshot.contains(QuadIds {
            subject: node,
            predicate: self.properties[part],
            object,
            graph: self.statements,
        })
    }

    /// Tells whether a node has a subject, and so is a statement.
    pub(super) fn is_statement(&self, snapshot: &Snapshot, node: TermId) -> bool {
        let subject = Pattern {
            subject: Some(node),
            ..self.with(part::SUBJECT, None)
        };
        snapshot.count(subject) > 0
    }

    /// Reads a node of `g:statements`; `each` gets the values of the properties.
    pub(super) fn read(&self, snapshot: &Snapshot, node: TermId, each: impl FnMut(usize, TermId)) -> Node {
        self.read_in(snapshot, self.statements, node, each)
    }

    /// As [`Self::read`], in any graph.
    pub(super) fn read_in(
        &self,
        snapshot: &Snapshot,
        graph: TermId,
        node: TermId,
        mut each: impl FnMut(usize, TermId),
    ) -> Node {
        let mut read = Node {
            values: [None; PROPERTY_COUNT],
            counts: [0; PROPERTY_COUNT],
            observed: None,
        };
        for quad in snapshot.quads(about(graph, node)) {
            let Some(part) = self.properties.iter().position(|id| *id == quad.predicate) else {
                continue;
            };
            read.values[part].get_or_insert(quad.object);
            read.counts[part] += 1;
            if part == part::OBSERVED_ON
                && let Some(day) = property::day(snapshot.view(quad.object))
            {
                let (first, last) = read.observed.unwrap_or((day, day));
                read.observed = Some((first.min(day), last.max(day)));
            }
            each(part, quad.object);
        }
        read
    }

    /// Returns the bounds of a node's time; `None` if it has none that can be read.
    pub(super) fn bounds(&mut self, snapshot: &Snapshot, node: &Node) -> Option<Bounds> {
        let id = node.values[part::EDTF]?;
        if let Some(bounds) = self.times.get(&id) {
            return *bounds;
        }
        let bounds = match snapshot.view(id) {
            TermView::String(text) | TermView::Typed { value: text, .. } => text.parse().ok(),
            _ => None,
        };
        if self.times.len() < REMEMBERED_TIME_COUNT_MAX {
            self.times.insert(id, bounds);
        }
        bounds
    }

    pub(super) fn stance(&self, node: &Node) -> Option<Stance> {
        let id = node.only(part::STANCE)?;
        self.stances
            .iter()
            .find(|(word, _)| *word == id)
            .map(|(_, stance)| *stance)
    }

    pub(super) fn standing(&self, node: &Node) -> Option<Standing> {
        let id = node.only(part::STANDING)?;
        self.standings
            .iter()
            .find(|(word, _)| *word == id)
            .map(|(_, standing)| *standing)
    }

    /// Returns what a node is to the rule. `None` if it is no whole statement: one from before statements were checked.
    pub(super) fn evidence(&mut self, snapshot: &Snapshot, node: &Node) -> Option<Evidence<TermId>> {
        let [_, _, object] = node.triple()?;
        if [part::NEGATED, part::EDTF]
            .iter()
            .any(|&part| node.counts[part] > 1)
        {
            return None;
        }
        let negated = match node.values[part::NEGATED] {
            None => false,
            Some(id) => property::boolean(snapshot.view(id))?,
        };
        let bounds = match self.bounds(snapshot, node) {
            None if node.counts[part::EDTF] > 0 => return None,
            bounds => bounds,
        };
        let observed = node.observed.into_iter().flat_map(|(first, last)| [first, last]);
        Some(Evidence {
            object,
            stance: self.stance(node)?,
            standing: self.standing(node)?,
            negated,
            is_some_value: object == self.some_value,
            validity: Validity::new(bounds, observed),
            live: node.is_live(),
            opposed: false,
        })
    }
}
