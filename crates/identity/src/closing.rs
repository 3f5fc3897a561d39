//! Accounts that are closed by rule: who left, who never came, who has not been here for long.

use crate::account::{Account, State};
use crate::id::AccountId;
use crate::{Actor, Identity, IdentityError};
use tacet_types::Timestamp;

/// How long a supplier's account is kept after its last window, in milliseconds: 90 days.
const SUPPLIER_KEPT_MS: i64 = 90 * 86_400_000;

/// Why an account is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhyDue {
    /// The person's end has come.
    Left,
    /// Nobody logged in for the time that the settings name.
    Dormant,
    /// Nobody enrolled a passkey within the time that the settings name.
    NeverEnrolled,
    /// A supplier's, and the last window is long over.
    SupplierDone,
}

impl WhyDue {
    /// In words, for the entry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "the person has left",
            Self::Dormant => "not used for long",
            Self::NeverEnrolled => "nobody enrolled a passkey in time",
            Self::SupplierDone => "the supplier's last window is long over",
        }
    }
}

/// An account that is due for closing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Which.
    pub account: AccountId,
    /// Why.
    pub why: WhyDue,
}

impl Identity {
    /// The accounts that are due for closing at `now`.
    ///
    /// # Errors
    /// The store's.
    pub fn due_for_closing(&self, now: Timestamp) -> Result<Vec<Due>, IdentityError> {
        let accounts = self.accounts()?;
        let due = |account: Account| self.why_due(&account, now).map(|why| Due { account: account.id, why });
        Ok(accounts.into_iter().filter_map(due).collect())
    }

    fn why_due(&self, account: &Account, now: Timestamp) -> Option<WhyDue> {
        let past = |since_ms: i64, length_ms: i64| now.as_ms() >= since_ms.saturating_add(length_ms);
        if account.state == State::Closed {
            return None;
        }
        if account.ends_ms.is_some_and(|end| now.as_ms() >= end) {
            return Some(WhyDue::Left);
        }
        if account.supplier {
            let last = account.window.map_or(account.created_ms, |window| window.until_ms);
            return past(last, SUPPLIER_KEPT_MS).then_some(WhyDue::SupplierDone);
        }
        // A recovery or a role begins the time anew.
        let since = account.used_ms.unwrap_or(account.created_ms).max(account.changed_ms);
        match account.state {
            State::Pending => past(since, self.settings.never_enrolled_ms).then_some(WhyDue::NeverEnrolled),
            _ => past(since, self.settings.dormant_ms).then_some(WhyDue::Dormant),
        }
    }

    /// Closes what is due. Gives what it closed. To be called once a day, by the program itself.
    ///
    /// # Errors
    /// The store's. What was closed before stays closed.
    pub async fn close_due(&self, actor: &Actor) -> Result<Vec<Due>, IdentityError> {
        let due = self.due_for_closing(self.now())?;
        let mut closed = Vec::new();
        for due in due {
            match self.close_by(actor, &due.account, due.why.as_str()).await {
                Ok(_) => closed.push(due),
                Err(IdentityError::State(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(closed)
    }
}
