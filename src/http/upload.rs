//! Documents in bodies: one, or several as `multipart/form-data`, each read on a thread of its own while it arrives.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use oxigraph::{
    io::RdfFormat,
    model::{GraphNameRef, NamedNode},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    Inner, access,
    negotiate::media_type,
    parts::{self, Fed, Kept},
    problem::{Problem, internal, invalid, overloaded, sender_too_slow, unsupported_media_type},
};
use crate::{
    auth::Tenure,
    intake::{DocumentPace, TooSlow},
    knowledge::CommitError,
    places::Place,
    rdf::{self, Chunk, ChunkReader, Compression, Document, Format, ImportError, Memory, Parsed},
    request::on_thread,
};

/// Chunks that wait for the parser.
const WAITING_CHUNK_COUNT_MAX: usize = 2;
/// Documents in one body.
const PART_COUNT_MAX: usize = 100;
const MULTIPART: &str = "multipart/form-data";

/// Where the triples of documents go.
pub(super) struct Target {
    /// The base of relative IRIs.
    pub(super) base: NamedNode,
    /// The graph; the default graph if there is none.
    pub(super) graph: Option<NamedNode>,
    /// Whether documents may have named graphs of their own.
    pub(super) takes_data_sets: bool,
}

/// Returns the format of a document, or `None` for several in parts.
pub(super) fn format(headers: &HeaderMap) -> Result<Option<Format>, Problem> {
    let media_type = media_type(headers)?;
    if media_type == MULTIPART {
        return Ok(None);
    }
    Format::named(&media_type)
        .map(Some)
        .ok_or_else(|| unsupported_media_type(format!("`{media_type}` is no format that the server reads")))
}

/// Reads all documents of a body, as long as its caller may send them. Whoever may not change what they are for takes no place.
pub(super) async fn read(
    api: &Inner,
    parts: &Parts,
    body: Incoming,
    target: &Target,
) -> Result<Vec<Parsed>, Problem> {
    CommitError::<ImportError>::unless_granted(&access(parts)?, target.named())?;
    let tenure = parts.extensions.get::<Tenure>().cloned();
    tokio::select! {
        documents = read_all(api, parts, body, target) => documents,
        lapse = Tenure::over(tenure) => Err(lapse.into()),
    }
}

async fn read_all(
    api: &Inner,
    parts: &Parts,
    body: Incoming,
    target: &Target,
) -> Result<Vec<Parsed>, Problem> {
    let place = api
        .uploads
        .take()
        .map_err(|_| overloaded("the server reads as many documents as it takes"))?;
    let mut arriving = Arriving {
        place,
        memory: &api.memory,
        refused_count: api.memory.refused_count(),
        pace: DocumentPace::new(api.intake.document_time()),
    };
    let compression = compression(parts.headers.get(header::CONTENT_ENCODING))?;
    match format(&parts.headers)? {
        Some(format) => {
            let document = target.document(format, compression)?;
            let parsed = read_whole(api, body, &mut arriving, document).await?;
            Ok(vec![parsed])
        }
        None if compression != Compression::None => Err(unsupported_media_type(
            "parts must be sent without Content-Encoding",
        )),
        None => read_parts(api, &parts.headers, body, &mut arriving, target).await,
    }
}

/// Documents that arrive, in a place that others may want.
struct Arriving<'api> {
    place: Place,
    memory: &'api Memory,
    /// Imports that had found no room in the memory before.
    refused_count: u64,
    pace: DocumentPace,
}

impl Arriving<'_> {
    /// Waits for what comes next, as long as its caller may take.
    async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Result<T, Problem> {
        let (place, memory, refused_count) = (&self.place, self.memory, self.refused_count);
        let is_wanted = || place.is_wanted() || memory.refused_count() != refused_count;
        let next = self.pace.wait(is_wanted, next).await;
        next.map_err(|TooSlow| sender_too_slow())
    }

    const fn came(&mut self, bytes: &Bytes) {
        self.pace.came(bytes.len() as u64);
    }
}

impl Target {
    /// Returns the graph that is changed whatever the documents say.
    fn named(&self) -> Option<GraphNameRef<'_>> {
        match &self.graph {
            Some(graph) => Some(graph.as_ref().into()),
            None => (!self.takes_data_sets).then_some(GraphNameRef::DefaultGraph),
        }
    }

    fn document(&self, format: Format, compression: Compression) -> Result<Document, Problem> {
        if !self.takes_data_sets && matches!(format, Format::Text(RdfFormat::NQuads | RdfFormat::TriG)) {
            return Err(unsupported_media_type(format!(
                "{} is a format of data sets: POST it to /store, without `default` or `graph`",
                format.name()
            )));
        }
        Ok(Document {
            format,
            compression,
            base_iri: Some(self.base.as_str().to_owned()),
            default_graph: self.graph.clone(),
            is_one_graph: !self.takes_data_sets,
        })
    }
}

fn compression(encoding: Option<&HeaderValue>) -> Result<Compression, Problem> {
    match encoding.map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(Compression::None),
        Some(b"gzip") => Ok(Compression::Gzip),
        Some(b"zstd") => Ok(Compression::Zstd),
        Some(_) => Err(unsupported_media_type(
            "the Content-Encoding must be gzip or zstd",
        )),
    }
}

async fn read_whole(
    api: &Inner,
    mut body: Incoming,
    arriving: &mut Arriving<'_>,
    document: Document,
) -> Result<Parsed, Problem> {
    let mut parsing = Parsing::start(api, document)?;
    while let Some(bytes) = arriving.wait(next(&mut body)).await?? {
        arriving.came(&bytes);
        if !parsing.feed(bytes).await {
            break;
        }
    }
    parsing.finish().await
}

/// Returns the next bytes of a body.
pub(super) async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = body.frame().await;
        match frame.transpose().map_err(|_| ImportError::BrokenOff)? {
            None => return Ok(None),
            // A trailer is no data.
            Some(frame) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

/// Reads parts (RFC 7578), each with a `Content-Type` of its own.
async fn read_parts(
    api: &Inner,
    headers: &HeaderMap,
    body: Incoming,
    arriving: &mut Arriving<'_>,
    target: &Target,
) -> Result<Vec<Parsed>, Problem> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default())
        .map_err(|error| invalid(error.to_string()))?;
    let kept = Kept::default();
    let fed = Fed {
        body,
        kept: kept.clone(),
    };
    let mut parts = multer::Multipart::new(fed, boundary);
    let mut all = Vec::new();
    while let Some(mut field) = arriving
        .wait(parts.next_field())
        .await?
        .map_err(|error| unreadable(&error))?
    {
        kept.handed_on(0);
        if all.len() >= PART_COUNT_MAX {
            return Err(invalid(format!("more than {PART_COUNT_MAX} parts")));
        }
        let format =
            format(field.headers())?.ok_or_else(|| unsupported_media_type("a part cannot have parts"))?;
        let mut parsing = Parsing::start(api, target.document(format, Compression::None)?)?;
        while let Some(bytes) = arriving
            .wait(field.chunk())
            .await?
            .map_err(|error| unreadable(&error))?
        {
            kept.handed_on(bytes.len());
            arriving.came(&bytes);
            if !parsing.feed(bytes).await {
                break;
            }
        }
        all.push(parsing.finish().await?);
    }
    Ok(all)
}

fn unreadable(error: &multer::Error) -> Problem {
    invalid(format!("the parts cannot be read: {}", parts::why(error)))
}

/// A document on a thread that parses it.
struct Parsing {
    chunks: mpsc::Sender<Chunk>,
    parsed: oneshot::Receiver<Result<Parsed, ImportError>>,
}

impl Parsing {
    fn start(api: &Inner, document: Document) -> Result<Self, Problem> {
        let (chunks, arriving) = mpsc::channel(WAITING_CHUNK_COUNT_MAX);
        let (done, parsed) = oneshot::channel();
        let memory = api.memory.clone();
        let graph_bytes = api.knowledge.graph_memory_bytes();
        let work = move || {
            let chunks = ChunkReader::new(arriving);
            let outcome = rdf::read(&document, chunks, &memory, graph_bytes, |_| !done.is_closed());
            // An error says that the caller has gone.
            let _ = done.send(outcome);
        };
        rdf::start_thread("upload", on_thread(work)).map_err(|error| internal(&error))?;
        Ok(Self { chunks, parsed })
    }

    /// Passes bytes on; false if the parser is done already: its outcome tells why.
    async fn feed(&mut self, bytes: Bytes) -> bool {
        self.chunks.send(Chunk::Bytes(bytes)).await.is_ok()
    }

    async fn finish(self) -> Result<Parsed, Problem> {
        // As above.
        let _ = self.chunks.send(Chunk::End).await;
        let parsed = self.parsed.await.map_err(|_| internal(&"a parser panicked"))?;
        Ok(parsed?)
    }
}
