//! Writing a stream.

use std::io::{self, Write};

use oxigraph::model::{
    BaseDirection, GraphName, GraphNameRef, LiteralRef, NamedNode, NamedNodeRef, NamedOrBlankNode,
    NamedOrBlankNodeRef, QuadRef, Term, TermRef, vocab::xsd,
};
use prost::Message as _;

use super::{
    KEY, VERSION, WRITTEN_DATATYPES, WRITTEN_NAMES, WRITTEN_PREFIXES,
    message::{
        LogicalStreamType, PhysicalStreamType, RdfDatatypeEntry, RdfDefaultGraph, RdfIri, RdfLiteral,
        RdfNameEntry, RdfPrefixEntry, RdfQuad, RdfStreamOptions, RdfStreamRow, RdfTriple,
        rdf_literal::LiteralKind, rdf_quad, rdf_stream_row::Row,
    },
    part::Part,
    table::WriteTable,
};

/// Bytes after which a frame of a flat stream ends.
const FRAME_BYTES: usize = 32 << 10;
/// Bytes after which a frame of a grouped stream ends, where a subject has more: what every reader takes.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// Writes a delimited stream of quads or triples. A stream of triples leaves the graphs out.
pub(in crate::rdf) struct JellyWriter<W> {
    out: W,
    is_quads: bool,
    is_grouped: bool,
    frame: Vec<u8>,
    names: WriteTable,
    prefixes: WriteTable,
    datatypes: WriteTable,
    /// The prefix and the name of the last IRI.
    last_prefix: u32,
    last_name: u32,
    last: Last,
    statement: u64,
}

/// The terms of the last statement: one that comes again is left out, and not copied.
#[derive(Default)]
struct Last {
    subject: Option<NamedOrBlankNode>,
    predicate: Option<NamedNode>,
    object: Option<Term>,
    graph: Option<GraphName>,
}

impl<W: Write> JellyWriter<W> {
    /// Begins a stream of quads (`is_quads`) or of triples: a flat one, or one whose frames are the quads of a subject that come one
    /// after the other.
    pub(in crate::rdf) fn new(out: W, is_quads: bool, is_grouped: bool) -> Self {
        let mut writer = Self {
            out,
            is_quads,
            is_grouped,
            frame: Vec::new(),
            names: WriteTable::new(WRITTEN_NAMES),
            prefixes: WriteTable::new(WRITTEN_PREFIXES),
            datatypes: WriteTable::new(WRITTEN_DATATYPES),
            last_prefix: 0,
            last_name: 0,
            last: Last::default(),
            statement: 0,
        };
        let (physical_type, flat, grouped) = if is_quads {
            (
                PhysicalStreamType::Quads,
                LogicalStreamType::FlatQuads,
                LogicalStreamType::Datasets,
            )
        } else {
            (
                PhysicalStreamType::Triples,
                LogicalStreamType::FlatTriples,
                LogicalStreamType::SubjectGraphs,
            )
        };
        let logical_type = if is_grouped { grouped } else { flat };
        writer.row(Row::Options(RdfStreamOptions {
            stream_name: String::new(),
            physical_type: physical_type.into(),
            generalized_statements: false,
            rdf_star: true,
            max_name_table_size: WRITTEN_NAMES,
            max_prefix_table_size: WRITTEN_PREFIXES,
            max_datatype_table_size: WRITTEN_DATATYPES,
            logical_type: logical_type.into(),
            version: VERSION,
        }));
        writer
    }

    /// Writes a statement. Fails with [`io::ErrorKind::InvalidInput`] on one that has more IRIs than the lookup table has room for.
    pub(in crate::rdf) fn quad(&mut self, quad: QuadRef<'_>) -> io::Result<()> {
        let is_other = self.last.subject.as_ref().map(NamedOrBlankNode::as_ref) != Some(quad.subject);
        if self.is_grouped && is_other && self.statement > 0 {
            self.end_frame()?;
        }
        self.statement += 1;
        let subject = if is_other {
            self.last.subject = Some(quad.subject.into_owned());
            Some(self.subject(quad.subject)?)
        } else {
            None
        };
        let predicate = if self.last.predicate.as_ref().map(NamedNode::as_ref) == Some(quad.predicate) {
            None
        } else {
            self.last.predicate = Some(quad.predicate.into_owned());
            Some(Part::Iri(self.iri(quad.predicate)?))
        };
        let object = if self.last.object.as_ref().map(Term::as_ref) == Some(quad.object) {
            None
        } else {
            self.last.object = Some(quad.object.into_owned());
            Some(self.object(quad.object)?)
        };
        let row = if self.is_quads {
            let graph = if self.last.graph.as_ref().map(GraphName::as_ref) == Some(quad.graph_name) {
                None
            } else {
                self.last.graph = Some(quad.graph_name.into_owned());
                Some(self.graph(quad.graph_name)?)
            };
            Row::Quad(RdfQuad {
                subject: subject.map(Into::into),
                predicate: predicate.map(Into::into),
                object: object.map(Into::into),
                graph,
            })
        } else {
            Row::Triple(RdfTriple {
                subject: subject.map(Into::into),
                predicate: predicate.map(Into::into),
                object: object.map(Into::into),
            })
        };
        self.row(row);
        let bytes_max = if self.is_grouped {
            GROUP_BYTES_MAX
        } else {
            FRAME_BYTES
        };
        if self.frame.len() >= bytes_max {
            self.end_frame()?;
        }
        Ok(())
    }

    /// Ends the stream.
    pub(in crate::rdf) fn finish(mut self) -> io::Result<W> {
        self.end_frame()?;
        Ok(self.out)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let mut length = Vec::new();
        prost::encode_length_delimiter(self.frame.len(), &mut length).map_err(io::Error::other)?;
        self.out.write_all(&length)?;
        self.out.write_all(&self.frame)?;
        self.frame.clear();
        Ok(())
    }

    fn row(&mut self, row: Row) {
        let row = RdfStreamRow { row: Some(row) };
        self.frame.push(KEY);
        // A vector has room.
        row.encode_length_delimited(&mut self.frame).unwrap_or_default();
    }

    fn subject(&mut self, subject: NamedOrBlankNodeRef<'_>) -> io::Result<Part> {
        Ok(match subject {
            NamedOrBlankNodeRef::NamedNode(iri) => Part::Iri(self.iri(iri)?),
            NamedOrBlankNodeRef::BlankNode(node) => Part::BlankNode(node.as_str().to_owned()),
        })
    }

    fn object(&mut self, object: TermRef<'_>) -> io::Result<Part> {
        Ok(match object {
            TermRef::NamedNode(iri) => Part::Iri(self.iri(iri)?),
            TermRef::BlankNode(node) => Part::BlankNode(node.as_str().to_owned()),
            TermRef::Literal(literal) => Part::Literal(self.literal(literal)?),
            TermRef::Triple(triple) => Part::Triple(Box::new(RdfTriple {
                subject: Some(self.subject(triple.subject.as_ref())?.into()),
                predicate: Some(Part::Iri(self.iri(triple.predicate.as_ref())?).into()),
                object: Some(self.object(triple.object.as_ref())?.into()),
            })),
        })
    }

    fn graph(&mut self, graph: GraphNameRef<'_>) -> io::Result<rdf_quad::Graph> {
        Ok(match graph {
            GraphNameRef::DefaultGraph => rdf_quad::Graph::GDefaultGraph(RdfDefaultGraph {}),
            GraphNameRef::NamedNode(iri) => rdf_quad::Graph::GIri(self.iri(iri)?),
            GraphNameRef::BlankNode(node) => rdf_quad::Graph::GBnode(node.as_str().to_owned()),
        })
    }

    fn iri(&mut self, iri: NamedNodeRef<'_>) -> io::Result<RdfIri> {
        let iri = iri.as_str();
        let (prefix, name) = iri.split_at(iri.rfind(['#', '/']).map_or(0, |at| at + 1));
        let prefix = {
            let numbered = self
                .prefixes
                .number(prefix, self.statement)
                .ok_or_else(too_many_texts)?;
            if let Some(id) = numbered.put {
                let value = prefix.to_owned();
                self.row(Row::Prefix(RdfPrefixEntry { id, value }));
            }
            numbered.number
        };
        let name = {
            let numbered = self
                .names
                .number(name, self.statement)
                .ok_or_else(too_many_texts)?;
            if let Some(id) = numbered.put {
                let value = name.to_owned();
                self.row(Row::Name(RdfNameEntry { id, value }));
            }
            numbered.number
        };
        let iri = RdfIri {
            prefix_id: if prefix == self.last_prefix { 0 } else { prefix },
            name_id: if name == self.last_name + 1 { 0 } else { name },
        };
        (self.last_prefix, self.last_name) = (prefix, name);
        Ok(iri)
    }

    fn literal(&mut self, literal: LiteralRef<'_>) -> io::Result<RdfLiteral> {
        let kind = if let Some(language) = literal.language() {
            Some(LiteralKind::Langtag(match literal.direction() {
                None => language.to_owned(),
                Some(BaseDirection::Ltr) => format!("{language}--ltr"),
                Some(BaseDirection::Rtl) => format!("{language}--rtl"),
            }))
        } else if literal.datatype() == xsd::STRING {
            None
        } else {
            let datatype = literal.datatype().as_str();
            let numbered = self
                .datatypes
                .number(datatype, self.statement)
                .ok_or_else(too_many_texts)?;
            if let Some(id) = numbered.put {
                let value = datatype.to_owned();
                self.row(Row::Datatype(RdfDatatypeEntry { id, value }));
            }
            Some(LiteralKind::Datatype(numbered.number))
        };
        Ok(RdfLiteral {
            lex: literal.value().to_owned(),
            literal_kind: kind,
        })
    }
}

fn too_many_texts() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("a statement with more than {WRITTEN_PREFIXES} prefixes or {WRITTEN_NAMES} names of IRIs"),
    )
}
