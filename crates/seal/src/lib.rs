//! Keys and seals: what makes a stored byte unreadable without its key, and a moved row unreadable even with it.
//!
//! ```text
//!  passphrase ──argon2id──┐
//!                         ├─ open ─> root key file ─> root keys (by generation) ── held by the KeyKeeper
//!  recovery shares, k of n┘                                │ wraps
//!                                       ┌──────────────────┴────────────────┐
//!                              establishment key                    one data key per patient
//!                                       │ HKDF                              │
//!                    row keys, and a sealer for each purpose        seals the patient's content
//! ```
//!
//! What it is: [`seal()`] and [`open()`] with their envelope (`docs/formats/seal.md`), the key hierarchy
//! ([`EstablishmentKeys`]), the [`KeyKeeper`] that holds the root key, and the file that the root key lives in
//! ([`root`], `docs/formats/root-key.md`).
//! What it is not: it stores no rows and knows nothing of FHIR beyond the name of a type. Apart from the root key file it
//! does no input or output.
//!
//! Secrets are wiped from memory when they are dropped, as far as this crate holds them: the library underneath wipes
//! its key schedules, but zstd keeps pieces of what it compressed last in the contexts of a thread.

mod associated;
mod compression;
mod derivation;
mod dictionaries;
mod envelope;
mod establishment;
pub mod keeper;
mod key;
mod padding;
pub mod process;
mod published;
pub mod root;
mod row_keys;
mod sealer;
#[cfg(test)]
mod vectors;

pub use associated::{Associated, Purpose, ROW_BYTES_MAX};
pub use compression::Dictionary;
#[cfg(feature = "train")]
pub use dictionaries::train;
pub use envelope::{ENVELOPE_BYTES, FORMAT_VERSION, PLAINTEXT_BYTES_MAX, SEALS, SealError, open, seal, seal_into};
pub use establishment::{EstablishmentKeys, SigningUse};
pub use keeper::{InProcessKeeper, KeeperError, KeeperLimits, KeyKeeper, OnBehalf, UnwrapCounts, WrappedKey};
pub use key::{KEY_BYTES, Key, SecureRng};
pub use padding::padded_length;
pub use published::{Unpacked, pack_unsealed, unpack};
pub use root::{RootFile, RootKeys};
pub use row_keys::{ROW_KEY_BYTES, RowKeys};
pub use sealer::{Algorithm, Sealer};
pub use zeroize::Zeroizing;
