//! What the doctor says of backups: whether there are any, where they lie, and who could destroy them. From settings and files alone: no place is written to.

use super::{Finding, private};
use crate::args::Global;
use crate::backing::{BackupConfig, Files, Status};
use crate::config::Config;
use crate::open;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tacet_backup::targets::{Lock, TargetSettings};

/// Everything about backups. Settings that cannot be read are told elsewhere.
pub(super) fn findings(global: &Global, data: &Path) -> Vec<Finding> {
    let Ok(Config { backup, .. }) = Config::load(global) else { return Vec::new() };
    if !backup.is_on() {
        let says = "none is set up: what takes this machine takes every record; name two places under `[backup]` (docs/backup.md)";
        return vec![Finding { what: "backup", good: false, says: says.to_owned() }];
    }
    let mut findings = vec![standing(&backup, data)];
    let device = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
    let mut devices = Vec::new();
    for settings in [&backup.target, &backup.keys].into_iter().flatten() {
        match settings {
            TargetSettings::Ssh(ssh) => {
                findings.extend(ssh.identity.as_deref().map(|path| private(path, "backup identity")))
            }
            TargetSettings::S3(s3) => findings.push(private(&s3.credentials, "backup credentials")),
            TargetSettings::Folder { .. } => {}
        }
    }
    for (what, settings) in [("backup target", &backup.target), ("backup keys", &backup.keys)] {
        let Some(settings) = settings else { continue };
        let TargetSettings::Folder { path } = settings else {
            findings.push(elsewhere(what, settings, backup.locked_days));
            continue;
        };
        let (its, ours) = (device(path), device(data));
        let (good, says) = match its {
            None => (false, format!("{} is not there: create it, or mount what it is on", path.display())),
            Some(_) if its == ours => {
                (false, format!("{} lies on the disk of the data: one fault takes both", path.display()))
            }
            Some(_) => (
                true,
                format!(
                    "{} lies on another disk; who is root here can change it: let its other side keep snapshots out of reach",
                    path.display()
                ),
            ),
        };
        findings.push(Finding { what, good, says });
        devices.extend(its);
    }
    if let [content, keys] = devices[..] {
        let good = content != keys;
        let says = if good {
            "content and keys lie on two disks"
        } else {
            "content and keys lie on one disk: whoever takes it has both"
        };
        findings.push(Finding { what: "backup apart", good, says: says.to_owned() });
    }
    findings
}

/// Whether the places can be used, and what was noted last.
fn standing(backup: &BackupConfig, data: &Path) -> Finding {
    let status = Status::read(&Files::of(data).status);
    let (good, says) = match (backup.targets(), status) {
        (Err(error), _) => (false, crate::backing::explain(&error)),
        (Ok(_), None) => (false, "set up, and none was made yet: start the server, or `tacet backup now`".to_owned()),
        (Ok(_), Some(status)) if !status.is_well(open::clock().now()) => {
            (false, "something is wrong: `tacet backup status` says what".to_owned())
        }
        (Ok(_), Some(status)) => (true, format!("last looked after at {}", status.at)),
    };
    Finding { what: "backup", good, says }
}

/// A place on another machine.
fn elsewhere(what: &'static str, settings: &TargetSettings, locked_days: u32) -> Finding {
    let (good, says) = match settings {
        TargetSettings::S3(s3) => match s3.lock {
            // A long lock there would keep the keys of erased patients.
            Lock::None if what == "backup keys" => {
                (true, "no lock; the credential's rights are all that keeps the keys: give it none to delete")
            }
            Lock::None => {
                (false, "no lock: the credential's rights are all there is; `lock = \"compliance\"` and `locked_days`")
            }
            Lock::Compliance if locked_days == 0 => (false, "a lock for no time: set `locked_days`"),
            Lock::Compliance => (true, "locked"),
        },
        _ => (
            true,
            "append-only if the other machine's `authorized_keys` says `command=\"tacet backup receive --append-only ...\"`",
        ),
    };
    Finding { what, good, says: says.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bucket_lacks_is_named() {
        let of = |what, lock: &str, days| {
            let text = format!(
                "kind = 's3'\nendpoint = 'https://s3.example'\nbucket = 'b'\ncredentials = '/c'\nlock = '{lock}'"
            );
            elsewhere(what, &toml::from_str(&text).unwrap(), days).good
        };
        assert!(!of("backup target", "none", 30) && !of("backup target", "compliance", 0));
        assert!(of("backup target", "compliance", 30) && of("backup keys", "none", 0));
        let ssh = toml::from_str("kind = 'ssh'\nhost = 'vault'").unwrap();
        assert!(elsewhere("backup target", &ssh, 0).says.contains("append-only"));
    }
}
