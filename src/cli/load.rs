//! `dossier load`.

mod resumable;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::BytesMut;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    client::{Client, ServerArgs},
    failure::{Failure, SourceText},
    output::{Output, thousands},
    update::quads,
};
use crate::{
    proto::v1::{Compression, ImportComplete, ImportHeader, ImportRequest, import_request, import_response},
    rdf::Format,
};

const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that are read ahead of the connection.
const CHUNK_COUNT_AHEAD: usize = 4;

/// Arguments of `dossier load`.
#[derive(Args, Debug)]
pub(super) struct LoadArgs {
    /// RDF files, each loaded whole or not at all, as one revision; `-` is standard input
    ///
    /// Turtle (.ttl), TriG (.trig), N-Triples (.nt), N-Quads (.nq), RDF/XML (.rdf), JSON-LD (.jsonld), Jelly (.jelly), each also as
    /// .gz or .zst.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Format of all files instead of what their names say: an extension (ttl) or a media type (text/turtle)
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    format: Option<Format>,

    /// Compression of all files instead of what their names say
    #[arg(long, value_enum, value_name = "COMPRESSION")]
    compression: Option<CompressionArg>,

    /// Graph for triples that the file puts into the default graph
    #[arg(long, value_name = "IRI", default_value = "", hide_default_value = true)]
    graph: String,

    /// Base of relative IRIs
    #[arg(long, value_name = "IRI", default_value = "", hide_default_value = true)]
    base: String,

    /// Read, check and count, but write nothing
    #[arg(long, visible_alias = "dry-run", conflicts_with_all = ["chunked", "resume"])]
    validate_only: bool,

    /// Refuse the load of one file unless this is the newest revision when the file is read
    #[arg(long, value_name = "REVISION", conflicts_with_all = ["chunked", "resume"])]
    expected_revision: Option<i64>,

    /// Name that makes the load of one file safe to repeat: with the same name it is done once
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,

    /// Why, for the log
    #[arg(
        long,
        short,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    message: String,

    /// Load one file (N-Triples, N-Quads or Jelly) in several commits, which stay if it is cut off: go on with --resume
    #[arg(long, conflicts_with = "resume")]
    chunked: bool,

    /// Go on with a load that was begun with --chunked, behind the last commit that was acknowledged, with what it was begun with
    #[arg(long)]
    resume: bool,

    /// Quads of a commit, with --chunked. Default: 100,000
    #[arg(long, value_name = "QUADS", requires = "chunked",
        value_parser = clap::value_parser!(i32).range(1_000..=1_000_000))]
    quads_per_commit: Option<i32>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CompressionArg {
    None,
    Gzip,
    Zstd,
}

impl CompressionArg {
    pub(super) fn to_proto(self) -> Compression {
        match self {
            Self::None => Compression::Unspecified,
            Self::Gzip => Compression::Gzip,
            Self::Zstd => Compression::Zstd,
        }
    }
}

/// Loads files, one after the other; it stops at the first that fails.
pub(super) async fn load(args: LoadArgs, server: &ServerArgs) -> Result<(), Failure> {
    if !args.request_id.is_empty() && args.files.len() > 1 {
        return Err(Failure::usage(
            "--request-id names one request, and each file is a request of its own",
        ));
    }
    if args.expected_revision.is_some() && args.files.len() > 1 {
        return Err(Failure::usage(
            "--expected-revision is of one load: the first file would make another the newest",
        ));
    }
    let is_chunked = args.chunked || args.resume;
    if is_chunked && args.files.len() > 1 {
        return Err(Failure::usage("--chunked and --resume take one file"));
    }
    // All names are understood before anything is sent. What a load was begun with is in its state.
    let headers = args
        .files
        .iter()
        .map(|path| (!args.resume).then(|| header(path, &args)).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    let mut client = Client::connect(server).await?;
    let mut output = Output::stdout();
    for (path, header) in args.files.iter().zip(headers) {
        let complete = match header {
            Some(header) if !is_chunked => load_file(path, header, &mut client).await?,
            header => resumable::load(path, header, &args, &mut client).await?,
        };
        let name = if is_stdin(path) {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let (read, new) = (quads(complete.quads_read), thousands(complete.quads_inserted));
        let stays = if args.validate_only {
            " stays the newest"
        } else {
            ""
        };
        let revision = complete.revision;
        writeln!(
            output,
            "{name}: {read} read, {new} new, revision {revision}{stays}"
        )?;
        output.flush()?;
    }
    Ok(())
}

fn header(path: &Path, args: &LoadArgs) -> Result<ImportHeader, Failure> {
    let (format_by_name, by_name) = named(path);
    let format = args.format.or(format_by_name).ok_or_else(|| {
        let name = if is_stdin(path) {
            "standard input".into()
        } else {
            path.display().to_string()
        };
        Failure::usage(format!("the name of {name} does not tell its format"))
            .hint("say it with --format: ttl, trig, nt, nq, rdf, jsonld or jelly")
    })?;
    let compression = args.compression.unwrap_or(by_name).to_proto();
    Ok(ImportHeader {
        format: format.file_extension().to_owned(),
        compression: compression.into(),
        base_iri: args.base.clone(),
        default_graph: args.graph.clone(),
        request_id: args.request_id.clone(),
        message: args.message.clone(),
        expected_revision: args.expected_revision,
        validate_only: args.validate_only,
        ..ImportHeader::default()
    })
}

/// Returns the format and the compression that the name of a file tells.
pub(super) fn named(path: &Path) -> (Option<Format>, CompressionArg) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, compression) = match name.rsplit_once('.') {
        Some((stem, "gz")) => (stem, CompressionArg::Gzip),
        Some((stem, "zst")) => (stem, CompressionArg::Zstd),
        _ => (&*name, CompressionArg::None),
    };
    let extension = stem.rsplit_once('.').map(|(_, extension)| extension);
    (extension.and_then(Format::named), compression)
}

pub(super) fn parse_format(text: &str) -> Result<Format, String> {
    Format::named(text).ok_or_else(|| {
        "expected ttl, trig, nt, nq, rdf, jsonld, jelly, or a media type such as text/turtle".to_owned()
    })
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

async fn load_file(
    path: &Path,
    header: ImportHeader,
    client: &mut Client,
) -> Result<ImportComplete, Failure> {
    let (reader, bytes_total) = open(path).await?;
    let progress = progress_bar(bytes_total);
    let (parts, received) = mpsc::channel(CHUNK_COUNT_AHEAD);
    let (fault, mut faulted) = oneshot::channel();
    let origin = path.display().to_string();
    tokio::spawn(read_chunks(header, reader, parts, fault, progress.clone()));
    let answer = async {
        let in_file = |status| {
            Failure::in_text(
                &status,
                SourceText {
                    origin: &origin,
                    text: None,
                },
            )
        };
        let mut answers = client
            .writes
            .import(ReceiverStream::new(received))
            .await
            .map_err(in_file)?
            .into_inner();
        while let Some(answer) = answers.message().await.map_err(in_file)? {
            match answer.part {
                Some(import_response::Part::Progress(now)) => show(&progress, now.quads_read),
                Some(import_response::Part::Complete(complete)) => return Ok(complete),
                _ => {}
            }
        }
        Err(Failure::failed(
            "the server ended the import without saying that it is complete",
        ))
    };
    let result = tokio::select! {
        biased;
        // Leaving here drops the call, which breaks the stream off: nothing is committed.
        Ok(error) = &mut faulted => Err(Failure::file(path, &error)),
        result = answer => result,
    };
    progress.finish_and_clear();
    result
}

async fn open(path: &Path) -> Result<(Box<dyn AsyncRead + Send + Unpin>, Option<u64>), Failure> {
    if is_stdin(path) {
        return Ok((Box::new(tokio::io::stdin()), None));
    }
    let fault = |error| Failure::file(path, &error);
    let file = tokio::fs::File::open(path).await.map_err(fault)?;
    let metadata = file.metadata().await.map_err(fault)?;
    // A pipe has no length.
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), length))
}

/// Hands the header and the file on in chunks.
///
/// The channel closes at the end of the file only: to the server its end means that the document is whole. After a fault
/// it is therefore kept open for as long as the call lives.
async fn read_chunks(
    header: ImportHeader,
    mut reader: Box<dyn AsyncRead + Send + Unpin>,
    parts: mpsc::Sender<ImportRequest>,
    fault: oneshot::Sender<std::io::Error>,
    progress: ProgressBar,
) {
    let mut part = Some(import_request::Part::Header(header));
    loop {
        // The receiver is gone if the server refused the import: its answer says why.
        if parts.send(ImportRequest { part: part.take() }).await.is_err() {
            return;
        }
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        while chunk.len() < CHUNK_BYTES {
            match reader.read_buf(&mut chunk).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    if fault.send(error).is_ok() {
                        parts.closed().await;
                    }
                    return;
                }
            }
        }
        if chunk.is_empty() {
            return;
        }
        progress.inc(chunk.len() as u64);
        part = Some(import_request::Part::Chunk(chunk.freeze()));
    }
}

/// Returns a bar over the bytes of the file on standard error; it shows itself on terminals only.
fn progress_bar(bytes_total: Option<u64>) -> ProgressBar {
    let (progress, template) = match bytes_total {
        Some(total) => (
            ProgressBar::new(total),
            "{bar:32} {binary_bytes}/{binary_total_bytes}  {msg}  {elapsed} (left: {eta})",
        ),
        None => (
            ProgressBar::no_length(),
            "{spinner} {binary_bytes}  {msg}  {elapsed}",
        ),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        progress.set_style(style.progress_chars("━╸─"));
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}

fn show(progress: &ProgressBar, quads_read: i64) {
    let elapsed_ms = u64::try_from(progress.elapsed().as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    let rate = u64::try_from(quads_read).unwrap_or(0).saturating_mul(1_000) / elapsed_ms;
    progress.set_message(format!("{}, {}/s", quads(quads_read), thousands(rate)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser, Debug)]
    struct Load {
        #[command(flatten)]
        args: LoadArgs,
    }

    /// `expected`: format and compression; None for a usage fault.
    fn check(arguments: &[&str], expected: Option<(&str, Compression)>) {
        let Load { args } = clap::Parser::parse_from([&["load"], arguments].concat());
        let header = header(&args.files[0], &args).ok();
        let found = header
            .as_ref()
            .map(|header| (header.format.as_str(), header.compression()));
        assert_eq!(found, expected, "{arguments:?}");
    }

    #[test]
    fn names_tell_format_and_compression() {
        use Compression::{Gzip, Unspecified, Zstd};

        check(&["a.ttl"], Some(("ttl", Unspecified)));
        check(&["dir.nt/a.b.trig.gz"], Some(("trig", Gzip)));
        check(&["a.nq.zst"], Some(("nq", Zstd)));
        check(&["a.rdf"], Some(("rdf", Unspecified)));
        check(&["a.jsonld"], Some(("jsonld", Unspecified)));
        check(&["a.jelly.zst"], Some(("jelly", Zstd)));
        check(&["a"], None);
        check(&["a.gz"], None);
        check(&["a.n3"], None);
        check(&["-"], None);
    }

    #[test]
    fn flags_go_before_names() {
        check(
            &["-", "--format=text/turtle"],
            Some(("ttl", Compression::Unspecified)),
        );
        check(&["a.ttl.gz", "--format=nt"], Some(("nt", Compression::Gzip)));
        check(
            &["a.ttl.gz", "--compression=none"],
            Some(("ttl", Compression::Unspecified)),
        );
        check(
            &["-", "--format=nq", "--compression=zstd"],
            Some(("nq", Compression::Zstd)),
        );
        assert!(parse_format("n3").is_err() && parse_format("docx").is_err());
    }

    /// Reads to the end of the channel; None if the fault came before it.
    async fn read_all(reader: impl AsyncRead + Send + Unpin + 'static) -> Option<Vec<u8>> {
        let (parts, mut received) = mpsc::channel(CHUNK_COUNT_AHEAD);
        let (fault, mut faulted) = oneshot::channel();
        let reading = read_chunks(
            ImportHeader::default(),
            Box::new(reader),
            parts,
            fault,
            ProgressBar::hidden(),
        );
        let reading = tokio::spawn(reading);
        let mut bytes = Vec::new();
        let to_the_end = async {
            while let Some(request) = received.recv().await {
                if let Some(import_request::Part::Chunk(chunk)) = request.part {
                    bytes.extend(chunk);
                }
            }
        };
        let is_whole = tokio::select! {
            biased;
            () = to_the_end => true,
            Ok(_) = &mut faulted => false,
        };
        if !is_whole {
            // To the server the document is not at its end.
            assert_eq!(received.try_recv().unwrap_err(), mpsc::error::TryRecvError::Empty);
        }
        drop(received);
        reading.await.unwrap();
        is_whole.then_some(bytes)
    }

    #[tokio::test]
    async fn a_file_that_breaks_off_does_not_look_whole() {
        let text = vec![b'a'; 3 * CHUNK_BYTES + 1];
        assert_eq!(
            read_all(std::io::Cursor::new(text.clone())).await,
            Some(text.clone())
        );
        assert_eq!(read_all(tokio::io::empty()).await, Some(Vec::new()));
        // A directory can be opened, and reading it is a fault.
        let directory = tempfile::tempdir().unwrap();
        let directory = tokio::fs::File::open(directory.path()).await.unwrap();
        assert_eq!(read_all(std::io::Cursor::new(text).chain(directory)).await, None);
    }
}
