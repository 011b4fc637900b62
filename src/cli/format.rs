//! The forms of results: which there are, and what each kind of result can be written in.

use clap::ValueEnum;
use oxigraph::{io::RdfFormat, sparql::results::QueryResultsFormat};

use super::failure::Failure;
use crate::rdf;

/// A form of output.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// For people: columns, with IRIs in short
    Table,
    /// SPARQL Results JSON; JSON-LD for triples
    Json,
    /// SPARQL Results XML; RDF/XML for triples
    Xml,
    /// SPARQL Results CSV: plain values, for spreadsheets
    Csv,
    /// SPARQL Results TSV: exact terms, one row a line
    Tsv,
    /// Turtle
    #[value(alias = "ttl")]
    Turtle,
    /// N-Triples
    #[value(name = "ntriples", alias = "nt")]
    NTriples,
    /// N-Quads
    #[value(name = "nquads", alias = "nq")]
    NQuads,
    /// TriG
    Trig,
    /// RDF/XML
    #[value(name = "rdfxml", alias = "rdf")]
    RdfXml,
    /// JSON-LD
    #[value(name = "jsonld")]
    JsonLd,
    /// Jelly-RDF, which is binary
    Jelly,
}

impl Format {
    /// Returns the form for rows or a boolean; None for the table.
    pub(super) fn for_rows(self) -> Result<Option<QueryResultsFormat>, Failure> {
        Ok(Some(match self {
            Self::Table => return Ok(None),
            Self::Json => QueryResultsFormat::Json,
            Self::Xml => QueryResultsFormat::Xml,
            Self::Csv => QueryResultsFormat::Csv,
            Self::Tsv => QueryResultsFormat::Tsv,
            Self::Turtle
            | Self::NTriples
            | Self::NQuads
            | Self::Trig
            | Self::RdfXml
            | Self::JsonLd
            | Self::Jelly => {
                let name = self.name();
                return Err(Failure::usage(format!(
                    "{name} holds triples, and this result is not of triples"
                ))
                .hint("use --output table, json, xml, csv or tsv"));
            }
        }))
    }

    /// Returns the form for triples; None for the table.
    pub(super) fn for_triples(self) -> Result<Option<rdf::Format>, Failure> {
        let text = |format| Ok(Some(rdf::Format::Text(format)));
        match self {
            Self::Table => Ok(None),
            Self::Turtle => text(RdfFormat::Turtle),
            Self::NTriples => text(RdfFormat::NTriples),
            Self::NQuads => text(RdfFormat::NQuads),
            Self::Trig => text(RdfFormat::TriG),
            Self::Xml | Self::RdfXml => text(RdfFormat::RdfXml),
            Self::Json | Self::JsonLd => Ok(Some(rdf::Format::JSON_LD)),
            Self::Jelly => Ok(Some(rdf::Format::Jelly)),
            Self::Csv | Self::Tsv => {
                let name = self.name();
                Err(
                    Failure::usage(format!("{name} holds rows, and this result is of triples"))
                        .hint("use --output table, turtle, ntriples, nquads, trig, rdfxml, jsonld or jelly"),
                )
            }
        }
    }

    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_result_has_its_forms() {
        for format in Format::value_variants() {
            let (rows, triples) = (format.for_rows(), format.for_triples());
            // What holds neither would be of no use.
            assert!(rows.is_ok() || triples.is_ok(), "{format:?}");
            let none = matches!((rows, triples), (Ok(None), Ok(None)));
            assert_eq!(none, *format == Format::Table, "{format:?}");
        }
        assert!(Format::Turtle.for_rows().is_err());
        assert!(Format::Csv.for_triples().is_err());
        assert_eq!(Format::from_str("ttl", false), Ok(Format::Turtle));
    }
}
