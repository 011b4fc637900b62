//! A whole query over a small graph: it ends in time, without a panic.
#![no_main]

use std::sync::LazyLock;

use dossier::{graph::Snapshot, sparql::run_query};
use dossier_fuzz::{Discard, graph, interrupt, parser, query, run};

static GRAPH: LazyLock<Snapshot> = LazyLock::new(graph);

libfuzzer_sys::fuzz_target!(|text: &str| {
    run(|| {
        let _ = run_query(&parser(), &query(text), &GRAPH, &interrupt(), &mut Discard);
    });
});
