//! Pages of what changes between them.

use super::{
    verdict::{stated, view},
    *,
};
use crate::facts::Cursor;

/// Returns the graph with more in it, of the same epoch.
fn with(snapshot: Snapshot, more: &str) -> Snapshot {
    let mut batch = Batch::default();
    for quad in RdfParser::from_format(RdfFormat::TriG).for_slice(format!("{PREFIXES}{more}").as_bytes()) {
        batch.insert(quad.unwrap().as_ref());
    }
    let mut draft = Draft::new(snapshot);
    draft.apply(&batch);
    draft.finish().1
}

/// Returns the first edges of each entry of a page of a timeline, and where it ends.
fn timeline(snapshot: &Snapshot, size: usize, after: Option<Cursor>) -> (Vec<String>, Option<Cursor>) {
    let reader = Lookup::default().on(snapshot);
    let (entity, span) = (iri("e/s"), Span::default());
    let page = reader.timeline(
        &entity,
        span,
        &view("2019-08-27"),
        size,
        after,
        &mut Budget::page(),
    );
    let page = page.unwrap();
    let days = page
        .entries
        .iter()
        .map(|entry| format!("{:?} {}", entry.kind, entry.date.first));
    (days.collect(), page.end)
}

#[test]
fn a_timeline_goes_on_after_an_entry_that_has_gone() {
    let statement = |id: &str, time: &str| stated(id, "d:p e:x", "Accepted", &format!("; d:edtf \"{time}\""));
    let event =
        "e:event d:actor e:s ; d:happenedOn \"2018-01-01\" . e:early d:actor e:s ; d:happenedOn \"-0043\" .";
    let before = snapshot(
        &[
            statement("1", "2016/2019"),
            statement("2", "2016-01-01/.."),
            event.into(),
        ]
        .concat(),
    );
    let (all, _) = timeline(&before, 100, None);
    assert_eq!(
        all,
        [
            "Event -0043-01-01",
            "FactStart 2016-01-01",
            "FactStart 2016-01-01",
            "Event 2018-01-01",
            "FactEnd 2019-01-01"
        ]
    );
    for size in 1..5 {
        let (first, end) = timeline(&before, size, None);
        assert_eq!(first, all[..size]);
        assert_eq!(timeline(&before, 100, end).0, all[size..]);
    }
    // The last entry of the first page is retracted before the second is asked for.
    let end = timeline(&before, 2, None).1;
    let after = with(
        before,
        "g:statements { s:2 prov:invalidatedAtTime \"2019-08-27T00:00:00Z\" }",
    );
    assert_eq!(timeline(&after, 100, end).0, all[2..]);
}

/// What is planned is linked as what has come to pass is.
#[test]
fn a_timeline_has_what_a_planned_event_is_linked_with() {
    let early = "e:early d:happenedOn \"2018-01-01\" .";
    let links = "e:s a <http://schema.org/Event> ; d:follows e:early ; d:edtf \"2019-01-01\" .";
    let planned =
        format!("{early} g:statements {{ {links} e:s d:standing d:Unconfirmed ; d:stance d:Planned }}");
    let accepted = format!("{early} {links} e:s d:standing d:Accepted ; d:stance d:Asserted .");
    for text in [planned, accepted] {
        let (all, _) = timeline(&snapshot(&text), 100, None);
        assert_eq!(all, ["Event 2018-01-01", "Event 2019-01-01"], "{text}");
    }
}

/// All versions are told, be there one after the other or many of one.
#[test]
fn a_long_history_is_told_whole() {
    const COUNT: usize = 12_000;
    for old in [|number: usize| number - 1, |_| 0] {
        let mut text = stated("0", "d:p e:x", "Accepted", "");
        for number in 1..COUNT {
            let more = format!("; prov:wasRevisionOf s:{}", old(number));
            text += &stated(&number.to_string(), "d:p e:x", "Accepted", &more);
        }
        let snapshot = snapshot(&text);
        let reader = Lookup::default().on(&snapshot);
        let versions = Versions::Of(iri("s/7"));
        let (mut count, mut after) = (0, None);
        loop {
            let mut budget = Budget::page();
            let page = reader
                .history(&versions, &view("2019-08-27"), 5_000, after, &mut budget)
                .unwrap();
            count += page.facts.len();
            after = page.end;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(count, COUNT);
    }
}
