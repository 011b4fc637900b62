//! `ChangeService`.

mod convert;
mod request;
mod stream;

use std::time::Instant;

use prost::Message as _;
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use self::{
    convert::{diff_fragment, revision_to_proto, watch_response},
    stream::Frames,
};
use super::{
    call::{Ending, access},
    convert::to_int64,
    page_token,
    read::deadline,
    status::{
        LOG_CLOSED, cancelled, deadline_exceeded, internal, lapsed_after, overloaded, reader_too_slow,
        revision_not_found, unavailable, unavailable_after,
    },
    validate::Violations,
};
use crate::{
    auth::Tenure,
    feed::{
        Change, DiffError, End, EndReason, Feed, FeedError, HeaderPage, Listing, Start, Waiting, follow,
        fragments,
    },
    knowledge::Known,
    model::access::Access,
    places::Place,
    proto::v1::{self, change_service_server::ChangeService},
    request::{on_task, on_thread},
};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;
/// Batches of frames that wait for the reader.
const WAITING_BATCH_COUNT_MAX: usize = 1;
const SHUTTING_DOWN: &str = "the server is shutting down";

/// Answers `ChangeService`.
pub struct ChangeApi {
    feed: Feed,
    drain: CancellationToken,
}

impl ChangeApi {
    /// Answers from a feed. Streams end once `drain` is cancelled: they would hold it up for ever.
    pub fn new(feed: Feed, drain: CancellationToken) -> Self {
        Self { feed, drain }
    }

    /// Runs a read of the log on a thread that may block. It is told when nobody waits for it any more.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Feed, &dyn Fn() -> bool) -> Result<T, FeedError> + Send + 'static,
    ) -> Result<T, Status> {
        let feed = self.feed.clone();
        let waiting = Waiting::default();
        let is_over = waiting.is_over();
        match spawn_blocking(on_thread(move || read(&feed, &is_over))).await {
            Ok(outcome) => Ok(outcome?),
            Err(error) => Err(internal(&error)),
        }
    }

    /// Fails if a revision is not between `least` and the newest one.
    fn known_revision(&self, field: &str, revision: i64, least: u64) -> Result<u64, Status> {
        let mut violations = Violations::default();
        let known = u64::try_from(revision).ok().filter(|&revision| revision >= least);
        if known.is_none() {
            violations.invalid(field, format!("must be at least {least}, not {revision}"));
        }
        violations.finish()?;
        let (revision, newest) = (known.unwrap_or_default(), self.feed.revision());
        if revision > newest {
            return Err(revision_not_found(revision, newest));
        }
        self.feed.check_retained(revision)?;
        Ok(revision)
    }
}

#[tonic::async_trait]
impl ChangeService for ChangeApi {
    type WatchStream = Frames<v1::WatchResponse>;
    type DiffRevisionsStream = Frames<v1::DiffRevisionsResponse>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        let access = access(&extensions)?;
        let mut violations = Violations::default();
        let start = request::start(request.start, &mut violations);
        let hash = request::after_hash(&request.after_hash, start, &mut violations);
        let filter = request::filter(&request.filter.unwrap_or_default(), &mut violations);
        let output = request::output(request.output, &filter, &mut violations);
        let interval = request::checkpoint_interval(request.checkpoint_interval, &mut violations);
        violations.finish()?;
        if let Start::After(revision) = start {
            let known = Known { revision, hash };
            self.feed.reach(known, deadline(&extensions)).await?;
        }
        let watcher = self
            .feed
            .watch(&access, start, (filter, output), interval)
            .await?;
        let (sender, receiver) = mpsc::channel(WAITING_BATCH_COUNT_MAX);
        let (tell, told) = oneshot::channel();
        let ending = extensions.get::<Ending>().map(|ending| ending.stream.clone());
        let drain = ending.unwrap_or_else(|| self.drain.clone());
        let tenure = extensions.get::<Tenure>().cloned();
        tokio::spawn(on_task(async move {
            let mut lapsed = None;
            let stop = async {
                tokio::select! {
                    () = drain.cancelled() => {}
                    lapse = Tenure::over(tenure) => lapsed = Some(lapse),
                }
            };
            let end = follow(watcher, sender, stop, watch_response).await;
            let status = match (&end.reason, lapsed) {
                (EndReason::Stopped, Some(lapse)) => lapsed_after(lapse, end.resume_after),
                _ => end_of_watch(end),
            };
            // The reader may have gone.
            let _ = tell.send(Err(status));
        }));
        Ok(Response::new(Frames::new(receiver, told)))
    }

    async fn get_revision(
        &self,
        request: Request<v1::GetRevisionRequest>,
    ) -> Result<Response<v1::GetRevisionResponse>, Status> {
        let access = access(request.extensions())?;
        let revision = self.known_revision("revision", request.into_inner().revision, 1)?;
        let read = move |feed: &Feed, is_over: &dyn Fn() -> bool| feed.header(&access, revision, is_over);
        let header = self.read(read).await?;
        let header = header.ok_or_else(|| revision_not_found(revision, self.feed.revision()))?;
        Ok(Response::new(v1::GetRevisionResponse {
            revision: Some(revision_to_proto(header)),
        }))
    }

    async fn list_revisions(
        &self,
        request: Request<v1::ListRevisionsRequest>,
    ) -> Result<Response<v1::ListRevisionsResponse>, Status> {
        let access = access(request.extensions())?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let count_max = violations.page_size(request.page_size, PAGE_DEFAULT, PAGE_MAX);
        let from_us = request::time_us("from_time", request.from_time, &mut violations);
        let until_us = request::time_us("until_time", request.until_time, &mut violations);
        let sealed = page_token::filter(
            "revisions",
            &[&format!("{} {from_us:?} {until_us:?}", request.oldest_first)],
        );
        let token = &request.page_token;
        let after = page_token::decode_revision(token, sealed);
        if after.is_none() && !token.is_empty() {
            violations.page_token();
        }
        violations.finish()?;
        let listing = Listing {
            after,
            newest_first: !request.oldest_first,
            from_us: from_us.unwrap_or(0),
            until_us: until_us.unwrap_or(u64::MAX),
            count_max,
        };
        let newest = self.feed.revision();
        let read = move |feed: &Feed, is_over: &dyn Fn() -> bool| feed.headers(&access, listing, is_over);
        let HeaderPage { headers, next_after } = self.read(read).await?;
        let next_page_token = next_after.map(|last| page_token::encode_revision(last, sealed));
        Ok(Response::new(v1::ListRevisionsResponse {
            next_page_token: next_page_token.unwrap_or_default(),
            revisions: headers.into_iter().map(revision_to_proto).collect(),
            revision: to_int64(newest),
            earliest_revision: to_int64(self.feed.knowledge().earliest_revision()),
        }))
    }

    async fn diff_revisions(
        &self,
        request: Request<v1::DiffRevisionsRequest>,
    ) -> Result<Response<Self::DiffRevisionsStream>, Status> {
        let (_, extensions, request) = request.into_parts();
        let access = access(&extensions)?;
        let from = self.known_revision("from_revision", request.from_revision, 0)?;
        let to = self.known_revision("to_revision", request.to_revision, 0)?;
        let place = self
            .feed
            .diff_place()
            .map_err(|full| overloaded(&format!("differences: {full}")))?;
        let (sender, receiver) = mpsc::channel(WAITING_BATCH_COUNT_MAX);
        let (tell, told) = oneshot::channel();
        let difference = Difference {
            place,
            access,
            feed: self.feed.clone(),
            drain: self.drain.clone(),
            sender,
            deadline: deadline(&extensions),
        };
        tokio::spawn(on_task(async move {
            let outcome = difference.send(from, to).await;
            // The reader may have gone.
            let _ = tell.send(outcome);
        }));
        Ok(Response::new(Frames::new(receiver, told)))
    }
}

/// A difference on its way to its reader.
struct Difference {
    place: Place,
    access: Access,
    feed: Feed,
    drain: CancellationToken,
    sender: mpsc::Sender<Vec<v1::DiffRevisionsResponse>>,
    deadline: Option<Instant>,
}

impl Difference {
    async fn send(self, from: u64, to: u64) -> Result<(), Status> {
        let Self {
            mut place,
            access,
            feed,
            drain,
            sender,
            deadline,
        } = self;
        let (reader, draining) = (sender.clone(), drain.clone());
        let is_past = move || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let reading = feed.clone();
        let diff = spawn_blocking(move || {
            reading.diff(&access, from, to, || {
                reader.is_closed() || draining.is_cancelled() || is_past()
            })
        });
        let diff = match diff.await.map_err(|error| internal(&error))? {
            Ok(diff) => diff,
            Err(DiffError::Over) if is_past() => return Err(deadline_exceeded()),
            Err(DiffError::Over) if sender.is_closed() => return Err(cancelled()),
            Err(DiffError::Over) => return Err(unavailable(SHUTTING_DOWN)),
            Err(error) => return Err(error.into()),
        };
        let erasure_count = diff.erasure_count();
        for (changes, is_last) in fragments(diff.into_changes()) {
            let begun_at = Instant::now();
            let stall_max = place.stall_max(feed.settings().stall_max);
            let room = tokio::select! {
                () = drain.cancelled() => return Err(unavailable(SHUTTING_DOWN)),
                room = timeout(stall_max, sender.reserve()) => room,
            };
            let changes: Vec<Change> = changes;
            if feed.erasure_count() != erasure_count {
                return Err(DiffError::Erased.into());
            }
            match room {
                Err(_) => return Err(reader_too_slow(None)),
                Ok(Err(_)) => return Err(cancelled()),
                Ok(Ok(room)) => {
                    let fragment = diff_fragment(changes, is_last);
                    place.took(begun_at.elapsed(), fragment.encoded_len() as u64);
                    room.send(vec![fragment]);
                }
            }
        }
        Ok(())
    }
}

fn end_of_watch(end: End) -> Status {
    let after = end.resume_after;
    match end.reason {
        EndReason::Gone => cancelled(),
        EndReason::TooSlow => reader_too_slow(after),
        EndReason::Stopped => unavailable_after(SHUTTING_DOWN, after),
        EndReason::LogClosed => unavailable_after(LOG_CLOSED, after),
        EndReason::Erased => unavailable_after(&FeedError::Erased.to_string(), after),
        EndReason::Failed(error) => error.into(),
    }
}
