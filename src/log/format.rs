//! The version of the log's format, which the log says itself.

use redb::{Database, ReadableDatabase as _, TableError};

use super::{
    error::LogError,
    tables::{ANSWERS, HEADERS, META, PAYLOADS, REQUESTS, SUBSTITUTES},
};

/// The version of the format that is written; all from 1 on are read.
///
/// 2 has a base record, payloads from which something was erased, request ids that are a subject's own, and answers to requests
/// that changed nothing; 1 had none of these. Nothing was released that knew only some of them. One more for every change that code
/// of the version before would not understand. `tests/fixtures/format` has a log of each.
pub const FORMAT_VERSION: u64 = 2;
/// The key of the version. A log without it is of version 1, which did not say so at first.
const VERSION_KEY: &str = "format";
const UNSAID_VERSION: u64 = 1;

/// Makes the tables of a new log, or fails if a newer version has written this one; says the version from now on.
pub(super) fn prepare(database: &Database) -> Result<(), LogError> {
    let said = version(database)?;
    let found = said.unwrap_or(UNSAID_VERSION);
    if found > FORMAT_VERSION {
        return Err(LogError::NewerFormat {
            found,
            newest: FORMAT_VERSION,
        });
    }
    if said == Some(FORMAT_VERSION) {
        return Ok(());
    }
    let transaction = database.begin_write().map_err(LogError::from_redb)?;
    {
        transaction.open_table(HEADERS).map_err(LogError::from_redb)?;
        transaction.open_table(PAYLOADS).map_err(LogError::from_redb)?;
        transaction.open_table(REQUESTS).map_err(LogError::from_redb)?;
        transaction.open_table(SUBSTITUTES).map_err(LogError::from_redb)?;
        transaction.open_table(ANSWERS).map_err(LogError::from_redb)?;
        let mut meta = transaction.open_table(META).map_err(LogError::from_redb)?;
        meta.insert(VERSION_KEY, FORMAT_VERSION)
            .map_err(LogError::from_redb)?;
    }
    transaction.commit().map_err(LogError::from_redb)
}

/// Returns the version that a log says it has.
fn version(database: &Database) -> Result<Option<u64>, LogError> {
    let transaction = database.begin_read().map_err(LogError::from_redb)?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(LogError::from_redb(error)),
    };
    let version = meta.get(VERSION_KEY).map_err(LogError::from_redb)?;
    Ok(version.map(|version| version.value()))
}
