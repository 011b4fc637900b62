//! The data sets that a knowledge base describes in `g:meta`.

use super::Reader;
use crate::{
    graph::{GraphPattern, Pattern, TermId},
    model::{fact::DataSet, vocabulary as iris},
};

/// Data sets that are told of.
const DATA_SET_COUNT_MAX: usize = 100;

impl Reader<'_> {
    /// Returns the data sets (`void:Dataset`) that `g:meta` describes, by their IRIs; the first 100.
    pub fn data_sets(&self) -> Vec<DataSet> {
        let id = |iri| self.snapshot.iri_id(iri);
        let (Some(meta), Some(class)) = (id(iris::META), id(iris::DATA_SET)) else {
            return Vec::new();
        };
        let quads = |subject, predicate, object| {
            self.snapshot.quads(Pattern {
                subject,
                predicate: Some(predicate),
                object,
                graph: GraphPattern::Named(meta),
            })
        };
        let texts = |node, property| -> Vec<String> {
            let Some(property) = id(property) else {
                return Vec::new();
            };
            let mut texts: Vec<_> = quads(Some(node), property, None)
                .filter_map(|quad| self.text_or_name(quad.object))
                .collect();
            texts.sort_unstable();
            texts
        };
        let one = |node, property| texts(node, property).into_iter().next().unwrap_or_default();
        let mut sets: Vec<_> = quads(None, self.words.r#type, Some(class))
            .take(DATA_SET_COUNT_MAX)
            .filter_map(|quad| {
                let node = quad.subject;
                Some(DataSet {
                    iri: self.node_text(node)?,
                    title: one(node, iris::TITLE),
                    description: one(node, iris::DESCRIPTION),
                    created: one(node, iris::CREATED),
                    licenses: texts(node, iris::LICENSE),
                    sources: texts(node, iris::SOURCE),
                    attributions: texts(node, iris::ATTRIBUTION),
                })
            })
            .collect();
        sets.sort_unstable_by(|one, other| one.iri.cmp(&other.iri));
        sets
    }

    /// Returns a literal's text, or a node's name.
    fn text_or_name(&self, id: TermId) -> Option<String> {
        self.literal_text(id)
            .map(str::to_owned)
            .or_else(|| self.node_text(id))
    }
}
