//! Writes and retracts facts.

use oxigraph::model::NamedNode;
use tonic::Status;

use super::{
    check::{Checked, check_retract, check_write},
    faults::Places,
};
use crate::{
    facts::write::{WriteError, retract_facts, write_facts},
    graph::Draft,
    grpc::{convert::to_int64, status::internal},
    intake,
    knowledge::{CommitError, CommitRequest, Committed, KnowledgeBase},
    model::access::Access,
    proto::v1,
    request::on_thread,
};

/// Facts, or ids, up to which a request is checked on an async thread: some tens of microseconds.
const INLINE_COUNT_MAX: usize = 10;

pub(super) async fn write(
    knowledge: &KnowledgeBase,
    access: Access,
    request: v1::WriteFactsRequest,
) -> Result<v1::WriteFactsResponse, Status> {
    let subject = access.subject().to_owned();
    let checked = apart(request.facts.len() + request.preconditions.len(), move || {
        check_write(request, &subject)
    })
    .await?;
    let id = |id: &NamedNode| id.as_str().to_owned();
    let ids: Vec<_> = checked.content.iter().map(|fact| id(&fact.id)).collect();
    let revised = checked.content.iter().map(|fact| fact.revises.as_ref().map(id));
    let places = Places::Facts(ids.iter().cloned().zip(revised).collect());
    let committed = commit(knowledge, access, checked, |draft, facts, preconditions| {
        write_facts(draft, &facts, &preconditions)
    });
    let committed = committed.await.map_err(|error| places.status(error))?;
    Ok(v1::WriteFactsResponse {
        revision: to_int64(committed.revision),
        quads_inserted: to_int64(committed.quads_inserted),
        quads_removed: to_int64(committed.quads_removed),
        ids,
    })
}

pub(super) async fn retract(
    knowledge: &KnowledgeBase,
    access: Access,
    request: v1::RetractFactsRequest,
) -> Result<v1::RetractFactsResponse, Status> {
    let checked = apart(request.ids.len() + request.preconditions.len(), move || {
        check_retract(request)
    })
    .await?;
    let places = Places::Ids(
        checked
            .content
            .iter()
            .map(|id: &NamedNode| id.as_str().to_owned())
            .collect(),
    );
    let committed = commit(
        knowledge,
        access,
        checked,
        |draft, ids: Vec<NamedNode>, preconditions| retract_facts(draft, &ids, &preconditions),
    );
    let committed = committed.await.map_err(|error| places.status(error))?;
    Ok(v1::RetractFactsResponse {
        revision: to_int64(committed.revision),
        quads_inserted: to_int64(committed.quads_inserted),
        quads_removed: to_int64(committed.quads_removed),
    })
}

/// Checks a request, on a thread that may block if it is a large one. Until that is done it holds what its request has taken.
async fn apart<T: Send + 'static>(
    count: usize,
    check: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    if count <= INLINE_COUNT_MAX {
        return check();
    }
    tokio::task::spawn_blocking(on_thread(intake::on_thread(check)))
        .await
        .map_err(|error| internal(&error))?
}

/// Commits what was checked. As long as it waits for the writer it holds what its request has taken, whether its caller waits or not.
async fn commit<T: Send + 'static>(
    knowledge: &KnowledgeBase,
    access: Access,
    checked: Checked<T>,
    plan: impl FnOnce(&mut Draft, T, Vec<crate::facts::write::Precondition>) -> Result<(), WriteError>
    + Send
    + 'static,
) -> Result<Committed, CommitError<WriteError>> {
    let Checked {
        content,
        preconditions,
        request_id,
        expected_revision,
        validate_only,
        message,
    } = checked;
    let kept = intake::keep();
    let plan = move |draft: &mut Draft| {
        let _kept = kept;
        plan(draft, content, preconditions)
    };
    let mut request = CommitRequest::new(access, plan);
    request.request_id = request_id;
    request.expected_revision = expected_revision;
    request.validate_only = validate_only;
    request.message = message;
    knowledge.commit(request).await
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use tokio::task::spawn_blocking;

    use super::*;
    use crate::intake::{FREE_BYTES, Intake};

    #[test]
    fn what_waits_for_a_thread_is_held_when_its_caller_has_gone() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (end, ended) = mpsc::channel::<()>();
            let busy = spawn_blocking(move || ended.recv());
            let intake = Intake::new(Duration::ZERO, u64::MAX);
            let checking = intake.hold().during(async {
                assert!(intake::take(FREE_BYTES + 1));
                apart(INLINE_COUNT_MAX + 1, || Ok(())).await
            });
            tokio::select! {
                biased;
                checked = checking => panic!("{checked:?}"),
                () = async {} => {}
            }
            assert_eq!(intake.bytes(), 1);
            end.send(()).unwrap();
            busy.await.unwrap().unwrap();
            // After what waited before it.
            spawn_blocking(|| ()).await.unwrap();
            assert_eq!(intake.bytes(), 0);
        });
    }
}
