//! The fixed-size records that say where a resource stands: its head and the description of each version.
//!
//! Fixed sizes, so that sealed lengths tell nothing. To the byte in `docs/formats/vault.md`.

use crate::inline::Inline;
use crate::owner::Owner;
use tacet_types::{Labels, RecordRef, ResourceId, ResourceType, Timestamp, VersionId};

/// Format of both records.
const FORMAT: u8 = 3;

/// Room for a logical id: its length, then 64 bytes filled up with zeros.
const ID_BYTES: usize = 65;

/// Room for the other patients in whose compartment a record is: three ids that are UUIDs, or one of any kind.
const OTHERS_BYTES: usize = 66;

/// In the room for other patients, in place of an id's length: a UUID in lower case stands as its 16 bytes.
const UUID_FORM: u8 = 0xff;

/// How a version came to be, as FHIR's history tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Created under an id that the server chose.
    Post,
    /// Created or updated under a given id.
    Put,
    /// Deleted: there is no content.
    Delete,
}

impl Method {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Post => 1,
            Self::Put => 2,
            Self::Delete => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Post, Self::Put, Self::Delete].into_iter().find(|method| method.code() == code)
    }

    /// The HTTP verb.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// The description of one version: enough to write the ledger entry and to find the key, nothing of the content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct VersionMeta {
    pub(crate) last_updated: Timestamp,
    pub(crate) method: Method,
    pub(crate) owner: Owner,
    /// The security labels that it carries.
    pub(crate) labels: Labels,
    /// The labels that its elements carry.
    pub(crate) inline: Inline,
    /// The patients in whose compartment it is, beside the owner.
    pub(crate) others: Others,
}

/// Patients in whose compartment a record is, beside the one whose key seals it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Others {
    /// These.
    All(Vec<ResourceId>),
    /// More than there is room for: the search index knows them.
    Many,
}

impl Others {
    /// None.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self::All(Vec::new());

    /// Of these patients, those that are not the owner, if there is room.
    pub(crate) fn of(patients: &[ResourceId], owner: &Owner) -> Self {
        let others: Vec<ResourceId> =
            patients.iter().filter(|patient| owner.patient() != Some(*patient)).cloned().collect();
        let room: usize = others.iter().map(|id| packed(id).len()).sum();
        if room <= OTHERS_BYTES { Self::All(others) } else { Self::Many }
    }
}

impl VersionMeta {
    /// All the patients in whose compartment it is. None: they are not all known here.
    pub(crate) fn patients(&self) -> Option<Vec<ResourceId>> {
        match &self.others {
            Others::All(others) => Some(self.owner.patient().into_iter().chain(others).cloned().collect()),
            Others::Many => None,
        }
    }
}

/// The head of a resource: what it is and which version is current.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) record: RecordRef,
    pub(crate) current: VersionMeta,
    /// Keyed hash of the set of patients in whose compartment the current version is.
    pub(crate) patients: [u8; 16],
}

impl Head {
    pub(crate) fn is_deleted(&self) -> bool {
        self.current.method == Method::Delete
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend([FORMAT, self.record.resource_type.code()]);
        put_id(&mut bytes, Some(&self.record.id));
        bytes.extend(self.record.version.0.to_be_bytes());
        put_meta(&mut bytes, &self.current);
        bytes.extend(self.patients);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Cursor(bytes);
        let head = Self {
            record: {
                if rest.byte()? != FORMAT {
                    return None;
                }
                RecordRef {
                    resource_type: ResourceType::from_code(rest.byte()?)?,
                    id: rest.id()??,
                    version: VersionId(u64::from_be_bytes(rest.array()?)),
                }
            },
            current: rest.meta()?,
            patients: rest.array()?,
        };
        rest.0.is_empty().then_some(head)
    }
}

impl VersionMeta {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.push(FORMAT);
        put_meta(&mut bytes, self);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Cursor(bytes);
        let meta = (rest.byte()? == FORMAT).then(|| rest.meta())??;
        rest.0.is_empty().then_some(meta)
    }
}

fn put_id(bytes: &mut Vec<u8>, id: Option<&ResourceId>) {
    let text = id.map_or("", ResourceId::as_str);
    let end = bytes.len() + ID_BYTES;
    bytes.push(text.len() as u8); // at most 64 by the type's own rule
    bytes.extend(text.as_bytes());
    bytes.resize(end, 0);
}

fn put_meta(bytes: &mut Vec<u8>, meta: &VersionMeta) {
    bytes.extend(meta.last_updated.as_ms().to_be_bytes());
    bytes.push(meta.method.code());
    put_id(bytes, meta.owner.patient());
    bytes.extend(meta.labels.bits().to_be_bytes());
    bytes.extend(meta.inline.encode());
    let end = bytes.len() + 1 + OTHERS_BYTES;
    match &meta.others {
        Others::Many => bytes.push(1),
        Others::All(others) => {
            bytes.push(0);
            others.iter().for_each(|id| bytes.extend(packed(id)));
        }
    }
    bytes.resize(end, 0);
}

/// An id in the room for other patients.
fn packed(id: &ResourceId) -> Vec<u8> {
    match uuid(id.as_str()) {
        Some(uuid) => [&[UUID_FORM][..], &uuid].concat(),
        None => [&[id.as_str().len() as u8][..], id.as_str().as_bytes()].concat(),
    }
}

/// The bytes of a UUID in its one lower-case form; none for any other text.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut number = 0u128;
    for (place, byte) in text.bytes().enumerate() {
        match (place, byte) {
            (8 | 13 | 18 | 23, b'-') => {}
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => number = number << 4 | u128::from(byte - b'0'),
            (_, b'a'..=b'f') => number = number << 4 | u128::from(byte - b'a' + 10),
            _ => return None,
        }
    }
    (text.len() == 36).then(|| number.to_be_bytes())
}

fn uuid_text(bytes: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// An id, or inside none where its place is empty.
    fn id(&mut self) -> Option<Option<ResourceId>> {
        let field: [u8; ID_BYTES] = self.array()?;
        let (length, text) = field.split_first()?;
        let (text, filling) = text.split_at_checked(usize::from(*length))?;
        if filling.iter().any(|byte| *byte != 0) {
            return None;
        }
        if text.is_empty() {
            return Some(None);
        }
        Some(Some(ResourceId::parse(std::str::from_utf8(text).ok()?).ok()?))
    }

    fn meta(&mut self) -> Option<VersionMeta> {
        Some(VersionMeta {
            last_updated: Timestamp::from_ms(i64::from_be_bytes(self.array()?)),
            method: Method::from_code(self.byte()?)?,
            owner: self.id()?.map_or(Owner::Establishment, Owner::Patient),
            labels: Labels::from_bits(u64::from_be_bytes(self.array()?)),
            inline: Inline::decode(self.array()?),
            others: self.others()?,
        })
    }

    fn others(&mut self) -> Option<Others> {
        let many = self.byte()?;
        let mut rest: &[u8] = &self.array::<OTHERS_BYTES>()?;
        let mut others = Vec::new();
        while let Some((length, after)) = rest.split_first().filter(|(length, _)| **length != 0) {
            let id = if *length == UUID_FORM {
                let (bytes, after) = after.split_first_chunk::<16>()?;
                rest = after;
                ResourceId::parse(&uuid_text(*bytes)).ok()?
            } else {
                let (text, after) = after.split_at_checked(usize::from(*length))?;
                rest = after;
                let id = ResourceId::parse(std::str::from_utf8(text).ok()?).ok()?;
                // Each id has one form.
                if uuid(id.as_str()).is_some() {
                    return None;
                }
                id
            };
            others.push(id);
        }
        match many {
            _ if rest.iter().any(|byte| *byte != 0) => None,
            0 => Some(Others::All(others)),
            1 if others.is_empty() => Some(Others::Many),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(id: &str, owner: Owner) -> Head {
        Head {
            record: RecordRef {
                resource_type: ResourceType::parse("Observation").unwrap(),
                id: ResourceId::parse(id).unwrap(),
                version: VersionId(7),
            },
            current: VersionMeta {
                last_updated: Timestamp::from_ms(1_700_000_000_123),
                method: Method::Put,
                owner,
                labels: Labels::HIV,
                inline: Inline::decode([0, 0, 0, 4, 1, 2, 3, 4]),
                others: Others::NONE,
            },
            patients: [9; 16],
        }
    }

    #[test]
    fn heads_go_round_and_have_one_size() {
        let patient = Owner::Patient(ResourceId::parse("p").unwrap());
        let long = head(&"x".repeat(64), Owner::Patient(ResourceId::parse(&"y".repeat(64)).unwrap()));
        for head in [head("a", Owner::Establishment), head("a", patient), long.clone()] {
            assert_eq!(Head::decode(&head.encode()), Some(head.clone()));
            assert_eq!(head.encode().len(), long.encode().len());
            let meta = head.current;
            assert_eq!(VersionMeta::decode(&meta.encode()), Some(meta.clone()));
            assert_eq!(meta.encode().len(), long.current.encode().len());
        }
    }

    #[test]
    fn other_patients_go_round_as_far_as_there_is_room() {
        let id = |text: &str| ResourceId::parse(text).unwrap();
        let uuids: Vec<ResourceId> = (0..4).map(|n| id(&format!("447a5071-bbdf-4ccd-9939-1d45f7698cb{n}"))).collect();
        let owner = Owner::Patient(uuids[0].clone());
        let mut longest = uuids[1].as_str().to_owned();
        longest.make_ascii_uppercase();
        for others in [
            Others::of(&uuids, &owner),
            Others::of(&uuids, &Owner::Establishment),
            Others::of(&[id("a"), id(&longest)], &Owner::Establishment),
            Others::of(&[id(&"x".repeat(64))], &Owner::Establishment),
            Others::of(&[id(&"x".repeat(64)), id("y")], &Owner::Establishment),
            Others::NONE,
        ] {
            let mut head = head("o", owner.clone());
            head.current.others = others.clone();
            assert_eq!(Head::decode(&head.encode()), Some(head.clone()));
            assert_eq!(head.encode().len(), super::tests::head("o", Owner::Establishment).encode().len());
        }
        assert_eq!(Others::of(&uuids, &owner), Others::All(uuids[1..].to_vec()));
        assert_eq!(Others::of(&uuids, &Owner::Establishment), Others::Many);
        assert_eq!(Others::of(&uuids[..3], &Owner::Establishment), Others::All(uuids[..3].to_vec()));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let bytes = head("abc", Owner::Establishment).encode();
        for length in 0..bytes.len() {
            assert_eq!(Head::decode(&bytes[..length]), None);
        }
        for (place, value) in
            [(0, 1), (1, 255), (2, 65), (2, 2), (3, b'/'), (20, 1), (83, 9), (165, 2), (166, 3), (208, 1)]
        {
            let mut wrong = bytes.clone();
            wrong[place] = value;
            assert_eq!(Head::decode(&wrong), None, "byte {place}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(Head::decode(&longer), None);
    }
}
