//! Stock FHIR clients, at fixed versions from npm and PyPI, against the program: what other people's software does with a
//! FHIR server must work here. The programs are in `clients/`; what they need is installed under `target/`.

use super::cargo;
use crate::instance::Instance;
use crate::{Outcome, workspace};
use std::path::Path;
use std::process::Command;

/// Programs for Node.js.
const JAVASCRIPT: [&str; 3] = ["fhir-kit-client.mjs", "fhirclient.mjs", "medplum.mjs"];

/// Programs for Python.
const PYTHON: [&str; 2] = ["fhirpy_client.py", "smart_client.py"];

/// Installs the clients, starts a server of their own and runs each.
pub(crate) fn run() -> Outcome {
    let missing: Vec<&str> = ["node", "npm", "python3"].into_iter().filter(|program| !is_there(program)).collect();
    if !missing.is_empty() {
        let what =
            format!("{} not found: it needs Node.js 20 or later with npm, and Python 3.9 or later", missing.join(", "));
        // In CI a step that is left out is a step that fails.
        if std::env::var_os("CI").is_some() {
            return Err(what.into());
        }
        println!("skipped: {what}");
        return Ok(());
    }
    let target = workspace::target();
    let folder = target.join("clients");
    install(&folder)?;
    // The whole workspace, as the tests were built: one package alone has other features.
    cargo(&["build", "--workspace", "--bins", "--locked", "--quiet"], &[])?;
    let instance = Instance::create(&target.join("debug/tacet"), &folder.join("instance"))?;
    let token = instance.token()?;
    let server = instance.serve()?;
    let base = format!("http://{}", server.address);
    let node = JAVASCRIPT.map(|name| ("node".into(), folder.join("js").join(name)));
    let python =
        PYTHON.map(|name| (folder.join("python/bin/python"), workspace::root().join("clients/python").join(name)));
    for (interpreter, program) in node.into_iter().chain(python) {
        let mut command = Command::new::<std::path::PathBuf>(interpreter);
        command.arg(&program).env("TACET_BASE", &base).env("TACET_TOKEN", &token).current_dir(&folder);
        finish(command, &format!("the client {}", program.display()))?;
        println!("ok   {}", program.file_name().map(|name| name.to_string_lossy()).unwrap_or_default());
    }
    server.stop()?;
    instance.remove()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Copies the programs for Node.js beside their packages, and makes an environment for Python. Both take what is written in the
/// repository and nothing newer.
fn install(folder: &Path) -> Outcome {
    let sources = workspace::root().join("clients");
    let js = folder.join("js");
    std::fs::create_dir_all(&js)?;
    for name in JAVASCRIPT.into_iter().chain(["package.json", "package-lock.json", ".npmrc"]) {
        std::fs::copy(sources.join("js").join(name), js.join(name))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--silent"]).current_dir(&js);
    finish(npm, "`npm ci` (it needs Node.js 20 or later, with npm)")?;

    let environment = folder.join("python");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(&environment);
    finish(venv, "`python3 -m venv` (it needs Python 3.9 or later)")?;
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--requirement"]);
    pip.arg(sources.join("python/requirements.txt"));
    finish(pip, "`pip install`")
}

fn finish(mut command: Command, what: &str) -> Outcome {
    let output = command.output().map_err(|error| format!("{what} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{what} failed ({}): {}", output.status, String::from_utf8_lossy(&said).trim()).into())
}
