//! The classes and predicates that the default graph uses, each with how often.

use super::{Budget, Cursor, Reader, default_graph};
use crate::{
    graph::{Pattern, QuadIds, TermId, TermView},
    model::fact::Text,
};

/// A class or a predicate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaTerm {
    /// Its IRI.
    pub iri: String,
    /// Its labels.
    pub labels: Vec<Text>,
    /// Instances of the class, or triples with the predicate.
    pub count: u64,
}

/// A page of classes or predicates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaPage {
    /// The classes or predicates.
    pub terms: Vec<SchemaTerm>,
    /// Where the page ends, if there may be more.
    pub end: Option<Cursor>,
}

impl Reader<'_> {
    /// Returns a page of the classes that have instances.
    pub fn classes(
        &self,
        languages: &[String],
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> SchemaPage {
        let of_type = default_graph(None, Some(self.words.r#type), None);
        // The next class is a seek away, however many instances the last one has.
        let next = |after: Option<QuadIds>| match after {
            Some(after) => self.snapshot.quads_after(of_type, past_object(after)).next(),
            None => self.snapshot.quads(of_type).next(),
        };
        let of_class = |quad: QuadIds| {
            (
                quad.object,
                default_graph(None, Some(quad.predicate), Some(quad.object)),
            )
        };
        self.schema(next, of_class, languages, size, after, budget)
    }

    /// Returns a page of the predicates that have triples.
    pub fn predicates(
        &self,
        languages: &[String],
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> SchemaPage {
        let next = |after: Option<QuadIds>| self.snapshot.next_predicate(after.map(|quad| quad.predicate));
        let of_predicate = |quad: QuadIds| (quad.predicate, default_graph(None, Some(quad.predicate), None));
        self.schema(next, of_predicate, languages, size, after, budget)
    }

    fn schema(
        &self,
        next: impl Fn(Option<QuadIds>) -> Option<QuadIds>,
        of: impl Fn(QuadIds) -> (TermId, Pattern),
        languages: &[String],
        size: usize,
        after: Option<Cursor>,
        budget: &mut Budget,
    ) -> SchemaPage {
        let mut page = SchemaPage::default();
        let mut after = after;
        while let Some(quad) = next(after.map(Cursor::quad)) {
            if page.terms.len() == size || (budget.is_spent() && !page.terms.is_empty()) {
                page.end = after;
                break;
            }
            budget.step(3);
            let (id, pattern) = of(quad);
            // A blank node is a class that nobody can ask for.
            if let TermView::Iri(iri) = self.snapshot.view(id) {
                budget.text(iri.len());
                page.terms.push(SchemaTerm {
                    iri: iri.to_owned(),
                    labels: self.labels(id, languages, budget),
                    count: self.snapshot.count(pattern),
                });
            }
            after = Some(Cursor::after_triple(quad));
        }
        page
    }
}

/// Returns what comes after all quads with the predicate and object of a quad.
fn past_object(quad: QuadIds) -> QuadIds {
    QuadIds {
        subject: TermId::MAX,
        ..quad
    }
}
