//! Groups: the statements of one subject and predicate, and the triples that follow from them.

use super::{Change, ModelError, node::Nodes, property::part};
use crate::{
    graph::{Edit, GraphPattern, Pattern, QuadIds, Snapshot, TermId},
    model::{
        day::Day,
        truthy::{self, Evidence},
    },
};

/// A subject and a predicate.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Group {
    pub(super) subject: TermId,
    pub(super) predicate: TermId,
}

/// Groups to look at.
#[derive(Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
}

impl Groups {
    pub(super) fn push(&mut self, quad: QuadIds) {
        let group = Group {
            subject: quad.subject,
            predicate: quad.predicate,
        };
        if self.groups.last() != Some(&group) {
            self.groups.push(group);
        }
    }

    /// Adds the groups of a statement; more than one only if it is none.
    pub(super) fn of_node(&mut self, nodes: &Nodes, snapshot: &Snapshot, node: TermId) {
        let values = |part| {
            let pattern = Pattern {
                subject: Some(node),
                ..nodes.with(part, None)
            };
            snapshot.quads(pattern).map(|quad| quad.object)
        };
        for subject in values(part::SUBJECT) {
            let groups = values(part::PREDICATE).map(|predicate| Group { subject, predicate });
            self.groups.extend(groups);
        }
    }

    pub(super) fn sorted(mut self) -> Vec<Group> {
        self.groups.sort_unstable();
        self.groups.dedup();
        self.groups
    }
}

/// What must change in the default graph and in `g:derived`: triples, by their quads in the default graph.
#[derive(Debug, Default)]
pub(super) struct Settled {
    hold: Vec<QuadIds>,
    end: Vec<QuadIds>,
    derived: Vec<QuadIds>,
    not_derived: Vec<QuadIds>,
}

impl Settled {
    /// Returns the triples that come to hold and those that end.
    pub(super) fn changed(&self) -> impl Iterator<Item = QuadIds> + '_ {
        self.hold.iter().chain(&self.end).copied()
    }

    pub(super) fn write(&self, edit: &mut Edit, derived: TermId) {
        let derived = if derived == TermId::MAX && !self.derived.is_empty() {
            edit.id(super::graph_name(super::iris::DERIVED))
        } else {
            derived
        };
        let in_derived = |quad: &QuadIds| QuadIds {
            graph: derived,
            ..*quad
        };
        self.hold.iter().for_each(|quad| edit.insert(*quad));
        self.end.iter().for_each(|quad| edit.remove(*quad));
        self.derived.iter().for_each(|quad| edit.insert(in_derived(quad)));
        self.not_derived
            .iter()
            .for_each(|quad| edit.remove(in_derived(quad)));
    }
}

impl Change {
    /// Finds what must change so that groups are as the rule has them on a day.
    pub(super) fn settle(
        &self,
        nodes: &mut Nodes,
        groups: &[Group],
        day: Day,
        settled: &mut Settled,
    ) -> Result<(), ModelError> {
        for groups in groups.chunk_by(|a, b| a.subject == b.subject) {
            let about = nodes.with(part::SUBJECT, Some(groups[0].subject));
            let about_count = self.now.count(about);
            // A group is found by its subject or by its predicate, whatever has fewer statements; many groups of a
            // subject are found in one walk over its statements.
            let walk_count: u64 = groups
                .iter()
                .map(|group| {
                    about_count.min(self.now.count(nodes.with(part::PREDICATE, Some(group.predicate))))
                })
                .sum();
            if about_count == 0 {
                for group in groups {
                    self.settle_group(nodes, *group, &[], day, settled)?;
                }
            } else if groups.len() == 1 || walk_count < about_count {
                for group in groups {
                    let statements = statements(nodes, &self.now, *group, about_count);
                    self.settle_group(nodes, *group, &statements, day, settled)?;
                }
            } else {
                let mut members: Vec<(TermId, TermId)> = Vec::new();
                for quad in self.now.quads(about) {
                    let predicates = Pattern {
                        subject: Some(quad.subject),
                        ..nodes.with(part::PREDICATE, None)
                    };
                    let predicates = self.now.quads(predicates);
                    members.extend(predicates.map(|predicate| (predicate.object, quad.subject)));
                }
                members.sort_unstable();
                for group in groups {
                    let start = members.partition_point(|(predicate, _)| *predicate < group.predicate);
                    let statements: Vec<_> = members[start..]
                        .iter()
                        .take_while(|(predicate, _)| *predicate == group.predicate)
                        .map(|(_, statement)| *statement)
                        .collect();
                    self.settle_group(nodes, *group, &statements, day, settled)?;
                }
            }
        }
        Ok(())
    }

    fn settle_group(
        &self,
        nodes: &mut Nodes,
        group: Group,
        statements: &[TermId],
        day: Day,
        settled: &mut Settled,
    ) -> Result<(), ModelError> {
        let evidence: Vec<Evidence<TermId>> = statements
            .iter()
            .filter_map(|&statement| {
                let node = nodes.read(&self.now, statement, |_, _| {});
                nodes.evidence(&self.now, &node)
            })
            .collect();
        let holding = truthy::objects(&evidence, day);
        let derived = |snapshot: &Snapshot| {
            let pattern = Pattern {
                subject: Some(group.subject),
                predicate: Some(group.predicate),
                object: None,
                graph: GraphPattern::Named(nodes.derived),
            };
            snapshot
                .quads(pattern)
                .map(|quad| quad.object)
                .collect::<Vec<_>>()
        };
        let mut objects = holding.clone();
        objects.extend(derived(&self.base));
        objects.extend(derived(&self.now));
        objects.sort_unstable();
        objects.dedup();
        for object in objects {
            let triple = QuadIds {
                subject: group.subject,
                predicate: group.predicate,
                object,
                graph: TermId::DEFAULT_GRAPH,
            };
            let holds = holding.binary_search(&object).is_ok();
            self.settle_triple(nodes, triple, holds, settled)?;
        }
        Ok(())
    }

    /// Settles one triple, of which it is known whether statements make it hold.
    fn settle_triple(
        &self,
        nodes: &Nodes,
        triple: QuadIds,
        holds: bool,
        settled: &mut Settled,
    ) -> Result<(), ModelError> {
        let entry = QuadIds {
            graph: nodes.derived,
            ..triple
        };
        let is_repeated = |quad: &QuadIds| self.repeated.binary_search(quad).is_ok();
        let was = self.base.contains(triple);
        let is = self.now.contains(triple);
        let was_derived = self.base.contains(entry);
        let is_derived = self.now.contains(entry);
        // Who writes both, as an export has them, does not write it plainly.
        let inserts = is && (!was || is_repeated(&triple));
        let inserts_derived = is_derived && (!was_derived || is_repeated(&entry));
        let inserts_plainly = inserts && !inserts_derived;
        let is_plain = inserts_plainly || (is && was && !was_derived);
        if holds {
            if was_derived && was && !is {
                return Err(ModelError::DerivedTriple {
                    triple: self.text(triple),
                });
            }
            if was_derived && !is_derived && !inserts_plainly {
                return Err(ModelError::DerivedGraph {
                    quad: self.text(triple),
                });
            }
        } else if is_derived && !was_derived {
            return Err(ModelError::DerivedGraph {
                quad: self.text(triple),
            });
        }
        match (is, holds || is_plain) {
            (false, true) => settled.hold.push(triple),
            (true, false) => settled.end.push(triple),
            (true, true) | (false, false) => {}
        }
        match (is_derived, holds && !is_plain) {
            (false, true) => settled.derived.push(triple),
            (true, false) => settled.not_derived.push(triple),
            (true, true) | (false, false) => {}
        }
        Ok(())
    }

    /// Returns a triple as N-Triples has it, without the full stop.
    pub(super) fn text(&self, quad: QuadIds) -> String {
        let quad = self.now.quad(quad);
        format!("{} {} {}", quad.subject, quad.predicate, quad.object)
    }
}

/// Returns the statements of a group; `about_count` are about its subject.
pub(super) fn statements(nodes: &Nodes, snapshot: &Snapshot, group: Group, about_count: u64) -> Vec<TermId> {
    let by_predicate = nodes.with(part::PREDICATE, Some(group.predicate));
    let (pattern, part, value) = if about_count <= snapshot.count(by_predicate) {
        let by_subject = nodes.with(part::SUBJECT, Some(group.subject));
        (by_subject, part::PREDICATE, group.predicate)
    } else {
        (by_predicate, part::SUBJECT, group.subject)
    };
    snapshot
        .quads(pattern)
        .map(|quad| quad.subject)
        .filter(|node| nodes.says(snapshot, *node, part, value))
        .collect()
}
