//! From a watcher to its reader, who may be slow.

use std::{pin::pin, time::Duration};

use tokio::{sync::mpsc, time::Instant};

use super::{Event, FRAGMENT_BYTES_MAX, FeedError, Watcher};
use crate::{knowledge::Mark, log::LogError, sync::time::timeout};

/// How a watcher ended.
#[derive(Debug)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// The commit up to which everything was handed to the reader; none if the graph at the beginning was not whole.
    pub resume_after: Option<Mark>,
}

/// Why a watcher ended.
#[derive(Debug)]
pub enum EndReason {
    /// The reader has gone.
    Gone,
    /// The reader left a frame lying for too long.
    TooSlow,
    /// It was stopped, or the server shuts down.
    Stopped,
    /// The log is being opened again, after the disk was full.
    LogClosed,
    /// Something was erased from what is being told.
    Erased,
    /// The feed cannot be read.
    Failed(FeedError),
}

/// Events that are handed over at once, if they are at hand.
pub(super) const BATCH_EVENT_COUNT_MAX: usize = 64;

/// How long a reader may have no room before others may have the watcher's place.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits until the reader has room, as long as it may take.
async fn wait_for_room<'s, T>(
    watcher: &mut Watcher,
    sender: &'s mpsc::Sender<Vec<T>>,
) -> Result<mpsc::Permit<'s, Vec<T>>, EndReason> {
    if watcher.gives_way() {
        return Err(EndReason::TooSlow);
    }
    let begun_at = Instant::now();
    let mut left = watcher.stall_max();
    let mut room = pin!(sender.reserve());
    let room = loop {
        match timeout(left.min(PATIENCE), &mut room).await {
            Ok(room) => break room.map_err(|_| EndReason::Gone),
            Err(_) if left <= PATIENCE || !watcher.give_way() => break Err(EndReason::TooSlow),
            Err(_) => left -= PATIENCE,
        }
    };
    watcher.was_held_up(begun_at.elapsed());
    room
}

/// Sends what a watcher gets, several events at once where they are at hand, until the reader has gone, is too slow, or `stop` is
/// ready.
pub async fn follow<T>(
    mut watcher: Watcher,
    sender: mpsc::Sender<Vec<T>>,
    stop: impl Future<Output = ()>,
    convert: impl Fn(Event) -> T,
) -> End {
    let mut resume_after = watcher.resume_after();
    let mut stop = pin!(stop);
    let reason = loop {
        let event = tokio::select! {
            biased;
            () = &mut stop => break EndReason::Stopped,
            () = sender.closed() => break EndReason::Gone,
            event = watcher.next() => event,
        };
        let event = match event {
            Ok(event) => event,
            Err(FeedError::Closed) => break EndReason::Stopped,
            Err(FeedError::Log(LogError::Unavailable)) => break EndReason::LogClosed,
            Err(FeedError::Erased) => break EndReason::Erased,
            Err(error) => break EndReason::Failed(error),
        };
        let room = tokio::select! {
            biased;
            () = &mut stop => break EndReason::Stopped,
            room = wait_for_room(&mut watcher, &sender) => room,
        };
        match room {
            Err(end) => break end,
            Ok(room) => {
                let mut batch = Vec::new();
                let mut text_bytes = 0;
                let mut reached = resume_after;
                let mut has_changes = false;
                let mut next = Some(event);
                while let Some(event) = next {
                    text_bytes += event.text_bytes();
                    has_changes |= !matches!(event, Event::Checkpoint(_));
                    reached = event.completes().or(reached);
                    batch.push(convert(event));
                    let has_room = batch.len() < BATCH_EVENT_COUNT_MAX && text_bytes < FRAGMENT_BYTES_MAX;
                    next = if has_room { watcher.at_hand() } else { None };
                }
                // It may have been erased while the reader had no room.
                if has_changes && watcher.is_outdated() {
                    break EndReason::Erased;
                }
                resume_after = reached;
                room.send(batch);
            }
        }
    };
    End { reason, resume_after }
}
