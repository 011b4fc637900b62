//! Reads EDTF texts.

use super::{Bounds, Date, Edge, EdtfError, Precision, Reason};
use crate::model::day::{Day, days_in};

/// Reads a date, a date with a time, an interval, or a set of which one is meant.
pub(super) fn bounds(text: &str) -> Result<Bounds, EdtfError> {
    match text.bytes().next() {
        Some(b'[') => return one_of(text),
        Some(b'{') => return all_of(text),
        _ => {}
    }
    let Some(slash) = text.find('/') else {
        return single(text);
    };
    let (start, end) = (&text[..slash], &text[slash + 1..]);
    if start.is_empty() && end.is_empty() {
        return Err(error(0, Reason::NothingKnown));
    }
    let start = edge(start, 0)?;
    let (end, rest) = end.split_at(end.find('/').unwrap_or(end.len()));
    let bounds = Bounds {
        start,
        end: edge(end, slash + 1)?,
    };
    if !rest.is_empty() {
        return Err(error(slash + 1 + end.len(), Reason::SecondSlash));
    }
    match (bounds.earliest_start(), bounds.latest_end()) {
        (Some(first), Some(over)) if first >= over => Err(error(slash + 1, Reason::EndBeforeStart)),
        _ => Ok(bounds),
    }
}

/// Reads a set of which one is meant as the date that spans its dates.
fn one_of(text: &str) -> Result<Bounds, EdtfError> {
    let mut whole: Option<Date> = None;
    set(text, b']', |_, [first, last]| {
        let member = spanning(first, last);
        whole = Some(whole.map_or(member, |whole| spanning(whole, member)));
        Ok(())
    })?;
    let date = whole.ok_or(error(1, Reason::Set))?;
    Ok(Bounds {
        start: Edge::Date(date),
        end: Edge::Date(date),
    })
}

/// Reads a set of which all are meant as the interval from its first date to its last, if each follows the one before.
fn all_of(text: &str) -> Result<Bounds, EdtfError> {
    let mut whole: Option<[Date; 2]> = None;
    set(text, b'}', |column, [first, last]| {
        let begin = match whole {
            None => first,
            Some([begin, end]) if end.last.next() == first.first => begin,
            Some(_) => return Err(error(column, Reason::AllOf)),
        };
        whole = Some([begin, last]);
        Ok(())
    })?;
    let [start, end] = whole.ok_or(error(1, Reason::Set))?;
    // That one in the middle is not sure says nothing of the begin and the end: it would be lost.
    let mut dates = Vec::new();
    let mut column = 1;
    for date in text.trim_matches(['{', '}']).split([',', '.']) {
        if !date.is_empty() {
            dates.push((column, date));
        }
        column += date.len() + 1;
    }
    let mut between = dates.iter().skip(1).take(dates.len().saturating_sub(2));
    if let Some((column, _)) = between.find(|(_, date)| date.contains(['X', '?', '~', '%'])) {
        return Err(error(*column, Reason::AllOf));
    }
    Ok(Bounds {
        start: Edge::Date(start),
        end: Edge::Date(end),
    })
}

/// Hands on the members of a set with their columns: the first date of each and its last, which are the same but in ranges.
fn set(
    text: &str,
    close: u8,
    mut take: impl FnMut(usize, [Date; 2]) -> Result<(), EdtfError>,
) -> Result<(), EdtfError> {
    let mut reader = Reader {
        text: text.as_bytes(),
        at: 1,
        base: 0,
    };
    loop {
        let column = reader.at;
        let first = reader.member()?;
        let mut last = first;
        if reader.takes(b'.') {
            if !reader.takes(b'.') {
                return Err(reader.error(Reason::Set));
            }
            let column = reader.at;
            last = reader.member()?;
            if last.last < first.first {
                return Err(error(column, Reason::EndBeforeStart));
            }
        }
        take(column, [first, last])?;
        if !reader.takes(b',') {
            break;
        }
    }
    if !reader.takes(close) {
        return Err(reader.error(Reason::Set));
    }
    reader.finish()
}

/// Returns a date that can be whatever one of two can be.
fn spanning(one: Date, other: Date) -> Date {
    Date {
        first: one.first.min(other.first),
        last: one.last.max(other.last),
        precision: one.precision.min(other.precision),
        uncertain: one.uncertain || other.uncertain,
        approximate: one.approximate || other.approximate,
    }
}

fn single(text: &str) -> Result<Bounds, EdtfError> {
    if text.is_empty() {
        return Err(error(0, Reason::Empty));
    }
    let mut reader = Reader {
        text: text.as_bytes(),
        at: 0,
        base: 0,
    };
    let date = reader.date()?;
    if reader.takes(b'T') {
        reader.time(&date)?;
    }
    reader.finish()?;
    Ok(Bounds {
        start: Edge::Date(date),
        end: Edge::Date(date),
    })
}

fn edge(text: &str, base: usize) -> Result<Edge, EdtfError> {
    match text {
        "" => Ok(Edge::Unknown),
        ".." => Ok(Edge::Open),
        _ => {
            let mut reader = Reader {
                text: text.as_bytes(),
                at: 0,
                base,
            };
            let date = reader.date()?;
            if reader.peek() == Some(b'T') {
                return Err(reader.error(Reason::TimeInInterval));
            }
            reader.finish()?;
            Ok(Edge::Date(date))
        }
    }
}

/// Makes an error at an offset. Nothing but ASCII comes before it, so that bytes are characters.
fn error(offset: usize, reason: Reason) -> EdtfError {
    EdtfError {
        column: offset + 1,
        reason,
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the text begins in the whole.
    base: usize,
}

/// A year as it is written.
#[derive(Clone, Copy)]
struct Year {
    first: i64,
    last: i64,
    precision: Precision,
    /// A long year has neither months nor days.
    is_long: bool,
}

/// A month or a day as it is written.
enum Field {
    Number(u8),
    Unspecified,
}

impl Reader<'_> {
    fn date(&mut self) -> Result<Date, EdtfError> {
        let year = self.year()?;
        let mut date = Date {
            first: Day::first_of(year.first, 1),
            last: Day::first_of(year.last, 13).previous(),
            precision: year.precision,
            uncertain: false,
            approximate: false,
        };
        if !year.is_long && self.peek() == Some(b'-') {
            if year.precision != Precision::Year {
                return Err(self.error(Reason::AfterUnspecified));
            }
            self.at += 1;
            self.month(year.first, &mut date)?;
        }
        match self.peek() {
            Some(b'?') => date.uncertain = true,
            Some(b'~') => date.approximate = true,
            Some(b'%') => (date.uncertain, date.approximate) = (true, true),
            _ => return Ok(date),
        }
        self.at += 1;
        Ok(date)
    }

    fn year(&mut self) -> Result<Year, EdtfError> {
        let start = self.at;
        if self.takes(b'Y') {
            return self.long_year();
        }
        let negative = self.takes(b'-');
        let (mut value, mut unspecified, mut range) = (0, 0, 1);
        for index in 0..4 {
            value *= 10;
            match self.peek() {
                Some(digit @ b'0'..=b'9') if unspecified == 0 => value += i64::from(digit - b'0'),
                Some(b'X') if index >= 2 => {
                    unspecified += 1;
                    range *= 10;
                }
                _ => return Err(self.error(Reason::Year)),
            }
            self.at += 1;
        }
        if matches!(self.peek(), Some(b'0'..=b'9' | b'X')) {
            return Err(self.error(Reason::Year));
        }
        if negative && value == 0 && unspecified == 0 {
            return Err(error(self.base + start, Reason::NegativeZero));
        }
        let (near, far) = (value, value + range - 1);
        let (first, last) = if negative { (-far, -near) } else { (near, far) };
        let precision = match unspecified {
            0 => Precision::Year,
            1 => Precision::Decade,
            _ => Precision::Century,
        };
        Ok(Year {
            first,
            last,
            precision,
            is_long: false,
        })
    }

    fn long_year(&mut self) -> Result<Year, EdtfError> {
        let negative = self.takes(b'-');
        let start = self.at;
        let mut value: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if digit == b'0' && self.at == start {
                return Err(self.error(Reason::LongYear));
            }
            value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        if self.at - start <= 4 {
            return Err(self.error(Reason::LongYear));
        }
        let year = if negative { -value } else { value };
        Ok(Year {
            first: year,
            last: year,
            precision: Precision::Year,
            is_long: true,
        })
    }

    fn month(&mut self, year: i64, date: &mut Date) -> Result<(), EdtfError> {
        let column = self.at;
        match self.field(Reason::Month)? {
            Field::Unspecified => {
                if self.peek() == Some(b'-') {
                    self.at += 1;
                    let column = self.at;
                    if let Field::Number(_) = self.field(Reason::Day)? {
                        return Err(error(self.base + column, Reason::AfterUnspecified));
                    }
                }
            }
            Field::Number(season @ 21..=24) => {
                let month = i64::from(season - 20) * 3;
                date.first = Day::first_of(year, month);
                date.last = Day::first_of(year, month + 3).previous();
                date.precision = Precision::Season;
            }
            Field::Number(month @ 1..=12) => {
                date.first = Day::first_of(year, month.into());
                date.last = Day::first_of(year, i64::from(month) + 1).previous();
                date.precision = Precision::Month;
                if self.takes(b'-') {
                    self.day(year, month, date)?;
                }
            }
            Field::Number(_) => return Err(error(self.base + column, Reason::Month)),
        }
        Ok(())
    }

    fn day(&mut self, year: i64, month: u8, date: &mut Date) -> Result<(), EdtfError> {
        let column = self.at;
        if let Field::Number(number) = self.field(Reason::Day)? {
            if number > days_in(year, month) {
                return Err(error(self.base + column, Reason::Day));
            }
            let day = Day::new(year, month, number).ok_or(error(self.base + column, Reason::Day))?;
            (date.first, date.last, date.precision) = (day, day, Precision::Day);
        }
        Ok(())
    }

    /// Reads two digits, or `XX`.
    fn field(&mut self, reason: Reason) -> Result<Field, EdtfError> {
        if self.takes(b'X') {
            return if self.takes(b'X') {
                Ok(Field::Unspecified)
            } else {
                Err(self.error(reason))
            };
        }
        Ok(Field::Number(self.two_digits(reason)?))
    }

    fn two_digits(&mut self, reason: Reason) -> Result<u8, EdtfError> {
        let mut value = 0;
        for _ in 0..2 {
            match self.peek() {
                Some(digit @ b'0'..=b'9') => value = value * 10 + (digit - b'0'),
                _ => return Err(self.error(reason)),
            }
            self.at += 1;
        }
        Ok(value)
    }

    /// Reads the time after the `T`. It has to be there and right, and changes nothing.
    fn time(&mut self, date: &Date) -> Result<(), EdtfError> {
        if date.precision != Precision::Day || date.is_qualified() {
            self.at -= 1;
            return Err(self.error(Reason::Trailing));
        }
        self.number_to(23)?;
        self.colon()?;
        self.number_to(59)?;
        self.colon()?;
        // The leap second.
        self.number_to(60)?;
        if self.takes(b'Z') || !(self.takes(b'+') || self.takes(b'-')) {
            return Ok(());
        }
        self.number_to(14)?;
        if self.takes(b':') {
            self.number_to(59)
        } else {
            Ok(())
        }
    }

    fn colon(&mut self) -> Result<(), EdtfError> {
        if self.takes(b':') {
            Ok(())
        } else {
            Err(self.error(Reason::Time))
        }
    }

    fn number_to(&mut self, last: u8) -> Result<(), EdtfError> {
        let column = self.at;
        if self.two_digits(Reason::Time)? > last {
            return Err(error(self.base + column, Reason::Time));
        }
        Ok(())
    }

    /// Reads a date of a set.
    fn member(&mut self) -> Result<Date, EdtfError> {
        match self.peek() {
            Some(b'.' | b',' | b']' | b'}') | None => Err(self.error(Reason::Set)),
            Some(_) => self.date(),
        }
    }

    fn finish(&self) -> Result<(), EdtfError> {
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.error(Reason::Trailing))
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn error(&self, reason: Reason) -> EdtfError {
        error(self.base + self.at, reason)
    }
}
