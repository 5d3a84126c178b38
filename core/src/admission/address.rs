//! Which addresses count as one: what a limit for each address is kept by.

use core::net::{IpAddr, Ipv6Addr};

use smol_str::SmolStr;

/// An address as it is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AddressKey {
    Ip(IpAddr),
    /// What is no IP address: the path of a Unix socket, a name an adapter made up.
    Text(SmolStr),
}

impl AddressKey {
    /// How much of a text counts, in bytes.
    const MAX_TEXT: usize = 64;

    /// An IPv6 address stands for its network of 64 bits, the least that one subscriber has; an IPv4
    /// address in IPv6's clothes for itself. A port is not part of an address.
    pub(super) fn new(text: &str) -> Self {
        match text.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(IpAddr::V6(ip)) => {
                let network = ip.to_bits() & !u128::from(u64::MAX);
                Self::Ip(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
            Ok(ip) => Self::Ip(ip),
            Err(_) => {
                let end = text.floor_char_boundary(Self::MAX_TEXT);
                Self::Text(SmolStr::new(text.get(..end).unwrap_or_default()))
            }
        }
    }
}
