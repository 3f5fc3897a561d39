//! Files that are not what was written: refused, or the answers are right all the same.

use super::*;

/// Opens what is there. What comes of it must be an index that is empty and says why, one that answers right once it is fed, or one that
/// refuses. Gives whether it was refused.
fn answers_right_or_refuses(path: &Path, rng: &Arc<SeededRng>, model: &Model) -> bool {
    let (index, opened) = open(path, rng, model.store());
    model.feed(&index, from(opened)).unwrap();
    let refused = match (opened, model.check(&index)) {
        (Opened::Empty(why), outcome) => {
            outcome.unwrap();
            assert!(matches!(why, Empty::Damaged | Empty::NewerFormat | Empty::New), "{why:?}");
            true
        }
        (_, Ok(())) => false,
        (_, Err(SearchError::Damaged)) => {
            assert!(matches!(index.flush(), Err(SearchError::Damaged)), "it refuses to write on");
            let mut rebuild = index.rebuild(Parameters::standard()).unwrap();
            rebuild.add(model.snapshot()).unwrap();
            rebuild.finish(model.last()).unwrap();
            model.check(&index).unwrap();
            true
        }
        (_, Err(error)) => panic!("{error}"),
    };
    index.close().unwrap();
    refused
}

#[test]
fn altered_bytes_are_refused_or_do_not_matter() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(21));
    let model = sample(scratch.path(), &rng);
    let whole = files(scratch.path());
    let (mut refused, mut tried) = (0, 0);
    for (file, bytes) in whole.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        // Head, ends of the first chunk, tag and trailer, and some places between.
        let somewhere = tacet_types::Rng::below(rng.as_ref(), bytes.len() as u64) as usize;
        for place in [0, 1, 17, bytes.len() - 17, bytes.len() - 1, somewhere] {
            restore(scratch.path(), &whole);
            let mut altered = bytes.clone();
            altered[place.min(bytes.len() - 1)] ^= 0x10;
            std::fs::write(file, altered).unwrap();
            tried += 1;
            refused += usize::from(answers_right_or_refuses(scratch.path(), &rng, &model));
        }
    }
    // A file this small is one chunk, opened when the index is: everything is refused.
    assert_eq!(refused, tried);
}

#[test]
fn shortened_lengthened_and_missing_files_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(22));
    let model = sample(scratch.path(), &rng);
    let whole = files(scratch.path());
    for (file, bytes) in whole.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        for length in [0, 17, bytes.len().saturating_sub(256), bytes.len() - 1] {
            restore(scratch.path(), &whole);
            std::fs::write(file, &bytes[..length]).unwrap();
            assert!(answers_right_or_refuses(scratch.path(), &rng, &model), "cut to {length} of {}", bytes.len());
        }
        restore(scratch.path(), &whole);
        std::fs::write(file, [bytes.as_slice(), &[0; 256]].concat()).unwrap();
        assert!(answers_right_or_refuses(scratch.path(), &rng, &model));
        restore(scratch.path(), &whole);
        std::fs::remove_file(file).unwrap();
        assert!(answers_right_or_refuses(scratch.path(), &rng, &model));
    }
}

#[test]
fn files_that_change_places_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(23));
    let model = sample(scratch.path(), &rng);
    let whole = files(scratch.path());
    let all: Vec<&PathBuf> = whole.keys().filter(|path| !path.ends_with("LOCK")).collect();
    for (place, one) in all.iter().enumerate() {
        for other in all.iter().skip(place + 1).step_by(9) {
            restore(scratch.path(), &whole);
            std::fs::write(one, &whole[*other]).unwrap();
            std::fs::write(other, &whole[*one]).unwrap();
            assert!(answers_right_or_refuses(scratch.path(), &rng, &model));
        }
    }
}

#[test]
fn files_of_an_earlier_time_are_refused_or_the_index_is_fed_again() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(24));
    let mut model = sample(scratch.path(), &rng);
    let before = files(scratch.path());
    let earlier = model.last();
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::At(earlier));
    for _ in 0..10 {
        let (sequence, changes) = model.commit(&rng, 30);
        index.apply(sequence, changes).unwrap();
    }
    index.close().unwrap();
    let after = files(scratch.path());

    // Each file that both times have, and that changed, goes back by itself.
    let mut went_back = 0;
    for (file, bytes) in before.iter().filter(|(file, bytes)| after.get(*file).is_some_and(|now| now != *bytes)) {
        restore(scratch.path(), &after);
        std::fs::write(file, bytes).unwrap();
        went_back += 1;
        answers_right_or_refuses(scratch.path(), &rng, &model);
    }
    assert!(went_back > 0, "the list of segments at least");

    // Everything goes back: an index that was known to be further is refused, any other is fed what is missing.
    restore(scratch.path(), &before);
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::At(earlier));
    model.feed(&index, earlier).unwrap();
    model.check(&index).unwrap();
    index.close().unwrap();
    restore(scratch.path(), &before);
    let (index, opened) = open(scratch.path(), &rng, Store { last: model.last(), least: model.last() });
    assert_eq!(opened, Opened::Empty(Empty::RolledBack));
    model.feed(&index, Sequence(0)).unwrap();
    model.check(&index).unwrap();
    index.close().unwrap();

    // The store went back and the index did not.
    let (_, opened) = open(scratch.path(), &rng, Store { last: earlier, least: earlier });
    assert_eq!(opened, Opened::Empty(Empty::AheadOfStore));
}

#[test]
fn a_file_that_is_damaged_while_the_index_is_open_stops_the_answers() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(25));
    let model = sample(scratch.path(), &rng);
    let whole = files(scratch.path());
    let mut answered = 0;
    for file in whole.keys().filter(|path| path.parent() != Some(scratch.path())) {
        restore(scratch.path(), &whole);
        // Without room to keep what was read, so that it is read again.
        let options = IndexOptions { memory_bytes_max: 1, ..options(Some(scratch.path()), &rng) };
        let (index, _) = SearchIndex::open(options, &index_key(), Parameters::standard(), model.store()).unwrap();
        // In place, so that the open file sees it.
        let mut altered = whole[file].clone();
        altered.iter_mut().skip(17).for_each(|byte| *byte ^= 0xff);
        std::fs::write(file, altered).unwrap();
        for _ in 0..2 {
            match model.check(&index) {
                // What was opened before is in memory, and right: `check` compares each answer with the model.
                Ok(()) => answered += 1,
                Err(SearchError::Damaged) => {}
                Err(error) => panic!("{error}"),
            }
        }
        if index.statistics().damaged {
            assert!(index.statistics().refusals > 0 && !index.statistics().ready);
        }
    }
    assert!(answered > 0);
}

#[test]
fn another_key_another_establishment_and_other_parameters_are_told_apart() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(26));
    let model = sample(scratch.path(), &rng);
    let whole = files(scratch.path());
    for keys in [
        EstablishmentKeys::derive(&SealKey::from_bytes([4; 32]), EstablishmentId([1; 16])),
        EstablishmentKeys::derive(&SealKey::from_bytes([3; 32]), EstablishmentId([2; 16])),
    ] {
        restore(scratch.path(), &whole);
        let opened = SearchIndex::open(
            options(Some(scratch.path()), &rng),
            &IndexKey::of(&keys),
            Parameters::standard(),
            model.store(),
        );
        assert_eq!(opened.unwrap().1, Opened::Empty(Empty::Damaged));
    }
}
