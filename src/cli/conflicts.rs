//! `dossier conflicts`.

use std::io::Write as _;

use clap::{Args, ValueEnum};

use super::{
    client::{Client, ServerArgs},
    fact,
    failure::Failure,
    output::{Json, Output},
    when::WhenArgs,
};
use crate::proto::v1::{ConflictSign, ListConflictsRequest};

const PAGE_SIZE: i32 = 100;

/// Arguments of `dossier conflicts`.
#[derive(Args, Debug)]
pub(super) struct ConflictsArgs {
    /// Only conflicts about this subject: an IRI or a prefixed name such as `e:gsomia`
    #[arg(
        long,
        short,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    subject: String,

    /// Only conflicts in which a statement from this source takes part
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    source: String,

    #[command(flatten)]
    when: WhenArgs,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: ConflictsFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ConflictsFormat {
    /// For people: the facts of each conflict in columns
    #[default]
    Table,
    /// One `Conflict` a line, in protobuf's JSON mapping
    Json,
}

/// Lists where statements conflict.
pub(super) async fn conflicts(args: ConflictsArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let prefixes = client.prefixes().await?;
    let mut request = ListConflictsRequest {
        subject: args.subject,
        source: args.source,
        read: Some(args.when.options()),
        page_size: PAGE_SIZE,
        ..ListConflictsRequest::default()
    };
    let mut output = Output::stdout();
    let mut is_first = true;
    loop {
        let page = client.facts.list_conflicts(request.clone()).await?.into_inner();
        for conflict in &page.conflicts {
            if args.output == ConflictsFormat::Json {
                writeln!(output, "{}", Json::new()?.value("Conflict", conflict)?)?;
                continue;
            }
            if !is_first {
                writeln!(output)?;
            }
            is_first = false;
            let subject = prefixes.show(&fact::subject_term(&conflict.subject));
            // Without a predicate it is about the whole of the subject.
            let (heading, column) = match conflict.predicate.as_str() {
                "" => (subject, 1),
                predicate => (format!("{subject} {}", prefixes.shorten(predicate)), 2),
            };
            output.heading(&format!("{heading}: {}", reason(conflict.sign())))?;
            let rows = conflict
                .facts
                .iter()
                .map(|fact| fact::cells(fact, &prefixes, &output).split_off(column))
                .collect();
            output.table(&fact::COLUMNS[column..], rows)?;
        }
        output.flush()?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

/// Returns by what facts conflict.
pub(super) fn reason(sign: ConflictSign) -> &'static str {
    match sign {
        ConflictSign::Unspecified => "they conflict",
        ConflictSign::Disputed => "one is disputed",
        ConflictSign::Rejected => "one is rejected",
        ConflictSign::Disputes => "one disputes another",
        ConflictSign::DisputedBy => "another disputes one",
        ConflictSign::Denies => "one denies another",
        ConflictSign::Differs => "they hold at once, and there can be one value only",
    }
}
