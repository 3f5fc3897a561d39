//! People who administer, decide and review, over HTTP, before the real vault with its rules.

mod access_reviews;
mod emergencies;
mod exports;
mod keeping;
mod leavers;
mod lockdown;
mod names;
mod newcomers;
mod policies;
mod questions;
mod readers;
mod report;
mod separation;

use crate::client::{Answer, Ask};
use crate::running::config;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tacet_identity::{Actor, Connection, Draft, Identity, Offer};
use tacet_ledger::noted::NotedRows;
use tacet_ledger::{Channel, Entry, Origin, PurposeOfUse};
use tacet_policy::{CareSettings, Policies};
use tacet_seal::root::{PassphraseCost, RootFile, Split};
use tacet_seal::{InProcessKeeper, KeeperLimits, SecureRng};
use tacet_server::{Environment, People, PeopleSettings, Server, ServerConfig};
use tacet_store::StoreOptions;
use tacet_store::memory::{Disk, Faults, MemoryEngine};
use tacet_testkit::passkey::Passkey;
use tacet_types::{Clock, ManualClock, OperationId, ResourceId, ResourceType, Timestamp};
use tacet_vault::{AccessSettings, Caller, Limits, NewToken, Role, Vault, VaultOptions};

/// Where the pages are.
pub(crate) const ORIGIN: &str = "https://tacet.hospital.example";

const AGENT: &str = "Browser 1";
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// A hospital's server with its rules, and the test's own hands on its accounts.
pub(crate) struct Office {
    pub(crate) vault: Vault,
    pub(crate) clock: Arc<ManualClock>,
    /// Over the same rows as the server's own.
    pub(crate) people: People,
    pub(crate) address: SocketAddr,
    _folder: tempfile::TempDir,
}

/// Somebody with a passkey, a device and a session.
pub(crate) struct Somebody {
    pub(crate) key: Passkey,
    pub(crate) id: String,
    pub(crate) device: String,
    pub(crate) secret: String,
}

/// Who is there from the beginning.
pub(crate) struct Staff {
    pub(crate) adm1: Somebody,
    pub(crate) adm2: Somebody,
    pub(crate) sec: Somebody,
    pub(crate) aud: Somebody,
}

fn at_the_machine(role: Role) -> Caller {
    let origin = Origin { address: None, channel: Channel::CommandLine };
    Caller::new("root", role, PurposeOfUse::SystemAdministration, origin, OperationId::random(&SecureRng))
}

impl Office {
    pub(crate) async fn open() -> Self {
        Self::open_with(&PeopleSettings::default(), config()).await
    }

    /// One that lets people in by these settings, and listens as configured.
    pub(crate) async fn open_with(people: &PeopleSettings, settings: ServerConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, cost) = (folder.path().join("root.key"), PassphraseCost::DANGEROUSLY_CHEAP);
        let (root, _) =
            RootFile::create(&path, "correct horse battery staple", Split::DEFAULT, cost, &SecureRng).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-03-01T08:00:00Z").unwrap()));
        let limits = KeeperLimits { burst: u32::MAX, per_second: u32::MAX };
        let keeper =
            InProcessKeeper::new(root.keys(), Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SecureRng), limits);
        let options = VaultOptions {
            clock: Arc::clone(&clock) as _,
            rng: Arc::new(SecureRng),
            limits: Limits::default(),
            store: StoreOptions::default(),
            index: Some(tacet_vault::IndexSettings::default()),
            access: Some(AccessSettings { policies: Policies::built_in(), care: CareSettings::default() }),
        };
        let engine = Arc::new(MemoryEngine::open(&Disk::default(), Faults::default()));
        let vault =
            Vault::initialize(engine, Arc::new(keeper), options, &at_the_machine(Role::Operator)).await.unwrap();
        let copies = folder.path().join("copies");
        vault.keep_copies_in(&copies, &at_the_machine(Role::Operator)).await.unwrap();
        let environment = Environment { clock: Arc::clone(&clock) as _, rng: Arc::new(SecureRng) };
        let settings = ServerConfig { base_url: Some(ORIGIN.to_owned()), ..settings };
        let people = || async {
            let rows = Arc::new(vault.clone()) as Arc<dyn NotedRows>;
            People::open(rows, Some(vault.clone()), &environment, people, ORIGIN).await.unwrap()
        };
        let server = Server::bind(settings, vault.clone(), environment.clone()).await.unwrap();
        let server = server.with_people(people().await);
        let address = server.local_addr();
        let people = people().await;
        tokio::spawn(server.run(std::future::pending()));
        Self { vault, clock, people, address, _folder: folder }
    }

    /// Two administrators, a security officer and an auditor, each with a fresh session.
    pub(crate) async fn with_staff() -> (Self, Staff) {
        Self::staffed(Self::open().await).await
    }

    /// The same for one that was opened.
    pub(crate) async fn staffed(office: Self) -> (Self, Staff) {
        let mut staff = Vec::new();
        for (login, role) in [
            ("adm1", Role::Administrator),
            ("adm2", Role::Administrator),
            ("sec", Role::SecurityOfficer),
            ("aud", Role::Auditor),
        ] {
            let actor = Actor::command_line("root", OperationId([1; 16]));
            // As long as nobody can log in, the first accounts are made by who stands at the machine.
            staff.push(office.identity().bootstrap(&actor, Draft::new(login, login, role)).await.unwrap());
        }
        let mut somebodies = Vec::new();
        // The administrators last: as soon as two can log in, what was made at the machine is of no use any more.
        for invited in staff.iter().rev() {
            let login = &invited.account.login;
            somebodies.push(office.enrolled(invited.first.reveal(), invited.second.reveal(), login).await);
        }
        let mut one = || somebodies.pop().unwrap();
        (office, Staff { adm1: one(), adm2: one(), sec: one(), aud: one() })
    }

    pub(crate) fn identity(&self) -> &Arc<Identity> {
        self.people.identity()
    }

    fn connection(&self, device: &str) -> Connection {
        Connection::new(Some("192.0.2.7".parse().unwrap()), Some(device), AGENT, OperationId([2; 16]))
    }

    /// Enrols by both codes, and logs in.
    pub(crate) async fn enrolled(&self, first: &str, second: &str, name: &str) -> Somebody {
        let device = self.identity().new_device().into_inner();
        let connection = self.connection(&device);
        let offer = self.identity().begin_enrolment(first, second, &connection).await.unwrap();
        let mut key = Passkey::new(name, ORIGIN).unwrap();
        let answer = key.create(&offer.options).unwrap();
        self.identity().finish_enrolment(&offer.ceremony, &answer, "phone", None, &connection).await.unwrap();
        self.logged_in(key).await.unwrap()
    }

    pub(crate) async fn logged_in(&self, mut key: Passkey) -> Result<Somebody, tacet_identity::IdentityError> {
        let device = self.identity().new_device().into_inner();
        let connection = self.connection(&device);
        let Offer { ceremony, options, .. } = self.identity().begin_login(&connection)?;
        let answer = key.get(&options).unwrap();
        let done = self.identity().finish_login(&ceremony, &answer, &connection).await?;
        let id = done.person.account.as_str().to_owned();
        Ok(Somebody { key, id, device, secret: done.secret.into_inner() })
    }

    /// A request with somebody's session, from a page of the server.
    pub(crate) async fn ask(&self, by: &Somebody, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(Ask::new(method, path), by, body).await
    }

    pub(crate) async fn send(&self, ask: Ask, by: &Somebody, body: Option<Value>) -> Answer {
        let cookies = format!("__Host-tacet-session={}; __Host-tacet-device={}", by.secret, by.device);
        let ask = ask.header("cookie", &cookies).header("user-agent", AGENT).header("origin", ORIGIN);
        let ask = match body {
            Some(body) => ask.json(body.to_string()),
            None => ask,
        };
        ask.send(self.address).await
    }

    /// A new account that one asks for and another allows, enrolled and logged in.
    pub(crate) async fn employ(&self, staff: &Staff, mut wanted: Value) -> Somebody {
        wanted["why"] = why();
        let login = wanted["login"].as_str().unwrap().to_owned();
        let asked = self.ask(&staff.adm1, "POST", "/_accounts", Some(wanted)).await;
        assert_eq!(asked.status, 202, "{:?}", asked.body);
        let approval = asked.value()["id"].as_str().unwrap().to_owned();
        let decided = self.decide(&staff.sec, &approval, true).await;
        assert_eq!(decided.status, 200, "{:?}", decided.body);
        // What was given up to the moment of a decision ends with it: what follows comes later.
        self.clock.advance_ms(1);
        let (second, account) = (decided.value()["secondCode"].clone(), decided.value()["account"].clone());
        let path = format!("/_accounts/{}/invitation", account.as_str().unwrap());
        let first = self.ask(&staff.adm1, "POST", &path, Some(json!({ "approval": approval }))).await;
        assert_eq!(first.status, 200, "{:?}", first.body);
        self.enrolled(first.value()["code"].as_str().unwrap(), second.as_str().unwrap(), &login).await
    }

    pub(crate) async fn decide(&self, by: &Somebody, approval: &str, allowed: bool) -> Answer {
        let path = format!("/_approvals/{approval}/decision");
        self.ask(by, "POST", &path, Some(json!({ "allowed": allowed, "remark": "seen" }))).await
    }

    /// A machine's token.
    pub(crate) async fn token(&self, role: Role, may_export: bool) -> String {
        let expires = self.clock.now().plus_ms(300 * DAY_MS);
        let new = NewToken {
            owner: "a machine",
            role,
            expires,
            practitioner: None,
            patients: &[],
            may_export,
            supplier: false,
        };
        let made = self.vault.create_token_with(&at_the_machine(Role::Operator), new).await.unwrap();
        made.1.reveal().to_owned()
    }

    /// Stores a record as a machine of the hospital would.
    pub(crate) async fn put(&self, record: Value) {
        let kind = ResourceType::parse(record["resourceType"].as_str().unwrap()).unwrap();
        let id = ResourceId::parse(record["id"].as_str().unwrap()).unwrap();
        let machine = Caller { purpose: PurposeOfUse::Operations, ..at_the_machine(Role::Integrator) };
        let text = record.to_string();
        self.vault.update(&machine, kind, &id, text.as_bytes(), ORIGIN, None, false).await.unwrap();
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let size = self.vault.ledger_head().unwrap().map_or(0, |head| head.size());
        (0..size).map(|index| self.vault.ledger_entry(index).unwrap()).collect()
    }

    /// Entries whose detail holds this.
    pub(crate) fn noted(&self, text: &str) -> usize {
        let holds = |entry: &&Entry| entry.detail.as_deref().is_some_and(|detail| detail.contains(text));
        self.entries().iter().filter(holds).count()
    }

    pub(crate) async fn notices(&self, of: &Somebody, kind: &str) -> Vec<Value> {
        let answer = self.ask(of, "GET", "/_notices", None).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let all = answer.value()["notices"].as_array().unwrap().clone();
        all.into_iter().filter(|notice| notice["kind"] == kind).collect()
    }
}

pub(crate) fn why() -> Value {
    json!({ "ticket": "T-1", "reason": "because" })
}

pub(crate) fn clinician(login: &str, practitioner: &str) -> Value {
    json!({ "login": login, "display": login, "role": "clinician", "practitioner": practitioner })
}

/// A practitioner, two patients of whom one is theirs, and a result of each.
pub(crate) async fn ward(office: &Office) {
    office.put(json!({ "resourceType": "Practitioner", "id": "dr-a", "active": true })).await;
    for patient in ["mine", "other"] {
        office.put(json!({ "resourceType": "Patient", "id": patient, "name": [{ "family": "Amiee221" }] })).await;
        let subject = json!({ "reference": format!("Patient/{patient}") });
        let result = json!({
            "resourceType": "Observation", "id": patient, "status": "final", "code": { "text": "Weight" },
            "subject": subject, "valueString": "v",
        });
        office.put(result).await;
    }
    let stay = json!({
        "resourceType": "Encounter", "id": "stay", "status": "in-progress",
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" },
        "subject": { "reference": "Patient/mine" }, "period": { "start": "2026-03-01T07:00:00Z" },
        "participant": [{ "individual": { "reference": "Practitioner/dr-a" } }],
    });
    office.put(stay).await;
}
