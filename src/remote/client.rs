//! Fetches one URL, on the thread that calls.

use std::{
    fmt,
    io::Read as _,
    sync::Arc,
    time::{Duration, Instant},
};

use ureq::{
    Agent, Error,
    config::Config,
    http::{StatusCode, Uri, header},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{
            Buffers, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector, Transport,
            time::Duration as Step,
        },
    },
};

use super::{FetchLimits, Reach, Target};

/// How long a read blocks before the watch is asked again.
const STEP: Duration = Duration::from_millis(50);
const CHUNK_BYTES: usize = 16 << 10;

/// What is asked of a URL.
#[derive(Clone, Copy, Debug)]
pub enum Request<'r> {
    /// The document.
    Get {
        /// Media types that are understood.
        accept: &'r str,
    },
    /// The answer to what is sent.
    Post {
        /// Media types that are understood.
        accept: &'r str,
        /// The media type of the body.
        content_type: &'r str,
        /// What is sent.
        body: &'r str,
    },
}

/// What came.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// The media type without its parameters, in lower case, if it was told.
    pub media_type: Option<String>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

/// Why nothing came.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FetchError {
    /// The watch said so.
    #[error("the fetch was stopped")]
    Stopped,
    /// It did not come in time.
    #[error("no whole answer came within {0:?}")]
    TimedOut(Duration),
    /// Its host has an address that a public name must not have.
    #[error(
        "its host is at an address of a private network, and --service-allow and --load-allow list no such address"
    )]
    PrivateAddress,
    /// It answered with another status than success.
    #[error("it answered with the HTTP status {0}{hint}", hint = redirect_hint(*.0))]
    Status(u16),
    /// It sent more than is taken.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection, or what came over it, is at fault.
    #[error("{0}")]
    Connection(String),
}

fn redirect_hint(status: u16) -> &'static str {
    if (300..400).contains(&status) {
        ": redirects are not followed"
    } else {
        ""
    }
}

/// Tells a fetch when to stop.
#[derive(Clone)]
pub struct Watch {
    /// No fetch goes on after this.
    pub deadline: Option<Instant>,
    /// Asked some twenty times a second.
    pub is_stopped: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// Fetches it. `take` hears how many bytes came so far, and answers whether to go on.
    pub fn fetch(
        &self,
        request: Request<'_>,
        limits: FetchLimits,
        watch: &Watch,
        take: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Answer, FetchError> {
        let now = Instant::now();
        let end = now + limits.timeout;
        let end = watch.deadline.map_or(end, |deadline| deadline.min(end));
        if (watch.is_stopped)() || end <= now {
            return Err(FetchError::Stopped);
        }
        let fault = |error: Error| {
            if (watch.is_stopped)() {
                FetchError::Stopped
            } else if Instant::now() >= end {
                FetchError::TimedOut(limits.timeout)
            } else {
                of_client(error, limits)
            }
        };
        let agent = agent(self.reach(), watch.clone(), end);
        let url = self.to_string();
        let response = match request {
            Request::Get { accept } => agent.get(&url).header(header::ACCEPT, accept).call(),
            Request::Post {
                accept,
                content_type,
                body,
            } => agent
                .post(&url)
                .header(header::ACCEPT, accept)
                .header(header::CONTENT_TYPE, content_type)
                .send(body),
        };
        let response = response.map_err(fault)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let media_type = response.body().mime_type().map(str::to_ascii_lowercase);
        let mut reader = response.into_body().into_reader();
        let mut body = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = reader.read(&mut chunk).map_err(|error| fault(error.into()))?;
            if count == 0 {
                return Ok(Answer { media_type, body });
            }
            if body.len() + count > limits.body_bytes_max {
                return Err(FetchError::TooLarge(limits.body_bytes_max));
            }
            body.extend_from_slice(&chunk[..count]);
            if !take(body.capacity()) || (watch.is_stopped)() {
                return Err(FetchError::Stopped);
            }
            if Instant::now() >= end {
                return Err(FetchError::TimedOut(limits.timeout));
            }
        }
    }
}

/// Returns a client for one request: it keeps no connection.
fn agent(reach: Reach, watch: Watch, end: Instant) -> Agent {
    let config = Agent::config_builder()
        .timeout_global(Some(end.saturating_duration_since(Instant::now())))
        .max_redirects(0)
        .http_status_as_error(false)
        // A proxy of the environment would resolve the host itself.
        .proxy(None)
        .user_agent(concat!("dossier/", env!("CARGO_PKG_VERSION")))
        .max_idle_connections(0)
        .build();
    let connector =
        ().chain(TcpConnector::default())
            .chain(WatchedConnector { watch, end })
            .chain(RustlsConnector::default());
    let resolver = CheckedResolver {
        inner: DefaultResolver::default(),
        reach,
    };
    Agent::with_parts(config, connector, resolver)
}

fn of_client(error: Error, limits: FetchLimits) -> FetchError {
    match error {
        Error::Timeout(_) => FetchError::TimedOut(limits.timeout),
        Error::Other(error) if error.is::<PrivateAddress>() => FetchError::PrivateAddress,
        Error::HostNotFound => FetchError::Connection("its host has no address".to_owned()),
        error => FetchError::Connection(error.to_string()),
    }
}

/// Resolves a host and refuses it if one of its addresses is out of reach. The connection goes to what this returns: nobody
/// asks again.
#[derive(Debug)]
struct CheckedResolver {
    inner: DefaultResolver,
    reach: Reach,
}

#[derive(Debug, thiserror::Error)]
#[error("an address is out of reach")]
struct PrivateAddress;

impl Resolver for CheckedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let addresses = self.inner.resolve(uri, config, timeout)?;
        if addresses.iter().all(|address| self.reach.includes(address.ip())) {
            Ok(addresses)
        } else {
            Err(Error::Other(Box::new(PrivateAddress)))
        }
    }
}

/// Puts a watch on reading, below TLS.
#[derive(Debug)]
struct WatchedConnector {
    watch: Watch,
    end: Instant,
}

impl<In: Transport> Connector<In> for WatchedConnector {
    type Out = Watched<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Watched {
            inner,
            watch: self.watch.clone(),
            end: self.end,
        }))
    }
}

#[derive(Debug)]
struct Watched<T> {
    inner: T,
    watch: Watch,
    end: Instant,
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let step = NextTimeout {
            after: timeout.after.min(Step::Exact(STEP)),
            ..timeout
        };
        loop {
            match self.inner.await_input(step) {
                Err(Error::Timeout(_)) if Instant::now() < self.end && !(self.watch.is_stopped)() => {}
                outcome => return outcome,
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests;
