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
        ends: &mut Vec<u32>,
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
                let mut middles = Vec::new();
                self.follow(first, node, direction, &mut middles)?;
                // Only ends count inside a closure.
                middles.sort_unstable();
                middles.dedup();
                for middle in middles {
                    self.follow(second, middle, direction, ends)?;
                }
                Ok(())
            }
            Path::ZeroOrOne(path) => {
                let start = ends.len();
                self.follow(path, node, direction, ends)?;
                ends.push(node);
                ends[start..].sort_unstable();
                dedup_from(ends, start);
                Ok(())
            }
            Path::ZeroOrMore(path) => self.closure(path, node, direction, true, None, ends),
            Path::OneOrMore(path) => self.closure(path, node, direction, false, None, ends),
        }
    }

    /// Adds all nodes that repeated steps lead to; stops at `target`.
    fn closure(
        &self,
        path: &Path,
        node: u32,
        direction: Direction,
        with_start: bool,
        target: Option<u32>,
        ends: &mut Vec<u32>,
    ) -> Result<(), SparqlError> {
        let mut account = self.context.budget.account();
        let mut seen = FxHashSet::default();
        let mut waiting = vec![node];
        if with_start {
            seen.insert(node);
            ends.push(node);
        }
        let mut found = Vec::new();
        while let Some(node) = waiting.pop() {
            self.context.tick()?;
            if target.is_some_and(|target| seen.contains(&target)) {
                break;
            }
            found.clear();
            self.follow(path, node, direction, &mut found)?;
            for &end in &found {
                if seen.insert(end) {
                    ends.push(end);
                    waiting.push(end);
                }
            }
            account.set((seen.len() + waiting.len() + ends.len() + found.len()) * NODE_BYTES)?;
        }
        Ok(())
    }

    fn step(
        &self,
        node: u32,
        predicate: Option<u32>,
        direction: Direction,
        without: &[u32],
        ends: &mut Vec<u32>,
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
            });
        }
        Ok(())
    }

    /// Tells whether a path leads from one node to another; for negated sets, how often.
    fn count(&self, path: &Path, start: u32, end: u32) -> Result<usize, SparqlError> {
        let mut ends = Vec::new();
        match path {
            Path::ZeroOrMore(inner) | Path::OneOrMore(inner) => {
                let with_start = matches!(path, Path::ZeroOrMore(_));
                self.closure(inner, start, Direction::Forward, with_start, Some(end), &mut ends)?;
            }
            _ => self.follow(path, start, Direction::Forward, &mut ends)?,
        }
        Ok(ends.into_iter().filter(|&reached| reached == end).count())
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

fn dedup_from(ends: &mut Vec<u32>, start: usize) {
    let mut kept = start;
    for index in start..ends.len() {
        if index == start || ends[index] != ends[kept - 1] {
            ends[kept] = ends[index];
            kept += 1;
        }
    }
    ends.truncate(kept);
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
        let mut ends = Vec::new();
        walk.follow(&self.path, start, self.direction, &mut ends)?;
        self.ends = ends.into();
        let account = self.account.get_or_insert_with(|| walk.context.budget.account());
        account.set((self.starts.len() + self.ends.len() + self.remembered_count) * size_of::<u32>())?;
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
