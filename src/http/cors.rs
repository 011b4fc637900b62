//! Cross-origin requests (CORS), for the origins that the settings name.

use std::{net::IpAddr, time::Duration};

use http::{HeaderName, HeaderValue, Method, Request, header, request::Parts, uri::Authority};
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
        || (authority.is_some() && authority == super::authority(&parts.uri, &parts.headers))
        || origins.iter().any(|allowed| allowed == ANY || allowed == origin)
}

/// Tells whether a request is sent to an address or to `localhost`. Whoever has another name can have it lead to this machine (DNS
/// rebinding): to browsers a page of that name is then of the server's own origin. Callers that are no browsers may name no host.
pub fn is_sent_to_this_machine<B>(request: &Request<B>) -> bool {
    let Some(authority) = super::authority(request.uri(), request.headers()) else {
        return true;
    };
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    let host = authority.host().trim_matches(['[', ']']);
    host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_somebody_else_is_not_this_machine() {
        for (host, is_ours) in [
            ("127.0.0.1:50051", true),
            ("127.0.0.1", true),
            ("[::1]:50051", true),
            ("10.0.0.7:80", true),
            ("localhost:50051", true),
            ("LocalHost", true),
            ("evil.example:50051", false),
            ("localhost.evil.example", false),
            ("evil-localhost", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1@evil.example", false),
            ("", false),
            ("a b", false),
        ] {
            let by_header = Request::get("/sparql")
                .header(header::HOST, host)
                .body(())
                .unwrap();
            assert_eq!(is_sent_to_this_machine(&by_header), is_ours, "{host}");
            // As HTTP/2 has it.
            if let Ok(by_uri) = Request::get(format!("http://{host}/sparql")).body(()) {
                assert_eq!(is_sent_to_this_machine(&by_uri), is_ours, "{host}");
            }
        }
        assert!(is_sent_to_this_machine(&Request::get("/").body(()).unwrap()));
    }
}
