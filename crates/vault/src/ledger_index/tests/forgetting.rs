//! Entries whose keys were destroyed: hidden at once, gone from the files after.

use super::*;

/// A world in which the entries of two spans have ended: hidden, as after their keys were destroyed.
fn hide(world: &World, spans: &[ended::Span]) {
    let mut state = lock(&world.index().state);
    state.hidden = spans.to_vec();
    // As if keys had ended: the files are of before.
    state.files_ended = state.ended.wrapping_add(1);
}

fn assert_without(world: &World, spans: &[ended::Span], questions: usize) {
    for _ in 0..questions {
        let question = question(&world.rng, world.size());
        let mut expected = world.scan(&question);
        let of_nobody = question.keys(&world.index().facet_keys).is_empty();
        let all = of_nobody && question.times().is_none();
        if !all {
            expected.retain(|entry| ended::span_of(spans, *entry).is_none());
        }
        for newest_first in [false, true] {
            let mut found = world.ask(&question, newest_first).unwrap();
            if newest_first {
                found.reverse();
            }
            // A time leads to the others of a block; in a store these do not open, and here they do.
            if of_nobody && !all {
                found.retain(|entry| ended::span_of(spans, *entry).is_none());
            }
            assert_eq!(found, expected, "{}", question.criteria());
        }
    }
}

#[test]
fn what_has_ended_is_found_no_more_while_and_after_files_are_written_without_it() {
    let forget = |world: &World| world.index().forget_ended(&|| world.snapshot());
    for (seed, spans) in [
        (11, vec![(0, 5)]),
        (12, vec![(0, TAIL * 9 + 3)]),
        (13, vec![(TAIL, TAIL * 2), (TAIL * 3 + 1, TAIL * 4 - 1)]),
        (14, vec![(0, TAIL * 12 + 30)]),
        (15, vec![(7, TAIL * 12 + 35)]),
    ] {
        let mut world = World::new(seed);
        world.write(TAIL * 12 + 40);
        world.bring_up().unwrap();
        let before = world.segment_files();
        hide(&world, &spans);
        // At once, from the old files; and a question asked now goes on from them.
        assert_without(&world, &spans, 25);
        assert!(forget(&world).unwrap());
        assert!(!forget(&world).unwrap(), "once");
        assert!(lock(&world.index().state).hidden.is_empty());
        assert_without(&world, &spans, 25);
        let after = world.segment_files();
        assert_eq!(after.len(), world.index().statistics().segments, "the old files are gone");
        assert_ne!(before, after);
        // Nothing is read again, and a start takes it.
        assert_eq!(world.index().statistics().entries_in_files, TAIL * 12);
        world.restart();
        assert_eq!(world.index().statistics().entries_in_files, TAIL * 12);
        let in_files = |entry: &u64| *entry < TAIL * 12;
        let kept: Vec<ended::Span> = spans.iter().map(|(from, to)| (*from, (*to).min(TAIL * 12))).collect();
        assert!(spans.iter().all(|(from, _)| in_files(from)));
        world.index().catch_up(&|| world.snapshot(), u64::MAX).unwrap();
        assert_without(&world, &kept, 10);
        world.write(TAIL * 5);
        world.bring_up().unwrap();
        assert_without(&world, &kept, 10);
    }
}

#[test]
fn a_stop_while_files_are_written_without_what_has_ended_leaves_one_or_the_other() {
    let spans = [(0, TAIL * 4 + 9)];
    let mut stopped = 0;
    for operations in 0..200 {
        let mut world = World::new(16);
        world.write(TAIL * 9);
        world.bring_up().unwrap();
        let left = Arc::new(AtomicI64::new(i64::MAX));
        world.left = Some(Arc::clone(&left));
        world.restart();
        world.index().catch_up(&|| world.snapshot(), u64::MAX).unwrap();
        hide(&world, &spans);
        left.store(operations, Ordering::SeqCst);
        let done = world.index().forget_ended(&|| world.snapshot()).is_ok();
        stopped += usize::from(!done);
        // Whether the disk took it or not, nothing of it is found.
        assert_without(&world, &spans, 3);
        world.left = None;
        world.restart();
        world.index().catch_up(&|| world.snapshot(), u64::MAX).unwrap();
        let whole = Question { patient: question_of_one(), ..Question::default() };
        let found = world.ask(&whole, false).unwrap();
        let all = world.scan(&whole);
        let without: Vec<u64> = all.iter().copied().filter(|entry| ended::span_of(&spans, *entry).is_none()).collect();
        assert!(found == without || (!done && found == all), "{operations}: all of it or nothing");
        world.bring_up().unwrap();
        assert_eq!(world.segment_files().len(), world.index().statistics().segments);
        if left.load(Ordering::SeqCst) > 0 {
            break;
        }
    }
    assert!((4..200).contains(&stopped), "{stopped}");
}

fn question_of_one() -> Option<(ResourceType, ResourceId)> {
    Some((ResourceType::parse("Patient").unwrap(), ResourceId::parse("p3").unwrap()))
}
