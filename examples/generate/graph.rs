//! The made-up graph itself.

use std::io::{self, Write};

/// Quads that one entity has.
pub(crate) const QUADS_PER_ENTITY: u64 = 11;

const TYPES: u64 = 20;
const RDF_TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
const RDFS_LABEL: &str = "http://www.w3.org/2000/01/rdf-schema#label";
const XSD: &str = "http://www.w3.org/2001/XMLSchema#";
const NAMESPACE: &str = "http://example.org/";

/// Writes `quads` quads; the last entity may get fewer than the others.
pub(crate) fn write_graph(out: &mut impl Write, quads: u64, seed: u64) -> io::Result<()> {
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
pub(crate) fn entity_count(quads: u64) -> u64 {
    quads.div_ceil(QUADS_PER_ENTITY)
}

/// Returns the IRI of an entity, counted from 0.
pub(crate) fn entity_iri(entity: u64) -> String {
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
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
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
