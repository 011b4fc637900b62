//! Bounds a SPARQL text before any recursive parser sees it.
//!
//! One linear scan counts what makes the parser, the planner or the evaluator recurse or go back and forth. It knows
//! strings, comments, IRIs, variables and prefixed names, so that nothing in them counts. Where the grammar is ambiguous
//! without context (`<` opens an IRI or compares) it counts what the text could mean at worst.

use super::SparqlError;

/// Limits of a SPARQL text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GuardLimits {
    /// Bytes of the text.
    pub byte_count_max: usize,
    /// Brackets of any kind that are open at once.
    pub nesting_max: usize,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            byte_count_max: 1 << 20,
            nesting_max: 100,
        }
    }
}

/// Operators of expressions and paths in one operation: each may be a level of recursion.
const OPERATOR_COUNT_MAX: usize = 2_000;
/// UNION, OPTIONAL, MINUS, FILTER, BIND, GRAPH, VALUES, SELECT and EXISTS in one operation.
const CLAUSE_COUNT_MAX: usize = 500;
/// Triple patterns and steps of paths in one operation: planning takes time that grows faster than their number, and cannot be interrupted.
const PATTERN_COUNT_MAX: usize = 150;
/// Open brackets that the parser reads twice: after `!`, of `REGEX`, `SUBSTR`, `REPLACE`, `GROUP_CONCAT`. Each doubles its time.
const AMBIGUITY_MAX: usize = 8;
/// Bytes of an IRI.
const IRI_BYTE_COUNT_MAX: usize = 8_192;

/// What the scan found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Findings {
    /// The keyword SERVICE stands somewhere.
    pub(super) has_service: bool,
}

/// Scans a text.
pub(super) fn scan(text: &str, limits: GuardLimits) -> Result<Findings, SparqlError> {
    within("query_bytes_max", text.len(), limits.byte_count_max)?;
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        at: 0,
        limits,
        frames: Vec::new(),
        hidden_depth: 0,
        ambiguity: 0,
        bang_count: 0,
        previous: Previous::Other,
        values_pending: false,
        operator_count: 0,
        clause_count: 0,
        pattern_count: 0,
        findings: Findings::default(),
    };
    while scanner.token()? {}
    Ok(scanner.findings)
}

fn within(limit: &'static str, value: usize, max: usize) -> Result<(), SparqlError> {
    if value > max {
        return Err(SparqlError::TooComplex {
            limit,
            limit_value: max as u64,
        });
    }
    Ok(())
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Bracket {
    Brace,
    Parenthesis,
    Square,
    Reified,
}

#[derive(Clone, Copy)]
struct Frame {
    bracket: Bracket,
    /// How often the parser may read it, as a power of two.
    ambiguity: usize,
    /// Signs belong to numbers, commas and stops separate data: they do not count.
    is_data: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Previous {
    /// A word that opens triples which are no patterns: DATA, INSERT, DELETE, CONSTRUCT.
    Template,
    /// A function whose call the parser reads up to this power of two times.
    Ambiguous(usize),
    /// Any other word.
    Word,
    /// Anything else.
    Other,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: GuardLimits,
    frames: Vec<Frame>,
    /// Brackets that an IRI may hide, if it is no IRI: they count to the end.
    hidden_depth: usize,
    ambiguity: usize,
    /// `!` since the last operand.
    bang_count: usize,
    previous: Previous,
    /// VALUES was read, its brace not yet.
    values_pending: bool,
    operator_count: usize,
    clause_count: usize,
    pattern_count: usize,
    findings: Findings,
}

impl Scanner<'_> {
    /// Reads one token; false at the end.
    fn token(&mut self) -> Result<bool, SparqlError> {
        let Some(&byte) = self.bytes.get(self.at) else {
            return Ok(false);
        };
        let next = self.bytes.get(self.at + 1).copied();
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
            b'#' => self.skip_while(|byte| byte != b'\n' && byte != b'\r'),
            b'"' | b'\'' => {
                if !self.string(byte) {
                    // Unterminated: no parser gets past it.
                    return Ok(false);
                }
                self.operand();
            }
            b'<' => self.less_than()?,
            b'>' if next == Some(b'>') && self.top() == Some(Bracket::Reified) => {
                self.at += 2;
                self.close();
            }
            b'{' => self.open(Bracket::Brace, 1)?,
            b'(' => self.open(Bracket::Parenthesis, 1)?,
            b'[' => self.open(Bracket::Square, 1)?,
            b'}' | b')' | b']' => {
                self.at += 1;
                self.close();
            }
            b'?' | b'$' => {
                self.at += 1;
                self.skip_while(is_word);
                self.operand();
            }
            b'@' => {
                self.at += 1;
                self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
                self.operand();
            }
            b'0'..=b'9' => {
                self.number();
                self.operand();
            }
            byte if is_word(byte) || byte == b':' => self.word()?,
            _ => self.symbol(byte, next)?,
        }
        Ok(true)
    }

    fn symbol(&mut self, byte: u8, next: Option<u8>) -> Result<(), SparqlError> {
        self.at += 1;
        self.previous = Previous::Other;
        match (byte, next) {
            (b'!', Some(b'=')) | (b'^', Some(b'^')) => self.at += 1,
            (b'!', _) => {
                self.bang_count += 1;
                self.operator()?;
            }
            (b'|' | b'&', Some(second)) if second == byte => {
                self.at += 1;
                self.operator()?;
            }
            // The halves of `{|` and `|}`.
            (b'|', Some(b'}')) => {}
            (b'|', _) if self.at >= 2 && self.bytes[self.at - 2] == b'{' => {}
            // A step of a path becomes a pattern of its own.
            (b'/', _) => {
                self.operator()?;
                self.pattern()?;
            }
            (b'|' | b'^' | b'*', _) => self.operator()?,
            (b'+' | b'-', _) if !self.is_data() => self.operator()?,
            (b';', _) if self.frames.is_empty() => self.next_operation(),
            (b'.' | b';' | b',', _)
                if !self.is_data() && self.top().is_some_and(|top| top != Bracket::Parenthesis) =>
            {
                self.pattern()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The operations of an update do not add up.
    fn next_operation(&mut self) {
        self.operator_count = 0;
        self.clause_count = 0;
        self.pattern_count = 0;
    }

    fn word(&mut self) -> Result<(), SparqlError> {
        let start = self.at;
        self.skip_while(is_word);
        if self.bytes.get(self.at) == Some(&b':') {
            self.local_name();
            self.name();
            return Ok(());
        }
        let word = &self.bytes[start..self.at];
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
        if is("SERVICE") {
            self.findings.has_service = true;
        }
        if is("VALUES") {
            self.values_pending = true;
        }
        if [
            "UNION", "OPTIONAL", "MINUS", "FILTER", "BIND", "GRAPH", "VALUES", "SELECT", "EXISTS",
        ]
        .into_iter()
        .any(is)
        {
            // Data are a list, however many graphs they name.
            if !self.is_data() {
                self.clause_count += 1;
                within("clause_count_max", self.clause_count, CLAUSE_COUNT_MAX)?;
            }
        }
        self.previous = if ["DATA", "INSERT", "DELETE", "CONSTRUCT"].into_iter().any(is) {
            Previous::Template
        } else if is("GROUP_CONCAT") {
            Previous::Ambiguous(2)
        } else if ["REGEX", "SUBSTR", "REPLACE"].into_iter().any(is) {
            Previous::Ambiguous(1)
        } else {
            Previous::Word
        };
        if is("true") || is("false") || is("a") {
            self.operand();
        }
        Ok(())
    }

    /// The rest of a prefixed name or a blank node label, from the colon.
    fn local_name(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += match byte {
                b':' | b'-' | b'%' => 1,
                b'\\' => 2,
                byte if is_word(byte) => 1,
                _ => break,
            };
        }
    }

    fn number(&mut self) {
        self.skip_while(|byte| byte.is_ascii_digit());
        if self.bytes.get(self.at) == Some(&b'.')
            && self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit)
        {
            self.at += 1;
            self.skip_while(|byte| byte.is_ascii_digit());
        }
    }

    /// Skips a string; false if it does not end.
    fn string(&mut self, quote: u8) -> bool {
        let long = self.bytes[self.at..].starts_with(&[quote; 3]);
        self.at += if long { 3 } else { 1 };
        loop {
            match self.bytes.get(self.at) {
                None => return false,
                Some(b'\\') => self.at += 2,
                Some(b'\n' | b'\r') if !long => return false,
                Some(&byte) if byte == quote => {
                    if !long {
                        self.at += 1;
                        return true;
                    }
                    if self.bytes[self.at..].starts_with(&[quote; 3]) {
                        self.at += 3;
                        return true;
                    }
                    self.at += 1;
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// An IRI, `<<`, or a comparison.
    fn less_than(&mut self) -> Result<(), SparqlError> {
        if self.bytes.get(self.at + 1) == Some(&b'<') {
            self.at += 1;
            return self.open(Bracket::Reified, 1);
        }
        let rest = &self.bytes[self.at + 1..];
        let length = rest
            .iter()
            .position(|&byte| byte <= b' ' || b"<>\"{}|^`".contains(&byte))
            .unwrap_or(rest.len());
        if rest.get(length) != Some(&b'>') {
            self.at += 1;
            self.previous = Previous::Other;
            return Ok(());
        }
        within("iri_bytes_max", length, IRI_BYTE_COUNT_MAX)?;
        // It may be a comparison all the same (`1<((2))>3`): what it then hides must not escape.
        let (mut depth, mut depth_max) = (0_usize, 0_usize);
        for byte in &rest[..length] {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth_max = depth_max.max(depth);
        }
        within(
            "ambiguous_nesting_max",
            self.ambiguity + self.hidden_depth + depth_max,
            AMBIGUITY_MAX,
        )?;
        self.hidden_depth += depth;
        self.at += length + 2;
        self.name();
        Ok(())
    }

    fn open(&mut self, bracket: Bracket, width: usize) -> Result<(), SparqlError> {
        self.at += width;
        let mut ambiguity = usize::from(self.bang_count > 0);
        if let (Previous::Ambiguous(more), Bracket::Parenthesis) = (self.previous, bracket) {
            ambiguity += more;
        }
        let inherited = self.is_data();
        let is_data = inherited
            || bracket == Bracket::Brace
                && (self.previous == Previous::Template || std::mem::take(&mut self.values_pending));
        self.frames.push(Frame {
            bracket,
            ambiguity,
            is_data,
        });
        self.ambiguity += ambiguity;
        within(
            "query_nesting_max",
            self.frames.len() + self.hidden_depth,
            self.limits.nesting_max,
        )?;
        within(
            "ambiguous_nesting_max",
            self.ambiguity + self.hidden_depth,
            AMBIGUITY_MAX,
        )?;
        self.bang_count = 0;
        self.previous = Previous::Other;
        Ok(())
    }

    fn close(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.ambiguity -= frame.ambiguity;
        }
        self.operand();
    }

    /// An operand ended: the next bracket does not belong to the `!` before it.
    fn operand(&mut self) {
        self.bang_count = 0;
        self.previous = Previous::Other;
    }

    /// An IRI or prefixed name ended: an operand, or a function whose call is one.
    fn name(&mut self) {
        let mut rest = &self.bytes[self.at..];
        while let [b' ' | b'\t' | b'\r' | b'\n' | b'#', ..] = rest {
            let skipped = if rest[0] == b'#' {
                rest.iter()
                    .position(|&byte| byte == b'\n' || byte == b'\r')
                    .unwrap_or(rest.len())
            } else {
                1
            };
            rest = &rest[skipped..];
        }
        if rest.first() != Some(&b'(') {
            self.bang_count = 0;
        }
        self.previous = Previous::Word;
    }

    fn operator(&mut self) -> Result<(), SparqlError> {
        self.operator_count += 1;
        within("operator_count_max", self.operator_count, OPERATOR_COUNT_MAX)
    }

    fn pattern(&mut self) -> Result<(), SparqlError> {
        self.pattern_count += 1;
        within("pattern_count_max", self.pattern_count, PATTERN_COUNT_MAX)
    }

    fn top(&self) -> Option<Bracket> {
        self.frames.last().map(|frame| frame.bracket)
    }

    fn is_data(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.is_data)
    }

    fn skip_while(&mut self, accept: impl Fn(u8) -> bool) {
        while self.bytes.get(self.at).is_some_and(|&byte| accept(byte)) {
            self.at += 1;
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests;
