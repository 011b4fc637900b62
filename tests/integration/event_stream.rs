//! `/changes`: the feed as server-sent events.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{
    harness::Server,
    http::{check, check_status, get},
    sparql::insert,
    updates::{change, update},
};

/// Events as they come.
pub(crate) struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    /// Opens a stream, as soon as there is a place for it.
    pub(crate) async fn open(server: &Server, path: &str, last_event_id: Option<&str>) -> Self {
        let response = loop {
            let response = request(server, path, last_event_id).await;
            if response.status() != 503 {
                break response;
            }
        };
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// Returns the lines of the next event; nothing at the end.
    pub(crate) async fn next(&mut self) -> Option<Vec<String>> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let lines = self.text[..end].lines().map(str::to_owned).collect();
                self.text.drain(..end + 2);
                return Some(lines);
            }
            let Some(frame) = self.body.frame().await else {
                assert_eq!(self.text, "", "the stream ends within an event");
                return None;
            };
            let bytes = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
}

/// Returns the revision of an event's last line, which is its id.
fn id_of(event: &[String]) -> u64 {
    let id = event.last().unwrap().strip_prefix("id: ").unwrap();
    let Some((revision, hash)) = id.split_once('-') else {
        assert_eq!(id, "0", "every commit has a hash");
        return 0;
    };
    assert_eq!(hash.len(), 16, "{id}");
    revision.parse().unwrap()
}

async fn request(server: &Server, path: &str, last_event_id: Option<&str>) -> Response<Incoming> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut request = Request::get(path).header(header::HOST, server.address.to_string());
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    client.send_request(request).await.unwrap()
}

#[tokio::test]
async fn events_are_patches_and_resume_after_their_id() {
    let server = Server::start_empty().await;
    let mut live = Events::open(&server, "/changes", None).await;
    assert_eq!(
        live.next().await.unwrap(),
        ["event: checkpoint", "data: 0", "id: 0"]
    );
    let request = dossier::proto::v1::UpdateRequest {
        message: "why\nso".into(),
        ..change("INSERT DATA { e:a e:p 'x\\ny'@en . GRAPH e:g { e:a e:p e:b } }")
    };
    update(&server, request).await.unwrap();
    let e = "https://w3id.org/dossier/e/";
    let event = live.next().await.unwrap();
    let revision = crate::changes::client(&server)
        .get_revision(dossier::proto::v1::GetRevisionRequest { revision: 1 })
        .await;
    let hash = revision.unwrap().into_inner().revision.unwrap().hash;
    let hash = crate::changes::hex(&hash);
    assert_eq!(event[1], format!("data: H hash \"{hash}\" ."));
    assert!(event[2].starts_with("data: H time \"20"), "{event:?}");
    assert_eq!(
        event[0],
        "data: H revision \"1\"^^<http://www.w3.org/2001/XMLSchema#integer> ."
    );
    assert_eq!(
        event[3..],
        [
            "data: H message \"why\\nso\" .".to_owned(),
            "data: TX .".to_owned(),
            format!("data: # create <{e}g>"),
            format!("data: A <{e}a> <{e}p> \"x\\ny\"@en ."),
            format!("data: A <{e}a> <{e}p> <{e}b> <{e}g> ."),
            "data: TC .".to_owned(),
            format!("id: 1-{hash}"),
        ]
    );
    // Of several fragments only the last has an id.
    let many: Vec<_> = (0..2_500).map(|number| number.to_string()).collect();
    insert(&server, &format!("e:c e:p {}", many.join(", "))).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let event = live.next().await.unwrap();
        let has_id = event.iter().any(|line| line.starts_with("id: "));
        ids.push(has_id.then(|| id_of(&event)));
    }
    assert_eq!(ids, [None, None, Some(2)]);
    insert(&server, "e:d e:p 1").await;

    // As a browser goes on; the parameter is where it once began.
    let mut resumed = Events::open(&server, "/changes?from=1", Some("2")).await;
    assert_eq!(id_of(&resumed.next().await.unwrap()), 3);
    let id = format!("1-{hash}");
    for (path, id) in [("/changes", Some(&id)), (&format!("/changes?after={id}"), None)] {
        let mut resumed = Events::open(&server, path, id.map(String::as_str)).await;
        let event = resumed.next().await.unwrap();
        assert!(event[0].starts_with("data: H revision \"2\""), "{event:?}");
    }
    let mut filtered = Events::open(&server, "/changes?from=1&subject=e:a&default-graph", None).await;
    let event = filtered.next().await.unwrap();
    assert_eq!(
        event.iter().filter(|line| line.starts_with("data: A ")).count(),
        1
    );
    let event = filtered.next().await.unwrap();
    assert_eq!(
        (&event[..2], id_of(&event)),
        (&["event: checkpoint", "data: 3"].map(str::to_owned)[..], 3)
    );

    assert_eq!(id_of(&live.next().await.unwrap()), 3);
    server.shutdown.send(()).unwrap();
    for mut events in [live, filtered] {
        let end = events.next().await.unwrap();
        assert_eq!(end[0], "event: end");
        assert!(end[1].contains("\"reason\":\"UNAVAILABLE\""), "{end:?}");
        assert_eq!(events.next().await, None);
    }
    drop(resumed);
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn bad_requests_for_events_are_refused_and_places_are_shared() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.watcher_count_max = 1;
    })
    .await;
    check(&server, get("/changes?form=1"), 400, "INVALID_REQUEST").await;
    let mut request = get("/changes");
    request
        .headers_mut()
        .insert("last-event-id", "x".parse().unwrap());
    check(&server, request, 400, "INVALID_REQUEST").await;
    check(&server, get("/changes?from=2"), 412, "REVISION_NOT_REACHED").await;
    let mut request = get("/changes");
    *request.method_mut() = http::Method::POST;
    check(&server, request, 405, "METHOD_NOT_ALLOWED").await;
    let mut request = get("/changes");
    *request.method_mut() = http::Method::HEAD;
    check_status(&server, request, 200).await;
    let events = loop {
        // The HEAD request's place may not be free yet.
        let response = crate::changes::client(&server)
            .watch(dossier::proto::v1::WatchRequest::default())
            .await;
        if let Ok(stream) = response {
            break stream;
        }
    };
    let problem = check(&server, get("/changes"), 503, "TOO_MANY_WATCHERS").await;
    assert_eq!(problem["watcher_count_max"], 1);
    drop(events);
}

#[tokio::test]
async fn a_stalled_reader_of_events_is_cut_off_and_can_resume() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.watch_stall_max = Duration::from_millis(300);
        settings.watcher_count_max = 1;
        // It is to read its last word, however long the writes take.
        settings.connections.answer_stall_max = Duration::from_hours(1);
    })
    .await;
    let mut stalled = Events::open(&server, "/changes", None).await;
    let text = "x".repeat(100_000);
    let commit_count = 300;
    for number in 0..commit_count {
        insert(&server, &format!("e:a e:p \"{number}{text}\"")).await;
    }
    let watch = || async {
        let request = dossier::proto::v1::WatchRequest::default();
        crate::changes::client(&server).watch(request).await
    };
    while watch().await.is_err() {}
    let (mut last, mut end) = (0, Vec::new());
    while let Some(event) = stalled.next().await {
        if event.iter().any(|line| line.starts_with("id: ")) {
            last = id_of(&event);
        }
        end = event;
    }
    assert!(end[1].contains("READER_TOO_SLOW"), "{end:?}");
    assert!(last < commit_count, "it was not ended");
    let mut events = Events::open(&server, "/changes", Some(&last.to_string())).await;
    let next = events.next().await.unwrap();
    assert_eq!(id_of(&next), last + 1);
}
