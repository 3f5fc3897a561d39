//! What the children of the kill tests were told, and whether the store they left holds all of it.

use crate::place::caller;
use pollster::block_on;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use tacet_ledger::index::Question;
use tacet_tlog::TreeHash;
use tacet_tlog::merkle::proof::verify_consistency;
use tacet_types::ResourceType;
use tacet_vault::{
    EventKind, Handling, HistoryQuery, HistoryScope, IndexState, LedgerLine, LedgerOrder, Role, Scope, SearchCall,
    Vault,
};

/// Patients whose records are searched for by them, after each kill.
const SUBJECTS_SEARCHED: usize = 6;

/// Type, id and version.
type Record = (String, String, u64);

struct Version {
    /// `-` for a deletion.
    marker: String,
    patient: String,
}

/// Everything acknowledged in the life of one store.
#[derive(Default)]
pub(crate) struct Acknowledged {
    versions: BTreeMap<Record, Version>,
    /// What the ledger has to hold: operations, with the record where there is one.
    entries: Vec<(String, Option<Record>)>,
    /// Patients that were being erased when the child died.
    erasing: BTreeSet<String>,
    erased: BTreeSet<String>,
    tokens: BTreeSet<String>,
    ledger_seen: u64,
    /// Checkpoints that were given away since the last look, and the last one before: size and root.
    published: Vec<(u64, TreeHash)>,
    /// How often each kind of thing was acknowledged.
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Acknowledged {
    /// Takes in a line that a child said.
    pub(crate) fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ack", operation, verb, kind, id, version, marker, patient] => {
                let record = (kind.to_owned(), id.to_owned(), version.parse().unwrap());
                if verb != "read" {
                    let version = Version { marker: marker.to_owned(), patient: patient.to_owned() };
                    assert!(self.versions.insert(record.clone(), version).is_none(), "{record:?} was given twice");
                }
                self.entries.push((operation.to_owned(), Some(record)));
                self.count(verb);
            }
            ["erasing", patient] => {
                self.erasing.insert(patient.to_owned());
            }
            ["erased", operation, patient] => {
                assert!(self.erasing.remove(patient), "the child erased what it had not announced");
                self.erase(patient);
                self.entries.push((operation.to_owned(), None));
                self.count("erase");
            }
            ["token", operation, id] => {
                self.tokens.insert(id.to_owned());
                self.entries.push((operation.to_owned(), None));
                self.count("token");
            }
            ["published", size, root] => {
                let root = u8s(root).try_into().unwrap();
                self.published.push((size.parse().unwrap(), TreeHash(root)));
                self.count("published");
            }
            ["failed", ..] => panic!("the child's store failed by itself: {line}"),
            _ => {}
        }
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    fn erase(&mut self, patient: &str) {
        self.versions.retain(|_, version| version.patient != patient);
        self.erased.insert(patient.to_owned());
    }

    /// The store is sound and holds everything acknowledged, and nothing by halves.
    pub(crate) fn verify(&mut self, vault: &Vault, when: &str) {
        let report = block_on(vault.check(&caller(Role::Operator), &mut |_| {})).unwrap();
        assert_eq!(report.findings, [], "{when}: check");
        let found = everything(vault);

        for patient in std::mem::take(&mut self.erasing) {
            self.count("erasure cut off");
            let mut theirs = self.versions.iter().filter(|(_, version)| version.patient == patient);
            let there = theirs.clone().filter(|(record, _)| found.contains_key(*record)).count();
            if there == 0 {
                self.erase(&patient);
            } else {
                assert!(theirs.all(|(record, _)| found.contains_key(record)), "{when}: half of a patient was erased");
            }
        }
        for (record, version) in &self.versions {
            let body = found.get(record).unwrap_or_else(|| panic!("{when}: {record:?} was acknowledged and is lost"));
            let same = match body {
                Some(body) => body.contains(&version.marker) && version.marker != "-",
                None => version.marker == "-",
            };
            assert!(same, "{when}: {record:?} is another record");
        }
        self.assert_whole(&found, when);
        assert_searched(vault, &found, when);
        let tokens: BTreeSet<String> = vault.tokens().unwrap().into_iter().map(|token| token.id).collect();
        assert!(self.tokens.is_subset(&tokens), "{when}: a token is lost");
        self.assert_noted(vault, when);
        self.assert_published(vault, when);
    }

    /// The ledger is a continuation of every checkpoint that was given away; tree, kept tiles and kept checkpoints are right.
    fn assert_published(&mut self, vault: &Vault, when: &str) {
        assert_eq!(vault.halted(), None, "{when}: a crash is no forgery");
        let verification = vault.verify_ledger(&mut |_, _| ()).unwrap();
        assert!(verification.is_sound(), "{when}: {:?}", verification.problems);
        let head = vault.ledger_head().unwrap().unwrap();
        for (size, root) in &self.published {
            assert!(*size <= head.size(), "{when}: a checkpoint of {size} entries was given away, and there are fewer");
            let proof = vault.log_consistency(*size, head.size()).unwrap();
            let goes_on = verify_consistency(*size, root, head.size(), &head.root(), &proof);
            assert!(goes_on, "{when}: another history than the checkpoint of {size} entries");
        }
        let last = self.published.pop();
        self.published.clear();
        self.published.extend(last);
    }

    /// Each commit's records are all there or none is, and nothing is left of an erased patient.
    fn assert_whole(&self, found: &BTreeMap<Record, Option<String>>, when: &str) {
        let mut markers: HashMap<String, u64> = HashMap::new();
        for (record, body) in found {
            assert!(record.0 != "Patient" || !self.erased.contains(&record.1), "{when}: {record:?} was erased");
            let Some(body) = body else { continue };
            let value: serde_json::Value = serde_json::from_str(body).unwrap();
            let marker = value["code"]["text"].as_str().or(value["name"][0]["family"].as_str());
            *markers.entry(marker.unwrap().to_owned()).or_default() += 1;
            if let Some(subject) = value["subject"]["reference"].as_str() {
                let patient = subject.strip_prefix("Patient/").unwrap();
                assert!(!self.erased.contains(patient), "{when}: {record:?} of an erased patient is there");
            }
        }
        for (marker, count) in markers {
            let whole: u64 = marker.rsplit_once('x').unwrap().1.trim_end_matches('.').parse().unwrap();
            assert_eq!(count, whole, "{when}: a commit is there by halves: {marker}");
        }
    }

    /// Everything acknowledged stands in the ledger under its operation.
    fn assert_noted(&mut self, vault: &Vault, when: &str) {
        let size = |vault: &Vault| vault.ledger_head().unwrap().unwrap().size();
        assert!(size(vault) >= self.ledger_seen, "{when}: the ledger is shorter than it was");
        let mut noted: HashMap<String, BTreeSet<Record>> = HashMap::new();
        for index in self.ledger_seen..size(vault) {
            let entry = vault.ledger_entry(index).unwrap();
            let records = entry
                .records
                .iter()
                .map(|record| (record.resource_type.to_string(), record.id.as_str().to_owned(), record.version.0));
            noted.entry(entry.operation.to_string()).or_default().extend(records);
        }
        for (operation, record) in std::mem::take(&mut self.entries) {
            let entry = noted.get(&operation);
            let entry = entry.unwrap_or_else(|| panic!("{when}: {operation} ({record:?}) is not in the ledger"));
            assert!(record.is_none_or(|record| entry.contains(&record)), "{when}: the entry names other records");
        }
        self.ledger_seen = size(vault);
    }
}

/// A search finds the current version of every record that is not deleted, by what it holds too, and nothing else.
fn assert_searched(vault: &Vault, found: &BTreeMap<Record, Option<String>>, when: &str) {
    let mut heads: BTreeMap<(&str, &str), (u64, Option<&str>)> = BTreeMap::new();
    for ((kind, id, version), body) in found {
        // In the order of versions.
        heads.insert((kind, id), (*version, body.as_deref()));
    }
    let current: BTreeSet<Record> = heads
        .iter()
        .filter(|(_, (_, body))| body.is_some())
        .map(|((kind, id), (version, _))| ((*kind).to_owned(), (*id).to_owned(), *version))
        .collect();
    assert_eq!(vault.wait_for_index(&mut |_| {}), Some(IndexState::Ready), "{when}: the index");
    let of_kind = |kind: &str| current.iter().filter(|record| record.0 == kind).cloned().collect::<BTreeSet<_>>();
    for kind in ["Patient", "Observation"] {
        assert_eq!(searched(vault, kind, &[("_count", "40")]), of_kind(kind), "{when}: everything of type {kind}");
    }
    // Some by their values: the markers of old versions find nothing.
    let mut subjects: BTreeMap<&str, BTreeSet<Record>> = BTreeMap::new();
    for ((kind, id), (version, body)) in &heads {
        let subject = body.and_then(|body| body.split_once("\"Patient/")).and_then(|(_, rest)| rest.split_once('"'));
        if let Some((subject, _)) = subject {
            let record = ((*kind).to_owned(), (*id).to_owned(), *version);
            subjects.entry(subject).or_default().insert(record);
        }
    }
    for (patient, theirs) in subjects.iter().rev().take(SUBJECTS_SEARCHED) {
        let by = searched(vault, "Observation", &[("subject", &format!("Patient/{patient}")), ("_count", "40")]);
        assert_eq!(by, *theirs, "{when}: by patient {patient}");
    }
}

fn u8s(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len()).step_by(2).map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect()
}

/// The ledger's index answers as a scan does.
pub(crate) fn assert_answers(vault: &Vault, index: &Path, when: &str) {
    vault.keep_ledger_index_in(index, false).unwrap();
    vault.bring_up_ledger_index(&mut |_, _| ()).unwrap();
    let question = Question { kinds: vec![EventKind::Read], ..Question::default() };
    let auditor = caller(Role::Auditor);
    let asked = vault.read_ledger(&auditor, &question, LedgerOrder::OldestFirst, None);
    let mut reading = block_on(asked).unwrap();
    let mut found = Vec::new();
    while !reading.is_done() {
        found.extend(reading.next(500).unwrap().into_iter().map(|line| match line {
            LedgerLine::Entry { index, .. } => index,
            other => panic!("{when}: {other:?}"),
        }));
    }
    let size = vault.ledger_head().unwrap().unwrap().size();
    let scanned: Vec<u64> =
        (0..size).filter(|number| vault.ledger_entry(*number).unwrap().kind == EventKind::Read).collect();
    assert_eq!(found, scanned, "{when}: the ledger's index");
}

/// What a search finds on all its pages.
fn searched(vault: &Vault, kind: &str, parameters: &[(&str, &str)]) -> BTreeSet<Record> {
    let mut call = SearchCall {
        scope: Scope::Type(ResourceType::parse(kind).unwrap()),
        parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        handling: Handling::Strict,
        base_url: "http://localhost".to_owned(),
        cursor: None,
    };
    // A cursor is its caller's own.
    let caller = caller(Role::Clinician);
    let mut records = BTreeSet::new();
    loop {
        let page = block_on(vault.search(&caller, &call)).unwrap();
        for entry in page.entries {
            let record = entry.disclosed.record;
            let record = (record.resource_type.to_string(), record.id.as_str().to_owned(), record.version.0);
            assert!(records.insert(record.clone()), "{record:?} is found twice");
        }
        call.cursor = page.next;
        if call.cursor.is_none() {
            return records;
        }
        call.parameters.clear();
    }
}

/// Every version in the store with its body; none for a deletion.
fn everything(vault: &Vault) -> BTreeMap<Record, Option<String>> {
    let mut found = BTreeMap::new();
    let mut query = HistoryQuery::default();
    loop {
        let page = block_on(vault.history(&caller(Role::Clinician), &HistoryScope::System, &query)).unwrap();
        for entry in page.entries {
            let record = entry.record;
            let body = entry.body.map(|body| String::from_utf8(body.to_vec()).unwrap());
            found.insert((record.resource_type.to_string(), record.id.as_str().to_owned(), record.version.0), body);
        }
        query.cursor = page.next;
        if query.cursor.is_none() {
            return found;
        }
    }
}
