//! Where the requests go: to a server of our own, or to one that somebody else has started, such as in a container.
//!
//! `DOSSIER_HOSTILE_SERVER=http://ADDRESS:PORT` names that one, and `DOSSIER_HOSTILE_PID` its process on this machine. It must have
//! the test's flags and nothing in its graph that may not be dropped; its memory is limited by whoever started it.

use std::{env, net::TcpStream, time::Duration};

use procfs::{
    WithCurrentSystemInfo as _,
    process::{ClearRefs, Process},
};

use crate::server::{Memory, Server};

pub(crate) enum Target {
    Ours(Server),
    Theirs { url: String, process: Process },
}

impl Target {
    /// Starts a server, unless the environment names one.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let Ok(url) = env::var("DOSSIER_HOSTILE_SERVER") else {
            return Self::Ours(Server::start(flags));
        };
        let pid = env::var("DOSSIER_HOSTILE_PID").unwrap().parse().unwrap();
        Self::Theirs {
            url,
            process: Process::new(pid).unwrap(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Ours(server) => server.url(),
            Self::Theirs { url, .. } => url,
        }
    }

    /// Returns how it ended, if it has.
    pub(crate) fn end(&mut self) -> Option<String> {
        match self {
            Self::Ours(server) => server.end(),
            Self::Theirs { url, process } => {
                let address = url.trim_start_matches("http://");
                let is_there = process.is_alive() && TcpStream::connect(address).is_ok();
                (!is_there).then(|| "it is not there".to_owned())
            }
        }
    }

    /// Returns the memory of the process, as [`Server::memory`] does.
    pub(crate) fn memory(&self) -> Option<Memory> {
        match self {
            Self::Ours(server) => server.memory(),
            Self::Theirs { process, .. } => {
                let now = process.stat().ok()?.rss_bytes().get();
                let peak = process.status().ok()?.vmhwm? << 10;
                Some(Memory { now, peak })
            }
        }
    }

    /// Returns the processor time that the process has had, as [`Server::processor_time`] does.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        match self {
            Self::Ours(server) => server.processor_time(),
            Self::Theirs { process, .. } => {
                let stat = process.stat().ok()?;
                let per_second = procfs::ticks_per_second().max(1);
                Some(Duration::from_millis(
                    (stat.utime + stat.stime) * 1_000 / per_second,
                ))
            }
        }
    }

    /// Counts the peak of memory from here.
    pub(crate) fn forget_peak(&self) {
        match self {
            Self::Ours(server) => server.forget_peak(),
            Self::Theirs { process, .. } => {
                // Where it is not allowed the peak is that of the whole run: stricter.
                let _ = process.clear_refs(ClearRefs::PeakRSS);
            }
        }
    }
}
