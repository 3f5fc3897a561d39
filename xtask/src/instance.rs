//! A Tacet of our own to poke at: a built program on a fresh data directory, initialised, filled, started and stopped.
//!
//! It uses the program as an administrator does, by its command line and its port, and nothing else of it.

use crate::{Outcome, process};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a started server to answer. A start is meant to take less than a second with a million resources; this
/// is for a machine that is busy with something else.
const START_MAX: Duration = Duration::from_secs(120);

/// Longest wait for a server to end after it was asked to.
const STOP_MAX: Duration = Duration::from_secs(60);

/// Wait between two tries to reach a starting server, short beside the start itself.
const TRY_EVERY: Duration = Duration::from_millis(1);

/// What a server is told, apart from its address. The key keeper lets data keys out slowly, which is what stops a thief on
/// the running server and would here measure the limit instead of the work behind it.
const SERVE_SETTINGS: &str =
    "[keeper]\nunwraps_per_second = 4000000\nunwraps_burst = 4000000\n\n[log]\nlevel = \"warn\"\n";

/// A data directory, and the program that works on it.
pub(crate) struct Instance {
    program: PathBuf,
    folder: PathBuf,
}

impl Instance {
    /// Makes `folder` anew, removing what is there, and initialises a store in it.
    pub(crate) fn create(program: &Path, folder: &Path) -> Outcome<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
        let instance = Self { program: program.to_path_buf(), folder: folder.to_path_buf() };
        // A passphrase of a store that holds synthetic records for some minutes: no secret.
        std::fs::write(instance.passphrase_file(), "synthetic records only, nothing to protect\n")?;
        std::fs::write(instance.settings_file(), SERVE_SETTINGS)?;
        instance.command(&["init"], &[OsStr::new("--json")])?;
        Ok(instance)
    }

    /// The one that was made in `folder` before.
    pub(crate) fn existing(program: &Path, folder: &Path) -> Self {
        Self { program: program.to_path_buf(), folder: folder.to_path_buf() }
    }

    /// The data directory itself.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn passphrase_file(&self) -> PathBuf {
        self.folder.join("passphrase")
    }

    fn settings_file(&self) -> PathBuf {
        self.folder.join("serve.toml")
    }

    fn prepared(&self, command: &[&str]) -> Command {
        let mut prepared = Command::new(&self.program);
        prepared.args(command).arg("--data").arg(self.data()).arg("--passphrase-file").arg(self.passphrase_file());
        prepared.current_dir(&self.folder).stdin(Stdio::null());
        prepared
    }

    /// Runs one command to its end and gives what it wrote to stdout.
    fn command(&self, command: &[&str], more: &[&OsStr]) -> Outcome<String> {
        let output = self.prepared(command).args(more).output().map_err(|error| self.cannot_run(&error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("`tacet {}` failed ({}): {}", command.join(" "), output.status, said.trim()).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn cannot_run(&self, error: &std::io::Error) -> String {
        format!("cannot run {}: {error}", self.program.display())
    }

    /// Imports files or folders; says how long the whole command took, its start and end included, and its processor time.
    pub(crate) fn import(&self, paths: &[PathBuf]) -> Outcome<Took> {
        let mut command = self.prepared(&["import"]);
        command.args(paths).arg("--json").stdout(Stdio::null()).stderr(Stdio::piped());
        let (started, cpu_before) = (now(), process::children_cpu_s()?);
        let output = command.output().map_err(|error| self.cannot_run(&error))?;
        let took = Took { wall_s: started.elapsed().as_secs_f64(), cpu_s: process::children_cpu_s()? - cpu_before };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last: Vec<&str> = said.lines().rev().take(10).collect();
            return Err(format!("`tacet import` failed ({}): {}", output.status, last.join("; ")).into());
        }
        Ok(took)
    }

    /// Makes a bearer token for an interface of the hospital, which sees every record.
    pub(crate) fn token(&self) -> Outcome<String> {
        self.token_as("integrator", None)
    }

    /// Makes a bearer token of this role, for this Practitioner.
    pub(crate) fn token_as(&self, role: &str, practitioner: Option<&str>) -> Outcome<String> {
        let mut more = vec!["--owner", "bench", "--role", role, "--expires", "30d", "--json"];
        more.extend(practitioner.into_iter().flat_map(|id| ["--practitioner", id]));
        let more: Vec<&OsStr> = more.into_iter().map(OsStr::new).collect();
        let said = self.command(&["token", "create"], &more)?;
        let answer: serde_json::Value = serde_json::from_str(&said)?;
        let token = ["token", "secret", "bearer"].iter().find_map(|name| answer.get(name)?.as_str());
        token.map(str::to_owned).ok_or_else(|| "`tacet token create --json` gave no token".into())
    }

    /// Has the server take tokens in place of passkeys: there is nobody to show one.
    pub(crate) fn let_people_use_tokens(&self) -> Outcome {
        let settings = std::fs::read_to_string(self.settings_file())?;
        Ok(std::fs::write(self.settings_file(), format!("{settings}\n[access]\ntokens_for_people = true\n"))?)
    }

    /// Has the server back up to two folders, every so many seconds.
    pub(crate) fn back_up(&self, content: &Path, keys: &Path, interval_s: u64) -> Outcome {
        let settings = std::fs::read_to_string(self.settings_file())?;
        let folder = |path: &Path| format!("kind = \"folder\"\npath = \"{}\"\n", path.display());
        let backup = format!(
            "\n[backup]\ninterval_seconds = {interval_s}\n[backup.target]\n{}[backup.keys]\n{}",
            folder(content),
            folder(keys)
        );
        Ok(std::fs::write(self.settings_file(), settings + &backup)?)
    }

    /// Makes the first accounts, one administrator and one security officer; gives them with their codes, as JSON.
    pub(crate) fn first_accounts(&self) -> Outcome<serde_json::Value> {
        let more = ["--administrator", "anna", "--security-officer", "sec", "--json"].map(OsStr::new);
        let said = self.command(&["account", "bootstrap"], &more)?;
        let mut answer: serde_json::Value = serde_json::from_str(&said)?;
        let accounts = answer.get_mut("accounts").map(serde_json::Value::take);
        accounts.ok_or_else(|| "`tacet account bootstrap --json` gave no accounts".into())
    }

    /// Starts the server on a free port of the loopback and waits until it answers.
    pub(crate) fn serve(&self) -> Outcome<Server> {
        self.serve_as("127.0.0.1")
    }

    /// The same under a name of this machine: browsers bind passkeys to names and to no addresses.
    pub(crate) fn serve_as(&self, host: &str) -> Outcome<Server> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = std::fs::File::create(self.folder.join("serve.log"))?;
        let mut command = self.prepared(&["serve"]);
        command.arg("--config").arg(self.settings_file()).arg("--listen").arg(address.to_string());
        command.arg("--base-url").arg(format!("http://{host}:{}", address.port()));
        command.stdout(log.try_clone()?).stderr(log);
        let started = now();
        let child = command.spawn().map_err(|error| self.cannot_run(&error))?;
        let mut server = Server { child, address, start_s: 0.0 };
        loop {
            if get(address, "/health").is_ok_and(|(status, _)| status == 200) {
                server.start_s = started.elapsed().as_secs_f64();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                let log = std::fs::read_to_string(self.folder.join("serve.log")).unwrap_or_default();
                return Err(format!("`tacet serve` ended ({status}) instead of answering: {}", log.trim()).into());
            }
            if started.elapsed() > START_MAX {
                return Err(format!("`tacet serve` did not answer within {} s", START_MAX.as_secs()).into());
            }
            std::thread::sleep(TRY_EVERY);
        }
    }

    /// Removes everything that was written.
    pub(crate) fn remove(self) -> Outcome {
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }
}

/// What a command took.
pub(crate) struct Took {
    /// Seconds on the wall.
    pub(crate) wall_s: f64,
    /// Seconds of processor time, over all threads.
    pub(crate) cpu_s: f64,
}

/// A server that runs; ended when dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first good answer, in seconds.
    pub(crate) start_s: f64,
}

impl Server {
    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as a service manager does, and waits until it has.
    pub(crate) fn stop(mut self) -> Outcome {
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status()?;
        let started = now();
        while asked.success() && started.elapsed() < STOP_MAX {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() {
                    Ok(())
                } else {
                    Err(format!("`tacet serve` ended with {status}").into())
                };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("`tacet serve` did not end when asked to".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended, or beyond help: either way there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One plain GET on a connection of its own; the status and the whole answer.
pub(crate) fn get(address: SocketAddr, path: &str) -> Outcome<(u16, String)> {
    let wait = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, wait)?;
    stream.set_read_timeout(Some(wait))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or("the answer is not HTTP")?, answer))
}

#[expect(clippy::disallowed_methods, reason = "measures how long commands take")]
fn now() -> Instant {
    Instant::now()
}
