//! What a caller may do: which graphs it reads and writes, and whether it administers.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, LazyLock},
};

use oxigraph::model::GraphNameRef;

use super::vocabulary::{DERIVED, META, SOURCES, STATEMENTS};

/// The named graphs that are one with the default graph: whoever sees or changes one of the five, does all.
pub const DEFAULT_UNIT: [&str; 4] = [STATEMENTS, SOURCES, DERIVED, META];

/// Some graphs of all that there are or may come to be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GraphSet {
    is_everything: bool,
    has_default: bool,
    names: BTreeSet<String>,
    prefixes: BTreeSet<String>,
}

impl GraphSet {
    /// Returns all graphs.
    pub fn everything() -> Self {
        Self {
            is_everything: true,
            ..Self::default()
        }
    }

    /// Adds the default graph, and with it the graphs of [`DEFAULT_UNIT`].
    pub fn add_default(&mut self) {
        self.has_default = true;
    }

    /// Adds a named graph; one of [`DEFAULT_UNIT`] stands for all of that.
    pub fn add(&mut self, graph: &str) {
        if DEFAULT_UNIT.contains(&graph) {
            self.has_default = true;
        } else {
            self.names.insert(graph.to_owned());
        }
    }

    /// Adds the graphs whose names begin so, but none of [`DEFAULT_UNIT`].
    pub fn add_prefix(&mut self, prefix: &str) {
        self.prefixes.insert(prefix.to_owned());
    }

    /// Adds the graphs of another set.
    pub fn add_all(&mut self, other: &Self) {
        self.is_everything |= other.is_everything;
        self.has_default |= other.has_default;
        self.names.extend(other.names.iter().cloned());
        self.prefixes.extend(other.prefixes.iter().cloned());
    }

    /// Tells whether it is all graphs, those named by blank nodes too.
    pub fn is_everything(&self) -> bool {
        self.is_everything
    }

    /// Tells whether it has no graph.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether it has the default graph.
    pub fn has_default(&self) -> bool {
        self.is_everything || self.has_default
    }

    /// Tells whether it has a graph that an IRI names.
    pub fn has_named(&self, graph: &str) -> bool {
        if self.is_everything {
            return true;
        }
        if DEFAULT_UNIT.contains(&graph) {
            return self.has_default;
        }
        self.names.contains(graph) || self.prefixes.iter().any(|prefix| graph.starts_with(prefix))
    }

    /// Tells whether it has a graph. One that a blank node names is in no set but that of everything.
    pub fn has(&self, graph: GraphNameRef<'_>) -> bool {
        match graph {
            GraphNameRef::DefaultGraph => self.has_default(),
            GraphNameRef::NamedNode(name) => self.has_named(name.as_str()),
            GraphNameRef::BlankNode(_) => self.is_everything,
        }
    }

    /// Tells whether it has all graphs of another set, as far as their names tell.
    fn covers(&self, other: &Self) -> bool {
        let has_prefix = |prefix: &String| {
            self.prefixes
                .iter()
                .any(|shorter| prefix.starts_with(shorter.as_str()))
        };
        self.is_everything
            || (!other.is_everything
                && (self.has_default || !other.has_default)
                && other.names.iter().all(|name| self.has_named(name))
                && other.prefixes.iter().all(has_prefix))
    }

    /// Returns the names of its named graphs, if it is known by names alone.
    pub fn names(&self) -> Option<impl Iterator<Item = &str>> {
        let unit = DEFAULT_UNIT.into_iter().filter(|_| self.has_default);
        let is_known = !self.is_everything && self.prefixes.is_empty();
        is_known.then(|| unit.chain(self.names.iter().map(String::as_str)))
    }
}

impl fmt::Display for GraphSet {
    /// Writes names in `<` and `>`, and beginnings of names with `*` behind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything {
            return f.write_str("all graphs");
        }
        let default = self.has_default.then(|| "the default graph".to_owned());
        let names = self.names.iter().map(|name| format!("<{name}>"));
        let prefixes = self.prefixes.iter().map(|prefix| format!("<{prefix}>*"));
        let parts: Vec<_> = default.into_iter().chain(names).chain(prefixes).collect();
        if parts.is_empty() {
            return f.write_str("nothing");
        }
        f.write_str(&parts.join(", "))
    }
}

/// Returns what callers are told of a graph: an IRI in `<` and `>`, a blank node, or `the default graph`.
pub fn graph_label(graph: GraphNameRef<'_>) -> String {
    match graph {
        GraphNameRef::DefaultGraph => "the default graph".to_owned(),
        named => named.to_string(),
    }
}

/// How much a commit changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Changed {
    /// Quads that came to be there.
    pub quads_inserted: u64,
    /// Quads that are no longer there.
    pub quads_removed: u64,
    /// Named graphs that came to exist.
    pub graphs_created: u64,
    /// Named graphs that no longer exist.
    pub graphs_dropped: u64,
}

/// Is told of what is done with an access, and of its end.
pub trait Witness: fmt::Debug + Send + Sync {
    /// A commit was made: it is durable, and nobody has been answered yet.
    fn committed(&self, revision: u64, changed: Changed);

    /// Something was erased from the log, which is at this revision, and from so many of its records.
    fn erased(&self, revision: u64, record_count: u64);

    /// What its caller was let in for ends before it is over, and why.
    fn lapsed(&self, cause: &str);
}

/// What one caller may do. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Access(Arc<Inner>, Option<Arc<dyn Witness>>);

#[derive(Clone, Debug)]
struct Inner {
    subject: String,
    author: String,
    reads: Arc<GraphSet>,
    writes: GraphSet,
    is_admin: bool,
    may_scrape: bool,
}

impl Access {
    /// Returns the access of a subject. Whoever writes a graph reads it, and an administrator does everything.
    pub fn new(subject: impl Into<String>, mut reads: GraphSet, writes: GraphSet, is_admin: bool) -> Self {
        reads.add_all(&writes);
        let all_if_admin = |set| if is_admin { GraphSet::everything() } else { set };
        let subject = subject.into();
        let inner = Inner {
            author: subject.clone(),
            subject,
            reads: Arc::new(all_if_admin(reads)),
            writes: all_if_admin(writes),
            is_admin,
            may_scrape: is_admin,
        };
        Self(Arc::new(inner), None)
    }

    /// Returns the same access, with another name for the log.
    #[must_use]
    pub fn by(mut self, author: &str) -> Self {
        author.clone_into(&mut Arc::make_mut(&mut self.0).author);
        self
    }

    /// Returns the same access, which may also see what the server counts.
    #[must_use]
    pub fn with_metrics(mut self) -> Self {
        Arc::make_mut(&mut self.0).may_scrape = true;
        self
    }

    /// Returns the same access, with a witness.
    #[must_use]
    pub fn before(mut self, witness: Arc<dyn Witness>) -> Self {
        self.1 = Some(witness);
        self
    }

    /// Returns the witness.
    pub fn witness(&self) -> Option<&Arc<dyn Witness>> {
        self.1.as_ref()
    }

    /// Returns the access of the server itself, and of everybody where nobody is asked who they are.
    pub fn everything() -> Self {
        static EVERYTHING: LazyLock<Access> =
            LazyLock::new(|| Access::new("", GraphSet::default(), GraphSet::default(), true));
        EVERYTHING.clone()
    }

    /// Returns who it is; empty where nobody is asked.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Returns whom the log names as the author of what it commits.
    pub fn author(&self) -> &str {
        &self.0.author
    }

    /// Returns the graphs that are there for it.
    pub fn reads(&self) -> &Arc<GraphSet> {
        &self.0.reads
    }

    /// Returns the graphs that it may change.
    pub fn writes(&self) -> &GraphSet {
        &self.0.writes
    }

    /// Tells whether it allows all that another access does.
    pub fn covers(&self, other: &Self) -> bool {
        (self.is_admin() || !other.is_admin())
            && (self.may_scrape() || !other.may_scrape())
            && self.reads().covers(other.reads())
            && self.writes().covers(other.writes())
    }

    /// Tells whether it may see what the server counts, of all graphs and callers.
    pub fn may_scrape(&self) -> bool {
        self.0.may_scrape
    }

    /// Tells whether it may do what is nobody's graph: look at others' queries, fetch from elsewhere, administer.
    pub fn is_admin(&self) -> bool {
        self.0.is_admin
    }
}

#[cfg(test)]
mod tests {
    use oxigraph::model::{BlankNodeRef, NamedNodeRef};

    use super::*;

    fn set(default: bool, names: &[&str], prefixes: &[&str]) -> GraphSet {
        let mut set = GraphSet::default();
        if default {
            set.add_default();
        }
        for name in names {
            set.add(name);
        }
        for prefix in prefixes {
            set.add_prefix(prefix);
        }
        set
    }

    #[test]
    fn the_default_graph_and_its_four_are_one() {
        let by_member = set(false, &[STATEMENTS], &[]);
        assert!(by_member.has_default());
        for graph in DEFAULT_UNIT {
            assert!(by_member.has_named(graph));
            assert!(!set(false, &["http://example.com/g"], &["https://w3id.org/"]).has_named(graph));
        }
        assert!(by_member.names().unwrap().eq(DEFAULT_UNIT));
    }

    #[test]
    fn graphs_are_known_by_name_and_beginning() {
        let some = set(false, &["http://example.com/a"], &["http://example.com/team/"]);
        for (graph, expected) in [
            ("http://example.com/a", true),
            ("http://example.com/ab", false),
            ("http://example.com/team/", true),
            ("http://example.com/team/x", true),
            ("http://example.com/team", false),
            ("HTTP://example.com/a", false),
        ] {
            assert_eq!(some.has_named(graph), expected, "{graph}");
            assert_eq!(
                some.has(NamedNodeRef::new_unchecked(graph).into()),
                expected,
                "{graph}"
            );
        }
        assert!(!some.has(GraphNameRef::DefaultGraph));
        let blank = BlankNodeRef::new_unchecked("b").into();
        assert!(!some.has(blank));
        assert!(GraphSet::everything().has(blank));
        assert!(some.names().is_none());
        assert!(!some.is_empty());
        assert!(GraphSet::default().is_empty());
    }

    #[test]
    fn an_access_covers_what_allows_no_more() {
        let none = GraphSet::default;
        let reader = |reads| Access::new("r", reads, none(), false);
        let team = "http://example.com/team/";
        for (wide, narrow) in [
            (set(true, &[], &[]), none()),
            (
                GraphSet::everything(),
                set(true, &["http://example.com/a"], &[team]),
            ),
            (
                set(false, &[], &[team]),
                set(false, &["http://example.com/team/a"], &[]),
            ),
            (
                set(false, &[], &["http://example.com/"]),
                set(false, &[], &[team]),
            ),
            (
                set(true, &["http://example.com/a"], &[team]),
                set(true, &[], &[team]),
            ),
        ] {
            assert!(wide.covers(&wide) && wide.covers(&narrow), "{narrow}");
            assert!(!narrow.covers(&wide), "{narrow} and {wide}");
            let (wide, narrow) = (reader(wide), reader(narrow));
            assert!(wide.covers(&narrow) && !narrow.covers(&wide));
        }
        let all = GraphSet::everything;
        let writer = Access::new("w", all(), all(), false);
        let admin = Access::new("a", none(), none(), true);
        assert!(admin.covers(&writer) && !writer.covers(&admin));
        assert!(writer.covers(&reader(all())) && !reader(all()).covers(&writer));
        let scraper = reader(none()).with_metrics();
        assert!(admin.covers(&scraper) && !writer.covers(&scraper) && scraper.covers(&reader(none())));
    }

    #[test]
    fn writers_read_and_administrators_do_everything() {
        let writer = Access::new(
            "w",
            set(true, &[], &[]),
            set(false, &["http://example.com/a"], &[]),
            false,
        );
        assert!(writer.reads().has_named("http://example.com/a"));
        assert!(writer.reads().has_default() && !writer.writes().has_default());
        let admin = Access::new("a", GraphSet::default(), GraphSet::default(), true);
        assert!(admin.reads().is_everything() && admin.writes().is_everything());
    }
}
