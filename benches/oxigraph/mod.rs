//! A client of Oxigraph's own server (SPARQL 1.1 Protocol over HTTP/1.1), to measure it beside ours.

use std::{net::SocketAddr, sync::Arc};

use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use prost::bytes::Bytes;
use tokio::{net::TcpStream, sync::Mutex};

use super::Failure;

/// A connection that is kept open; HTTP/1.1 has one request at a time on it.
pub(crate) type Connection = Arc<Mutex<SendRequest<Full<Bytes>>>>;

/// Opens as many connections as there are callers.
pub(crate) async fn connect(address: SocketAddr, count: usize) -> Result<Vec<Connection>, Failure> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        connections.push(Arc::new(Mutex::new(sender)));
    }
    Ok(connections)
}

/// Runs a query and reads its whole answer, which must have rows.
pub(crate) async fn query(connection: Connection, query: String) -> Result<(), Failure> {
    let request = http::Request::post("/query")
        .header(http::header::HOST, "localhost")
        .header(http::header::CONTENT_TYPE, "application/sparql-query")
        .header(http::header::ACCEPT, "application/sparql-results+json")
        .body(Full::new(Bytes::from(query)))?;
    let mut sender = connection.lock().await;
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    let is_ok = answer.status().is_success();
    let body = answer.into_body().collect().await?.to_bytes();
    if is_ok && body.len() > 100 {
        Ok(())
    } else {
        Err(format!("Oxigraph answered {body:?}").into())
    }
}
