//! Writes a made-up graph as N-Quads: the graph that the benchmarks run on.
//!
//! ```sh
//! cargo run --release --example generate -- --quads 1000000 --seed 1 > graph.nq
//! ```
//!
//! The graph has [`QUADS_PER_ENTITY`] quads for each entity, all in the default graph: a type, a label, and nine facts
//! (three links to other entities; a date, an integer, a decimal, a double, a boolean; a text in Japanese). No quad
//! comes twice. The same seed and number of quads give the same bytes, on every machine.

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use clap::Parser;

/// Quads that one entity has.
pub const QUADS_PER_ENTITY: u64 = 11;

const TYPES: u64 = 20;
const RDF_TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
const RDFS_LABEL: &str = "http://www.w3.org/2000/01/rdf-schema#label";
const XSD: &str = "http://www.w3.org/2001/XMLSchema#";
const NAMESPACE: &str = "http://example.org/";

#[derive(Parser)]
#[command(about = "Writes a made-up graph as N-Quads to standard output")]
struct Arguments {
    /// Quads to write.
    #[arg(long, default_value_t = 1_000_000)]
    quads: u64,
    /// The same seed gives the same graph.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match write_graph(&mut out, arguments.quads, arguments.seed).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write the graph: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes `quads` quads; the last entity may get fewer than the others.
pub fn write_graph(out: &mut impl Write, quads: u64, seed: u64) -> io::Result<()> {
    let entities = entity_count(quads);
    let mut random = SplitMix64(seed);
    let mut lines = Vec::with_capacity(2048);
    for entity in 0..entities {
        lines.clear();
        write_entity(&mut lines, entity, entities, &mut random)?;
        let wanted = quads - entity * QUADS_PER_ENTITY;
        let lines = lines.split_inclusive(|&byte| byte == b'\n');
        for line in lines.take(usize::try_from(wanted).unwrap_or(usize::MAX)) {
            out.write_all(line)?;
        }
    }
    Ok(())
}

/// Returns the number of entities in a graph of so many quads.
pub fn entity_count(quads: u64) -> u64 {
    quads.div_ceil(QUADS_PER_ENTITY)
}

/// Returns the IRI of an entity, counted from 0.
pub fn entity_iri(entity: u64) -> String {
    format!("{NAMESPACE}e/{entity}")
}

fn write_entity(out: &mut impl Write, entity: u64, entities: u64, random: &mut SplitMix64) -> io::Result<()> {
    let subject = entity_iri(entity);
    let mut fact = |predicate: &str, object: &str| {
        let separator = if predicate.starts_with("http") {
            ""
        } else {
            NAMESPACE
        };
        writeln!(out, "<{subject}> <{separator}{predicate}> {object} .")
    };
    let typed = |value: &str, datatype: &str| format!("\"{value}\"^^<{XSD}{datatype}>");
    fact(RDF_TYPE, &format!("<{NAMESPACE}type/{}>", random.below(TYPES)))?;
    fact(RDFS_LABEL, &format!("\"Entity {entity}\"@en"))?;
    for predicate in ["p/partOf", "p/locatedIn", "p/successorOf"] {
        fact(predicate, &format!("<{}>", entity_iri(random.below(entities))))?;
    }
    let date = format!(
        "{}-{:02}-{:02}",
        1900 + random.below(120),
        1 + random.below(12),
        1 + random.below(28)
    );
    fact("p/foundedOn", &typed(&date, "date"))?;
    fact(
        "p/population",
        &typed(&random.below(10_000_000).to_string(), "integer"),
    )?;
    let area = format!("{}.{:02}", random.below(100_000), random.below(100));
    fact("p/area", &typed(&area, "decimal"))?;
    let score = format!(
        "{}.{:03}E{}",
        1 + random.below(9),
        random.below(1_000),
        random.below(7)
    );
    fact("p/score", &typed(&score, "double"))?;
    fact(
        "p/active",
        &typed(["false", "true"][usize::from(random.below(2) == 1)], "boolean"),
    )?;
    fact(
        "p/note",
        &format!(
            "\"実体{entity}についての覚え書き、第{}版\"@ja",
            random.below(1_000)
        ),
    )
}

/// The generator of Steele, Lea and Flood (2014): one 64-bit state, and no dependency whose stream could change.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`. Its bias, at most bound / 2^64, does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn graph(quads: u64, seed: u64) -> String {
        let mut out = Vec::new();
        write_graph(&mut out, quads, seed).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_exactly_as_many_distinct_quads_as_asked() {
        for quads in [0, 1, 10, 11, 12, 5_000] {
            let text = graph(quads, 1);
            let distinct: HashSet<_> = text.lines().collect();
            assert_eq!(distinct.len() as u64, quads);
            assert_eq!(text.lines().count() as u64, quads);
        }
    }

    #[test]
    fn every_quad_parses() {
        let text = graph(1_000, 7);
        let parser = oxigraph::io::RdfParser::from_format(oxigraph::io::RdfFormat::NQuads);
        assert_eq!(parser.for_slice(&text).map(Result::unwrap).count(), 1_000);
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(graph(100, 1), graph(100, 1));
        assert_ne!(graph(100, 1), graph(100, 2));
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        let first = [random.next(), random.next(), random.next()];
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }
}
