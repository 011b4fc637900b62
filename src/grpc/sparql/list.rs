//! Queries that wait or run, as protobuf.

use crate::{grpc::convert::to_int64, proto::v1, sparql::RunningQuery};

/// Queries in one answer.
const QUERY_COUNT_MAX: usize = 1_000;

/// Answers with the oldest ones and the number of all.
pub(super) fn response(queries: Vec<RunningQuery>) -> v1::ListQueriesResponse {
    v1::ListQueriesResponse {
        query_count: to_int64(queries.len() as u64),
        queries: queries
            .into_iter()
            .take(QUERY_COUNT_MAX)
            .map(Into::into)
            .collect(),
    }
}

impl From<RunningQuery> for v1::RunningQuery {
    fn from(query: RunningQuery) -> Self {
        let state = match (query.is_ending, query.is_running) {
            (true, _) => v1::QueryState::Ending,
            (false, true) => v1::QueryState::Running,
            (false, false) => v1::QueryState::Waiting,
        };
        Self {
            query_id: query.query_id,
            method: query.method.to_owned(),
            state: state.into(),
            start_time: Some(query.admitted_at.into()),
            elapsed: prost_types::Duration::try_from(query.elapsed).ok(),
            text_sha256: query.text_sha256.map(|hash| hash.to_string()).unwrap_or_default(),
            row_count: to_int64(query.row_count),
            revision: query.revision.map(to_int64),
            peer: query.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        }
    }
}
