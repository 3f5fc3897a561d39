//! Identity over rows in memory, with passkeys in software.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions here are called by tests only"
)]

mod access_reviews;
mod approvals;
mod first;
mod login;
mod proposals;
mod restored;
mod review;
mod reviews;
mod scim;
mod sessions;

use pollster::block_on;
use std::sync::Arc;
use tacet_identity::{
    Account, AccountId, Act, Actor, Approval, Connection, Decided, Draft, Identity, IdentityError, Kind, LoggedIn,
    Offer, Person, Request, Settings, Url,
};
use tacet_ledger::EventKind;
use tacet_ledger::noted::MemoryRows;
use tacet_testkit::passkey::Passkey;
use tacet_types::{ManualClock, OperationId, Role, SeededRng, Timestamp};

pub(crate) const ORIGIN: &str = "https://tacet.hospital.example";
pub(crate) const RP_ID: &str = "hospital.example";

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

pub(crate) struct World {
    pub(crate) rows: Arc<MemoryRows>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) identity: Arc<Identity>,
}

/// Somebody with a passkey, a device and a session.
pub(crate) struct Someone {
    pub(crate) key: Passkey,
    pub(crate) device: String,
    pub(crate) secret: String,
    pub(crate) person: Person,
}

impl World {
    pub(crate) fn new() -> Self {
        let rows = Arc::new(MemoryRows::default());
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-03-01T08:00:00Z").unwrap()));
        let identity = Arc::new(Self::open(&rows, &clock));
        Self { rows, clock, identity }
    }

    pub(crate) fn open(rows: &Arc<MemoryRows>, clock: &Arc<ManualClock>) -> Identity {
        let settings = Settings::new(RP_ID, Url::parse(ORIGIN).unwrap(), "Hospital");
        let rng = Arc::new(SeededRng::new(7));
        Identity::open(rows.clone(), clock.clone(), rng, settings).unwrap()
    }

    /// Two administrators, a security officer and an auditor.
    pub(crate) fn with_staff() -> (Self, Staff) {
        let world = Self::new();
        let roles = [
            ("adm1", Role::Administrator),
            ("adm2", Role::Administrator),
            ("sec", Role::SecurityOfficer),
            ("aud", Role::Auditor),
        ];
        let invited: Vec<_> = roles.map(|(login, role)| world.bootstrap(login, role).unwrap()).into();
        // The administrators last: as soon as two can log in, what was made at the machine is of no use any more.
        let mut staff: Vec<Someone> = invited
            .iter()
            .rev()
            .map(|invited| {
                let key = world.enrol(invited.first.reveal(), invited.second.reveal(), &invited.account.login);
                world.someone(key)
            })
            .collect();
        let mut next = || staff.pop().unwrap();
        let staff = Staff { adm1: next(), adm2: next(), sec: next(), aud: next() };
        (world, staff)
    }

    pub(crate) fn bootstrap(&self, login: &str, role: Role) -> Result<tacet_identity::Invited, IdentityError> {
        let actor = Actor::command_line("root", OperationId([1; 16]));
        block_on(self.identity.bootstrap(&actor, Draft::new(login, login, role)))
    }

    pub(crate) fn connection(&self, device: &str) -> Connection {
        Connection::new(Some("192.0.2.7".parse().unwrap()), Some(device), "Browser 1", OperationId([2; 16]))
    }

    pub(crate) fn enrol(&self, first: &str, second: &str, name: &str) -> Passkey {
        let device = self.identity.new_device().into_inner();
        let connection = self.connection(&device);
        let offer = block_on(self.identity.begin_enrolment(first, second, &connection)).unwrap();
        let mut key = Passkey::new(name, ORIGIN).unwrap();
        let answer = key.create(&offer.options).unwrap();
        block_on(self.identity.finish_enrolment(&offer.ceremony, &answer, "phone", None, &connection)).unwrap();
        key
    }

    pub(crate) fn login(&self, key: &mut Passkey, device: &str) -> Result<LoggedIn, IdentityError> {
        let connection = self.connection(device);
        let Offer { ceremony, options, .. } = self.identity.begin_login(&connection)?;
        block_on(self.identity.finish_login(&ceremony, &key.get(&options).unwrap(), &connection))
    }

    pub(crate) fn someone(&self, mut key: Passkey) -> Someone {
        let device = self.identity.new_device().into_inner();
        let LoggedIn { secret, person } = self.login(&mut key, &device).unwrap();
        Someone { key, device, secret: secret.into_inner(), person }
    }

    pub(crate) fn who(&self, someone: &Someone) -> Option<Person> {
        block_on(self.identity.authenticate(&someone.secret, &self.connection(&someone.device))).unwrap()
    }

    pub(crate) fn actor(&self, someone: &Someone) -> Actor {
        self.identity.actor(&someone.person, &self.connection(&someone.device))
    }

    /// As if the passkey was just shown.
    pub(crate) fn fresh(&self, someone: &Someone) -> Actor {
        Actor { fresh: true, ..self.actor(someone) }
    }

    pub(crate) fn request(&self, act: Act) -> Request {
        let end = self.now().plus_ms(DAY_MS);
        Request { act, ticket: "T-1".into(), reason: "because".into(), end, until_end: false }
    }

    pub(crate) fn ask(&self, by: &Someone, act: Act) -> Result<Approval, IdentityError> {
        block_on(self.identity.ask(&self.fresh(by), self.request(act)))
    }

    pub(crate) fn allow(&self, by: &Someone, approval: &Approval) -> Result<Decided, IdentityError> {
        block_on(self.identity.decide(&self.fresh(by), &approval.id, true, "fine"))
    }

    /// A new account by the administrators, enrolled and logged in.
    pub(crate) fn employ(&self, staff: &Staff, draft: Draft) -> Someone {
        let login = draft.login.clone();
        let approval = self.ask(&staff.adm1, Act::NewAccount(draft)).unwrap();
        let decided = self.allow(&staff.adm2, &approval).unwrap();
        let first = block_on(self.identity.first_code(&self.fresh(&staff.adm1), &approval.id)).unwrap();
        self.someone(self.enrol(first.reveal(), decided.second_code.unwrap().reveal(), &login))
    }

    pub(crate) fn account(&self, id: &AccountId) -> Account {
        self.identity.account(id).unwrap().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        tacet_types::Clock::now(self.clock.as_ref())
    }

    pub(crate) fn entries(&self, kind: EventKind) -> usize {
        self.rows.entries().iter().filter(|entry| entry.kind == kind).count()
    }
}

pub(crate) struct Staff {
    pub adm1: Someone,
    pub adm2: Someone,
    pub(crate) sec: Someone,
    pub(crate) aud: Someone,
}

pub(crate) fn other(kind: Kind, text: &str) -> Act {
    Act::Other { kind, text: text.into(), beneficiaries: Vec::new() }
}

pub(crate) fn clinician(login: &str) -> Draft {
    let mut draft = Draft::new(login, "Dr Aubrac", Role::Clinician);
    draft.practitioner = Some(format!("pr-{login}"));
    draft
}
