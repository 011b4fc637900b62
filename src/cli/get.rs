//! `dossier get`.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use oxigraph::io::{RdfFormat, RdfSerializer};
use tonic::Code;

use super::{
    client::{Client, ServerArgs},
    fact,
    facts::{self, ScopeArg},
    failure::{Failure, reason},
    label::{self, Candidate, Choice, Fit},
    output::{Json, Output},
    term::{Prefixes, printable, triple_from_proto},
    when::WhenArgs,
};
use crate::proto::v1::{Entity, ErrorReason, FactScope, GetEntityRequest, LangString};

/// Entities that are listed where a label is not unique.
const CANDIDATE_COUNT_MAX: usize = 20;
const PAGE_SIZE: i32 = 1_000;
/// Labels, and aliases, that the table shows unless languages are chosen.
const NAME_COUNT_MAX: usize = 8;

/// Arguments of `dossier get`.
#[derive(Args, Debug)]
pub(super) struct GetArgs {
    /// The entity: an IRI, a prefixed name such as `e:KR`, or a label or alias such as `South Korea`
    ///
    /// Names are compared whole, first as they are, then in any case; a label goes before an alias. Where several entities
    /// fit equally well, they are listed and the exit code is 1.
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Only labels and aliases in this language, all of them; may be repeated
    #[arg(long = "language", short, value_name = "TAG")]
    languages: Vec<String>,

    /// Which facts. Default: those that hold
    #[arg(long, value_enum, value_name = "SCOPE")]
    scope: Option<ScopeArg>,

    #[command(flatten)]
    when: WhenArgs,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: GetFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum GetFormat {
    /// For people: names, types, and the facts in columns
    #[default]
    Table,
    /// `Entity` in protobuf's JSON mapping, with all its facts
    Json,
    /// The facts alone, as N-Triples; with --scope those of them that hold
    #[value(name = "ntriples", alias = "nt")]
    NTriples,
}

/// Looks an entity up and shows all of it.
pub(super) async fn get(args: GetArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let prefixes = client.prefixes().await?;
    let name_count_max = if args.languages.is_empty() {
        NAME_COUNT_MAX
    } else {
        usize::MAX
    };
    let request = GetEntityRequest {
        entity: args.entity.clone(),
        read: Some(args.when.options()),
        languages: args.languages,
        scope: args
            .scope
            .map_or(FactScope::Unspecified, ScopeArg::to_proto)
            .into(),
        page_size: PAGE_SIZE,
        ..GetEntityRequest::default()
    };
    let entity = match whole(&mut client, request.clone()).await {
        Ok(entity) => entity,
        Err(status) if is_no_name(&status) => {
            let Some(iri) = by_label(&mut client, &args.entity, &prefixes).await? else {
                return Err(unknown(&args.entity, status));
            };
            whole(
                &mut client,
                GetEntityRequest {
                    entity: iri,
                    ..request
                },
            )
            .await?
        }
        Err(status) => return Err(status.into()),
    };
    let mut output = Output::stdout();
    match args.output {
        GetFormat::Table => show(&entity, name_count_max, &prefixes, &mut output)?,
        GetFormat::Json => Json::new()?.write(&mut output, "Entity", &entity)?,
        GetFormat::NTriples => {
            let mut writer = RdfSerializer::from_format(RdfFormat::NTriples).for_writer(&mut output);
            for triple in entity
                .facts
                .into_iter()
                .filter(|fact| fact.holds || args.scope.is_none())
                .filter_map(|fact| triple_from_proto(facts::triple(fact)))
            {
                writer.serialize_triple(&triple)?;
            }
            writer.finish()?;
        }
    }
    Ok(output.flush()?)
}

/// Gets an entity with all pages of its facts.
async fn whole(client: &mut Client, mut request: GetEntityRequest) -> Result<Entity, tonic::Status> {
    let mut whole: Option<Entity> = None;
    loop {
        let page = client
            .entities
            .get_entity(request.clone())
            .await?
            .into_inner()
            .entity
            .unwrap_or_default();
        request.page_token.clone_from(&page.next_page_token);
        match &mut whole {
            None => whole = Some(page),
            Some(whole) => whole.facts.extend(page.facts),
        }
        if request.page_token.is_empty() {
            return Ok(Entity {
                next_page_token: String::new(),
                ..whole.unwrap_or_default()
            });
        }
    }
}

/// Returns the failure for a text that is neither a name nor a label.
fn unknown(text: &str, status: tonic::Status) -> Failure {
    match status.code() {
        Code::NotFound => status.into(),
        _ => Failure::failed(format!("no entity is called {text}"))
            .hint("an entity has an IRI, a prefixed name such as e:KR, or a label; `dossier info` lists the prefixes"),
    }
}

/// Tells whether the text may be a label: it names no entity.
fn is_no_name(status: &tonic::Status) -> bool {
    match status.code() {
        Code::NotFound => true,
        Code::InvalidArgument => {
            matches!(
                reason(status),
                Some(ErrorReason::InvalidIri | ErrorReason::UnknownPrefix)
            )
        }
        _ => false,
    }
}

/// Returns the entity that a label or alias fits best, and tells which others it fits.
async fn by_label(client: &mut Client, name: &str, prefixes: &Prefixes) -> Result<Option<String>, Failure> {
    match label::look_up(client, name).await? {
        Choice::Nothing => Ok(None),
        Choice::One(chosen, others) => {
            if !others.is_empty() {
                anstream::eprintln!("note: others have this name too:\n{}", list(&others, prefixes));
            }
            Ok(Some(chosen.iri))
        }
        Choice::Several(candidates) => {
            let list = list(&candidates, prefixes);
            Err(
                Failure::failed(format!("several entities are called {name}:\n{list}"))
                    .hint("ask for one of these"),
            )
        }
    }
}

fn list(candidates: &[Candidate], prefixes: &Prefixes) -> String {
    let line = |candidate: &Candidate| {
        let kind = match candidate.fit {
            Fit::Label | Fit::LabelInOtherCase => "label",
            Fit::Alias | Fit::AliasInOtherCase => "alias",
        };
        let iri = prefixes.shorten(&candidate.iri);
        format!("  {iri}  {kind}: {}", prefixes.show(&candidate.name))
    };
    let mut lines: Vec<_> = candidates.iter().take(CANDIDATE_COUNT_MAX).map(line).collect();
    if candidates.len() > CANDIDATE_COUNT_MAX {
        lines.push(format!("  and {} more", candidates.len() - CANDIDATE_COUNT_MAX));
    }
    lines.join("\n")
}

fn show(
    entity: &Entity,
    name_count_max: usize,
    prefixes: &Prefixes,
    output: &mut Output,
) -> Result<(), Failure> {
    let name = prefixes.shorten(&entity.iri);
    let english = entity
        .labels
        .iter()
        .find(|label| label.language == "en")
        .or(entity.labels.first());
    match english {
        Some(label) => output.heading(&format!("{}  ({name})", printable(&label.text)))?,
        None => output.heading(&name)?,
    }
    for (title, texts) in [("labels", &entity.labels), ("also", &entity.aliases)] {
        if !texts.is_empty() {
            writeln!(output, "{title:<7} {}", names(texts, name_count_max))?;
        }
    }
    if !entity.types.is_empty() {
        let types = entity.types.iter().map(|iri| prefixes.shorten(iri));
        writeln!(output, "{:<7} {}", "types", types.collect::<Vec<_>>().join(" · "))?;
    }
    if !entity.facts.is_empty() {
        writeln!(output)?;
        // The subject is the same in every row.
        let rows = entity
            .facts
            .iter()
            .map(|fact| fact::cells(fact, prefixes, output).split_off(1))
            .collect();
        output.table(&fact::COLUMNS[1..], rows)?;
    }
    Ok(())
}

/// Returns names on one line, those in English first, and how many are left out.
fn names(texts: &[LangString], count_max: usize) -> String {
    let (english, others): (Vec<_>, Vec<_>) = texts.iter().partition(|text| text.language == "en");
    let all = english.into_iter().chain(others);
    let mut shown: Vec<_> = all.take(count_max).map(tagged).collect();
    if texts.len() > shown.len() {
        shown.push(format!("and {} more", texts.len() - shown.len()));
    }
    shown.join(" · ")
}

fn tagged(text: &LangString) -> String {
    match text.language.as_str() {
        "" => printable(&text.text).into_owned(),
        language => format!("{} ({language})", printable(&text.text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_english_first_and_at_most_so_many() {
        let name = |text: &str, language: &str| LangString {
            text: text.to_owned(),
            language: language.to_owned(),
        };
        let texts = [name("독일", "ko"), name("Germany", "en"), name("ドイツ", "ja")];
        assert_eq!(names(&texts, 3), "Germany (en) · 독일 (ko) · ドイツ (ja)");
        assert_eq!(names(&texts, 2), "Germany (en) · 독일 (ko) · and 1 more");
        assert_eq!(names(&texts[..1], 2), "독일 (ko)");
    }
}
