//! Standard output: buffered text, tables, and JSON.

use std::{
    cell::RefCell,
    io::{self, BufWriter, IsTerminal as _, Stdout, Write},
    rc::Rc,
};

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::failure::Failure;
use crate::proto::v1::{FILE_DESCRIPTOR_SET, Standing};

const BUFFER_BYTES: usize = 64 << 10;

/// Standard output behind a buffer. Clones share it, so that what a serializer wrote can be flushed from outside.
#[derive(Clone, Debug)]
pub(super) struct Output {
    writer: Rc<RefCell<BufWriter<Stdout>>>,
    terminal: bool,
    colors: bool,
}

impl Output {
    pub(super) fn stdout() -> Self {
        let stdout = io::stdout();
        Self {
            terminal: stdout.is_terminal(),
            colors: anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never,
            writer: Rc::new(RefCell::new(BufWriter::with_capacity(BUFFER_BYTES, stdout))),
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes a text in bold, where there are colours.
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        let bold = if self.colors {
            anstyle::Style::new().bold()
        } else {
            anstyle::Style::new()
        };
        writeln!(self, "{bold}{text}{bold:#}")
    }

    /// Writes a table, as wide as the terminal at most; into a pipe, as wide as it needs to be.
    pub(super) fn table(&mut self, header: &[&str], rows: Vec<Vec<Cell>>) -> io::Result<()> {
        let mut table = Table::new();
        table.load_preset("     ──            ");
        table.force_no_tty();
        if self.colors {
            table.enforce_styling();
        }
        if self.terminal {
            let width = terminal_size::terminal_size().map_or(100, |(width, _)| width.0);
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        table.set_header(
            header
                .iter()
                .map(|name| self.style(Cell::new(name), None, &[Attribute::Bold])),
        );
        for row in rows {
            table.add_row(row);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 1));
        }
        for line in table.lines() {
            writeln!(self, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Returns a cell for a standing in its colour.
    pub(super) fn standing(&self, standing: Standing, text: String) -> Cell {
        let color = match standing {
            Standing::Preferred | Standing::Accepted => Some(Color::Green),
            Standing::Unconfirmed | Standing::Disputed => Some(Color::Yellow),
            Standing::Rejected => Some(Color::Red),
            Standing::Unspecified => None,
        };
        self.style(Cell::new(text), color, &[])
    }

    fn style(&self, cell: Cell, color: Option<Color>, attributes: &[Attribute]) -> Cell {
        if !self.colors {
            return cell;
        }
        let cell = attributes
            .iter()
            .fold(cell, |cell, attribute| cell.add_attribute(*attribute));
        match color {
            Some(color) => cell.fg(color),
            None => cell,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.borrow_mut().flush()
    }
}

/// Writes messages in protobuf's JSON mapping (<https://protobuf.dev/programming-guides/json/>), as `buf curl` does.
pub(super) struct Json(DescriptorPool);

impl Json {
    pub(super) fn new() -> Result<Self, Failure> {
        DescriptorPool::decode(FILE_DESCRIPTOR_SET)
            .map(Self)
            .map_err(|error| Failure::failed(format!("cannot describe messages: {error}")))
    }

    /// Returns the JSON form of a message of `dossier.v1`, by its name such as `Fact`.
    pub(super) fn value(
        &self,
        name: &str,
        message: &impl prost::Message,
    ) -> Result<serde_json::Value, Failure> {
        let descriptor = self
            .0
            .get_message_by_name(&format!("dossier.v1.{name}"))
            .ok_or_else(|| Failure::failed(format!("there is no message dossier.v1.{name}")))?;
        let broken = |error: &dyn std::error::Error| Failure::failed(format!("cannot write JSON: {error}"));
        let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
            .map_err(|error| broken(&error))?;
        serde_json::to_value(&message).map_err(|error| broken(&error))
    }

    /// Reads a message of `dossier.v1` from its JSON form. The error says what is wrong.
    pub(super) fn read<T: prost::Message + Default>(
        &self,
        name: &str,
        value: serde_json::Value,
    ) -> Result<T, String> {
        let descriptor = self
            .0
            .get_message_by_name(&format!("dossier.v1.{name}"))
            .ok_or_else(|| format!("there is no message dossier.v1.{name}"))?;
        let message = DynamicMessage::deserialize(descriptor, value).map_err(|error| error.to_string())?;
        message.transcode_to().map_err(|error| error.to_string())
    }

    /// Writes one message, indented, on lines of its own.
    pub(super) fn write(
        &self,
        output: &mut Output,
        name: &str,
        message: &impl prost::Message,
    ) -> Result<(), Failure> {
        writeln!(output, "{:#}", self.value(name, message)?)?;
        Ok(())
    }
}

/// Returns a number with its thousands apart: `1,234,567`.
pub(super) fn thousands(number: impl TryInto<u64>) -> String {
    let Ok(number) = number.try_into() else {
        return "?".to_owned();
    };
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    #[test]
    fn messages_are_written_as_protobuf_says() {
        let fact = v1::Fact {
            subject: "a:s".to_owned(),
            object: Some(v1::Term {
                term: Some(v1::term::Term::BlankNode("b".to_owned())),
            }),
            standing: Standing::Disputed.into(),
            recorded_at: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            ..v1::Fact::default()
        };
        let expected = serde_json::json!({
            "subject": "a:s",
            "object": {"blankNode": "b"},
            "standing": "STANDING_DISPUTED",
            "recordedAt": "1970-01-01T00:00:00Z",
        });
        assert_eq!(Json::new().unwrap().value("Fact", &fact).unwrap(), expected);
        let answer = v1::ListFactsResponse {
            revision: 7,
            ..v1::ListFactsResponse::default()
        };
        let expected = serde_json::json!({"revision": "7"});
        assert_eq!(
            Json::new().unwrap().value("ListFactsResponse", &answer).unwrap(),
            expected
        );
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(thousands(1_234_567_u64), "1,234,567");
        assert_eq!(thousands(0_i64), "0");
        assert_eq!(thousands(-1_i64), "?");
    }
}
