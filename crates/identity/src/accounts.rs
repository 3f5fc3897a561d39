//! Reading accounts, and what one person may do to them: take away, and give back what is not a right.

use crate::account::{Account, Draft, Owned, State, invalid, places};
use crate::id::AccountId;
use crate::invitation::Invited;
use crate::passkey::PasskeyRow;
use crate::rows::{Kept, each, get, gone, put};
use crate::secret::Hashed;
use crate::session::SessionRow;
use crate::{ATTEMPTS_MAX, Actor, Identity, IdentityError};
use tacet_ledger::noted::{Expect, RowWrite};
use tacet_ledger::people::NoticeKind;
use tacet_ledger::{Entry, EventKind};
use tacet_types::{ResourceId, Role, Timestamp};

/// Until this many administrators were able to log in, accounts may be made at the command line: four eyes need two people.
const FIRST_ADMINISTRATORS: usize = 2;

/// What goes into the commit of a change beside the account.
#[derive(Default)]
pub(crate) struct Along {
    pub(crate) writes: Vec<RowWrite>,
    pub(crate) entries: Vec<Entry>,
}

impl Identity {
    /// The account of this id.
    ///
    /// # Errors
    /// The store's.
    pub fn account(&self, id: &AccountId) -> Result<Option<Account>, IdentityError> {
        Ok(self.kept_account(id)?.map(|kept| kept.row))
    }

    /// The account of this login, whatever its case.
    ///
    /// # Errors
    /// The store's.
    pub fn account_by_login(&self, login: &str) -> Result<Option<Account>, IdentityError> {
        self.at_place("login", &login.trim().to_lowercase())
    }

    /// The account of this practitioner.
    ///
    /// # Errors
    /// The store's.
    pub fn account_by_practitioner(&self, practitioner: &ResourceId) -> Result<Option<Account>, IdentityError> {
        self.at_place("practitioner", practitioner.as_str())
    }

    /// The account of this id in the hospital's directory.
    ///
    /// # Errors
    /// The store's.
    pub fn account_by_external_id(&self, id: &str) -> Result<Option<Account>, IdentityError> {
        self.at_place("external id", id)
    }

    fn at_place(&self, kind: &str, of: &str) -> Result<Option<Account>, IdentityError> {
        let name = format!("{kind}/{}", Hashed::of(of.as_bytes()).as_str());
        let Some(owned) = get::<Owned>(self.rows.as_ref(), name.as_bytes())? else { return Ok(None) };
        self.account(&owned.row.account)
    }

    /// Every account, closed ones too, by login.
    ///
    /// # Errors
    /// The store's.
    pub fn accounts(&self) -> Result<Vec<Account>, IdentityError> {
        let mut accounts = Vec::new();
        each(self.rows.as_ref(), &mut |_, kept: Kept<Account>| accounts.push(kept.row))?;
        accounts.sort_by(|a, b| (&a.login, &a.id).cmp(&(&b.login, &b.id)));
        Ok(accounts)
    }

    pub(crate) fn kept_account(&self, id: &AccountId) -> Result<Option<Kept<Account>>, IdentityError> {
        get(self.rows.as_ref(), id.as_str().as_bytes())
    }

    /// Changes an account: reads it, lets `change` do its work, and writes it with what goes along; again where somebody else was
    /// faster.
    pub(crate) async fn change_account(
        &self,
        id: &AccountId,
        mut change: impl FnMut(&mut Account) -> Result<Along, IdentityError>,
    ) -> Result<Account, IdentityError> {
        for _ in 0..ATTEMPTS_MAX {
            let Kept { row: mut account, revision } = self.kept_account(id)?.ok_or(IdentityError::Absent("account"))?;
            let before = places(&account);
            let mut along = change(&mut account)?;
            along.writes.extend(self.moved(&before, &account)?);
            along.writes.push(put(account.id.as_str().as_bytes(), &account, Expect::Revision(revision))?);
            match self.commit(along.writes, along.entries).await {
                Err(IdentityError::Conflict) => continue,
                other => return other.map(|()| account),
            }
        }
        Err(IdentityError::Conflict)
    }

    /// The writes that take the places of a changed account, and leave those that it has no more.
    pub(crate) fn moved(
        &self,
        before: &[(&'static str, Vec<u8>)],
        account: &Account,
    ) -> Result<Vec<RowWrite>, IdentityError> {
        let after = if account.state == State::Closed { Vec::new() } else { places(account) };
        let mut writes: Vec<RowWrite> = before
            .iter()
            .filter(|place| !after.contains(place))
            .map(|(_, name)| gone::<Owned>(name, Expect::Anything))
            .collect();
        for (kind, name) in after.iter().filter(|place| !before.contains(place)) {
            if get::<Owned>(self.rows.as_ref(), name)?.is_some() {
                return Err(IdentityError::Taken(kind));
            }
            writes.push(put(name, &Owned { account: account.id.clone() }, Expect::Absent)?);
        }
        Ok(writes)
    }

    /// A new account, and the writes that make it.
    pub(crate) fn drafted(&self, draft: Draft, now: Timestamp) -> Result<(Account, Vec<RowWrite>), IdentityError> {
        let draft = draft.checked()?;
        let mut handle = [0; 16];
        self.rng.fill(&mut handle);
        let handle = handle.iter().map(|byte| format!("{byte:02x}")).collect();
        let account = Account::of(draft, AccountId::random(self.rng.as_ref()), handle, now);
        let mut writes = self.moved(&[], &account)?;
        writes.push(put(account.id.as_str().as_bytes(), &account, Expect::Absent)?);
        Ok((account, writes))
    }

    /// Suspends an account: its sessions end at once. One person may: it takes away.
    ///
    /// # Errors
    /// Roles other than administrator and security officer; a person without a fresh passkey, but for their own account; an account that is
    /// closed or absent.
    pub async fn suspend(&self, actor: &Actor, id: &AccountId, reason: &str) -> Result<Account, IdentityError> {
        if !(actor.role.may_keep_accounts() || actor.role.may_review()) {
            return Err(IdentityError::Role(actor.role));
        }
        actor.require_fresh_for(id)?;
        let now = self.now();
        self.change_account(id, |account| {
            account.refuse_closed()?;
            account.state = State::Suspended;
            account.suspended_by_feed = false;
            account.changed_ms = now.as_ms();
            let writes = end_sessions(account);
            let detail = format!("account {id} suspended: {}", short(reason));
            Ok(Along { writes, entries: vec![actor.entry(now, EventKind::AccountChange, detail)] })
        })
        .await
    }

    /// Takes a suspension back.
    ///
    /// # Errors
    /// Roles other than administrator, one's own account, an account that is not suspended, no fresh passkey.
    pub async fn resume(&self, actor: &Actor, id: &AccountId) -> Result<Account, IdentityError> {
        self.require_keeper_of_another(actor, id)?;
        let now = self.now();
        self.change_account(id, |account| {
            if account.state != State::Suspended {
                return Err(IdentityError::State("not suspended"));
            }
            resumed(account, now);
            let detail = format!("account {id} resumed");
            Ok(Along { writes: Vec::new(), entries: vec![actor.entry(now, EventKind::AccountChange, detail)] })
        })
        .await
    }

    /// Takes a lock-out back before its time.
    ///
    /// # Errors
    /// Roles other than administrator, one's own account, no fresh passkey.
    pub async fn unlock(&self, actor: &Actor, id: &AccountId) -> Result<Account, IdentityError> {
        self.require_keeper_of_another(actor, id)?;
        let now = self.now();
        self.change_account(id, |account| {
            account.refuse_closed()?;
            (account.failed, account.locked_until_ms) = (0, None);
            let detail = format!("account {id} unlocked");
            Ok(Along { writes: Vec::new(), entries: vec![actor.entry(now, EventKind::AccountChange, detail)] })
        })
        .await
    }

    /// Closes an account for good: sessions, passkeys and any invitation go at once. Its login is free again.
    ///
    /// # Errors
    /// Roles other than administrator, one's own account, no fresh passkey; closed already.
    pub async fn close(&self, actor: &Actor, id: &AccountId, reason: &str) -> Result<Account, IdentityError> {
        self.require_keeper_of_another(actor, id)?;
        self.close_by(actor, id, reason).await
    }

    pub(crate) async fn close_by(&self, actor: &Actor, id: &AccountId, reason: &str) -> Result<Account, IdentityError> {
        let now = self.now();
        self.change_account(id, |account| {
            account.refuse_closed()?;
            let mut writes = end_sessions(account);
            writes.extend(remove_passkeys(account));
            writes.push(crate::invitation::removal(&account.id));
            account.state = State::Closed;
            account.changed_ms = now.as_ms();
            let detail = format!("account {id} closed: {}", short(reason));
            Ok(Along { writes, entries: vec![actor.entry(now, EventKind::AccountChange, detail)] })
        })
        .await
    }

    fn require_keeper_of_another(&self, actor: &Actor, id: &AccountId) -> Result<(), IdentityError> {
        actor.require_administrator()?;
        if actor.person()? == id {
            return Err(IdentityError::OwnAct);
        }
        actor.require_fresh()
    }

    /// Whether accounts may be made at the command line: until two administrators were able to log in, and never again as long as one of
    /// their accounts is not closed. Nobody closes their own, so one administrator who puts the others away does not come back to this; a hospital
    /// whose administrators all left does, once the last of them was closed by rule.
    ///
    /// # Errors
    /// The store's.
    pub fn may_bootstrap(&self) -> Result<bool, IdentityError> {
        let (mut able, mut open) = (0usize, 0usize);
        each(self.rows.as_ref(), &mut |_, kept: Kept<Account>| {
            let account = kept.row;
            // Passkeys go when an account is closed or recovered; that it was used stays.
            if account.role == Role::Administrator && (account.used_ms.is_some() || !account.passkeys.is_empty()) {
                able += 1;
                open += usize::from(account.state != State::Closed);
            }
        })?;
        Ok(able < FIRST_ADMINISTRATORS || open == 0)
    }

    /// Makes one of the first accounts, at the command line: an administrator, a security officer or an auditor. Gives both codes of its
    /// invitation. The security officers are told, those too who come later.
    ///
    /// # Errors
    /// [`IdentityError::NotFirst`] where [`Identity::may_bootstrap`] does not hold; other roles; what is wrong in the draft.
    pub async fn bootstrap(&self, actor: &Actor, draft: Draft) -> Result<Invited, IdentityError> {
        if !matches!(draft.role, Role::Administrator | Role::SecurityOfficer | Role::Auditor) {
            return Err(invalid("role", "must be administrator, security-officer or auditor for a first account"));
        }
        if actor.origin.channel != tacet_ledger::Channel::CommandLine || actor.account.is_some() {
            return Err(IdentityError::Role(actor.role));
        }
        if !self.may_bootstrap()? {
            return Err(IdentityError::NotFirst);
        }
        let now = self.now();
        let (account, mut writes) = self.drafted(draft, now)?;
        let (invited, write) = self.invitation_of_one(&account, now)?;
        writes.push(write);
        writes.push(self.notice(NoticeKind::FirstAccount, account.id.as_str(), account.role.as_str(), now)?);
        let detail = format!("first account {} of role {}", account.id, account.role);
        self.commit(writes, vec![actor.entry(now, EventKind::AccountChange, detail)]).await?;
        Ok(invited)
    }
}

pub(crate) fn resumed(account: &mut Account, now: Timestamp) {
    account.state = if account.passkeys.is_empty() { State::Pending } else { State::Active };
    account.suspended_by_feed = false;
    // Days of suspension are not days of disuse.
    account.used_ms = account.used_ms.map(|_| now.as_ms());
    account.changed_ms = now.as_ms();
}

/// Takes the sessions off an account; the writes end them.
pub(crate) fn end_sessions(account: &mut Account) -> Vec<RowWrite> {
    let sessions = std::mem::take(&mut account.sessions);
    sessions.iter().map(|session| gone::<SessionRow>(session.name(), Expect::Anything)).collect()
}

/// Takes the passkeys off an account; the writes remove them.
pub(crate) fn remove_passkeys(account: &mut Account) -> Vec<RowWrite> {
    let passkeys = std::mem::take(&mut account.passkeys);
    passkeys.iter().map(|passkey| gone::<PasskeyRow>(passkey.name(), Expect::Anything)).collect()
}

/// What fits into an entry of somebody's text.
pub(crate) fn short(text: &str) -> String {
    /// Longest text of a person in an entry, in characters.
    const CHARACTERS_MAX: usize = 300;
    tacet_ledger::one_line(text).chars().take(CHARACTERS_MAX).collect()
}
