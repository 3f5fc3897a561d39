//! Judging the items of a review, and closing it.

use super::keep::{may_judge, require_reader};
use super::{
    AccessReview, CHUNK_ITEMS, ItemJudged, ItemOutcome, REVIEW_COMMENT_BYTES_MAX, ReviewClosed, ReviewItem,
    ReviewState, Reviewer, chunk_name,
};
use crate::account::{State, invalid};
use crate::error::IdentityError;
use crate::rows::put;
use crate::{ATTEMPTS_MAX, Actor, Identity};
use std::collections::BTreeMap;
use tacet_ledger::noted::Expect;
use tacet_ledger::{Channel, EventKind, one_line};
use tacet_types::{ResourceId, ResourceType};

impl Identity {
    /// Says what an item came to. Once, except for what is to be asked.
    ///
    /// # Errors
    /// Somebody other than the reviewer, or about themselves; no fresh passkey; a remark that is empty or too long; judged already; closed.
    pub async fn judge_access(
        &self,
        actor: &Actor,
        id: &str,
        number: usize,
        outcome: ItemOutcome,
        comment: &str,
    ) -> Result<ReviewItem, IdentityError> {
        let comment = checked(comment)?;
        for _ in 0..ATTEMPTS_MAX {
            let review = self.kept_access_review(id)?.ok_or(IdentityError::Absent("review"))?;
            require_reader(actor)?;
            if number >= review.row.items {
                return Err(IdentityError::Absent("item"));
            }
            let chunk = number / CHUNK_ITEMS;
            let mut kept = self.kept_items(id, chunk)?;
            let item = kept.row.items.get_mut(number % CHUNK_ITEMS).ok_or(IdentityError::Row("access reviews"))?;
            let by = self.judge(actor, &review.row, Some(item))?;
            let asked = item.judged.as_ref().is_some_and(|judged| judged.outcome == ItemOutcome::ToBeAsked);
            match review.row.state {
                ReviewState::Preparing => return Err(IdentityError::Review("being prepared")),
                ReviewState::Closed if !asked => return Err(IdentityError::Review("closed")),
                _ => {}
            }
            if item.judged.is_some() && !asked {
                return Err(IdentityError::Review("judged already in this item"));
            }
            let now = self.now();
            item.judged = Some(ItemJudged { by, at_ms: now.as_ms(), outcome, comment: comment.clone() });
            let judged = item.clone();
            let detail = format!("access review {id}, item {number}, {}: {}", item.section.as_str(), outcome.as_str());
            let mut entry = actor.entry(now, EventKind::AccessReview, detail);
            entry.patient = judged.patient.as_deref().and_then(reference);
            // The review as it is goes along, so that it is not closed between the two.
            let writes = vec![
                put(id.as_bytes(), &review.row, Expect::Revision(review.revision))?,
                put(&chunk_name(id, chunk), &kept.row, Expect::Revision(kept.revision))?,
            ];
            match self.commit(writes, vec![entry]).await {
                Err(IdentityError::Conflict) => {}
                other => return other.map(|()| judged),
            }
        }
        Err(IdentityError::Conflict)
    }

    /// Closes a review of which every item was judged, or gives up one that was begun and never prepared.
    ///
    /// # Errors
    /// Somebody other than the reviewer; no fresh passkey; a text that is empty or too long; items without judgement; closed already.
    pub async fn close_access_review(
        &self,
        actor: &Actor,
        id: &str,
        text: &str,
    ) -> Result<AccessReview, IdentityError> {
        let text = checked(text)?;
        for _ in 0..ATTEMPTS_MAX {
            let kept = self.kept_access_review(id)?.ok_or(IdentityError::Absent("review"))?;
            let (mut review, revision) = (kept.row, kept.revision);
            let by = self.judge(actor, &review, None)?;
            match review.state {
                // One that cannot be prepared, because it holds too much, is given up so, and stays in the list.
                ReviewState::Open | ReviewState::Preparing => {}
                ReviewState::Closed => return Err(IdentityError::Review("closed")),
            }
            let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
            if review.state == ReviewState::Preparing {
                outcomes.insert("given-up".to_owned(), 1);
            }
            let mut left = 0;
            for chunk in 0..review.items.div_ceil(CHUNK_ITEMS) {
                for item in self.kept_items(id, chunk)?.row.items {
                    match item.judged {
                        Some(judged) => *outcomes.entry(judged.outcome.as_str().to_owned()).or_insert(0) += 1,
                        None => left += 1,
                    }
                }
            }
            if left > 0 {
                return Err(IdentityError::Unjudged(left));
            }
            let now = self.now();
            let told: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
            let told = if told.is_empty() { "nothing to judge".to_owned() } else { told.join(", ") };
            let detail = format!("access review {id} of {} closed: {told}", review.terms.words());
            review.state = ReviewState::Closed;
            review.closed = Some(ReviewClosed { by, at_ms: now.as_ms(), text: text.clone(), outcomes });
            let write = put(id.as_bytes(), &review, Expect::Revision(revision))?;
            match self.commit(vec![write], vec![actor.entry(now, EventKind::AccessReview, detail)]).await {
                Err(IdentityError::Conflict) => {}
                other => return other.map(|()| review),
            }
        }
        Err(IdentityError::Conflict)
    }

    /// Who judges this here, if they may: the reviewer; what is about the reviewer, and what a reviewer left who has no account any more, another who may
    /// review.
    fn judge(
        &self,
        actor: &Actor,
        review: &AccessReview,
        item: Option<&ReviewItem>,
    ) -> Result<Reviewer, IdentityError> {
        require_reader(actor)?;
        let own = Reviewer { account: actor.account.clone(), name: actor.name.clone() };
        if actor.account.is_some() {
            actor.require_fresh()?;
        } else if actor.origin.channel != Channel::CommandLine {
            return Err(IdentityError::Role(actor.role));
        }
        if item.is_some_and(|item| item.is_about(&own)) {
            return Err(IdentityError::OwnAct);
        }
        if own == review.reviewer {
            return Ok(own);
        }
        let about_reviewer = item.is_some_and(|item| item.is_about(&review.reviewer));
        let left = match &review.reviewer.account {
            Some(account) => {
                self.account(account)?.is_none_or(|account| account.state == State::Closed || !may_judge(account.role))
            }
            // Named at the command line, before there were accounts.
            None => true,
        };
        if actor.account.is_some() && (about_reviewer || left) { Ok(own) } else { Err(IdentityError::NotReviewer) }
    }
}

fn reference(text: &str) -> Option<(ResourceType, ResourceId)> {
    let (kind, id) = text.split_once('/')?;
    ResourceType::parse(kind).zip(ResourceId::parse(id).ok())
}

/// A remark, as it is kept.
fn checked(text: &str) -> Result<String, IdentityError> {
    let text = one_line(text);
    if text.is_empty() || text.len() > REVIEW_COMMENT_BYTES_MAX {
        return Err(invalid("text", "must be 1 to 1000 bytes"));
    }
    Ok(text)
}
