//! Writes the frames of a result in the form that was asked for.

use std::io::Write as _;

use comfy_table::Cell;
use oxigraph::{
    io::RdfFormat,
    model::Variable,
    sparql::results::{QueryResultsFormat, QueryResultsSerializer, WriterSolutionsSerializer},
};

use crate::{
    cli::{
        client::Client,
        failure::Failure,
        format::Format,
        output::Output,
        rows::{Row, RowReader, terms},
        term::{Prefixes, triple_from_proto},
    },
    proto::v1::{self, QueryForm, QueryHeader, TripleBatch, query_response::Frame},
    rdf::{self, DocumentWriter},
};

/// Rows of a table that are laid out together; a longer result comes as several tables, in bounded memory.
const TABLE_ROW_COUNT_MAX: usize = 5_000;

/// Where the frames of one result go.
pub(super) enum Sink {
    Boolean {
        format: Option<QueryResultsFormat>,
        output: Output,
    },
    Rows {
        reader: RowReader,
        variables: Vec<Variable>,
        writer: WriterSolutionsSerializer<Output>,
    },
    Triples(DocumentWriter<Output>),
    Table {
        reader: RowReader,
        table: Table,
    },
}

impl Sink {
    /// Prepares for the result that the header announces. Asks for the server's prefixes if they are of use.
    pub(super) async fn open(
        header: QueryHeader,
        format: Option<Format>,
        output: Output,
        client: &mut Client,
    ) -> Result<Self, Failure> {
        let terminal = output.is_terminal();
        match header.form() {
            QueryForm::Ask => {
                let format = format.map_or(Ok(None), Format::for_rows)?;
                Ok(Self::Boolean { format, output })
            }
            QueryForm::Select => {
                let format = format
                    .unwrap_or(if terminal { Format::Table } else { Format::Tsv })
                    .for_rows()?;
                let reader = RowReader::new(header.variables.len());
                let Some(format) = format else {
                    let header = header.variables;
                    return Ok(Self::Table {
                        reader,
                        table: Table::new(header, output, client.prefixes().await?),
                    });
                };
                let variables: Vec<_> = header
                    .variables
                    .into_iter()
                    .map(Variable::new_unchecked)
                    .collect();
                let writer = QueryResultsSerializer::from_format(format)
                    .serialize_solutions_to_writer(output, variables.clone())?;
                Ok(Self::Rows {
                    reader,
                    variables,
                    writer,
                })
            }
            QueryForm::Construct | QueryForm::Describe => {
                let format = format.unwrap_or(if terminal {
                    Format::Turtle
                } else {
                    Format::NTriples
                });
                let Some(format) = format.for_triples()? else {
                    let header = ["subject", "predicate", "object"].map(str::to_owned).to_vec();
                    let table = Table::new(header, output, client.prefixes().await?);
                    return Ok(Self::Table {
                        reader: RowReader::new(0),
                        table,
                    });
                };
                Ok(Self::Triples(rdf_writer(format, output, client).await?))
            }
            QueryForm::Unspecified => Err(unexpected()),
        }
    }

    /// Writes a frame; nothing of it is held back, except in a table.
    pub(super) fn write(&mut self, frame: Frame) -> Result<(), Failure> {
        match (self, frame) {
            (Self::Boolean { format, output }, Frame::Boolean(value)) => match format {
                None => writeln!(output, "{value}")?,
                Some(format) => {
                    QueryResultsSerializer::from_format(*format)
                        .serialize_boolean_to_writer(output.clone(), value)?;
                    writeln!(output)?;
                }
            },
            (
                Self::Rows {
                    reader,
                    variables,
                    writer,
                },
                Frame::Rows(batch),
            ) => reader.read(batch, |row| {
                let terms: Vec<_> = terms(row).collect();
                let bound = variables
                    .iter()
                    .zip(&terms)
                    .filter_map(|(variable, term)| Some((variable, term.as_ref()?)));
                Ok(writer.serialize(bound)?)
            })?,
            (Self::Table { reader, table }, Frame::Rows(batch)) => {
                reader.read(batch, |row| table.push(&row))?;
            }
            (Self::Triples(writer), Frame::Triples(TripleBatch { triples })) => {
                for triple in triples {
                    writer.triple(triple_from_proto(triple).ok_or_else(unexpected)?.as_ref())?;
                }
            }
            (Self::Table { table, .. }, Frame::Triples(TripleBatch { triples })) => {
                for v1::TripleTerm {
                    subject,
                    predicate,
                    object,
                } in triples
                {
                    let predicate = v1::Term {
                        term: Some(v1::term::Term::Iri(predicate)),
                    };
                    table.push(&vec![
                        subject.map(|term| *term),
                        Some(predicate),
                        object.map(|term| *term),
                    ])?;
                }
            }
            _ => return Err(unexpected()),
        }
        Ok(())
    }

    /// Ends the document. Without this a result that broke off does not look whole.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Boolean { .. } => {}
            Self::Rows { writer, .. } => {
                writer.finish()?;
            }
            Self::Triples(writer) => {
                writer.finish()?;
            }
            Self::Table { mut table, .. } => table.flush(true)?,
        }
        Ok(())
    }
}

/// Returns a writer of triples, with the server's prefixes where the format has prefixes.
async fn rdf_writer(
    format: rdf::Format,
    output: Output,
    client: &mut Client,
) -> Result<DocumentWriter<Output>, Failure> {
    let has_prefixes = matches!(
        format,
        rdf::Format::Text(RdfFormat::Turtle | RdfFormat::TriG | RdfFormat::RdfXml)
    );
    let known = if has_prefixes {
        Some(client.prefixes().await?)
    } else {
        None
    };
    let prefixes = known.iter().flat_map(Prefixes::iter);
    DocumentWriter::new(format, false, prefixes, output)
        .map_err(|error| Failure::failed(format!("a prefix of the server: {error}")))
}

/// A table that is written in parts of bounded size.
pub(super) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
    written: bool,
    prefixes: Prefixes,
    output: Output,
}

impl Table {
    fn new(header: Vec<String>, output: Output, prefixes: Prefixes) -> Self {
        Self {
            header,
            rows: Vec::new(),
            written: false,
            prefixes,
            output,
        }
    }

    fn push(&mut self, row: &Row) -> Result<(), Failure> {
        let show = |cell: &Option<v1::Term>| {
            cell.as_ref()
                .map(|term| self.prefixes.show(term))
                .unwrap_or_default()
        };
        self.rows.push(row.iter().map(show).map(Cell::new).collect());
        self.flush(false)
    }

    fn flush(&mut self, last: bool) -> Result<(), Failure> {
        if self.rows.len() < TABLE_ROW_COUNT_MAX && !(last && (!self.rows.is_empty() || !self.written)) {
            return Ok(());
        }
        let header: Vec<_> = self.header.iter().map(String::as_str).collect();
        self.output.table(&header, std::mem::take(&mut self.rows))?;
        self.written = true;
        Ok(())
    }
}

fn unexpected() -> Failure {
    Failure::failed("the server sent a result that does not follow the protocol")
}
