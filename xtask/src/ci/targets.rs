//! Backup targets against what they will meet: an S3-compatible store from PyPI with accounts, rights and locks (`clients/s3`), and a real `sshd` whose
//! keys run the program's receiver. The tests are those of the workspace; here they are told where the two are. Then the drill of ransomware keeps its backup there.

use super::clients::{apt_install, finish, is_there, make_environment, unless_made_from};
use super::{cargo, drill};
use crate::{Outcome, workspace};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Tells the tests the folder of the store.
const S3: &str = "TACET_TEST_S3";

/// Tells the tests the folder of the `sshd`.
const SSH: &str = "TACET_TEST_SSH";

/// Where Debian puts the server.
const SSHD: &str = "/usr/sbin/sshd";

/// The keys by which the drill's backup is reached: each has a folder of its own.
const DRILL_KEYS: [&str; 2] = ["drill-content", "drill-keys"];

/// The beginning of the names of these tests.
const TESTS: &str = "against_a_real_";

/// Starts both and runs the tests.
pub(crate) fn run() -> Outcome {
    let mut missing = Vec::new();
    if !is_there("python3") {
        missing.push("python3");
    }
    if !Path::new(SSHD).exists() {
        apt_install("openssh-server");
    }
    if !Path::new(SSHD).exists() {
        missing.push(SSHD);
    }
    if !missing.is_empty() {
        let what = format!(
            "{} not found: it needs Python 3.9 or later, and Debian's packages openssh-server and openssh-client",
            missing.join(", ")
        );
        // In CI a step that is left out is a step that fails.
        if std::env::var_os("CI").is_some() {
            return Err(what.into());
        }
        println!("skipped: {what}");
        return Ok(());
    }
    // The whole workspace, as the tests were built: one package alone has other features.
    cargo(&["build", "--workspace", "--bins", "--locked", "--quiet"], &[])?;
    let folder = workspace::target().join("targets");
    if folder.join("run").exists() {
        std::fs::remove_dir_all(folder.join("run"))?;
    }
    let store = start_store(&folder)?;
    let sshd = start_sshd(&folder.join("run/ssh"))?;
    let (s3, ssh) = (store.folder.to_string_lossy().into_owned(), sshd.folder.to_string_lossy().into_owned());
    cargo(&["test", "--workspace", "--locked", "--quiet", "--lib", TESTS], &[(S3, &s3), (SSH, &ssh)])?;
    drills(&store.folder, &sshd.folder, &folder.join("run"))
}

/// The drill of ransomware, with the backup at the store and at the `sshd`: whoever has the server's credential goes for it there.
fn drills(store: &Path, sshd: &Path, folder: &Path) -> Outcome {
    let read = |path: PathBuf| -> Outcome<String> { Ok(std::fs::read_to_string(path)?.trim().to_owned()) };
    let (endpoint, credentials) = (read(store.join("endpoint"))?, store.join("server.credentials"));
    let bucket = |prefix: &str| {
        format!(
            "kind = \"s3\"\nendpoint = \"{endpoint}\"\nbucket = \"locked-bucket\"\nprefix = \"{prefix}\"\ncredentials = {credentials:?}\n\
             lock = \"compliance\"\n"
        )
    };
    let (user, port) = (read(sshd.join("user"))?, read(sshd.join("port"))?);
    let receiver = |key: &str| {
        let (identity, known) = (sshd.join(key), sshd.join("known_hosts"));
        format!(
            "kind = \"ssh\"\nhost = \"{user}@127.0.0.1\"\nport = {port}\nidentity = {identity:?}\nknown_hosts = {known:?}\n\
             arguments = [\"-F\", \"none\"]\n"
        )
    };
    for (name, content, keys) in [
        ("s3", bucket("drill-content"), bucket("drill-keys")),
        ("ssh", receiver(DRILL_KEYS[0]), receiver(DRILL_KEYS[1])),
    ] {
        let files = [("content", content), ("keys", keys)]
            .map(|(what, text)| (folder.join(format!("{name}-{what}.toml")), text));
        for (path, text) in &files {
            std::fs::write(path, text)?;
        }
        let [(content, _), (keys, _)] = &files;
        drill::ransomware_at(content, keys, folder)?;
    }
    Ok(())
}

/// A process that ends with this.
struct Running {
    child: Child,
    folder: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_store(folder: &Path) -> Outcome<Running> {
    let sources = workspace::root().join("clients/s3");
    let environment = folder.join("python");
    std::fs::create_dir_all(&environment)?;
    let requirements = sources.join("requirements.txt");
    unless_made_from(&environment, std::slice::from_ref(&requirements), || {
        make_environment(&environment, &requirements)
    })?;
    let run = folder.join("run/s3");
    std::fs::create_dir_all(&run)?;
    let mut command = Command::new(environment.join("bin/python"));
    command.arg(sources.join("store.py")).arg(&run).stdin(Stdio::piped()).stdout(Stdio::piped());
    let child = command.spawn().map_err(|error| format!("the object store cannot be started: {error}"))?;
    let mut store = Running { child, folder: run };
    let mut line = String::new();
    if let Some(said) = store.child.stdout.take() {
        BufReader::new(said).read_line(&mut line)?;
    }
    if line.trim() == "ready" { Ok(store) } else { Err("the object store did not start".into()) }
}

fn start_sshd(folder: &Path) -> Outcome<Running> {
    std::fs::create_dir_all(folder.join("backups"))?;
    for key in ["host", "server", "pruner", "stranger"].into_iter().chain(DRILL_KEYS) {
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"]).arg(folder.join(key));
        finish(make, "`ssh-keygen`")?;
    }
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let public = |key: &str| std::fs::read_to_string(folder.join(format!("{key}.pub")));
    let program = workspace::target().join("debug/tacet");
    let receiver = |how: &str, key: &str, into: &str| -> Outcome<String> {
        let run = format!("{} backup receive {how} {}", program.display(), folder.join(into).display());
        Ok(format!("command=\"{run}\",restrict {}", public(key)?))
    };
    let mut keys =
        format!("{}{}", receiver("--append-only", "server", "backups")?, receiver("--prune", "pruner", "backups")?);
    for key in DRILL_KEYS {
        let into = format!("{key}-received");
        std::fs::create_dir_all(folder.join(&into))?;
        keys += &receiver("--append-only", key, &into)?;
    }
    std::fs::write(folder.join("authorized_keys"), keys)?;
    std::fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{port} {}", public("host")?))?;
    let user = Command::new("id").arg("-un").output()?.stdout;
    std::fs::write(folder.join("user"), user)?;
    std::fs::write(folder.join("port"), port.to_string())?;
    let shown = folder.display();
    let config = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {shown}/host\nAuthorizedKeysFile {shown}/authorized_keys\nPidFile none\nStrictModes no\n\
         UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin forced-commands-only\n\
         Subsystem sftp internal-sftp\nLogLevel ERROR\n"
    );
    std::fs::write(folder.join("sshd_config"), config)?;
    // As root it wants this directory, which its service would make.
    let _ = std::fs::create_dir_all("/run/sshd");
    let mut command = Command::new(SSHD);
    command.args(["-D", "-e", "-f"]).arg(folder.join("sshd_config")).stdin(Stdio::null());
    let log = std::fs::File::create(folder.join("log"))?;
    command.stderr(log);
    let child = command.spawn().map_err(|error| format!("sshd cannot be started: {error}"))?;
    let mut sshd = Running { child, folder: folder.to_owned() };
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(sshd);
        }
        if sshd.child.try_wait()?.is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Err(format!("sshd did not start: {}", std::fs::read_to_string(folder.join("log"))?.trim()).into())
}
