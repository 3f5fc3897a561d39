//! `tacet witness`: cosigning the logs of others. It needs no store and no passphrase: a directory with its key and what it has seen.
//!
//! ```text
//! witness.key            its private key, for its owner only
//! logs                   keys of the logs that it cosigns, one a line
//! lock                   held while it serves
//! <hash>.checkpoint      of each log, the checkpoint that it cosigned last, as the log signed it
//! <hash>.fork            two checkpoints of one size and other roots, both signed by the log, where it was asked to cosign such
//! <hash>.refused         the last checkpoint that no proof led to. Anybody can send one with a wrong proof: it proves nothing alone
//! ```

use crate::args::{Global, WitnessArgs, WitnessCommand};
use crate::error::CliError;
use crate::exit;
use crate::open;
use crate::output::Output;
use aws_lc_rs::digest::{SHA256, digest};
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tacet_server::{TlsConfig, WitnessBook, WitnessServer};
use tacet_tlog::cosignature::cosign;
use tacet_tlog::note::{NOTE_BYTES_MAX, SignatureType};
use tacet_tlog::witness::{AddCheckpoint, Refusal, Seen};
use tacet_tlog::{SignedCheckpoint, SignerKey, VerifierKey};
use tacet_types::Clock;
use zeroize::Zeroizing;

const KEY_FILE: &str = "witness.key";
const LOGS_FILE: &str = "logs";
const LOCK_FILE: &str = "lock";
const STATE_END: &str = "checkpoint";

/// Longest file that is read here, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Most logs of a witness.
const LOGS_MAX: usize = 1000;

pub(crate) fn run(_: &Global, args: &WitnessArgs, output: &Output) -> Result<u8, CliError> {
    match &args.command {
        WitnessCommand::Init { directory, name } => init(directory, name, output),
        WitnessCommand::Trust { directory, vkey } => trust(directory, vkey, output),
        WitnessCommand::Show { directory } => show(directory, output),
        WitnessCommand::Serve { directory, listen, tls_certificate, tls_key } => {
            let files = tls_certificate.as_ref().zip(tls_key.as_ref());
            let tls = files.map(|(certificate, key)| TlsConfig {
                certificate: certificate.clone(),
                key: key.clone(),
                client_certificates: false,
            });
            serve(directory, *listen, tls.as_ref(), output)
        }
    }
}

fn init(directory: &Path, name: &str, output: &Output) -> Result<u8, CliError> {
    let key = SignerKey::generate(name, SignatureType::CosignatureEd25519, open::rng().as_ref());
    let key = key.map_err(|error| CliError::Usage(error.to_string()))?;
    let made = std::fs::DirBuilder::new().mode(0o700).create(directory);
    made.map_err(CliError::file(directory, "cannot be made; it must not exist yet"))?;
    let mut text = key.to_skey();
    text.push('\n');
    write_durably(&directory.join(KEY_FILE), text.as_bytes())?;
    write_durably(&directory.join(LOGS_FILE), b"")?;
    let vkey = key.verifier().to_string();
    let text = format!("The witness's key, for the logs that it shall cosign:\n{vkey}");
    output.result("witness init", json!({ "name": name, "key": vkey }), &text);
    Ok(exit::OK)
}

fn trust(directory: &Path, vkey: &str, output: &Output) -> Result<u8, CliError> {
    let log = VerifierKey::parse(vkey).map_err(|error| CliError::Usage(error.to_string()))?;
    if log.kind() != SignatureType::Ed25519 {
        return Err(CliError::Usage("this is not the key of a log: take what `tacet ledger key` prints".into()));
    }
    let mut logs = logs(directory)?;
    if !logs.contains(&log) {
        logs.push(log.clone());
    }
    if logs.len() > LOGS_MAX {
        return Err(CliError::Usage(format!("a witness cosigns {LOGS_MAX} keys of logs at most")));
    }
    let text: String = logs.iter().map(|log| format!("{log}\n")).collect();
    write_durably(&directory.join(LOGS_FILE), text.as_bytes())?;
    let text = format!("{} is cosigned from the next start of this witness on.", log.name());
    output.result("witness trust", json!({ "log": log.name() }), &text);
    Ok(exit::OK)
}

fn show(directory: &Path, output: &Output) -> Result<u8, CliError> {
    let key = key(directory)?.verifier().to_string();
    let (mut rows, mut text) = (Vec::new(), format!("key {key}\n"));
    let mut names: Vec<String> = logs(directory)?.iter().map(|log| log.name().to_owned()).collect();
    names.dedup();
    for origin in names {
        let seen = state(directory, &origin)?;
        let size = seen.as_ref().map(|seen| seen.checkpoint().size());
        text += &match &seen {
            Some(seen) => {
                format!("{origin}: {} entries, root {}\n", seen.checkpoint().size(), seen.checkpoint().root())
            }
            None => format!("{origin}: nothing cosigned yet\n"),
        };
        let root = seen.as_ref().map(|seen| seen.checkpoint().root().to_string());
        rows.push(json!({ "origin": origin, "size": size, "root": root }));
    }
    output.result("witness show", json!({ "key": key, "logs": rows }), text.trim_end());
    Ok(exit::OK)
}

fn serve(directory: &Path, listen: SocketAddr, tls: Option<&TlsConfig>, output: &Output) -> Result<u8, CliError> {
    crate::commands::serve::start_log(&crate::config::LogConfig::default())?;
    let book = Arc::new(Book::open(directory, open::clock())?);
    let vkey = book.key.verifier().to_string();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::other("the runtime could not be started", error))?;
    runtime.block_on(async {
        let stop = crate::commands::serve::stop_signal()?;
        let server = WitnessServer::bind(listen, tls, book).await.map_err(|error| CliError::Server(Box::new(error)))?;
        let address = server.local_addr().map_err(|error| CliError::Server(Box::new(error)))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        output.note(&format!("the witness {vkey} answers at {scheme}://{address}"));
        server.run(stop).await;
        Ok::<(), CliError>(())
    })?;
    Ok(exit::OK)
}

/// What a witness knows, on its disk.
pub(crate) struct Book {
    directory: PathBuf,
    key: SignerKey,
    logs: Vec<VerifierKey>,
    clock: Arc<dyn Clock>,
    /// INVARIANT: held from the look at what was cosigned last until the new state is durable.
    one: Mutex<()>,
    /// Held as long as this is open: two processes with one state could each roll the other back.
    _lock: File,
}

impl Book {
    /// Opens a witness's directory for itself alone.
    pub(crate) fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<Self, CliError> {
        let key = key(directory)?;
        let path = directory.join(LOCK_FILE);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(CliError::file(&path, "cannot be opened"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| CliError::file(&path, "is held: this witness serves already")(error.into()))?;
        let logs = logs(directory)?;
        // A state that cannot be read is not "never seen": it is found out now, not at the first request.
        for log in &logs {
            state(directory, log.name())?;
        }
        Ok(Self { directory: directory.to_owned(), key, logs, clock, one: Mutex::new(()), _lock: lock })
    }
}

impl Book {
    /// Keeps what a log signed and was not cosigned for, for whoever looks into it: two files for each log at most, whatever is sent.
    fn keep_evidence(&self, request: &AddCheckpoint, before: Option<&SignedCheckpoint>, refusal: &Refusal) {
        let asked = request.checkpoint.checkpoint();
        let stem = file_stem(asked.origin());
        let forked = before.filter(|before| {
            let before = before.checkpoint();
            before.size() == asked.size() && before.root() != asked.root()
        });
        let (name, text) = match (refusal, forked) {
            // Signed by the log, or it had been refused as that before.
            (Refusal::Conflict { .. }, Some(before)) => {
                ("fork", format!("{}\n{}", before.encode(), request.checkpoint.encode()))
            }
            (Refusal::NotConsistent, _) => ("refused", request.checkpoint.encode()),
            _ => return,
        };
        let path = self.directory.join(format!("{stem}.{name}"));
        // The first fork that was seen is not written over.
        if name == "fork" && path.exists() {
            return;
        }
        if let Err(error) = write_durably(&path, text.as_bytes()) {
            tracing::error!(%error, "what a log signed and was not cosigned for cannot be kept");
        }
    }
}

impl WitnessBook for Book {
    fn add_checkpoint(&self, body: &[u8]) -> Result<String, Option<Refusal>> {
        let request = AddCheckpoint::parse(body).map_err(Some)?;
        let checkpoint = request.checkpoint.checkpoint();
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        // Only for logs that are known a file is looked for.
        let known = self.logs.iter().any(|log| log.name() == checkpoint.origin());
        let before = match known {
            true => state(&self.directory, checkpoint.origin()).map_err(|error| {
                tracing::error!(%error, "what was cosigned last cannot be read");
                None
            })?,
            false => None,
        };
        let seen = before.as_ref().map(|before| {
            let before = before.checkpoint();
            Seen { size: before.size(), root: before.root() }
        });
        let decided = request.decide(&self.logs, seen.as_ref());
        if let Err(refusal) = &decided {
            let (origin, size) = (if known { checkpoint.origin() } else { "?" }, checkpoint.size());
            tracing::warn!(log = origin, size, reason = %refusal, "not cosigned");
            self.keep_evidence(&request, before.as_ref(), refusal);
        }
        decided.map_err(Some)?;
        let path = state_path(&self.directory, checkpoint.origin());
        write_durably(&path, request.checkpoint.encode().as_bytes()).map_err(|error| {
            tracing::error!(%error, "what is cosigned cannot be kept");
            None
        })?;
        let now_s = u64::try_from(self.clock.now().as_ms() / 1000).unwrap_or_default();
        let signature = cosign(&self.key, &request.checkpoint, now_s).map_err(|_| None)?;
        tracing::info!(log = checkpoint.origin(), size = checkpoint.size(), "cosigned");
        Ok(format!("{signature}\n"))
    }
}

fn key(directory: &Path) -> Result<SignerKey, CliError> {
    let path = directory.join(KEY_FILE);
    let text = Zeroizing::new(read(&path)?.ok_or_else(|| {
        CliError::Usage(format!("`{}` is no witness: make one with `tacet witness init`", directory.display()))
    })?);
    SignerKey::parse(text.trim_end()).map_err(|error| CliError::other("the witness's key cannot be read", error))
}

fn logs(directory: &Path) -> Result<Vec<VerifierKey>, CliError> {
    let text = read(&directory.join(LOGS_FILE))?.unwrap_or_default();
    let keys = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    keys.map(VerifierKey::parse)
        .collect::<Result<_, _>>()
        .map_err(|error| CliError::other("a line of the witness's file `logs` is not a key", error))
}

/// Part of the name of a log's files: names of logs may hold anything.
fn file_stem(origin: &str) -> String {
    digest(&SHA256, origin.as_bytes()).as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn state_path(directory: &Path, origin: &str) -> PathBuf {
    directory.join(format!("{}.{STATE_END}", file_stem(origin)))
}

/// What was cosigned last of a log. A file that cannot be read is an error: a witness that forgets cosigns a log that was set back.
fn state(directory: &Path, origin: &str) -> Result<Option<SignedCheckpoint>, CliError> {
    let Some(text) = read(&state_path(directory, origin))? else { return Ok(None) };
    let signed = SignedCheckpoint::parse(text.as_bytes());
    let signed = signed.ok().filter(|signed| signed.checkpoint().origin() == origin);
    let damaged = || {
        CliError::Usage(format!(
            "what this witness has cosigned last of {origin} cannot be read: restore its directory"
        ))
    };
    signed.map(Some).ok_or_else(damaged)
}

fn read(path: &Path) -> Result<Option<String>, CliError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::file(path, "cannot be read")(error)),
    }
}

const _: () = assert!(NOTE_BYTES_MAX as u64 <= FILE_BYTES_MAX, "a checkpoint fits");

/// Writes a file so that after a power loss it is the old one or the new one.
fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let written = || -> io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        match path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    };
    written().map_err(CliError::file(path, "cannot be written"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_tlog::merkle::proof::{LeafHashes, consistency};
    use tacet_tlog::merkle::{leaf_hash, root_of};
    use tacet_tlog::note::Signature;
    use tacet_tlog::{Checkpoint, TreeHash};
    use tacet_types::{ManualClock, SeededRng, Timestamp};

    fn request(log: &SignerKey, leaves: &[TreeHash], old: usize, size: usize) -> Vec<u8> {
        let checkpoint = Checkpoint::new(log.name(), size as u64, root_of(&leaves[..size])).unwrap();
        let proof = consistency(&LeafHashes(leaves), old as u64, size as u64).unwrap();
        let checkpoint = SignedCheckpoint::sign(checkpoint, log).unwrap();
        AddCheckpoint { old: old as u64, proof, checkpoint }.encode().into_bytes()
    }

    #[test]
    fn a_witness_remembers_over_restarts_and_never_cosigns_a_log_that_was_set_back() {
        let (directory, rng) = (tempfile::tempdir().unwrap(), SeededRng::new(4));
        let home = directory.path().join("witness");
        let output = Output::new(true);
        init(&home, "witness.example/dpo", &output).unwrap();
        assert!(init(&home, "witness.example/dpo", &output).is_err(), "a key is not overwritten");
        let log = SignerKey::generate("hospital.example/ledger", SignatureType::Ed25519, &rng).unwrap();
        let leaves: Vec<TreeHash> = (0..50u8).map(|number| leaf_hash(&[number])).collect();
        let clock = || Arc::new(ManualClock::new(Timestamp::from_ms(1_700_000_000_000)));
        let status = |book: &Book, body: &[u8]| book.add_checkpoint(body).unwrap_err().unwrap().status();

        let book = Book::open(&home, clock()).unwrap();
        assert_eq!(status(&book, &request(&log, &leaves, 0, 10)), 404);
        assert!(Book::open(&home, clock()).is_err(), "two processes would share a state");
        drop(book);
        trust(&home, &log.verifier().to_string(), &output).unwrap();
        let book = Book::open(&home, clock()).unwrap();
        let lines = book.add_checkpoint(&request(&log, &leaves, 0, 10)).unwrap();
        let signatures = Signature::parse_lines(lines.as_bytes()).unwrap();
        let witness = key(&home).unwrap().verifier();
        let text = AddCheckpoint::parse(&request(&log, &leaves, 0, 10)).unwrap().checkpoint;
        assert!(witness.verify(text.note().text().as_bytes(), signatures[0].bytes()));
        book.add_checkpoint(&request(&log, &leaves, 10, 30)).unwrap();
        drop(book);

        let book = Book::open(&home, clock()).unwrap();
        assert_eq!(book.add_checkpoint(&request(&log, &leaves, 0, 20)), Err(Some(Refusal::Conflict { size: 30 })));
        assert_eq!(status(&book, &request(&log, &leaves, 10, 30)), 409);
        book.add_checkpoint(&request(&log, &leaves, 30, 30)).unwrap();
        let mut forked = leaves.clone();
        forked[3] = leaf_hash(b"another");
        assert_eq!(status(&book, &request(&log, &forked, 30, 40)), 422);
        // Whatever is sent, and by whomever: what is kept for it has a bound.
        for size in 41..50 {
            assert_eq!(status(&book, &request(&log, &forked, 30, size)), 422);
        }
        assert_eq!(status(&book, &request(&log, &forked, 30, 30)), 409);
        let files = |end: &str| {
            let names = std::fs::read_dir(&home).unwrap().map(|file| file.unwrap().file_name());
            names.filter(|name| name.to_string_lossy().ends_with(end)).collect::<Vec<_>>()
        };
        assert_eq!((files(".refused").len(), files(".fork").len()), (1, 1));
        let fork = std::fs::read_to_string(home.join(&files(".fork")[0])).unwrap();
        let (ours, theirs) = fork.split_once("\n\nhospital.example").expect("two checkpoints");
        let both = [format!("{ours}\n"), format!("hospital.example{theirs}")];
        let both = both.map(|text| SignedCheckpoint::verified(text.as_bytes(), &[log.verifier()]).unwrap());
        assert_eq!(both[0].checkpoint().size(), both[1].checkpoint().size());
        assert_ne!(both[0].checkpoint().root(), both[1].checkpoint().root(), "a proof that needs nothing else");
        drop(book);

        // A state that is damaged is no state of a witness that has seen nothing.
        std::fs::write(state_path(&home, log.name()), "x").unwrap();
        assert!(Book::open(&home, clock()).is_err());
    }
}
