//! The policy: which roles there are, what each may do, and who has which.

use std::{collections::BTreeMap, fmt, fs, io, path::Path, sync::Mutex, sync::PoisonError};

use toml::{Spanned, de::DeTable, de::DeValue};

use super::{Caller, Credential};
use crate::model::{
    access::{Access, GraphSet},
    iri,
};

/// More than anybody writes by hand.
const BYTES_MAX: u64 = 1 << 20;
/// Callers whose access is kept at hand.
const KNOWN_CALLER_COUNT_MAX: usize = 4_096;
/// Stands for everybody in the table of subjects.
const EVERYBODY: &str = "*";
/// Stands for all graphs, or at the end of a name for all that begin so.
const ANY: &str = "*";
const DEFAULT: &str = "default";

/// What roles may do, and who has which. Whoever has none may do nothing.
#[derive(Debug)]
pub struct Policy {
    roles: BTreeMap<String, Role>,
    subjects: BTreeMap<String, Vec<String>>,
    /// By identity and roles of the credential.
    known: Mutex<BTreeMap<String, Vec<Known>>>,
}

/// The roles of a credential, and what they come to.
type Known = (Vec<String>, Option<Access>);

/// What a role may do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Role {
    reads: GraphSet,
    writes: GraphSet,
    is_admin: bool,
    has_metrics: bool,
}

/// Why a policy cannot be used: every fault of its file, with its line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyError {
    path: String,
    faults: Vec<Fault>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Fault {
    /// From 1; none if it is the file as a whole.
    line: Option<usize>,
    message: String,
}

impl std::error::Error for PolicyError {}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Fault { line, message }) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match line {
                Some(line) => write!(f, "{}:{line}: {message}", self.path)?,
                None => write!(f, "{}: {message}", self.path)?,
            }
        }
        Ok(())
    }
}

impl Default for Policy {
    /// Returns the roles that there are without a file: `read` and `write` of all graphs, `metrics`, and `admin`.
    fn default() -> Self {
        let role = |reads, writes, is_admin| Role {
            reads,
            writes,
            is_admin,
            has_metrics: false,
        };
        let metrics = Role {
            has_metrics: true,
            ..Role::default()
        };
        let (all, none) = (GraphSet::everything, GraphSet::default);
        let roles = [
            ("read", role(all(), none(), false)),
            ("write", role(all(), all(), false)),
            ("metrics", metrics),
            ("admin", role(all(), all(), true)),
        ];
        Self {
            roles: roles.map(|(name, role)| (name.to_owned(), role)).into(),
            subjects: BTreeMap::new(),
            known: Mutex::default(),
        }
    }
}

impl Policy {
    /// Reads a file. All that is wrong with it is told at once.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let error = |faults| PolicyError {
            path: path.display().to_string(),
            faults,
        };
        let whole = |message| {
            let line = None;
            error(vec![Fault { line, message }])
        };
        let unreadable = |error: io::Error| whole(format!("cannot be read: {error}"));
        if fs::metadata(path).map_err(unreadable)?.len() > BYTES_MAX {
            return Err(whole(format!("is larger than {} MiB", BYTES_MAX >> 20)));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text).map_err(error)
    }

    fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let line_of = |at: usize| 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count();
        let table = DeTable::parse(text).map_err(|error| {
            vec![Fault {
                line: error.span().map(|span| line_of(span.start)),
                message: error.message().replace('\n', ", "),
            }]
        })?;
        let mut reading = Reading {
            line_of: &line_of,
            policy: Self::default(),
            faults: Vec::new(),
        };
        reading.policy(table.get_ref());
        let Reading {
            policy, mut faults, ..
        } = reading;
        if faults.is_empty() {
            return Ok(policy);
        }
        faults.sort_by_key(|fault| fault.line);
        Err(faults)
    }

    /// Returns what a caller may do; `None`: nothing. Where nobody is asked who they are, everybody may do everything.
    pub fn access(&self, caller: &Caller) -> Option<Access> {
        if caller.credential == Credential::None {
            return Some(Access::everything());
        }
        let identity = identity(caller);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.get(&identity).and_then(|known| {
            let mut same = known.iter().filter(|(roles, _)| *roles == caller.roles);
            same.next()
        }) {
            return same.1.clone();
        }
        let access = self.find_access(&identity, caller);
        // Subjects of JWTs are as many as there are users.
        if known.len() >= KNOWN_CALLER_COUNT_MAX {
            known.clear();
        }
        let of_identity = known.entry(identity).or_default();
        of_identity.truncate(7);
        of_identity.push((caller.roles.clone(), access.clone()));
        access
    }

    fn find_access(&self, identity: &str, caller: &Caller) -> Option<Access> {
        let names = self.role_names(identity, &caller.roles);
        let mut roles = names.iter().filter_map(|name| self.roles.get(*name)).peekable();
        roles.peek()?;
        let mut all = Role::default();
        for role in roles {
            all.reads.add_all(&role.reads);
            all.writes.add_all(&role.writes);
            all.is_admin |= role.is_admin;
            all.has_metrics |= role.has_metrics;
        }
        let access = Access::new(identity, all.reads, all.writes, all.is_admin).by(caller.author());
        Some(if all.has_metrics {
            access.with_metrics()
        } else {
            access
        })
    }

    /// Returns the names of all roles that somebody has, known or not: those of the credential, and those by the file.
    fn role_names<'p>(&'p self, identity: &str, roles: &'p [String]) -> Vec<&'p str> {
        let all_of_kind = identity
            .split_once(':')
            .map(|(kind, _)| format!("{kind}:{EVERYBODY}"));
        let subjects = [Some(identity), all_of_kind.as_deref(), Some(EVERYBODY)];
        let by_file = subjects
            .into_iter()
            .flatten()
            .filter_map(|subject| self.subjects.get(subject));
        let mut names = Vec::new();
        for name in roles.iter().chain(by_file.flatten()) {
            if !names.contains(&name.as_str()) {
                names.push(name.as_str());
            }
        }
        names
    }

    /// Returns how many roles the policy has, those without a file included, and to how many subjects it gives some.
    pub fn counts(&self) -> (usize, usize) {
        (self.roles.len(), self.subjects.len())
    }

    /// Says what somebody with these roles may do: a line for each thing.
    pub fn explain(&self, identity: &str, roles: &[String]) -> Vec<String> {
        let names = self.role_names(identity, roles);
        let mut lines = Vec::new();
        for name in names {
            let Some(role) = self.roles.get(name) else {
                lines.push(format!("role {name}: there is none, it gives nothing"));
                continue;
            };
            if role.is_admin {
                lines.push(format!("role {name}: administers, reads and writes all graphs"));
                continue;
            }
            let metrics = if role.has_metrics { ", sees /metrics" } else { "" };
            lines.push(format!(
                "role {name}: reads {}, writes {}{metrics}",
                role.reads, role.writes
            ));
        }
        if lines.is_empty() {
            lines.push("no role: every request is denied".to_owned());
        }
        lines
    }
}

/// Returns the name by which the policy knows a caller: the kind of the credential, and the subject. Two kinds may have the
/// same names for different people.
fn identity(caller: &Caller) -> String {
    format!("{}:{}", caller.credential.name(), caller.subject)
}

/// A policy that is being read.
struct Reading<'t> {
    line_of: &'t dyn Fn(usize) -> usize,
    policy: Policy,
    faults: Vec<Fault>,
}

type Value<'t> = Spanned<DeValue<'t>>;

impl Reading<'_> {
    fn fault(&mut self, at: usize, message: impl Into<String>) {
        self.faults.push(Fault {
            line: Some((self.line_of)(at)),
            message: message.into(),
        });
    }

    fn policy(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            let at = key.span().start;
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("roles", DeValue::Table(roles)) => self.roles(roles),
                // Read below: it names roles, which may come after it.
                ("subjects", DeValue::Table(_)) => {}
                (name @ ("roles" | "subjects"), _) => self.fault(at, format!("`{name}` must be a table")),
                (name, _) => self.fault(
                    at,
                    format!("`{name}` is unknown: there are `roles` and `subjects`"),
                ),
            }
        }
        if let Some(DeValue::Table(subjects)) = table.get("subjects").map(Spanned::get_ref) {
            self.subjects(subjects);
        }
    }

    fn roles(&mut self, roles: &DeTable<'_>) {
        for (name, value) in roles {
            let at = name.span().start;
            let DeValue::Table(rights) = value.get_ref() else {
                self.fault(at, format!("role `{}` must be a table", name.get_ref()));
                continue;
            };
            let mut role = Role::default();
            for (right, value) in rights {
                let at = right.span().start;
                match (right.get_ref().as_ref(), value.get_ref()) {
                    ("read", _) => role.reads = self.graphs(value),
                    ("write", _) => role.writes = self.graphs(value),
                    ("admin", DeValue::Boolean(is_admin)) => role.is_admin = *is_admin,
                    ("metrics", DeValue::Boolean(has_metrics)) => role.has_metrics = *has_metrics,
                    (name @ ("admin" | "metrics"), _) => {
                        self.fault(at, format!("`{name}` must be true or false"));
                    }
                    (other, _) => {
                        let message = format!(
                            "`{other}` is unknown: a role has `read`, `write`, `metrics` and `admin`"
                        );
                        self.fault(at, message);
                    }
                }
            }
            self.policy.roles.insert(name.get_ref().to_string(), role);
        }
    }

    fn subjects(&mut self, subjects: &DeTable<'_>) {
        for (subject, value) in subjects {
            let at = subject.span().start;
            let name = subject.get_ref();
            let kinds = [Credential::Token, Credential::Jwt, Credential::Certificate].map(Credential::name);
            let is_known = name
                .split_once(':')
                .is_some_and(|(kind, _)| kinds.contains(&kind));
            if !is_known && name != EVERYBODY {
                let message = format!(
                    "`{name}` is nobody: write `token:NAME`, `jwt:SUBJECT` or `certificate:NAME`, with `*` for all of a kind, or `*`"
                );
                self.fault(at, message);
            }
            let roles = self.texts(value, "names of roles");
            for (at, role) in &roles {
                if !self.policy.roles.contains_key(role) {
                    self.fault(*at, format!("there is no role `{role}`"));
                }
            }
            let roles = roles.into_iter().map(|(_, role)| role).collect();
            self.policy.subjects.insert(name.to_string(), roles);
        }
    }

    fn graphs(&mut self, value: &Value<'_>) -> GraphSet {
        let mut set = GraphSet::default();
        for (at, name) in self.texts(value, "graphs") {
            if let Err(message) = add_graph(&mut set, &name) {
                self.fault(at, message);
            }
        }
        set
    }

    /// Returns texts and where they are.
    fn texts(&mut self, value: &Value<'_>, what: &str) -> Vec<(usize, String)> {
        let DeValue::Array(values) = value.get_ref() else {
            self.fault(value.span().start, format!("expected a list of {what}"));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for value in values {
            let at = value.span().start;
            match value.get_ref() {
                DeValue::String(text) => texts.push((at, text.to_string())),
                _ => self.fault(at, format!("expected {what}, as texts")),
            }
        }
        texts
    }
}

fn add_graph(set: &mut GraphSet, name: &str) -> Result<(), String> {
    if name == ANY {
        set.add_all(&GraphSet::everything());
    } else if name == DEFAULT {
        set.add_default();
    } else if let Some(beginning) = name.strip_suffix(ANY) {
        // Something must follow for it to be a whole IRI.
        let whole = format!("{beginning}x");
        let whole =
            iri::resolve(&whole).map_err(|error| format!("no graphs begin with `{beginning}`: {error}"))?;
        set.add_prefix(&whole[..whole.len() - 1]);
    } else {
        let graph = iri::resolve(name).map_err(|error| error.to_string())?;
        set.add(&graph);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
