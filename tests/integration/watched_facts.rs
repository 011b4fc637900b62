//! Watches that tell facts, and those of a source or a type.

use std::{collections::HashMap, fmt::Write as _};

use dossier::proto::v1::{
    self, ErrorReason, FactChangeKind as Kind, FactScope, Stance, Standing, ValidTime, WatchOutput,
    watch_response::Frame,
};
use tonic::Streaming;

use crate::{
    changes::{after, checkpoint, client, from, next, next_commit, show, watch},
    harness::{Server, check_fields, header},
    sparql::insert,
    updates::{change, update},
    writes::{fact, request, retract, retraction, source, write},
};

fn facts_of(request: v1::WatchRequest) -> v1::WatchRequest {
    v1::WatchRequest {
        output: WatchOutput::Facts.into(),
        ..request
    }
}

fn key(fact: &v1::Fact) -> String {
    if fact.id.is_empty() {
        format!("{} {} {:?}", fact.subject, fact.predicate, fact.object)
    } else {
        fact.id.clone()
    }
}

/// Says what happened to each fact.
fn told(commit: &v1::CommitFragment) -> Vec<(Kind, String, bool)> {
    let mut told: Vec<_> = commit
        .facts
        .iter()
        .map(|change| {
            let fact = change.fact.as_ref().unwrap();
            let name = if fact.id.is_empty() {
                &fact.subject
            } else {
                &fact.id
            };
            let name = name.rsplit('/').next().unwrap();
            (change.kind(), name.to_owned(), fact.holds)
        })
        .collect();
    told.sort_by(|a, b| a.1.cmp(&b.1));
    told
}

fn is(expected: &[(Kind, &str, bool)]) -> Vec<(Kind, String, bool)> {
    let expected = expected.iter();
    expected
        .map(|&(kind, name, holds)| (kind, name.to_owned(), holds))
        .collect()
}

fn named(id: &str, subject: &str, object: &str) -> v1::Fact {
    v1::Fact {
        id: format!("s:{id}"),
        ..fact(subject, object)
    }
}

#[tokio::test]
async fn facts_are_told_as_they_were_at_each_revision() {
    let server = Server::start_empty().await;
    write(&server, request([named("1", "e:a", "e:b")])).await.unwrap();
    let revision = named("2", "e:a", "e:c");
    let revising = v1::Fact {
        revises: "s:1".into(),
        ..revision
    };
    write(&server, request([revising])).await.unwrap();
    retract(&server, retraction(&["s:2"])).await.unwrap();
    insert(&server, "e:a e:p e:c").await;
    let preferred = v1::Fact {
        standing: v1::Standing::Preferred.into(),
        ..named("4", "e:b", "e:y")
    };
    write(&server, request([named("3", "e:b", "e:x")])).await.unwrap();
    write(&server, request([preferred])).await.unwrap();
    write(&server, request([named("5", "e:a", "e:c")])).await.unwrap();
    update(
        &server,
        change("DELETE WHERE { GRAPH g:statements { s:4 ?p ?o } }"),
    )
    .await
    .unwrap();
    let mut expected = vec![
        is(&[(Kind::Written, "1", true)]),
        is(&[(Kind::Retracted, "1", false), (Kind::Written, "2", true)]),
        is(&[(Kind::Retracted, "2", false)]),
        // The statement was retracted, its triple is there all the same.
        is(&[(Kind::Written, "a", true)]),
        is(&[(Kind::Written, "3", true)]),
        // What is preferred takes the place of what is only accepted.
        is(&[(Kind::Changed, "3", false), (Kind::Written, "4", true)]),
        // A live statement says what the triple said.
        is(&[(Kind::Written, "5", true), (Kind::Removed, "a", true)]),
        is(&[(Kind::Changed, "3", true), (Kind::Removed, "4", true)]),
    ];
    let mut stream = watch(&server, facts_of(from(v1::WatchStart::Earliest)))
        .await
        .unwrap();
    let mut live = watch(&server, facts_of(from(v1::WatchStart::Now))).await.unwrap();
    assert_eq!(checkpoint(&mut live).await, 8);
    for (revision, expected) in (1..).zip(&expected) {
        let commit = next_commit(&mut stream).await.unwrap();
        assert_eq!((commit.revision, told(&commit)), (revision, expected.clone()));
        assert!(commit.inserted.is_empty() && commit.removed.is_empty());
        for change in &commit.facts {
            let fact = change.fact.as_ref().unwrap();
            assert_eq!(fact.sources.is_empty(), fact.id.is_empty());
            assert!(fact.sources.iter().all(|source| source.title == "A"));
        }
    }
    // Resumed in the middle, it is the same; and so it is for one that follows live.
    let mut resumed = watch(&server, facts_of(after(5))).await.unwrap();
    assert_eq!(told(&next_commit(&mut resumed).await.unwrap()), expected[5]);
    retract(&server, retraction(&["s:3"])).await.unwrap();
    expected.push(is(&[(Kind::Retracted, "3", false)]));
    assert_eq!(checkpoint(&mut stream).await, 8);
    for stream in [&mut stream, &mut live] {
        let commit = next_commit(stream).await.unwrap();
        assert_eq!((commit.revision, told(&commit)), (9, expected[8].clone()));
    }
}

/// A statement is hidden whose triple is there all the same, since it is plain too.
#[tokio::test]
async fn a_statement_that_is_hidden_beside_its_plain_triple_is_told() {
    let server = Server::start_empty().await;
    insert(&server, "e:a e:p e:x").await;
    write(&server, request([named("1", "e:a", "e:x")])).await.unwrap();
    let preferred = v1::Fact {
        standing: v1::Standing::Preferred.into(),
        ..named("2", "e:a", "e:y")
    };
    write(&server, request([preferred])).await.unwrap();
    let mut stream = watch(&server, facts_of(from(v1::WatchStart::Earliest)))
        .await
        .unwrap();
    for expected in [
        is(&[(Kind::Written, "a", true)]),
        is(&[(Kind::Written, "1", true), (Kind::Removed, "a", true)]),
        is(&[
            (Kind::Changed, "1", false),
            (Kind::Written, "2", true),
            (Kind::Written, "a", true),
        ]),
    ] {
        assert_eq!(told(&next_commit(&mut stream).await.unwrap()), expected);
    }
}

/// The facts that a watch has told of.
#[derive(Default)]
struct Known {
    facts: HashMap<String, v1::Fact>,
    revision: i64,
}

impl Known {
    fn apply(&mut self, commit: v1::CommitFragment) {
        assert!(commit.revision > self.revision);
        self.revision = commit.revision;
        for change in commit.facts {
            let kind = change.kind();
            let fact = change.fact.unwrap();
            let key = key(&fact);
            let old = match kind {
                Kind::Removed => self.facts.remove(&key),
                _ => self.facts.insert(key, fact),
            };
            assert_eq!(old.is_none(), kind == Kind::Written);
        }
    }

    async fn follow(&mut self, stream: &mut Streaming<v1::WatchResponse>, commits: usize, until: i64) {
        for _ in 0..commits {
            if self.revision >= until {
                return;
            }
            // A commit that changed no fact is not told, but that nothing is missing is.
            match next(stream).await.unwrap() {
                Frame::Commit(commit) => {
                    assert!(commit.is_last);
                    self.apply(commit);
                }
                Frame::Checkpoint(checkpoint) => self.revision = checkpoint.revision,
                other @ Frame::Snapshot(_) => panic!("{other:?}"),
            }
        }
    }

    /// Compares with what a list tells.
    async fn check(&self, server: &Server) {
        let mut listed = HashMap::new();
        let mut request = v1::ListFactsRequest {
            scope: FactScope::Holding.into(),
            ..Default::default()
        };
        loop {
            let page = server.list(request.clone()).await.unwrap();
            for fact in page.facts {
                listed.insert(key(&fact), fact);
            }
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let mut held = self.facts.clone();
        held.retain(|_, fact| fact.holds);
        assert_eq!(held.len(), listed.len());
        for (key, fact) in listed {
            assert_eq!(held.get(&key), Some(&fact), "{key}");
        }
    }
}

/// Changes facts in many ways; `seed` says which.
async fn disturb(server: &Server, seed: u64) {
    let object = |number: u64| format!("e:o{}", number % 5);
    let id = format!("n{seed}");
    match seed % 7 {
        0 | 1 => {
            let time = ["", "2012/2014", "2019/.."][usize::try_from(seed / 7 % 3).unwrap()];
            let standing = match seed % 4 {
                0 => Standing::Preferred,
                _ => Standing::Accepted,
            };
            let fact = v1::Fact {
                standing: standing.into(),
                valid_time: (!time.is_empty()).then(|| ValidTime {
                    edtf: time.into(),
                    ..ValidTime::default()
                }),
                ..named(&id, &format!("e:a{}", seed % 3), &object(seed))
            };
            write(server, request([fact])).await.unwrap();
        }
        2 => {
            let fact = v1::Fact {
                stance: Stance::Reported.into(),
                ..named(&id, "e:a0", &object(seed))
            };
            write(server, request([fact])).await.unwrap();
        }
        3 => {
            let older = seed - 2;
            let fact = v1::Fact {
                revises: format!("s:n{older}"),
                ..named(&id, &format!("e:a{}", older % 3), &object(seed / 7))
            };
            // It may have been retracted, or be of another subject.
            let _ = write(server, request([fact])).await;
        }
        4 => {
            let _ = retract(server, retraction(&[&format!("s:n{}", seed.saturating_sub(4))])).await;
        }
        5 => {
            let text = format!("e:a{} e:p {} . e:a{} a e:T", seed % 3, object(seed), seed % 3);
            insert(server, &text).await;
        }
        _ => {
            let text = format!("DELETE DATA {{ e:a{} e:p {} }}", seed % 3, object(seed - 1));
            // What a statement says is not deleted.
            let _ = crate::sparql::client(server).update(change(&text)).await;
        }
    }
}

#[tokio::test]
async fn what_was_told_adds_up_to_what_is_listed_across_reconnects_and_restarts() {
    let mut server = Server::start_empty().await;
    let mut known = Known::default();
    let mut begun_later: Option<Known> = None;
    for round in 0..4 {
        let mut live = watch(&server, facts_of(after(server.info().await.revision)))
            .await
            .unwrap();
        let begun_at = server.info().await.revision;
        for seed in 0..42 {
            disturb(&server, round * 42 + seed).await;
        }
        let newest = server.info().await.revision;
        let mut followed = Known {
            revision: begun_at,
            ..Known::default()
        };
        followed.facts.clone_from(&known.facts);
        // Breaks off again and again, and leaves some for after the restart.
        while known.revision < newest - 10 {
            let mut stream = watch(&server, facts_of(after(known.revision))).await.unwrap();
            known.follow(&mut stream, 9, newest).await;
        }
        if known.revision < newest && round == 0 {
            let mut begun = Known::default();
            let mut stream = watch(&server, facts_of(from(v1::WatchStart::Snapshot)))
                .await
                .unwrap();
            loop {
                let Frame::Snapshot(part) = next(&mut stream).await.unwrap() else {
                    panic!("a snapshot comes first");
                };
                begun
                    .facts
                    .extend(part.facts.into_iter().map(|fact| (key(&fact), fact)));
                begun.revision = part.revision;
                if part.is_last {
                    break;
                }
            }
            begun.check(&server).await;
            begun_later = Some(begun);
        }
        if begun_at == 0 {
            followed.follow(&mut live, usize::MAX, newest).await;
            followed.check(&server).await;
        }
        let folder = server.stop().await;
        // The day turns, and with it whose term it is.
        let day = ["2013-06-01", "2020-06-01"][usize::try_from(round % 2).unwrap()];
        server = Server::start_in(folder, |settings| {
            settings.load_shipped_data = false;
            settings.reference_date = day.parse().unwrap();
        })
        .await;
    }
    let newest = server.info().await.revision;
    for mut known in [known, begun_later.unwrap()] {
        let mut stream = watch(&server, facts_of(after(known.revision))).await.unwrap();
        known.follow(&mut stream, usize::MAX, newest).await;
        known.check(&server).await;
        assert!(known.facts.values().any(|fact| !fact.holds));
    }
}

#[tokio::test]
async fn quads_and_facts_are_those_of_a_source_or_a_type() {
    let server = Server::start_empty().await;
    let of = |sources: &[&str], types: &[&str], output: WatchOutput| v1::WatchRequest {
        filter: Some(v1::ChangeFilter {
            sources: sources.iter().map(|&name| name.to_owned()).collect(),
            types: types.iter().map(|&name| name.to_owned()).collect(),
            ..Default::default()
        }),
        output: output.into(),
        ..from(v1::WatchStart::Earliest)
    };
    let from_b = v1::Fact {
        sources: vec![v1::Source {
            iri: "src:b".into(),
            ..source()
        }],
        ..named("2", "e:b", "e:x")
    };
    write(&server, request([named("1", "e:a", "e:x"), from_b]))
        .await
        .unwrap();
    insert(&server, "e:a a e:T").await;
    retract(&server, retraction(&["s:1", "s:2"])).await.unwrap();
    update(&server, change("DELETE DATA { e:a a e:T }"))
        .await
        .unwrap();
    insert(&server, "e:a e:q 1").await;
    let mut stream = watch(&server, of(&["src:b"], &[], WatchOutput::Unspecified))
        .await
        .unwrap();
    for revision in [1, 3] {
        let commit = next_commit(&mut stream).await.unwrap();
        assert_eq!(commit.revision, revision);
        let quads = show(&commit.inserted);
        assert!(
            !quads.is_empty() && quads.iter().all(|quad| quad.starts_with("2 ")),
            "{quads:?}"
        );
    }
    assert_eq!(checkpoint(&mut stream).await, 5);
    let mut stream = watch(&server, of(&["src:b", "src:c"], &[], WatchOutput::Facts))
        .await
        .unwrap();
    for (revision, kind) in [(1, Kind::Written), (3, Kind::Retracted)] {
        let commit = next_commit(&mut stream).await.unwrap();
        assert_eq!(commit.revision, revision);
        assert_eq!(told(&commit), is(&[(kind, "2", kind == Kind::Written)]));
    }
    assert_eq!(checkpoint(&mut stream).await, 5);
    // Of a type is what has it at that revision or had it before.
    let mut stream = watch(&server, of(&[], &["e:T"], WatchOutput::Facts))
        .await
        .unwrap();
    for (revision, expected) in [
        (2, is(&[(Kind::Written, "a", true)])),
        (3, is(&[(Kind::Retracted, "1", false)])),
        (4, is(&[(Kind::Removed, "a", true)])),
    ] {
        let commit = next_commit(&mut stream).await.unwrap();
        assert_eq!((commit.revision, told(&commit)), (revision, expected));
    }
    assert_eq!(checkpoint(&mut stream).await, 5);
    let mut stream = watch(&server, of(&[], &["e:T"], WatchOutput::Unspecified))
        .await
        .unwrap();
    for (revision, removed, inserted) in [(2, 0, 1), (3, 2, 0), (4, 1, 0)] {
        let commit = next_commit(&mut stream).await.unwrap();
        let counts = (commit.removed.len(), commit.inserted.len());
        // What was derived is in the default graph and in `g:derived`.
        assert_eq!((commit.revision, counts), (revision, (removed, inserted)));
    }
    assert_eq!(checkpoint(&mut stream).await, 5);
    let both = v1::WatchRequest {
        filter: Some(v1::ChangeFilter {
            graphs: vec!["e:g".into()],
            default_graph: true,
            ..Default::default()
        }),
        ..facts_of(after(0))
    };
    check_fields(
        client(&server).watch(both).await,
        ErrorReason::InvalidField,
        &["filter.graphs", "filter.default_graph"],
    );
}

#[tokio::test]
async fn large_commits_and_long_absences_are_told_whole() {
    let server = Server::start_empty().await;
    // More text than is shared among watchers.
    let mut lines = String::new();
    for number in 0..9_000 {
        let subject = format!("<https://w3id.org/dossier/e/large-{number}>");
        let class = number % 2;
        writeln!(
            lines,
            "{subject} <https://w3id.org/dossier/e/p> \"{number}\" ; a <http://a/T{class}> ."
        )
        .unwrap();
    }
    server.import(header("ttl"), lines.as_bytes()).await.unwrap();
    for number in 0..1_100 {
        insert(&server, &format!("e:a e:p {number}")).await;
    }
    let mut stream = watch(&server, facts_of(after(0))).await.unwrap();
    let commit = next_commit(&mut stream).await.unwrap();
    assert_eq!((commit.revision, commit.facts.len()), (1, 18_000));
    for revision in 2..=1_101 {
        let commit = next_commit(&mut stream).await.unwrap();
        assert_eq!(
            (commit.revision, told(&commit)),
            (revision, is(&[(Kind::Written, "a", true)]))
        );
    }
    assert_eq!(checkpoint(&mut stream).await, 1_101);
    insert(&server, "e:b e:p 1").await;
    let commit = next_commit(&mut stream).await.unwrap();
    assert_eq!(told(&commit), is(&[(Kind::Written, "b", true)]));
    let half = v1::WatchRequest {
        filter: Some(v1::ChangeFilter {
            types: vec!["http://a/T1".into()],
            ..Default::default()
        }),
        ..from(v1::WatchStart::Earliest)
    };
    let mut stream = watch(&server, half).await.unwrap();
    let commit = next_commit(&mut stream).await.unwrap();
    assert_eq!((commit.revision, commit.inserted.len()), (1, 9_000));
    assert_eq!(checkpoint(&mut stream).await, 1_102);
}
