//! The guard and the parser, as a query and as an update: any text is taken or refused, without a panic and in time.
#![no_main]

use dossier::{
    graph::Snapshot,
    sparql::{Interrupt, Parameters, parse_update, run_query},
};
use dossier_fuzz::{Discard, parser, query, run};

libfuzzer_sys::fuzz_target!(|text: &str| {
    run(|| {
        // Already cancelled: it ends after parsing.
        let interrupt = Interrupt::new(None);
        interrupt.cancel();
        let outcome = run_query(
            &parser(),
            &query(text),
            &Snapshot::default(),
            &interrupt,
            &mut Discard,
        );
        assert!(outcome.is_err(), "a cancelled query has a result");
        let _ = parse_update(&parser(), text, &Parameters::default());
    });
});
