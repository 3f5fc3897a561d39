//! Known conversions, the codes of real records, and rules that hold for any code.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "all of it is test code, which lints know only inside the test functions themselves"
)]

mod conversions;
mod real_records;
mod rules;
