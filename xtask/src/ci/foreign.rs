//! A verifier in another language against logs that were tampered with: `foreign/go-verifier`, by Go's own libraries for such logs. The tests
//! that make the logs are those of the workspace; here they are told where the other program is.

use super::{cargo, clients::apt_install};
use crate::{Outcome, workspace};
use std::process::Command;

/// Tells the tests where the program is.
const VARIABLE: &str = "TACET_FOREIGN_VERIFIER";

/// Go, where it is not on the path.
const ELSEWHERE: &str = "/usr/local/go/bin/go";

/// Builds the verifier and runs the tests that ask it.
pub(crate) fn run() -> Outcome {
    let Some(go) = go() else {
        let what = "go not found: it needs Go 1.19 or later (Debian's package golang-go)";
        // In CI a step that is left out is a step that fails.
        if std::env::var_os("CI").is_some() {
            return Err(what.into());
        }
        println!("skipped: {what}");
        return Ok(());
    };
    let program = workspace::target().join("foreign/go-verifier");
    let mut build = Command::new(go);
    // What go.sum names and nothing newer.
    build.args(["build", "-mod=readonly", "-trimpath", "-o"]).arg(&program).arg(".");
    build.current_dir(workspace::root().join("foreign/go-verifier"));
    let output = build.output().map_err(|error| format!("go cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("`go build` failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    // The whole workspace, as the tests were built; only these have such a name.
    let tests = ["test", "--workspace", "--locked", "--quiet", "--test", "it", "--", "mutations::", "exported_log::"];
    cargo(&tests, &[(VARIABLE, &program.to_string_lossy())])
}

fn go() -> Option<&'static str> {
    let is_there =
        |program: &&str| Command::new(program).arg("version").output().is_ok_and(|output| output.status.success());
    let found = ["go", ELSEWHERE].into_iter().find(is_there);
    found.or_else(|| apt_install("golang-go").then_some("go").filter(is_there))
}
