//! What callers are told of commits, by each call that tells of them.

use std::collections::BTreeMap;

use dossier::proto::v1::{watch_request, watch_response};

use super::*;

/// What a commit changed, in no particular order.
#[derive(Debug, Default, PartialEq)]
struct Changes(Vec<String>);

impl Changes {
    fn add(&mut self, graphs: [Vec<v1::Term>; 2], quads: [Vec<v1::Quad>; 2]) {
        for (sign, graphs) in ["dropped", "created"].into_iter().zip(graphs) {
            self.0
                .extend(graphs.iter().map(|graph| format!("{sign} {graph:?}")));
        }
        for (sign, quads) in ["removed", "inserted"].into_iter().zip(quads) {
            self.0.extend(quads.iter().map(|quad| format!("{sign} {quad:?}")));
        }
        self.0.sort();
    }
}

impl Guarded {
    fn changes(&self, name: &str) -> ChangeServiceClient<InterceptedService<Channel, Bearer>> {
        ChangeServiceClient::new(self.client(name))
    }

    /// Returns what a watch from the beginning tells.
    async fn watched(&self, name: &str, output: v1::WatchOutput) -> BTreeMap<i64, (v1::Revision, Changes)> {
        let request = v1::WatchRequest {
            start: Some(watch_request::Start::AfterRevision(0)),
            output: output.into(),
            ..Default::default()
        };
        let mut frames = self.changes(name).watch(request).await.unwrap().into_inner();
        let mut told = BTreeMap::new();
        loop {
            match frames.message().await.unwrap().unwrap().frame.unwrap() {
                watch_response::Frame::Checkpoint(_) => return told,
                watch_response::Frame::Commit(commit) => {
                    assert!(commit.is_last);
                    let mut changes = Changes::default();
                    changes.add(
                        [commit.dropped_graphs, commit.created_graphs],
                        [commit.removed, commit.inserted],
                    );
                    told.insert(commit.revision, (commit.header.unwrap(), changes));
                }
                other @ watch_response::Frame::Snapshot(_) => panic!("{other:?}"),
            }
        }
    }

    /// Returns what the pages of a list tell, the oldest first.
    async fn listed(&self, name: &str, oldest_first: bool) -> Vec<v1::Revision> {
        let mut request = v1::ListRevisionsRequest {
            oldest_first,
            page_size: 2,
            ..Default::default()
        };
        let mut all = Vec::new();
        loop {
            let page = self.changes(name).list_revisions(request.clone()).await.unwrap();
            let page = page.into_inner();
            all.extend(page.revisions);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        if !oldest_first {
            all.reverse();
        }
        all
    }

    async fn difference(&self, name: &str, from_revision: i64, to_revision: i64) -> Changes {
        let request = v1::DiffRevisionsRequest {
            from_revision,
            to_revision,
        };
        let parts = self.changes(name).diff_revisions(request).await.unwrap();
        let part = parts.into_inner().message().await.unwrap().unwrap();
        assert!(part.is_last);
        let mut changes = Changes::default();
        changes.add(
            [part.dropped_graphs, part.created_graphs],
            [part.removed, part.inserted],
        );
        changes
    }

    /// Checks that each call tells the same commits, and the same of them; returns their revisions.
    async fn check_commits(&self, name: &str, newest: i64) -> Vec<i64> {
        let watched = self.watched(name, v1::WatchOutput::Unspecified).await;
        let headers: Vec<_> = watched.values().map(|(header, _)| header.clone()).collect();
        for oldest_first in [true, false] {
            assert_eq!(self.listed(name, oldest_first).await, headers, "{name}");
        }
        let nothing = (&v1::Revision::default(), &Changes::default());
        for revision in 1..=newest + 1 {
            let request = v1::GetRevisionRequest { revision };
            let got = self.changes(name).get_revision(request).await;
            let told = watched.get(&revision);
            match told {
                Some((header, _)) => assert_eq!(got.unwrap().into_inner().revision.as_ref(), Some(header)),
                // As one that there never was.
                None => check(
                    got,
                    Code::NotFound,
                    ErrorReason::RevisionNotFound,
                    &[("revision", &newest.to_string())],
                ),
            }
            if revision <= newest {
                let (_, changes) = told.map_or(nothing, |(header, changes)| (header, changes));
                assert_eq!(self.difference(name, revision - 1, revision).await, *changes);
            }
        }
        watched.into_keys().collect()
    }
}

#[tokio::test]
async fn every_call_tells_the_same_commits_and_the_same_of_them() {
    let server = Guarded::start().await;
    let graph = |name: &str, quad: &str| format!("GRAPH <http://ex/{name}> {{ {quad} }}");
    let triple = |number: u8| format!("<http://ex/a> <http://ex/p> {number}");
    let updates = [
        format!("INSERT DATA {{ {} }}", graph("other", &triple(2))),
        format!(
            "INSERT DATA {{ {} }}",
            graph("mine", "<http://ex/gone> <http://ex/p> 1")
        ),
        format!("INSERT DATA {{ {} }}", triple(4)),
        "CREATE GRAPH <http://ex/empty>".to_owned(),
        format!("DELETE DATA {{ {} }}", graph("other", &triple(2))),
        format!(
            "INSERT DATA {{ {} {} }}",
            graph("mine", &triple(7)),
            graph("other", &triple(7))
        ),
        "DROP GRAPH <http://ex/empty>".to_owned(),
        "DROP GRAPH <http://ex/mine>".to_owned(),
    ];
    for (number, update) in updates.into_iter().enumerate() {
        let request = v1::UpdateRequest {
            update,
            request_id: format!("request-{number}"),
            message: "why".to_owned(),
            ..Default::default()
        };
        server.sparql("admin").update(request).await.unwrap();
    }
    for (name, expected) in [
        ("mine", &[1, 3, 7, 9][..]),
        ("subject", &[1, 3, 7, 9]),
        ("facts", &[1, 4]),
        ("read", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("admin", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ] {
        assert_eq!(server.check_commits(name, 9).await, expected, "{name}");
        let has_all = expected.len() == 9;
        for (header, _) in server.watched(name, v1::WatchOutput::Unspecified).await.values() {
            let counts = [
                header.quads_inserted,
                header.quads_removed,
                header.graphs_created,
                header.graphs_dropped,
            ];
            // Whoever sees a commit in part is told who, when and why, and nothing of the rest.
            assert_eq!(has_all, counts != [0; 4], "{name}: {header:?}");
            assert!(has_all || header.request_id.is_empty(), "{name}: {header:?}");
            assert_eq!(header.author, "admin");
        }
    }
    // Facts are in the default graph alone.
    for (name, expected) in [("mine", &[][..]), ("facts", &[1, 4]), ("read", &[1, 4])] {
        let told = server.watched(name, v1::WatchOutput::Facts).await;
        assert_eq!(told.into_keys().collect::<Vec<_>>(), expected, "{name}");
    }
    // Of what is erased no call tells any more, nor that there was something.
    let mut admin = AdminServiceClient::new(server.client("admin"));
    let request = v1::EraseEntityRequest {
        entity: "http://ex/gone".to_owned(),
        ..Default::default()
    };
    let newest = admin.erase_entity(request).await.unwrap().into_inner().revision;
    for name in ["mine", "subject"] {
        assert_eq!(server.check_commits(name, newest).await, [1, 7, 9], "{name}");
    }
    let told = server.check_commits("facts", newest).await;
    assert_eq!(told, [1, 4]);
    let told = server.watched("read", v1::WatchOutput::Unspecified).await;
    let redacted = told.values().filter(|(header, _)| header.is_redacted);
    let redacted: Vec<_> = redacted.map(|(header, _)| header.revision).collect();
    assert!(redacted.contains(&3), "{redacted:?}");
    server.check_commits("read", newest).await;
}
