//! The bytes of an entry: what is sealed into a ledger row. Version 2 is version 1 with a ground, version 3 says
//! by which account, in which session or from which device. An entry is written in the lowest version that has its fields.
//!
//! ```text
//! version=1|2|3  kind  outcome  purpose  channel  at (8)  operation (16)  { tag  length  value }*
//! ```
//!
//! One entry has one encoding: fields in the order of their tags, lengths in the shortest form, nothing optional in
//! how they are written. A decoder therefore refuses whatever an encoder would not have written. To the byte:
//! `docs/formats/ledger.md`.

mod decode;

use crate::entry::{
    ACCOUNT_BYTES_MAX, BASIS_BYTES_MAX, DETAIL_BYTES_MAX, DEVICE_BYTES_MAX, Entry, EntryError, ON_BEHALF_OF_BYTES_MAX,
    OWNER_BYTES_MAX, QUERY_BYTES_MAX, RECORDS_MAX, ROLE_BYTES_MAX, SESSION_BYTES_MAX, TOKEN_BYTES_MAX,
};
use std::net::IpAddr;
use tacet_types::{RESOURCE_ID_BYTES_MAX, ResourceId, ResourceType};

/// The newest version of the encoding: of entries that name an account, a session or a device.
pub const VERSION: u8 = 3;

/// The version of entries that say on which ground something was allowed, and name none of the three.
const VERSION_WITH_BASIS: u8 = 2;

/// The version of entries that name no ground.
const VERSION_WITHOUT_BASIS: u8 = 1;

/// Bytes before the first field.
const FIXED_BYTES: usize = 29;

/// Longest variable-length number: 64 bits, seven a byte.
const VARINT_BYTES_MAX: usize = 10;

/// Longest record: type, length of the id, id, version.
const RECORD_BYTES_MAX: usize = 2 + RESOURCE_ID_BYTES_MAX + VARINT_BYTES_MAX;

/// Longest text fields together.
const TEXT_BYTES_MAX: usize = OWNER_BYTES_MAX
    + ROLE_BYTES_MAX
    + TOKEN_BYTES_MAX
    + ON_BEHALF_OF_BYTES_MAX
    + QUERY_BYTES_MAX
    + DETAIL_BYTES_MAX
    + BASIS_BYTES_MAX
    + ACCOUNT_BYTES_MAX
    + SESSION_BYTES_MAX
    + DEVICE_BYTES_MAX;

/// Longest encoded entry, in bytes. Nothing longer is opened or decoded. With its seal and the row's header it fits the 65,535
/// bytes that an entry of a transparency log may have (C2SP tlog-tiles, "Log entries").
pub const ENTRY_BYTES_MAX: usize = 60 * 1024 - 64;

/// How many different fields there are, each with a tag and a length before it.
const FIELDS: usize = 14;

const _: () = assert!(
    FIXED_BYTES
        + FIELDS * (1 + VARINT_BYTES_MAX)
        + TEXT_BYTES_MAX
        + RECORDS_MAX * RECORD_BYTES_MAX
        + (1 + RESOURCE_ID_BYTES_MAX)
        + ResourceType::COUNT
        + 16
        <= ENTRY_BYTES_MAX,
    "an entry within its bounds fits"
);

const OWNER: u8 = 0x01;
const ROLE: u8 = 0x02;
const TOKEN: u8 = 0x03;
const ON_BEHALF_OF: u8 = 0x04;
const PATIENT: u8 = 0x05;
const CATEGORIES: u8 = 0x06;
const RECORDS: u8 = 0x07;
const ADDRESS: u8 = 0x08;
const QUERY: u8 = 0x09;
const DETAIL: u8 = 0x0a;
const BASIS: u8 = 0x0b;
const ACCOUNT: u8 = 0x0c;
const SESSION: u8 = 0x0d;
const DEVICE: u8 = 0x0e;

/// In a record, in place of the id's length: the id is a lower-case UUID and stands as its 16 bytes.
const UUID_FORM: u8 = 0;

/// Why bytes are not an entry. Says where, never what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a later Tacet.
    #[error("the entry has format {found} and this program reads format {VERSION}: use a newer program")]
    NewerFormat {
        /// The version found.
        found: u8,
    },
    /// Not what an encoder of this version writes.
    #[error("not a ledger entry of format {VERSION}: byte {offset} is wrong ({what})")]
    Malformed {
        /// Where decoding stopped.
        offset: usize,
        /// What was expected there.
        what: &'static str,
    },
}

impl Entry {
    /// The entry's bytes, to be sealed. Categories are written as a set: in order, each once.
    ///
    /// # Errors
    /// The entry goes beyond a bound ([`Entry::check`]).
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        self.check()?;
        let mut out = Vec::with_capacity(FIXED_BYTES + 128 + self.records.len() * 24);
        let version = if self.account.is_some() || self.session.is_some() || self.device.is_some() {
            VERSION
        } else if self.basis.is_some() {
            VERSION_WITH_BASIS
        } else {
            VERSION_WITHOUT_BASIS
        };
        out.extend([version, self.kind.byte(), self.outcome.byte(), self.purpose.byte(), self.origin.channel.byte()]);
        out.extend(self.at.as_ms().to_be_bytes());
        out.extend(self.operation.0);
        field(&mut out, OWNER, self.agent.owner.as_bytes());
        field(&mut out, ROLE, self.agent.role.as_bytes());
        text(&mut out, TOKEN, self.agent.token.as_deref());
        text(&mut out, ON_BEHALF_OF, self.on_behalf_of.as_deref());
        if let Some((resource_type, id)) = &self.patient {
            let mut value = vec![resource_type.code()];
            put_id(&mut value, id);
            field(&mut out, PATIENT, &value);
        }
        if !self.categories.is_empty() {
            let set: std::collections::BTreeSet<u8> = self.categories.iter().map(|category| category.code()).collect();
            field(&mut out, CATEGORIES, &set.into_iter().collect::<Vec<_>>());
        }
        if !self.records.is_empty() {
            let mut value = Vec::with_capacity(self.records.len() * 24);
            for record in &self.records {
                value.push(record.resource_type.code());
                put_id(&mut value, &record.id);
                put_varint(&mut value, record.version.0);
            }
            field(&mut out, RECORDS, &value);
        }
        match self.origin.address {
            Some(IpAddr::V4(address)) => field(&mut out, ADDRESS, &address.octets()),
            Some(IpAddr::V6(address)) => field(&mut out, ADDRESS, &address.octets()),
            None => (),
        }
        text(&mut out, QUERY, self.query.as_deref());
        text(&mut out, DETAIL, self.detail.as_deref());
        text(&mut out, BASIS, self.basis.as_deref());
        text(&mut out, ACCOUNT, self.account.as_deref());
        text(&mut out, SESSION, self.session.as_deref());
        text(&mut out, DEVICE, self.device.as_deref());
        debug_assert!(out.len() <= ENTRY_BYTES_MAX);
        Ok(out)
    }
}

fn field(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn text(out: &mut Vec<u8>, tag: u8, value: Option<&str>) {
    if let Some(value) = value {
        field(out, tag, value.as_bytes());
    }
}

/// Seven bits a byte, lowest first, the top bit set on all but the last (as in LEB128).
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_id(out: &mut Vec<u8>, id: &ResourceId) {
    match uuid_bytes(id.as_str()) {
        Some(uuid) => {
            out.push(UUID_FORM);
            out.extend(uuid);
        }
        None => {
            out.push(id.as_str().len() as u8); // at most RESOURCE_ID_BYTES_MAX
            out.extend_from_slice(id.as_str().as_bytes());
        }
    }
}

/// The bytes of a UUID in its one lower-case form (RFC 9562, section 4); `None` for any other text.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != 36 {
        return None;
    }
    let mut digits = [0u8; 32];
    let mut at = 0;
    for (place, byte) in text.iter().enumerate() {
        match (place, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => *digits.get_mut(at)? = byte - b'0',
            (_, b'a'..=b'f') => *digits.get_mut(at)? = byte - b'a' + 10,
            _ => return None,
        }
        at += 1;
    }
    let mut bytes = [0u8; 16];
    for (to, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        *to = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

fn uuid_text(bytes: [u8; 16]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(DIGITS.get(usize::from(digit)).copied().map_or('0', char::from));
        }
    }
    text
}

#[cfg(test)]
mod tests;
