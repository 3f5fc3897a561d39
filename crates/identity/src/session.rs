//! Sessions: who is behind a secret, until when; ending one, those of an account, or all.

use crate::account::Account;
use crate::accounts::{Along, end_sessions};
use crate::enrolment::own_actor;
use crate::id::AccountId;
use crate::rows::{Kept, Row, each, get, gone, put};
use crate::secret::{Hashed, SESSION_PREFIX};
use crate::{Actor, Connection, Identity, IdentityError};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use tacet_ledger::EventKind;
use tacet_ledger::noted::{Expect, ROW_WRITES_MAX, RowWrite, Table};
use tacet_types::{ResourceId, Role, Timestamp};

/// A session's last use is written down at most this often, in milliseconds.
pub const SESSION_TOUCH_MS: i64 = 60_000;

/// The name of the row that says which sessions count no more.
const NOT_BEFORE: &[u8] = b"sessions-not-before";

/// A session, under the hash of its secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionRow {
    pub(crate) account: AccountId,
    pub(crate) began_ms: i64,
    pub(crate) seen_ms: i64,
    /// When a passkey was shown last.
    pub(crate) passkey_ms: i64,
    pub(crate) until_ms: i64,
    pub(crate) device: Hashed,
    pub(crate) agent: Hashed,
    pub(crate) address: Option<IpAddr>,
    /// The provider at which the login was made, and whether it counts as a strong one. None: a passkey was shown here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) elsewhere: Option<(String, bool)>,
}

impl Row for SessionRow {
    const TABLE: Table = Table::Sessions;
    const WHAT: &'static str = "sessions";
}

/// From when sessions count.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NotBefore {
    ms: i64,
}

impl Row for NotBefore {
    const TABLE: Table = Table::Ceremonies;
    const WHAT: &'static str = "the end of sessions";
}

/// Who has a session.
#[derive(Clone)]
pub struct Person {
    /// The account.
    pub account: AccountId,
    /// Its login: what entries of the ledger name.
    pub login: String,
    /// The name that others read.
    pub display: String,
    /// The role.
    pub role: Role,
    /// The person's Practitioner.
    pub practitioner: Option<ResourceId>,
    /// Whose records, for the role patient.
    pub patients: Vec<ResourceId>,
    /// Whether it is a supplier's.
    pub supplier: bool,
    /// Whether the login was a strong one: a passkey, or what a provider was asked for.
    pub strong: bool,
    /// Whether the login was made at another provider.
    pub elsewhere: bool,
    /// The short id of the session, for entries and lists. No secret.
    pub session: String,
    /// When it began.
    pub began: Timestamp,
    /// When a passkey was shown last; 1970 where none was.
    pub passkey_at: Timestamp,
    /// When it ends at the latest.
    pub until: Timestamp,
    pub(crate) hash: Hashed,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("role", &self.role).field("session", &self.session).finish_non_exhaustive()
    }
}

impl Person {
    pub(crate) fn of(account: &Account, row: &SessionRow, hash: Hashed) -> Self {
        Self {
            account: account.id.clone(),
            login: account.login.clone(),
            display: account.display.clone(),
            role: account.role,
            practitioner: account.practitioner_id(),
            patients: account.patient_ids(),
            supplier: account.supplier,
            strong: row.elsewhere.as_ref().is_none_or(|(_, strong)| *strong) || row.passkey_ms > 0,
            elsewhere: row.elsewhere.is_some(),
            session: hash.short().to_owned(),
            began: Timestamp::from_ms(row.began_ms),
            passkey_at: Timestamp::from_ms(row.passkey_ms),
            until: Timestamp::from_ms(row.until_ms),
            hash,
        }
    }
}

/// A session in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionInfo {
    /// The short id.
    pub session: String,
    /// Whose.
    pub account: AccountId,
    /// When it began.
    pub began: Timestamp,
    /// When it was used last, to the minute.
    pub seen: Timestamp,
    /// From where it began.
    pub address: Option<IpAddr>,
}

impl Identity {
    /// Who is behind a session's secret: none where it is unknown, ended, too old, or comes from another device or browser, which ends it.
    /// A lock-out of the account does not touch it.
    ///
    /// # Errors
    /// The store's.
    pub async fn authenticate(&self, secret: &str, connection: &Connection) -> Result<Option<Person>, IdentityError> {
        if secret.len() != SESSION_PREFIX.len() + 64 || !secret.starts_with(SESSION_PREFIX) {
            return Ok(None);
        }
        let now = self.now();
        let hash = Hashed::of(secret.as_bytes());
        let Some(kept) = get::<SessionRow>(self.rows.as_ref(), hash.name())? else { return Ok(None) };
        let Some(account) = self.account(&kept.row.account)? else { return Ok(None) };
        if !self.lives(&kept.row, now) || !account.usable(now) || !account.sessions.contains(&hash) {
            return Ok(None);
        }
        let same_device = connection.device().is_some_and(|device| device.is(&kept.row.device));
        if !(same_device && kept.row.agent.is(connection.agent())) {
            self.end_stolen(&account, &hash, connection).await?;
            return Ok(None);
        }
        if now.as_ms() >= kept.row.seen_ms.saturating_add(SESSION_TOUCH_MS) {
            let row = SessionRow { seen_ms: now.as_ms(), ..kept.row.clone() };
            let write = put(hash.name(), &row, Expect::Revision(kept.revision))?;
            match self.commit(vec![write], Vec::new()).await {
                Ok(()) => {}
                // Another request of the session was faster, or it was ended.
                Err(IdentityError::Conflict) if get::<SessionRow>(self.rows.as_ref(), hash.name())?.is_some() => {}
                Err(IdentityError::Conflict) => return Ok(None),
                Err(other) => return Err(other),
            }
        }
        Ok(Some(Person::of(&account, &kept.row, hash)))
    }

    fn lives(&self, row: &SessionRow, now: Timestamp) -> bool {
        let now_ms = now.as_ms();
        now_ms < row.until_ms
            && now_ms < row.seen_ms.saturating_add(self.settings.session_idle_ms)
            && row.began_ms >= self.not_before_ms.load(Ordering::SeqCst)
    }

    /// A good secret from another device: somebody took it.
    async fn end_stolen(&self, account: &Account, hash: &Hashed, connection: &Connection) -> Result<(), IdentityError> {
        let actor = own_actor(account, connection);
        let why = "its secret came from another device or browser";
        self.end_one(&actor, &account.id, hash, why).await
    }

    async fn end_one(&self, actor: &Actor, id: &AccountId, hash: &Hashed, why: &str) -> Result<(), IdentityError> {
        let now = self.now();
        self.change_account(id, |account| {
            account.sessions.retain(|session| session != hash);
            let writes = vec![gone::<SessionRow>(hash.name(), Expect::Anything)];
            let mut entry = actor.entry(now, EventKind::Logout, format!("session {} ended: {why}", hash.short()));
            entry.agent.token = Some(hash.short().to_owned());
            Ok(Along { writes, entries: vec![entry] })
        })
        .await
        .map(|_| ())
    }

    /// Ends the person's own session.
    ///
    /// # Errors
    /// The store's.
    pub async fn logout(&self, person: &Person, connection: &Connection) -> Result<(), IdentityError> {
        self.end_one(&self.actor(person, connection), &person.account, &person.hash, "logged out").await
    }

    /// The sessions of an account that count now.
    ///
    /// # Errors
    /// The store's.
    pub fn sessions(&self, account: &AccountId) -> Result<Vec<SessionInfo>, IdentityError> {
        let account = self.account(account)?.ok_or(IdentityError::Absent("account"))?;
        let now = self.now();
        let mut sessions = Vec::new();
        for hash in &account.sessions {
            let Some(kept) = get::<SessionRow>(self.rows.as_ref(), hash.name())? else { continue };
            if self.lives(&kept.row, now) {
                sessions.push(SessionInfo {
                    session: hash.short().to_owned(),
                    account: account.id.clone(),
                    began: Timestamp::from_ms(kept.row.began_ms),
                    seen: Timestamp::from_ms(kept.row.seen_ms),
                    address: kept.row.address,
                });
            }
        }
        Ok(sessions)
    }

    /// Whether nobody ended a session, by its short id: for what was given in it then and is to end with it. One that just was not used for a
    /// while counts as not ended: whoever works in an app does not come here. Knowing the id gives nothing.
    ///
    /// # Errors
    /// The store's.
    pub fn session_stands(&self, id: &AccountId, session: &str, given: Timestamp) -> Result<bool, IdentityError> {
        let Some(account) = self.account(id)? else { return Ok(false) };
        Ok(account.usable(self.now())
            && given.as_ms() >= self.not_before_ms.load(Ordering::SeqCst)
            && account.sessions.iter().any(|hash| hash.short() == session))
    }

    /// Ends one session of an account, by its short id: one's own, or as administrator or security officer.
    ///
    /// # Errors
    /// Other roles, no fresh passkey for somebody else's, no such session.
    pub async fn end_session(&self, actor: &Actor, account: &AccountId, session: &str) -> Result<(), IdentityError> {
        may_end(actor, account)?;
        let found = self.account(account)?.ok_or(IdentityError::Absent("account"))?;
        let hash =
            found.sessions.iter().find(|hash| hash.short() == session).ok_or(IdentityError::Absent("session"))?;
        self.end_one(actor, account, hash, "ended from elsewhere").await
    }

    /// Ends every session of an account, at once.
    ///
    /// # Errors
    /// Other roles than administrator and security officer for somebody else's, and those without a fresh passkey.
    pub async fn end_sessions_of(&self, actor: &Actor, id: &AccountId) -> Result<(), IdentityError> {
        may_end(actor, id)?;
        let now = self.now();
        self.change_account(id, |account| {
            let writes = end_sessions(account);
            let detail = format!("every session of account {id} ended");
            Ok(Along { writes, entries: vec![actor.entry(now, EventKind::Logout, detail)] })
        })
        .await
        .map(|_| ())
    }

    /// Ends every session of everybody, at once, that of the actor too.
    ///
    /// # Errors
    /// Other roles than administrator and security officer, no fresh passkey. The command line may, and the server itself under a lockdown.
    pub async fn end_all_sessions(&self, actor: &Actor) -> Result<(), IdentityError> {
        let own = matches!(actor.origin.channel, tacet_ledger::Channel::CommandLine | tacet_ledger::Channel::Internal);
        let at_machine = actor.account.is_none() && own;
        if !at_machine {
            if !(actor.role.may_keep_accounts() || actor.role.may_review()) {
                return Err(IdentityError::Role(actor.role));
            }
            actor.require_fresh()?;
        }
        let now = self.now();
        // Sessions that began in this millisecond end too.
        let not_before = NotBefore { ms: now.as_ms().saturating_add(1) };
        let write = put(NOT_BEFORE, &not_before, Expect::Anything)?;
        let entry = actor.entry(now, EventKind::Logout, "every session of everybody ended".into());
        self.commit(vec![write], vec![entry]).await?;
        self.not_before_ms.fetch_max(not_before.ms, Ordering::SeqCst);
        Ok(())
    }

    pub(crate) fn stored_not_before(&self) -> Result<i64, IdentityError> {
        Ok(get::<NotBefore>(self.rows.as_ref(), NOT_BEFORE)?.map_or(i64::MIN, |kept| kept.row.ms))
    }

    /// Removes rows of sessions that ended by themselves. Gives how many. To be called now and then.
    ///
    /// # Errors
    /// The store's.
    pub async fn sweep_sessions(&self) -> Result<usize, IdentityError> {
        let now = self.now();
        let mut writes: Vec<RowWrite> = Vec::new();
        each(self.rows.as_ref(), &mut |name, kept: Kept<SessionRow>| {
            if !self.lives(&kept.row, now) && writes.len() < ROW_WRITES_MAX {
                writes.push(gone::<SessionRow>(name, Expect::Revision(kept.revision)));
            }
        })?;
        let count = writes.len();
        if count > 0 {
            self.commit(writes, Vec::new()).await?;
        }
        Ok(count)
    }
}

fn may_end(actor: &Actor, account: &AccountId) -> Result<(), IdentityError> {
    let own = actor.account.as_ref() == Some(account);
    if own || actor.role.may_keep_accounts() || actor.role.may_review() {
        actor.require_fresh_for(account)
    } else {
        Err(IdentityError::Role(actor.role))
    }
}

/// Takes every session but this one off an account; the writes end them.
pub(crate) fn end_others(account: &mut Account, this: &Hashed) -> Vec<RowWrite> {
    let mut writes = Vec::new();
    account.sessions.retain(|session| {
        let keep = session.is(this);
        if !keep {
            writes.push(gone::<SessionRow>(session.name(), Expect::Anything));
        }
        keep
    });
    writes
}
