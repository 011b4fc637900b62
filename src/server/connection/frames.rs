//! Counts the frames of HTTP/2 (RFC 9113, section 4.1) that make work and carry none.
//!
//! h2 answers each PING and each SETTINGS, and reads PRIORITY and `WINDOW_UPDATE` without end: one connection keeps a
//! processor busy. So a connection has a credit of such frames. It grows with time, with each call, and with what the
//! server sends: clients acknowledge data with `WINDOW_UPDATE`, and measure the connection with PING while they read.

use std::time::Instant;

const HEADER_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
/// The flag of DATA.
const END_STREAM: u8 = 1;

/// What a connection begins with, and may save up.
pub(super) const CREDIT_MAX: i64 = 4_000;
/// What it gets each second.
const CREDIT_PER_SECOND: f64 = 400.0;
/// What it gets for each call: the frames that clients send with one.
const CREDIT_PER_CALL: i64 = 4;
/// What the server must send for one more.
const BYTES_PER_CREDIT: u64 = 2 << 10;
/// To break a call off costs more than to begin it gave.
const RST_STREAM_COST: i64 = 5;
/// Each is applied to all streams, and answered.
const SETTINGS_COST: i64 = 20;

/// The peer sends more control frames than anybody needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more control frames than a client needs")]
pub(super) struct Flood;

/// Follows the frames that a peer sends after the preface.
#[derive(Debug)]
pub(super) struct Frames {
    /// The header of the next frame, as far as it has come.
    header: [u8; HEADER_BYTES],
    header_len: usize,
    /// Bytes of the frame at hand that are still to come.
    payload_left: usize,
    credit: i64,
    credited_at: Instant,
    /// Bytes sent that have given no credit yet.
    sent_bytes: u64,
}

impl Frames {
    /// Begins to follow.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            header: [0; HEADER_BYTES],
            header_len: 0,
            payload_left: 0,
            credit: CREDIT_MAX,
            credited_at: now,
            sent_bytes: 0,
        }
    }

    /// Takes the next bytes that were received.
    pub(super) fn received(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let skipped = self.payload_left.min(bytes.len());
                self.payload_left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let (taken, rest) = bytes.split_at((HEADER_BYTES - self.header_len).min(bytes.len()));
            self.header[self.header_len..][..taken.len()].copy_from_slice(taken);
            self.header_len += taken.len();
            bytes = rest;
            if self.header_len == HEADER_BYTES {
                self.header_len = 0;
                self.frame()?;
            }
        }
        Ok(())
    }

    /// Takes note of bytes that were sent.
    pub(super) fn sent(&mut self, count: usize) {
        self.sent_bytes += count as u64;
        if self.sent_bytes >= BYTES_PER_CREDIT {
            let credit = self.sent_bytes / BYTES_PER_CREDIT;
            self.add(i64::try_from(credit).unwrap_or(CREDIT_MAX));
            self.sent_bytes %= BYTES_PER_CREDIT;
        }
    }

    fn frame(&mut self) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.payload_left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let cost = match kind {
            DATA if self.payload_left > 0 || flags & END_STREAM != 0 => return Ok(()),
            HEADERS => {
                self.add(CREDIT_PER_CALL);
                return Ok(());
            }
            RST_STREAM => RST_STREAM_COST,
            SETTINGS => SETTINGS_COST,
            _ => 1,
        };
        self.credit -= cost;
        if self.credit >= 0 {
            return Ok(());
        }
        // Only here is the clock looked at.
        let now = Instant::now();
        let seconds = now.duration_since(self.credited_at).as_secs_f64();
        self.credited_at = now;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a conversion of a float saturates"
        )]
        self.add((seconds * CREDIT_PER_SECOND) as i64);
        if self.credit < 0 { Err(Flood) } else { Ok(()) }
    }

    fn add(&mut self, credit: i64) {
        self.credit = self.credit.saturating_add(credit).min(CREDIT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PRIORITY: u8 = 2;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;
    const CONTINUATION: u8 = 9;

    fn frame(kind: u8, flags: u8, payload_len: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, payload_len, kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER_BYTES + usize::from(payload_len), 0xff);
        frame
    }

    /// Returns how many of a frame are taken at once, at most so many.
    fn taken(frame: &[u8], count_max: i64) -> i64 {
        let mut frames = Frames::new(Instant::now());
        (0..count_max)
            .find(|_| frames.received(frame).is_err())
            .unwrap_or(count_max)
    }

    #[test]
    fn frames_that_carry_nothing_are_taken_up_to_the_credit() {
        for (kind, flags, payload_len, cost) in [
            (PING, 0, 8, 1),
            (PRIORITY, 0, 5, 1),
            (WINDOW_UPDATE, 0, 4, 1),
            (CONTINUATION, 0, 20, 1),
            (DATA, 0, 0, 1),
            (0xee, 0, 0, 1),
            (RST_STREAM, 0, 4, RST_STREAM_COST),
            (SETTINGS, 0, 6, SETTINGS_COST),
        ] {
            let count = taken(&frame(kind, flags, payload_len), 100_000);
            // What the time that it takes adds is little.
            let expected = CREDIT_MAX / cost;
            assert!((expected..expected * 2).contains(&count), "{kind}: {count}");
        }
    }

    #[test]
    fn work_is_not_counted() {
        for (kind, flags, payload_len) in [(DATA, 0, 1), (DATA, END_STREAM, 0), (HEADERS, 5, 30)] {
            assert_eq!(
                taken(&frame(kind, flags, payload_len), 100_000),
                100_000,
                "{kind}"
            );
        }
        let call = [
            frame(HEADERS, 4, 30),
            frame(DATA, END_STREAM, 9),
            frame(WINDOW_UPDATE, 0, 4),
            frame(PING, 0, 8),
            frame(PING, 1, 8),
        ];
        assert_eq!(taken(&call.concat(), 100_000), 100_000);
        let rapid_reset = [frame(HEADERS, 5, 30), frame(RST_STREAM, 0, 4)].concat();
        assert!(taken(&rapid_reset, 100_000) < 2 * CREDIT_MAX);
    }

    #[test]
    fn bytes_in_any_portions_are_the_same_frames() {
        let bytes = [
            frame(HEADERS, 4, 200),
            frame(PING, 0, 8),
            frame(DATA, 0, 255),
            frame(SETTINGS, 0, 0),
        ]
        .concat();
        for portion in [1, 2, 8, 9, 10, 100, bytes.len()] {
            let mut frames = Frames::new(Instant::now());
            for _ in 0..50 {
                for portion in bytes.chunks(portion) {
                    frames.received(portion).unwrap();
                }
            }
            let spent = 50 * (1 + SETTINGS_COST);
            // The first call finds the credit full.
            assert_eq!(
                frames.credit,
                CREDIT_MAX - spent + 49 * CREDIT_PER_CALL,
                "{portion}"
            );
        }
    }

    #[test]
    fn credit_grows_with_time_and_with_what_is_sent() {
        let mut frames = Frames::new(Instant::now());
        frames.credit = 0;
        frames.sent(2_047);
        assert_eq!(frames.credit, 0);
        frames.sent(1);
        assert_eq!(frames.credit, 1);
        frames.sent(usize::MAX >> 1);
        assert_eq!(frames.credit, CREDIT_MAX);
        let mut frames = Frames::new(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
        frames.credit = 0;
        frames.received(&frame(PING, 0, 8)).unwrap();
        assert!(frames.credit >= 398, "{}", frames.credit);
    }
}
