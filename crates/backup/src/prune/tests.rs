//! Pruning against what others put there, and against snapshots that are made meanwhile.

use super::*;
use crate::backup::Want;
use crate::backup::hospital::*;
use crate::catalog::At;
use crate::manifest::manifest_name;
use tacet_store::{Commit, Write};

const RULE: Rule = Rule { all_days: 10, weekly: 0 };

fn planned(hospital: &Hospital) -> Result<PrunePlan, BackupError> {
    plan(&hospital.content, Class::Content, RULE, hospital.clock.now(), &public(), None)
}

/// Forty days of it: a base each week, a log each day.
fn aged() -> Hospital {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    for n in 0..40_u64 {
        write(&store, n * 3..n * 3 + 3);
        make(&mut backup, Want::Due);
        hospital.clock.advance_ms(DAY_MS);
    }
    store.close().unwrap();
    hospital
}

fn object(hospital: &Hospital, number: u64) -> ObjectName {
    catalog::list_number(&hospital.content, Class::Content, number).unwrap().remove(0).object
}

fn plant(hospital: &Hospital, number: u64, bytes: &[u8]) {
    let name = manifest_name(Class::Content, number, "00000000deadbeef");
    hospital.content.put_new(&name, bytes, None).unwrap();
}

#[test]
fn what_others_plant_is_passed_over_and_named() {
    let hospital = aged();
    let before = planned(&hospital).unwrap();
    assert!(before.removed.len() > 10 && before.passed.is_empty());
    // Rubbish under a number that is taken, after the newest, and where numbers end.
    for number in [5, 41, 42, 999_999_999_999] {
        plant(&hospital, number, b"rubbish");
    }
    // What another key signed, and what says our key and is not signed by it.
    let (of_other, mut forged) = {
        let ours = catalog::load(&hospital.content, &object(&hospital, 7)).unwrap();
        let mut manifest = ours.unverified().clone();
        manifest.id = "00000000cafebabe".to_owned();
        let (signed, bytes) = Signed::sign(manifest, &signer(2)).unwrap();
        (signed.unverified().name(), bytes)
    };
    hospital.content.put_new(&of_other, &forged, None).unwrap();
    let (theirs, our) = (signer(2).public().to_string(), public().to_string());
    forged = String::from_utf8(forged).unwrap().replace(&theirs, &our).replace("cafebabe", "cafebabf").into_bytes();
    let name = manifest_name(Class::Content, 7, "00000000cafebabf");
    hospital.content.put_new(&name, &forged, None).unwrap();
    let found = planned(&hospital).unwrap();
    assert_eq!((found.passed.len(), found.passed_count), (6, 6), "{:?}", found.passed);
    assert!(found.passed.iter().any(|text| text.contains("cafebabe") && text.contains("not signed")));
    assert_eq!((&found.removed, found.objects(), found.kept), (&before.removed, before.objects(), before.kept));
    let done = prune(&hospital.content, &found, hospital.clock.as_ref(), &mut |_| {}).unwrap();
    assert_eq!((done.removed, done.spared), (found.objects() as u64, 0));
    assert_eq!(planned(&hospital).unwrap().passed_count, 6, "they stay for whoever finds out");
}

#[test]
fn of_many_that_others_plant_a_hundred_are_named_and_too_many_are_refused() {
    let hospital = aged();
    let before = planned(&hospital).unwrap();
    for number in 1_000..1_000 + PASSED_OVER_MAX as u64 {
        plant(&hospital, number, b"rubbish");
    }
    let found = planned(&hospital).unwrap();
    assert_eq!((found.passed.len(), found.passed_count), (PASSED_NAMED_MAX, PASSED_OVER_MAX as u64));
    assert_eq!((&found.removed, found.objects(), found.kept), (&before.removed, before.objects(), before.kept));
    plant(&hospital, 999_999, b"rubbish");
    let refused = planned(&hospital).unwrap_err().to_string();
    assert!(refused.contains("somebody put them there") && refused.contains("000000001000-"), "{refused}");
    // One of ours that is damaged is told from them.
    hospital.content.objects().retain(|name, _| !name.as_str().contains("00000000deadbeef"));
    plant(&hospital, 2, b"rubbish");
    let name = object(&hospital, 3);
    hospital.content.objects().get_mut(&name).unwrap()[30] ^= 1;
    let damaged = planned(&hospital).unwrap_err().to_string();
    assert!(damaged.contains("has the format"), "{damaged}");
}

#[test]
fn a_damaged_one_of_ours_stops_it() {
    for number in [1, 3, 39] {
        let hospital = aged();
        let name = object(&hospital, number);
        hospital.content.objects().get_mut(&name).unwrap()[30] ^= 1;
        assert!(planned(&hospital).is_err(), "{number}");
        // Another's in its place under its own name, which only the target's owner can do.
        let bytes = hospital.content.objects().values().last().unwrap().clone();
        hospital.content.objects().insert(name, bytes);
        assert!(planned(&hospital).is_err(), "{number}");
    }
    // Of whom nothing is there, nothing goes.
    let hospital = aged();
    let stranger = plan(&hospital.content, Class::Content, RULE, hospital.clock.now(), &signer(2).public(), None);
    assert!(matches!(stranger, Err(BackupError::Signature(_))));
    // The end of the newest chain leads nowhere: what it names alone is lost with it, and the chain stays.
    let name = object(&hospital, 40);
    hospital.content.objects().get_mut(&name).unwrap()[30] ^= 1;
    assert_eq!(planned(&hospital).unwrap().passed_count, 1);
}

#[test]
fn a_segment_that_a_base_takes_up_again_meanwhile_is_spared() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    let set = |value: &[u8]| {
        let writes = vec![Write::put([2, 1], value)];
        store.submit(Commit { writes, ..Commit::default() }).wait().unwrap();
    };
    set(b"as it was");
    make(&mut backup, Want::Due);
    hospital.clock.advance_ms(20 * DAY_MS);
    set(b"as it became");
    make(&mut backup, Want::Base);
    hospital.clock.advance_ms(20 * DAY_MS);
    let found = planned(&hospital).unwrap();
    assert_eq!(found.removed, [1]);
    set(b"as it was");
    make(&mut backup, Want::Base);
    let done = prune(&hospital.content, &found, hospital.clock.as_ref(), &mut |_| {}).unwrap();
    assert!(done.spared > 0 && done.removed > 1, "{done:?}");
    assert_eq!(hospital.restored(At::Newest).0, without_local(hospital.dump()));
    assert_eq!(hospital.verify(Class::Content, &[]).problems, []);
}
