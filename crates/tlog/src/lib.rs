//! The mathematics and the formats of a transparency log, after the specifications of C2SP (<https://c2sp.org>).
//!
//! ```text
//!  entries ──> leaf hashes ──> tiles, 256 hashes each ──> root ──┐
//!     └──> bundles, 256 entries each                             ├──> Checkpoint ──signed by the log──> SignedCheckpoint
//!                                            origin, size ───────┘                      │ cosigned by witnesses
//!  verify_files: bundles ──> everything above, anew, held against what is there         ▼
//!                                                        Receipt = entry's place, proof, checkpoint
//! ```
//!
//! - [`merkle`]: the tree of RFC 6962 and its proofs.
//! - [`note`]: signed notes, and keys in their text forms (`signed-note`).
//! - [`checkpoint`], [`cosignature`]: what a log and a witness sign (`tlog-checkpoint`, `tlog-cosignature`).
//! - [`tile`]: names and contents of the files that a log is published as (`tlog-tiles`).
//! - [`derive`](mod@derive): the verification that trusts no tile.
//! - [`witness`]: requests to a witness, and what it decides (`tlog-witness`).
//! - [`policy`]: how many cosignatures are wanted, of whom, and how old they may be.
//! - [`receipt`]: proofs to carry away (`tlog-proof`).
//!
//! What it is not: it reads no file, opens no connection and keeps nothing. Time and randomness are given to it. All that it parses is
//! bounded and may be hostile.

pub mod checkpoint;
pub mod cosignature;
pub mod derive;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod receipt;
mod text;
pub mod tile;
pub mod witness;

pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use cosignature::Cosignature;
pub use merkle::TreeHash;
pub use note::{KeyError, NoteError, SignerKey, VerifierKey};
pub use policy::{Quorum, WitnessPolicy};
pub use receipt::{Receipt, ReceiptError};
