//! A bare tonic service that answers so many bytes: what the transport alone costs.

use std::{
    convert::Infallible,
    net::SocketAddr,
    task::{Context, Poll},
};

use prost::bytes::Bytes;
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use super::Failure;

/// Starts the service on a free port. It answers every call with `size` bytes.
pub(crate) async fn start(size: usize) -> Result<(SocketAddr, oneshot::Sender<()>), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let echo = Echo {
        answer: Bytes::from(vec![b'x'; size]),
    };
    let stopped = async {
        let _ = stopped.await;
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(echo);
    let _server = tokio::spawn(server.serve_with_incoming_shutdown(incoming, stopped));
    Ok((address, stop))
}

/// Calls the service with a text.
pub(crate) async fn call(channel: Channel, text: String) -> Result<(), Failure> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let path = http::uri::PathAndQuery::from_static("/echo.Echo/Echo");
    let codec = ProstCodec::<Bytes, Bytes>::default();
    client.unary(Request::new(Bytes::from(text)), path, codec).await?;
    Ok(())
}

#[derive(Clone)]
struct Echo {
    answer: Bytes,
}

impl NamedService for Echo {
    const NAME: &'static str = "echo.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            Ok(Grpc::new(ProstCodec::<Bytes, Bytes>::default())
                .unary(echo, request)
                .await)
        })
    }
}

impl UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.answer.clone())))
    }
}
