//! Backups of a store: sealed rows as they are, in content-addressed segments under signed manifests, on targets that can only be added to.
//!
//! ```text
//! engine ──> tail (writes of each commit) ──> log snapshot ─┐
//!        └─> scan ──────────────────────────> base snapshot ┴─> segments, then the manifest ──> target
//! ```
//!
//! Rows are sealed or wrapped before they come here, and nothing opens one. What holds wrapped keys ([`Class::Key`]) goes to a target of
//! its own, never beside the content. A base and the logs that follow it are a chain; each manifest names the one before by its hash.
//! The bytes are in `docs/formats/backup.md`.
//!
//! Nothing here knows what a row means, holds a key that opens one, or prints.

mod backup;
mod catalog;
mod classes;
mod error;
mod hex;
mod manifest;
mod memory;
mod prune;
pub mod restore;
mod segment;
mod sending;
mod signing;
mod state;
mod tail;
mod target;
pub mod targets;
mod verify;

pub use backup::{Backup, Made, Plan, ReadLedger, ReadRecovery, Source, Want, is_there};
pub use catalog::{At, Listing, chain, list_snapshots, load};
pub use classes::{Class, class_of, spaces_of};
pub use error::BackupError;
pub use manifest::{
    FORMAT, Identity, Kind, LedgerState, Manifest, ManifestRef, MarkText, SegmentInfo, Signed, SpaceRows,
    manifest_name, manifest_number, manifest_prefix,
};
pub use memory::MemoryTarget;
pub use prune::{PrunePlan, Pruned, Rule, plan as plan_pruning, prune};
pub use segment::{
    BLOCK_BYTES, BlockInfo, Op, Row, SEGMENT_BYTES, SEGMENT_BYTES_MAX, Segment, SegmentIndex, SegmentWriter,
    TRAILER_BYTES, segment_name,
};
pub use signing::{BackupSigner, PublicKey};
pub use state::{State, StateFile};
pub use tail::TailBuffer;
pub use target::{Listed, OBJECT_NAME_BYTES_MAX, ObjectName, Prunable, Put, Target, TargetError};
pub use verify::{Depth, Expected, PROBLEMS_MAX, Problem, Verification, Verified};
