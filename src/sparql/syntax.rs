//! Where a text does not parse.
//!
//! The parser tells the farthest place that it read to. It tries keywords by reading as many characters as they have, so that
//! place is often some characters past the token that it stumbled over, even past the end of its line. Spaces put
//! before a token move that place only if the parser got to the token: so the token is found.

use spargebra::SparqlSyntaxError;

use super::SparqlError;

/// The longest keyword, `ENCODE_FOR_URI`, and a character.
const LOOKAHEAD_CHAR_COUNT: usize = 15;
/// Larger texts are not parsed again to find the token.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// More than any lookahead.
const SHIFT: usize = 64;
/// Characters of the token in a message.
const TOKEN_CHAR_COUNT_MAX: usize = 40;
/// What the parser says of its own accord rather than as an expected token, and how we say it.
const CAUSES: [(&str, &str); 6] = [
    ("Prefix not found", "prefix not found"),
    ("IRI parsing failed", "IRI parsing failed"),
    (
        "BIND is overriding an existing variable",
        "BIND is overriding an existing variable",
    ),
    (
        "Already used blank node id",
        "blank node label used in another group",
    ),
    (
        "The SELECT contains an expression with a variable that is unbound",
        "a variable of SELECT is not bound",
    ),
    (
        "Variables are not allowed in INSERT DATA",
        "variables are not allowed in INSERT DATA",
    ),
];

/// Describes an error; `parse` parses a text in the same way.
pub(super) fn describe(
    text: &str,
    error: &SparqlSyntaxError,
    parse: &dyn Fn(&str) -> Option<SparqlSyntaxError>,
) -> SparqlError {
    let message = error.to_string();
    let Some(farthest) = offset(text, &message) else {
        return SparqlError::Syntax {
            line: 1,
            column: 1,
            message,
        };
    };
    let at = if text.len() > TEXT_BYTES_MAX {
        farthest
    } else {
        token_before(text, farthest, parse)
    };
    let cause = CAUSES
        .iter()
        .find(|(theirs, _)| message.contains(theirs))
        .map(|(_, ours)| *ours);
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let found = match token(&text[at..]) {
        "" => "unexpected end of the text".to_owned(),
        token => format!("unexpected `{token}`"),
    };
    SparqlError::Syntax {
        line: before.matches('\n').count() as u64 + 1,
        column: before[line_start..].chars().count() as u64 + 1,
        message: cause.map_or_else(|| found.clone(), |cause| format!("{found}: {cause}")),
    }
}

/// Reads the place from `error at 1:8: expected …`.
fn offset(text: &str, message: &str) -> Option<usize> {
    let (place, _) = message.strip_prefix("error at ")?.split_once(": ")?;
    let (line, column) = place.split_once(':')?;
    let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
    let line_start = match line.checked_sub(2) {
        None => 0,
        Some(index) => text.match_indices('\n').nth(index)?.0 + 1,
    };
    let rest = &text[line_start..];
    let in_line = rest
        .char_indices()
        .nth(column.checked_sub(1)?)
        .map_or(rest.len(), |(at, _)| at);
    Some(line_start + in_line)
}

/// Returns the start of the last token that the parser got to.
fn token_before(text: &str, farthest: usize, parse: &dyn Fn(&str) -> Option<SparqlSyntaxError>) -> usize {
    let mut starts: Vec<usize> = text[..farthest]
        .char_indices()
        .rev()
        .take(LOOKAHEAD_CHAR_COUNT + 1)
        .map(|(at, _)| at)
        .collect();
    starts.insert(0, farthest);
    // A long token may end there and begin far before.
    starts.extend(text[..farthest].rfind(char::is_whitespace).map(|at| at + 1));
    let spaces = " ".repeat(SHIFT);
    starts
        .into_iter()
        .filter(|&at| at == text.len() || is_start(text, at))
        .find(|&at| {
            let moved = format!("{}{spaces}{}", &text[..at], &text[at..]);
            let message = parse(&moved).map(|error| error.to_string());
            message
                .and_then(|message| offset(&moved, &message))
                .is_some_and(|place| place >= at + SHIFT)
        })
        .unwrap_or(farthest)
}

/// Tells whether a token may start at a place: not in the middle of a word or of what looks like an IRI.
fn is_start(text: &str, at: usize) -> bool {
    let next = text[at..].chars().next();
    let previous = text[..at].chars().next_back();
    let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let is_bracket = |c: Option<char>| c.is_some_and(|c| "{}()[];,.".contains(c));
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    let in_iri = line.rfind('<').is_some_and(|open| {
        !line[open..].contains('>') && line[open + 1..].starts_with(|c: char| !c.is_whitespace())
    });
    !in_iri && !is_space(next) && (is_space(previous) || is_bracket(previous) || is_bracket(next))
}

/// Returns the token that a text begins with.
fn token(text: &str) -> &str {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let ends = |c: char| c.is_whitespace() || "{}()[];,".contains(c);
    let end = match text.as_bytes().first() {
        Some(b'<') => text
            .find('>')
            .map(|at| at + 1)
            .filter(|&at| !text[..at].contains('\n'))
            .unwrap_or(first),
        Some(b'{' | b'}' | b'(' | b')' | b'[' | b']' | b';' | b',' | b'.') => first,
        _ => text.find(ends).unwrap_or(text.len()),
    };
    let token = &text[..end];
    token
        .char_indices()
        .nth(TOKEN_CHAR_COUNT_MAX)
        .map_or(token, |(cut, _)| &token[..cut])
}
