//! LOAD: documents from elsewhere, read before the writer has the update (SPARQL 1.1 Update, section 3.1.4).

use oxigraph::model::NamedNode;
use spargebra::{GraphUpdateOperation, Update, term::GraphName};

use super::{Interrupt, SparqlError, remote};
use crate::{
    rdf::{self, Compression, Document, Format, ImportError, Memory, Parsed},
    remote::{Answer, RemoteSettings, Request, Target},
};

/// The formats that are read; of those with named graphs only the default graph may have something.
const ACCEPT: &str = "text/turtle, application/n-triples, application/rdf+xml;q=0.8, application/ld+json;q=0.8, \
                      application/trig;q=0.5, application/n-quads;q=0.5, */*;q=0.1";
/// Media types of servers that do not know better: the extension tells more.
const VAGUE: [&str; 4] = [
    "text/plain",
    "text/xml",
    "application/xml",
    "application/octet-stream",
];

/// Reads the documents of an update, in order. One that does not come is `None` if its LOAD is SILENT, else an error.
///
/// Blocks as long as the hosts take, within the deadline. Parsing needs a large stack.
pub(super) fn documents(
    update: &Update,
    remote: &RemoteSettings,
    interrupt: &Interrupt,
    memory: &Memory,
) -> Result<Vec<Option<Parsed>>, SparqlError> {
    let mut documents = Vec::new();
    for operation in &update.operations {
        if let GraphUpdateOperation::Load {
            silent,
            source,
            destination,
        } = operation
        {
            let target = target(remote, source)?;
            documents.push(match read(&target, destination, remote, interrupt, memory) {
                Ok(document) => Some(document),
                Err(SparqlError::Remote { .. }) if *silent => None,
                Err(error) => return Err(error),
            });
        }
    }
    Ok(documents)
}

/// Returns what to fetch for a LOAD, if it may be.
pub(super) fn target(remote: &RemoteSettings, source: &NamedNode) -> Result<Target, SparqlError> {
    if remote.load.is_empty() {
        return Err(SparqlError::Unsupported("LOAD".to_owned()));
    }
    remote.load.target(source.as_str()).ok_or_else(|| {
        SparqlError::Unsupported(format!("LOAD of {source}, which --load-allow does not list,"))
    })
}

fn read(
    target: &Target,
    destination: &GraphName,
    remote: &RemoteSettings,
    interrupt: &Interrupt,
    memory: &Memory,
) -> Result<Parsed, SparqlError> {
    let request = Request::Get { accept: ACCEPT };
    let (answer, _body) = remote::fetch(target, request, remote.limits, interrupt, &interrupt.budget())?;
    let fault = |message: String| SparqlError::Remote {
        url: target.to_string(),
        message,
    };
    let format = format(&answer, target).ok_or_else(|| {
        let media_type = answer.media_type.as_deref().unwrap_or_default();
        fault(format!(
            "neither `{media_type}` nor its extension is a format of RDF"
        ))
    })?;
    let document = Document {
        format,
        compression: Compression::None,
        base_iri: Some(target.to_string()),
        default_graph: match destination {
            GraphName::NamedNode(graph) => Some(graph.clone()),
            GraphName::DefaultGraph => None,
        },
        is_one_graph: true,
    };
    let progress = |_| interrupt.check().is_ok();
    rdf::read(&document, answer.body.as_slice(), memory, 0, progress).map_err(|error| match error {
        ImportError::Document(error) => fault(error.to_string()),
        ImportError::Full {
            graph_memory_bytes_max,
        } => SparqlError::MemoryExceeded {
            memory_bytes_max: graph_memory_bytes_max,
        },
        ImportError::BrokenOff => interrupt.check().err().unwrap_or(SparqlError::Cancelled),
        ImportError::Fault(cause) => SparqlError::Internal(cause),
    })
}

/// Returns the format that the host told, or that the name tells.
fn format(answer: &Answer, target: &Target) -> Option<Format> {
    let told = answer.media_type.as_deref();
    let told = told.filter(|media_type| !VAGUE.contains(media_type));
    told.and_then(Format::named).or_else(|| {
        let (_, name) = target.path().rsplit_once('/')?;
        Format::named(name.rsplit_once('.')?.1)
    })
}
