//! What a hospital says about its own numbers: which system of FHIR an assigning authority is, and by which clock times are written.

use serde::Deserialize;
use std::collections::BTreeMap;
use tacet_types::Zone;

/// How messages are mapped.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// For each assigning authority, by its namespace or its OID, the system of its identifiers. An OID without a line is `urn:oid:` and the OID.
    pub systems: BTreeMap<String, String>,
    /// The system by which patients are found, where PID-3 has several; absent: the first of type PI or MR, else the first that has a system.
    pub patient_system: Option<String>,
    /// The system of visit numbers (PV1-19) that name no authority.
    pub visit_system: Option<String>,
    /// The system of the codes of wards (PV1-3.1, or the unit of ZBE): the `identifier` of their Location.
    pub ward_system: Option<String>,
    /// Minutes east of Greenwich by whose clock times without an offset are written; absent: Central European Time.
    pub zone_minutes: Option<i16>,
}

impl Settings {
    /// By which clock.
    pub fn zone(&self) -> Zone {
        self.zone_minutes.map_or(Zone::Paris, Zone::Fixed)
    }

    /// The system of an assigning authority: namespace, universal id, and its type.
    pub(crate) fn system(&self, namespace: &str, universal: &str, kind: &str) -> Option<String> {
        let named = [universal, namespace].into_iter().filter(|name| !name.is_empty());
        if let Some(system) = named.filter_map(|name| self.systems.get(name)).next() {
            return Some(system.clone());
        }
        let digits =
            |text: &str| text.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()));
        match kind {
            "ISO" if universal.contains('.') && digits(universal) => Some(format!("urn:oid:{universal}")),
            "URI" if universal.contains(':') => Some(universal.to_owned()),
            _ => None,
        }
    }
}
