//! What somebody who may only add puts above and beside ours.

use super::*;

#[test]
fn a_time_is_not_looked_for_among_planted_ones_without_end() {
    let hospital = Hospital::new(9, 3);
    let (number, time, _) = hospital.states.last().cloned().unwrap();
    let plant = |numbers: Range<u64>| {
        for number in numbers {
            let object = crate::manifest::manifest_name(crate::Class::Content, number, "0123456789abcdef");
            hospital.content.objects().insert(object, b"{}".to_vec());
        }
    };
    let read = |wanted: Wanted| {
        let target = Named::new(&hospital.content, "counted");
        let found = content_chain(target.as_ref(), wanted, &public());
        (found, usize::MAX - target.reads_left.load(Ordering::SeqCst))
    };
    // More than are looked at together.
    plant(1000..3000);
    assert_eq!(read(Wanted::At(time)).0.unwrap().wanted.number, number);
    plant(3000..30_000);
    let (found, reads) = read(Wanted::At(time));
    let said = found.unwrap_err().to_string();
    assert!(said.contains("by its number") && reads < 20_000, "{reads} {said}");
}

#[test]
fn keys_that_somebody_planted_are_passed_over_once_ours_is_known() {
    let hospital = Hospital::new(8, 3);
    let (newest, _) = KeyCopy::newest_signed(&hospital.keys, &public(), None).unwrap();
    let name = |number: u64| ObjectName::parse(&format!("keys/{number:012}-0123456789abcdef.json")).unwrap();
    // Beside each of ours one that is well formed and signed by somebody else, and rubbish above.
    for listing in crate::list_snapshots(&hospital.keys, crate::Class::Key).unwrap() {
        let mut manifest = crate::load(&hospital.keys, &listing.object).unwrap().unverified().clone();
        manifest.id = "0123456789abcdef".to_owned();
        let planted = crate::manifest::Signed::sign(manifest, &signer(2)).unwrap().1;
        hospital.keys.objects().insert(name(listing.number), planted);
    }
    hospital.keys.objects().insert(name(900), b"{}".to_vec());
    let (found, passed) = KeyCopy::newest_signed(&hospital.keys, &public(), None).unwrap();
    assert_eq!((found.reference(), &found.rows), (newest.reference(), &newest.rows));
    assert!(
        passed.len() == 2 && passed[0].contains("000000000900") && passed[1].contains("is not signed"),
        "{passed:?}"
    );
    assert!(KeyCopy::newest_signed(&hospital.keys, &signer(3).public(), None).is_err());
    // Without a key whatever is on top comes first, and each further one in its turn, the planted ones beside ours too.
    let copies = KeyCopies::of(&hospital.keys, None).unwrap();
    assert!(copies.part(0).is_err() && copies.copy(0).is_err());
    assert!((1..copies.count()).all(|place| copies.part(place).is_ok()));
    let ours = (1..copies.count()).filter(|place| copies.copy(*place).is_ok_and(|copy| copy.verify(&public()).is_ok()));
    assert_eq!((ours.count(), copies.count() % 2), (copies.count() / 2, 1));
    assert!(copies.part(copies.count()).is_err());
    // From a number downwards, where too many stand above.
    let below = KeyCopies::of(&hospital.keys, Some(899)).unwrap();
    assert_eq!(below.count(), copies.count() - 1);
    assert!(KeyCopy::newest_signed(&hospital.keys, &public(), Some(899)).unwrap().1.len() == 1, "the one beside ours");
    assert!(KeyCopies::of(&MemoryTarget::new(), None).is_err());
}

#[test]
fn a_snapshot_that_somebody_planted_on_top_does_not_hide_that_keys_were_set_back() {
    let hospital = Hospital::new(6, 3);
    let newest = crate::list_snapshots(&hospital.keys, crate::Class::Key).unwrap().last().unwrap().clone();
    hospital.keys.objects().remove(&newest.object);
    let planted = ObjectName::parse("snapshots/000000000900-0123456789abcdef.json").unwrap();
    hospital.content.put_new(&planted, b"{}", None).unwrap();
    assert!(matches!(hospital.restore(Wanted::Number(1)), Err(BackupError::Broken(_))));
}
