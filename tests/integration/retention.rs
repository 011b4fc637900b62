//! A log that was compacted: what it no longer has is told, and never passed over.

use dossier::{
    knowledge::{Settings, compact},
    proto::v1::{self, ErrorReason, WatchStart},
};
use tonic::Code;

use crate::{
    changes::{after, checkpoint, client, diff, from, next_commit, watch},
    harness::{Server, check_error},
    http::{check, get},
    sparql::insert,
    updates::{change, update},
};

/// Starts a server whose log begins with the graph of revision 3; the newest is 5.
async fn compacted() -> Server {
    let server = Server::start_empty().await;
    for number in 1..=5 {
        insert(&server, &format!("e:a e:p {number}")).await;
    }
    let folder = server.stop().await;
    let settings = Settings {
        disk_free_bytes_min: 0,
        ..Settings::new(folder.path().join("data"))
    };
    let compacted = tokio::task::spawn_blocking(move || compact(&settings, 2));
    assert_eq!(compacted.await.unwrap().unwrap().unwrap().earliest, 3);
    Server::start_in(folder, |settings| settings.load_shipped_data = false).await
}

#[tokio::test]
async fn what_was_compacted_is_out_of_range_and_what_is_kept_goes_on() {
    let server = compacted().await;
    let info = server.info().await;
    assert_eq!(
        (info.earliest_revision, info.revision, info.quad_count),
        (3, 5, 5)
    );
    let check_compacted = |metadata: std::collections::HashMap<String, String>, revision: &str| {
        assert_eq!(metadata["earliest_revision"], "3");
        assert_eq!(metadata["revision"], revision);
    };
    let (code, reason) = (Code::OutOfRange, ErrorReason::RevisionCompacted);
    for (revision, told) in [(0, "0"), (2, "2")] {
        check_compacted(
            check_error(watch(&server, after(revision)).await, code, reason),
            told,
        );
        check_compacted(check_error(diff(&server, revision, 5).await, code, reason), told);
        check_compacted(check_error(diff(&server, 5, revision).await, code, reason), told);
    }
    check_compacted(check_error(diff(&server, 2, 2).await, code, reason), "2");
    assert_eq!(
        diff(&server, 3, 5).await.unwrap()[1],
        ["a 4 -".to_owned(), "a 5 -".to_owned()]
    );
    for start in [after(3), from(WatchStart::Earliest)] {
        let mut stream = watch(&server, start).await.unwrap();
        for revision in [4, 5] {
            assert_eq!(next_commit(&mut stream).await.unwrap().revision, revision);
        }
        assert_eq!(checkpoint(&mut stream).await, 5);
    }
    let get_revision = async |revision| {
        client(&server)
            .get_revision(v1::GetRevisionRequest { revision })
            .await
    };
    check_compacted(check_error(get_revision(2).await, code, reason), "2");
    assert!(get_revision(3).await.is_ok());
    let answer = update(&server, change("INSERT DATA { e:a e:p 6 }")).await;
    assert_eq!(answer.unwrap().revision, 6);
}

#[tokio::test]
async fn lists_tell_where_the_log_begins() {
    let server = compacted().await;
    let list = async |request: v1::ListRevisionsRequest| {
        client(&server)
            .list_revisions(request)
            .await
            .map(tonic::Response::into_inner)
    };
    for (oldest_first, expected) in [(true, [3, 4, 5]), (false, [5, 4, 3])] {
        let page = list(v1::ListRevisionsRequest {
            oldest_first,
            ..Default::default()
        })
        .await
        .unwrap();
        let found: Vec<_> = page.revisions.iter().map(|header| header.revision).collect();
        assert_eq!((found.as_slice(), page.earliest_revision), (&expected[..], 3));
    }
    // Of any time.
    let page = list(v1::ListRevisionsRequest {
        from_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        page_size: 1,
        oldest_first: true,
        ..Default::default()
    });
    assert_eq!(page.await.unwrap().revisions[0].revision, 3);
}

#[tokio::test]
async fn the_event_stream_is_gone_before_the_earliest() {
    let server = compacted().await;
    for path in ["/changes?from=0", "/changes?from=1", "/changes?from=3"] {
        let problem = check(&server, get(path), 410, "REVISION_COMPACTED").await;
        assert_eq!(problem["earliest_revision"], 3);
    }
    let mut request = get("/changes?from=4");
    request
        .headers_mut()
        .insert("last-event-id", "2".parse().unwrap());
    check(&server, request, 410, "REVISION_COMPACTED").await;
}

#[tokio::test]
async fn a_running_server_compacts_its_log() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.log_retention_bytes = Some(1);
        settings.log_retention_commit_count_min = 4;
    })
    .await;
    // It has the newest at hand, whatever becomes of the log.
    let mut stream = watch(&server, after(0)).await.unwrap();
    let mut revision = 0;
    while server.info().await.earliest_revision == 0 {
        revision += 1;
        insert(&server, &format!("e:a e:p {revision}")).await;
        assert_eq!(next_commit(&mut stream).await.unwrap().revision, revision);
    }
    let limits = server.info().await.limits.unwrap();
    assert_eq!(
        (
            limits.log_retention_age_ms,
            limits.log_retention_bytes,
            limits.log_retention_revision_count_min
        ),
        (0, 1, 4)
    );
    let (code, reason) = (Code::OutOfRange, ErrorReason::RevisionCompacted);
    check_error(watch(&server, after(0)).await, code, reason);
    let info = server.info().await;
    assert!(info.earliest_revision + 4 <= info.revision);
    assert_eq!(info.quad_count, revision);
}
