//! How much of the log is kept, and when it is compacted.

use std::time::Duration;

use crate::log::{Log, LogError, LogReader};

/// How far beyond its limits the log may grow, as a part of them, before it is compacted: a base record is the whole graph, so
/// that it should stand for many records.
const SLACK_PART: u64 = 4;

/// How much of the log is kept. The graph itself is never touched.
///
/// A record goes if it is beyond one of the limits, but never one of the newest `revision_count_min`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retention {
    /// Records may go that are older. None: none is too old.
    pub age_max: Option<Duration>,
    /// Bytes of payloads, as they are stored, beyond which the oldest records may go. None: there is no limit.
    pub bytes_max: Option<u64>,
    /// The newest records that stay, whatever their age and size.
    pub revision_count_min: u64,
    /// Whether records stay until they are backed up ([`super::KnowledgeBase::tell_backed_up`]).
    pub waits_for_backups: bool,
}

impl Default for Retention {
    /// Keeps everything; the newest thousand records stay even if something else is set.
    fn default() -> Self {
        Self {
            age_max: None,
            bytes_max: None,
            revision_count_min: 1_000,
            waits_for_backups: false,
        }
    }
}

impl Retention {
    /// Tells whether so much is beyond the limits that it is worth a base record.
    pub(super) fn is_due(&self, log: &Log, now_us: u64) -> Result<bool, LogError> {
        let floor = with_slack(self.revision_count_min);
        if log.head().revision - log.earliest() <= floor {
            return Ok(false);
        }
        if self
            .bytes_max
            .is_some_and(|bytes_max| log.retained_bytes() > with_slack(bytes_max))
        {
            return Ok(true);
        }
        let Some(age_max_us) = self.age_max_us() else {
            return Ok(false);
        };
        let oldest = log.reader().header(log.earliest() + 1)?;
        Ok(now_us.saturating_sub(oldest.time_us) > with_slack(age_max_us))
    }

    /// Returns the last record that may go, if one may; backups have those up to `backed_up`.
    pub(super) fn last_to_go(
        &self,
        log: &LogReader,
        (head, backed_up): (u64, u64),
        now_us: u64,
    ) -> Result<Option<u64>, LogError> {
        let earliest = log.earliest()?;
        let last_max = self
            .last_max(backed_up)
            .min(head.saturating_sub(self.revision_count_min));
        if last_max <= earliest {
            return Ok(None);
        }
        let too_old_us = self
            .age_max_us()
            .map_or(0, |age_max_us| now_us.saturating_sub(age_max_us));
        let mut bytes_left = 0;
        let mut sum = |header: crate::log::Header| {
            bytes_left += header.payload_bytes;
            true
        };
        log.headers(earliest + 1..=head, false, &mut sum)?;
        let mut last = None;
        log.headers(earliest + 1..=last_max, false, &mut |header| {
            let is_old = header.time_us < too_old_us;
            let is_too_much = self.bytes_max.is_some_and(|bytes_max| bytes_left > bytes_max);
            if is_old || is_too_much {
                last = Some(header.revision);
                bytes_left -= header.payload_bytes;
            }
            is_old || is_too_much
        })?;
        Ok(last)
    }

    /// Returns the last record that may go where backups have those up to `backed_up`.
    pub(super) fn last_max(&self, backed_up: u64) -> u64 {
        if self.waits_for_backups {
            backed_up
        } else {
            u64::MAX
        }
    }

    fn age_max_us(&self) -> Option<u64> {
        let us = self.age_max?.as_micros();
        Some(u64::try_from(us).unwrap_or(u64::MAX))
    }
}

fn with_slack(limit: u64) -> u64 {
    limit.saturating_add(limit / SLACK_PART)
}
