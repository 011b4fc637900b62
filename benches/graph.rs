//! The graph index in process: load, size, start from the snapshot file, lookups, scans.
//!
//! ```text
//! cargo bench --bench graph                     # 1,000,000 quads
//! cargo bench --bench graph -- --quads 100000
//! ```

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use dossier::facts::{Budget, EntityQuery, Lookup, Scope, TimeView, derive};
use dossier::graph::{
    Batch, Draft, GraphPattern, Pattern, Snapshot, TermView, read_snapshot_file, write_snapshot_file,
};
use oxigraph::{
    io::{RdfFormat, RdfParser},
    model::{GraphNameRef, NamedNode, QuadRef},
};

#[path = "../examples/generate/graph.rs"]
mod generate;

const LOOKUP_COUNT: u32 = 200_000;
const STATEMENTS_PER_ENTITY: u64 = 11;
/// The day whose facts are read.
const DAY: &str = "2019-08-27";

fn main() -> Result<(), Box<dyn Error>> {
    let mut quad_count = 1_000_000;
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quads" => quad_count = arguments.next().ok_or("--quads takes a number")?.parse()?,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let snapshot = load(quad_count)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("graph");
    let (write_time, written) = timed(|| write_snapshot_file(&path, &snapshot, b""));
    written?;
    let (read_time, read) = timed(|| read_snapshot_file(&path));
    let (snapshot, _) = read?;
    println!(
        "snapshot file: {} MB, written in {write_time:.0?}, read in {read_time:.0?}",
        fs::metadata(&path)?.len() / 1_000_000
    );
    read_entities("one layer", &snapshot, quad_count)?;
    read_entities("four layers", &with_small_commits(&snapshot), quad_count)?;
    let few = quad_count / 10;
    read_entities("with stated facts", &with_statements(load(few)?, few)?, few)
}

fn load(quad_count: u64) -> Result<Snapshot, Box<dyn Error>> {
    let mut document = Vec::new();
    generate::write_graph(&mut document, quad_count, 1)?;
    let mut batch = Batch::default();
    let (parse_time, parsed) = timed(|| {
        RdfParser::from_format(RdfFormat::NQuads)
            .for_slice(&document)
            .try_for_each(|quad| quad.map(|quad| batch.insert(quad.as_ref())))
    });
    parsed?;
    let (apply_time, (_, snapshot)) = timed(|| {
        let mut draft = Draft::new(Snapshot::default());
        draft.apply(&batch);
        draft.finish()
    });
    println!(
        "load: {quad_count} quads parsed in {parse_time:.0?}, indexed in {apply_time:.0?}; {} terms, {} bytes a quad",
        snapshot.term_count(),
        snapshot.memory_bytes() / snapshot.quad_count().max(1)
    );
    Ok(snapshot)
}

/// Puts three commits on top that stay layers of their own.
fn with_small_commits(snapshot: &Snapshot) -> Snapshot {
    [6_000_u64, 300, 10]
        .into_iter()
        .fold(snapshot.clone(), |snapshot, quad_count| {
            let mut batch = Batch::default();
            let predicate = NamedNode::new_unchecked("http://example.org/p/later");
            for entity in 0..quad_count {
                let subject = NamedNode::new_unchecked(generate::entity_iri(7 * entity));
                let object = NamedNode::new_unchecked(generate::entity_iri(entity + quad_count));
                batch.insert(QuadRef::new(
                    &subject,
                    &predicate,
                    &object,
                    GraphNameRef::DefaultGraph,
                ));
            }
            let mut draft = Draft::new(snapshot);
            draft.apply(&batch);
            draft.finish().1
        })
}

/// Puts statements on top, as a server has them once it was told of them.
fn with_statements(snapshot: Snapshot, quad_count: u64) -> Result<Snapshot, Box<dyn Error>> {
    const D: &str = "https://w3id.org/dossier/ns#";
    const PROV: &str = "http://www.w3.org/ns/prov#";
    const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
    let mut document = String::new();
    for entity in 0..generate::entity_count(quad_count) {
        let subject = generate::entity_iri(entity);
        for number in 0..STATEMENTS_PER_ENTITY {
            writeln!(
                document,
                "GRAPH <https://w3id.org/dossier/g/statements> {{ <http://example.com/statement/{entity}/{number}>
                <{RDF}subject> <{subject}> ; <{RDF}predicate> <http://example.com/held> ; <{RDF}object> <http://example.com/held/{number}> ;
                <{D}stance> <{D}Asserted> ; <{D}standing> <{D}Accepted> ; <{D}basis> <{D}Stated> ; <{D}edtf> \"2016/..\" ;
                <{PROV}wasDerivedFrom> <http://example.com/source/{}> ;
                <{PROV}generatedAtTime> \"2026-11-25T10:11:12.345678Z\"^^<http://www.w3.org/2001/XMLSchema#dateTime> }}",
                entity % 1_000
            )?;
        }
    }
    let mut batch = Batch::default();
    for quad in RdfParser::from_format(RdfFormat::TriG).for_slice(document.as_bytes()) {
        batch.insert(quad?.as_ref());
    }
    let mut draft = Draft::new(snapshot);
    draft.apply(&batch);
    derive::rederive(&mut draft, DAY.parse()?, derive::Scope::All);
    let mut snapshot = draft.finish().1;
    while let Some(merge) = snapshot.due_merge() {
        snapshot = snapshot.with_merged(&merge.run());
    }
    Ok(snapshot)
}

fn read_entities(name: &str, snapshot: &Snapshot, quad_count: u64) -> Result<(), Box<dyn Error>> {
    let entity_count = generate::entity_count(quad_count);
    let iris: Vec<_> = (0..LOOKUP_COUNT)
        .map(|turn| generate::entity_iri(u64::from(turn) * 7_919_333 % entity_count))
        .collect();
    let of = |iri: &str| {
        let subject = snapshot.iri_id(iri).ok_or("an entity is missing")?;
        Ok::<_, Box<dyn Error>>(Pattern {
            subject: Some(subject),
            ..Pattern::all(GraphPattern::Default)
        })
    };
    let (read_time, read) = timed(|| {
        iris.iter().try_for_each(|iri| {
            for quad in snapshot.quads(of(iri)?) {
                black_box::<[TermView<'_>; 2]>([snapshot.view(quad.predicate), snapshot.view(quad.object)]);
            }
            Ok::<_, Box<dyn Error>>(())
        })
    });
    read?;
    let lookup = Lookup::default();
    let query = EntityQuery {
        languages: Vec::new(),
        view: TimeView {
            day: DAY.parse()?,
            known_at: None,
        },
        is_present: true,
        scope: Scope::Holding,
        size: Some(1_000),
        label_languages: Vec::new(),
    };
    let (fact_time, looked_up) = timed(|| {
        iris.iter().try_for_each(|iri| {
            let reader = lookup.on(snapshot);
            let found = reader.entity(iri, &query, None, &mut Budget::inline());
            black_box(found.ok_or("an entity is missing")?);
            Ok::<_, Box<dyn Error>>(())
        })
    });
    looked_up?;
    let (count_time, counted) = timed(|| {
        iris.iter().try_for_each(|iri| {
            black_box(snapshot.count(of(iri)?));
            Ok::<_, Box<dyn Error>>(())
        })
    });
    counted?;
    let (scan_time, scanned) = timed(|| {
        snapshot
            .quads(Pattern::all(GraphPattern::Default))
            .map(|quad| quad.object.get() as usize)
            .sum::<usize>()
    });
    black_box(scanned);
    println!(
        "{name}: an entity as facts in {:.2?}; its {} quads in {:.2?}, their count in {:.0?}; a scan of all in {scan_time:.0?}",
        fact_time / LOOKUP_COUNT,
        generate::QUADS_PER_ENTITY,
        read_time / LOOKUP_COUNT,
        count_time / LOOKUP_COUNT
    );
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let outcome = work();
    (start.elapsed(), outcome)
}
