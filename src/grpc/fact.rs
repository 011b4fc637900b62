//! `FactService`.

mod filter;

use oxigraph::model::{NamedNode, NamedOrBlankNode};
use tonic::{Request, Response, Status};

use super::{
    convert::{term_from_proto, term_to_proto, to_int64},
    entity::invalid,
    page_token,
    read::Reads,
    status::fact_not_found,
    validate::Violations,
    verdict::explain,
};
use crate::{
    facts::{Budget, Conflict, ConflictFilter, FactPage, ObjectGroup, Reader, Scope, Sign, Versions},
    proto::v1::{self, fact_service_server::FactService},
};

const PAGE_DEFAULT: usize = 1_000;
const PAGE_MAX: usize = 10_000;
const HISTORY_PAGE_DEFAULT: usize = 100;
const HISTORY_PAGE_MAX: usize = 1_000;

/// Answers `FactService`.
pub struct FactApi {
    pub(super) reads: Reads,
}

impl FactApi {
    /// Answers from these reads.
    pub fn new(reads: Reads) -> Self {
        Self { reads }
    }
}

#[tonic::async_trait]
impl FactService for FactApi {
    async fn list_facts(
        &self,
        request: Request<v1::ListFactsRequest>,
    ) -> Result<Response<v1::ListFactsResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut violations = Violations::default();
        let mut filter = filter::read(&request, &mut violations);
        violations.language_ranges("label_languages", &request.label_languages);
        let size = violations.page_size(request.page_size, PAGE_DEFAULT, PAGE_MAX);
        let when = violations.when(request.read.as_ref());
        violations.finish()?;
        let view = self.reads.view(&when, &extensions).await?;
        let epoch = Reads::epoch(&view);
        let time = when.on(&self.reads, &view);
        let sealed = filter::seal(&filter, &time.seal(&when));
        let after = cursor(&request.page_token, epoch, sealed)?;
        filter.is_present = time.is_present && filter.scope == Scope::Holding && filter.source.is_none();
        let labels = request.label_languages;
        let read = move |reader: Reader<'_>, budget: &mut Budget| {
            let mut page = reader.facts(&filter, time.view, size, after, budget);
            reader.add_labels(&mut page.facts, &labels, budget);
            page
        };
        let page = self.reads.run(&view, &extensions, read).await?;
        let (facts, next_page_token) = sealed_page(page, epoch, sealed);
        Ok(Response::new(v1::ListFactsResponse {
            facts,
            next_page_token,
            revision: to_int64(view.revision),
            as_of: time.as_of(),
        }))
    }

    async fn get_fact(
        &self,
        request: Request<v1::GetFactRequest>,
    ) -> Result<Response<v1::GetFactResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut violations = Violations::default();
        let id = violations.name("id", &request.id);
        violations.language_ranges("label_languages", &request.label_languages);
        let when = violations.when(request.read.as_ref());
        let Some(id) = id else {
            return Err(invalid(violations));
        };
        violations.finish()?;
        let view = self.reads.view(&when, &extensions).await?;
        let time = when.on(&self.reads, &view);
        let (id, at) = (id.into_string(), time.view);
        let sought = id.clone();
        let labels = request.label_languages;
        let read = move |reader: Reader<'_>, budget: &mut Budget| {
            let mut fact = reader.statement_of(&sought, &at, budget)?;
            reader.add_labels([&mut fact], &labels, budget);
            Some(fact)
        };
        let fact = self.reads.run(&view, &extensions, read).await?;
        let fact = fact.ok_or_else(|| fact_not_found(&id))?;
        Ok(Response::new(v1::GetFactResponse {
            fact: Some(fact.into()),
            revision: to_int64(view.revision),
            as_of: time.as_of(),
        }))
    }

    async fn check_fact(
        &self,
        request: Request<v1::CheckFactRequest>,
    ) -> Result<Response<v1::CheckFactResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut violations = Violations::default();
        let subject = violations.name("subject", &request.subject);
        let predicate = violations.name("predicate", &request.predicate);
        if request.object.is_none() {
            violations.invalid("object", "required");
        }
        let object = request.object.as_ref();
        let object = object.and_then(|term| term_from_proto(term, "object", &mut violations));
        violations.language_ranges("label_languages", &request.label_languages);
        let when = violations.when(request.read.as_ref());
        let (Some(subject), Some(predicate), Some(object)) = (subject, predicate, object) else {
            return Err(invalid(violations));
        };
        violations.finish()?;
        let view = self.reads.view(&when, &extensions).await?;
        let time = when.on(&self.reads, &view);
        let at = time.view;
        let labels = request.label_languages;
        let read = move |reader: Reader<'_>, budget: &mut Budget| {
            let pair = [subject.as_str(), predicate.as_str()];
            let mut checked = reader.check(pair, object.as_ref(), &at, budget);
            reader.add_labels(&mut checked.evidence, &labels, budget);
            checked
        };
        let checked = self.reads.run(&view, &extensions, read).await?;
        Ok(Response::new(v1::CheckFactResponse {
            verdict: v1::Verdict::from(checked.rule.verdict()).into(),
            rule: v1::VerdictRule::from(checked.rule).into(),
            explanation: explain(&checked, at.day),
            evidence: checked.evidence.into_iter().map(Into::into).collect(),
            revision: to_int64(view.revision),
            as_of: time.as_of(),
        }))
    }

    async fn list_fact_history(
        &self,
        request: Request<v1::ListFactHistoryRequest>,
    ) -> Result<Response<v1::ListFactHistoryResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut violations = Violations::default();
        let versions = filter::versions(&request, &mut violations);
        let size = violations.page_size(request.page_size, HISTORY_PAGE_DEFAULT, HISTORY_PAGE_MAX);
        violations.language_ranges("label_languages", &request.label_languages);
        let when = violations.when(request.read.as_ref());
        let Some(versions) = versions else {
            return Err(invalid(violations));
        };
        violations.finish()?;
        let view = self.reads.view(&when, &extensions).await?;
        let epoch = Reads::epoch(&view);
        let sealed = page_token::filter("history", &[&format!("{versions:?}"), &when.seal()]);
        let after = cursor(&request.page_token, epoch, sealed)?;
        let time = when.on(&self.reads, &view);
        let at = time.view;
        let sought = versions.clone();
        let labels = request.label_languages;
        let read = move |reader: Reader<'_>, budget: &mut Budget| {
            let mut page = reader.history(&sought, &at, size, after, budget)?;
            reader.add_labels(&mut page.facts, &labels, budget);
            Some(page)
        };
        let page = match (self.reads.run(&view, &extensions, read).await?, versions) {
            (Some(page), _) => page,
            (None, Versions::Of(id)) if after.is_none() => return Err(fact_not_found(&id)),
            (None, _) => {
                let mut violations = Violations::default();
                violations.page_token();
                return Err(invalid(violations));
            }
        };
        let (facts, next_page_token) = sealed_page(page, epoch, sealed);
        Ok(Response::new(v1::ListFactHistoryResponse {
            facts,
            next_page_token,
            revision: to_int64(view.revision),
            as_of: time.as_of(),
        }))
    }

    async fn compare_facts(
        &self,
        request: Request<v1::CompareFactsRequest>,
    ) -> Result<Response<v1::CompareFactsResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut violations = Violations::default();
        let subject = violations.name("subject", &request.subject);
        let predicate = violations.name("predicate", &request.predicate);
        violations.language_ranges("label_languages", &request.label_languages);
        let when = violations.when(request.read.as_ref());
        let (Some(subject), Some(predicate)) = (subject, predicate) else {
            return Err(invalid(violations));
        };
        violations.finish()?;
        let view = self.reads.view(&when, &extensions).await?;
        let time = when.on(&self.reads, &view);
        let at = time.view;
        let labels = request.label_languages;
        let read = move |reader: Reader<'_>, budget: &mut Budget| {
            let mut comparison = reader.compare([subject.as_str(), predicate.as_str()], &at, budget);
            let facts = comparison.groups.iter_mut().flat_map(|group| &mut group.facts);
            reader.add_labels(facts, &labels, budget);
            comparison
        };
        let comparison = self.reads.run(&view, &extensions, read).await?;
        Ok(Response::new(v1::CompareFactsResponse {
            groups: comparison.groups.into_iter().map(Into::into).collect(),
            conflict: comparison.sign.is_some(),
            sign: comparison
                .sign
                .map_or(v1::ConflictSign::Unspecified, Into::into)
                .into(),
            omitted_fact_count: i32::try_from(comparison.omitted_fact_count).unwrap_or(i32::MAX),
            revision: to_int64(view.revision),
            as_of: time.as_of(),
        }))
    }

    async fn list_conflicts(
        &self,
        request: Request<v1::ListConflictsRequest>,
    ) -> Result<Response<v1::ListConflictsResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut violations = Violations::default();
        let mut filter = ConflictFilter {
            subject: violations.optional_name("subject", &request.subject),
            source: violations.optional_name("source", &request.source),
            on: None,
        };
        let size = violations.page_size(request.page_size, HISTORY_PAGE_DEFAULT, HISTORY_PAGE_MAX);
        violations.language_ranges("label_languages", &request.label_languages);
        let when = violations.when(request.read.as_ref());
        filter.on = when.as_of;
        violations.finish()?;
        let view = self.reads.view(&when, &extensions).await?;
        let epoch = Reads::epoch(&view);
        let sealed = page_token::filter("conflicts", &[&format!("{filter:?}"), &when.seal()]);
        let after = cursor(&request.page_token, epoch, sealed)?;
        let time = when.on(&self.reads, &view);
        let at = time.view;
        let labels = request.label_languages;
        let read = move |reader: Reader<'_>, budget: &mut Budget| {
            let mut page = reader.conflicts(&filter, &at, size, after, budget);
            let facts = page.conflicts.iter_mut().flat_map(|conflict| &mut conflict.facts);
            reader.add_labels(facts, &labels, budget);
            page
        };
        let page = self.reads.run(&view, &extensions, read).await?;
        let token = page.end.map(|end| page_token::encode(end, epoch, sealed));
        Ok(Response::new(v1::ListConflictsResponse {
            conflicts: page.conflicts.into_iter().map(Into::into).collect(),
            next_page_token: token.unwrap_or_default(),
            revision: to_int64(view.revision),
            as_of: time.as_of(),
        }))
    }

    async fn get_timeline(
        &self,
        request: Request<v1::GetTimelineRequest>,
    ) -> Result<Response<v1::GetTimelineResponse>, Status> {
        self.timeline(request).await
    }
}

impl From<Conflict> for v1::Conflict {
    fn from(conflict: Conflict) -> Self {
        Self {
            subject: match conflict.subject {
                NamedOrBlankNode::NamedNode(node) => node.into_string(),
                NamedOrBlankNode::BlankNode(node) => node.to_string(),
            },
            predicate: conflict.predicate.map(NamedNode::into_string).unwrap_or_default(),
            facts: conflict.facts.into_iter().map(Into::into).collect(),
            sign: v1::ConflictSign::from(conflict.sign).into(),
        }
    }
}

impl From<Sign> for v1::ConflictSign {
    fn from(sign: Sign) -> Self {
        match sign {
            Sign::Disputed => Self::Disputed,
            Sign::Rejected => Self::Rejected,
            Sign::Disputes => Self::Disputes,
            Sign::DisputedByOne => Self::DisputedBy,
            Sign::Denies => Self::Denies,
            Sign::Differs => Self::Differs,
        }
    }
}

impl From<ObjectGroup> for v1::FactGroup {
    fn from(group: ObjectGroup) -> Self {
        Self {
            object: Some(term_to_proto(group.object)),
            negated: group.is_negated,
            verdict: v1::Verdict::from(group.rule.verdict()).into(),
            rule: v1::VerdictRule::from(group.rule).into(),
            facts: group.facts.into_iter().map(Into::into).collect(),
            sources: group.sources.into_iter().map(Into::into).collect(),
        }
    }
}

/// Reads a page token.
pub(super) fn cursor(token: &str, epoch: u64, sealed: u64) -> Result<Option<crate::facts::Cursor>, Status> {
    let mut violations = Violations::default();
    let cursor = violations.cursor(token, epoch, sealed);
    violations.finish()?;
    Ok(cursor)
}

fn sealed_page(page: FactPage, epoch: u64, sealed: u64) -> (Vec<v1::Fact>, String) {
    let token = page.end.map(|end| page_token::encode(end, epoch, sealed));
    (
        page.facts.into_iter().map(Into::into).collect(),
        token.unwrap_or_default(),
    )
}
