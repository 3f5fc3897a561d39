//! Terms of the token field: what a document can be found by, as bytes.
//!
//! ```text
//! parameter u16 BE · type of the resource u8 · kind u8 · what it is (see `kind`)
//! ```
//!
//! Several types share a parameter (`clinical-code`), and nearly every search is for one type: with the type in front a posting list
//! belongs to one, and how long it is answers how many there are. What every document has stands under no type. Terms are made for
//! no type and then set to one ([`set_type`]).
//!
//! A text that something follows is escaped and ended (`escape`), so that the order of terms is the order of texts and all terms that
//! begin with a text are one range of the dictionary. A term holds the whole value that it stands for: what a range gives too much
//! is told apart by reading the value back out of the term.

mod read;

pub(super) use read::{key_from, value_of};

use crate::document::{Key, System};
use aws_lc_rs::digest;
use tacet_types::{ResourceId, ResourceType};

/// Stands where a parameter's index stands, for what every document has.
pub(super) const GLOBAL: u16 = u16::MAX;

/// Stands where a parameter's index stands, for when a document was stored.
pub(super) const LAST_UPDATED: u16 = u16::MAX - 1;

/// Stands where the code of a type stands, in what is under no type.
const NO_TYPE: u8 = 0;

/// What a term says, after parameter and type. Written to disk: none may change its number or its shape without a new format.
pub(super) mod kind {
    /// A token's code, ended; then its system.
    pub(crate) const CODE: u8 = 1;
    /// A token's system, or that the element implies it.
    pub(crate) const SYSTEM: u8 = 2;
    /// A word of a token's text.
    pub(crate) const TOKEN_WORD: u8 = 3;
    /// A word of a string.
    pub(crate) const STRING_WORD: u8 = 4;
    /// Identifier, ended; code of its type, ended; system of its type.
    pub(crate) const OF_TYPE: u8 = 5;
    /// A string folded, ended; then as written, unless that is the same.
    pub(crate) const STRING: u8 = 6;
    /// Type and id that a reference leads to.
    pub(crate) const REFERENCE: u8 = 7;
    /// Type that a reference leads to.
    pub(crate) const REFERENCE_TYPE: u8 = 8;
    /// A reference elsewhere.
    pub(crate) const REFERENCE_URL: u8 = 9;
    /// Value of an identifier, ended; then its system.
    pub(crate) const REFERENCE_IDENTIFIER: u8 = 10;
    /// A uri or canonical, ended; then which of them, and the version.
    pub(crate) const URI: u8 = 11;
    /// Place of the part in a composite, its code ended.
    pub(crate) const PART: u8 = 12;
    /// The parameter has a value.
    pub(crate) const PRESENT: u8 = 13;
    /// A date's bucket: level, class and number.
    pub(crate) const BUCKET: u8 = 14;
    /// The parameter has more than one date.
    pub(crate) const DATES: u8 = 15;
    /// The parameter has a value too long for a term: it is kept whole.
    pub(crate) const LONG: u8 = 16;

    /// Global: the resource's type.
    pub(crate) const TYPE: u8 = 1;
    /// Global: the resource's type and id.
    pub(crate) const KEY: u8 = 2;
    /// Global: a word of the narrative.
    pub(crate) const NARRATIVE: u8 = 3;
    /// Global: a word of the content.
    pub(crate) const CONTENT: u8 = 4;
    /// Global: the highest bits of the order key.
    pub(crate) const ORDER: u8 = 5;
    /// Global: a patient of the resource, ended; its type.
    pub(crate) const PATIENT: u8 = 6;
    /// Global: the type of a resource of no patient.
    pub(crate) const NOBODY: u8 = 7;
    /// Global: the type of a resource of more than one.
    pub(crate) const MANY: u8 = 8;
    /// Global: the type, and the bit of a label.
    pub(crate) const LABEL: u8 = 9;
    /// Global: the type of a resource within it.
    pub(crate) const CONTAINS: u8 = 10;
}

/// How many of the highest bits of an order key make its bucket: 4,096 buckets, so that one of ten million documents holds 2,440.
const ORDER_BUCKET_BITS: u32 = 12;

/// How many buckets of order keys there are.
pub(super) const ORDER_BUCKETS: u32 = 1 << ORDER_BUCKET_BITS;

/// Longest word that is a term as it is; a longer one is known by its digest.
const WORD_BYTES_MAX: usize = 128;

/// Escapes a zero byte.
const ZERO_ESCAPED: u8 = 0xff;

/// How a term goes on after an ended text.
mod mark {
    pub(crate) const ABSENT: u8 = b'a';
    pub(crate) const IMPLIED: u8 = b'i';
    pub(crate) const URI: u8 = b'u';
    pub(crate) const SAME: u8 = b's';
    pub(crate) const WRITTEN: u8 = b'w';
    pub(crate) const CANONICAL: u8 = b'c';
    pub(crate) const VERSIONED: u8 = b'v';
}

/// Where the kind stands in a term.
const KIND_AT: usize = 3;

/// How many bytes stand before what the kind says.
pub(super) const HEAD_BYTES: usize = KIND_AT + 1;

/// Begins a term.
pub(super) fn head(parameter: u16, kind: u8) -> Vec<u8> {
    let mut term = Vec::with_capacity(48);
    term.extend_from_slice(&parameter.to_be_bytes());
    term.push(NO_TYPE);
    term.push(kind);
    term
}

/// Whether the term stands under the type of its resource.
pub(super) fn is_typed(term: &[u8]) -> bool {
    matches!(term, [high, low, ..] if u16::from_be_bytes([*high, *low]) < LAST_UPDATED)
}

/// Sets a term that stands under a type to this one; another stays as it is.
pub(super) fn set_type(term: &mut [u8], type_code: u8) {
    if is_typed(term)
        && let Some(of) = term.get_mut(2)
    {
        *of = type_code;
    }
}

/// The type that the term stands under.
pub(super) fn type_of(term: &[u8]) -> Option<u8> {
    if is_typed(term) { term.get(2).copied() } else { None }
}

/// The codes under which a term is looked for if resources may be of these types.
pub(super) fn types_of<'t>(term: &[u8], types: &'t [u8]) -> &'t [u8] {
    if is_typed(term) { types } else { &[NO_TYPE] }
}

/// A term of bytes that nothing follows.
pub(super) fn plain(parameter: u16, kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut term = head(parameter, kind);
    term.extend_from_slice(rest);
    term
}

/// Adds a text, a zero byte as two, so that an end can follow it.
pub(super) fn escape(term: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        term.push(byte);
        if byte == 0 {
            term.push(ZERO_ESCAPED);
        }
    }
}

/// Adds a text and its end.
pub(super) fn ended(term: &mut Vec<u8>, text: &str) {
    escape(term, text);
    term.extend_from_slice(&[0, 0]);
}

/// A term that begins with an ended text: whole, or the beginning of a range.
pub(super) fn with_text(parameter: u16, kind: u8, text: &str) -> Vec<u8> {
    let mut term = head(parameter, kind);
    ended(&mut term, text);
    term
}

/// A term that begins with an ended text and goes on with a system.
pub(super) fn with_system(parameter: u16, kind: u8, text: &str, system: &System) -> Vec<u8> {
    let mut term = with_text(parameter, kind, text);
    put_system(&mut term, system);
    term
}

fn put_system(term: &mut Vec<u8>, system: &System) {
    match system {
        System::Absent => term.push(mark::ABSENT),
        System::Implied => term.push(mark::IMPLIED),
        System::Uri(uri) => {
            term.push(mark::URI);
            term.extend_from_slice(uri.as_bytes());
        }
    }
}

/// The term of a token's system; None where it has none.
pub(super) fn system(parameter: u16, system: &System) -> Option<Vec<u8>> {
    let mut term = head(parameter, kind::SYSTEM);
    put_system(&mut term, system);
    (*system != System::Absent).then_some(term)
}

fn put_optional_system(term: &mut Vec<u8>, system: Option<&str>) {
    match system {
        None => term.push(mark::ABSENT),
        Some(uri) => {
            term.push(mark::URI);
            term.extend_from_slice(uri.as_bytes());
        }
    }
}

/// The term of an identifier in a reference.
pub(super) fn reference_identifier(parameter: u16, system: Option<&str>, value: &str) -> Vec<u8> {
    let mut term = with_text(parameter, kind::REFERENCE_IDENTIFIER, value);
    put_optional_system(&mut term, system);
    term
}

/// The term of an identifier with its type.
pub(super) fn of_type(parameter: u16, system: Option<&str>, code: &str, value: &str) -> Vec<u8> {
    let mut term = with_text(parameter, kind::OF_TYPE, value);
    ended(&mut term, code);
    put_optional_system(&mut term, system);
    term
}

/// The term of a string.
pub(super) fn string(parameter: u16, exact: &str, folded: &str) -> Vec<u8> {
    let mut term = with_text(parameter, kind::STRING, folded);
    if exact == folded {
        term.push(mark::SAME);
    } else {
        term.push(mark::WRITTEN);
        term.extend_from_slice(exact.as_bytes());
    }
    term
}

/// The term of a uri, or of a canonical with its version if it has one.
pub(super) fn uri(parameter: u16, url: &str, canonical: Option<Option<&str>>) -> Vec<u8> {
    let mut term = with_text(parameter, kind::URI, url);
    match canonical {
        None => term.push(mark::URI),
        Some(None) => term.push(mark::CANONICAL),
        Some(Some(version)) => {
            term.push(mark::VERSIONED);
            term.extend_from_slice(version.as_bytes());
        }
    }
    term
}

/// The term of a code in a part of a composite.
pub(super) fn part(parameter: u16, place: u8, code: &str) -> Vec<u8> {
    let mut term = head(parameter, kind::PART);
    term.push(place);
    ended(&mut term, code);
    term
}

/// The term of a reference to this resource.
pub(super) fn reference(parameter: u16, resource_type: ResourceType, id: &str) -> Vec<u8> {
    let mut term = head(parameter, kind::REFERENCE);
    term.push(resource_type.code());
    put_id(&mut term, id);
    term
}

/// The term of the one document with this key.
pub(super) fn key(key: &Key) -> Vec<u8> {
    let mut term = head(GLOBAL, kind::KEY);
    term.push(key.resource_type.code());
    put_id(&mut term, key.id.as_str());
    term
}

/// Reads the term of a key.
pub(super) fn key_of(term: &[u8]) -> Option<Key> {
    let (&type_code, id) = term.get(HEAD_BYTES..)?.split_first()?;
    key_from(type_code, id)
}

/// The terms of all keys of a type from an id on, or back from it; with that id. Each of the two ranges, of UUIDs and of other ids, is in
/// the order of ids as texts.
pub(super) fn key_ranges(type_code: u8, from: Option<&ResourceId>, descending: bool) -> [(Vec<u8>, Vec<u8>); 2] {
    let with = |rest: &[u8]| plain(GLOBAL, kind::KEY, &[&[type_code], rest].concat());
    let [mut uuids, mut others] = [(with(&[UUID]), with(&[UUID + 1])), (with(&[UUID + 1]), with(&[u8::MAX]))];
    if let Some(id) = from {
        let text = id.as_str();
        let least = uuid_from(text).map_or_else(|| uuids.1.clone(), |uuid| with(&[&[UUID][..], &uuid].concat()));
        // The byte after it comes before all other ids that begin with it.
        let after = |mut term: Vec<u8>| {
            term.push(0);
            term
        };
        if descending {
            (uuids.1, others.1) = (after(least), after(with(text.as_bytes())));
        } else {
            (uuids.0, others.0) = (least, with(text.as_bytes()));
        }
    }
    [uuids, others]
}

/// The least UUID whose text does not come before this text. None if all do.
fn uuid_from(text: &str) -> Option<[u8; 16]> {
    const DIGITS: &[u8] = b"0123456789abcdef";
    let hyphens = [8, 13, 18, 23];
    let (mut number, mut left) = (0u128, 32u32);
    for (at, byte) in text.bytes().enumerate().take(UUID_TEXT_BYTES) {
        // What a UUID with these digits goes on with is less than the text up to `next`.
        let next = if hyphens.contains(&at) {
            // No character of an id comes before the hyphen.
            if byte == b'-' {
                continue;
            }
            number.checked_add(1)?
        } else {
            left -= 1;
            let place = DIGITS.partition_point(|digit| *digit < byte);
            let next = (number << 4).checked_add(place as u128)?;
            if DIGITS.get(place) == Some(&byte) {
                number = next;
                continue;
            }
            next
        };
        let fits = left == 0 || next >> (u128::BITS - 4 * left) == 0;
        return fits.then(|| (next << (4 * left)).to_be_bytes());
    }
    Some(number.checked_shl(4 * left).unwrap_or(0).to_be_bytes())
}

/// Stands before an id that is a UUID in lower case, whose 16 bytes follow; no other id begins with it.
const UUID: u8 = 0;

/// Length of a UUID as text.
const UUID_TEXT_BYTES: usize = 36;

/// Lengths of the parts of a UUID as text, with hyphens between them.
const UUID_PARTS: [usize; 5] = [8, 4, 4, 4, 12];

/// Adds an id, to the end of a term or of a stored key: nearly every id is a UUID and takes less than half as bytes.
pub(super) fn put_id(bytes: &mut Vec<u8>, id: &str) {
    match uuid_of(id) {
        Some(uuid) => {
            bytes.push(UUID);
            bytes.extend_from_slice(&uuid);
        }
        None => bytes.extend_from_slice(id.as_bytes()),
    }
}

/// The 16 bytes of a UUID, if it is written in the one way in which it is read back.
fn uuid_of(id: &str) -> Option<[u8; 16]> {
    let mut uuid = [0u8; 16];
    let mut digits = id.bytes();
    let mut places = uuid.iter_mut();
    for (number, length) in UUID_PARTS.into_iter().enumerate() {
        if number > 0 && digits.next() != Some(b'-') {
            return None;
        }
        for _ in 0..length / 2 {
            let mut digit = || match digits.next()? {
                digit @ b'0'..=b'9' => Some(digit - b'0'),
                digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            };
            *places.next()? = digit()? << 4 | digit()?;
        }
    }
    digits.next().is_none().then_some(uuid)
}

/// Reads what [`put_id`] wrote.
fn id_of(bytes: &[u8]) -> Option<ResourceId> {
    let Some((&UUID, uuid)) = bytes.split_first() else {
        return ResourceId::parse(std::str::from_utf8(bytes).ok()?).ok();
    };
    let uuid: &[u8; 16] = uuid.try_into().ok()?;
    let mut rest = uuid.iter();
    let mut text = String::with_capacity(UUID_TEXT_BYTES);
    for (number, length) in UUID_PARTS.into_iter().enumerate() {
        if number > 0 {
            text.push('-');
        }
        for byte in rest.by_ref().take(length / 2) {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
            }
        }
    }
    ResourceId::parse(&text).ok()
}

/// The term of a word; one too long is known by SHA-256.
pub(super) fn word(parameter: u16, kind: u8, word: &str) -> Vec<u8> {
    let mut term = head(parameter, kind);
    if word.len() <= WORD_BYTES_MAX {
        term.extend_from_slice(word.as_bytes());
    } else {
        // No text holds this byte: it is not UTF-8.
        term.push(u8::MAX);
        term.extend_from_slice(digest::digest(&digest::SHA256, word.as_bytes()).as_ref());
    }
    term
}

/// The bucket of an order key.
pub(super) fn order_bucket(order: u64) -> u32 {
    (order >> (u64::BITS - ORDER_BUCKET_BITS)) as u32
}

/// The term of a bucket of order keys.
pub(super) fn order(bucket: u32) -> Vec<u8> {
    plain(GLOBAL, kind::ORDER, &(bucket as u16).to_be_bytes())
}

/// Whether these are all terms that begin with `start`: `[start, end)`. None if there is no end.
pub(super) fn end_of(start: &[u8]) -> Option<Vec<u8>> {
    let mut end = start.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests;
