//! Applying, committing, reopening, rebuilding, purging.

use super::*;
use std::sync::atomic::AtomicBool;
use tantivy::Directory as _;

#[test]
fn what_was_applied_is_found_before_and_after_commits_and_reopening() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(1));
    let mut model = sample(scratch.path(), &rng);
    for _ in 0..3 {
        let (index, opened) = open(scratch.path(), &rng, model.store());
        assert_eq!(opened, Opened::At(model.last()));
        for round in 0..40 {
            let (sequence, changes) = model.commit(&rng, 30);
            index.apply(sequence, changes).unwrap();
            model.check(&index).unwrap();
            if round % 7 == 0 {
                index.flush().unwrap();
                model.check(&index).unwrap();
            }
        }
        index.close().unwrap();
    }
}

#[test]
fn memory_alone_answers_alike() {
    let rng = Arc::new(SeededRng::new(2));
    let (index, opened) =
        SearchIndex::open(options(None, &rng), &index_key(), Parameters::standard(), Store::default()).unwrap();
    assert_eq!(opened, Opened::Empty(Empty::New));
    let mut model = Model::default();
    for round in 0..60 {
        let (sequence, changes) = model.commit(&rng, 20);
        index.apply(sequence, changes).unwrap();
        model.check(&index).unwrap();
        if round % 9 == 0 {
            index.flush().unwrap();
            index.purge().unwrap();
        }
    }
    let clone = index.clone();
    index.close().unwrap();
    assert!(matches!(model.check(&clone), Err(SearchError::Closed)));
    assert!(matches!(clone.applied(Sequence(1000)), Err(SearchError::Closed)));
}

#[test]
fn commits_come_in_any_order_and_the_later_version_wins() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(3));
    let mut model = Model::default();
    let (index, _) = open(scratch.path(), &rng, Store::default());
    for _ in 0..60 {
        model.commit(&rng, 12);
    }
    // Within a window: 3 2 1, 6 5 4, …
    let order = (0..20).flat_map(|window| (1..=3).rev().map(move |place| window * 3 + place));
    for (step, sequence) in order.enumerate() {
        index.apply(Sequence(sequence), model.feed[sequence as usize - 1].clone()).unwrap();
        if step % 4 == 0 {
            let on_disk = index.flush().unwrap();
            assert_eq!(on_disk, index.statistics().applied);
            assert!(on_disk.0 <= sequence + 2);
        }
        // Again: passed over.
        index.apply(Sequence(sequence), model.feed[sequence as usize - 1].clone()).unwrap();
    }
    model.check(&index).unwrap();
    assert_eq!(index.flush().unwrap(), Sequence(60));
    model.check(&index).unwrap();

    // A gap: what came beyond is found, and what is on disk says that it goes to the gap only.
    let (skipped, late) = model.commit(&rng, 12);
    let (beyond, changes) = model.commit(&rng, 12);
    index.apply(beyond, changes).unwrap();
    assert_eq!(index.flush().unwrap(), Sequence(60));
    index.close().unwrap();
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::At(Sequence(60)));
    assert!(matches!(model.check(&index), Err(SearchError::NotReady { at: 60, last: 62 })));
    index.apply(skipped, late).unwrap();
    index.apply(beyond, model.feed[beyond.0 as usize - 1].clone()).unwrap();
    model.check(&index).unwrap();
}

#[test]
fn an_index_is_opened_once_at_a_time() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(4));
    let (index, _) = open(scratch.path(), &rng, Store::default());
    let again =
        SearchIndex::open(options(Some(scratch.path()), &rng), &index_key(), Parameters::standard(), Store::default());
    assert!(matches!(again, Err(SearchError::Locked { .. })));
    let clone = index.clone();
    index.close().unwrap();
    open(scratch.path(), &rng, Store::default());
    assert!(matches!(clone.flush(), Err(SearchError::Closed)));
}

#[test]
fn nothing_of_a_resource_stands_in_a_file_or_a_name() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(5));
    sample(scratch.path(), &rng);
    let files = files(scratch.path());
    assert!(files.len() > 10);
    let planted =
        [PLANTED.to_owned(), PLANTED.to_lowercase(), "Patient".into(), "segment".into(), "index_format".into()];
    for (path, bytes) in files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name == "LOCK" || name == "CURRENT" || name.len() == 32 && !name.contains('.'), "{name}");
        for text in planted.iter().flat_map(|text| [&text[..], &text[..6]]) {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text} in {name}");
        }
    }
}

#[test]
fn purging_leaves_no_segment_with_deleted_documents() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(6));
    let mut model = sample(scratch.path(), &rng);
    let (index, _) = open(scratch.path(), &rng, model.store());
    for id in [1, 2, 3] {
        let version = model.current.get(&id).map_or(1, |(version, _)| version + 1);
        model.current.insert(id, (version, None));
        model.feed.push(vec![change(id, version, None)]);
        index.apply(model.last(), vec![change(id, version, None)]).unwrap();
    }
    index.flush().unwrap();
    let generation = index.0.current().unwrap();
    let deleted = || {
        generation.index().searchable_segment_metas().unwrap().iter().map(|meta| meta.num_deleted_docs()).sum::<u32>()
    };
    assert!(deleted() > 0);
    index.purge().unwrap();
    assert_eq!(deleted(), 0);
    model.check(&index).unwrap();
    // No file of an old segment is left: every file is one that the library lists.
    let listed = generation.index().load_metas().unwrap().list_segment_files();
    let managed = generation.index().directory().list_managed_files();
    let living = listed.iter().filter(|file| managed.contains(*file)).count();
    let on_disk = files(index.0.slots().path.as_deref().unwrap()).len();
    assert_eq!(on_disk, living + 1, "the segments' files and the list");
    drop(generation);
    index.close().unwrap();
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::At(model.last()));
    model.check(&index).unwrap();
}

/// Everything that who has the keys can read of an index: its files in clear, and the terms of each segment.
fn in_clear(index: &SearchIndex) -> Vec<Vec<u8>> {
    let generation = index.0.current().unwrap();
    let mut texts = Vec::new();
    // Files of a kind that a segment does not have are listed too.
    let managed = generation.index().directory().list_managed_files();
    let listed = generation.index().load_metas().unwrap().list_segment_files();
    for file in listed.intersection(&managed) {
        let slice = generation.index().directory().open_read(file).unwrap();
        texts.push(slice.read_bytes().unwrap().to_vec());
    }
    assert!(texts.len() > 5);
    let view = generation.view().unwrap();
    for reader in view.searcher.segment_readers() {
        for (field, _) in reader.schema().fields().filter(|(_, entry)| entry.is_indexed()) {
            let inverted = reader.inverted_index(field).unwrap();
            let mut terms = inverted.terms().stream().unwrap();
            while terms.advance() {
                texts.push(terms.key().to_vec());
            }
        }
    }
    texts
}

#[test]
fn after_a_purge_not_even_the_key_brings_back_what_was_erased() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(16));
    let mut model = sample(scratch.path(), &rng);
    let (index, _) = open(scratch.path(), &rng, model.store());
    let (id, first, second) = (4_711, 7_700_017, 8_800_018);
    let contains = |text: &str| in_clear(&index).iter().any(|clear| memmem(clear, text.as_bytes()));
    for (version, code) in [(1, first), (2, second)] {
        model.feed.push(vec![change(id, version, Some(code))]);
        index.apply(model.last(), vec![change(id, version, Some(code))]).unwrap();
        index.flush().unwrap();
        assert!(contains(&code.to_string()) && contains(&format!("-{id}")), "the look finds what is there");
    }
    // Changed once more, and not on disk yet when it is erased.
    model.feed.push(vec![change(id, 3, Some(first))]);
    index.apply(model.last(), vec![change(id, 3, Some(first))]).unwrap();
    model.feed.push(vec![change(id, 4, None)]);
    index.amend(model.last(), vec![change(id, 4, None)]).unwrap();
    let before = index.statistics().applied;
    index.purge().unwrap();
    for text in [format!("{first}"), format!("{second}"), format!("-{id}")] {
        assert!(!contains(&text), "{text}");
    }
    assert_eq!((index.statistics().deleted_documents, index.statistics().overlay_documents), (0, 0));
    assert_eq!(index.statistics().applied, before, "a start after a kill looks for the erasure itself");
    index.applied(model.last()).unwrap();
    assert_eq!(index.flush().unwrap(), model.last());
    index.close().unwrap();
    assert_eq!(open(scratch.path(), &rng, model.store()).1, Opened::At(model.last()));
}

fn memmem(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn it_is_rebuilt_while_changes_come_and_searches_go_on() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(7));
    let mut model = sample(scratch.path(), &rng);
    let (index, _) = open(scratch.path(), &rng, model.store());
    let before: Vec<_> = files(scratch.path()).into_keys().collect();
    let mut rebuild = index.rebuild(Parameters::standard()).unwrap();
    assert!(matches!(index.rebuild(Parameters::standard()), Err(SearchError::Rebuilding)));
    // Some change between the beginning and the snapshot, some while it is read, some are in both.
    let (sequence, changes) = model.commit(&rng, 30);
    index.apply(sequence, changes).unwrap();
    let (snapshot, at) = (model.snapshot(), model.last());
    for part in snapshot.chunks(4) {
        let (sequence, changes) = model.commit(&rng, 30);
        index.apply(sequence, changes).unwrap();
        index.0.generations().1.unwrap().generation.commit().unwrap();
        rebuild.add(part.to_vec()).unwrap();
        let (sequence, changes) = model.commit(&rng, 30);
        index.apply(sequence, changes).unwrap();
        model.check(&index).unwrap();
    }
    assert!(index.statistics().rebuilding);
    assert_eq!(rebuild.finish(at).unwrap(), model.last());
    model.check(&index).unwrap();
    assert!(!index.statistics().rebuilding);
    let after = files(scratch.path());
    let names: Vec<_> =
        before.iter().filter(|path| after.contains_key(*path)).filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["CURRENT", "LOCK"], "nothing of the old generation");
    index.close().unwrap();
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::At(model.last()));
    model.check(&index).unwrap();

    // Given up: nothing is left of it.
    let before = files(scratch.path()).len();
    let mut rebuild = index.rebuild(Parameters::standard()).unwrap();
    rebuild.add(model.snapshot()).unwrap();
    drop(rebuild);
    assert_eq!(files(scratch.path()).len(), before);
    model.check(&index).unwrap();
}

#[test]
fn an_empty_index_is_filled_by_a_rebuild_from_a_snapshot() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(8));
    let mut model = Model::default();
    for _ in 0..50 {
        model.commit(&rng, 20);
    }
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::Empty(Empty::New));
    assert!(matches!(model.check(&index), Err(SearchError::NotReady { at: 0, last: 50 })));
    let mut rebuild = index.rebuild(Parameters::standard()).unwrap();
    rebuild.add(model.snapshot()).unwrap();
    rebuild.finish(model.last()).unwrap();
    model.check(&index).unwrap();
    let (sequence, changes) = model.commit(&rng, 20);
    index.apply(sequence, changes).unwrap();
    model.check(&index).unwrap();
    assert_eq!(index.flush().unwrap(), Sequence(51));
}

#[test]
fn many_changes_at_once_wait_for_commits_and_memory_stays_bounded() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(9));
    let (index, _) = open(scratch.path(), &rng, Store::default());
    let done = AtomicBool::new(false);
    let largest = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut largest = 0;
            while !done.load(Ordering::SeqCst) {
                largest = largest.max(index.statistics().overlay_documents);
                std::thread::yield_now();
            }
            largest
        });
        for sequence in 0..2 * ENTRIES_MAX {
            index.apply(Sequence(sequence as u64 + 1), vec![change(sequence, 1, Some(sequence % CODES))]).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        watching.join().unwrap()
    });
    assert!(largest <= ENTRIES_MAX, "{largest}");
    assert!(index.statistics().committed > Sequence(0), "the thread committed by itself");
    let page = Page { sort: Vec::new(), count: 10, after: None, total: Total::Accurate };
    assert_eq!(index.search(&Filter::Everything, &page).unwrap().total, Some(2 * ENTRIES_MAX as u64));
    assert_eq!(index.statistics().documents, 2 * ENTRIES_MAX as u64);
}

#[test]
fn pages_go_through_both_halves_once() {
    let rng = Arc::new(SeededRng::new(10));
    let (index, _) =
        SearchIndex::open(options(None, &rng), &index_key(), Parameters::standard(), Store::default()).unwrap();
    let mut model = Model::default();
    for round in 0..200 {
        let (sequence, changes) = model.commit(&rng, 60);
        index.apply(sequence, changes).unwrap();
        if round == 150 {
            index.flush().unwrap();
        }
    }
    let sorts = [
        Vec::new(),
        vec![crate::request::SortKey { parameter: crate::request::SortBy::LastUpdated, descending: true }],
        vec![crate::request::SortKey {
            parameter: crate::request::SortBy::Parameter(vec![parameter(patient(), "identifier").unwrap()]),
            descending: false,
        }],
    ];
    for sort in sorts {
        let mut page = Page { sort: sort.clone(), count: 7, after: None, total: Total::None };
        let mut seen: Vec<Position> = Vec::new();
        loop {
            let hits = index.search(&Filter::Everything, &page).unwrap();
            seen.extend(hits.positions);
            let Some(next) = hits.next else { break };
            page.after = Some(Position::decode(&next.encode()).unwrap());
        }
        assert_eq!(seen.len(), model.current.values().filter(|(_, code)| code.is_some()).count());
        assert!(seen.windows(2).all(|pair| pair[0].compare(&pair[1], &sort).is_lt()));
    }
}

#[test]
fn no_operation_has_the_number_of_the_commit_before() {
    // Otherwise a merge that begins at that moment may forget a deletion: see `prepare_writer`.
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(11));
    let model = sample(scratch.path(), &rng);
    let (index, _) = open(scratch.path(), &rng, model.store());
    let generation = index.0.current().unwrap();
    let numbers = |writer: &mut tantivy::IndexWriter| {
        (writer.commit_opstamp(), writer.delete_term(crate::engine::key_term(&key_of(1))))
    };
    let (committed, first) = generation.with_writer(numbers).unwrap();
    assert!(committed > 0 && first > committed, "{first} after {committed}");
}

#[test]
fn who_must_not_wait_gets_the_changes_back() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(10));
    let (index, _) = open(scratch.path(), &rng, Store::default());
    let generation = index.0.current().unwrap();
    let all: Vec<Change> = (0..ENTRIES_MAX).map(|id| change(id, 1, Some(id % CODES))).collect();
    // Nothing is committed while the writer is held.
    let held = generation.with_writer(|_| {
        assert!(!index.would_wait());
        index.apply(Sequence(1), all).unwrap();
        assert!(index.would_wait());
        let more = vec![change(ENTRIES_MAX, 1, Some(0))];
        let back = index.try_apply(Sequence(2), more.clone()).unwrap();
        assert_eq!(back, Err(more));
        assert_eq!(index.statistics().applied, Sequence(1), "the commit that was given back does not count");
    });
    held.unwrap();
    index.wait_for_room();
    assert_eq!(index.try_apply(Sequence(2), vec![change(ENTRIES_MAX, 1, Some(0))]).unwrap(), Ok(()));
    let page = Page { sort: Vec::new(), count: 1, after: None, total: Total::Accurate };
    assert_eq!(index.search(&Filter::Everything, &page).unwrap().total, Some(ENTRIES_MAX as u64 + 1));
    assert_eq!(index.statistics().applied, Sequence(2));
}

#[test]
fn what_took_the_place_of_documents_is_followed_from_searcher_to_searcher() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(11));
    let mut model = sample(scratch.path(), &rng);
    let (index, _) = open(scratch.path(), &rng, model.store());
    let generation = index.0.current().unwrap();
    let mut held = 0;
    for round in 0..60 {
        let before = generation.view().unwrap();
        let (sequence, changes) = model.commit(&rng, 150);
        index.apply(sequence, changes).unwrap();
        if round % 3 > 0 {
            index.flush().unwrap();
        }
        let view = generation.view().unwrap();
        let keys: Vec<Key> = view.overlay.entries().map(|(key, _)| key.clone()).collect();
        let anew = crate::engine::Superseded::of(&view.searcher, &keys).unwrap();
        assert_eq!(view.superseded.count(), anew.count(), "round {round}");
        let all: Vec<Key> = (0..150).map(key_of).collect();
        let of_before = crate::engine::Superseded::of(&before.searcher, &all).unwrap();
        let followed = of_before.follow(&before.searcher, &view.searcher, &all).unwrap();
        let anew = crate::engine::Superseded::of(&view.searcher, &all).unwrap();
        assert_eq!(followed.count(), anew.count(), "round {round}");
        assert!(all.iter().all(|key| !anew.holds(key) || followed.holds(key)), "round {round}");
        held += followed.count();
        model.check(&index).unwrap();
    }
    assert!(held > 1000);
}
