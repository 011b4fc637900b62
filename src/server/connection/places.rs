//! The connections that may be: of all, and of each address.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::auth::network;

/// The connections that there are. Clones are the same ones.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    count_max: usize,
    per_address_count_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    of: HashMap<IpAddr, usize>,
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
            taken: Mutex::default(),
        }))
    }

    /// Takes a place for a connection from an address.
    pub(super) fn take(&self, address: IpAddr) -> Result<Place, Full> {
        let Inner {
            count_max,
            per_address_count_max,
            ref taken,
        } = *self.0;
        let address = network(address);
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.count >= count_max {
            return Err(Full::All(count_max));
        }
        let of_address = taken.of.entry(address).or_default();
        if *of_address >= per_address_count_max {
            return Err(Full::Address(per_address_count_max));
        }
        *of_address += 1;
        taken.count += 1;
        Ok(Place {
            places: self.clone(),
            address,
        })
    }
}

/// A place that is taken, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.count -= 1;
        if let Entry::Occupied(mut of_address) = taken.of.entry(self.address) {
            *of_address.get_mut() -= 1;
            if *of_address.get() == 0 {
                of_address.remove();
            }
        }
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
        let places = Places::new(3, 2);
        let (a, b) = (address("10.0.0.1"), address("10.0.0.2"));
        let first = places.take(a).unwrap();
        let _second = places.take(a).unwrap();
        assert_eq!(places.take(a).unwrap_err(), Full::Address(2));
        let third = places.take(b).unwrap();
        assert_eq!(places.take(b).unwrap_err(), Full::All(3));
        drop(first);
        let _fourth = places.take(a).unwrap();
        drop(third);
        assert_eq!(places.take(a).unwrap_err(), Full::Address(2));
        assert_eq!(places.0.taken.lock().unwrap().of.len(), 1);
    }

    #[test]
    fn networks_count_as_one() {
        let places = Places::new(10, 1);
        let _v6 = places.take(address("2001:db8::1")).unwrap();
        assert!(places.take(address("2001:db8::ffff:1")).is_err());
        assert!(places.take(address("2001:db8:0:1::1")).is_ok());
        let _v4 = places.take(address("10.0.0.1")).unwrap();
        assert!(places.take(address("::ffff:10.0.0.1")).is_err());
    }
}
