//! Property test: the log replayed is the state that was.

use std::fs;

use oxigraph::model::{GraphName, NamedOrBlankNode, Quad};
use proptest::prelude::*;

use super::{commit, contents, node, open, planning, quad};
use crate::{
    graph::{Batch, Draft},
    model::access::Access,
};

/// What happens between two starts.
#[derive(Clone, Copy, Debug)]
enum File {
    Kept,
    Removed,
    Corrupted,
    Outdated,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Insert(u8, u8),
    Remove(u8, u8),
    Create(u8),
    Drop(u8),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..20_u8, 0..4_u8).prop_map(|(number, graph)| Step::Insert(number, graph)),
        2 => (0..20_u8, 0..4_u8).prop_map(|(number, graph)| Step::Remove(number, graph)),
        1 => (1..4_u8).prop_map(Step::Create),
        1 => (1..4_u8).prop_map(Step::Drop),
    ];
    prop::collection::vec(step, 1..8)
}

pub(super) fn run(draft: &mut Draft, steps: &[Step]) {
    let graph = |number: u8| NamedOrBlankNode::from(node(u64::from(number) + 1000));
    let quad = |number, graph_number| Quad {
        graph_name: if graph_number == 0 {
            GraphName::DefaultGraph
        } else {
            graph(graph_number).into()
        },
        ..quad(u64::from(number))
    };
    for step in steps {
        let mut batch = Batch::default();
        match *step {
            Step::Insert(number, graph) => batch.insert(quad(number, graph).as_ref()),
            Step::Remove(number, graph) => batch.remove(quad(number, graph).as_ref()),
            Step::Create(number) => batch.create_graph(graph(number).as_ref()),
            Step::Drop(number) => {
                for number_of_quad in 0..20 {
                    batch.remove(quad(number_of_quad, number).as_ref());
                }
                batch.drop_graph(graph(number).as_ref());
            }
        }
        draft.apply(&batch);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_log_replayed_is_the_state_that_was(
        rounds in prop::collection::vec(
            (
                prop::collection::vec(steps(), 1..6),
                prop_oneof![Just(File::Kept), Just(File::Removed), Just(File::Corrupted), Just(File::Outdated)],
            ),
            1..5,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("snapshot");
        for (commits, file) in rounds {
            let old_file = fs::read(&path).ok();
            let base = open(&dir);
            let mut draft = Draft::new(base.read(&Access::everything()).snapshot);
            for steps in commits {
                run(&mut draft, &steps);
                commit(&base, planning(move |draft| run(draft, &steps))).unwrap();
            }
            let (revision, expected) = (base.revision(), contents(&base.read(&Access::everything()).snapshot));
            prop_assert_eq!(&contents(draft.snapshot()), &expected);
            base.close();
            match (file, old_file) {
                (File::Corrupted, _) if path.exists() => {
                    let mut bytes = fs::read(&path).unwrap();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    fs::write(&path, bytes).unwrap();
                }
                (File::Outdated, Some(old)) => fs::write(&path, old).unwrap(),
                (File::Removed, _) if path.exists() => fs::remove_file(&path).unwrap(),
                _ => {}
            }
            let base = open(&dir);
            prop_assert_eq!(base.revision(), revision);
            prop_assert_eq!(contents(&base.read(&Access::everything()).snapshot), expected);
            base.close();
        }
    }
}
