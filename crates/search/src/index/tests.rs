//! The index as a whole: what it answers, and what becomes of it when its files are altered or the machine stops.

mod damage;
mod disk;
mod life;
mod parameters;
mod stops;

use super::*;
use crate::document::{Document, System, Value};
use crate::filter::{SystemTest, Test};
use crate::request::Total;
use std::collections::BTreeMap;
use std::path::Path;
use tacet_fhir::search::parameter;
use tacet_seal::{EstablishmentKeys, Key as SealKey};
use tacet_types::{EstablishmentId, ResourceId, ResourceType, SeededRng, SystemClock, Timestamp, VersionId};

/// Codes that resources of these tests have.
const CODES: usize = 5;

/// A text that stands in every resource and must stand in no file.
const PLANTED: &str = "Przybyszewski";

fn patient() -> ResourceType {
    ResourceType::parse("Patient").unwrap()
}

fn key_of(id: usize) -> Key {
    Key { resource_type: patient(), id: ResourceId::parse(&format!("{PLANTED}-{id}")).unwrap() }
}

fn index_key() -> IndexKey {
    IndexKey::of(&EstablishmentKeys::derive(&SealKey::from_bytes([3; 32]), EstablishmentId([1; 16])))
}

fn options(directory: Option<&Path>, rng: &Arc<SeededRng>) -> IndexOptions {
    IndexOptions {
        directory: directory.map(Path::to_owned),
        memory_bytes_max: 80_000_000,
        // Long, so that a test decides when to commit.
        commit_interval_ms: 3_600_000,
        clock: Arc::new(SystemClock),
        rng: Arc::clone(rng) as Arc<dyn tacet_types::Rng>,
    }
}

fn change(id: usize, version: u64, code: Option<usize>) -> Change {
    let document = code.map(|code| {
        let identifier = parameter(patient(), "identifier").unwrap();
        let family = parameter(patient(), "family").unwrap();
        let token = Value::Token {
            system: System::Uri("http://example.org/kinds".into()),
            code: Some(format!("{PLANTED}{code}").into()),
            text: None,
        };
        let folded = PLANTED.to_lowercase();
        Document {
            key: key_of(id),
            version: VersionId(version),
            last_updated: Timestamp::from_ms(1_700_000_000_000 + version as i64),
            patients: [key_of(id).id].into(),
            labels: tacet_types::Labels::NONE,
            contained: Vec::new(),
            values: vec![
                (identifier, token),
                (family, Value::String { exact: PLANTED.into(), folded: folded.clone().into() }),
            ],
            narrative: vec![folded.clone().into()],
            content: vec![folded.into()],
        }
    });
    Change { key: key_of(id), version: VersionId(version), document }
}

fn has_code(code: usize) -> Filter {
    let identifier = parameter(patient(), "identifier").unwrap();
    Filter::Value(identifier, Test::TokenIs { system: SystemTest::Any, code: format!("{PLANTED}{code}").into() })
}

/// What the store would hold: its change feed, and by resource the current version and code.
#[derive(Default, Clone)]
struct Model {
    feed: Vec<Vec<Change>>,
    current: BTreeMap<usize, (u64, Option<usize>)>,
}

impl Model {
    fn last(&self) -> Sequence {
        Sequence(self.feed.len() as u64)
    }

    /// One commit that sets, moves or deletes some resources.
    fn commit(&mut self, rng: &SeededRng, resources: usize) -> (Sequence, Vec<Change>) {
        use tacet_types::Rng;
        let mut changes: BTreeMap<usize, Change> = BTreeMap::new();
        for _ in 0..=rng.below(3) {
            let id = rng.below(resources as u64) as usize;
            if changes.contains_key(&id) {
                continue;
            }
            let version = self.current.get(&id).map_or(1, |(version, _)| version + 1);
            let code = (rng.below(5) > 0).then(|| rng.below(CODES as u64) as usize);
            self.current.insert(id, (version, code));
            changes.insert(id, change(id, version, code));
        }
        let changes: Vec<Change> = changes.into_values().collect();
        self.feed.push(changes.clone());
        (self.last(), changes)
    }

    fn with_code(&self, code: usize) -> Vec<(Key, VersionId)> {
        let found = self.current.iter().filter(|(_, (_, of))| *of == Some(code));
        let mut found: Vec<_> = found.map(|(id, (version, _))| (key_of(*id), VersionId(*version))).collect();
        found.sort();
        found
    }

    /// Feeds an index what came after `at`.
    fn feed(&self, index: &SearchIndex, at: Sequence) -> Result<(), SearchError> {
        for (place, changes) in self.feed.iter().enumerate().skip(at.0 as usize) {
            index.apply(Sequence(place as u64 + 1), changes.clone())?;
        }
        Ok(())
    }

    /// Changes that make up the current state, as a snapshot gives them.
    fn snapshot(&self) -> Vec<Change> {
        self.current.iter().map(|(id, (version, code))| change(*id, *version, *code)).collect()
    }

    /// Whether the index answers every query as the model does. An error is no wrong answer: it comes back.
    fn check(&self, index: &SearchIndex) -> Result<(), SearchError> {
        for code in 0..CODES {
            let page = Page { sort: Vec::new(), count: 1000, after: None, total: Total::Accurate };
            let hits = index.search(&has_code(code), &page)?;
            let expected = self.with_code(code);
            assert_eq!(hits.total, Some(expected.len() as u64), "code {code}");
            let mut found = hits.keys;
            found.sort();
            assert_eq!(found, expected, "code {code}");
        }
        let page = Page { sort: Vec::new(), count: 1, after: None, total: Total::Accurate };
        let all = index.search(&Filter::Everything, &page)?;
        let expected = self.current.values().filter(|(_, code)| code.is_some()).count();
        assert_eq!(all.total, Some(expected as u64));
        Ok(())
    }

    fn store(&self) -> Store {
        Store { last: self.last(), least: Sequence(0) }
    }
}

fn open(path: &Path, rng: &Arc<SeededRng>, store: Store) -> (SearchIndex, Opened) {
    SearchIndex::open(options(Some(path), rng), &index_key(), Parameters::standard(), store).unwrap()
}

/// Where an opened index wants to be fed from.
fn from(opened: Opened) -> Sequence {
    match opened {
        Opened::At(at) => at,
        Opened::Empty(_) => Sequence(0),
    }
}

/// All files below a directory with their bytes.
fn files(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// Makes a directory hold these files and nothing else.
fn restore(path: &Path, to: &BTreeMap<PathBuf, Vec<u8>>) {
    let _ = std::fs::remove_dir_all(path);
    for (file, bytes) in to {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

/// An index with some segments, deleted documents among them, closed.
fn sample(path: &Path, rng: &Arc<SeededRng>) -> Model {
    let mut model = Model::default();
    let (index, opened) = open(path, rng, Store::default());
    assert_eq!(opened, Opened::Empty(Empty::New));
    for round in 0..4 {
        for _ in 0..12 {
            // Few deletions, so that segments are not merged at once.
            let (sequence, changes) = model.commit(rng, 150);
            index.apply(sequence, changes).unwrap();
        }
        assert_eq!(index.flush().unwrap(), model.last(), "round {round}");
    }
    model.check(&index).unwrap();
    index.close().unwrap();
    // What a merge that was given up has left is swept away.
    let (index, opened) = open(path, rng, model.store());
    assert_eq!(opened, Opened::At(model.last()));
    index.close().unwrap();
    model
}
