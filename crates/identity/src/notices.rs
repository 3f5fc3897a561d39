//! Notices to people: listing them, marking them as seen.

use crate::{ATTEMPTS_MAX, Actor, Identity, IdentityError};
use std::ops::ControlFlow;
use tacet_ledger::noted::{Expect, RowWrite, Table};
use tacet_ledger::people::{NoticeRow, NoticeTo, SEEN_MAX, Seen};
use tacet_types::{ResourceId, Role};

/// Most notices that a listing gives, newest first.
pub const NOTICES_LISTED_MAX: usize = 500;

impl Identity {
    /// The newest notices for this actor: for the role, for the account. Only those not seen by them, if asked so.
    ///
    /// # Errors
    /// The store's.
    pub fn notices(&self, actor: &Actor, unseen: bool) -> Result<Vec<NoticeRow>, IdentityError> {
        self.listed_notices(|notice| {
            let seen = actor.account.as_ref().is_some_and(|by| notice.seen.iter().any(|seen| seen.by == by.as_str()));
            is_for(notice, actor) && !(unseen && seen)
        })
    }

    /// The newest notices for the record of this patient: to be shown to the patient.
    ///
    /// # Errors
    /// The store's.
    pub fn notices_of_patient(&self, patient: &ResourceId) -> Result<Vec<NoticeRow>, IdentityError> {
        self.listed_notices(|notice| matches!(&notice.to, NoticeTo::Patient(id) if id == patient.as_str()))
    }

    fn listed_notices(&self, mut wanted: impl FnMut(&NoticeRow) -> bool) -> Result<Vec<NoticeRow>, IdentityError> {
        let (mut notices, mut outcome) = (Vec::new(), Ok(()));
        self.rows.scan(Table::Notices, &mut |row| match NoticeRow::decode(&row.value) {
            Ok(notice) => {
                if wanted(&notice) {
                    notices.push(notice);
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        })?;
        outcome?;
        notices.sort_by(|a, b| (b.at_ms, &b.id).cmp(&(a.at_ms, &a.id)));
        notices.truncate(NOTICES_LISTED_MAX);
        Ok(notices)
    }

    /// Marks a notice as seen by this actor.
    ///
    /// # Errors
    /// A notice for others, or none.
    pub async fn mark_seen(&self, actor: &Actor, id: &str) -> Result<NoticeRow, IdentityError> {
        let by = actor.person()?.as_str().to_owned();
        for _ in 0..ATTEMPTS_MAX {
            let kept = self.rows.get(Table::Notices, id.as_bytes())?.ok_or(IdentityError::Absent("notice"))?;
            let mut notice = NoticeRow::decode(&kept.value)?;
            if !is_for(&notice, actor) {
                return Err(IdentityError::Absent("notice"));
            }
            if notice.seen.iter().any(|seen| seen.by == by) || notice.seen.len() >= SEEN_MAX {
                return Ok(notice);
            }
            notice.seen.push(Seen { by: by.clone(), at_ms: self.now().as_ms() });
            let write = RowWrite {
                table: Table::Notices,
                name: kept.name,
                value: Some(notice.encode()?),
                expect: Expect::Revision(kept.revision),
            };
            match self.commit(vec![write], Vec::new()).await {
                Err(IdentityError::Conflict) => {}
                other => return other.map(|()| notice),
            }
        }
        Err(IdentityError::Conflict)
    }
}

fn is_for(notice: &NoticeRow, actor: &Actor) -> bool {
    match &notice.to {
        NoticeTo::Role(role) => Role::parse(role) == Some(actor.role),
        NoticeTo::Account(id) => actor.account.as_ref().is_some_and(|own| own.as_str() == id),
        NoticeTo::Patient(_) => false,
    }
}
