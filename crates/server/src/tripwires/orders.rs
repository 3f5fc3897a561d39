//! Orders to lock that come as a file in the data directory: whoever stands at the machine needs neither the passphrase nor a session for it.
//!
//! The file counts by being there: one that cannot be read locks too, against changes. It locks and never lifts. A server that runs takes it within a
//! second; one that does not run, before it serves.

use super::{is_gone, open_at_once};
use crate::app::Environment;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
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
    /// Puts it into the data directory. Gives its file, for [`LockOrder::in_force`].
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, data: &Path) -> io::Result<File> {
        let unfinished = data.join(UNFINISHED_FILE);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(unfinished, data.join(LOCK_ORDER_FILE))?;
        Ok(file)
    }

    /// The level that is in force since an order was carried out, as whoever took it wrote behind it; none where it could not.
    pub fn in_force(order: &mut File) -> Option<LockdownLevel> {
        let mut text = Vec::new();
        order.seek(SeekFrom::Start(0)).ok()?;
        order.take(ORDER_BYTES_MAX).read_to_end(&mut text).ok()?;
        let mut read = serde_json::Deserializer::from_slice(&text).into_iter::<serde_json::Value>();
        let Answer { in_force } = serde_json::from_value(read.nth(1)?.ok()?).ok()?;
        Some(in_force)
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
        // What stands behind it is an answer that a stop kept from being taken away.
        let read = serde_json::Deserializer::from_slice(&text).into_iter().next().and_then(Result::ok);
        let read = read.filter(|order: &Self| {
            let fits = |text: &str, max| !text.trim().is_empty() && text.len() <= max;
            fits(&order.reason, LOCK_REASON_BYTES_MAX) && fits(&order.by, BY_BYTES_MAX)
        });
        Some(read.unwrap_or_else(any))
    }
}

/// What is written behind an order that was carried out.
#[derive(Serialize, Deserialize)]
struct Answer {
    in_force: LockdownLevel,
}

/// Tells whoever ordered it, and holds the file open, which level is in force: theirs, or a higher one of before.
fn answer(order: &Path, in_force: LockdownLevel) -> io::Result<()> {
    // Neither through a link nor to a file that has another name: somebody could have put one there.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut file = OpenOptions::new().append(true).custom_flags(flags).open(order)?;
    let found = file.metadata()?;
    if !found.is_file() || found.nlink() != 1 || found.len() == 0 {
        return Ok(());
    }
    let mut text = vec![b'\n'];
    text.extend(serde_json::to_vec(&Answer { in_force }).map_err(io::Error::other)?);
    file.write_all(&text)
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
    let lockdown = vault.lock(&caller, order.level, LockdownCause::Machine, &order.reason).await?;
    let order = data.join(LOCK_ORDER_FILE);
    // It is locked either way; who ordered it as somebody else is told that a higher level may be in force.
    let _ = answer(&order, lockdown.level);
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
