//! A small hospital over HTTP: a real vault that goes by the policies, a few wards, people of every role, and patients of whom somebody
//! is in charge, or nobody, or who are set apart.
//!
//! Time stands still unless a test moves it, and the server goes by a fixed address, so that two such hospitals answer alike.

use crate::client::{Answer, Ask};
use crate::running::config;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_policy::{CareSettings, Policies};
use tacet_seal::root::{PassphraseCost, RootFile, Split};
use tacet_seal::{InProcessKeeper, KeeperLimits, SecureRng};
use tacet_server::{Environment, Server, ServerConfig};
use tacet_store::memory::{Disk, Faults, MemoryEngine};
use tacet_store::{
    Durability, Engine, EngineStatistics, Reader, Snapshot, StoreError, StoreOptions, Visit, Witness, Write,
};
use tacet_types::{ManualClock, OperationId, ResourceId, Timestamp};
use tacet_vault::{AccessSettings, Caller, IndexSettings, Limits, Role, Vault, VaultOptions};

/// A Monday morning.
pub(crate) const NOW: &str = "2026-03-02T10:00:00Z";

/// Where clients believe the server to be.
pub(crate) const BASE_URL: &str = "https://ward.example/fhir";

/// Who is there: name, role, the Practitioner that they are, the patients for whom they stand.
pub(crate) const PEOPLE: &[(&str, Role, Option<&str>, &[&str])] = &[
    ("machine", Role::Integrator, None, &[]),
    ("ward-doctor", Role::Clinician, Some("dr-ward"), &[]),
    ("own-doctor", Role::Clinician, Some("dr-own"), &[]),
    ("other-doctor", Role::Clinician, Some("dr-other"), &[]),
    ("nurse", Role::Nurse, Some("nurse-a"), &[]),
    ("pharmacist", Role::Pharmacist, Some("pharma"), &[]),
    ("laboratory", Role::Laboratory, Some("lab"), &[]),
    ("desk", Role::Reception, Some("desk"), &[]),
    ("patient", Role::Patient, None, &["p-open"]),
    ("prisoner", Role::Patient, None, &["p-detained"]),
    ("auditor", Role::Auditor, None, &[]),
    ("officer", Role::SecurityOfficer, None, &[]),
    ("administrator", Role::Administrator, None, &[]),
    ("operator", Role::Operator, None, &[]),
];

/// What the store did.
#[derive(Default)]
struct Counts {
    gets: AtomicU64,
    read_bytes: AtomicU64,
    scans: AtomicU64,
    ledger_bytes: AtomicU64,
}

/// First byte of the rows of versions (docs/formats/vault.md).
const VERSIONS: u8 = 0x03;

/// First byte of the rows of ledger entries (docs/formats/ledger.md).
const LEDGER: u8 = 0x10;

/// First byte of the row of the ledger's head.
const LEDGER_HEAD: u8 = 0x11;

/// An engine in memory that counts what is looked up, and how much is written to the ledger.
struct Counting {
    engine: MemoryEngine,
    counts: Arc<Counts>,
}

impl Reader for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<tacet_store::Value>, StoreError> {
        let found = self.engine.get(key)?;
        // Read by the counting itself; its length is one of the ledger's.
        if key.first() == Some(&LEDGER_HEAD) {
            return Ok(found);
        }
        self.counts.gets.fetch_add(1, Ordering::SeqCst);
        let bytes = found.as_ref().map_or(0, Vec::len);
        self.counts.read_bytes.fetch_add(bytes as u64, Ordering::SeqCst);
        Ok(found)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.counts.scans.fetch_add(1, Ordering::SeqCst);
        self.engine.range(from, to, visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.engine.range_rev(from, to, visit)
    }
}

impl Engine for Counting {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.engine.snapshot()
    }

    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError> {
        let entries = writes.iter().filter(|write| write.key().first() == Some(&LEDGER));
        let bytes: usize = entries.map(|write| write.value().map_or(0, <[u8]>::len)).sum();
        self.counts.ledger_bytes.fetch_add(bytes as u64, Ordering::SeqCst);
        self.engine.write(writes, durability)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.engine.flush()
    }

    fn statistics(&self) -> EngineStatistics {
        self.engine.statistics()
    }

    fn recovered(&self) -> Result<(), StoreError> {
        self.engine.recovered()
    }

    fn witness(&self) -> &dyn Witness {
        self.engine.witness()
    }
}

/// What a request made the store do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Work {
    /// Entries in the ledger.
    pub(crate) entries: u64,
    /// Data keys unwrapped to disclose something.
    pub(crate) disclosures: u64,
    /// Data keys unwrapped for changes.
    pub(crate) changes: u64,
    /// Rows looked up.
    pub(crate) gets: u64,
    /// Sealed bytes of those that were there.
    pub(crate) read_bytes: u64,
    /// Sealed bytes of those entries.
    pub(crate) ledger_bytes: u64,
}

pub(crate) struct Ward {
    pub(crate) vault: Vault,
    pub(crate) clock: Arc<ManualClock>,
    address: SocketAddr,
    counts: Arc<Counts>,
    engine: Arc<Counting>,
    secrets: HashMap<&'static str, String>,
    _folder: tempfile::TempDir,
}

fn operator() -> Caller {
    let origin = Origin { address: None, channel: Channel::CommandLine };
    Caller::new("operator", Role::Operator, PurposeOfUse::SystemAdministration, origin, OperationId::random(&SecureRng))
}

/// What a role asks for.
fn purpose(role: Role) -> &'static str {
    match role {
        Role::Reception => "PATADMIN",
        Role::Patient => "PATRQT",
        _ => "TREAT",
    }
}

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

impl Ward {
    /// A hospital with its wards and staff, and with the patient `p-open`, who lies in ward A.
    pub(crate) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, cost) = (folder.path().join("root.key"), PassphraseCost::DANGEROUSLY_CHEAP);
        let (root, _) =
            RootFile::create(&path, "correct horse battery staple", Split::DEFAULT, cost, &SecureRng).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::parse(NOW).unwrap()));
        let limits = KeeperLimits { burst: u32::MAX, per_second: u32::MAX };
        let keeper = InProcessKeeper::new(root.keys(), clock.clone(), Arc::new(SecureRng), limits);
        let counts = Arc::new(Counts::default());
        let engine = MemoryEngine::open(&Disk::default(), Faults::default());
        let engine = Arc::new(Counting { engine, counts: Arc::clone(&counts) });
        let access = AccessSettings { policies: Policies::built_in(), care: CareSettings::default() };
        let options = VaultOptions {
            clock: clock.clone(),
            rng: Arc::new(SecureRng),
            limits: Limits::default(),
            store: StoreOptions::default(),
            index: Some(IndexSettings::default()),
            access: Some(access),
        };
        let vault = Vault::initialize(engine.clone(), Arc::new(keeper), options, &operator()).await.unwrap();
        vault.keep_copies_in(&folder.path().join("copies"), &operator()).await.unwrap();
        let mut secrets = HashMap::new();
        let keeper = operator();
        let until = Timestamp::parse(NOW).unwrap().plus_ms(40 * 86_400_000);
        for (name, role, practitioner, patients) in PEOPLE {
            let practitioner = practitioner.map(id);
            let patients: Vec<ResourceId> = patients.iter().map(|patient| id(patient)).collect();
            let made = vault.create_token_for(&keeper, name, *role, until, practitioner.as_ref(), &patients);
            secrets.insert(*name, made.await.unwrap().1.reveal().to_owned());
        }
        let environment = Environment { clock: clock.clone(), rng: Arc::new(SecureRng) };
        let config = ServerConfig { base_url: Some(BASE_URL.to_owned()), ..config() };
        let server = Server::bind(config, vault.clone(), environment).await.unwrap();
        let address = server.local_addr();
        tokio::spawn(server.run(std::future::pending()));
        let ward = Self { vault, clock, address, counts, engine, secrets, _folder: folder };
        ward.put_all(&foundation()).await;
        let open = Chart { participants: &["dr-own"], ..Chart::of("p-open") };
        ward.put_all(&open.records()).await;
        ward
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A request by somebody of [`PEOPLE`].
    pub(crate) fn by(&self, name: &str, ask: Ask) -> Ask {
        let ask = ask.bearer(&self.secrets[name]);
        let role = PEOPLE.iter().find(|(known, ..)| *known == name).map(|(_, role, ..)| *role);
        match role {
            Some(Role::Integrator) | None => ask,
            Some(role) => ask.header("x-purpose-of-use", purpose(role)),
        }
    }

    pub(crate) async fn ask(&self, name: &str, ask: Ask) -> Answer {
        self.by(name, ask).send(self.address).await
    }

    /// A token for somebody else: the secret.
    pub(crate) async fn token(&self, role: Role, practitioner: Option<&str>, patients: &[String]) -> String {
        let until = Timestamp::parse(NOW).unwrap().plus_ms(40 * 86_400_000);
        let practitioner = practitioner.map(id);
        let patients: Vec<ResourceId> = patients.iter().map(|patient| id(patient)).collect();
        let keeper = operator();
        let owner = practitioner.as_ref().map_or(role.as_str(), ResourceId::as_str);
        let made = self.vault.create_token_for(&keeper, owner, role, until, practitioner.as_ref(), &patients);
        made.await.unwrap().1.reveal().to_owned()
    }

    /// A request by whoever has the secret of a token.
    pub(crate) async fn ask_with(&self, secret: &str, ask: Ask) -> Answer {
        let role = self.vault.authenticate(secret).unwrap().unwrap().role;
        ask.bearer(secret).header("x-purpose-of-use", purpose(role)).send(self.address).await
    }

    /// Declares an emergency in the name of a token's owner, for an hour.
    pub(crate) async fn emergency(&self, secret: &str, patient: &str) {
        let token = self.vault.authenticate(secret).unwrap().unwrap();
        let origin = Origin { address: None, channel: Channel::Http };
        let mut caller =
            Caller::new(token.owner, token.role, PurposeOfUse::BreakTheGlass, origin, OperationId::random(&SecureRng));
        (caller.practitioner, caller.patients, caller.strong) = (token.practitioner, token.patients, true);
        let text = "found unconscious in the corridor";
        self.vault.break_glass(&caller, &id(patient), "vital-emergency", text, 60).await.unwrap();
    }

    /// The secret of somebody of [`PEOPLE`].
    pub(crate) fn secret(&self, name: &str) -> &str {
        &self.secrets[name]
    }

    pub(crate) async fn get(&self, name: &str, path: &str) -> Answer {
        self.ask(name, Ask::new("GET", path)).await
    }

    /// Stores these, as the machine, in one transaction.
    pub(crate) async fn put_all(&self, records: &[Value]) {
        let entry = |record: &Value| {
            let url = format!("{}/{}", record["resourceType"].as_str().unwrap(), record["id"].as_str().unwrap());
            json!({"resource": record, "request": {"method": "PUT", "url": url}})
        };
        let entries: Vec<Value> = records.iter().map(entry).collect();
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
        let answer = self.ask("machine", Ask::new("POST", "/").json(bundle.to_string())).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    }

    /// The rows of versions (docs/formats/vault.md), as they lie in the store.
    pub(crate) fn versions(&self) -> HashMap<Vec<u8>, Vec<u8>> {
        let mut rows = HashMap::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            rows.insert(key.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        };
        self.engine.range(&[VERSIONS], &[VERSIONS + 1], &mut visit).unwrap();
        rows
    }

    /// Puts other bytes into a row, past the vault: as a disk that fails.
    pub(crate) fn overwrite(&self, key: Vec<u8>, value: Vec<u8>) {
        self.engine.write(&[Write::Put { key, value }], Durability::Durable).unwrap();
    }

    /// All that was done so far.
    pub(crate) fn work(&self) -> Work {
        let (gets, ledger_bytes) = (self.gets(), self.counts.ledger_bytes.load(Ordering::SeqCst));
        let now = self.vault.statistics();
        Work {
            entries: now.ledger_entries,
            disclosures: now.unwraps.ledger_entries,
            changes: now.unwraps.writes,
            gets,
            read_bytes: self.counts.read_bytes.load(Ordering::SeqCst),
            ledger_bytes,
        }
    }

    /// Rows looked up so far.
    pub(crate) fn gets(&self) -> u64 {
        self.counts.gets.load(Ordering::SeqCst)
    }

    /// Scans of rows so far.
    pub(crate) fn scans(&self) -> u64 {
        self.counts.scans.load(Ordering::SeqCst)
    }

    /// The entries of one answer.
    pub(crate) fn entries(&self, answer: &Answer) -> Vec<tacet_ledger::Entry> {
        let operation = answer.header("x-request-id").unwrap();
        let size = self.vault.ledger_head().unwrap().map_or(0, |head| head.size());
        let entries = (0..size).map(|index| self.vault.ledger_entry(index).unwrap());
        entries.filter(|entry| entry.operation.to_string() == operation).collect()
    }
}

impl Work {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            entries: self.entries - before.entries,
            disclosures: self.disclosures - before.disclosures,
            changes: self.changes - before.changes,
            gets: self.gets - before.gets,
            read_bytes: self.read_bytes - before.read_bytes,
            ledger_bytes: self.ledger_bytes - before.ledger_bytes,
        }
    }
}

/// What there is of a patient.
#[derive(Clone, Copy)]
pub(crate) struct Chart<'a> {
    pub(crate) patient: &'a str,
    /// System and code of the Patient's security labels.
    pub(crate) labels: &'a [(&'a str, &'a str)],
    pub(crate) ward: &'a str,
    /// `IMP`: lies there; `AMB`: came.
    pub(crate) class: &'a str,
    pub(crate) participants: &'a [&'a str],
}

pub(crate) const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
pub(crate) const OWN_CODES: &str = "https://tacet.invalid/CodeSystem/confidentiality";

/// The family name of a patient, by which a search finds them.
pub(crate) fn family(patient: &str) -> String {
    format!("Fam{}", patient.replace('-', ""))
}

impl<'a> Chart<'a> {
    /// Lies in ward A, in charge of nobody by name.
    pub(crate) fn of(patient: &'a str) -> Self {
        Self { patient, labels: &[], ward: "ward-a", class: "IMP", participants: &[] }
    }

    pub(crate) fn records(&self) -> Vec<Value> {
        let Self { patient, labels, ward, class, participants } = *self;
        let reference = json!({"reference": format!("Patient/{patient}")});
        let encounter = json!({"reference": format!("Encounter/e-{patient}")});
        let named = |prefix: &str| format!("{prefix}-{patient}");
        let security: Vec<Value> =
            labels.iter().map(|(system, code)| json!({"system": system, "code": code})).collect();
        let participants: Vec<Value> = participants
            .iter()
            .map(|who| json!({"individual": {"reference": format!("Practitioner/{who}")}}))
            .collect();
        let mut first = json!({"resourceType": "Patient", "id": patient, "active": true, "gender": "female", "birthDate": "1970-05-17",
            "identifier": [{"system": "urn:ward:ins", "value": format!("INS-{patient}")}],
            "name": [{"family": family(patient), "given": ["Zelie"]}],
            "telecom": [{"system": "phone", "value": format!("+33-{patient}")}],
            "address": [{"city": format!("City{patient}")}],
            "generalPractitioner": [{"reference": "Practitioner/dr-gp"}],
            "managingOrganization": {"reference": "Organization/hospital"}});
        if !security.is_empty() {
            first["meta"] = json!({ "security": security });
        }
        let mut stay = json!({"resourceType": "Encounter", "id": named("e"), "status": "in-progress",
            "class": {"system": ACT_CODE, "code": class}, "subject": reference, "period": {"start": "2026-03-01T09:00:00Z"},
            "location": [{"location": {"reference": format!("Location/{ward}")}}]});
        if !participants.is_empty() {
            stay["participant"] = json!(participants);
        }
        vec![
            first,
            stay,
            json!({"resourceType": "Observation", "id": named("o"), "status": "final", "subject": reference, "encounter": encounter,
                "identifier": [{"system": "urn:ward:obs", "value": named("OBS")}],
                "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}], "text": "weight"},
                "effectiveDateTime": "2026-03-01", "valueQuantity": {"value": 71.5, "unit": "kg"}}),
            json!({"resourceType": "Condition", "id": named("c"), "subject": reference, "encounter": encounter,
                "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
                "code": {"coding": [{"system": "urn:ward:disease", "code": named("SICK")}]}}),
            json!({"resourceType": "AllergyIntolerance", "id": named("a"), "patient": reference,
                "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}]},
                "code": {"text": "pollen"}}),
            json!({"resourceType": "Appointment", "id": named("ap"), "status": "booked", "start": "2026-03-09T09:00:00Z", "end": "2026-03-09T09:30:00Z",
                "participant": [{"actor": reference, "status": "accepted"}]}),
            json!({"resourceType": "Account", "id": named("ac"), "status": "active", "subject": [reference]}),
            json!({"resourceType": "DocumentReference", "id": named("d"), "status": "current", "subject": reference,
                "content": [{"attachment": {"contentType": "text/plain", "data": "QW1pZWU="}}]}),
        ]
    }
}

/// A Consent that refuses everybody everything.
pub(crate) fn refusal(patient: &str) -> Value {
    json!({"resourceType": "Consent", "id": format!("no-{patient}"), "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": format!("Patient/{patient}")}, "dateTime": "2026-02-01",
        "policy": [{"uri": "http://example.org/policies/basePrivacyConsentPolicy.txt"}], "provision": {"type": "deny"}})
}

/// The wards, the staff, and where two of them work.
pub(crate) fn foundation() -> Vec<Value> {
    let mut records = vec![json!({"resourceType": "Organization", "id": "hospital", "name": "Hospital"})];
    for ward in ["ward-a", "ward-b"] {
        records.push(json!({"resourceType": "Location", "id": ward, "name": ward, "status": "active"}));
    }
    for who in ["dr-ward", "dr-own", "dr-other", "dr-gp", "nurse-a", "pharma", "lab", "desk"] {
        records.push(json!({"resourceType": "Practitioner", "id": who, "name": [{"family": format!("Dr{}", who.replace('-', ""))}]}));
    }
    for who in ["dr-ward", "nurse-a"] {
        records.push(json!({"resourceType": "PractitionerRole", "id": format!("role-{who}"), "active": true,
            "practitioner": {"reference": format!("Practitioner/{who}")}, "location": [{"reference": "Location/ward-a"}]}));
    }
    records
}
