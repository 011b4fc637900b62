//! `dossier queries` and `dossier cancel`.

use std::{io::Write as _, time::Duration};

use clap::{Args, ValueEnum};
use comfy_table::Cell;

use super::{
    client::{Client, ServerArgs},
    failure::Failure,
    output::{Json, Output, thousands},
    term::printable,
};
use crate::proto::v1::{
    CancelQueryRequest, ListQueriesRequest, ListQueriesResponse, QueryState, RunningQuery,
};

/// Characters of a hash in the table.
const HASH_CHAR_COUNT: usize = 12;

/// Arguments of `dossier queries`.
#[derive(Args, Debug)]
pub(super) struct QueriesArgs {
    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: QueriesFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum QueriesFormat {
    /// For people
    #[default]
    Table,
    /// `ListQueriesResponse` in protobuf's JSON mapping
    Json,
}

/// Arguments of `dossier cancel`.
#[derive(Args, Debug)]
pub(super) struct CancelArgs {
    /// Id of the query or update, as `dossier queries` shows it
    #[arg(value_name = "ID")]
    query_id: String,
}

/// Lists what waits and runs.
pub(super) async fn list(args: QueriesArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let answer = client
        .sparql
        .list_queries(ListQueriesRequest {})
        .await?
        .into_inner();
    let mut output = Output::stdout();
    match args.output {
        QueriesFormat::Json => Json::new()?.write(&mut output, "ListQueriesResponse", &answer)?,
        QueriesFormat::Table => table(&mut output, answer)?,
    }
    Ok(output.flush()?)
}

/// Cancels a query or update.
pub(super) async fn cancel(args: CancelArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let request = CancelQueryRequest {
        query_id: args.query_id,
    };
    client.sparql.cancel_query(request).await?;
    Ok(())
}

fn table(output: &mut Output, answer: ListQueriesResponse) -> Result<(), Failure> {
    if answer.queries.is_empty() {
        writeln!(output, "nothing waits or runs")?;
        return Ok(());
    }
    let listed = i64::try_from(answer.queries.len()).unwrap_or(i64::MAX);
    let header = ["ID", "METHOD", "STATE", "FOR", "ROWS", "FROM", "TEXT"];
    output.table(&header, answer.queries.into_iter().map(row).collect())?;
    if answer.query_count > listed {
        writeln!(output, "and {} more", thousands(answer.query_count - listed))?;
    }
    Ok(())
}

fn row(query: RunningQuery) -> Vec<Cell> {
    let state = match query.state() {
        QueryState::Unspecified => "?",
        QueryState::Waiting => "waiting",
        QueryState::Running => "running",
        QueryState::Ending => "ending",
    };
    let elapsed = query.elapsed.and_then(|elapsed| Duration::try_from(elapsed).ok());
    let elapsed = elapsed.map_or_else(String::new, |elapsed| format!("{:.1} s", elapsed.as_secs_f64()));
    let hash: String = query.text_sha256.chars().take(HASH_CHAR_COUNT).collect();
    vec![
        Cell::new(printable(&query.query_id)),
        Cell::new(query.method),
        Cell::new(state),
        Cell::new(elapsed),
        Cell::new(thousands(query.row_count)),
        Cell::new(query.peer),
        Cell::new(hash),
    ]
}
