//! Calls of strangers, who are told of health alone: there are so many at once, and one more ends the oldest on the connection with most.
//!
//! Whoever asks and takes the answer is not the oldest for long. Whoever sends no message, takes no answer or watches gives way.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::Extensions;
use rustc_hash::FxHashMap;
use tokio_util::sync::CancellationToken;

use super::connection::LetIn;
use crate::grpc::call::Ending;

/// Each takes up to some 40 KiB.
const CALL_COUNT_MAX: usize = 1_000;

/// The calls of strangers that are open. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    begun: u64,
    /// By when they began.
    open: BTreeMap<u64, Call>,
}

#[derive(Debug)]
struct Call {
    ending: Ending,
    let_in: LetIn,
}

impl Calls {
    /// Takes out the call that gives way if there are too many: the oldest on the connection that has most of them. Those on connections
    /// on which somebody was let in since are no strangers' any more.
    fn give_way(&mut self) -> Option<Call> {
        if self.open.len() > CALL_COUNT_MAX {
            self.open.retain(|_, call| !call.let_in.is_set());
        }
        if self.open.len() <= CALL_COUNT_MAX {
            return None;
        }
        let mut counts: FxHashMap<usize, (usize, Reverse<u64>)> = FxHashMap::default();
        for (&number, call) in &self.open {
            counts
                .entry(call.let_in.connection())
                .or_insert((0, Reverse(number)))
                .0 += 1;
        }
        let (_, Reverse(oldest)) = counts.into_values().max()?;
        self.open.remove(&oldest)
    }
}

impl Strangers {
    /// Begins a call if it is a stranger's: from now on its [`Ending`] comes also when it has to give way.
    pub(super) fn begin(&self, extensions: &mut Extensions) -> Option<StrangersCall> {
        let let_in = extensions
            .get::<LetIn>()
            .filter(|let_in| !let_in.is_set())?
            .clone();
        let Ending { stream, call } = extensions.get()?;
        let ending = Ending {
            stream: stream.child_token(),
            call: call.child_token(),
        };
        extensions.insert(ending.clone());
        let gives_way = ending.call.clone();
        let mut calls = self.calls();
        let number = calls.begun;
        calls.begun += 1;
        calls.open.insert(number, Call { ending, let_in });
        let given_up = calls.give_way();
        drop(calls);
        if let Some(Call { ending, .. }) = given_up {
            ending.stream.cancel();
            ending.call.cancel();
        }
        Some(StrangersCall {
            strangers: self.clone(),
            number,
            gives_way,
        })
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call of a stranger; it has ended when this is dropped.
#[derive(Debug)]
pub(super) struct StrangersCall {
    strangers: Strangers,
    number: u64,
    gives_way: CancellationToken,
}

impl StrangersCall {
    /// Returns what is cancelled when it has to give way, or must end.
    pub(super) fn gives_way(&self) -> CancellationToken {
        self.gives_way.clone()
    }
}

impl Drop for StrangersCall {
    fn drop(&mut self) {
        self.strangers.calls().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_more_ends_the_oldest() {
        let strangers = Strangers::default();
        let ending = Ending {
            stream: CancellationToken::new(),
            call: CancellationToken::new(),
        };
        let begin = |let_in: Option<&LetIn>| {
            let mut extensions = Extensions::new();
            extensions.insert(ending.clone());
            if let Some(let_in) = let_in {
                extensions.insert(let_in.clone());
            }
            let call = strangers.begin(&mut extensions)?;
            Some((call, extensions.get::<Ending>().unwrap().clone()))
        };
        let stranger = LetIn::of_nobody();
        let mut open: Vec<_> = (0..CALL_COUNT_MAX)
            .filter_map(|_| begin(Some(&stranger)))
            .collect();
        assert_eq!(open.len(), CALL_COUNT_MAX);
        // One that has ended leaves its place.
        open.pop();
        open.extend(begin(Some(&stranger)));
        let has_ended = |(call, ending): &(StrangersCall, Ending)| {
            let tokens =
                [&ending.stream, &ending.call, &call.gives_way()].map(CancellationToken::is_cancelled);
            assert!(tokens == [true; 3] || tokens == [false; 3], "{tokens:?}");
            tokens[0]
        };
        assert!(!open.iter().any(has_ended));
        for count in 1..=3 {
            open.extend(begin(Some(&stranger)));
            assert!(open[..count].iter().all(has_ended) && !open[count..].iter().any(has_ended));
        }
        // Others are not counted, and have their own end.
        let caller = LetIn::of_nobody();
        caller.set();
        assert!(begin(Some(&caller)).is_none() && begin(None).is_none());
        assert!(!ending.stream.is_cancelled() && !has_ended(&open[3]));
        drop(open);
        assert!(strangers.calls().open.is_empty());
    }

    #[test]
    fn connections_with_few_calls_and_those_with_callers_are_passed_over() {
        let strangers = Strangers::default();
        let begin = |let_in: &LetIn| {
            let mut extensions = Extensions::new();
            extensions.insert(Ending {
                stream: CancellationToken::new(),
                call: CancellationToken::new(),
            });
            extensions.insert(let_in.clone());
            strangers.begin(&mut extensions).unwrap()
        };
        let [waits, calls_later, attacks] = [(); 3].map(|()| LetIn::of_nobody());
        let [waiting, later] = [&waits, &calls_later].map(begin);
        let attacking: Vec<_> = (0..CALL_COUNT_MAX).map(|_| begin(&attacks)).collect();
        let has_ended = |call: &StrangersCall| call.gives_way().is_cancelled();
        assert_eq!(attacking.iter().filter(|call| has_ended(call)).count(), 2);
        assert!(has_ended(&attacking[0]) && has_ended(&attacking[1]));
        // It takes no place of strangers any more.
        calls_later.set();
        let more = begin(&attacks);
        assert_eq!(strangers.calls().open.len(), CALL_COUNT_MAX);
        assert_eq!(attacking.iter().filter(|call| has_ended(call)).count(), 2);
        let again = begin(&attacks);
        assert_eq!(attacking.iter().filter(|call| has_ended(call)).count(), 3);
        assert!(![&waiting, &later, &more, &again].into_iter().any(has_ended));
    }
}
