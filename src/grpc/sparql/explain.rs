//! Plans and what texts are, as protobuf.

use std::time::Duration;

use tonic::Status;

use crate::{
    grpc::{convert::to_int64, status::reason_name},
    proto::v1,
    sparql::{Explanation, PlanNode, QueryForm, SparqlError, TextKind, Validation},
};

/// Bytes of the detail of an operator: VALUES may be long.
const DETAIL_BYTES_MAX: usize = 1_024;

impl From<QueryForm> for v1::QueryForm {
    fn from(form: QueryForm) -> Self {
        match form {
            QueryForm::Select => Self::Select,
            QueryForm::Ask => Self::Ask,
            QueryForm::Construct => Self::Construct,
            QueryForm::Describe => Self::Describe,
        }
    }
}

/// Converts an explanation of a query that read this revision.
pub(super) fn explanation(explanation: Explanation, query_id: &str, revision: u64) -> v1::ExplainResponse {
    let limit = if explanation.is_limited {
        v1::QueryLimit::RowCount
    } else {
        v1::QueryLimit::Unspecified
    };
    let mut plan = Vec::new();
    flatten(explanation.plan, 0, &mut plan);
    v1::ExplainResponse {
        query_id: query_id.to_owned(),
        form: v1::QueryForm::from(explanation.form).into(),
        revision: to_int64(revision),
        plan,
        planning_time: duration(explanation.planning),
        elapsed: explanation.elapsed.and_then(duration),
        row_count: explanation.row_count.map(to_int64),
        limit_reached: limit.into(),
        work: explanation.work.map(to_int64),
    }
}

/// Appends a tree, each operator before those below it.
fn flatten(node: PlanNode, depth: i32, plan: &mut Vec<v1::PlanNode>) {
    plan.push(v1::PlanNode {
        depth,
        operator: node.operator,
        detail: shortened(node.detail),
        row_count_estimate: node.row_count_estimate.map(to_int64),
        row_count: node.row_count.map(to_int64),
        elapsed: node.elapsed.and_then(duration),
    });
    for child in node.children {
        flatten(child, depth.saturating_add(1), plan);
    }
}

fn shortened(mut detail: String) -> String {
    if detail.len() > DETAIL_BYTES_MAX {
        detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
        detail.push('…');
    }
    detail
}

fn duration(time: Duration) -> Option<prost_types::Duration> {
    time.try_into().ok()
}

/// Converts what a text is.
pub(super) fn validation(validation: Validation) -> v1::ValidateResponse {
    let kind = match validation.kind {
        None => v1::TextKind::Unspecified,
        Some(TextKind::Query) => v1::TextKind::Query,
        Some(TextKind::Update) => v1::TextKind::Update,
    };
    let form = validation
        .form
        .map_or(v1::QueryForm::Unspecified, v1::QueryForm::from);
    let figures = validation.limits.beside(&validation.figures).into_iter();
    v1::ValidateResponse {
        valid: validation.fault.is_none(),
        fault: validation.fault.map(fault),
        kind: kind.into(),
        form: form.into(),
        result_variables: validation.result_variables,
        variables: validation.variables,
        parameters: validation.parameters,
        graphs: validation.graphs,
        figures: figures
            .map(|(limit, value, limit_value)| v1::TextFigure {
                limit: limit.to_owned(),
                value: to_int64(value as u64),
                limit_value: to_int64(limit_value as u64),
            })
            .collect(),
    }
}

fn fault(error: SparqlError) -> v1::TextFault {
    let (message, line, column) = match &error {
        SparqlError::Syntax {
            message,
            line,
            column,
        } => (Some(message.clone()), to_int64(*line), to_int64(*column)),
        _ => (None, 0, 0),
    };
    // The text and the name of every other error are those that a call would fail with.
    let status = Status::from(error);
    v1::TextFault {
        reason: reason_name(&status),
        message: message.unwrap_or_else(|| status.message().to_owned()),
        line,
        column,
    }
}
