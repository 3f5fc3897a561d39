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

mod breakglass;
mod care;
mod care_view;
mod cases;
mod category;
mod consent;
mod decide;
mod explain;
mod facts;
mod openings;
mod policies;
mod regions;
mod scope;
mod simulate;
mod situation;
mod visibility;

pub use breakglass::{BreakGlass, BreakGlassError, BtgReason, LASTS_MAX_MS, TEXT_BYTES_MAX};
pub use care::{BREAK_GLASS_MAX, CareData, FORGET_EACH_MAX, REGISTERED_MAX, Related, Urgency};
pub use care_view::CareView;
pub use cases::{BUILT_IN_CASES, CASES_BYTES_MAX, CASES_MAX, Case, CasesError, Tried, cases};
pub use category::Category;
pub use decide::{DECISIONS_KEPT_MAX, Decision, groups_of};
pub use explain::{Answered, Explanation, Towards, Verdict, explain};
pub use facts::{Facts, facts_of};
pub use policies::{
    BUILT_IN, FILE_BYTES_MAX, FILES_MAX, ID_BYTES_MAX, POLICIES_MAX, Policies, PolicyError, PolicyInfo, SCHEMA,
};
pub use scope::{
    Access, Conditional, Cut, Level, SCOPE_CRITERIA_MAX, SCOPES_BYTES_MAX, SCOPES_MAX, Scope, ScopeError, Scopes,
};
pub use simulate::{Change, Simulation, simulate};
pub use situation::{
    Act, CareSettings, ConsentRuling, ConsentSays, Label, PatientFlags, Purpose, RecordScope, Relation, RelationSet,
    Situation, Subject,
};
pub use visibility::maker::{CareAccess, Made, Maker};
pub use visibility::visibility;
