//! Which addresses a handler's target may have.
//!
//! Baton calls URLs that operators type in; without a policy that makes it a way into the network it stands in (SSRF). Public
//! addresses are allowed, everything that the IANA special-purpose registries (RFC 6890 and later) set apart is refused unless
//! listed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The setting that permits more.
pub const SETTING: &str = "BATON_ALLOW_TARGETS";

/// Special ranges and what they are. The first that holds an address names it.
const SPECIAL: &[(&str, &str)] = &[
    ("0.0.0.0/8", "an address of this network"),
    ("10.0.0.0/8", "a private address"),
    ("100.64.0.0/10", "a shared carrier address"),
    ("127.0.0.0/8", "a loopback address"),
    ("169.254.0.0/16", "a link-local address"),
    ("172.16.0.0/12", "a private address"),
    ("192.0.0.0/24", "an address for protocol assignments"),
    ("192.0.2.0/24", "a documentation address"),
    ("192.31.196.0/24", "an AS112 address"),
    ("192.52.193.0/24", "an AMT address"),
    ("192.88.99.0/24", "a 6to4 relay address"),
    ("192.168.0.0/16", "a private address"),
    ("192.175.48.0/24", "an AS112 address"),
    ("198.18.0.0/15", "a benchmarking address"),
    ("198.51.100.0/24", "a documentation address"),
    ("203.0.113.0/24", "a documentation address"),
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved address"),
    ("::1/128", "a loopback address"),
    ("::/128", "the unspecified address"),
    ("::/96", "a deprecated IPv4-compatible address"),
    ("64:ff9b:1::/48", "a local NAT64 address"),
    ("::ffff:0:0:0/96", "an IPv4-translated address"),
    ("100::/64", "a discard address"),
    ("100:0:0:1::/64", "a dummy address"),
    ("2001::/23", "an address for protocol assignments"),
    ("2001:db8::/32", "a documentation address"),
    ("2002::/16", "a 6to4 address"),
    ("2620:4f:8000::/48", "an AS112 address"),
    ("3fff::/20", "a documentation address"),
    ("5f00::/16", "a segment routing address"),
    ("fc00::/7", "a unique local address"),
    ("fe80::/10", "a link-local address"),
    ("fec0::/10", "a deprecated site-local address"),
    ("ff00::/8", "a multicast address"),
];

/// The policy: what is allowed beside public addresses.
#[derive(Debug, Clone)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
    special: Vec<(IpNet, &'static str)>,
}

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The address that would have been connected to.
    pub address: IpAddr,
    /// The range that it is in.
    pub range: IpNet,
    /// What that range is.
    pub what: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is {} ({}), which the address policy forbids; list it in {SETTING} to permit it",
            self.address, self.what, self.range
        )
    }
}

impl AddressPolicy {
    /// Public addresses, those in `allowed`, and loopback ones when `loopback` says that Baton itself listens on loopback only.
    #[must_use]
    pub fn new(allowed: impl IntoIterator<Item = IpNet>, loopback: bool) -> Self {
        let mut allowed: Vec<_> = allowed.into_iter().collect();
        if loopback {
            allowed.extend(["127.0.0.0/8", "::1/128"].iter().filter_map(|net| IpNet::from_str(net).ok()));
        }
        let special = SPECIAL.iter().filter_map(|(net, what)| IpNet::from_str(net).ok().map(|net| (net, *what))).collect();
        Self { allowed, special }
    }

    /// Checks an address that is about to be connected to, or that a URL names. IPv6 forms of an IPv4 address (mapped, NAT64) count as
    /// that address.
    ///
    /// # Errors
    /// Which range forbids it.
    pub fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let meant = plain(address);
        if self.allowed.iter().any(|net| net.contains(&meant) || net.contains(&address)) {
            return Ok(());
        }
        match self.special.iter().find(|(net, _)| net.contains(&meant)) {
            None => Ok(()),
            Some((range, what)) => Err(Refusal { address, range: *range, what: (*what).into() }),
        }
    }
}

/// The IPv4 address that an IPv6 address stands for, where it does.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
    if v6.segments().starts_with(&NAT64) { embedded(v6).into() } else { address }
}

fn embedded(v6: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = v6.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(policy: &AddressPolicy, address: &str) -> bool {
        policy.check(address.parse().unwrap()).is_err()
    }

    #[test]
    fn the_table_of_ranges_parses() {
        assert_eq!(AddressPolicy::new([], false).special.len(), SPECIAL.len());
    }

    #[test]
    fn public_addresses_pass_and_special_ones_do_not() {
        let policy = AddressPolicy::new([], false);
        for public in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"] {
            assert!(!refused(&policy, public), "{public}");
        }
        for special in [
            "127.0.0.1",
            "127.255.255.254",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "::ffff:0:a9fe:a9fe",
            "100:0:0:1::1",
            "64:ff9b:1::1",
            "fe80::1",
            "fd00::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2001::1",
            "ff02::1",
        ] {
            assert!(refused(&policy, special), "{special}");
        }
    }

    #[test]
    fn listed_ranges_and_loopback_for_loopback_pass() {
        let policy = AddressPolicy::new(["10.0.0.0/8".parse().unwrap()], true);
        for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(!refused(&policy, allowed), "{allowed}");
        }
        assert!(refused(&policy, "192.168.0.1"));
    }

    #[test]
    fn a_refusal_names_address_rule_and_setting() {
        let refusal = AddressPolicy::new([], false).check("169.254.169.254".parse().unwrap()).unwrap_err().to_string();
        for part in ["169.254.169.254", "link-local", "169.254.0.0/16", SETTING] {
            assert!(refusal.contains(part), "{refusal}");
        }
    }
}
