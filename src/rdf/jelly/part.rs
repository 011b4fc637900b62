//! The parts of statements, whichever message they stand in.

use super::message::{
    RdfIri, RdfLiteral, RdfTriple, rdf_graph_start, rdf_quad,
    rdf_triple::{Object, Predicate, Subject},
};

/// A term in any position.
pub(super) enum Part {
    Iri(RdfIri),
    BlankNode(String),
    Literal(RdfLiteral),
    Triple(Box<RdfTriple>),
}

/// A graph's name.
pub(super) enum Graph {
    Default,
    Part(Part),
}

macro_rules! parts {
    ($($position:path: $iri:ident, $blank_node:ident, $literal:ident, $triple:ident;)+) => {$(
        impl From<$position> for Part {
            fn from(part: $position) -> Self {
                type Of = $position;
                match part {
                    Of::$iri(iri) => Self::Iri(iri),
                    Of::$blank_node(label) => Self::BlankNode(label),
                    Of::$literal(literal) => Self::Literal(literal),
                    Of::$triple(triple) => Self::Triple(triple),
                }
            }
        }

        impl From<Part> for $position {
            fn from(part: Part) -> Self {
                match part {
                    Part::Iri(iri) => Self::$iri(iri),
                    Part::BlankNode(label) => Self::$blank_node(label),
                    Part::Literal(literal) => Self::$literal(literal),
                    Part::Triple(triple) => Self::$triple(triple),
                }
            }
        }
    )+};
}

parts! {
    Subject: SIri, SBnode, SLiteral, STripleTerm;
    Predicate: PIri, PBnode, PLiteral, PTripleTerm;
    Object: OIri, OBnode, OLiteral, OTripleTerm;
    rdf_quad::Subject: SIri, SBnode, SLiteral, STripleTerm;
    rdf_quad::Predicate: PIri, PBnode, PLiteral, PTripleTerm;
    rdf_quad::Object: OIri, OBnode, OLiteral, OTripleTerm;
}

macro_rules! graphs {
    ($($position:path;)+) => {$(
        impl From<$position> for Graph {
            fn from(graph: $position) -> Self {
                type Of = $position;
                match graph {
                    Of::GIri(iri) => Self::Part(Part::Iri(iri)),
                    Of::GBnode(label) => Self::Part(Part::BlankNode(label)),
                    Of::GLiteral(literal) => Self::Part(Part::Literal(literal)),
                    Of::GDefaultGraph(_) => Self::Default,
                }
            }
        }
    )+};
}

graphs! {
    rdf_quad::Graph;
    rdf_graph_start::Graph;
}
