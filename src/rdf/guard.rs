//! Refuses what would break a parser, before the parser sees it: nesting, document types, endless attributes, contexts that
//! are copied without end.
//!
//! The scan is linear and knows just enough of each syntax to tell structure from text.

mod json;

use std::io::{self, Read};

use oxigraph::io::RdfFormat;

use super::{DocumentError, Place, ReadError, Share};
use json::Json;

/// Levels of brackets in a document.
const NESTING_MAX: u32 = 200;
/// Attributes of one XML element: the parser's work grows with their square.
const ATTRIBUTE_COUNT_MAX: u32 = 256;
/// Bytes of the tags that are open in XML: the parser keeps the namespaces that they declare (RUSTSEC-2026-0195).
const OPEN_TAG_BYTES_MAX: u64 = 4 << 20;

/// A reader that fails as soon as the document does not pass.
pub(super) struct Guarded<R> {
    inner: R,
    scan: Scan,
    /// What the parser takes for what it has not taken apart.
    share: Share,
    graph_bytes: u64,
    line: u64,
    column: u64,
}

enum Scan {
    Terse(Terse),
    Json(Json),
    Xml(Xml),
}

impl<R> Guarded<R> {
    /// Guards the parser of a format; what it takes is of the memory of `share`, beside the graph's.
    pub(super) fn new(inner: R, format: RdfFormat, share: Share, graph_bytes: u64) -> Self {
        let scan = match format {
            RdfFormat::JsonLd { .. } => Scan::Json(Json::default()),
            RdfFormat::RdfXml => Scan::Xml(Xml::default()),
            _ => Scan::Terse(Terse::default()),
        };
        Self {
            inner,
            scan,
            share,
            graph_bytes,
            line: 1,
            column: 1,
        }
    }
}

/// Checks some whole lines of N-Triples or N-Quads, before which there are others. Only triple terms nest there.
pub(super) fn check(lines: &[u8], line_count: u64) -> Result<(), DocumentError> {
    if !lines.windows(2).any(|pair| pair == b"<<") {
        return Ok(());
    }
    let mut scan = Terse::default();
    let (mut line, mut column) = (line_count + 1, 1);
    for &byte in lines {
        if let Some(message) = scan.next(byte) {
            return Err(DocumentError {
                message: message.to_owned(),
                place: Some(Place { line, column }),
            });
        }
        if byte == b'\n' {
            (line, column) = (line + 1, 1);
        } else if byte & 0xC0 != 0x80 {
            column += 1;
        }
    }
    Ok(())
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for &byte in &buffer[..count] {
            let fault = match &mut self.scan {
                Scan::Terse(scan) => scan.next(byte),
                Scan::Json(scan) => scan.next(byte),
                Scan::Xml(scan) => scan.next(byte),
            };
            if let Some(message) = fault {
                let place = Some(Place {
                    line: self.line,
                    column: self.column,
                });
                let error = ReadError::Refused(DocumentError {
                    message: message.to_owned(),
                    place,
                });
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
            if byte == b'\n' {
                self.line += 1;
                self.column = 1;
            } else if byte & 0xC0 != 0x80 {
                self.column += 1;
            }
        }
        if let Scan::Json(scan) = &self.scan {
            self.share
                .set(scan.kept_bytes(), self.graph_bytes)
                .map_err(|_| io::Error::new(io::ErrorKind::QuotaExceeded, ReadError::Full))?;
        }
        Ok(count)
    }
}

type Fault = Option<&'static str>;

const TOO_DEEP: Fault = Some("nested deeper than 200 levels");

/// N-Triples, N-Quads, Turtle, TriG.
#[derive(Default)]
struct Terse {
    state: TerseState,
    depth: u32,
}

#[derive(Clone, Copy, Default)]
enum TerseState {
    #[default]
    Plain,
    Comment,
    Escape,
    /// After `<`: an IRI begins, or a triple term with the next `<`.
    Less,
    /// After `>` outside of an IRI.
    Greater,
    Iri,
    /// So many quotes seen, of this kind.
    Opening(u8, u8),
    Short(u8, bool),
    /// Inside of a long string: quotes seen in a row, and whether the next character is escaped.
    Long(u8, u8, bool),
}

impl Terse {
    fn next(&mut self, byte: u8) -> Fault {
        use TerseState as S;
        self.state = match self.state {
            S::Plain => return self.plain(byte),
            S::Comment if byte == b'\n' || byte == b'\r' => S::Plain,
            S::Iri if byte == b'>' => S::Plain,
            // No IRI holds these: the parser will say so.
            S::Iri if byte == b'\n' => S::Plain,
            S::Less if byte == b'<' => {
                self.depth += 1;
                S::Plain
            }
            S::Less if byte == b'>' => S::Plain,
            S::Less => S::Iri,
            S::Greater if byte == b'>' => {
                self.depth = self.depth.saturating_sub(1);
                S::Plain
            }
            S::Greater | S::Escape => {
                let was_escape = matches!(self.state, S::Escape);
                self.state = S::Plain;
                return if was_escape { None } else { self.plain(byte) };
            }
            S::Opening(quote, 1) if byte == quote => S::Opening(quote, 2),
            S::Opening(quote, 1) => short(quote, byte),
            S::Opening(quote, _) if byte == quote => S::Long(quote, 0, false),
            // An empty string has ended.
            S::Opening(..) => {
                self.state = S::Plain;
                return self.plain(byte);
            }
            S::Short(quote, true) => S::Short(quote, false),
            S::Short(quote, false) => {
                if byte == quote || byte == b'\n' {
                    S::Plain
                } else {
                    short(quote, byte)
                }
            }
            S::Long(quote, _, true) => S::Long(quote, 0, false),
            S::Long(quote, 2, false) if byte == quote => S::Plain,
            S::Long(quote, seen, false) if byte == quote => S::Long(quote, seen + 1, false),
            S::Long(quote, _, false) => S::Long(quote, 0, byte == b'\\'),
            state @ (S::Comment | S::Iri) => state,
        };
        if self.depth > NESTING_MAX { TOO_DEEP } else { None }
    }

    fn plain(&mut self, byte: u8) -> Fault {
        use TerseState as S;
        match byte {
            b'#' => self.state = S::Comment,
            b'\\' => self.state = S::Escape,
            b'<' => self.state = S::Less,
            b'>' => self.state = S::Greater,
            b'"' | b'\'' => self.state = S::Opening(byte, 1),
            b'[' | b'(' | b'{' => self.depth += 1,
            b']' | b')' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if self.depth > NESTING_MAX { TOO_DEEP } else { None }
    }
}

const fn short(quote: u8, byte: u8) -> TerseState {
    TerseState::Short(quote, byte == b'\\')
}

#[derive(Default)]
struct Xml {
    state: XmlState,
    /// The bytes of each tag that is open, and of all of them.
    open: Vec<u64>,
    open_bytes: u64,
    /// Of the tag at hand.
    tag_bytes: u64,
    attributes: u32,
    /// The last bytes of markup, to tell its kinds and their ends.
    recent: [u8; 3],
    offset: u64,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum XmlState {
    #[default]
    Text,
    /// Right after `<`.
    Open,
    /// After `<!`.
    Declaration,
    /// After `<!-`.
    Dash,
    Comment,
    Cdata,
    Instruction,
    Tag {
        is_end: bool,
        quote: u8,
    },
}

impl Xml {
    fn next(&mut self, byte: u8) -> Fault {
        use XmlState as S;
        self.offset += 1;
        if byte == 0 || (self.offset == 1 && byte >= 0xFE) {
            return Some("RDF/XML must be in UTF-8");
        }
        self.recent = [self.recent[1], self.recent[2], byte];
        let ended = self.recent;
        if matches!(self.state, S::Tag { is_end: false, .. }) {
            self.tag_bytes += 1;
            if self.open_bytes + self.tag_bytes > OPEN_TAG_BYTES_MAX {
                return Some("the tags that are open take more than 4 MiB");
            }
        }
        match self.state {
            S::Text if byte == b'<' => self.state = S::Open,
            S::Open => {
                self.attributes = 0;
                self.tag_bytes = 0;
                self.recent = [0; 3];
                let (is_end, quote) = (byte == b'/', 0);
                self.state = match byte {
                    b'!' => S::Declaration,
                    b'?' => S::Instruction,
                    _ => S::Tag { is_end, quote },
                };
                // The parser takes `<?>` and `<>` as whole: their first byte counts.
                self.recent[2] = byte;
                if matches!(self.state, S::Tag { .. }) && !is_end {
                    return self.tag(byte, is_end);
                }
            }
            S::Declaration => match byte {
                b'-' => self.begin(S::Dash),
                b'[' => self.begin(S::Cdata),
                _ => return Some("a document type is not taken"),
            },
            // `<!-->` and `<!--->` are no whole comments.
            S::Dash if byte == b'-' => self.begin(S::Comment),
            S::Dash => return Some("a comment begins with <!--"),
            S::Comment if ended == *b"-->" => self.state = S::Text,
            S::Cdata if ended == *b"]]>" => self.state = S::Text,
            S::Instruction if byte == b'>' && ended[1] == b'?' => self.state = S::Text,
            S::Tag { is_end, quote: 0 } => return self.tag(byte, is_end),
            S::Tag { is_end, quote } if byte == quote => self.state = S::Tag { is_end, quote: 0 },
            S::Text | S::Comment | S::Cdata | S::Instruction | S::Tag { .. } => {}
        }
        None
    }

    fn begin(&mut self, state: XmlState) {
        self.recent = [0; 3];
        self.state = state;
    }

    fn tag(&mut self, byte: u8, is_end: bool) -> Fault {
        match byte {
            b'"' | b'\'' => self.state = XmlState::Tag { is_end, quote: byte },
            b'=' => self.attributes += 1,
            b'>' => {
                self.state = XmlState::Text;
                if is_end {
                    self.open_bytes -= self.open.pop().unwrap_or(0);
                } else if self.recent[1] != b'/' {
                    self.open.push(self.tag_bytes);
                    self.open_bytes += self.tag_bytes;
                }
            }
            _ => {}
        }
        if self.open.len() > NESTING_MAX as usize {
            TOO_DEEP
        } else if self.attributes > ATTRIBUTE_COUNT_MAX {
            Some("an element has more than 256 attributes")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
