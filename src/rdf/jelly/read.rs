//! Reading a stream.

use std::{
    fmt,
    io::{self, BufReader, Cursor, Read},
    ops::Range,
};

use oxigraph::model::Quad;
use prost::Message as _;

use super::{FRAME_BYTES_MAX, KEY, decode::Decoder, message::RdfStreamRow};

/// Bytes of a number at most.
const VARINT_BYTES_MAX: usize = 10;

/// Why a stream was not read to its end.
#[derive(Debug)]
pub(in crate::rdf) enum Fault {
    /// The bytes did not come.
    Io(io::Error),
    /// They are not Jelly, or not RDF 1.2.
    Stream {
        /// The frame, counted from 1.
        frame: u64,
        /// The row in the frame, counted from 1; 0 for the frame itself.
        row: u64,
        /// What is wrong.
        message: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Stream {
                frame,
                row: 0,
                message,
            } => write!(f, "frame {frame}: {message}"),
            Self::Stream { frame, row, message } => write!(f, "frame {frame}, row {row}: {message}"),
        }
    }
}

/// The quads of a stream, one frame in memory at a time. Blank nodes get labels of their own, the same within the stream.
/// After a fault there is nothing more.
pub(in crate::rdf) struct JellyReader<R> {
    /// What was read to see how frames follow each other.
    start: Cursor<Vec<u8>>,
    rest: BufReader<R>,
    variant: Option<Variant>,
    frame: Vec<u8>,
    /// Bytes of the frame that are read.
    position: usize,
    frame_number: u64,
    row_number: u64,
    decoder: Decoder,
    is_over: bool,
}

/// How frames follow each other.
#[derive(Clone, Copy)]
enum Variant {
    /// Each after its length.
    Delimited,
    /// One, which is all.
    Alone,
}

impl<R: Read> JellyReader<R> {
    /// Reads a stream. `salt` makes the labels of blank nodes: give each stream another.
    pub(in crate::rdf) fn new(bytes: R, salt: u64) -> Self {
        Self {
            start: Cursor::default(),
            rest: BufReader::new(bytes),
            variant: None,
            frame: Vec::new(),
            position: 0,
            frame_number: 0,
            row_number: 0,
            decoder: Decoder::new(salt),
            is_over: false,
        }
    }

    fn next_quad(&mut self) -> Result<Option<Quad>, Fault> {
        loop {
            while let Some(row) = self.next_row()? {
                self.row_number += 1;
                let row = RdfStreamRow::decode(&self.frame[row]).map_err(|error| error.to_string());
                let quad = row.and_then(|row| self.decoder.row(row));
                if let Some(quad) = quad.map_err(|message| self.fault(message))? {
                    return Ok(Some(quad));
                }
            }
            if !self.next_frame()? {
                self.row_number = 0;
                self.decoder.end().map_err(|message| self.fault(message))?;
                return Ok(None);
            }
        }
    }

    /// Finds the next row of the frame. The frame is not decoded as a whole: a row of two bytes would take hundreds.
    fn next_row(&mut self) -> Result<Option<Range<usize>>, Fault> {
        while self.position < self.frame.len() {
            let Some((key, value)) = next_field(&self.frame, self.position) else {
                return Err(self.fault("it is not a message of Protocol Buffers"));
            };
            self.position = value.end;
            if key == u64::from(KEY) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Reads the next frame; false at the end of the stream.
    fn next_frame(&mut self) -> Result<bool, Fault> {
        let length = match self.variant()? {
            Variant::Alone if self.frame_number > 0 => None,
            Variant::Alone => Some(FRAME_BYTES_MAX as u64 + 1),
            Variant::Delimited => self.length()?,
        };
        let Some(length) = length else { return Ok(false) };
        self.frame_number += 1;
        (self.row_number, self.position) = (0, 0);
        let is_whole = match self.variant {
            Some(Variant::Delimited) if length > FRAME_BYTES_MAX as u64 => None,
            _ => {
                self.frame.clear();
                let bytes = (&mut self.start).chain(&mut self.rest).take(length);
                { bytes }.read_to_end(&mut self.frame).map_err(Fault::Io)?;
                Some(self.frame.len() as u64 == length)
            }
        };
        match (self.variant, is_whole) {
            (Some(Variant::Delimited), Some(false)) => Err(self.fault("it ends too early")),
            (Some(Variant::Alone), Some(true)) | (_, None) => {
                Err(self.fault(format!("it has more than {FRAME_BYTES_MAX} bytes")))
            }
            _ => Ok(true),
        }
    }

    /// Sees how frames follow each other, as the specification says ("Delimited variant"): both begin with 0x0A, a key, but for
    /// the length of a delimited frame, which may be 0x0A too.
    fn variant(&mut self) -> Result<Variant, Fault> {
        if let Some(variant) = self.variant {
            return Ok(variant);
        }
        let mut start = Vec::new();
        (&mut self.rest)
            .take(3)
            .read_to_end(&mut start)
            .map_err(Fault::Io)?;
        let variant = match *start {
            [KEY, KEY, third] if third != KEY => Variant::Delimited,
            [KEY, ..] => Variant::Alone,
            _ => Variant::Delimited,
        };
        self.start = Cursor::new(start);
        self.variant = Some(variant);
        Ok(variant)
    }

    /// Reads the length of a frame; nothing at the end of the stream.
    fn length(&mut self) -> Result<Option<u64>, Fault> {
        let mut length = 0;
        for index in 0..VARINT_BYTES_MAX {
            let mut byte = [0];
            let count = (&mut self.start)
                .chain(&mut self.rest)
                .read(&mut byte)
                .map_err(Fault::Io)?;
            if count == 0 && index == 0 {
                return Ok(None);
            }
            if count == 0 {
                break;
            }
            length |= u64::from(byte[0] & 0x7F) << (7 * index);
            if byte[0] < 0x80 {
                return Ok(Some(length));
            }
        }
        self.frame_number += 1;
        self.row_number = 0;
        Err(self.fault("its length is malformed"))
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::Stream {
            frame: self.frame_number,
            row: self.row_number,
            message: message.into(),
        }
    }
}

impl<R: Read> Iterator for JellyReader<R> {
    type Item = Result<Quad, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let quad = self.next_quad().transpose();
        self.is_over = !matches!(quad, Some(Ok(_)));
        quad
    }
}

/// Returns the key and the value of the field at a position; nothing if there is none whole.
fn next_field(bytes: &[u8], position: usize) -> Option<(u64, Range<usize>)> {
    let (key, start) = varint(bytes, position)?;
    let (start, length) = match key & 7 {
        0 => (start, varint(bytes, start)?.1 - start),
        1 => (start, 8),
        2 => {
            let (length, start) = varint(bytes, start)?;
            (start, usize::try_from(length).ok()?)
        }
        5 => (start, 4),
        _ => return None,
    };
    let end = start.checked_add(length).filter(|end| *end <= bytes.len())?;
    Some((key, start..end))
}

/// Returns the number at a position and the position after it.
fn varint(bytes: &[u8], position: usize) -> Option<(u64, usize)> {
    let mut number = 0;
    for (index, byte) in bytes.get(position..)?.iter().take(VARINT_BYTES_MAX).enumerate() {
        number |= u64::from(byte & 0x7F) << (7 * index);
        if *byte < 0x80 {
            return Some((number, position + index + 1));
        }
    }
    None
}
