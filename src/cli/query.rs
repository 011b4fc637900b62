//! `dossier query`.

mod sink;

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use clap::{Args, ValueEnum};
use tonic::{Status, Streaming};

use super::{
    bind::BindArgs,
    client::{Client, ServerArgs},
    failure::Failure,
    format::Format,
    output::{Output, thousands},
    text::{Text, TextArgs},
};
use crate::{
    config,
    proto::v1::{
        QueryComplete, QueryLimit, QueryLimits, QueryRequest, QueryResponse, RowEncoding,
        query_response::Frame,
    },
};
use sink::Sink;

/// Arguments of `dossier query`.
#[derive(Args, Debug)]
pub(super) struct QueryArgs {
    #[command(flatten)]
    text: TextArgs,

    #[command(flatten)]
    bind: BindArgs,

    /// Form of the output. Default: on a terminal, table (Turtle for triples); in a pipe, tsv (N-Triples for triples)
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,

    /// Fail if the query takes longer, such as 500ms or 2m
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    timeout: Option<Duration>,

    /// End the result after so many rows or triples
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,

    /// Read at least as fresh as this revision
    #[arg(long, value_name = "REVISION", default_value_t = 0, hide_default_value = true)]
    min_revision: i64,

    /// Query the graph as it was at this revision
    #[arg(
        long,
        value_name = "REVISION",
        default_value_t = 0,
        hide_default_value = true,
        conflicts_with = "min_revision"
    )]
    at_revision: i64,

    /// Graph to query as the default graph instead of what the text says; may be repeated
    #[arg(long = "default-graph", value_name = "IRI")]
    default_graphs: Vec<String>,

    /// Graph that GRAPH sees instead of what the text says; may be repeated
    #[arg(long = "named-graph", value_name = "IRI")]
    named_graphs: Vec<String>,

    /// Name of this run, for `dossier queries` and logs; the server chooses one if it is left out
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    query_id: String,

    /// How rows travel
    #[arg(long, value_enum, value_name = "ENCODING", default_value_t)]
    row_encoding: Encoding,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum Encoding {
    /// Each row with its terms: takes no memory here, however many rows there are
    #[default]
    Plain,
    /// Each distinct term once: less to send where terms repeat, and all of them are kept here
    Dictionary,
}

/// Runs a query and writes its result as it comes.
pub(super) async fn query(args: QueryArgs, server: &ServerArgs) -> Result<(), Failure> {
    let text = args.text.read("query")?;
    let timeout = args.timeout.map(prost_types::Duration::try_from).transpose();
    let mut client = Client::connect(server).await?;
    let parameters = args.bind.parameters(&mut client).await?;
    let request = QueryRequest {
        query: text.text.clone(),
        parameters,
        default_graphs: args.default_graphs,
        named_graphs: args.named_graphs,
        min_revision: args.min_revision,
        limits: Some(QueryLimits {
            row_count_max: args.limit.unwrap_or(0),
            timeout: timeout.map_err(|_| Failure::usage("--timeout is too long"))?,
            ..Default::default()
        }),
        row_encoding: match args.row_encoding {
            Encoding::Plain => RowEncoding::Plain.into(),
            Encoding::Dictionary => RowEncoding::Dictionary.into(),
        },
        query_id: args.query_id,
        at_revision: args.at_revision,
    };
    let fault = |status: Status| Failure::in_text(&status, text.source());
    let mut frames = client.sparql.query(request).await.map_err(fault)?.into_inner();
    let mut output = Output::stdout();
    let Some(Frame::Header(header)) = next(&mut frames, &text).await? else {
        return Err(cut_short());
    };
    let revision = header.revision;
    let mut sink = Sink::open(header, args.output, output.clone(), &mut client).await?;
    loop {
        match next(&mut frames, &text).await? {
            Some(Frame::Complete(complete)) => {
                sink.finish()?;
                output.flush()?;
                if output.is_terminal() || complete.limit_reached() == QueryLimit::RowCount {
                    tell(&complete, revision);
                }
                return Ok(());
            }
            Some(frame) => sink.write(frame)?,
            None => return Err(cut_short()),
        }
        // Rows are seen as they come, not when a buffer is full.
        output.flush()?;
    }
}

async fn next(frames: &mut Streaming<QueryResponse>, text: &Text) -> Result<Option<Frame>, Failure> {
    let message = frames
        .message()
        .await
        .map_err(|status| Failure::in_text(&status, text.source()))?;
    Ok(message.and_then(|message| message.frame))
}

/// Tells a person on standard error what the result was.
fn tell(complete: &QueryComplete, revision: i64) {
    if !io::stderr().is_terminal() {
        return;
    }
    let elapsed = complete
        .elapsed
        .and_then(|elapsed| Duration::try_from(elapsed).ok())
        .unwrap_or_default();
    let limit = match complete.limit_reached() {
        QueryLimit::Unspecified => "",
        QueryLimit::RowCount => " (the limit; there may be more)",
    };
    anstream::eprintln!(
        "{} result{}{limit}, {:.1} ms, revision {revision}",
        thousands(complete.row_count),
        if complete.row_count == 1 { "" } else { "s" },
        elapsed.as_secs_f64() * 1e3,
    );
}

fn cut_short() -> Failure {
    Failure::failed("the server ended the result before it was complete")
}
