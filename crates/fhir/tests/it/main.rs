//! The crate held to real records: the official examples of R4 and Synthea's hospital.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "all of it is test code, which lints know only inside the test functions themselves"
)]

mod examples;
mod mutation;
mod reference_validator;
mod speed;
mod synthea;
mod xml;
