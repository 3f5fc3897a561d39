//! The fuzz targets: that each builds, and that nothing falls over on seeds and on what a few hundred accidents make of them. Built with the compiler of
//! everything else and so without coverage, they find no more than that; `docs/fuzzing.md` says how faults are looked for.

use super::cargo;
use crate::{Outcome, workspace};
use std::process::Command;
use std::thread;
use tacet_types::{Rng, SeededRng};

/// Inputs to each target.
const INPUTS: usize = 300;

/// Most changes to one input.
const CHANGES_MAX: usize = 6;

/// Longest input, in bytes.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// Longest time for one input, in seconds: far more than any takes.
const INPUT_S_MAX: u32 = 60;

/// The seeds of a target that has none of its own.
const SEEDS_OF_ALL: &str = "any";

/// The line between two seeds of a file.
const BETWEEN: &str = "\n----\n";

/// Builds every target, and runs each.
pub(crate) fn run() -> Outcome {
    // The whole workspace, as the programs were built for the steps before: one package alone has other features.
    cargo(&["build", "--workspace", "--bins", "--features", "tacet-fuzz/libfuzzer", "--locked", "--quiet"], &[])?;
    let targets = targets()?;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = targets.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let running: Vec<_> = targets
            .chunks(share)
            .map(|targets| {
                scope.spawn(move || {
                    targets.iter().try_for_each(|target| play(target).map_err(|error| error.to_string()))
                })
            })
            .collect();
        running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread failed".to_owned())?)
    })?;
    println!("{} targets, {INPUTS} inputs each", targets.len());
    Ok(())
}

/// The names of the targets, in order.
fn targets() -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(workspace::root().join("fuzz/fuzz_targets"))? {
        let name = entry?.file_name();
        names.extend(name.to_string_lossy().strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    if names.is_empty() { Err("there is no fuzz target".into()) } else { Ok(names) }
}

/// Runs one target on its seeds and on changed copies of them, the same each time. libFuzzer makes none of its own without coverage.
fn play(target: &str) -> Outcome {
    let folder = workspace::target().join("fuzz").join(target);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let text = |name: &str| std::fs::read_to_string(workspace::root().join(format!("fuzz/seeds/{name}.txt")));
    let text = text(target).or_else(|_| text(SEEDS_OF_ALL))?;
    let seeds: Vec<&[u8]> = text.trim_end_matches('\n').split(BETWEEN).map(str::as_bytes).collect();
    for (index, input) in inputs(&seeds).iter().enumerate() {
        std::fs::write(folder.join(format!("{index:03}")), input)?;
    }
    let output = Command::new(workspace::target().join("debug").join(target))
        .arg(format!("-timeout={INPUT_S_MAX}"))
        .args((0..INPUTS).map(|index| format!("{index:03}")))
        .current_dir(&folder)
        .output()
        .map_err(|error| format!("cannot run the fuzz target `{target}`: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    // A target that took none would pass for one that holds.
    if output.status.success() && executed(&said) == INPUTS {
        return Ok(());
    }
    let last = said.lines().rev().find_map(|line| line.strip_prefix("Running: ")).unwrap_or("none");
    Err(format!(
        "the fuzz target `{target}` failed ({}) at its input {last} in {}:\n{}",
        output.status,
        folder.display(),
        said.lines()
            .filter(|line| !line.starts_with("Running: ") && !line.starts_with("Executed "))
            .collect::<Vec<_>>()
            .join("\n")
    )
    .into())
}

/// How many inputs libFuzzer says that it gave to a target and had an end with.
fn executed(said: &str) -> usize {
    said.lines().filter(|line| line.starts_with("Executed ")).count()
}

/// The seeds, and what accidents make of them.
fn inputs(seeds: &[&[u8]]) -> Vec<Vec<u8>> {
    let rng = SeededRng::new(1);
    let below = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap_or_default();
    let any = || seeds.get(below(seeds.len())).copied().unwrap_or_default();
    let mut inputs: Vec<Vec<u8>> = seeds.iter().take(INPUTS).map(|seed| seed.to_vec()).collect();
    while inputs.len() < INPUTS {
        let mut input = any().to_vec();
        for _ in 0..=below(CHANGES_MAX) {
            let at = below(input.len() + 1);
            let until = at + below((input.len() - at).min(64) + 1);
            match below(6) {
                0 => drop(input.drain(at..until)),
                1 => input.insert(at, below(256) as u8),
                2 => input.get_mut(at..until).unwrap_or_default().iter_mut().for_each(|byte| *byte ^= 1 << below(8)),
                3 => input.truncate(at.max(1)),
                4 => {
                    let again = input.get(at..until).unwrap_or_default().to_vec();
                    input.splice(at..at, again.repeat(1 + below(8)));
                }
                _ => {
                    let other = any();
                    let from = below(other.len());
                    input.splice(at..until, other.iter().skip(from).take(64).copied());
                }
            }
        }
        input.truncate(INPUT_BYTES_MAX);
        inputs.push(input);
    }
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_the_same_each_time_and_seeds_are_among_them() {
        let seeds: [&[u8]; 3] = [b"one", b"", b"{\"a\":[1,2]}"];
        let made = inputs(&seeds);
        assert_eq!(made, inputs(&seeds));
        assert_eq!(made.len(), INPUTS);
        assert!(made.iter().take(3).eq(seeds.iter()) && made.iter().all(|input| input.len() <= INPUT_BYTES_MAX));
        let different: std::collections::BTreeSet<_> = made.iter().collect();
        assert!(different.len() > INPUTS / 2, "{}", different.len());
        assert_eq!(inputs(&[]).len(), INPUTS);
    }

    #[test]
    fn a_target_that_ran_nothing_has_not_passed() {
        assert_eq!(executed("Running: 000\nExecuted 000 in 0 ms\nRunning: 001\nExecuted 001 in 3 ms\n***\n"), 2);
        assert_eq!(executed("Running: 000\npanicked\n"), 0);
    }

    #[test]
    fn every_file_of_seeds_is_a_targets() {
        let targets = targets().unwrap();
        for entry in std::fs::read_dir(workspace::root().join("fuzz/seeds")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let name = name.strip_suffix(".txt").unwrap();
            assert!(name == SEEDS_OF_ALL || targets.iter().any(|target| target == name), "{name}");
        }
    }
}
