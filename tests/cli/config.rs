//! The settings file, and `dossier config check`.

use std::{fs, process::Stdio};

use tempfile::TempDir;

use crate::{
    harness::{Server, command, dossier, dossier_with},
    process::wait_until_it_serves,
};

#[test]
fn settings_are_told_with_where_they_come_from() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("dossier.toml");
    let path = file.to_str().unwrap();
    fs::write(
        &file,
        "listen = \"127.0.0.1:0\"\nwatchers-max = 5\nstreams-max = 7\nquery-timeout-max = \"5s\"\n",
    )
    .unwrap();
    let variables = [
        ("DOSSIER_CONFIG", path),
        ("DOSSIER_STREAMS_MAX", "8"),
        ("DOSSIER_WATCHERS_MAX", "9"),
        ("DOSSIER_QUERY_TIMEOUT", "1s"),
    ];
    let ran = dossier_with(&variables, &["config", "check", "--watchers-max", "10"], "");
    assert!(
        ran.stderr
            .contains("note: DOSSIER_QUERY_TIMEOUT is set, and no setting has that name"),
        "{ran:?}"
    );
    let told = ran.succeeded();
    let line = |key: &str| {
        let mut lines = told.lines().filter(|line| line.starts_with(key));
        lines
            .next()
            .expect(&told)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("watchers-max"), "watchers-max = 10 # flag");
    assert_eq!(line("streams-max"), "streams-max = 8 # DOSSIER_STREAMS_MAX");
    assert_eq!(
        line("query-timeout-max"),
        format!("query-timeout-max = \"5s\" # {path}:4")
    );
    assert_eq!(line("message-size-max"), "message-size-max = \"16MiB\" # default");
    assert_eq!(line("# tls-cert"), "# tls-cert = # default");
    // What it tells is a file that says the same.
    fs::write(&file, &told).unwrap();
    let again = dossier(&["config", "check", "--config", path], "").succeeded();
    let values = |told: &str| {
        let values = told
            .lines()
            .map(|line| line.split("  #").next().unwrap_or_default());
        values.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&again), values(&told));
}

#[test]
fn faults_exit_with_2() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("dossier.toml");
    let path = file.to_str().unwrap();
    let check = |text: &str, expected: &str| {
        fs::write(&file, text).unwrap();
        for command in [&["config", "check"][..], &["serve"]] {
            let ran = dossier(&[command, &["--config", path]].concat(), "");
            ran.failed(2, &expected.replace("FILE", path));
        }
    };
    check(
        "listen = 1\nmesage-size-max = 1\n",
        "FILE:2: mesage-size-max: there is no such",
    );
    check(
        "listen = \"0.0.0.0:1\"\n",
        "FILE:1: listen: refusing to listen on 0.0.0.0:1",
    );
    check(
        "# at least 1\nstreams-max = 0\n",
        "FILE:2: streams-max: --streams-max must be from 1",
    );
    fs::write(&file, "tls-cert = \"nowhere.pem\"\ntls-key = \"nowhere.key\"\n").unwrap();
    dossier(&["config", "check", "--config", path], "").failed(2, "nowhere.");
    dossier(&["config", "check", "--config", "nowhere.toml"], "").failed(2, "nowhere.toml: cannot be read");
}

#[test]
fn files_of_who_may_call_are_checked() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let tokens = path("tokens.json");
    dossier(&["token", "create", "--tokens", &tokens, "--name", "a"], "").succeeded();
    for (name, text) in [
        ("none.json", "{}"),
        ("faulty.toml", "[roles.a]\nread = 1\n"),
        ("good.toml", "[roles.a]\nread = [\"*\"]\n"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let check = |flags: &[&str]| {
        let asked = ["config", "check", "--auth-tokens", &tokens];
        dossier(&[&asked, flags].concat(), "")
    };
    check(&["--auth-policy", &path("good.toml"), "--audit-log", &path("audit")]).succeeded();
    assert!(!folder.path().join("audit").exists());
    check(&["--auth-policy", &path("faulty.toml")]).failed(2, "faulty.toml:2: ");
    check(&["--audit-log", &path("nowhere/audit")]).failed(2, "the audit log cannot be opened");
    check(&["--audit-log", &path("")]).failed(2, "the audit log cannot be opened");
    assert!(fs::read_dir(folder.path()).unwrap().all(|entry| {
        let name = entry.unwrap().file_name();
        !name.to_str().unwrap().contains("audit")
    }));
    // There is no folder on Linux in which even root may read and not write, but this.
    if cfg!(target_os = "linux") {
        check(&["--audit-log", "/proc/audit"]).failed(2, "the audit log cannot be opened");
    }
    let jwks = [
        "--auth-jwks",
        &path("none.json"),
        "--auth-jwt-issuer",
        "i",
        "--auth-jwt-audience",
        "a",
    ];
    check(&jwks).failed(2, "no array `keys`");
    for (name, said) in [
        ("none.json", "none.json: "),
        ("nowhere.json", "there is no such file"),
    ] {
        dossier(&["config", "check", "--auth-tokens", &path(name)], "").failed(2, said);
    }
}

#[test]
fn a_server_takes_its_settings_from_a_file() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("dossier.toml"), "streams-max = 77\n").unwrap();
    let path = folder.path().join("dossier.toml");
    let server = Server::start_in(folder, &["--config", path.to_str().unwrap()]);
    let told = server.run(&["info", "--output", "json"], "").succeeded();
    let info: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(info["limits"]["streamCountMax"], "77");
}

#[test]
fn what_is_insecure_is_said_loudly() {
    let folder = TempDir::new().unwrap();
    let tokens = folder.path().join("tokens.json");
    let tokens = tokens.to_str().unwrap();
    dossier(&["token", "create", "--tokens", tokens, "--name", "a"], "").succeeded();
    let plain = ["--plain-tokens", "--auth-tokens", tokens];
    for (listen, flags, danger) in [
        (
            "0.0.0.0:0",
            &["--insecure"][..],
            Some("nobody is asked who they are"),
        ),
        ("0.0.0.0:0", &plain[..], Some("tokens travel in plain text")),
        ("127.0.0.1:0", &["--insecure"][..], None),
    ] {
        let data = folder.path().join("data");
        let mut child = command()
            .args(["serve", "--no-shipped-data", "--listen", listen, "--data-dir"])
            .arg(data)
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (_, said, _log) = wait_until_it_serves(&mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        let mut warnings = said.lines().filter(|line| line.contains("INSECURE"));
        let warning = warnings.next();
        assert_eq!(warning.is_some(), danger.is_some(), "{said}");
        if let (Some(warning), Some(danger)) = (warning, danger) {
            assert!(warning.contains("WARN") && warning.contains(danger), "{said}");
        }
    }
}
