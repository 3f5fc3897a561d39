//! What every part of Tacet shares: identifiers, time and randomness as parameters, the clock and the languages of the place, and values that print redacted.
//!
//! No part of this crate does I/O, and none knows FHIR beyond the names of its resource types.

mod clock;
mod html;
mod id;
mod labels;
mod language;
mod redacted;
mod resource_type;
mod rng;
mod role;
mod visibility;
mod zone;

pub use clock::{
    Clock, ManualClock, SystemClock, Timestamp, TimestampError, civil_from_days, days_from_civil, days_in_month,
    month_name,
};
pub use html::escaped_html;
pub use id::{
    EstablishmentId, IdError, OperationId, RESOURCE_ID_BYTES_MAX, RecordRef, ResourceId, Sequence, VersionId,
};
pub use labels::Labels;
pub use language::Language;
pub use redacted::Redacted;
pub use resource_type::ResourceType;
pub use rng::{Rng, SeededRng, SystemRng};
pub use role::Role;
pub use visibility::{Basis, Class, Criterion, PatientSet, Sight, TypeSet, Visibility};
pub use zone::Zone;
