//! The `dossier` command: the server and its clients.

use std::process::ExitCode;

fn main() -> ExitCode {
    dossier::cli::run()
}
