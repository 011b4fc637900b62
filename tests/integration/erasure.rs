//! `EraseEntity`.

use dossier::proto::v1::{self, ErrorReason};
use tonic::{Code, Status};

use crate::{
    changes::{after, checkpoint, diff, next_commit, watch},
    harness::{Server, check_error, check_fields},
    sparql::insert,
};

async fn erase(
    server: &Server,
    entity: &str,
    message: &str,
    validate_only: bool,
) -> Result<v1::EraseEntityResponse, Status> {
    let request = v1::EraseEntityRequest {
        entity: entity.to_owned(),
        message: message.to_owned(),
        validate_only,
    };
    server
        .admin()
        .erase_entity(request)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn an_erased_entity_is_in_no_answer_any_more() {
    let server = Server::start_empty().await;
    insert(&server, "e:somebody e:p 1 . e:a e:p 1").await;
    insert(&server, "e:a e:q e:somebody").await;
    let would = erase(&server, "e:somebody", "", true).await.unwrap();
    assert_eq!(
        (would.revision, would.quads_removed, would.commit_count),
        (2, 2, 2)
    );
    assert!(server.entity("e:somebody").await.is_ok());
    // It has what is erased at hand.
    let mut before = watch(&server, after(0)).await.unwrap();
    assert_eq!(next_commit(&mut before).await.unwrap().inserted.len(), 2);
    let erased = erase(&server, "e:somebody", "by request", false).await.unwrap();
    assert_eq!(
        (erased.revision, erased.quads_removed, erased.commit_count),
        (3, 2, 3)
    );
    assert_eq!((erased.statement_count, erased.naming_commit_count), (0, 0));
    assert!(erased.log_bytes > 0);
    check_error(
        server.entity("e:somebody").await,
        Code::NotFound,
        ErrorReason::EntityNotFound,
    );
    assert_eq!(server.info().await.quad_count, 1);
    let folder = server.stop().await;
    {
        let server = Server::start_in(folder, |settings| settings.load_shipped_data = false).await;
        let mut stream = watch(&server, after(0)).await.unwrap();
        let first = next_commit(&mut stream).await.unwrap();
        assert_eq!((first.revision, first.inserted.len()), (1, 1));
        let header = first.header.unwrap();
        assert_eq!((header.quads_inserted, header.is_redacted), (2, true));
        // The others come with nothing but their headers.
        for revision in [2, 3] {
            let commit = next_commit(&mut stream).await.unwrap();
            assert_eq!(
                (commit.revision, commit.inserted.len(), commit.removed.len()),
                (revision, 0, 0)
            );
            assert!(commit.header.unwrap().is_redacted);
        }
        assert_eq!(checkpoint(&mut stream).await, 3);
        assert_eq!(
            diff(&server, 0, 3).await.unwrap(),
            [vec![], vec!["a 1 -".to_owned()]]
        );
        assert_eq!(diff(&server, 1, 3).await.unwrap(), [vec![], Vec::<String>::new()]);
        let again = erase(&server, "e:somebody", "", false).await.unwrap();
        assert_eq!(
            (again.revision, again.quads_removed, again.commit_count),
            (3, 0, 0)
        );
    }
}

#[tokio::test]
async fn watchers_that_begin_after_an_erasure_get_nothing_of_it_from_memory() {
    let server = Server::start_empty().await;
    let mut up_to_date = watch(&server, after(0)).await.unwrap();
    insert(&server, "e:somebody e:p 1 . e:a e:p 1").await;
    assert_eq!(next_commit(&mut up_to_date).await.unwrap().inserted.len(), 2);
    erase(&server, "e:somebody", "", false).await.unwrap();
    let mut later = watch(&server, after(0)).await.unwrap();
    assert_eq!(next_commit(&mut later).await.unwrap().inserted.len(), 1);
}

#[tokio::test]
async fn bad_requests_to_erase_are_refused() {
    let server = Server::start_empty().await;
    insert(&server, "e:somebody e:p 1").await;
    let check = async |entity: &str, message: &str, reason, field: &str| {
        check_fields(erase(&server, entity, message, false).await, reason, &[field]);
    };
    check("", "", ErrorReason::InvalidField, "entity").await;
    check("nope:a", "", ErrorReason::UnknownPrefix, "entity").await;
    for message in ["about e:somebody", "https://w3id.org/dossier/e/somebody is gone"] {
        check("e:somebody", message, ErrorReason::InvalidField, "message").await;
    }
    check(
        "e:somebody",
        &"x".repeat(1_025),
        ErrorReason::InvalidField,
        "message",
    )
    .await;
    assert!(server.entity("e:somebody").await.is_ok());
    let longest = "x".repeat(1_024);
    erase(&server, "e:somebody", &longest, false).await.unwrap();
}
