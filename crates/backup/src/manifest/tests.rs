//! Manifests read back, bent, and contradicting themselves.

use super::*;
use tacet_seal::Key;

fn signer(seed: u8) -> BackupSigner {
    BackupSigner::new(&Key::from_bytes([seed; 32]))
}

fn manifest() -> Manifest {
    let identity = Identity {
        class: Class::Content,
        establishment: EstablishmentId([7; 16]),
        number: 12,
        time: Timestamp::from_ms(1_790_000_000_000),
    };
    let mut manifest = Manifest::new(identity, [0xab; ID_BYTES], Mark { group: 4, commits: 9, digest: [3; 32] });
    let segment = |space: u8| SegmentInfo {
        object: segment_object(Class::Content, &[space; 32], 1),
        sha256: [space; 32],
        bytes: 1000,
        rows: 2,
        first: vec![space, 1],
        last: vec![space, 9],
    };
    manifest.segments = vec![segment(2), segment(3)];
    manifest.rows = vec![SpaceRows { space: 2, puts: 2, deletes: 0 }, SpaceRows { space: 3, puts: 2, deletes: 0 }];
    manifest.ledger = Some(LedgerState { entries: 5, root: [1; 32] });
    manifest.previous_base = Some(3);
    manifest.previous = Some(ManifestRef { number: 11, id: "0011223344556677".to_owned(), sha256: [4; 32] });
    manifest
}

#[test]
fn a_manifest_goes_round_and_no_byte_of_it_can_change() {
    let signer = signer(1);
    let (signed, bytes) = Signed::sign(manifest(), &signer).unwrap();
    let name = signed.unverified().name();
    assert_eq!(name.as_str(), "snapshots/000000000012-abababababababab.json");
    let read = Signed::read(&name, &bytes).unwrap();
    assert_eq!(read.verify(&signer.public()).unwrap(), signed.unverified());
    assert_eq!(read.reference(), signed.reference());
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            let believed = Signed::read(&name, &changed).and_then(|read| read.verify(&signer.public()).cloned());
            assert!(believed.is_err(), "byte {place} bit {bit}");
        }
        assert!(Signed::read(&name, &bytes[..place]).is_err());
    }
    assert!(Signed::read(&name, &[&bytes[..], b"\n"].concat()).is_err());
}

#[test]
fn another_key_another_name_and_another_format_are_refused() {
    let (signed, bytes) = Signed::sign(manifest(), &signer(1)).unwrap();
    let name = signed.unverified().name();
    let read = Signed::read(&name, &bytes).unwrap();
    assert!(matches!(read.verify(&signer(2).public()), Err(BackupError::Signature(_))));
    let other = ObjectName::parse("snapshots/000000000013-abababababababab.json").unwrap();
    assert!(matches!(Signed::read(&other, &bytes), Err(BackupError::Damaged { .. })));
    let newer = String::from_utf8(bytes).unwrap().replace("tacet-backup/1", "tacet-backup/2");
    assert!(matches!(Signed::read(&name, newer.as_bytes()), Err(BackupError::Format { .. })));
}

#[test]
fn manifests_that_contradict_themselves_are_refused_though_signed() {
    let changes: [fn(&mut Manifest); 10] = [
        |m| m.number = 0,
        |m| m.base = 11,
        |m| m.kind = Kind::Log,
        |m| m.segments.swap(0, 1),
        |m| m.segments[0].rows = 3,
        |m| m.segments[0].object = ObjectName::parse("snapshots/x").unwrap(),
        |m| m.rows.swap(0, 1),
        |m| m.time = "2026-13-01T00:00:00.000Z".to_owned(),
        |m| m.previous.as_mut().unwrap().number = 12,
        |m| m.previous_base = None,
    ];
    for (place, change) in changes.into_iter().enumerate() {
        let mut bad = manifest();
        change(&mut bad);
        let (signed, bytes) = Signed::sign(bad, &signer(1)).unwrap();
        let read = Signed::read(&signed.unverified().name(), &bytes);
        assert!(matches!(read, Err(BackupError::Damaged { .. })), "change {place}");
    }
}

#[test]
fn numbers_are_read_from_names_of_one_form_only() {
    let read = |text: &str| manifest_number(Class::Content, &ObjectName::parse(text).unwrap());
    assert_eq!(read("snapshots/000000000012-abababababababab.json"), Some((12, "abababababababab".to_owned())));
    for other in [
        "snapshots/12-abababababababab.json",
        "snapshots/000000000012-ab.json",
        "keys/000000000012-abababababababab.json",
        "snapshots/000000000012-abababababababab",
    ] {
        assert_eq!(read(other), None, "{other}");
    }
}
