//! A scratch directory with a store, and the program run on it.

use pollster::block_on;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_seal::root::{PassphraseCost, RootFile, Split};
use tacet_seal::{InProcessKeeper, KeeperLimits, SecureRng};
use tacet_store::fjall::{FjallEngine, FjallOptions};
use tacet_store::{Engine, StoreOptions};
use tacet_types::{OperationId, SystemClock};
use tacet_vault::{Caller, Limits, Role, Vault, VaultOptions};

pub(crate) const PASSPHRASE: &str = "correct horse battery staple";

/// How long a server may take to say that it serves. Far more than it needs: a machine may be busy.
const READY_PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    /// A passphrase and no store.
    pub(crate) fn empty() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        place.write("passphrase", PASSPHRASE);
        place
    }

    /// A store whose passphrase costs nothing to try, so that the program starts quickly; and its recovery shares.
    pub(crate) fn with_store() -> (Self, Vec<String>) {
        let place = Self::empty();
        let store = place.data().join("store");
        std::fs::create_dir_all(&store).unwrap();
        let (root, shares) = RootFile::create(
            &place.data().join("root.key"),
            PASSPHRASE,
            Split::DEFAULT,
            PassphraseCost::DANGEROUSLY_CHEAP,
            &SecureRng,
        )
        .unwrap();
        let engine: Arc<dyn Engine> = Arc::new(FjallEngine::open(&store, FjallOptions::default()).unwrap());
        let operator = caller(Role::Operator);
        let made = Vault::initialize(engine, keeper(&root), options(), &operator);
        block_on(made).unwrap().close().unwrap();
        (place, shares.iter().map(|share| share.to_text().to_string()).collect())
    }

    /// The store, opened by the test itself.
    pub(crate) fn open_vault(&self) -> Vault {
        let root = RootFile::unlock(&self.data().join("root.key"), PASSPHRASE).unwrap();
        let engine = FjallEngine::open(&self.data().join("store"), FjallOptions::default()).unwrap();
        Vault::open(Arc::new(engine), keeper(&root), options()).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a file beside the store.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The program with these arguments, on this place.
    pub(crate) fn tacet(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tacet"));
        self.dress(&mut command);
        command.args(arguments);
        command
    }

    /// The program in a shell that first runs `before`.
    pub(crate) fn tacet_after(&self, before: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{before}; exec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_tacet"));
        self.dress(&mut command);
        command.args(arguments);
        command
    }

    fn dress(&self, command: &mut Command) {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TACET_")) {
            command.env_remove(name);
        }
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.env("TACET_DATA", self.data()).env("TACET_PASSPHRASE_FILE", self.path("passphrase"));
        command.env("TACET_OPERATOR", "Test operator");
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.tacet(arguments).output().unwrap())
    }

    /// Runs a command that must succeed, and gives the JSON document that it prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).ended(0).json()
    }

    /// A new token's secret.
    pub(crate) fn token(&self, owner: &str, role: &str) -> String {
        let made = self.json(&["token", "create", "--owner", owner, "--role", role]);
        made["token"].as_str().unwrap().to_owned()
    }

    /// Every row, seal and link is right. Gives what the check counted.
    pub(crate) fn assert_sound(&self, when: &str) -> Value {
        let checked = self.run(&["check", "--json"]);
        assert_eq!(checked.code, Some(0), "{when}: {} {}", checked.out, checked.err);
        checked.json()
    }

    /// Serves on a free port; returns when it is ready.
    pub(crate) fn serve(&self) -> Serving {
        Serving::start(self.tacet(&["serve", "--listen", "127.0.0.1:0"]))
    }
}

/// A command that ended.
pub(crate) struct Ran {
    /// None: killed by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// One document with its version and its command.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out));
        assert_eq!(value["format"], 1, "{value}");
        assert!(value["command"].is_string() || value["error"].is_string(), "{value}");
        value
    }

    /// What was said on stderr in one line, since the program breaks its lines where they are long.
    pub(crate) fn said(&self) -> String {
        self.err
            .split_whitespace()
            .filter(|word| !matches!(*word, "│" | "×" | "├─▶" | "╰─▶"))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// A server under way.
pub(crate) struct Serving {
    pub(crate) child: Child,
    /// `127.0.0.1:port`.
    pub(crate) address: String,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Serving {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (address, ready): (_, Receiver<String>) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let reader = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    if let Some(url) = line.strip_prefix("serving FHIR R4 at http://") {
                        let _ = address.send(url.to_owned());
                    }
                    *log.lock().unwrap() += &format!("{line}\n");
                }
            }
        });
        let address = ready.recv_timeout(READY_PATIENCE);
        let address = address.unwrap_or_else(|_| panic!("the server did not start: {}", log.lock().unwrap()));
        Self { child, address, log, reader: Some(reader) }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// As a machine that loses its power: no goodbye.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.whole_log()
    }

    /// Asks the server to stop, and gives its exit code and its log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, self.whole_log())
    }

    fn whole_log(&mut self) -> String {
        self.reader.take().unwrap().join().unwrap();
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn keeper(root: &RootFile) -> Arc<InProcessKeeper> {
    let limits = KeeperLimits { burst: u32::MAX, per_second: u32::MAX };
    Arc::new(InProcessKeeper::new(root.keys(), Arc::new(SystemClock), Arc::new(SecureRng), limits))
}

pub(crate) fn options() -> VaultOptions {
    VaultOptions {
        clock: Arc::new(SystemClock),
        rng: Arc::new(SecureRng),
        limits: Limits::default(),
        store: StoreOptions::default(),
        index: Some(tacet_vault::IndexSettings::default()),
        access: None,
    }
}

pub(crate) fn caller(role: Role) -> Caller {
    let origin = Origin { address: None, channel: Channel::CommandLine };
    Caller::new("Test", role, PurposeOfUse::Treatment, origin, OperationId::random(&SecureRng))
}

/// A setting from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Small deterministic numbers (xorshift64*, S. Vigna 2016).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound.max(1)
    }
}

/// The files below a directory.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
