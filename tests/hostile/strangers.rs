//! Strangers who fill all places, and come again as soon as one is free.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    frames::Raw,
    honest::Honest,
    load,
    server::{Server, turn},
    transport::Transport,
};

const PLACE_COUNT: usize = 16;
/// Some are always at the door.
const STRANGER_COUNT: usize = PLACE_COUNT + 4;

/// Connects, and again as soon as that has ended, until there is no server.
fn return_at_once(address: SocketAddr, begun: &AtomicUsize) {
    // The whole of 127.0.0.0/8 is this machine.
    let source = "127.0.0.2:0".parse().unwrap();
    loop {
        match Raw::begin_from(source, address) {
            Ok(mut raw) => {
                begun.fetch_add(1, Ordering::Relaxed);
                // Until it is cut, or told to end.
                let _ = raw.is_closed();
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return,
            Err(_) => {}
        }
    }
}

#[test]
fn strangers_who_return_at_once_keep_no_caller_out() {
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = Server::start(&[&format!("--connections-max={PLACE_COUNT}"), "--log-format=text"]);
    runtime.block_on(async { load(&Transport::grpc(server.url()).await).await });
    let (address, begun) = (server.address(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..STRANGER_COUNT {
        let begun = Arc::clone(&begun);
        thread::spawn(move || return_at_once(address, &begun));
    }
    while begun.load(Ordering::Relaxed) < 10 * PLACE_COUNT {
        thread::yield_now();
    }
    let fared = runtime.block_on(async {
        let honest = Honest::connect(server.url()).await;
        honest.call_for(Duration::from_millis(700)).await
    });
    let begun = begun.load(Ordering::Relaxed);
    println!("beside {begun} connections of strangers: {fared}");
    assert_eq!(fared.failures, 0, "{fared}");
}
