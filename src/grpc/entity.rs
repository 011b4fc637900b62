//! `EntityService`.

use tonic::{Request, Response, Status};

use super::{
    convert::to_int64, lookup, mask::Mask, page_token, read::Reads, schema, status::entity_not_found,
    time::When, validate::Violations,
};
use crate::{
    facts::{Budget, Cursor, EntityQuery, Reader, Scope},
    model::fact::Entity,
    proto::v1::{self, entity_service_server::EntityService},
};

const FACT_PAGE_DEFAULT: usize = 1_000;
const FACT_PAGE_MAX: usize = 10_000;
const BATCH_MAX: usize = 1_000;
/// Larger batches go to a thread that may block at once.
const INLINE_BATCH_MAX: usize = 16;
const BATCH_FACT_PAGE_DEFAULT: usize = 100;
const BATCH_FACT_PAGE_MAX: usize = 1_000;
const ENTITY_PAGE_DEFAULT: usize = 100;
const ENTITY_PAGE_MAX: usize = 1_000;

/// Answers `EntityService`.
pub struct EntityApi {
    reads: Reads,
}

impl EntityApi {
    /// Answers from these reads.
    pub fn new(reads: Reads) -> Self {
        Self { reads }
    }
}

#[tonic::async_trait]
impl EntityService for EntityApi {
    async fn get_entity(
        &self,
        request: Request<v1::GetEntityRequest>,
    ) -> Result<Response<v1::GetEntityResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut violations = Violations::default();
        let iri = violations.name("entity", &request.entity);
        let size = violations.page_size(request.page_size, FACT_PAGE_DEFAULT, FACT_PAGE_MAX);
        violations.languages(&request.languages);
        violations.language_ranges("label_languages", &request.label_languages);
        let mask = Mask::read(request.read_mask.as_ref(), &mut violations);
        let scope = violations.scope(request.scope, Scope::Holding);
        let when = violations.when(request.read.as_ref());
        let Some(iri) = iri else {
            return Err(invalid(violations));
        };
        violations.finish()?;
        let iri = iri.into_string();
        let view = self.reads.view(&when, &extensions).await?;
        let epoch = Reads::epoch(&view);
        let time = when.on(&self.reads, &view);
        let seal = format!("{} {scope:?}", time.seal(&when));
        let after = cursor(&request.page_token, epoch, &[&iri, &seal])?;
        let query = EntityQuery {
            languages: request.languages,
            view: time.view,
            is_present: time.is_present,
            scope,
            size: mask.facts.then_some(size),
            label_languages: request.label_languages,
        };
        let found = {
            let iri = iri.clone();
            let read =
                move |reader: Reader<'_>, budget: &mut Budget| reader.entity(&iri, &query, after, budget);
            self.reads.run(&view, &extensions, read).await?
        };
        let entity = found.ok_or_else(|| entity_not_found(&iri))?;
        Ok(Response::new(v1::GetEntityResponse {
            entity: Some(mask.apply(with_token(entity, epoch, &seal))),
            revision: to_int64(view.revision),
            as_of: time.as_of(),
        }))
    }

    async fn batch_get_entities(
        &self,
        request: Request<v1::BatchGetEntitiesRequest>,
    ) -> Result<Response<v1::BatchGetEntitiesResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut violations = Violations::default();
        let count = request.entities.len();
        if !(1..=BATCH_MAX).contains(&count) {
            violations.invalid(
                "entities",
                format!("must be 1 to {BATCH_MAX} entities, not {count}"),
            );
        }
        let mut iris = Vec::with_capacity(count.min(BATCH_MAX));
        for (index, text) in request.entities.iter().take(BATCH_MAX).enumerate() {
            iris.extend(violations.name(&format!("entities[{index}]"), text));
        }
        let size = violations.page_size(request.page_size, BATCH_FACT_PAGE_DEFAULT, BATCH_FACT_PAGE_MAX);
        violations.languages(&request.languages);
        violations.language_ranges("label_languages", &request.label_languages);
        let mask = Mask::read(request.read_mask.as_ref(), &mut violations);
        let scope = violations.scope(request.scope, Scope::Holding);
        let when = violations.when(request.read.as_ref());
        violations.finish()?;
        let view = self.reads.view(&when, &extensions).await?;
        let epoch = Reads::epoch(&view);
        let time = when.on(&self.reads, &view);
        let seal = format!("{} {scope:?}", time.seal(&when));
        let query = EntityQuery {
            languages: request.languages,
            view: time.view,
            is_present: time.is_present,
            scope,
            size: mask.facts.then_some(size),
            label_languages: request.label_languages,
        };
        let read = move |reader: Reader<'_>, budget: &mut Budget| {
            let each = |iri: &oxigraph::model::NamedNode| reader.entity(iri.as_str(), &query, None, budget);
            iris.iter().map(each).collect::<Vec<_>>()
        };
        let found = if count > INLINE_BATCH_MAX {
            self.reads.run_blocking(&view, &extensions, read).await?
        } else {
            self.reads.run(&view, &extensions, read).await?
        };
        let mut response = v1::BatchGetEntitiesResponse {
            revision: to_int64(view.revision),
            as_of: time.as_of(),
            ..v1::BatchGetEntitiesResponse::default()
        };
        for (entity, text) in found.into_iter().zip(request.entities) {
            match entity {
                Some(entity) => response
                    .entities
                    .push(mask.apply(with_token(entity, epoch, &seal))),
                None => response.missing.push(text),
            }
        }
        Ok(Response::new(response))
    }

    async fn list_entities(
        &self,
        request: Request<v1::ListEntitiesRequest>,
    ) -> Result<Response<v1::ListEntitiesResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut violations = Violations::default();
        let r#type = violations.optional_name("type", &request.r#type);
        let size = violations.page_size(request.page_size, ENTITY_PAGE_DEFAULT, ENTITY_PAGE_MAX);
        violations.languages(&request.languages);
        let when = timeless(request.read.as_ref(), &mut violations);
        violations.finish()?;
        let view = self.reads.view(&when, &extensions).await?;
        let epoch = Reads::epoch(&view);
        let filter = page_token::filter("entities", &[r#type.as_deref().unwrap_or_default(), &when.seal()]);
        let mut violations = Violations::default();
        let after = violations.cursor(&request.page_token, epoch, filter);
        violations.finish()?;
        let languages = request.languages;
        let read = move |reader: Reader<'_>, budget: &mut Budget| {
            reader.entities(r#type.as_deref(), &languages, size, after, budget)
        };
        let page = self.reads.run(&view, &extensions, read).await?;
        Ok(Response::new(v1::ListEntitiesResponse {
            entities: page.entities.into_iter().map(Into::into).collect(),
            next_page_token: page
                .end
                .map(|end| page_token::encode(end, epoch, filter))
                .unwrap_or_default(),
            revision: to_int64(view.revision),
        }))
    }

    async fn lookup_entities(
        &self,
        request: Request<v1::LookupEntitiesRequest>,
    ) -> Result<Response<v1::LookupEntitiesResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        lookup::entities(&self.reads, &extensions, request)
            .await
            .map(Response::new)
    }

    async fn list_classes(
        &self,
        request: Request<v1::ListClassesRequest>,
    ) -> Result<Response<v1::ListClassesResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        schema::classes(&self.reads, &extensions, request)
            .await
            .map(Response::new)
    }

    async fn list_predicates(
        &self,
        request: Request<v1::ListPredicatesRequest>,
    ) -> Result<Response<v1::ListPredicatesResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        schema::predicates(&self.reads, &extensions, request)
            .await
            .map(Response::new)
    }
}

/// Checks the options of a read that has no time to read at.
pub(super) fn timeless(read: Option<&v1::ReadOptions>, violations: &mut Violations) -> When {
    let when = violations.when(read);
    if when.as_of.is_some() || when.known_at.is_some() {
        violations.invalid("read", "this reads at the reference date: no as_of, no known_at");
    }
    when
}

/// Returns the status of violations that are there.
pub(super) fn invalid(violations: Violations) -> Status {
    match violations.finish() {
        Err(status) => status,
        Ok(()) => super::status::invalid_fields(v1::ErrorReason::InvalidField, Vec::new()),
    }
}

fn cursor(token: &str, epoch: u64, parts: &[&str]) -> Result<Option<Cursor>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let mut violations = Violations::default();
    let cursor = violations.cursor(token, epoch, page_token::filter("entity", parts));
    violations.finish()?;
    Ok(cursor)
}

fn with_token((entity, end): (Entity, Option<Cursor>), epoch: u64, seal: &str) -> v1::Entity {
    let filter = page_token::filter("entity", &[&entity.iri, seal]);
    let token = end.map(|end| page_token::encode(end, epoch, filter));
    v1::Entity {
        next_page_token: token.unwrap_or_default(),
        ..entity.into()
    }
}
