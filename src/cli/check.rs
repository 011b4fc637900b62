//! `dossier check` and `dossier why`.

use std::io::Write as _;

use clap::{Args, ValueEnum};

use super::{
    client::{Client, ServerArgs},
    fact,
    failure::Failure,
    output::{Json, Output},
    term::{Prefixes, parse, printable},
    when::{self, WhenArgs},
};
use crate::proto::v1::{CheckFactRequest, CheckFactResponse, Fact, GetFactRequest};

/// Arguments of `dossier check`.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// The subject: an IRI or a prefixed name such as `e:KR`
    #[arg(value_name = "SUBJECT")]
    subject: String,

    /// The predicate
    #[arg(value_name = "PREDICATE")]
    predicate: String,

    /// The object: a name, or a literal such as '"Seoul"@en', '"2019-07-04"^^xsd:date', true
    #[arg(value_name = "OBJECT")]
    object: String,

    #[command(flatten)]
    when: WhenArgs,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: CheckFormat,
}

/// Arguments of `dossier why`.
#[derive(Args, Debug)]
pub(super) struct WhyArgs {
    /// The id of a statement, such as `s:F48`; or subject, predicate and object
    #[arg(value_name = "ID | SUBJECT PREDICATE OBJECT", required = true, num_args = 1..=3)]
    fact: Vec<String>,

    #[command(flatten)]
    when: WhenArgs,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: CheckFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum CheckFormat {
    /// For people
    #[default]
    Table,
    /// The answer in protobuf's JSON mapping
    Json,
}

/// Tells whether it is so.
pub(super) async fn check(args: CheckArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let prefixes = client.prefixes().await?;
    let triple = [&args.subject, &args.predicate, &args.object].map(String::as_str);
    let answer = ask(&mut client, triple, &args.when, &prefixes).await?;
    let mut output = Output::stdout();
    if args.output == CheckFormat::Json {
        Json::new()?.write(&mut output, "CheckFactResponse", &answer)?;
        return Ok(output.flush()?);
    }
    head(&answer, &mut output)?;
    if !answer.evidence.is_empty() {
        writeln!(output)?;
        let rows = answer
            .evidence
            .iter()
            .map(|fact| fact::cells(fact, &prefixes, &output))
            .collect();
        output.table(&fact::COLUMNS, rows)?;
    }
    Ok(output.flush()?)
}

/// Tells why a fact is held.
pub(super) async fn why(args: WhyArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let prefixes = client.prefixes().await?;
    let mut output = Output::stdout();
    let json = Json::new()?;
    match args.fact.as_slice() {
        [id] => {
            let request = GetFactRequest {
                id: id.clone(),
                read: Some(args.when.options()),
                ..GetFactRequest::default()
            };
            let answer = client.facts.get_fact(request).await?.into_inner();
            if args.output == CheckFormat::Json {
                json.write(&mut output, "GetFactResponse", &answer)?;
            } else {
                let fact = answer.fact.ok_or_else(|| when::missing("fact"))?;
                tell(&fact, &prefixes, &mut output)?;
            }
        }
        [subject, predicate, object] => {
            let answer = ask(&mut client, [subject, predicate, object], &args.when, &prefixes).await?;
            if args.output == CheckFormat::Json {
                json.write(&mut output, "CheckFactResponse", &answer)?;
            } else {
                head(&answer, &mut output)?;
                for fact in &answer.evidence {
                    writeln!(output)?;
                    tell(fact, &prefixes, &mut output)?;
                }
            }
        }
        _ => return Err(Failure::usage("say an id, or subject, predicate and object")),
    }
    Ok(output.flush()?)
}

async fn ask(
    client: &mut Client,
    [subject, predicate, object]: [&str; 3],
    when: &WhenArgs,
    prefixes: &Prefixes,
) -> Result<CheckFactResponse, Failure> {
    let request = CheckFactRequest {
        subject: subject.to_owned(),
        predicate: predicate.to_owned(),
        object: Some(parse("OBJECT", object, prefixes)?),
        read: Some(when.options()),
        ..CheckFactRequest::default()
    };
    Ok(client.facts.check_fact(request).await?.into_inner())
}

fn head(answer: &CheckFactResponse, output: &mut Output) -> Result<(), Failure> {
    let verdict = answer.verdict().as_str_name();
    output.heading(verdict.strip_prefix("VERDICT_").unwrap_or(verdict))?;
    Ok(writeln!(output, "{}", printable(&answer.explanation))?)
}

/// Writes all that is known of a fact, a line for each thing.
fn tell(fact: &Fact, prefixes: &Prefixes, output: &mut Output) -> Result<(), Failure> {
    let object = fact.object.as_ref().map(|term| prefixes.show(term));
    let subject = prefixes.show(&fact::subject_term(&fact.subject));
    let predicate = prefixes.shorten(&fact.predicate);
    let denial = if fact.negated { "not: " } else { "" };
    output.heading(&format!(
        "{denial}{subject} {predicate} {}",
        object.unwrap_or_default()
    ))?;
    let name = |iri: &str| {
        if iri.is_empty() {
            String::new()
        } else {
            prefixes.shorten(iri)
        }
    };
    let time = fact.valid_time.as_ref();
    let moment = |time: Option<&prost_types::Timestamp>| time.map(ToString::to_string).unwrap_or_default();
    let lines = [
        ("statement", name(&fact.id)),
        ("holds", if fact.holds { "yes" } else { "no" }.to_owned()),
        ("standing", fact::standing_word(fact.standing())),
        ("stance", fact::word(fact.stance().as_str_name(), "STANCE_")),
        ("basis", fact::word(fact.basis().as_str_name(), "BASIS_")),
        ("said by", name(&fact.attributed_to)),
        ("time", time.map(fact::time).unwrap_or_default()),
        (
            "observed",
            time.map(|time| printable(&time.observed_on).into_owned())
                .unwrap_or_default(),
        ),
        ("recorded", moment(fact.recorded_at.as_ref())),
        ("retracted", moment(fact.retracted_at.as_ref())),
        ("revises", name(&fact.revises)),
        (
            "disputes",
            fact.disputes
                .iter()
                .map(|iri| name(iri))
                .collect::<Vec<_>>()
                .join(", "),
        ),
    ];
    for (title, text) in lines.iter().filter(|(_, text)| !text.is_empty()) {
        writeln!(output, "{title:<10} {text}")?;
    }
    for source in &fact.sources {
        let parts = [&source.title, &source.publisher, &source.locator];
        let parts = parts.iter().filter(|text| !text.is_empty());
        let text: Vec<_> = std::iter::once(name(&source.iri))
            .chain(parts.map(|text| printable(text).into_owned()))
            .collect();
        writeln!(output, "{:<10} {}", "source", text.join(", "))?;
        if !source.attribution.is_empty() {
            writeln!(output, "{:<10} {}", "name it as", printable(&source.attribution))?;
        }
    }
    for qualifier in &fact.qualifiers {
        let value = qualifier.value.as_ref().map(|term| prefixes.show(term));
        let property = prefixes.shorten(&qualifier.property);
        writeln!(output, "{property:<10} {}", value.unwrap_or_default())?;
    }
    Ok(())
}
