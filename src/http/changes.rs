//! The change feed as server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), whose data is
//! RDF Patch (<https://jena.apache.org/documentation/rdf-patch/>).
//!
//! The id of an event is the commit up to which nothing is missing, its revision and its hash; only the last part of a commit has one. So
//! a client that connects again with `Last-Event-ID`, as browsers do by themselves, gets every commit whole and once, or is told that there
//! is another history now.

mod events;

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Response, header, request::Parts};
use oxigraph::model::NamedNode;
use tokio::sync::{mpsc, oneshot};

use super::{
    Body, Ending, Inner, access,
    problem::{Problem, invalid, method_not_allowed},
};
use crate::{
    auth::Tenure,
    feed::{Filter, Output, Start, follow},
    knowledge::{Known, NoCommit},
    model::iri,
    request::on_task,
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Names in one part of a filter.
const NAME_COUNT_MAX: usize = 100;
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);
/// Batches of events that wait for the reader.
const WAITING_BATCH_COUNT_MAX: usize = 1;

/// What a request asks for.
#[derive(Debug, Default)]
struct Parameters {
    /// The commit that the client has.
    after: Option<Known>,
    filter: Filter,
}

/// Answers a request for changes.
pub(super) async fn answer(api: &Inner, parts: &Parts) -> Result<Response<Body>, Problem> {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return Err(method_not_allowed(&parts.method, "GET, HEAD, OPTIONS"));
    }
    let access = access(parts)?;
    let Parameters { after, filter } = Parameters::read(parts.uri.query().unwrap_or_default())?;
    // Where a client goes on matters more than where it once began.
    let start = match last_event_id(parts)?.or(after) {
        Some(known) => {
            api.feed.reach(known, None).await?;
            Start::After(known.revision)
        }
        None => Start::Now,
    };
    let wanted = (filter, Output::Quads);
    let watcher = api
        .feed
        .watch(&access, start, wanted, CHECKPOINT_INTERVAL)
        .await?;
    let (sender, receiver) = mpsc::channel(WAITING_BATCH_COUNT_MAX);
    let (tell, told) = oneshot::channel();
    let ending = parts.extensions.get::<Ending>();
    let drain = ending.map_or_else(|| api.drain.clone(), |ending| ending.stream.clone());
    let tenure = parts.extensions.get::<Tenure>().cloned();
    tokio::spawn(on_task(async move {
        let mut lapsed = None;
        let stop = async {
            tokio::select! {
                () = drain.cancelled() => {}
                lapse = Tenure::over(tenure) => lapsed = Some(lapse),
            }
        };
        let end = follow(watcher, sender, stop, events::of).await;
        // The reader may have gone.
        let _ = tell.send(events::end(&end, lapsed));
    }));
    let mut response = Response::new(Body::events(receiver, told));
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Parameters {
    /// Reads the parameters of a URL. An unknown one is an error: a filter must not be passed over in silence.
    fn read(query: &str) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        let mut has_default_graph = false;
        let mut names = [const { Vec::new() }; 5];
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "from" | "after" => {
                    let known = match &*name {
                        // 0 and 1 are the first commit, whatever is left of the log: a client must not take a later one for it.
                        "from" => Known {
                            revision: revision(&value)?.saturating_sub(1),
                            hash: None,
                        },
                        _ => commit("after", &value)?,
                    };
                    if parameters.after.replace(known).is_some() {
                        return Err(invalid("there is one place to begin: either from or after, once"));
                    }
                }
                "default-graph" => has_default_graph = true,
                "subject" => push(&mut names[0], &name, &value)?,
                "predicate" => push(&mut names[1], &name, &value)?,
                "graph" => push(&mut names[2], &name, &value)?,
                "source" => push(&mut names[3], &name, &value)?,
                "type" => push(&mut names[4], &name, &value)?,
                other => {
                    return Err(invalid(format!(
                        "`{other}` is no parameter: there are from, after, subject, predicate, graph, default-graph, source and type"
                    )));
                }
            }
        }
        let [subjects, predicates, graphs, sources, types] =
            names.map(|names: Vec<_>| names.into_iter().collect());
        parameters.filter = Filter {
            subjects,
            predicates,
            graphs,
            default_graph: has_default_graph,
            sources,
            types,
        };
        Ok(parameters)
    }
}

fn push(names: &mut Vec<NamedNode>, parameter: &str, value: &str) -> Result<(), Problem> {
    if names.len() >= NAME_COUNT_MAX {
        return Err(invalid(format!("more than {NAME_COUNT_MAX} of {parameter}")));
    }
    let iri = iri::resolve(value).map_err(|error| invalid(format!("{parameter}: {error}")))?;
    names.push(NamedNode::new_unchecked(iri.into_owned()));
    Ok(())
}

fn last_event_id(parts: &Parts) -> Result<Option<Known>, Problem> {
    let Some(value) = parts.headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    commit("Last-Event-ID", value.to_str().unwrap_or_default()).map(Some)
}

fn revision(text: &str) -> Result<u64, Problem> {
    text.parse()
        .map_err(|_| invalid(format!("from: `{text}` is not a revision")))
}

fn commit(name: &str, text: &str) -> Result<Known, Problem> {
    text.parse()
        .map_err(|error: NoCommit| invalid(format!("{name}: `{text}` is {error}")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn parameters_are_read_whole_or_refused() {
        let read = |query: &str| Parameters::read(query).map_err(|problem| problem.reason());
        let all = read(
            "from=7&subject=e:KR&subject=http%3A%2F%2Fa%2F&predicate=rdfs:label&graph=g:a&default-graph&source=s:1&source=s:2&type=d:Event",
        )
        .unwrap();
        let known = |revision, hash| Some(Known { revision, hash });
        assert_eq!(all.after, known(6, None));
        let filter = &all.filter;
        let counts = [
            &filter.subjects,
            &filter.predicates,
            &filter.graphs,
            &filter.sources,
            &filter.types,
        ];
        assert_eq!(
            (counts.map(HashSet::len), filter.default_graph),
            ([2, 1, 1, 2, 1], true)
        );
        let kr = NamedNode::new_unchecked("https://w3id.org/dossier/e/KR");
        assert!(all.filter.subjects.contains(&kr));
        let after = |query: &str| read(query).unwrap().after;
        assert_eq!(after(""), None);
        assert_eq!(
            (after("from=0"), after("from=1")),
            (known(0, None), known(0, None))
        );
        assert_eq!(after("after=7"), known(7, None));
        assert_eq!(after("after=7-000000000000009f"), known(7, Some(0x9f)));
        for wrong in [
            "from=x",
            "from=-1",
            "from=",
            "from=7-000000000000009f",
            "from=7&from=7",
            "from=7&after=6",
            "after=",
            "after=7-",
            "after=7-9f",
            "subjects=e:KR",
            "subject=",
            "graph=nope:a",
            "predicate=<>",
        ] {
            assert_eq!(read(wrong).err(), Some("INVALID_REQUEST"), "{wrong}");
        }
        let many = |count| read(&"subject=e:a&".repeat(count)).is_ok();
        assert!(many(NAME_COUNT_MAX) && !many(NAME_COUNT_MAX + 1));
    }
}
