//! What every part of Tacet shares: identifiers, time and randomness as parameters, and values that print redacted.
//!
//! No part of this crate does I/O, and none knows FHIR beyond the names of its resource types.

mod clock;
mod id;
mod redacted;
mod resource_type;
mod rng;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp, TimestampError, civil_from_days, days_from_civil};
pub use id::{
    EstablishmentId, IdError, OperationId, RESOURCE_ID_BYTES_MAX, RecordRef, ResourceId, Sequence, VersionId,
};
pub use redacted::Redacted;
pub use resource_type::ResourceType;
pub use rng::{Rng, SeededRng, SystemRng};
