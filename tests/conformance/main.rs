//! The W3C test suites of SPARQL 1.0, 1.1 and 1.2 on our engine, in this process, and those of the protocols over HTTP; queries over
//! HTTP and gRPC too.
//!
//! The suites are read from the folder that `DOSSIER_W3C_TESTS` names, or from `../shared/w3c-rdf-tests` beside the repository.
//! What does not pass is listed in `known_failures.txt` with its reason; the list can only shrink.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod case;
mod compare;
mod data;
mod exchange;
mod federation;
mod grpc;
#[path = "../integration/http_client.rs"]
mod http_client;
mod manifest;
mod wire;

use std::{collections::BTreeMap, path::PathBuf};

use manifest::Case;

/// Evaluation recurses, and more so without optimisation.
const STACK_BYTES: usize = 256 << 20;
const MANIFESTS: [&str; 4] = [
    "sparql10/manifest.ttl",
    "sparql11/manifest-sparql11-query.ttl",
    "sparql11/manifest-sparql11-update.ttl",
    "sparql12/manifest.ttl",
];
/// Fewer cases than these say that the manifests were not read whole.
const CASE_COUNT_MIN: usize = 1_000;

fn suites() -> Option<PathBuf> {
    let folder = std::env::var_os("DOSSIER_W3C_TESTS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/w3c-rdf-tests")),
        PathBuf::from,
    );
    let folder = folder.join("sparql");
    folder.is_dir().then_some(folder)
}

/// Returns the listed cases and their reasons.
fn known_failures() -> BTreeMap<&'static str, &'static str> {
    include_str!("known_failures.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            line.split_once(": ")
                .unwrap_or_else(|| panic!("no reason: {line}"))
        })
        .collect()
}

#[test]
fn w3c_suites_pass() {
    let Some(folder) = suites() else {
        println!("not run: the W3C test suites are not here (DOSSIER_W3C_TESTS names their folder)");
        return;
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(move || run(&folder)).unwrap().join().unwrap();
}

fn run(folder: &std::path::Path) {
    let known = known_failures();
    let mut counts = BTreeMap::<String, (usize, usize)>::new();
    let mut wrong = Vec::new();
    let cases = manifest::read(folder, &MANIFESTS);
    assert!(cases.len() >= CASE_COUNT_MIN, "only {} cases", cases.len());
    for case in &cases {
        let outcome = case::run(case, folder);
        let count = counts.entry(suite(case)).or_default();
        count.1 += 1;
        match (outcome, known.get(case.id.as_str())) {
            (Ok(()), None) => count.0 += 1,
            (Ok(()), Some(_)) => wrong.push(format!("{} passes: take it off the list", case.id)),
            (Err(_), Some(_)) => {}
            (Err(error), None) => wrong.push(format!("{}: {error}", case.id)),
        }
    }
    for (suite, (passed, all)) in counts {
        println!("{suite}: {passed} of {all} pass");
    }
    for id in known
        .keys()
        .filter(|id| !cases.iter().any(|case| case.id == **id))
    {
        wrong.push(format!("{id} is listed, but there is no such case"));
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

fn suite(case: &Case) -> String {
    let version = case.id.split('/').next().unwrap_or_default();
    format!("{version} {}", case.kind.group())
}
