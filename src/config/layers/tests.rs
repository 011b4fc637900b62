use std::fs;

use clap::{FromArgMatches as _, Parser};

use super::*;
use crate::config::{LogFormat, ServeSettings};

#[derive(Parser)]
struct Dossier {
    #[command(subcommand)]
    command: Sub,
}

#[derive(clap::Subcommand)]
enum Sub {
    Serve(Box<ServeSettings>),
}

/// Reads flags and a file, without regard to the environment of the test.
fn read(flags: &[&str], file: &str) -> Result<(ServeSettings, Layers), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dossier.toml");
    fs::write(&path, file).unwrap();
    let command = <Dossier as clap::CommandFactory>::command()
        .mut_subcommand("serve", |serve| serve.mut_args(|arg| arg.env(Resettable::Reset)));
    let arguments = ["dossier", "serve", "--config"].map(OsString::from);
    let rest = flags.iter().map(OsString::from);
    let arguments = arguments
        .into_iter()
        .chain([path.clone().into_os_string()])
        .chain(rest);
    let layers = Layers::read(&command, &arguments.collect::<Vec<_>>())
        .map_err(|error| error.to_string().replace(&path.display().to_string(), "F"))?;
    let Sub::Serve(settings) = Dossier::from_arg_matches(&layers.matches).unwrap().command;
    Ok((*settings, layers))
}

fn source(layers: &Layers, key: &str) -> String {
    let setting = layers.settings.iter().find(|setting| setting.key == key).unwrap();
    match &setting.source {
        Source::File(_, line) => format!("line {line}"),
        source => source.to_string(),
    }
}

#[test]
fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
    let file = "query-timeout-max = \"5s\"\nstreams-max = 7\ninsecure = true\nno-shipped-data = true\n\
                cors-origin = [\"https://a.example\", \"https://b.example\"]\nlog-format = \"json\"\nas-of = 2019-08-27\n\
                tls-key = \"k\"\n";
    let flags = ["--streams-max", "9", "--tls-cert", "c"];
    let (settings, layers) = read(&flags, file).unwrap();
    assert_eq!(settings.query_timeout_max.as_secs(), 5);
    assert_eq!(settings.stream_count_max, 9);
    assert!(settings.insecure && !settings.load_shipped_data);
    assert_eq!(settings.cors_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(settings.log_format, LogFormat::Json);
    assert_eq!(settings.reference_date.to_string(), "2019-08-27");
    assert!(settings.tls_files().is_some());
    for (key, expected) in [
        ("query-timeout-max", "line 1"),
        ("streams-max", "flag"),
        ("no-shipped-data", "line 4"),
        ("watchers-max", "default"),
    ] {
        assert_eq!(source(&layers, key), expected, "{key}");
    }
    let (settings, _) = read(&[], "").unwrap();
    let expected = ServeSettings {
        config: settings.config.clone(),
        ..ServeSettings::default()
    };
    assert_eq!(settings, expected);
}

#[test]
fn faults_are_told_with_file_line_and_key() {
    let check = |file: &str, expected: &str| {
        let told = read(&[], file).unwrap_err();
        assert!(told.starts_with(expected), "{told}");
    };
    check("\nlisten-on = 1\n", "F:2: listen-on: there is no such setting");
    check(
        "config = \"other.toml\"\n",
        "F:1: config: there is no such setting",
    );
    check("help = true\n", "F:1: help: there is no such setting");
    check("streams-max = \"many\"\n", "F:1: streams-max: invalid digit");
    check(
        "log-format = \"xml\"\n",
        "F:1: log-format: expected one of text, json",
    );
    check("log-filter = \"dossier=loud\"\n", "F:1: log-filter: ");
    check(
        "query-timeout-max = 60\n",
        "F:1: query-timeout-max: expected a duration with its unit",
    );
    check("insecure = \"yes\"\n", "F:1: insecure: expected true or false");
    check("listen = true\n", "F:1: listen: expected one text or number");
    check(
        "listen = [\"127.0.0.1:1\"]\n",
        "F:1: listen: expected one text or number",
    );
    check(
        "streams-max = 1\ntls-cert = \"c\"\n",
        "F:2: tls-cert: it needs --tls-key",
    );
    // All at once, and never with the value.
    let told = read(&[], "streams-max = \"canary\"\ntoken = \"canary\"\n").unwrap_err();
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(!told.contains("canary"), "{told}");
    // Also where a flag overrules it.
    let told = read(&["--streams-max", "1"], "streams-max = 0.5\n").unwrap_err();
    assert!(
        told.starts_with("F:1: streams-max: expected a whole number"),
        "{told}"
    );
}

#[test]
fn a_wrong_command_line_stays_its_own_fault() {
    let told = read(&["--bogus"], "streams-max = 1\n").unwrap_err();
    assert!(told.contains("unexpected argument '--bogus'"), "{told}");
    let told = read(&["--watchers-max", "x"], "streams-max = 1\n").unwrap_err();
    assert!(told.contains("'--watchers-max <WATCHES>'"), "{told}");
}
