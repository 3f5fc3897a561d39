//! Vectors of the formats, and what is refused.

use super::*;
use crate::entry::tests::{any_entry, full_entry, small_entry};
use proptest::prelude::*;
use tacet_types::{RecordRef, VersionId};

/// The full entry of the tests, piece by piece as `docs/formats/ledger.md` has it.
const VECTOR: &[&str] = &[
    "01 13 00 01 01",
    "0000019ca869507b",
    "6f7065726174696f6e206e756d626572",
    "01 10 4472205ac3a96c696520417562726163",
    "02 09 636c696e696369616e",
    "03 06 742d34373131",
    "04 06 576172642033",
    "05 12 66 00 7e5f0d3c93b24a4e9c0d0123456789ab",
    "06 02 1b 5f",
    "07 1a 5f 00 7e5f0d3c93b24a4e9c0dfedcba987654 03 1b 03 632e31 ac02",
    "08 04 c0000207",
    "09 18 4f62736572766174696f6e3f636f64653d39343530302d36",
    "0a 06 726f756e6473",
];

/// The field that an entry of format 2 has besides.
const BASIS_PIECE: &str = "0b 20 776172642d656e636f756e74657220627920636c696e696369616e2d63617265";

/// The fields that an entry of format 3 may have besides.
const LOGIN_PIECES: [&str; 3] = ["0c 08 612d303030303437", "0d 08 7331623263336434", "0e 08 6431653266336134"];

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is decoded must be what an encoder would write, or be refused: nothing else may come of any bytes.
fn assert_canonical_or_refused(bytes: &[u8]) -> bool {
    match Entry::decode(bytes) {
        Ok(entry) => {
            assert_eq!(hex(&entry.encode().unwrap()), hex(bytes));
            true
        }
        Err(_) => false,
    }
}

#[test]
fn the_vector_is_written_and_read() {
    let bytes = unhex(&VECTOR.concat());
    assert_eq!(hex(&full_entry().encode().unwrap()), hex(&bytes));
    assert!(Entry::decode(&bytes).unwrap() == full_entry());
    let page = include_str!("../../../../docs/formats/ledger.md");
    for piece in VECTOR {
        assert!(page.contains(piece), "docs/formats/ledger.md does not show `{piece}`");
    }
}

/// The same entry with a ground: another format byte, and one more field.
#[test]
fn an_entry_with_a_ground_is_of_format_2() {
    let entry = Entry { basis: Some("ward-encounter by clinician-care".into()), ..full_entry() };
    let mut expected = unhex(&VECTOR.concat());
    expected[0] = 2;
    expected.extend(unhex(BASIS_PIECE));
    assert_eq!(hex(&entry.encode().unwrap()), hex(&expected));
    assert!(Entry::decode(&expected).unwrap() == entry);
    expected[0] = 1;
    assert!(matches!(Entry::decode(&expected), Err(DecodeError::Malformed { what: "tag of a field", .. })));
    let page = include_str!("../../../../docs/formats/ledger.md");
    assert!(page.contains(BASIS_PIECE) && page.contains("02 13 00 01 01"));
}

/// With an account, a session and a device, each of which may be missing but not all.
#[test]
fn an_entry_with_a_login_is_of_format_3() {
    let entry = Entry {
        account: Some("a-000047".into()),
        session: Some("s1b2c3d4".into()),
        device: Some("d1e2f3a4".into()),
        ..full_entry()
    };
    let mut expected = unhex(&VECTOR.concat());
    expected[0] = 3;
    expected.extend(unhex(&LOGIN_PIECES.concat()));
    assert_eq!(hex(&entry.encode().unwrap()), hex(&expected));
    assert!(Entry::decode(&expected).unwrap() == entry);
    let alone = Entry { account: None, session: None, basis: Some("b".into()), ..entry.clone() };
    assert!(Entry::decode(&alone.encode().unwrap()).unwrap() == alone);
    expected[0] = 2;
    assert!(matches!(Entry::decode(&expected), Err(DecodeError::Malformed { what: "basis", .. })));
    let page = include_str!("../../../../docs/formats/ledger.md");
    assert!(LOGIN_PIECES.iter().all(|piece| page.contains(piece)) && page.contains("03 13 00 01 01"));
}

#[test]
fn small_entries_are_small() {
    assert!(small_entry(1).encode().unwrap().len() < 120);
}

#[test]
fn the_largest_entry_fits() {
    let mut entry = full_entry();
    entry.agent.owner = "x".repeat(OWNER_BYTES_MAX);
    entry.query = Some("q".repeat(QUERY_BYTES_MAX));
    entry.detail = Some("d".repeat(DETAIL_BYTES_MAX));
    entry.basis = Some("b".repeat(BASIS_BYTES_MAX));
    entry.account = Some("a".repeat(ACCOUNT_BYTES_MAX));
    entry.session = Some("s".repeat(SESSION_BYTES_MAX));
    entry.device = Some("d".repeat(DEVICE_BYTES_MAX));
    entry.categories = ResourceType::all().collect();
    let id = ResourceId::parse(&"a".repeat(64)).unwrap();
    let resource_type = ResourceType::parse("Task").unwrap();
    entry.records = vec![RecordRef { resource_type, id, version: VersionId(u64::MAX) }; RECORDS_MAX];
    let bytes = entry.encode().unwrap();
    assert!(bytes.len() <= ENTRY_BYTES_MAX);
    assert!(Entry::decode(&bytes).unwrap() == entry);
}

#[test]
fn categories_are_a_set() {
    let mut entry = full_entry();
    let ordered = entry.encode().unwrap();
    entry.categories = vec![entry.categories[1], entry.categories[0], entry.categories[1]];
    assert_eq!(entry.encode().unwrap(), ordered);
}

#[test]
fn every_flipped_bit_and_every_cut_is_canonical_or_refused() {
    let bytes = full_entry().encode().unwrap();
    let mut refused = 0;
    for place in 0..bytes.len() {
        refused += usize::from(!assert_canonical_or_refused(&bytes[..place]));
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            assert_canonical_or_refused(&changed);
        }
        for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut longer = bytes.clone();
            longer.insert(place, byte);
            assert_canonical_or_refused(&longer);
        }
        let mut shorter = bytes.clone();
        shorter.remove(place);
        assert_canonical_or_refused(&shorter);
    }
    // Only a cut at the end of a whole field, past the two that are always there, is an entry of its own.
    assert_eq!(bytes.len() - refused, 8);
}

#[test]
fn malformed_entries_are_refused_for_their_reason() {
    let piece = |place: usize| unhex(VECTOR[place]);
    let with = |place: usize, text: &str| {
        let pieces = (0..VECTOR.len()).map(|at| if at == place { unhex(text) } else { piece(at) });
        Entry::decode(&pieces.collect::<Vec<_>>().concat())
    };
    for (place, text, expected) in [
        (0, "00 13 00 01 01", "version"),
        (0, "01 ff 00 01 01", "kind"),
        (0, "01 13 09 01 01", "outcome"),
        (0, "01 13 00 00 01", "purpose"),
        (0, "01 13 00 01 00", "channel"),
        (1, "7fffffffffffffff", "time"),
        (1, "8000000000000000", "time"),
        (3, "", "owner"),
        (3, "01 02 c328", "owner"),
        (3, "01 00", "bounds"),
        (3, "01 8100 41", "length of a field"),
        (3, "01 ffffffffffffffffff02 41", "length of a field"),
        (3, "01 ffffffffffffffffffff01 41", "length of a field"),
        (4, "", "role"),
        (5, "03 01 74 03 01 74", "tag of a field"),
        (6, "03 01 74", "tag of a field"),
        (7, "05 12 ff 00 7e5f0d3c93b24a4e9c0d0123456789ab", "resource type"),
        (7, "05 13 66 00 7e5f0d3c93b24a4e9c0d0123456789ab 00", "patient"),
        (7, "05 01 66", "resource id"),
        (7, "05 04 66 02 2f61", "resource id"),
        (7, &format!("05 43 66 41 {}", "41".repeat(65)), "resource id"),
        (7, "05 26 66 24 37653566306433632d393362322d346134652d396330642d303132333435363738396162", "resource id"),
        (8, "06 00", "resource type"),
        (8, "06 02 5f 1b", "categories in order"),
        (8, "06 02 1b 1b", "categories in order"),
        (9, "07 00", "resource type"),
        (9, "07 06 1b 03 632e31 80", "version of a record"),
        (9, "07 07 1b 03 632e31 8000", "version of a record"),
        (10, "08 05 c000020700", "address"),
        (10, "08 00", "address"),
        (12, "0b 01 41", "tag of a field"),
        (12, "0a 06 726f756e6473 00", "tag of a field"),
    ] {
        match with(place, text) {
            Err(DecodeError::Malformed { what, .. }) => assert_eq!(what, expected, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(with(0, "04 13 00 01 01"), Err(DecodeError::NewerFormat { found: 4 }));
    // Format 3 is for entries with an account, a session or a device.
    assert!(matches!(with(0, "03 13 00 01 01"), Err(DecodeError::Malformed { what: "version", .. })));
    // Format 2 is for entries with a ground, and for no others.
    assert!(matches!(with(0, "02 13 00 01 01"), Err(DecodeError::Malformed { what: "basis", .. })));
    assert_eq!(Entry::decode(&[]), Err(DecodeError::Malformed { offset: 0, what: "version" }));
}

#[test]
fn more_records_than_allowed_are_refused() {
    let head = [unhex(&VECTOR[..5].concat())].concat();
    let bytes = |records: usize| {
        let mut bytes = head.clone();
        field(&mut bytes, RECORDS, &unhex("1b 01 61 01").repeat(records));
        bytes
    };
    assert_eq!(Entry::decode(&bytes(RECORDS_MAX)).unwrap().records.len(), RECORDS_MAX);
    let refused = Entry::decode(&bytes(RECORDS_MAX + 1));
    assert!(matches!(refused, Err(DecodeError::Malformed { what: "number of records", .. })));
}

#[test]
fn uuids_and_only_uuids_are_shortened() {
    let uuid = "0123abcd-4567-89ab-cdef-0123456789ff";
    assert_eq!(uuid_bytes(uuid).map(uuid_text).as_deref(), Some(uuid));
    for text in [
        "0123ABCD-4567-89ab-cdef-0123456789ff",
        "0123abcd-4567-89ab-cdef-0123456789f",
        "0123abcd04567-89ab-cdef-0123456789ff",
        "0123abcd-4567-89ab-cdef-0123456789-f",
        "0123abcd-4567-89ab-cdef-0123456789g0",
    ] {
        assert_eq!(uuid_bytes(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn entries_go_round(entry in any_entry()) {
        let bytes = entry.encode().unwrap();
        prop_assert!(Entry::decode(&bytes).unwrap() == entry);
    }

    #[test]
    fn mutated_entries_are_canonical_or_refused(
        entry in any_entry(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = entry.encode().unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        assert_canonical_or_refused(&bytes);
    }

    #[test]
    fn random_bytes_are_canonical_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(first) = bytes.first_mut() {
            *first = 1 + *first % VERSION;
        }
        assert_canonical_or_refused(&bytes);
    }
}
