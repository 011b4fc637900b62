use clap::{Parser, builder::Resettable};

use super::*;

/// The largest number that the API can tell.
const INT64_MAX: u64 = i64::MAX as u64;

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    settings: ServeSettings,
}

/// Parses flags without regard to the environment of the test.
fn parse(flags: &[&str]) -> Result<ServeSettings, clap::Error> {
    use clap::{CommandFactory as _, FromArgMatches as _};

    let command = Serve::command().mut_args(|arg| arg.env(Resettable::Reset));
    let matches = command.try_get_matches_from([&["serve"], flags].concat())?;
    Serve::from_arg_matches(&matches).map(|serve| serve.settings)
}

#[test]
fn no_flags_are_the_default() {
    let settings = parse(&[]).unwrap();
    assert_eq!(settings, ServeSettings::default());
    assert_eq!(settings.validate(), Ok(()));
}

#[test]
fn flags_are_read() {
    let settings = parse(&[
        "--listen=[::1]:0",
        "--data-dir=/var/lib/dossier",
        "--no-shipped-data",
        "--graph-memory-max=2GiB",
        "--query-timeout-max=500ms",
        "--query-size-max=2MiB",
        "--message-size-max=33554432",
        "--cors-origin=https://a.example,http://localhost:8080",
        "--cors-origin=*",
        "--service-allow=https://a.example/sparql,http://127.0.0.1:8080",
        "--load-allow=https://b.example/",
        "--remote-timeout=1s",
        "--remote-size-max=1MiB",
        "--log-format=json",
    ])
    .unwrap();
    assert_eq!(settings.listen, "[::1]:0".parse().unwrap());
    assert_eq!(settings.data_dir, PathBuf::from("/var/lib/dossier"));
    assert!(!settings.load_shipped_data);
    assert_eq!(settings.graph_memory_bytes_max, 2 << 30);
    assert_eq!(settings.query_timeout_max, Duration::from_millis(500));
    assert_eq!(settings.query_bytes_max, 2 * MIB);
    assert_eq!(settings.message_bytes_max, 32 * MIB);
    assert_eq!(
        settings.cors_origins,
        ["https://a.example", "http://localhost:8080", "*"]
    );
    let texts = |prefixes: &[UrlPrefix]| prefixes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        texts(&settings.service_allow),
        ["https://a.example/sparql", "http://127.0.0.1:8080/"]
    );
    assert_eq!(texts(&settings.load_allow), ["https://b.example/"]);
    assert_eq!(settings.remote_timeout, Duration::from_secs(1));
    assert_eq!(settings.remote_bytes_max, MIB);
    assert_eq!(settings.log_format, LogFormat::Json);
}

#[test]
fn bad_values_are_named_with_their_flag() {
    let check = |flag: &str, value: &str, hint: &str| {
        let error = parse(&[flag, value]).unwrap_err().to_string();
        assert!(
            error.contains(flag) && error.contains(value) && error.contains(hint),
            "{error}"
        );
    };
    check("--graph-memory-max", "2 sheep", "2GiB");
    check("--cors-origin", "https://a.example/path", "https://example.org");
    check("--cors-origin", "a.example", "https://example.org");
    check("--service-allow", "a.example", "https://example.org/sparql");
    check("--load-allow", "http://user@a.example/", "no user name");
    check("--graph-memory-max", "99999999EiB", "2GiB");
    check("--query-timeout-max", "60", "500ms");
    check("--listen", "localhost", "socket address");
    check("--log-format", "xml", "json");
    check("--as-of", "2019-02-29", "2019-08-27");
    check("--as-of", "yesterday", "today");
}

#[test]
fn sizes_have_units() {
    let check = |text: &str, expected: Option<u64>| assert_eq!(byte_size(text).ok(), expected, "{text}");
    check("0", Some(0));
    check("4096", Some(4096));
    check(" 512MiB ", Some(512 << 20));
    check("2GiB", Some(2 << 30));
    check("2 GiB", Some(2 << 30));
    check("2gb", Some(2_000_000_000));
    check("1.5KiB", Some(1536));
    check("", None);
    check("-1", None);
    check("1e3", None);
    check("GiB", None);
    check("18446744073709551615", None);
}

#[test]
fn only_loopback_is_safe() {
    let check = |listen: &str, safe: bool| {
        let listen: SocketAddr = listen.parse().unwrap();
        let settings = ServeSettings {
            listen,
            ..ServeSettings::default()
        };
        let expected = if safe {
            Ok(())
        } else {
            Err(SettingsError::Exposed(listen))
        };
        assert_eq!(settings.validate(), expected);
        assert_eq!(
            ServeSettings {
                insecure: true,
                ..settings
            }
            .validate(),
            Ok(())
        );
    };
    check("127.0.0.1:1", true);
    check("127.8.8.8:1", true);
    check("[::1]:1", true);
    check("[::ffff:127.0.0.1]:1", true);
    check("0.0.0.0:1", false);
    check("[::]:1", false);
    check("192.168.1.5:1", false);
    check("[::ffff:10.0.0.1]:1", false);
    let message = SettingsError::Exposed("0.0.0.0:1".parse().unwrap());
    assert!(message.to_string().contains("0.0.0.0:1"));
    assert!(message.hint().unwrap().contains("--insecure"));
}

#[test]
fn a_policy_needs_callers_who_are_known() {
    let check = |flags: &[&str], expected: Result<(), SettingsError>| {
        let settings = parse(&[&["--auth-policy=policy.toml"], flags].concat()).unwrap();
        assert_eq!(settings.validate(), expected, "{flags:?}");
    };
    let refused = || Err(SettingsError::PolicyForNobody);
    check(&[], refused());
    check(&["--insecure", "--listen=0.0.0.0:1"], refused());
    check(&["--auth-tokens=tokens.json"], Ok(()));
    let tls = ["--tls-cert=cert.pem", "--tls-key=key.pem"];
    check(&tls, refused());
    check(&[&tls[..], &["--tls-client-ca=ca.pem"]].concat(), Ok(()));
    let jwt = [
        "--auth-jwks=keys.json",
        "--auth-jwt-issuer=i",
        "--auth-jwt-audience=a",
    ];
    check(&jwt, Ok(()));
}

/// Sets a field to its least, its greatest, and one past each.
macro_rules! check {
    ($field:ident, $flag:literal, $min:expr, $max:expr, $one:expr) => {
        let with = |value| {
            let query_bytes_max = KIB;
            let message_bytes_max = 1024 * MIB;
            let settings = ServeSettings {
                query_bytes_max,
                message_bytes_max,
                ..ServeSettings::default()
            };
            ServeSettings {
                $field: value,
                ..settings
            }
            .validate()
        };
        for value in [$min, $max] {
            assert_eq!(with(value), Ok(()));
        }
        for value in [$min - $one, $max + $one] {
            let error = with(value).unwrap_err();
            assert!(
                matches!(&error, SettingsError::OutOfRange { flag: $flag, .. }),
                "{error}"
            );
        }
    };
}

#[test]
fn what_is_kept_of_the_log_has_limits() {
    let check = |age: Option<Duration>, bytes: Option<u64>, expected: Option<&str>| {
        let settings = ServeSettings {
            log_retention_age: age,
            log_retention_bytes: bytes,
            ..ServeSettings::default()
        };
        let found = settings.validate().err().map(|error| error.to_string());
        assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
        assert!(
            found
                .unwrap_or_default()
                .starts_with(expected.unwrap_or_default())
        );
    };
    let tick = Duration::from_nanos(999_999_999);
    let second = Duration::from_secs(1);
    check(None, None, None);
    check(Some(second), Some(MIB as u64), None);
    check(Some(tick), None, Some("--log-retention-age must be"));
    check(None, Some(MIB as u64 - 1), Some("--log-retention-size must be"));
    check(
        None,
        Some(i64::MAX as u64 + 1),
        Some("--log-retention-size must be"),
    );
}

#[test]
fn limits_have_limits() {
    let tick = Duration::from_nanos(1);
    let day = Duration::from_hours(24);
    check!(query_bytes_max, "query-size-max", KIB, 64 * MIB, 1);
    check!(message_bytes_max, "message-size-max", 64 * KIB, 1024 * MIB, 1);
    check!(query_nesting_max, "query-nesting-max", 1, 1_000, 1);
    check!(query_operator_count_max, "query-operators-max", 1, 4_000, 1);
    check!(query_clause_count_max, "query-clauses-max", 1, 1_000, 1);
    check!(query_pattern_count_max, "query-patterns-max", 1, 500, 1);
    check!(query_ambiguity_max, "query-ambiguity-max", 1, 14, 1);
    check!(query_iri_bytes_max, "query-iri-size-max", 256, 64 * KIB, 1);
    check!(query_concurrency_max, "query-concurrency-max", 1, 10_000, 1);
    check!(connection_count_max, "connections-max", 1, 1_000_000, 1);
    check!(stream_count_max, "streams-max", 1, 1_000_000, 1);
    check!(otlp_sample_one_in, "otlp-sample-one-in", 1, 1_000_000_000, 1);
    check!(watcher_count_max, "watchers-max", 1, 1_000_000, 1);
    check!(
        diff_memory_bytes_max,
        "diff-memory-max",
        MIB as u64,
        i64::MAX as u64,
        1
    );
    check!(
        watch_stall_max,
        "watch-stall-max",
        Duration::from_millis(1),
        day,
        tick
    );
    check!(
        log_retention_commit_count_min,
        "log-retention-commits-min",
        1,
        i64::MAX as u64,
        1
    );
    check!(remote_bytes_max, "remote-size-max", KIB, 1024 * MIB, 1);
    check!(
        remote_timeout,
        "remote-timeout",
        Duration::from_millis(1),
        day,
        tick
    );
    check!(
        query_timeout_max,
        "query-timeout-max",
        Duration::from_millis(1),
        day,
        tick
    );
    let settings = ServeSettings {
        drain_timeout: day + tick,
        ..ServeSettings::default()
    };
    assert!(
        settings
            .validate()
            .unwrap_err()
            .to_string()
            .contains("--drain-timeout must be from 0s to 1day")
    );
    for settings in [
        ServeSettings {
            query_memory_bytes_max: MIB as u64 - 1,
            ..ServeSettings::default()
        },
        ServeSettings {
            queries_memory_bytes_max: MIB as u64 - 1,
            ..ServeSettings::default()
        },
    ] {
        let error = settings.validate().unwrap_err().to_string();
        assert!(error.contains("-memory-max must be from 1.0 MiB"), "{error}");
    }
    let settings = ServeSettings {
        graph_memory_bytes_max: MIB as u64 - 1,
        ..ServeSettings::default()
    };
    assert!(
        settings
            .validate()
            .unwrap_err()
            .to_string()
            .contains("--graph-memory-max must be from 1.0 MiB")
    );
}

#[test]
fn limits_of_what_a_query_makes_have_limits() {
    check!(query_row_count_max, "query-row-count-max", 1, INT64_MAX, 1);
    check!(query_work_max, "query-work-max", 1, INT64_MAX, 1);
    check!(
        query_result_bytes_max,
        "query-result-size-max",
        KIB as u64,
        INT64_MAX,
        1
    );
    check!(literal_bytes_max, "literal-size-max", KIB, 256 * MIB, 1);
    check!(regex_text_bytes_max, "regex-text-size-max", KIB, 64 * MIB, 1);
    check!(regex_bytes_max, "regex-size-max", 4 * KIB, 16 * MIB, 1);
    check!(
        long_text_regex_bytes_max,
        "long-text-regex-size-max",
        4 * KIB,
        16 * MIB,
        1
    );
}

#[test]
fn a_query_fits_into_a_message() {
    let check = |query_bytes_max, message_bytes_max, fits: bool| {
        let settings = ServeSettings {
            query_bytes_max,
            message_bytes_max,
            ..ServeSettings::default()
        };
        assert_eq!(settings.validate().is_ok(), fits, "{settings:?}");
    };
    check(MIB - 1, MIB, true);
    check(MIB, MIB, false);
}
