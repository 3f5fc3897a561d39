//! Places for backups: a folder, another machine over SSH, a bucket of an S3-compatible store. Each holds to the one trait
//! [`Target`]: it adds, reads and lists, and its credential can do nothing else. Removing is [`Prunable`], opened apart and with another credential.
//!
//! | place | what keeps what is there | from whom |
//! |---|---|---|
//! | [`Folder`] | files that are never written again, read-only | mistakes; not whoever owns the files |
//! | [`Ssh`] | the program at the other end ([`receive`]) knows no other request | whoever has this machine and its key |
//! | `S3` | conditional writes, rights without deletion, object lock | whoever has this machine and its credential, with a lock its owner too |

mod apart;
mod folder;
pub mod frames;
mod receive;
mod s3;
mod settings;
mod ssh;
#[cfg(test)]
mod tests;

pub use folder::Folder;
pub use receive::{Receive, ReceiveError, receive};
pub use s3::{Attempt, S3};
pub use settings::{Lock, S3Settings, SshSettings, TargetSettings};
pub use ssh::Ssh;

use crate::target::{Prunable, Target, TargetError};
use std::sync::Arc;
use tacet_types::{Clock, Rng};

/// Largest object in bytes: what one call takes, sends or gives. Segments are far smaller; the manifest of a hundred terabytes is not.
pub const OBJECT_BYTES_MAX: u64 = 256 << 20;

/// Opens a target with the credential that can only add. Nothing is written; other machines are asked for nothing before the first call.
///
/// # Errors
/// [`TargetError::Settings`] where the settings cannot be right, [`TargetError::Unavailable`] where a folder or a file that they name is not there.
pub fn open(
    settings: &TargetSettings,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
) -> Result<Box<dyn Target>, TargetError> {
    Ok(match settings {
        TargetSettings::Folder { path } => Box::new(Folder::open(path, clock, rng)?),
        TargetSettings::Ssh(settings) => Box::new(Ssh::new(settings)?),
        TargetSettings::S3(settings) => Box::new(S3::new(settings)?),
    })
}

/// Opens a target with a credential that may remove: for pruning, elsewhere.
///
/// # Errors
/// Those of [`open`].
pub fn open_prunable(
    settings: &TargetSettings,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
) -> Result<Box<dyn Prunable>, TargetError> {
    Ok(match settings {
        TargetSettings::Folder { path } => Box::new(Folder::open(path, clock, rng)?),
        TargetSettings::Ssh(settings) => Box::new(Ssh::new(settings)?),
        TargetSettings::S3(settings) => Box::new(S3::new(settings)?),
    })
}

fn too_large(bytes: u64) -> TargetError {
    TargetError::Settings(format!(
        "an object of {bytes} bytes is larger than the {OBJECT_BYTES_MAX} that a target takes"
    ))
}
