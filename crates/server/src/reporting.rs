//! What the operator sets about the patient's own report: `[ledger.report]` of the configuration.

use serde::{Deserialize, Deserializer, de};
use tacet_report::{Names, Network, ReportSettings, Zone};

/// Most networks of a hospital that are listed.
const NETWORKS_MAX: usize = 256;

/// Longest contact, in bytes.
const CONTACT_BYTES_MAX: usize = 500;

/// What the operator sets about the patient's own report.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportConfig {
    /// How staff are named: `full` or `role`.
    #[serde(deserialize_with = "names")]
    pub names: Names,
    /// How the data protection officer is reached.
    #[serde(deserialize_with = "contact")]
    pub contact: String,
    /// By which clock times are told: `Europe/Paris`, `UTC` or a distance such as `+04:00`.
    #[serde(deserialize_with = "zone")]
    pub time_zone: Zone,
    /// The hospital's networks, such as `10.0.0.0/8`.
    #[serde(deserialize_with = "networks")]
    pub networks: Vec<Network>,
}

impl ReportConfig {
    /// The settings of a hospital of this name.
    pub fn settings(&self, hospital: &str) -> ReportSettings {
        ReportSettings {
            hospital: hospital.to_owned(),
            contact: self.contact.clone(),
            names: self.names,
            zone: self.time_zone,
            networks: self.networks.clone(),
        }
    }
}

fn names<'de, D: Deserializer<'de>>(from: D) -> Result<Names, D::Error> {
    match String::deserialize(from)?.as_str() {
        "full" => Ok(Names::Full),
        "role" => Ok(Names::Role),
        _ => Err(de::Error::custom("`names` is `full` or `role`")),
    }
}

fn contact<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.len() > CONTACT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(de::Error::custom("`contact` is a line of at most 500 bytes"));
    }
    Ok(text)
}

fn zone<'de, D: Deserializer<'de>>(from: D) -> Result<Zone, D::Error> {
    Zone::parse(&String::deserialize(from)?)
        .ok_or_else(|| de::Error::custom("`time_zone` is `Europe/Paris`, `UTC` or a distance such as `+04:00`"))
}

fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    if texts.len() > NETWORKS_MAX {
        return Err(de::Error::custom("`networks` are 256 at most"));
    }
    let network = |text: &String| {
        Network::parse(text)
            .ok_or_else(|| de::Error::custom("a network is an address and its bits, such as `10.0.0.0/8`"))
    };
    texts.iter().map(network).collect()
}
