//! The review of break-glass: what is open, what is overdue, what it came to. Declaring one is the record store's.

use crate::{ATTEMPTS_MAX, Actor, Identity, IdentityError};
use std::ops::ControlFlow;
use tacet_ledger::noted::{Expect, RowWrite, Table};
use tacet_ledger::people::{
    BreakGlassReview, BreakGlassRow, NoticeKind, NoticeRow, NoticeTo, PEOPLE_TEXT_BYTES_MAX, ReviewOutcome,
};
use tacet_ledger::{EventKind, one_line};
use tacet_types::{ResourceId, ResourceType, Role, Timestamp};

/// Most reviews that a listing gives, oldest first.
pub const REVIEWS_LISTED_MAX: usize = 1000;

/// A break-glass that waits for its review.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenReview {
    /// The declaration.
    pub row: BreakGlassRow,
    /// When the review is due: 72 hours after the declaration.
    pub due: Timestamp,
    /// Whether that is past.
    pub overdue: bool,
}

impl Identity {
    /// The declarations that wait for a review, oldest first.
    ///
    /// # Errors
    /// Roles other than security officer.
    pub fn open_reviews(&self, actor: &Actor) -> Result<Vec<OpenReview>, IdentityError> {
        require_reviewer(actor)?;
        self.waiting()
    }

    fn waiting(&self) -> Result<Vec<OpenReview>, IdentityError> {
        let now = self.now();
        let mut open = Vec::new();
        self.each_break_glass(&mut |row, _| {
            if row.review.is_none() {
                let (due, overdue) = (row.review_due(), row.overdue(now));
                open.push(OpenReview { row, due, overdue });
            }
        })?;
        open.sort_by(|a, b| (a.row.from_ms, &a.row.id).cmp(&(b.row.from_ms, &b.row.id)));
        open.truncate(REVIEWS_LISTED_MAX);
        Ok(open)
    }

    /// Each declaration, with its row's revision.
    pub(crate) fn each_break_glass(&self, take: &mut dyn FnMut(BreakGlassRow, u64)) -> Result<(), IdentityError> {
        let mut outcome = Ok(());
        self.rows.scan(Table::BreakGlass, &mut |found| match BreakGlassRow::decode(&found.value) {
            Ok(row) => {
                take(row, found.revision);
                ControlFlow::Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        })?;
        Ok(outcome?)
    }

    /// Records what a review came to. Once: a judgement is not changed.
    ///
    /// # Errors
    /// Roles other than security officer; whoever declared it; a text that is empty or too long; reviewed already; no fresh passkey.
    pub async fn review(
        &self,
        actor: &Actor,
        id: &str,
        outcome: ReviewOutcome,
        text: &str,
    ) -> Result<BreakGlassRow, IdentityError> {
        require_reviewer(actor)?;
        let person = actor.person()?;
        actor.require_fresh()?;
        let text = one_line(text);
        if text.is_empty() || text.len() > PEOPLE_TEXT_BYTES_MAX {
            return Err(IdentityError::Invalid { field: "text", problem: "must be 1 to 2000 bytes" });
        }
        for _ in 0..ATTEMPTS_MAX {
            let found = self.rows.get(Table::BreakGlass, id.as_bytes())?.ok_or(IdentityError::Absent("break-glass"))?;
            let mut row = BreakGlassRow::decode(&found.value)?;
            if row.account == person.as_str() || row.owner == actor.name {
                return Err(IdentityError::OwnAct);
            }
            if row.review.is_some() {
                return Err(IdentityError::State("reviewed already"));
            }
            let now = self.now();
            row.review = Some(BreakGlassReview {
                by: person.as_str().to_owned(),
                at_ms: now.as_ms(),
                outcome,
                text: text.clone(),
            });
            let detail = format!("break-glass {id} reviewed: {}", outcome.as_str());
            let mut entry = actor.entry(now, EventKind::BreakGlassReviewed, detail);
            entry.on_behalf_of = None;
            entry.patient = ResourceType::parse("Patient").zip(ResourceId::parse(&row.patient).ok());
            let write = RowWrite {
                table: Table::BreakGlass,
                name: found.name,
                value: Some(row.encode()?),
                expect: Expect::Revision(found.revision),
            };
            match self.commit(vec![write], vec![entry]).await {
                Err(IdentityError::Conflict) => {}
                other => return other.map(|()| row),
            }
        }
        Err(IdentityError::Conflict)
    }

    /// Tells the security officers and the auditors of each review that is overdue, of an emergency or of a period, once. Gives how many. To be called
    /// now and then.
    ///
    /// # Errors
    /// The store's.
    pub async fn remind_overdue(&self) -> Result<usize, IdentityError> {
        let now = self.now();
        let mut told = 0;
        for open in self.waiting()?.into_iter().filter(|open| open.overdue) {
            told += usize::from(self.tell_overdue(NoticeKind::ReviewOverdue, &open.row.id).await?);
        }
        for review in self.overdue_access_reviews(now)? {
            told += usize::from(self.tell_overdue(NoticeKind::AccessReviewOverdue, &review.id).await?);
        }
        Ok(told)
    }

    /// Tells both roles, unless they were told. Gives whether it did.
    async fn tell_overdue(&self, kind: NoticeKind, about: &str) -> Result<bool, IdentityError> {
        let mut writes = Vec::new();
        for role in [Role::SecurityOfficer, Role::Auditor] {
            let to = NoticeTo::Role(role.as_str().to_owned());
            let mut notice = NoticeRow::new(self.rng.as_ref(), self.now(), to, kind, about, "");
            // A name of its own, so that there is one and no more.
            notice.id = format!("overdue-{about}-{}", role.as_str());
            if self.rows.get(Table::Notices, notice.id.as_bytes())?.is_none() {
                let name = notice.id.clone().into_bytes();
                let value = Some(notice.encode()?);
                writes.push(RowWrite { table: Table::Notices, name, value, expect: Expect::Absent });
            }
        }
        if writes.is_empty() {
            return Ok(false);
        }
        self.commit(writes, Vec::new()).await?;
        Ok(true)
    }
}

fn require_reviewer(actor: &Actor) -> Result<(), IdentityError> {
    if actor.role.may_review() { Ok(()) } else { Err(IdentityError::Role(actor.role)) }
}
