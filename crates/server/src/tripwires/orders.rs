//! Orders to lock that come as a file in the data directory: whoever stands at the machine needs neither the passphrase nor a session for it.
//!
//! The file counts by being there: one that cannot be read locks too, against changes. It locks and never lifts. A server that runs takes it within a
//! second; one that does not run, before it serves.

use super::{is_gone, open_at_once};
use crate::app::Environment;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_types::{OperationId, Role};
use tacet_vault::{Caller, LOCK_REASON_BYTES_MAX, LockdownCause, LockdownLevel, Vault, VaultError};

/// Name of the file in the data directory.
pub const LOCK_ORDER_FILE: &str = "lockdown";

/// Its name while it is written.
const UNFINISHED_FILE: &str = "lockdown.new";

/// Longest file that is read, in bytes.
const ORDER_BYTES_MAX: u64 = 4096;

/// Longest name of whoever orders it, in bytes.
const BY_BYTES_MAX: usize = 100;

/// An order to lock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockOrder {
    /// How much is to be locked.
    pub level: LockdownLevel,
    /// Why.
    pub reason: String,
    /// Who runs the command.
    pub by: String,
}

impl LockOrder {
    /// Puts it into the data directory.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, data: &Path) -> io::Result<()> {
        let unfinished = data.join(UNFINISHED_FILE);
        let mut file = File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(unfinished, data.join(LOCK_ORDER_FILE))
    }

    /// The order that waits in a data directory.
    fn waiting(data: &Path) -> Option<Self> {
        let any = || Self {
            level: LockdownLevel::ReadOnly,
            reason: "a file `lockdown` was put into the data directory".to_owned(),
            by: "whoever put the file there".to_owned(),
        };
        let mut text = Vec::new();
        match open_at_once(&data.join(LOCK_ORDER_FILE)).map(|file| file.take(ORDER_BYTES_MAX).read_to_end(&mut text)) {
            Err(error) if is_gone(&error) => return None,
            Ok(Ok(_)) => {}
            // Something is there: that is enough.
            _ => return Some(any()),
        }
        let read = serde_json::from_slice(&text).ok().filter(|order: &Self| {
            let fits = |text: &str, max| !text.trim().is_empty() && text.len() <= max;
            fits(&order.reason, LOCK_REASON_BYTES_MAX) && fits(&order.by, BY_BYTES_MAX)
        });
        Some(read.unwrap_or_else(any))
    }
}

/// The file of an order that was carried out and cannot be taken away. It counts once, until it is changed or the program starts again: otherwise no lift would last.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Stuck(Option<(u64, u64, i64, i64)>);

impl Stuck {
    /// The file that is there now: which one, and when it was changed last.
    fn at(path: &Path) -> Self {
        let found = std::fs::symlink_metadata(path).ok();
        Self(found.map(|found| (found.dev(), found.ino(), found.ctime(), found.ctime_nsec())))
    }
}

/// Carries out the order that waits, if there is one, and takes its file away. `stuck`: what could not be taken away before.
///
/// # Errors
/// The store's. The file stays then.
pub(super) async fn take(
    vault: &Vault,
    data: &Path,
    environment: &Environment,
    stuck: &mut Stuck,
) -> Result<(), VaultError> {
    // Before it is read: one that is put in its place meanwhile is another one.
    let seen = Stuck::at(&data.join(LOCK_ORDER_FILE));
    if seen.0.is_some() && seen == *stuck {
        return Ok(());
    }
    let Some(order) = LockOrder::waiting(data) else { return Ok(()) };
    let origin = Origin { address: None, channel: Channel::CommandLine };
    let operation = OperationId::random(&*environment.rng);
    let caller = Caller::new(order.by, Role::Operator, PurposeOfUse::SystemAdministration, origin, operation);
    vault.lock(&caller, order.level, LockdownCause::Machine, &order.reason).await?;
    let order = data.join(LOCK_ORDER_FILE);
    if let Err(error) = std::fs::remove_file(&order).or_else(|_| std::fs::remove_dir(&order)) {
        tracing::error!(kind = ?error.kind(), "the file `lockdown` cannot be taken away: remove it, or it locks again at the next start");
        *stuck = seen;
    }
    Ok(())
}

/// As the watcher does it, for a command that opens the store. May block.
///
/// # Errors
/// The store's. The file stays then.
pub async fn take_lock_order(vault: &Vault, data: &Path, environment: &Environment) -> Result<(), VaultError> {
    take(vault, data, environment, &mut Stuck::default()).await
}
