//! Events as text.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use oxigraph::model::{Literal, vocab::xsd};

use crate::{
    auth::Lapse,
    feed::{Change, End, EndReason, Event, FeedError, Header},
    http::problem::{Problem, of_feed, reader_too_slow, unavailable},
    knowledge::Mark,
};

/// Returns an event of the feed. No row has a line break: N-Quads escapes them.
pub(super) fn of(event: Event) -> Bytes {
    let id = event.completes().map(|mark| format!("id: {mark}\n"));
    let mut text = String::new();
    match event {
        Event::Checkpoint(mark) => {
            text.push_str("event: checkpoint\n");
            data(&mut text, &mark.revision.to_string());
        }
        Event::Commit(fragment) => {
            if let Some(header) = &fragment.header {
                head(&mut text, header);
                data(&mut text, "TX .");
            }
            rows(&mut text, &fragment.changes);
            if fragment.is_last {
                data(&mut text, "TC .");
            }
        }
        // Nobody can ask for one.
        Event::Snapshot(fragment) => rows(&mut text, &fragment.changes),
    }
    text.push_str(&id.unwrap_or_default());
    text.push('\n');
    text.into()
}

/// Returns the last event, which says why it is the last, and where to go on. Browsers connect again by themselves.
pub(super) fn end(end: &End, lapsed: Option<Lapse>) -> Bytes {
    let problem: Problem = match (&end.reason, lapsed) {
        (EndReason::Gone, _) => return Bytes::new(),
        (EndReason::TooSlow, _) => reader_too_slow(),
        (EndReason::Stopped, Some(lapse)) => lapse.into(),
        (EndReason::Stopped, None) => unavailable("the server is shutting down"),
        (EndReason::LogClosed, _) => unavailable("the log is being opened again"),
        (EndReason::Erased, _) => of_feed(&FeedError::Erased),
        (EndReason::Failed(error), _) => of_feed(error),
    };
    let mut value = serde_json::json!({"reason": problem.reason(), "detail": problem.detail()});
    if let Some(mark) = end.resume_after {
        value["after_revision"] = mark.revision.into();
        if let Some(hash) = mark.hash_text() {
            value["after_hash"] = hash.into();
        }
    }
    format!("event: end\ndata: {value}\n\n").into()
}

/// The headers of a patch: what is known of the commit.
fn head(text: &mut String, header: &Header) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(header.time_us);
    let time = humantime::format_rfc3339_micros(time).to_string();
    let revision = Literal::new_typed_literal(header.revision.to_string(), xsd::INTEGER);
    data(text, &format!("H revision {revision} ."));
    if let Some(hash) = Mark::of(header).hash_text() {
        data(text, &format!("H hash {} .", Literal::from(hash)));
    }
    let time = Literal::new_typed_literal(time, xsd::DATE_TIME);
    data(text, &format!("H time {time} ."));
    if header.is_redacted {
        // Something was erased from it: a copy that has not seen it before is to begin anew.
        let is_redacted = Literal::from(true);
        data(text, &format!("H redacted {is_redacted} ."));
    }
    for (name, value) in [("author", &header.author), ("message", &header.message)] {
        if !value.is_empty() {
            data(text, &format!("H {name} {} .", Literal::from(value.as_str())));
        }
    }
}

/// RDF Patch has no row for graphs: those are comments.
fn rows(text: &mut String, changes: &[Change]) {
    for change in changes {
        let row = match change {
            Change::DropGraph(graph) => format!("# drop {graph}"),
            Change::CreateGraph(graph) => format!("# create {graph}"),
            Change::Remove(quad) => format!("D {quad} ."),
            Change::Insert(quad) => format!("A {quad} ."),
        };
        data(text, &row);
    }
}

fn data(text: &mut String, line: &str) {
    text.push_str("data: ");
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use oxigraph::model::{GraphName, NamedNode, Quad};

    use super::*;
    use crate::{auth::AuthError, feed::Fragment};

    #[test]
    fn only_the_last_part_of_a_commit_has_an_id_and_no_text_breaks_a_line() {
        let node = NamedNode::new_unchecked("http://example.com/a");
        let quad = Quad::new(
            node.clone(),
            node.clone(),
            Literal::from("a\nb\r\u{2028}data: x"),
            GraphName::DefaultGraph,
        );
        let part = |is_last| {
            of(Event::Commit(Fragment {
                revision: 7,
                hash: 0x9f,
                header: None,
                changes: vec![
                    Change::CreateGraph(node.clone().into()),
                    Change::Remove(quad.clone()),
                    Change::Insert(quad.clone()),
                ],
                facts: Vec::new(),
                is_last,
            }))
        };
        let row = "<http://example.com/a> <http://example.com/a> \"a\\nb\\r\u{2028}data: x\" .";
        let rows = format!("data: # create <http://example.com/a>\ndata: D {row}\ndata: A {row}\n");
        assert_eq!(part(false), format!("{rows}\n"));
        assert_eq!(
            part(true),
            format!("{rows}data: TC .\nid: 7-000000000000009f\n\n")
        );
        let mark = |revision, hash| Mark { revision, hash };
        let checkpoint = "event: checkpoint\ndata: 9\nid: 9-0000000000000001\n\n";
        assert_eq!(of(Event::Checkpoint(mark(9, 1))), checkpoint);
        // All logs begin with nothing.
        let checkpoint = "event: checkpoint\ndata: 0\nid: 0\n\n";
        assert_eq!(of(Event::Checkpoint(mark(0, 0))), checkpoint);
        for (reason, lapsed, said) in [
            (EndReason::TooSlow, None, "READER_TOO_SLOW"),
            (EndReason::Stopped, None, "UNAVAILABLE"),
            (
                EndReason::Stopped,
                Some(AuthError::Expired.into()),
                "CREDENTIALS_EXPIRED",
            ),
            (EndReason::Stopped, Some(Lapse::AccessReduced), "ACCESS_REDUCED"),
        ] {
            let resume_after = Some(mark(7, 0x9f));
            let ended = end(&End { reason, resume_after }, lapsed);
            let ended = std::str::from_utf8(&ended).unwrap();
            assert!(
                ended.starts_with("event: end\ndata: {") && ended.contains(said),
                "{ended}"
            );
            assert!(
                ended.contains("\"after_hash\":\"000000000000009f\",\"after_revision\":7"),
                "{ended}"
            );
        }
    }
}
