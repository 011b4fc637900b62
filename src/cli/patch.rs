//! Changes as text: RDF Patch (<https://jena.apache.org/documentation/rdf-patch/>), which has no row for graphs: those are
//! comments.

use std::{fmt::Write as _, io::Write as _};

use super::{
    failure::Failure,
    output::Output,
    term::{from_proto, printable},
};
use crate::proto::v1::{CommitFragment, DiffRevisionsResponse, Quad, Revision, Term};

/// Some changes, by their kind.
pub(super) struct Changes {
    dropped_graphs: Vec<Term>,
    created_graphs: Vec<Term>,
    removed: Vec<Quad>,
    inserted: Vec<Quad>,
}

impl From<CommitFragment> for Changes {
    fn from(fragment: CommitFragment) -> Self {
        Self {
            dropped_graphs: fragment.dropped_graphs,
            created_graphs: fragment.created_graphs,
            removed: fragment.removed,
            inserted: fragment.inserted,
        }
    }
}

impl From<DiffRevisionsResponse> for Changes {
    fn from(part: DiffRevisionsResponse) -> Self {
        Self {
            dropped_graphs: part.dropped_graphs,
            created_graphs: part.created_graphs,
            removed: part.removed,
            inserted: part.inserted,
        }
    }
}

/// Writes rows.
pub(super) fn write(output: &mut Output, changes: Changes) -> Result<(), Failure> {
    for graph in changes.dropped_graphs {
        writeln!(output, "# drop {}", term(Some(graph))?)?;
    }
    for graph in changes.created_graphs {
        writeln!(output, "# create {}", term(Some(graph))?)?;
    }
    for quad in changes.removed {
        writeln!(output, "D {} .", row(quad)?)?;
    }
    for quad in changes.inserted {
        writeln!(output, "A {} .", row(quad)?)?;
    }
    Ok(())
}

/// Writes graphs and quads that are there.
pub(super) fn write_graph(
    output: &mut Output,
    created_graphs: Vec<Term>,
    inserted: Vec<Quad>,
) -> Result<(), Failure> {
    let changes = Changes {
        dropped_graphs: Vec::new(),
        created_graphs,
        removed: Vec::new(),
        inserted,
    };
    write(output, changes)
}

/// Writes which commit it is, who made it, when and why, as a comment.
pub(super) fn write_header(output: &mut Output, header: &Revision) -> Result<(), Failure> {
    let hash = hash(header);
    let hyphen = if hash.is_empty() { "" } else { "-" };
    let parts = [
        format!("revision {}{hyphen}{hash}", header.revision),
        time(header),
        header.author.clone(),
        header.message.clone(),
    ];
    let parts: Vec<_> = parts.iter().filter(|part| !part.is_empty()).collect();
    let line = parts
        .iter()
        .map(|part| part.as_str())
        .collect::<Vec<_>>()
        .join(" · ");
    writeln!(output, "# {}", one_line(&line))?;
    Ok(())
}

/// Returns what tells a commit from others of its revision, in hexadecimal digits.
pub(super) fn hash(header: &Revision) -> String {
    header.hash.iter().fold(String::new(), |mut text, byte| {
        // A text takes all.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns when a commit was made (RFC 3339), to the second.
pub(super) fn time(header: &Revision) -> String {
    let time = header
        .commit_time
        .and_then(|time| std::time::SystemTime::try_from(time).ok());
    time.map(|time| humantime::format_rfc3339_seconds(time).to_string())
        .unwrap_or_default()
}

/// Returns a text that takes one line, and cannot command a terminal.
pub(super) fn one_line(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

fn row(quad: Quad) -> Result<String, Failure> {
    let mut row = format!(
        "{} <{}> {}",
        term(quad.subject)?,
        quad.predicate,
        term(quad.object)?
    );
    if quad.graph.is_some() {
        row.push(' ');
        row.push_str(&term(quad.graph)?);
    }
    Ok(row)
}

fn term(term: Option<Term>) -> Result<String, Failure> {
    let term = term.and_then(from_proto);
    term.map(|term| term.to_string())
        .ok_or_else(|| Failure::failed("the server sent a quad that is not whole"))
}
