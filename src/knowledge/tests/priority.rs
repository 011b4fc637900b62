//! What comes first where processors are short.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::*;

#[cfg(target_os = "linux")]
#[test]
fn the_work_that_nobody_waits_for_gives_way() {
    let dir = tempfile::tempdir().unwrap();
    let _knowledge = open(&dir);
    // Those of tests beside this one too. A thread that ends meanwhile has no more files.
    let niceness = || -> Vec<i32> {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let stats = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("stat")).ok());
        // proc_pid_stat(5): after the name in parentheses from the third field on; the niceness is the 19th.
        let of_background = stats.filter(|stat| stat.contains("(dossier-backgro)"));
        of_background
            .map(|stat| {
                stat.rsplit(") ")
                    .next()
                    .unwrap()
                    .split(' ')
                    .nth(16)
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect()
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = niceness();
        assert!(!found.is_empty());
        if found.iter().all(|niceness| *niceness >= 5) {
            break;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        thread::yield_now();
    }
}
