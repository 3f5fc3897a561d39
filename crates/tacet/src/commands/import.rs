//! `tacet import`: bundles, resources and NDJSON from files and folders.
//!
//! The main thread reads lines and names documents; workers parse, validate, seal and wait for their commit. Units that
//! were stored before are skipped, so an import that was interrupted is simply run again.

use crate::args::{Global, ImportArgs};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_ledger::PurposeOfUse;
use tacet_store::StoreError;
use tacet_types::ResourceType;
use tacet_vault::{Caller, ImportOptions, ImportOutcome, ImportUnit, Rejected, Role, Vault, VaultError};

/// Largest document (a bundle or a resource), uncompressed, in bytes.
const DOCUMENT_BYTES_MAX: u64 = 1 << 30;

/// Longest line of an NDJSON file, in bytes. As the server's largest body of one resource.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Lines in one unit: enough to make a commit worth its sync, few enough to lose little when interrupted.
const UNIT_LINES: usize = 256;

/// Bytes after which a unit of lines is closed, so that memory stays bounded with large records.
const UNIT_BYTES: usize = 4 << 20;

/// Units that wait for a worker.
const QUEUE_UNITS: usize = 8;

/// Rejected records that are listed in the JSON output; all are told on stderr.
const REJECTED_LISTED_MAX: usize = 1000;

/// Deepest folder that is looked into.
const FOLDER_DEPTH_MAX: usize = 32;

/// Work for one worker.
enum Job {
    Document { path: PathBuf, bytes: u64 },
    Lines { path: PathBuf, lines: Vec<(u64, Vec<u8>)>, bytes: u64 },
}

/// What all workers together did.
#[derive(Default)]
struct Tally {
    stored: BTreeMap<ResourceType, u64>,
    done_before: u64,
    rejected: u64,
    listed: Vec<serde_json::Value>,
    failure: Option<CliError>,
}

/// A file that cannot be read from this line on.
struct Unreadable {
    position: u64,
    error: CliError,
}

struct Import<'a> {
    vault: &'a Vault,
    caller: &'a Caller,
    options: ImportOptions<'a>,
    output: &'a Output,
    tally: Mutex<Tally>,
    stop: AtomicBool,
    bar: ProgressBar,
}

#[expect(clippy::disallowed_methods, reason = "says how long the import took")]
pub(crate) fn run(global: &Global, args: &ImportArgs, output: &Output) -> Result<u8, CliError> {
    let files = find_files(&args.paths)?;
    let opened = open::open(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Integrator, PurposeOfUse::Operations);
    let bytes = files.iter().map(|(_, bytes)| bytes).sum();
    let base_url = opened.config.server.base_url.clone().unwrap_or_default();
    let import = Import {
        vault: &opened.vault,
        caller: &caller,
        options: ImportOptions { strict: args.strict, again: args.again, base_url: &base_url },
        output,
        tally: Mutex::default(),
        stop: AtomicBool::new(false),
        bar: progress_bar(output, bytes),
    };
    let threads = args.threads.unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(2, |processors| processors.get()).saturating_add(1)
    });
    let start = Instant::now();
    import.all(&files, threads.clamp(1, 64));
    let seconds = start.elapsed().as_secs_f64();
    import.bar.finish_and_clear();
    let tally = import.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let closed = opened.vault.close();
    // Where the import failed, its own failure says why, and the store that failed with it only says that it did.
    if tally.failure.is_none() {
        closed?;
    }
    report(tally, files.len(), seconds, output)
}

fn report(tally: Tally, files: usize, seconds: f64, output: &Output) -> Result<u8, CliError> {
    let total: u64 = tally.stored.values().sum();
    let rate = total as f64 / seconds.max(0.001);
    let mut text = format!("{total} resources from {files} files in {seconds:.1} s ({rate:.0}/s)\n");
    for (name, count) in &tally.stored {
        text += &format!("  {name} {count}\n");
    }
    if tally.done_before > 0 {
        text += &format!(
            "{} units were stored by an earlier import and skipped (`--again` stores them anew)\n",
            tally.done_before
        );
    }
    if tally.rejected > 0 {
        text += &format!("{} records were left out; see above\n", tally.rejected);
    }
    let stored: serde_json::Map<String, serde_json::Value> =
        tally.stored.iter().map(|(name, count)| (name.to_string(), json!(count))).collect();
    let value = json!({
        "stored": stored, "stored_total": total, "files": files, "seconds": seconds, "units_done_before": tally.done_before,
        "rejected_total": tally.rejected, "rejected": tally.listed,
    });
    if let Some(failure) = tally.failure {
        output.note(&format!("the import stopped; {total} resources are stored. Run it again to go on"));
        return Err(failure);
    }
    output.result("import", value, &text);
    Ok(if tally.rejected == 0 { exit::OK } else { exit::REJECTED })
}

impl Import<'_> {
    fn all(&self, files: &[(PathBuf, u64)], threads: usize) {
        let (sender, receiver) = sync_channel(QUEUE_UNITS);
        let receiver = Mutex::new(receiver);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work(&receiver));
            }
            for (path, bytes) in files {
                if self.stopped() {
                    break;
                }
                // A file that cannot be read, or not to its end, does not stop the others.
                let fed = self
                    .feed(path, *bytes, &sender)
                    .or_else(|error| self.leave_out(path, error.position, &error.error));
                if let Err(error) = fed {
                    self.fail(error);
                }
            }
            drop(sender);
        });
    }

    /// Turns a file into jobs.
    fn feed(&self, path: &Path, bytes: u64, sender: &SyncSender<Job>) -> Result<(), Unreadable> {
        if !is_lines(path) {
            let _ = sender.send(Job::Document { path: path.to_owned(), bytes });
            return Ok(());
        }
        let plain = open_plain(path).map_err(|error| Unreadable { position: 0, error })?;
        let mut reader = BufReader::with_capacity(1 << 20, plain);
        let (mut lines, mut unit_bytes, mut number) = (Vec::new(), 0, 0);
        let mut unreadable = None;
        loop {
            let mut line = Vec::new();
            number += 1;
            let read = match reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line) {
                Ok(_) if line.len() as u64 > LINE_BYTES_MAX => {
                    let message = format!("longer than {LINE_BYTES_MAX} bytes, and the rest of the file is not read");
                    unreadable = Some(Unreadable { position: number, error: CliError::Usage(message) });
                    line.clear();
                    0
                }
                Ok(read) => read,
                Err(error) => {
                    let error = CliError::file(path, "the file cannot be read to its end")(error);
                    unreadable = Some(Unreadable { position: number, error });
                    line.clear();
                    0
                }
            };
            if !line.trim_ascii().is_empty() {
                unit_bytes += line.len();
                lines.push((number, line));
            }
            let full = lines.len() >= UNIT_LINES || unit_bytes >= UNIT_BYTES;
            if (full || read == 0) && !lines.is_empty() {
                // The bar counts bytes as they lie on disk; within a file it jumps at the end.
                let done = if read == 0 { bytes } else { 0 };
                let job = Job::Lines { path: path.to_owned(), lines: std::mem::take(&mut lines), bytes: done };
                unit_bytes = 0;
                if sender.send(job).is_err() {
                    return Ok(());
                }
            }
            if read == 0 || self.stopped() {
                return unreadable.map_or(Ok(()), Err);
            }
        }
    }

    /// Counts a record, or the rest of a file, that cannot be read among those left out.
    fn leave_out(&self, path: &Path, position: u64, error: &CliError) -> Result<(), CliError> {
        let rejected =
            vec![Rejected { position, issues: vec![Issue::error(IssueType::Structure, "", error.to_string())] }];
        self.add(path, ImportOutcome { rejected, ..ImportOutcome::default() })
    }

    fn work(&self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            if self.stopped() {
                continue; // empties the queue, so that the sender does not wait for ever
            }
            match self.carry_out(&job) {
                Ok(()) => {}
                Err(error) => self.fail(error),
            }
        }
    }

    fn carry_out(&self, job: &Job) -> Result<(), CliError> {
        let (path, outcome, bytes) = match job {
            Job::Document { path, bytes } => {
                let body = match read_document(path) {
                    Ok(body) => body,
                    Err(error) => return self.leave_out(path, 0, &error),
                };
                (path, self.store(&ImportUnit::Document(&body)), *bytes)
            }
            Job::Lines { path, lines, bytes } => {
                let lines = lines.iter().map(|(number, line)| (*number, line.trim_ascii())).collect();
                (path, self.store(&ImportUnit::Resources(lines)), *bytes)
            }
        };
        self.bar.inc(bytes);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // A document that is no JSON at all is one bad record.
            Err(error @ (VaultError::Malformed(_) | VaultError::Invalid(_) | VaultError::TooLarge { .. })) => {
                let rejected = vec![Rejected { position: 0, issues: error.issues() }];
                ImportOutcome { rejected, ..ImportOutcome::default() }
            }
            Err(error) => return Err(error.into()),
        };
        self.add(path, outcome)
    }

    fn store(&self, unit: &ImportUnit<'_>) -> Result<ImportOutcome, VaultError> {
        open::wait(self.vault.import(self.caller, unit, self.options))
    }

    fn add(&self, path: &Path, outcome: ImportOutcome) -> Result<(), CliError> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, count) in outcome.stored {
            *tally.stored.entry(name).or_default() += count;
        }
        tally.done_before += u64::from(outcome.done_before);
        for rejected in &outcome.rejected {
            tally.rejected += 1;
            let place = if is_lines(path) { "line" } else { "entry" };
            for issue in &rejected.issues {
                let message = format!(
                    "left out: {} {place} {}: {} {}",
                    path.display(),
                    rejected.position,
                    issue.location,
                    issue.message
                );
                self.bar.suspend(|| self.output.note(&message));
            }
            if tally.listed.len() < REJECTED_LISTED_MAX {
                let issues: Vec<_> = rejected
                    .issues
                    .iter()
                    .map(|issue| json!({ "location": issue.location, "message": issue.message }))
                    .collect();
                tally.listed.push(json!({ "file": path, "position": rejected.position, "issues": issues }));
            }
        }
        if self.options.strict && !outcome.rejected.is_empty() {
            return Err(CliError::Usage("stopped at a bad record, as `--strict` asks".into()));
        }
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Keeps the first failure and lets the workers run out.
    fn fail(&self, error: CliError) {
        self.stop.store(true, Ordering::Relaxed);
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if tally.failure.as_ref().is_none_or(is_echo) {
            tally.failure = Some(error);
        }
    }
}

/// Whether this only says that the store had failed before.
fn is_echo(error: &CliError) -> bool {
    let CliError::Vault(VaultError::Unavailable(source)) = error else { return false };
    matches!(source.downcast_ref(), Some(StoreError::Failed))
}

fn progress_bar(output: &Output, bytes: u64) -> ProgressBar {
    if !output.interactive() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {percent}% {bytes}/{total_bytes} {bytes_per_sec} left {eta}");
    let bar = ProgressBar::new(bytes);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// The files to import with their sizes, folders looked into, in the order of their names.
fn find_files(paths: &[PathBuf]) -> Result<Vec<(PathBuf, u64)>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        let meta = std::fs::metadata(path).map_err(CliError::file(path, "not found"))?;
        if meta.is_dir() {
            walk(path, 0, &mut files)?;
        } else {
            files.push((path.clone(), meta.len()));
        }
    }
    if files.is_empty() {
        return Err(CliError::Usage("no .json, .ndjson or .gz file was found there".into()));
    }
    Ok(files)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<(PathBuf, u64)>) -> Result<(), CliError> {
    let unreadable = || CliError::file(folder, "the folder cannot be read");
    if depth > FOLDER_DEPTH_MAX {
        return Err(CliError::Usage(format!("`{}` lies deeper than {FOLDER_DEPTH_MAX} folders", folder.display())));
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable())? {
        entries.push(entry.map_err(unreadable())?.path());
    }
    entries.sort();
    for path in entries {
        // A link that leads nowhere is listed too, to be told of when its turn comes.
        let meta = std::fs::metadata(&path).ok();
        if meta.as_ref().is_some_and(std::fs::Metadata::is_dir) {
            walk(&path, depth + 1, files)?;
        } else if is_lines(&path) || plain_name(&path).ends_with(".json") {
            files.push((path, meta.map_or(0, |meta| meta.len())));
        }
    }
    Ok(())
}

/// The file's name in lower case, without `.gz`.
fn plain_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.strip_suffix(".gz").map_or(name.clone(), str::to_owned)
}

fn is_lines(path: &Path) -> bool {
    let name = plain_name(path);
    name.ends_with(".ndjson") || name.ends_with(".jsonl")
}

fn open_plain(path: &Path) -> Result<Box<dyn Read>, CliError> {
    let file = File::open(path).map_err(CliError::file(path, "the file cannot be opened"))?;
    let packed = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"));
    Ok(if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

fn read_document(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut body = Vec::new();
    let read = open_plain(path)?.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut body);
    read.map_err(CliError::file(path, "the file cannot be read"))?;
    if body.len() as u64 > DOCUMENT_BYTES_MAX {
        let message = format!("`{}` is longer than {DOCUMENT_BYTES_MAX} bytes: use NDJSON", path.display());
        return Err(CliError::Usage(message));
    }
    Ok(body)
}
