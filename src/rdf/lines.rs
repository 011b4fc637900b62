//! N-Triples and N-Quads in blocks of whole lines, which threads parse side by side.
//!
//! Where blocks end depends on nothing but the bytes from where the reading begins: two readings of a document cut it in the
//! same places. No block ends between two lines of one subject, unless it has become very long.

use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread,
};

use oxigraph::io::{RdfFormat, RdfParser, RdfSyntaxError};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Document, DocumentError, ImportError, Memory, Place, Waker, blank::relabelled, guard, of_io, parser,
    place_of,
};
use crate::graph::Batch;

/// Bytes of a block, about.
const BLOCK_BYTES: usize = 512 << 10;
/// Bytes of a block that ends wherever a line does, and of a line.
const BLOCK_BYTES_MAX: usize = 64 << 20;
/// Threads that parse one document.
const PARSER_COUNT_MAX: usize = 4;

/// Tells whether a format is read in blocks of lines.
pub(super) fn are_statements(format: RdfFormat) -> bool {
    matches!(format, RdfFormat::NTriples | RdfFormat::NQuads)
}

/// Some lines of a document.
struct Block {
    text: Vec<u8>,
    /// Lines before it.
    line_count: u64,
}

/// The quads of a block.
pub(super) struct ParsedBlock {
    pub(super) batch: Batch,
    pub(super) quad_count: u64,
    pub(super) byte_count: u64,
    pub(super) line_count: u64,
    /// Of its text.
    pub(super) hash: u64,
}

type Outcome = Result<ParsedBlock, ImportError>;

/// The threads that parse blocks, in turn.
struct Workers {
    threads: Vec<(SyncSender<Block>, Receiver<Outcome>)>,
    /// Whose turn is next.
    next: usize,
    /// Blocks that were given and not taken.
    given: usize,
}

impl Workers {
    fn are_busy(&self) -> bool {
        self.given == self.threads.len()
    }

    fn give(&mut self, block: Block) -> Result<(), ImportError> {
        let (to_parse, _) = &self.threads[self.next];
        to_parse.send(block).map_err(|_| ended_early())?;
        self.next = (self.next + 1) % self.threads.len();
        self.given += 1;
        Ok(())
    }

    /// Waits for the first block that was given and not taken; nothing if there is none.
    fn take(&mut self) -> Option<Outcome> {
        let outcome = self.first()?.recv();
        self.given -= 1;
        Some(outcome.map_err(|_| ended_early()).flatten())
    }

    /// As [`Self::take`], but does not wait.
    fn take_done(&mut self) -> Option<Outcome> {
        let outcome = match self.first()?.try_recv() {
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => Err(ended_early()),
            Ok(outcome) => outcome,
        };
        self.given -= 1;
        Some(outcome)
    }

    fn first(&self) -> Option<&Receiver<Outcome>> {
        let first = (self.next + self.threads.len() - self.given) % self.threads.len();
        (self.given > 0).then(|| &self.threads[first].1)
    }
}

fn ended_early() -> ImportError {
    ImportError::Fault("a thread that parses lines ended early".to_owned())
}

/// Reads a document and hands on its blocks in order. `waker` wakes the reader when a block is parsed: where that says that it would
/// block, what is parsed is handed on first. `salt` makes the labels of blank nodes; `line_count` lines came before.
pub(super) fn read(
    document: &Document,
    format: RdfFormat,
    (bytes, waker): (impl Read, &Waker),
    memory: &Memory,
    (salt, line_count): (u64, u64),
    mut take: impl FnMut(ParsedBlock) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut blocks = Blocks::new(bytes, line_count);
    let parser = parser(document, format)?;
    let parser_count = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let mut workers = Workers {
            threads: Vec::new(),
            next: 0,
            given: 0,
        };
        for _ in 0..parser_count.min(PARSER_COUNT_MAX) {
            let (to_parse, blocks) = sync_channel::<Block>(1);
            let (done, parsed) = sync_channel::<Outcome>(1);
            let parser = parser.clone();
            let put = move |outcome| {
                let is_wanted = done.send(outcome).is_ok();
                waker.wake();
                is_wanted
            };
            thread::Builder::new()
                .name("import-lines".to_owned())
                .stack_size(super::STACK_BYTES)
                .spawn_scoped(scope, move || work(&parser, salt, &blocks, put))
                .map_err(|error| ImportError::Fault(error.to_string()))?;
            workers.threads.push((to_parse, parsed));
        }
        loop {
            match blocks.next(memory)? {
                Next::Block(block) => {
                    if workers.are_busy()
                        && let Some(parsed) = workers.take()
                    {
                        take(parsed?)?;
                    }
                    workers.give(block)?;
                }
                Next::Waits => {
                    // What is there is not held back.
                    while let Some(parsed) = workers.take_done() {
                        take(parsed?)?;
                    }
                }
                Next::End => break,
            }
        }
        while let Some(parsed) = workers.take() {
            take(parsed?)?;
        }
        Ok(())
    })
}

/// Parses blocks until `put` says that nobody wants more.
fn work(parser: &RdfParser, salt: u64, blocks: &Receiver<Block>, put: impl Fn(Outcome) -> bool) {
    for block in blocks {
        if !put(parse(parser, salt, &block)) {
            return;
        }
    }
}

fn parse(parser: &RdfParser, salt: u64, block: &Block) -> Outcome {
    guard::check(&block.text, block.line_count).map_err(ImportError::Document)?;
    let mut batch = Batch::default();
    let mut quad_count = 0;
    for quad in parser.clone().for_slice(&block.text) {
        let quad = quad.map_err(|error| fault(&error, block.line_count))?;
        batch.insert(relabelled(quad, salt).as_ref());
        quad_count += 1;
    }
    Ok(ParsedBlock {
        batch,
        quad_count,
        byte_count: block.text.len() as u64,
        line_count: count_lines(&block.text),
        hash: xxh3_64(&block.text),
    })
}

/// Returns what is wrong with a block, with the place in the document: the parser only knows that in the block. Nothing is made as
/// large as the count of lines, which a resume token may say.
fn fault(error: &RdfSyntaxError, lines_before: u64) -> ImportError {
    let (mut place, mut message) = (place_of(error), error.to_string());
    if let (Some(place), Some(range)) = (&mut place, error.location()) {
        let shift = |message: &str, word: &str, line: u64| {
            let there = format!("{word}line {} ", line.saturating_add(lines_before));
            message.replacen(&format!("{word}line {line} "), &there, 1)
        };
        if range.start.line != range.end.line {
            message = shift(&message, " and ", range.end.line + 1);
        }
        message = shift(&message, "", place.line);
        place.line = place.line.saturating_add(lines_before);
    }
    ImportError::Document(DocumentError { message, place })
}

/// Cuts a document into blocks.
struct Blocks<R> {
    bytes: R,
    /// What was read and belongs to the next block.
    rest: Vec<u8>,
    /// Bytes in which the next block is to end.
    wanted: usize,
    line_count: u64,
    is_ended: bool,
}

/// What a look at the document came to.
enum Next {
    Block(Block),
    /// More is to come, and is not there yet, or there is something to do first.
    Waits,
    End,
}

impl<R: Read> Blocks<R> {
    fn new(bytes: R, line_count: u64) -> Self {
        Self {
            bytes,
            rest: Vec::new(),
            wanted: BLOCK_BYTES,
            line_count,
            is_ended: false,
        }
    }

    /// Reads the next block. Where it ends does not depend on how the bytes come.
    fn next(&mut self, memory: &Memory) -> Result<Next, ImportError> {
        loop {
            if !self.is_ended && self.rest.len() < self.wanted {
                let missing = self.wanted - self.rest.len();
                let read = (&mut self.bytes).take(missing as u64).read_to_end(&mut self.rest);
                match read {
                    Ok(count) => self.is_ended = count < missing,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Next::Waits),
                    Err(error) => return Err(of_io(&error, memory)),
                }
            }
            if self.rest.is_empty() {
                return Ok(Next::End);
            }
            let end = match self.rest.get(..self.wanted) {
                None => Some(self.rest.len()),
                Some(text) if self.wanted < BLOCK_BYTES_MAX => last_subject(text),
                Some(text) => last_line(text),
            };
            if let Some(end) = end {
                return Ok(Next::Block(self.cut(end)));
            }
            if self.wanted >= BLOCK_BYTES_MAX {
                return Err(ImportError::Document(DocumentError {
                    message: format!("a line of more than {BLOCK_BYTES_MAX} bytes"),
                    place: Some(Place {
                        line: self.line_count + 1,
                        column: 1,
                    }),
                }));
            }
            self.wanted *= 2;
        }
    }

    fn cut(&mut self, end: usize) -> Block {
        let rest = self.rest.split_off(end);
        let block = Block {
            text: std::mem::replace(&mut self.rest, rest),
            line_count: self.line_count,
        };
        self.line_count += count_lines(&block.text);
        self.wanted = BLOCK_BYTES;
        block
    }
}

/// Returns the end of the last whole line.
fn last_line(text: &[u8]) -> Option<usize> {
    text.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1)
}

/// Returns the last place between two lines of different subjects; what comes behind it need not be a whole line.
fn last_subject(text: &[u8]) -> Option<usize> {
    let mut end = last_line(text)?;
    loop {
        let start = last_line(&text[..end - 1])?;
        let next = subject(&text[end..]);
        // Of what is cut off nobody knows how its subject ends.
        if next.is_some_and(|next| Some(next) != subject(&text[start..end])) {
            return Some(end);
        }
        end = start;
    }
}

/// Returns the first word of a line, if the text goes on behind it.
fn subject(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    Some(&line[..end])
}

#[expect(
    clippy::naive_bytecount,
    reason = "the compiler makes vector instructions of it"
)]
fn count_lines(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn cut(text: &str, from: usize) -> Vec<usize> {
        let memory = Memory::new(u64::MAX);
        let mut blocks = Blocks::new(&text.as_bytes()[from..], 0);
        let mut ends = Vec::new();
        let mut end = from;
        while let Next::Block(block) = blocks.next(&memory).unwrap() {
            end += block.text.len();
            ends.push(end);
        }
        ends
    }

    #[test]
    fn blocks_end_between_subjects_and_are_the_same_from_any_of_their_ends() {
        let mut text = String::new();
        for number in 0..60_000 {
            writeln!(text, "<http://a/{}> <http://p> \"{number}\" .", number / 7).unwrap();
        }
        let ends = cut(&text, 0);
        assert!(ends.len() > 3 && ends.last() == Some(&text.len()));
        for (index, &end) in ends.iter().enumerate() {
            assert_eq!(cut(&text, end), ends[index + 1..]);
            let word = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
            let before = text[..end].lines().last().unwrap();
            assert_ne!(word(before), word(&text[end..]));
        }
        // One subject is one block, and what has no line break at its end is the last.
        let one = "<http://a> <http://p> 1 .\n".repeat(100_000);
        assert_eq!(cut(&one, 0), [one.len()]);
        assert_eq!(cut("<a> <b> <c> .", 0), [13]);
        assert_eq!(cut("", 0), [0_usize; 0]);
    }

    #[test]
    fn an_error_is_placed_in_the_document() {
        let parser = RdfParser::from_format(RdfFormat::NQuads);
        let parsed = |text: &[u8], line_count: u64| {
            let block = Block {
                text: text.to_vec(),
                line_count,
            };
            match parse(&parser, 0, &block) {
                Err(ImportError::Document(error)) => (error.message, error.place.unwrap()),
                _ => panic!("{}", String::from_utf8_lossy(text)),
            }
        };
        // On one character, on several, and over lines.
        for fault in [
            "<http://a> <http://b> ?",
            "<http://a> <http://b c> 1 .",
            "<http://a> <http://b>\n\n<http://c>",
        ] {
            let text = format!("<http://a> <http://b> <http://line> .\n{fault} .\n");
            for line_count in [0, 1, 9, 1_000] {
                let whole = "\n".repeat(line_count) + &text;
                let expected = parsed(whole.as_bytes(), 0);
                assert_eq!(parsed(text.as_bytes(), line_count as u64), expected, "{fault}");
            }
            let (message, place) = parsed(text.as_bytes(), u64::MAX / 2);
            assert!(place.line > u64::MAX / 2, "{message}");
        }
    }

    #[test]
    fn the_last_subject_is_found_in_what_may_be_cut_off() {
        for (text, expected) in [
            ("a 1\na 2\nb 1\nb", Some(8)),
            ("a 1\na 2\nb 1\nb 2\nc", Some(8)),
            ("a 1\na 2\nb ", Some(8)),
            ("a 1\na 2\nb", None),
            ("a 1\na 2\n", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(last_subject(text.as_bytes()), expected, "{text:?}");
        }
    }
}
