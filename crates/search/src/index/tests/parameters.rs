//! Other search parameters, and changes that are told of a commit before it counts.

use super::*;

fn other_parameters() -> Parameters {
    let text = r#"{"resourceType":"SearchParameter","id":"nick","url":"http://example.org/nick","name":"nick","status":"active",
        "description":"d","code":"nick","base":["Patient"],"type":"string","expression":"Patient.name.given"}"#;
    let resource = tacet_fhir::json::parse_str(text, &tacet_fhir::json::Limits::default()).unwrap();
    let (parameters, issues) = Parameters::standard().with_custom(&[resource]);
    assert!(issues.is_empty(), "{issues:?}");
    assert_ne!(parameters.fingerprint(), Parameters::standard().fingerprint());
    parameters
}

#[test]
fn documents_made_with_other_parameters_than_a_rebuild_has_are_asked_for_again() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(51));
    let mut model = sample(scratch.path(), &rng);
    let (index, _) = open(scratch.path(), &rng, model.store());
    let (standard, other) = (Parameters::standard(), other_parameters());
    let (sequence, changes) = model.commit(&rng, 30);
    assert!(matches!(index.apply_made_with(sequence, changes.clone(), &other), Err(SearchError::OtherParameters)));
    index.apply_made_with(sequence, changes, &standard).unwrap();
    let mut rebuild = index.rebuild(other.clone()).unwrap();
    assert_eq!(index.parameters_for_changes().fingerprint(), other.fingerprint());
    assert_eq!(index.parameters().fingerprint(), standard.fingerprint());
    let (sequence, changes) = model.commit(&rng, 30);
    assert!(matches!(index.apply_made_with(sequence, changes.clone(), &standard), Err(SearchError::OtherParameters)));
    index.apply_made_with(sequence, changes, &other).unwrap();
    model.check(&index).unwrap();
    rebuild.add(model.snapshot()).unwrap();
    rebuild.finish(model.last()).unwrap();
    model.check(&index).unwrap();
    assert_eq!(index.parameters().fingerprint(), other.fingerprint());
    index.close().unwrap();

    // With the parameters it was built with it is found as it was, with others it is empty.
    let again =
        |parameters| SearchIndex::open(options(Some(scratch.path()), &rng), &index_key(), parameters, model.store());
    let (index, opened) = again(other).unwrap();
    assert_eq!(opened, Opened::At(model.last()));
    model.check(&index).unwrap();
    index.close().unwrap();
    let (index, opened) = again(standard).unwrap();
    assert_eq!(opened, Opened::Empty(Empty::ParametersChanged));
    assert!(matches!(model.check(&index), Err(SearchError::NotReady { .. })));
    model.feed(&index, Sequence(0)).unwrap();
    model.check(&index).unwrap();
}

#[test]
fn a_search_that_was_compiled_with_other_parameters_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(57));
    let model = sample(scratch.path(), &rng);
    let (index, _) = open(scratch.path(), &rng, model.store());
    let (standard, other) = (Parameters::standard().fingerprint(), other_parameters().fingerprint());
    let page = Page { sort: Vec::new(), count: 10, after: None, total: Total::Accurate };
    let ask = |made_with| index.search_made_with(&Filter::Everything, &page, made_with);
    let before = ask(&standard).unwrap();
    assert!(before.total > Some(0));
    assert!(matches!(ask(&other), Err(SearchError::OtherParameters)));
    let mut rebuild = index.rebuild(other_parameters()).unwrap();
    rebuild.add(model.snapshot()).unwrap();
    assert_eq!(ask(&standard).unwrap(), before, "the old one answers until then");
    rebuild.finish(model.last()).unwrap();
    assert!(matches!(ask(&standard), Err(SearchError::OtherParameters)));
    assert_eq!(ask(&other).unwrap().total, before.total);
}

#[test]
fn what_is_told_of_a_commit_before_it_counts_is_taken_in() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(52));
    let mut model = sample(scratch.path(), &rng);
    let (index, _) = open(scratch.path(), &rng, model.store());
    let gone: Vec<usize> =
        model.current.iter().filter(|(_, (_, code))| code.is_some()).map(|(id, _)| *id).take(5).collect();
    let changes: Vec<Change> = gone.iter().map(|id| change(*id, model.current[id].0, None)).collect();
    // In a commit that was taken in already they are passed over.
    index.apply(model.last(), changes.clone()).unwrap();
    model.check(&index).unwrap();
    index.amend(model.last(), changes).unwrap();
    gone.iter().for_each(|id| model.current.get_mut(id).unwrap().1 = None);
    model.check(&index).unwrap();
    assert_eq!(index.flush().unwrap(), model.last(), "how far it is has not moved");
    model.check(&index).unwrap();
    index.purge().unwrap();
    index.close().unwrap();
    let (index, opened) = open(scratch.path(), &rng, model.store());
    assert_eq!(opened, Opened::At(model.last()));
    model.check(&index).unwrap();

    // A part of a commit, then the commit: both are there, and an older version is not.
    let mut now = model.clone();
    let (sequence, changes) = now.commit(&rng, 150);
    index.amend(sequence, changes.clone()).unwrap();
    index.amend(model.last(), model.snapshot()).unwrap();
    now.check(&index).unwrap();
    index.flush().unwrap();
    index.apply(sequence, changes).unwrap();
    now.check(&index).unwrap();
    assert_eq!(index.flush().unwrap(), now.last());
}

#[test]
fn what_is_erased_and_made_again_is_found_whatever_comes_first() {
    let scratch = tempfile::tempdir().unwrap();
    let rng = Arc::new(SeededRng::new(53));
    let mut model = sample(scratch.path(), &rng);
    let (index, _) = open(scratch.path(), &rng, model.store());
    for (id, reversed, flushed) in
        [(500, false, false), (501, true, false), (502, true, true), (503, false, true), (504, true, true)]
    {
        let first = model.last().0 + 1;
        let commits = [change(id, 9, Some(1)), change(id, 9, None), change(id, 1, Some(2))];
        for (place, change) in (first..).zip(&commits).take(1) {
            index.apply(Sequence(place), vec![change.clone()]).unwrap();
        }
        let mut rest: Vec<_> = (first..).zip(&commits).skip(1).collect();
        if reversed {
            rest.reverse();
        }
        for (place, change) in rest {
            if change.document.is_none() {
                // As an erasure does, which counts once nothing is left of it.
                index.amend(Sequence(place), vec![change.clone()]).unwrap();
                index.applied(Sequence(place)).unwrap();
            } else {
                index.apply(Sequence(place), vec![change.clone()]).unwrap();
            }
            if flushed {
                index.flush().unwrap();
            }
        }
        model.feed.extend(commits.map(|change| vec![change]));
        model.current.insert(id, (1, Some(2)));
        model.check(&index).unwrap();
        assert_eq!(index.flush().unwrap(), model.last());
        model.check(&index).unwrap();
    }
}
