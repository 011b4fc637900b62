//! One fact to write, checked.

use std::time::{SystemTime, UNIX_EPOCH};

use oxigraph::model::{Literal, NamedNode, NamedOrBlankNode, Term};

use crate::{
    facts::write::{NewFact, NewSource, OWN_PROPERTIES},
    grpc::{
        convert::{standing_from_proto, term_from_proto},
        validate::Violations,
    },
    model::{
        day::Day,
        edtf::Bounds,
        fact::{Basis, Stance, Standing, UnixTime},
        iri,
        validity::Validity,
        vocabulary,
    },
    proto::v1::{self, ErrorReason},
};

/// Sources, qualifiers or disputed statements of one fact.
const PART_COUNT_MAX: usize = 100;
/// What `google.protobuf.Timestamp` can be: the years 1 to 9999.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Checks a fact; what is wrong goes to `violations` under `path`. `mint` makes its id if it has none.
pub(super) fn check_fact(
    fact: &v1::Fact,
    path: &str,
    mint: impl FnOnce() -> NamedNode,
    violations: &mut Violations,
) -> Option<NewFact> {
    let mut check = Check { path, violations };
    let id = match fact.id.as_str() {
        "" => Some(mint()),
        name => check.node("id", name),
    };
    let subject = check.node("subject", &fact.subject);
    let predicate = check.node("predicate", &fact.predicate);
    let object = check.object(fact.object.as_ref());
    let judgement = check.judgement(fact);
    let confidence = check.confidence(fact.confidence);
    let attributed_to = check.optional_node("attributed_to", &fact.attributed_to);
    let time = check.valid_time(fact.valid_time.as_ref());
    let qualifiers = check.qualifiers(&fact.qualifiers);
    let sources = check.sources(&fact.sources, judgement.map(|(_, _, basis)| basis));
    let recorded_at = check.recorded_at(fact.recorded_at.as_ref());
    if fact.retracted_at.is_some() {
        check.invalid(
            "retracted_at",
            "what is written is live: leave it out, or do not write the fact",
        );
    }
    let disputes = check.disputes(&fact.disputes);
    let revises = check.optional_node("revises", &fact.revises);
    let (standing, stance, basis) = judgement?;
    let (edtf, [valid_from, valid_until], observed_on) = time?;
    Some(NewFact {
        id: id?,
        subject: subject?,
        predicate: predicate?,
        object: object?,
        standing,
        stance,
        basis,
        is_negated: fact.negated,
        confidence: confidence?,
        attributed_to: attributed_to?,
        edtf,
        valid_from,
        valid_until,
        observed_on,
        qualifiers: qualifiers?,
        sources: sources?,
        recorded_at: recorded_at?,
        disputes: disputes?,
        revises: revises?,
    })
}

/// EDTF, the days that follow from it, and the day of the observation.
type Time = (Option<String>, [Option<String>; 2], Option<String>);

/// Checks fields. `None` if there is a violation.
struct Check<'a> {
    path: &'a str,
    violations: &'a mut Violations,
}

impl Check<'_> {
    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn invalid(&mut self, name: &str, description: impl Into<String>) {
        let field = self.field(name);
        self.violations.invalid(&field, description);
    }

    /// Resolves a required name of something that can be named again.
    fn node(&mut self, name: &str, text: &str) -> Option<NamedNode> {
        if text.starts_with("_:") {
            self.invalid(name, "a blank node cannot be named again: give it an IRI");
            return None;
        }
        let node = self.violations.name(&self.field(name), text)?;
        if node.as_str() == vocabulary::SOME_VALUE {
            self.invalid(name, "only an object exists and is unknown");
            return None;
        }
        Some(node)
    }

    #[expect(clippy::option_option, reason = "the outer one is whether it is valid")]
    fn optional_node(&mut self, name: &str, text: &str) -> Option<Option<NamedNode>> {
        if text.is_empty() {
            Some(None)
        } else {
            self.node(name, text).map(Some)
        }
    }

    fn object(&mut self, object: Option<&v1::Term>) -> Option<Term> {
        let Some(object) = object else {
            self.invalid("object", "required; `d:SomeValue` if it exists and is unknown");
            return None;
        };
        match term_from_proto(object, &self.field("object"), self.violations)? {
            Term::BlankNode(_) => {
                let description =
                    "a blank node cannot be named again: give it an IRI, or `d:SomeValue` if it is unknown";
                self.invalid("object.blank_node", description);
                None
            }
            Term::Triple(_) => {
                self.invalid(
                    "object.triple",
                    "an object is an IRI or a literal; name the statement instead",
                );
                None
            }
            object => Some(object),
        }
    }

    fn judgement(&mut self, fact: &v1::Fact) -> Option<(Standing, Stance, Basis)> {
        let stance = match v1::Stance::try_from(fact.stance) {
            Ok(v1::Stance::Unspecified | v1::Stance::Asserted) => Some(Stance::Asserted),
            Ok(v1::Stance::Attributed) => Some(Stance::Attributed),
            Ok(v1::Stance::Reported) => Some(Stance::Reported),
            Ok(v1::Stance::Planned) => Some(Stance::Planned),
            Ok(v1::Stance::Projected) => Some(Stance::Projected),
            Ok(v1::Stance::Opinion) => Some(Stance::Opinion),
            Err(_) => {
                self.invalid("stance", format!("{} is no stance", fact.stance));
                None
            }
        };
        let standing = match standing_from_proto(fact.standing) {
            Some(None) if stance == Some(Stance::Asserted) => Some(Standing::Accepted),
            Some(None) => Some(Standing::Unconfirmed),
            Some(standing) => standing,
            None => {
                self.invalid("standing", format!("{} is no standing", fact.standing));
                None
            }
        };
        let basis = match v1::Basis::try_from(fact.basis) {
            Ok(v1::Basis::Unspecified | v1::Basis::Stated) => Some(Basis::Stated),
            Ok(v1::Basis::Inferred) => Some(Basis::Inferred),
            Ok(v1::Basis::Background) => Some(Basis::Background),
            Err(_) => {
                self.invalid("basis", format!("{} is no basis", fact.basis));
                None
            }
        };
        let (standing, stance, basis) = (standing?, stance?, basis?);
        if matches!(standing, Standing::Preferred | Standing::Accepted) && stance != Stance::Asserted {
            let description = "only what a source asserts (STANCE_ASSERTED) is accepted or preferred; else unconfirmed, disputed \
                 or rejected";
            self.invalid("standing", description);
            return None;
        }
        Some((standing, stance, basis))
    }

    #[expect(clippy::option_option, reason = "the outer one is whether it is valid")]
    fn confidence(&mut self, confidence: Option<f64>) -> Option<Option<f64>> {
        match confidence {
            Some(number) if !(0.0..=1.0).contains(&number) => {
                self.invalid("confidence", format!("from 0 to 1, not {number}"));
                None
            }
            confidence => Some(confidence),
        }
    }

    fn valid_time(&mut self, time: Option<&v1::ValidTime>) -> Option<Time> {
        let Some(time) = time else {
            return Some((None, [None, None], None));
        };
        let observed_on = self.observed_on(&time.observed_on);
        let bounds = if time.edtf.is_empty() {
            Some(None)
        } else {
            self.edtf(&time.edtf).map(Some)
        }?;
        let excluded = bounds.zip(observed_on.as_ref().and_then(|day| day.as_deref()?.parse().ok()));
        if let Some((_, day)) = excluded.filter(|(bounds, day)| Validity::excludes(*bounds, *day)) {
            let description = format!("{day} is outside of `edtf`, which says that it did not hold then");
            self.invalid("valid_time.observed_on", description);
            return None;
        }
        let mut day = |name: &str, sent: &str, follows: Option<Day>| {
            let follows = follows.map(|day| day.to_string());
            if !sent.is_empty() && follows.as_deref() != Some(sent) {
                let description = match &follows {
                    Some(day) => format!("it follows from `edtf`, and is {day}, not {sent}; leave it out"),
                    None => format!("it follows from `edtf`, which gives none; it is not {sent}"),
                };
                self.invalid(&format!("valid_time.{name}"), description);
                return None;
            }
            Some(follows)
        };
        let valid_from = day(
            "valid_from",
            &time.valid_from,
            bounds.and_then(|bounds| bounds.valid_from()),
        );
        let valid_until = day(
            "valid_until",
            &time.valid_until,
            bounds.and_then(|bounds| bounds.valid_until()),
        );
        let edtf = bounds.map(|_| time.edtf.clone());
        Some((edtf, [valid_from?, valid_until?], observed_on?))
    }

    fn edtf(&mut self, text: &str) -> Option<Bounds> {
        match text.parse::<Bounds>() {
            Ok(bounds) => Some(bounds),
            Err(error) => {
                let field = self.field("valid_time.edtf");
                self.violations
                    .add(ErrorReason::InvalidEdtf, &field, error.to_string());
                None
            }
        }
    }

    #[expect(clippy::option_option, reason = "the outer one is whether it is valid")]
    fn observed_on(&mut self, text: &str) -> Option<Option<String>> {
        if text.is_empty() {
            return Some(None);
        }
        // The shortest form alone: it comes out as it went in.
        if text.parse::<Day>().is_ok_and(|day| day.to_string() == text) {
            return Some(Some(text.to_owned()));
        }
        let description = format!("`{text}` is not a date such as 2019-08-27");
        self.invalid("valid_time.observed_on", description);
        None
    }

    fn is_too_many(&mut self, name: &str, count: usize) -> bool {
        if count > PART_COUNT_MAX {
            self.invalid(name, format!("at most {PART_COUNT_MAX}, not {count}"));
        }
        count > PART_COUNT_MAX
    }

    fn qualifiers(&mut self, qualifiers: &[v1::Qualifier]) -> Option<Vec<(NamedNode, Term)>> {
        if self.is_too_many("qualifiers", qualifiers.len()) {
            return None;
        }
        let mut checked = Vec::with_capacity(qualifiers.len());
        for (index, qualifier) in qualifiers.iter().enumerate() {
            let path = format!("qualifiers[{index}]");
            let property = self
                .node(&format!("{path}.property"), &qualifier.property)
                .filter(|property| {
                    let is_own = OWN_PROPERTIES.contains(&property.as_str());
                    if is_own {
                        self.invalid(
                            &format!("{path}.property"),
                            format!(
                                "<{}> is no qualifier: a fact has a field for it",
                                property.as_str()
                            ),
                        );
                    }
                    !is_own
                });
            let value = self.qualifier_value(&format!("{path}.value"), qualifier.value.as_ref());
            checked.extend(property.zip(value));
        }
        (checked.len() == qualifiers.len()).then_some(checked)
    }

    fn qualifier_value(&mut self, name: &str, value: Option<&v1::Term>) -> Option<Term> {
        let Some(value) = value else {
            self.invalid(name, "required");
            return None;
        };
        let value = term_from_proto(value, &self.field(name), self.violations)?;
        if has_blank_node(&value) {
            self.invalid(name, "a blank node cannot be named again: give it an IRI");
            return None;
        }
        Some(value)
    }

    fn sources(&mut self, sources: &[v1::Source], basis: Option<Basis>) -> Option<Vec<NewSource>> {
        if sources.is_empty() && basis != Some(Basis::Inferred) {
            self.invalid(
                "sources",
                "at least one, unless the basis is inference (BASIS_INFERRED)",
            );
            return None;
        }
        if self.is_too_many("sources", sources.len()) {
            return None;
        }
        let mut checked: Vec<NewSource> = Vec::with_capacity(sources.len());
        let mut is_valid = true;
        for (index, source) in sources.iter().enumerate() {
            let path = format!("sources[{index}]");
            if sources.len() > 1 && !source.locator.is_empty() {
                let description = "with several sources nothing would tell whose place it is: write a fact for each source, \
                                   or leave the locators out";
                self.invalid(&format!("{path}.locator"), description);
                is_valid = false;
            }
            let Some(iri) = self.node(&format!("{path}.iri"), &source.iri) else {
                is_valid = false;
                continue;
            };
            if checked.iter().any(|other| other.iri == iri) {
                self.invalid(&format!("{path}.iri"), "the source is given twice");
                is_valid = false;
            }
            checked.push(NewSource {
                iri,
                title: source.title.clone(),
                publisher: publisher(&source.publisher),
                locator: source.locator.clone(),
            });
        }
        is_valid.then_some(checked)
    }

    #[expect(clippy::option_option, reason = "the outer one is whether it is valid")]
    fn recorded_at(&mut self, time: Option<&prost_types::Timestamp>) -> Option<Option<UnixTime>> {
        let Some(time) = time else { return Some(None) };
        if !TIMESTAMP_SECONDS.contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
            self.invalid("recorded_at", "not a time of the years 1 to 9999");
            return None;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = (
            i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            now.subsec_nanos().cast_signed(),
        );
        if (time.seconds, time.nanos) > now {
            self.invalid("recorded_at", "must not be in the future");
            return None;
        }
        Some(Some(UnixTime {
            seconds: time.seconds,
            nanos: time.nanos,
        }))
    }

    fn disputes(&mut self, disputes: &[String]) -> Option<Vec<NamedNode>> {
        if self.is_too_many("disputes", disputes.len()) {
            return None;
        }
        let names = disputes.iter().enumerate();
        let checked: Vec<_> = names
            .filter_map(|(index, name)| self.node(&format!("disputes[{index}]"), name))
            .collect();
        (checked.len() == disputes.len()).then_some(checked)
    }
}

/// Returns a publisher as IRI, if it can be read as one, else as its name.
fn publisher(text: &str) -> Option<Term> {
    if text.is_empty() {
        return None;
    }
    Some(match iri::resolve(text) {
        Ok(iri) => NamedNode::new_unchecked(iri.into_owned()).into(),
        Err(_) => Literal::new_simple_literal(text).into(),
    })
}

fn has_blank_node(term: &Term) -> bool {
    match term {
        Term::NamedNode(_) | Term::Literal(_) => false,
        Term::BlankNode(_) => true,
        Term::Triple(triple) => {
            matches!(triple.subject, NamedOrBlankNode::BlankNode(_)) || has_blank_node(&triple.object)
        }
    }
}
