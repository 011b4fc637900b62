//! Content negotiation: what a caller accepts, and what a body is.

use http::{HeaderMap, header};
use oxigraph::{io::RdfFormat, sparql::results::QueryResultsFormat};

use super::problem::{Problem, not_acceptable, unsupported_media_type};
use crate::rdf::{Format, JELLY_MEDIA_TYPE};

/// A format and its media types: the first is its own, the others are taken and served by those names too.
type Offer<T> = (T, &'static [&'static str]);

/// Formats of rows and booleans; the first is the default.
const RESULTS: [Offer<QueryResultsFormat>; 4] = [
    (
        QueryResultsFormat::Json,
        &["application/sparql-results+json", "application/json"],
    ),
    (
        QueryResultsFormat::Xml,
        &["application/sparql-results+xml", "application/xml", "text/xml"],
    ),
    (QueryResultsFormat::Csv, &["text/csv"]),
    (QueryResultsFormat::Tsv, &["text/tab-separated-values"]),
];

/// Formats of triples; the first is the default.
const TRIPLES: [Offer<Format>; 7] = [
    (
        Format::Text(RdfFormat::Turtle),
        &["text/turtle", "application/x-turtle"],
    ),
    (
        Format::Text(RdfFormat::NTriples),
        &["application/n-triples", "text/plain"],
    ),
    (
        Format::Text(RdfFormat::RdfXml),
        &["application/rdf+xml", "application/xml", "text/xml"],
    ),
    (Format::JSON_LD, &["application/ld+json", "application/json"]),
    (Format::Text(RdfFormat::TriG), &["application/trig"]),
    (Format::Text(RdfFormat::NQuads), &["application/n-quads"]),
    (Format::Jelly, &[JELLY_MEDIA_TYPE]),
];

/// Formats of data sets; the first is the default.
const QUADS: [Offer<Format>; 4] = [
    (Format::Text(RdfFormat::NQuads), &["application/n-quads"]),
    (Format::Text(RdfFormat::TriG), &["application/trig"]),
    (Format::JSON_LD, &["application/ld+json", "application/json"]),
    (Format::Jelly, &[JELLY_MEDIA_TYPE]),
];

/// A format, and the value of `Content-Type` under which it is served.
pub(super) type Chosen<T> = (T, String);

/// What a caller accepts (RFC 9110, section 12.5.1). Empty: anything.
#[derive(Clone, Debug)]
pub(super) struct Accept(Vec<Range>);

#[derive(Clone, Debug)]
struct Range {
    kind: String,
    subtype: String,
    /// In thousandths.
    quality: u16,
}

impl Accept {
    /// Reads the header; what is malformed in it is left out.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).into_iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        Self(texts.flat_map(|text| text.split(',')).filter_map(range).collect())
    }

    /// Chooses a format for rows or a boolean.
    pub(super) fn results(&self) -> Result<Chosen<QueryResultsFormat>, Problem> {
        self.choose(&RESULTS)
    }

    /// Chooses a format for triples.
    pub(super) fn triples(&self) -> Result<Chosen<Format>, Problem> {
        self.choose(&TRIPLES)
    }

    /// Chooses a format for quads.
    pub(super) fn quads(&self) -> Result<Chosen<Format>, Problem> {
        self.choose(&QUADS)
    }

    /// The best quality wins; among equals, the first offer.
    fn choose<T: Copy>(&self, offers: &[Offer<T>]) -> Result<Chosen<T>, Problem> {
        let mut best: Option<(u16, T, &str)> = None;
        for (format, names) in offers {
            for name in *names {
                let quality = self.quality(name);
                if quality > best.map_or(0, |(quality, ..)| quality) {
                    best = Some((quality, *format, name));
                }
            }
        }
        match best {
            Some((_, format, name)) if name.starts_with("text/") => {
                Ok((format, format!("{name}; charset=utf-8")))
            }
            Some((_, format, name)) => Ok((format, name.to_owned())),
            None => {
                let names: Vec<_> = offers
                    .iter()
                    .filter_map(|(_, names)| names.first())
                    .copied()
                    .collect();
                Err(not_acceptable(&names.join(", ")))
            }
        }
    }

    /// Returns the quality of the most specific range that matches.
    fn quality(&self, name: &str) -> u16 {
        if self.0.is_empty() {
            return 1_000;
        }
        let (kind, subtype) = name.split_once('/').unwrap_or((name, ""));
        let matching = self.0.iter().filter_map(|range| {
            let specificity = match (range.kind.as_str(), range.subtype.as_str()) {
                ("*", "*") => 0,
                (of, "*") if of == kind => 1,
                (of, exactly) if of == kind && exactly == subtype => 2,
                _ => return None,
            };
            Some((specificity, range.quality))
        });
        matching.max().map_or(0, |(_, quality)| quality)
    }
}

fn range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    let quality = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("q")
            .then(|| quality(value.trim()))
    });
    Some(Range {
        kind: kind.to_ascii_lowercase(),
        subtype: subtype.to_ascii_lowercase(),
        quality: quality.unwrap_or(Some(1_000))?,
    })
}

/// Reads a weight (RFC 9110, section 12.4.2): 0 to 1 with up to three decimals.
fn quality(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

/// Returns the media type of a body, in lower case and without parameters; an error if the text of it is not UTF-8.
pub(super) fn media_type(headers: &HeaderMap) -> Result<String, Problem> {
    let text = headers
        .get(header::CONTENT_TYPE)
        .ok_or_else(|| unsupported_media_type("a body needs a Content-Type"))?
        .to_str()
        .map_err(|_| unsupported_media_type("the Content-Type is malformed"))?;
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    for part in parts {
        if let Some((name, value)) = part.split_once('=')
            && name.trim().eq_ignore_ascii_case("charset")
        {
            let charset = value.trim().trim_matches('"').to_ascii_lowercase();
            if !["utf-8", "utf8", "us-ascii"].contains(&charset.as_str()) {
                return Err(unsupported_media_type(format!(
                    "the charset must be utf-8, not {charset}"
                )));
            }
        }
    }
    Ok(essence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &str) -> Accept {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, text.parse().unwrap());
        Accept::of(&headers)
    }

    fn check(text: &str, expected: Option<&str>) {
        let chosen = accept(text).results().ok().map(|(_, name)| name);
        assert_eq!(chosen.as_deref(), expected, "{text}");
    }

    #[test]
    fn the_best_quality_wins() {
        const JSON: Option<&str> = Some("application/sparql-results+json");
        const XML: Option<&str> = Some("application/sparql-results+xml");
        check("*/*", JSON);
        check("application/*", JSON);
        check("application/json", Some("application/json"));
        check("text/*", Some("text/xml; charset=utf-8"));
        check("text/csv", Some("text/csv; charset=utf-8"));
        check("APPLICATION/SPARQL-RESULTS+XML", XML);
        check(
            "application/sparql-results+json;q=0.5, application/sparql-results+xml",
            XML,
        );
        check("*/*;q=0.1, text/csv;q=0.2", Some("text/csv; charset=utf-8"));
        // The most specific range counts, not the greatest.
        check(
            "*/*, application/*;q=0, text/*;q=0.5, text/csv;q=0.501",
            Some("text/csv; charset=utf-8"),
        );
        check("text/csv;q=0", None);
        check("text/html", None);
        check(
            "text/csv;q=2, text/tab-separated-values",
            Some("text/tab-separated-values; charset=utf-8"),
        );
    }

    #[test]
    fn no_header_accepts_anything() {
        let accept = Accept::of(&HeaderMap::new());
        assert_eq!(accept.triples().unwrap().1, "text/turtle; charset=utf-8");
        assert_eq!(accept.quads().unwrap().1, "application/n-quads");
    }

    #[test]
    fn bodies_are_utf_8() {
        let check = |text: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            assert_eq!(media_type(&headers).ok().as_deref(), expected, "{text}");
        };
        check("Text/Turtle; Charset=\"UTF-8\"", Some("text/turtle"));
        check("application/sparql-query", Some("application/sparql-query"));
        check("application/sparql-query; charset=UTF-16", None);
        assert!(media_type(&HeaderMap::new()).is_err());
    }
}
