//! `dossier lookup`.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use comfy_table::Cell;

use super::{
    client::{Client, ServerArgs},
    failure::Failure,
    output::{Json, Output},
    term::{self, Prefixes, printable},
};
use crate::proto::v1::{
    EntityIdentifier, IdentifierResult, LookupEntitiesRequest, LookupEntitiesResponse,
    entity_identifier::Value,
};

/// Identifiers of one request.
const BATCH: usize = 1_000;

/// Arguments of `dossier lookup`.
#[derive(Args, Debug)]
pub(super) struct LookupArgs {
    /// Identifiers, such as `KR`; with --term terms such as `<http://example.com/>` and `"7"^^xsd:integer`
    #[arg(value_name = "IDENTIFIER", required = true)]
    identifiers: Vec<String>,

    /// Property that has the identifier, such as `d:iso3166Alpha2`; any that identifies if there is none
    #[arg(
        long,
        short,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    property: String,

    /// The identifiers are terms, not texts
    #[arg(long)]
    term: bool,

    /// Language of labels
    #[arg(long, short, value_name = "TAG", default_value = "en")]
    language: String,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: LookupFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LookupFormat {
    /// For people: the entities in columns
    #[default]
    Table,
    /// `LookupEntitiesResponse` in protobuf's JSON mapping
    Json,
}

/// Looks entities up by identifiers. Exits with 1 if one of them is unknown.
pub(super) async fn look_up(args: LookupArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let prefixes = client.prefixes().await?;
    let identifier = |text: &String| {
        let value = if args.term {
            Value::Term(term::parse("IDENTIFIER", text, &prefixes)?)
        } else {
            Value::Text(text.clone())
        };
        Ok(EntityIdentifier {
            value: Some(value),
            property: args.property.clone(),
        })
    };
    let identifiers = args.identifiers.iter().map(identifier);
    let identifiers = identifiers.collect::<Result<Vec<_>, Failure>>()?;
    let mut answer = LookupEntitiesResponse::default();
    for batch in identifiers.chunks(BATCH) {
        let request = LookupEntitiesRequest {
            identifiers: batch.to_vec(),
            languages: vec![args.language.clone()],
            ..LookupEntitiesRequest::default()
        };
        let found = client.entities.lookup_entities(request).await?.into_inner();
        answer.results.extend(found.results);
        answer.revision = found.revision;
    }
    let mut output = Output::stdout();
    match args.output {
        LookupFormat::Json => Json::new()?.write(&mut output, "LookupEntitiesResponse", &answer)?,
        LookupFormat::Table => {
            let asked = args.identifiers.iter().zip(&answer.results);
            let rows = asked.flat_map(|(text, result)| rows(text, result, &prefixes));
            output.table(&["IDENTIFIER", "ENTITY", "LABEL", "PROPERTY"], rows.collect())?;
        }
    }
    output.flush()?;
    let asked = args.identifiers.iter().zip(&answer.results);
    let unknown = asked
        .filter(|(_, result)| result.matches.is_empty())
        .map(|(text, _)| text.as_str());
    match unknown.collect::<Vec<_>>().join(", ") {
        unknown if unknown.is_empty() => Ok(()),
        unknown => Err(Failure::failed(format!(
            "nothing is identified by {}",
            printable(&unknown)
        ))),
    }
}

fn rows(text: &str, result: &IdentifierResult, prefixes: &Prefixes) -> Vec<Vec<Cell>> {
    let mut rows: Vec<_> = result
        .matches
        .iter()
        .map(|found| {
            let entity = found.entity.clone().unwrap_or_default();
            let label = entity
                .labels
                .first()
                .map(|label| printable(&label.text).into_owned());
            vec![
                Cell::new(printable(text)),
                Cell::new(prefixes.shorten(&entity.iri)),
                Cell::new(label.unwrap_or_default()),
                Cell::new(prefixes.shorten(&found.property)),
            ]
        })
        .collect();
    if result.has_more {
        rows.push(vec![Cell::new(printable(text)), Cell::new("…")]);
    }
    rows
}
