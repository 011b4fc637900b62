//! What requests that do not end make a server hold, by the memory of its process.

use crate::{
    attacks::LOOKUP,
    frames::{DATA, END_HEADERS, END_STREAM, HEADERS, PING, Raw, call, frame},
    server::{Server, turn},
};

/// Each frame of DATA has nine bytes around it in the buffer that it comes in, and a place in whatever keeps it.
#[test]
fn messages_in_small_frames_take_what_they_have() {
    const CALL_COUNT: usize = 30;
    /// They are sent in turn, so that all are there at once, and hardly faster than they are taken: h2 cuts whoever has many small frames
    /// lie, and answers a PING before the calls have taken theirs.
    const FRAMES_AT_ONCE: usize = 20;
    const TURN_COUNT: usize = 3_000;
    const GROWTH_MAX: u64 = 24 << 20;
    let _turn = turn();
    let server = Server::start(&["--drain-timeout=1s", "--log-format=text"]);
    let mut raw = Raw::begin(server.address(), &[]).unwrap();
    let streams: Vec<_> = (0..CALL_COUNT).map(|_| raw.stream()).collect();
    for &stream in &streams {
        raw.send(&frame(HEADERS, END_HEADERS, stream, &call(LOOKUP)))
            .unwrap();
    }
    let Some(before) = server.memory() else {
        println!("NOT RUN: the kernel does not tell how much memory a process takes");
        return;
    };
    server.forget_peak();
    for _ in 0..TURN_COUNT {
        for &stream in &streams {
            raw.send(&frame(DATA, 0, stream, &[0]).repeat(FRAMES_AT_ONCE))
                .unwrap();
        }
        raw.send(&frame(PING, 0, 0, &[7; 8])).unwrap();
        while raw.receive().unwrap().expect("an open connection").0 != PING {}
    }
    for &stream in &streams {
        raw.send(&frame(DATA, END_STREAM, stream, &[])).unwrap();
    }
    let mut answered = 0;
    while answered < CALL_COUNT {
        let (kind, _, _) = raw.receive().unwrap().expect("an answer to each call");
        answered += usize::from(kind == HEADERS);
    }
    let grown = server.memory().unwrap().peak.saturating_sub(before.now);
    let sent = CALL_COUNT * FRAMES_AT_ONCE * TURN_COUNT;
    println!("{grown} bytes for {sent} in frames of one");
    assert!(grown <= GROWTH_MAX, "{grown} bytes for {sent}");
}
