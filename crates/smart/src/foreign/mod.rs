//! Login of people at another provider.

use serde::{Deserialize, Serialize};

/// x
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LoginRow {
    pub(crate) expires_ms: i64,
}
