//! Attacks HTTP/2 and looks how an honest caller fares meanwhile.

use std::{
    fs, io,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    attacks::{
        ATTACKS, CHECK_HEALTH, FRAME_COUNT, GET, HELD_COUNT, INITIAL_WINDOW_SIZE, LOOKUP, Siege, calls,
        half_message, open_streams,
    },
    frames::{DATA, END_HEADERS, GOAWAY, HEADERS, RST_STREAM, Raw, WINDOW_UPDATE, call, frame},
    honest::Honest,
    load,
    server::{Server, is_release, own_processor_time, turn},
    transport::Transport,
};

const FLAGS: [&str; 5] = [
    "--drain-timeout=1s",
    "--handshake-timeout=1s",
    "--answer-stall-max=1s",
    "--request-stall-max=1s",
    "--log-format=text",
];
const ATTACKER_COUNT: usize = 2;
const TIME: Duration = Duration::from_millis(700);
/// So long that what two processors are kept busy for is not taken for what 10,000 calls take to begin.
const TIME_OF_RELEASE: Duration = Duration::from_millis(1_500);
/// How much longer an honest caller may wait while its server is attacked than while another one is, on the same processors.
const SLOWDOWN_MAX: u32 = 2;

/// What is asked of a server that is attacked.
struct Bounds {
    /// How long it is.
    time: Duration,
    /// What of the waiting of an honest caller is not told from chance.
    p99_floor: Duration,
    /// Processor time of the server for that of its attackers and callers: whoever wants much of it must have much.
    cost_max: u32,
    /// What of it is not told from chance.
    cost_floor: Duration,
}

impl Bounds {
    fn of_build() -> Self {
        if is_release() {
            Self {
                time: TIME_OF_RELEASE,
                p99_floor: Duration::from_millis(100),
                cost_max: 2,
                cost_floor: TIME_OF_RELEASE,
            }
        } else {
            Self {
                time: TIME,
                p99_floor: Duration::from_secs(1),
                cost_max: 8,
                cost_floor: Duration::from_secs(1),
            }
        }
    }
}

/// Returns the processor time since then; none where the kernel does not tell.
fn since(before: Option<Duration>, now: Option<Duration>) -> Duration {
    now.zip(before)
        .map_or(Duration::ZERO, |(now, before)| now.saturating_sub(before))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn start(runtime: &tokio::runtime::Runtime, flags: &[&str], descriptor_count_max: Option<u32>) -> Server {
    let server = Server::start_with(&[&FLAGS, flags].concat(), descriptor_count_max);
    runtime.block_on(async { load(&Transport::grpc(server.url()).await).await });
    server
}

#[test]
fn attacks_on_the_protocol_do_no_harm() {
    let _turn = turn();
    let bounds = Bounds::of_build();
    let runtime = runtime();
    let mut server = start(&runtime, &[], None);
    // It takes the processor time of attackers and attacked, and nothing else of the first.
    let other = start(&runtime, &[], None);
    let honest = runtime.block_on(Honest::connect(server.url()));
    let alone = runtime.block_on(honest.call_for(bounds.time));
    println!("{:<28} {alone}", "nobody");
    let mut faults = Vec::new();
    for attack in &ATTACKS {
        let siege = Siege::begin(other.address(), attack, ATTACKER_COUNT);
        let before = runtime.block_on(honest.call_for(bounds.time));
        siege.end();
        let had = (server.processor_time(), own_processor_time());
        let siege = Siege::begin(server.address(), attack, ATTACKER_COUNT);
        if attack.is_held {
            wait_until_held(&server, attack.name);
        }
        let fared = runtime.block_on(honest.call_for(bounds.time));
        let toll = siege.end();
        let [took, spent] = [
            since(had.0, server.processor_time()),
            since(had.1, own_processor_time()),
        ];
        println!(
            "{:<28} {fared} {toll:?}, processor {took:?} for {spent:?}; p99 beside it {:?}",
            attack.name,
            before.p99()
        );
        let mut fault = |what: String| faults.push(format!("{}: {what}", attack.name));
        if let Some(end) = server.end() {
            fault(format!("the server died: {end}"));
            break;
        }
        if fared.failures > 0 || fared.p99() > bounds.p99_floor.max(SLOWDOWN_MAX * before.p99()) {
            fault(format!("the honest caller: {fared}, and {before} beside it"));
        }
        if took > bounds.cost_floor.max(bounds.cost_max * spent) {
            fault(format!("it cost {took:?}, and attackers and caller {spent:?}"));
        }
        if attack.is_cut && toll.cut == 0 {
            fault(format!("nobody was cut: {toll:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Waits until a server has as many connections as attackers hold.
fn wait_until_held(server: &Server, name: &str) {
    let held = f64::from(u32::try_from(ATTACKER_COUNT * HELD_COUNT).unwrap());
    let began = Instant::now();
    while server
        .metric("dossier_connections")
        .is_none_or(|count| count < held)
    {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{name}: nothing is held"
        );
    }
}

/// Sends an attack from one connection until it is cut; returns how many times it was sent.
fn cut_after(address: SocketAddr, name: &str, again: fn(&mut Raw) -> io::Result<()>) -> usize {
    let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
    let mut raw = attack.connect(address).unwrap();
    (0..10_000)
        .find(|_| again(&mut raw).is_err())
        .expect("a flood is cut")
}

/// Waits until connections were cut for a reason.
fn wait_for_cut(server: &Server, reason: &str) {
    let began = Instant::now();
    let name = format!(r#"dossier_cut_connections_total{{reason="{reason}"}}"#);
    while server.metric(&name).is_none_or(|count| count < 1.0) {
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "nobody was cut: {reason}"
        );
    }
}

#[test]
fn control_frames_are_cut_after_some_thousands() {
    let _turn = turn();
    let runtime = runtime();
    let server = start(&runtime, &[], None);
    let ping = |raw: &mut Raw| raw.send(&frame(6, 0, 0, &[7; 8]).repeat(100));
    let count = cut_after(server.address(), "PING", ping);
    assert!(count >= 40, "{count}");
    wait_for_cut(&server, "control_frames");
    // What honest clients do beside their calls is none.
    let mut raw = Raw::begin(server.address(), &[]).unwrap();
    for _ in 0..2_000 {
        // There is none.
        let stream = raw.call(LOOKUP, b"\x0a\x05<d:x>").unwrap();
        raw.send(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 4, 0])).unwrap();
        raw.send(&frame(6, 0, 0, &[7; 8])).unwrap();
        while !matches!(raw.receive().unwrap(), Some((HEADERS, answered, _)) if answered == stream) {}
    }
}

/// Waits for the reset of a stream, or the end of the connection.
fn is_ended(raw: &mut Raw, stream: u32) -> bool {
    loop {
        match raw.receive() {
            Ok(Some((RST_STREAM, ended, _))) if ended == stream => return true,
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

#[test]
fn slow_readers_and_silent_callers_are_cut() {
    let _turn = turn();
    let runtime = runtime();
    let server = start(&runtime, &[], None);
    let address = server.address();
    let query = b"\x0a\x19SELECT * { ?s ?p ?o . ?a ?b ?c }";
    let query = [b"\x0a\x20", &query[2..]].concat();
    for (what, path, message) in [
        ("a lookup", LOOKUP, GET),
        ("a query", "/dossier.v1.SparqlService/Query", &query[..]),
        ("a watch", "/dossier.v1.ChangeService/Watch", b"\x10\x01"),
        ("an export", "/dossier.v1.WriteService/Export", b"\x0a\x02nq"),
    ] {
        let mut raw = Raw::begin(address, &[(INITIAL_WINDOW_SIZE, 0)]).unwrap();
        let stream = raw.call(path, message).unwrap();
        assert!(is_ended(&mut raw, stream), "{what} with a window of 0");
    }
    // It has room in HTTP/2's windows, and reads nothing.
    let mut raw = Raw::begin(address, &[(INITIAL_WINDOW_SIZE, (1 << 31) - 1)]).unwrap();
    raw.send(&frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0])).unwrap();
    // 20 MB: more than sockets hold.
    raw.give_up_after(Duration::from_secs(20)).unwrap();
    calls(&mut raw).unwrap();
    calls(&mut raw).unwrap();
    wait_for_cut(&server, "slow_reader");
    // Its message does not come, or is far larger than a question about health.
    for (path, part, code) in [
        (LOOKUP, half_message(2), "DeadlineExceeded"),
        (CHECK_HEALTH, half_message(2), "DeadlineExceeded"),
        (CHECK_HEALTH, half_message(16 << 10), "ResourceExhausted"),
    ] {
        let (service, method) = path[1..].split_once('/').unwrap();
        let name = format!(
            r#"grpc_server_handled_total{{grpc_service="{service}",grpc_method="{method}",grpc_code="{code}"}}"#
        );
        let count = || server.metric(&name).unwrap_or_default();
        let before = count();
        let mut raw = Raw::begin(address, &[]).unwrap();
        let stream = raw.stream();
        raw.send(&frame(HEADERS, END_HEADERS, stream, &call(path)))
            .unwrap();
        raw.send(&frame(DATA, 0, stream, &part)).unwrap();
        loop {
            let (kind, of, _) = raw.receive().unwrap().expect("a status for who is silent");
            if kind == HEADERS && of == stream {
                break;
            }
            assert_ne!(kind, GOAWAY);
        }
        assert!(count() > before, "{path} with {} bytes is no {code}", part.len());
    }
    for settings in ["", "PRI * HTTP/2", "GET / HTTP/1.1\r\n"] {
        let mut raw = Raw::connect(address).unwrap();
        raw.send(settings.as_bytes()).unwrap();
        if settings.starts_with("GET") {
            continue;
        }
        assert!(raw.is_closed().unwrap(), "{settings:?}");
    }
}

/// They take no places, so memory is what bounds them: one address can open 51,200.
#[test]
fn calls_without_a_message_take_little_memory() {
    const CONNECTION_COUNT: usize = 50;
    const CALL_BYTES_MAX: u64 = 40 << 10;
    let _turn = turn();
    let server = Server::start(&["--drain-timeout=1s", "--log-format=text"]);
    let started =
        r#"grpc_server_started_total{grpc_service="dossier.v1.EntityService",grpc_method="GetEntity"}"#;
    assert_eq!(server.metric(started), Some(0.0));
    let Some(before) = server.memory() else {
        println!("NOT RUN: the kernel does not tell how much memory a process takes");
        return;
    };
    let held: Vec<_> = (0..CONNECTION_COUNT)
        .map(|_| {
            let mut raw = Raw::begin(server.address(), &[]).unwrap();
            open_streams(&mut raw).unwrap();
            raw
        })
        .collect();
    let call_count = CONNECTION_COUNT * FRAME_COUNT;
    let all = f64::from(u32::try_from(call_count).unwrap());
    while server.metric(started).is_none_or(|count| count < all) {}
    let grown = server.memory().unwrap().now.saturating_sub(before.now);
    let each = grown / u64::try_from(call_count).unwrap();
    println!("{each} bytes for each of {call_count} calls that wait");
    assert!(each <= CALL_BYTES_MAX, "{each} bytes");
    drop(held);
}

#[cfg(target_os = "linux")]
#[test]
fn the_server_lives_without_descriptors() {
    /// Of the processor, while nobody is answered.
    const COST_MAX: Duration = Duration::from_millis(200);
    let _turn = turn();
    let runtime = runtime();
    let mut server = start(&runtime, &[], None);
    let address = server.address();
    let honest = runtime.block_on(Honest::connect(server.url()));
    // There is room for some places: it is the descriptors that are wanting.
    let pid = server.pid();
    let open_count = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let limit = format!("--nofile={0}:{0}", open_count + 5);
    let limited = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &limit])
        .status();
    assert!(limited.unwrap().success());
    let mut held: Vec<_> = (0..50).map(|_| Raw::connect(address).unwrap()).collect();
    let had = server.processor_time();
    // The first was accepted, and has a second to begin.
    let began = Instant::now();
    assert!(held[0].is_closed().unwrap());
    let time = began.elapsed();
    let took = since(had, server.processor_time());
    assert!(took < COST_MAX, "{took:?} in {time:?} for turning away");
    let fared = runtime.block_on(honest.call_for(TIME));
    println!("{took:?} in {time:?} for turning away; {fared}");
    assert!(fared.failures == 0 && fared.count > 0, "{fared}");
    drop(held);
    // Their descriptors are free again.
    let fared = runtime.block_on(async { Honest::connect(server.url()).await.call_for(TIME).await });
    assert!(fared.failures == 0 && fared.count > 0, "{fared}");
    let failures = server.metric("dossier_accept_failures_total").unwrap();
    assert!(failures > 1.0, "descriptors were not wanting");
    assert_eq!(server.end(), None);
}

/// Places leave descriptors to others, so that it does not come to that.
#[test]
fn few_descriptors_are_few_places() {
    let _turn = turn();
    let runtime = runtime();
    let server = start(&runtime, &[], Some(64));
    let honest = runtime.block_on(Honest::connect(server.url()));
    let held: Vec<_> = (0..200).map(|_| Raw::connect(server.address())).collect();
    let fared = runtime.block_on(honest.call_for(TIME));
    println!("{fared}");
    assert!(fared.failures == 0 && fared.count > 0, "{fared}");
    drop(held);
    let fared = runtime.block_on(async { Honest::connect(server.url()).await.call_for(TIME).await });
    assert!(fared.failures == 0 && fared.count > 0, "{fared}");
    assert_eq!(server.metric("dossier_accept_failures_total"), Some(0.0));
}

#[test]
fn one_address_cannot_take_all_connections() {
    let _turn = turn();
    let runtime = runtime();
    let server = start(&runtime, &["--connections-per-address-max=3"], None);
    let mut tried: Vec<_> = (0..10)
        .filter_map(|_| Raw::begin(server.address(), &[]).ok())
        .collect();
    // The settings of the server come to who is let in; others are closed.
    let mut let_in = 0;
    for raw in &mut tried {
        let_in += usize::from(raw.receive().unwrap().is_some());
    }
    assert!((1..=3).contains(&let_in), "{let_in}");
}

#[test]
fn old_and_idle_connections_get_a_goaway() {
    let _turn = turn();
    let runtime = runtime();
    let soon_old = ["--connection-age-max=300ms", "--connection-age-grace=10s"];
    let soon_idle = ["--connection-idle-max=200ms", "--connection-age-max=1h"];
    for (flags, call) in [
        (soon_old, None),
        (soon_idle, None),
        (soon_idle, Some((LOOKUP, &b"\x0a\x05<d:x>"[..]))),
        // A watch is a call, but of a stranger.
        (soon_idle, Some(("/grpc.health.v1.Health/Watch", &b""[..]))),
    ] {
        let server = start(&runtime, &flags, None);
        let mut raw = Raw::begin(server.address(), &[]).unwrap();
        if let Some((path, message)) = call {
            raw.call(path, message).unwrap();
        }
        let mut goaway = None;
        while let Some((kind, _, payload)) = raw.receive().unwrap() {
            if kind == GOAWAY {
                goaway = Some(payload);
            } else if kind == 6 {
                // The first GOAWAY is a warning: the PING behind it tells when it was heard.
                raw.send(&frame(6, 1, 0, &payload)).unwrap();
            }
        }
        // The last stream that was processed, and no error.
        assert_eq!(goaway.unwrap()[4..8], [0; 4], "{flags:?} {call:?}");
    }
}
