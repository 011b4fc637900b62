//! Requests to write and to retract facts, checked.

use std::collections::{HashMap, HashSet};

use oxigraph::model::{GraphName, NamedNode, NamedOrBlankNode, Quad, Term};
use prost::Message;
use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::{MESSAGE_BYTES_MAX, REQUEST_ID_BYTES_MAX, fact::check_fact};
use crate::{
    facts::write::{NewFact, Precondition},
    grpc::{convert::term_from_proto, status::internal, validate::Violations},
    knowledge::RequestId,
    model::prefixes,
    proto::v1::{self, precondition::Condition},
};

/// Facts that one request writes or retracts.
const FACT_COUNT_MAX: usize = 10_000;
/// Preconditions of one request.
const PRECONDITION_COUNT_MAX: usize = 1_000;

/// A request whose content is valid in itself.
pub(super) struct Checked<T> {
    pub(super) content: T,
    pub(super) preconditions: Vec<Precondition>,
    pub(super) request_id: Option<RequestId>,
    pub(super) expected_revision: Option<u64>,
    pub(super) validate_only: bool,
    pub(super) message: String,
}

/// Checks facts to write. Those without an id get one, always the same for one request of its subject with a request id.
pub(super) fn check_write(
    mut request: v1::WriteFactsRequest,
    subject: &str,
) -> Result<Checked<Vec<NewFact>>, Status> {
    let mut violations = Violations::default();
    let terms = Terms {
        request_id: std::mem::take(&mut request.request_id),
        expected_revision: request.expected_revision.take(),
        validate_only: std::mem::take(&mut request.validate_only),
    };
    let request_id = terms.request_id("write", &request);
    let mut facts = Vec::new();
    if check_count(&mut violations, "facts", request.facts.len()) {
        let minted = Minted::new(request_id.clone().map(|request| request.of(subject)))?;
        for (index, fact) in request.facts.iter().enumerate() {
            let path = format!("facts[{index}]");
            facts.push(check_fact(fact, &path, || minted.id(index), &mut violations));
        }
        check_together(&facts, &mut violations);
    }
    let preconditions = check_preconditions(&mut violations, "preconditions", &request.preconditions);
    let content = facts.into_iter().flatten().collect();
    terms.finish(violations, content, preconditions, request_id, request.message)
}

/// Checks statements to retract.
pub(super) fn check_retract(mut request: v1::RetractFactsRequest) -> Result<Checked<Vec<NamedNode>>, Status> {
    let mut violations = Violations::default();
    let terms = Terms {
        request_id: std::mem::take(&mut request.request_id),
        expected_revision: request.expected_revision.take(),
        validate_only: std::mem::take(&mut request.validate_only),
    };
    let request_id = terms.request_id("retract", &request);
    let mut content = Vec::new();
    if check_count(&mut violations, "ids", request.ids.len()) {
        let mut seen = HashSet::new();
        for (index, name) in request.ids.iter().enumerate() {
            let path = format!("ids[{index}]");
            let Some(id) = violations.name(&path, name) else {
                continue;
            };
            if !seen.insert(id.clone()) {
                violations.invalid(&path, format!("<{}> is given twice", id.as_str()));
            }
            content.push(id);
        }
    }
    let preconditions = check_preconditions(&mut violations, "preconditions", &request.preconditions);
    terms.finish(violations, content, preconditions, request_id, request.message)
}

/// What both requests have, and what does not make another request of one.
struct Terms {
    request_id: String,
    expected_revision: Option<i64>,
    validate_only: bool,
}

impl Terms {
    /// Returns the request id with the fingerprint of the rest of the request.
    fn request_id(&self, kind: &str, request: &impl Message) -> Option<RequestId> {
        (!self.request_id.is_empty()).then(|| {
            let mut fingerprint = Sha256::new();
            fingerprint.update(kind);
            fingerprint.update(request.encode_to_vec());
            RequestId {
                id: self.request_id.clone(),
                fingerprint: fingerprint.finalize().into(),
            }
        })
    }

    fn finish<T>(
        self,
        mut violations: Violations,
        content: T,
        preconditions: Vec<Precondition>,
        request_id: Option<RequestId>,
        message: String,
    ) -> Result<Checked<T>, Status> {
        violations.text("request_id", &self.request_id, REQUEST_ID_BYTES_MAX);
        violations.text("message", &message, MESSAGE_BYTES_MAX);
        let expected_revision = self
            .expected_revision
            .map(|revision| violations.min_revision("expected_revision", revision));
        violations.finish()?;
        Ok(Checked {
            content,
            preconditions,
            request_id,
            expected_revision,
            validate_only: self.validate_only,
            message,
        })
    }
}

fn check_count(violations: &mut Violations, field: &str, count: usize) -> bool {
    let fits = (1..=FACT_COUNT_MAX).contains(&count);
    if !fits {
        violations.invalid(field, format!("from 1 to {FACT_COUNT_MAX}, not {count}"));
    }
    fits
}

/// Makes the ids of a request's facts.
struct Minted([u8; 32]);

impl Minted {
    fn new(request_id: Option<RequestId>) -> Result<Self, Status> {
        let mut seed = [0; 32];
        match request_id {
            Some(request) => {
                let mut digest = Sha256::new();
                digest.update(request.fingerprint);
                digest.update(request.id);
                seed = digest.finalize().into();
            }
            None => getrandom::fill(&mut seed).map_err(|error| internal(&error))?,
        }
        Ok(Self(seed))
    }

    /// Returns the id of the fact at an index: 128 bits, so that no two are the same.
    fn id(&self, index: usize) -> NamedNode {
        let mut digest = Sha256::new();
        digest.update(self.0);
        digest.update((index as u64).to_be_bytes());
        let digest: [u8; 32] = digest.finalize().into();
        let mut number = [0; 16];
        number.copy_from_slice(&digest[..16]);
        let namespace = prefixes::namespace("s").unwrap_or_default();
        NamedNode::new_unchecked(format!("{namespace}{:032x}", u128::from_be_bytes(number)))
    }
}

/// Checks what facts of one request say of the same statement or source. `None` for those that are faulty in themselves.
fn check_together(facts: &[Option<NewFact>], violations: &mut Violations) {
    let mut ids = HashMap::new();
    let mut revised = HashMap::new();
    let mut described = HashMap::new();
    for (index, fact) in facts.iter().enumerate() {
        let Some(fact) = fact else { continue };
        if let Some(first) = ids.insert(&fact.id, index) {
            violations.invalid(
                &format!("facts[{index}].id"),
                format!("facts[{first}] has it too"),
            );
        }
        if let Some(old) = &fact.revises
            && let Some(first) = revised.insert(old, index)
        {
            violations.invalid(
                &format!("facts[{index}].revises"),
                format!("facts[{first}] revises it too"),
            );
        }
        for (at, source) in fact.sources.iter().enumerate() {
            if source.title.is_empty() {
                continue;
            }
            let (first, title, publisher) =
                described
                    .entry(&source.iri)
                    .or_insert((index, &source.title, &source.publisher));
            let other = if **title != source.title {
                "title"
            } else if **publisher != source.publisher {
                "publisher"
            } else {
                continue;
            };
            violations.invalid(
                &format!("facts[{index}].sources[{at}].{other}"),
                format!("facts[{first}] gives another one"),
            );
        }
    }
}

/// Checks the preconditions of a field; what is wrong goes to `violations`.
pub(in crate::grpc) fn check_preconditions(
    violations: &mut Violations,
    field: &str,
    preconditions: &[v1::Precondition],
) -> Vec<Precondition> {
    if preconditions.len() > PRECONDITION_COUNT_MAX {
        violations.invalid(
            field,
            format!("at most {PRECONDITION_COUNT_MAX}, not {}", preconditions.len()),
        );
        return Vec::new();
    }
    let conditions = preconditions.iter().enumerate();
    let checked = conditions.filter_map(|(index, precondition)| {
        let path = format!("{field}[{index}]");
        match &precondition.condition {
            None => {
                violations.invalid(&path, "a precondition needs a condition");
                None
            }
            Some(Condition::LiveFact(id)) => violations
                .name(&format!("{path}.live_fact"), id)
                .map(Precondition::LiveFact),
            Some(Condition::AbsentFact(id)) => violations
                .name(&format!("{path}.absent_fact"), id)
                .map(Precondition::AbsentFact),
            Some(Condition::PresentQuad(quad)) => {
                check_quad(violations, &format!("{path}.present_quad"), quad).map(Precondition::PresentQuad)
            }
            Some(Condition::AbsentQuad(quad)) => {
                check_quad(violations, &format!("{path}.absent_quad"), quad).map(Precondition::AbsentQuad)
            }
        }
    });
    checked.collect()
}

fn check_quad(violations: &mut Violations, path: &str, quad: &v1::Quad) -> Option<Quad> {
    let mut term = |term: &Option<v1::Term>, name: &str| {
        let field = format!("{path}.{name}");
        let Some(term) = term else {
            violations.invalid(&field, "required");
            return None;
        };
        term_from_proto(term, &field, violations)
    };
    let (subject, object) = (term(&quad.subject, "subject"), term(&quad.object, "object"));
    let predicate = violations.name(&format!("{path}.predicate"), &quad.predicate);
    let graph = match &quad.graph {
        None => Some(GraphName::DefaultGraph),
        Some(graph) => {
            let field = format!("{path}.graph");
            match term_from_proto(graph, &field, violations) {
                None => None,
                Some(Term::NamedNode(node)) => Some(node.into()),
                Some(Term::BlankNode(node)) => Some(node.into()),
                Some(Term::Literal(_) | Term::Triple(_)) => {
                    violations.invalid(&field, "a graph is an IRI or a blank node");
                    None
                }
            }
        }
    };
    let Ok(subject) = NamedOrBlankNode::try_from(subject?) else {
        violations.invalid(&format!("{path}.subject"), "a subject is an IRI or a blank node");
        return None;
    };
    Some(Quad::new(subject, predicate?, object?, graph?))
}
