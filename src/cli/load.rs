//! `dossier load`.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read, Write as _},
    path::{Path, PathBuf},
    time::Instant,
};

use bytes::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    client::{Client, ServerArgs},
    failure::{Failure, SourceText},
    output::{Output, thousands},
    update::quads,
};
use crate::proto::v1::{
    Compression, ImportComplete, ImportHeader, ImportRequest, import_request, import_response::Part,
};

const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that are read ahead of the connection.
const WAITING_CHUNK_COUNT_MAX: usize = 4;

/// Arguments of `dossier load`.
#[derive(Args, Debug)]
pub(super) struct LoadArgs {
    /// Files to load, each as one commit; `-` for standard input. `.gz` and `.zst` are sent as they are
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Format by extension or media type, such as `ttl`, `trig`, `nt`, `nq`, `rdf`, `jsonld`. Default: the file's extension
    #[arg(long, short, value_name = "FORMAT")]
    format: Option<String>,

    /// Graph for triples that are in no graph
    #[arg(long, value_name = "IRI", default_value = "", hide_default_value = true)]
    graph: String,

    /// Base IRI for relative IRIs
    #[arg(long, value_name = "IRI", default_value = "", hide_default_value = true)]
    base: String,

    /// Why, for the log
    #[arg(
        long,
        short,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    message: String,
}

/// Loads files one after the other; stops at the first that fails.
pub(super) async fn load(args: LoadArgs, server: &ServerArgs) -> Result<(), Failure> {
    let mut client = Client::connect(server).await?;
    let mut output = Output::stdout();
    for path in &args.files {
        let header = header(&args, path)?;
        let start = Instant::now();
        let complete = import(&mut client, path, header).await?;
        writeln!(
            output,
            "{}: {} read, {} inserted, revision {}, {:.1?}",
            path.display(),
            quads(complete.quads_read),
            thousands(complete.quads_inserted),
            complete.revision,
            start.elapsed()
        )?;
        output.flush()?;
    }
    Ok(())
}

fn header(args: &LoadArgs, path: &Path) -> Result<ImportHeader, Failure> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let (name, compression) = compression(name);
    let extension = Path::new(name)
        .extension()
        .and_then(|extension| extension.to_str());
    let format = args.format.as_deref().or(extension).ok_or_else(|| {
        Failure::usage(format!("{}: the name does not tell the format", path.display()))
            .hint("say it with --format, such as --format ttl")
    })?;
    Ok(ImportHeader {
        format: format.to_owned(),
        compression: compression.into(),
        base_iri: args.base.clone(),
        default_graph: args.graph.clone(),
        request_id: String::new(),
        message: args.message.clone(),
    })
}

/// Returns the name without the ending that tells a compression, and the compression.
fn compression(name: &str) -> (&str, Compression) {
    if let Some(name) = name.strip_suffix(".gz") {
        (name, Compression::Gzip)
    } else if let Some(name) = name.strip_suffix(".zst") {
        (name, Compression::Zstd)
    } else {
        (name, Compression::Unspecified)
    }
}

async fn import(client: &mut Client, path: &Path, header: ImportHeader) -> Result<ImportComplete, Failure> {
    let (file, size): (Box<dyn Read + Send>, _) = if path == Path::new("-") {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
        let size = file
            .metadata()
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|metadata| metadata.len());
        (Box::new(file), size)
    };
    let bar = progress_bar(size);
    let (sender, chunks) = mpsc::channel(WAITING_CHUNK_COUNT_MAX);
    let reading = tokio::task::spawn_blocking({
        let bar = bar.clone();
        move || send_chunks(file, header, &sender, &bar)
    });
    let answers = client.writes.import(ReceiverStream::new(chunks)).await;
    let imported = async {
        let mut answers = answers?.into_inner();
        while let Some(answer) = answers.message().await? {
            match answer.part {
                Some(Part::Progress(progress)) => {
                    bar.set_message(format!("{} quads", thousands(progress.quads_read)));
                }
                Some(Part::Complete(complete)) => return Ok(Some(complete)),
                None => {}
            }
        }
        Ok::<_, tonic::Status>(None)
    }
    .await;
    bar.finish_and_clear();
    // What went wrong with the file comes first: the server only sees that the stream broke off.
    match reading.await {
        Ok(read) => read.map_err(|error| Failure::file(path, &error))?,
        Err(error) => {
            return Err(Failure::failed(format!(
                "cannot read {}: {error}",
                path.display()
            )));
        }
    }
    let origin = path.display().to_string();
    imported
        .map_err(|status| {
            Failure::in_text(
                &status,
                SourceText {
                    origin: &origin,
                    text: None,
                },
            )
        })?
        .ok_or_else(|| Failure::failed("the server ended the import without an answer"))
}

/// Reads the file in chunks, until its end or until nobody takes them.
fn send_chunks(
    mut file: Box<dyn Read + Send>,
    header: ImportHeader,
    sender: &mpsc::Sender<ImportRequest>,
    bar: &ProgressBar,
) -> io::Result<()> {
    let mut part = import_request::Part::Header(header);
    while sender.blocking_send(ImportRequest { part: Some(part) }).is_ok() {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let limit = CHUNK_BYTES as u64;
        if file.by_ref().take(limit).read_to_end(&mut chunk)? == 0 {
            break;
        }
        bar.inc(chunk.len() as u64);
        part = import_request::Part::Chunk(Bytes::from(chunk));
    }
    Ok(())
}

fn progress_bar(size: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match size {
        Some(size) => (
            ProgressBar::new(size),
            "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg} eta {eta}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes} {bytes_per_sec} {msg}",
        ),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_format_and_compression() {
        let check = |file: &str, format: Option<&str>, expected: Option<(&str, Compression)>| {
            let args = LoadArgs {
                files: Vec::new(),
                format: format.map(str::to_owned),
                graph: String::new(),
                base: String::new(),
                message: String::new(),
            };
            let header = header(&args, Path::new(file)).ok();
            let found = header
                .as_ref()
                .map(|header| (header.format.as_str(), header.compression()));
            assert_eq!(found, expected, "{file}");
        };
        check("a/b.ttl", None, Some(("ttl", Compression::Unspecified)));
        check("b.nq.gz", None, Some(("nq", Compression::Gzip)));
        check("b.trig.zst", None, Some(("trig", Compression::Zstd)));
        check("b.txt.zst", Some("nt"), Some(("nt", Compression::Zstd)));
        check("-", Some("ttl"), Some(("ttl", Compression::Unspecified)));
        check("-", None, None);
        check("b.gz", None, None);
    }
}
