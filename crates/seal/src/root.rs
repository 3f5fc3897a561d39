//! Root keys and the file that they live in, sealed by a passphrase and by recovery shares.
//!
//! Written to the byte in `docs/formats/root-key.md`. This is the one part of the crate that touches the disk: the file
//! is small, rare and must never be lost, so how it is written is part of what it is.

mod error;
mod file;
mod format;
mod keys;
mod passphrase;
mod recovery;
mod shares;
mod storage;

pub use error::RootError;
pub use file::{RootFile, RootInfo};
pub use keys::RootKeys;
pub use passphrase::{PASSPHRASE_CHARACTERS_MIN, PassphraseCost};
pub use recovery::RecoveryPart;
pub use shares::{RecoveryShare, Split};
