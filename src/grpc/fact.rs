//! `FactService`.

use tonic::{Request, Response, Status};

use super::{
    convert::{standing_from_proto, term_from_proto, to_int64},
    entity::min_revision,
    page_token,
    read::Reads,
    validate::Violations,
};
use crate::{
    facts::{Budget, FactFilter, Reader},
    proto::v1::{self, fact_service_server::FactService},
};

const PAGE_DEFAULT: usize = 1_000;
const PAGE_MAX: usize = 10_000;
/// Standings in one filter: more would repeat some.
const STANDING_COUNT_MAX: usize = 100;

/// Answers `FactService`.
pub struct FactApi {
    reads: Reads,
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
        let filter = filter(&request, &mut violations);
        let size = violations.page_size(request.page_size, PAGE_DEFAULT, PAGE_MAX);
        let min_revision = min_revision(request.read.as_ref(), &mut violations);
        violations.finish()?;
        let view = self.reads.view(min_revision, &extensions).await?;
        let epoch = Reads::epoch(&view);
        let sealed = seal(&filter);
        let mut violations = Violations::default();
        let after = violations.cursor(&request.page_token, epoch, sealed);
        violations.finish()?;
        let read = move |reader: Reader<'_>, budget: &mut Budget| reader.facts(&filter, size, after, budget);
        let page = self.reads.run(&view, read).await?;
        Ok(Response::new(v1::ListFactsResponse {
            facts: page.facts.into_iter().map(Into::into).collect(),
            next_page_token: page
                .end
                .map(|end| page_token::encode(end, epoch, sealed))
                .unwrap_or_default(),
            revision: to_int64(view.revision),
        }))
    }
}

fn filter(request: &v1::ListFactsRequest, violations: &mut Violations) -> FactFilter {
    let mut filter = FactFilter {
        subject: violations.optional_name("subject", &request.subject),
        predicate: violations.optional_name("predicate", &request.predicate),
        object: request
            .object
            .as_ref()
            .and_then(|term| term_from_proto(term, "object", violations)),
        source: violations.optional_name("source", &request.source),
        standings: Vec::new(),
    };
    if request.standings.len() > STANDING_COUNT_MAX {
        violations.invalid("standings", format!("at most {STANDING_COUNT_MAX}"));
        return filter;
    }
    for (index, &number) in request.standings.iter().enumerate() {
        match standing_from_proto(number) {
            Some(standing) => filter.standings.push(standing),
            None => violations.invalid(
                &format!("standings[{index}]"),
                format!("{number} is not a standing"),
            ),
        }
    }
    filter
}

/// Returns the hash of a filter, for its page tokens.
fn seal(filter: &FactFilter) -> u64 {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let object = filter
        .object
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let standings = format!("{:?}", filter.standings);
    let parts = [
        text(&filter.subject),
        text(&filter.predicate),
        object,
        text(&filter.source),
        standings,
    ];
    page_token::filter("facts", &parts.each_ref().map(String::as_str))
}
