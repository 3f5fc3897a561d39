//! By what an entry is found: keyed hashes of what it says.

use crate::codes::EventKind;
use crate::entry::Entry;
use crate::rows::SPACE_ENTRY;
use std::net::IpAddr;
use tacet_seal::{EstablishmentKeys, RowKeys};
use tacet_types::{ResourceId, ResourceType};

/// One thing that an entry says and can be found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Facet<'a> {
    /// Whose record it was, or a version of whose Patient resource it names.
    Patient(ResourceType, &'a ResourceId),
    /// Who: the account's owner, its id, or who stands behind it.
    Person(&'a str),
    /// What was shown: the short id of a token, or of the session.
    Credential(&'a str),
    /// The short id of the device.
    Device(&'a str),
    /// The network address.
    Address(IpAddr),
    /// The kind of event.
    Kind(EventKind),
    /// Nothing: the entry did not open when it was looked at.
    Unread,
}

/// Makes the keys of facets: the first 8 bytes of a keyed hash. Two facets of one key do no harm, since every entry that is found is
/// held against the question; without the establishment's key nobody can tell which facet a key is, or make two that meet.
#[derive(Clone)]
pub struct FacetKeys {
    keys: RowKeys,
    kinds: Vec<(EventKind, u64)>,
    patient: Option<ResourceType>,
}

impl FacetKeys {
    /// The keys of an establishment.
    pub fn new(keys: &EstablishmentKeys) -> Self {
        let mut new = Self {
            keys: keys.row_keys.clone(),
            kinds: Vec::with_capacity(EventKind::ALL.len()),
            patient: ResourceType::parse("Patient"),
        };
        new.kinds = EventKind::ALL.iter().map(|kind| (*kind, new.hash(6, &[&[kind.byte()]]))).collect();
        new
    }

    /// The key of a facet.
    pub fn key(&self, facet: Facet<'_>) -> u64 {
        match facet {
            Facet::Patient(resource_type, id) => self.hash(1, &[&[resource_type.code()], id.as_str().as_bytes()]),
            Facet::Person(name) => self.hash(2, &[name.as_bytes()]),
            Facet::Credential(id) => self.hash(3, &[id.as_bytes()]),
            Facet::Device(id) => self.hash(4, &[id.as_bytes()]),
            Facet::Address(IpAddr::V4(address)) => self.hash(5, &[&address.octets()]),
            Facet::Address(IpAddr::V6(address)) => self.hash(5, &[&address.octets()]),
            Facet::Kind(kind) => {
                let known = self.kinds.iter().find(|(known, _)| *known == kind);
                known.map_or_else(|| self.hash(6, &[&[kind.byte()]]), |(_, key)| *key)
            }
            Facet::Unread => self.hash(7, &[]),
        }
    }

    fn hash(&self, domain: u8, parts: &[&[u8]]) -> u64 {
        let [_, a, b, c, d, e, f, g, h, ..] = self.keys.key(SPACE_ENTRY, domain, parts);
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Adds the key of each facet of an entry to `out`, each once; those already in `out` stay as they are.
    pub fn of_entry(&self, entry: &Entry, out: &mut Vec<u64>) {
        let start = out.len();
        out.push(self.key(Facet::Kind(entry.kind)));
        if let Some((resource_type, id)) = &entry.patient {
            out.push(self.key(Facet::Patient(*resource_type, id)));
        }
        for record in entry.records.iter().filter(|record| Some(record.resource_type) == self.patient) {
            out.push(self.key(Facet::Patient(record.resource_type, &record.id)));
        }
        let people = [Some(&entry.agent.owner), entry.account.as_ref(), entry.on_behalf_of.as_ref()];
        out.extend(people.into_iter().flatten().map(|name| self.key(Facet::Person(name))));
        let shown = [entry.agent.token.as_ref(), entry.session.as_ref()];
        out.extend(shown.into_iter().flatten().map(|id| self.key(Facet::Credential(id))));
        out.extend(entry.device.as_ref().map(|id| self.key(Facet::Device(id))));
        out.extend(entry.origin.address.map(|address| self.key(Facet::Address(address))));
        let mut own = out.split_off(start);
        own.sort_unstable();
        own.dedup();
        out.append(&mut own);
    }
}

impl std::fmt::Debug for FacetKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FacetKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::full_entry;
    use std::collections::BTreeSet;
    use tacet_seal::Key;
    use tacet_types::EstablishmentId;

    fn keys(key: u8) -> FacetKeys {
        FacetKeys::new(&EstablishmentKeys::derive(&Key::from_bytes([key; 32]), EstablishmentId([1; 16])))
    }

    #[test]
    fn no_two_facets_have_one_key() {
        let keys = keys(1);
        let (patient, group) = (ResourceType::parse("Patient").unwrap(), ResourceType::parse("Group").unwrap());
        let id = ResourceId::parse("a").unwrap();
        let mut facets = vec![Facet::Patient(patient, &id), Facet::Patient(group, &id), Facet::Unread];
        facets.extend([Facet::Person("a"), Facet::Credential("a"), Facet::Device("a"), Facet::Person("")]);
        facets.extend(["10.0.0.1", "::a00:1"].map(|text| Facet::Address(text.parse().unwrap())));
        facets.extend(EventKind::ALL.iter().map(|kind| Facet::Kind(*kind)));
        let distinct: BTreeSet<u64> = facets.iter().map(|facet| keys.key(*facet)).collect();
        assert_eq!(distinct.len(), facets.len());
        let other = self::keys(2);
        assert!(facets.iter().all(|facet| !distinct.contains(&other.key(*facet))));
    }

    #[test]
    fn an_entry_is_found_by_all_that_it_says() {
        let keys = keys(1);
        let patient = ResourceType::parse("Patient").unwrap();
        let mut entry = full_entry();
        (entry.account, entry.session) = (Some("a-1".into()), Some("t-4711".into()));
        entry.device = Some("d-1".into());
        entry.records[1].resource_type = patient;
        let mut found = vec![7];
        keys.of_entry(&entry, &mut found);
        let (_, whose) = entry.patient.clone().unwrap();
        let facets = [
            Facet::Patient(patient, &whose),
            Facet::Patient(patient, &entry.records[1].id),
            Facet::Person("Dr Zélie Aubrac"),
            Facet::Person("a-1"),
            Facet::Person("Ward 3"),
            Facet::Credential("t-4711"),
            Facet::Device("d-1"),
            Facet::Address("192.0.2.7".parse().unwrap()),
            Facet::Kind(EventKind::Search),
        ];
        let expected: BTreeSet<u64> = facets.iter().map(|facet| keys.key(*facet)).collect();
        assert_eq!(found[0], 7);
        assert_eq!(found[1..].iter().copied().collect::<BTreeSet<_>>(), expected);
        assert_eq!(found.len(), 1 + expected.len(), "token and session are the same text: once");
    }
}
