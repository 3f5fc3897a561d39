//! What happens to the patients: the terms used, and the chart written from them.

pub(crate) mod chart;
pub(crate) mod diagnoses;
mod file;
pub(crate) mod label;
mod letters;
pub(crate) mod measures;
mod present;
pub(crate) mod standing;
pub(crate) mod terms;
mod visit;
