//! `FactService.GetTimeline`.

use tonic::{Request, Response, Status};

use super::{
    convert::{standing_to_proto, to_int64},
    entity::invalid,
    fact::{FactApi, cursor},
    page_token,
    read::Reads,
    status::entity_not_found,
    time::date,
    validate::Violations,
};
use crate::{
    facts::{Budget, Moment, MomentKind, Reader, Span},
    proto::v1,
};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

impl FactApi {
    pub(super) async fn timeline(
        &self,
        request: Request<v1::GetTimelineRequest>,
    ) -> Result<Response<v1::GetTimelineResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let mut violations = Violations::default();
        let entity = violations.name("entity", &request.entity);
        let span = Span {
            from: violations.day("from", request.from.as_ref()),
            to: violations.day("to", request.to.as_ref()),
        };
        if let (Some(from), Some(to)) = (span.from, span.to)
            && to < from
        {
            violations.invalid("to", format!("{to} is before {from}"));
        }
        let size = violations.page_size(request.page_size, PAGE_DEFAULT, PAGE_MAX);
        violations.language_ranges("label_languages", &request.label_languages);
        let when = violations.when(request.read.as_ref());
        let Some(entity) = entity else {
            return Err(invalid(violations));
        };
        violations.finish()?;
        let view = self.reads.view(&when, &extensions).await?;
        let epoch = Reads::epoch(&view);
        let parts = [entity.as_str(), &format!("{span:?}"), &when.seal()];
        let sealed = page_token::filter("timeline", &parts);
        let after = cursor(&request.page_token, epoch, sealed)?;
        let time = when.on(&self.reads, &view);
        let (at, iri) = (time.view, entity.clone().into_string());
        let labels = request.label_languages;
        let read = move |reader: Reader<'_>, budget: &mut Budget| {
            let mut page = reader.timeline(&iri, span, &at, size, after, budget)?;
            reader.add_timeline_labels(&mut page, &labels, budget);
            Some(page)
        };
        let Some(page) = self.reads.run(&view, &extensions, read).await? else {
            if after.is_none() {
                return Err(entity_not_found(entity.as_str()));
            }
            let mut violations = Violations::default();
            violations.page_token();
            return Err(invalid(violations));
        };
        let token = page.end.map(|end| page_token::encode(end, epoch, sealed));
        Ok(Response::new(v1::GetTimelineResponse {
            entries: page.entries.into_iter().map(Into::into).collect(),
            next_page_token: token.unwrap_or_default(),
            revision: to_int64(view.revision),
            as_of: time.as_of(),
        }))
    }
}

impl From<Moment> for v1::TimelineEntry {
    fn from(moment: Moment) -> Self {
        let kind = match moment.kind {
            MomentKind::Event => v1::TimelineKind::Event,
            MomentKind::FactStart => v1::TimelineKind::FactStart,
            MomentKind::FactEnd => v1::TimelineKind::FactEnd,
        };
        Self {
            kind: kind.into(),
            earliest: date(moment.date.first),
            latest: date(moment.date.last),
            edtf: moment.edtf,
            precision: v1::DatePrecision::from(moment.date.precision).into(),
            event: moment.event.unwrap_or_default(),
            event_label: moment.event_label,
            fact: moment.fact.map(Into::into),
            stance: moment.stance.map_or(v1::Stance::Unspecified, Into::into).into(),
            standing: standing_to_proto(moment.standing).into(),
        }
    }
}
