//! Watchers of a server whose data is restored to an earlier revision, and goes on otherwise.

use std::path::Path;

use dossier::{
    backup::{Place, Until, restore},
    proto::v1::{self, ErrorReason, watch_response::Frame},
};
use tempfile::TempDir;
use tonic::Code;

use crate::{
    backups::{create, insert, start},
    changes::{after, checkpoint, from, hash, hex, next, next_commit, show, watch},
    event_stream::Events,
    harness::{Server, check_error},
    http::{check, get},
};

/// A commit as a client remembers it.
#[derive(Clone, Debug)]
struct Seen {
    revision: i64,
    hash: Vec<u8>,
}

impl Seen {
    fn of(commit: &v1::CommitFragment) -> Self {
        Self {
            revision: commit.revision,
            hash: hash(commit),
        }
    }

    fn request(&self) -> v1::WatchRequest {
        v1::WatchRequest {
            after_hash: self.hash.clone(),
            ..after(self.revision)
        }
    }

    /// Returns the id of its server-sent event.
    fn id(&self) -> String {
        format!("{}-{}", self.revision, hex(&self.hash))
    }
}

/// Returns what a watcher has seen of so many commits.
async fn see(server: &Server, count: usize) -> Vec<Seen> {
    let mut stream = watch(server, after(0)).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..count {
        seen.push(Seen::of(&next_commit(&mut stream).await.unwrap()));
    }
    // The checkpoint is of the last one.
    let Frame::Checkpoint(checkpoint) = next(&mut stream).await.unwrap() else {
        panic!("it has seen all");
    };
    let last = seen.last().unwrap();
    assert_eq!(
        (checkpoint.revision, &checkpoint.hash),
        (last.revision, &last.hash)
    );
    seen
}

/// Restores backups to a revision, and starts a server with that.
async fn restored(folder: &Path, backups: &Path, revision: u64) -> Server {
    let data = TempDir::new_in(folder).unwrap();
    let place = Place::open(backups.to_str().unwrap()).unwrap();
    restore(
        &place,
        &data.path().join("data"),
        Until::Revision(revision),
        &mut |_| true,
    )
    .unwrap();
    Server::start_in(data, |settings| settings.load_shipped_data = false).await
}

async fn check_other_history(server: &Server, seen: &Seen) {
    let refused = watch(server, seen.request()).await;
    let metadata = check_error(refused, Code::FailedPrecondition, ErrorReason::WatchOtherHistory);
    let told = ["revision", "position"].map(|key| metadata[key].as_str());
    assert_eq!(told, [seen.revision.to_string().as_str(), "WATCH_START_SNAPSHOT"]);
    assert!(!metadata.contains_key("after_revision"));
    let mut request = get("/changes?from=1");
    let id = seen.id().parse().unwrap();
    request.headers_mut().insert("last-event-id", id);
    for request in [request, get(&format!("/changes?after={}", seen.id()))] {
        let problem = check(server, request, 410, "WATCH_OTHER_HISTORY").await;
        assert_eq!(problem["revision"], seen.revision);
    }
}

#[tokio::test]
async fn a_watcher_of_what_was_before_a_restore_is_told_that_it_is_gone() {
    let folder = TempDir::new().unwrap();
    let backups = folder.path().join("backups");
    let server = start(&backups).await;
    for number in 1..=3 {
        insert(&server, number).await;
    }
    create(&server).await.unwrap();
    for number in 4..=5 {
        insert(&server, number).await;
    }
    let seen = see(&server, 5).await;
    for commit in &seen {
        watch(&server, commit.request()).await.unwrap();
    }
    let data = server.stop().await;
    let server = Server::start_in(data, |settings| settings.load_shipped_data = false).await;
    // A restart changes nothing.
    let mut stream = watch(&server, seen[4].request()).await.unwrap();
    assert_eq!(checkpoint(&mut stream).await, 5);
    drop(stream);
    server.stop().await;

    let server = restored(folder.path(), &backups, 2).await;
    // What it has is not there, and would come as another.
    for gone in &seen[2..] {
        check_other_history(&server, gone).await;
    }
    for number in 13..=16 {
        insert(&server, number).await;
    }
    for gone in &seen[2..] {
        check_other_history(&server, gone).await;
    }
    // Who only gives a number is not told.
    let mut stream = watch(&server, after(5)).await.unwrap();
    let commit = next_commit(&mut stream).await.unwrap();
    assert_eq!(
        (commit.revision, show(&commit.inserted)),
        (6, vec!["16 16 -".to_owned()])
    );
    let mut events = Events::open(&server, "/changes", Some("5")).await;
    assert!(events.next().await.unwrap()[0].contains("\"6\""));
    // What both have is the same.
    let mut stream = watch(&server, seen[1].request()).await.unwrap();
    let commit = next_commit(&mut stream).await.unwrap();
    assert_eq!(
        (commit.revision, show(&commit.inserted)),
        (3, vec!["13 13 -".to_owned()])
    );
    let mut events = Events::open(&server, "/changes", Some(&seen[1].id())).await;
    assert!(events.next().await.unwrap()[0].contains("\"3\""));
    // Who begins anew has what to go on with.
    let mut stream = watch(&server, from(v1::WatchStart::Snapshot)).await.unwrap();
    let Frame::Snapshot(part) = next(&mut stream).await.unwrap() else {
        panic!("it begins with the graph");
    };
    assert!(part.is_last);
    let begun = Seen {
        revision: part.revision,
        hash: part.hash,
    };
    assert_eq!(begun.revision, 6);
    insert(&server, 17).await;
    let mut stream = watch(&server, begun.request()).await.unwrap();
    assert_eq!(next_commit(&mut stream).await.unwrap().revision, 7);
}
