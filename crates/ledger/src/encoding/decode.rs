//! Reading an entry's bytes back. Every bound is checked before anything is reserved or copied.

use super::{
    ACCOUNT, ADDRESS, BASIS, CATEGORIES, DETAIL, DEVICE, DecodeError, ON_BEHALF_OF, OWNER, PATIENT, QUERY, RECORDS,
    ROLE, SESSION, TOKEN, UUID_FORM, VARINT_BYTES_MAX, VERSION, VERSION_WITH_BASIS, VERSION_WITHOUT_BASIS, uuid_bytes,
    uuid_text,
};
use crate::codes::{Channel, EventKind, Outcome, PurposeOfUse};
use crate::entry::{Agent, Entry, Origin, RECORDS_MAX};
use std::net::IpAddr;
use tacet_types::{OperationId, RecordRef, ResourceId, ResourceType, Timestamp, VersionId};

impl Entry {
    /// The entry that these bytes stand for.
    ///
    /// # Errors
    /// A later format, or bytes that no encoder of this format writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let version = match bytes.first() {
            Some(version @ (&VERSION | &VERSION_WITH_BASIS | &VERSION_WITHOUT_BASIS)) => *version,
            Some(&found) if found > VERSION => return Err(DecodeError::NewerFormat { found }),
            _ => return Err(DecodeError::Malformed { offset: 0, what: "version" }),
        };
        let mut reader = Cursor { bytes, offset: 1 };
        let entry = decode_after_version(&mut reader, version)
            .map_err(|what| DecodeError::Malformed { offset: reader.offset.min(bytes.len()), what })?;
        // Bounds are the encoder's promise too: an entry that breaks one was not written by it.
        entry.check().map_err(|_| DecodeError::Malformed { offset: bytes.len(), what: "bounds" })?;
        Ok(entry)
    }
}

/// A place in bytes. Its errors are the name of what was expected; where it stands tells the offset.
struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
}

type Expected<T> = Result<T, &'static str>;

impl<'a> Cursor<'a> {
    fn is_done(&self) -> bool {
        self.offset >= self.bytes.len()
    }

    fn take(&mut self, count: usize, what: &'static str) -> Expected<&'a [u8]> {
        let to = self.offset.checked_add(count).ok_or(what)?;
        let taken = self.bytes.get(self.offset..to).ok_or(what)?;
        self.offset = to;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Expected<[u8; N]> {
        self.take(N, what)?.try_into().map_err(|_| what)
    }

    fn byte(&mut self, what: &'static str) -> Expected<u8> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    fn varint(&mut self, what: &'static str) -> Expected<u64> {
        let mut value = 0u64;
        for place in 0..VARINT_BYTES_MAX {
            let byte = self.byte(what)?;
            let shift = 7 * place as u32;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit only, and a last byte of zero would be a longer form of the same
            // number.
            if (bits << shift) >> shift != bits || (byte == 0 && place > 0) {
                return Err(what);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(what)
    }

    fn resource_type(&mut self) -> Expected<ResourceType> {
        ResourceType::from_code(self.byte("resource type")?).ok_or("resource type")
    }

    fn id(&mut self) -> Expected<ResourceId> {
        const WHAT: &str = "resource id";
        match self.byte(WHAT)? {
            UUID_FORM => ResourceId::parse(&uuid_text(self.array(WHAT)?)).map_err(|_| WHAT),
            length => {
                let text = std::str::from_utf8(self.take(usize::from(length), WHAT)?).map_err(|_| WHAT)?;
                let id = ResourceId::parse(text).map_err(|_| WHAT)?;
                if uuid_bytes(text).is_some() { Err(WHAT) } else { Ok(id) }
            }
        }
    }

    /// The value of the next field where it has this tag.
    fn field(&mut self, tag: u8) -> Expected<Option<Cursor<'a>>> {
        if self.bytes.get(self.offset) != Some(&tag) {
            return Ok(None);
        }
        self.offset += 1;
        let length = usize::try_from(self.varint("length of a field")?).map_err(|_| "length of a field")?;
        let start = self.offset;
        self.take(length, "length of a field")?;
        let bytes = self.bytes.get(..start + length).ok_or("length of a field")?;
        Ok(Some(Cursor { bytes, offset: start }))
    }

    fn text(&mut self, tag: u8, what: &'static str) -> Expected<Option<String>> {
        let Some(mut value) = self.field(tag)? else { return Ok(None) };
        let bytes = value.rest();
        Ok(Some(std::str::from_utf8(bytes).map_err(|_| what)?.to_owned()))
    }

    fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        self.offset = self.bytes.len();
        rest
    }
}

fn decode_after_version(cursor: &mut Cursor<'_>, version: u8) -> Expected<Entry> {
    let kind = EventKind::from_byte(cursor.byte("kind")?).ok_or("kind")?;
    let outcome = Outcome::from_byte(cursor.byte("outcome")?).ok_or("outcome")?;
    let purpose = PurposeOfUse::from_byte(cursor.byte("purpose")?).ok_or("purpose")?;
    let channel = Channel::from_byte(cursor.byte("channel")?).ok_or("channel")?;
    let at_ms = i64::from_be_bytes(cursor.array("time")?);
    let at = Timestamp::from_ms(at_ms);
    if at.as_ms() != at_ms {
        return Err("time");
    }
    let operation = OperationId(cursor.array("operation")?);
    let owner = cursor.text(OWNER, "owner")?.ok_or("owner")?;
    let role = cursor.text(ROLE, "role")?.ok_or("role")?;
    let agent = Agent { owner, role, token: cursor.text(TOKEN, "token id")? };
    let on_behalf_of = cursor.text(ON_BEHALF_OF, "on-behalf-of")?;
    let entry = Entry {
        at,
        kind,
        agent,
        on_behalf_of,
        patient: decode_patient(cursor)?,
        categories: decode_categories(cursor)?,
        records: decode_records(cursor)?,
        purpose,
        origin: Origin { address: decode_address(cursor)?, channel },
        operation,
        outcome,
        query: cursor.text(QUERY, "query")?,
        detail: cursor.text(DETAIL, "detail")?,
        basis: match version {
            VERSION => cursor.text(BASIS, "basis")?,
            VERSION_WITH_BASIS => Some(cursor.text(BASIS, "basis")?.ok_or("basis")?),
            _ => None,
        },
        account: if version == VERSION { cursor.text(ACCOUNT, "account")? } else { None },
        session: if version == VERSION { cursor.text(SESSION, "session")? } else { None },
        device: if version == VERSION { cursor.text(DEVICE, "device")? } else { None },
    };
    // INVARIANT: the lowest version that has its fields is the one encoding of an entry.
    let lowest = version != VERSION || entry.account.is_some() || entry.session.is_some() || entry.device.is_some();
    if !lowest {
        return Err(if cursor.is_done() { "version" } else { "tag of a field" });
    }
    if cursor.is_done() { Ok(entry) } else { Err("tag of a field") }
}

fn decode_patient(cursor: &mut Cursor<'_>) -> Expected<Option<(ResourceType, ResourceId)>> {
    let Some(mut value) = cursor.field(PATIENT)? else { return Ok(None) };
    let patient = (value.resource_type()?, value.id()?);
    if value.is_done() { Ok(Some(patient)) } else { Err("patient") }
}

fn decode_categories(cursor: &mut Cursor<'_>) -> Expected<Vec<ResourceType>> {
    let Some(mut value) = cursor.field(CATEGORIES)? else { return Ok(Vec::new()) };
    let mut categories = Vec::new();
    loop {
        let category = value.resource_type()?;
        if categories.last().is_some_and(|last| *last >= category) {
            return Err("categories in order");
        }
        categories.push(category);
        if value.is_done() {
            return Ok(categories);
        }
    }
}

fn decode_records(cursor: &mut Cursor<'_>) -> Expected<Vec<RecordRef>> {
    let Some(mut value) = cursor.field(RECORDS)? else { return Ok(Vec::new()) };
    let mut records = Vec::new();
    loop {
        let (resource_type, id) = (value.resource_type()?, value.id()?);
        let version = VersionId(value.varint("version of a record")?);
        if records.len() >= RECORDS_MAX {
            return Err("number of records");
        }
        records.push(RecordRef { resource_type, id, version });
        if value.is_done() {
            return Ok(records);
        }
    }
}

fn decode_address(cursor: &mut Cursor<'_>) -> Expected<Option<IpAddr>> {
    let Some(mut value) = cursor.field(ADDRESS)? else { return Ok(None) };
    let bytes = value.rest();
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or(v6).map(Some).map_err(|_| "address")
}
