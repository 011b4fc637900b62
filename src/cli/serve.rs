//! `dossier serve`.

use std::{io, net::SocketAddr, process, thread, time::Duration};

use tokio::{net::TcpListener, runtime::Builder, sync::oneshot, time::sleep};

use super::failure::Failure;
use crate::{
    config::{ServeSettings, Setting, Source},
    server::{self, Listeners},
    telemetry,
};

/// Of the drain time: for the last spans to be sent, at most.
const SPANS_MAX: Duration = Duration::from_secs(3);

/// Of the drain time: for what comes after all of that, at most. What takes longer is cut off.
const END_MAX: Duration = Duration::from_millis(250);

/// Serves until SIGTERM or SIGINT.
pub(super) fn serve(mut settings: ServeSettings, layers: &[Setting]) -> Result<(), Failure> {
    validate(&settings, layers)?;
    let cannot_start = |error: io::Error| Failure::failed(format!("cannot start: {error}"));
    let stopped = stopped(settings.drain_timeout).map_err(cannot_start)?;
    settings.drain_timeout -= END_MAX.min(settings.drain_timeout / 8);
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(cannot_start)?;
    let telemetry = {
        let _within = runtime.enter();
        telemetry::init(&settings).map_err(|error| Failure::usage(error.to_string()))?
    };
    let spans_time = SPANS_MAX.min(settings.drain_timeout / 4);
    if telemetry.traces.is_some() {
        settings.drain_timeout -= spans_time;
    }
    let served = runtime.block_on(async {
        let calls = bind(settings.listen).await?;
        let operations = match settings.operations_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        tell(calls.local_addr()?, &settings);
        let listeners = Listeners { calls, operations };
        let stop = async {
            // Its sender ends with a signal, or never.
            let _ = stopped.await;
        };
        server::serve(settings, listeners, stop)
            .await
            .map_err(|error| Failure::failed(error.to_string()))
    });
    if let Some(traces) = telemetry.traces {
        traces.shut_down(spans_time);
    }
    // Nothing that blocks may hold up the end.
    runtime.shutdown_background();
    served
}

/// Returns what tells of SIGTERM or SIGINT. The process ends `limit` after that, with exit code 0, whatever becomes of all else:
/// what is acknowledged is durable by then. So a thread waits for both that does nothing else.
fn stopped(limit: Duration) -> io::Result<oneshot::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _within = runtime.enter();
        server::signals()?
    };
    let (stop, stopped) = oneshot::channel();
    let wait = move || {
        runtime.block_on(signals);
        // Who does not listen has ended.
        let _ = stop.send(());
        runtime.block_on(async { sleep(limit).await });
        process::exit(0);
    };
    thread::Builder::new()
        .name("dossier-signals".to_owned())
        .spawn(wait)?;
    Ok(stopped)
}

/// Checks settings, and names the lines of the file that are at fault.
pub(super) fn validate(settings: &ServeSettings, layers: &[Setting]) -> Result<(), Failure> {
    settings.validate().map_err(|error| {
        let places = layers
            .iter()
            .filter(|setting| error.flags().contains(&setting.key.as_str()))
            .filter(|setting| matches!(setting.source, Source::File(..)))
            .map(|setting| format!("{}: {}: ", setting.source, setting.key));
        let places = places.chain([error.to_string()]).collect::<Vec<_>>();
        let failure = Failure::usage(places.concat());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::failed(format!("cannot listen on {address}: {error}")))
}

/// Says where the server listens, and two calls to try.
fn tell(address: SocketAddr, settings: &ServeSettings) {
    let (scheme, authority, plain) = match &settings.tls_cert {
        Some(_) => ("https", " --ca AUTHORITY", ""),
        None => ("http", "", " --http2-prior-knowledge"),
    };
    anstream::eprintln!(
        "Dossier listens on {scheme}://{address}. Try:

  dossier --server {scheme}://{address}{authority} get e:KR
  buf curl --protocol grpc{plain} --data '{{\"entity\": \"e:KR\"}}' \\
      {scheme}://{address}/dossier.v1.EntityService/GetEntity
"
    );
}
