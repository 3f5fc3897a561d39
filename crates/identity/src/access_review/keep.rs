//! Preparing a review, listing reviews, reading one.

use super::gather::Standing;
use super::{
    ACCESS_REVIEWS_MAX, AccessReview, CHUNK_ITEMS, Chunk, Gathering, REVIEW_DUE_MS_MAX, ReviewItem, ReviewState,
    Reviewer, Terms, chunk_name,
};
use crate::account::{Account, invalid};
use crate::error::IdentityError;
use crate::id::AccountId;
use crate::passkey::PasskeyRow;
use crate::rows::{Kept, each, get, put};
use crate::{Actor, Identity};
use std::collections::BTreeMap;
use tacet_ledger::noted::{Expect, RowWrite, Table};
use tacet_ledger::people::{NoticeKind, NoticeRow, NoticeTo};
use tacet_ledger::{Channel, EventKind, PurposeOfUse};
use tacet_types::{Role, Timestamp};

/// Rows of items written at once.
const CHUNKS_AT_ONCE: usize = 200;

impl Identity {
    /// Begins a review, or begins again to prepare one that was begun and not finished: with the seed that it has. `reviewer` is a login or the id of an
    /// account. Entries of the period are to be given to [`Identity::gathering`] next, all of them.
    ///
    /// # Errors
    /// A role that does not read the ledger; no fresh passkey; terms, a reviewer or a time that do not hold; prepared already.
    pub async fn begin_access_review(
        &self,
        actor: &Actor,
        terms: Terms,
        reviewer: &str,
        due: Timestamp,
    ) -> Result<AccessReview, IdentityError> {
        require_reader(actor)?;
        if actor.account.is_some() {
            actor.require_fresh()?;
        }
        let now = self.now();
        terms.check(now)?;
        if due <= now || due.as_ms().saturating_sub(now.as_ms()) > REVIEW_DUE_MS_MAX {
            return Err(invalid("due", "must be within the next 120 days"));
        }
        let reviewer = self.reviewer(actor, reviewer)?;
        let id = terms.id();
        let kept = self.kept_access_review(&id)?;
        let (mut review, expect) = match kept {
            Some(kept) if kept.row.state != ReviewState::Preparing => {
                return Err(IdentityError::Exists("a review of this period and scope"));
            }
            Some(kept) => (kept.row, Expect::Revision(kept.revision)),
            None => {
                self.refuse_more()?;
                let review = AccessReview {
                    id,
                    terms,
                    seed: self.random_hex(),
                    attempt: String::new(),
                    state: ReviewState::Preparing,
                    reviewer: reviewer.clone(),
                    prepared_by: String::new(),
                    prepared_ms: now.as_ms(),
                    due_ms: 0,
                    items: 0,
                    sections: BTreeMap::new(),
                    accesses: 0,
                    machine_accesses: 0,
                    untold: 0,
                    closed: None,
                };
                (review, Expect::Absent)
            }
        };
        review.attempt = self.random_hex();
        review.reviewer = reviewer;
        review.due_ms = due.as_ms();
        actor.name.clone_into(&mut review.prepared_by);
        let detail = format!(
            "access review {} of {} begun, rule {}, seed {}",
            review.id,
            review.terms.words(),
            review.terms.rule.as_str(),
            review.seed
        );
        let entry = actor.entry(now, EventKind::AccessReview, detail);
        self.commit(vec![put(review.id.as_bytes(), &review, expect)?], vec![entry]).await?;
        Ok(review)
    }

    fn random_hex(&self) -> String {
        let mut bytes = [0_u8; 32];
        self.rng.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn refuse_more(&self) -> Result<(), IdentityError> {
        let mut reviews = 0;
        each(self.rows.as_ref(), &mut |_, _: Kept<AccessReview>| reviews += 1)?;
        if reviews >= ACCESS_REVIEWS_MAX {
            return Err(IdentityError::Invalid { field: "reviews", problem: "are 10,000, and no more are kept" });
        }
        Ok(())
    }

    /// Who judges: an account that may, or who stands at the command line while no such account can log in.
    fn reviewer(&self, actor: &Actor, named: &str) -> Result<Reviewer, IdentityError> {
        let by_id = AccountId::parse(named).map(|id| self.account(&id)).transpose()?.flatten();
        let account = match by_id {
            Some(account) => Some(account),
            None => self.account_by_login(named)?,
        };
        let now = self.now();
        let able = |account: &Account| may_judge(account.role) && account.usable(now) && account.passkeys() > 0;
        match account {
            Some(account) if able(&account) => Ok(Reviewer { name: account.login, account: Some(account.id) }),
            Some(_) => Err(invalid("reviewer", "must be a security officer or an auditor who can log in")),
            None if actor.origin.channel != Channel::CommandLine || self.accounts()?.iter().any(able) => {
                Err(invalid("reviewer", "must be the login or the id of a security officer's or auditor's account"))
            }
            None if named.trim().is_empty() || named.len() > tacet_ledger::OWNER_BYTES_MAX => {
                Err(invalid("reviewer", "must be 1 to 256 bytes"))
            }
            None => Ok(Reviewer { account: None, name: named.to_owned() }),
        }
    }

    /// What takes in the entries of a review's period.
    ///
    /// # Errors
    /// The store's.
    pub fn gathering(&self, review: &AccessReview) -> Result<Gathering, IdentityError> {
        let mut declared = Vec::new();
        self.each_break_glass(&mut |row, _| declared.push(row))?;
        Gathering::new(review, declared)
    }

    /// Writes the items of a review that [`Identity::begin_access_review`] began, and tells the reviewer.
    ///
    /// # Errors
    /// Somebody else began to prepare it meanwhile; the reviewer is one of those whose accesses are reviewed; there are too many items.
    pub async fn finish_access_review(
        &self,
        actor: &Actor,
        begun: &AccessReview,
        gathering: Gathering,
    ) -> Result<AccessReview, IdentityError> {
        require_reader(actor)?;
        let now = self.now();
        let mut unused_passkeys = Vec::new();
        each(self.rows.as_ref(), &mut |_, kept: Kept<PasskeyRow>| {
            if kept.row.used_ms.is_none() {
                unused_passkeys.push((kept.row.account.as_str().to_owned(), kept.row.added_ms));
            }
        })?;
        let standing = Standing { accounts: self.accounts()?, unused_passkeys };
        let (accesses, machine_accesses, untold) = gathering.counts();
        let items = gathering.items(&standing, now)?;
        if items.iter().any(|item| item.is_access() && item.is_about(&begun.reviewer)) {
            return Err(invalid("reviewer", "is one of those whose accesses are reviewed: name another"));
        }
        let mut review = AccessReview { items: items.len(), accesses, machine_accesses, untold, ..begun.clone() };
        review.sections.clear();
        for item in &items {
            *review.sections.entry(item.section.as_str().to_owned()).or_insert(0) += 1;
        }
        let rows: Vec<Chunk> = items.chunks(CHUNK_ITEMS).map(|items| Chunk { items: items.to_vec() }).collect();
        for (batch, chunks) in rows.chunks(CHUNKS_AT_ONCE).enumerate() {
            let mut writes = vec![self.while_preparing(begun, begun)?];
            for (place, chunk) in chunks.iter().enumerate() {
                let name = chunk_name(&begun.id, batch * CHUNKS_AT_ONCE + place);
                writes.push(put(&name, chunk, Expect::Anything)?);
            }
            self.commit(writes, Vec::new()).await?;
        }
        review.state = ReviewState::Open;
        let mut writes = vec![self.while_preparing(begun, &review)?];
        if let Some(account) = &review.reviewer.account {
            let to = NoticeTo::Account(account.as_str().to_owned());
            let text = format!("until {}", Timestamp::from_ms(review.due_ms));
            let kind = NoticeKind::AccessReviewAssigned;
            let notice = NoticeRow::new(self.rng.as_ref(), now, to, kind, &review.id, &text);
            let (name, value) = (notice.id.clone().into_bytes(), Some(notice.encode()?));
            writes.push(RowWrite { table: Table::Notices, name, value, expect: Expect::Absent });
        }
        let detail = format!(
            "access review {} of {} prepared: {} items, {} entries that nobody can read, given to {} until {}",
            review.id,
            review.terms.words(),
            review.items,
            review.untold,
            review.reviewer.name,
            Timestamp::from_ms(review.due_ms)
        );
        self.commit(writes, vec![actor.entry(now, EventKind::AccessReview, detail)]).await?;
        Ok(review)
    }

    /// The write of a review, which holds only while the same attempt is preparing it: else two attempts could mix their items, or one write over
    /// what was judged.
    fn while_preparing(&self, begun: &AccessReview, review: &AccessReview) -> Result<RowWrite, IdentityError> {
        let kept = self.kept_access_review(&begun.id)?.ok_or(IdentityError::Absent("review"))?;
        if kept.row.state != ReviewState::Preparing || kept.row.attempt != begun.attempt {
            return Err(IdentityError::Conflict);
        }
        put(begun.id.as_bytes(), review, Expect::Revision(kept.revision))
    }

    pub(super) fn kept_access_review(&self, id: &str) -> Result<Option<Kept<AccessReview>>, IdentityError> {
        get(self.rows.as_ref(), id.as_bytes())
    }

    pub(super) fn kept_items(&self, id: &str, chunk: usize) -> Result<Kept<Chunk>, IdentityError> {
        get(self.rows.as_ref(), &chunk_name(id, chunk))?.ok_or(IdentityError::Row("access reviews"))
    }

    /// Every review, the newest period first. They name nobody but the reviewer.
    ///
    /// # Errors
    /// A role that does not read the ledger.
    pub fn access_reviews(&self, actor: &Actor) -> Result<Vec<AccessReview>, IdentityError> {
        require_reader(actor)?;
        let mut reviews = Vec::new();
        each(self.rows.as_ref(), &mut |_, kept: Kept<AccessReview>| reviews.push(kept.row))?;
        reviews.sort_by(|a, b| (b.terms.to_ms, b.prepared_ms, &b.id).cmp(&(a.terms.to_ms, a.prepared_ms, &a.id)));
        Ok(reviews)
    }

    /// A review and its items, by their numbers from 0. Who looks is in the ledger first: it tells who saw whose record.
    ///
    /// # Errors
    /// A role that does not read the ledger; there is none, or it is being prepared.
    pub async fn access_review(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<(AccessReview, Vec<ReviewItem>), IdentityError> {
        require_reader(actor)?;
        let review = self.kept_access_review(id)?.ok_or(IdentityError::Absent("review"))?.row;
        if review.state == ReviewState::Preparing {
            return Err(IdentityError::Review("being prepared: ask for it again where that was interrupted"));
        }
        let mut entry = actor.entry(self.now(), EventKind::LedgerAccess, format!("access review {id} read"));
        entry.purpose = PurposeOfUse::Compliance;
        self.commit(Vec::new(), vec![entry]).await?;
        let mut items = Vec::with_capacity(review.items);
        for chunk in 0..review.items.div_ceil(CHUNK_ITEMS) {
            items.extend(self.kept_items(id, chunk)?.row.items);
        }
        Ok((review, items))
    }

    /// The reviews that should have been closed and were not.
    pub(crate) fn overdue_access_reviews(&self, now: Timestamp) -> Result<Vec<AccessReview>, IdentityError> {
        let mut overdue = Vec::new();
        each(self.rows.as_ref(), &mut |_, kept: Kept<AccessReview>| {
            if kept.row.overdue(now) {
                overdue.push(kept.row);
            }
        })?;
        Ok(overdue)
    }
}

/// Whether a role may judge what a review holds: it sees no record, and keeps neither accounts nor the machine.
pub(super) fn may_judge(role: Role) -> bool {
    role.may_review() || role.may_read_ledger()
}

pub(super) fn require_reader(actor: &Actor) -> Result<(), IdentityError> {
    if may_judge(actor.role) { Ok(()) } else { Err(IdentityError::Role(actor.role)) }
}
