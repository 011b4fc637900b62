//! `ChangeService`.

use std::{collections::HashSet, time::Duration};

use dossier::proto::v1::{
    self, ErrorReason, change_service_client::ChangeServiceClient, watch_request::Start,
    watch_response::Frame,
};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming, transport::Channel};

use crate::{
    harness::{Server, check_error, check_fields, connect},
    sparql::insert,
    updates::{change, update},
};

/// No watch of a test is silent for so long, unless it is broken.
const NEXT_MAX: Duration = Duration::from_mins(1);

pub(crate) fn client(server: &Server) -> ChangeServiceClient<Channel> {
    ChangeServiceClient::new(server.channel.clone())
}

pub(crate) fn after(revision: i64) -> v1::WatchRequest {
    v1::WatchRequest {
        start: Some(Start::AfterRevision(revision)),
        ..Default::default()
    }
}

pub(crate) fn from(position: v1::WatchStart) -> v1::WatchRequest {
    v1::WatchRequest {
        start: Some(Start::Position(position.into())),
        ..Default::default()
    }
}

pub(crate) async fn watch(
    server: &Server,
    request: v1::WatchRequest,
) -> Result<Streaming<v1::WatchResponse>, Status> {
    Ok(client(server).watch(request).await?.into_inner())
}

/// Returns what a watch tells next; fails where nothing comes.
pub(crate) async fn next(stream: &mut Streaming<v1::WatchResponse>) -> Result<Frame, Status> {
    let message = timeout(NEXT_MAX, stream.message()).await;
    let response = message.expect("a watch that tells nothing")?;
    let response = response.expect("a watch ends with an error");
    Ok(response.frame.unwrap())
}

/// Returns the next commit, whole; checkpoints are left out.
pub(crate) async fn next_commit(
    stream: &mut Streaming<v1::WatchResponse>,
) -> Result<v1::CommitFragment, Status> {
    let mut commit = v1::CommitFragment::default();
    loop {
        let Frame::Commit(fragment) = next(stream).await? else {
            assert_eq!(commit.revision, 0, "a frame between the fragments of a commit");
            continue;
        };
        if commit.revision == 0 {
            assert!(fragment.header.is_some());
            commit.revision = fragment.revision;
            commit.header = fragment.header;
        } else {
            assert_eq!((fragment.revision, fragment.header), (commit.revision, None));
        }
        commit.dropped_graphs.extend(fragment.dropped_graphs);
        commit.created_graphs.extend(fragment.created_graphs);
        commit.removed.extend(fragment.removed);
        commit.inserted.extend(fragment.inserted);
        commit.facts.extend(fragment.facts);
        if fragment.is_last {
            return Ok(commit);
        }
    }
}

/// Returns what tells a commit from others of its revision.
pub(crate) fn hash(commit: &v1::CommitFragment) -> Vec<u8> {
    let hash = commit.header.as_ref().unwrap().hash.clone();
    assert_eq!(hash.len(), 8);
    hash
}

pub(crate) fn hex(hash: &[u8]) -> String {
    let hash = hash.try_into().map(u64::from_be_bytes).unwrap();
    format!("{hash:016x}")
}

pub(crate) async fn checkpoint(stream: &mut Streaming<v1::WatchResponse>) -> i64 {
    match next(stream).await.unwrap() {
        Frame::Checkpoint(checkpoint) => checkpoint.revision,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn show(quads: &[v1::Quad]) -> Vec<String> {
    fn term(term: Option<&v1::Term>) -> String {
        match term.and_then(|term| term.term.as_ref()) {
            None => "-".to_owned(),
            Some(v1::term::Term::Iri(iri)) => iri.rsplit('/').next().unwrap().to_owned(),
            Some(v1::term::Term::Literal(literal)) => literal.lexical_form.clone(),
            Some(other) => format!("{other:?}"),
        }
    }
    let mut shown: Vec<_> = quads
        .iter()
        .map(|quad| {
            let [s, o, g] = [&quad.subject, &quad.object, &quad.graph].map(|part| term(part.as_ref()));
            format!("{s} {o} {g}")
        })
        .collect();
    shown.sort();
    shown
}

#[tokio::test]
async fn commits_are_told_as_they_are_made() {
    let server = Server::start_empty().await;
    insert(&server, "e:a e:p 1").await;
    let mut stream = watch(&server, from(v1::WatchStart::Earliest)).await.unwrap();
    let first = next_commit(&mut stream).await.unwrap();
    assert_eq!(
        (first.revision, show(&first.inserted)),
        (1, vec!["a 1 -".to_owned()])
    );
    assert_eq!(checkpoint(&mut stream).await, 1);
    let request = v1::UpdateRequest {
        message: "why".into(),
        request_id: "r-1".into(),
        ..change("DELETE DATA { e:a e:p 1 }; INSERT DATA { GRAPH e:g { e:b e:p 2, 3 } }")
    };
    update(&server, request).await.unwrap();
    let second = next_commit(&mut stream).await.unwrap();
    assert_eq!(show(&second.removed), ["a 1 -"]);
    assert_eq!(show(&second.inserted), ["b 2 g", "b 3 g"]);
    assert_eq!(second.created_graphs.len(), 1);
    let header = second.header.unwrap();
    assert_eq!(
        (
            header.revision,
            header.message.as_str(),
            header.request_id.as_str()
        ),
        (2, "why", "r-1")
    );
    assert_eq!(
        (header.quads_inserted, header.quads_removed, header.graphs_created),
        (2, 1, 1)
    );
    update(&server, change("DROP GRAPH e:g")).await.unwrap();
    let third = next_commit(&mut stream).await.unwrap();
    assert_eq!((third.dropped_graphs.len(), third.removed.len()), (1, 2));
    let revision = client(&server)
        .get_revision(v1::GetRevisionRequest { revision: 2 })
        .await
        .unwrap();
    assert_eq!(revision.into_inner().revision, Some(header));
}

#[tokio::test]
async fn a_filter_leaves_out_and_checkpoints_say_so() {
    let server = Server::start_empty().await;
    let request = v1::WatchRequest {
        filter: Some(v1::ChangeFilter {
            subjects: vec!["e:a".into()],
            predicates: vec!["e:p".into(), "rdfs:label".into()],
            graphs: vec!["e:g".into()],
            default_graph: true,
            ..Default::default()
        }),
        checkpoint_interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        ..from(v1::WatchStart::Now)
    };
    let mut stream = watch(&server, request).await.unwrap();
    assert_eq!(checkpoint(&mut stream).await, 0);
    insert(&server, "e:b e:p 1").await;
    insert(&server, "e:a e:q 1").await;
    insert(&server, "GRAPH e:h { e:a e:p 1 }").await;
    // Idle, as far as the filter goes.
    while checkpoint(&mut stream).await < 3 {}
    insert(&server, "e:a e:p 1 . e:b e:p 2 . GRAPH e:g { e:a e:p 2 }").await;
    let commit = next_commit(&mut stream).await.unwrap();
    assert_eq!(
        (commit.revision, show(&commit.inserted)),
        (4, vec!["a 1 -".to_owned(), "a 2 g".to_owned()])
    );
    assert_eq!(commit.header.unwrap().quads_inserted, 3);
}

#[tokio::test]
async fn a_snapshot_and_its_tail_make_the_graph() {
    let server = Server::start().await;
    let mut quads = HashSet::new();
    let mut stream = watch(&server, from(v1::WatchStart::Snapshot)).await.unwrap();
    let mut part_count = 0;
    loop {
        let Frame::Snapshot(part) = next(&mut stream).await.unwrap() else {
            panic!("not a part of the snapshot");
        };
        assert_eq!(part.revision, 1);
        part_count += 1;
        for quad in part.quads {
            assert!(quads.insert(format!("{quad:?}")), "{quad:?} came twice");
        }
        if part.is_last {
            break;
        }
    }
    assert!(part_count > 10);
    update(
        &server,
        change("DELETE { ?s rdfs:label ?o } INSERT { GRAPH e:g { ?s rdfs:label ?o } } WHERE { ?s rdfs:label ?o }"),
    )
    .await
    .unwrap();
    let commit = next_commit(&mut stream).await.unwrap();
    assert!(commit.inserted.len() > 2_000);
    for quad in commit.removed {
        assert!(quads.remove(&format!("{quad:?}")));
    }
    for quad in commit.inserted {
        assert!(quads.insert(format!("{quad:?}")));
    }
    assert_eq!(
        quads.len(),
        usize::try_from(server.info().await.quad_count).unwrap()
    );
    // A second snapshot, of the same.
    let mut stream = watch(&server, from(v1::WatchStart::Snapshot)).await.unwrap();
    while let Frame::Snapshot(part) = next(&mut stream).await.unwrap() {
        for quad in part.quads {
            assert!(quads.remove(&format!("{quad:?}")));
        }
    }
    assert!(quads.is_empty());
}

#[tokio::test]
async fn bad_watches_are_refused() {
    let server = Server::start_empty().await;
    let request = v1::WatchRequest {
        start: Some(Start::AfterRevision(-1)),
        filter: Some(v1::ChangeFilter {
            subjects: vec!["e:a".into(), "<>".into()],
            predicates: vec!["nope:a".into()],
            graphs: vec![String::new()],
            default_graph: false,
            sources: vec!["nope:b".into()],
            types: vec!["e:A".into(), "a b".into()],
        }),
        checkpoint_interval: Some(prost_types::Duration::default()),
        output: 7,
        after_hash: vec![1; 7],
    };
    let fields = [
        "after_revision",
        "after_hash",
        "filter.subjects[1]",
        "filter.predicates[0]",
        "filter.graphs[0]",
        "filter.sources[0]",
        "filter.types[1]",
        "output",
        "checkpoint_interval",
    ];
    check_fields(watch(&server, request).await, ErrorReason::InvalidField, &fields);
    for position in [0, 9] {
        let request = v1::WatchRequest {
            start: Some(Start::Position(position)),
            ..Default::default()
        };
        check_fields(
            watch(&server, request).await,
            ErrorReason::InvalidField,
            &["position"],
        );
    }
    // Without a revision there is nothing that a hash could be of.
    for start in [None, Some(Start::Position(v1::WatchStart::Snapshot.into()))] {
        let request = v1::WatchRequest {
            start,
            after_hash: vec![1; 8],
            ..Default::default()
        };
        let refused = watch(&server, request).await;
        check_fields(refused, ErrorReason::InvalidField, &["after_hash"]);
    }
    let metadata = check_error(
        watch(&server, after(1)).await,
        Code::FailedPrecondition,
        ErrorReason::RevisionNotReached,
    );
    assert_eq!(metadata["revision"], "0");
}

#[tokio::test]
async fn a_shutdown_and_one_watch_too_many_say_what_to_do() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.watcher_count_max = 2;
    })
    .await;
    assert_eq!(server.info().await.limits.unwrap().watcher_count_max, 2);
    insert(&server, "e:a e:p 1").await;
    let mut first = watch(&server, after(0)).await.unwrap();
    let second = watch(&server, after(0)).await.unwrap();
    let refused = watch(&server, after(0)).await;
    let metadata = check_error(refused, Code::ResourceExhausted, ErrorReason::TooManyWatchers);
    assert_eq!(metadata["watcher_count_max"], "2");
    // A watch that is dropped gives its place back.
    drop(second);
    let mut third = loop {
        if let Ok(stream) = watch(&server, after(1)).await {
            break stream;
        }
    };
    let commit = next_commit(&mut first).await.unwrap();
    assert_eq!(commit.revision, 1);
    assert_eq!(checkpoint(&mut third).await, 1);
    server.shutdown.send(()).unwrap();
    for mut stream in [first, third] {
        let ended = next_commit(&mut stream).await;
        let metadata = check_error(ended, Code::Unavailable, ErrorReason::Unavailable);
        let hash = hex(&hash(&commit));
        assert_eq!(
            (metadata["after_revision"].as_str(), &metadata["after_hash"]),
            ("1", &hash)
        );
        assert!(stream.message().await.unwrap().is_none());
    }
    server.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_watch_ends_at_its_deadline() {
    let server = Server::start_empty().await;
    let mut request = tonic::Request::new(from(v1::WatchStart::Now));
    request.set_timeout(std::time::Duration::from_millis(50));
    let mut stream = client(&server).watch(request).await.unwrap().into_inner();
    assert_eq!(checkpoint(&mut stream).await, 0);
    let ended = next(&mut stream).await;
    check_error(ended, Code::DeadlineExceeded, ErrorReason::DeadlineExceeded);
}

#[tokio::test]
async fn a_stalled_watch_is_ended_and_writers_never_wait_for_it() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.watch_stall_max = std::time::Duration::from_millis(300);
        settings.watcher_count_max = 1;
        // It is to read its last word, however long the writes take.
        settings.connections.answer_stall_max = std::time::Duration::from_hours(1);
    })
    .await;
    // On a connection of its own: what it does not read is in no other call's way.
    let mut alone = ChangeServiceClient::new(connect(server.address).await);
    let mut stalled = alone.watch(after(0)).await.unwrap().into_inner();
    let text = "x".repeat(100_000);
    let commit_count = 300;
    for number in 1..=commit_count {
        let answer = update(
            &server,
            change(&format!("INSERT DATA {{ e:a e:p \"{number}{text}\" }}")),
        )
        .await;
        assert_eq!(answer.unwrap().revision, number);
    }
    // It is ended although it reads nothing: its place is free.
    let mut resumed = loop {
        match watch(&server, after(commit_count)).await {
            Ok(stream) => break stream,
            refused => check_error(refused, Code::ResourceExhausted, ErrorReason::TooManyWatchers),
        };
    };
    assert_eq!(checkpoint(&mut resumed).await, commit_count);
    drop(resumed);
    let mut revision = 0;
    let status = loop {
        match next_commit(&mut stalled).await {
            Ok(commit) => {
                revision += 1;
                assert_eq!(commit.revision, revision);
            }
            Err(status) => break status,
        }
    };
    assert!(revision < commit_count, "it was not ended");
    let metadata = check_error::<()>(Err(status), Code::ResourceExhausted, ErrorReason::ReaderTooSlow);
    assert_eq!(metadata["after_revision"], revision.to_string());
    let mut resumed = loop {
        if let Ok(stream) = watch(&server, after(revision)).await {
            break stream;
        }
    };
    for expected in revision + 1..=commit_count {
        assert_eq!(next_commit(&mut resumed).await.unwrap().revision, expected);
    }
}

#[tokio::test]
async fn every_commit_comes_once_across_reconnects_and_restarts() {
    let mut server = Server::start_empty().await;
    let (mut seen, mut seen_hash) = (0, Vec::new());
    let mut subjects = HashSet::new();
    for round in 0..4 {
        let writers = (0..3).map(|writer| {
            let channel = server.channel.clone();
            tokio::spawn(async move {
                let mut sparql = v1::sparql_service_client::SparqlServiceClient::new(channel);
                for number in 0..40 {
                    let text = format!("INSERT DATA {{ e:r{round}w{writer}n{number} e:p 1 }}");
                    sparql.update(change(&text)).await.unwrap();
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let target = 120 * (round + 1);
        // Breaks off after some commits, again and again; the last round's end is read after the restart.
        let mut left = 7;
        while seen < target - 20 {
            let request = v1::WatchRequest {
                after_hash: seen_hash.clone(),
                ..after(seen)
            };
            let mut stream = watch(&server, request).await.unwrap();
            for _ in 0..left {
                if seen == target {
                    break;
                }
                let commit = next_commit(&mut stream).await.unwrap();
                assert_eq!(commit.revision, seen + 1);
                seen += 1;
                seen_hash = hash(&commit);
                for quad in show(&commit.inserted) {
                    assert!(subjects.insert(quad));
                }
            }
            left = left * 2 % 31 + 1;
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let folder = server.stop().await;
        server = Server::start_in(folder, |settings| settings.load_shipped_data = false).await;
    }
    let mut stream = watch(&server, after(seen)).await.unwrap();
    while seen < 480 {
        let commit = next_commit(&mut stream).await.unwrap();
        assert_eq!(commit.revision, seen + 1);
        seen += 1;
        subjects.extend(show(&commit.inserted));
    }
    assert_eq!(checkpoint(&mut stream).await, 480);
    assert_eq!(subjects.len(), 480);
}

#[tokio::test]
async fn a_thousand_watchers_get_the_same() {
    let server = Server::start_empty().await;
    insert(&server, "e:a e:p 0").await;
    let mut watchers = Vec::new();
    for _ in 0..10 {
        // A connection takes 100 streams.
        let channel = connect(server.address).await;
        for _ in 0..100 {
            let mut client = ChangeServiceClient::new(channel.clone());
            let mut stream = client.watch(after(0)).await.unwrap().into_inner();
            watchers.push(tokio::spawn(async move {
                let mut got = Vec::new();
                while got.len() < 11 {
                    let commit = next_commit(&mut stream).await.unwrap();
                    got.push((commit.revision, show(&commit.inserted)));
                }
                got
            }));
        }
    }
    for number in 1..=10 {
        insert(&server, &format!("e:a e:p {number}")).await;
    }
    let expected: Vec<_> = (0..=10)
        .map(|number| (number + 1, vec![format!("a {number} -")]))
        .collect();
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn headers_are_listed_and_found() {
    let server = Server::start_empty().await;
    for number in 1..=5 {
        insert(&server, &format!("e:a e:p {number}")).await;
    }
    let list = async |request: v1::ListRevisionsRequest| client(&server).list_revisions(request).await;
    let mut request = v1::ListRevisionsRequest {
        page_size: 2,
        ..Default::default()
    };
    let mut times = Vec::new();
    for expected in [&[5, 4][..], &[3, 2], &[1]] {
        let page = list(request.clone()).await.unwrap().into_inner();
        let revisions: Vec<_> = page.revisions.iter().map(|header| header.revision).collect();
        assert_eq!((revisions.as_slice(), page.revision), (expected, 5));
        times.extend(page.revisions.iter().map(|header| header.commit_time.unwrap()));
        request.page_token = page.next_page_token;
    }
    assert_eq!(request.page_token, "");
    let check = async |from_time, until_time, expected: &[i64]| {
        let request = v1::ListRevisionsRequest {
            oldest_first: true,
            from_time,
            until_time,
            ..Default::default()
        };
        let page = list(request).await.unwrap().into_inner();
        let revisions: Vec<_> = page.revisions.iter().map(|header| header.revision).collect();
        assert_eq!(revisions, expected);
        assert_eq!(page.next_page_token, "");
    };
    // Newest first; each update waited for the one before, so no two have one time.
    check(None, None, &[1, 2, 3, 4, 5]).await;
    check(Some(times[3]), None, &[2, 3, 4, 5]).await;
    check(None, Some(times[3]), &[1]).await;
    check(Some(times[3]), Some(times[1]), &[2, 3]).await;
    check(Some(times[1]), Some(times[1]), &[]).await;
    // A token is of its listing.
    let first = v1::ListRevisionsRequest {
        page_size: 2,
        ..Default::default()
    };
    let token = list(first).await.unwrap().into_inner().next_page_token;
    let other = v1::ListRevisionsRequest {
        oldest_first: true,
        page_token: token,
        ..Default::default()
    };
    check_fields(list(other).await, ErrorReason::InvalidPageToken, &["page_token"]);
    let wrong = v1::ListRevisionsRequest {
        page_size: 1_001,
        from_time: Some(prost_types::Timestamp {
            seconds: 0,
            nanos: -1,
        }),
        ..Default::default()
    };
    check_fields(
        list(wrong).await,
        ErrorReason::InvalidField,
        &["page_size", "from_time"],
    );
    let get = async |revision| {
        client(&server)
            .get_revision(v1::GetRevisionRequest { revision })
            .await
    };
    let metadata = check_error(get(6).await, Code::NotFound, ErrorReason::RevisionNotFound);
    assert_eq!(metadata["revision"], "5");
    check_fields(get(0).await, ErrorReason::InvalidField, &["revision"]);
}

pub(crate) async fn diff(
    server: &Server,
    from_revision: i64,
    to_revision: i64,
) -> Result<[Vec<String>; 2], Status> {
    let request = v1::DiffRevisionsRequest {
        from_revision,
        to_revision,
    };
    let mut stream = client(server).diff_revisions(request).await?.into_inner();
    let (mut removed, mut inserted, mut is_whole) = (Vec::new(), Vec::new(), false);
    while let Some(part) = stream.message().await? {
        assert!(!is_whole, "something came after the last part");
        removed.extend(part.removed);
        inserted.extend(part.inserted);
        is_whole = part.is_last;
    }
    assert!(is_whole);
    Ok([show(&removed), show(&inserted)])
}

#[tokio::test]
async fn differences_are_effective_both_ways() {
    let server = Server::start_with(|settings| {
        settings.load_shipped_data = false;
        settings.diff_memory_bytes_max = 1 << 20;
    })
    .await;
    for text in [
        "INSERT DATA { e:a e:p 1, 2 }",
        "DELETE DATA { e:a e:p 1 }; INSERT DATA { e:a e:p 3 }",
        "INSERT DATA { e:a e:p 1 }; DELETE DATA { e:a e:p 2 }",
    ] {
        update(&server, change(text)).await.unwrap();
    }
    let check = async |from, to, removed: &[&str], inserted: &[&str]| {
        assert_eq!(diff(&server, from, to).await.unwrap(), [removed, inserted]);
    };
    check(0, 3, &[], &["a 1 -", "a 3 -"]).await;
    check(1, 3, &["a 2 -"], &["a 3 -"]).await;
    check(3, 1, &["a 3 -"], &["a 2 -"]).await;
    check(2, 2, &[], &[]).await;
    check_error(
        diff(&server, 0, 4).await,
        Code::NotFound,
        ErrorReason::RevisionNotFound,
    );
    check_fields(
        diff(&server, -1, 0).await,
        ErrorReason::InvalidField,
        &["from_revision"],
    );
    let many: Vec<_> = (0..3_000).map(|number| number.to_string()).collect();
    let many = format!("e:b e:p {}", many.join(", "));
    insert(&server, &many).await;
    let metadata = check_error(
        diff(&server, 3, 4).await,
        Code::ResourceExhausted,
        ErrorReason::DiffTooLarge,
    );
    assert_eq!(metadata["diff_bytes_max"], (1 << 20).to_string());
}
