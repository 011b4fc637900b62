//! What events, claims and observations are to have, wherever it is said: plainly, at the node among the statements, or by statements.

use super::{
    group::{self, Group},
    judged::Telling,
    node::{Nodes, about},
    property::{Count, PROPERTIES, Property, Value, part, property},
};
use crate::{
    graph::{Pattern, QuadIds, Snapshot, TermId},
    model::{
        fact::{Stance, Standing},
        truthy::Evidence,
        vocabulary as iris,
    },
};

/// A class of nodes, with what its nodes have.
pub(super) struct Kind {
    class: &'static str,
    properties: &'static [Property],
}

const KIND_COUNT: usize = 3;
const KINDS: [Kind; KIND_COUNT] = [
    Kind {
        class: iris::EVENT,
        properties: &[
            property(iris::ACTOR, Count::Any, Value::Iri),
            property(iris::FOLLOWS, Count::Any, Value::Iri),
        ],
    },
    Kind {
        class: iris::CLAIM,
        properties: &[
            property(iris::SPEAKER, Count::One, Value::Iri),
            property(iris::CONTENT, Count::One, Value::Iri),
        ],
    },
    Kind {
        class: iris::OBSERVATION,
        properties: &[
            property(iris::OBSERVATION_ABOUT, Count::One, Value::Iri),
            property(iris::VARIABLE_MEASURED, Count::One, Value::Iri),
            property(iris::UNIT_TEXT, Count::One, Value::Text),
            property(iris::OBSERVATION_DATE, Count::AtMostOne, Value::Date),
            property(iris::VALUE, Count::AtMostOne, Value::Number),
            property(iris::MIN_VALUE, Count::AtMostOne, Value::Number),
            property(iris::MAX_VALUE, Count::AtMostOne, Value::Number),
        ],
    },
];

/// Finds the classes of nodes.
pub(super) struct Classes {
    r#type: TermId,
    of_kinds: [TermId; KIND_COUNT],
    /// Statements that may say of something that it is of one of the classes.
    stated_count: u64,
}

impl Classes {
    pub(super) fn on(nodes: &Nodes, snapshot: &Snapshot) -> Self {
        let id = |iri| snapshot.iri_id(iri).unwrap_or(TermId::MAX);
        let of_kinds = KINDS.each_ref().map(|kind| id(kind.class));
        let stated_count = |class: &TermId| snapshot.count(nodes.with(part::OBJECT, Some(*class)));
        Self {
            r#type: id(iris::TYPE),
            of_kinds,
            stated_count: of_kinds.iter().map(stated_count).sum(),
        }
    }

    pub(super) fn stated_count(&self) -> u64 {
        self.stated_count
    }

    /// Returns the nodes of which it may be stated, with others.
    pub(super) fn stated_nodes<'a>(
        &'a self,
        nodes: &'a Nodes,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = TermId> + 'a {
        let statements = self
            .of_kinds
            .iter()
            .flat_map(|class| snapshot.quads(nodes.with(part::OBJECT, Some(*class))));
        statements.filter_map(|quad| {
            let triple = nodes.read(snapshot, quad.subject, |_, _| {}).triple();
            triple.map(|[subject, ..]| subject)
        })
    }

    /// Returns the kinds that a node is of by what is said of it in graphs.
    pub(super) fn said(&self, snapshot: &Snapshot, graphs: [TermId; 2], node: TermId) -> [bool; KIND_COUNT] {
        self.of_kinds.map(|class| {
            graphs.iter().any(|&graph| {
                snapshot.contains(QuadIds {
                    subject: node,
                    predicate: self.r#type,
                    object: class,
                    graph,
                })
            })
        })
    }

    /// Returns the kinds that a node is of by statements, those that are rejected aside.
    pub(super) fn stated(&self, nodes: &mut Nodes, snapshot: &Snapshot, node: TermId) -> [bool; KIND_COUNT] {
        let mut kinds = [false; KIND_COUNT];
        if self.stated_count > 0 {
            for evidence in stated(nodes, snapshot, node, self.r#type) {
                let kind = self.of_kinds.iter().position(|class| *class == evidence.object);
                if let Some(kind) = kind {
                    kinds[kind] = true;
                }
            }
        }
        kinds
    }
}

/// Returns what statements say that a node has by a property: those that are live and neither negated nor rejected.
fn stated(nodes: &mut Nodes, snapshot: &Snapshot, node: TermId, property: TermId) -> Vec<Evidence<TermId>> {
    let about_count = snapshot.count(nodes.with(part::SUBJECT, Some(node)));
    if about_count == 0 {
        return Vec::new();
    }
    let group = Group {
        subject: node,
        predicate: property,
    };
    let statements = group::statements(nodes, snapshot, group, about_count);
    let evidence = statements.into_iter().filter_map(|statement| {
        let statement = nodes.read(snapshot, statement, |_, _| {});
        nodes.evidence(snapshot, &statement)
    });
    evidence
        .filter(|evidence| evidence.live && !evidence.negated && evidence.standing != Standing::Rejected)
        .collect()
}

/// The values of a property.
struct Values {
    /// Those that are said without a statement.
    own: Vec<TermId>,
    stated: Vec<Evidence<TermId>>,
}

impl Values {
    fn is_none(&self) -> bool {
        self.own.is_empty() && self.stated.is_empty()
    }

    /// Returns the values that are known and not doubted, on whatever day: each once. A preferred one hides the accepted ones.
    fn accepted(&self) -> Vec<TermId> {
        let accepted = || {
            self.stated
                .iter()
                .filter(|evidence| evidence.is_accepted() && !evidence.is_some_value)
        };
        let has_preferred = accepted().any(|evidence| evidence.standing == Standing::Preferred);
        let best = accepted()
            .filter(|evidence| !has_preferred || evidence.standing == Standing::Preferred)
            .map(|evidence| evidence.object);
        let mut values: Vec<_> = self.own.iter().copied().chain(best).collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// Checks one node.
pub(super) struct ClassCheck<'a, 'b> {
    pub(super) nodes: &'a mut Nodes,
    /// Where what is said of the node without a statement is.
    pub(super) graphs: &'a [TermId],
    /// Whether what is missing may come with a later commit.
    pub(super) is_part: bool,
    pub(super) faults: &'a mut Telling<'b>,
}

impl ClassCheck<'_, '_> {
    pub(super) fn check(&mut self, kinds: [bool; KIND_COUNT]) {
        self.check_property(&PROPERTIES[part::EDTF]);
        for (kind, _) in KINDS.iter().zip(kinds).filter(|(_, is_of)| *is_of) {
            for property in kind.properties {
                self.check_property(property);
            }
            match kind.class {
                iris::CLAIM => self.check_contents(),
                iris::OBSERVATION => self.check_figure(),
                _ => {}
            }
        }
    }

    fn values(&mut self, property: &str) -> Values {
        let (snapshot, node) = (self.faults.snapshot, self.faults.id);
        let Some(property) = snapshot.iri_id(property) else {
            return Values {
                own: Vec::new(),
                stated: Vec::new(),
            };
        };
        let said = self.graphs.iter().flat_map(|&graph| {
            snapshot.quads(Pattern {
                predicate: Some(property),
                ..about(graph, node)
            })
        });
        // Its graph may have come with the change.
        let derived = snapshot.iri_id(iris::DERIVED);
        let is_derived =
            |quad: &QuadIds| derived.is_some_and(|graph| snapshot.contains(QuadIds { graph, ..*quad }));
        let own = said
            .filter(|quad| quad.graph != TermId::DEFAULT_GRAPH || !is_derived(quad))
            .map(|quad| quad.object)
            .collect();
        Values {
            own,
            stated: stated(self.nodes, snapshot, node, property),
        }
    }

    fn check_property(&mut self, property: &Property) {
        let values = self.values(property.iri);
        let known = values.stated.iter().filter(|evidence| !evidence.is_some_value);
        for value in values
            .own
            .iter()
            .copied()
            .chain(known.map(|evidence| evidence.object))
        {
            if let Err(message) = property.value.check(self.faults.snapshot, value) {
                self.faults.tell(property.iri, message);
            }
        }
        // What is only doubted is not missing, and of that there may be more than one.
        let count = match values.accepted().len() {
            0 if !values.is_none() || self.is_part => return,
            count => u32::try_from(count).unwrap_or(u32::MAX),
        };
        if let Err(message) = property.count.check(count) {
            self.faults.tell(property.iri, message);
        }
    }

    /// A claim's content is what somebody else says, and is not accepted.
    fn check_contents(&mut self) {
        let values = self.values(iris::CONTENT);
        let stated = values.stated.iter().filter(|evidence| !evidence.is_some_value);
        for content in values
            .own
            .iter()
            .copied()
            .chain(stated.map(|evidence| evidence.object))
        {
            let node = self.nodes.read(self.faults.snapshot, content, |_, _| {});
            let is_content = self.nodes.stance(&node) == Some(Stance::Attributed)
                && matches!(
                    self.nodes.standing(&node),
                    Some(Standing::Unconfirmed | Standing::Disputed | Standing::Rejected)
                );
            let is_wrong = if node.is_statement() {
                !is_content
            } else {
                !self.is_part
            };
            if is_wrong {
                let text = self.faults.snapshot.term(content);
                let message = format!("{text} is no statement that is attributed and not accepted");
                self.faults.tell_of(content, iris::CONTENT, message);
            }
        }
    }

    /// A figure has a value or bounds, not both.
    fn check_figure(&mut self) {
        let [value, min, max] =
            [iris::VALUE, iris::MIN_VALUE, iris::MAX_VALUE].map(|property| self.values(property));
        let has_bounds = !min.accepted().is_empty() || !max.accepted().is_empty();
        if !value.accepted().is_empty() && has_bounds {
            let message = "is there beside a schema:minValue or a schema:maxValue: it is one or the other";
            self.faults.tell(iris::VALUE, message.to_owned());
        }
        if [value, min, max].iter().all(Values::is_none) && !self.is_part {
            let message = "is missing, and so are schema:minValue and schema:maxValue";
            self.faults.tell(iris::VALUE, message.to_owned());
        }
    }
}
