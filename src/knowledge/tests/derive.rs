//! What holds, through commits in groups, turns of the day, starts and rebuilds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use oxigraph::io::{RdfFormat, RdfParser};

use super::*;
use crate::{facts::ModelError, log::Entry};

const DAY_SECONDS: u64 = 86_400;

/// A statement `e:a d:p e:NUMBER`, with a standing and an EDTF time.
fn statement(number: u64, standing: &str, edtf: &str) -> Vec<Quad> {
    parse(&format!(
        "g:statements {{ s:{number} rdf:subject e:a ; rdf:predicate d:p ; rdf:object e:{number} ; d:stance d:Asserted ;
        d:standing d:{standing} ; d:basis d:Stated ; prov:wasDerivedFrom e:source ; d:edtf \"{edtf}\" }}"
    ))
}

fn parse(text: &str) -> Vec<Quad> {
    let prefixes = "@prefix d: <https://w3id.org/dossier/ns#> . @prefix e: <https://w3id.org/dossier/e/> .
        @prefix s: <https://w3id.org/dossier/s/> . @prefix g: <https://w3id.org/dossier/g/> .
        @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> . @prefix prov: <http://www.w3.org/ns/prov#> . ";
    RdfParser::from_format(RdfFormat::TriG)
        .for_slice(format!("{prefixes}{text}").as_bytes())
        .map(|quad| quad.unwrap())
        .collect()
}

fn adding(quads: &[Quad]) -> CommitRequest<String> {
    let mut batch = Batch::default();
    for quad in quads {
        batch.insert(quad.as_ref());
    }
    planning(move |draft| draft.apply(&batch))
}

/// The objects that hold, by their last letters.
fn holding(base: &KnowledgeBase) -> Vec<String> {
    contents(&base.read(&Access::everything()).snapshot)
        .into_iter()
        .filter(|quad| quad.starts_with("<https://w3id.org/dossier/e/a>") && quad.ends_with("g/derived>"))
        .map(|quad| {
            quad.split(' ')
                .nth(2)
                .unwrap()
                .trim_start_matches("<https://w3id.org/dossier/e/")
                .trim_end_matches('>')
                .to_owned()
        })
        .collect()
}

/// A clock that goes only when it is told to.
fn clock(seconds: &Arc<AtomicU64>) -> Clock {
    let seconds = Arc::clone(seconds);
    Clock::new(ReferenceDate::Today, move || {
        UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::SeqCst))
    })
}

fn open_at(dir: &TempDir, seconds: &Arc<AtomicU64>) -> KnowledgeBase {
    open::open(settings(dir), Box::new(crate::log::open_database), clock(seconds)).unwrap()
}

#[test]
fn a_turn_of_the_day_is_a_commit_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let seconds = Arc::new(AtomicU64::new(0));
    let base = open_at(&dir, &seconds);
    let quads = [
        statement(1, "Accepted", "../1970-01-01"),
        statement(2, "Accepted", "1970-01-02/.."),
    ]
    .concat();
    commit(&base, adding(&quads)).unwrap();
    assert_eq!(holding(&base), ["1"]);
    // Before the next commit.
    seconds.store(DAY_SECONDS, Ordering::SeqCst);
    let committed = commit(&base, adding(&statement(3, "Accepted", "1970-01-03/.."))).unwrap();
    assert_eq!((committed.revision, holding(&base)), (3, vec!["2".to_owned()]));
    let header = base.inner.log.header(2).unwrap();
    assert_eq!(
        (header.author.as_str(), header.message.as_str()),
        ("dossier", "what holds on 1970-01-02")
    );
    base.close();
    // At a start.
    seconds.store(2 * DAY_SECONDS, Ordering::SeqCst);
    let base = open_at(&dir, &seconds);
    assert_eq!(
        (base.revision(), holding(&base)),
        (4, vec!["2".to_owned(), "3".to_owned()])
    );
    base.close();
    assert_eq!(rebuild(&settings(&dir), true).unwrap().difference_count, 0);
}

#[test]
fn an_idle_writer_wakes_when_the_day_turns() {
    let dir = tempfile::tempdir().unwrap();
    // A millisecond before midnight, until it is told that the day has turned.
    let turned = Arc::new(AtomicBool::new(false));
    let has_turned = Arc::clone(&turned);
    let clock = Clock::new(ReferenceDate::Today, move || {
        let before = u64::from(!has_turned.load(Ordering::SeqCst));
        UNIX_EPOCH + Duration::from_secs(DAY_SECONDS) - Duration::from_millis(before)
    });
    let base = open::open(settings(&dir), Box::new(crate::log::open_database), clock).unwrap();
    commit(&base, adding(&statement(1, "Accepted", "1970-01-02/.."))).unwrap();
    assert_eq!(holding(&base), Vec::<String>::new());
    turned.store(true, Ordering::SeqCst);
    runtime().block_on(base.wait_for(2, None)).unwrap();
    let view = base.read(&Access::everything());
    assert_eq!((view.revision, holding(&base)), (2, vec!["1".to_owned()]));
}

#[test]
fn members_of_a_group_derive_on_each_other_and_a_refused_one_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    let runtime = runtime();
    let go = hold(&base, &runtime);
    let mut invalid = statement(2, "Preferred", "../..");
    invalid.extend(parse("g:statements { s:2 d:confidence 2 }"));
    let triple = parse("e:a d:p e:1 .").remove(0);
    let mut deleting = Batch::default();
    deleting.remove(triple.as_ref());
    let requests = [
        adding(&statement(1, "Accepted", "../..")),
        adding(&invalid),
        planning(move |draft| draft.apply(&deleting)),
        adding(&statement(3, "Preferred", "../..")),
    ];
    let commits = requests.map(|request| base.commit(request));
    let mut all = Box::pin(futures::future::join_all(commits));
    runtime.block_on(async { assert!(futures::poll!(&mut all).is_pending()) });
    go.send(()).unwrap();
    let answers = runtime.block_on(all);
    assert_eq!(answers[0].as_ref().unwrap().revision, 1);
    let model = |index: usize| match &answers[index] {
        Err(CommitError::Model(error)) => error.as_ref(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        model(1),
        ModelError::StatementInvalid { node_count: 1, .. }
    ));
    assert!(matches!(model(2), ModelError::DerivedTriple { .. }));
    assert_eq!(answers[3].as_ref().unwrap().revision, 2);
    assert_eq!(base.append_count(), 1);
    assert_eq!(holding(&base), ["3"]);
    assert!(
        !contents(&base.read(&Access::everything()).snapshot)
            .iter()
            .any(|quad| quad.contains("/s/2>"))
    );
}

/// Writes a record past the rules, as a fault would.
fn plant(dir: &TempDir, inserted: &[Quad], removed: &[Quad]) {
    let mut log = crate::log::Log::open(dir.path(), 0).unwrap();
    let mut append = log.begin().unwrap();
    append
        .record(Entry::default(), |writer| {
            removed.iter().try_for_each(|quad| writer.remove(quad.as_ref()))?;
            inserted.iter().try_for_each(|quad| writer.insert(quad.as_ref()))
        })
        .unwrap();
    log.commit(append).unwrap();
    log.mark().unwrap();
}

#[test]
fn a_rebuild_finds_what_was_planted_and_corrects_it() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    commit(&base, adding(&statement(1, "Accepted", "../.."))).unwrap();
    let before = contents(&base.read(&Access::everything()).snapshot);
    // Not while it is open.
    let refused = rebuild(&settings(&dir), true).unwrap_err();
    assert!(refused.to_string().contains("use"), "{refused}");
    base.close();
    assert_eq!(rebuild(&settings(&dir), true).unwrap().difference_count, 0);
    plant(&dir, &parse("g:derived { e:a d:p e:9 }"), &parse("e:a d:p e:1 ."));
    let checked = rebuild(&settings(&dir), true).unwrap();
    let told: Vec<_> = checked.differences.iter().map(ToString::to_string).collect();
    let triple = |object: u64, graph: &str| {
        format!(
            "<https://w3id.org/dossier/e/a> <https://w3id.org/dossier/ns#p> <https://w3id.org/dossier/e/{object}>{graph}"
        )
    };
    let expected = [
        format!("derivation: missing: {}", triple(1, "")),
        format!(
            "derivation: too much: {}",
            triple(9, " <https://w3id.org/dossier/g/derived>")
        ),
    ];
    assert_eq!(told, expected);
    let rebuilt = rebuild(&settings(&dir), false).unwrap();
    assert_eq!((rebuilt.difference_count, rebuilt.corrected_at), (2, Some(3)));
    assert_eq!(rebuild(&settings(&dir), true).unwrap().difference_count, 0);
    assert_eq!(contents(&open(&dir).read(&Access::everything()).snapshot), before);
}

#[test]
fn a_rebuild_tells_a_hundred_differences_and_counts_all() {
    for (count, told) in [(100, 100), (101, 100)] {
        let dir = tempfile::tempdir().unwrap();
        let planted: Vec<_> = (0..count).map(|number| format!("e:{number}")).collect();
        let planted = planted.join(", ");
        plant(&dir, &parse(&format!("g:derived {{ e:a d:p {planted} }}")), &[]);
        let rebuilt = rebuild(&settings(&dir), true).unwrap();
        assert_eq!(
            (rebuilt.differences.len(), rebuilt.difference_count),
            (told, count)
        );
    }
}

#[test]
fn a_base_from_before_is_derived_at_its_start() {
    let dir = tempfile::tempdir().unwrap();
    plant(&dir, &statement(1, "Accepted", "../.."), &[]);
    let base = open(&dir);
    assert_eq!((base.revision(), holding(&base)), (2, vec!["1".to_owned()]));
}
