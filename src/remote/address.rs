//! Addresses that a name from elsewhere must not lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that a host may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// Those of the public internet.
    Public,
    /// Those of this machine too: the operator listed `localhost`.
    Loopback,
    /// Any: the operator listed the address itself.
    Listed,
}

impl Reach {
    /// Tells whether a host may have an address.
    pub fn includes(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Loopback => address.to_canonical().is_loopback(),
            Self::Listed => true,
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(address) => is_public_v4(address),
            None => is_public_v6(address),
        },
    }
}

/// The special-purpose registry of IPv4 (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = a == 0
        || a >= 240
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // Shared by the customers of a provider; protocol assignments; benchmarks.
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18);
    !is_special
}

/// Global unicast is `2000::/3`; all else of IPv6 is local, multicast, or nobody's.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_special = a == 0x2001 && (b < 0x200 || b == 0xdb8) || a == 0x3fff && b < 0x1000;
    a & 0xe000 == 0x2000 && !is_special
}

/// Returns the IPv4 address behind an address of IPv6: mapped, compatible, 6to4 or NAT64.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(from(high, low))
        }
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        let check = |expected: bool, addresses: &[&str]| {
            for text in addresses {
                let address: IpAddr = text.parse().unwrap();
                assert_eq!(Reach::Public.includes(address), expected, "{text}");
                assert!(Reach::Listed.includes(address));
            }
        };
        check(
            true,
            &[
                "8.8.8.8",
                "100.63.255.255",
                "100.128.0.0",
                "172.15.0.1",
                "172.32.0.1",
                "2606:4700::1111",
                "::ffff:8.8.8.8",
                "64:ff9b::8.8.8.8",
            ],
        );
        check(
            false,
            &[
                "127.0.0.1",
                "127.255.255.254",
                "0.0.0.0",
                "0.1.2.3",
                "10.0.0.1",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.1.1",
                "169.254.169.254",
                "100.64.0.1",
                "192.0.0.192",
                "198.19.0.1",
                "224.0.0.1",
                "255.255.255.255",
                "::",
                "::1",
                "fe80::1",
                "fec0::1",
                "fc00::1",
                "fd00:ec2::254",
                "ff02::1",
                "2001:db8::1",
                "2001::1",
                "::ffff:127.0.0.1",
                "::127.0.0.1",
                "::ffff:169.254.169.254",
                "64:ff9b::10.0.0.1",
                "2002:7f00:1::",
            ],
        );
    }

    #[test]
    fn localhost_is_this_machine() {
        let includes = |text: &str| Reach::Loopback.includes(text.parse().unwrap());
        assert!(includes("127.0.0.1") && includes("::1") && includes("::ffff:127.0.0.1"));
        assert!(!includes("8.8.8.8") && !includes("10.0.0.1"));
    }
}
