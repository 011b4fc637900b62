//! Senders of documents who bring little and keep a place from others.

use std::time::Duration;

use dossier::proto::v1::{self, ErrorReason, import_request::Part};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::{
    harness::{Server, check_error, complete, header},
    imports_in_pieces::{Import, QUAD_COUNT, chunked, document},
};

/// Imports, and uploads over HTTP, at once.
const PLACE_COUNT: usize = 4;
const NT: &str = "<http://ex/s> <http://ex/p> <http://ex/o> .\n";

/// Starts a server that gives a document so much time for each 16 KiB.
async fn start(document_time: Duration) -> Server {
    Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.connections.request_stall_max = document_time / 2;
    })
    .await
}

/// An import that is begun and not ended.
struct Slow {
    has_place: oneshot::Receiver<()>,
    ended: JoinHandle<Status>,
}

/// Sends a header, if it `begins`, then text again and again, or nothing.
fn send(server: &Server, begins: bool, trickle: Option<(String, Duration)>) -> Slow {
    let (parts, received) = mpsc::channel(1);
    let (tell, has_place) = oneshot::channel();
    let mut writes = server.writes();
    let ended = tokio::spawn(async move {
        let sending = async move {
            let send = async |part| parts.send(v1::ImportRequest { part: Some(part) }).await.is_ok();
            if begins {
                send(Part::Header(header("nt"))).await;
            }
            if let Some((text, pause)) = trickle {
                while send(Part::Chunk(text.clone().into())).await {
                    tokio::time::sleep(pause).await;
                }
            }
            parts.closed().await;
        };
        let answering = async {
            let answers = writes.import(ReceiverStream::new(received)).await?;
            let mut answers = answers.into_inner();
            if begins {
                // How far it has come, which is nothing.
                answers.message().await?;
                let _ = tell.send(());
            }
            complete(answers).await
        };
        let ((), ended) = tokio::join!(sending, answering);
        ended.unwrap_err()
    });
    Slow { has_place, ended }
}

fn check_ended(status: Status) {
    let (code, reason) = (Code::DeadlineExceeded, ErrorReason::SenderTooSlow);
    check_error::<()>(Err(status), code, reason);
}

/// Imports once there is a place.
async fn import(server: &Server) -> usize {
    let mut refused_count = 0;
    while let Err(status) = server.import_text("nt", NT).await {
        check_error::<()>(Err(status), Code::ResourceExhausted, ErrorReason::Overloaded);
        refused_count += 1;
    }
    refused_count
}

#[tokio::test]
async fn whoever_says_nothing_takes_no_place() {
    let server = start(Duration::from_hours(1)).await;
    let silent: Vec<_> = (0..2 * PLACE_COUNT).map(|_| send(&server, false, None)).collect();
    assert_eq!(import(&server).await, 0);
    for silent in silent {
        silent.ended.abort();
    }
}

#[tokio::test]
async fn an_import_that_is_held_open_is_ended() {
    let server = start(Duration::from_millis(400)).await;
    for begins in [true, false] {
        let silent: Vec<_> = (0..PLACE_COUNT).map(|_| send(&server, begins, None)).collect();
        for silent in silent {
            check_ended(silent.ended.await.unwrap());
        }
    }
    assert_eq!(import(&server).await, 0);
}

/// Each brings enough for one that nobody else wants to be: without them they would go on for ever.
#[tokio::test]
async fn those_who_trickle_give_way_once_others_were_refused() {
    let server = start(Duration::from_secs(2)).await;
    let trickle = || Some((NT.repeat((17 << 10) / NT.len()), Duration::from_millis(700)));
    let mut all = Vec::new();
    for _ in 0..PLACE_COUNT {
        let mut slow = send(&server, true, trickle());
        (&mut slow.has_place).await.unwrap();
        all.push(slow);
    }
    assert!(import(&server).await > 0);
    for slow in all {
        check_ended(slow.ended.await.unwrap());
    }
}

#[tokio::test]
async fn an_import_in_pieces_goes_on_with_the_token_of_its_end() {
    let server = start(Duration::from_secs(2)).await;
    let text = document();
    let mut import = Import::begin(&server, chunked("nq", "")).await.unwrap();
    import.send_from(text.as_bytes(), text.len() * 3 / 4).await;
    let mut last = v1::ImportAck::default();
    let status = loop {
        match import.next().await {
            Ok(v1::import_response::Part::Ack(ack)) => last = ack,
            Ok(other) => panic!("{other:?}"),
            Err(status) => break status,
        }
    };
    let metadata = check_error::<()>(Err(status), Code::DeadlineExceeded, ErrorReason::SenderTooSlow);
    assert!(last.quads_committed > 0);
    assert_eq!(metadata["resume_token"], last.resume_token);
    let import = Import::begin(&server, chunked("nq", &last.resume_token))
        .await
        .unwrap();
    assert_eq!(import.accepted.quads_committed, last.quads_committed);
    import.send_from(text.as_bytes(), text.len()).await;
    import.complete().await;
    assert_eq!(
        usize::try_from(server.info().await.quad_count).unwrap(),
        QUAD_COUNT
    );
}

#[tokio::test]
async fn an_upload_that_is_held_open_is_ended() {
    let server = start(Duration::from_millis(400)).await;
    let boundary = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/turtle\r\n\r\n";
    for (media_type, begun) in [
        ("text/turtle", "<http://ex/s> "),
        ("multipart/form-data; boundary=b", ""),
        ("multipart/form-data; boundary=b", boundary),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /store?default HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
             Content-Length: 1000\r\n\r\n{begun}"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408"), "{media_type}: {answer}");
        assert!(answer.contains("\"SENDER_TOO_SLOW\""), "{media_type}: {answer}");
    }
    assert_eq!(server.info().await.quad_count, 0);
}
