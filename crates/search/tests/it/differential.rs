//! The index and the plain matcher over a list answer alike, whatever was created, updated, deleted, committed and opened again.
//!
//! A case is one page of one filter over one state. `TACET_SEARCH_CASES` says how many are run (a sample if it is not set), and
//! `TACET_SEED` with which seed to begin: each seed is a run of its own, so that a long test is resumed with the seed that it printed
//! last, and a failure is repeated with the seed that it names.

use crate::documents::Universe;
use crate::draw::Draw;
use crate::filters;
use crate::model::Model;
use std::collections::HashMap;
use std::sync::Arc;
use tacet_seal::{EstablishmentKeys, Key as SealKey};
use tacet_search::document::{Document, Key};
use tacet_search::filter::{Filter, Guard, guarded};
use tacet_search::index::{Order, Position};
use tacet_search::matcher;
use tacet_search::parameters::Parameters;
use tacet_search::request::{SortKey, Total};
use tacet_search::{Change, IndexKey, IndexOptions, Opened, Page, SearchIndex, Store};
use tacet_types::{EstablishmentId, SeededRng, Sequence, SystemClock, VersionId};

/// How many cases are a sample: a minute at most without optimisation.
const CASES_SAMPLE: u64 = 15_000;

/// Filters asked of each state.
const FILTERS: usize = 60;

/// States of one index before the next begins.
const STATES: usize = 8;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

struct World {
    seed: u64,
    draw: Draw,
    universe: Universe,
    model: Model,
    index: SearchIndex,
    order: Order,
    directory: Option<tempfile::TempDir>,
    key: IndexKey,
    /// All changes, to feed an index that was opened again.
    history: Vec<(Sequence, Vec<Change>)>,
    versions: HashMap<Key, u64>,
    cases: u64,
    /// Filters that were asked, and those of them that mean some documents but not all.
    asked: u64,
    telling: u64,
}

fn options(directory: Option<&tempfile::TempDir>, seed: u64) -> IndexOptions {
    IndexOptions {
        directory: directory.map(|directory| directory.path().join("index")),
        memory_bytes_max: 64 << 20,
        // Commits come when the test asks for them.
        commit_interval_ms: 3_600_000,
        clock: Arc::new(SystemClock),
        rng: Arc::new(SeededRng::new(seed)),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let directory = draw.one_in(3).then(|| tempfile::tempdir().unwrap());
        let keys = EstablishmentKeys::derive(&SealKey::random(&SeededRng::new(seed)), EstablishmentId([7; 16]));
        let key = IndexKey::of(&keys);
        let opening =
            SearchIndex::open(options(directory.as_ref(), seed), &key, Parameters::standard(), Store::default());
        let index = opening.unwrap().0;
        let order = key.order().clone();
        Self {
            seed,
            draw,
            universe: Universe::new(),
            model: Model::default(),
            index,
            order,
            directory,
            key,
            history: Vec::new(),
            versions: HashMap::new(),
            cases: 0,
            asked: 0,
            telling: 0,
        }
    }

    /// Some commits, each with some creates, updates and deletes; at times what is applied is committed, merged or opened again.
    fn change(&mut self, commits: usize) {
        for _ in 0..commits {
            let mut changes: HashMap<Key, Change> = HashMap::new();
            for _ in 0..self.draw.below(8) {
                let key = self.universe.key(&mut self.draw);
                let version = self.versions.entry(key.clone()).and_modify(|version| *version += 1).or_insert(1);
                let document = if self.draw.one_in(5) {
                    self.model.documents.remove(&key);
                    None
                } else {
                    let document = self.universe.document(key.clone(), *version, &mut self.draw);
                    self.model.documents.insert(key.clone(), document.clone());
                    Some(document)
                };
                changes.insert(key.clone(), Change { key, version: VersionId(*version), document });
            }
            let changes: Vec<Change> = changes.into_values().collect();
            let sequence = Sequence(self.history.len() as u64 + 1);
            self.index.apply(sequence, changes.clone()).unwrap();
            self.history.push((sequence, changes));
            match self.draw.below(12) {
                0..3 => {
                    assert_eq!(self.index.flush().unwrap(), sequence);
                }
                3 if self.draw.one_in(3) => self.index.purge().unwrap(),
                4 => self.again(),
                _ => {}
            }
        }
    }

    /// Closes the index and opens it again, and feeds it what it does not hold.
    fn again(&mut self) {
        if self.directory.is_none() {
            return;
        }
        self.index.clone().close().unwrap();
        let last = Sequence(self.history.len() as u64);
        let store = Store { last, least: Sequence(0) };
        let options = options(self.directory.as_ref(), self.draw.next());
        let (index, opened) = SearchIndex::open(options, &self.key, Parameters::standard(), store).unwrap();
        let held = match opened {
            Opened::At(sequence) => sequence,
            Opened::Empty(why) => panic!("seed {}: the index came back empty: {why:?}", self.seed),
        };
        for (sequence, changes) in self.history.iter().filter(|(sequence, _)| *sequence > held) {
            index.apply(*sequence, changes.clone()).unwrap();
        }
        self.index = index;
    }

    fn documents(&self) -> Vec<Document> {
        self.model.documents.values().cloned().collect()
    }

    /// Asks for all pages of a filter.
    fn ask(&mut self, filter: &Filter, sort: &[SortKey], count: usize) {
        let prepared = matcher::prepare(filter, &self.model).unwrap();
        let expected = self.model.search(&prepared, sort, &self.order);
        self.ask_expecting(filter, sort, count, &expected);
    }

    /// Asks the same for somebody who may not see everything: it must be as if what they may not see were not stored.
    fn ask_guarded(&mut self, filter: &Filter, guard: &Arc<Guard>, sort: &[SortKey], count: usize) {
        let mut visible = Model { documents: self.model.documents.clone() };
        visible.documents.retain(|_, document| guard.sees(document));
        let prepared = matcher::prepare(filter, &visible).unwrap();
        let expected = visible.search(&prepared, sort, &self.order);
        self.ask_expecting(&guarded(filter.clone(), guard), sort, count, &expected);
        let keys: Vec<Key> = (0..5).map(|_| self.universe.key(&mut self.draw)).collect();
        let seen = self.index.visible(&keys, guard).unwrap();
        let wanted: Vec<Key> = keys.into_iter().filter(|key| visible.documents.contains_key(key)).collect();
        assert_eq!(seen, wanted, "seed {}: visible", self.seed);
    }

    fn ask_expecting(&mut self, filter: &Filter, sort: &[SortKey], count: usize, expected: &[Position]) {
        let about = format!("seed {}, filter {filter:?}, sort {sort:?}, count {count}", self.seed);
        self.asked += 1;
        self.telling += u64::from(!expected.is_empty() && expected.len() < self.model.documents.len());
        let mut after: Option<Position> = None;
        let mut seen = 0;
        loop {
            let total = *self.draw.of(&[Total::None, Total::Accurate, Total::Estimate]);
            let page = Page { sort: sort.to_vec(), count, after: after.clone(), total };
            let hits = self.index.search(filter, &page).unwrap_or_else(|error| panic!("{about}: {error}"));
            self.cases += 1;
            let rest = &expected[seen..];
            let wanted = &rest[..count.min(rest.len())];
            assert_eq!(names(&hits.positions), names(wanted), "{about}, after {seen} of {}", expected.len());
            assert_eq!(hits.positions, wanted, "{about}: positions after {seen}");
            for ((key, version), position) in hits.keys.iter().zip(&hits.positions) {
                assert_eq!((key, *version), (&position.key, self.model.documents[key].version), "{about}");
            }
            match hits.total {
                Some(total) => assert_eq!(total, expected.len() as u64, "{about}: total"),
                None => assert_ne!(total, Total::Accurate, "{about}: no total"),
            }
            seen += wanted.len();
            let more = seen < expected.len();
            if count == 0 {
                return;
            }
            assert_eq!(hits.next.is_some(), more, "{about}: next after {seen}");
            let Some(next) = hits.next else { return };
            after = Some(Position::decode(&next.encode()).unwrap());
            assert_eq!(after.as_ref(), hits.positions.last());
        }
    }

    /// Reads pages while the data change: what did not change and is meant comes exactly once.
    fn ask_while_changing(&mut self, filter: &Filter, sort: &[SortKey]) {
        let about = format!("seed {}, changing, filter {filter:?}, sort {sort:?}", self.seed);
        let before = self.model.documents.clone();
        let meant = |world: &Self| {
            let prepared = matcher::prepare(filter, &world.model).unwrap();
            let found = world.model.search(&prepared, sort, &world.order);
            found.into_iter().map(|position| position.key).collect::<std::collections::BTreeSet<Key>>()
        };
        let mut always = meant(self);
        let mut seen: HashMap<Key, usize> = HashMap::new();
        let mut after = None;
        loop {
            let page = Page { sort: sort.to_vec(), count: 3, after, total: Total::None };
            let hits = self.index.search(filter, &page).unwrap_or_else(|error| panic!("{about}: {error}"));
            self.cases += 1;
            for (key, _) in hits.keys {
                *seen.entry(key).or_default() += 1;
            }
            after = hits.next;
            if after.is_none() {
                break;
            }
            self.change(1);
            // A filter about other documents may cease to hold for one that did not change.
            let now = meant(self);
            always.retain(|key| now.contains(key));
        }
        for key in always {
            if self.model.documents.get(&key) == before.get(&key) {
                assert_eq!(seen.get(&key), Some(&1), "{about}: {} {}", key.resource_type, key.id.as_str());
            }
        }
    }

    fn references(&mut self) {
        let key = self.universe.key(&mut self.draw);
        let parameter = self.universe.parameter_of(tacet_fhir::search::ParameterType::Reference, &mut self.draw);
        let parameter = if self.draw.one_in(3) { None } else { Some(parameter) };
        let mut found = self.index.references(&key, parameter).unwrap();
        let document = self.model.documents.get(&key);
        let mut wanted: Vec<Key> =
            document.iter().flat_map(|document| document.references(parameter)).cloned().collect();
        wanted.sort_unstable();
        wanted.dedup();
        found.sort_unstable();
        assert_eq!(found, wanted, "seed {}: references", self.seed);
    }
}

fn names(positions: &[Position]) -> Vec<String> {
    positions.iter().map(|position| format!("{}/{}", position.key.resource_type, position.key.id.as_str())).collect()
}

/// One index from its making to its end: cases, filters asked, and those that told something.
fn run(seed: u64) -> [u64; 3] {
    let mut world = World::new(seed);
    for _ in 0..STATES {
        let commits = 1 + world.draw.below(12);
        world.change(commits);
        let documents = world.documents();
        for _ in 0..FILTERS {
            let depth = world.draw.below(4);
            let filter = filters::filter(&world.universe, &documents, depth, &mut world.draw);
            let sort = filters::sort(&world.universe, &mut world.draw);
            let count = [0, 1, 2, 3, 5, 20, 1000][world.draw.below(7)];
            if world.draw.one_in(2) {
                let guard = filters::guard(&world.universe, &documents, &mut world.draw);
                world.ask_guarded(&filter, &guard, &sort, count);
            } else {
                world.ask(&filter, &sort, count);
            }
        }
        world.references();
        let filter = filters::filter(&world.universe, &documents, 1, &mut world.draw);
        let sort = filters::sort(&world.universe, &mut world.draw);
        world.ask_while_changing(&filter, &sort);
    }
    world.index.close().unwrap();
    [world.cases, world.asked, world.telling]
}

#[test]
fn index_and_matcher_answer_alike() {
    let cases = setting("TACET_SEARCH_CASES").unwrap_or(CASES_SAMPLE);
    let first = setting("TACET_SEED").unwrap_or(1);
    let (mut done, mut asked, mut telling, mut seed) = (0, 0, 0, first);
    while done < cases {
        let [of_run, filters, told] = run(seed);
        (done, asked, telling) = (done + of_run, asked + filters, telling + told);
        seed += 1;
        if (seed - first).is_multiple_of(20) {
            // To resume from. Shown with --nocapture.
            eprintln!("{done} of {cases} cases, {telling} of {asked} filters told something, next seed {seed}");
        }
    }
    // Filters that mean nothing or everything show little.
    assert!(asked > 0 && telling * 4 > asked, "{telling} of {asked} filters told something");
}
