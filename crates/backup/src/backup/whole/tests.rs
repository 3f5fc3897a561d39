//! Whole snapshots against what happens to segments that they take up again.

use super::super::Want;
use super::super::hospital::*;
use super::*;
use crate::catalog::At;
use crate::target::{ObjectName, Target};

fn segments(hospital: &Hospital) -> Vec<ObjectName> {
    let objects = hospital.content.objects();
    objects.keys().filter(|name| name.as_str().starts_with("segments/")).cloned().collect()
}

/// What is wrong with the objects that the newest snapshot names.
fn newest_is_whole(hospital: &Hospital) {
    let (rows, signed) = hospital.restored(At::Newest);
    assert_eq!(rows, without_local(hospital.dump()));
    let problems = hospital.verify(Class::Content, &[]).problems;
    let of_newest = |object: &str| signed.unverified().segments.iter().any(|segment| segment.object.as_str() == object);
    assert!(problems.iter().all(|problem| !of_newest(&problem.object)), "{problems:?}");
}

#[test]
fn damage_on_the_target_is_found_within_four_bases() {
    for compares in [false, true] {
        let hospital = Hospital::new();
        hospital.content.set_compares(compares);
        let (store, mut backup) = hospital.start();
        write(&store, 0..200);
        make(&mut backup, Want::Due);
        let names = segments(&hospital);
        assert!(names.len() > 3, "{} segments", names.len());
        for name in &names {
            // Not in the trailer, by which a segment is known.
            hospital.content.objects().get_mut(name).unwrap()[20] ^= 1;
        }
        let found: Vec<u64> = (0..4).map(|_| make(&mut backup, Want::Base)[0].damaged).collect();
        assert_eq!(found.last().copied(), Some(names.len() as u64), "compares {compares}: {found:?}");
        newest_is_whole(&hospital);
        // What is not damaged is not sent again.
        let again = make(&mut backup, Want::Base).remove(0);
        assert_eq!((again.sent_bytes, again.segments), (0, names.len() as u64));
    }
}

#[test]
fn which_part_is_read_goes_on_over_starts() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..50);
    for round in 0..3 {
        assert_eq!(backup.bases, round);
        make(&mut backup, Want::Base);
    }
    store.close().unwrap();
    drop(backup);
    assert_eq!(hospital.start().1.bases, 3);
}

#[test]
fn a_segment_that_goes_after_a_base_looked_at_it_makes_another_base() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..200);
    make(&mut backup, Want::Due);
    let steal = || {
        let name = segments(&hospital).pop().unwrap();
        hospital.content.objects().remove(&name).unwrap();
    };
    // Between its look and its manifest: the first look afterwards says so.
    steal();
    let made = make(&mut backup, Want::Due);
    assert!(made[0].why.is_some_and(|why| why.contains("missing")), "{made:?}");
    newest_is_whole(&hospital);
    assert!(make(&mut backup, Want::Due).is_empty(), "and nothing more is to be done");
    // By a pruning that had not seen the manifest: the second does.
    steal();
    hospital.clock.advance_ms(SECOND_LOOK_MS - 1);
    assert!(make(&mut backup, Want::Due).is_empty());
    hospital.clock.advance_ms(1);
    assert_eq!(make(&mut backup, Want::Due).len(), 1);
    newest_is_whole(&hospital);
    // Key copies likewise, and whenever it is asked for.
    let name = hospital.keys.objects().keys().find(|name| name.as_str().starts_with("key-segments/")).unwrap().clone();
    hospital.keys.objects().remove(&name).unwrap();
    assert_eq!((backup.segments_missing().unwrap(), backup.segments_missing().unwrap()), (1, 0));
    assert_eq!(make(&mut backup, Want::Due).len(), 1);
    assert_eq!(hospital.verify(Class::Key, &[]).problems, [], "what has the same bytes stands under its name again");
    newest_is_whole(&hospital);
    // A start knows what there should be.
    store.close().unwrap();
    drop(backup);
    steal();
    assert_eq!(hospital.start().1.segments_missing().unwrap(), 1);
}

#[test]
fn one_place_under_two_names_gets_no_content() {
    let mut hospital = Hospital::new();
    hospital.keys = hospital.content.clone();
    let (store, mut backup) = hospital.start();
    write(&store, 0..20);
    let refused = backup.make(Want::Due, &mut |_| true).unwrap_err();
    assert!(refused.to_string().contains("one place"), "{refused}");
    assert_eq!(segments(&hospital), [], "keys are there, and nothing that they open");
    // Whoever copies keys beside content that is there stops no backup.
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..20);
    make(&mut backup, Want::Due);
    let copies: Vec<_> = hospital.keys.objects().iter().map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
    for (name, bytes) in &copies {
        hospital.content.put_new(name, bytes, None).unwrap();
    }
    assert_eq!(make(&mut backup, Want::Base).len(), 1);
}
