//! Property paths that are no joins: closures, optional steps, negated sets (SPARQL 1.1 Query, section 18.4).

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    super::{SparqlError, memory::Account},
    batch::{Batch, rows_at_once, rows_below},
    context::Context,
    operator::{Description, Node, Operator},
    place::{GraphPlace, Place},
    terms::Terms,
};
use crate::graph::{GraphPattern, Pattern, QuadIds};

/// Bytes that a node takes in a set, about.
const NODE_BYTES: usize = 12;
/// Ends of paths that are remembered by their start.
const REMEMBERED_COUNT_MAX: usize = 1 << 16;

/// A property path.
#[derive(Clone, Debug)]
pub(super) enum Path {
    Predicate(u32),
    Reverse(Box<Self>),
    Sequence(Box<Self>, Box<Self>),
    Alternative(Box<Self>, Box<Self>),
    ZeroOrMore(Box<Self>),
    OneOrMore(Box<Self>),
    ZeroOrOne(Box<Self>),
    NegatedSet(Vec<u32>),
}

impl Path {
    /// Tells whether it may have no step.
    fn may_be_empty(&self) -> bool {
        match self {
            Self::Predicate(_) | Self::NegatedSet(_) => false,
            Self::ZeroOrMore(_) | Self::ZeroOrOne(_) => true,
            Self::OneOrMore(path) | Self::Reverse(path) => path.may_be_empty(),
            Self::Sequence(first, second) => first.may_be_empty() && second.may_be_empty(),
            Self::Alternative(first, second) => first.may_be_empty() || second.may_be_empty(),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Direction {
    /// From subject to object.
    Forward,
    Backward,
}

impl Direction {
    fn turned(self) -> Self {
        match self {
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }
}

/// Nodes that a path leads to, within the memory of the query.
struct Ends {
    nodes: Vec<u32>,
    /// Keeps each node once.
    seen: Option<FxHashSet<u32>>,
    account: Account,
}

impl Ends {
    /// Keeps each node as often as it is reached.
    fn all(context: &Context<'_>) -> Self {
        Self {
            nodes: Vec::new(),
            seen: None,
            account: context.budget.account(),
        }
    }

    /// Keeps each node once.
    fn distinct(context: &Context<'_>) -> Self {
        Self {
            seen: Some(FxHashSet::default()),
            ..Self::all(context)
        }
    }

    fn push(&mut self, node: u32) -> Result<(), SparqlError> {
        if let Some(seen) = &mut self.seen {
            if seen.len() == seen.capacity() {
                let more = (2 * seen.len()).max(64);
                // The old table and the new one are there at once.
                self.account
                    .set(self.nodes.capacity() * size_of::<u32>() + (seen.len() + more) * NODE_BYTES)?;
                seen.reserve(more - seen.len());
            }
            if !seen.insert(node) {
                return Ok(());
            }
        }
        if self.nodes.len() == self.nodes.capacity() {
            let more = (2 * self.nodes.len()).max(64);
            let seen = self.seen.as_ref().map_or(0, FxHashSet::capacity);
            self.account
                .set((self.nodes.len() + more) * size_of::<u32>() + seen * NODE_BYTES)?;
            self.nodes.reserve_exact(more - self.nodes.len());
        }
        self.nodes.push(node);
        Ok(())
    }

    fn contains(&self, node: u32) -> bool {
        match &self.seen {
            Some(seen) => seen.contains(&node),
            None => self.nodes.contains(&node),
        }
    }
}

/// Walks paths in one graph.
struct Walk<'c, 'a> {
    context: &'c Context<'a>,
    graph: GraphPattern,
}

impl Walk<'_, '_> {
    /// Adds what a path leads to from a node; closures each once, others as often as they lead there.
    fn follow(
        &self,
        path: &Path,
        node: u32,
        direction: Direction,
        ends: &mut Ends,
    ) -> Result<(), SparqlError> {
        match path {
            Path::Predicate(predicate) => self.step(node, Some(*predicate), direction, &[], ends),
            Path::NegatedSet(predicates) => self.step(node, None, direction, predicates, ends),
            Path::Reverse(path) => self.follow(path, node, direction.turned(), ends),
            Path::Alternative(first, second) => {
                self.follow(first, node, direction, ends)?;
                self.follow(second, node, direction, ends)
            }
            Path::Sequence(first, second) => {
                let (first, second) = match direction {
                    Direction::Forward => (first, second),
                    Direction::Backward => (second, first),
                };
                // Only ends count inside a closure.
                let mut middles = Ends::distinct(self.context);
                self.follow(first, node, direction, &mut middles)?;
                for &middle in &middles.nodes {
                    self.follow(second, middle, direction, ends)?;
                }
                Ok(())
            }
            Path::ZeroOrOne(path) => {
                let mut found = Ends::distinct(self.context);
                self.follow(path, node, direction, &mut found)?;
                found.push(node)?;
                self.add(&found, ends)
            }
            Path::ZeroOrMore(path) => self.closure(path, node, direction, true, None, ends),
            Path::OneOrMore(path) => self.closure(path, node, direction, false, None, ends),
        }
    }

    fn add(&self, found: &Ends, ends: &mut Ends) -> Result<(), SparqlError> {
        for &node in &found.nodes {
            self.context.tick()?;
            ends.push(node)?;
        }
        Ok(())
    }

    /// Adds all nodes that repeated steps lead to; stops at `target`.
    fn closure(
        &self,
        path: &Path,
        node: u32,
        direction: Direction,
        with_start: bool,
        target: Option<u32>,
        ends: &mut Ends,
    ) -> Result<(), SparqlError> {
        let mut reached = Ends::distinct(self.context);
        if with_start {
            reached.push(node)?;
        } else {
            self.follow(path, node, direction, &mut reached)?;
        }
        let mut at = 0;
        while let Some(&node) = reached.nodes.get(at) {
            self.context.tick()?;
            if target.is_some_and(|target| reached.contains(target)) {
                break;
            }
            at += 1;
            self.follow(path, node, direction, &mut reached)?;
        }
        self.add(&reached, ends)
    }

    fn step(
        &self,
        node: u32,
        predicate: Option<u32>,
        direction: Direction,
        without: &[u32],
        ends: &mut Ends,
    ) -> Result<(), SparqlError> {
        let Some(node) = Terms::known(node) else {
            return Ok(());
        };
        let predicate = match predicate.map(Terms::known) {
            Some(None) => return Ok(()),
            predicate => predicate.flatten(),
        };
        let (subject, object) = match direction {
            Direction::Forward => (Some(node), None),
            Direction::Backward => (None, Some(node)),
        };
        let pattern = Pattern {
            subject,
            predicate,
            object,
            graph: self.graph,
        };
        for quad in self.context.quads(pattern) {
            self.context.tick()?;
            if without.contains(&quad.predicate.get()) {
                continue;
            }
            ends.push(match direction {
                Direction::Forward => quad.object.get(),
                Direction::Backward => quad.subject.get(),
            })?;
        }
        Ok(())
    }

    /// Tells whether a path leads from one node to another; for negated sets, how often.
    fn count(&self, path: &Path, start: u32, end: u32) -> Result<usize, SparqlError> {
        let mut ends = Ends::all(self.context);
        match path {
            Path::ZeroOrMore(inner) | Path::OneOrMore(inner) => {
                let with_start = matches!(path, Path::ZeroOrMore(_));
                self.closure(inner, start, Direction::Forward, with_start, Some(end), &mut ends)?;
            }
            _ => self.follow(path, start, Direction::Forward, &mut ends)?,
        }
        Ok(ends.nodes.into_iter().filter(|&reached| reached == end).count())
    }

    /// Tells whether a term is a subject or an object.
    fn has_node(&self, node: u32) -> bool {
        let Some(node) = Terms::known(node) else {
            return false;
        };
        let has = |subject, object| {
            let pattern = Pattern {
                subject,
                predicate: None,
                object,
                graph: self.graph,
            };
            self.context.quads(pattern).next().is_some()
        };
        has(Some(node), None) || has(None, Some(node))
    }

    /// Returns all subjects and objects.
    fn nodes(&self) -> Result<Vec<u32>, SparqlError> {
        let mut account = self.context.budget.account();
        let mut nodes = FxHashSet::default();
        let mut last = None;
        for QuadIds { subject, object, .. } in self.context.quads(Pattern::all(self.graph)) {
            self.context.tick()?;
            // Subjects come sorted.
            if last != Some(subject) {
                nodes.insert(subject.get());
                last = Some(subject);
            }
            nodes.insert(object.get());
            account.set(nodes.len() * NODE_BYTES)?;
        }
        Ok(nodes.into_iter().collect())
    }
}

/// Continues each row with every pair of nodes that a path connects.
pub(super) struct PathScan<'a> {
    input: Node<'a>,
    subject: Place,
    path: Path,
    object: Place,
    graph: GraphPlace,
    /// Whether the subject and the object are named by the pattern, or put into it (EXISTS).
    are_named: [bool; 2],
    detail: String,
    rows: Batch,
    at: usize,
    /// Where paths of this row start, the last first.
    starts: Vec<u32>,
    direction: Direction,
    start: u32,
    ends: Rc<[u32]>,
    next_end: usize,
    remembered: FxHashMap<(u32, Direction), Rc<[u32]>>,
    remembered_count: usize,
    account: Option<Account>,
}

impl<'a> PathScan<'a> {
    pub(super) fn new(
        input: Node<'a>,
        subject: Place,
        path: Path,
        object: Place,
        graph: GraphPlace,
        are_named: [bool; 2],
        detail: String,
    ) -> Self {
        Self {
            input,
            subject,
            path,
            object,
            graph,
            are_named,
            detail,
            rows: Batch::default(),
            at: 0,
            starts: Vec::new(),
            direction: Direction::Forward,
            start: 0,
            ends: Rc::default(),
            next_end: 0,
            remembered: FxHashMap::default(),
            remembered_count: 0,
            account: None,
        }
    }

    /// Prepares the paths of the row at hand.
    fn begin(&mut self, context: &Context<'a>, graph: GraphPattern) -> Result<(), SparqlError> {
        let row = self.rows.row(self.at);
        let walk = Walk { context, graph };
        let is_fixed = !matches!(self.graph, GraphPlace::Slot(_));
        self.ends = Rc::default();
        self.next_end = 0;
        // A path of length zero is at every node of the graph, and at terms that the pattern itself names.
        let [is_subject_named, is_object_named] = self.are_named;
        let is_absent = |is_named: bool, node| !is_named && self.path.may_be_empty() && !walk.has_node(node);
        match (self.subject.number(row), self.object.number(row)) {
            (Some(start), Some(end))
                if start == end && is_absent(is_subject_named || is_object_named, start) => {}
            (Some(start), Some(end)) => {
                let count = walk.count(&self.path, start, end)?;
                let account = self.account.get_or_insert_with(|| context.budget.account());
                account.set((count + self.remembered_count) * size_of::<u32>())?;
                (self.direction, self.start) = (Direction::Forward, start);
                self.ends = vec![end; count].into();
            }
            (Some(start), None) if is_absent(is_subject_named, start) => {}
            (None, Some(end)) if is_absent(is_object_named, end) => {}
            (Some(start), None) => {
                self.direction = Direction::Forward;
                self.go(&walk, start, is_fixed)?;
            }
            (None, Some(end)) => {
                self.direction = Direction::Backward;
                self.go(&walk, end, is_fixed)?;
            }
            (None, None) => {
                self.direction = Direction::Forward;
                self.starts = walk.nodes()?;
                let account = self.account.get_or_insert_with(|| context.budget.account());
                account.set((self.starts.len() + self.remembered_count) * size_of::<u32>())?;
            }
        }
        Ok(())
    }

    fn go(&mut self, walk: &Walk<'_, 'a>, start: u32, remember: bool) -> Result<(), SparqlError> {
        self.start = start;
        self.next_end = 0;
        if let Some(ends) = self.remembered.get(&(start, self.direction)).filter(|_| remember) {
            self.ends = Rc::clone(ends);
            return Ok(());
        }
        let mut ends = Ends::all(walk.context);
        walk.follow(&self.path, start, self.direction, &mut ends)?;
        let account = self.account.get_or_insert_with(|| walk.context.budget.account());
        account.set((self.starts.len() + ends.nodes.len() + self.remembered_count) * size_of::<u32>())?;
        self.ends = ends.nodes.into();
        if remember
            && Terms::known(start).is_some()
            && self.remembered_count + self.ends.len() < REMEMBERED_COUNT_MAX
        {
            self.remembered_count += self.ends.len() + 4;
            self.remembered
                .insert((start, self.direction), Rc::clone(&self.ends));
        }
        Ok(())
    }
}

impl<'a> Operator<'a> for PathScan<'a> {
    fn open(&mut self, seed: &Rc<Batch>) {
        self.input.open(seed);
        self.rows = Batch::default();
        self.at = 0;
        self.starts.clear();
        self.ends = Rc::default();
        self.next_end = 0;
    }

    fn next(&mut self, context: &Context<'a>, wanted: usize) -> Result<Option<Batch>, SparqlError> {
        let width = context.width.get();
        let wanted = rows_at_once(wanted, width);
        let mut out = Batch::new(width);
        loop {
            while self.next_end < self.ends.len() {
                context.tick()?;
                let end = self.ends[self.next_end];
                self.next_end += 1;
                let (subject, object) = match self.direction {
                    Direction::Forward => (self.start, end),
                    Direction::Backward => (end, self.start),
                };
                let row = out.push(self.rows.row(self.at));
                if !self.subject.bind(context, row, subject)? || !self.object.bind(context, row, object)? {
                    out.pop();
                } else if out.len() >= wanted {
                    return Ok(Some(out));
                }
            }
            if let Some(start) = self.starts.pop() {
                let graph = self.graph.meet(context, self.rows.row(self.at));
                let walk = Walk {
                    context,
                    graph: graph.unwrap_or(GraphPattern::Default),
                };
                self.go(&walk, start, false)?;
                continue;
            }
            // The first row of a batch is begun where the batch is fetched.
            self.at += 1;
            if self.at >= self.rows.len() {
                let Some(rows) = self.input.next(context, rows_below(wanted))? else {
                    return Ok((!out.is_empty()).then_some(out));
                };
                (self.rows, self.at) = (rows, 0);
            }
            self.ends = Rc::default();
            self.next_end = 0;
            if let Some(graph) = self.graph.meet(context, self.rows.row(self.at)) {
                self.begin(context, graph)?;
            }
        }
    }

    fn describe(&self) -> Description<'_, 'a> {
        Description {
            operator: "Path",
            detail: self.detail.clone(),
            children: vec![&self.input],
        }
    }
}
