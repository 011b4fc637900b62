//! A whole update on a small graph: it is planned in time, without a panic.
#![no_main]

use std::sync::LazyLock;

use dossier::{
    graph::{Draft, Snapshot},
    sparql::{Parameters, parse_update},
};
use dossier_fuzz::{graph, interrupt, parser, run};

static GRAPH: LazyLock<Snapshot> = LazyLock::new(graph);

libfuzzer_sys::fuzz_target!(|text: &str| {
    run(|| {
        if let Ok(update) = parse_update(&parser(), text, &Parameters::default()) {
            let mut draft = Draft::new(GRAPH.clone());
            let _ = update.plan(interrupt(), 64 << 20)(&mut draft);
        }
    });
});
