//! The formats of RDF documents.

use std::io::{self, Write};

use oxigraph::{
    io::{JsonLdProfileSet, RdfFormat, RdfSerializer, WriterQuadSerializer},
    model::{GraphNameRef, IriParseError, QuadRef, TripleRef},
};

use super::jelly::{self, JellyWriter};

/// A format of RDF documents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// One of the W3C's. Never N3, which is not RDF.
    Text(RdfFormat),
    /// Jelly-RDF.
    Jelly,
}

impl Format {
    /// JSON-LD in any of its forms.
    pub const JSON_LD: Self = Self::Text(RdfFormat::JsonLd {
        profile: JsonLdProfileSet::empty(),
    });

    /// Returns the format of a media type or file extension.
    pub fn named(name: &str) -> Option<Self> {
        let extension = name.trim_start_matches('.');
        if name.eq_ignore_ascii_case(jelly::MEDIA_TYPE)
            || extension.eq_ignore_ascii_case(jelly::FILE_EXTENSION)
        {
            return Some(Self::Jelly);
        }
        RdfFormat::from_media_type(name)
            .or_else(|| RdfFormat::from_extension(extension))
            .filter(|format| *format != RdfFormat::N3)
            .map(Self::Text)
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text(format) => format.name(),
            Self::Jelly => "Jelly",
        }
    }

    /// Tells whether a document may have named graphs.
    pub fn holds_graphs(self) -> bool {
        match self {
            Self::Text(format) => format.supports_datasets(),
            Self::Jelly => true,
        }
    }

    /// Returns its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text(format) => format.media_type(),
            Self::Jelly => jelly::MEDIA_TYPE,
        }
    }

    /// Returns the extension of its files.
    pub fn file_extension(self) -> &'static str {
        match self {
            Self::Text(format) => format.file_extension(),
            Self::Jelly => jelly::FILE_EXTENSION,
        }
    }
}

/// Writes a document.
pub struct DocumentWriter<W: Write>(Writer<W>);

enum Writer<W: Write> {
    Text(Box<WriterQuadSerializer<W>>),
    Jelly(Box<JellyWriter<W>>),
}

impl<W: Write> DocumentWriter<W> {
    /// Begins a document with prefixes, where the format has them. One `of_quads` may have named graphs, if the format has them.
    pub fn new<'p>(
        format: Format,
        of_quads: bool,
        prefixes: impl IntoIterator<Item = (&'p str, &'p str)>,
        out: W,
    ) -> Result<Self, IriParseError> {
        Ok(Self(match format {
            Format::Jelly => Writer::Jelly(Box::new(JellyWriter::new(out, of_quads, false))),
            Format::Text(format) => {
                let mut serializer = RdfSerializer::from_format(format);
                for (name, iri) in prefixes {
                    serializer = serializer.with_prefix(name, iri)?;
                }
                Writer::Text(Box::new(serializer.for_writer(out)))
            }
        }))
    }

    /// Begins a Jelly stream whose frames are the quads of a subject that come one after the other.
    pub fn grouped_jelly(of_quads: bool, out: W) -> Self {
        Self(Writer::Jelly(Box::new(JellyWriter::new(out, of_quads, true))))
    }

    /// Writes a quad. Fails with [`io::ErrorKind::InvalidInput`] on one that the format cannot hold.
    pub fn quad(&mut self, quad: QuadRef<'_>) -> io::Result<()> {
        match &mut self.0 {
            Writer::Text(writer) => writer.serialize_quad(quad),
            Writer::Jelly(writer) => writer.quad(quad),
        }
    }

    /// Writes a triple.
    pub fn triple(&mut self, triple: TripleRef<'_>) -> io::Result<()> {
        self.quad(triple.in_graph(GraphNameRef::DefaultGraph))
    }

    /// Ends the document.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Writer::Text(writer) => writer.finish(),
            Writer::Jelly(writer) => writer.finish(),
        }
    }
}
