//! `dossier export`.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    client::{Client, ServerArgs},
    failure::Failure,
    load::{CompressionArg, named, parse_format},
    update::quads,
};
use crate::{
    proto::v1::{ExportComplete, ExportRequest, export_request::Scope, export_response::Part},
    rdf::Format,
};

/// Arguments of `dossier export`.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// File to write, whole or not at all; `-` is standard output
    ///
    /// Its name tells the format and the compression: .nq, .trig, .jsonld, .jelly; for one graph .ttl, .nt and .rdf too; each
    /// also as .gz or .zst.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Only the named graph of this IRI
    #[arg(long, value_name = "IRI", conflicts_with = "default_graph")]
    graph: Option<String>,

    /// Only the default graph
    #[arg(long)]
    default_graph: bool,

    /// Write statements as RDF 1.2 reifiers
    #[arg(long)]
    reified: bool,

    /// Write a grouped Jelly stream: a frame has the quads of one subject
    #[arg(long)]
    grouped: bool,

    /// Format instead of what the name says: an extension (nq) or a media type (application/n-quads)
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    format: Option<Format>,

    /// Compression instead of what the name says
    #[arg(long, value_enum, value_name = "COMPRESSION")]
    compression: Option<CompressionArg>,
}

/// Writes a graph to a file.
pub(super) async fn export(args: ExportArgs, server: &ServerArgs) -> Result<(), Failure> {
    let (by_name, compression) = named(&args.file);
    let format = args.format.or(by_name).ok_or_else(|| {
        Failure::usage(format!(
            "the name of {} does not tell its format",
            args.file.display()
        ))
        .hint("say it with --format: nq, trig, jsonld, jelly, or for one graph ttl, nt, rdf")
    })?;
    let compression = args.compression.unwrap_or(compression);
    let scope = match args.graph {
        Some(graph) => Some(Scope::Graph(graph)),
        None => args.default_graph.then_some(Scope::DefaultGraph(true)),
    };
    let request = ExportRequest {
        format: format.file_extension().to_owned(),
        compression: compression.to_proto().into(),
        scope,
        reified_statements: args.reified,
        min_revision: 0,
        grouped: args.grouped,
    };
    let mut client = Client::connect(server).await?;
    if args.file == Path::new("-") {
        let mut out = BufWriter::new(io::stdout().lock());
        receive(&mut client, request, &mut out).await?;
        return Ok(out.flush()?);
    }
    // Beside it, so that a rename puts it in its place at once.
    let mut part = args.file.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let received = receive_file(&mut client, request, &part).await;
    let (revision, complete) = match received {
        Ok(received) => received,
        Err(failure) => {
            // What is left of it is of no use.
            let _ = fs::remove_file(&part);
            return Err(failure);
        }
    };
    fs::rename(&part, &args.file).map_err(|error| Failure::file(&args.file, &error))?;
    anstream::eprintln!(
        "{}: {}, revision {revision}",
        args.file.display(),
        quads(complete.quads_written)
    );
    Ok(())
}

async fn receive_file(
    client: &mut Client,
    request: ExportRequest,
    path: &Path,
) -> Result<(i64, ExportComplete), Failure> {
    let fault = |error: io::Error| Failure::file(path, &error);
    let mut out = BufWriter::new(File::create(path).map_err(fault)?);
    let received = receive(client, request, &mut out).await?;
    let file = out.into_inner().map_err(|error| fault(error.into_error()))?;
    file.sync_all().map_err(fault)?;
    Ok(received)
}

/// Receives an export; returns its revision and what was told at its end.
async fn receive(
    client: &mut Client,
    request: ExportRequest,
    out: &mut impl Write,
) -> Result<(i64, ExportComplete), Failure> {
    let progress = ProgressBar::no_length();
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {binary_bytes}  {binary_bytes_per_sec}  {elapsed}")
    {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    let mut parts = client.writes.export(request).await?.into_inner();
    let mut revision = 0;
    let mut complete = None;
    while let Some(message) = parts.message().await? {
        match message.part {
            Some(Part::Header(header)) => revision = header.revision,
            Some(Part::Chunk(chunk)) => {
                out.write_all(&chunk)?;
                progress.inc(chunk.len() as u64);
            }
            Some(Part::Complete(told)) => complete = Some(told),
            None => {}
        }
    }
    progress.finish_and_clear();
    match complete {
        Some(complete) => Ok((revision, complete)),
        None => Err(Failure::failed(
            "the server ended the export before it was complete",
        )),
    }
}
