//! A disk that takes nothing for a while, or cannot be read for a moment: no reason to throw the index away, and none for a wrong answer.

use super::*;
use crate::index::generation::REMEMBERED_MAX;
use crate::index::writer::{new_writer, prepare_writer};
use crate::sealed::OPENS_FAIL;
use tantivy::indexer::NoMergePolicy;
use tantivy::schema::{STRING, Schema};
use tantivy::{Index, IndexWriter, Term, doc};

fn open_stopping(disk: &Disk, path: &Path, rng: &Arc<SeededRng>, store: Store) -> (SearchIndex, Opened) {
    let options = options(Some(path), rng);
    SearchIndex::open_on(disk.clone(), options, &index_key(), Parameters::standard(), store, None).unwrap()
}

#[test]
fn a_commit_that_fails_anywhere_succeeds_once_the_disk_takes_it() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(41));
    let mut model = sample(scratch.path(), &rng);
    let disk = Disk::stopping_after(i64::MAX);
    let (index, _) = open_stopping(&disk, scratch.path(), &rng, model.store());
    let (mut failed, mut done) = (0, 0);
    for operations in 0..60 {
        for _ in 0..3 {
            let (sequence, changes) = model.commit(&rng, 150);
            index.apply(sequence, changes).unwrap();
        }
        // More often than a generation is given up after, were it not the disk.
        for _ in 0..4 {
            disk.stop_after(operations);
            match index.flush() {
                Ok(_) => done += 1,
                Err(SearchError::Io(_)) => failed += 1,
                Err(error) => panic!("after {operations}: {error}"),
            }
            disk.stop_after(i64::MAX);
            model.check(&index).unwrap();
        }
        assert_eq!(index.flush().unwrap(), model.last(), "after {operations}");
        model.check(&index).unwrap();
    }
    assert!(failed > 60 && done > 0, "{failed}, {done}");
    assert_eq!(index.statistics().refusals, 0);
    index.purge().unwrap();
    index.close().unwrap();
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::At(model.last()));
    model.check(&index).unwrap();
}

#[test]
fn a_disk_that_takes_nothing_keeps_nobody_waiting_and_loses_nothing_on_disk() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(42));
    let model = sample(scratch.path(), &rng);
    let disk = Disk::stopping_after(i64::MAX);
    let (index, _) = open_stopping(&disk, scratch.path(), &rng, model.store());
    disk.stop_after(0);
    let more = 1000..1000 + 2 * ENTRIES_MAX;
    for (sequence, id) in (model.last().0 + 1..).zip(more) {
        index.apply(Sequence(sequence), vec![change(id, 1, Some(0))]).unwrap();
    }
    assert!(matches!(model.check(&index), Err(SearchError::Behind)));
    assert!(matches!(index.flush(), Err(SearchError::Behind)));
    disk.stop_after(i64::MAX);
    index.close().unwrap();
    // Its files are sound up to what they say.
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::At(model.last()));
    model.check(&index).unwrap();
}

#[test]
fn an_index_that_cannot_be_read_at_this_moment_is_not_thrown_away() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(43));
    let model = sample(scratch.path(), &rng);
    let before = files(scratch.path());
    OPENS_FAIL.set(true);
    let opened =
        SearchIndex::open(options(Some(scratch.path()), &rng), &index_key(), Parameters::standard(), model.store());
    OPENS_FAIL.set(false);
    assert!(matches!(opened, Err(SearchError::Io(_))));
    assert_eq!(files(scratch.path()), before);
    // Without it everything else goes on, and another takes its place once it is built.
    let place = tempfile::tempdir().unwrap();
    restore(
        &place.path().join("copy"),
        &before
            .iter()
            .map(|(file, bytes)| {
                (place.path().join("copy").join(file.strip_prefix(scratch.path()).unwrap()), bytes.clone())
            })
            .collect(),
    );
    let options_there = options(Some(&place.path().join("copy")), &rng);
    let marks: Marks = Arc::new(|sequence| Some([sequence.0 as u8; 16]));
    let (index, opened) =
        SearchIndex::open_unreadable(options_there, &index_key(), Parameters::standard(), model.store(), marks)
            .unwrap();
    assert_eq!(opened, Opened::Empty(Empty::Unreadable));
    assert!(matches!(model.check(&index), Err(SearchError::Damaged)));
    let mut after = model.clone();
    let (sequence, changes) = after.commit(&rng, 150);
    index.apply(sequence, changes).unwrap();
    assert_eq!(files(&place.path().join("copy")).len(), before.len(), "nothing was touched");
    let mut rebuild = index.rebuild(Parameters::standard()).unwrap();
    rebuild.add(after.snapshot()).unwrap();
    rebuild.finish(after.last()).unwrap();
    after.check(&index).unwrap();
    let again = SearchIndex::open(
        options(Some(&place.path().join("copy")), &rng),
        &index_key(),
        Parameters::standard(),
        after.store(),
    );
    assert!(matches!(again, Err(SearchError::Locked { .. })));
    index.close().unwrap();

    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::At(model.last()));
    // A search that cannot read says so, and the next one answers.
    let generation = index.0.current().unwrap();
    generation.latch.refuse(crate::sealed::Refusal::NotNow);
    assert!(!generation.latch.is_closed());
    let answered = index.ask(|_| {
        generation.latch.refuse(crate::sealed::Refusal::NotNow);
        Ok(())
    });
    assert!(matches!(answered, Err(SearchError::Io(_))));
    model.check(&index).unwrap();
    assert_eq!(index.statistics().refusals, 0);
}

#[test]
fn links_and_monstrous_files_in_the_directory_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(44));
    let elsewhere = tempfile::tempdir().unwrap();
    let model = sample(scratch.path(), &rng);
    let whole = files(scratch.path());
    for (file, bytes) in whole.iter().filter(|(path, _)| !path.ends_with("LOCK")) {
        restore(scratch.path(), &whole);
        let target = elsewhere.path().join("there");
        std::fs::write(&target, bytes).unwrap();
        std::fs::remove_file(file).unwrap();
        std::os::unix::fs::symlink(&target, file).unwrap();
        let (index, opened) = open(scratch.path(), &rng, model.store());
        assert_eq!(opened, Opened::Empty(Empty::Damaged), "what is right is not where it should be");
        assert_eq!(&std::fs::read(&target).unwrap(), bytes);
        index.close().unwrap();
    }
    // A generation that stands elsewhere is neither read nor swept.
    restore(scratch.path(), &whole);
    let generation = whole.keys().find_map(|path| path.parent().filter(|parent| *parent != scratch.path())).unwrap();
    let moved = elsewhere.path().join("generation");
    std::fs::rename(generation, &moved).unwrap();
    std::fs::write(moved.join("precious"), b"of somebody else").unwrap();
    std::os::unix::fs::symlink(&moved, generation).unwrap();
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::Empty(Empty::Damaged));
    assert!(moved.join("precious").exists());
    index.close().unwrap();
    // A lock that leads elsewhere makes nothing there.
    restore(scratch.path(), &whole);
    let made = elsewhere.path().join("made");
    std::fs::remove_file(scratch.path().join("LOCK")).unwrap();
    std::os::unix::fs::symlink(&made, scratch.path().join("LOCK")).unwrap();
    let opened =
        SearchIndex::open(options(Some(scratch.path()), &rng), &index_key(), Parameters::standard(), model.store());
    assert!(opened.is_err() && !made.exists());
    restore(scratch.path(), &whole);
    std::fs::File::options().write(true).open(scratch.path().join("CURRENT")).unwrap().set_len(1 << 40).unwrap();
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::Empty(Empty::Damaged));
    index.close().unwrap();
}

#[test]
fn a_rebuild_that_too_much_overtakes_is_given_up() {
    let rng = Arc::new(SeededRng::new(45));
    let scratch = tempfile::tempdir().unwrap();
    let model = sample(scratch.path(), &rng);
    let (index, _) = open(scratch.path(), &rng, model.store());
    let mut rebuild = index.rebuild(Parameters::standard()).unwrap();
    let more = 1000..1001 + REMEMBERED_MAX;
    let ids: Vec<usize> = more.collect();
    for (sequence, ids) in (model.last().0 + 1..).zip(ids.chunks(500)) {
        let changes = ids.iter().map(|id| change(*id, 1, None)).collect();
        index.apply(Sequence(sequence), changes).unwrap();
    }
    assert!(matches!(rebuild.add(model.snapshot()), Err(SearchError::Behind)));
    assert!(matches!(rebuild.finish(model.last()), Err(SearchError::Behind)));
    model.check(&index).unwrap();
    let mut rebuild = index.rebuild(Parameters::standard()).unwrap();
    rebuild.add(model.snapshot()).unwrap();
    rebuild.finish(model.last()).unwrap();
    model.check(&index).unwrap();
}

#[test]
fn the_list_that_perhaps_leads_back_keeps_the_old_generation() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(46));
    let model = sample(scratch.path(), &rng);
    let whole = files(scratch.path());
    let (mut kept, mut swapped) = (0, 0);
    for operations in 0..200 {
        restore(scratch.path(), &whole);
        let disk = Disk::stopping_after(i64::MAX);
        let (index, _) = open_stopping(&disk, scratch.path(), &rng, model.store());
        let mut rebuild = index.rebuild(Parameters::standard()).unwrap();
        rebuild.add(model.snapshot()).unwrap();
        disk.stop_after(operations);
        let finished = rebuild.finish(model.last());
        disk.stop_after(i64::MAX);
        model.check(&index).unwrap();
        index.close().unwrap();
        let pointer = std::fs::read(scratch.path().join("CURRENT")).unwrap();
        let leads_back = pointer == whole[&scratch.path().join("CURRENT")];
        assert_eq!(finished.is_err(), leads_back, "after {operations}");
        swapped += usize::from(!leads_back);
        // Whichever pointer the disk keeps, what it leads to is there.
        let old = whole.keys().find_map(|path| path.parent().filter(|parent| *parent != scratch.path())).unwrap();
        kept += usize::from(!leads_back && old.exists());
        let (index, opened) = open(scratch.path(), &rng, model.store());
        assert_eq!(opened, Opened::At(model.last()), "after {operations}");
        model.check(&index).unwrap();
        index.close().unwrap();
        if swapped > 3 {
            break;
        }
    }
    assert!(kept > 0 && swapped > 3, "{kept} {swapped}");
}

/// Whether a document that the first operation of a new writer deletes is still there after a merge and a commit.
fn a_deletion_is_forgotten(begin: impl Fn(&IndexWriter)) -> bool {
    let mut schema = Schema::builder();
    let name = schema.add_text_field("name", STRING);
    let index = Index::create_in_ram(schema.build());
    let segments = {
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 15_000_000).unwrap();
        writer.set_merge_policy(Box::new(NoMergePolicy));
        writer.add_document(doc!(name => "first")).unwrap();
        writer.commit().unwrap();
        for text in ["second", "third", "fourth"] {
            writer.add_document(doc!(name => text)).unwrap();
        }
        writer.commit().unwrap();
        writer.delete_term(Term::from_field_text(name, "fourth"));
        writer.commit().unwrap();
        let metas = index.searchable_segment_metas().unwrap();
        let (clean, deleted): (Vec<_>, Vec<_>) = metas.into_iter().partition(|meta| !meta.has_deletes());
        [clean, deleted].concat().iter().map(tantivy::SegmentMeta::id).collect::<Vec<_>>()
    };
    assert_eq!(segments.len(), 2);
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 15_000_000).unwrap();
    writer.set_merge_policy(Box::new(NoMergePolicy));
    begin(&writer);
    writer.delete_term(Term::from_field_text(name, "third"));
    writer.merge(&segments).wait().unwrap();
    writer.commit().unwrap();
    index.reader().unwrap().searcher().num_docs() != 2
}

#[test]
fn the_first_operation_of_a_writer_is_not_forgotten_by_a_merge() {
    assert!(!a_deletion_is_forgotten(|writer| prepare_writer(writer).unwrap()));
    // If this no longer holds, the library was mended and `prepare_writer` can go.
    assert!(a_deletion_is_forgotten(|_| ()));
}

#[test]
fn a_new_writer_goes_on_above_the_numbers_of_the_one_given_up() {
    let mut schema = Schema::builder();
    schema.add_text_field("name", STRING);
    let index = Index::create_in_ram(schema.build());
    let writer = new_writer(&index, 15_000_000, 5000).unwrap();
    assert!(writer.run(Vec::new()).unwrap() > 5000);
}
