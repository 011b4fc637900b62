//! `dossier load --chunked` and `--resume`: a file in several commits, and a file beside it that says how far it has come.
//!
//! That file is written before anything is sent, and after every commit that the server has acknowledged. So it does not matter when
//! either side is killed: the next call goes on behind the last commit, and what was committed since is committed once.

use std::{
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use clap::ValueEnum as _;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;

use super::{CHUNK_BYTES, CHUNK_COUNT_AHEAD, Client, CompressionArg, LoadArgs, progress_bar, show};
use crate::{
    cli::failure::{Failure, SourceText},
    proto::v1::{
        Compression, ErrorReason, GetServerInfoRequest, ImportAck, ImportComplete, ImportHeader, ImportMode,
        ImportRequest, import_request, import_response::Part,
    },
};

/// The version of the file beside the document.
const VERSION: u64 = 2;
/// What its name has behind that of the document.
const EXTENSION: &str = "dossier-load";
/// How long a server remembers requests whose commits are gone, in seconds; an hour less, as two clocks may differ.
const REMEMBERED_S: u64 = 23 * 3600;

/// What a load was begun with, and how far it has come.
struct State {
    path: PathBuf,
    /// SHA-256 of the document.
    digest: String,
    /// How the document is packed.
    compression: CompressionArg,
    /// As it is sent, with the newest token.
    header: ImportHeader,
    quads_committed: i64,
    /// When it was begun, in seconds since 1970; 0 where that is not known.
    begun_at_s: u64,
}

impl State {
    fn path_of(document: &Path) -> PathBuf {
        let mut name = document.as_os_str().to_owned();
        name.push(".");
        name.push(EXTENSION);
        name.into()
    }

    /// Begins, if nothing was begun before.
    fn begin(document: &Path, header: ImportHeader) -> Result<Self, Failure> {
        let path = Self::path_of(document);
        if path.exists() {
            let name = path.display();
            return Err(
                Failure::failed(format!("a load of the file was begun before: {name}"))
                    .hint("go on with `--resume`, or delete that file to begin anew"),
            );
        }
        let random = || getrandom::u64().map_err(|error| Failure::failed(error.to_string()));
        let request_id = match header.request_id.as_str() {
            "" => format!("load-{:016x}{:016x}", random()?, random()?),
            id => id.to_owned(),
        };
        // What is packed is unpacked here: nobody could go on in the middle of it.
        let compression = match header.compression() {
            Compression::Unspecified => CompressionArg::None,
            Compression::Gzip => CompressionArg::Gzip,
            Compression::Zstd => CompressionArg::Zstd,
        };
        let state = Self {
            path,
            digest: digest(document).map_err(|error| Failure::file(document, &error))?,
            compression,
            header: ImportHeader {
                compression: Compression::Unspecified.into(),
                mode: ImportMode::Chunked.into(),
                request_id,
                ..header
            },
            quads_committed: 0,
            begun_at_s: now_s(),
        };
        state.write()?;
        Ok(state)
    }

    /// Reads how far a load has come; the document must be the same, and so must be what else was said of it.
    fn resume(document: &Path, said: &[(&'static str, String); 6]) -> Result<Self, Failure> {
        let path = Self::path_of(document);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::failed("no load of the file was begun, or it is done")
                    .hint("begin one with `--chunked`"));
            }
            text => text.map_err(|error| Failure::file(&path, &error))?,
        };
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        if value["version"]
            .as_u64()
            .is_some_and(|version| version != VERSION)
        {
            return Err(Failure::failed(format!(
                "{} is of another version of this program",
                path.display()
            )));
        }
        let damaged = || Failure::failed(format!("{} is damaged", path.display()));
        let text = |key: &str| value[key].as_str().map(str::to_owned).ok_or_else(damaged);
        for (flag, now) in said {
            let then = text(flag)?;
            if !now.is_empty() && *now != then {
                let begun = if then.is_empty() {
                    format!("without --{flag}")
                } else {
                    format!("with --{flag} {then}")
                };
                return Err(Failure::usage(format!(
                    "the load was begun {begun}, and goes on as it was begun"
                )));
            }
        }
        let digest = digest(document).map_err(|error| Failure::file(document, &error))?;
        if digest != text("sha256")? {
            return Err(Failure::failed(
                "the file is not what it was when the load was begun: it cannot go on",
            ));
        }
        let count = |key: &str| value[key].as_i64().ok_or_else(damaged);
        Ok(Self {
            digest,
            compression: CompressionArg::from_str(&text("compression")?, false).map_err(|_| damaged())?,
            header: ImportHeader {
                format: text("format")?,
                compression: Compression::Unspecified.into(),
                base_iri: text("base")?,
                default_graph: text("graph")?,
                request_id: text("request-id")?,
                message: text("message")?,
                mode: ImportMode::Chunked.into(),
                resume_token: text("resume_token")?,
                quads_per_commit: i32::try_from(count("quads_per_commit")?).map_err(|_| damaged())?,
                ..ImportHeader::default()
            },
            quads_committed: count("quads_committed")?,
            // Older versions of this program did not say.
            begun_at_s: value["begun_at"].as_u64().unwrap_or(0),
            path,
        })
    }

    /// Writes it in the place of what was there, whole or not at all.
    fn write(&self) -> Result<(), Failure> {
        let header = &self.header;
        let value = json!({
            "version": VERSION,
            "sha256": self.digest,
            "format": header.format,
            "compression": name_of(self.compression),
            "base": header.base_iri,
            "graph": header.default_graph,
            "request-id": header.request_id,
            "message": header.message,
            "resume_token": header.resume_token,
            "quads_per_commit": header.quads_per_commit,
            "quads_committed": self.quads_committed,
            "begun_at": self.begun_at_s,
        });
        let new = self.path.with_extension(format!("{EXTENSION}.new"));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(value.to_string().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        };
        write().map_err(|error| Failure::file(&self.path, &error))
    }

    /// Goes back to the beginning: the server does not have what it has acknowledged.
    fn begin_anew(&mut self) -> Result<(), Failure> {
        self.header.resume_token.clear();
        self.quads_committed = 0;
        self.write()
    }

    /// Tells whether a server remembers all that it has committed of it, whether its log was compacted since or restored.
    fn is_remembered(&self) -> bool {
        now_s()
            .checked_sub(self.begun_at_s)
            .is_some_and(|age| age < REMEMBERED_S)
    }

    fn take(&mut self, ack: ImportAck) -> Result<(), Failure> {
        self.header.resume_token = ack.resume_token;
        self.quads_committed = ack.quads_committed;
        self.write()
    }
}

/// Returns what the command line says of a document, by the names of the flags; nothing where it says nothing.
fn said(args: &LoadArgs) -> [(&'static str, String); 6] {
    let format = args.format.map(|format| format.file_extension().to_owned());
    [
        ("format", format.unwrap_or_default()),
        ("compression", args.compression.map_or("", name_of).to_owned()),
        ("base", args.base.clone()),
        ("graph", args.graph.clone()),
        ("request-id", args.request_id.clone()),
        ("message", args.message.clone()),
    ]
}

/// Returns the time in seconds since 1970.
fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn name_of(compression: CompressionArg) -> &'static str {
    match compression {
        CompressionArg::None => "none",
        CompressionArg::Gzip => "gzip",
        CompressionArg::Zstd => "zstd",
    }
}

/// Loads a file in several commits: begins with a header, or goes on.
pub(super) async fn load(
    path: &Path,
    header: Option<ImportHeader>,
    args: &LoadArgs,
    client: &mut Client,
) -> Result<ImportComplete, Failure> {
    if super::is_stdin(path) {
        return Err(Failure::usage(
            "standard input cannot be read again: --chunked and --resume take a file",
        ));
    }
    let (document, said) = (path.to_owned(), said(args));
    let quads_per_commit = args.quads_per_commit.unwrap_or(0);
    let begun = spawn_blocking(move || match header {
        None => State::resume(&document, &said),
        Some(header) => State::begin(
            &document,
            ImportHeader {
                quads_per_commit,
                ..header
            },
        ),
    });
    let mut state = begun
        .await
        .map_err(|error| Failure::failed(error.to_string()))??;
    let length = fs::metadata(path)
        .map_err(|error| Failure::file(path, &error))?
        .len();
    let progress = progress_bar((state.compression == CompressionArg::None).then_some(length));
    let mut outcome = send(path, &mut state, client, &progress).await;
    let has_reason = |reason| {
        let failure = outcome.as_ref().err();
        failure.is_some_and(|failure| failure.has_reason(reason))
    };
    let mut is_forgotten = false;
    if has_reason(ErrorReason::RevisionCompacted) || has_reason(ErrorReason::ImportOtherHistory) {
        let knows_all = match client.admin.get_server_info(GetServerInfoRequest {}).await {
            // Where nothing was compacted, every commit has the name of its request.
            Ok(info) => Some(info.get_ref().earliest_revision == 0 || state.is_remembered()),
            // Whoever goes on with it asks again.
            Err(_) => None,
        };
        is_forgotten = knows_all == Some(false);
        if knows_all == Some(true) {
            anstream::eprintln!(
                "the server's log does not have the {} that it had committed: the load begins anew",
                super::quads(state.quads_committed)
            );
            // Under the same name: what is still there is not imported twice.
            state.begin_anew()?;
            outcome = send(path, &mut state, client, &progress).await;
        }
    }
    progress.finish_and_clear();
    match outcome {
        Ok(complete) => {
            fs::remove_file(&state.path).map_err(|error| Failure::file(&state.path, &error))?;
            Ok(complete)
        }
        // The server may no longer know what it has committed: sent again, that would be a new request.
        Err(failure) if is_forgotten => Err(failure.hint(format!(
            "{} were committed, and the server no longer knows which. To begin anew, which may bring back what was deleted since: \
             delete {}, and load with `--chunked`",
            super::quads(state.quads_committed),
            state.path.display()
        ))),
        Err(failure) => Err(failure.hint(format!(
            "{} are committed; go on with `dossier load --resume {}`",
            super::quads(state.quads_committed),
            path.display()
        ))),
    }
}

async fn send(
    path: &Path,
    state: &mut State,
    client: &mut Client,
    progress: &ProgressBar,
) -> Result<ImportComplete, Failure> {
    let origin = path.display().to_string();
    let in_file = |status| {
        let text = SourceText {
            origin: &origin,
            text: None,
        };
        Failure::in_text(&status, text)
    };
    let (parts, received) = mpsc::channel(CHUNK_COUNT_AHEAD);
    let part = Some(import_request::Part::Header(state.header.clone()));
    // There is room for one.
    let _ = parts.try_send(ImportRequest { part });
    let (fault, mut faulted) = mpsc::channel(1);
    let mut reading = Some((parts, fault));
    let answers = client.writes.import(ReceiverStream::new(received)).await;
    let mut answers = answers.map_err(in_file)?.into_inner();
    loop {
        let answer = tokio::select! {
            biased;
            Some(Fault { error, .. }) = faulted.recv() => return Err(Failure::file(path, &error)),
            answer = answers.message() => answer.map_err(in_file)?,
        };
        match answer.and_then(|answer| answer.part) {
            Some(Part::Accepted(accepted)) => {
                if let Some((parts, fault)) = reading.take() {
                    let from = u64::try_from(accepted.send_from_byte).unwrap_or(0);
                    progress.set_position(from);
                    let (path, progress) = (path.to_owned(), progress.clone());
                    let compression = state.compression;
                    spawn_blocking(move || {
                        if let Err(error) = read(&path, compression, from, &parts, &progress) {
                            // An error says that the call has ended.
                            let _ = fault.blocking_send(Fault { error, _parts: parts });
                        }
                    });
                }
            }
            Some(Part::Ack(ack)) => state.take(ack)?,
            Some(Part::Progress(now)) => show(progress, now.quads_read),
            Some(Part::Complete(complete)) => return Ok(complete),
            Some(Part::Aborted(_)) | None => {
                return Err(Failure::failed(
                    "the server ended the import without saying that it is complete",
                ));
            }
        }
    }
}

/// The file cannot be read. The stream to the server stays open with it: its end would mean that the document is whole.
struct Fault {
    error: io::Error,
    _parts: mpsc::Sender<ImportRequest>,
}

/// Hands the document on from a byte on.
fn read(
    path: &Path,
    compression: CompressionArg,
    from: u64,
    parts: &mpsc::Sender<ImportRequest>,
    progress: &ProgressBar,
) -> io::Result<()> {
    let file = File::open(path)?;
    let mut reader: Box<dyn Read> = match compression {
        CompressionArg::None => Box::new(file),
        CompressionArg::Gzip => Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::new(file))),
        CompressionArg::Zstd => Box::new(zstd::Decoder::new(file)?),
    };
    io::copy(&mut (&mut reader).take(from), &mut io::sink())?;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        (&mut reader).take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return Ok(());
        }
        progress.inc(chunk.len() as u64);
        let part = Some(import_request::Part::Chunk(Bytes::from(chunk)));
        // The receiver is gone if the server ended the import: its answer says why.
        if parts.blocking_send(ImportRequest { part }).is_err() {
            return Ok(());
        }
    }
}

/// Returns the SHA-256 of a file as text.
fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            let digest: [u8; 32] = hasher.finalize().into();
            return Ok(digest.map(|byte| format!("{byte:02x}")).concat());
        }
        hasher.update(&buffer[..count]);
    }
}
