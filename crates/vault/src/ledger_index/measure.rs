//! How fast the ledger and its index are, on the disk and through the real code. Figures for people: `cargo xtask bench ledger`.

use super::*;
use serde_json::json;
use std::collections::VecDeque;
use std::time::Instant;
use tacet_ledger::index::Question;
use tacet_ledger::{Agent, Channel, Entry, EventKind, LedgerSequencer, Origin, Prepared, PurposeOfUse, open_store};
use tacet_seal::{Key, SecureRng};
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::{Commit, Engine, Store, StoreOptions};
use tacet_types::{EstablishmentId, OperationId, RecordRef, ResourceId, ResourceType, Timestamp, VersionId};

/// Staff at work at a time, each in a session.
const STAFF: u64 = 3000;

/// Entries of an ordinary session.
const SESSION_ENTRIES: u64 = 300;

/// Patients on file.
const PATIENTS: u64 = 1_000_000;

/// Of these many entries one is the stolen session's.
const STOLEN_ONE_IN: u64 = 200;

/// Entries of one commit while the ledger is filled.
const COMMIT_ENTRIES: u64 = 500;

/// Seconds of each measurement of durable entries.
const DURABLE_S: f64 = 3.0;

fn mixed(number: u64) -> u64 {
    let mut value = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn entry(number: u64, resource_types: (ResourceType, ResourceType)) -> Entry {
    let (patient_type, observation) = resource_types;
    let stolen = number.is_multiple_of(STOLEN_ONE_IN);
    let staff = number % STAFF;
    let shift = number / (STAFF * SESSION_ENTRIES);
    let session = if stolen { "5701e50000000000".to_owned() } else { format!("{:016x}", mixed(shift * STAFF + staff)) };
    let agent = Agent {
        owner: format!("staff-{staff}"),
        role: "clinician".into(),
        token: Some(format!("{:08x}", mixed(number / 40) as u32)),
    };
    let at = Timestamp::from_ms(1_772_352_000_000 + number as i64 * 40);
    let kind = if number.is_multiple_of(4) { EventKind::Search } else { EventKind::Read };
    let mut entry =
        Entry::new(at, kind, agent, PurposeOfUse::Treatment, OperationId(u128::from(mixed(number)).to_be_bytes()));
    // A clinician has thirty patients in a shift; the thief goes through everybody.
    let patient = if stolen { mixed(number) % PATIENTS } else { mixed(shift * STAFF + staff + number % 30) % PATIENTS };
    let (patient, record) =
        (format!("{:032x}", u128::from(mixed(patient))), format!("{:032x}", u128::from(mixed(number + 1))));
    entry.patient = ResourceId::parse(&patient).ok().map(|id| (patient_type, id));
    let record = ResourceId::parse(&record).ok();
    entry.records =
        record.map(|id| RecordRef { resource_type: observation, id, version: VersionId(1) }).into_iter().collect();
    entry.categories = vec![observation];
    entry.account = Some(format!("{:032x}", u128::from(mixed(staff))));
    entry.session = Some(session);
    entry.device = Some(format!("{:016x}", mixed(staff % 1200)));
    let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 | (staff % 1200) as u32);
    entry.origin = Origin { address: Some(address.into()), channel: Channel::Http };
    entry.basis = Some("ward-encounter by clinician-care".into());
    entry
}

fn commit(first: u64, entries: u64) -> Commit<Vec<Prepared>> {
    let types = (ResourceType::parse("Patient").unwrap(), ResourceType::parse("Observation").unwrap());
    let item = (first..first + entries).map(|number| Prepared::new(&entry(number, types)).unwrap()).collect();
    Commit { item, ..Commit::default() }
}

fn ask(index: &LedgerIndex, store: &Store<LedgerSequencer>, keys: &LedgerKeys, question: &Question) -> (f64, f64, u64) {
    let start = Instant::now();
    let groups = question.keys(&index.facet_keys);
    let mut search =
        Search::new(index.view(&groups, 0, 0).unwrap().unwrap(), question, groups.clone(), true, u64::MAX, None);
    let mut found = Vec::new();
    while let Some(index) = search.advance().unwrap() {
        found.push(index);
    }
    let listed = start.elapsed().as_secs_f64();
    let mut matching = 0;
    for some in found.chunks(256) {
        for (_, entry) in tacet_ledger::read_each(store.reader(), keys, some).unwrap() {
            matching += u64::from(question.matches(&entry.unwrap()));
        }
    }
    (listed, start.elapsed().as_secs_f64(), matching)
}

#[test]
#[ignore = "figures for people"]
fn speed_of_the_ledger_and_its_index() {
    let entries: u64 =
        std::env::var("TACET_BENCH_ENTRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let directory = tempfile::tempdir_in(std::env::var("TACET_BENCH_DIR").unwrap_or_else(|_| ".".into())).unwrap();
    let keys = EstablishmentKeys::derive(&Key::from_bytes([9; 32]), EstablishmentId([3; 16]));
    let ledger_keys = LedgerKeys::new(&keys);
    let engine: Arc<dyn Engine> =
        Arc::new(FjallEngine::open(&directory.path().join("store"), FjallOptions::default()).unwrap());
    let store = open_store(engine, ledger_keys.clone(), Arc::new(SecureRng), StoreOptions::default()).unwrap();

    // Filling, as a bulk of large commits.
    let start = Instant::now();
    let mut waiting = VecDeque::new();
    for first in (0..entries).step_by(COMMIT_ENTRIES as usize) {
        waiting.push_back(store.submit_bulk(commit(first, COMMIT_ENTRIES.min(entries - first))));
        if waiting.len() > 16 {
            waiting.pop_front().unwrap().wait().unwrap();
        }
    }
    waiting.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
    let filled_s = start.elapsed().as_secs_f64();

    // The index, made from nothing.
    let path = directory.path().join("ledger-index");
    let index = LedgerIndex::open(&path, &keys, ledger_keys.clone(), Arc::new(SecureRng)).unwrap();
    let start = Instant::now();
    index.bring_up(&|| store.snapshot(), &mut |_, _| {}, &|| false).unwrap();
    index.close();
    let indexed_s = start.elapsed().as_secs_f64();
    let statistics = index.statistics();

    // Questions.
    let middle = 1_772_352_000_000 + entries as i64 * 20;
    let types = (ResourceType::parse("Patient").unwrap(), ResourceType::parse("Observation").unwrap());
    let someone = entry(entries / 2 + 1, types);
    let questions = [
        ("the stolen session", Question { session: Some("5701e50000000000".into()), ..Question::default() }),
        ("an ordinary session", Question { session: someone.session.clone(), ..Question::default() }),
        ("a patient", Question { patient: someone.patient.clone(), ..Question::default() }),
        (
            "a person, one hour",
            Question {
                person: Some(someone.agent.owner.clone()),
                from: Some(Timestamp::from_ms(middle)),
                to: Some(Timestamp::from_ms(middle + 3_600_000)),
                ..Question::default()
            },
        ),
        (
            "a device and a patient",
            Question { device: someone.device.clone(), patient: someone.patient.clone(), ..Question::default() },
        ),
    ];
    let answers: Vec<_> = questions
        .iter()
        .map(|(what, question)| {
            let (listed_s, opened_s, found) = ask(&index, &store, &ledger_keys, question);
            json!({ "question": what, "entries": found, "found_ms": listed_s * 1e3, "found_and_opened_ms": opened_s * 1e3 })
        })
        .collect();

    // The whole tree, and every entry opened.
    let start = Instant::now();
    let verification = tacet_ledger::verify(store.reader(), &ledger_keys, &mut |_, _| {}).unwrap();
    let verified_s = start.elapsed().as_secs_f64();
    assert!(verification.is_sound() && verification.opened == entries);

    // Durable entries, one to a commit, by clients that wait for each.
    let durable: Vec<_> = [1_u64, 16, 64, 256]
        .into_iter()
        .map(|clients| {
            let start = Instant::now();
            let written: u64 = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..clients)
                    .map(|client| {
                        let store = &store;
                        scope.spawn(move || {
                            let mut written = 0;
                            while start.elapsed().as_secs_f64() < DURABLE_S {
                                store.submit(commit(entries + client * 1_000_000 + written, 1)).wait().unwrap();
                                written += 1;
                            }
                            written
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            json!({ "clients": clients, "entries_per_s": written as f64 / start.elapsed().as_secs_f64() })
        })
        .collect();
    let report = json!({
        "entries": entries,
        "filled_entries_per_s": entries as f64 / filled_s,
        "indexed_entries_per_s": entries as f64 / indexed_s,
        "index_bytes_an_entry": statistics.bytes_on_disk as f64 / statistics.entries_in_files.max(1) as f64,
        "index_segments": statistics.segments,
        "store_bytes_an_entry": store.reader().statistics().bytes_on_disk as f64 / entries as f64,
        "questions": answers,
        "verified_entries_per_s": entries as f64 / verified_s,
        "durable": durable,
    });
    std::fs::write(std::env::var("TACET_BENCH_REPORT").unwrap_or_else(|_| "/dev/stdout".into()), report.to_string())
        .unwrap();
    store.close().unwrap();
}
