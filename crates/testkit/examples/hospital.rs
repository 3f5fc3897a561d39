//! Writes a synthetic hospital as NDJSON to standard output: `cargo run -p tacet-testkit --example hospital -- 100 [seed]`.

use std::io::{BufWriter, Write as _};
use tacet_testkit::{Hospital, HospitalOptions};
use tacet_types::Timestamp;

/// The example's present, fixed so that its output is too: 2026-01-15T08:00:00Z.
const NOW_MS: i64 = 1_768_464_000_000;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().unwrap_or(0));
    let (patients, seed) = (arguments.next().unwrap_or(10), arguments.next().unwrap_or(1));
    let hospital = Hospital::new(HospitalOptions { seed, patients, now: Timestamp::from_ms(NOW_MS) });
    let mut out = BufWriter::new(std::io::stdout().lock());
    hospital.write_ndjson(0..patients, &mut out)?;
    out.flush()
}
