//! The scan itself, token by token.

use super::{Findings, GuardFigures, GuardLimits, within};
use crate::sparql::SparqlError;

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

pub(super) struct Scanner<'a> {
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
    pub(super) figures: GuardFigures,
    pub(super) findings: Findings,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, limits: GuardLimits) -> Self {
        Self {
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
            figures: GuardFigures {
                byte_count: text.len(),
                ..GuardFigures::default()
            },
            findings: Findings::default(),
        }
    }

    pub(super) fn run(&mut self) -> Result<(), SparqlError> {
        let byte_count = self.bytes.len();
        let largest = &mut self.figures.byte_count;
        within("query_bytes_max", byte_count, self.limits.byte_count_max, largest)?;
        while self.token()? {}
        Ok(())
    }

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
                within(
                    "query_clause_count_max",
                    self.clause_count,
                    self.limits.clause_count_max,
                    &mut self.figures.clause_count,
                )?;
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
        within(
            "query_iri_bytes_max",
            length,
            self.limits.iri_byte_count_max,
            &mut self.figures.iri_byte_count,
        )?;
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
        self.ambiguous(self.ambiguity + self.hidden_depth + depth_max)?;
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
            &mut self.figures.nesting,
        )?;
        self.ambiguous(self.ambiguity + self.hidden_depth)?;
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
        // A backslash at the very end escapes what is not there.
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
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
        within(
            "query_operator_count_max",
            self.operator_count,
            self.limits.operator_count_max,
            &mut self.figures.operator_count,
        )
    }

    fn ambiguous(&mut self, ambiguity: usize) -> Result<(), SparqlError> {
        within(
            "query_ambiguity_max",
            ambiguity,
            self.limits.ambiguity_max,
            &mut self.figures.ambiguity,
        )
    }

    fn pattern(&mut self) -> Result<(), SparqlError> {
        self.pattern_count += 1;
        within(
            "query_pattern_count_max",
            self.pattern_count,
            self.limits.pattern_count_max,
            &mut self.figures.pattern_count,
        )
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
