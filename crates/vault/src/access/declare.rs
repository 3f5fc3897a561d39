//! Break-glass: somebody declares an emergency for one patient, and sees for a while what is not open to them otherwise.
//!
//! The row, the entry of the ledger and the notices to the security officer and to the patient's record are one commit, so that none can
//! be had without the others. It counts from the moment in which the commit is durable. What it opens, and to whom, the policy says.

use super::care::of_declared;
use super::{Access, CareChange, CareNews, Look};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::turns::Lines;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome, PurposeOfUse};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use tacet_ledger::noted::{Expect, RowWrite, Table};
use tacet_ledger::people::{BreakGlassRow, NoticeKind, NoticeRow, NoticeTo, PEOPLE_TEXT_BYTES_MAX};
use tacet_ledger::{DETAIL_BYTES_MAX, Prepared, Receipt, cut, one_line};
use tacet_policy::{Act, BtgReason};
use tacet_store::{Commit, Committed, Precondition, StoreError, Ticket};
use tacet_types::{ResourceId, ResourceType, Role, Timestamp};

/// Longest emergency that is declared at once, in minutes: four hours. What lasts longer is declared again, and told and reviewed again.
pub const BREAK_GLASS_MINUTES_MAX: u32 = 240;

/// Most emergencies that one account declares within 24 hours.
pub const BREAK_GLASS_A_DAY_MAX: usize = 10;

/// Most emergencies of one account at a time.
pub const BREAK_GLASS_OPEN_MAX: usize = 3;

/// Shortest reason in words, in bytes: one word is none.
pub const BREAK_GLASS_TEXT_BYTES_MIN: usize = 10;

/// How long who declared too many has to wait before asking again, in milliseconds.
const RETRY_MS: u64 = 3_600_000;

/// What is said to whoever may not.
const NOT_OPEN: &str = "break-glass is not open to this account for this patient";

/// An emergency that was declared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakGlassDeclared {
    /// Its id: what a review names it by.
    pub id: String,
    /// When it ends by itself.
    pub until: Timestamp,
}

impl Vault {
    /// Declares an emergency for a patient: `reason` is a code, `text` says it in words, kept in one line, `minutes` for how long. Written down, told to the
    /// security officer and to the patient's record at once.
    ///
    /// [`VaultError::NotFound`] for a patient who is not there, [`VaultError::NotAllowed`] where the policy lets this caller declare none for
    /// this patient, [`VaultError::Busy`] where the account has declared, or tried to declare, too many.
    pub async fn break_glass(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        reason: &str,
        text: &str,
        minutes: u32,
    ) -> Result<BreakGlassDeclared, VaultError> {
        self.0.declare(caller, patient, (reason, &one_line(text)), minutes).await
    }

    /// Ends an emergency before its time. Only who declared it does so here.
    pub async fn end_break_glass(&self, caller: &Caller, id: &str) -> Result<(), VaultError> {
        let inner = &self.0;
        let found = inner.noted_row(Table::BreakGlass, id.as_bytes())?;
        let row = found.and_then(|(row, _)| Some((row.revision, BreakGlassRow::decode(&row.value).ok()?)));
        let (revision, mut row) = row.filter(|(_, row)| row.account == caller.account()).ok_or(VaultError::NotFound)?;
        let now = inner.clock.now();
        if !row.in_force(now) {
            return Ok(());
        }
        row.ended_ms = Some(now.as_ms());
        let mut entry = caller.entry(now, EventKind::BreakGlass, Outcome::Success, of_patient(&row));
        entry.purpose = PurposeOfUse::BreakTheGlass;
        entry.detail = Some(format!("break-glass {} ended", row.id));
        let write = row_write(Table::BreakGlass, &row.id, row.encode(), Expect::Revision(revision))?;
        inner.commit_declared(vec![write], entry).await.map(|_| ())
    }
}

impl Inner {
    async fn declare(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        (reason, text): (&str, &str),
        minutes: u32,
    ) -> Result<BreakGlassDeclared, VaultError> {
        let access = self
            .access
            .as_ref()
            .ok_or(VaultError::NotSupported("break-glass: this store was opened without rules on who may see what"))?;
        if BtgReason::parse(reason).is_none() || text.len() < BREAK_GLASS_TEXT_BYTES_MIN {
            return Err(VaultError::NotSupported("break-glass without a reason: give a code, and say it in words"));
        }
        if text.len() > PEOPLE_TEXT_BYTES_MAX {
            return Err(VaultError::TooLarge { what: "bytes in a reason", max: PEOPLE_TEXT_BYTES_MAX });
        }
        if minutes == 0 || minutes > BREAK_GLASS_MINUTES_MAX {
            return Err(VaultError::TooLarge { what: "minutes", max: BREAK_GLASS_MINUTES_MAX as usize });
        }
        let sights = self.sights(caller, Act::BreakGlass)?;
        // One after the other for an account, so that the bound holds.
        let turn = [b"break-glass/", caller.account().as_bytes()].concat();
        let _turns = self.criteria.take(&Lines::of_names(std::iter::once(turn.as_slice()))).await;
        let now = self.clock.now();
        let (lately, open) = {
            let care = access.care();
            (care.declared_lately(caller.account(), now), care.data.break_glass(caller.account(), now).len())
        };
        let mut entry = caller.entry(now, EventKind::BreakGlass, Outcome::Refused, None);
        entry.purpose = PurposeOfUse::BreakTheGlass;
        entry.detail = Some(cut(&format!("{reason}: {text}"), DETAIL_BYTES_MAX).to_owned());
        if lately >= BREAK_GLASS_A_DAY_MAX || open >= BREAK_GLASS_OPEN_MAX {
            self.record(vec![entry]).await?;
            return Err(VaultError::Busy { what: "emergencies declared by one account", retry_after_ms: RETRY_MS });
        }
        // Who may declare none at all learns nothing of who is there.
        if sights.as_ref().is_some_and(|sights| sights.is_nothing()) {
            self.record(vec![entry]).await?;
            return Err(VaultError::NotAllowed(NOT_OPEN));
        }
        let patient_type = ResourceType::parse("Patient").ok_or(VaultError::NotFound)?;
        let found = self.locate(patient_type, patient)?;
        let found = found.filter(|found| found.meta.method != crate::head::Method::Delete);
        let Some(found) = found else {
            // It counts like one that succeeds: else ids could be tried until one is somebody's.
            access.care_mut().tried_to_declare(caller.account(), now);
            entry.outcome = Outcome::Failed;
            self.record(vec![entry]).await?;
            return Err(VaultError::NotFound);
        };
        entry.patient = found.meta.owner.ledger_patient();
        let Look::Seen(ground) = self.look(sights.as_ref(), patient_type, patient, &found.meta) else {
            access.care_mut().tried_to_declare(caller.account(), now);
            self.record(vec![entry]).await?;
            return Err(VaultError::NotAllowed(NOT_OPEN));
        };
        let until = now.plus_ms(i64::from(minutes) * 60_000);
        let (account, role) = (caller.account(), caller.role.as_str());
        let rng = self.rng.as_ref();
        let row = BreakGlassRow::declared(rng, account, &caller.owner, role, patient, reason, text, now, until);
        entry.outcome = Outcome::Success;
        entry.basis = ground.map(|ground| ground.to_string());
        let detail = format!("break-glass {} until {until}, {reason}: {text}", row.id);
        entry.detail = Some(cut(&detail, DETAIL_BYTES_MAX).to_owned());
        let officers = NoticeTo::Role(Role::SecurityOfficer.as_str().to_owned());
        let theirs = NoticeTo::Patient(patient.as_str().to_owned());
        let notice = |to| NoticeRow::new(rng, now, to, NoticeKind::BreakGlass, &row.id, reason);
        let mut writes = vec![row_write(Table::BreakGlass, &row.id, row.encode(), Expect::Absent)?];
        for notice in [notice(officers), notice(theirs)] {
            writes.push(row_write(Table::Notices, &notice.id, notice.encode(), Expect::Absent)?);
        }
        self.commit_declared(writes, entry).await?;
        Ok(BreakGlassDeclared { id: row.id, until })
    }

    async fn commit_declared(&self, writes: Vec<RowWrite>, entry: tacet_ledger::Entry) -> Result<(), VaultError> {
        let mut commit =
            Commit { preconditions: Vec::new(), writes: Vec::new(), feed: None, item: vec![Prepared::new(&entry)?] };
        for write in &writes {
            let (precondition, change) = self.noted_write(write)?.ok_or(VaultError::Conflict)?;
            commit.preconditions.extend::<Option<Precondition>>(precondition);
            commit.writes.push(change);
        }
        self.submit_declared(commit, writes).await?;
        Ok(())
    }

    /// Commits rows, and takes in what those of the table of emergencies say once they are durable, also where who asked has gone away
    /// by then.
    pub(crate) fn submit_declared(&self, commit: Commit<Vec<Prepared>>, declared: Vec<RowWrite>) -> Declaring {
        let news = CareNews::of(self, of_declared(&declared));
        Declaring { ticket: Some(self.store.submit(commit)), news }
    }
}

impl Access {
    /// Takes in what was committed for callers who had gone away.
    pub(super) fn take_in_left(&self) {
        let mut left = self.left.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut context = Context::from_waker(Waker::noop());
        left.retain_mut(|(ticket, changes)| match Pin::new(ticket).poll(&mut context) {
            Poll::Pending => true,
            Poll::Ready(answer) => {
                if answer.is_ok() {
                    self.take_in(std::mem::take(changes));
                }
                false
            }
        });
        self.left.any.store(!left.is_empty(), Ordering::SeqCst);
    }
}

/// A commit whose caller has gone away, and what it says of care.
type LeftCommit = (Ticket<Vec<Receipt>>, Vec<CareChange>);

/// Commits whose callers have gone away, with what they say of care; and whether there are any.
#[derive(Default)]
pub(super) struct Left {
    all: Mutex<Vec<LeftCommit>>,
    any: AtomicBool,
}

impl Left {
    /// Whether there are any. Quick.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::SeqCst)
    }

    pub(super) fn add(&self, ticket: Ticket<Vec<Receipt>>, changes: Vec<CareChange>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((ticket, changes));
        self.any.store(true, Ordering::SeqCst);
    }
}

/// A commit under way. Given up, what it says is taken in before the next decision after it is durable.
pub(crate) struct Declaring {
    ticket: Option<Ticket<Vec<Receipt>>>,
    news: Option<CareNews>,
}

impl Future for Declaring {
    type Output = Result<Committed<Vec<Receipt>>, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(ticket) = this.ticket.as_mut() else { return Poll::Pending };
        let Poll::Ready(answer) = Pin::new(ticket).poll(context) else { return Poll::Pending };
        this.ticket = None;
        if let (Ok(_), Some(news)) = (&answer, this.news.take()) {
            news.take_in();
        }
        Poll::Ready(answer)
    }
}

impl Drop for Declaring {
    fn drop(&mut self) {
        if let (Some(ticket), Some(news)) = (self.ticket.take(), self.news.take()) {
            news.leave(ticket);
        }
    }
}

fn row_write(
    table: Table,
    name: &str,
    value: Result<Vec<u8>, tacet_ledger::people::PeopleRowError>,
    expect: Expect,
) -> Result<RowWrite, VaultError> {
    let value = value.map_err(|error| VaultError::Internal(Box::new(error)))?;
    Ok(RowWrite { table, name: name.as_bytes().to_vec(), value: Some(value), expect })
}

fn of_patient(row: &BreakGlassRow) -> Option<(ResourceType, ResourceId)> {
    Some((ResourceType::parse("Patient")?, ResourceId::parse(&row.patient).ok()?))
}
