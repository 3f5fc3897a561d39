//! The engine held to the official suite, to hostile expressions, and to the invariants of R4 on real resources.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "all of it is test code, which lints know only inside the test functions themselves"
)]

mod elements;
mod hostile;
mod invariants;
mod suite;
