//! Which addresses an endpoint that a policy names may resolve to (POLICY.md section 6).

use std::{
    collections::HashSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
};

/// Metadata services of clouds that are not on a link-local address. AWS and Google (IPv6), Alibaba, Oracle, Azure.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// An address that policies may not make the agent connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {what}, where policies may not send to; the agent's --config can allow it")]
pub struct Refused {
    /// Which.
    pub address: IpAddr,
    /// What it is.
    pub what: &'static str,
}

/// What `--config` allows in spite of the rule: a host name as policies write it, an address, or a network `ADDRESS/BITS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// A host name, compared without case.
    Host(String),
    /// Addresses that have these first bits.
    Network(IpAddr, u8),
}

/// An entry that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a host name, an address, nor ADDRESS/BITS")]
pub struct AllowedError(String);

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Self, AllowedError> {
        let error = || AllowedError(text.to_owned());
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| error())?;
            let bits: u8 = bits.parse().map_err(|_| error())?;
            return if bits <= width(address) { Ok(Self::Network(address, bits)) } else { Err(error()) };
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Network(address, width(address)));
        }
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if text.is_empty() || !text.bytes().all(valid) { Err(error()) } else { Ok(Self::Host(text.to_owned())) }
    }
}

const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl Allowed {
    fn covers(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Host(name) => name.eq_ignore_ascii_case(host.trim_end_matches('.')),
            Self::Network(network, length) => {
                width(*network) == width(address)
                    && (*length == 0 || (bits(*network) ^ bits(address)) >> (width(address) - length) == 0)
            }
        }
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Where what policies name may be. Clones share the addresses of nodes.
#[derive(Clone, Default)]
pub struct Reach(Option<Arc<Restriction>>);

struct Restriction {
    allowed: Vec<Allowed>,
    nodes: RwLock<HashSet<IpAddr>>,
}

impl PartialEq for Reach {
    /// Of two restrictions only one and the same are equal.
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(left), Some(right)) => Arc::ptr_eq(left, right),
            _ => false,
        }
    }
}

impl Eq for Reach {}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_restricted() { "Reach(restricted)" } else { "Reach(anywhere)" })
    }
}

impl Reach {
    /// Anywhere: `run` and `replay`.
    pub const ANYWHERE: Self = Self(None);

    /// As POLICY.md section 6 says, except for what is allowed.
    pub fn restricted(allowed: Vec<Allowed>) -> Self {
        Self(Some(Arc::new(Restriction { allowed, nodes: RwLock::default() })))
    }

    /// Whether the rule holds.
    pub const fn is_restricted(&self) -> bool {
        self.0.is_some()
    }

    /// Replaces the addresses of nodes: of this one, and of all that the API server tells.
    pub fn set_nodes(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        if let Some(restriction) = &self.0 {
            let addresses = addresses.into_iter().map(plain).collect();
            *restriction.nodes.write().unwrap_or_else(PoisonError::into_inner) = addresses;
        }
    }

    /// Whether the agent may connect to `address`, which `host` (a name, or the address itself) resolved to. To be asked after every resolution.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let Some(restriction) = &self.0 else { return Ok(()) };
        let plain = plain(address);
        let is_node = || restriction.nodes.read().unwrap_or_else(PoisonError::into_inner).contains(&plain);
        let Some(what) = special(plain).or_else(|| is_node().then_some("the address of a node")) else { return Ok(()) };
        if restriction.allowed.iter().any(|allowed| allowed.covers(host, plain)) {
            return Ok(());
        }
        Err(Refused { address, what })
    }
}

/// The IPv4 address that an IPv6 address stands for, if it does: mapped, compatible (RFC 4291 section 2.5.5), NAT64 (RFC 6052), 6to4 (RFC 3056).
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let segments = six.segments();
    let low = Ipv4Addr::from_bits(six.to_bits() as u32);
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] if !six.is_loopback() && !six.is_unspecified() => low.into(),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => low.into(),
        [0x2002, ..] => Ipv4Addr::from_bits((six.to_bits() >> 80) as u32).into(),
        _ => address,
    }
}

fn special(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    // 0.0.0.0/8 is this host too (RFC 1122 section 3.2.1.3): Linux connects 0.0.0.0 to loopback.
    let this_host = address.is_unspecified() || matches!(address, IpAddr::V4(four) if four.octets()[0] == 0);
    let broadcast = matches!(address, IpAddr::V4(four) if four.is_broadcast());
    if address.is_loopback() || this_host {
        Some("a loopback address")
    } else if link_local {
        Some("a link-local address")
    } else if METADATA.contains(&address) {
        Some("the address of a metadata service")
    } else if address.is_multicast() || broadcast {
        Some("no address of a single host")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reach: &Reach, host: &str, address: &str) -> bool {
        reach.check(host, address.parse().unwrap()).is_err()
    }

    #[test]
    fn special_addresses_are_refused_in_every_spelling() {
        let reach = Reach::restricted(Vec::new());
        for address in [
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "255.255.255.255",
            "224.0.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "::1",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ] {
            assert!(refused(&reach, "c", address), "{address}");
            assert!(!refused(&Reach::ANYWHERE, "c", address), "{address}");
        }
        for address in ["10.0.0.7", "192.168.1.1", "8.8.8.8", "fd00::7", "2001:db8::1", "64:ff9b::808:808"] {
            assert!(!refused(&reach, "c", address), "{address}");
        }
    }

    #[test]
    fn addresses_of_nodes_are_refused_and_can_change() {
        let reach = Reach::restricted(Vec::new());
        let clone = reach.clone();
        assert!(!refused(&clone, "c", "10.1.0.5"));
        reach.set_nodes(["10.1.0.5".parse().unwrap(), "2001:db8::5".parse().unwrap()]);
        assert!(refused(&clone, "c", "10.1.0.5") && refused(&clone, "c", "::ffff:10.1.0.5"));
        assert!(refused(&clone, "c", "2001:db8::5"));
        reach.set_nodes([]);
        assert!(!refused(&clone, "c", "10.1.0.5"));
    }

    #[test]
    fn what_is_allowed_is_not_refused() {
        let allowed =
            ["collector.infra.svc", "127.0.0.1", "10.1.0.0/16", "fe80::/10"].map(|text| text.parse().unwrap());
        let reach = Reach::restricted(allowed.to_vec());
        reach.set_nodes(["10.1.2.3", "10.2.2.3"].map(|text| text.parse().unwrap()));
        assert!(!refused(&reach, "Collector.infra.svc.", "127.0.0.9"));
        assert!(refused(&reach, "other.infra.svc", "127.0.0.9"));
        assert!(!refused(&reach, "other", "127.0.0.1"));
        assert!(!refused(&reach, "other", "10.1.2.3") && refused(&reach, "other", "10.2.2.3"));
        assert!(!refused(&reach, "other", "fe80::1"));
        assert_eq!(format!("{reach:?} {:?}", Reach::ANYWHERE), "Reach(restricted) Reach(anywhere)");
    }

    #[test]
    fn entries_that_are_neither() {
        for bad in ["", "10.0.0.0/33", "a/8", "http://c", "10.0.0.0/x", "a b"] {
            assert!(bad.parse::<Allowed>().is_err(), "{bad}");
        }
        assert_eq!("0.0.0.0/0".parse(), Ok(Allowed::Network(Ipv4Addr::UNSPECIFIED.into(), 0)));
    }
}
