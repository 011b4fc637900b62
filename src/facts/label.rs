//! Labels of what facts are about.

use std::collections::HashMap;

use oxigraph::model::{NamedOrBlankNodeRef, TermRef};

use super::{Budget, Reader};
use crate::{
    graph::{TermId, TermView},
    model::{
        fact::{Fact, FactLabels, Text},
        language,
    },
};

impl Reader<'_> {
    /// Puts labels into facts, in the first of the languages that there is one in; none, if there are no languages.
    pub fn add_labels<'f>(
        &self,
        facts: impl IntoIterator<Item = &'f mut Fact>,
        languages: &[String],
        budget: &mut Budget,
    ) {
        if languages.is_empty() {
            return;
        }
        let mut known: HashMap<TermId, Option<Text>> = HashMap::new();
        for fact in facts {
            let subject = match fact.subject.as_ref() {
                NamedOrBlankNodeRef::NamedNode(node) => TermRef::from(node),
                NamedOrBlankNodeRef::BlankNode(node) => TermRef::from(node),
            };
            let terms = [subject, fact.predicate.as_ref().into(), fact.object.as_ref()];
            let [subject, predicate, object] = terms.map(|term| {
                let is_node = matches!(term, TermRef::NamedNode(_) | TermRef::BlankNode(_));
                let id = self.snapshot.id(term).filter(|_| is_node)?;
                known
                    .entry(id)
                    .or_insert_with(|| self.label(id, languages, budget))
                    .clone()
            });
            fact.labels = Some(Box::new(FactLabels {
                subject,
                predicate,
                object,
            }));
        }
    }

    /// Returns the label in the language that is preferred most, else one without a language.
    pub(super) fn label(&self, id: TermId, languages: &[String], budget: &mut Budget) -> Option<Text> {
        let mut best: Option<(usize, &str, &str)> = None;
        // That of a planned event is among the statements.
        for object in self.objects(id, self.words.label) {
            budget.step(1);
            let (text, language) = match self.snapshot.view(object) {
                TermView::String(text) | TermView::Typed { value: text, .. } => (text, ""),
                TermView::Language { value, language, .. } => (value, language),
                TermView::Iri(_) | TermView::BlankNode(_) | TermView::Triple { .. } => continue,
            };
            let rank = if language.is_empty() {
                Some(languages.len())
            } else {
                languages
                    .iter()
                    .position(|range| language::in_range(language, range))
            };
            if let Some(rank) = rank
                && best.is_none_or(|(known, ..)| rank < known)
            {
                best = Some((rank, text, language));
            }
        }
        let (_, text, language) = best?;
        budget.text(text.len());
        Some(Text {
            text: text.to_owned(),
            language: language.to_owned(),
        })
    }
}
