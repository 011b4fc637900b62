//! Answers to requests that have no record: how they are written, and when they go.

use redb::{ReadableTable as _, ReadableTableMetadata as _, Table, WriteTransaction};

use super::{
    error::LogError,
    record::Header,
    tables::{ANSWERS, NO_CHANGES},
};

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

    /// Puts down the answer to a request.
    pub(super) fn put(&mut self, answer: &Header) -> Result<(), LogError> {
        let Some(request) = &answer.request_id else {
            return Ok(());
        };
        let id = request.id.as_str();
        self.by_id
            .insert(id, answer.encode().as_slice())
            .map_err(LogError::from_redb)?;
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

    #[test]
    fn the_oldest_answers_go_a_few_at_a_time() {
        let database = Database::builder()
            .create_with_backend(InMemoryBackend::new())
            .unwrap();
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
