//! Snapshots against the store that they are of.

use super::hospital::*;
use super::*;
use crate::catalog::{self, At, chain};
use crate::manifest::{Manifest, sha256};
use crate::prune::{self, Rule};
use crate::segment::SegmentWriter;
use crate::target::{ObjectName, Prunable};
use crate::verify::Expected;
use std::sync::atomic::{AtomicBool, Ordering};
use tacet_store::{Commit, Write};

/// What holds of every state between two commits.
fn assert_consistent(rows: &Rows, manifest: &Manifest) {
    for (key, value) in rows.range(vec![2]..vec![3]) {
        assert_eq!(rows.get(&vec![3, key[1]]), Some(value), "a half of a commit");
    }
    let count = |space: u8| rows.keys().filter(|key| key[0] == space).count() as u64;
    let entries = u64::from_be_bytes(rows[&vec![0x11]].as_slice().try_into().unwrap());
    assert_eq!((count(0x01), count(0x10)), (entries, entries));
    assert_eq!((manifest.ledger.unwrap().entries, manifest.to.commits), (entries, entries));
}

#[test]
fn base_and_logs_are_the_store_at_their_marks_while_many_write() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..300);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (1..4_u64)
            .map(|writer| {
                let store = store.clone();
                scope.spawn(move || write(&store, writer * 10_000..writer * 10_000 + 1500))
            })
            .collect();
        scope.spawn(|| {
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            make(&mut backup, Want::Due);
        }
    });
    make(&mut backup, Want::Due);
    assert!(make(&mut backup, Want::Due).is_empty(), "nothing was written since");
    assert_eq!(hospital.restored(At::Newest).0, without_local(hospital.dump()));
    let last = backup.last().unwrap().0.number;
    assert!(last > 2, "{last} snapshots");
    for number in 1..=last {
        let (rows, signed) = hospital.restored(At::Number(number));
        assert_consistent(&rows, signed.unverified());
    }
    assert_eq!(hospital.verify(Class::Content, &[]).problems, []);
    assert_eq!(hospital.verify(Class::Key, &[]).problems, []);
    store.close().unwrap();
}

#[test]
fn no_key_row_is_ever_among_the_content() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..100);
    make(&mut backup, Want::Due);
    write(&store, 100..200);
    make(&mut backup, Want::Due);
    for (target, class) in [(&hospital.content, Class::Content), (&hospital.keys, Class::Key)] {
        let mut rows = Rows::new();
        apply(target, &chain(target, class, At::Newest, Some(&public())).unwrap(), &mut rows);
        assert!(rows.len() > 10 && rows.keys().all(|key| class_of(key[0]) == Some(class)));
    }
    // Nor may it be by the manifest's hand: a segment with one is named.
    let mut writer = SegmentWriter::new();
    writer.push(&[4, 1], Some(b"wrapped"));
    let segment = writer.finish().unwrap();
    let object = crate::manifest::segment_object(Class::Content, &segment.sha256, 1);
    hospital.content.put_new(&object, &segment.bytes, None).unwrap();
    let latest = backup.content.clone().unwrap();
    let mut manifest = backup.manifest(Class::Content, latest.to.into(), Some(&latest));
    manifest.segments = vec![SegmentInfo {
        object: object.clone(),
        sha256: segment.sha256,
        bytes: segment.bytes.len() as u64,
        rows: 1,
        first: segment.first,
        last: segment.last,
    }];
    manifest.rows = segment.spaces;
    backup.publish(Class::Content, manifest).unwrap();
    let found = hospital.verify(Class::Content, &[]);
    assert!(found.problems.iter().any(|problem| problem.object == object.as_str() && problem.what.contains("space")));
}

#[test]
fn an_unknown_space_is_an_error_in_a_base_and_in_a_log() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..10);
    make(&mut backup, Want::Due);
    store.submit(Commit { writes: vec![Write::put([0x77], b"x")], ..Commit::default() }).wait().unwrap();
    assert!(matches!(backup.make(Want::Due, &mut |_| true), Err(BackupError::Space(0x77))));
    assert!(matches!(backup.make(Want::Base, &mut |_| true), Err(BackupError::Space(0x77))));
}

#[test]
fn a_chain_goes_on_over_starts_and_an_unclean_one_makes_a_base() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..50);
    assert_eq!(make(&mut backup, Want::Due)[0].kind, Kind::Base);
    write(&store, 50..60);
    store.close().unwrap();
    // What the close left in the tail goes out without a store.
    assert_eq!(make(&mut backup, Want::LogOnly)[0].kind, Kind::Log);
    drop(backup);
    let (store, mut backup) = hospital.start();
    write(&store, 60..70);
    assert_eq!(make(&mut backup, Want::Due)[0].kind, Kind::Log);
    write(&store, 70..80);
    drop(backup);
    store.close().unwrap();
    let (_store, mut backup) = hospital.start();
    // What came after the last snapshot is in no tail any more.
    let made = make(&mut backup, Want::Due);
    assert_eq!((made[0].kind, made[0].reference.number), (Kind::Base, 4));
    assert_eq!(hospital.restored(At::Newest).0, without_local(hospital.dump()));
    assert_eq!(hospital.verify(Class::Content, &[]).problems, []);
}

#[test]
fn a_target_that_is_down_loses_nothing_and_too_much_makes_a_base() {
    let mut hospital = Hospital::new();
    hospital.tail_bytes = 200_000;
    let (store, mut backup) = hospital.start();
    write(&store, 0..50);
    make(&mut backup, Want::Due);
    for (target, numbers) in [(&hospital.content, 50..80), (&hospital.keys, 80..110)] {
        target.set_down(true);
        write(&store, numbers.clone());
        assert!(backup.make(Want::Due, &mut |_| true).unwrap_err().may_pass());
        write(&store, numbers.start + 1000..numbers.end + 1000);
        assert!(backup.make(Want::Due, &mut |_| true).unwrap_err().may_pass());
        target.set_down(false);
        let mut made = make(&mut backup, Want::Due);
        made.extend(make(&mut backup, Want::Due));
        assert!(made.iter().all(|made| made.kind == Kind::Log) && !made.is_empty());
        assert_eq!(hospital.restored(At::Newest).0, without_local(hospital.dump()));
    }
    hospital.content.set_down(true);
    write(&store, 2000..3000);
    assert!(backup.make(Want::Due, &mut |_| true).is_err());
    assert!(backup.source.tail.bytes() <= 200_000);
    hospital.content.set_down(false);
    assert_eq!(make(&mut backup, Want::Due)[0].kind, Kind::Base);
    assert_eq!(hospital.restored(At::Newest).0, without_local(hospital.dump()));
}

#[test]
fn what_is_written_during_a_base_follows_it_as_logs() {
    let mut hospital = Hospital::new();
    hospital.tail_bytes = 8 << 20;
    let (store, mut backup) = hospital.start();
    write(&store, 0..200);
    let mut n = 1000;
    let made = backup
        .make(Want::Base, &mut |_| {
            // Each segment that goes out lets more come in than the tail is to hold for long.
            write(&store, n..n + 1500);
            n += 1500;
            true
        })
        .unwrap();
    assert_eq!(made[0].kind, Kind::Base);
    assert!(made.len() > 1 && made[1..].iter().all(|made| made.kind == Kind::Log), "{}", made.len());
    make(&mut backup, Want::Due);
    assert_eq!(hospital.restored(At::Newest).0, without_local(hospital.dump()));
    let (rows, signed) = hospital.restored(At::Number(1));
    assert_consistent(&rows, signed.unverified());
}

#[test]
fn an_unchanged_range_is_not_sent_again() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    for group in 0..60_u32 {
        let writes = (0..100_u32).map(|n| {
            let key = sha256(&(group * 100 + n).to_be_bytes());
            Write::put([&[3][..], &key[..16]].concat(), vec![n as u8; 4000])
        });
        store.submit(Commit { writes: writes.collect(), ..Commit::default() }).wait().unwrap();
    }
    let first = make(&mut backup, Want::Base).remove(0);
    assert!(first.segments > 3 && first.sent_bytes == first.bytes);
    store.submit(Commit { writes: vec![Write::put([3, 7, 7], [1])], ..Commit::default() }).wait().unwrap();
    let second = make(&mut backup, Want::Base).remove(0);
    assert!(second.sent_bytes < second.bytes / 2, "{} of {}", second.sent_bytes, second.bytes);
    assert_eq!(hospital.restored(At::Newest).0, without_local(hospital.dump()));
}

#[test]
fn two_writers_and_a_store_that_was_set_back_are_noticed() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..20);
    make(&mut backup, Want::Due);
    let noted = std::fs::read(hospital.state.0.as_ref().unwrap()).unwrap();
    write(&store, 20..30);
    make(&mut backup, Want::Due);
    store.close().unwrap();
    // The machine is set back, with what it noted.
    std::fs::write(hospital.state.0.as_ref().unwrap(), noted).unwrap();
    let (store, mut backup) = hospital.start();
    write(&store, 30..31);
    assert!(matches!(backup.make(Want::Due, &mut |_| true), Err(BackupError::Foreign { number: 2, .. })));
    drop(backup);
    store.close().unwrap();
    let (store, mut backup) = hospital.start_with(true).unwrap();
    assert_eq!(make(&mut backup, Want::Due)[0].kind, Kind::Base);
    write(&store, 31..32);
    assert_eq!(make(&mut backup, Want::Due)[0].kind, Kind::Log);
    // Another establishment's target.
    let other = Hospital { content: hospital.content.clone(), keys: hospital.keys.clone(), ..Hospital::new() };
    let manifest = chain(&hospital.content, Class::Content, At::Newest, None).unwrap().pop().unwrap();
    assert!(manifest.verify(&signer(2).public()).is_err());
    assert!(other.start_with(false).is_ok(), "the same establishment on another machine takes over");
}

/// Every way in which somebody could bend a small backup, one after the other.
#[test]
fn whatever_is_changed_taken_exchanged_or_set_back_is_noticed_and_named() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    let mut expected = Vec::new();
    for round in 0..3 {
        write(&store, round * 4..round * 4 + 4);
        let made = make(&mut backup, Want::Due);
        expected.extend(made.iter().map(|made| Expected { reference: made.reference.clone(), time: made.time }));
    }
    assert_eq!(hospital.verify(Class::Content, &expected).problem_count, 0);
    let whole = hospital.content.objects().clone();
    let named = |what: &str, object: &ObjectName| {
        let found = hospital.verify(Class::Content, &expected);
        assert!(found.problem_count > 0, "{what} of {object} was not noticed");
        assert!(
            found
                .problems
                .iter()
                .any(|problem| problem.object.contains(object.as_str()) || problem.what.contains(object.as_str())),
            "{what} of {object}: {:?}",
            found.problems
        );
        *hospital.content.objects() = whole.clone();
    };
    let names: Vec<ObjectName> = whole.keys().cloned().collect();
    for (place, object) in names.iter().enumerate() {
        let bytes = &whole[object];
        for at in 0..bytes.len() {
            hospital.content.objects().get_mut(object).unwrap()[at] ^= 1 << (at % 8);
            named(&format!("a bit in byte {at}"), object);
        }
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            hospital.content.objects().get_mut(object).unwrap().truncate(length);
            named("a cut", object);
        }
        hospital.content.objects().get_mut(object).unwrap().push(b'\n');
        named("a byte too many", object);
        hospital.content.objects().remove(object);
        named("the absence", object);
        let other = &whole[&names[(place + 1) % names.len()]];
        *hospital.content.objects().get_mut(object).unwrap() = other.clone();
        named("the exchange", object);
    }
    // Set back as a whole: the ledger knows what is missing.
    let last = expected.last().unwrap().reference.clone();
    hospital.content.objects().retain(|name, _| !name.as_str().contains(&last.id));
    named("the setting back", &crate::manifest_name(Class::Content, last.number, &last.id));
}

#[test]
fn pruning_takes_whole_chains_and_leaves_what_others_need() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    let day = 86_400_000;
    for n in 0..40_u64 {
        write(&store, n * 3..n * 3 + 3);
        make(&mut backup, Want::Due);
        hospital.clock.advance_ms(day);
    }
    let now = hospital.clock.now();
    let rule = Rule { all_days: 10, weekly: 2 };
    let plan = prune::plan(&hospital.content, Class::Content, rule, now, &public(), None).unwrap();
    assert!(!plan.removed.is_empty() && plan.kept > 10 && plan.objects() > plan.removed.len());
    let newest = hospital.restored(At::Newest).0;
    let done = prune::prune(&hospital.content, &plan, hospital.clock.as_ref(), &mut |_| {}).unwrap();
    assert_eq!((done.removed, done.refused.len()), (plan.objects() as u64, 0));
    let found = hospital.verify(Class::Content, &[]);
    assert_eq!((found.problems, found.unnamed), (vec![], 0));
    assert_eq!(hospital.restored(At::Newest).0, newest);
    // Every snapshot of the last ten days restores.
    let listed = catalog::list_snapshots(&hospital.content, Class::Content).unwrap();
    for listing in &listed {
        let (_, signed) = hospital.restored(At::Number(listing.number));
        assert_eq!(signed.unverified().number, listing.number);
    }
    let recent = listed.iter().filter(|listing| listing.number > 30).count();
    assert_eq!(recent, 10);
    let again = prune::plan(&hospital.content, Class::Content, rule, now, &public(), None).unwrap();
    assert_eq!(again.objects(), 0);
    // One manifest that cannot be read, and nothing goes.
    let first = hospital.content.objects().keys().find(|name| name.as_str().starts_with("snapshots/")).unwrap().clone();
    hospital.content.objects().get_mut(&first).unwrap()[30] ^= 1;
    assert!(prune::plan(&hospital.content, Class::Content, rule, now.plus_ms(100 * day), &public(), None).is_err());
    Prunable::remove(&hospital.content, &first).unwrap();
}

#[test]
fn whatever_vanished_the_next_start_says_so_and_makes_a_base() {
    for (gone, damaged) in [(1, false), (2, false), (3, false), (1, true), (3, true)] {
        let hospital = Hospital::new();
        let (store, mut backup) = hospital.start();
        for round in 0..3 {
            write(&store, round * 4..round * 4 + 4);
            make(&mut backup, Want::Due);
        }
        store.close().unwrap();
        make(&mut backup, Want::LogOnly);
        drop(backup);
        let prefix = format!("snapshots/{gone:012}");
        let object = hospital.content.objects().keys().find(|name| name.as_str().starts_with(&prefix)).unwrap().clone();
        if damaged {
            hospital.content.objects().get_mut(&object).unwrap()[40] ^= 1;
        } else {
            hospital.content.objects().remove(&object);
        }
        let (_store, mut backup) = hospital.start();
        assert_eq!(backup.vanished().iter().map(|reference| reference.number).collect::<Vec<_>>(), [gone]);
        let made = make(&mut backup, Want::Due);
        assert_eq!((made[0].kind, made[0].reference.number), (Kind::Base, 4));
        assert_eq!(hospital.restored(At::Newest).0, without_local(hospital.dump()));
    }
}

#[test]
fn one_place_for_both_is_refused() {
    let hospital = Hospital::new();
    let (store, backup) = hospital.start();
    let Backup { source, mut plan, .. } = backup;
    plan.keys = plan.target.clone();
    assert!(matches!(Backup::open(source, plan, false), Err(BackupError::Settings(_))));
    drop(store);
}

#[test]
fn whichever_call_fails_and_whoever_stops_then_the_chain_goes_on() {
    let mut failures = 0;
    for (of_keys, restart) in [(false, false), (false, true), (true, false), (true, true)] {
        for calls in 0..9 {
            let hospital = Hospital::new();
            let (mut store, mut backup) = hospital.start();
            write(&store, 0..10);
            make(&mut backup, Want::Due);
            write(&store, 10..20);
            let key = Commit { writes: vec![Write::put([0x04, 9, calls as u8], *b"wrapped")], ..Commit::default() };
            store.submit(key).wait().unwrap();
            let target = if of_keys { &hospital.keys } else { &hospital.content };
            target.set_down_after(calls);
            failures += u32::from(backup.make(Want::Due, &mut |_| true).is_err());
            target.set_down(false);
            if restart {
                store.close().unwrap();
                drop(backup);
                (store, backup) = hospital.start();
            }
            for round in 20..23 {
                write(&store, round..round + 1);
                make(&mut backup, Want::Due);
            }
            let told = format!("keys {of_keys}, start {restart}, call {calls}");
            assert_eq!(hospital.restored(At::Newest).0, without_local(hospital.dump()), "{told}");
            assert_eq!(hospital.verify(Class::Content, &[]).problems, [], "{told}");
            assert_eq!(hospital.verify(Class::Key, &[]).problems, [], "{told}");
            store.close().unwrap();
        }
    }
    assert!(failures > 12, "{failures}");
}

#[test]
fn what_others_plant_keeps_nobody_from_going_on() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..10);
    let first = make(&mut backup, Want::Due).remove(0);
    let name = |number: u64| ObjectName::parse(&format!("snapshots/{number:012}-0123456789abcdef.json")).unwrap();
    // Rubbish where the next one goes, a manifest of somebody else's far above, and a number that is none.
    let mut copied = chain(&hospital.content, Class::Content, At::Number(first.reference.number), None).unwrap();
    let mut manifest = copied.pop().unwrap().unverified().clone();
    (manifest.number, manifest.base, manifest.id) = (999_999_999_999, 999_999_999_999, "0123456789abcdef".to_owned());
    let planted = crate::manifest::Signed::sign(manifest, &signer(2)).unwrap().1;
    hospital.content.objects().insert(name(2), b"{}".to_vec());
    hospital.content.objects().insert(name(999_999_999_999), planted);
    hospital.content.objects().insert(name(u64::MAX), b"{}".to_vec());
    write(&store, 10..20);
    let made = make(&mut backup, Want::Due);
    assert_eq!((made[0].kind, made[0].reference.number), (Kind::Log, 2));
    store.close().unwrap();
    // Nor who has lost what was noted.
    let (store, mut backup) = hospital.start_with(true).unwrap();
    write(&store, 20..21);
    assert_eq!(make(&mut backup, Want::Due)[0].reference.number, 3);
    store.close().unwrap();
    // Where nothing is ours, it is somebody else's target.
    hospital.content.objects().retain(|object, _| object.as_str().contains("999999999999"));
    assert!(matches!(hospital.start_with(true), Err(BackupError::Signature(_))));
}

#[test]
fn a_key_copy_that_vanished_is_noticed_while_the_server_runs() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..10);
    make(&mut backup, Want::Due);
    assert!(backup.keys_missing().unwrap().is_empty());
    hospital.keys.objects().retain(|object, _| !object.as_str().starts_with("keys/000000000001-"));
    assert_eq!(backup.keys_missing().unwrap(), [1]);
    make(&mut backup, Want::Base);
    assert!(backup.keys_missing().unwrap().is_empty());
    store.close().unwrap();
}

#[test]
fn a_root_key_file_that_is_gone_takes_the_recovery_part_out_of_no_key_copy() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..10);
    make(&mut backup, Want::Due);
    hospital.root_gone.store(true, Ordering::SeqCst);
    for (key, want) in [(1, Want::Due), (2, Want::Base)] {
        let writes = vec![Write::put([0x04, 9, key], *b"wrapped")];
        store.submit(Commit { writes, ..Commit::default() }).wait().unwrap();
        make(&mut backup, want);
        let newest = chain(&hospital.keys, Class::Key, At::Newest, Some(&public())).unwrap().pop().unwrap();
        assert!(newest.unverified().number > 1 && newest.unverified().recovery.is_some());
    }
    store.close().unwrap();
}

#[test]
fn targets_that_refuse_to_list_segments_get_snapshots_all_the_same() {
    let hospital = Hospital::new();
    let (store, mut backup) = hospital.start();
    write(&store, 0..10);
    assert_eq!(make(&mut backup, Want::Due).len(), 1);
    hospital.unlisted.store(true, Ordering::SeqCst);
    let mut numbers = Vec::new();
    for n in 1..4 {
        write(&store, n * 10..n * 10 + 10);
        numbers.extend(make(&mut backup, Want::Due).iter().map(|made| (made.reference.number, made.kind)));
        hospital.clock.advance_ms(1_000_000);
    }
    assert_eq!(numbers, [(2, Kind::Log), (3, Kind::Log), (4, Kind::Log)]);
    // It is looked again once the account may: what is gone by then is noticed.
    let name = hospital.content.objects().keys().find(|name| name.as_str().starts_with("segments/")).unwrap().clone();
    hospital.content.objects().remove(&name);
    hospital.unlisted.store(false, Ordering::SeqCst);
    write(&store, 40..50);
    assert_eq!(make(&mut backup, Want::Due)[0].kind, Kind::Base);
    store.close().unwrap();
}

#[test]
fn what_stands_under_a_segments_name_does_not_end_the_backup() {
    let first = Hospital::new();
    let (store, mut backup) = first.start();
    write(&store, 0..40);
    make(&mut backup, Want::Due);
    let second = Hospital { inner: first.inner.clone(), ..Hospital::new() };
    for object in first.content.objects().keys().filter(|object| object.as_str().starts_with("segments/")) {
        second.content.objects().insert(object.clone(), b"rubbish".to_vec());
    }
    store.close().unwrap();
    let (store, mut backup) = second.start();
    make(&mut backup, Want::Due);
    let beside = || second.content.objects().keys().filter(|object| object.as_str().ends_with("-2")).count();
    assert!(beside() > 2);
    assert_eq!(second.restored(At::Newest).0, without_local(second.dump()));
    // And not as if it were there the next time.
    let before = beside();
    make(&mut backup, Want::Base);
    assert_eq!(second.restored(At::Newest).0, without_local(second.dump()));
    assert!(beside() >= before);
    store.close().unwrap();
}
