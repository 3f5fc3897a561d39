//! The forms of entries, held to the profiles and examples of IHE BALP, to what regulators ask, and to what they must not tell.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "clippy.toml allows these in tests, but does not take the functions beside them for tests"
)]

mod balp;
mod events;
mod examples;
mod fields;
mod forms;
