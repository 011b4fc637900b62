//! `dossier explain`.

use std::{io::Write as _, time::Duration};

use clap::{Args, ValueEnum};
use comfy_table::Cell;

use super::{
    bind::BindArgs,
    client::{Client, ServerArgs},
    failure::Failure,
    output::{Json, Output, thousands},
    term::printable,
    text::TextArgs,
};
use crate::{
    config,
    proto::v1::{ExplainRequest, ExplainResponse, PlanNode, QueryLimits},
};

/// Arguments of `dossier explain`.
#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    text: TextArgs,

    #[command(flatten)]
    bind: BindArgs,

    /// Run the query, to count rows and time at each operator
    #[arg(long, short = 'x')]
    execute: bool,

    /// Fail if the query takes longer, such as 500ms or 2m
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    timeout: Option<Duration>,

    /// Graph to query as the default graph instead of what the text says; may be repeated
    #[arg(long = "default-graph", value_name = "IRI")]
    default_graphs: Vec<String>,

    /// Graph that GRAPH sees instead of what the text says; may be repeated
    #[arg(long = "named-graph", value_name = "IRI")]
    named_graphs: Vec<String>,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: ExplainFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum ExplainFormat {
    /// For people
    #[default]
    Table,
    /// `ExplainResponse` in protobuf's JSON mapping
    Json,
}

/// Tells how a query runs.
pub(super) async fn explain(args: ExplainArgs, server: &ServerArgs) -> Result<(), Failure> {
    let text = args.text.read("query")?;
    let timeout = args.timeout.map(prost_types::Duration::try_from).transpose();
    let mut client = Client::connect(server).await?;
    let request = ExplainRequest {
        query: text.text.clone(),
        parameters: args.bind.parameters(&mut client).await?,
        default_graphs: args.default_graphs,
        named_graphs: args.named_graphs,
        min_revision: 0,
        limits: Some(QueryLimits {
            timeout: timeout.map_err(|_| Failure::usage("--timeout is too long"))?,
            ..Default::default()
        }),
        execute: args.execute,
        query_id: String::new(),
    };
    let answer = client.sparql.explain(request).await;
    let answer = answer
        .map_err(|status| Failure::in_text(&status, text.source()))?
        .into_inner();
    let mut output = Output::stdout();
    match args.output {
        ExplainFormat::Json => Json::new()?.write(&mut output, "ExplainResponse", &answer)?,
        ExplainFormat::Table => table(&mut output, &answer)?,
    }
    Ok(output.flush()?)
}

fn table(output: &mut Output, answer: &ExplainResponse) -> Result<(), Failure> {
    let planning = milliseconds(answer.planning_time);
    let run = answer.row_count.map(|row_count| {
        let plural = if row_count == 1 { "" } else { "s" };
        let elapsed = milliseconds(answer.elapsed);
        let work = thousands(answer.work());
        format!(
            "; run in {elapsed}: {} result{plural}, {work} units of work",
            thousands(row_count)
        )
    });
    let is_estimated = answer.plan.iter().any(|node| node.row_count_estimate.is_some());
    let mut header = vec!["OPERATOR"];
    header.extend(is_estimated.then_some("EXPECTED"));
    header.extend(run.is_some().then_some(["ROWS", "TIME"]).into_iter().flatten());
    header.push("OF");
    let rows = answer.plan.iter();
    let rows = rows.map(|node| row(node, is_estimated, run.is_some()));
    output.table(&header, rows.collect())?;
    writeln!(
        output,
        "planned in {planning}{}; revision {}",
        run.unwrap_or_default(),
        answer.revision
    )?;
    Ok(())
}

fn row(node: &PlanNode, is_estimated: bool, is_run: bool) -> Vec<Cell> {
    let depth = usize::try_from(node.depth).unwrap_or(0);
    let count = |count: Option<i64>| Cell::new(count.map(thousands).unwrap_or_default());
    let mut cells = vec![Cell::new(format!("{}{}", "  ".repeat(depth), node.operator))];
    if is_estimated {
        cells.push(count(node.row_count_estimate));
    }
    if is_run {
        cells.push(count(node.row_count));
        cells.push(Cell::new(milliseconds(node.elapsed)));
    }
    cells.push(Cell::new(printable(&node.detail)));
    cells
}

fn milliseconds(time: Option<prost_types::Duration>) -> String {
    let time = time.and_then(|time| Duration::try_from(time).ok());
    time.map_or_else(String::new, |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
}
