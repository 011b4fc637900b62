//! Lookup tables: texts by number, on both ends of a stream.

use std::collections::HashMap;

/// A table as it is read. Numbers are from 1.
pub(super) struct ReadTable {
    name: &'static str,
    texts: Vec<Box<str>>,
    length_max: u32,
    last: u32,
}

impl ReadTable {
    pub(super) fn new(name: &'static str, length_max: u32) -> Self {
        Self {
            name,
            texts: Vec::new(),
            length_max,
            last: 0,
        }
    }

    /// Puts a text under a number, 0 for the one after the last. Returns the bytes that it takes more.
    pub(super) fn put(&mut self, number: u32, text: String) -> Result<isize, String> {
        let number = if number == 0 {
            self.last.saturating_add(1)
        } else {
            number
        };
        if number > self.length_max {
            return Err(format!(
                "entry {number} of the table of {}, which has {}",
                self.name, self.length_max
            ));
        }
        self.last = number;
        let index = number as usize - 1;
        if self.texts.len() <= index {
            self.texts.resize(index + 1, Box::default());
        }
        let taken = text.len().cast_signed() - self.texts[index].len().cast_signed();
        self.texts[index] = text.into_boxed_str();
        Ok(taken)
    }

    pub(super) fn get(&self, number: u32) -> Result<&str, String> {
        (number as usize)
            .checked_sub(1)
            .and_then(|index| self.texts.get(index))
            .map(|text| &**text)
            .ok_or_else(|| format!("the table of {} has no entry {number}", self.name))
    }
}

/// A table as it is written: when it is full a text goes that was not used for a while, never one of the statement at hand.
pub(super) struct WriteTable {
    numbers: HashMap<Box<str>, u32>,
    entries: Vec<Entry>,
    length_max: u32,
    hand: usize,
    last_put: u32,
}

struct Entry {
    text: Box<str>,
    statement: u64,
    is_used: bool,
}

/// A number for a text.
pub(super) struct Numbered {
    pub(super) number: u32,
    /// The number of the new entry to write first, 0 for the one after the last.
    pub(super) put: Option<u32>,
}

impl WriteTable {
    pub(super) fn new(length_max: u32) -> Self {
        Self {
            numbers: HashMap::new(),
            entries: Vec::new(),
            length_max,
            hand: 0,
            last_put: 0,
        }
    }

    /// Returns the number of a text in a statement; nothing if the statement has more texts than the table.
    pub(super) fn number(&mut self, text: &str, statement: u64) -> Option<Numbered> {
        if let Some(&number) = self.numbers.get(text) {
            let entry = &mut self.entries[number as usize - 1];
            (entry.statement, entry.is_used) = (statement, true);
            return Some(Numbered { number, put: None });
        }
        let entry = Entry {
            text: text.into(),
            statement,
            is_used: true,
        };
        let index = if self.entries.len() < self.length_max as usize {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let index = self.leaving(statement)?;
            let left = std::mem::replace(&mut self.entries[index], entry);
            self.numbers.remove(&left.text);
            index
        };
        let number = u32::try_from(index + 1).ok()?;
        self.numbers.insert(text.into(), number);
        let put = if number == self.last_put + 1 { 0 } else { number };
        self.last_put = number;
        Some(Numbered {
            number,
            put: Some(put),
        })
    }

    /// The hand goes round: what was used since it last came by gets another round.
    fn leaving(&mut self, statement: u64) -> Option<usize> {
        for _ in 0..2 * self.entries.len() {
            let index = self.hand;
            self.hand = (self.hand + 1) % self.entries.len();
            let entry = &mut self.entries[index];
            if entry.statement != statement && !std::mem::take(&mut entry.is_used) {
                return Some(index);
            }
        }
        None
    }
}
