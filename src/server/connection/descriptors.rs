//! File descriptors: every connection takes one, and so do the log, its snapshots and what is fetched from elsewhere.

use std::{fs::File, io};

use tokio::net::TcpListener;

/// What is left to others.
const RESERVED_COUNT: usize = 64;
/// Connections of probes and scrapers, who need few.
const OPERATIONS_COUNT: usize = 64;
/// There are no more for this process, or for all (`EMFILE`, `ENFILE` of POSIX).
const EXHAUSTED: [i32; 2] = [24, 23];

/// How many connections there may be at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::server) struct Shares {
    /// For calls of every kind.
    pub(in crate::server) calls: usize,
    /// For probes and scrapers that have a port of their own.
    pub(in crate::server) operations: usize,
}

impl Shares {
    /// Returns so many for calls, and some for probes, as far as the descriptors go that the process may have.
    pub(in crate::server) fn of(wanted: usize, has_operations: bool) -> Self {
        let limit = limit();
        let shares = Self::within(limit.map_or(usize::MAX, with_limit), wanted, has_operations);
        let affordable = shares.calls;
        if affordable < wanted {
            tracing::warn!(
                wanted,
                affordable,
                limit,
                "fewer connections than --connections-max: the process may have no more file descriptors (ulimit -n)"
            );
        }
        shares
    }

    fn within(all: usize, wanted: usize, has_operations: bool) -> Self {
        let operations = if has_operations {
            OPERATIONS_COUNT.min(all / 4).max(1)
        } else {
            0
        };
        Self {
            calls: wanted.min(all.saturating_sub(operations).max(1)),
            operations,
        }
    }
}

/// Where there are few, half of them.
fn with_limit(limit: usize) -> usize {
    limit.saturating_sub(RESERVED_COUNT).max(limit / 2).max(1)
}

#[cfg(target_os = "linux")]
fn limit() -> Option<usize> {
    use procfs::process::{LimitValue, Process};

    // A container may hide /proc.
    match Process::myself().ok()?.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => usize::try_from(limit).ok(),
        LimitValue::Unlimited => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn limit() -> Option<usize> {
    None
}

/// A descriptor that is given up to turn a connection away when there are no others: left in the queue of the system, its
/// peer would wait for ever, and the accept loop would be woken for it again and again.
#[derive(Debug)]
pub(super) struct Spare(Option<File>);

impl Spare {
    pub(super) fn new() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Turns away who waits, if it is for want of descriptors that accepting failed.
    pub(super) async fn turn_away(&mut self, listener: &TcpListener, error: &io::Error) {
        let is_exhausted = error.raw_os_error().is_some_and(|code| EXHAUSTED.contains(&code));
        if is_exhausted && self.0.take().is_some() {
            // Somebody else may have taken the descriptor, or whoever waited may have gone.
            tokio::select! {
                biased;
                accepted = listener.accept() => drop(accepted),
                () = std::future::ready(()) => {}
            }
        }
        if self.0.is_none() {
            *self = Self::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[test]
    fn connections_leave_descriptors_to_others() {
        for (limit, expected) in [(1, 1), (64, 32), (100, 50), (1_024, 960), (65_536, 65_472)] {
            assert_eq!(with_limit(limit), expected, "{limit}");
        }
        assert_eq!(Shares::of(1, false).calls, 1);
    }

    #[test]
    fn both_ports_together_have_no_more_than_there_are() {
        for (all, wanted, calls, operations) in [
            (usize::MAX, 1_024, 1_024, 64),
            (1_088, 1_024, 1_024, 64),
            (1_087, 1_024, 1_023, 64),
            (960, 1_024, 896, 64),
            (32, 1_024, 24, 8),
            (2, 1_024, 1, 1),
        ] {
            let shares = Shares::within(all, wanted, true);
            assert_eq!(shares, Shares { calls, operations }, "{all}");
            assert!(calls + operations <= all);
        }
        let shares = Shares::within(960, 1_024, false);
        assert_eq!((shares.calls, shares.operations), (960, 0));
    }

    #[tokio::test]
    async fn who_waits_is_turned_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut waiting = tokio::net::TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut spare = Spare::new();
        let mut byte = [0];
        let mut read = pin!(waiting.read(&mut byte));
        // The runtime hears of the connection some time after the system.
        let turned_away = loop {
            let error = io::Error::from_raw_os_error(EXHAUSTED[0]);
            spare.turn_away(&listener, &error).await;
            assert!(spare.0.is_some());
            tokio::select! {
                read = &mut read => break read,
                () = tokio::task::yield_now() => {}
            }
        };
        assert_eq!(turned_away.unwrap_or(0), 0);
    }
}
