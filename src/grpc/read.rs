//! What every read of entities and facts shares.

use std::{sync::Arc, time::Instant};

use http::Extensions;
use tonic::Status;

use super::{
    admission::Place,
    call::{Deadline, access},
    status::{deadline_exceeded, internal},
    time::When,
};
use crate::{
    facts::{Budget, Lookup, Reader},
    intake,
    knowledge::{KnowledgeBase, View},
    model::day::Day,
    request::{self, on_thread},
};

/// Reads facts from the knowledge base.
#[derive(Clone)]
pub struct Reads {
    knowledge: KnowledgeBase,
    lookup: Lookup,
}

impl Reads {
    /// Returns reads of a knowledge base.
    pub fn new(knowledge: KnowledgeBase) -> Self {
        Self {
            knowledge,
            lookup: Lookup::default(),
        }
    }

    /// Returns what the caller sees of the revision that it asked for, or at least as fresh. The call has no place while it waits
    /// for that.
    pub(super) async fn view(&self, when: &When, extensions: &Extensions) -> Result<View, Status> {
        let access = access(extensions)?;
        let waiting = async {
            if when.at_revision != 0 {
                return Ok(self.knowledge.read_at(&access, when.at_revision).await?);
            }
            let reading = self
                .knowledge
                .read_at_least(&access, when.min_revision, deadline(extensions));
            Ok::<_, Status>(reading.await?)
        };
        let view = match extensions.get::<Arc<Place>>() {
            _ if when.at_revision == 0 && when.min_revision == 0 => self.knowledge.read(&access),
            Some(place) => place.wait(waiting).await?,
            None => waiting.await?,
        };
        request::note_revision(view.revision);
        Ok(view)
    }

    /// Returns the day that the default graph of a view is for.
    pub fn reference_day(&self, view: &View) -> Day {
        self.knowledge.reference_day(view)
    }

    /// Returns the epoch of the cursors of a view.
    pub fn epoch(view: &View) -> u64 {
        view.snapshot.epoch()
    }

    /// Runs a read on this thread if it turns out small, else on one that may block. It stops at the deadline of the call.
    pub async fn run<T: Send + 'static>(
        &self,
        view: &View,
        extensions: &Extensions,
        read: impl Fn(Reader<'_>, &mut Budget) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let mut budget = Budget::inline();
        let answer = read(self.lookup.on(&view.snapshot), &mut budget);
        if !budget.is_out_of_steps() {
            return Ok(answer);
        }
        self.run_blocking(view, extensions, read).await
    }

    /// Runs a read that is known to be large on a thread that may block.
    pub async fn run_blocking<T: Send + 'static>(
        &self,
        view: &View,
        extensions: &Extensions,
        read: impl Fn(Reader<'_>, &mut Budget) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let (lookup, snapshot) = (self.lookup.clone(), view.snapshot.clone());
        let mut budget = Budget::page().until(deadline(extensions));
        let run = move || {
            let answer = read(lookup.on(&snapshot), &mut budget);
            (!budget.is_late()).then_some(answer)
        };
        let answer = tokio::task::spawn_blocking(on_thread(intake::on_thread(run))).await;
        answer
            .map_err(|error| internal(&error))?
            .ok_or_else(deadline_exceeded)
    }
}

/// Returns the deadline of a call, if its caller set one.
pub fn deadline(extensions: &Extensions) -> Option<Instant> {
    extensions.get::<Deadline>().map(|deadline| deadline.0)
}
