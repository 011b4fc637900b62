//! Terms whose line in the log is longer than the buffer of a parser.

use super::*;

#[test]
fn a_long_term_is_watched_and_compared() {
    let base = Base::new(FeedSettings {
        diff_bytes_max: 64 << 20,
        ..SETTINGS
    });
    let mut long = quad(1, 0, 0);
    long.object = Literal::from("\u{1}".repeat(3 << 20)).into();
    base.insert(&[long.clone()]);
    base.insert(&[quad(2, 0, 0)]);
    let mut watcher = base.watch(Start::After(0), Filter::default());
    let Event::Commit(fragment) = base.runtime.block_on(watcher.next()).unwrap() else {
        panic!("it is a commit");
    };
    assert!(*fragment.changes == [Change::Insert(long.clone())]);
    let diff = base.feed.diff(&Access::everything(), 0, 1, || false).unwrap();
    let changes: Vec<_> = diff.into_changes().collect();
    assert!(changes == [Change::Insert(long)]);
}
