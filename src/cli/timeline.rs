//! `dossier timeline` and `dossier history`.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use comfy_table::Cell;

use super::{
    client::{Client, ServerArgs},
    fact,
    failure::Failure,
    output::{Json, Output},
    term::{Prefixes, parse, printable},
    when::{WhenArgs, date, show},
};
use crate::proto::v1::{
    Date, Fact, GetTimelineRequest, ListFactHistoryRequest, Stance, TimelineEntry, TimelineKind,
};

const PAGE_SIZE: i32 = 1_000;

/// Arguments of `dossier timeline`.
#[derive(Args, Debug)]
pub(super) struct TimelineArgs {
    /// The entity: an IRI or a prefixed name such as `e:gsomia`
    #[arg(value_name = "ENTITY")]
    entity: String,

    /// Only what can be on this day or later
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    from: Option<Date>,

    /// Only what can be on this day or earlier
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    to: Option<Date>,

    /// Languages of the names of events, by preference; may be repeated
    #[arg(long = "language", short, value_name = "TAG")]
    languages: Vec<String>,

    #[command(flatten)]
    when: WhenArgs,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: ListFormat,
}

/// Arguments of `dossier history`.
#[derive(Args, Debug)]
pub(super) struct HistoryArgs {
    /// The id of a statement, such as `s:F48`; or subject and predicate, and an object
    #[arg(value_name = "ID | SUBJECT PREDICATE [OBJECT]", required = true, num_args = 1..=3)]
    fact: Vec<String>,

    #[command(flatten)]
    when: WhenArgs,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: ListFormat,
}

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ListFormat {
    /// For people
    #[default]
    Table,
    /// One message a line, in protobuf's JSON mapping
    Json,
}

/// Draws a timeline.
pub(super) async fn timeline(args: TimelineArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let prefixes = client.prefixes().await?;
    let mut request = GetTimelineRequest {
        entity: args.entity,
        from: args.from,
        to: args.to,
        read: Some(args.when.options()),
        page_size: PAGE_SIZE,
        label_languages: args.languages,
        ..GetTimelineRequest::default()
    };
    let mut output = Output::stdout();
    let mut drawing = Drawing::default();
    loop {
        let page = client.facts.get_timeline(request.clone()).await?.into_inner();
        if args.output == ListFormat::Json {
            let json = Json::new()?;
            for entry in &page.entries {
                writeln!(output, "{}", json.value("TimelineEntry", entry)?)?;
            }
        } else {
            drawing.write(&page.entries, page.as_of, &prefixes, &mut output)?;
        }
        output.flush()?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

/// A line of time from top to bottom: full and square where it is so, hollow and round where it is only planned or not confirmed.
#[derive(Default)]
struct Drawing {
    year: Option<i32>,
    is_past_today: bool,
}

impl Drawing {
    fn write(
        &mut self,
        entries: &[TimelineEntry],
        as_of: Option<Date>,
        prefixes: &Prefixes,
        output: &mut Output,
    ) -> Result<(), Failure> {
        for entry in entries {
            let key = |date: Date| (date.year, date.month, date.day);
            let is_later = entry.earliest.zip(as_of).is_some_and(|(a, b)| key(a) > key(b));
            if is_later && !self.is_past_today {
                writeln!(output, "──┼─ {}", show(as_of))?;
            }
            self.is_past_today |= is_later;
            let year = entry.earliest.map(|date| date.year);
            if year != self.year {
                self.year = year;
                output.heading(&year.map_or_else(String::new, |year| format!("{year:04}")))?;
            }
            writeln!(output, "{}", line(entry, prefixes))?;
        }
        Ok(())
    }
}

fn line(entry: &TimelineEntry, prefixes: &Prefixes) -> String {
    let is_firm = matches!(entry.stance(), Stance::Unspecified | Stance::Asserted)
        && matches!(
            fact::standing_word(entry.standing()).as_str(),
            "preferred" | "accepted"
        );
    let sign = match (entry.kind(), is_firm) {
        (TimelineKind::FactStart, true) => "┌",
        (TimelineKind::FactStart, false) => "╭",
        (TimelineKind::FactEnd, true) => "└",
        (TimelineKind::FactEnd, false) => "╰",
        (TimelineKind::Event | TimelineKind::Unspecified, true) => "●",
        (TimelineKind::Event | TimelineKind::Unspecified, false) => "○",
    };
    let (earliest, latest) = (show(entry.earliest), show(entry.latest));
    let days = if earliest == latest {
        earliest
    } else {
        format!("{earliest} … {latest}")
    };
    let what = match entry.kind() {
        TimelineKind::Event | TimelineKind::Unspecified if !entry.event_label.is_empty() => {
            printable(&entry.event_label).into_owned()
        }
        TimelineKind::Event | TimelineKind::Unspecified => prefixes.shorten(&entry.event),
        TimelineKind::FactStart | TimelineKind::FactEnd => entry
            .fact
            .as_ref()
            .map(|fact| triple(fact, prefixes))
            .unwrap_or_default(),
    };
    let mut words = vec![
        fact::word(entry.stance().as_str_name(), "STANCE_"),
        fact::standing_word(entry.standing()),
    ];
    words.retain(|word| !matches!(word.as_str(), "" | "asserted" | "accepted"));
    let note = if words.is_empty() {
        String::new()
    } else {
        format!("  ({})", words.join(", "))
    };
    format!("  {sign} {days:<23} {what}{note}")
}

fn triple(fact: &Fact, prefixes: &Prefixes) -> String {
    let object = fact
        .object
        .as_ref()
        .map(|term| prefixes.show(term))
        .unwrap_or_default();
    let denial = if fact.negated { "not " } else { "" };
    format!("{denial}{} {object}", prefixes.shorten(&fact.predicate))
}

/// Lists the versions of a fact.
pub(super) async fn history(args: HistoryArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let prefixes = client.prefixes().await?;
    let mut request = ListFactHistoryRequest {
        read: Some(args.when.options()),
        page_size: PAGE_SIZE,
        ..ListFactHistoryRequest::default()
    };
    match args.fact.as_slice() {
        [id] => request.id.clone_from(id),
        [subject, predicate, object @ ..] => {
            request.subject.clone_from(subject);
            request.predicate.clone_from(predicate);
            let object = object.first();
            request.object = object.map(|text| parse("OBJECT", text, &prefixes)).transpose()?;
        }
        [] => {}
    }
    let mut output = Output::stdout();
    loop {
        let page = client
            .facts
            .list_fact_history(request.clone())
            .await?
            .into_inner();
        if args.output == ListFormat::Json {
            let json = Json::new()?;
            for fact in &page.facts {
                writeln!(output, "{}", json.value("Fact", fact)?)?;
            }
        } else {
            let moment = |time: Option<&prost_types::Timestamp>| {
                Cell::new(time.map(ToString::to_string).unwrap_or_default())
            };
            let rows = page
                .facts
                .iter()
                .map(|fact| {
                    let mut cells = vec![
                        moment(fact.recorded_at.as_ref()),
                        moment(fact.retracted_at.as_ref()),
                    ];
                    cells.extend(fact::cells(fact, &prefixes, &output).split_off(2));
                    cells.push(Cell::new(prefixes.shorten(&fact.id)));
                    cells
                })
                .collect();
            output.table(
                &[
                    "RECORDED",
                    "RETRACTED",
                    "OBJECT",
                    "STANDING",
                    "TIME",
                    "SOURCE",
                    "ID",
                ],
                rows,
            )?;
        }
        output.flush()?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::Standing;

    #[test]
    fn what_is_only_planned_is_hollow() {
        let check = |kind: TimelineKind, full: char, hollow: char| {
            let sign = |stance: Stance, standing: Standing| {
                let entry = TimelineEntry {
                    kind: kind.into(),
                    stance: stance.into(),
                    standing: standing.into(),
                    ..TimelineEntry::default()
                };
                line(&entry, &Prefixes::default()).trim_start().chars().next()
            };
            assert_eq!(sign(Stance::Asserted, Standing::Accepted), Some(full));
            assert_eq!(sign(Stance::Planned, Standing::Unconfirmed), Some(hollow));
            assert_eq!(sign(Stance::Asserted, Standing::Disputed), Some(hollow));
        };
        check(TimelineKind::Event, '●', '○');
        check(TimelineKind::FactStart, '┌', '╭');
        check(TimelineKind::FactEnd, '└', '╰');
    }
}
