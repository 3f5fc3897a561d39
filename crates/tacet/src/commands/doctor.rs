//! `tacet doctor`: looks at the machine and the store from outside, without the passphrase, and says what to mend.

mod backups;

use crate::args::Global;
use crate::config::{Config, data_directory};
use crate::drilled::rehearsed;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, Paths};
use crate::output::Output;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tacet_seal::root::RootFile;

/// Free room below which the disk is called nearly full, in bytes: a few large imports.
const FREE_BYTES_MIN: u64 = 2 << 30;

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    good: bool,
    says: String,
}

pub(crate) fn run(global: &Global, output: &Output) -> Result<u8, CliError> {
    let data = data_directory(global);
    let paths = Paths::of(&data);
    let mut findings = vec![configuration(global), core_dumps(), core_pattern(), swap()];
    if paths.root.exists() {
        findings.extend([private(&data, "data directory"), root_key(&paths.root), free_room(&data)]);
    } else {
        let says = format!("none in `{}`: make one with `tacet init`", data.display());
        findings.push(Finding { what: "store", good: false, says });
    }
    if let Some(tls) = Config::load(global).ok().and_then(|config| config.server.tls) {
        findings.push(private(&tls.key, "TLS key"));
    }
    findings.extend(backups::findings(global, &data));
    findings.extend(rehearsal(global, &data));
    if let Some(path) = &global.passphrase_file {
        findings.push(private(path, "passphrase file"));
        let beside = path.canonicalize().ok().zip(data.canonicalize().ok()).is_some_and(|(a, b)| a.starts_with(b));
        let says =
            if beside { "lies in the data directory: whoever takes the one has the other" } else { "lies elsewhere" };
        findings.push(Finding { what: "passphrase place", good: !beside, says: says.to_owned() });
    }
    let good = findings.iter().all(|finding| finding.good);
    let text: String = findings
        .iter()
        .map(|finding| format!("{} {}: {}\n", if finding.good { "ok  " } else { "MEND" }, finding.what, finding.says))
        .collect();
    let listed: Vec<_> = findings
        .iter()
        .map(|finding| json!({ "what": finding.what, "good": finding.good, "says": finding.says }))
        .collect();
    output.result("doctor", json!({ "good": good, "findings": listed }), &text);
    Ok(if good { exit::OK } else { exit::FINDINGS })
}

fn configuration(global: &Global) -> Finding {
    let (good, says) = match Config::load(global) {
        Ok(config) if !config.server.listen.ip().is_loopback() && config.server.tls.is_none() => {
            (false, format!("listens on {} without TLS: `tacet serve` will refuse", config.server.listen))
        }
        Ok(config) => (true, format!("listens on {}", config.server.listen)),
        Err(error) => (false, error.to_string()),
    };
    Finding { what: "configuration", good, says }
}

/// Whether the backup was brought back in rehearsal lately; nothing where there is none.
fn rehearsal(global: &Global, data: &Path) -> Option<Finding> {
    let config = Config::load(global).ok()?;
    let rehearsed = rehearsed(data, &config.backup, open::clock().now())?;
    Some(Finding { what: "rehearsed restore", good: rehearsed.good, says: rehearsed.says })
}

/// The process switches them off for itself; this says whether that worked.
fn core_dumps() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
    let good = limit.current == Some(0);
    let says = if good { "off for this process" } else { "on: a crash would write keys to the disk" };
    Finding { what: "core dumps", good, says: says.to_owned() }
}

fn core_pattern() -> Finding {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    // A pattern that begins with a pipe is obeyed though the limit is 0; a process that is not dumpable is left alone.
    let piped = pattern.starts_with('|');
    let says =
        if piped { "piped to a program; Tacet's processes are not dumpable, so it gets nothing" } else { "no pipe" };
    Finding { what: "core pattern", good: true, says: says.to_owned() }
}

fn swap() -> Finding {
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    let used = swaps.lines().count() > 1;
    let says = if used { "on: keys in memory may reach it; encrypt it or switch it off" } else { "off" };
    Finding { what: "swap", good: !used, says: says.to_owned() }
}

fn private(path: &Path, what: &'static str) -> Finding {
    match std::fs::metadata(path) {
        Ok(meta) => {
            let mode = meta.permissions().mode() & 0o777;
            let good = mode & 0o077 == 0;
            let says = if good { format!("mode {mode:o}") } else { format!("mode {mode:o}: others can read it") };
            Finding { what, good, says }
        }
        Err(error) => Finding { what, good: false, says: error.to_string() },
    }
}

fn root_key(path: &Path) -> Finding {
    match RootFile::inspect(path) {
        Ok(info) => {
            let (threshold, shares) = (info.split.threshold(), info.split.shares());
            Finding { what: "root key", good: true, says: format!("recovered by {threshold} of {shares} shares") }
        }
        Err(error) => Finding { what: "root key", good: false, says: error.to_string() },
    }
}

fn free_room(path: &Path) -> Finding {
    match rustix::fs::statvfs(path) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            Finding { what: "disk", good: free >= FREE_BYTES_MIN, says: format!("{} MiB free", free >> 20) }
        }
        Err(error) => Finding { what: "disk", good: false, says: error.to_string() },
    }
}
