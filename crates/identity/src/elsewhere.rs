//! Sessions of people who logged in at another provider.

use crate::account::SESSIONS_MAX;
use crate::accounts::Along;
use crate::enrolment::own_actor;
use crate::id::AccountId;
use crate::login::failed_entry;
use crate::rows::{gone, put};
use crate::secret::{Hashed, SESSION_PREFIX, secret};
use crate::session::SessionRow;
use crate::{Connection, Identity, IdentityError, LoggedIn, Person};
use tacet_ledger::EventKind;
use tacet_ledger::noted::Expect;

impl Identity {
    /// Begins a session for somebody whom a provider knows. Whoever calls has checked the provider's answer, and found the account by it.
    /// What needs a fresh passkey needs one shown here all the same: a provider's login is none.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] without a device; [`IdentityError::State`] and [`IdentityError::TooManyTries`] where the account is not in
    /// use or is locked, which is written down; the store's.
    pub async fn login_elsewhere(
        &self,
        id: &AccountId,
        provider: &str,
        strong: bool,
        connection: &Connection,
    ) -> Result<LoggedIn, IdentityError> {
        let device = connection.device().cloned().ok_or(IdentityError::Refused)?;
        let now = self.now();
        let secret = secret(self.rng.as_ref(), SESSION_PREFIX);
        let hash = Hashed::of(secret.reveal().as_bytes());
        let mut person = None;
        let begun = self
            .change_account(id, |account| {
                if let Some(until) = account.locked(now) {
                    return Err(IdentityError::TooManyTries(until));
                }
                if !account.usable(now) {
                    return Err(IdentityError::State(account.state.as_str()));
                }
                let end = now.plus_ms(self.settings.session_ms_max).as_ms();
                let row = SessionRow {
                    account: id.clone(),
                    began_ms: now.as_ms(),
                    seen_ms: now.as_ms(),
                    passkey_ms: 0,
                    until_ms: account.usable_until_ms().map_or(end, |until| until.min(end)),
                    device: device.clone(),
                    agent: connection.agent().clone(),
                    address: connection.address,
                    elsewhere: Some((provider.to_owned(), strong)),
                };
                let mut writes = vec![put(hash.name(), &row, Expect::Absent)?];
                account.sessions.push(hash.clone());
                while account.sessions.len() > SESSIONS_MAX {
                    let oldest = account.sessions.remove(0);
                    writes.push(gone::<SessionRow>(oldest.name(), Expect::Anything));
                }
                account.used_ms = Some(now.as_ms());
                let mut actor = own_actor(account, connection);
                actor.token = Some(hash.short().to_owned());
                let entry = actor.entry(now, EventKind::Login, format!("at the provider {provider}"));
                person = Some(Person::of(account, &row, hash.clone()));
                Ok(Along { writes, entries: vec![entry] })
            })
            .await;
        if let Err(error) = begun {
            if let (IdentityError::State(_) | IdentityError::TooManyTries(_), Some(account)) =
                (&error, self.account(id)?)
            {
                let why = format!("at the provider {provider}: the account is locked or not in use");
                self.commit(Vec::new(), vec![failed_entry(Some(&account), now, connection, &why)]).await?;
            }
            return Err(error);
        }
        Ok(LoggedIn { secret, person: person.ok_or(IdentityError::Refused)? })
    }
}
