use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::*;
use crate::remote::AllowList;

/// Answers one request by `answer` and returns where; the thread gives what was asked.
fn serve(answer: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddr, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let lines: Vec<_> = lines
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        answer(stream);
        lines
    });
    (address, serving)
}

fn replying(reply: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| stream.write_all(reply).unwrap()).0
}

fn limits() -> FetchLimits {
    FetchLimits {
        timeout: Duration::from_secs(5),
        body_bytes_max: 1_000,
    }
}

fn watch(deadline: Option<Duration>) -> Watch {
    Watch {
        deadline: deadline.map(|after| Instant::now() + after),
        is_stopped: Arc::new(|| false),
    }
}

fn get_watched(url: &str, limits: FetchLimits, watch: &Watch) -> Result<Answer, FetchError> {
    let list = AllowList::new(vec![url.parse().unwrap()]);
    list.target(url)
        .unwrap()
        .fetch(Request::Get { accept: "*/*" }, limits, watch, &mut |_| true)
}

fn get(address: SocketAddr) -> Result<Answer, FetchError> {
    get_watched(&format!("http://{address}/"), limits(), &watch(None))
}

#[test]
fn an_answer_comes_whole() {
    let (address, serving) = serve(|mut stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: Text/Turtle; charset=utf-8\r\nContent-Length: 5\r\n\r\nhello")
            .unwrap();
    });
    let answer = get(address).unwrap();
    assert_eq!(answer.media_type.as_deref(), Some("text/turtle"));
    assert_eq!(answer.body, b"hello");
    let asked = serving.join().unwrap();
    assert_eq!(asked[0], "GET / HTTP/1.1");
    assert!(
        asked.iter().any(|line| line.eq_ignore_ascii_case("accept: */*")),
        "{asked:?}"
    );
}

#[test]
fn what_is_no_success_is_an_error() {
    let moved = replying(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(get(moved), Err(FetchError::Status(302)));
    assert!(
        FetchError::Status(302)
            .to_string()
            .contains("redirects are not followed")
    );
    let missing = replying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(get(missing), Err(FetchError::Status(404)));
    for broken in [
        &b"nonsense\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        b"",
    ] {
        let error = get(replying(broken)).unwrap_err();
        assert!(matches!(error, FetchError::Connection(_)), "{error:?}");
    }
}

#[test]
fn what_speaks_no_tls_is_an_error() {
    let address = replying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let error = get_watched(&format!("https://{address}/"), limits(), &watch(None)).unwrap_err();
    assert!(matches!(error, FetchError::Connection(_)), "{error:?}");
}

#[test]
fn a_body_has_its_limit_after_decompression() {
    let (address, _) = serve(|mut stream| {
        let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        stream.write_all(head).unwrap();
        // The client may have gone.
        let _ = stream.write_all(&[b'a'; 1_001]);
    });
    assert_eq!(get(address), Err(FetchError::TooLarge(1_000)));
    let (address, _) = serve(|mut stream| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![b'a'; 100_000]).unwrap();
        let body = encoder.finish().unwrap();
        assert!(body.len() < 1_000);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
    });
    assert_eq!(get(address), Err(FetchError::TooLarge(1_000)));
}

#[test]
fn a_silent_host_is_left_in_time() {
    let check = |expected: &FetchError, limits: FetchLimits, watch: &Watch| {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let (address, serving) = serve(move |mut stream| {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel")
                .unwrap();
            let _ = gone.recv();
        });
        let start = Instant::now();
        let url = format!("http://{address}/");
        assert_eq!(&get_watched(&url, limits, watch).unwrap_err(), expected);
        assert!(start.elapsed() < Duration::from_secs(2));
        drop(go);
        serving.join().unwrap();
    };
    let short = FetchLimits {
        timeout: Duration::from_millis(200),
        ..limits()
    };
    check(&FetchError::TimedOut(short.timeout), short, &watch(None));
    let soon = watch(Some(Duration::from_millis(200)));
    check(&FetchError::TimedOut(limits().timeout), limits(), &soon);
    // Asked before it connects, and again while it waits.
    let asked = AtomicUsize::new(0);
    let stopped = Watch {
        deadline: None,
        is_stopped: Arc::new(move || asked.fetch_add(1, Ordering::Relaxed) >= 2),
    };
    check(&FetchError::Stopped, limits(), &stopped);
}

#[test]
fn a_name_does_not_lead_to_this_machine() {
    let address = replying(b"");
    // As the C library reads it: 127.0.0.1.
    let url = format!("http://0x7f000001:{}/", address.port());
    let error = get_watched(&url, limits(), &watch(None)).unwrap_err();
    assert_eq!(error, FetchError::PrivateAddress);
    let answer = replying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let url = format!("http://localhost:{}/", answer.port());
    assert_eq!(get_watched(&url, limits(), &watch(None)).unwrap().body, b"hi");
}
