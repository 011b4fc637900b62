//! Timelines: the dated events that an entity takes part in, and when facts about it begin and end.

use std::collections::HashMap;

use super::{
    Budget, Cursor, Part, Reader,
    check::triple,
    default_graph,
    group::{Group, Groups},
    moment::{Moment, MomentKind, Span, TimelinePage},
    record::TimeView,
};
use crate::{
    graph::{QuadIds, TermId, TermView},
    model::{
        day::Day,
        edtf::{Bounds, Date, Edge},
        fact::{Fact, Standing},
        truthy::Evidence,
    },
};

/// An entry before its terms are read.
#[derive(Clone, Copy)]
struct Entry {
    first: Day,
    last: Day,
    kind: MomentKind,
    /// The event, or the statement.
    node: TermId,
    triple: Option<[TermId; 3]>,
    /// The statement of the triple.
    statement: Option<TermId>,
    date: Date,
    /// What has the text of the time, a literal.
    time: TermId,
}

/// How the entity is linked with what is in its timeline.
#[derive(Clone, Copy)]
struct Link {
    triple: [TermId; 3],
    /// The statement of the triple.
    statement: Option<TermId>,
    strength: Strength,
}

/// What a link is worth, the strongest first.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Strength {
    Accepted,
    Plain,
    /// Planned, expected, somebody's opinion, or not confirmed.
    Open,
    Disputed,
}

impl Strength {
    /// Returns what a known statement is worth as a link; `None` if it is rejected.
    fn of(statement: &Evidence<TermId>) -> Option<Self> {
        match statement.standing {
            _ if statement.is_accepted() => Some(Self::Accepted),
            Standing::Preferred | Standing::Accepted | Standing::Unconfirmed => Some(Self::Open),
            Standing::Disputed => Some(Self::Disputed),
            Standing::Rejected => None,
        }
    }
}

impl Reader<'_> {
    /// Returns a page of a timeline, and `None` if nothing has the entity. The entry of `after` may have gone.
    pub fn timeline(
        &self,
        iri: &str,
        span: Span,
        view: &TimeView,
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> Option<TimelinePage> {
        let entity = self.snapshot.iri_id(iri)?;
        let mentions = [
            default_graph(Some(entity), None, None),
            default_graph(None, None, Some(entity)),
            self.in_statements(Some(entity), None, None),
            self.in_statements(None, None, Some(entity)),
        ];
        if !mentions.into_iter().any(|pattern| self.has_any(pattern)) {
            return None;
        }
        let mut groups = Groups::new(*self, *view, None);
        let mut entries = Vec::new();
        self.add_facts(entity, view, &mut entries, budget);
        self.add_events(entity, view, &mut groups, &mut entries, budget);
        entries.retain(|entry| {
            span.from.is_none_or(|from| from <= entry.last) && span.to.is_none_or(|to| entry.first <= to)
        });
        entries.sort_unstable_by_key(Entry::key);
        let start = match after {
            None => 0,
            Some(cursor) => {
                let last = Key::of(cursor);
                entries.partition_point(|entry| entry.key() <= last)
            }
        };
        let mut page = TimelinePage {
            entries: Vec::new(),
            end: after,
        };
        for entry in &entries[start..] {
            if page.entries.len() == size || (budget.is_spent() && !page.entries.is_empty()) {
                return Some(page);
            }
            page.entries.push(self.moment(entry, &mut groups, budget));
            page.end = Some(entry.key().cursor());
        }
        page.end = None;
        Some(page)
    }

    /// Puts labels into the facts of a page and gives its events theirs, in the first of the languages that there is one in; as it
    /// is, if there are no languages.
    pub fn add_timeline_labels(&self, page: &mut TimelinePage, languages: &[String], budget: &mut Budget) {
        let facts = page.entries.iter_mut().filter_map(|entry| entry.fact.as_mut());
        self.add_labels(facts, languages, budget);
        for entry in &mut page.entries {
            let event = entry.event.as_deref().and_then(|iri| self.snapshot.iri_id(iri));
            let label = event.and_then(|event| self.label(event, languages, budget));
            if let Some(label) = label {
                entry.event_label = label.text;
            }
        }
    }

    /// Adds starts and ends of the known statements about an entity.
    fn add_facts(&self, entity: TermId, view: &TimeView, entries: &mut Vec<Entry>, budget: &mut Budget) {
        for quad in self
            .snapshot
            .quads(self.in_statements(None, Some(self.words.subject), Some(entity)))
        {
            if budget.is_overdue() {
                return;
            }
            let record = self.record(quad.subject, None, budget);
            let Some(record) = record.filter(|record| record.is_known(view)) else {
                continue;
            };
            let (Some(bounds), Some(time)) = (record.bounds, self.time_of(record.id)) else {
                continue;
            };
            let edges = [
                (MomentKind::FactStart, bounds.start),
                (MomentKind::FactEnd, bounds.end),
            ];
            for (kind, edge) in edges {
                if let Edge::Date(date) = edge {
                    entries.push(Entry {
                        first: date.first,
                        last: date.last,
                        kind,
                        node: record.id,
                        triple: Some(record.triple),
                        statement: Some(record.id),
                        date,
                        time,
                    });
                }
            }
        }
    }

    /// Adds the entity itself and what it is linked with, if they are dated, each once.
    fn add_events(
        &self,
        entity: TermId,
        view: &TimeView,
        groups: &mut Groups<'_>,
        entries: &mut Vec<Entry>,
        budget: &mut Budget,
    ) {
        let mut links = self.links(entity, view, budget);
        links.insert(entity, None);
        for (node, link) in links {
            if budget.is_overdue() {
                return;
            }
            if let Some((date, time)) = self.event_date(node, groups, budget) {
                entries.push(Entry {
                    first: date.first,
                    last: date.last,
                    kind: MomentKind::Event,
                    node,
                    triple: link.map(|link| link.triple),
                    statement: link.and_then(|link| link.statement),
                    date,
                    time,
                });
            }
        }
    }

    /// Returns what the entity is linked with, and of several links the strongest, the first in index order. What is denied or rejected
    /// is none.
    fn links(&self, entity: TermId, view: &TimeView, budget: &mut Budget) -> HashMap<TermId, Option<Link>> {
        let mut links: HashMap<TermId, Option<Link>> = HashMap::new();
        let mut add = |link: Link| {
            let [subject, _, object] = link.triple;
            let other = if subject == entity { object } else { subject };
            let best = links.entry(other).or_insert(Some(link));
            if best.is_some_and(|best| link.strength < best.strength) {
                *best = Some(link);
            }
        };
        for property in [self.words.subject, self.words.object] {
            let pattern = self.in_statements(None, Some(property), Some(entity));
            for quad in self.snapshot.quads(pattern) {
                if budget.is_overdue() {
                    return links;
                }
                if let Some(record) = self.record(quad.subject, None, budget)
                    && let Some(evidence) = record.evidence(view)
                    && evidence.live
                    && !evidence.negated
                    && let Some(strength) = Strength::of(&evidence)
                {
                    add(Link {
                        triple: record.triple,
                        statement: Some(record.id),
                        strength,
                    });
                }
            }
        }
        // What is planned or expected is an event among the statements.
        for (pattern, strength) in [
            (self.in_statements(None, None, Some(entity)), Strength::Open),
            (self.in_statements(Some(entity), None, None), Strength::Open),
            (default_graph(None, None, Some(entity)), Strength::Plain),
            (default_graph(Some(entity), None, None), Strength::Plain),
        ] {
            for quad in self.snapshot.quads(pattern) {
                if budget.is_overdue() {
                    return links;
                }
                budget.step(2);
                let is_link = if strength == Strength::Plain {
                    !self.is_derived(quad) && !self.is_name(quad.predicate)
                } else {
                    let is_part = quad.predicate == self.words.subject || quad.predicate == self.words.object;
                    !is_part && self.triple_of(quad.subject, None).is_none()
                };
                if is_link {
                    add(Link {
                        triple: [quad.subject, quad.predicate, quad.object],
                        statement: None,
                        strength,
                    });
                }
            }
        }
        links
    }

    /// Returns the date of an event and the literal that has it: the start of its `d:edtf`, or else its `d:happenedOn`. It is the
    /// same on whatever day that is asked.
    fn event_date(
        &self,
        node: TermId,
        groups: &mut Groups<'_>,
        budget: &mut Budget,
    ) -> Option<(Date, TermId)> {
        let is_node = matches!(
            self.snapshot.view(node),
            TermView::Iri(_) | TermView::BlankNode(_)
        );
        if !is_node || !self.is_node_known(node, &groups.view) {
            return None;
        }
        budget.step(2);
        let date = |literal: TermId| {
            let bounds: Bounds = self.literal_text(literal)?.parse().ok()?;
            let date = bounds.start.date().or(bounds.end.date())?;
            Some((*date, literal))
        };
        [self.words.edtf, self.words.happened_on]
            .into_iter()
            .find_map(|property| {
                let dates = self.best_objects(groups, [node, property], budget);
                dates.into_iter().filter_map(date).min()
            })
    }

    /// Returns the objects that a subject has by a predicate on any day, by what is known best: those that are plain or
    /// accepted (where some are preferred, those), else those of a planned node, else those that are not rejected.
    fn best_objects(
        &self,
        groups: &mut Groups<'_>,
        [subject, predicate]: [TermId; 2],
        budget: &mut Budget,
    ) -> Vec<TermId> {
        let said = |standings: &[Standing], group: &Group| -> Vec<TermId> {
            let said = group
                .evidence
                .iter()
                .filter(|one| !one.negated && !one.is_some_value && standings.contains(&one.standing));
            said.map(|one| one.object).collect()
        };
        let group = groups.of(subject, predicate, budget);
        let mut best = said(&[Standing::Preferred], group);
        if best.is_empty() {
            best = said(&[Standing::Accepted], group);
        }
        let plain = self
            .snapshot
            .quads(default_graph(Some(subject), Some(predicate), None));
        best.extend(
            plain
                .filter(|quad| !self.is_derived(*quad))
                .map(|quad| quad.object),
        );
        if best.is_empty() {
            let planned = self.in_statements(Some(subject), Some(predicate), None);
            best.extend(self.snapshot.quads(planned).map(|quad| quad.object));
        }
        if best.is_empty() {
            best = said(&[Standing::Unconfirmed, Standing::Disputed], group);
        }
        best
    }

    fn time_of(&self, statement: TermId) -> Option<TermId> {
        let pattern = self.in_statements(Some(statement), Some(self.words.edtf), None);
        self.snapshot.quads(pattern).next().map(|quad| quad.object)
    }

    fn moment(&self, entry: &Entry, groups: &mut Groups<'_>, budget: &mut Budget) -> Moment {
        let fact = entry
            .triple
            .and_then(|ids| self.linked_fact(ids, entry.statement, groups, budget));
        let mut moment = Moment {
            kind: entry.kind,
            date: entry.date,
            edtf: self.literal_text(entry.time).unwrap_or_default().to_owned(),
            event: None,
            event_label: String::new(),
            stance: fact.as_ref().and_then(Fact::stance),
            standing: fact.as_ref().and_then(Fact::standing),
            fact,
        };
        if entry.kind == MomentKind::Event {
            moment.event = self.node_text(entry.node);
            moment.event_label = self.label_of(entry.node, budget);
            // The weaker word counts: that of the event on itself, or how the entity is linked with it.
            let own = |property| self.first_object(entry.node, property);
            let stance = own(self.words.stance).and_then(|id| self.stance(id));
            let standing = own(self.words.standing).and_then(|id| self.standing(id));
            moment.stance = stance.max(moment.stance);
            moment.standing = standing.max(moment.standing).or(Some(Standing::Accepted));
        }
        moment
    }

    fn linked_fact(
        &self,
        ids: [TermId; 3],
        statement: Option<TermId>,
        groups: &mut Groups<'_>,
        budget: &mut Budget,
    ) -> Option<Fact> {
        let [subject, predicate, object] = ids;
        let quad: QuadIds = triple(subject, predicate, object);
        let Some(id) = statement else {
            return self.plain_fact(quad, budget);
        };
        let holds = groups.of(subject, predicate, budget).holds(id);
        self.statement_fact(id, quad, true, holds, budget)
    }

    /// Returns an object from the default graph or else from that of statements.
    fn first_object(&self, subject: TermId, predicate: TermId) -> Option<TermId> {
        self.objects(subject, predicate).next()
    }

    pub(super) fn objects(&self, subject: TermId, predicate: TermId) -> impl Iterator<Item = TermId> + '_ {
        let plain = default_graph(Some(subject), Some(predicate), None);
        let stated = self.in_statements(Some(subject), Some(predicate), None);
        let quads = self.snapshot.quads(plain).chain(self.snapshot.quads(stated));
        quads.map(|quad| quad.object)
    }

    /// Returns a label, in English if there is one; empty if there is none.
    fn label_of(&self, node: TermId, budget: &mut Budget) -> String {
        let labels = || self.objects(node, self.words.label);
        let is_english =
            |id: &TermId| matches!(self.snapshot.view(*id), TermView::Language { language: "en", .. });
        budget.step(2);
        let chosen = labels().find(is_english).or_else(|| labels().next());
        let text = chosen.and_then(|id| self.literal_text(id)).unwrap_or_default();
        budget.text(text.len());
        text.to_owned()
    }
}

impl Entry {
    fn key(&self) -> Key {
        let span = self.last.since_epoch() - self.first.since_epoch();
        Key {
            first: self.first.since_epoch(),
            span: u32::try_from(span).unwrap_or(u32::MAX),
            kind: self.kind,
            node: self.node,
        }
    }
}

/// Where an entry is in a timeline: no other has the same kind and node.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    /// Its first day since 1970.
    first: i64,
    /// Days from the first to the last. The longest dates of EDTF are centuries.
    span: u32,
    kind: MomentKind,
    node: TermId,
}

impl Key {
    fn of(cursor: Cursor) -> Self {
        let [high, low, span] = cursor.triple;
        let kind = match (cursor.is_supported, cursor.part) {
            (true, _) => MomentKind::FactStart,
            (false, Part::Statements) => MomentKind::FactEnd,
            (false, _) => MomentKind::Event,
        };
        Self {
            first: ((u64::from(high) << 32) | u64::from(low)).cast_signed(),
            span,
            kind,
            node: TermId::new(cursor.statement),
        }
    }

    fn cursor(self) -> Cursor {
        let first = self.first.cast_unsigned();
        let half = |bits: u64| u32::try_from(bits).unwrap_or(u32::MAX);
        Cursor {
            triple: [half(first >> 32), half(first & u64::from(u32::MAX)), self.span],
            statement: self.node.get(),
            is_supported: self.kind == MomentKind::FactStart,
            part: match self.kind {
                MomentKind::Event => Part::Nodes,
                MomentKind::FactStart | MomentKind::FactEnd => Part::Statements,
            },
        }
    }
}
