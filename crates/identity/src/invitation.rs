//! Invitations: what lets somebody enrol a passkey, once. Two codes, of two people, so that neither can take the account.

use crate::account::{Account, State};
use crate::id::{AccountId, ApprovalId};
use crate::login::failed_entry;
use crate::rows::{Row, get, gone, put};
use crate::secret::{Hashed, INVITATION_PREFIX, secret, spoken, spoken_hash};
use crate::{ATTEMPTS_MAX, Actor, Connection, Identity, IdentityError};
use serde::{Deserialize, Serialize};
use tacet_ledger::EventKind;
use tacet_ledger::noted::{Expect, RowWrite, Table};
use tacet_types::{Redacted, Timestamp};

/// An invitation, under `invitation/` and the account's id: one account has one at most.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationRow {
    pub(crate) account: AccountId,
    /// The approval that it came from; none for the first accounts.
    pub(crate) approval: Option<ApprovalId>,
    /// Hash of the first code, once whoever asked has fetched it.
    pub(crate) first: Option<Hashed>,
    /// Hash of the second code.
    pub(crate) second: Hashed,
    pub(crate) until_ms: i64,
    /// Failed tries.
    pub(crate) failed: u32,
}

impl Row for InvitationRow {
    const TABLE: Table = Table::Ceremonies;
    const WHAT: &'static str = "invitations";
}

impl InvitationRow {
    /// Whether one person made it at the command line and has both codes. It ends when there are administrators: from then on nobody is let in by
    /// one person.
    pub(crate) fn is_of_one(&self) -> bool {
        self.approval.is_none()
    }
}

/// Both codes of an invitation for a first account.
pub struct Invited {
    /// The account.
    pub account: Account,
    /// The first code: part of a link.
    pub first: Redacted<String>,
    /// The second code.
    pub second: Redacted<String>,
    /// When it ends, if there are not two administrators who are able to log in before.
    pub until: Timestamp,
}

pub(crate) fn row_name(account: &AccountId) -> Vec<u8> {
    format!("invitation/{account}").into_bytes()
}

pub(crate) fn removal(account: &AccountId) -> RowWrite {
    gone::<InvitationRow>(&row_name(account), Expect::Anything)
}

impl Identity {
    /// An invitation whose second code is known and whose first one is not made yet. It takes the place of any before.
    pub(crate) fn invitation(
        &self,
        account: &AccountId,
        approval: Option<&ApprovalId>,
        now: Timestamp,
    ) -> Result<(Redacted<String>, RowWrite), IdentityError> {
        let second = spoken(self.rng.as_ref());
        let row = InvitationRow {
            account: account.clone(),
            approval: approval.cloned(),
            first: None,
            second: spoken_hash(second.reveal()),
            until_ms: now.plus_ms(self.settings.invitation_ms).as_ms(),
            failed: 0,
        };
        Ok((second, put(&row_name(account), &row, Expect::Anything)?))
    }

    /// An invitation with both codes in one hand: for the first accounts only.
    pub(crate) fn invitation_of_one(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Result<(Invited, RowWrite), IdentityError> {
        let (first, second) = (self.first_code_of(&account.id), spoken(self.rng.as_ref()));
        let until = now.plus_ms(self.settings.invitation_ms);
        let row = InvitationRow {
            account: account.id.clone(),
            approval: None,
            first: Some(Hashed::of(first.reveal().as_bytes())),
            second: spoken_hash(second.reveal()),
            until_ms: until.as_ms(),
            failed: 0,
        };
        let write = put(&row_name(&account.id), &row, Expect::Anything)?;
        Ok((Invited { account: account.clone(), first, second, until }, write))
    }

    fn first_code_of(&self, account: &AccountId) -> Redacted<String> {
        secret(self.rng.as_ref(), &format!("{INVITATION_PREFIX}{account}_"))
    }

    /// The first code of the invitation that an approval made: for whoever asked, who hands it to the person. Fetched again, it is another
    /// one and the former counts no more.
    ///
    /// # Errors
    /// Anybody but who asked; an approval that made no invitation, or whose invitation was used, replaced or has ended.
    pub async fn first_code(&self, actor: &Actor, approval: &ApprovalId) -> Result<Redacted<String>, IdentityError> {
        let person = actor.person()?;
        actor.require_fresh()?;
        let found = self.approval(approval)?.ok_or(IdentityError::Absent("approval"))?;
        if found.asked.account.as_ref() != Some(person) {
            return Err(IdentityError::Role(actor.role));
        }
        let account = found.account.ok_or(IdentityError::Approval("made no invitation"))?;
        let (name, now) = (row_name(&account), self.now());
        let kept = get::<InvitationRow>(self.rows.as_ref(), &name)?.ok_or(IdentityError::Absent("invitation"))?;
        let mut row = kept.row;
        if row.approval.as_ref() != Some(approval) || now.as_ms() >= row.until_ms {
            return Err(IdentityError::Absent("invitation"));
        }
        let first = self.first_code_of(&account);
        row.first = Some(Hashed::of(first.reveal().as_bytes()));
        let write = put(&name, &row, Expect::Revision(kept.revision))?;
        let detail = format!("first code of the invitation for account {account} was given out");
        self.commit(vec![write], vec![actor.entry(now, EventKind::AccountChange, detail)]).await?;
        Ok(first)
    }

    /// The invitation that these codes open and its account. A wrong one is counted, and after too many the invitation is void.
    pub(crate) async fn invitation_by(
        &self,
        first: &str,
        second: &str,
        connection: &Connection,
    ) -> Result<(InvitationRow, Account), IdentityError> {
        let now = self.now();
        let id = first.strip_prefix(INVITATION_PREFIX).and_then(|rest| rest.rsplit_once('_')).map(|(id, _)| id);
        let id = id.and_then(AccountId::parse).unwrap_or_else(|| AccountId::random(self.rng.as_ref()));
        let name = row_name(&id);
        // Hashed and read whether there is such an invitation or not.
        let (first, second) = (Hashed::of(first.as_bytes()), spoken_hash(second));
        for _ in 0..ATTEMPTS_MAX {
            let account = self.account(&id)?;
            let kept = get::<InvitationRow>(self.rows.as_ref(), &name)?;
            let nobody = Hashed::of(b"");
            let (of_first, of_second) = match &kept {
                Some(kept) => (kept.row.first.as_ref().unwrap_or(&nobody), &kept.row.second),
                None => (&nobody, &nobody),
            };
            let fetched = kept.as_ref().is_some_and(|kept| kept.row.first.is_some());
            let right = of_first.is(&first) & of_second.is(&second) & fetched;
            let Some(kept) = kept else { return Err(IdentityError::Refused) };
            let open = now.as_ms() < kept.row.until_ms && kept.row.failed < self.settings.tries_max();
            match account {
                Some(account) if right && open && account.state == State::Pending => return Ok((kept.row, account)),
                _ => {}
            }
            let row = InvitationRow { failed: kept.row.failed.saturating_add(1), ..kept.row };
            let why = "the codes of an invitation did not hold";
            let entry = failed_entry(None, now, connection, why);
            match self.commit(vec![put(&name, &row, Expect::Revision(kept.revision))?], vec![entry]).await {
                Ok(()) => return Err(IdentityError::Refused),
                Err(IdentityError::Conflict) => {}
                Err(other) => return Err(other),
            }
        }
        Err(IdentityError::Refused)
    }
}
