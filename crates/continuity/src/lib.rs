//! Care without the server: what a ward must know of each of its patients, from their records to sheets of paper, and the sealed file that brings them
//! to a workstation. Pure: no I/O, no clock.
//!
//! ```text
//! a patient's resources ── select ──> what counts now ── sheet ──> Sheet (typed) ──┐
//! ward, moment, serial number ────────────────────────────────────> Pack ── print ──> Book ──> PDF
//!                                                                    container: signed note + PDF (sealed by who writes it)
//! ```

pub mod code;
pub mod container;
pub mod dosage;
pub mod late;
pub mod print;
pub mod read;
pub mod select;
pub mod sheet;
#[cfg(test)]
mod tests;
mod words;

pub use print::Pack;
pub use sheet::Sheet;
pub use tacet_paper::PaperError;
pub use tacet_types::{Language, Zone};
pub use words::Telling;
