//! Every check that a change must pass, cheap ones first. What this runs is what CI runs: `.ci/run` holds nothing else.

mod clients;
mod drill;
mod foreign;
mod fuzz;
mod licences;
mod smoke;
mod targets;

use crate::{Outcome, tidy, workspace};
use std::process::Command;
use std::time::{Duration, Instant};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only these steps, by name
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// One step: its name, what it is for, and how it is run.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Outcome,
}

/// The steps, in order.
const STEPS: [Step; 13] = [
    Step { name: "tidy", about: "the shape of the repository", run: tidy::run },
    Step { name: "format", about: "rustfmt", run: format },
    Step { name: "lints", about: "clippy on everything, warnings are errors", run: lints },
    Step { name: "test", about: "every test of the workspace", run: test },
    Step { name: "docs", about: "rustdoc, warnings are errors", run: docs },
    Step { name: "licences", about: "every package's licence is one that deny.toml allows", run: licences::run },
    Step { name: "deny", about: "the same from the licence texts, and more (when cargo-deny is installed)", run: deny },
    Step { name: "smoke", about: "the program starts on an empty directory and answers", run: smoke::run },
    Step { name: "fuzz", about: "every fuzz target builds, and holds on its seeds and their like", run: fuzz::run },
    Step { name: "clients", about: "stock FHIR clients from npm and PyPI work against the program", run: clients::run },
    Step { name: "foreign", about: "a verifier in Go rejects every log that was tampered with", run: foreign::run },
    Step { name: "targets", about: "backup targets against a real object store and a real sshd", run: targets::run },
    Step {
        name: "drill",
        about: "the drills: one catches a program that does not encrypt, the others find nothing",
        run: drill::run,
    },
];

/// Runs the steps, stops at the first that fails, and prints how long each took.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if let Some(unknown) = arguments.only.iter().find(|name| STEPS.iter().all(|step| step.name != name.as_str())) {
        let names = STEPS.map(|step| step.name).join(", ");
        return Err(format!("there is no step `{unknown}`; the steps are {names}").into());
    }
    let mut took = Vec::new();
    for Step { name, about, run } in STEPS {
        if !arguments.only.is_empty() && !arguments.only.iter().any(|only| only == name) {
            continue;
        }
        println!("== {name}: {about}");
        let start = now();
        run().map_err(|error| format!("step `{name}`: {error}"))?;
        took.push((name, start.elapsed()));
    }
    println!("== all passed");
    for (name, took) in &took {
        println!("{name:>8} {:>7.1} s", took.as_secs_f64());
    }
    println!("{:>8} {:>7.1} s", "total", took.iter().map(|(_, took)| *took).sum::<Duration>().as_secs_f64());
    Ok(())
}

fn format() -> Outcome {
    cargo(&["fmt", "--all", "--check"], &[])
}

fn lints() -> Outcome {
    // As arguments of clippy, not in RUSTFLAGS: those would build every dependency again.
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"], &[])
}

fn test() -> Outcome {
    cargo(&["test", "--workspace", "--locked", "--quiet"], &[])
}

fn docs() -> Outcome {
    cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"], &[("RUSTDOCFLAGS", "-D warnings")])
}

fn deny() -> Outcome {
    let installed =
        Command::new("cargo").args(["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if !installed {
        println!("skipped: cargo-deny is not installed");
        return Ok(());
    }
    // Advisories need a network: they are for the scheduled run (CONTRIBUTING.md), not for each change.
    cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"], &[])
}

/// Runs cargo at the root, its output shown.
pub(crate) fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).envs(environment.iter().copied()).current_dir(workspace::root());
    let status = command.status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`cargo {}` failed", arguments.join(" ")).into()) }
}

#[expect(clippy::disallowed_methods, reason = "measures how long a step takes")]
fn now() -> Instant {
    Instant::now()
}
