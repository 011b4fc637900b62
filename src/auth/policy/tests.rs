use super::*;

const POLICY: &str = r#"
[roles.editor]
read = ["default"]
write = ["https://example.org/team/*", "<urn:x:one>"]

[roles.operator]
admin = true

[roles.monitoring]
metrics = true

[roles.analyst]
read = ["g:sources", "e:a"]

[subjects]
"jwt:alice" = ["editor", "analyst"]
"token:ci" = ["operator"]
"certificate:*" = ["read"]
"*" = ["analyst"]
"#;

fn caller(credential: Credential, subject: &str, roles: &[&str]) -> Caller {
    Caller {
        subject: subject.to_owned(),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        credential,
    }
}

#[test]
fn roles_give_what_they_say_and_nothing_else() {
    let policy = Policy::parse(POLICY).unwrap();
    let alice = policy.access(&caller(Credential::Jwt, "alice", &[])).unwrap();
    assert!(alice.reads().has_default() && !alice.writes().has_default());
    for (graph, reads, writes) in [
        ("https://example.org/team/a", true, true),
        ("https://example.org/other", false, false),
        ("urn:x:one", true, true),
        ("urn:x:one/more", false, false),
        ("https://w3id.org/dossier/e/a", true, false),
    ] {
        let found = (alice.reads().has_named(graph), alice.writes().has_named(graph));
        assert_eq!(found, (reads, writes), "{graph}");
    }
    assert!(!alice.is_admin());
    assert_eq!((alice.subject(), alice.author()), ("jwt:alice", "alice"));
    // The same name in another kind of credential is somebody else.
    let other = policy.access(&caller(Credential::Token, "alice", &[])).unwrap();
    assert!(other.writes().is_empty());
    assert!(
        policy
            .access(&caller(Credential::Token, "ci", &[]))
            .unwrap()
            .is_admin()
    );
    let by_certificate = policy
        .access(&caller(Credential::Certificate, "ci", &[]))
        .unwrap();
    assert!(by_certificate.reads().is_everything() && !by_certificate.is_admin());
}

#[test]
fn whoever_has_no_known_role_may_do_nothing() {
    let policy = Policy::default();
    let access = |roles: &[&str]| policy.access(&caller(Credential::Token, "t", roles));
    assert!(access(&[]).is_none());
    assert!(access(&["nobody"]).is_none());
    assert!(access(&["nobody", "read"]).unwrap().reads().is_everything());
    assert!(access(&["read"]).unwrap().writes().is_empty());
    assert!(access(&["write"]).unwrap().writes().is_everything());
    assert!(!access(&["write"]).unwrap().is_admin());
    assert!(access(&["admin"]).unwrap().is_admin());
    let metrics = access(&["metrics"]).unwrap();
    assert!(metrics.may_scrape() && metrics.reads().is_empty() && metrics.writes().is_empty());
    assert!(access(&["admin"]).unwrap().may_scrape() && !access(&["write"]).unwrap().may_scrape());
    // Asked again, and with others in between.
    assert!(access(&[]).is_none());
    assert!(policy.access(&Caller::anonymous()).unwrap().is_admin());
}

#[test]
fn the_roles_without_a_file_can_be_narrowed() {
    let policy = Policy::parse("[roles.read]\nread = [\"default\"]\n[roles.admin]\n").unwrap();
    let access = |role: &str| policy.access(&caller(Credential::Token, "t", &[role])).unwrap();
    assert!(access("read").reads().has_default() && !access("read").reads().is_everything());
    assert!(!access("admin").is_admin() && access("admin").reads().is_empty());
    assert!(access("write").writes().is_everything());
}

#[test]
fn a_policy_explains_itself() {
    let policy = Policy::parse(POLICY).unwrap();
    assert_eq!(
        policy.explain("jwt:alice", &["nobody".to_owned()]),
        [
            "role nobody: there is none, it gives nothing",
            "role editor: reads the default graph, writes <urn:x:one>, <https://example.org/team/>*",
            "role analyst: reads the default graph, <https://w3id.org/dossier/e/a>, writes nothing",
        ]
    );
    assert_eq!(
        Policy::default().explain("token:p", &["metrics".to_owned()]),
        ["role metrics: reads nothing, writes nothing, sees /metrics"]
    );
    assert_eq!(
        Policy::default().explain("jwt:a", &[]),
        ["no role: every request is denied"]
    );
}

#[test]
fn every_fault_is_told_with_its_line() {
    let check = |text: &str, expected: &[&str]| {
        let faults = Policy::parse(text).unwrap_err();
        let path = "policy.toml".to_owned();
        let told = PolicyError { path, faults }.to_string();
        assert_eq!(told.lines().collect::<Vec<_>>(), expected, "{text}");
    };
    check(
        "rolls = 1\n[roles.a]\nread = [\"nope:x\", 7,\n\"<>\"]\nwrites = []\nadmin = 1\nmetrics = 1\n[subjects]\nbob = [\"b\"]\n",
        &[
            "policy.toml:1: `rolls` is unknown: there are `roles` and `subjects`",
            "policy.toml:3: expected graphs, as texts",
            "policy.toml:3: unknown prefix `nope` in `nope:x`",
            "policy.toml:4: `<>` is not an absolute IRI: No scheme found in an absolute IRI",
            "policy.toml:5: `writes` is unknown: a role has `read`, `write`, `metrics` and `admin`",
            "policy.toml:6: `admin` must be true or false",
            "policy.toml:7: `metrics` must be true or false",
            "policy.toml:9: `bob` is nobody: write `token:NAME`, `jwt:SUBJECT` or `certificate:NAME`, with `*` for all of a kind, or `*`",
            "policy.toml:9: there is no role `b`",
        ],
    );
    check("roles = 1\n", &["policy.toml:1: `roles` must be a table"]);
    check("[roles]\na = 1\n", &["policy.toml:2: role `a` must be a table"]);
    check(
        "[roles.a]\nread = \"*\"\n",
        &["policy.toml:2: expected a list of graphs"],
    );
    check(
        "[roles.a]\nread = [\"x*\"]\n",
        &[
            "policy.toml:2: no graphs begin with `x`: `xx` is not an absolute IRI: it has neither a scheme nor a prefix",
        ],
    );
    let twice = Policy::parse("[roles.a]\n[roles.a]\n").unwrap_err();
    assert_eq!(twice[0].line, Some(2));
    let missing = Policy::read(Path::new("/nowhere/policy.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("/nowhere/policy.toml: cannot be read: "),
        "{missing}"
    );
}
