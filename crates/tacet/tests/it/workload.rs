//! What a child does to a store until it is killed: all kinds of changes and reads by several writers, each told on stdout
//! once it is acknowledged.
//!
//! ```text
//! ack <operation> <verb> <type> <id> <version> <marker> <patient>     a version was written or read
//! erasing <patient>                                                    about to destroy a patient's key
//! erased <operation> <patient>
//! token <operation> <token id>
//! published <size> <root, hexadecimal>                                a checkpoint was signed and given away
//! ```
//!
//! Every body holds a marker that no other commit has; it ends in how many records of its commit hold it (`-x3.`), so that
//! half a transaction shows.

use crate::place::{Numbers, caller};
use pollster::block_on;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use tacet_types::Clock as _;
use tacet_types::{ResourceId, ResourceType, SystemClock};
use tacet_vault::{Caller, ImportOptions, ImportUnit, ReturnPreference, Role, Stored, Vault, VaultError};

/// Writers of a child.
const WRITERS: u64 = 4;

/// Patients that all writers change.
const SHARED: u64 = 2;

/// Writes until a write fails or nobody listens any more.
pub(crate) fn run(vault: &Vault, life: u64) {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let ended = &ended;
            scope.spawn(move || {
                let mut writer = Writer::new(vault, life, writer);
                while !ended.load(Ordering::Relaxed) {
                    if let Err(error) = writer.step() {
                        say(&format!("failed {error:?}\n"));
                        ended.store(true, Ordering::Relaxed);
                    } else if !say(&std::mem::take(&mut writer.told)) {
                        ended.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

/// In one write, so that a line is whole or not there.
pub(crate) fn say(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// A record that this writer alone changes, as it knows it to be.
struct Known {
    id: String,
    version: u64,
    marker: String,
}

struct Writer<'a> {
    vault: &'a Vault,
    name: String,
    numbers: Numbers,
    count: u64,
    patient: String,
    patients: u64,
    observations: Vec<Known>,
    told: String,
}

impl<'a> Writer<'a> {
    fn new(vault: &'a Vault, life: u64, writer: u64) -> Self {
        let name = format!("{life}-{writer}");
        let numbers = Numbers(life * 1000 + writer * 7 + 1);
        let patient = format!("p-{name}-0");
        Self { vault, name, numbers, count: 0, patient, patients: 0, observations: Vec::new(), told: String::new() }
    }

    fn step(&mut self) -> Result<(), VaultError> {
        match self.numbers.below(40) {
            _ if self.count == 0 => self.change_patient(),
            0..=7 => self.create(),
            8..=12 => self.update(),
            13..=15 => self.delete(),
            16..=20 => self.transaction(),
            21..=31 => self.read(),
            32..=34 => self.change_shared(),
            35..=36 => self.import(),
            37 => self.change_patient(),
            38 => self.token(),
            _ => self.erase(),
        }
    }

    /// A marker for `records` records of one commit.
    fn marker(&mut self, records: u64) -> String {
        self.count += 1;
        format!("m{}-{}-x{records}.", self.name, self.count)
    }

    fn tell(&mut self, caller: &Caller, verb: &str, kind: &str, known: &Known, patient: &str) {
        let Known { id, version, marker } = known;
        let _ = writeln!(self.told, "ack {} {verb} {kind} {id} {version} {marker} {patient}", caller.operation);
    }

    fn tell_stored(&mut self, caller: &Caller, kind: &str, stored: &Stored, marker: String) -> Known {
        let known = Known { id: stored.record.id.as_str().to_owned(), version: stored.record.version.0, marker };
        let patient = self.patient.clone();
        self.tell(caller, "put", kind, &known, &patient);
        known
    }

    fn create(&mut self) -> Result<(), VaultError> {
        let (caller, marker) = (caller(Role::Clinician), self.marker(1));
        let body = observation(None, &self.patient, &marker);
        let stored = block_on(self.vault.create(&caller, observations(), body.as_bytes(), ""))?;
        let known = self.tell_stored(&caller, "Observation", &stored, marker);
        self.observations.push(known);
        Ok(())
    }

    fn update(&mut self) -> Result<(), VaultError> {
        let Some(mut known) = self.take() else { return self.create() };
        let (caller, marker) = (caller(Role::Clinician), self.marker(1));
        let body = observation(Some(&known.id), &self.patient, &marker);
        let before = Some(tacet_types::VersionId(known.version));
        let stored =
            block_on(self.vault.update(&caller, observations(), &id(&known.id), body.as_bytes(), "", before, false))?;
        assert_eq!(stored.record.version.0, known.version + 1);
        known = self.tell_stored(&caller, "Observation", &stored, marker);
        self.observations.push(known);
        Ok(())
    }

    fn delete(&mut self) -> Result<(), VaultError> {
        let Some(known) = self.take() else { return self.create() };
        let caller = caller(Role::Clinician);
        let deleted = block_on(self.vault.delete(&caller, observations(), &id(&known.id), None))?;
        let version = deleted.record.expect("it was there").version.0;
        let (known, patient) = (Known { version, marker: "-".into(), ..known }, self.patient.clone());
        self.tell(&caller, "delete", "Observation", &known, &patient);
        Ok(())
    }

    /// The patient, a new record and an old or new one under its own id, all or nothing.
    fn transaction(&mut self) -> Result<(), VaultError> {
        let (caller, marker) = (caller(Role::Clinician), self.marker(3));
        let known = self.take();
        let named = known.map_or_else(|| format!("o-{}-{}", self.name, self.count), |known| known.id);
        let body = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[
              {{"resource":{},"request":{{"method":"PUT","url":"Patient/{}"}}}},
              {{"resource":{},"request":{{"method":"POST","url":"Observation"}}}},
              {{"resource":{},"request":{{"method":"PUT","url":"Observation/{named}"}}}}]}}"#,
            patient(&self.patient, &marker),
            self.patient,
            observation(None, &self.patient, &marker),
            observation(Some(&named), &self.patient, &marker),
        );
        let answer = block_on(self.vault.bundle(&caller, body.as_bytes(), "", ReturnPreference::Minimal))?;
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        for entry in answer["entry"].as_array().unwrap() {
            let location: Vec<&str> = entry["response"]["location"].as_str().unwrap().split('/').collect();
            let version = location[3].parse().unwrap();
            let known = Known { id: location[1].to_owned(), version, marker: marker.clone() };
            let patient = self.patient.clone();
            self.tell(&caller, "transaction", location[0], &known, &patient);
            if location[0] == "Observation" {
                self.observations.push(known);
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), VaultError> {
        let Some(known) = self.take() else { return self.create() };
        let caller = caller(Role::Clinician);
        let disclosed = block_on(self.vault.read(&caller, observations(), &id(&known.id)))?;
        let body = String::from_utf8(disclosed.body.to_vec()).unwrap();
        assert!(disclosed.record.version.0 == known.version && body.contains(&known.marker), "another record was read");
        let patient = self.patient.clone();
        self.tell(&caller, "read", "Observation", &known, &patient);
        self.observations.push(known);
        Ok(())
    }

    fn change_patient(&mut self) -> Result<(), VaultError> {
        let (caller, marker) = (caller(Role::Clinician), self.marker(1));
        let stored = self.put_patient(&caller, &self.patient, &marker)?;
        self.tell_stored(&caller, "Patient", &stored, marker);
        Ok(())
    }

    /// Changes what the other writers change too.
    fn change_shared(&mut self) -> Result<(), VaultError> {
        let shared = format!("shared-{}", self.numbers.below(SHARED));
        let (caller, marker) = (caller(Role::Clinician), self.marker(1));
        let stored = self.put_patient(&caller, &shared, &marker)?;
        let known = Known { id: shared.clone(), version: stored.record.version.0, marker };
        self.tell(&caller, "put", "Patient", &known, &shared);
        Ok(())
    }

    fn put_patient(&self, caller: &Caller, name: &str, marker: &str) -> Result<Stored, VaultError> {
        block_on(self.vault.update(caller, patients(), &id(name), patient(name, marker).as_bytes(), "", None, false))
    }

    fn import(&mut self) -> Result<(), VaultError> {
        let (caller, marker) = (caller(Role::Integrator), self.marker(3));
        let names: Vec<String> = (0..3).map(|line| format!("i-{}-{}-{line}", self.name, self.count)).collect();
        let lines: Vec<String> = names.iter().map(|name| observation(Some(name), &self.patient, &marker)).collect();
        let unit =
            ImportUnit::Resources(lines.iter().zip(1..).map(|(line, number)| (number, line.as_bytes())).collect());
        let outcome =
            block_on(self.vault.import(&caller, &unit, ImportOptions { strict: true, ..ImportOptions::default() }))?;
        assert_eq!(outcome.stored.values().sum::<u64>(), 3);
        for name in names {
            let (known, patient) = (Known { id: name, version: 1, marker: marker.clone() }, self.patient.clone());
            self.tell(&caller, "import", "Observation", &known, &patient);
        }
        Ok(())
    }

    fn token(&mut self) -> Result<(), VaultError> {
        let caller = caller(Role::Operator);
        let expires = SystemClock.now().plus_ms(3_600_000);
        let (token, _) = block_on(self.vault.create_token(&caller, "Test", Role::Clinician, expires))?;
        let _ = writeln!(self.told, "token {} {}", caller.operation, token.id);
        Ok(())
    }

    /// Destroys this writer's patient and goes on with another.
    fn erase(&mut self) -> Result<(), VaultError> {
        say(&format!("erasing {}\n", self.patient));
        let caller = caller(Role::Operator);
        block_on(self.vault.erase(&caller, &id(&self.patient)))?;
        let _ = writeln!(self.told, "erased {} {}", caller.operation, self.patient);
        self.patients += 1;
        self.patient = format!("p-{}-{}", self.name, self.patients);
        self.observations.clear();
        self.change_patient()
    }

    fn take(&mut self) -> Option<Known> {
        let place = self.numbers.below(self.observations.len() as u64) as usize;
        (!self.observations.is_empty()).then(|| self.observations.swap_remove(place))
    }
}

fn observations() -> ResourceType {
    ResourceType::parse("Observation").unwrap()
}

fn patients() -> ResourceType {
    ResourceType::parse("Patient").unwrap()
}

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

pub(crate) fn patient(id: &str, marker: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{marker}"}}]}}"#)
}

pub(crate) fn observation(id: Option<&str>, patient: &str, marker: &str) -> String {
    let id = id.map_or_else(String::new, |id| format!(r#""id":"{id}","#));
    format!(
        r#"{{"resourceType":"Observation",{id}"status":"final","code":{{"text":"{marker}"}},"subject":{{"reference":"Patient/{patient}"}}}}"#
    )
}
