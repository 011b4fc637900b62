//! Requests of `SparqlService`, checked.

use std::{collections::HashMap, time::Duration};

use oxigraph::model::NamedNode;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use crate::{
    facts::write::Precondition,
    grpc::{
        convert::term_from_proto,
        validate::Violations,
        write::{MESSAGE_BYTES_MAX, REQUEST_ID_BYTES_MAX, check::check_preconditions},
    },
    knowledge::RequestId,
    proto::v1,
    sparql::{CallerLimits, Parameters, Query, TextKind},
};

const QUERY_ID_BYTES_MAX: usize = 128;
/// Graphs in one request.
const GRAPH_COUNT_MAX: usize = 1_000;
/// Parameters in one request.
pub const PARAMETER_COUNT_MAX: usize = 100;

pub(super) struct CheckedQuery {
    pub(super) query: Query,
    pub(super) query_id: String,
    pub(super) min_revision: u64,
    /// 0: the newest.
    pub(super) at_revision: u64,
    pub(super) limits: CallerLimits,
    pub(super) encoding: v1::RowEncoding,
}

/// Checks a query. Its parameters take at most `parameter_bytes_max`.
pub(super) fn check_query(
    request: v1::QueryRequest,
    parameter_bytes_max: usize,
) -> Result<CheckedQuery, Status> {
    let mut violations = Violations::default();
    let parameters = parameters(&mut violations, &request.parameters, parameter_bytes_max);
    let default_graphs = graphs(&mut violations, "default_graphs", &request.default_graphs);
    let named_graphs = graphs(&mut violations, "named_graphs", &request.named_graphs);
    let min_revision = violations.min_revision("min_revision", request.min_revision);
    let at_revision = violations.min_revision("at_revision", request.at_revision);
    if min_revision != 0 && at_revision != 0 {
        violations.invalid("at_revision", "either this or min_revision");
    }
    violations.text("query_id", &request.query_id, QUERY_ID_BYTES_MAX);
    let encoding = v1::RowEncoding::try_from(request.row_encoding).unwrap_or_else(|_| {
        violations.invalid(
            "row_encoding",
            format!("{} is no row encoding", request.row_encoding),
        );
        v1::RowEncoding::Unspecified
    });
    let limits = request.limits.unwrap_or_default();
    let row_count_max = count(&mut violations, "row_count_max", limits.row_count_max);
    let limits = caller_limits(&mut violations, &limits);
    violations.finish()?;
    Ok(CheckedQuery {
        query: Query {
            text: request.query,
            parameters,
            default_graphs,
            named_graphs,
            row_count_max,
        },
        query_id: request.query_id,
        min_revision,
        at_revision,
        limits,
        encoding,
    })
}

pub(super) struct CheckedUpdate {
    pub(super) text: String,
    pub(super) parameters: Parameters,
    pub(super) query_id: String,
    pub(super) limits: CallerLimits,
    pub(super) commit: CheckedCommit,
}

pub(super) struct CheckedCommit {
    pub(super) request_id: Option<RequestId>,
    pub(super) expected_revision: Option<u64>,
    pub(super) validate_only: bool,
    pub(super) message: String,
    pub(super) preconditions: Vec<Precondition>,
}

/// Checks an update. Its parameters take at most `parameter_bytes_max`.
pub(super) fn check_update(
    request: v1::UpdateRequest,
    parameter_bytes_max: usize,
) -> Result<CheckedUpdate, Status> {
    let mut violations = Violations::default();
    let parameters = parameters(&mut violations, &request.parameters, parameter_bytes_max);
    violations.text("request_id", &request.request_id, REQUEST_ID_BYTES_MAX);
    violations.text("message", &request.message, MESSAGE_BYTES_MAX);
    violations.text("query_id", &request.query_id, QUERY_ID_BYTES_MAX);
    let expected_revision = request
        .expected_revision
        .map(|revision| violations.min_revision("expected_revision", revision));
    let limits = request.limits.unwrap_or_default();
    if limits.row_count_max != 0 {
        violations.invalid("limits.row_count_max", "must be 0: an update has no rows");
    }
    if limits.result_bytes_max > 0 {
        violations.invalid("limits.result_bytes_max", "must be 0: an update has no result");
    }
    let limits = caller_limits(&mut violations, &limits);
    let preconditions = check_preconditions(&mut violations, "preconditions", &request.preconditions);
    violations.finish()?;
    let fingerprint = fingerprint(&request, &parameters);
    Ok(CheckedUpdate {
        text: request.update,
        parameters,
        query_id: request.query_id,
        limits,
        commit: CheckedCommit {
            request_id: (!request.request_id.is_empty()).then_some(RequestId {
                id: request.request_id,
                fingerprint,
            }),
            expected_revision,
            validate_only: request.validate_only,
            message: request.message,
            preconditions,
        },
    })
}

/// Checks a query to explain, and tells whether to run it.
pub(super) fn check_explain(
    request: v1::ExplainRequest,
    parameter_bytes_max: usize,
) -> Result<(CheckedQuery, bool), Status> {
    let query = v1::QueryRequest {
        query: request.query,
        parameters: request.parameters,
        default_graphs: request.default_graphs,
        named_graphs: request.named_graphs,
        min_revision: request.min_revision,
        limits: request.limits,
        row_encoding: v1::RowEncoding::Unspecified.into(),
        query_id: request.query_id,
        at_revision: 0,
    };
    Ok((check_query(query, parameter_bytes_max)?, request.execute))
}

/// Checks a text to validate, and tells what it is to be.
pub(super) fn check_validate(request: v1::ValidateRequest) -> Result<(String, Option<TextKind>), Status> {
    let mut violations = Violations::default();
    let kind = match v1::TextKind::try_from(request.kind) {
        Ok(v1::TextKind::Unspecified) => None,
        Ok(v1::TextKind::Query) => Some(TextKind::Query),
        Ok(v1::TextKind::Update) => Some(TextKind::Update),
        Err(_) => {
            violations.invalid("kind", format!("{} is no kind of text", request.kind));
            None
        }
    };
    violations.finish()?;
    Ok((request.text, kind))
}

/// Checks a cancellation and returns the id.
pub(super) fn check_cancel(request: v1::CancelQueryRequest) -> Result<String, Status> {
    let mut violations = Violations::default();
    if request.query_id.is_empty() {
        violations.invalid("query_id", "required");
    }
    violations.text("query_id", &request.query_id, QUERY_ID_BYTES_MAX);
    violations.finish()?;
    Ok(request.query_id)
}

/// Converts parameters: their number and size are limited, as each may stand in many places of the text.
fn parameters(
    violations: &mut Violations,
    parameters: &HashMap<String, v1::Term>,
    bytes_max: usize,
) -> Parameters {
    if parameters.len() > PARAMETER_COUNT_MAX {
        violations.invalid(
            "parameters",
            format!("at most {PARAMETER_COUNT_MAX}, not {}", parameters.len()),
        );
        return Parameters::default();
    }
    let size = |(name, term): (&String, &v1::Term)| name.len() + term.encoded_len();
    let byte_count: usize = parameters.iter().map(size).sum();
    if byte_count > bytes_max {
        violations.invalid(
            "parameters",
            format!("at most {bytes_max} bytes together, not {byte_count}"),
        );
        return Parameters::default();
    }
    let mut sorted: Vec<_> = parameters.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    let converted = sorted.into_iter().filter_map(|(name, term)| {
        let term = term_from_proto(term, &format!("parameters[{name}]"), violations)?;
        Some((name.clone(), term))
    });
    converted.collect()
}

fn graphs(violations: &mut Violations, field: &str, names: &[String]) -> Vec<NamedNode> {
    if names.len() > GRAPH_COUNT_MAX {
        violations.invalid(field, format!("at most {GRAPH_COUNT_MAX}, not {}", names.len()));
        return Vec::new();
    }
    let names = names.iter().enumerate();
    names
        .filter_map(|(index, name)| violations.name(&format!("{field}[{index}]"), name))
        .collect()
}

fn caller_limits(violations: &mut Violations, limits: &v1::QueryLimits) -> CallerLimits {
    CallerLimits {
        timeout: timeout(violations, limits),
        result_bytes_max: count(violations, "result_bytes_max", limits.result_bytes_max),
        work_max: count(violations, "work_max", limits.work_max),
    }
}

/// Checks a field of the limits; 0 is none.
fn count(violations: &mut Violations, field: &str, value: i64) -> Option<u64> {
    let count = u64::try_from(value).unwrap_or_else(|_| {
        violations.invalid(
            &format!("limits.{field}"),
            format!("must not be negative: {value}"),
        );
        0
    });
    (count > 0).then_some(count)
}

fn timeout(violations: &mut Violations, limits: &v1::QueryLimits) -> Option<Duration> {
    let timeout = Duration::try_from(limits.timeout?)
        .ok()
        .filter(|timeout| !timeout.is_zero());
    if timeout.is_none() {
        violations.invalid("limits.timeout", "must be positive");
    }
    timeout
}

/// Lengths apart, so that no two updates have the same bytes.
fn fingerprint(request: &v1::UpdateRequest, parameters: &Parameters) -> [u8; 32] {
    let mut fingerprint = Sha256::new();
    let mut add = |part: &[u8]| {
        fingerprint.update((part.len() as u64).to_be_bytes());
        fingerprint.update(part);
    };
    add(request.update.as_bytes());
    add(request.message.as_bytes());
    for (name, term) in parameters {
        add(name.as_bytes());
        add(term.to_string().as_bytes());
    }
    for precondition in &request.preconditions {
        add(&precondition.encode_to_vec());
    }
    fingerprint.finalize().into()
}
