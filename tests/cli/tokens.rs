//! Tokens: made, shown once, taken back.

use std::{fs, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;

use crate::harness::{Server, dossier, dossier_with};

#[test]
fn tokens_let_in_until_they_are_taken_back() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tokens.json");
    let tokens = file.to_str().unwrap();
    let create = |name: &str, more: &[&str]| {
        let arguments = ["token", "create", "--tokens", tokens, "--name", name];
        let made = dossier(&[&arguments, more].concat(), "");
        let token = made.succeeded();
        assert_eq!((token.lines().count(), token.trim().len()), (1, 51), "{token}");
        token
    };
    let loader = create(
        "loader",
        &["--role", "write", "--role", "read", "--expires", "90d"],
    );
    let reader = create("reader", &["--role", "read"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = dossier(&["token", "list", "--tokens", tokens], "").succeeded();
    assert!(
        listed.contains("write, read") && listed.contains("never"),
        "{listed}"
    );
    let kept = fs::read_to_string(&file).unwrap();
    for secret in [&loader, &reader] {
        let secret = secret.trim().trim_start_matches("dossier_");
        assert!(!listed.contains(secret) && !kept.contains(secret));
    }

    let server = Server::start(&[
        "--auth-tokens",
        tokens,
        "--no-shipped-data",
        "--caller-queries-max=7",
    ]);
    server.run(&["info"], "").failed(1, "error[CREDENTIALS_MISSING]");
    server.run(&["health"], "").succeeded();
    // Nor does it matter whether there is a token.
    let health = ["health", "--server", server.url()];
    dossier_with(&[("DOSSIER_TOKEN", "")], &health, "").succeeded();
    let token_file = folder.path().join("loader.token");
    fs::write(&token_file, &loader).unwrap();
    let with_file = ["info", "--token-file", token_file.to_str().unwrap()];
    let told = server.run(&with_file, "").succeeded();
    let (_, limits) = told.split_once("YOUR LIMIT").unwrap();
    let mut limits = limits.lines().map(str::split_whitespace);
    assert!(
        limits.any(|words| words.eq(["queries", "at", "once", "7"])),
        "{told}"
    );
    let info = |token: &str| {
        dossier_with(
            &[("DOSSIER_TOKEN", token)],
            &["info", "--server", server.url()],
            "",
        )
    };
    info(&reader).succeeded();
    info("dossier_nonsense").failed(1, "error[CREDENTIALS_INVALID]");
    info(" ").failed(2, "DOSSIER_TOKEN has no token");
    fs::write(&token_file, "two\nlines").unwrap();
    server.run(&with_file, "").failed(2, "has no token");
    let elsewhere = ["info", "--server", "http://kg.example:50051"];
    let refused = dossier_with(&[("DOSSIER_TOKEN", &reader)], &elsewhere, "");
    let said = refused.failed(2, "is not sent to http://kg.example:50051/ in plain text");
    assert!(!said.contains(reader.trim()));

    let revoked = dossier(&["token", "revoke", "reader", "--tokens", tokens], "");
    assert!(revoked.succeeded().starts_with("revoked "));
    server.logged("the tokens were read anew");
    info(&reader).failed(1, "error[CREDENTIALS_INVALID]");
    fs::write(&token_file, &loader).unwrap();
    server.run(&with_file, "").succeeded();
    dossier(&["token", "revoke", "reader", "--tokens", tokens], "").failed(1, "there is no token reader");
}

#[test]
fn a_server_that_cannot_know_callers_does_not_start() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("tokens.json");
    fs::write(&file, r#"{"tokens": [{"id": "1"}]}"#).unwrap();
    let file = file.to_str().unwrap();
    let check = |flags: &[&str], code: i32, said: &str| {
        let mut arguments = vec!["serve", "--data-dir", data.to_str().unwrap()];
        if !flags.contains(&"--listen") {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        dossier(&[&arguments, flags].concat(), "").failed(code, said);
    };
    check(
        &["--auth-tokens", "/nowhere"],
        1,
        "`dossier token create --tokens /nowhere --name NAME --role ROLE` makes it",
    );
    check(
        &["--auth-tokens", data.parent().unwrap().to_str().unwrap()],
        1,
        "directory",
    );
    check(&["--auth-tokens", file], 1, "tokens[0].");
    check(&["--auth-jwks", file], 2, "--auth-jwt-issuer");
    let jwt = [
        "--auth-jwt-issuer",
        "i",
        "--auth-jwt-audience",
        "a",
        "--auth-jwks",
    ];
    check(&[&jwt[..], &[file]].concat(), 1, "no array `keys`");
    check(
        &[&jwt[..], &["http://issuer.example/keys"]].concat(),
        2,
        "expected https",
    );
    check(
        &["--auth-tokens", file, "--listen", "0.0.0.0:0"],
        2,
        "without TLS",
    );
    // Told that something else keeps them from others, it reads them.
    let exposed = ["--auth-tokens", file, "--listen", "0.0.0.0:0", "--plain-tokens"];
    check(&exposed, 1, "tokens[0].");
    // That is no reason to ask nobody.
    check(
        &["--listen", "0.0.0.0:0", "--plain-tokens"],
        2,
        "refusing to listen",
    );
}

#[test]
fn refused_requests_do_not_flood_the_log() {
    let folder = TempDir::new().unwrap();
    let tokens = folder.path().join("tokens.json");
    let tokens = tokens.to_str().unwrap();
    dossier(&["token", "create", "--tokens", tokens, "--name", "a"], "").succeeded();
    let server = Server::start(&["--auth-tokens", tokens, "--no-shipped-data"]);
    let path = format!("/{}", "x".repeat(8_000));
    let begin = std::time::Instant::now();
    for _ in 0..100 {
        assert!(server.get(&path).contains("CREDENTIALS_MISSING"));
    }
    // One in a second, and the first.
    let count_max = usize::try_from(begin.elapsed().as_secs()).unwrap() + 2;
    let said = server.stop_and_listen();
    let count = said.matches("refused a request").count();
    assert!((1..=count_max).contains(&count), "{count} of {count_max}: {said}");
    assert!(!said.contains(&"x".repeat(1_000)), "{said}");
}
