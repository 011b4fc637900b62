//! Names in requests: absolute IRIs and prefixed names.

use std::borrow::Cow;

use oxiri::Iri;

use super::prefixes::namespace;

/// Schemes of IRIs without an authority that are taken as they are. Any other needs `<` and `>` around it, or it is
/// taken for a prefixed name.
const OPAQUE_SCHEMES: [&str; 14] = [
    "about", "ark", "cid", "data", "did", "doi", "geo", "info", "mailto", "mid", "news", "tag", "tel", "urn",
];

/// Why a text names nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// It is not an absolute IRI.
    #[error("`{text}` is not an absolute IRI: {reason}")]
    InvalidIri {
        /// The text as it was sent.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is a prefixed name with a prefix that the server does not have.
    #[error("unknown prefix `{prefix}` in `{text}`")]
    UnknownPrefix {
        /// The text as it was sent.
        text: String,
        /// The prefix, without the colon.
        prefix: String,
    },
}

/// Returns the IRI that a text stands for: an absolute IRI (in `<` and `>` or not) or a prefixed name such as `e:KR`.
pub fn resolve(text: &str) -> Result<Cow<'_, str>, NameError> {
    if let Some(inner) = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
        return checked(Cow::Borrowed(inner), text);
    }
    let Some((prefix, rest)) = text.split_once(':') else {
        return Err(invalid(text, "it has neither a scheme nor a prefix"));
    };
    if rest.starts_with("//") {
        return checked(Cow::Borrowed(text), text);
    }
    if let Some(namespace) = namespace(prefix) {
        return checked(Cow::Owned(format!("{namespace}{rest}")), text);
    }
    if OPAQUE_SCHEMES
        .iter()
        .any(|scheme| scheme.eq_ignore_ascii_case(prefix))
    {
        return checked(Cow::Borrowed(text), text);
    }
    if prefix
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    {
        return Err(NameError::UnknownPrefix {
            text: text.to_owned(),
            prefix: prefix.to_owned(),
        });
    }
    Err(invalid(text, "it has neither a scheme nor a prefix"))
}

fn checked<'a>(iri: Cow<'a, str>, text: &str) -> Result<Cow<'a, str>, NameError> {
    match Iri::parse(iri.as_ref()) {
        Ok(_) => Ok(iri),
        Err(error) => Err(invalid(text, &error.to_string())),
    }
}

fn invalid(text: &str, reason: &str) -> NameError {
    NameError::InvalidIri {
        text: text.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(resolve(text).unwrap(), expected, "{text}");
    }

    fn check_invalid(text: &str) {
        assert!(
            matches!(resolve(text), Err(NameError::InvalidIri { .. })),
            "{text}: {:?}",
            resolve(text)
        );
    }

    fn check_unknown_prefix(text: &str, expected: &str) {
        let Err(NameError::UnknownPrefix { prefix, .. }) = resolve(text) else {
            panic!("{text}: {:?}", resolve(text));
        };
        assert_eq!(prefix, expected, "{text}");
    }

    #[test]
    fn names_resolve_to_iris() {
        check("e:KR", "https://w3id.org/dossier/e/KR");
        check("d:", "https://w3id.org/dossier/ns#");
        check("e:a/b:c", "https://w3id.org/dossier/e/a/b:c");
        check("http://example.com/a", "http://example.com/a");
        check("HTTPS://example.com/한국", "HTTPS://example.com/한국");
        check("urn:isbn:0451450523", "urn:isbn:0451450523");
        check("<nope:KR>", "nope:KR");
        check("<http://example.com/>", "http://example.com/");
        check("e://host/", "e://host/");
    }

    #[test]
    fn what_is_no_iri_is_refused() {
        for text in [
            "",
            "<>",
            "<a",
            "KR",
            "/relative",
            "http://exa mple.com/",
            "e:a b",
            "<e:a>>",
            ":x y",
            "urn:\n",
        ] {
            if text == ":x y" {
                check_unknown_prefix(text, "");
            } else {
                check_invalid(text);
            }
        }
    }

    #[test]
    fn unknown_prefixes_are_named() {
        check_unknown_prefix("nope:KR", "nope");
        check_unknown_prefix(":KR", "");
        check_unknown_prefix("E:KR", "E");
    }
}
