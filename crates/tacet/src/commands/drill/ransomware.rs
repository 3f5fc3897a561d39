//! `tacet drill ransomware`: a running hospital's machine is encrypted and killed in mid-write, by somebody who also holds the credential of its backup.
//!
//! ```text
//!  hospital (serve, packs, tripwires) ──ssh stand-in──> receivers of content and keys ──> new machine: restore --read-only-now
//!     ^ crowd: each acknowledged write is remembered        ^ attacker: every call            │
//!     └ attacker: files encrypted, SIGKILL                                                    └──> every remembered write read again
//!  ward workstation: opens the last pack, alone
//! ```
//!
//! How to read its result, and what it does not see: `docs/drills.md`.

mod attacker;
mod compare;
mod credential;
mod crowd;
mod pages;
mod places;
mod recovery;
mod report;
mod stage;
mod ward;

use crate::args::RansomwareArgs;
use crate::error::CliError;
use crate::exit;
use crate::open;
use crate::output::Output;
use report::Report;
use stage::Stage;

/// Milliseconds on this machine's clock.
fn now_ms() -> i64 {
    open::clock().now().as_ms()
}

/// Seconds since then.
fn seconds_since(begun_ms: i64) -> f64 {
    (now_ms() - begun_ms) as f64 / 1000.0
}

fn cannot(what: &str) -> CliError {
    CliError::Usage(format!("the drill could not be played: {what}"))
}

pub(super) fn run(args: &RansomwareArgs, output: &Output) -> Result<u8, CliError> {
    if args.patients < stage::PATIENTS_MIN {
        return Err(CliError::Usage(format!("the drill needs at least {} patients", stage::PATIENTS_MIN)));
    }
    let begun = now_ms();
    let say = |what: &str| output.note(&format!("[{:>6.1} s] {what}", seconds_since(begun)));
    let stage = Stage::build(args, &say)?;
    say("a working day, then the attack");
    let attacked = attacker::play(&stage, args, &say)?;
    say("the attacker turns to the backup, with the server's credential");
    let credential = credential::play(&stage)?;
    say("the ward opens its last pack");
    let paper = recovery::paper(&stage, &attacked)?;
    say("an empty machine, the shares, and nothing else");
    let recovered = recovery::restore(&stage, &attacked, &say)?;
    let report = Report { args, stage: &stage, attacked, credential, paper, recovered, seconds: seconds_since(begun) };
    output.result("drill ransomware", report.json(), &report.text());
    Ok(if report.is_met() { exit::OK } else { exit::FINDINGS })
}
