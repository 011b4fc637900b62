//! A host elsewhere, which answers each path as a test says.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// What a path answers.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    /// 200 with a media type and a body.
    Document(&'static str, &'static str),
    /// A status and headers.
    Status(&'static str),
    /// 200 and this many bytes.
    Large(usize),
    /// Results of this many variables, without a row.
    Wide(usize),
    /// The start of an answer, and no more.
    Silence,
}

pub(crate) struct Elsewhere {
    pub(crate) address: SocketAddr,
    /// The path and the body of each request.
    pub(crate) requests: UnboundedReceiver<(String, String)>,
}

impl Elsewhere {
    pub(crate) async fn start(replies: &'static [(&'static str, Reply)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, replies, sender.clone()));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn answer(
    stream: TcpStream,
    replies: &'static [(&'static str, Reply)],
    requests: UnboundedSender<(String, String)>,
) {
    let mut stream = BufReader::new(stream);
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if path.is_empty() {
            line.split(' ').nth(1).unwrap().clone_into(&mut path);
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    // The test may not look.
    let _ = requests.send((path.clone(), String::from_utf8(body).unwrap()));
    let reply = replies.iter().find(|(known, _)| *known == path);
    let text = match reply.map_or(Reply::Status("404 Not Found"), |&(_, reply)| reply) {
        Reply::Document(media_type, body) => format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
        Reply::Status(status) => format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"),
        Reply::Large(bytes) => format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/turtle\r\nContent-Length: {bytes}\r\n\r\n{}",
            " ".repeat(bytes)
        ),
        Reply::Wide(variables) => {
            let names: Vec<_> = (0..variables).map(|number| format!("?v{number}")).collect();
            let body = names.join("\t") + "\n";
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/tab-separated-values\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        Reply::Silence => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_owned(),
    };
    // The client may have gone.
    let _ = stream.write_all(text.as_bytes()).await;
    if matches!(reply, Some((_, Reply::Silence))) {
        let _ = stream.read_u8().await;
    }
}
