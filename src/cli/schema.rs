//! `dossier classes` and `dossier predicates`.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use comfy_table::Cell;

use super::{
    client::{Client, ServerArgs},
    failure::Failure,
    output::{Json, Output, thousands},
    term::{Prefixes, printable},
};
use crate::proto::v1::{LangString, ListClassesRequest, ListPredicatesRequest};

const PAGE_SIZE: i32 = 1_000;

/// Arguments of `dossier classes` and `dossier predicates`.
#[derive(Args, Debug)]
pub(super) struct SchemaArgs {
    /// Language of labels
    #[arg(long, short, value_name = "TAG", default_value = "en")]
    language: String,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: SchemaFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SchemaFormat {
    /// For people: the most frequent first
    #[default]
    Table,
    /// One `ClassSummary` or `PredicateSummary` a line, in protobuf's JSON mapping
    Json,
}

/// A row of the table.
struct Row {
    iri: String,
    label: String,
    count: i64,
}

/// Lists the classes that are in use.
pub(super) async fn classes(args: SchemaArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let mut request = ListClassesRequest {
        languages: vec![args.language],
        page_size: PAGE_SIZE,
        ..ListClassesRequest::default()
    };
    let (mut output, mut rows) = (Output::stdout(), Vec::new());
    loop {
        let page = client.entities.list_classes(request.clone()).await?.into_inner();
        for class in page.classes {
            match args.output {
                SchemaFormat::Json => writeln!(output, "{}", Json::new()?.value("ClassSummary", &class)?)?,
                SchemaFormat::Table => rows.push(row(class.iri, &class.labels, class.instance_count)),
            }
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    finish(
        args.output,
        ["CLASS", "LABEL", "INSTANCES"],
        rows,
        &mut client,
        output,
    )
    .await
}

/// Lists the predicates that are in use.
pub(super) async fn predicates(args: SchemaArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let mut request = ListPredicatesRequest {
        languages: vec![args.language],
        page_size: PAGE_SIZE,
        ..ListPredicatesRequest::default()
    };
    let (mut output, mut rows) = (Output::stdout(), Vec::new());
    loop {
        let page = client
            .entities
            .list_predicates(request.clone())
            .await?
            .into_inner();
        for predicate in page.predicates {
            match args.output {
                SchemaFormat::Json => {
                    writeln!(output, "{}", Json::new()?.value("PredicateSummary", &predicate)?)?;
                }
                SchemaFormat::Table => {
                    rows.push(row(predicate.iri, &predicate.labels, predicate.triple_count));
                }
            }
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    finish(
        args.output,
        ["PREDICATE", "LABEL", "TRIPLES"],
        rows,
        &mut client,
        output,
    )
    .await
}

fn row(iri: String, labels: &[LangString], count: i64) -> Row {
    let label = labels.first().map(|label| printable(&label.text).into_owned());
    Row {
        iri,
        label: label.unwrap_or_default(),
        count,
    }
}

async fn finish(
    format: SchemaFormat,
    header: [&str; 3],
    mut rows: Vec<Row>,
    client: &mut Client,
    mut output: Output,
) -> Result<(), Failure> {
    if format == SchemaFormat::Table {
        let prefixes: Prefixes = client.prefixes().await?;
        rows.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.iri.cmp(&other.iri)));
        let cells = |row: Row| {
            vec![
                Cell::new(prefixes.shorten(&row.iri)),
                Cell::new(row.label),
                Cell::new(thousands(row.count)),
            ]
        };
        output.table(&header, rows.into_iter().map(cells).collect())?;
    }
    Ok(output.flush()?)
}
