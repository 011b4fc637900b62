//! `dossier validate`.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use comfy_table::Cell;

use super::{
    client::{Client, ServerArgs},
    failure::Failure,
    output::{Json, Output, thousands},
    text::TextArgs,
};
use crate::proto::v1::{QueryForm, TextKind, ValidateRequest, ValidateResponse};

/// Arguments of `dossier validate`.
#[derive(Args, Debug)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    text: TextArgs,

    /// What the text is to be; either if it is left out
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: ValidateFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Kind {
    Query,
    Update,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum ValidateFormat {
    /// For people
    #[default]
    Table,
    /// `ValidateResponse` in protobuf's JSON mapping, also of a text with a fault
    Json,
}

/// Tells what a text is. Fails if it cannot be run.
pub(super) async fn validate(args: ValidateArgs, server: &ServerArgs) -> Result<(), Failure> {
    let text = args.text.read("text")?;
    let kind = match args.kind {
        None => TextKind::Unspecified,
        Some(Kind::Query) => TextKind::Query,
        Some(Kind::Update) => TextKind::Update,
    };
    let request = ValidateRequest {
        text: text.text.clone(),
        kind: kind.into(),
    };
    let mut client = Client::connect(server).await?;
    let answer = client.sparql.validate(request).await?.into_inner();
    let mut output = Output::stdout();
    match args.output {
        ValidateFormat::Json => Json::new()?.write(&mut output, "ValidateResponse", &answer)?,
        ValidateFormat::Table if answer.valid => table(&mut output, &answer)?,
        ValidateFormat::Table => {}
    }
    output.flush()?;
    match answer.fault {
        Some(fault) => Err(Failure::fault(&fault, text.source())),
        None => Ok(()),
    }
}

fn table(output: &mut Output, answer: &ValidateResponse) -> Result<(), Failure> {
    let kind = match (answer.kind(), answer.form()) {
        (TextKind::Update, _) => "update",
        (_, QueryForm::Unspecified) => "text",
        (_, QueryForm::Select) => "SELECT query",
        (_, QueryForm::Ask) => "ASK query",
        (_, QueryForm::Construct) => "CONSTRUCT query",
        (_, QueryForm::Describe) => "DESCRIBE query",
    };
    writeln!(output, "a valid {kind}")?;
    let names = |names: &[String]| {
        let names: Vec<_> = names.iter().map(|name| format!("?{name}")).collect();
        names.join(" ")
    };
    for (title, list) in [
        ("variables of its rows", names(&answer.result_variables)),
        ("parameters it could take", names(&answer.parameters)),
        ("graphs that it names", answer.graphs.join(" ")),
    ] {
        if !list.is_empty() {
            writeln!(output, "{title}: {list}")?;
        }
    }
    writeln!(output)?;
    let rows = answer.figures.iter().map(|figure| {
        vec![
            Cell::new(&figure.limit),
            Cell::new(thousands(figure.value)),
            Cell::new(thousands(figure.limit_value)),
        ]
    });
    output.table(&["LIMIT", "TEXT", "AT MOST"], rows.collect())?;
    Ok(())
}
