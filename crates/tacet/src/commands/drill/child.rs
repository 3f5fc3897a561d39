//! The processes of the played hospital: this very program, run as an administrator runs it.
//!
//! The passphrase goes through a pipe, so that it is never written anywhere. What a command prints on stdout is for whoever
//! called it and stays in memory; what it says on stderr goes to a file that is looked at, as a service manager keeps it.

use super::scratch::{Area, Scratch};
use crate::error::CliError;
use crate::exit;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use zeroize::Zeroizing;

/// What `tacet serve` says before its address, on stderr.
const SERVING: &str = "serving FHIR R4 at http://";

/// What `tacet witness serve` says before its address, on stderr.
const WITNESSING: &str = " answers at http://";

/// Wait between two looks at a server that starts or ends.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks before a server is given up: five minutes.
const LOOKS_MAX: usize = 15_000;

/// How the commands are run.
pub(super) struct Children<'a> {
    program: PathBuf,
    scratch: &'a Scratch,
    passphrase: Zeroizing<String>,
    config: PathBuf,
}

impl<'a> Children<'a> {
    pub(super) fn new(scratch: &'a Scratch, passphrase: Zeroizing<String>) -> Result<Self, CliError> {
        let program = std::env::current_exe().map_err(|error| {
            CliError::other("the program does not find itself, so it cannot run a second time", error)
        })?;
        let config = scratch.area(Area::Working).join("drill.toml");
        // Everything that can be logged is.
        std::fs::write(&config, "[log]\nlevel = \"trace\"\njson = true\n")
            .map_err(CliError::file(&config, "the configuration cannot be written"))?;
        Ok(Self { program, scratch, passphrase, config })
    }

    /// Configures what is started from now on.
    pub(super) fn configure(&self, text: &str) -> Result<(), CliError> {
        std::fs::write(&self.config, text).map_err(CliError::file(&self.config, "the configuration cannot be written"))
    }

    fn start(&self, name: &str, operator: &str, arguments: &[&str]) -> Result<(Child, PathBuf), CliError> {
        let said = self.scratch.area(Area::Logs).join(format!("{name}.stderr"));
        let log = File::create(&said).map_err(CliError::file(&said, "the log cannot be written"))?;
        let working = self.scratch.area(Area::Working);
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--data").arg(self.scratch.area(Area::Data)).arg("--config").arg(&self.config);
        command.args(["--passphrase-file", "/dev/stdin", "--operator", operator]);
        command.env_clear().env("TMPDIR", self.scratch.area(Area::Temporary)).env("HOME", &working);
        command.env("RUST_BACKTRACE", "full").current_dir(&working);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(CliError::file(&self.program, "cannot be run"))?;
        if let Some(mut pipe) = child.stdin.take() {
            // A program that ends before it reads says why on stderr.
            let _ = writeln!(pipe, "{}", self.passphrase.as_str());
        }
        Ok((child, said))
    }

    /// Runs a command to its end, beside `work`, and expects this exit code. Gives what it printed on stdout.
    pub(super) fn run_beside(
        &self,
        name: &str,
        operator: &str,
        arguments: &[&str],
        expected: u8,
        work: impl FnOnce(&mut Child) -> Result<(), CliError>,
    ) -> Result<Zeroizing<String>, CliError> {
        let (mut child, said) = self.start(name, operator, arguments)?;
        let worked = work(&mut child);
        let output = child.wait_with_output().map_err(CliError::file(&self.program, "cannot be waited for"))?;
        worked?;
        if output.status.code() != Some(expected.into()) {
            return Err(failed(name, output.status, &said));
        }
        Ok(Zeroizing::new(String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Runs a command to its end and expects it to succeed.
    pub(super) fn run(&self, name: &str, operator: &str, arguments: &[&str]) -> Result<Zeroizing<String>, CliError> {
        self.run_beside(name, operator, arguments, exit::OK, |_| Ok(()))
    }

    /// Runs a command to its end, and gives its exit code and what it printed on stdout.
    pub(super) fn ended(
        &self,
        name: &str,
        operator: &str,
        arguments: &[&str],
    ) -> Result<(Option<i32>, String), CliError> {
        let (child, _) = self.start(name, operator, arguments)?;
        let output = child.wait_with_output().map_err(CliError::file(&self.program, "cannot be waited for"))?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Tries a command with a passphrase that is wrong, and expects it to fail.
    pub(super) fn try_with(&self, wrong: &str, name: &str, operator: &str, arguments: &[&str]) -> Result<(), CliError> {
        let passphrase = Zeroizing::new(wrong.to_owned());
        let other =
            Self { passphrase, program: self.program.clone(), scratch: self.scratch, config: self.config.clone() };
        other.run_beside(name, operator, arguments, exit::FAILED, |_| Ok(())).map(drop)
    }

    /// Starts a server on a free port of the loopback.
    pub(super) fn serve(&self, name: &str, operator: &str) -> Result<Server, CliError> {
        self.listen(name, operator, &["serve", "--listen", "127.0.0.1:0"], SERVING)
    }

    /// Starts a command that serves in the end, such as a restore, and gives it once it serves.
    pub(super) fn serve_by(&self, name: &str, operator: &str, arguments: &[&str]) -> Result<Server, CliError> {
        self.listen(name, operator, arguments, SERVING)
    }

    /// Starts a witness on a free port of the loopback.
    pub(super) fn witness(&self, name: &str, directory: &str) -> Result<Server, CliError> {
        self.listen(name, "witness", &["witness", "serve", directory, "--listen", "127.0.0.1:0"], WITNESSING)
    }

    fn listen(&self, name: &str, operator: &str, arguments: &[&str], before: &str) -> Result<Server, CliError> {
        let (mut child, said) = self.start(name, operator, arguments)?;
        for _ in 0..LOOKS_MAX {
            if let Some(address) = address_in(&said, before) {
                return Ok(Server { child, address, said });
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Err(failed(name, status, &said));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = child.kill();
        Err(CliError::Usage("the drill's server did not start in five minutes".into()))
    }
}

fn failed(name: &str, status: ExitStatus, said: &Path) -> CliError {
    let text = std::fs::read_to_string(said).unwrap_or_default();
    let last: Vec<&str> = text.lines().rev().take(12).collect();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n  ");
    CliError::Usage(format!("the drill could not be played: `{name}` ended with {status}\n  {last}"))
}

fn address_in(log: &Path, before: &str) -> Option<SocketAddr> {
    let text = std::fs::read_to_string(log).ok()?;
    let (_, rest) = text.split_once(before)?;
    let (line, _) = rest.split_once('\n')?;
    line.trim().trim_end_matches('/').parse().ok()
}

/// A server that runs; ended when dropped.
pub(super) struct Server {
    child: Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
    said: PathBuf,
}

impl Server {
    /// What it has said so far on stderr.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// What it has said, where it ended by itself.
    pub(super) fn ended_early(&mut self) -> Option<String> {
        let ended = matches!(self.child.try_wait(), Ok(Some(_)));
        ended.then(|| self.log())
    }

    /// Sends a signal and waits for the end.
    pub(super) fn end(mut self, signal: rustix::process::Signal) -> Result<ExitStatus, CliError> {
        let unable = |error: std::io::Error| CliError::other("the drill's server could not be ended", error);
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .map_err(|error| unable(error.into()))?;
        for _ in 0..LOOKS_MAX {
            if let Some(status) = self.child.try_wait().map_err(unable)? {
                return Ok(status);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(CliError::Usage("the drill's server did not end in five minutes".into()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended, or beyond help.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process was ended by this signal and left no core.
pub(super) fn ended_by(status: ExitStatus, signal: rustix::process::Signal) -> (bool, bool) {
    (status.signal() == Some(signal.as_raw()), status.core_dumped())
}
