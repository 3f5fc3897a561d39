//! Measures the release program on synthetic patients.

use crate::Outcome;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// Measures.
pub(crate) fn run(_: &Arguments) -> Outcome {
    Err("nothing to measure yet".into())
}
