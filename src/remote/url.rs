//! URLs, and prefixes that list some: compared part by part, never as texts.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::Reach;

/// Bytes of a URL.
const URL_BYTES_MAX: usize = 8 << 10;

/// Why a text is no URL that could be fetched, or no prefix of some.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct UrlFault(&'static str);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scheme {
    Http,
    Https,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Host {
    Name(String),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// An HTTP URL in parts, without its fragment.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Url {
    scheme: Scheme,
    host: Host,
    port: u16,
    /// From its first `/`, percent-encoded.
    path: String,
    query: Option<String>,
}

/// A prefix of the URLs that may be fetched, such as `https://example.org/sparql`: scheme, host and port of a URL must be
/// these, and its path this one or below it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UrlPrefix(Url);

/// The URLs that may be fetched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AllowList(Vec<UrlPrefix>);

/// A URL that may be fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    url: Url,
    reach: Reach,
}

impl AllowList {
    /// Returns a list of prefixes.
    pub fn new(prefixes: Vec<UrlPrefix>) -> Self {
        Self(prefixes)
    }

    /// Tells whether nothing may be fetched.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what to fetch for a URL, if a prefix matches it.
    pub fn target(&self, text: &str) -> Option<Target> {
        let url = Url::from_str(text).ok()?;
        self.0.iter().any(|prefix| prefix.matches(&url)).then(|| Target {
            reach: reach_of(&url.host),
            url,
        })
    }
}

impl Target {
    /// Returns the addresses that its host may have.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Returns the URL without its query, where something may be that is not to be told.
    pub fn without_query(&self) -> String {
        let query = None;
        let url = self.url.clone();
        Url { query, ..url }.to_string()
    }

    /// Returns the path, for the extension at its end.
    pub fn path(&self) -> &str {
        &self.url.path
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// A prefix names the same host.
fn reach_of(host: &Host) -> Reach {
    match host {
        Host::V4(_) | Host::V6(_) => Reach::Listed,
        Host::Name(name) if name == "localhost" => Reach::Loopback,
        Host::Name(_) => Reach::Public,
    }
}

impl FromStr for Target {
    type Err = UrlFault;

    /// Reads a URL that the settings name whole, and whose answer is to be believed: over TLS, or from this machine. The host may
    /// have any address, because no stranger chose it.
    fn from_str(text: &str) -> Result<Self, UrlFault> {
        let url = Url::from_str(text.trim())?;
        let is_here = match &url.host {
            Host::V4(address) => address.is_loopback(),
            Host::V6(address) => address.is_loopback(),
            Host::Name(name) => name == "localhost",
        };
        if url.scheme == Scheme::Http && !is_here {
            return Err(UrlFault("expected https, or http of this machine"));
        }
        // What is to be at this machine must be.
        let reach = if is_here {
            reach_of(&url.host)
        } else {
            Reach::Listed
        };
        Ok(Self { url, reach })
    }
}

impl UrlPrefix {
    fn matches(&self, url: &Url) -> bool {
        let prefix = &self.0;
        (prefix.scheme, &prefix.host, prefix.port) == (url.scheme, &url.host, url.port)
            && url
                .path
                .strip_prefix(&prefix.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.path.ends_with('/'))
    }
}

impl FromStr for UrlPrefix {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        let url = Url::from_str(text.trim())?;
        if url.query.is_some() || text.contains('#') {
            return Err(UrlFault("a prefix has no query and no fragment"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for UrlPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Url {
    type Err = UrlFault;

    fn from_str(text: &str) -> Result<Self, UrlFault> {
        if text.len() > URL_BYTES_MAX {
            return Err(UrlFault("a URL has 8 KiB at most"));
        }
        if text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || "\\\"<>^`{|}".contains(c))
        {
            return Err(UrlFault("a URL has no blanks, backslashes or quotes"));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or(UrlFault("expected a URL such as https://example.org/sparql"))?;
        let scheme = if scheme.eq_ignore_ascii_case("http") {
            Scheme::Http
        } else if scheme.eq_ignore_ascii_case("https") {
            Scheme::Https
        } else {
            return Err(UrlFault("only http and https are fetched"));
        };
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(encoded(query))),
            None => (rest, None),
        };
        let (host, port) = split_authority(authority)?;
        let path = if path.is_empty() { "/" } else { path };
        if climbs(path) {
            return Err(UrlFault("a path has no `.` or `..` in it"));
        }
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or_else(|| scheme.default_port()),
            path: encoded(path),
            query,
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Http => f.write_str("http://")?,
            Scheme::Https => f.write_str("https://")?,
        }
        match &self.host {
            Host::Name(name) => f.write_str(name)?,
            Host::V4(address) => address.fmt(f)?,
            Host::V6(address) => write!(f, "[{address}]")?,
        }
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)?;
        match &self.query {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

fn split_authority(authority: &str) -> Result<(Host, Option<u16>), UrlFault> {
    if authority.contains('@') {
        return Err(UrlFault("a URL has no user name or password"));
    }
    let end = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse().map_err(|_| UrlFault("a port is at most 65535"))?)
        }
        _ => return Err(UrlFault("a port is a number")),
    };
    Ok((parse_host(host)?, port))
}

fn parse_host(host: &str) -> Result<Host, UrlFault> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address = address
            .parse()
            .map_err(|_| UrlFault("what is in brackets is an IPv6 address"))?;
        return Ok(Host::V6(address));
    }
    // One that would be encoded could be read in two ways: names outside of ASCII are given in Punycode.
    let is_name = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if host.is_empty() || !is_name {
        return Err(UrlFault("a host is letters, digits, hyphens and dots"));
    }
    match host.parse() {
        Ok(IpAddr::V4(address)) => Ok(Host::V4(address)),
        _ => Ok(Host::Name(host.to_ascii_lowercase())),
    }
}

/// Tells whether a server could take a part of a path for the folder itself or the one above, encoded or not.
fn climbs(path: &str) -> bool {
    let plain = path
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/")
        // An encoded percent sign may be decoded twice.
        .replace("%25", "%");
    if plain.contains("%2e") || plain.contains("%2f") || plain.contains("%5c") {
        return true;
    }
    plain.split('/').any(|part| {
        let name = part.split_once(';').map_or(part, |(name, _)| name);
        name == "." || name == ".."
    })
}

/// Percent-encodes what is not ASCII (RFC 3987, section 3.1).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut bytes = [0; 4];
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push('%');
                out.extend([byte >> 4, byte & 15].map(|digit| {
                    char::from_digit(u32::from(digit), 16).map_or('0', |digit| digit.to_ascii_uppercase())
                }));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(prefix: &str) -> AllowList {
        AllowList::new(vec![prefix.parse().unwrap()])
    }

    #[test]
    fn prefixes_match_whole_parts() {
        let check = |prefix: &str, url: &str, expected: Option<&str>| {
            let target = list(prefix).target(url).map(|target| target.to_string());
            assert_eq!(target.as_deref(), expected, "{prefix} {url}");
        };
        let good = "http://good.example/data";
        for (url, expected) in [
            ("http://good.example/data", "http://good.example/data"),
            ("HTTP://GOOD.example:80/data", "http://good.example/data"),
            (
                "http://good.example/data/a.ttl#x",
                "http://good.example/data/a.ttl",
            ),
            (
                "http://good.example/data?q=/../@",
                "http://good.example/data?q=/../@",
            ),
            (
                "http://good.example/data/한",
                "http://good.example/data/%ED%95%9C",
            ),
            ("http://good.example/data/..a", "http://good.example/data/..a"),
        ] {
            check(good, url, Some(expected));
        }
        for url in [
            "http://good.example/database",
            "http://good.example/",
            "http://good.example",
            "http://good.example/DATA",
            "https://good.example/data",
            "http://good.example:8080/data",
            "http://good.example:/data",
            "http://good.example:080x/data",
            "http://good.example:65616/data",
            "http://good.example@evil.example/data",
            "http://good.example:80@evil.example/data",
            "http://user@good.example/data",
            "http://good.example.evil.example/data",
            "http://evilgood.example/data",
            "http://good.example./data",
            "http://evil.example\\@good.example/data",
            "http://good.example\\.evil.example/data",
            "http://good.example%2f.evil.example/data",
            "http://ｇood.example/data",
            "http://evil.example#http://good.example/data",
            "http://evil.example?http://good.example/data",
            "http:good.example/data",
            "http:/good.example/data",
            "//good.example/data",
            "file:///good.example/data",
            "http:///good.example/data",
            "http://good.example/data/../secret",
            "http://good.example/data/..",
            "http://good.example/data/%2e%2E/secret",
            "http://good.example/data/.%2e/secret",
            "http://good.example/data/..%2fsecret",
            "http://good.example/data/..%5csecret",
            "http://good.example/data/%252e%252e/secret",
            "http://good.example/data/..;/secret",
            "http://good.example/data/\r\nHost: evil",
            "",
        ] {
            check(good, url, None);
        }
        check(
            "http://good.example",
            "http://good.example/x",
            Some("http://good.example/x"),
        );
        check("http://good.example/data/", "http://good.example/data", None);
        check(
            "http://good.example/data/",
            "http://good.example/data/a",
            Some("http://good.example/data/a"),
        );
        check(
            "https://good.example:443/",
            "https://good.example/",
            Some("https://good.example/"),
        );
        check(
            "http://[::1]:7/",
            "http://[0:0:0:0:0:0:0:1]:7/a",
            Some("http://[::1]:7/a"),
        );
        check("http://127.0.0.1/", "http://127.1/", None);
        check("http://127.0.0.1/", "http://2130706433/", None);
        check("http://127.0.0.1/", "http://localhost/", None);
        assert_eq!(AllowList::default().target("http://good.example/"), None);
    }

    #[test]
    fn only_what_names_an_address_reaches_private_ones() {
        let reach = |prefix: &str| list(prefix).target(prefix).unwrap().reach();
        assert_eq!(reach("http://127.0.0.1:80/"), Reach::Listed);
        assert_eq!(reach("http://[fd00::1]/"), Reach::Listed);
        assert_eq!(reach("http://LOCALHOST/"), Reach::Loopback);
        for name in [
            "http://good.example/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://a.localhost/",
        ] {
            assert_eq!(reach(name), Reach::Public, "{name}");
        }
    }

    #[test]
    fn urls_of_settings_are_over_tls_or_of_this_machine() {
        for (text, reach) in [
            ("https://issuer.example/keys?a=b", Reach::Listed),
            ("http://127.0.0.1:8080/keys", Reach::Listed),
            ("http://[::1]/keys", Reach::Listed),
            ("http://localhost/keys", Reach::Loopback),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().reach(), reach, "{text}");
        }
        for text in [
            "http://issuer.example/keys",
            "http://10.0.0.1/",
            "http://localhost.evil.example/",
            "keys.json",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn bad_prefixes_are_refused() {
        for text in [
            "good.example",
            "ftp://good.example/",
            "http://",
            "http://user:pass@good.example/",
            "http://good.example/?q",
            "http://good.example/#a",
            "http://*.example/",
            "http://good.example/a/../b",
            "*",
        ] {
            assert!(text.parse::<UrlPrefix>().is_err(), "{text}");
        }
    }
}
