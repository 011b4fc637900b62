//! The data sets that a knowledge base describes in `g:meta`.

use super::{Budget, Reader};
use crate::{
    graph::{GraphPattern, Pattern, TermId},
    model::{fact::DataSet, vocabulary as iris},
};

/// Data sets that are told of.
const DATA_SET_COUNT_MAX: usize = 100;
/// Licences, sources or attributions of one data set that are told of.
const DATA_SET_VALUE_COUNT_MAX: usize = 100;

impl Reader<'_> {
    /// Returns the data sets (`void:Dataset`) that `g:meta` describes, by their IRIs; the first 100.
    pub fn data_sets(&self, budget: &mut Budget) -> Vec<DataSet> {
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
        let mut nodes: Vec<(String, TermId)> = Vec::new();
        for quad in quads(None, self.words.r#type, Some(class)) {
            if budget.is_out_of_steps() {
                break;
            }
            budget.step(1);
            nodes.extend(self.node_text(quad.subject).map(|iri| (iri, quad.subject)));
        }
        nodes.sort_unstable();
        nodes.truncate(DATA_SET_COUNT_MAX);
        let mut texts = |node, property| -> Vec<String> {
            let Some(property) = id(property) else {
                return Vec::new();
            };
            let mut texts = Vec::new();
            for quad in quads(Some(node), property, None) {
                if budget.is_spent() || texts.len() == DATA_SET_VALUE_COUNT_MAX {
                    break;
                }
                budget.step(1);
                if let Some(text) = self.text_or_name(quad.object) {
                    budget.text(text.len());
                    texts.push(text);
                }
            }
            texts.sort_unstable();
            texts
        };
        let mut set = |(iri, node): (String, TermId)| {
            let mut one = |property| texts(node, property).into_iter().next().unwrap_or_default();
            let (title, description) = (one(iris::TITLE), one(iris::DESCRIPTION));
            let (created, issued) = (one(iris::CREATED), one(iris::ISSUED));
            let (version, rights) = (one(iris::VERSION_INFO), one(iris::RIGHTS));
            DataSet {
                iri,
                title,
                description,
                created,
                issued,
                version,
                rights,
                licenses: texts(node, iris::LICENSE),
                sources: texts(node, iris::SOURCE),
                attributions: texts(node, iris::ATTRIBUTION),
            }
        };
        nodes.into_iter().map(&mut set).collect()
    }

    /// Returns a literal's text, or a node's name.
    pub(super) fn text_or_name(&self, id: TermId) -> Option<String> {
        self.literal_text(id)
            .map(str::to_owned)
            .or_else(|| self.node_text(id))
    }
}
