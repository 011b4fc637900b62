//! A document in any format; its first byte says which.
#![no_main]

use dossier::rdf::{self, Compression, Document, Memory};
use dossier_fuzz::run;

/// In the order of `seed.sh`.
const FORMATS: [&str; 6] = ["nt", "nq", "ttl", "trig", "rdf", "jsonld"];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, bytes)) = bytes.split_first() else {
        return;
    };
    let Some(format) = rdf::format(FORMATS[usize::from(choice) % FORMATS.len()]) else {
        return;
    };
    run(|| {
        let document = Document {
            format,
            compression: Compression::None,
            base_iri: (choice >= 128).then(|| "http://example.org/".to_owned()),
            default_graph: None,
            is_one_graph: false,
        };
        let _ = rdf::read(&document, bytes, &Memory::new(64 << 20), 0, |_| true);
    });
});
