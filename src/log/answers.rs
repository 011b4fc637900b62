//! Answers to requests that have no record: how they are written, and when they go.

use std::sync::{Arc, PoisonError};

use redb::{Range, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _, Table, WriteTransaction};

use super::{
    error::LogError,
    read::LogReader,
    record::Header,
    tables::{self, ANSWERS, META, NO_CHANGES},
};
use crate::sync::{Mutex, MutexGuard};

/// The key of the number of the set; 0 if there is none.
const SET_KEY: &str = "answer_set";

/// Old answers that go when a new one comes, at most: the more there are, the fewer there will be.
const SWEPT_COUNT_MAX: usize = 8;

/// The answers of a log that is written.
pub(super) struct Answers<'t> {
    by_id: Table<'t, &'static str, &'static [u8]>,
    no_changes: Table<'t, (u64, &'static str), ()>,
}

impl<'t> Answers<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, LogError> {
        Ok(Self {
            by_id: transaction.open_table(ANSWERS).map_err(LogError::from_redb)?,
            no_changes: transaction.open_table(NO_CHANGES).map_err(LogError::from_redb)?,
        })
    }

    /// Puts down the answer to a request, in the place of one to an older request of that name.
    pub(super) fn put(&mut self, answer: &Header) -> Result<(), LogError> {
        let Some(request) = &answer.request_id else {
            return Ok(());
        };
        let id = request.id.as_str();
        let before = {
            let before = self.by_id.insert(id, answer.encode().as_slice());
            let before = before.map_err(LogError::from_redb)?;
            before.and_then(|bytes| Header::decode(bytes.value()))
        };
        if let Some(before) = before {
            self.no_changes
                .remove((before.time_us, id))
                .map_err(LogError::from_redb)?;
        }
        if answer.is_of_no_change() {
            self.no_changes
                .insert((answer.time_us, id), ())
                .map_err(LogError::from_redb)?;
        }
        Ok(())
    }

    /// Removes an answer, if it is there.
    pub(super) fn remove(&mut self, answer: &Header) -> Result<(), LogError> {
        let Some(request) = &answer.request_id else {
            return Ok(());
        };
        self.remove_at(answer.time_us, &request.id)
    }

    /// Removes some answers to requests that changed nothing: those from before a time, and the oldest of more than `count_max`.
    pub(super) fn sweep(&mut self, from_us: u64, count_max: u64) -> Result<(), LogError> {
        for _ in 0..SWEPT_COUNT_MAX {
            let count = self.no_changes.len().map_err(LogError::from_redb)?;
            let oldest = self.no_changes.first().map_err(LogError::from_redb)?;
            let oldest = oldest.map(|(key, _)| (key.value().0, key.value().1.to_owned()));
            match oldest {
                Some((time_us, id)) if time_us < from_us || count > count_max => {
                    self.remove_at(time_us, &id)?;
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn remove_at(&mut self, time_us: u64, id: &str) -> Result<(), LogError> {
        self.by_id.remove(id).map_err(LogError::from_redb)?;
        self.no_changes
            .remove((time_us, id))
            .map_err(LogError::from_redb)?;
        Ok(())
    }
}

/// Answers without records that were given, or refused, while a log was written anew.
#[derive(Default)]
pub(super) struct NewAnswers(Mutex<[Vec<Header>; 2]>);

impl NewAnswers {
    pub(super) fn add(&self, answers: Vec<Header>) {
        self.lock()[0].extend(answers);
    }

    /// Takes down answers that may be in the log all the same, until it takes them back.
    pub(super) fn refuse(&self, answers: &[Header]) {
        self.lock()[1].extend_from_slice(answers);
    }

    pub(super) fn take(&self) -> [Vec<Header>; 2] {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, [Vec<Header>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers of one state of the log to requests that have no record, or none any more.
pub struct StoredAnswers {
    /// Tells whose copies go on from each other: another number once some were erased. 0 until then.
    pub set: u64,
    answers: Range<'static, &'static str, &'static [u8]>,
    _reader: Arc<()>,
}

impl Iterator for StoredAnswers {
    type Item = Result<Header, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let decoded =
            |(_, bytes): (_, redb::AccessGuard<'static, &'static [u8]>)| tables::decode_answer(bytes.value());
        let answer = self.answers.next()?;
        Some(answer.map_err(LogError::from_redb).and_then(decoded))
    }
}

impl LogReader {
    /// Returns the answers to requests that have no record, or none any more.
    pub fn answers(&self) -> Result<StoredAnswers, LogError> {
        let reading = self.begin()?;
        let answers = reading.open_table(ANSWERS).map_err(LogError::from_redb)?;
        Ok(StoredAnswers {
            set: set(&reading)?,
            answers: answers.range::<&str>(..).map_err(LogError::from_redb)?,
            _reader: reading.reader,
        })
    }
}

/// Returns the number of the set of answers.
pub(super) fn set(transaction: &ReadTransaction) -> Result<u64, LogError> {
    let meta = transaction.open_table(META).map_err(LogError::from_redb)?;
    let set = meta.get(SET_KEY).map_err(LogError::from_redb)?;
    Ok(set.map_or(0, |set| set.value()))
}

/// Has a copy of a log say that it has the same set of answers.
pub(super) fn copy_set(from: &ReadTransaction, to: &WriteTransaction) -> Result<(), LogError> {
    put_set(to, set(from)?)
}

/// Has a copy of a log say that it has another set of answers.
pub(super) fn begin_set(copy: &WriteTransaction) -> Result<(), LogError> {
    put_set(
        copy,
        getrandom::u64().map_err(|error| LogError::from_io(error.into()))?,
    )
}

fn put_set(transaction: &WriteTransaction, set: u64) -> Result<(), LogError> {
    let mut meta = transaction.open_table(META).map_err(LogError::from_redb)?;
    meta.insert(SET_KEY, set).map_err(LogError::from_redb)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use redb::{Database, backends::InMemoryBackend};

    use super::*;
    use crate::log::RequestId;

    fn answer(number: u64) -> Header {
        let request = RequestId {
            id: format!("r{number}"),
            fingerprint: [7; 32],
        };
        Header::of_no_change(request, 1, number)
    }

    fn database() -> Database {
        let backend = InMemoryBackend::new();
        Database::builder().create_with_backend(backend).unwrap()
    }

    #[test]
    fn a_name_that_was_given_again_has_the_age_of_its_newer_answer() {
        let database = database();
        let transaction = database.begin_write().unwrap();
        let mut answers = Answers::open(&transaction).unwrap();
        for time_us in [1, 10] {
            let again = Header { time_us, ..answer(0) };
            answers.put(&again).unwrap();
        }
        answers.sweep(5, 1).unwrap();
        assert_eq!(
            (answers.by_id.len().unwrap(), answers.no_changes.len().unwrap()),
            (1, 1)
        );
        answers.sweep(11, 1).unwrap();
        assert_eq!(
            (answers.by_id.len().unwrap(), answers.no_changes.len().unwrap()),
            (0, 0)
        );
    }

    #[test]
    fn the_oldest_answers_go_a_few_at_a_time() {
        let database = database();
        let transaction = database.begin_write().unwrap();
        let mut answers = Answers::open(&transaction).unwrap();
        for number in 0..20 {
            answers.put(&answer(number)).unwrap();
        }
        // Of a record: it stays, whatever its age.
        let mut of_record = answer(0);
        of_record.payload_bytes = 16;
        of_record.request_id.as_mut().unwrap().id = "of a record".to_owned();
        answers.put(&of_record).unwrap();
        let first = |answers: &Answers<'_>| {
            let gone = (0..20).take_while(|number| {
                let id = format!("r{number}");
                answers.by_id.get(id.as_str()).unwrap().is_none()
            });
            let gone = gone.count() as u64;
            assert_eq!(answers.no_changes.len().unwrap(), 20 - gone);
            assert_eq!(answers.by_id.len().unwrap(), 21 - gone);
            gone
        };
        let mut sweep = |from_us, count_max| {
            answers.sweep(from_us, count_max).unwrap();
            first(&answers)
        };
        assert_eq!(sweep(0, 20), 0);
        assert_eq!(sweep(2, 20), 2);
        assert_eq!(sweep(0, 15), 5);
        assert_eq!(sweep(0, 0), 5 + SWEPT_COUNT_MAX as u64);
        assert_eq!(sweep(0, 0), 20);
    }
}
