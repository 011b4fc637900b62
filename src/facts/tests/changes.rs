//! How it is gathered what a commit may have changed.

use super::{super::changes::STEPS_PER_LOOK, *};
use crate::graph::Changes;

/// Statements of one subject and one predicate.
const COUNT: usize = 20_000;
/// Bytes that one step gathers, at most.
const STEP_BYTES_MAX: usize = 48;

/// Goes on from a graph by a commit that removes something and inserts something.
fn advance(before: &Snapshot, [removed, inserted]: [&str; 2]) -> (Transition, Changes) {
    let mut batch = Batch::default();
    quads(removed).for_each(|quad| batch.remove(quad.as_ref()));
    quads(inserted).for_each(|quad| batch.insert(quad.as_ref()));
    let mut draft = Draft::new(before.clone());
    draft.apply(&batch);
    let (changes, after) = draft.finish();
    (Transition::new(before.clone(), after), changes)
}

fn meta(day: &str) -> String {
    format!("g:meta {{ g:derived d:referenceDate \"{day}\"^^<http://www.w3.org/2001/XMLSchema#date> }} ")
}

#[test]
fn it_is_asked_whether_to_go_on_while_what_has_turned_is_gathered() {
    let mut text = meta("2018-01-01") + "g:statements {";
    for number in 0..COUNT {
        write!(
            text,
            " s:{number} rdf:subject e:a ; rdf:predicate d:p ; rdf:object e:o{number} ; d:edtf \"2019-01-01/..\" ."
        )
        .unwrap();
    }
    let before = snapshot(&(text + " }"));
    let preferred =
        "g:statements { s:x rdf:subject e:a ; rdf:predicate d:p ; rdf:object e:b ; d:stance d:Asserted ;
        d:basis d:Stated ; d:standing d:Preferred ; prov:wasDerivedFrom e:src }";
    for change in [
        ["", preferred],
        [&meta("2018-01-01"), &meta("2019-06-01")],
        [&meta("2018-01-01"), ""],
    ] {
        let (transition, changes) = advance(&before, change);
        let mut gathered = vec![0];
        let mut go_on = |bytes: u64| {
            gathered.push(usize::try_from(bytes).unwrap());
            Ok::<_, ()>(())
        };
        transition.into_facts(&changes, &mut go_on).unwrap();
        let most = gathered.iter().max().unwrap();
        assert!(
            *most >= COUNT * size_of::<crate::graph::TermId>(),
            "{change:?}: {most}"
        );
        // Never is much gathered at once.
        let step = gathered
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
            .max();
        assert!(
            step <= Some(STEPS_PER_LOOK * STEP_BYTES_MAX),
            "{change:?}: {step:?}"
        );
        for look_count in [1, gathered.len() / 2] {
            let (transition, changes) = advance(&before, change);
            let mut looks = 0;
            let mut give_up = |_| {
                looks += 1;
                if looks < look_count { Ok(()) } else { Err(()) }
            };
            assert_eq!(transition.into_facts(&changes, &mut give_up).err(), Some(()));
            assert_eq!(looks, look_count, "{change:?}");
        }
    }
}
