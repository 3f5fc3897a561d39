//! Holds `docs/formats/vault.md` to the code: its numbers, its table of spaces and its worked example.
//!
//! Where a test here fails, the format changed: then the page, and with it a format number, must change too.

use crate::change::{Change, ChangeSet};
use crate::head::{Head, Method, Others, VersionMeta};
use crate::inline::Inline;
use crate::layout::{self, RowKey};
use crate::members::{CHUNK_MEMBERS, encode_chunk};
use crate::owner::Owner;
use tacet_seal::{Associated, Dictionary, EstablishmentKeys, Key, Purpose};
use tacet_types::{
    EstablishmentId, Labels, OperationId, RecordRef, ResourceId, ResourceType, SeededRng, Timestamp, VersionId,
};

const PAGE: &str = include_str!("../../../docs/formats/vault.md");

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

fn kind(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

/// The example's keys: an establishment whose key is 00 01 .. 1f and whose id is 00 11 .. ff.
fn keys() -> EstablishmentKeys {
    let key = Key::from_bytes(std::array::from_fn(|place| place as u8));
    EstablishmentKeys::derive(&key, EstablishmentId(std::array::from_fn(|place| place as u8 * 0x11)))
}

/// The example: version 2 of an Observation of a patient.
fn example() -> (RowKey, Head) {
    let record = RecordRef { resource_type: kind("Observation"), id: id("weight-1"), version: VersionId(2) };
    let current = VersionMeta {
        last_updated: Timestamp::parse("2026-03-01T08:00:00.123Z").unwrap(),
        method: Method::Put,
        owner: Owner::Patient(id("p-1")),
        labels: Labels::RESTRICTED.and(Labels::HIV).and(Labels::INLINE),
        inline: Inline::decode([0, 0, 0, 8, 0xa1, 0xb2, 0xc3, 0xd4]),
        others: Others::All(vec![id("447a5071-bbdf-4ccd-9939-1d45f7698cb9"), id("p-2")]),
    };
    let keys = keys().row_keys;
    let patients: RowKey = keys.key(layout::MEMBERS, 3, &[b"447a5071-bbdf-4ccd-9939-1d45f7698cb9", b"p-1", b"p-2"]);
    let row = layout::head(&keys, record.resource_type, &record.id);
    (row, Head { record, current, patients: patients[1..].try_into().unwrap() })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Holds that the page shows these bytes, however it breaks their line.
#[track_caller]
fn shown(what: &str, bytes: &[u8]) {
    let shown = PAGE.lines().map(|line| line.split("  ").next().unwrap_or_default()).collect::<String>();
    let shown: String = shown.chars().filter(|letter| !letter.is_whitespace()).collect();
    assert!(shown.contains(&hex(bytes)), "{what} is not in the page as {}", hex(bytes));
}

#[track_caller]
fn said(text: &str) {
    assert!(PAGE.contains(text), "the page does not say `{text}`");
}

#[test]
fn the_spaces_are_those_of_the_page() {
    let spaces = [
        (layout::HEADS, "head"),
        (layout::VERSIONS, "version"),
        (layout::DATA_KEYS, "data key"),
        (layout::MEMBERS, "members"),
        (layout::TOKENS, "token"),
        (layout::IMPORT_MARKS, "import mark"),
        (layout::DESCRIPTION, "description"),
        (layout::INDEX, "index mark"),
        (layout::COPIES, "copy"),
        (layout::SUBSCRIPTIONS, "subscription"),
        (layout::NOTED, "row of a table"),
        (layout::FACTS, "care"),
    ];
    for (space, what) in spaces {
        said(&format!("| `{space:02x}` | {what}"));
    }
    said(&format!("`{}`", hex(layout::ERASED)));
}

#[test]
fn the_sizes_are_those_of_the_page() {
    let (row, head) = example();
    assert_eq!((head.encode().len(), head.current.encode().len()), (248, 158));
    said("### Head, 248 bytes");
    said("### Version, 158 bytes");
    assert_eq!((CHUNK_MEMBERS, encode_chunk(&[row]).len()), (56, 952));
    said("### Chunk of members, 952 bytes");
    said("56 members");
    said("wrapped key, 65 bytes");
}

#[test]
fn the_example_is_what_the_code_writes() {
    let keys = keys().row_keys;
    let (row, head) = example();
    shown("the head row", &row);
    shown("the version row", &layout::version(&keys, &row, VersionId(2)));
    shown("the data key row", &layout::data_key(&keys, &head.current.owner.label()));
    shown("the members row", &layout::members_head(&keys, &id("p-1")));
    shown("the chunk row", &layout::members_chunk(&keys, &id("p-1"), 0));
    shown("the head", &head.encode());
    shown("the version", &head.current.encode());
    let change = Change {
        head: row,
        version: head.record.version,
        resource_type: head.record.resource_type,
        method: head.current.method,
    };
    let operation = OperationId(std::array::from_fn(|place| place as u8));
    shown("the feed", &ChangeSet { operation, at: head.current.last_updated, changes: vec![change] }.encode());
}

/// The length of a sealed row, made as the vault makes it.
fn sealed_bytes(purpose: Purpose, plain: &[u8]) -> usize {
    let keys = keys();
    let associated = Associated { establishment: keys.id, purpose, row: b"row", resource: None };
    let rng = SeededRng::new(1);
    tacet_seal::seal(keys.sealer(purpose), &associated, plain, Dictionary::Stored, &rng).unwrap().len()
}

#[test]
fn the_lengths_on_disk_are_those_of_the_page_whatever_is_inside() {
    let keys = keys();
    for members in 1..=CHUNK_MEMBERS {
        let rows: Vec<RowKey> =
            (0..members).map(|n| layout::head(&keys.row_keys, kind("Patient"), &id(&n.to_string()))).collect();
        said(&format!("chunk {}", sealed_bytes(Purpose::Members, &encode_chunk(&rows))));
    }
    let uuid = id("447a5071-bbdf-4ccd-9939-1d45f7698cb9");
    let owners = [
        Owner::Establishment,
        Owner::Patient(uuid.clone()),
        Owner::Patient(id("1")),
        Owner::Patient(id(&"x".repeat(64))),
    ];
    for (owner, record_id) in owners.into_iter().flat_map(|owner| [(owner.clone(), uuid.clone()), (owner, id("1"))]) {
        let (_, mut head) = example();
        (head.record.id, head.current.owner) = (record_id, owner);
        said(&format!("head {}", sealed_bytes(Purpose::Head, &head.encode())));
        said(&format!("version {}", sealed_bytes(Purpose::Head, &head.current.encode())));
    }
    said(&format!("count {}", sealed_bytes(Purpose::Members, &7u64.to_be_bytes())));
}
