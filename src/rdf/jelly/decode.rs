//! Rows to quads.

use oxigraph::model::{
    BaseDirection, BlankNode, GraphName, Literal, NamedNode, NamedOrBlankNode, Quad, Term, Triple, vocab::rdf,
};

use super::{
    TABLE_BYTES_MAX, TABLE_LENGTH_MAX, VERSION,
    message::{
        PhysicalStreamType, RdfIri, RdfLiteral, RdfQuad, RdfStreamOptions, RdfStreamRow, RdfTriple,
        rdf_literal::LiteralKind, rdf_stream_row::Row,
    },
    part::{Graph, Part},
    table::ReadTable,
};

/// The least length of a table of names.
const NAMES_MIN: u32 = 8;

/// The state of a stream between its rows. Faults are told as texts.
pub(super) struct Decoder {
    salt: u64,
    options: Option<RdfStreamOptions>,
    names: ReadTable,
    prefixes: ReadTable,
    datatypes: ReadTable,
    table_bytes: isize,
    /// The prefix and the name of the last IRI.
    last_prefix: u32,
    last_name: u32,
    /// The last statement: a term that is left out is as it was.
    subject: Option<NamedOrBlankNode>,
    predicate: Option<NamedNode>,
    object: Option<Term>,
    graph: Option<GraphName>,
}

impl Decoder {
    pub(super) fn new(salt: u64) -> Self {
        Self {
            salt,
            options: None,
            names: ReadTable::new("names", 0),
            prefixes: ReadTable::new("prefixes", 0),
            datatypes: ReadTable::new("datatypes", 0),
            table_bytes: 0,
            last_prefix: 0,
            last_name: 0,
            subject: None,
            predicate: None,
            object: None,
            graph: None,
        }
    }

    /// Takes the next row.
    pub(super) fn row(&mut self, row: RdfStreamRow) -> Result<Option<Quad>, String> {
        let row = row.row.ok_or("the row is empty, or of a kind that is unknown")?;
        if let Row::Options(options) = row {
            return self.begin(options).map(|()| None);
        }
        let physical_type = self
            .options
            .as_ref()
            .ok_or("the stream does not begin with its options")?
            .physical_type();
        match (row, physical_type) {
            (Row::Name(entry), _) => self.taken(|of| of.names.put(entry.id, entry.value)),
            (Row::Prefix(entry), _) => self.taken(|of| of.prefixes.put(entry.id, entry.value)),
            (Row::Datatype(entry), _) => self.taken(|of| of.datatypes.put(entry.id, entry.value)),
            (Row::Namespace(namespace), _) => {
                // It is no statement, but its IRI counts as the last one.
                let iri = namespace.value.ok_or("the namespace has no IRI")?;
                self.iri(iri).map(|_| None)
            }
            (Row::Triple(triple), PhysicalStreamType::Triples) => {
                self.statement(triple, GraphName::DefaultGraph).map(Some)
            }
            (Row::Triple(triple), PhysicalStreamType::Graphs) => {
                let graph = self.graph.clone().ok_or("the triple is in no graph")?;
                self.statement(triple, graph).map(Some)
            }
            (Row::Quad(quad), PhysicalStreamType::Quads) => self.quad(quad).map(Some),
            (Row::GraphStart(start), PhysicalStreamType::Graphs) => {
                let graph = start.graph.ok_or("the graph has no name")?;
                self.graph = Some(self.graph_name(graph.into())?);
                Ok(None)
            }
            (Row::GraphEnd(_), PhysicalStreamType::Graphs) => match self.graph.take() {
                Some(_) => Ok(None),
                None => Err("no graph is open that could end".to_owned()),
            },
            (_, physical_type) => Err(format!(
                "a row of this kind is not of a stream of type {}",
                physical_type.as_str_name()
            )),
        }
    }

    /// Checks that the stream may end here.
    pub(super) fn end(&self) -> Result<(), String> {
        match self.options {
            Some(_) => Ok(()),
            None => Err("the stream has no options".to_owned()),
        }
    }

    fn begin(&mut self, options: RdfStreamOptions) -> Result<(), String> {
        if let Some(before) = &self.options {
            return if *before == options {
                Ok(())
            } else {
                Err("the options differ from those that the stream began with".to_owned())
            };
        }
        if !(1..=VERSION).contains(&options.version) {
            return Err(format!(
                "version {} of the protocol; 1 to {VERSION} are known",
                options.version
            ));
        }
        // The last digit of a logical type is the type that it is a kind of.
        let fits = match (options.physical_type(), options.logical_type % 10) {
            (PhysicalStreamType::Unspecified, _) => return Err("the stream has no physical type".to_owned()),
            (PhysicalStreamType::Triples, of) => matches!(of, 0 | 1 | 3),
            (PhysicalStreamType::Quads | PhysicalStreamType::Graphs, of) => matches!(of, 0 | 2 | 4),
        };
        if !fits {
            return Err(format!(
                "the logical type {} does not go with the physical type {}",
                options.logical_type().as_str_name(),
                options.physical_type().as_str_name()
            ));
        }
        if options.max_name_table_size < NAMES_MIN {
            return Err(format!("the table of names has less than {NAMES_MIN} entries"));
        }
        let table = |name, length| {
            if length > TABLE_LENGTH_MAX {
                return Err(format!(
                    "the table of {name} has more than {TABLE_LENGTH_MAX} entries"
                ));
            }
            Ok(ReadTable::new(name, length))
        };
        self.names = table("names", options.max_name_table_size)?;
        self.prefixes = table("prefixes", options.max_prefix_table_size)?;
        self.datatypes = table("datatypes", options.max_datatype_table_size)?;
        self.options = Some(options);
        Ok(())
    }

    fn taken(
        &mut self,
        put: impl FnOnce(&mut Self) -> Result<isize, String>,
    ) -> Result<Option<Quad>, String> {
        self.table_bytes += put(self)?;
        if self.table_bytes > TABLE_BYTES_MAX.cast_signed() {
            return Err(format!(
                "the lookup tables have more than {TABLE_BYTES_MAX} bytes"
            ));
        }
        Ok(None)
    }

    fn statement(&mut self, triple: RdfTriple, graph: GraphName) -> Result<Quad, String> {
        let Triple {
            subject,
            predicate,
            object,
        } = self.parts(
            triple.subject.map(Into::into),
            triple.predicate.map(Into::into),
            triple.object.map(Into::into),
        )?;
        Ok(Quad::new(subject, predicate, object, graph))
    }

    fn quad(&mut self, quad: RdfQuad) -> Result<Quad, String> {
        let Triple {
            subject,
            predicate,
            object,
        } = self.parts(
            quad.subject.map(Into::into),
            quad.predicate.map(Into::into),
            quad.object.map(Into::into),
        )?;
        if let Some(graph) = quad.graph {
            self.graph = Some(self.graph_name(graph.into())?);
        }
        let graph = self.graph.clone().ok_or("the first quad has no graph")?;
        Ok(Quad::new(subject, predicate, object, graph))
    }

    /// The parts of a statement; those that are left out are as they were.
    fn parts(
        &mut self,
        subject: Option<Part>,
        predicate: Option<Part>,
        object: Option<Part>,
    ) -> Result<Triple, String> {
        if let Some(part) = subject {
            self.subject = Some(self.subject(part)?);
        }
        if let Some(part) = predicate {
            self.predicate = Some(self.predicate(&part)?);
        }
        if let Some(part) = object {
            self.object = Some(self.object(part)?);
        }
        let missing = |part| format!("the first statement has no {part}");
        Ok(Triple {
            subject: self.subject.clone().ok_or_else(|| missing("subject"))?,
            predicate: self.predicate.clone().ok_or_else(|| missing("predicate"))?,
            object: self.object.clone().ok_or_else(|| missing("object"))?,
        })
    }

    /// A triple term has all its parts.
    fn triple_term(&mut self, triple: RdfTriple) -> Result<Term, String> {
        let missing = "a part of a triple term is missing";
        let subject = self.subject(triple.subject.ok_or(missing)?.into())?;
        let predicate = self.predicate(&triple.predicate.ok_or(missing)?.into())?;
        let object = self.object(triple.object.ok_or(missing)?.into())?;
        Ok(Triple::new(subject, predicate, object).into())
    }

    fn subject(&mut self, part: Part) -> Result<NamedOrBlankNode, String> {
        match part {
            Part::Iri(iri) => self.iri(iri).map(Into::into),
            Part::BlankNode(label) => Ok(self.blank_node(&label).into()),
            Part::Literal(_) => Err("a literal is no subject in RDF 1.2".to_owned()),
            Part::Triple(_) => Err("a triple term is no subject in RDF 1.2".to_owned()),
        }
    }

    fn predicate(&mut self, part: &Part) -> Result<NamedNode, String> {
        match part {
            Part::Iri(iri) => self.iri(*iri),
            _ => Err("only an IRI is a predicate in RDF 1.2".to_owned()),
        }
    }

    fn object(&mut self, part: Part) -> Result<Term, String> {
        match part {
            Part::Iri(iri) => self.iri(iri).map(Into::into),
            Part::BlankNode(label) => Ok(self.blank_node(&label).into()),
            Part::Literal(literal) => self.literal(literal).map(Into::into),
            Part::Triple(triple) => self.triple_term(*triple),
        }
    }

    fn graph_name(&mut self, graph: Graph) -> Result<GraphName, String> {
        match graph {
            Graph::Default => Ok(GraphName::DefaultGraph),
            Graph::Part(Part::Iri(iri)) => self.iri(iri).map(Into::into),
            Graph::Part(Part::BlankNode(label)) => Ok(self.blank_node(&label).into()),
            Graph::Part(_) => Err("only an IRI or a blank node names a graph in RDF 1.2".to_owned()),
        }
    }

    fn iri(&mut self, iri: RdfIri) -> Result<NamedNode, String> {
        if iri.prefix_id != 0 {
            self.last_prefix = iri.prefix_id;
        }
        self.last_name = match iri.name_id {
            0 => self.last_name.saturating_add(1),
            number => number,
        };
        let prefix = match self.last_prefix {
            0 => "",
            number => self.prefixes.get(number)?,
        };
        let iri = [prefix, self.names.get(self.last_name)?].concat();
        NamedNode::new(&iri).map_err(|error| format!("<{iri}>: {error}"))
    }

    fn blank_node(&self, label: &str) -> BlankNode {
        crate::rdf::blank::node(label, self.salt)
    }

    fn literal(&self, literal: RdfLiteral) -> Result<Literal, String> {
        let text = literal.lex;
        let Some(kind) = literal.literal_kind else {
            return Ok(Literal::new_simple_literal(text));
        };
        match kind {
            LiteralKind::Langtag(tag) => {
                let (language, direction) = match tag.split_once("--") {
                    None => (tag.as_str(), None),
                    Some((language, "ltr")) => (language, Some(BaseDirection::Ltr)),
                    Some((language, "rtl")) => (language, Some(BaseDirection::Rtl)),
                    Some((_, direction)) => return Err(format!("{direction} is no base direction")),
                };
                let literal = match direction {
                    None => Literal::new_language_tagged_literal(text, language),
                    Some(direction) => {
                        Literal::new_directional_language_tagged_literal(text, language, direction)
                    }
                };
                literal.map_err(|error| format!("the language tag {tag}: {error}"))
            }
            LiteralKind::Datatype(number) => {
                let iri = self.datatypes.get(number)?;
                let datatype = NamedNode::new(iri).map_err(|error| format!("<{iri}>: {error}"))?;
                if datatype == rdf::LANG_STRING || datatype == rdf::DIR_LANG_STRING {
                    return Err(format!("a literal of type {datatype} has no language"));
                }
                Ok(Literal::new_typed_literal(text, datatype))
            }
        }
    }
}
