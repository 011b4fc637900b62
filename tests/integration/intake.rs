//! What requests hold of the server's memory while they wait: it is counted, or it is little.

use dossier::proto::v1::{self, ErrorReason, import_request::Part};
use tonic::{Code, codec::CompressionEncoding};

use crate::harness::{Server, check_error, complete, header};

/// What a chunk of an import may have.
const CHUNK_BYTES_MAX: usize = 1 << 20;

#[tokio::test]
async fn a_chunk_of_an_import_is_no_larger_than_it_may_be() {
    let server = Server::start_empty().await;
    for encoding in [None, Some(CompressionEncoding::Gzip)] {
        let import = async |byte_count: usize| {
            let mut document = vec![b'#'; byte_count];
            document.push(b'\n');
            let (chunk, rest) = document.split_at(byte_count);
            let parts = [
                Part::Header(header("nt")),
                Part::Chunk(chunk.to_vec().into()),
                Part::Chunk(rest.to_vec().into()),
            ];
            let messages = parts.map(|part| v1::ImportRequest { part: Some(part) });
            let mut writes = server.writes();
            if let Some(encoding) = encoding {
                writes = writes.send_compressed(encoding);
            }
            complete(writes.import(tokio_stream::iter(messages)).await?.into_inner()).await
        };
        import(CHUNK_BYTES_MAX).await.unwrap();
        check_error(
            import(CHUNK_BYTES_MAX + 1).await,
            Code::ResourceExhausted,
            ErrorReason::MessageTooLarge,
        );
    }
}
