//! Compaction: whenever it happens, the graph is the one that all commits from the first on make.

use proptest::prelude::*;

use super::{
    replay::{run, steps},
    *,
};

/// Keeps no more than it must.
fn greedy(dir: &TempDir, revision_count_min: u64) -> Settings {
    Settings {
        retention: Retention {
            bytes_max: Some(1),
            revision_count_min,
            ..Retention::default()
        },
        ..settings(dir)
    }
}

fn wait_for_earliest(base: &KnowledgeBase, least: u64) -> u64 {
    let mut earliest = base.earliest_revisions();
    runtime().block_on(async { *earliest.wait_for(|earliest| *earliest >= least).await.unwrap() })
}

#[test]
fn the_log_is_compacted_while_commits_go_on_and_keeps_its_newest() {
    let dir = tempfile::tempdir().unwrap();
    let base = KnowledgeBase::open(greedy(&dir, 10)).unwrap();
    let mut number = 0;
    // Whatever the thread does, it has been there twice.
    for least in [1, 20] {
        while base.earliest_revision() < least {
            number += 1;
            assert_eq!(commit(&base, inserting([number])).unwrap().revision, number);
        }
        let earliest = wait_for_earliest(&base, least);
        assert!(earliest + 10 <= number, "{earliest} of {number}");
    }
    let expected = contents(&base.read(&Access::everything()).snapshot);
    assert_eq!(expected.len() as u64, number);
    let summary = base.verify().unwrap();
    assert_eq!((summary.head.revision, summary.quads_inserted), (number, number));
    base.close();
    for file in ["snapshot", "none"] {
        let _ = fs::remove_file(dir.path().join(file));
        let base = KnowledgeBase::open(settings(&dir)).unwrap();
        assert_eq!(contents(&base.read(&Access::everything()).snapshot), expected);
        assert!(base.earliest_revision() >= 20);
        base.close();
    }
    let rebuilt = rebuild(&settings(&dir), true).unwrap();
    assert_eq!(rebuilt.difference_count, 0, "{:?}", rebuilt.differences);
}

#[test]
fn records_go_by_their_age() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    for number in 1..=5 {
        commit(&base, inserting([number])).unwrap();
    }
    base.close();
    let aged = |age_max| Settings {
        retention: Retention {
            age_max: Some(age_max),
            revision_count_min: 2,
            ..Retention::default()
        },
        ..settings(&dir)
    };
    // Nothing is that old.
    let base = KnowledgeBase::open(aged(Duration::from_hours(1))).unwrap();
    commit(&base, inserting([6])).unwrap();
    assert_eq!(base.earliest_revision(), 0);
    base.close();
    // Everything is older than nothing, but the newest two stay.
    let base = KnowledgeBase::open(aged(Duration::ZERO)).unwrap();
    assert_eq!(wait_for_earliest(&base, 4), 4);
    assert_eq!(contents(&base.read(&Access::everything()).snapshot).len(), 6);
}

#[test]
fn records_stay_until_they_are_backed_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = greedy(&dir, 2);
    settings.retention.waits_for_backups = true;
    // So that nothing wakes the writer but what it is told.
    settings.reference_date = ReferenceDate::Fixed(Day::of_unix_seconds(0));
    let base = KnowledgeBase::open(settings.clone()).unwrap();
    for number in 1..=30 {
        commit(&base, inserting([number])).unwrap();
    }
    base.close();
    // As long as nobody has told, nothing goes: also not at the start, which looks at once.
    let base = KnowledgeBase::open(settings).unwrap();
    assert_eq!(commit(&base, inserting([31])).unwrap().revision, 31);
    assert_eq!(base.earliest_revision(), 0);
    // The commit was answered after the look at the start.
    assert!(base.waits_for_backup());
    base.tell_backed_up(20);
    assert_eq!(wait_for_earliest(&base, 1), 20);
    base.close();
    // Without a place for backups it waits for none.
    let base = KnowledgeBase::open(greedy(&dir, 2)).unwrap();
    assert_eq!(wait_for_earliest(&base, 21), 29);
    assert!(!base.waits_for_backup());
}

#[test]
fn an_outdated_snapshot_file_gives_way_to_the_base_record() {
    let dir = tempfile::tempdir().unwrap();
    let base = open(&dir);
    commit(&base, inserting([1])).unwrap();
    base.close();
    let outdated = fs::read(dir.path().join("snapshot")).unwrap();
    let base = open(&dir);
    commit(&base, inserting([2])).unwrap();
    commit(&base, inserting([3])).unwrap();
    base.close();
    assert_eq!(
        crate::knowledge::compact(&settings(&dir), 1)
            .unwrap()
            .unwrap()
            .earliest,
        2
    );
    assert_eq!(crate::knowledge::compact(&settings(&dir), 1).unwrap(), None);
    fs::write(dir.path().join("snapshot"), outdated).unwrap();
    let base = open(&dir);
    assert_eq!(contents(&base.read(&Access::everything()).snapshot).len(), 3);
    assert_eq!(commit(&base, inserting([4])).unwrap().revision, 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_compacted_log_makes_the_graph_that_all_of_it_makes(
        rounds in prop::collection::vec((prop::collection::vec(steps(), 1..6), 0..6_u64), 1..4),
    ) {
        let (dir, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (commits, kept) in rounds {
            for dir in [&dir, &whole] {
                let base = open(dir);
                for steps in &commits {
                    let steps = steps.clone();
                    commit(&base, planning(move |draft| run(draft, &steps))).unwrap();
                }
                base.close();
            }
            crate::knowledge::compact(&settings(&dir), kept).unwrap();
            let mut found = Vec::new();
            for dir in [&dir, &whole] {
                // The log alone.
                fs::remove_file(dir.path().join("snapshot")).ok();
                let base = open(dir);
                let View { revision, snapshot, .. } = base.read(&Access::everything());
                found.push((revision, contents(&snapshot)));
                prop_assert_eq!(base.verify().unwrap().head.revision, revision);
                base.close();
            }
            prop_assert_eq!(&found[0], &found[1]);
        }
    }
}
