//! The machine stops after any number of operations on files.

use super::*;

/// A life of an index: opening, changes, commits, purging, a rebuild, closing. Ends at the first error. Gives what the store holds by
/// then, and up to where the index said that it is on disk.
fn live(disk: &Disk, path: &Path, rng: &Arc<SeededRng>, before: &Model) -> (Model, Sequence) {
    let mut model = before.clone();
    let mut on_disk = Sequence(0);
    let opened = SearchIndex::open_on(
        disk.clone(),
        options(Some(path), rng),
        &index_key(),
        Parameters::standard(),
        model.store(),
        None,
    );
    let Ok((index, opened)) = opened else { return (model, on_disk) };
    if let Opened::At(at) = opened {
        on_disk = at;
    }
    let mut outcome = model.feed(&index, from(opened));
    for step in 0..24 {
        if outcome.is_err() {
            break;
        }
        let (sequence, changes) = model.commit(rng, 15);
        outcome = index.apply(sequence, changes).and_then(|()| match step {
            23 => index.purge(),
            11 => {
                let mut rebuild = index.rebuild(Parameters::standard())?;
                rebuild.add(model.snapshot())?;
                on_disk = rebuild.finish(model.last())?;
                Ok(())
            }
            _ if step % 6 == 5 => {
                on_disk = index.flush()?;
                Ok(())
            }
            _ => Ok(()),
        });
        // Whatever failed, no wrong answer is given.
        match model.check(&index) {
            Ok(()) | Err(SearchError::Damaged) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let _ = index.close();
    (model, on_disk)
}

#[test]
fn after_a_stop_anywhere_it_opens_and_answers_right_once_it_is_fed() {
    let rng = Arc::new(SeededRng::new(31));
    let scratch = tempfile::tempdir().unwrap();
    let counting = Disk::stopping_after(i64::MAX);
    let (model, on_disk) = live(&counting, scratch.path(), &rng, &Model::default());
    assert_eq!((model.last(), on_disk.0 > 0), (Sequence(24), true));
    let operations = i64::MAX - counting.left().unwrap();
    assert!(operations > 200, "{operations}");
    let step = (operations / 60).max(1);
    let mut reopened = 0;
    for stop in (0..operations).step_by(step as usize) {
        let scratch = tempfile::tempdir().unwrap();
        let (model, on_disk) = live(&Disk::stopping_after(stop), scratch.path(), &rng, &Model::default());
        // Twice: the second life begins with what the first left, and is stopped too.
        let (model, _) = live(&Disk::stopping_after(stop / 2 + 7), scratch.path(), &rng, &model);
        let (index, opened) = open(scratch.path(), &rng, model.store());
        let at = from(opened);
        assert!(at >= on_disk && at <= model.last(), "stop {stop}: {at:?}, {on_disk:?} was said to be on disk");
        assert!(!matches!(opened, Opened::Empty(why) if why != Empty::New), "stop {stop}: {opened:?}");
        reopened += usize::from(matches!(opened, Opened::At(_)));
        model.feed(&index, at).unwrap();
        model.check(&index).unwrap();
        index.flush().unwrap();
        model.check(&index).unwrap();
        index.close().unwrap();
    }
    assert!(reopened > 20, "{reopened}");
}
