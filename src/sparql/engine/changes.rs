//! DELETE and INSERT: what templates make of the solutions of a pattern.

use oxigraph::model::{Quad, Term};
use oxiri::Iri;
use spargebra::{
    algebra::GraphPattern,
    term::{GroundQuadPattern, QuadPattern},
};

use super::{
    super::{SparqlError, explain::PlanNode},
    Rows, Run,
    batch::ROWS_MAX,
    plan::Planner,
    template::{Nodes, Template},
};

/// Bytes of text that are copied in the time of one unit of work.
const BYTES_PER_TICK: usize = 256;

/// A change that an update asks for.
pub(in crate::sparql) enum Change {
    Delete(Quad),
    Insert(Quad),
}

impl Run<'_> {
    /// Hands on what DELETE and INSERT templates make of the solutions of a pattern.
    pub(in crate::sparql) fn changes(
        &self,
        pattern: &GraphPattern,
        base_iri: Option<&Iri<String>>,
        delete: &[GroundQuadPattern],
        insert: &[QuadPattern],
        change: impl FnMut(Change) -> Result<(), SparqlError>,
    ) -> Result<(), SparqlError> {
        let mut slow = None;
        let outcome = self.changes_once(pattern, base_iri, (delete, insert), change, &mut slow);
        self.keep_plan(slow.as_ref(), pattern, base_iri, None);
        outcome
    }

    fn changes_once(
        &self,
        pattern: &GraphPattern,
        base_iri: Option<&Iri<String>>,
        (delete, insert): (&[GroundQuadPattern], &[QuadPattern]),
        change: impl FnMut(Change) -> Result<(), SparqlError>,
        slow: &mut Option<PlanNode>,
    ) -> Result<(), SparqlError> {
        let context = self.context();
        let mut planner = Planner::new(&context, base_iri.cloned());
        let plan = planner.plan(pattern)?;
        let mut nodes = Nodes::default();
        let delete: Vec<_> = delete
            .iter()
            .map(|quad| Template::of_ground_quad(&planner, quad))
            .collect();
        let insert: Vec<_> = insert
            .iter()
            .map(|quad| Template::of_quad(&planner, quad, &mut nodes))
            .collect();
        let mut rows = Rows::new(&context, plan.node);
        let outcome = instantiate(&mut rows, &delete, &insert, &mut nodes, change);
        *slow = self.slow_plan(&rows);
        outcome
    }
}

/// Hands on what the templates make of rows.
fn instantiate(
    rows: &mut Rows<'_, '_>,
    delete: &[Template],
    insert: &[Template],
    nodes: &mut Nodes,
    mut change: impl FnMut(Change) -> Result<(), SparqlError>,
) -> Result<(), SparqlError> {
    let context = rows.context;
    while let Some(batch) = rows.next(ROWS_MAX)? {
        for row in batch.rows() {
            nodes.begin();
            for template in delete {
                context.tick()?;
                if let Some(quad) = template.quad(&context.terms, row, nodes) {
                    context.ticks(text_bytes(&quad) / BYTES_PER_TICK)?;
                    change(Change::Delete(quad))?;
                }
            }
            for template in insert {
                context.tick()?;
                if let Some(quad) = template.quad(&context.terms, row, nodes) {
                    context.ticks(text_bytes(&quad) / BYTES_PER_TICK)?;
                    change(Change::Insert(quad))?;
                }
            }
        }
    }
    Ok(())
}

/// Returns the bytes of a literal that a change carries.
fn text_bytes(quad: &Quad) -> usize {
    match &quad.object {
        Term::Literal(literal) => literal.value().len(),
        _ => 0,
    }
}
