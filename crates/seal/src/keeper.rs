//! The key keeper: the one place that holds root keys, and so the one that every data key must be asked of.
//!
//! It wraps and unwraps keys, counts what it unwraps and for whom, and does so at a bounded rate, so that even root on
//! the server empties the store slowly and visibly. It holds no rows and reads none.

mod in_process;
mod rate;
mod wrapped;

pub use in_process::InProcessKeeper;
pub use rate::KeeperLimits;
pub use wrapped::{WRAPPED_KEY_BYTES, WrappedKey};

use crate::key::Key;
use tacet_types::OperationId;

/// What an unwrapped key is for. Each unwrap is counted under one of these, to be compared with the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnBehalf {
    /// A disclosure: the ledger entry of this index is durable.
    LedgerEntry(u64),
    /// A write to records that exist.
    Write(OperationId),
    /// The start of the server: the establishment key.
    Start,
    /// Work on the whole store, such as a check or a rebuild; the text names it.
    Maintenance(&'static str),
}

/// How many keys were unwrapped since the keeper started, by reason. Keys, not requests.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct UnwrapCounts {
    /// For disclosures.
    pub ledger_entries: u64,
    /// For writes.
    pub writes: u64,
    /// For the start.
    pub starts: u64,
    /// For work on the whole store.
    pub maintenance: u64,
    /// Refused because the rate was exceeded.
    pub refused: u64,
    /// Did not open: a damaged or foreign wrapped key.
    pub failed: u64,
}

impl UnwrapCounts {
    /// Keys that left the keeper.
    pub fn unwrapped(&self) -> u64 {
        [self.writes, self.starts, self.maintenance].into_iter().fold(self.ledger_entries, u64::saturating_add)
    }
}

/// Why a keeper did not do as asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeeperError {
    /// The bound on unwraps is reached.
    #[error("the key keeper's rate is exceeded; try again in {retry_after_ms} ms")]
    RateExceeded {
        /// Milliseconds until one more key can be had.
        retry_after_ms: u64,
    },
    /// Another root key, another context, or altered bytes.
    #[error("wrapped key does not open: it was altered or moved, or it is of another store; run `tacet check`")]
    NotAuthentic,
    /// Wrapped under a root key that this keeper does not hold.
    #[error(
        "wrapped key is of root key generation {found}, which this keeper does not hold; is this the right root key file?"
    )]
    UnknownGeneration {
        /// The generation named by the wrapped key.
        found: u32,
    },
    /// Not the shape of a wrapped key.
    #[error("wrapped key is malformed: {bytes} bytes; run `tacet check`")]
    Malformed {
        /// Bytes found.
        bytes: usize,
    },
    /// The keys were locked: none is had until the store is opened anew.
    #[error("the keys are locked; lift the lockdown, then open the store again")]
    Locked,
    /// The keeper cannot be reached or has stopped. (The one in the process never says this.)
    #[error("the key keeper is not available; check that it runs")]
    Unavailable,
}

/// Holds the root key and lends its use. `context` says what the wrapped key is for (for example the patient it belongs
/// to); a key wrapped for one context does not unwrap for another.
pub trait KeyKeeper: Send + Sync {
    /// Wraps a key under the newest root key.
    fn wrap(&self, key: &Key, context: &[u8]) -> Result<WrappedKey, KeeperError>;

    /// Unwraps a key: counted under `on_behalf`, and refused beyond the rate.
    fn unwrap(&self, wrapped: &WrappedKey, context: &[u8], on_behalf: OnBehalf) -> Result<Key, KeeperError>;

    /// Wraps again under the newest root key, for rotation. `None` where it already is. The key does not leave the
    /// keeper, so this neither counts as an unwrap nor is bounded.
    fn rewrap(&self, wrapped: &WrappedKey, context: &[u8]) -> Result<Option<WrappedKey>, KeeperError>;

    /// What was unwrapped since the keeper started.
    fn counts(&self) -> UnwrapCounts;

    /// The newest root key's generation.
    fn generation(&self) -> u32;
}
