//! A server that runs as a process.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command},
};

/// Waits until a process, of which the standard error is piped, says that it serves. Returns where, what it has said, and the rest
/// of its log, which must be read: else it blocks.
pub(crate) fn wait_until_it_serves(child: &mut Child) -> (String, String, BufReader<ChildStderr>) {
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(" serving ") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "the server ended: {said}");
    }
    let url = said.split("Dossier listens on ").nth(1).expect(&said);
    let url = url[..url.find(". Try:").expect(&said)].to_owned();
    (url, said, log)
}

/// Sends a signal, by its name.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let status = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(status.unwrap().success());
}
