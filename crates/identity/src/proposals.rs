//! Accounts that the hospital's data proposes: a request for a new account that no person made yet.
//!
//! A machine fills in the form and no more. An administrator takes a proposal up by allowing it, and stands from then on in the place of who asked; another
//! person decides. So two people let somebody in, here as everywhere, and each has one half of the invitation.

use crate::account::Draft;
use crate::approval::{Act, Approval, Request};
use crate::approvals::who;
use crate::provisioning::FEED_TICKET;
use crate::rows::{Kept, each, put};
use crate::scim::PROVISIONED_ROLES;
use crate::{Actor, Identity, IdentityError};
use std::collections::{BTreeMap, BTreeSet};
use tacet_ledger::EventKind;
use tacet_ledger::noted::Expect;
use tacet_types::Timestamp;

/// Most proposals that wait for an administrator at a time. Whatever the directory holds, this is what people are asked to look at.
pub const PROPOSALS_OPEN_MAX: usize = 20;

/// Which accounts there are, were asked for or proposed: what can be proposed beside them.
#[derive(Debug)]
pub struct Proposals {
    /// As of when this is.
    pub at: Timestamp,
    open: usize,
    settled: BTreeSet<String>,
    lapsed: BTreeMap<String, i64>,
    logins: BTreeSet<String>,
}

impl Proposals {
    /// How many more may be proposed.
    pub fn room(&self) -> usize {
        PROPOSALS_OPEN_MAX.saturating_sub(self.open)
    }

    /// Whether nothing is proposed for this Practitioner any more: there is or was an account, somebody asked for one, or people said no.
    pub fn is_settled(&self, practitioner: &str) -> bool {
        self.settled.contains(practitioner)
    }

    /// When a proposal for this Practitioner was made last, of those on which nobody decided in time.
    pub fn lapsed(&self, practitioner: &str) -> Option<Timestamp> {
        self.lapsed.get(practitioner).copied().map(Timestamp::from_ms)
    }

    /// Whether an account has or had this login, or shall have it.
    pub fn has_login(&self, login: &str) -> bool {
        self.logins.contains(login)
    }

    /// Notes that an account of this login was proposed.
    pub fn took(&mut self, login: &str) {
        self.logins.insert(login.to_owned());
    }
}

/// Whether a machine proposes an account, and nobody has taken that up.
pub(crate) fn is_proposal(approval: &Approval) -> bool {
    approval.asked.account.is_none() && matches!(approval.act, Act::NewAccount(_))
}

impl Identity {
    /// What is known of accounts and proposals of practitioners.
    ///
    /// # Errors
    /// The store's.
    pub fn proposals(&self) -> Result<Proposals, IdentityError> {
        let at = self.now();
        let (mut open, mut settled, mut logins) = (0, BTreeSet::new(), BTreeSet::new());
        let mut lapsed: BTreeMap<String, i64> = BTreeMap::new();
        for account in self.accounts()? {
            // Closed ones too: whoever lost an account gets none again because the data still has them.
            settled.extend(account.practitioner);
            logins.insert(account.login);
        }
        each(self.rows.as_ref(), &mut |_, kept: Kept<Approval>| {
            let approval = kept.row;
            open += usize::from(is_proposal(&approval) && approval.is_pending(at));
            let asked_ms = approval.asked.at_ms;
            let standing = approval.standing(at);
            let Act::NewAccount(draft) = approval.act else { return };
            if standing == "pending" {
                logins.insert(draft.login);
            }
            match draft.practitioner {
                Some(practitioner) if standing == "not decided in time" => {
                    let last = lapsed.entry(practitioner).or_insert(asked_ms);
                    *last = asked_ms.max(*last);
                }
                Some(practitioner) => drop(settled.insert(practitioner)),
                None => {}
            }
        })?;
        Ok(Proposals { at, open, settled, lapsed, logins })
    }

    /// Proposes an account for a Practitioner, in the name of the hospital's data. It waits until an administrator takes it up.
    ///
    /// # Errors
    /// Anybody but a machine; a role that is not provisioned; nobody among the records; too many that wait; a login or a Practitioner that has an
    /// account.
    pub async fn propose(&self, actor: &Actor, draft: Draft) -> Result<Approval, IdentityError> {
        if actor.account.is_some() {
            return Err(IdentityError::Role(actor.role));
        }
        if !PROVISIONED_ROLES.contains(&draft.role) {
            return Err(IdentityError::Invalid { field: "role", problem: "is not one that the data may propose" });
        }
        let practitioner = draft.practitioner.clone();
        let problem = "must be somebody for whom there is no account and no request";
        let proposals = self.proposals()?;
        let id = practitioner.filter(|id| !proposals.is_settled(id));
        let Some(id) = id else { return Err(IdentityError::Invalid { field: "practitioner", problem }) };
        if proposals.room() == 0 {
            let problem = "that wait for an administrator may be 20 at most";
            return Err(IdentityError::Invalid { field: "proposals", problem });
        }
        let request = Request {
            act: Act::NewAccount(draft),
            ticket: FEED_TICKET.into(),
            reason: format!("Practitioner/{id} works here by the hospital's data"),
            end: self.now().plus_ms(self.settings.approval_ms_max),
            until_end: false,
        };
        self.ask_by(actor, request).await
    }

    /// Puts an administrator in the place of the machine that proposed: from here on it is their request, and somebody else decides.
    pub(crate) async fn take_up(
        &self,
        actor: &Actor,
        kept: Kept<Approval>,
        remark: &str,
    ) -> Result<Approval, IdentityError> {
        let now = self.now();
        let Kept { row: mut approval, revision } = kept;
        if !approval.act.kind().may_ask(actor.role) {
            return Err(IdentityError::Approval(
                "is a proposal of the hospital's data: an administrator takes it up first",
            ));
        }
        self.refuse_many(actor.person()?, now)?;
        if let Act::NewAccount(draft) = &approval.act {
            // Said now rather than to whoever decides.
            self.drafted(draft.clone(), now)?;
        }
        let proposed_by = std::mem::replace(&mut approval.asked, who(actor, now)).name;
        approval.pending_until_ms = now.plus_ms(self.settings.approval_pending_ms).as_ms();
        let remark = tacet_ledger::one_line(remark);
        if !remark.is_empty() {
            approval.reason = format!("{}; {remark}", approval.reason);
        }
        let words = crate::accounts::short(&approval.act.words());
        let detail = format!("approval {} taken up: {words}", approval.id);
        let mut entry = actor.entry(now, EventKind::ApprovalAsked, detail);
        entry.on_behalf_of = Some(proposed_by);
        let mut writes = self.asked_notices(&approval, now)?;
        writes.push(put(approval.id.as_str().as_bytes(), &approval, Expect::Revision(revision))?);
        self.commit(writes, vec![entry]).await?;
        Ok(approval)
    }
}
