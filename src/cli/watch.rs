//! `dossier watch` and `dossier diff`.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::{
    client::{Client, ServerArgs},
    fact::{self, word},
    failure::Failure,
    output::{Json, Output},
    patch,
    term::Prefixes,
};
use crate::knowledge::{Known, NoCommit};
use crate::proto::v1::{
    ChangeFilter, DiffRevisionsRequest, Fact, WatchOutput, WatchRequest, WatchResponse, WatchStart,
    watch_request::Start, watch_response::Frame,
};

/// Arguments of `dossier watch`.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct WatchArgs {
    /// Begin with this commit; 1 is the first that ever was. Default: with the next one
    #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(i64).range(1..),
        conflicts_with_all = ["after", "earliest", "snapshot"])]
    from: Option<i64>,

    /// Begin with the commit after this one: the last that you have. With its hash, fail if the server has another one there
    #[arg(long, value_name = "REVISION[-HASH]", value_parser = after, conflicts_with_all = ["earliest", "snapshot"])]
    after: Option<After>,

    /// Begin with the first commit that the log still has
    #[arg(long, conflicts_with = "snapshot")]
    earliest: bool,

    /// Begin with the whole graph
    #[arg(long)]
    snapshot: bool,

    /// Only quads of this subject: an IRI or a prefixed name such as `e:KR`; may be repeated
    #[arg(long = "subject", short, value_name = "NAME")]
    subjects: Vec<String>,

    /// Only quads of this predicate; may be repeated
    #[arg(long = "predicate", short, value_name = "NAME")]
    predicates: Vec<String>,

    /// Only quads of this graph; may be repeated
    #[arg(long = "graph", short, value_name = "NAME")]
    graphs: Vec<String>,

    /// Only quads of the default graph, and of those of --graph
    #[arg(long)]
    default_graph: bool,

    /// Only what was taken from this source; may be repeated
    #[arg(long = "source", value_name = "NAME")]
    sources: Vec<String>,

    /// Only what has a subject of this type; may be repeated
    #[arg(long = "type", short, value_name = "NAME")]
    types: Vec<String>,

    /// Tell the facts that a commit changed instead of its quads
    #[arg(long, conflicts_with_all = ["graphs", "default_graph"])]
    facts: bool,

    /// Stop at the newest commit instead of waiting for more
    #[arg(long)]
    no_follow: bool,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: ChangeFormat,
}

/// Arguments of `dossier diff`.
#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// Revision to begin with; 0 is the empty graph
    #[arg(value_name = "FROM", value_parser = clap::value_parser!(i64).range(0..))]
    from: i64,

    /// Revision to end with; it may be the older one. Default: the newest
    #[arg(value_name = "TO", value_parser = clap::value_parser!(i64).range(0..))]
    to: Option<i64>,

    /// Form of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: ChangeFormat,
}

/// A commit that the user has.
#[derive(Clone, Debug)]
struct After {
    revision: i64,
    hash: Vec<u8>,
}

fn after(text: &str) -> Result<After, String> {
    let Known { revision, hash } = text.parse().map_err(|error: NoCommit| error.to_string())?;
    Ok(After {
        revision: i64::try_from(revision).map_err(|error| error.to_string())?,
        hash: hash.map(|hash| hash.to_be_bytes().to_vec()).unwrap_or_default(),
    })
}

#[derive(ValueEnum, Clone, Copy, Debug, Default)]
enum ChangeFormat {
    /// RDF Patch, with comments: `A` for what is added, `D` for what is deleted
    #[default]
    Patch,
    /// One message of the stream a line, in protobuf's JSON mapping
    Json,
}

/// Follows the commits until it is stopped.
pub(super) async fn watch(args: WatchArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let prefixes = if args.facts {
        Some(client.prefixes().await?)
    } else {
        None
    };
    let start = match (args.from, &args.after) {
        (Some(revision), _) => Start::AfterRevision(revision - 1),
        (None, Some(after)) => Start::AfterRevision(after.revision),
        (None, None) if args.earliest => Start::Position(WatchStart::Earliest.into()),
        (None, None) if args.snapshot => Start::Position(WatchStart::Snapshot.into()),
        (None, None) => Start::Position(WatchStart::Now.into()),
    };
    let request = WatchRequest {
        start: Some(start),
        filter: Some(ChangeFilter {
            subjects: args.subjects,
            predicates: args.predicates,
            graphs: args.graphs,
            default_graph: args.default_graph,
            sources: args.sources,
            types: args.types,
        }),
        checkpoint_interval: None,
        output: if args.facts {
            WatchOutput::Facts.into()
        } else {
            WatchOutput::Unspecified.into()
        },
        after_hash: args.after.map(|after| after.hash).unwrap_or_default(),
    };
    let mut stream = client.changes.watch(request).await?.into_inner();
    let mut output = Output::stdout();
    let mut writer = Writer::new(args.output, prefixes)?;
    while let Some(response) = stream.message().await.map_err(|status| ended(&status))? {
        let is_checkpoint = matches!(response.frame, Some(Frame::Checkpoint(_)));
        writer.write(&mut output, response)?;
        output.flush()?;
        if is_checkpoint && args.no_follow {
            return Ok(());
        }
    }
    Err(Failure::failed("the server ended the stream without a word"))
}

/// Writes what differs between two revisions.
pub(super) async fn diff(args: DiffArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let to_revision = match args.to {
        Some(revision) => revision,
        None => client.info().await?.revision,
    };
    let request = DiffRevisionsRequest {
        from_revision: args.from,
        to_revision,
    };
    let mut stream = client.changes.diff_revisions(request).await?.into_inner();
    let mut output = Output::stdout();
    let json = Json::new()?;
    let (mut is_first, mut is_whole) = (true, false);
    while let Some(part) = stream.message().await? {
        is_whole = part.is_last;
        match args.output {
            ChangeFormat::Json => {
                writeln!(output, "{}", json.value("DiffRevisionsResponse", &part)?)?;
            }
            ChangeFormat::Patch => {
                if is_first {
                    writeln!(output, "# from revision {} to {to_revision}\nTX .", args.from)?;
                }
                patch::write(&mut output, part.into())?;
                if is_whole {
                    writeln!(output, "TC .")?;
                }
            }
        }
        is_first = false;
    }
    output.flush()?;
    if is_whole {
        Ok(())
    } else {
        Err(Failure::failed("the difference ended before it was whole"))
    }
}

/// Says where to resume, if the server does.
fn ended(status: &Status) -> Failure {
    let metadata = status.get_details_error_info().map(|info| info.metadata);
    let told = |key| metadata.as_ref().and_then(|metadata| metadata.get(key));
    let failure = Failure::from(status.clone());
    match (told("after_revision"), told("after_hash")) {
        (Some(revision), Some(hash)) => {
            failure.hint(format!("go on with `dossier watch --after {revision}-{hash}`"))
        }
        (Some(revision), None) => failure.hint(format!("go on with `dossier watch --after {revision}`")),
        (None, _) => failure,
    }
}

/// Writes a fact as a line: what happened to it, subject, predicate, object, standing, sources and id.
fn fact_line(
    output: &mut Output,
    kind: &str,
    fact: Option<&Fact>,
    prefixes: &Prefixes,
) -> Result<(), Failure> {
    let fact = fact.ok_or_else(|| Failure::failed("the server told of a fact without telling it"))?;
    let object = fact.object.as_ref().map(|term| prefixes.show(term));
    let cells = [
        kind.to_owned(),
        fact::subject(&fact.subject, prefixes),
        prefixes.shorten(&fact.predicate),
        object.unwrap_or_default(),
        fact::standing(fact),
        fact::sources(&fact.sources, prefixes),
        prefixes.shorten(&fact.id),
    ];
    let line = cells.map(|cell| patch::one_line(&cell)).join("\t");
    writeln!(output, "{}", line.trim_end())?;
    Ok(())
}

struct Writer {
    json: Option<Json>,
    /// Of the server, if facts are told.
    prefixes: Option<Prefixes>,
    is_inside: bool,
}

impl Writer {
    fn new(format: ChangeFormat, prefixes: Option<Prefixes>) -> Result<Self, Failure> {
        let json = match format {
            ChangeFormat::Json => Some(Json::new()?),
            ChangeFormat::Patch => None,
        };
        Ok(Self {
            json,
            prefixes,
            is_inside: false,
        })
    }

    fn write(&mut self, output: &mut Output, response: WatchResponse) -> Result<(), Failure> {
        if let Some(json) = &self.json {
            writeln!(output, "{}", json.value("WatchResponse", &response)?)?;
            return Ok(());
        }
        match response.frame {
            Some(Frame::Commit(fragment)) => {
                if let Some(header) = &fragment.header {
                    patch::write_header(output, header)?;
                }
                if let Some(prefixes) = &self.prefixes {
                    for change in &fragment.facts {
                        let kind = word(change.kind().as_str_name(), "FACT_CHANGE_KIND_");
                        fact_line(output, &kind, change.fact.as_ref(), prefixes)?;
                    }
                    return Ok(());
                }
                self.begin(output)?;
                let is_last = fragment.is_last;
                patch::write(output, fragment.into())?;
                self.end(output, is_last)
            }
            Some(Frame::Snapshot(part)) => {
                if !self.is_inside {
                    writeln!(output, "# the graph at revision {}", part.revision)?;
                }
                if let Some(prefixes) = &self.prefixes {
                    self.is_inside = !part.is_last;
                    for fact in &part.facts {
                        fact_line(output, "there", Some(fact), prefixes)?;
                    }
                    return Ok(());
                }
                self.begin(output)?;
                patch::write_graph(output, part.graphs, part.quads)?;
                self.end(output, part.is_last)
            }
            Some(Frame::Checkpoint(_)) | None => Ok(()),
        }
    }

    fn begin(&mut self, output: &mut Output) -> Result<(), Failure> {
        if !self.is_inside {
            writeln!(output, "TX .")?;
            self.is_inside = true;
        }
        Ok(())
    }

    fn end(&mut self, output: &mut Output, is_last: bool) -> Result<(), Failure> {
        if is_last {
            writeln!(output, "TC .")?;
            self.is_inside = false;
        }
        Ok(())
    }
}
