//! What is read in fragments: a whole graph, or a commit too large to hold.

use std::{collections::VecDeque, sync::Arc};

use oxigraph::model::{NamedOrBlankNode, Quad, Term};
use rustc_hash::FxHashSet;

use super::{FRAGMENT_BYTES_MAX, FRAGMENT_CHANGE_COUNT_MAX, Filter, filter::Sight, text::change_bytes};
use crate::{
    facts::Transition,
    graph::{GraphPattern, Pattern, QuadIds, Snapshot, TermId},
    log::{Change, Header, LogError, RecordChanges},
};

/// Changes or quads that one step looks at.
const STEP_COUNT_MAX: usize = 20_000;

/// Changes on their way into one fragment.
#[derive(Debug, Default)]
struct Buffer {
    changes: Vec<Change>,
    bytes: usize,
}

impl Buffer {
    fn push(&mut self, change: Change) {
        self.bytes += change_bytes(&change);
        self.changes.push(change);
    }

    fn is_full(&self) -> bool {
        self.changes.len() >= FRAGMENT_CHANGE_COUNT_MAX || self.bytes >= FRAGMENT_BYTES_MAX
    }
}

/// Cuts changes into fragments, each with whether it is the last; of nothing there is one.
pub fn fragments(changes: impl Iterator<Item = Change>) -> impl Iterator<Item = (Vec<Change>, bool)> {
    let mut changes = changes.peekable();
    let mut is_ended = false;
    std::iter::from_fn(move || {
        if is_ended {
            return None;
        }
        let mut buffer = Buffer::default();
        while !buffer.is_full()
            && let Some(change) = changes.next()
        {
            buffer.push(change);
        }
        is_ended = changes.peek().is_none();
        Some((buffer.changes, is_ended))
    })
}

/// What a step came to.
pub(super) enum Step {
    /// Changes, and whether they are the last ones.
    Found { changes: Vec<Change>, is_last: bool },
    /// Nothing so far.
    Nothing,
    /// The end, and nothing more was found.
    Ended,
}

/// A commit that is read in fragments.
pub(super) struct LargeCommit {
    pub(super) header: Header,
    changes: RecordChanges,
    filter: Arc<Filter>,
    origins: Option<Origins>,
    sight: Sight,
    buffer: Buffer,
    pub(super) has_begun: bool,
}

/// Which subjects have an origin that passes a filter. Quads of one subject often follow each other.
struct Origins {
    transition: Transition,
    last: Option<(TermId, bool)>,
}

impl Origins {
    fn new(transition: Transition) -> Self {
        Self {
            transition,
            last: None,
        }
    }

    fn pass(&mut self, filter: &Filter, subject: TermId) -> bool {
        match self.last {
            Some((last, passes)) if last == subject => passes,
            _ => {
                let passes = filter.passes_origin(&self.transition.origin(subject));
                self.last = Some((subject, passes));
                passes
            }
        }
    }

    fn pass_change(&mut self, filter: &Filter, change: &Change) -> bool {
        match change {
            Change::Insert(quad) | Change::Remove(quad) => {
                let id = self.transition.after().id(quad.subject.as_ref().into());
                id.is_some_and(|id| self.pass(filter, id))
            }
            Change::DropGraph(_) | Change::CreateGraph(_) => true,
        }
    }
}

impl LargeCommit {
    /// Reads a commit; `transition` is what it made of the graph, where the filter asks for origins.
    pub(super) fn new(
        header: &Header,
        changes: RecordChanges,
        filter: Arc<Filter>,
        sight: Sight,
        transition: Option<Transition>,
    ) -> Self {
        Self {
            header: sight.header(header),
            changes,
            filter,
            origins: transition.map(Origins::new),
            sight,
            buffer: Buffer::default(),
            has_begun: false,
        }
    }

    /// Reads on. Blocks. A fragment is given out when it is known whether another one follows.
    pub(super) fn step(&mut self) -> Result<Step, LogError> {
        for _ in 0..STEP_COUNT_MAX {
            let Some(change) = self.changes.next() else {
                let changes = std::mem::take(&mut self.buffer).changes;
                return Ok(if changes.is_empty() {
                    Step::Ended
                } else {
                    Step::Found {
                        changes,
                        is_last: true,
                    }
                });
            };
            let change = change?;
            let filter = &self.filter;
            let mut has_origin = || {
                let origins = self.origins.as_mut();
                origins.is_none_or(|origins| origins.pass_change(filter, &change))
            };
            if !self.sight.has(&change) || !filter.passes(&change) || !has_origin() {
                continue;
            }
            let full = self
                .buffer
                .is_full()
                .then(|| std::mem::take(&mut self.buffer).changes);
            self.buffer.push(change);
            if let Some(changes) = full {
                return Ok(Step::Found {
                    changes,
                    is_last: false,
                });
            }
        }
        Ok(Step::Nothing)
    }
}

/// The graph of one revision, as insertions.
pub(super) struct GraphScan {
    snapshot: Snapshot,
    graphs: VecDeque<TermId>,
    patterns: VecDeque<Pattern>,
    after: Option<QuadIds>,
    predicates: Option<FxHashSet<TermId>>,
    filter: Arc<Filter>,
    origins: Option<Origins>,
}

impl GraphScan {
    /// Reads what is to be seen of a snapshot.
    pub(super) fn new(snapshot: Snapshot, filter: Arc<Filter>) -> Self {
        let ids = |names: &FxHashSet<_>| -> Vec<TermId> {
            let ids = names
                .iter()
                .filter_map(|name: &oxigraph::model::NamedNode| snapshot.iri_id(name.as_str()));
            ids.collect()
        };
        let places = if filter.has_all_graphs() {
            vec![GraphPattern::Default, GraphPattern::AnyNamed]
        } else {
            let default = filter.default_graph.then_some(GraphPattern::Default);
            let named = ids(&filter.graphs).into_iter().map(GraphPattern::Named);
            default.into_iter().chain(named).collect()
        };
        let (subjects, predicates) = (ids(&filter.subjects), ids(&filter.predicates));
        let mut patterns = VecDeque::new();
        for graph in places {
            let all = Pattern::all(graph);
            if !filter.subjects.is_empty() {
                patterns.extend(subjects.iter().map(|&subject| Pattern {
                    subject: Some(subject),
                    ..all
                }));
            } else if !filter.predicates.is_empty() {
                patterns.extend(predicates.iter().map(|&predicate| Pattern {
                    predicate: Some(predicate),
                    ..all
                }));
            } else {
                patterns.push_back(all);
            }
        }
        let graphs = if !filter.has_whole_graphs() {
            VecDeque::new()
        } else if filter.has_all_graphs() {
            snapshot.named_graphs().collect()
        } else {
            let graphs = ids(&filter.graphs).into_iter();
            graphs
                .filter(|&graph| snapshot.contains_named_graph(graph))
                .collect()
        };
        let predicates = (!filter.predicates.is_empty()).then(|| predicates.into_iter().collect());
        let origins = filter
            .has_origins()
            .then(|| Origins::new(Transition::new(snapshot.clone(), snapshot.clone())));
        Self {
            snapshot,
            graphs,
            patterns,
            after: None,
            predicates,
            filter,
            origins,
        }
    }

    /// Reads on. Blocks.
    pub(super) fn step(&mut self) -> Step {
        let mut buffer = Buffer::default();
        while let Some(graph) = self.graphs.pop_front() {
            if let Some(graph) = node(self.snapshot.term(graph)) {
                buffer.push(Change::CreateGraph(graph));
            }
            if buffer.is_full() {
                return Step::Found {
                    changes: buffer.changes,
                    is_last: false,
                };
            }
        }
        let mut left = STEP_COUNT_MAX;
        while let Some(&pattern) = self.patterns.front() {
            let quads = match self.after {
                None => self.snapshot.quads(pattern),
                Some(after) => self.snapshot.quads_after(pattern, after),
            };
            for ids in quads {
                self.after = Some(ids);
                left = left.saturating_sub(1);
                let has_predicate = self
                    .predicates
                    .as_ref()
                    .is_none_or(|predicates| predicates.contains(&ids.predicate));
                let mut has_origin = || {
                    let origins = self.origins.as_mut();
                    origins.is_none_or(|origins| origins.pass(&self.filter, ids.subject))
                };
                if has_predicate && has_origin() {
                    let quad: Quad = self.snapshot.quad(ids);
                    buffer.push(Change::Insert(quad));
                }
                if buffer.is_full() || left == 0 {
                    return Step::Found {
                        changes: buffer.changes,
                        is_last: false,
                    };
                }
            }
            self.patterns.pop_front();
            self.after = None;
        }
        Step::Found {
            changes: buffer.changes,
            is_last: true,
        }
    }
}

fn node(term: Term) -> Option<NamedOrBlankNode> {
    match term {
        Term::NamedNode(node) => Some(node.into()),
        Term::BlankNode(node) => Some(node.into()),
        Term::Literal(_) | Term::Triple(_) => None,
    }
}
