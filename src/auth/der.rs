//! The few fields of a certificate (RFC 5280, section 4.1) that name its owner, read from its DER (X.690).
//!
//! TLS has verified the certificate before: it is of an authority that the operator chose. What is not as expected is `None`.

/// Tags that are used here.
mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(super) const UTF8_STRING: u8 = 0x0c;
    pub(super) const PRINTABLE_STRING: u8 = 0x13;
    pub(super) const IA5_STRING: u8 = 0x16;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    /// `uniformResourceIdentifier` of a `GeneralName`.
    pub(super) const URI: u8 = 0x86;
    pub(super) const VERSION: u8 = 0xa0;
    pub(super) const EXTENSIONS: u8 = 0xa3;
}

/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// `id-ce-subjectAltName`, 2.5.29.17.
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];

/// What is read of a certificate.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Fields<'d> {
    /// When it expires, in seconds since 1970.
    pub(super) expires_at: u64,
    /// The first common name of the subject.
    pub(super) common_name: Option<&'d str>,
    /// URIs among the alternative names.
    pub(super) uris: Vec<&'d str>,
}

/// Reads a certificate.
pub(super) fn fields(der: &[u8]) -> Option<Fields<'_>> {
    let mut certificate = Reader(Reader(der).take(tag::SEQUENCE)?);
    let mut body = Reader(certificate.take(tag::SEQUENCE)?);
    body.take_if(tag::VERSION)?;
    body.take(tag::INTEGER)?;
    // The algorithm, the issuer.
    body.take(tag::SEQUENCE)?;
    body.take(tag::SEQUENCE)?;
    let mut validity = Reader(body.take(tag::SEQUENCE)?);
    validity.next()?;
    let (tag, until) = validity.next()?;
    let expires_at = seconds(tag, until)?;
    let common_name = common_name(body.take(tag::SEQUENCE)?);
    let mut uris = Vec::new();
    let mut has_names = false;
    while let Some((tag, content)) = body.next() {
        if tag != tag::EXTENSIONS {
            continue;
        }
        let mut extensions = Reader(Reader(content).take(tag::SEQUENCE)?);
        while !extensions.is_empty() {
            let mut extension = Reader(extensions.take(tag::SEQUENCE)?);
            let id = extension.take(tag::OBJECT_IDENTIFIER)?;
            extension.take_if(tag::BOOLEAN)?;
            let value = extension.take(tag::OCTET_STRING)?;
            if id == ALTERNATIVE_NAMES {
                if std::mem::replace(&mut has_names, true) {
                    return None;
                }
                uris = alternative_uris(value)?;
            }
        }
    }
    body.is_empty().then_some(Fields {
        expires_at,
        common_name,
        uris,
    })
}

fn common_name(subject: &[u8]) -> Option<&str> {
    let mut parts = Reader(subject);
    while let Some(part) = parts.take(tag::SET) {
        let mut attributes = Reader(part);
        while let Some(attribute) = attributes.take(tag::SEQUENCE) {
            let mut attribute = Reader(attribute);
            if attribute.take(tag::OBJECT_IDENTIFIER)? == COMMON_NAME {
                return match attribute.next()? {
                    (tag::UTF8_STRING | tag::PRINTABLE_STRING | tag::IA5_STRING, text) => {
                        std::str::from_utf8(text).ok()
                    }
                    // The old encodings are not read.
                    _ => None,
                };
            }
        }
    }
    None
}

fn alternative_uris(value: &[u8]) -> Option<Vec<&str>> {
    let mut names = Reader(Reader(value).take(tag::SEQUENCE)?);
    let mut uris = Vec::new();
    while !names.is_empty() {
        let (tag, name) = names.next()?;
        if tag == tag::URI {
            uris.push(std::str::from_utf8(name).ok()?);
        }
    }
    Some(uris)
}

/// Reads a time (RFC 5280, section 4.1.2.5): always in UTC, to the second.
fn seconds(tag: u8, text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        tag::UTC_TIME if text.len() == 13 => {
            let century = if text.get(..2)? < "50" { "20" } else { "19" };
            format!("{century}{text}")
        }
        tag::GENERALIZED_TIME if text.len() == 15 => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| text.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second, zone) = (part(8, 10)?, part(10, 12)?, part(12, 14)?, part(14, 15)?);
    let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}{zone}");
    let time = humantime::parse_rfc3339(&text).ok()?;
    Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
}

/// Reads one value after the other.
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the next value, with its tag.
    fn next(&mut self) -> Option<(u8, &'d [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        // Tags of several bytes are not used in certificates.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            // Without a length (0x80) it would be BER; more than three bytes are more than a handshake has.
            if bytes.is_empty() || bytes.len() > 3 {
                return None;
            }
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// Returns the next value if it has a tag; else nothing is read.
    fn take(&mut self, tag: u8) -> Option<&'d [u8]> {
        let before = self.0;
        match self.next() {
            Some((found, content)) if found == tag => Some(content),
            _ => {
                self.0 = before;
                None
            }
        }
    }

    /// Passes over a value of a tag, if it is there.
    fn take_if(&mut self, tag: u8) -> Option<()> {
        if self.0.first() == Some(&tag) {
            self.take(tag)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_second() {
        let check = |tag, text: &str, expected| assert_eq!(seconds(tag, text.as_bytes()), expected, "{text}");
        check(tag::UTC_TIME, "300101000000Z", Some(1_893_456_000));
        check(tag::UTC_TIME, "700101000001Z", Some(1));
        check(tag::GENERALIZED_TIME, "20300101000000Z", Some(1_893_456_000));
        check(tag::GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799));
        for text in [
            "",
            "300101000000",
            "300101000000+",
            "301301000000Z",
            "3001010000é",
        ] {
            check(tag::UTC_TIME, text, None);
        }
        check(tag::GENERALIZED_TIME, "300101000000Z", None);
        check(tag::INTEGER, "300101000000Z", None);
    }

    #[test]
    fn whatever_is_cut_or_changed_is_read_or_refused() {
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        assert!(fields(&der).is_some());
        for at in 0..der.len() {
            assert_eq!(fields(&der[..at]), None, "cut at {at}");
            for byte in [0, 0x1f, 0x80, 0x84, 0xff] {
                let mut changed = der.clone();
                changed[at] = byte;
                // It ends, without a panic.
                let _ = fields(&changed);
            }
        }
    }
}
