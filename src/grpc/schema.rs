//! `ListClasses` and `ListPredicates` of `EntityService`.

use tonic::{Extensions, Status};

use super::{convert::to_int64, entity::timeless, page_token, read::Reads, validate::Violations};
use crate::{
    facts::{Budget, Reader, SchemaTerm},
    proto::v1,
};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

/// Which list.
#[derive(Clone, Copy)]
enum Kind {
    Classes,
    Predicates,
}

struct Request {
    read: Option<v1::ReadOptions>,
    languages: Vec<String>,
    page_size: i32,
    page_token: String,
}

struct Page {
    terms: Vec<SchemaTerm>,
    next_page_token: String,
    revision: i64,
}

pub(super) async fn classes(
    reads: &Reads,
    extensions: &Extensions,
    request: v1::ListClassesRequest,
) -> Result<v1::ListClassesResponse, Status> {
    let request = Request {
        read: request.read,
        languages: request.languages,
        page_size: request.page_size,
        page_token: request.page_token,
    };
    let page = list(reads, extensions, Kind::Classes, request).await?;
    let summary = |term: SchemaTerm| v1::ClassSummary {
        iri: term.iri,
        labels: term.labels.into_iter().map(Into::into).collect(),
        instance_count: to_int64(term.count),
    };
    Ok(v1::ListClassesResponse {
        classes: page.terms.into_iter().map(summary).collect(),
        next_page_token: page.next_page_token,
        revision: page.revision,
    })
}

pub(super) async fn predicates(
    reads: &Reads,
    extensions: &Extensions,
    request: v1::ListPredicatesRequest,
) -> Result<v1::ListPredicatesResponse, Status> {
    let request = Request {
        read: request.read,
        languages: request.languages,
        page_size: request.page_size,
        page_token: request.page_token,
    };
    let page = list(reads, extensions, Kind::Predicates, request).await?;
    let summary = |term: SchemaTerm| v1::PredicateSummary {
        iri: term.iri,
        labels: term.labels.into_iter().map(Into::into).collect(),
        triple_count: to_int64(term.count),
    };
    Ok(v1::ListPredicatesResponse {
        predicates: page.terms.into_iter().map(summary).collect(),
        next_page_token: page.next_page_token,
        revision: page.revision,
    })
}

async fn list(reads: &Reads, extensions: &Extensions, kind: Kind, request: Request) -> Result<Page, Status> {
    let mut violations = Violations::default();
    let size = violations.page_size(request.page_size, PAGE_DEFAULT, PAGE_MAX);
    violations.languages(&request.languages);
    let when = timeless(request.read.as_ref(), &mut violations);
    violations.finish()?;
    let view = reads.view(&when, extensions).await?;
    let epoch = Reads::epoch(&view);
    let name = match kind {
        Kind::Classes => "classes",
        Kind::Predicates => "predicates",
    };
    let filter = page_token::filter(name, &[&when.seal()]);
    let mut violations = Violations::default();
    let after = violations.cursor(&request.page_token, epoch, filter);
    violations.finish()?;
    let languages = request.languages;
    let read = move |reader: Reader<'_>, budget: &mut Budget| match kind {
        Kind::Classes => reader.classes(&languages, size, after, budget),
        Kind::Predicates => reader.predicates(&languages, size, after, budget),
    };
    let page = reads.run(&view, extensions, read).await?;
    let token = page.end.map(|end| page_token::encode(end, epoch, filter));
    Ok(Page {
        terms: page.terms,
        next_page_token: token.unwrap_or_default(),
        revision: to_int64(view.revision),
    })
}
