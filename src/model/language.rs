//! Language tags (BCP 47).

use std::borrow::Cow;

use oxilangtag::LanguageTag;

/// Returns a language tag in the case that RFC 5646 section 2.1.1 recommends: `en-US`, `zh-Hant`, `en-CA-x-ca`.
///
/// The tag must be well-formed; nothing but case is changed.
pub fn recommended_case(tag: &str) -> Cow<'_, str> {
    if tag.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Cow::Borrowed(tag);
    }
    let mut cased = String::with_capacity(tag.len());
    let mut after_singleton = false;
    for (index, subtag) in tag.split('-').enumerate() {
        if index > 0 {
            cased.push('-');
        }
        let start = cased.len();
        cased.extend(subtag.chars().map(|c| c.to_ascii_lowercase()));
        if index > 0 && !after_singleton {
            match subtag.len() {
                2 => cased[start..].make_ascii_uppercase(),
                4 => cased[start..=start].make_ascii_uppercase(),
                _ => {}
            }
        }
        after_singleton |= subtag.len() == 1;
    }
    if cased == tag {
        Cow::Borrowed(tag)
    } else {
        Cow::Owned(cased)
    }
}

/// Tells whether a language tag is well-formed (RFC 5646 section 2.2.9).
pub fn is_well_formed(tag: &str) -> bool {
    LanguageTag::parse(tag).is_ok()
}

/// Tells whether a tag is in a range: equal to it, or continuing it after a hyphen, without regard to case (basic
/// filtering, RFC 4647 section 3.3.1).
pub fn in_range(tag: &str, range: &str) -> bool {
    let (tag, range) = (tag.as_bytes(), range.as_bytes());
    tag.len() >= range.len()
        && tag[..range.len()].eq_ignore_ascii_case(range)
        && tag.get(range.len()).is_none_or(|byte| *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_case(tag: &str, expected: &str) {
        assert_eq!(recommended_case(tag), expected, "{tag}");
        assert_eq!(recommended_case(&tag.to_ascii_lowercase()), expected, "{tag}");
        assert_eq!(recommended_case(&tag.to_ascii_uppercase()), expected, "{tag}");
    }

    #[test]
    fn tags_are_in_the_recommended_case() {
        for tag in [
            "en",
            "ko",
            "en-US",
            "zh-Hant",
            "zh-Hant-TW",
            "sgn-BE-FR",
            "az-Latn-x-latn",
            "en-CA-x-ca",
            "de-CH-1996",
            "en-a-bbbb-cc",
            "x-us-latn",
            "zh-cmn-Hans-CN",
            "sl-rozaj-biske",
        ] {
            check_case(tag, tag);
        }
    }

    #[test]
    fn ranges_match_whole_subtags() {
        assert!(in_range("en", "en"));
        assert!(in_range("en-us", "en"));
        assert!(in_range("en-us", "EN-US"));
        assert!(!in_range("en", "en-us"));
        assert!(!in_range("eng", "en"));
        assert!(!in_range("ko", "en"));
    }

    #[test]
    fn well_formed_tags_are_told_from_others() {
        assert!(is_well_formed("en-US"));
        assert!(!is_well_formed(""));
        assert!(!is_well_formed("en_US"));
        assert!(!is_well_formed("toolonglanguage"));
    }
}
