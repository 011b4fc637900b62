//! Jelly-RDF 1.1.1: RDF as a stream of Protocol Buffers frames, <https://w3id.org/jelly/1.1.1/specification/serialization>.
//!
//! Flat and grouped streams of triples, quads and graphs are read, delimited or one frame alone; delimited ones are written, flat or
//! grouped by subject.
//! A quoted triple of Jelly is a triple term of RDF 1.2, which is an object only. Jelly has no base directions: the language
//! tag carries them as RDF 1.2's texts do, `ar--rtl`.

mod decode;
mod part;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub(super) use self::{
    read::{Fault, JellyReader},
    write::JellyWriter,
};

/// Media type of Jelly documents.
pub const MEDIA_TYPE: &str = "application/x-jelly-rdf";
/// File extension of Jelly documents.
pub(super) const FILE_EXTENSION: &str = "jelly";

/// The key of a row in a frame, and of the options in a row: field 1, with a length.
const KEY: u8 = 1 << 3 | 2;
/// Bytes of a frame that is read.
const FRAME_BYTES_MAX: usize = 16 << 20;
/// Entries of a lookup table that is read.
const TABLE_LENGTH_MAX: u32 = 65_536;
/// Bytes of all lookup tables of a stream that is read.
const TABLE_BYTES_MAX: usize = 64 << 20;

/// What every conforming reader takes.
const WRITTEN_NAMES: u32 = 4_000;
const WRITTEN_PREFIXES: u32 = 150;
const WRITTEN_DATATYPES: u32 = 32;

/// The version of the protocol that is written, and the last one that is read: 1.1.x.
const VERSION: u32 = 2;

#[expect(clippy::all, clippy::pedantic, unreachable_pub, reason = "generated code")]
mod message {
    include!(concat!(env!("OUT_DIR"), "/eu.ostrzyciel.jelly.core.proto.v1.rs"));
}
