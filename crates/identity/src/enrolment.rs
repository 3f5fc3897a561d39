//! Enrolling passkeys: the first by an invitation, further ones by a session; listing and removing them.

use crate::account::{Account, PASSKEYS_MAX, State, invalid};
use crate::accounts::Along;
use crate::ceremony::Ceremony;
use crate::id::{AccountId, CeremonyId};
use crate::invitation::{InvitationRow, row_name};
use crate::passkey::{LABEL_BYTES_MAX, PasskeyInfo, PasskeyRow, credential_name, registration_answer_holds};
use crate::rows::{get, gone, put};
use crate::secret::Hashed;
use crate::{Actor, Connection, Identity, IdentityError, Person};
use serde_json::{Value, json};
use tacet_ledger::EventKind;
use tacet_ledger::noted::{Expect, RowWrite};
use tacet_types::Timestamp;
use webauthn_rs::prelude::{CreationChallengeResponse, Passkey, RegisterPublicKeyCredential, Uuid};

/// What a browser is asked to do: the options of `navigator.credentials.create` or `.get`, as JSON.
#[derive(Debug)]
pub struct Offer {
    /// Names the ceremony in the answer.
    pub ceremony: CeremonyId,
    /// The options: an object with the member `publicKey`.
    pub options: Value,
    /// When it ends.
    pub until: Timestamp,
}

impl Identity {
    /// Begins the enrolment of the first passkey, by both codes of an invitation.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] for codes that do not hold, whatever the reason; [`IdentityError::TooManyTries`].
    pub async fn begin_enrolment(
        &self,
        first: &str,
        second: &str,
        connection: &Connection,
    ) -> Result<Offer, IdentityError> {
        let source = self.sources.source(connection.address, connection.device());
        self.sources.enter(&source, self.now()).map_err(IdentityError::TooManyTries)?;
        let (row, account) = self.invitation_by(first, second, connection).await?;
        if row.is_of_one() && !self.may_bootstrap()? {
            return Err(IdentityError::Refused);
        }
        self.sources.good(&source);
        let (options, state) = self.registration(&account)?;
        self.offer(Ceremony::Enrolment(state, account.id, row.second), options, connection)
    }

    /// Begins the enrolment of a further passkey.
    ///
    /// # Errors
    /// No fresh passkey, too many passkeys.
    pub fn begin_passkey(&self, person: &Person, connection: &Connection) -> Result<Offer, IdentityError> {
        self.actor(person, connection).require_fresh()?;
        let account = self.account(&person.account)?.ok_or(IdentityError::Absent("account"))?;
        if account.passkeys.len() >= PASSKEYS_MAX {
            return Err(invalid("passkeys", "may be 10 at most: remove one first"));
        }
        let (options, state) = self.registration(&account)?;
        self.offer(Ceremony::Further(state, account.id, person.hash.clone()), options, connection)
    }

    /// Finishes an enrolment. By an invitation, the account is active from then on and the person logs in; a further passkey needs the
    /// session that asked for it.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] for whatever does not hold about the ceremony, the answer or the invitation.
    pub async fn finish_enrolment(
        &self,
        ceremony: &CeremonyId,
        answer: &RegisterPublicKeyCredential,
        label: &str,
        person: Option<&Person>,
        connection: &Connection,
    ) -> Result<Account, IdentityError> {
        if label.trim().is_empty() || label.len() > LABEL_BYTES_MAX || label.chars().any(char::is_control) {
            return Err(invalid("label", "must be 1 to 60 bytes"));
        }
        let now = self.now();
        let (state, id, by) = match self.ceremonies.take(ceremony, now).ok_or(IdentityError::Refused)? {
            Ceremony::Enrolment(state, id, second) => (state, id, By::Invitation(second)),
            Ceremony::Further(state, id, session) => {
                let same = person.is_some_and(|person| person.account == id && person.hash.is(&session));
                if !same {
                    return Err(IdentityError::Refused);
                }
                (state, id, By::Session)
            }
            Ceremony::Login(_) | Ceremony::StepUp(..) => return Err(IdentityError::Refused),
        };
        if !registration_answer_holds(answer) {
            return Err(IdentityError::Refused);
        }
        let verified = self.webauthn.finish_passkey_registration(answer, &state);
        let passkey = verified.map_err(|_| IdentityError::Refused)?;
        self.keep_passkey(&id, passkey, label, &by, connection).await
    }

    async fn keep_passkey(
        &self,
        id: &AccountId,
        passkey: Passkey,
        label: &str,
        by: &By,
        connection: &Connection,
    ) -> Result<Account, IdentityError> {
        let (now, name) = (self.now(), credential_name(passkey.cred_id().as_ref()));
        let row = PasskeyRow {
            account: id.clone(),
            label: label.to_owned(),
            added_ms: now.as_ms(),
            used_ms: None,
            suspect: false,
            passkey,
        };
        self.change_account(id, |account| {
            // A credential id that is known already belongs to somebody: WebAuthn level 3, section 7.1, refuses it.
            if get::<PasskeyRow>(self.rows.as_ref(), name.name())?.is_some() || account.passkeys.len() >= PASSKEYS_MAX {
                return Err(IdentityError::Refused);
            }
            let mut writes = vec![put(name.name(), &row, Expect::Absent)?];
            match by {
                By::Invitation(second) if account.state == State::Pending => {
                    writes.push(self.invitation_used(id, second, now)?);
                    account.state = State::Active;
                    (account.failed, account.locked_until_ms) = (0, None);
                    // Whoever enrolled was here, though the passkeys may go again before a login.
                    (account.changed_ms, account.used_ms) = (now.as_ms(), Some(now.as_ms()));
                }
                By::Session if account.usable(now) => {}
                _ => return Err(IdentityError::Refused),
            }
            account.passkeys.push(name.clone());
            let actor = own_actor(account, connection);
            let detail = format!("passkey {} enrolled for account {id}", name.short());
            Ok(Along { writes, entries: vec![actor.entry(now, EventKind::AccountChange, detail)] })
        })
        .await
    }

    /// The write that uses an invitation up, if it is still the one whose second code was given.
    fn invitation_used(&self, id: &AccountId, second: &Hashed, now: Timestamp) -> Result<RowWrite, IdentityError> {
        let name = row_name(id);
        let kept = get::<InvitationRow>(self.rows.as_ref(), &name)?.ok_or(IdentityError::Refused)?;
        if !kept.row.second.is(second) || now.as_ms() >= kept.row.until_ms {
            return Err(IdentityError::Refused);
        }
        if kept.row.is_of_one() && !self.may_bootstrap()? {
            return Err(IdentityError::Refused);
        }
        Ok(gone::<InvitationRow>(&name, Expect::Revision(kept.revision)))
    }

    /// The passkeys of an account.
    ///
    /// # Errors
    /// The store's.
    pub fn passkeys(&self, account: &AccountId) -> Result<Vec<PasskeyInfo>, IdentityError> {
        let account = self.account(account)?.ok_or(IdentityError::Absent("account"))?;
        let mut passkeys = Vec::new();
        for name in &account.passkeys {
            let Some(kept) = get::<PasskeyRow>(self.rows.as_ref(), name.name())? else { continue };
            let PasskeyRow { label, added_ms, used_ms, suspect, .. } = kept.row;
            passkeys.push(PasskeyInfo { id: name.as_str().to_owned(), label, added_ms, used_ms, suspect });
        }
        Ok(passkeys)
    }

    /// Removes one of one's own passkeys, but not the last. All sessions but this one end: whoever holds the device may have one.
    ///
    /// # Errors
    /// No fresh passkey, the last one, none of this id.
    pub async fn remove_passkey(&self, actor: &Actor, session: &Person, id: &str) -> Result<Account, IdentityError> {
        actor.require_fresh()?;
        let now = self.now();
        self.change_account(&session.account, |account| {
            if account.passkeys.len() < 2 {
                return Err(invalid("passkey", "is the last one: add another first"));
            }
            let at = account.passkeys.iter().position(|name| name.as_str() == id);
            let name = account.passkeys.remove(at.ok_or(IdentityError::Absent("passkey"))?);
            let mut writes = vec![gone::<PasskeyRow>(name.name(), Expect::Anything)];
            writes.extend(crate::session::end_others(account, &session.hash));
            let detail = format!("passkey {} removed from account {}", name.short(), account.id);
            Ok(Along { writes, entries: vec![actor.entry(now, EventKind::AccountChange, detail)] })
        })
        .await
    }

    /// Registration options: any authenticator that keeps the passkey itself and verifies its user.
    fn registration(
        &self,
        account: &Account,
    ) -> Result<(Value, webauthn_rs::prelude::PasskeyRegistration), IdentityError> {
        let handle = Uuid::parse_str(&account.handle).map_err(|_| IdentityError::Row("accounts"))?;
        let mut known = Vec::new();
        for name in &account.passkeys {
            let kept = get::<PasskeyRow>(self.rows.as_ref(), name.name())?;
            known.extend(kept.map(|kept| kept.row.passkey.cred_id().clone()));
        }
        let (options, state) = self
            .webauthn
            .start_passkey_registration(handle, &account.login, &account.display, Some(known))
            .map_err(|_| IdentityError::Settings)?;
        Ok((discoverable(&options)?, state))
    }

    pub(crate) fn offer(
        &self,
        ceremony: Ceremony,
        options: Value,
        connection: &Connection,
    ) -> Result<Offer, IdentityError> {
        let now = self.now();
        let (id, until) = (CeremonyId::random(self.rng.as_ref()), now.plus_ms(self.settings.ceremony_ms));
        let source = self.sources.source(connection.address, connection.device());
        if self.ceremonies.put(id.clone(), ceremony, source, now, until) {
            Ok(Offer { ceremony: id, options, until })
        } else {
            Err(IdentityError::TooManyTries(until))
        }
    }
}

/// By what a passkey is enrolled.
enum By {
    Invitation(Hashed),
    Session,
}

/// An account as the actor of what its own person does.
pub(crate) fn own_actor(account: &Account, connection: &Connection) -> Actor {
    Actor {
        account: Some(account.id.clone()),
        name: account.login.clone(),
        role: account.role,
        token: None,
        device: connection.device_id().map(str::to_owned),
        origin: connection.origin(),
        operation: connection.operation,
        fresh: false,
    }
}

/// The options with the demand that the passkey can be found without its id: logins here name nobody. `webauthn-rs` asks for
/// that only together with an attestation.
fn discoverable(options: &CreationChallengeResponse) -> Result<Value, IdentityError> {
    let mut options = serde_json::to_value(options).map_err(|_| IdentityError::Settings)?;
    let selection = options.get_mut("publicKey").and_then(|key| key.get_mut("authenticatorSelection"));
    let selection = selection.and_then(Value::as_object_mut).ok_or(IdentityError::Settings)?;
    selection.insert("residentKey".into(), json!("required"));
    selection.insert("requireResidentKey".into(), json!(true));
    Ok(options)
}
