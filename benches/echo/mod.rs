//! A bare tonic service that gives one answer, bytes or a message: what the transport costs, and the message.

use std::{
    convert::Infallible,
    net::SocketAddr,
    task::{Context, Poll},
};

use prost::{Message, bytes::Bytes};
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

/// Starts the service on a free port.
pub(crate) async fn start<M: Answer>(answer: M) -> Result<(SocketAddr, oneshot::Sender<()>), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(Echo { answer });
    let _server = tokio::spawn(server.serve_with_incoming_shutdown(incoming, stopped));
    Ok((address, stop))
}

/// Calls a service that gives such an answer with a text.
pub(crate) async fn call<M: Answer>(channel: Channel, text: String) -> Result<(), Failure> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let path = http::uri::PathAndQuery::from_static("/echo.Echo/Echo");
    let codec = ProstCodec::<Bytes, M>::default();
    client.unary(Request::new(Bytes::from(text)), path, codec).await?;
    Ok(())
}

/// What a service can answer: encoded for each call, and decoded by its caller.
pub(crate) trait Answer: Message + Default + Clone + Sync + 'static {}

impl<M: Message + Default + Clone + Sync + 'static> Answer for M {}

#[derive(Clone)]
struct Echo<M> {
    answer: M,
}

impl<M> NamedService for Echo<M> {
    const NAME: &'static str = "echo.Echo";
}

impl<M: Answer> Service<http::Request<Body>> for Echo<M> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            Ok(Grpc::new(ProstCodec::<M, Bytes>::default())
                .unary(echo, request)
                .await)
        })
    }
}

impl<M: Answer> UnaryService<Bytes> for Echo<M> {
    type Response = M;
    type Future = std::future::Ready<Result<Response<M>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.answer.clone())))
    }
}
