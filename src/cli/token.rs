//! `dossier token`: the tokens that a server accepts.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use comfy_table::Cell;
use fs4::fs_std::FileExt as _;

use super::{failure::Failure, output::Output, term::printable};
use crate::{
    auth::{TokenRecord, Tokens},
    config,
};

/// Makes, lists and revokes tokens.
#[derive(Subcommand, Debug)]
pub(super) enum TokenCommand {
    /// Make a token, and print it: it cannot be read again
    Create(CreateArgs),
    /// List the tokens, without their secrets
    List(FileArgs),
    /// Take back a token; a running server knows within a second
    Revoke(RevokeArgs),
}

/// Where the tokens are.
#[derive(Args, Debug)]
pub(super) struct FileArgs {
    /// File of the tokens, as of `serve --auth-tokens`
    #[arg(long, env = "DOSSIER_AUTH_TOKENS", value_name = "FILE")]
    tokens: PathBuf,
}

/// Arguments of `dossier token create`.
#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    file: FileArgs,

    /// Who will have it: the author of what is written with it
    #[arg(long)]
    name: String,

    /// Role that it brings; give it again for each
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,

    /// Time after which it is no longer accepted, such as 90d; without it, never
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    expires: Option<Duration>,
}

/// Arguments of `dossier token revoke`.
#[derive(Args, Debug)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    file: FileArgs,

    /// Id of a token, or a name: then all of that name
    token: String,
}

/// Runs a command.
pub(super) fn run(command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(args) => create(&args),
        TokenCommand::List(args) => list(&args.tokens),
        TokenCommand::Revoke(args) => revoke(&args),
    }
}

fn create(args: &CreateArgs) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let expires_at = args.expires.map(|time| (now + time).as_secs());
    let made = change(&args.file.tokens, |tokens| {
        tokens
            .create(&args.name, &args.roles, now.as_secs(), expires_at)
            .map_err(|fault| Failure::usage(fault.to_string()))
    })?;
    anstream::eprintln!(
        "Made token {} for {}. This is the only time that it is shown:",
        made.record.id,
        made.record.name
    );
    let mut output = Output::stdout();
    writeln!(output, "{}", made.secret())?;
    Ok(output.flush()?)
}

fn list(path: &Path) -> Result<(), Failure> {
    let tokens =
        read(path)?.ok_or_else(|| Failure::failed(format!("there is no file {}", path.display())))?;
    let mut output = Output::stdout();
    let rows = tokens.records().iter().map(|record| {
        [
            record.id.clone(),
            printable(&record.name).into_owned(),
            printable(&record.roles.join(", ")).into_owned(),
            time(record.created_at),
            record.expires_at.map_or_else(|| "never".to_owned(), time),
        ]
        .map(Cell::new)
        .to_vec()
    });
    output.table(&["ID", "NAME", "ROLES", "CREATED", "EXPIRES"], rows.collect())?;
    Ok(output.flush()?)
}

fn revoke(args: &RevokeArgs) -> Result<(), Failure> {
    let gone = change(&args.file.tokens, |tokens| {
        let gone = tokens.revoke(&args.token);
        if gone.is_empty() {
            return Err(Failure::failed(format!("there is no token {}", args.token))
                .hint("`dossier token list` lists them"));
        }
        Ok(gone)
    })?;
    let mut output = Output::stdout();
    for TokenRecord { id, name, .. } in gone {
        writeln!(output, "revoked {id} of {}", printable(&name))?;
    }
    Ok(output.flush()?)
}

fn time(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// Changes the tokens of a file: others who do wait meanwhile, and a server never reads half of it.
fn change<T>(path: &Path, change: impl FnOnce(&mut Tokens) -> Result<T, Failure>) -> Result<T, Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot write {}: {error}", path.display()));
    // The target of a link, so that the link stays.
    let path_behind = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match path_behind.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let lock = File::open(folder).map_err(failed)?;
    lock.lock_exclusive().map_err(failed)?;
    let mut tokens = read(path)?.unwrap_or_default();
    let changed = change(&mut tokens)?;
    let mut name = path_behind.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = folder.join(name);
    let written = write_private(&beside, &tokens.to_text())
        .and_then(|()| fs::rename(&beside, &path_behind))
        .and_then(|()| lock.sync_all());
    written.map_err(failed)?;
    Ok(changed)
}

/// Writes a file that nobody else can read, durably.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Returns the tokens of a file, `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Tokens>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file(path, &error)),
    };
    let tokens = Tokens::parse(&text);
    tokens
        .map(Some)
        .map_err(|fault| Failure::failed(format!("{}: {fault}", path.display())))
}
