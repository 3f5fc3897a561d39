//! The fuzz targets: that each builds, and that nothing falls over on seeds and on what a few hundred accidents make of them. Built with the compiler of
//! everything else and so without coverage, they find no more than that; `docs/fuzzing.md` says how faults are looked for.

use super::cargo;
use crate::{Outcome, workspace};
use std::process::Command;
use std::thread;

/// Inputs to each target.
const RUNS: u32 = 300;

/// Longest input, in bytes.
const INPUT_BYTES_MAX: u32 = 4096;

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
    println!("{} targets, {RUNS} inputs each", targets.len());
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

/// Runs one target on its seeds and on changed copies of them, the same each time.
fn play(target: &str) -> Outcome {
    let folder = workspace::target().join("fuzz").join(target);
    let seeds = folder.join("seeds");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&seeds)?;
    let text = |name: &str| std::fs::read_to_string(workspace::root().join(format!("fuzz/seeds/{name}.txt")));
    let text = text(target).or_else(|_| text(SEEDS_OF_ALL))?;
    for (index, seed) in text.trim_end_matches('\n').split(BETWEEN).enumerate() {
        std::fs::write(seeds.join(index.to_string()), seed)?;
    }
    let output = Command::new(workspace::target().join("debug").join(target))
        .args(["-seed=1", "-keep_seed=1", "-len_control=0", "-detect_leaks=0"])
        .arg(format!("-runs={RUNS}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-timeout={INPUT_S_MAX}"))
        .arg(format!("-artifact_prefix={}/", folder.display()))
        .arg(&seeds)
        .current_dir(&folder)
        .output()
        .map_err(|error| format!("cannot run the fuzz target `{target}`: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() && has_run(&said) {
        return Ok(());
    }
    Err(format!("the fuzz target `{target}` failed ({}), its input is in {}:\n{said}", output.status, folder.display())
        .into())
}

/// Whether libFuzzer says that it ran as many inputs as it was asked for: a target that took none would pass for one that holds.
fn has_run(said: &str) -> bool {
    let counted = said.lines().find_map(|line| line.strip_prefix("Done ")?.split(' ').next()?.parse::<u32>().ok());
    counted.is_some_and(|runs| runs >= RUNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_ran_nothing_has_not_passed() {
        assert!(has_run("INFO: seed corpus: files: 5\n#300\tDONE   corp: 5/1Kb\nDone 300 runs in 0 second(s)\n"));
        for said in ["", "Done 12 runs in 0 second(s)\n", "Done \n"] {
            assert!(!has_run(said), "{said}");
        }
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
