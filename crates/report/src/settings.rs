//! What a hospital sets about the report.

use crate::{Place, Zone};
use std::net::IpAddr;
use tacet_ledger::{Channel, Origin};

/// How staff are named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Names {
    /// By their names.
    #[default]
    Full,
    /// By their roles and a number.
    Role,
}

/// A part of the network: an address and how many of its bits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of a text such as `10.20.0.0/16`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most)?;
        Some(Self { address: address.to_canonical(), bits })
    }

    fn has(self, address: IpAddr) -> bool {
        let kept = |all: u8| u32::from(all.saturating_sub(self.bits));
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let apart = u32::from(own) ^ u32::from(other);
                apart.checked_shr(kept(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let apart = u128::from(own) ^ u128::from(other);
                apart.checked_shr(kept(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// What a hospital sets about the report.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReportSettings {
    /// The hospital's name.
    pub hospital: String,
    /// How its data protection officer is reached; empty: not said.
    pub contact: String,
    /// How staff are named.
    pub names: Names,
    /// How times are told.
    pub zone: Zone,
    /// The hospital's networks; none: from where somebody asked is not told.
    pub networks: Vec<Network>,
}

impl ReportSettings {
    pub(crate) fn place(&self, origin: &Origin) -> Option<Place> {
        match (origin.channel, origin.address) {
            (Channel::CommandLine, _) => Some(Place::Server),
            (Channel::Http, Some(address)) if !self.networks.is_empty() => {
                let inside = self.networks.iter().any(|network| network.has(address));
                Some(if inside { Place::Hospital } else { Place::Elsewhere })
            }
            (Channel::Http | Channel::Internal, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let has = |network: &str, address: &str| Network::parse(network).unwrap().has(address.parse().unwrap());
        assert!(has("10.20.0.0/16", "10.20.255.1") && !has("10.20.0.0/16", "10.21.0.1"));
        assert!(has("10.20.0.0/16", "::ffff:10.20.0.1") && has("0.0.0.0/0", "192.0.2.1") && !has("0.0.0.0/0", "::1"));
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::1") && has("::/0", "::1"));
        assert!(has("192.0.2.7/32", "192.0.2.7") && !has("192.0.2.7/32", "192.0.2.6"));
        for wrong in ["", "10.0.0.0", "10.0.0.0/33", "::/129", "x/8", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
