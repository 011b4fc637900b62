//! What requests may take on their way in: each caller has a time for each 16 KiB, so that who lets bytes trickle keeps nothing
//! open, and all together take so much memory.

mod document;

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

pub use self::document::{DocumentPace, SENDER_TOO_SLOW, TooSlow};

/// What must come within the time, unless it is the rest.
pub const BYTES_MIN: u64 = 16 << 10;

/// What a request may have without taking of the memory of all: it takes more than that by being there.
pub const FREE_BYTES: u64 = 4 << 10;
/// What a request may have that is a small one: a quarter of the memory of all is there for these beside it, so that large ones keep
/// none out.
const SMALL_BYTES: u64 = 64 << 10;
/// What a body in one piece begins with.
const BODY_BYTES_MIN: usize = 1 << 10;
/// What a caller hears for whom no memory is left.
pub const FULL: &str = "requests that are being received take as much memory as they may";

tokio::task_local! {
    static HELD: RefCell<Held>;
}

/// Takes room for what the request at hand takes more; false if there is none. Where nothing is held there is always room.
pub fn take(byte_count: u64) -> bool {
    HELD.try_with(|held| held.borrow_mut().take(byte_count))
        .unwrap_or(true)
}

/// What a request has taken, for whoever goes on with it: it is held until this is dropped, answered or not.
#[derive(Debug)]
pub struct Kept {
    _taken: Option<Arc<Taken>>,
}

/// Holds what the request at hand has taken.
pub fn keep() -> Kept {
    // Where nothing is held there is nothing to hold on to.
    let taken = HELD.try_with(|held| held.borrow().taken.clone());
    Kept {
        _taken: taken.ok().flatten(),
    }
}

/// Has another thread go on with the request at hand: until it is done it holds what that has taken, answered or not.
pub fn on_thread<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let kept = keep();
    move || {
        let _kept = kept;
        work()
    }
}

/// Returns what the request at hand may take if it is alone.
pub fn request_bytes_max() -> u64 {
    HELD.try_with(|held| held.borrow().shared.request_bytes_max())
        .unwrap_or(u64::MAX)
}

/// The rules for requests that are being received. Clones share the memory.
#[derive(Clone, Debug)]
pub struct Intake(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stall_max: Duration,
    bytes_max: u64,
    bytes: AtomicU64,
}

impl Shared {
    const fn request_bytes_max(&self) -> u64 {
        self.bytes_max.saturating_add(FREE_BYTES)
    }
}

impl Intake {
    /// A caller has `stall_max` for 16 KiB, or for the rest; requests that are not answered yet may take `bytes_max`, and a quarter more
    /// as long as they are small.
    pub fn new(stall_max: Duration, bytes_max: u64) -> Self {
        Self(Arc::new(Shared {
            stall_max,
            bytes_max,
            bytes: AtomicU64::new(0),
        }))
    }

    /// Returns the pace of one more caller.
    pub fn pace(&self) -> Pace {
        Pace::new(self.0.stall_max)
    }

    /// Returns the time that a document has, which takes a place from others: twice that of other requests.
    pub fn document_time(&self) -> Duration {
        self.0.stall_max.saturating_mul(2)
    }

    /// Returns what one more request holds, which is nothing yet.
    pub fn hold(&self) -> Held {
        Held {
            shared: Arc::clone(&self.0),
            received_bytes: 0,
            taken: None,
        }
    }

    /// Returns the memory that requests take.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Returns the memory that requests may take.
    pub fn bytes_max(&self) -> u64 {
        self.0.bytes_max
    }

    /// Returns what one request may take if it is alone.
    pub fn request_bytes_max(&self) -> u64 {
        self.0.request_bytes_max()
    }
}

/// What one request takes, until this is dropped, and whoever goes on with it is done.
#[derive(Debug)]
pub struct Held {
    shared: Arc<Shared>,
    received_bytes: u64,
    /// None as long as it is free: most requests have no more.
    taken: Option<Arc<Taken>>,
}

impl Held {
    /// Holds it while the request is worked on, for [`take`].
    pub fn during<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        HELD.scope(RefCell::new(self), work)
    }

    /// Takes room for what has come; false if there is none.
    pub fn take(&mut self, byte_count: u64) -> bool {
        let free_bytes = FREE_BYTES.saturating_sub(self.received_bytes);
        self.received_bytes = self.received_bytes.saturating_add(byte_count);
        let more = byte_count.saturating_sub(free_bytes);
        if more == 0 {
            return true;
        }
        let Shared { bytes_max, .. } = *self.shared;
        let bytes_max = if self.received_bytes <= SMALL_BYTES {
            bytes_max.saturating_add(bytes_max / 4)
        } else {
            bytes_max
        };
        let shared = &self.shared;
        let taken = self.taken.get_or_insert_with(|| {
            Arc::new(Taken {
                shared: Arc::clone(shared),
                bytes: AtomicU64::new(0),
            })
        });
        taken.bytes.fetch_add(more, Ordering::Relaxed);
        let before = shared.bytes.fetch_add(more, Ordering::Relaxed);
        before.saturating_add(more) <= bytes_max
    }
}

/// What has been taken of the memory of all.
#[derive(Debug)]
struct Taken {
    shared: Arc<Shared>,
    bytes: AtomicU64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.shared
            .bytes
            .fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

/// A body as far as it has come, in one piece: pieces as they come may be of a byte, each with a buffer around it.
#[derive(Debug, Default)]
pub struct Body(Vec<u8>);

impl Body {
    /// Adds what has come of a body that should have `bytes_expected`; false if the request at hand has no room for it.
    pub fn add(&mut self, piece: &[u8], bytes_expected: u64) -> bool {
        let Self(bytes) = self;
        let (capacity, needed) = (bytes.capacity(), bytes.len() + piece.len());
        if needed > capacity {
            // It grows with what has come: whoever announces much and sends little takes little.
            let doubled = capacity.saturating_mul(2).max(BODY_BYTES_MIN);
            let room = match usize::try_from(bytes_expected) {
                Ok(expected) if expected >= needed => doubled.min(expected),
                _ => doubled,
            };
            let room = room.max(needed);
            if !take((room - capacity) as u64) {
                return false;
            }
            bytes.reserve_exact(room - bytes.len());
        }
        bytes.extend_from_slice(piece);
        true
    }

    /// Returns what has come.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Body> for Vec<u8> {
    fn from(body: Body) -> Self {
        body.0
    }
}

/// The pace of one caller.
#[derive(Debug)]
pub struct Pace {
    time: Duration,
    /// None until the caller is waited for.
    deadline: Option<Instant>,
    byte_count: u64,
}

impl Pace {
    /// Gives a caller so much time.
    pub const fn new(time: Duration) -> Self {
        Self {
            time,
            deadline: None,
            byte_count: 0,
        }
    }

    /// Returns the time that the caller has.
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// Returns until when it is waited for.
    pub fn deadline(&mut self) -> Instant {
        *self.deadline.get_or_insert_with(|| Instant::now() + self.time)
    }

    /// Counts what has come.
    pub const fn came(&mut self, byte_count: u64) {
        self.byte_count = self.byte_count.saturating_add(byte_count);
        if self.byte_count >= BYTES_MIN {
            self.byte_count = 0;
            self.deadline = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_take_memory_together_until_they_are_dropped() {
        let intake = Intake::new(Duration::ZERO, SMALL_BYTES);
        let taken = |byte_count| {
            let mut held = intake.hold();
            let fits = held.take(1) && held.take(byte_count - 1);
            (held, fits, intake.bytes())
        };
        assert!(matches!(taken(FREE_BYTES), (_, true, 0)));
        let (first, fits, bytes) = taken(FREE_BYTES + 6);
        assert_eq!((fits, bytes), (true, 6));
        let most = FREE_BYTES + SMALL_BYTES - 6;
        assert!(matches!(taken(most + 1), (_, false, _)));
        let (second, fits, bytes) = taken(most);
        assert_eq!((fits, bytes), (true, SMALL_BYTES));
        // There is room for small ones yet.
        let more = SMALL_BYTES / 4;
        assert!(matches!(taken(FREE_BYTES + more + 1), (_, false, _)));
        let (third, fits, bytes) = taken(FREE_BYTES + more);
        assert_eq!((fits, bytes), (true, SMALL_BYTES + more));
        drop((first, second, third));
        assert_eq!(intake.bytes(), 0);
    }

    #[tokio::test]
    async fn who_goes_on_with_a_request_holds_what_it_took() {
        let intake = Intake::new(Duration::ZERO, u64::MAX);
        let begin = || {
            intake.hold().during(async {
                assert!(take(FREE_BYTES + 10));
                on_thread(|| intake.bytes())
            })
        };
        let (done, dropped) = (begin().await, begin().await);
        assert_eq!(intake.bytes(), 20);
        drop(dropped);
        assert_eq!(done(), 10);
        assert_eq!(intake.bytes(), 0);
    }

    #[tokio::test]
    async fn a_body_takes_what_has_come_and_no_more_than_as_much_again() {
        const BODY_BYTES: usize = 100_000;
        for (piece_bytes, bytes_expected, room_max) in [
            (1, BODY_BYTES as u64, BODY_BYTES),
            (1, u64::MAX, 2 * BODY_BYTES),
            // It has more than was announced.
            (1, 5, 2 * BODY_BYTES),
            (7_000, BODY_BYTES as u64, BODY_BYTES),
            (BODY_BYTES, u64::MAX, BODY_BYTES),
        ] {
            let intake = Intake::new(Duration::ZERO, u64::MAX);
            let adding = async {
                let (mut body, piece) = (Body::default(), vec![7; piece_bytes]);
                let mut room_count = 0;
                while body.bytes().len() < BODY_BYTES {
                    let room = body.0.capacity();
                    let piece = &piece[..piece_bytes.min(BODY_BYTES - body.bytes().len())];
                    assert!(body.add(piece, bytes_expected));
                    room_count += usize::from(body.0.capacity() != room);
                    assert!(body.0.capacity() <= (2 * body.bytes().len()).max(BODY_BYTES_MIN));
                    assert_eq!(
                        intake.bytes(),
                        (body.0.capacity() as u64).saturating_sub(FREE_BYTES)
                    );
                }
                assert!(body.0.capacity() <= room_max && room_count < 20, "{piece_bytes}");
                assert_eq!(body.bytes(), vec![7; BODY_BYTES]);
            };
            intake.hold().during(adding).await;
        }
    }

    #[test]
    fn who_brings_enough_has_the_time_again() {
        let mut pace = Pace::new(Duration::from_hours(1));
        let first = pace.deadline();
        pace.came(BYTES_MIN - 1);
        assert_eq!(pace.deadline(), first);
        pace.came(1);
        assert!(pace.deadline() > first);
    }
}
