//! Appending: any number of records, one fsync.

use redb::{Durability, WriteTransaction};

use super::{
    Head,
    answers::Answers,
    error::LogError,
    payload::PayloadWriter,
    record::{GENESIS, Header, RequestId, digest},
    tables::{self, ANSWERS, HEADERS, PAYLOADS, REQUESTS},
};

/// How long the answers to requests are kept that have no record, or none any more.
pub const ANSWER_AGE_MAX_US: u64 = 24 * 3600 * 1_000_000;
/// Answers to requests that changed nothing that are kept; the oldest go. All together are some hundreds of megabytes.
const ANSWER_COUNT_MAX: u64 = 1_000_000;

/// What the writer of a record says about it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Entry {
    /// Who makes the change. May be empty.
    pub author: String,
    /// Why. May be empty.
    pub message: String,
    /// The request that makes it, if it is named.
    pub request_id: Option<RequestId>,
    /// When it was planned, in microseconds since 1970: the time of the record, unless the last record is later.
    pub time_us: u64,
}

/// Records that are not in the log yet: dropped, they never were.
pub struct Append {
    transaction: WriteTransaction,
    head: Head,
    record_count: u64,
    payload_bytes: u64,
    /// Answers to requests that changed nothing.
    answers: Vec<Header>,
}

impl Append {
    pub(super) fn new(mut transaction: WriteTransaction, head: Head) -> Result<Self, LogError> {
        transaction
            .set_durability(Durability::Immediate)
            .map_err(LogError::from_redb)?;
        Ok(Self {
            transaction,
            head,
            record_count: 0,
            payload_bytes: 0,
            answers: Vec::new(),
        })
    }

    /// Returns the last record, these included.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Returns the number of records in this append.
    pub fn record_count(&self) -> u64 {
        self.record_count
    }

    /// Returns the bytes of the payloads in this append.
    pub(super) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Returns the record that a request made, these included, or the answer that it had.
    pub fn request(&self, id: &str) -> Result<Option<Header>, LogError> {
        let open = |table| self.transaction.open_table(table).map_err(LogError::from_redb);
        let requests = self
            .transaction
            .open_table(REQUESTS)
            .map_err(LogError::from_redb)?;
        let answers = self
            .transaction
            .open_table(ANSWERS)
            .map_err(LogError::from_redb)?;
        tables::request(&requests, &open(HEADERS)?, &answers, id)
    }

    /// Adds a record with the changes that `write` writes. After an error the whole append must be dropped.
    pub fn record(
        &mut self,
        entry: Entry,
        write: impl FnOnce(&mut PayloadWriter<'_>) -> Result<(), LogError>,
    ) -> Result<Header, LogError> {
        let revision = self.head.revision + 1;
        let payload = {
            let mut payloads = self
                .transaction
                .open_table(PAYLOADS)
                .map_err(LogError::from_redb)?;
            let mut position = 0_u32;
            let mut writer = PayloadWriter::new(Box::new(|chunk: &[u8]| {
                payloads
                    .insert((revision, position), chunk)
                    .map_err(tables::into_io)?;
                position += 1;
                Ok(())
            }))
            .map_err(LogError::from_io)?;
            write(&mut writer)?;
            writer.finish().map_err(LogError::from_io)?
        };
        let mut header = Header {
            revision,
            // The wall clock may step back; the log's does not.
            time_us: entry.time_us.max(self.head.time_us),
            author: entry.author,
            message: entry.message,
            request_id: entry.request_id,
            counts: payload.counts,
            payload_bytes: payload.stored_bytes,
            text_bytes: payload.text_bytes,
            payload_digest: payload.digest,
            previous: self.head.digest,
            digest: GENESIS,
            is_redacted: false,
        };
        let bytes = header.encode();
        header.digest = digest(&bytes);
        let mut headers = self
            .transaction
            .open_table(HEADERS)
            .map_err(LogError::from_redb)?;
        headers
            .insert(revision, bytes.as_slice())
            .map_err(LogError::from_redb)?;
        if let Some(request) = &header.request_id {
            let mut requests = self
                .transaction
                .open_table(REQUESTS)
                .map_err(LogError::from_redb)?;
            requests
                .insert(request.id.as_str(), revision)
                .map_err(LogError::from_redb)?;
        }
        self.head = Head {
            revision,
            digest: header.digest,
            time_us: header.time_us,
        };
        self.record_count += 1;
        self.payload_bytes += header.payload_bytes;
        Ok(header)
    }

    /// Adds the answer to a request that changes nothing: it has no record. After an error the whole append must be dropped.
    pub fn answer(&mut self, request: RequestId, time_us: u64) -> Result<(), LogError> {
        let answer = Header::of_no_change(request, self.head.revision, time_us.max(self.head.time_us));
        let mut answers = self.answers()?;
        answers.put(&answer)?;
        answers.sweep(answer.time_us.saturating_sub(ANSWER_AGE_MAX_US), ANSWER_COUNT_MAX)?;
        drop(answers);
        self.answers.push(answer);
        Ok(())
    }

    /// Takes the answers out that it has beside the records, to remember them.
    pub(super) fn take_answers(&mut self) -> Vec<Header> {
        std::mem::take(&mut self.answers)
    }

    /// Writes all records and answers durably, or none of them; returns the last record.
    pub(super) fn commit(self) -> Result<Head, LogError> {
        self.transaction.commit().map_err(LogError::from_redb)?;
        Ok(self.head)
    }

    /// Removes answers, if they are there.
    pub(super) fn remove_answers(&self, answers: &[Header]) -> Result<(), LogError> {
        let mut table = self.answers()?;
        answers.iter().try_for_each(|answer| table.remove(answer))
    }

    /// Removes the records above a revision.
    pub(super) fn remove_above(&self, revision: u64) -> Result<(), LogError> {
        let mut headers = self
            .transaction
            .open_table(HEADERS)
            .map_err(LogError::from_redb)?;
        let mut payloads = self
            .transaction
            .open_table(PAYLOADS)
            .map_err(LogError::from_redb)?;
        let mut requests = self
            .transaction
            .open_table(REQUESTS)
            .map_err(LogError::from_redb)?;
        headers
            .retain_in(revision + 1.., |_, _| false)
            .map_err(LogError::from_redb)?;
        payloads
            .retain_in((revision + 1, 0).., |_, _| false)
            .map_err(LogError::from_redb)?;
        requests
            .retain(|_, made| made <= revision)
            .map_err(LogError::from_redb)
    }

    fn answers(&self) -> Result<Answers<'_>, LogError> {
        Answers::open(&self.transaction)
    }
}
