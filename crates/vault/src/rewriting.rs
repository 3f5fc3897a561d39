//! Who is told how many records a caller changes or deletes: for counting only, after the commit.

use crate::caller::Caller;
use crate::vault::{Inner, Vault};
use std::sync::OnceLock;

type Listener = Box<dyn Fn(&str, u64) + Send + Sync>;

/// Who is told.
#[derive(Default)]
pub(crate) struct Rewriting(OnceLock<Listener>);

impl Inner {
    /// A commit of this caller changed or deleted so many records that there were.
    pub(crate) fn rewritten(&self, caller: &Caller, records: u64) {
        if let Some(listener) = self.rewriting.0.get().filter(|_| records > 0) {
            let credential = caller.account.as_deref().or(caller.token.as_deref());
            listener(credential.unwrap_or("the machine"), records);
        }
    }
}

impl Vault {
    /// Has somebody told, after each commit, which account or token changed or deleted how many records that there were. Must be quick. The first call
    /// stays.
    pub fn watch_rewriting(&self, listener: impl Fn(&str, u64) + Send + Sync + 'static) {
        let _ = self.0.rewriting.0.set(Box::new(listener));
    }
}
