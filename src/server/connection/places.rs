//! The connections that may be: of all, and of each address. Strangers give way to whoever comes after them.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::auth::network;

/// How long a connection has its place in any case: time for a handshake and a first call.
const TIME_MIN: Duration = Duration::from_secs(2);

/// The connections that there are. Clones are the same ones.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    count_max: usize,
    per_address_count_max: usize,
    time_min: Duration,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    of: HashMap<IpAddr, Counts>,
    /// Those on which nobody was let in, by the order in which they came.
    strangers: BTreeMap<u64, Stranger>,
    next: u64,
}

/// The connections from one address.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: usize,
    strangers: usize,
}

/// A connection on which nobody was let in.
#[derive(Debug)]
struct Stranger {
    address: IpAddr,
    since: Instant,
    cut: CancellationToken,
}

/// There is no place for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Full {
    /// There are as many as may be.
    #[error("there are {0} connections already")]
    All(usize),
    /// There are as many from its address as may be.
    #[error("there are {0} connections from its address already")]
    Address(usize),
}

impl Places {
    pub(super) fn new(count_max: usize, per_address_count_max: usize) -> Self {
        Self(Arc::new(Inner {
            count_max,
            per_address_count_max,
            time_min: TIME_MIN,
            taken: Mutex::default(),
        }))
    }

    /// Takes a place for a connection from an address. Where there is none, a stranger is cut: one of an address that has clearly
    /// more of them, so that nobody is kept out by one that fills all places and comes again at once; else the one that has been there
    /// for longest, if it has had its time.
    pub(super) fn take(&self, address: IpAddr, cut: &CancellationToken) -> Result<Place, Full> {
        let address = network(address);
        let mut taken = self.taken();
        let own = taken.of.get(&address).copied().unwrap_or_default();
        let full = if own.all >= self.0.per_address_count_max {
            Some(Full::Address(self.0.per_address_count_max))
        } else if taken.count >= self.0.count_max {
            Some(Full::All(self.0.count_max))
        } else {
            None
        };
        if let Some(full) = full {
            let (of, time_min) = match full {
                Full::Address(_) => (Some(address), self.0.time_min),
                Full::All(_) => match taken
                    .most_strangers()
                    .filter(|(_, most)| *most > own.strangers + 1)
                {
                    Some((crowd, _)) => (Some(crowd), Duration::ZERO),
                    None => (None, self.0.time_min),
                },
            };
            if !taken.cut_oldest(of, time_min) {
                return Err(full);
            }
        }
        let of_address = taken.of.entry(address).or_default();
        of_address.all += 1;
        of_address.strangers += 1;
        taken.count += 1;
        let number = taken.next;
        taken.next += 1;
        let stranger = Stranger {
            address,
            since: Instant::now(),
            cut: cut.clone(),
        };
        taken.strangers.insert(number, stranger);
        Ok(Place {
            places: self.clone(),
            address,
            number,
            has_cut: full.is_some(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Returns the address with the most strangers, and how many there are.
    fn most_strangers(&self) -> Option<(IpAddr, usize)> {
        let counts = self
            .of
            .iter()
            .map(|(&address, counts)| (address, counts.strangers));
        counts.max_by_key(|&(_, strangers)| strangers)
    }

    /// Cuts the stranger that has been there for longest, of an address or of all, if it has had its time. Its place is free once its
    /// connection has ended.
    fn cut_oldest(&mut self, of: Option<IpAddr>, time_min: Duration) -> bool {
        let mut strangers = self.strangers.iter();
        let oldest = strangers.find(|(_, stranger)| of.is_none_or(|address| stranger.address == address));
        let Some((&number, stranger)) = oldest.filter(|(_, stranger)| stranger.since.elapsed() >= time_min)
        else {
            return false;
        };
        stranger.cut.cancel();
        self.forget(number);
        true
    }

    /// One that was a stranger is none any more.
    fn forget(&mut self, number: u64) {
        if let Some(stranger) = self.strangers.remove(&number)
            && let Some(counts) = self.of.get_mut(&stranger.address)
        {
            counts.strangers -= 1;
        }
    }
}

/// A place that is taken, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    address: IpAddr,
    number: u64,
    has_cut: bool,
}

impl Place {
    /// Tells whether a stranger was cut for it.
    pub(super) fn has_cut(&self) -> bool {
        self.has_cut
    }

    /// Returns what notes that somebody was let in on its connection, who gives way to nobody.
    pub(super) fn keeper(&self) -> Keeper {
        Keeper {
            places: self.places.clone(),
            number: self.number,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.count -= 1;
        taken.forget(self.number);
        if let Entry::Occupied(mut of_address) = taken.of.entry(self.address) {
            of_address.get_mut().all -= 1;
            if of_address.get().all == 0 {
                of_address.remove();
            }
        }
    }
}

/// Keeps the place of a connection.
#[derive(Debug)]
pub(super) struct Keeper {
    places: Places,
    number: u64,
}

impl Keeper {
    pub(super) fn keep(&self) {
        self.places.taken().forget(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_limited_in_all_and_for_each_address() {
        let cut = CancellationToken::new();
        let places = Places::new(3, 2);
        let (a, b) = (address("10.0.0.1"), address("10.0.0.2"));
        let first = places.take(a, &cut).unwrap();
        let _second = places.take(a, &cut).unwrap();
        assert_eq!(places.take(a, &cut).unwrap_err(), Full::Address(2));
        let third = places.take(b, &cut).unwrap();
        assert_eq!(places.take(b, &cut).unwrap_err(), Full::All(3));
        drop(first);
        let _fourth = places.take(a, &cut).unwrap();
        drop(third);
        assert_eq!(places.take(a, &cut).unwrap_err(), Full::Address(2));
        assert_eq!(places.0.taken.lock().unwrap().of.len(), 1);
    }

    #[test]
    fn networks_count_as_one() {
        let cut = CancellationToken::new();
        let places = Places::new(10, 1);
        let _v6 = places.take(address("2001:db8::1"), &cut).unwrap();
        assert!(places.take(address("2001:db8::ffff:1"), &cut).is_err());
        assert!(places.take(address("2001:db8:0:1::1"), &cut).is_ok());
        let _v4 = places.take(address("10.0.0.1"), &cut).unwrap();
        assert!(places.take(address("::ffff:10.0.0.1"), &cut).is_err());
    }

    /// Places of three, two for an address, where strangers have had their time after `time_min`.
    fn three(time_min: Duration) -> Places {
        let mut places = Places::new(3, 2);
        Arc::get_mut(&mut places.0).unwrap().time_min = time_min;
        places
    }

    #[test]
    fn the_oldest_stranger_gives_way() {
        let (a, b) = (address("10.0.0.1"), address("10.0.0.2"));
        let cuts: [_; 5] = std::array::from_fn(|_| CancellationToken::new());
        let are_cut = || cuts.each_ref().map(CancellationToken::is_cancelled);
        let places = three(Duration::ZERO);
        let first = places.take(a, &cuts[0]).unwrap();
        let second = places.take(b, &cuts[1]).unwrap();
        let third = places.take(a, &cuts[2]).unwrap();
        assert!(!third.has_cut());
        // A caller stays, and of the others the oldest goes.
        first.keeper().keep();
        let fourth = places.take(b, &cuts[3]).unwrap();
        assert!(fourth.has_cut());
        assert_eq!(are_cut(), [false, true, false, false, false]);
        drop(second);
        // From an address that has all it may have, one of its own goes.
        let fifth = places.take(a, &cuts[4]).unwrap();
        assert_eq!(are_cut(), [false, true, true, false, false]);
        drop(third);
        fourth.keeper().keep();
        fifth.keeper().keep();
        assert_eq!(places.take(b, &cuts[0]).unwrap_err(), Full::All(3));
        drop((first, fourth, fifth));
        assert!(places.taken().strangers.is_empty() && places.taken().of.is_empty());
    }

    #[test]
    fn strangers_of_the_address_with_most_give_way_at_once() {
        let [a, b, c] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(address);
        let [cut, kept] = [CancellationToken::new(), CancellationToken::new()];
        let places = three(Duration::from_hours(1));
        let _first = places.take(a, &cut).unwrap();
        let _second = places.take(b, &kept).unwrap();
        let _third = places.take(a, &kept).unwrap();
        // It has as many as the newcomer would have.
        assert_eq!(places.take(b, &kept).unwrap_err(), Full::All(3));
        assert!(places.take(c, &kept).unwrap().has_cut());
        assert!(cut.is_cancelled() && !kept.is_cancelled());
    }
}
