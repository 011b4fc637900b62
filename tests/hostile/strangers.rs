//! Strangers who fill all places, and come again as soon as one is free.

use std::{
    fs, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use dossier::auth::Tokens;
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    attacks::{CALLS, CHECK_HEALTH, FRAME_COUNT, INITIAL_WINDOW_SIZE, Siege},
    frames::{END_HEADERS, HEADERS, Raw, call, frame},
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

/// Whoever has no credential can make calls of health: so many at once, and the oldest give way.
#[test]
fn strangers_have_few_calls_without_a_message_or_with_answers_that_they_do_not_take() {
    const CONNECTION_COUNT: usize = 30;
    const CALL_COUNT_MAX: usize = 1_000;
    const MEMORY_BYTES_MAX: u64 = 64 << 20;
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = Server::start(&["--drain-timeout=1s", "--log-format=text", "--answer-stall-max=1h"]);
    let before = server.memory();
    let (service, method) = CHECK_HEALTH[1..].split_once('/').unwrap();
    let given_way = f64::from(u32::try_from(CONNECTION_COUNT * FRAME_COUNT - CALL_COUNT_MAX).unwrap());
    let wait_for = |metric: &str, count: f64| {
        let began = Instant::now();
        while server.metric(metric).is_none_or(|counted| counted < count) {
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "{metric} is not {count}"
            );
        }
    };
    let silent: Vec<_> = (0..CONNECTION_COUNT)
        .map(|_| {
            let mut raw = Raw::begin(server.address(), &[]).unwrap();
            for _ in 0..FRAME_COUNT {
                let stream = raw.stream();
                raw.send(&frame(HEADERS, END_HEADERS, stream, &call(CHECK_HEALTH)))
                    .unwrap();
            }
            raw
        })
        .collect();
    // Those that are left have five seconds: none of them is counted here.
    let labels = format!(r#"{{grpc_service="{service}",grpc_method="{method}",grpc_code="Unavailable"}}"#);
    wait_for(&format!("grpc_server_handled_total{labels}"), given_way);
    let unread: Vec<_> = (0..CONNECTION_COUNT)
        .map(|_| {
            let mut raw = Raw::begin(server.address(), &[(INITIAL_WINDOW_SIZE, 0)]).unwrap();
            for _ in 0..FRAME_COUNT {
                raw.call(CHECK_HEALTH, b"").unwrap();
            }
            raw
        })
        .collect();
    wait_for("dossier_cut_streams_total", given_way);
    if let (Some(before), Some(now)) = (before, server.memory()) {
        let grown = now.now.saturating_sub(before.now);
        println!("{grown} bytes for strangers");
        assert!(grown < MEMORY_BYTES_MAX, "{grown} bytes");
    }
    runtime.block_on(async {
        let channel = Channel::from_shared(server.url().to_owned()).unwrap();
        let mut health = HealthClient::new(channel.connect().await.unwrap());
        health.check(HealthCheckRequest::default()).await.unwrap();
    });
    drop((silent, unread));
}

#[test]
fn calls_without_a_credential_do_no_harm() {
    const ATTACKER_COUNT: usize = 2;
    const TIME: Duration = Duration::from_millis(700);
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = TempDir::new().unwrap();
    let log_flag = "--log-format=text";
    {
        let open = Server::start_in(folder.path(), &[log_flag], None);
        runtime.block_on(async { load(&Transport::grpc(open.url()).await).await });
    }
    let mut tokens = Tokens::default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let made = tokens.create("reader", &["read".to_owned()], now, None).unwrap();
    let file = folder.path().join("tokens.json");
    fs::write(&file, tokens.to_text()).unwrap();
    let audit = folder.path().join("audit");
    let flags = [
        format!("--auth-tokens={}", file.display()),
        format!("--audit-log={}", audit.display()),
        log_flag.to_owned(),
    ];
    let mut server = Server::start_in(folder.path(), &flags.each_ref().map(String::as_str), None);
    let honest = runtime.block_on(Honest::connect_with(server.url(), Some(made.secret())));
    let had = server.processor_time();
    let siege = Siege::begin(server.address(), &CALLS, ATTACKER_COUNT);
    let fared = runtime.block_on(honest.call_for(TIME));
    let toll = siege.end();
    let took = had.zip(server.processor_time());
    let took = took.map(|(had, now)| now.saturating_sub(had));
    println!("{fared} {toll:?}, processor {took:?}");
    assert_eq!((fared.failures, server.end()), (0, None));
    // Each is denied, a hundred a second are told, and then how many more.
    let audited = fs::read_to_string(&audit).unwrap();
    assert!(audited.contains("CREDENTIALS_MISSING"), "{audited}");
    let line_count = audited.lines().count();
    assert!((100..=400).contains(&line_count), "{line_count}");
}
