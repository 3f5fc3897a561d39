//! Four eyes: asking, deciding, using.

use crate::account::{Account, State, Window, check_links};
use crate::accounts::{end_sessions, remove_passkeys};
use crate::approval::{Act, Approval, Decision, Kind, REASON_BYTES_MAX, Request, Who};
use crate::id::{AccountId, ApprovalId};
use crate::proposals::is_proposal;
use crate::rows::{Kept, each, get, put};
use crate::{ATTEMPTS_MAX, Actor, Identity, IdentityError};
use tacet_ledger::noted::{Expect, RowWrite};
use tacet_ledger::people::{NoticeKind, NoticeRow, NoticeTo};
use tacet_ledger::{Entry, EventKind, Outcome};
use tacet_types::{Redacted, Role, Timestamp};

/// Most approvals that a listing gives, newest first.
const LISTED_MAX: usize = 1000;

/// Most requests of one account that wait for a decision.
const PENDING_OF_ACCOUNT_MAX: usize = 50;

/// What a decision comes to.
#[derive(Debug)]
pub struct Decided {
    /// The approval as it is now.
    pub approval: Approval,
    /// The second code of the invitation that it made: for whoever decided, who hands it to the person.
    pub second_code: Option<Redacted<String>>,
}

/// An approval that is being used, for a part that does something in a commit of its own.
#[derive(Debug)]
pub struct Use {
    /// Must be in the same commit as what is done: it fails if the approval was used meanwhile.
    pub write: RowWrite,
    /// The entry, for the same commit.
    pub entry: Entry,
    /// When what is done ends at the latest.
    pub end: Timestamp,
}

impl Identity {
    /// Asks for a second person.
    ///
    /// # Errors
    /// A role that may not ask for this; an act on oneself; a field that does not hold; an account that is not there or in no state for it;
    /// no fresh passkey, except for acts of care (a copy).
    pub async fn ask(&self, actor: &Actor, request: Request) -> Result<Approval, IdentityError> {
        let kind = request.act.kind();
        actor.person()?;
        if !kind.may_ask(actor.role) {
            return Err(IdentityError::Role(actor.role));
        }
        if !actor.role.may_read_records() {
            actor.require_fresh()?;
        }
        self.ask_by(actor, request).await
    }

    /// Asks, for a person or for a machine that provisions.
    pub(crate) async fn ask_by(&self, actor: &Actor, request: Request) -> Result<Approval, IdentityError> {
        let now = self.now();
        let request = request.checked(now, self.settings.approval_ms_max)?;
        if actor.account.as_ref().is_some_and(|own| request.act.beneficiaries().contains(own)) {
            return Err(IdentityError::OwnAct);
        }
        if let Some(own) = &actor.account {
            self.refuse_many(own, now)?;
        }
        let account = self.subject(&request.act)?.map(|account| account.id);
        if let Act::NewAccount(draft) = &request.act {
            // Said now rather than when somebody has decided.
            self.drafted(draft.clone(), now)?;
        }
        let approval = Approval {
            id: ApprovalId::random(self.rng.as_ref()),
            asked: who(actor, now),
            ticket: request.ticket,
            reason: request.reason,
            pending_until_ms: now.plus_ms(self.settings.approval_pending_ms).as_ms(),
            end_ms: request.end.as_ms(),
            until_end: request.until_end && may_repeat(&request.act, actor),
            decision: None,
            withdrawn_ms: None,
            used_ms: None,
            account,
            act: request.act,
        };
        let detail = format!(
            "approval {} ticket {}: {}",
            approval.id,
            crate::accounts::short(&approval.ticket),
            crate::accounts::short(&approval.act.words())
        );
        let mut writes = self.asked_notices(&approval, now)?;
        writes.push(put(approval.id.as_str().as_bytes(), &approval, Expect::Absent)?);
        self.commit(writes, vec![actor.entry(now, EventKind::ApprovalAsked, detail)]).await?;
        Ok(approval)
    }

    /// Refuses who has asked for too much that nobody decided on: each request is a row and a notice to others.
    pub(crate) fn refuse_many(&self, own: &AccountId, now: Timestamp) -> Result<(), IdentityError> {
        let mut waiting = 0usize;
        each(self.rows.as_ref(), &mut |_, kept: Kept<Approval>| {
            waiting += usize::from(kept.row.is_pending(now) && kept.row.asked.account.as_ref() == Some(own));
        })?;
        if waiting < PENDING_OF_ACCOUNT_MAX {
            return Ok(());
        }
        let problem = "of yours that wait for a decision may be 50 at most: take some back, or have them decided";
        Err(IdentityError::Invalid { field: "approvals", problem })
    }

    /// Notices of a request, to who may decide on it.
    pub(crate) fn asked_notices(&self, approval: &Approval, now: Timestamp) -> Result<Vec<RowWrite>, IdentityError> {
        let deciders = [Role::SecurityOfficer, Role::Administrator, Role::Auditor];
        let deciders = deciders.into_iter().filter(|role| approval.act.kind().may_decide(*role));
        deciders.map(|role| self.asked_notice(role, approval, now)).collect()
    }

    fn asked_notice(&self, role: Role, approval: &Approval, now: Timestamp) -> Result<RowWrite, IdentityError> {
        let to = NoticeTo::Role(role.as_str().to_owned());
        let text = approval.act.kind().as_str();
        let notice = NoticeRow::new(self.rng.as_ref(), now, to, NoticeKind::ApprovalAsked, approval.id.as_str(), text);
        let name = notice.id.clone().into_bytes();
        let table = tacet_ledger::noted::Table::Notices;
        Ok(RowWrite { table, name, value: Some(notice.encode()?), expect: Expect::Absent })
    }

    /// The account that an act is about, in a state for it.
    fn subject(&self, act: &Act) -> Result<Option<Account>, IdentityError> {
        let id = match act {
            Act::NewAccount(_) | Act::Other { .. } => return Ok(None),
            Act::Invite(id) | Act::Recovery(id) | Act::Role { account: id, .. } | Act::Supplier { account: id, .. } => {
                id
            }
        };
        let account = self.account(id)?.ok_or(IdentityError::Absent("account"))?;
        account.refuse_closed()?;
        let problem = match act {
            Act::Invite(_) if account.state != State::Pending => Some("in use: ask for a recovery"),
            Act::Recovery(_) if account.state == State::Suspended => Some("suspended: resume it first"),
            Act::Supplier { .. } if !account.supplier => Some("not a supplier's"),
            _ => None,
        };
        problem.map_or(Ok(Some(account)), |problem| Err(IdentityError::State(problem)))
    }

    /// The approval of this id.
    ///
    /// # Errors
    /// The store's.
    pub fn approval(&self, id: &ApprovalId) -> Result<Option<Approval>, IdentityError> {
        Ok(get::<Approval>(self.rows.as_ref(), id.as_str().as_bytes())?.map(|kept| kept.row))
    }

    /// The newest approvals that somebody of this role, or this account, may see: those that they may ask for or decide on. Only those that wait
    /// for a decision, if asked so.
    ///
    /// # Errors
    /// The store's.
    pub fn approvals(&self, actor: &Actor, pending: bool) -> Result<Vec<Approval>, IdentityError> {
        let now = self.now();
        let mut approvals = Vec::new();
        each(self.rows.as_ref(), &mut |_, kept: Kept<Approval>| {
            let approval = kept.row;
            let own = actor.account.is_some() && approval.asked.account == actor.account;
            if (own || approval.act.kind().may_decide(actor.role)) && (!pending || approval.is_pending(now)) {
                approvals.push(approval);
            }
        })?;
        approvals.sort_by(|a, b| (b.asked.at_ms, &b.id).cmp(&(a.asked.at_ms, &a.id)));
        approvals.truncate(LISTED_MAX);
        Ok(approvals)
    }

    /// What is asked for of a kind that another part carries out, in words, as far as it may still be decided on or used.
    ///
    /// # Errors
    /// The store's.
    pub fn words_waiting(&self, kind: Kind) -> Result<Vec<String>, IdentityError> {
        let (now, mut words) = (self.now(), Vec::new());
        each(self.rows.as_ref(), &mut |_, kept: Kept<Approval>| {
            let waits = matches!(kept.row.standing(now), "pending" | "allowed");
            if let (Act::Other { kind: of, text, .. }, true) = (&kept.row.act, waits)
                && *of == kind
            {
                words.push(text.clone());
            }
        })?;
        Ok(words)
    }

    /// Takes a request back that was not decided.
    ///
    /// # Errors
    /// Anybody but who asked; one that was decided.
    pub async fn withdraw(&self, actor: &Actor, id: &ApprovalId) -> Result<Approval, IdentityError> {
        let (now, kept) = (self.now(), self.kept_approval(id)?);
        let mut approval = kept.row;
        if approval.asked.account.as_ref() != Some(actor.person()?) {
            return Err(IdentityError::Role(actor.role));
        }
        if !approval.is_pending(now) {
            return Err(IdentityError::Approval("waits for no decision any more"));
        }
        approval.withdrawn_ms = Some(now.as_ms());
        let write = put(id.as_str().as_bytes(), &approval, Expect::Revision(kept.revision))?;
        let mut entry = actor.entry(now, EventKind::ApprovalDecided, format!("approval {id} taken back"));
        entry.outcome = Outcome::Refused;
        self.commit(vec![write], vec![entry]).await?;
        Ok(approval)
    }

    fn kept_approval(&self, id: &ApprovalId) -> Result<Kept<Approval>, IdentityError> {
        get(self.rows.as_ref(), id.as_str().as_bytes())?.ok_or(IdentityError::Absent("approval"))
    }

    /// Decides. What concerns an account is done in the same commit. Who allows what a machine proposes takes it up: it then waits for another
    /// person, and nothing is done yet.
    ///
    /// # Errors
    /// A role that may not decide on this; whoever asked, or gains by it; one that waits for no decision; no fresh passkey; what is in the way of
    /// doing it.
    pub async fn decide(
        &self,
        actor: &Actor,
        id: &ApprovalId,
        allowed: bool,
        remark: &str,
    ) -> Result<Decided, IdentityError> {
        let person = actor.person()?;
        if remark.len() > REASON_BYTES_MAX {
            return Err(IdentityError::Invalid { field: "remark", problem: "must be 1000 bytes at most" });
        }
        for _ in 0..ATTEMPTS_MAX {
            let kept = self.kept_approval(id)?;
            self.require_decider(actor, person, &kept.row)?;
            actor.require_fresh()?;
            let done = match allowed && is_proposal(&kept.row) {
                true => {
                    let taken = self.take_up(actor, kept, remark).await;
                    taken.map(|approval| Decided { approval, second_code: None })
                }
                false => self.decided(actor, kept, allowed, remark).await,
            };
            match done {
                Err(IdentityError::Conflict) => {}
                other => return other,
            }
        }
        Err(IdentityError::Conflict)
    }

    fn require_decider(&self, actor: &Actor, person: &AccountId, approval: &Approval) -> Result<(), IdentityError> {
        if !approval.act.kind().may_decide(actor.role) {
            return Err(IdentityError::Role(actor.role));
        }
        if approval.asked.account.as_ref() == Some(person) {
            return Err(IdentityError::SamePerson);
        }
        if approval.act.beneficiaries().contains(person) {
            return Err(IdentityError::OwnAct);
        }
        // One person, two accounts: the directory's id tells.
        let own = self.account(person)?.ok_or(IdentityError::Absent("account"))?;
        // As the account is now, and not as it was when the request came in.
        if own.role != actor.role || !own.usable(self.now()) {
            return Err(IdentityError::Role(own.role));
        }
        if let (Act::NewAccount(draft), Some(own)) = (&approval.act, &own.external_id)
            && draft.external_id.as_ref() == Some(own)
        {
            return Err(IdentityError::OwnAct);
        }
        if !approval.is_pending(self.now()) {
            return Err(IdentityError::Approval("waits for no decision any more"));
        }
        Ok(())
    }

    async fn decided(
        &self,
        actor: &Actor,
        kept: Kept<Approval>,
        allowed: bool,
        remark: &str,
    ) -> Result<Decided, IdentityError> {
        let now = self.now();
        let Kept { row: mut approval, revision } = kept;
        if allowed && let Some(asker) = &approval.asked.account {
            let asker = self.account(asker)?.ok_or(IdentityError::Approval("was asked by an account that is gone"))?;
            if asker.state != State::Active {
                return Err(IdentityError::Approval("was asked by an account that is not in use any more"));
            }
            if !approval.act.kind().may_ask(asker.role) {
                return Err(IdentityError::Approval("was asked by somebody whose role may not ask for it any more"));
            }
        }
        approval.decision = Some(Decision { by: who(actor, now), allowed, remark: remark.to_owned() });
        let word = if allowed { "allowed" } else { "refused" };
        let detail = format!("approval {} {word}: {}", approval.id, crate::accounts::short(&approval.act.words()));
        let mut entry = actor.entry(now, EventKind::ApprovalDecided, detail);
        if !allowed {
            entry.outcome = Outcome::Refused;
        }
        entry.on_behalf_of = Some(approval.asked.name.clone());
        let mut done = Done { writes: Vec::new(), second_code: None };
        let mut entries = vec![entry];
        if allowed && !matches!(approval.act, Act::Other { .. }) {
            approval.used_ms = Some(now.as_ms());
            let words = approval.act.words();
            entries.push(actor.entry(now, EventKind::RightsChange, format!("{words}, by approval {}", approval.id)));
            done = self.carry_out(&mut approval, now)?;
        }
        done.writes.push(put(approval.id.as_str().as_bytes(), &approval, Expect::Revision(revision))?);
        self.commit(done.writes, entries).await?;
        Ok(Decided { approval, second_code: done.second_code })
    }

    /// The writes of an act on an account. Whatever changed meanwhile makes the commit fail.
    fn carry_out(&self, approval: &mut Approval, now: Timestamp) -> Result<Done, IdentityError> {
        if let Act::NewAccount(draft) = &approval.act {
            let (account, mut writes) = self.drafted(draft.clone(), now)?;
            let (second_code, write) = self.invitation(&account.id, Some(&approval.id), now)?;
            writes.push(write);
            approval.account = Some(account.id);
            return Ok(Done { writes, second_code: Some(second_code) });
        }
        let id = self.subject(&approval.act)?.map(|account| account.id).ok_or(IdentityError::Absent("account"))?;
        let Kept { row: mut account, revision } = self.kept_account(&id)?.ok_or(IdentityError::Absent("account"))?;
        let before = crate::account::places(&account);
        let mut done = Done { writes: Vec::new(), second_code: None };
        match &approval.act {
            Act::Recovery(_) => {
                done.writes.extend(end_sessions(&mut account));
                done.writes.extend(remove_passkeys(&mut account));
                account.state = State::Pending;
                let about = id.as_str();
                done.writes.push(self.notice(NoticeKind::Recovered, about, approval.id.as_str(), now)?);
                self.invite(approval, &id, now, &mut done)?;
            }
            Act::Invite(_) if account.changed_ms > approval.asked.at_ms => {
                return Err(IdentityError::Approval("is for an account that was changed since: ask again"));
            }
            Act::Invite(_) => self.invite(approval, &id, now, &mut done)?,
            Act::Role { role, practitioner, patients, .. } => {
                check_links(*role, practitioner.as_deref(), patients)?;
                done.writes.extend(end_sessions(&mut account));
                account.role = *role;
                // What two people say begins anew; the records may name an end again.
                account.ends_ms = None;
                account.practitioner.clone_from(practitioner);
                account.patients.clone_from(patients);
            }
            Act::Supplier { window, .. } => {
                let from_ms = window.from_ms.max(now.as_ms());
                let until_ms = window.until_ms.min(from_ms.saturating_add(self.settings.supplier_ms_max));
                account.window = Some(Window { from_ms, until_ms });
                approval.end_ms = until_ms;
            }
            Act::NewAccount(_) | Act::Other { .. } => {}
        }
        account.changed_ms = now.as_ms();
        done.writes.extend(self.moved(&before, &account)?);
        done.writes.push(put(id.as_str().as_bytes(), &account, Expect::Revision(revision))?);
        Ok(done)
    }

    fn invite(
        &self,
        approval: &Approval,
        id: &AccountId,
        now: Timestamp,
        done: &mut Done,
    ) -> Result<(), IdentityError> {
        let (second_code, write) = self.invitation(id, Some(&approval.id), now)?;
        done.writes.push(write);
        done.second_code = Some(second_code);
        Ok(())
    }

    /// The use of an approval, for a part that does what was allowed in a commit with [`Use::write`] and [`Use::entry`]. `text` is
    /// what it is about to do, made the same way as for the request.
    ///
    /// # Errors
    /// An approval of another kind, for another text, of somebody else; one that was not allowed, was used, or has ended.
    pub fn using(&self, actor: &Actor, id: &ApprovalId, kind: Kind, text: &str) -> Result<Use, IdentityError> {
        let person = actor.person()?;
        let Kept { row: mut approval, revision } = self.kept_approval(id)?;
        let now = self.now();
        match &approval.act {
            Act::Other { kind: of, text: allowed, .. } if *of == kind && allowed == text => {}
            _ => return Err(IdentityError::OtherAct(kind)),
        }
        if approval.asked.account.as_ref() != Some(person) {
            return Err(IdentityError::Approval("was asked for by somebody else"));
        }
        approval.require_usable(now)?;
        approval.used_ms.get_or_insert(now.as_ms());
        let detail = format!("approval {id} used: {}", crate::accounts::short(&approval.act.words()));
        let mut entry = actor.entry(now, EventKind::RightsChange, detail);
        entry.on_behalf_of = approval.decision.as_ref().map(|decision| decision.by.name.clone());
        let write = put(id.as_str().as_bytes(), &approval, Expect::Revision(revision))?;
        Ok(Use { write, entry, end: Timestamp::from_ms(approval.end_ms) })
    }

    /// Uses an approval at once, before something is done that has no commit with rows. If that fails then, the approval is used all the same.
    ///
    /// # Errors
    /// As [`Identity::using`].
    pub async fn use_approval(
        &self,
        actor: &Actor,
        id: &ApprovalId,
        kind: Kind,
        text: &str,
    ) -> Result<Timestamp, IdentityError> {
        for _ in 0..ATTEMPTS_MAX {
            let using = self.using(actor, id, kind, text)?;
            match self.commit(vec![using.write], vec![using.entry]).await {
                Err(IdentityError::Conflict) => {}
                other => return other.map(|()| using.end),
            }
        }
        Err(IdentityError::Conflict)
    }
}

struct Done {
    writes: Vec<RowWrite>,
    second_code: Option<Redacted<String>>,
}

/// Whether what is asked for may be used more than once. What somebody of care takes away is allowed each time anew; and so are rules: who could
/// use such a word again would take back alone, after others were put in force by two, what those had closed.
fn may_repeat(act: &Act, actor: &Actor) -> bool {
    match act {
        Act::Other { kind: Kind::PolicyChange | Kind::LiftLockdown, .. } => false,
        Act::Other { kind: Kind::BulkExport, .. } => !actor.role.may_read_records(),
        Act::Other { .. } => true,
        _ => false,
    }
}

pub(crate) fn who(actor: &Actor, now: Timestamp) -> Who {
    Who { account: actor.account.clone(), name: actor.name.clone(), role: actor.role, at_ms: now.as_ms() }
}
