//! Imports that are committed in pieces, each acknowledged with a token to go on after it.

use std::{future::Future, pin::Pin, sync::Arc, sync::atomic::AtomicU64, sync::atomic::Ordering};

use sha2::{Digest as _, Sha256};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tonic::Status;

use super::{DEAFNESS_MAX, End, Header, Import, PROGRESS_INTERVAL, WAITING_CHUNK_COUNT_MAX, token::Token};
use crate::{
    feed::FeedError,
    graph::Draft,
    grpc::{
        convert::to_int64,
        status::{
            cancelled, deadline_exceeded, import_of_other_history, internal, malformed, sender_too_slow,
        },
    },
    knowledge::{CommitRequest, Committed, Mark, RequestId},
    proto::v1::{self, import_request, import_response::Part},
    rdf::{self, Chunk, ChunkReader, Cut, Document, Format, ImportError, Piece, Position, Waker},
    request::on_thread,
};

/// A piece on its way into the log.
type Committing = Pin<Box<dyn Future<Output = Result<(Committed, Position), Status>> + Send>>;
type Outcome = Result<(), ImportError>;

/// How an import in pieces is done.
#[derive(Clone, Copy)]
pub(super) struct Chunked {
    /// Where it goes on.
    pub(super) token: Token,
    pub(super) quads_min: u64,
}

/// How far an import has come.
struct State {
    position: Position,
    mark: Mark,
    revision: u64,
    quads_inserted: u64,
}

impl State {
    /// Returns the token with which an import that began with another goes on from here.
    fn token(&self, begun: Token) -> Token {
        Token {
            position: self.position,
            mark: self.mark,
            ..begun
        }
    }
}

impl Import {
    /// Commits a document piece by piece.
    pub(super) async fn run_chunked(mut self, header: Header, chunked: Chunked) -> Result<Part, Status> {
        let token = chunked.token;
        if !self.knowledge.has(token.mark).await.map_err(FeedError::from)? {
            return Err(import_of_other_history(token.mark.revision));
        }
        self.answer(Part::Accepted(v1::ImportAccepted {
            send_from_byte: to_int64(header.document.resumes_at(token.position)),
            quads_committed: to_int64(token.position.quads),
            resume_token: token.encode(),
        }))
        .await?;
        let (sender, chunks) = mpsc::channel(WAITING_CHUNK_COUNT_MAX);
        let quads_read = Arc::new(AtomicU64::new(token.position.quads));
        let (mut pieces, parsed) =
            self.read_pieces(header.document.clone(), chunks, chunked, Arc::clone(&quads_read))?;
        let mut state = State {
            position: token.position,
            mark: token.mark,
            revision: self.knowledge.revision(),
            quads_inserted: 0,
        };
        let (mut sender, mut pending) = (Some(sender), None);
        let mut committing: Option<Committing> = None;
        let (mut is_read, mut bytes_received) = (false, 0);
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        while !is_read || committing.is_some() {
            tokio::select! {
                committed = async { Some(committing.as_mut()?.await) }, if committing.is_some() => {
                    committing = None;
                    if let Some(committed) = committed {
                        self.acknowledge(&mut state, committed?, token).await?;
                    }
                }
                piece = pieces.recv(), if !is_read && committing.is_none() => match piece {
                    Some(piece) => committing = Some(self.commit(&header, token, piece)),
                    None => is_read = true,
                },
                has_room = has_room(sender.as_ref()), if pending.is_some() => {
                    let chunk = pending.take();
                    let is_end = matches!(chunk, Some(Chunk::End));
                    if let (Some(chunk), Some(to_reader)) = (chunk, &sender) {
                        // Nobody else sends; an error says that the reader is done already, and its outcome tells why.
                        let _ = to_reader.try_send(chunk);
                    }
                    if is_end || !has_room {
                        sender = None;
                    }
                }
                part = self.next(), if pending.is_none() && sender.is_some() => match part {
                    Ok(Some(import_request::Part::Chunk(chunk))) => {
                        bytes_received += chunk.len() as u64;
                        pending = Some(Chunk::Bytes(chunk));
                    }
                    Ok(Some(import_request::Part::Header(_))) => {
                        return Err(malformed("an import has one header"));
                    }
                    Ok(Some(import_request::Part::Abort(_))) => {
                        self.finish(&mut state, committing, token).await?;
                        return Ok(aborted(&state, token));
                    }
                    Ok(None) => pending = Some(Chunk::End),
                    Err(End::TooSlow) => {
                        self.finish(&mut state, committing, token).await?;
                        return Err(sender_too_slow(Some(&state.token(token).encode())));
                    }
                    Err(End::Failed(status)) => return Err(status),
                },
                _ = ticks.tick() => self.report(bytes_received, quads_read.load(Ordering::Relaxed)),
            }
        }
        let outcome = parsed
            .await
            .map_err(|_| internal(&"the import thread panicked"))?;
        outcome?;
        Ok(Part::Complete(v1::ImportComplete {
            revision: to_int64(state.revision),
            quads_read: to_int64(state.position.quads),
            quads_inserted: to_int64(state.quads_inserted),
        }))
    }

    /// Starts the thread that reads pieces of what comes through `chunks`.
    fn read_pieces(
        &self,
        document: Document,
        chunks: mpsc::Receiver<Chunk>,
        chunked: Chunked,
        quads_read: Arc<AtomicU64>,
    ) -> Result<(mpsc::Receiver<Piece>, oneshot::Receiver<Outcome>), Status> {
        let (done, parsed) = oneshot::channel();
        let (put, pieces) = mpsc::channel(1);
        let (memory, knowledge) = (self.memory.clone(), self.knowledge.clone());
        let answers = self.answers.clone();
        let runtime = Handle::current();
        let work = move || {
            let progress = |count| {
                quads_read.store(count, Ordering::Relaxed);
                !answers.is_closed()
            };
            let cut = Cut {
                salt: chunked.token.salt,
                from: chunked.token.position,
                quads_min: chunked.quads_min,
            };
            let graph_bytes = knowledge.graph_memory_bytes();
            let waker = Waker::default();
            let chunks = match document.format {
                Format::Jelly => ChunkReader::new(chunks),
                // What is parsed is committed while more is waited for.
                Format::Text(_) => ChunkReader::new(chunks).woken_by(&waker, runtime),
            };
            let take = |piece| put.blocking_send(piece).is_ok();
            let memory = (&memory, graph_bytes);
            let outcome = rdf::read_pieces(&document, (chunks, &waker), memory, cut, progress, take);
            // An error says that the caller has gone.
            let _ = done.send(outcome);
        };
        rdf::start_thread("import", on_thread(work)).map_err(|error| internal(&error))?;
        Ok((pieces, parsed))
    }

    /// Commits a piece. Its place in the document makes it idempotent: what was committed and not acknowledged is committed once.
    fn commit(&self, header: &Header, token: Token, piece: Piece) -> Committing {
        let end = piece.end;
        let mut fingerprint = Sha256::new();
        for number in [
            token.seal,
            token.salt,
            piece.start.hash,
            end.bytes,
            end.quads,
            end.hash,
        ] {
            fingerprint.update(number.to_be_bytes());
        }
        let place = piece.start.quads;
        let id = if header.request_id.is_empty() {
            format!("import-{:016x}#{place}", token.salt)
        } else {
            format!("{}#{place}", header.request_id)
        };
        let mut request = CommitRequest::new(self.access.clone(), applying(piece));
        request.message.clone_from(&header.message);
        request.request_id = Some(RequestId {
            id,
            fingerprint: fingerprint.finalize().into(),
        });
        let knowledge = self.knowledge.clone();
        Box::pin(async move { Ok((knowledge.commit(request).await?, end)) })
    }

    async fn acknowledge(
        &mut self,
        state: &mut State,
        (committed, position): (Committed, Position),
        token: Token,
    ) -> Result<(), Status> {
        state.position = position;
        let mark = self.knowledge.mark(committed.revision).await;
        state.mark = mark.map_err(FeedError::from)?;
        state.revision = state.revision.max(committed.revision);
        state.quads_inserted += committed.quads_inserted;
        self.answer(Part::Ack(v1::ImportAck {
            revision: to_int64(committed.revision),
            resume_token: state.token(token).encode(),
            quads_committed: to_int64(position.quads),
            bytes_committed: to_int64(position.bytes),
        }))
        .await
    }

    /// Acknowledges the piece that is being committed.
    async fn finish(
        &mut self,
        state: &mut State,
        committing: Option<Committing>,
        token: Token,
    ) -> Result<(), Status> {
        match committing {
            Some(committing) => self.acknowledge(state, committing.await?, token).await,
            None => Ok(()),
        }
    }

    /// Sends what must be heard. Who does not listen is cut off like who does not speak.
    async fn answer(&mut self, part: Part) -> Result<(), Status> {
        let answer = Ok(v1::ImportResponse { part: Some(part) });
        match timeout(DEAFNESS_MAX, self.answers.send(answer)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(cancelled()),
            Err(_) => Err(deadline_exceeded()),
        }
    }
}

/// Returns the plan that applies a piece, and that keeps it whole until then: what it takes of the memory counts as long.
fn applying(piece: Piece) -> impl FnOnce(&mut Draft) -> Result<(), ImportError> + Send + 'static {
    move |draft| {
        let piece = piece;
        draft.set_part();
        draft.apply(&piece.batch);
        Ok(())
    }
}

fn aborted(state: &State, token: Token) -> Part {
    Part::Aborted(v1::ImportAborted {
        quads_committed: to_int64(state.position.quads),
        resume_token: state.token(token).encode(),
    })
}

/// Waits for room for a chunk; false if the reader is gone.
async fn has_room(sender: Option<&mpsc::Sender<Chunk>>) -> bool {
    match sender {
        Some(sender) => sender.reserve().await.is_ok(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use oxigraph::io::RdfFormat;

    use super::*;
    use crate::{
        graph::Snapshot,
        rdf::{Compression, Memory},
    };

    #[test]
    fn a_piece_takes_memory_until_it_is_applied() {
        let document = Document {
            format: Format::Text(RdfFormat::NTriples),
            compression: Compression::None,
            base_iri: None,
            default_graph: None,
            is_one_graph: false,
        };
        let cut = Cut {
            salt: 1,
            from: Position::default(),
            quads_min: 1_000,
        };
        let read = |memory: &Memory| {
            let mut found = None;
            let text = b"<http://e.com/a> <http://e.com/p> \"one\" .\n".as_slice();
            let text = (text, &Waker::default());
            let take = |piece| {
                found = Some(piece);
                true
            };
            rdf::read_pieces(&document, text, (memory, 0), cut, |_| true, take).map(|()| found.unwrap())
        };
        let piece_bytes = read(&Memory::new(u64::MAX)).unwrap().batch.memory_bytes();
        let memory = Memory::new(2 * piece_bytes - 1);
        let plan = applying(read(&memory).unwrap());
        assert!(matches!(read(&memory), Err(ImportError::Full { .. })));
        plan(&mut Draft::new(Snapshot::default())).unwrap();
        assert!(read(&memory).is_ok());
    }
}
