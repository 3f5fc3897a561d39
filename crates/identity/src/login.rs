//! Logging in by a passkey, and showing it again.
//!
//! A login names nobody: the authenticator finds the passkey. So the challenge says nothing of any account. The answer names a
//! credential; one that is not known is verified against the passkey of nobody, and failing costs the same reads and the same commit.

use crate::account::{Account, SESSIONS_MAX, State};
use crate::accounts::{Along, end_sessions};
use crate::ceremony::Ceremony;
use crate::enrolment::{Offer, own_actor};
use crate::id::{AccountId, CeremonyId};
use crate::lockout::Source;
use crate::passkey::{PasskeyRow, credential_name, login_answer_holds, of_nobody};
use crate::rows::{Kept, Row, get, gone, put};
use crate::secret::{Hashed, SESSION_PREFIX, secret};
use crate::session::SessionRow;
use crate::{ATTEMPTS_MAX, Connection, Identity, IdentityError, Person};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tacet_ledger::noted::{Expect, RowWrite, Table};
use tacet_ledger::people::{NoticeKind, NoticeRow, NoticeTo};
use tacet_ledger::{Agent, Entry, EventKind, Outcome, PurposeOfUse};
use tacet_types::{Redacted, Role, Timestamp};
use webauthn_rs::prelude::{AuthenticationResult, DiscoverableAuthentication, PublicKeyCredential, WebauthnError};

/// What a login gives.
pub struct LoggedIn {
    /// The session's secret: the value of a cookie (`HttpOnly`, `Secure`, `SameSite=Strict`). It is nowhere else.
    pub secret: Redacted<String>,
    /// Who it is.
    pub person: Person,
}

/// A passkey that was verified.
struct Verified {
    account: Kept<Account>,
    passkey: Kept<PasskeyRow>,
    name: Hashed,
    result: AuthenticationResult,
}

/// The row that is written where an account's would be: so that failing costs the same for those who are unknown.
#[derive(Serialize, Deserialize)]
struct Nobody {
    at_ms: i64,
    padding: String,
}

impl Row for Nobody {
    const TABLE: Table = Table::Ceremonies;
    const WHAT: &'static str = "failed logins";
}

/// The length of that row's padding, in bytes: about an account's row.
const NOBODY_BYTES: usize = 700;

impl Identity {
    /// Begins a login. The same for everybody: it does not ask who.
    ///
    /// # Errors
    /// [`IdentityError::TooManyTries`] where too many are under way from there.
    pub fn begin_login(&self, connection: &Connection) -> Result<Offer, IdentityError> {
        let (options, state) = self.challenge()?;
        self.offer(Ceremony::Login(state), options, connection)
    }

    /// Begins to show the passkey again, for this session.
    ///
    /// # Errors
    /// [`IdentityError::TooManyTries`] where too many are under way from there.
    pub fn begin_step_up(&self, person: &Person, connection: &Connection) -> Result<Offer, IdentityError> {
        let (options, state) = self.challenge()?;
        self.offer(Ceremony::StepUp(state, person.hash.clone()), options, connection)
    }

    fn challenge(&self) -> Result<(Value, DiscoverableAuthentication), IdentityError> {
        let (mut options, state) =
            self.webauthn.start_discoverable_authentication().map_err(|_| IdentityError::Settings)?;
        // Asked for by a button, not by filling in a form.
        options.mediation = None;
        Ok((serde_json::to_value(&options).map_err(|_| IdentityError::Settings)?, state))
    }

    /// Finishes a login: a new session, bound to the device.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] for whatever does not hold. Who shows a good passkey is told if the account is locked
    /// ([`IdentityError::TooManyTries`]) or not in use ([`IdentityError::State`]).
    pub async fn finish_login(
        &self,
        ceremony: &CeremonyId,
        answer: &PublicKeyCredential,
        connection: &Connection,
    ) -> Result<LoggedIn, IdentityError> {
        let device = connection.device().cloned().ok_or(IdentityError::Refused)?;
        let source = self.enter(connection)?;
        let state = match self.ceremonies.take(ceremony, self.now()) {
            Some(Ceremony::Login(state)) => state,
            _ => return Err(self.failed_login(None, connection, "no such ceremony").await?),
        };
        let verified = self.verify(answer, state, connection).await?;
        for _ in 0..ATTEMPTS_MAX {
            match self.begin_session(&verified, &device, connection).await {
                Err(IdentityError::Conflict) => {}
                Err(other) => return Err(other),
                Ok(logged_in) => {
                    self.sources.good(&source);
                    self.sources.remember(&device, self.now());
                    return Ok(logged_in);
                }
            }
        }
        Err(IdentityError::Conflict)
    }

    /// Finishes showing the passkey again: the session is fresh.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] for whatever does not hold; the session goes on then.
    pub async fn finish_step_up(
        &self,
        ceremony: &CeremonyId,
        answer: &PublicKeyCredential,
        person: &Person,
        connection: &Connection,
    ) -> Result<Person, IdentityError> {
        let source = self.enter(connection)?;
        // What fails here was tried in this session: by its owner, or by whoever took it.
        let connection = &connection.within(&person.session);
        let state = match self.ceremonies.take(ceremony, self.now()) {
            Some(Ceremony::StepUp(state, session)) if session.is(&person.hash) => state,
            _ => return Err(self.failed_login(None, connection, "no such ceremony").await?),
        };
        let verified = self.verify(answer, state, connection).await?;
        if verified.account.row.id != person.account {
            let why = "another person's passkey was shown in a session";
            let entry = failed_entry(Some(&verified.account.row), self.now(), connection, why);
            self.commit(Vec::new(), vec![entry]).await?;
            return Err(IdentityError::Refused);
        }
        let now = self.now();
        for _ in 0..ATTEMPTS_MAX {
            let kept = get::<SessionRow>(self.rows.as_ref(), person.hash.name())?.ok_or(IdentityError::Refused)?;
            let row = SessionRow { passkey_ms: now.as_ms(), seen_ms: now.as_ms(), ..kept.row };
            let writes = vec![
                put(person.hash.name(), &row, Expect::Revision(kept.revision))?,
                self.used_passkey(&verified, now)?,
            ];
            let mut actor = own_actor(&verified.account.row, connection);
            actor.token = Some(person.session.clone());
            let entry = actor.entry(now, EventKind::Login, "passkey shown again".into());
            match self.commit(writes, vec![entry]).await {
                Err(IdentityError::Conflict) if self.unchanged(&verified)? => {}
                Err(IdentityError::Conflict) => return Err(IdentityError::Refused),
                Err(other) => return Err(other),
                Ok(()) => {
                    self.sources.good(&source);
                    return Ok(Person { passkey_at: now, ..person.clone() });
                }
            }
        }
        Err(IdentityError::Conflict)
    }

    fn enter(&self, connection: &Connection) -> Result<Source, IdentityError> {
        let source = self.sources.source(connection.address, connection.device());
        self.sources.enter(&source, self.now()).map_err(IdentityError::TooManyTries)?;
        Ok(source)
    }

    /// Verifies an answer. Whatever does not hold, it does the same work before it says so.
    async fn verify(
        &self,
        answer: &PublicKeyCredential,
        state: DiscoverableAuthentication,
        connection: &Connection,
    ) -> Result<Verified, IdentityError> {
        let name = credential_name(&answer.raw_id);
        let passkey = get::<PasskeyRow>(self.rows.as_ref(), name.name())?;
        let id = match &passkey {
            Some(kept) => kept.row.account.clone(),
            None => AccountId::random(self.rng.as_ref()),
        };
        // Under way before the account is read: what has failed by then is in its row, what has not is counted here.
        let this = self.under_way.enter(&id);
        let account = self.kept_account(&id)?;
        let now = self.now();
        let nobody = of_nobody(answer);
        let holds = login_answer_holds(answer);
        let outcome = match &passkey {
            Some(kept) => {
                let outcome =
                    self.webauthn.finish_discoverable_authentication_v2(answer, state.clone(), &kept.row.passkey);
                if !matches!(outcome, Ok(_) | Err(WebauthnError::AuthenticationFailure)) {
                    // It stopped before the signature: an unknown credential would not have.
                    let _ =
                        nobody.map(|nobody| self.webauthn.finish_discoverable_authentication_v2(answer, state, nobody));
                }
                Some(outcome)
            }
            None => {
                let _ = nobody.map(|nobody| self.webauthn.finish_discoverable_authentication_v2(answer, state, nobody));
                None
            }
        };
        let (Some(passkey), Some(account), Some(outcome)) = (passkey, account, outcome) else {
            return Err(self.failed_login(None, connection, "unknown passkey").await?);
        };
        let failed = if account.row.locked_until_ms.is_some() && account.row.locked(now).is_none() {
            0
        } else {
            account.row.failed
        };
        let tries_left = failed.saturating_add(this.place) <= self.settings.tries_max();
        let owned = answer.response.user_handle.as_deref().is_some_and(|given| is_handle(given, &account.row.handle));
        let known = account.row.passkeys.contains(&name) && !passkey.row.suspect;
        match outcome {
            Ok(result) if holds && owned && known => {
                let refusal = match account.row.state {
                    _ if account.row.locked(now).is_some() => account.row.locked(now).map(IdentityError::TooManyTries),
                    _ if !tries_left => Some(IdentityError::Refused),
                    _ if account.row.usable(now) => None,
                    State::Active => Some(IdentityError::State("not in its time of use")),
                    other => Some(IdentityError::State(other.as_str())),
                };
                if let Some(refusal) = refusal {
                    let why = "the passkey held, but the account is locked or not in use";
                    self.commit(Vec::new(), vec![failed_entry(Some(&account.row), now, connection, why)]).await?;
                    return Err(refusal);
                }
                Ok(Verified { account, passkey, name, result })
            }
            Err(WebauthnError::CredentialPossibleCompromise) if holds && owned && known => {
                Err(self.copied(&account.row.id, &name, connection).await?)
            }
            _ => Err(self.failed_login(Some(&account.row.id), connection, "passkey did not hold").await?),
        }
    }

    /// Whether the passkey's row is still what was verified against.
    fn unchanged(&self, verified: &Verified) -> Result<bool, IdentityError> {
        let now = get::<PasskeyRow>(self.rows.as_ref(), verified.name.name())?;
        Ok(now.is_some_and(|kept| kept.revision == verified.passkey.revision))
    }

    /// The write of a passkey that was used: its counter, and when.
    fn used_passkey(&self, verified: &Verified, now: Timestamp) -> Result<RowWrite, IdentityError> {
        let mut passkey = verified.passkey.row.passkey.clone();
        passkey.update_credential(&verified.result);
        let row = PasskeyRow {
            account: verified.passkey.row.account.clone(),
            label: verified.passkey.row.label.clone(),
            added_ms: verified.passkey.row.added_ms,
            used_ms: Some(now.as_ms()),
            suspect: false,
            passkey,
        };
        put(verified.name.name(), &row, Expect::Revision(verified.passkey.revision))
    }

    async fn begin_session(
        &self,
        verified: &Verified,
        device: &Hashed,
        connection: &Connection,
    ) -> Result<LoggedIn, IdentityError> {
        let now = self.now();
        let id = &verified.account.row.id;
        let Kept { row: mut account, revision } = self.kept_account(id)?.ok_or(IdentityError::Refused)?;
        if !self.unchanged(verified)? || !account.usable(now) || account.locked(now).is_some() {
            return Err(IdentityError::Refused);
        }
        let secret = secret(self.rng.as_ref(), SESSION_PREFIX);
        let hash = Hashed::of(secret.reveal().as_bytes());
        let end = now.plus_ms(self.settings.session_ms_max).as_ms();
        let row = SessionRow {
            account: id.clone(),
            began_ms: now.as_ms(),
            seen_ms: now.as_ms(),
            passkey_ms: now.as_ms(),
            until_ms: account.usable_until_ms().map_or(end, |until| until.min(end)),
            device: device.clone(),
            agent: connection.agent().clone(),
            address: connection.address,
            elsewhere: None,
        };
        let mut writes = vec![put(hash.name(), &row, Expect::Absent)?, self.used_passkey(verified, now)?];
        account.sessions.push(hash.clone());
        while account.sessions.len() > SESSIONS_MAX {
            let oldest = account.sessions.remove(0);
            writes.push(gone::<SessionRow>(oldest.name(), Expect::Anything));
        }
        (account.failed, account.locked_until_ms, account.used_ms) = (0, None, Some(now.as_ms()));
        writes.push(put(id.as_str().as_bytes(), &account, Expect::Revision(revision))?);
        let mut actor = own_actor(&account, connection);
        actor.token = Some(hash.short().to_owned());
        let entry = actor.entry(now, EventKind::Login, format!("passkey {}", verified.name.short()));
        self.commit(writes, vec![entry]).await?;
        Ok(LoggedIn { secret, person: Person::of(&account, &row, hash) })
    }

    /// Writes a failed login down and counts it; gives the refusal.
    async fn failed_login(
        &self,
        account: Option<&AccountId>,
        connection: &Connection,
        why: &str,
    ) -> Result<IdentityError, IdentityError> {
        let now = self.now();
        let Some(id) = account else {
            let nobody = Nobody { at_ms: now.as_ms(), padding: " ".repeat(NOBODY_BYTES) };
            let write = put(b"nobody", &nobody, Expect::Anything)?;
            self.commit(vec![write], vec![failed_entry(None, now, connection, why)]).await?;
            return Ok(IdentityError::Refused);
        };
        self.change_account(id, |account| {
            let mut along = Along::default();
            if account.locked(now).is_none() {
                if account.locked_until_ms.take().is_some() {
                    account.failed = 0;
                }
                account.failed = account.failed.saturating_add(1);
                if account.failed >= self.settings.tries_max() {
                    account.locked_until_ms = Some(now.plus_ms(self.settings.lock_ms).as_ms());
                    along.writes.push(self.notice(NoticeKind::LockedOut, id.as_str(), "", now)?);
                }
            }
            along.entries.push(failed_entry(Some(&*account), now, connection, why));
            Ok(along)
        })
        .await?;
        Ok(IdentityError::Refused)
    }

    /// A passkey's counter went back: two devices have it. It is accepted no more, the account's sessions end, the security officers are told.
    async fn copied(
        &self,
        id: &AccountId,
        name: &Hashed,
        connection: &Connection,
    ) -> Result<IdentityError, IdentityError> {
        let now = self.now();
        self.change_account(id, |account| {
            let kept = get::<PasskeyRow>(self.rows.as_ref(), name.name())?.ok_or(IdentityError::Refused)?;
            let row = PasskeyRow { suspect: true, ..kept.row };
            let mut writes = vec![put(name.name(), &row, Expect::Revision(kept.revision))?];
            writes.extend(end_sessions(account));
            writes.push(self.notice(NoticeKind::PasskeyCopied, id.as_str(), name.short(), now)?);
            let why = "the counter of the passkey went back: it may have been copied";
            let entry = failed_entry(Some(&*account), now, connection, why);
            Ok(Along { writes, entries: vec![entry] })
        })
        .await?;
        Ok(IdentityError::Refused)
    }

    /// The write of a notice to the security officers.
    pub(crate) fn notice(
        &self,
        kind: NoticeKind,
        about: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<RowWrite, IdentityError> {
        let to = NoticeTo::Role(Role::SecurityOfficer.as_str().to_owned());
        let notice = NoticeRow::new(self.rng.as_ref(), now, to, kind, about, text);
        let name = notice.id.clone().into_bytes();
        Ok(RowWrite { table: Table::Notices, name, value: Some(notice.encode()?), expect: Expect::Absent })
    }
}

/// The entry of a login that failed: of an account, where it is known of which.
pub(crate) fn failed_entry(account: Option<&Account>, now: Timestamp, connection: &Connection, why: &str) -> Entry {
    let (owner, role) = account.map_or(("unknown", "unknown"), |account| (&account.login, account.role.as_str()));
    let token = connection.session_id().map(str::to_owned);
    let agent = Agent { owner: owner.to_owned(), role: role.to_owned(), token: token.clone() };
    let purpose = PurposeOfUse::SystemAdministration;
    let mut entry = Entry::new(now, EventKind::LoginFailed, agent, purpose, connection.operation);
    entry.origin = connection.origin();
    entry.device = connection.device_id().map(str::to_owned);
    entry.account = account.map(|account| account.id.as_str().to_owned());
    entry.session = token;
    entry.outcome = Outcome::Refused;
    entry.detail = Some(why.to_owned());
    entry
}

/// Whether an answer's user handle is the account's.
fn is_handle(given: &[u8], handle: &str) -> bool {
    let given: String = given.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    Hashed::of(given.as_bytes()).is(&Hashed::of(handle.as_bytes()))
}
