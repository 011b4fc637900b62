//! Headers of commits, one or a page, for those who may read all of their changes or some.

use std::sync::Arc;

use super::{CHANGES_PER_LOOK, Feed, FeedError, Header, filter::Sight};
use crate::{
    log::{LogError, Records},
    model::access::Access,
};

/// Changes that are looked at for one page of headers, where not all may be read; a commit counts as one more.
const LISTED_CHANGE_COUNT_MAX: usize = 100_000;

/// Which headers to list.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Goes on after this revision, in the listing's order.
    pub after: Option<u64>,
    /// Whether the newest come first.
    pub newest_first: bool,
    /// Microseconds since 1970: not before it.
    pub from_us: u64,
    /// Microseconds since 1970: before it.
    pub until_us: u64,
    /// Headers at most.
    pub count_max: usize,
}

impl Listing {
    /// Tells whether the next one is the oldest of all that are left, so that it would be missed.
    fn goes_on_upward(&self) -> bool {
        self.after.is_some() && !self.newest_first
    }
}

/// Headers, in the order of their listing.
#[derive(Debug, Default)]
pub struct HeaderPage {
    /// The headers.
    pub headers: Vec<Header>,
    /// The revision that the next page goes on after; `None`: this is the last page.
    pub next_after: Option<u64>,
}

impl Feed {
    /// Returns the header of a revision; nothing if its caller may read none of its changes. Blocks; `is_over` is asked again
    /// and again whether to give up.
    pub fn header(
        &self,
        access: &Access,
        revision: u64,
        is_over: impl Fn() -> bool,
    ) -> Result<Option<Header>, FeedError> {
        let sight = Sight(Arc::clone(access.reads()));
        if access.reads().is_everything() {
            return Ok(Some(self.log().header(revision)?));
        }
        seen_header(&self.log().records()?, &sight, revision, &mut 0, &is_over)
    }

    /// Lists headers up to the newest revision. Blocks; `is_over` is asked again and again whether to give up.
    ///
    /// Those that were compacted away are left out; it fails if some of them would be next in the listing's order.
    pub fn headers(
        &self,
        access: &Access,
        listing: Listing,
        is_over: impl Fn() -> bool,
    ) -> Result<HeaderPage, FeedError> {
        let newest = self.revision();
        if let Some(after) = listing.after.filter(|_| listing.goes_on_upward()) {
            self.check_retained(after.saturating_add(1))?;
        }
        // Times do not go back from one revision to the next.
        let first = self.first_at(listing.from_us, newest)?;
        let end = self.first_at(listing.until_us, newest)?;
        let (low, high) = match (listing.after, listing.newest_first) {
            (None, _) => (first, end - 1),
            (Some(after), true) => (first, (end - 1).min(after.saturating_sub(1))),
            (Some(after), false) => (first.max(after.saturating_add(1)), end - 1),
        };
        if low > high {
            return Ok(HeaderPage::default());
        }
        self.listed(access, listing, (low, high), &is_over)
    }

    /// Lists headers from `low` to `high`, both of which the log had a moment ago.
    pub(super) fn listed(
        &self,
        access: &Access,
        listing: Listing,
        (low, high): (u64, u64),
        is_over: &dyn Fn() -> bool,
    ) -> Result<HeaderPage, FeedError> {
        if !access.reads().is_everything() {
            let sight = Sight(Arc::clone(access.reads()));
            return self.seen_headers(&sight, listing, (low, high), is_over);
        }
        let mut page = HeaderPage::default();
        let HeaderPage { headers, next_after } = &mut page;
        self.log()
            .headers(low..=high, listing.newest_first, &mut |header| {
                if headers.len() == listing.count_max {
                    *next_after = headers.last().map(|last: &Header| last.revision);
                } else {
                    headers.push(header);
                }
                next_after.is_none()
            })?;
        if listing.goes_on_upward() && headers.first().is_none_or(|first| first.revision > low) {
            let earliest = self.log().earliest()?;
            return Err(LogError::Compacted {
                revision: low,
                earliest,
            }
            .into());
        }
        Ok(page)
    }

    /// Lists headers from `low` to `high` of which a change is to be seen; fewer than a page where that is many to look at. All are of
    /// one state of the log.
    fn seen_headers(
        &self,
        sight: &Sight,
        listing: Listing,
        (low, high): (u64, u64),
        is_over: &dyn Fn() -> bool,
    ) -> Result<HeaderPage, FeedError> {
        let mut page = HeaderPage::default();
        let records = self.log().records()?;
        // Others may have been compacted away just now, and of the earliest nobody knows any more what it changed.
        let earliest = records.earliest();
        if listing.goes_on_upward() && earliest > 0 && low <= earliest {
            return Err(LogError::Compacted {
                revision: low,
                earliest,
            }
            .into());
        }
        let low = low.max(earliest);
        let mut looked_at = 0;
        let mut last = None;
        for step in 0..(high + 1).saturating_sub(low) {
            if page.headers.len() == listing.count_max || looked_at >= LISTED_CHANGE_COUNT_MAX {
                page.next_after = last;
                break;
            }
            let revision = if listing.newest_first {
                high - step
            } else {
                low + step
            };
            page.headers
                .extend(seen_header(&records, sight, revision, &mut looked_at, is_over)?);
            last = Some(revision);
        }
        Ok(page)
    }

    /// Returns the first revision of a time or later; one more than the newest if there is none.
    fn first_at(&self, time_us: u64, newest: u64) -> Result<u64, FeedError> {
        let (mut low, mut high) = (self.0.knowledge.earliest_revision().max(1), newest + 1);
        if time_us == 0 {
            return Ok(low);
        }
        while low < high {
            let middle = low.midpoint(high);
            let is_before = match self.log().header(middle) {
                Ok(header) => header.time_us < time_us,
                // Just now.
                Err(LogError::Compacted { .. }) => true,
                Err(error) => return Err(error.into()),
            };
            if is_before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// Returns the header of a revision if a change of it is to be seen; counts what it looks at, the header and changes. What the commit
/// of the earliest revision changed nobody knows any more, so that it is not to be seen.
fn seen_header(
    records: &Records,
    sight: &Sight,
    revision: u64,
    looked_at: &mut usize,
    is_over: &dyn Fn() -> bool,
) -> Result<Option<Header>, FeedError> {
    let mut look = || {
        *looked_at += 1;
        if looked_at.is_multiple_of(CHANGES_PER_LOOK) && is_over() {
            return Err(FeedError::Over);
        }
        Ok(())
    };
    look()?;
    if revision == records.earliest() {
        return Ok(None);
    }
    let (header, changes) = records.get(revision)?;
    for change in changes {
        look()?;
        if sight.has(&change?) {
            return Ok(Some(sight.header(&header)));
        }
    }
    Ok(None)
}
