//! A watcher that lives through kills of its server: it goes on after the last commit that it has.

use std::collections::HashSet;

use dossier::proto::v1::{
    self, ChangeFilter, WatchRequest, change_service_client::ChangeServiceClient, term::Term,
    watch_request::Start, watch_response::Frame,
};
use tonic::{Status, transport::Channel};

use super::server::WRITTEN;

/// What a watcher was told.
#[derive(Default)]
pub(crate) struct Watcher {
    /// The last revision up to which nothing is missing, and the hash of its commit.
    seen: (i64, Vec<u8>),
    /// Subjects of updates.
    pub(crate) subjects: HashSet<String>,
}

impl Watcher {
    /// Watches until the server is gone, or a revision was come to.
    pub(crate) async fn follow(&mut self, channel: Channel, until: Option<i64>) {
        let ended = self.try_follow(channel, until).await;
        assert!(until.is_none() || ended.is_ok(), "{ended:?}");
    }

    async fn try_follow(&mut self, channel: Channel, until: Option<i64>) -> Result<(), Status> {
        let request = WatchRequest {
            start: Some(Start::AfterRevision(self.seen.0)),
            after_hash: self.seen.1.clone(),
            filter: Some(ChangeFilter {
                predicates: vec![WRITTEN.to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let refused = |status: Status| {
            // A server that is gone refuses nothing.
            let is_gone = matches!(status.code(), tonic::Code::Unavailable | tonic::Code::Unknown);
            assert!(is_gone || status.code() == tonic::Code::Cancelled, "{status:?}");
            status
        };
        let mut client = ChangeServiceClient::new(channel);
        let mut frames = client.watch(request).await.map_err(refused)?.into_inner();
        let mut header = None;
        while let Some(response) = frames.message().await.map_err(refused)? {
            match response.frame.unwrap() {
                Frame::Commit(fragment) => {
                    assert!(
                        fragment.revision > self.seen.0,
                        "{} came again",
                        fragment.revision
                    );
                    header = fragment.header.or(header);
                    // Both quads of an update are in one commit.
                    let subjects: Vec<_> = fragment.inserted.into_iter().map(subject).collect();
                    for pair in subjects.chunks(2) {
                        assert_eq!(pair[0], pair[1], "an update is not whole");
                        assert!(self.subjects.insert(pair[0].clone()), "{} came again", pair[0]);
                    }
                    if fragment.is_last {
                        let header: v1::Revision = header.take().unwrap();
                        self.seen = (header.revision, header.hash);
                    }
                }
                Frame::Checkpoint(checkpoint) => {
                    assert!(checkpoint.revision >= self.seen.0);
                    self.seen = (checkpoint.revision, checkpoint.hash);
                }
                Frame::Snapshot(_) => panic!("no snapshot was asked for"),
            }
            if until.is_some_and(|until| self.seen.0 >= until) {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn subject(quad: v1::Quad) -> String {
    match quad.subject.and_then(|term| term.term) {
        Some(Term::Iri(iri)) => iri,
        other => panic!("{other:?}"),
    }
}
