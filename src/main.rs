//! The `dossier` command: the server and its clients.

use std::process::ExitCode;

/// Gives memory back to the system soon after a heavy query has ended.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dossier::cli::run()
}
