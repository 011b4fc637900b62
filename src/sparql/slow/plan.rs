//! The plan of what turned out slow, in one line.
//!
//! Operators do not say what they work on while a query runs: that would cost every query. A slow one is planned once more
//! when it has ended.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use super::super::{Parameters, PlanNode, SparqlError, registry::Entry};

/// Bytes of a plan in the log.
const LINE_BYTES_MAX: usize = 4 << 10;
/// Time to plan once more.
const PLANNING_MAX: Duration = Duration::from_millis(100);

/// A plan as the log shows it.
#[derive(Debug)]
pub(in crate::sparql) struct SlowPlan {
    /// Without literals, and without other terms than predicates and classes.
    pub(super) shape: String,
    /// All of it, where the log has texts.
    pub(super) whole: Option<String>,
}

/// Looks whether a run turns out slow, and keeps its plan then.
#[derive(Clone, Copy)]
pub(in crate::sparql) struct Watch<'e> {
    since: Instant,
    slow_after: Duration,
    parameters: &'e Parameters,
    plan: &'e OnceLock<SlowPlan>,
}

impl<'e> Watch<'e> {
    /// Watches a query from its admission on.
    pub(in crate::sparql) fn of_query(
        entry: &'e Entry,
        slow_after: Duration,
        parameters: &'e Parameters,
    ) -> Self {
        Self {
            since: entry.start,
            slow_after,
            parameters,
            plan: &entry.plan,
        }
    }

    pub(in crate::sparql) fn is_slow(&self) -> bool {
        self.since.elapsed() >= self.slow_after
    }

    /// Keeps the first plan. `ran` has the rows that came of each operator; `plan` plans once more until a deadline, with
    /// the terms of parameters and all others but predicates and classes left out, or with everything.
    pub(in crate::sparql) fn keep(
        &self,
        ran: &PlanNode,
        plan: impl Fn(Instant, Option<&Parameters>) -> Result<PlanNode, SparqlError>,
    ) {
        let described = |hidden: Option<&Parameters>| {
            let planned = plan(Instant::now() + PLANNING_MAX, hidden).ok();
            let counted = planned.and_then(|planned| counted(planned, ran));
            line(counted.as_ref().unwrap_or(ran))
        };
        self.plan.get_or_init(|| SlowPlan {
            shape: described(Some(self.parameters)),
            whole: tracing::enabled!(tracing::Level::DEBUG).then(|| described(None)),
        });
    }
}

/// Watches the operations of an update, each by itself: the wait for the writer is not theirs.
#[derive(Debug)]
pub(in crate::sparql) struct UpdateWatch {
    pub(in crate::sparql) entry: Arc<Entry>,
    pub(in crate::sparql) slow_after: Duration,
    pub(in crate::sparql) parameters: Parameters,
}

impl UpdateWatch {
    /// Watches an operation that begins.
    pub(in crate::sparql) fn operation(&self) -> Watch<'_> {
        Watch {
            since: Instant::now(),
            slow_after: self.slow_after,
            parameters: &self.parameters,
            plan: &self.entry.plan,
        }
    }
}

/// Returns a plan with the counts of the same one that was run; nothing if that is another one.
fn counted(planned: PlanNode, ran: &PlanNode) -> Option<PlanNode> {
    if planned.operator != ran.operator || planned.children.len() != ran.children.len() {
        return None;
    }
    let children = planned.children.into_iter().zip(&ran.children);
    Some(PlanNode {
        row_count: ran.row_count,
        children: children
            .map(|(planned, ran)| counted(planned, ran))
            .collect::<Option<_>>()?,
        ..planned
    })
}

/// Returns `Sort[9] > Filter[9] (?o > "…") > Scan[20] ?s <p> ?o`: each operator with its rows, and after it those that they
/// come from.
fn line(plan: &PlanNode) -> String {
    let mut line = Line(String::new());
    if write_node(plan, &mut line).is_err() {
        line.0.push('…');
    }
    line.0
}

fn write_node(node: &PlanNode, line: &mut Line) -> fmt::Result {
    line.write_str(&node.operator)?;
    if let Some(row_count) = node.row_count {
        write!(line, "[{row_count}]")?;
    }
    if !node.detail.is_empty() {
        write!(line, " {}", node.detail)?;
    }
    let Some((first, others)) = node.children.split_first() else {
        return Ok(());
    };
    if others.is_empty() {
        line.write_str(" > ")?;
        return write_node(first, line);
    }
    line.write_str(" > (")?;
    write_node(first, line)?;
    for other in others {
        line.write_str(" | ")?;
        write_node(other, line)?;
    }
    line.write_str(")")
}

/// A text that ends at its limit.
struct Line(String);

impl fmt::Write for Line {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = LINE_BYTES_MAX - self.0.len();
        let end = part.floor_char_boundary(room);
        self.0.push_str(&part[..end]);
        if end < part.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(operator: &str, detail: &str, row_count: Option<u64>, children: Vec<PlanNode>) -> PlanNode {
        PlanNode {
            operator: operator.to_owned(),
            detail: detail.to_owned(),
            row_count,
            children,
            ..PlanNode::default()
        }
    }

    #[test]
    fn a_plan_is_one_line() {
        let scan = |row_count| node("Scan", "?a ?b ?c", row_count, Vec::new());
        let join = |children| node("HashJoin", "on ?a", Some(3), children);
        let check = |plan: &PlanNode, expected: &str| assert_eq!(line(plan), expected);
        check(&scan(None), "Scan ?a ?b ?c");
        check(
            &node(
                "Sort",
                "",
                Some(2),
                vec![join(vec![scan(Some(1)), scan(Some(9))])],
            ),
            "Sort[2] > HashJoin[3] on ?a > (Scan[1] ?a ?b ?c | Scan[9] ?a ?b ?c)",
        );
        let ran = join(vec![scan(Some(5)), scan(Some(6))]);
        let planned = join(vec![scan(None), scan(None)]);
        assert_eq!(counted(planned, &ran), Some(ran.clone()));
        assert_eq!(counted(join(vec![scan(None)]), &ran), None);
        assert_eq!(counted(scan(None), &ran), None);
    }

    #[test]
    fn a_long_plan_is_cut() {
        let of_bytes = |bytes: usize| line(&node(&"é".repeat(bytes / 2), "", None, Vec::new()));
        assert_eq!(of_bytes(LINE_BYTES_MAX), "é".repeat(LINE_BYTES_MAX / 2));
        assert_eq!(of_bytes(LINE_BYTES_MAX + 2), "é".repeat(LINE_BYTES_MAX / 2) + "…");
        let odd = line(&node("a", &"é".repeat(LINE_BYTES_MAX), None, Vec::new()));
        assert_eq!(odd.len(), LINE_BYTES_MAX + '…'.len_utf8());
    }
}
