//! By which facts an entity takes part in events.

use super::{
    verdict::{stated, view},
    *,
};
use crate::{
    facts::Span,
    model::fact::{Stance, Statement},
};

/// Returns how the only event in the timeline of `e:s` is put, and the statement that links them.
fn link(text: &str) -> Option<(Option<Standing>, Option<Stance>, Option<String>)> {
    let event = "e:x a e:Event ; d:happenedOn \"2019-08-22\" . ";
    let snapshot = snapshot(&format!("{event}{text}"));
    let lookup = Lookup::default();
    let page = lookup.on(&snapshot).timeline(
        &iri("e/s"),
        Span::default(),
        &view("2019-08-27"),
        10,
        None,
        &mut Budget::page(),
    );
    let mut entries = page.unwrap_or_default().entries;
    assert!(entries.len() < 2, "{entries:?}");
    entries.pop().map(|entry| {
        let statement = entry.fact.and_then(|fact| fact.statement);
        let name = |statement: Box<Statement>| statement.id.rsplit('/').next().unwrap_or_default().to_owned();
        (entry.standing, entry.stance, statement.map(name))
    })
}

#[test]
fn the_best_of_several_links_counts() {
    let said = |id: &str, standing: &str| stated(id, "d:with e:x", standing, "");
    // In the order of their identifiers the weakest come first.
    let links = ["Rejected", "Disputed", "Unconfirmed", "Accepted"];
    let all: Vec<_> = links.iter().map(|standing| said(standing, standing)).collect();
    let asserted = Some(Stance::Asserted);
    assert_eq!(link(&all[0]), None);
    assert_eq!(link(&said("no", "-Accepted")), None);
    for (count, standing) in [
        (2, Standing::Disputed),
        (3, Standing::Unconfirmed),
        (4, Standing::Accepted),
    ] {
        let name = links[count - 1].to_owned();
        assert_eq!(
            link(&all[..count].concat()),
            Some((Some(standing), asserted, Some(name)))
        );
    }
    // A plain triple is better than what is not confirmed.
    let plain = format!("{} e:s d:with e:x .", all[..3].concat());
    assert_eq!(link(&plain), Some((Some(Standing::Accepted), None, None)));
}

#[test]
fn the_weaker_word_counts() {
    let marks = |standing: &str, stance: &str| format!("e:x d:standing d:{standing} ; d:stance d:{stance} .");
    for (event, said, expected) in [
        (
            marks("Accepted", "Asserted"),
            "Unconfirmed",
            (Standing::Unconfirmed, Stance::Asserted),
        ),
        (
            marks("Disputed", "Planned"),
            "Accepted",
            (Standing::Disputed, Stance::Planned),
        ),
    ] {
        let found = link(&format!("{event} {}", stated("1", "d:with e:x", said, ""))).unwrap();
        assert_eq!((found.0.unwrap(), found.1.unwrap()), expected, "{event}");
    }
    let planned = stated("1", "d:with e:x", "Unconfirmed", "").replace("d:Asserted", "d:Planned");
    for stance in ["Asserted", "Reported"] {
        let found = link(&format!("{} {planned}", marks("Accepted", stance))).unwrap();
        assert_eq!(found.1, Some(Stance::Planned), "{stance}");
    }
}
