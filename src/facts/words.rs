//! The fact model's vocabulary as identifiers.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Reader;
use crate::{
    graph::{Snapshot, TermId},
    model::vocabulary as iris,
};

macro_rules! words {
    ($($word:ident = $iri:ident),* $(,)?) => {
        /// Identifiers of the vocabulary; [`TermId::MAX`], which no quad has, for what the graph never had.
        #[derive(Clone, Copy, Debug)]
        pub(super) struct Words {
            $(pub(super) $word: TermId,)*
        }

        impl Words {
            fn resolve(snapshot: &Snapshot) -> Self {
                Self { $($word: snapshot.iri_id(iris::$iri).unwrap_or(TermId::MAX),)* }
            }

            fn is_complete(&self) -> bool {
                [$(self.$word,)*].iter().all(|id| *id != TermId::MAX)
            }
        }
    };
}

words! {
    label = LABEL, alt_label = ALT_LABEL, r#type = TYPE,
    subject = SUBJECT, predicate = PREDICATE, object = OBJECT,
    statements = STATEMENTS, sources = SOURCES, derived = DERIVED,
    standing = STANDING, stance = STANCE, basis = BASIS, negated = NEGATED, confidence = CONFIDENCE,
    attributed_to = ATTRIBUTED_TO, edtf = EDTF, valid_from = VALID_FROM, valid_until = VALID_UNTIL,
    observed_on = OBSERVED_ON, disputes = DISPUTES, locator = LOCATOR,
    derived_from = DERIVED_FROM, generated_at = GENERATED_AT, invalidated_at = INVALIDATED_AT,
    title = TITLE, publisher = PUBLISHER, attribution = ATTRIBUTION, license = LICENSE, some_value = SOME_VALUE, closed_for = CLOSED_FOR,
    event = EVENT, claim = CLAIM, observation = OBSERVATION,
    refines = REFINES, functional_property = FUNCTIONAL_PROPERTY, revision_of = REVISION_OF, happened_on = HAPPENED_ON,
    sub_property_of = SUB_PROPERTY_OF, identifier = IDENTIFIER,
    preferred = PREFERRED, accepted = ACCEPTED, unconfirmed = UNCONFIRMED, disputed = DISPUTED, rejected = REJECTED,
    asserted = ASSERTED, attributed = ATTRIBUTED, reported = REPORTED, planned = PLANNED, projected = PROJECTED,
    opinion = OPINION, stated = STATED, inferred = INFERRED, background = BACKGROUND,
}

#[derive(Debug)]
struct Resolved {
    epoch: u64,
    /// Identifiers never change within an epoch; an unknown word may come with new terms.
    term_count: u64,
    is_complete: bool,
    words: Words,
}

/// Makes readers, and remembers the vocabulary's identifiers between snapshots. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lookup {
    resolved: Arc<ArcSwap<Resolved>>,
}

impl Default for Lookup {
    fn default() -> Self {
        Self {
            resolved: Arc::new(ArcSwap::from_pointee(resolve(&Snapshot::default()))),
        }
    }
}

impl Lookup {
    /// Returns a reader of a snapshot.
    pub fn on<'a>(&self, snapshot: &'a Snapshot) -> Reader<'a> {
        let resolved = self.resolved.load();
        let is_current = resolved.epoch == snapshot.epoch()
            && (resolved.is_complete || resolved.term_count == snapshot.term_count());
        if is_current {
            return Reader {
                snapshot,
                words: resolved.words,
            };
        }
        let fresh = resolve(snapshot);
        let words = fresh.words;
        self.resolved.store(Arc::new(fresh));
        Reader { snapshot, words }
    }
}

fn resolve(snapshot: &Snapshot) -> Resolved {
    let words = Words::resolve(snapshot);
    Resolved {
        epoch: snapshot.epoch(),
        term_count: snapshot.term_count(),
        is_complete: words.is_complete(),
        words,
    }
}
