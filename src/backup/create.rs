//! Making a backup of a knowledge base that goes on.

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    Backup, BackupError, Place, Progress, Watch,
    graph_hash::GraphHash,
    manifest::{Manifest, RECORDS, hex},
    records::Writer,
};
use crate::{
    knowledge::{KnowledgeBase, View},
    log::{Chain, Head, Records, StoredAnswers},
    model::access::Access,
};

/// Records after which it is told how far it is.
const RECORDS_PER_LOOK: u64 = 256;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The revision that the place covers now.
    pub revision: u64,
    /// The new backup; nothing if nothing was committed since the one before.
    pub backup: Option<Backup>,
}

/// Copies the records since the last backup of a place, up to the revision that is the newest now.
///
/// Blocks. The manifest is written last: a backup that is cut off, anywhere, leaves those before it as they were. Of two that are
/// made at the same time, one stands and the other is [`BackupError::Overtaken`]. If something is erased meanwhile it begins anew:
/// once an erasure is done, no manifest is written whose files were read before.
pub fn create(knowledge: &KnowledgeBase, place: &Place, watch: &mut Watch<'_>) -> Result<Made, BackupError> {
    loop {
        match attempt(knowledge, place, watch) {
            Err(BackupError::ErasedMeanwhile) => {
                tracing::info!("something was erased from the log: the backup begins anew");
            }
            made => return made,
        }
    }
}

fn attempt(knowledge: &KnowledgeBase, place: &Place, watch: &mut Watch<'_>) -> Result<Made, BackupError> {
    let made_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let _lock = place.lock()?;
    let mut manifest = Manifest::read(place)?.unwrap_or_default();
    let State {
        view,
        records,
        answers,
        erasure_count,
    } = consistent(knowledge)?;
    let revision = view.revision;
    let (chain, first_revision) = match manifest.backups.last() {
        Some(before) => {
            check_history(&records, before.head, revision)?;
            (Chain::after(before.head), before.head.revision + 1)
        }
        // The base record stands for those before it.
        None => (Chain::default(), records.earliest().max(1)),
    };
    if first_revision > revision {
        return Ok(Made {
            revision,
            backup: None,
        });
    }
    let left_over = left_over(place, &manifest)?;
    if !place.is_shared() {
        // First: the disk may be full of it.
        left_over.iter().try_for_each(|name| place.remove(name))?;
    }
    if manifest.backups.is_empty() {
        manifest.log = hex(&records.digest(first_revision)?);
    }
    let source = Source {
        knowledge,
        erasure_count,
        view,
        records,
        earliest: manifest
            .backups
            .first()
            .map_or(first_revision, |first| first.first_revision),
        before: manifest.backups.last(),
        chain,
        first_revision,
        made_at_us: u64::try_from(made_at.as_micros()).unwrap_or(u64::MAX),
    };
    let mut writer = Writer::new(place, first_revision, revision)?;
    let backup = match source.copy(answers, &mut writer, watch) {
        Ok(backup) => backup,
        Err(error) => {
            writer.give_up();
            return Err(error);
        }
    };
    manifest.backups.push(backup.clone());
    let written = {
        // Who looks after an erasure which backups there are finds this one, or it is not made.
        let _held = place.hold_manifest();
        check_erasures(knowledge, erasure_count).and_then(|()| manifest.write(place))
    };
    match written {
        Err(error @ (BackupError::Overtaken | BackupError::ErasedMeanwhile)) => {
            writer.give_up();
            return Err(error);
        }
        // Whether it is there nobody knows: the next one clears up.
        written => written?,
    }
    if place.is_shared() {
        // Last, and only what was there before: whose files these are, this has overtaken.
        if let Err(error) = left_over.iter().try_for_each(|name| place.remove(name)) {
            tracing::warn!(%error, "what a backup that was cut off has left cannot be removed");
        }
    }
    Ok(Made {
        revision,
        backup: Some(backup),
    })
}

/// What is backed up.
struct Source<'a> {
    knowledge: &'a KnowledgeBase,
    /// That of the log when its records were read.
    erasure_count: u64,
    view: View,
    records: Records,
    before: Option<&'a Backup>,
    /// The first revision that all backups have.
    earliest: u64,
    /// Up to the backup before.
    chain: Chain,
    first_revision: u64,
    made_at_us: u64,
}

impl Source<'_> {
    /// Takes the records as the log has them now: for as long as they are those of the beginning, the log cannot use the room again
    /// that later commits leave. It keeps those of the beginning if the log was compacted.
    fn renew(&mut self) -> Result<(), BackupError> {
        let records = self.knowledge.log().records()?;
        check_erasures(self.knowledge, self.erasure_count)?;
        if records.earliest() == self.records.earliest() {
            self.records = records;
        }
        Ok(())
    }

    /// Writes its records; returns the backup that they are.
    fn copy(
        mut self,
        answers: StoredAnswers,
        writer: &mut Writer<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Backup, BackupError> {
        let (first_revision, last_revision) = (self.first_revision, self.view.revision);
        let mut watch = |revision| {
            watch(Progress {
                revision,
                first_revision,
                last_revision,
            })
        };
        let mut graph = self.before.and_then(Backup::graph);
        let mut quad_count = self.before.map_or(0, |before| before.quad_count);
        let mut named_graph_count = self.before.map_or(0, |before| before.named_graph_count);
        let answer_set = Some(answers.set);
        self.copy_answers(answers, writer, &mut watch)?;
        let mut file_count = writer.file_count();
        for revision in first_revision..=last_revision {
            let record = self.records.stored(revision)?;
            let followed = match &mut graph {
                Some(graph) => {
                    let mut each = |change| graph.change(&change);
                    writer.record(record, &mut self.chain, Some(&mut each))?
                }
                None => writer.record(record, &mut self.chain, None)?,
            };
            let counts = followed.counts();
            quad_count = (quad_count + counts.quads_inserted).saturating_sub(counts.quads_removed);
            named_graph_count =
                (named_graph_count + counts.graphs_created).saturating_sub(counts.graphs_dropped);
            if writer.file_count() > file_count {
                file_count = writer.file_count();
                self.renew()?;
            }
            if revision % RECORDS_PER_LOOK == 0 || revision == last_revision {
                if !watch(revision) {
                    return Err(BackupError::Over);
                }
                check_erasures(self.knowledge, self.erasure_count)?;
            }
        }
        let graph_now = &self.view.snapshot;
        if (quad_count, named_graph_count) != (graph_now.quad_count(), graph_now.named_graph_count()) {
            return Err(BackupError::Erased {
                revision: last_revision,
            });
        }
        // What comes now takes its time, and needs them no more.
        drop(self.records);
        let files = writer.finish()?;
        let graph = match graph {
            Some(graph) => graph,
            None => {
                GraphHash::of(&self.view.snapshot, &mut || watch(last_revision)).ok_or(BackupError::Over)?
            }
        };
        Ok(Backup {
            made_at_us: self.made_at_us,
            first_revision,
            head: self.chain.head(),
            quad_count: graph.quad_count,
            named_graph_count: graph.named_graph_count,
            graph_hash: graph.to_hex(),
            answer_set,
            files,
        })
    }

    /// Writes the answers to requests that neither the records have nor the backups before.
    fn copy_answers(
        &self,
        answers: StoredAnswers,
        writer: &mut Writer<'_>,
        watch: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), BackupError> {
        let set = Some(answers.set);
        // Those before have what was answered up to the last of them, unless some answers were erased since.
        let before = self.before.filter(|before| before.answer_set == set);
        for (answer, index) in answers.zip(1_u64..) {
            let answer = answer?;
            let is_missing = match before {
                Some(before) => answer.is_of_no_change() && answer.revision >= before.head.revision,
                None => answer.is_of_no_change() || answer.revision < self.earliest,
            };
            // One may have been given since the view was taken.
            if is_missing && answer.revision <= self.view.revision {
                writer.answer(&answer)?;
            }
            if index % RECORDS_PER_LOOK == 0 && !watch(self.first_revision - 1) {
                return Err(BackupError::Over);
            }
        }
        writer.end_answers()
    }
}

/// The knowledge base as it was at one time: between the one and the other nothing was erased, and no record that makes the view
/// was compacted away.
struct State {
    view: View,
    records: Records,
    answers: StoredAnswers,
    /// The log's count of erasures.
    erasure_count: u64,
}

fn consistent(knowledge: &KnowledgeBase) -> Result<State, BackupError> {
    let log = knowledge.log();
    loop {
        let erasure_count = log.erasure_count();
        let state = State {
            view: knowledge.read(&Access::everything()),
            records: log.records()?,
            answers: log.answers()?,
            erasure_count,
        };
        if log.erasure_count() == erasure_count && make(&state.records, &state.view) {
            return Ok(state);
        }
    }
}

/// Fails if something was erased from the log since its count was taken.
fn check_erasures(knowledge: &KnowledgeBase, erasure_count: u64) -> Result<(), BackupError> {
    if knowledge.log().erasure_count() == erasure_count {
        Ok(())
    } else {
        Err(BackupError::ErasedMeanwhile)
    }
}

/// Tells whether the log reaches back to a view.
fn make(records: &Records, view: &View) -> bool {
    records.earliest() <= view.revision
}

/// Looks whether the log goes on where a backup ended.
fn check_history(records: &Records, before: Head, newest: u64) -> Result<(), BackupError> {
    let is_other = before.revision > newest || records.digest(before.revision)? != before.digest;
    if is_other {
        return Err(BackupError::OtherHistory {
            revision: before.revision,
        });
    }
    Ok(())
}

/// Returns the files that no backup has: a backup that was cut off has left them, or one that is being made.
pub(super) fn left_over(place: &Place, manifest: &Manifest) -> Result<Vec<String>, BackupError> {
    let files = manifest.backups.iter().flat_map(|backup| &backup.files);
    let named: HashSet<_> = files.map(|file| file.name.as_str()).collect();
    let mut left_over = place.list(RECORDS)?;
    left_over.retain(|name| !named.contains(name.as_str()));
    Ok(left_over)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        graph::{Batch, Draft},
        knowledge::{CommitRequest, Settings, compact},
    };

    /// In the moment between the look at the one and the other.
    #[test]
    fn a_log_that_was_compacted_past_a_view_does_not_make_it() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            disk_free_bytes_min: 0,
            ..Settings::new(dir.path())
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let knowledge = KnowledgeBase::open(settings.clone()).unwrap();
        let mut views = Vec::new();
        for name in ["a", "b"] {
            let graph = oxigraph::model::NamedNode::new_unchecked(format!("http://e.com/{name}"));
            let request = CommitRequest::<()>::new(Access::everything(), move |draft: &mut Draft| {
                let mut batch = Batch::default();
                batch.create_graph(graph.as_ref().into());
                draft.apply(&batch);
                Ok(())
            });
            runtime.block_on(knowledge.commit(request)).unwrap();
            views.push(knowledge.read(&Access::everything()));
        }
        knowledge.close();
        compact(&settings, 0).unwrap().unwrap();
        let knowledge = KnowledgeBase::open(settings).unwrap();
        let records = knowledge.log().records().unwrap();
        assert!(!make(&records, &views[0]));
        assert!(make(&records, &views[1]));
    }
}
