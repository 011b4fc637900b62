//! The data set that the server ships.

use super::ServeError;
use crate::{
    graph::Batch,
    knowledge::{CommitRequest, KnowledgeBase},
    model::access::Access,
    rdf::{self, Compression, Document, Format, Memory},
};

/// Format and text of each file.
const FILES: [(&str, &str); 5] = [
    ("ttl", include_str!("../../data/vocabulary.ttl")),
    ("trig", include_str!("../../data/japan-korea-2019.trig")),
    ("trig", include_str!("../../data/world.trig")),
    ("trig", include_str!("../../data/countries.trig")),
    ("ttl", include_str!("../../data/country-names.ttl")),
];

/// Loads the shipped data, all of it in one commit.
pub(super) async fn load(knowledge: &KnowledgeBase, graph_memory_bytes_max: u64) -> Result<(), ServeError> {
    let fault = |error: &dyn std::fmt::Display| ServeError::ShippedData(error.to_string());
    let memory = Memory::new(graph_memory_bytes_max);
    let parse = move || {
        FILES
            .iter()
            .map(|(format, text)| parse(format, text, &memory))
            .collect()
    };
    let batches: Result<Vec<_>, _> = tokio::task::spawn_blocking(parse)
        .await
        .map_err(|error| fault(&error))?;
    let batches = batches?;
    let mut request = CommitRequest::new(Access::everything(), move |draft| {
        for batch in &batches {
            draft.apply(batch);
        }
        Ok::<_, std::convert::Infallible>(())
    });
    "the data set that the server ships".clone_into(&mut request.message);
    let committed = knowledge.commit(request).await.map_err(|error| fault(&error))?;
    tracing::info!(
        quads = committed.quads_inserted,
        revision = committed.revision,
        "loaded the shipped data"
    );
    Ok(())
}

fn parse(format: &str, text: &str, memory: &Memory) -> Result<Batch, ServeError> {
    let format = Format::named(format).ok_or_else(|| ServeError::ShippedData(format.to_owned()))?;
    let document = Document {
        format,
        compression: Compression::None,
        base_iri: None,
        default_graph: None,
        is_one_graph: false,
    };
    rdf::read(&document, text.as_bytes(), memory, 0, |_| true)
        .map(|parsed| parsed.batch)
        .map_err(|error| ServeError::ShippedData(error.to_string()))
}
