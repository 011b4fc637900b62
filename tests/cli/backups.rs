//! `dossier backup` and `dossier restore`.

use std::fs;

use tempfile::TempDir;

use crate::harness::{Server, dossier};

#[test]
fn a_knowledge_base_is_backed_up_and_restored() {
    let folder = TempDir::new().unwrap();
    let backups = folder.path().join("backups");
    let backups = backups.to_str().unwrap();
    let server = Server::start(&["--backup-to", backups, "--no-shipped-data"]);
    server
        .run(&["backup", "verify"], "")
        .failed(1, "error[BACKUP_NOT_FOUND]");
    for text in [
        "INSERT DATA { e:a rdfs:label 'one' }",
        "INSERT DATA { e:a rdfs:label 'two' }",
    ] {
        server.run(&["update", text], "").succeeded();
        let told = server.run(&["backup"], "").succeeded();
        assert!(told.starts_with("backed up revisions "), "{told}");
    }
    let told = server.run(&["backup", "create"], "").succeeded();
    assert!(
        told.contains("nothing was committed") && told.contains("revision 2"),
        "{told}"
    );
    for from in [vec![], vec!["--from", backups]] {
        let told = server
            .run(&[&["backup", "list"], &from[..]].concat(), "")
            .succeeded();
        assert!(told.contains("2 to 2") && told.contains("1 to 1"), "{told}");
        let told = server
            .run(&[&["backup", "verify"], &from[..]].concat(), "")
            .succeeded();
        assert!(told.contains("2 backups, 2 revisions"), "{told}");
        let json = [&["backup", "list", "--output", "json"], &from[..]].concat();
        let json = server.run(&json, "").succeeded();
        let newest: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(newest["lastRevision"], "2");
    }

    let data = folder.path().join("restored");
    let data = data.to_str().unwrap();
    let restore = ["restore", "--from", backups, "--data-dir", data];
    dossier(&[&restore[..], &["--revision", "3"]].concat(), "").failed(1, "they have 1 to 2");
    dossier(&[&restore[..], &["--time", "1999-01-01"]].concat(), "").failed(1, "were committed later");
    let both = ["--revision", "1", "--time", "2100-01-01"];
    dossier(&[&restore[..], &both].concat(), "").failed(2, "cannot be used with");
    let told = dossier(&[&restore[..], &["--revision", "1"]].concat(), "").succeeded();
    assert!(told.starts_with("restored revision 1 of "), "{told}");
    dossier(&restore, "").failed(1, "is not empty");
    let told = dossier(&["rebuild", "--check", "--data-dir", data], "").succeeded();
    assert!(told.contains("revision 1: 1 quads, 0 differences"), "{told}");

    let records = fs::read_dir(folder.path().join("backups/records")).unwrap();
    let path = records.map(|entry| entry.unwrap().path()).max().unwrap();
    fs::write(&path, "nonsense").unwrap();
    let told = dossier(&["backup", "verify", "--from", backups], "").failed(1, "is damaged");
    assert!(told.contains("damaged"), "{told}");
    let fresh = folder.path().join("fresh");
    let restore = [
        "restore",
        "--from",
        backups,
        "--data-dir",
        fresh.to_str().unwrap(),
    ];
    dossier(&restore, "").failed(1, "the backup is damaged: records/00000000000000000002");
    dossier(&["restore", "--from", "ftp://x/y", "--data-dir", data], "").failed(2, "no place for backups");
}
