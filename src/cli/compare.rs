//! `dossier compare`.

use std::io::Write as _;

use clap::{Args, ValueEnum};

use super::{
    client::{Client, ServerArgs},
    conflicts::reason,
    fact,
    failure::Failure,
    output::{Json, Output, thousands},
    term::Prefixes,
    when::WhenArgs,
};
use crate::proto::v1::{CompareFactsRequest, CompareFactsResponse, FactGroup};

/// Arguments of `dossier compare`.
#[derive(Args, Debug)]
pub(super) struct CompareArgs {
    /// The subject: an IRI or a prefixed name such as `e:gsomia`
    #[arg(value_name = "SUBJECT")]
    subject: String,

    /// The predicate
    #[arg(value_name = "PREDICATE")]
    predicate: String,

    #[command(flatten)]
    when: WhenArgs,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: CompareFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum CompareFormat {
    /// For people: each object with its verdict, and the facts about it in columns
    #[default]
    Table,
    /// The answer in protobuf's JSON mapping
    Json,
}

/// Compares what is stated of a subject and a predicate.
pub(super) async fn compare(args: CompareArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let prefixes = client.prefixes().await?;
    let request = CompareFactsRequest {
        subject: args.subject,
        predicate: args.predicate,
        read: Some(args.when.options()),
        ..CompareFactsRequest::default()
    };
    let answer = client.facts.compare_facts(request).await?.into_inner();
    let mut output = Output::stdout();
    if args.output == CompareFormat::Json {
        Json::new()?.write(&mut output, "CompareFactsResponse", &answer)?;
    } else {
        show(&answer, &prefixes, &mut output)?;
    }
    Ok(output.flush()?)
}

fn show(answer: &CompareFactsResponse, prefixes: &Prefixes, output: &mut Output) -> Result<(), Failure> {
    match (answer.groups.is_empty(), answer.conflict) {
        (true, _) => writeln!(output, "nothing is recorded"),
        (false, true) => writeln!(output, "the facts conflict: {}", reason(answer.sign())),
        (false, false) => writeln!(output, "the facts do not conflict"),
    }?;
    for group in &answer.groups {
        writeln!(output)?;
        output.heading(&heading(group, prefixes))?;
        let rows = group
            .facts
            .iter()
            .map(|fact| fact::cells(fact, prefixes, output).split_off(3))
            .collect();
        output.table(&fact::COLUMNS[3..], rows)?;
    }
    if answer.omitted_fact_count > 0 {
        writeln!(
            output,
            "\n{} facts are left out",
            thousands(answer.omitted_fact_count)
        )?;
    }
    Ok(())
}

/// Returns the object and the verdict on it: `not e:KR: FALSE, denied`.
fn heading(group: &FactGroup, prefixes: &Prefixes) -> String {
    let object = group.object.as_ref().map(|term| prefixes.show(term));
    let denial = if group.negated { "not " } else { "" };
    let verdict = group.verdict().as_str_name();
    let rule = fact::word(group.rule().as_str_name(), "VERDICT_RULE_");
    format!(
        "{denial}{}: {}, {}",
        object.unwrap_or_default(),
        verdict.strip_prefix("VERDICT_").unwrap_or(verdict),
        rule.replace('_', " ")
    )
}
