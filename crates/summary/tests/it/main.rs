//! Summaries held to the IPS package by the validator of the project.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "all of it is test code, which lints know only inside the test functions themselves"
)]

mod valid;
