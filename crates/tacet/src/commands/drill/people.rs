//! The people of a stage: accounts with passkeys, made as the first accounts and by second persons, and their live sessions.

use super::http::{Client, Session};
use super::staged::Stage;
use crate::error::CliError;
use std::net::IpAddr;
use tacet_identity::{Account, Act, Actor, Connection, Draft, Identity, IdentityError, LoggedIn, Person, Request};
use tacet_seal::SecureRng;
use tacet_testkit::passkey::{Passkey, PasskeyError};
use tacet_types::{OperationId, Role};

/// What the browsers of the stage call themselves.
const AGENT: &str = "Drill browser 1";

/// The name by which passkeys know this machine.
const HOST: &str = "localhost";

/// How long an approval may be used, in milliseconds.
const APPROVED_MS: i64 = 3_600_000;

/// Somebody with a live session.
pub(super) struct Somebody {
    pub(super) client: Client,
    pub(super) person: Person,
}

impl Somebody {
    /// What the ledger calls the session.
    pub(super) fn badge(&self) -> &str {
        &self.person.session
    }
}

/// Who keeps accounts and who watches.
pub(super) struct Office {
    pub(super) administrator: Somebody,
    pub(super) second: Somebody,
    pub(super) security: Somebody,
    pub(super) auditor: Somebody,
}

fn refused(error: IdentityError) -> CliError {
    CliError::other("the drill could not be played: an account was refused", error)
}

/// The first accounts of a store, as somebody at the machine makes them.
pub(super) fn office(stage: &Stage) -> Result<Office, CliError> {
    let identity = stage.identity();
    let root = Actor::command_line("drill", OperationId::random(&SecureRng));
    let first = |login: &str, role| {
        let draft = Draft::new(login, login, role);
        stage.wait(identity.bootstrap(&root, draft)).map_err(refused)
    };
    // Invited and enrolled before two administrators can log in: then nobody is any more, and these invitations end.
    let invited = [
        first("adm-one", Role::Administrator)?,
        first("adm-two", Role::Administrator)?,
        first("security", Role::SecurityOfficer)?,
        first("auditor", Role::Auditor)?,
    ];
    let mut sessions = Vec::new();
    for invited in invited.iter().rev() {
        sessions.push(enter(stage, invited.first.reveal(), invited.second.reveal())?);
    }
    let mut next =
        || sessions.pop().ok_or_else(|| CliError::Usage("the drill could not be played: nobody logged in".into()));
    Ok(Office { administrator: next()?, second: next()?, security: next()?, auditor: next()? })
}

/// A new account, asked for by one administrator and let through by the other; with a session.
pub(super) fn employ(stage: &Stage, office: &Office, draft: Draft) -> Result<Somebody, CliError> {
    let identity = stage.identity();
    let asks = actor(identity, &office.administrator);
    let decides = actor(identity, &office.second);
    let end = stage.now().plus_ms(APPROVED_MS);
    let request = Request {
        act: Act::NewAccount(draft),
        ticket: "DRILL-1".into(),
        reason: "somebody to rob".into(),
        end,
        until_end: false,
    };
    let approval = stage.wait(identity.ask(&asks, request)).map_err(refused)?;
    let decided = stage.wait(identity.decide(&decides, &approval.id, true, "fine")).map_err(refused)?;
    let first = stage.wait(identity.first_code(&asks, &approval.id)).map_err(refused)?;
    let second = decided.second_code.ok_or_else(|| {
        CliError::Usage("the drill could not be played: an account that was let through got no invitation".into())
    })?;
    enter(stage, first.reveal(), second.reveal())
}

/// The account behind a session.
pub(super) fn account(stage: &Stage, somebody: &Somebody) -> Result<Account, CliError> {
    let found = stage.identity().account(&somebody.person.account).map_err(refused)?;
    found.ok_or_else(|| CliError::Usage("the drill could not be played: an account went away".into()))
}

fn actor(identity: &Identity, somebody: &Somebody) -> Actor {
    let device = somebody.client.session.as_ref().map(|session| session.device.clone()).unwrap_or_default();
    identity.actor(&somebody.person, &connection(&device))
}

fn connection(device: &str) -> Connection {
    Connection::new(Some(IpAddr::from([127, 0, 0, 1])), Some(device), AGENT, OperationId::random(&SecureRng))
}

/// Enrols a passkey by both codes, and logs in.
fn enter(stage: &Stage, first: &str, second: &str) -> Result<Somebody, CliError> {
    let identity = stage.identity();
    let origin = format!("http://{HOST}:{}", stage.address.port());
    let device = identity.new_device().into_inner();
    let connection = connection(&device);
    let no_key = |error: PasskeyError| CliError::other("the drill's passkey in software does not work", error);
    let mut key = Passkey::new(&device, &origin).map_err(no_key)?;
    let offer = stage.wait(identity.begin_enrolment(first, second, &connection)).map_err(refused)?;
    let made = key.create(&offer.options).map_err(no_key)?;
    stage.wait(identity.finish_enrolment(&offer.ceremony, &made, "phone", None, &connection)).map_err(refused)?;
    let offer = identity.begin_login(&connection).map_err(refused)?;
    let shown = key.get(&offer.options).map_err(no_key)?;
    let LoggedIn { secret, person } =
        stage.wait(identity.finish_login(&offer.ceremony, &shown, &connection)).map_err(refused)?;
    let session = Session { secret: secret.into_inner(), device, agent: AGENT.to_owned(), origin };
    Ok(Somebody { client: Client { address: stage.address, token: String::new(), session: Some(session) }, person })
}
