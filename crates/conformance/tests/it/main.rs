//! The crate held to official cases and real profiles.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "all of it is test code, which lints know only inside the test functions themselves"
)]

mod base;
mod data;
mod guides;
mod hostile;
mod identity;
mod list;
mod official;
mod profiles;
mod speed;
