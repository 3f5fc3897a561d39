//! The crate held to real records: consents of IHE, labels of DS4P, the official examples of R4.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "all of it is test code, which lints know only inside the test functions themselves"
)]

mod data;
mod ds4p;
mod examples;
mod pcf;
