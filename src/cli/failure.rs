//! Why a command failed: what standard error says, and the exit code.

use std::{fmt, io, path::Path, process::ExitCode};

use anstyle::{AnsiColor, Style};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::caret;
use crate::proto::v1::{ErrorReason, TextFault};

/// The command did not succeed, or the server refused.
pub(super) const EXIT_FAILED: u8 = 1;
/// The command line is wrong; `clap` uses the same.
pub(super) const EXIT_USAGE: u8 = 2;
/// The server cannot be reached, or is not ready.
pub(super) const EXIT_UNREACHABLE: u8 = 3;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const FRAME: Style = AnsiColor::Blue.on_default().bold();

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// To be told and to exit with.
    Report(Box<Report>),
    /// Whoever read standard output has gone, such as `head`: no failure to speak of.
    OutputClosed,
}

/// What is told about a failure.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    exit_code: u8,
    message: String,
    reason: Option<String>,
    place: Option<Place>,
    hint: Option<String>,
}

/// Where in a text the fault is, from 1.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    origin: String,
    line: usize,
    column: Option<usize>,
    quote: Option<String>,
}

/// A text that was sent to the server, so that its faults can be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct SourceText<'a> {
    /// Where it came from: a path, or words such as `query`.
    pub(super) origin: &'a str,
    /// The text; None where it is not at hand, such as a compressed file.
    pub(super) text: Option<&'a str>,
}

impl Failure {
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::report(EXIT_FAILED, message)
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::report(EXIT_USAGE, message)
    }

    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self::report(EXIT_UNREACHABLE, message)
    }

    /// A file of the user's cannot be read.
    pub(super) fn file(path: &Path, error: &io::Error) -> Self {
        Self::failed(format!("cannot read {}: {error}", path.display()))
    }

    /// Adds what the user can do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Report(report) = &mut self {
            report.hint = Some(hint.into());
        }
        self
    }

    /// Tells whether the server gave this reason.
    pub(super) fn has_reason(&self, reason: ErrorReason) -> bool {
        let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
        match self {
            Self::Report(report) => report.reason.as_deref() == Some(name),
            Self::OutputClosed => false,
        }
    }

    /// Exits with [`EXIT_FAILED`], whatever went wrong.
    pub(super) fn into_failed(mut self) -> Self {
        if let Self::Report(report) = &mut self {
            report.exit_code = EXIT_FAILED;
        }
        self
    }

    /// The server's answer to a request that had this text in it.
    pub(super) fn in_text(status: &Status, source: SourceText<'_>) -> Self {
        let mut report = Report::new(status);
        let details = status.get_error_details();
        let number = |key: &str| details.error_info()?.metadata.get(key)?.parse::<usize>().ok();
        report.place = number("line").map(|line| Place::new(source, line, number("column")));
        Self::Report(Box::new(report))
    }

    /// What the server found wrong with this text, without running it.
    pub(super) fn fault(fault: &TextFault, source: SourceText<'_>) -> Self {
        let number = |number: i64| usize::try_from(number).ok().filter(|&number| number > 0);
        let reason = ErrorReason::from_str_name(&format!("ERROR_REASON_{}", fault.reason));
        Self::Report(Box::new(Report {
            exit_code: EXIT_FAILED,
            message: fault.message.clone(),
            reason: Some(fault.reason.clone()),
            place: number(fault.line).map(|line| Place::new(source, line, number(fault.column))),
            hint: reason.and_then(hint).map(str::to_owned),
        }))
    }

    /// Tells standard error, and returns the exit code.
    pub(super) fn tell(self) -> ExitCode {
        match self {
            Self::Report(report) => {
                anstream::eprintln!("{report}");
                ExitCode::from(report.exit_code)
            }
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }

    fn report(exit_code: u8, message: impl Into<String>) -> Self {
        Self::Report(Box::new(Report {
            exit_code,
            message: message.into(),
            ..Report::default()
        }))
    }
}

/// Returns the reason of a status, if the server gave one that this version knows.
pub(super) fn reason(status: &Status) -> Option<ErrorReason> {
    let details = status.get_error_details();
    ErrorReason::from_str_name(&format!("ERROR_REASON_{}", details.error_info()?.reason))
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Report(Box::new(Report::new(&status)))
    }
}

/// A failure to write to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        Self::failed(format!("cannot write the output: {error}"))
    }
}

impl Place {
    fn new(source: SourceText<'_>, line: usize, column: Option<usize>) -> Self {
        let quote = source
            .text
            .zip(column)
            .and_then(|(text, column)| caret::quote(text, line, column));
        Self {
            origin: source.origin.to_owned(),
            line,
            column,
            quote,
        }
    }
}

impl Report {
    fn new(status: &Status) -> Self {
        let exit_code = if status.code() == Code::Unavailable {
            EXIT_UNREACHABLE
        } else {
            EXIT_FAILED
        };
        let details = status.get_error_details();
        let name = details.error_info().map_or_else(
            // Not from Dossier: a proxy, or the connection.
            || format!("{:?}", status.code()),
            |info| info.reason.clone(),
        );
        let message = if status.message().is_empty() {
            status.code().description()
        } else {
            status.message()
        };
        Self {
            exit_code,
            message: message.to_owned(),
            reason: Some(name),
            place: None,
            hint: reason(status).and_then(hint).map(str::to_owned),
        }
    }
}

/// What a user can do about an error of the server, where its message does not say so already.
fn hint(reason: ErrorReason) -> Option<&'static str> {
    match reason {
        ErrorReason::UnknownPrefix => Some("`dossier info` lists the prefixes of the server"),
        ErrorReason::SparqlWrongForm => {
            Some("queries go to `dossier query`, updates (INSERT, DELETE, …) to `dossier update`")
        }
        ErrorReason::SparqlTooComplex | ErrorReason::QueryLimitExceeded => {
            Some("`dossier info` lists the limits of the server")
        }
        ErrorReason::MessageTooLarge => Some("`dossier load` takes data of any size"),
        ErrorReason::RevisionMismatch => {
            Some("somebody else wrote in between: read again, then try with the new revision")
        }
        ErrorReason::QueryNotFound => Some("`dossier queries` lists those that wait or run"),
        ErrorReason::QueryIdInUse => Some("choose another id, or let the server choose"),
        ErrorReason::PreconditionFailed => {
            Some("somebody else wrote in between: read again, then decide anew")
        }
        ErrorReason::FactNotFound => Some("`dossier facts` lists facts with their ids"),
        ErrorReason::GraphNotFound => {
            Some("`dossier query 'SELECT DISTINCT ?g { GRAPH ?g {} }'` lists the graphs")
        }
        ErrorReason::SourceUnknown => Some("give its title with --title"),
        ErrorReason::RequestIdReused => Some("choose a new --request-id for a new request"),
        ErrorReason::TermTooLarge => Some("keep it elsewhere, and write its IRI; or cut it in several"),
        ErrorReason::GraphFull => Some("start the server with a larger --graph-memory-max"),
        ErrorReason::DiskFull => Some("make room on the server's disk; reads go on meanwhile"),
        ErrorReason::ReaderTooSlow => {
            Some("resume where it ended: `dossier watch --after` with the revision of the last commit")
        }
        ErrorReason::TooManyWatchers => Some("start the server with a larger --watchers-max"),
        ErrorReason::DiffTooLarge => Some("take the commits themselves: `dossier watch --after`"),
        ErrorReason::WatchOtherHistory => Some("begin anew with the whole graph: `dossier watch --snapshot`"),
        ErrorReason::SenderTooSlow => Some("send it faster, or with `--chunked`, to go on with `--resume`"),
        ErrorReason::ImportOtherHistory => Some("begin anew, under the same request id"),
        ErrorReason::BackupOtherHistory => Some("start the server with another --backup-to"),
        ErrorReason::BackupOvertaken => Some("give each server a --backup-to of its own"),
        ErrorReason::BackupNotFound => Some("`dossier backup` makes one"),
        ErrorReason::BackupDamaged => Some("`dossier backup verify` lists all that is damaged"),
        ErrorReason::RevisionTooFarBack => Some("start the server with a larger --past-changes-max"),
        ErrorReason::RevisionCompacted => Some(
            "begin anew with the whole graph: `dossier watch --snapshot`; `dossier info` tells the earliest revision",
        ),
        ErrorReason::RevisionNotFound => Some("`dossier log` lists the newest revisions"),
        ErrorReason::Overloaded | ErrorReason::Unavailable | ErrorReason::CredentialsUnverifiable => {
            Some("try again in a moment")
        }
        ErrorReason::CredentialsMissing => Some(
            "give a token with --token-file or DOSSIER_TOKEN, or a certificate with --client-cert and --client-key",
        ),
        ErrorReason::CredentialsInvalid | ErrorReason::CredentialsExpired => {
            Some("ask the operator of the server for a new token: its log says what is wrong with this one")
        }
        ErrorReason::CallerLimitReached => {
            Some("ask for less, or wait: the server counts what each caller asks for in a minute")
        }
        ErrorReason::LogUnavailable => {
            Some("the server's log has the cause; reads go on, writes after a restart")
        }
        ErrorReason::DeadlineExceeded => {
            Some("ask for less (LIMIT), or allow more time with --timeout, up to the server's own")
        }
        ErrorReason::QueryMemoryExceeded => {
            Some("ask for less, or start the server with a larger --query-memory-max")
        }
        ErrorReason::NoRole | ErrorReason::GraphNotGranted | ErrorReason::AdminOnly => Some(
            "whoever runs the server gives roles: `dossier policy check --explain` shows them what you may do",
        ),
        ErrorReason::AccessReduced => Some("begin it again: what you may do has changed meanwhile"),
        ErrorReason::Internal | ErrorReason::BackupUnreachable => Some("the server's log has the cause"),
        ErrorReason::Unimplemented => Some("the server is of another version: `dossier info` tells which"),
        ErrorReason::Unspecified
        | ErrorReason::EntityNotFound
        | ErrorReason::InvalidField
        | ErrorReason::InvalidIri
        | ErrorReason::InvalidDate
        | ErrorReason::InvalidPageToken
        | ErrorReason::SparqlSyntax
        | ErrorReason::SparqlUnsupported
        | ErrorReason::SparqlEvaluation
        | ErrorReason::RdfSyntax
        | ErrorReason::RevisionNotReached
        | ErrorReason::RemoteFailed
        | ErrorReason::FactIdInUse
        | ErrorReason::FactAlreadyRetracted
        | ErrorReason::InvalidEdtf
        | ErrorReason::StatementInvalid
        | ErrorReason::DerivedTriple
        | ErrorReason::DerivedGraph
        | ErrorReason::ClaimContent
        | ErrorReason::Cancelled
        | ErrorReason::MalformedMessage
        | ErrorReason::InvalidParameter
        | ErrorReason::BackupNotConfigured
        | ErrorReason::BackupNewerFormat
        | ErrorReason::CredentialsNotYetValid
        | ErrorReason::QueryCancelled => None,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ERROR}error")?;
        if let Some(reason) = &self.reason {
            write!(f, "[{reason}]")?;
        }
        // A server's text must not command the terminal.
        write!(
            f,
            "{ERROR:#}: {}",
            super::term::printable(self.message.trim_end())
        )?;
        if let Some(place) = &self.place {
            write!(f, "\n {FRAME}-->{FRAME:#} {}:{}", place.origin, place.line)?;
            if let Some(column) = place.column {
                write!(f, ":{column}")?;
            }
            for line in place.quote.iter().flat_map(|quote| quote.lines()) {
                let (margin, rest) = line.split_once('|').unwrap_or(("", line));
                write!(f, "\n{FRAME}{margin}|{FRAME:#}{rest}")?;
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{HINT}hint{HINT:#}: {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::status::status;

    /// Returns the exit code and the text without colours.
    fn told(failure: Failure) -> (u8, String) {
        let Failure::Report(report) = failure else {
            panic!("{failure:?}")
        };
        (
            report.exit_code,
            anstream::adapter::strip_str(&report.to_string()).to_string(),
        )
    }

    #[test]
    fn syntax_errors_are_quoted() {
        let fault = status(
            Code::InvalidArgument,
            ErrorReason::SparqlSyntax,
            "expected WHERE",
            [("line", "2".to_owned()), ("column", "1".to_owned())],
        );
        let check = |text: Option<&str>, expected: &[&str]| {
            let failure = Failure::in_text(&fault, SourceText { origin: "q.rq", text });
            assert_eq!(told(failure), (1, expected.join("\n")));
        };
        let head = ["error[SPARQL_SYNTAX]: expected WHERE", " --> q.rq:2:1"];
        check(None, &head);
        check(
            Some("SELECT *\nWHRE {}"),
            &[head[0], head[1], "  |", "2 | WHRE {}", "  | ^"],
        );
        // A line that the text does not have.
        check(Some("SELECT *"), &head);
    }

    #[test]
    fn statuses_are_told_with_reason_and_hint() {
        let check = |status: Status, exit_code: u8, expected: &str| {
            assert_eq!(told(status.into()), (exit_code, expected.to_owned()));
        };
        check(
            status(
                Code::InvalidArgument,
                ErrorReason::UnknownPrefix,
                "entity: unknown prefix `x`",
                [],
            ),
            EXIT_FAILED,
            "error[UNKNOWN_PREFIX]: entity: unknown prefix `x`\nhint: `dossier info` lists the prefixes of the server",
        );
        check(
            status(Code::Unavailable, ErrorReason::Unavailable, "shutting down", []),
            EXIT_UNREACHABLE,
            "error[UNAVAILABLE]: shutting down\nhint: try again in a moment",
        );
        check(
            Status::not_found("no\u{1b}[2Jthing"),
            EXIT_FAILED,
            "error[NotFound]: no\u{fffd}[2Jthing",
        );
        check(
            Status::new(Code::Aborted, ""),
            EXIT_FAILED,
            "error[Aborted]: The operation was aborted",
        );
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        assert!(matches!(
            Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)),
            Failure::OutputClosed
        ));
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(told(full).0, EXIT_FAILED);
    }
}
