//! Holds the code to its map: who may import whom (docs/architecture.md).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// For each module, the modules of ours that it may name. The binary's root and `lib.rs` are free.
const ALLOWED: [(&str, &[&str]); 20] = [
    // Where threads meet.
    ("sync", &[]),
    ("model", &[]),
    ("proto", &[]),
    ("remote", &[]),
    // Who calls.
    ("auth", &["model"]),
    // Prefixes of URLs, and the reference date.
    ("config", &["remote", "model"]),
    // Which request a thread works on: everybody may ask.
    ("request", &[]),
    // What requests may take on their way in.
    ("intake", &[]),
    // Who has one of few places.
    ("places", &[]),
    ("telemetry", &["config", "request"]),
    ("graph", &["model"]),
    ("log", &["graph", "model", "sync"]),
    ("rdf", &["graph", "model"]),
    ("facts", &["graph", "model"]),
    // What LOAD fetches is parsed before the writer has the update. Callers pay for the time of their queries, and texts that wait are
    // of what requests may take.
    (
        "sparql",
        &[
            "graph", "model", "rdf", "remote", "auth", "request", "intake", "sync",
        ],
    ),
    ("knowledge", &["log", "graph", "facts", "model", "sync"]),
    // A watcher reads the log at its own pace, up to what the knowledge base has published.
    (
        "feed",
        &["knowledge", "log", "graph", "facts", "model", "sync", "places"],
    ),
    // A backup is of records, and its hash of the graph.
    ("backup", &["knowledge", "log", "graph", "model"]),
    // Batches and drafts pass through from the parser to the commit.
    (
        "grpc",
        &[
            "knowledge",
            "sparql",
            "facts",
            "rdf",
            "model",
            "proto",
            "graph",
            "feed",
            "backup",
            "auth",
            "request",
            "intake",
            "places",
        ],
    ),
    // Of `proto` the reasons of errors.
    (
        "http",
        &[
            "knowledge",
            "sparql",
            "facts",
            "rdf",
            "model",
            "proto",
            "graph",
            "feed",
            "auth",
            "request",
            "intake",
            "places",
        ],
    ),
];
/// Crates of the transport, which nothing below `grpc` and `http` names; but for Jelly, a format of documents that is made of
/// Protocol Buffers.
const TRANSPORT: [&str; 4] = ["tonic", "prost", "hyper", "http::"];
const BELOW_GRPC: [&str; 15] = [
    "sync",
    "model",
    "graph",
    "log",
    "rdf",
    "facts",
    "sparql",
    "knowledge",
    "feed",
    "backup",
    "auth",
    "config",
    "request",
    "intake",
    "places",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Returns the modules of ours that a source names: `crate::x`, and `x` in `use crate::{…}`.
fn imports(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in source.match_indices("crate::") {
        let rest = &source[at + "crate::".len()..];
        let name = |text: &str| {
            let end = text
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(text.len());
            text[..end].to_owned()
        };
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => names.push(name(std::mem::take(&mut item).trim())),
                    _ => {}
                }
                if depth == 0 && c != ',' {
                    item.push(c);
                }
            }
            names.push(name(item.trim()));
        } else {
            names.push(name(rest));
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn modules_import_only_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for path in sources(&root) {
        let relative = path.strip_prefix(&root).unwrap();
        let first = relative.iter().next().unwrap().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        let source = fs::read_to_string(&path).unwrap();
        if BELOW_GRPC.contains(&module) && !relative.starts_with("rdf/jelly") {
            let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                assert!(
                    !TRANSPORT.iter().any(|name| line.contains(name)),
                    "{}: {line}",
                    relative.display()
                );
            }
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
            continue;
        };
        checked += 1;
        for import in imports(&source) {
            assert!(
                import == module || allowed.contains(&import.as_str()),
                "{} must not name crate::{import}",
                relative.display()
            );
        }
    }
    assert!(checked > 20);
}

#[test]
fn imports_are_found() {
    let source = "use crate::{a::{b, c}, d, e::F}; use crate::g; crate::h::i()";
    assert_eq!(imports(source), ["a", "d", "e", "g", "h"]);
}

/// Handlers get what a caller may do with its request. One that made an access of its own would let everybody see everything.
#[test]
fn handlers_make_no_access() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for module in ["grpc", "http", "feed", "sparql", "facts"] {
        for path in sources(&root.join(module)) {
            let source = fs::read_to_string(&path).unwrap();
            // What the feed looks up is shared by all who watch: it is filtered for each.
            let is_test = path.to_str().unwrap().contains("tests") || path.ends_with("feed/past.rs");
            let code = source.split("#[cfg(test)]").next().unwrap();
            assert!(
                is_test || !(code.contains("Access::everything") || code.contains("Access::new")),
                "{}",
                path.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 100);
}

/// What is not from `sync` no schedule interleaves.
#[test]
fn threads_meet_where_schedules_are_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let outside = |source: &str| -> Vec<String> {
        let code = source.split("#[cfg(test)]").next().unwrap();
        let imports = code
            .split("use ")
            .skip(1)
            .filter_map(|import| import.split(';').next());
        let found = imports.filter(|import| {
            let names = if import.starts_with("std::") {
                &["Mutex", "RwLock", "Condvar", "Once", "atomic", "mpsc", "thread"][..]
            } else if import.starts_with("tokio::") {
                &["watch", "Notify", "task", "sleep", "timeout"][..]
            } else {
                &["arc_swap"][..]
            };
            names.iter().any(|name| import.contains(name))
        });
        let found = found.map(str::to_owned);
        let paths = [
            "std::thread::",
            "tokio::spawn",
            "tokio::task",
            "tokio::time::sleep",
        ];
        found
            .chain(
                paths
                    .into_iter()
                    .filter(|path| code.contains(path))
                    .map(str::to_owned),
            )
            .collect()
    };
    for module in ["log", "knowledge", "feed"] {
        for path in sources(&root.join(module)) {
            if !path.to_str().unwrap().contains("tests") {
                let found = outside(&fs::read_to_string(&path).unwrap());
                assert!(found.is_empty(), "{}: {found:?}", path.display());
            }
        }
    }
    assert_eq!(
        outside("use std::{fmt, sync::{Arc, Mutex}};\nuse tokio::sync::mpsc;").len(),
        1
    );
}
