//! The server in this process, on a free port.

use std::net::SocketAddr;

use dossier::config::ServeSettings;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::Failure;

/// Starts a server; it stops with the sender. Calls are refused until it serves.
pub(crate) async fn start(
    settings: ServeSettings,
) -> Result<(SocketAddr, oneshot::Sender<()>, JoinHandle<Result<(), Failure>>), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        Ok(dossier::server::serve(settings, listener, stopped).await?)
    });
    Ok((address, stop, task))
}
