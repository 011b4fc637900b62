//! Cross-origin requests (CORS), for the origins that the settings name.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header, request::Parts};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::request;

const ANY: &str = "*";
const PREFLIGHT_AGE_MAX: Duration = Duration::from_hours(1);
/// What scripts may read beyond the headers that CORS lets through anyway.
const EXPOSED: [HeaderName; 9] = [
    HeaderName::from_static(request::HEADER),
    header::LOCATION,
    header::RETRY_AFTER,
    super::REVISION,
    HeaderName::from_static("dossier-requests-left"),
    HeaderName::from_static("dossier-query-seconds-left"),
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
];

/// Returns the layer that lets pages of some origins call; `*` is any. `None` without origins: browsers then let none.
pub fn layer(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let allowed = if origins.iter().any(|origin| origin == ANY) {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(
            origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok()),
        )
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_AGE_MAX);
    Some(layer)
}

/// Tells whether a request with such a method may come from where it does.
///
/// Browsers let any page send a form and only keep the answer from it: an update would be made all the same. Callers that are
/// no browsers send no `Origin`.
pub(super) fn may_send(parts: &Parts, origins: &[String]) -> bool {
    let Some(origin) = parts.headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    parts.method.is_safe()
        || (authority.is_some() && authority == super::authority(parts))
        || origins.iter().any(|allowed| allowed == ANY || allowed == origin)
}
