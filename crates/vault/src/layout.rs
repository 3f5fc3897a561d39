//! Where rows stand in the store: one space byte, then 16 bytes of a keyed hash that tell nothing without the key.
//!
//! | space | row | value |
//! |---|---|---|
//! | `0x02` | head of a resource | sealed [`crate::head::Head`] |
//! | `0x03` | version of a resource | sealed [`crate::head::VersionMeta`], then the sealed content |
//! | `0x04` | data key | the wrapped key, or the word [`ERASED`] |
//! | `0x05` | members of a patient's compartment, in chunks | sealed list of head rows |
//! | `0x06` | token | sealed [`crate::tokens::Token`] |
//! | `0x07` | import mark | sealed |
//! | `0x08` | the store's own description | in clear: format, establishment, wrapped establishment key |
//! | `0x09` | what the search index must have | sealed |
//! | `0x0b` | copy kept on the server | sealed |
//! | `0x0c` | subscription: who asked for what, and how far it was sent | sealed |
//! | `0x0d` | row of a table: accounts, sessions, approvals | sealed |
//! | `0x0e` | what a record says of relations and restrictions | sealed |
//!
//! The ledger's rows (`0x10` to `0x13`) are in `tacet_ledger`.
//!
//! Documented to the byte in `docs/formats/vault.md`.

use tacet_seal::RowKeys;
use tacet_types::{ResourceId, ResourceType, VersionId};

/// A row key: space byte and keyed hash.
pub(crate) type RowKey = [u8; 17];

pub(crate) const HEADS: u8 = 0x02;
pub(crate) const VERSIONS: u8 = 0x03;
pub(crate) const DATA_KEYS: u8 = 0x04;
pub(crate) const MEMBERS: u8 = 0x05;
pub(crate) const TOKENS: u8 = 0x06;
pub(crate) const IMPORT_MARKS: u8 = 0x07;
pub(crate) const DESCRIPTION: u8 = 0x08;
pub(crate) const INDEX: u8 = 0x09;
pub(crate) const COPIES: u8 = 0x0b;
pub(crate) const SUBSCRIPTIONS: u8 = 0x0c;
pub(crate) const NOTED: u8 = 0x0d;
pub(crate) const FACTS: u8 = 0x0e;

/// The row that describes the store, the only one that is not under a keyed hash: it is read before there is a key.
pub(crate) const DESCRIPTION_ROW: [u8; 1] = [DESCRIPTION];

/// How far the search index has come. One for the store, so it has no hash.
pub(crate) const INDEX_LEAST_ROW: [u8; 2] = [INDEX, 1];

/// The head rows of the SearchParameter resources.
pub(crate) const CUSTOM_PARAMETERS_ROW: [u8; 2] = [INDEX, 2];

/// The head rows of the definitions of one type ([`crate::knowledge`]).
pub(crate) fn definitions(kind: u8) -> [u8; 2] {
    [INDEX, 0x10 | (kind & 0x0f)]
}

/// What stands in the place of a data key that was destroyed.
pub(crate) const ERASED: &[u8] = b"erased";

/// First and past-the-end key of a space, for range scans.
pub(crate) fn bounds(space: u8) -> ([u8; 1], [u8; 1]) {
    ([space], [space.saturating_add(1)])
}

/// The head row of a resource.
pub(crate) fn head(keys: &RowKeys, resource_type: ResourceType, id: &ResourceId) -> RowKey {
    keys.key(HEADS, 1, &[resource_type.as_str().as_bytes(), id.as_str().as_bytes()])
}

/// The row of one version of a resource.
pub(crate) fn version(keys: &RowKeys, head: &RowKey, version: VersionId) -> RowKey {
    keys.key(VERSIONS, 1, &[head, &version.0.to_be_bytes()])
}

/// The row of the data key of `owner` ([`crate::owner::Owner::label`]).
pub(crate) fn data_key(keys: &RowKeys, owner_label: &[u8]) -> RowKey {
    keys.key(DATA_KEYS, 1, &[owner_label])
}

/// The row that says how many members a patient's compartment has.
pub(crate) fn members_head(keys: &RowKeys, patient: &ResourceId) -> RowKey {
    keys.key(MEMBERS, 1, &[patient.as_str().as_bytes()])
}

/// The row of one chunk of a patient's members.
pub(crate) fn members_chunk(keys: &RowKeys, patient: &ResourceId, chunk: u64) -> RowKey {
    keys.key(MEMBERS, 2, &[patient.as_str().as_bytes(), &chunk.to_be_bytes()])
}

/// The row of a token, from the hash of its secret.
pub(crate) fn token(keys: &RowKeys, secret_hash: &[u8]) -> RowKey {
    keys.key(TOKENS, 1, &[secret_hash])
}

/// The row of a copy kept on the server, by its id.
pub(crate) fn copy(keys: &RowKeys, id: &str) -> RowKey {
    keys.key(COPIES, 1, &[id.as_bytes()])
}

/// The row of a subscription, by the id of its resource.
pub(crate) fn subscription(keys: &RowKeys, id: &ResourceId) -> RowKey {
    keys.key(SUBSCRIPTIONS, 1, &[id.as_str().as_bytes()])
}

/// The row that says how far a subscription was sent.
pub(crate) fn subscription_position(keys: &RowKeys, id: &ResourceId) -> RowKey {
    keys.key(SUBSCRIPTIONS, 2, &[id.as_str().as_bytes()])
}

/// The row that marks a unit of an import as done.
pub(crate) fn import_mark(keys: &RowKeys, digest: &[u8; 32]) -> RowKey {
    keys.key(IMPORT_MARKS, 1, &[digest])
}

/// The row that marks a part of a unit as done, where the unit is stored in several.
pub(crate) fn import_part_mark(keys: &RowKeys, digest: &[u8; 32], part: u64) -> RowKey {
    keys.key(IMPORT_MARKS, 2, &[digest, &part.to_be_bytes()])
}

/// A row of a table. The table's number stands in clear behind the space, so that a table is read without the others; so its number of rows
/// can be counted by whoever has the disk.
pub(crate) fn noted(keys: &RowKeys, table: u8, name: &[u8]) -> RowKey {
    let hash = keys.key(NOTED, table, &[name]);
    let mut row = [NOTED; size_of::<RowKey>()];
    row.iter_mut().skip(2).zip(hash.iter().skip(1)).for_each(|(to, from)| *to = *from);
    row.iter_mut().skip(1).take(1).for_each(|byte| *byte = table);
    row
}

/// First and past-the-end key of a table.
pub(crate) fn noted_bounds(table: u8) -> ([u8; 2], [u8; 2]) {
    ([NOTED, table], [NOTED, table.saturating_add(1)])
}

/// The row of what a record says of relations and restrictions, by its head row.
pub(crate) fn facts(keys: &RowKeys, head: &RowKey) -> RowKey {
    keys.key(FACTS, 1, &[head])
}

/// The row that says who put a patient on file.
pub(crate) fn registered(keys: &RowKeys, patient: &ResourceId) -> RowKey {
    keys.key(FACTS, 2, &[patient.as_str().as_bytes()])
}
