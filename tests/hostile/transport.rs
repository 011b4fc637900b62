//! How a request gets to the server: everything here that knows a protocol.

use std::{borrow::Cow, io::Write as _};

use ::http::uri::PathAndQuery;
use dossier::proto::v1::{
    self, ImportHeader, ImportRequest, import_request, import_response, query_response::Frame,
    write_service_client::WriteServiceClient,
};
use tonic::{Code, Request, Status, Streaming, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::{
    case::{Kind, Outcome},
    http,
};

const CHUNK_BYTES: usize = 1 << 20;

/// A way to the server.
#[derive(Clone)]
pub(crate) enum Transport {
    Grpc(Channel),
    /// The authority of its URLs.
    Http(String),
}

impl Transport {
    /// Connects by gRPC.
    pub(crate) async fn grpc(url: &str) -> Self {
        let endpoint = Channel::from_shared(url.to_owned()).unwrap();
        Self::Grpc(endpoint.connect().await.unwrap())
    }

    /// Returns the way by HTTP.
    pub(crate) fn http(url: &str) -> Self {
        Self::Http(url.trim_start_matches("http://").to_owned())
    }

    /// Tells whether an update can be planned and left at that.
    pub(crate) const fn can_plan(&self) -> bool {
        matches!(self, Self::Grpc(_))
    }

    /// Sends a request and reads its whole answer; `pause` stands between the first frame and the others.
    pub(crate) async fn send(
        &self,
        kind: Kind,
        text: Cow<'static, [u8]>,
        pause: impl Future<Output = ()>,
    ) -> Outcome {
        let channel = match self {
            Self::Grpc(channel) => channel,
            Self::Http(authority) => return http::send(authority, kind, text, pause).await,
        };
        let answer = match kind {
            Kind::Query | Kind::Stalled => query(channel, text, pause).await,
            Kind::Update => update(channel, text, false).await,
            Kind::Plan => update(channel, text, true).await,
            Kind::Import(format) => {
                import(channel, format, text.into_owned(), v1::Compression::Unspecified).await
            }
            Kind::Gzip(format) => import(channel, format, gzip(&text), v1::Compression::Gzip).await,
        };
        answer.map(Some).map_err(|status| {
            let info = status.get_details_error_info();
            (
                status.code(),
                info.map_or_else(|| status.to_string(), |info| info.reason),
            )
        })
    }
}

/// [`v1::QueryRequest`] whose text need not be UTF-8.
#[derive(Clone, PartialEq, prost::Message)]
struct RawQuery {
    #[prost(bytes = "vec", tag = "1")]
    query: Vec<u8>,
}

/// [`v1::UpdateRequest`] whose text need not be UTF-8.
#[derive(Clone, PartialEq, prost::Message)]
struct RawUpdate {
    #[prost(bytes = "vec", tag = "1")]
    update: Vec<u8>,
    #[prost(bool, tag = "5")]
    validate_only: bool,
}

async fn query(
    channel: &Channel,
    text: Cow<'static, [u8]>,
    pause: impl Future<Output = ()>,
) -> Result<u64, Status> {
    let mut client = client(channel).await?;
    let request = Request::new(RawQuery {
        query: text.into_owned(),
    });
    let path = PathAndQuery::from_static("/dossier.v1.SparqlService/Query");
    let codec = ProstCodec::<RawQuery, v1::QueryResponse>::default();
    let answer = client.server_streaming(request, path, codec).await?;
    let mut frames: Streaming<v1::QueryResponse> = answer.into_inner();
    let mut frame = frames.message().await?;
    pause.await;
    let mut count = 0;
    while let Some(v1::QueryResponse { frame: Some(next) }) = frame {
        match next {
            Frame::Header(_) => {}
            Frame::Rows(batch) => count += u64::try_from(batch.row_count).unwrap(),
            Frame::Triples(batch) => count += batch.triples.len() as u64,
            Frame::Boolean(_) => count += 1,
            Frame::Complete(complete) => {
                assert_eq!(u64::try_from(complete.row_count), Ok(count));
                return Ok(count);
            }
        }
        frame = frames.message().await?;
    }
    Err(Status::data_loss("a result without its end"))
}

async fn update(channel: &Channel, text: Cow<'static, [u8]>, validate_only: bool) -> Result<u64, Status> {
    let mut client = client(channel).await?;
    let request = Request::new(RawUpdate {
        update: text.into_owned(),
        validate_only,
    });
    let path = PathAndQuery::from_static("/dossier.v1.SparqlService/Update");
    let codec = ProstCodec::<RawUpdate, v1::UpdateResponse>::default();
    let done = client.unary(request, path, codec).await?.into_inner();
    Ok(u64::try_from(done.quads_inserted + done.quads_removed).unwrap())
}

async fn client(channel: &Channel) -> Result<Grpc<Channel>, Status> {
    let mut client = Grpc::new(channel.clone()).max_decoding_message_size(usize::MAX);
    client
        .ready()
        .await
        .map_err(|error| Status::new(Code::Unavailable, error.to_string()))?;
    Ok(client)
}

async fn import(
    channel: &Channel,
    format: &str,
    document: Vec<u8>,
    compression: v1::Compression,
) -> Result<u64, Status> {
    let header = ImportHeader {
        format: format.to_owned(),
        compression: compression.into(),
        ..Default::default()
    };
    let chunks = document
        .chunks(CHUNK_BYTES)
        .map(|chunk| import_request::Part::Chunk(chunk.to_vec().into()));
    let parts: Vec<_> = std::iter::once(import_request::Part::Header(header))
        .chain(chunks)
        .map(|part| ImportRequest { part: Some(part) })
        .collect();
    let mut writes = WriteServiceClient::new(channel.clone());
    let mut answers = writes.import(tokio_stream::iter(parts)).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        if let Some(import_response::Part::Complete(complete)) = answer.part {
            return Ok(u64::try_from(complete.quads_inserted).unwrap());
        }
    }
    Err(Status::data_loss("an import without its end"))
}

pub(crate) fn gzip(document: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(document).unwrap();
    encoder.finish().unwrap()
}
