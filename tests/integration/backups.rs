//! Backups of a running server.

use std::{fs, path::Path};

use dossier::{
    backup::{Place, Until, restore},
    proto::v1::{
        self, BackupMade, BackupVerified, CreateBackupRequest, ErrorReason, ListBackupsRequest,
        VerifyBackupRequest, create_backup_response, verify_backup_response,
    },
};
use tempfile::TempDir;
use tonic::{Code, Status};

use crate::{
    harness::{Server, check_error, check_fields},
    sparql::client,
};

pub(crate) async fn start(backups: &Path) -> Server {
    let place = backups.to_str().unwrap().to_owned();
    Server::start_with(move |settings| {
        settings.load_shipped_data = false;
        settings.backup_to = Some(place);
    })
    .await
}

pub(crate) async fn create(server: &Server) -> Result<BackupMade, Status> {
    let mut answers = server
        .admin()
        .create_backup(CreateBackupRequest {})
        .await?
        .into_inner();
    let mut made = None;
    while let Some(answer) = answers.message().await? {
        assert_eq!(made, None, "something came after `made`");
        if let Some(create_backup_response::Part::Made(now)) = answer.part {
            made = Some(now);
        }
    }
    Ok(made.expect("a stream without an error ends with `made`"))
}

async fn verify(server: &Server) -> Result<BackupVerified, Status> {
    let mut answers = server
        .admin()
        .verify_backup(VerifyBackupRequest {})
        .await?
        .into_inner();
    let mut verified = None;
    while let Some(answer) = answers.message().await? {
        if let Some(verify_backup_response::Part::Verified(now)) = answer.part {
            verified = Some(now);
        }
    }
    Ok(verified.expect("a stream without an error ends with `verified`"))
}

async fn list(server: &Server, page_size: i32, page_token: &str) -> v1::ListBackupsResponse {
    let request = ListBackupsRequest {
        page_size,
        page_token: page_token.into(),
    };
    server.admin().list_backups(request).await.unwrap().into_inner()
}

pub(crate) async fn insert(server: &Server, number: u64) -> i64 {
    let request = v1::UpdateRequest {
        update: format!("INSERT DATA {{ <http://example.com/{number}> <http://example.com/p> {number} }}"),
        ..Default::default()
    };
    client(server)
        .update(request)
        .await
        .unwrap()
        .into_inner()
        .revision
}

#[tokio::test]
async fn backups_are_made_listed_verified_and_restored() {
    let folder = TempDir::new().unwrap();
    let server = start(&folder.path().join("backups")).await;
    assert_eq!(list(&server, 0, "").await.backups, []);
    let outcome = verify(&server).await;
    check_error(outcome, Code::NotFound, ErrorReason::BackupNotFound);
    // There is nothing yet.
    assert_eq!(create(&server).await.unwrap(), BackupMade::default());
    for number in 1..=3 {
        insert(&server, number).await;
        let made = create(&server).await.unwrap();
        let backup = made.backup.unwrap();
        let number = i64::try_from(number).unwrap();
        assert_eq!(
            (made.revision, backup.first_revision, backup.last_revision),
            (number, number, number)
        );
        assert_eq!((backup.quad_count, backup.file_count), (number, 1));
    }
    assert_eq!(create(&server).await.unwrap().backup, None);
    let first = list(&server, 2, "").await;
    let last = list(&server, 2, &first.next_page_token).await;
    let revisions: Vec<_> = first
        .backups
        .iter()
        .chain(&last.backups)
        .map(|backup| backup.last_revision)
        .collect();
    assert_eq!((revisions, last.next_page_token), (vec![3, 2, 1], String::new()));
    let verified = verify(&server).await.unwrap();
    assert_eq!(
        (verified.backup_count, verified.record_count, verified.faults),
        (3, 3, vec![])
    );
    let wrong = ListBackupsRequest {
        page_size: -1,
        page_token: "x".into(),
    };
    check_fields(
        server.admin().list_backups(wrong).await,
        ErrorReason::InvalidField,
        &["page_size", "page_token"],
    );
    let data = folder.path().join("restored/data");
    let place = Place::open(folder.path().join("backups").to_str().unwrap()).unwrap();
    restore(&place, &data, Until::Revision(2), &mut |_| true).unwrap();
    fs::create_dir_all(folder.path().join("restored")).unwrap();
    let restored = TempDir::new_in(folder.path()).unwrap();
    fs::rename(data, restored.path().join("data")).unwrap();
    let server = Server::start_in(restored, |settings| settings.load_shipped_data = false).await;
    let info = server.info().await;
    assert_eq!((info.revision, info.quad_count), (2, 2));
    assert_eq!(insert(&server, 9).await, 3);
}

#[tokio::test]
async fn a_backup_goes_on_while_eight_write() {
    let folder = TempDir::new().unwrap();
    let server = start(&folder.path().join("backups")).await;
    insert(&server, 0).await;
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let mut client = client(&server);
            tokio::spawn(async move {
                let mut newest = 0;
                for number in 0..40 {
                    let update = format!(
                        "INSERT DATA {{ <http://example.com/{writer}> <http://example.com/q> {number} }}"
                    );
                    let request = v1::UpdateRequest {
                        update,
                        ..Default::default()
                    };
                    newest = client.update(request).await.unwrap().into_inner().revision;
                }
                newest
            })
        })
        .collect();
    let mut made = Vec::new();
    while writers.iter().any(|writer| !writer.is_finished()) {
        made.push(create(&server).await.unwrap().revision);
    }
    let mut newest = 0;
    for writer in writers {
        newest = newest.max(writer.await.unwrap());
    }
    made.push(create(&server).await.unwrap().revision);
    assert!(made.is_sorted() && made.len() > 1, "{made:?}");
    assert_eq!((made.last(), newest), (Some(&321), 321));
    let verified = verify(&server).await.unwrap();
    assert_eq!((verified.record_count, verified.faults), (321, vec![]));
    // Each is the graph of its revision: one quad for each commit.
    for backup in list(&server, 1_000, "").await.backups {
        assert_eq!(backup.quad_count, backup.last_revision);
    }
}

#[tokio::test]
async fn backups_by_the_clock_are_counted() {
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("backups").to_str().unwrap().to_owned();
    let server = Server::start_with(move |settings| {
        settings.backup_to = Some(place);
        settings.backup_every = Some(std::time::Duration::from_hours(1));
    })
    .await;
    // The first one is due at once.
    while list(&server, 0, "").await.backups.is_empty() {
        tokio::task::yield_now().await;
    }
    let revision = server.info().await.revision;
    let counts = loop {
        let counts = crate::operations::scrape(server.address).await;
        if counts.contains("dossier_backup_revision") && !counts.contains("dossier_backup_revision 0\n") {
            break counts;
        }
    };
    assert!(
        counts.contains(&format!("dossier_backup_revision {revision}\n")),
        "{counts}"
    );
    assert!(counts.contains("dossier_backup_failures_total 0\n"), "{counts}");
    assert!(
        counts.contains("dossier_backup_succeeded_timestamp_seconds 1"),
        "{counts}"
    );
}

#[tokio::test]
async fn backups_that_cannot_be_are_refused() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_empty().await;
    check_error(
        create(&server).await,
        Code::FailedPrecondition,
        ErrorReason::BackupNotConfigured,
    );
    check_error(
        verify(&server).await,
        Code::FailedPrecondition,
        ErrorReason::BackupNotConfigured,
    );
    let listed = server.admin().list_backups(ListBackupsRequest::default()).await;
    check_error(listed, Code::FailedPrecondition, ErrorReason::BackupNotConfigured);

    let backups = folder.path().join("backups");
    let one = start(&backups).await;
    insert(&one, 1).await;
    create(&one).await.unwrap();
    let other = start(&backups).await;
    insert(&other, 2).await;
    let metadata = check_error(
        create(&other).await,
        Code::FailedPrecondition,
        ErrorReason::BackupOtherHistory,
    );
    assert_eq!(metadata["revision"], "1");

    let records = fs::read_dir(backups.join("records"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = fs::read(&records).unwrap();
    bytes[100] ^= 1;
    fs::write(&records, bytes).unwrap();
    let verified = verify(&one).await.unwrap();
    let name = format!("records/{}", records.file_name().unwrap().to_str().unwrap());
    assert_eq!((verified.faults.len(), &verified.faults[0].file), (1, &name));

    let manifest = backups.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"quad_count\": 1", "\"quad_count\": 2")).unwrap();
    let metadata = check_error(create(&one).await, Code::DataLoss, ErrorReason::BackupDamaged);
    assert_eq!(metadata["file"], "manifest.json");
    fs::write(&manifest, "{\"format\": \"dossier-backup\", \"version\": 99}").unwrap();
    let metadata = check_error(
        create(&one).await,
        Code::FailedPrecondition,
        ErrorReason::BackupNewerFormat,
    );
    assert_eq!(metadata["format"], "99");

    fs::remove_dir_all(&backups).unwrap();
    fs::write(&backups, "a file").unwrap();
    check_error(
        create(&one).await,
        Code::Unavailable,
        ErrorReason::BackupUnreachable,
    );
}

#[tokio::test]
async fn an_erasure_names_the_backups_that_hold_it() {
    let folder = TempDir::new().unwrap();
    let backups = folder.path().join("backups");
    let server = start(&backups).await;
    for number in 1..=3 {
        insert(&server, number).await;
        create(&server).await.unwrap();
    }
    let erase = async |validate_only| {
        let request = v1::EraseEntityRequest {
            entity: "http://example.com/2".to_owned(),
            validate_only,
            ..Default::default()
        };
        let erased = server.admin().erase_entity(request).await.unwrap().into_inner();
        let backups = erased.backups.unwrap();
        let revisions = |backups: &[v1::Backup]| -> Vec<_> {
            backups.iter().map(|backup| backup.last_revision).collect()
        };
        assert_eq!(
            backups.holding.len(),
            usize::try_from(backups.holding_count).unwrap()
        );
        (
            revisions(&backups.holding),
            revisions(&backups.possibly_holding),
            backups.fault,
        )
    };
    let holds = (vec![2], vec![], String::new());
    assert_eq!(erase(true).await, holds);
    assert_eq!(erase(false).await, holds);
    // The log does not have it any more, and knows of what.
    assert_eq!(erase(false).await, (vec![], vec![2], String::new()));
    fs::remove_dir_all(&backups).unwrap();
    assert_eq!(erase(true).await, (vec![], vec![], String::new()));
    fs::write(&backups, "a file").unwrap();
    let (.., fault) = erase(true).await;
    assert!(fault.contains("cannot be read"), "{fault}");
}
