//! Stock FHIR clients, at fixed versions from npm and PyPI, against the program: what other people's software does with a
//! FHIR server must work here, an app's launch in a browser included. The programs are in `clients/`; what they need is installed
//! under `target/`, but for the browser, which is the system's.

use super::cargo;
use crate::instance::Instance;
use crate::{Outcome, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Node.js runs, in this order: the last one has people let a machine in, and leaves its key to the last for Python.
const JAVASCRIPT: [&str; 4] = ["fhir-kit-client.mjs", "fhirclient.mjs", "medplum.mjs", "smart.mjs"];

/// What these are made of besides.
const JAVASCRIPT_PARTS: [&str; 5] = ["app.mjs", "people.mjs", "package.json", "package-lock.json", ".npmrc"];

/// Programs for Python.
const PYTHON: [&str; 3] = ["fhirpy_client.py", "smart_client.py", "smart_backend.py"];

/// The browser, where Debian puts it.
const BROWSER: &str = "/usr/bin/chromium";

/// Installs the clients, starts a server of their own and runs each.
pub(crate) fn run() -> Outcome {
    let mut missing: Vec<&str> = ["node", "npm", "python3"].into_iter().filter(|program| !is_there(program)).collect();
    if !Path::new(BROWSER).exists() && !install_browser() {
        missing.push("chromium");
    }
    if !missing.is_empty() {
        let what = format!(
            "{} not found: it needs Node.js 20 or later with npm, Python 3.9 or later, and {BROWSER} (Debian's package chromium)",
            missing.join(", ")
        );
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
    let accounts = instance.first_accounts()?.to_string();
    let server = instance.serve_as("localhost")?;
    let base = format!("http://localhost:{}", server.address.port());
    let backend = folder.join("instance/backend.json");
    let node = JAVASCRIPT.map(|name| ("node".into(), folder.join("js").join(name)));
    let python =
        PYTHON.map(|name| (folder.join("python/bin/python"), workspace::root().join("clients/python").join(name)));
    for (interpreter, program) in node.into_iter().chain(python) {
        let mut command = Command::new::<PathBuf>(interpreter);
        command.arg(&program).env("TACET_BASE", &base).env("TACET_TOKEN", &token).current_dir(&folder);
        command.env("TACET_ACCOUNTS", &accounts).env("TACET_BACKEND", &backend);
        finish(command, &format!("the client {}", program.display()))?;
        println!("ok   {}", program.file_name().map(|name| name.to_string_lossy()).unwrap_or_default());
    }
    server.stop()?;
    instance.remove()
}

pub(super) fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Installs Debian's browser, where this may be done. Says whether it is there then.
fn install_browser() -> bool {
    apt_install("chromium") && Path::new(BROWSER).exists()
}

/// Installs a package of Debian, where this may be done without asking: in a container, as its root.
pub(super) fn apt_install(package: &str) -> bool {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command.output().is_ok_and(|output| output.status.success())
    };
    println!("{package} is not there: apt-get install -y --no-install-recommends {package}");
    let install = ["install", "-y", "--no-install-recommends", package];
    // A fresh container knows of no packages.
    apt(&install) || (apt(&["update"]) && apt(&install))
}

/// Copies the programs for Node.js beside their packages, and makes an environment for Python. Both take what is written in the
/// repository and nothing newer, and are left as they are where that is what they were made from.
fn install(folder: &Path) -> Outcome {
    let sources = workspace::root().join("clients");
    let js = folder.join("js");
    std::fs::create_dir_all(&js)?;
    for name in JAVASCRIPT.into_iter().chain(JAVASCRIPT_PARTS) {
        std::fs::copy(sources.join("js").join(name), js.join(name))?;
    }
    unless_made_from(&js, &["package.json", "package-lock.json", ".npmrc"].map(|name| js.join(name)), || {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent"]).current_dir(&js);
        finish(npm, "`npm ci` (it needs Node.js 20 or later, with npm)")
    })?;
    let requirements = sources.join("python/requirements.txt");
    let environment = folder.join("python");
    unless_made_from(&environment, std::slice::from_ref(&requirements), || {
        make_environment(&environment, &requirements)
    })
}

/// Does what makes a folder, unless it was made from files that said the same. What broke off is made anew.
pub(super) fn unless_made_from(folder: &Path, files: &[PathBuf], make: impl FnOnce() -> Outcome) -> Outcome {
    let wanted: Vec<Vec<u8>> = files.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    let (wanted, made) = (wanted.concat(), folder.join("made-from"));
    if std::fs::read(&made).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    if made.exists() {
        std::fs::remove_file(&made)?;
    }
    make()?;
    Ok(std::fs::write(made, wanted)?)
}

pub(super) fn make_environment(environment: &Path, requirements: &Path) -> Outcome {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(environment);
    finish(venv, "`python3 -m venv` (it needs Python 3.9 or later)")?;
    let mut pip = Command::new(environment.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--requirement"]);
    pip.arg(requirements);
    finish(pip, "`pip install`")
}

pub(super) fn finish(mut command: Command, what: &str) -> Outcome {
    let output = command.output().map_err(|error| format!("{what} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{what} failed ({}): {}", output.status, String::from_utf8_lossy(&said).trim()).into())
}
