//! The hospital before the attack: a store, a backup on machines that the hospital reaches by a receiver only, a ward with a workstation.

use super::places::{Place, Places};
use super::ward::Lying;
use super::{cannot, now_ms};
use crate::args::RansomwareArgs;
use crate::backing::NO_BACKUP;
use crate::commands::drill::child::{Children, Server};
use crate::commands::drill::play;
use crate::commands::drill::scratch::{Area, Scratch};
use crate::commands::init::private_directory;
use crate::error::CliError;
use crate::exit;
use crate::open;
use rustix::process::Signal;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tacet_backup::{Manifest, PublicKey};
use tacet_testkit::{Hospital, HospitalOptions, PatientFile, Record};
use tacet_types::Rng;
use zeroize::Zeroizing;

/// Fewer have nobody to erase.
pub(super) const PATIENTS_MIN: u64 = 4;

/// Patients who lie on the ward.
pub(super) const LYING: u64 = 8;

/// The ward that has a workstation.
const WARD: &str = "Cardiologie";

/// Its name in the settings and in the pack's file.
const WARD_FILE: &str = "cardio";

/// Number of the patient who is erased before the attack.
pub(super) const ERASED: u64 = 1;

/// Seconds between two packs: as few as the program takes.
pub(super) const PACK_S: u64 = 30;

/// Days for which objects are locked where a place can: what the drill puts stays there as long.
const LOCKED_DAYS: u32 = 1;

/// Who runs the played hospital.
pub(super) const ADMINISTRATOR: &str = "drill administrator";

/// Looks before a snapshot is given up, 100 ms apart: an hour, for a first base of a hospital of 100,000.
const LOOKS_MAX: u32 = 36_000;

/// Failures of the backup, one after the other, after which none is waited for: half a minute, as the server tries again.
const FAILURES_MAX: u64 = 6;

/// All machines of the drill.
pub(super) struct Stage {
    /// The hospital's own.
    pub(super) machine: Scratch,
    /// The workstation on the ward.
    pub(super) ward: Scratch,
    pub(super) passphrase: Zeroizing<String>,
    pub(super) hospital: Hospital,
    /// Of an interface that reads and writes.
    pub(super) token: String,
    /// As many recovery shares as are needed, one a line.
    pub(super) shares: Zeroizing<String>,
    /// The key of the backup, as it hangs in the safe.
    pub(super) backup_key: PublicKey,
    /// Resources that were imported, those of the erased patient taken away.
    pub(super) resources: u64,
    /// Numbers of the patients who were put on the ward, beyond those whom the hospital has there anyhow.
    pub(super) lying: Vec<u64>,
    /// Everybody who lies on the ward before the day of the attack.
    pub(super) on_ward: Vec<Lying>,
    /// Where the backup is.
    pub(super) places: Places,
    /// Snapshots before the server was started for its last day.
    pub(super) snapshots_before: u64,
    /// Seconds that the first whole snapshot took from the server's start.
    pub(super) first_base_s: f64,
    /// What the importing took, in seconds.
    pub(super) import_s: f64,
}

/// Text of a path of the drill's own.
pub(super) fn text(path: &Path) -> Result<&str, CliError> {
    path.to_str().ok_or_else(|| cannot("the scratch directory's name is no text"))
}

impl Stage {
    pub(super) fn root(&self) -> &Path {
        self.machine.root()
    }

    /// The folder in which the server puts packs, on its own disk.
    pub(super) fn packs(&self) -> PathBuf {
        self.root().join("packs")
    }

    /// The workstation's copy of the last pack.
    pub(super) fn kept_pack(&self) -> PathBuf {
        self.ward.area(Area::Export).join(pack_file())
    }

    /// The workstation's directory.
    pub(super) fn workstation(&self) -> PathBuf {
        self.ward.root().join("workstation")
    }

    pub(super) fn children(&self) -> Result<Children<'_>, CliError> {
        Children::new(&self.machine, self.passphrase.clone())
    }

    /// What the workstation does every minute: fetches the last pack.
    pub(super) fn fetch_pack(&self) -> Result<bool, CliError> {
        let from = self.packs().join(pack_file());
        if !from.exists() {
            return Ok(false);
        }
        let new = self.kept_pack().with_extension("new");
        std::fs::copy(&from, &new).map_err(CliError::file(&from, "cannot be copied"))?;
        std::fs::rename(&new, self.kept_pack()).map_err(CliError::file(&new, "cannot be renamed"))?;
        Ok(true)
    }

    /// The manifests on a place that the hospital signed, the oldest first, not further back than `last`.
    pub(super) fn manifests(&self, place: Place, last: usize) -> Result<Vec<Manifest>, CliError> {
        self.places.manifests(place, &self.backup_key, last)
    }

    /// Somebody who lies on the ward by these records.
    pub(super) fn lying_of(&self, file: &PatientFile) -> Option<Lying> {
        Lying::of(file, &self.hospital.ward(WARD)?, WARD)
    }

    /// Patients who are not in the hospital yet, each with a stay on the ward that begins.
    pub(super) fn to_admit(&self) -> impl Iterator<Item = PatientFile> + '_ {
        let first = self.lying.last().map_or(self.hospital.options().patients, |last| last + 1);
        (first..).filter_map(move |n| self.hospital.inpatient(n, WARD, LYING + n - first))
    }

    /// Number of the newest snapshot of content that the hospital made.
    pub(super) fn newest(&self) -> Result<u64, CliError> {
        Ok(self.manifests(Place::Content, 1)?.last().map_or(0, |manifest| manifest.number))
    }

    /// Waits until a snapshot with a larger number than this is there.
    pub(super) fn wait_past(&self, number: u64, server: &mut Server) -> Result<u64, CliError> {
        for _ in 0..LOOKS_MAX {
            let newest = self.newest()?;
            if newest > number {
                return Ok(newest);
            }
            is_well(server)?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(cannot("no snapshot came"))
    }

    pub(super) fn build(args: &RansomwareArgs, say: &dyn Fn(&str)) -> Result<Self, CliError> {
        // Said before hours are spent.
        let given = match (&args.target, &args.keys_target) {
            (Some(content), Some(keys)) => Some(Places::given(content, keys)?),
            _ => None,
        };
        let machine = Scratch::create(args.scratch.as_deref(), false)?;
        let ward = Scratch::create(Some(machine.root()), false)?;
        let passphrase = Zeroizing::new(format!("drill {}", play::random_hex()));
        let options = HospitalOptions { seed: args.seed, patients: args.patients, now: open::clock().now() };
        let hospital = Hospital::new(options);
        let children = Children::new(&machine, passphrase.clone())?;

        say("making a store");
        let made = play::json_of(&children.run("init", ADMINISTRATOR, &["init", "--json"])?)?;
        let listed = made.get("shares").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        // Three of five, where nothing else was asked for.
        let shares = Zeroizing::new(listed.take(3).map(|share| format!("{share}\n")).collect::<String>());

        say(&format!("importing {} patients, and {LYING} who lie on a ward", args.patients));
        let begun = now_ms();
        let (imported, lying, on_ward) = import(&children, &machine, &hospital)?;
        let import_s = super::seconds_since(begun);
        let token = play::token(&children, "token", "drill interface", "integrator")?;
        let key = text_of(&children.run("backup-key", ADMINISTRATOR, &["backup", "key", "--json"])?, "key")?;
        let backup_key = PublicKey::parse(&key).ok_or_else(|| cannot("the backup has no key"))?;

        let pack_key = text_of(&children.run("pack-key", ADMINISTRATOR, &["pack", "key", "--json"])?, "key")?;
        let workstation = ward.root().join("workstation");
        let at_ward = Children::new(&ward, Zeroizing::new(format!("envelope {}", play::random_hex())))?;
        let init = ["pack", "workstation", "init", "--without-passphrase", "--json", "--hospital", &pack_key];
        let made = at_ward.run("workstation", "nurse", &[&init[..], &["--directory", text(&workstation)?]].concat())?;
        let recipient = text_of(&made, "recipient")?;
        let place = hospital.ward(WARD).ok_or_else(|| cannot("the hospital has no such ward"))?;

        let root = machine.root();
        private_directory(&root.join("packs"))?;
        let places = given.map_or_else(|| Places::own(root), Ok)?;
        let locked = if places.locks() { format!("locked_days = {LOCKED_DAYS}\n") } else { String::new() };
        let settings = format!(
            "[log]\nlevel = \"warn\"\njson = true\n[backup]\ninterval_seconds = {}\n{locked}[backup.target]\n{}[backup.keys]\n{}\
             [packs]\ninterval_seconds = {PACK_S}\nfolders = [{:?}]\n\
             [packs.wards.{WARD_FILE}]\nplace = \"Location/{place}\"\nname = \"{WARD}\"\nrecipients = [\"{recipient}\"]\n",
            args.backup_seconds,
            places.described(Place::Content)?,
            places.described(Place::Keys)?,
            text(&root.join("packs"))?,
        );
        children.configure(&settings)?;
        let erased = hospital.patient_id(ERASED);
        let mut stage = Self {
            ward,
            passphrase,
            token,
            shares,
            backup_key,
            resources: imported,
            lying,
            on_ward,
            places,
            snapshots_before: 0,
            first_base_s: 0.0,
            import_s,
            hospital,
            machine,
        };
        let children = stage.children_configured(&settings)?;

        say("the first backup, with a patient in it who asks to be erased then");
        let begun = now_ms();
        let mut server = children.serve("first-day", ADMINISTRATOR)?;
        let newest = stage.wait_past(0, &mut server)?;
        let first_base_s = super::seconds_since(begun);
        end(server)?;
        let erase = ["patient", "erase", &erased, "--confirm", &erased, "--json"];
        let gone = number_of(&children.run("erase", ADMINISTRATOR, &erase)?, "resources")?;
        let resources = stage.resources.saturating_sub(gone);
        let snapshots_before = stage.newest()?.max(newest);
        drop(children);
        (stage.resources, stage.snapshots_before, stage.first_base_s) = (resources, snapshots_before, first_base_s);
        Ok(stage)
    }

    fn children_configured(&self, settings: &str) -> Result<Children<'_>, CliError> {
        let children = self.children()?;
        children.configure(settings)?;
        // As an administrator keeps it, and the attacker finds it.
        let file = self.machine.area(Area::Data).join(crate::config::FILE_NAME);
        std::fs::write(&file, settings).map_err(CliError::file(&file, "cannot be written"))?;
        Ok(children)
    }

    /// The settings of the attacked server, for another start.
    pub(super) fn configured(&self) -> Result<Children<'_>, CliError> {
        let file = self.machine.area(Area::Data).join(crate::config::FILE_NAME);
        let settings = std::fs::read_to_string(&file).map_err(CliError::file(&file, "cannot be read"))?;
        self.children_configured(&settings)
    }
}

/// Refuses a server that ended by itself, or whose backup fails again and again: nothing is waited for then.
pub(super) fn is_well(server: &mut Server) -> Result<(), CliError> {
    if let Some(log) = server.ended_early() {
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        return Err(cannot(&format!("the server ended by itself: {}", last.join(" | "))));
    }
    failing(&server.log()).map_or(Ok(()), |problem| Err(cannot(&format!("the server makes no backup: {problem}"))))
}

/// What the backup fails of, where a log ends in that.
fn failing(log: &str) -> Option<String> {
    let last = log.lines().rev().find(|line| line.contains(NO_BACKUP))?;
    let said = serde_json::from_str::<Value>(last).ok()?;
    let field = |name: &str| said.get(name).cloned().unwrap_or_default();
    (field("failures").as_u64()? >= FAILURES_MAX).then(|| field("problem").as_str().unwrap_or("see its log").to_owned())
}

fn pack_file() -> String {
    format!("ward-{WARD_FILE}.tacetpack")
}

/// What came of an import: how many resources, the numbers of who was put on the ward, and everybody who lies there.
type Imported = (u64, Vec<u64>, Vec<Lying>);

/// Imports the hospital, and some patients who lie on the ward.
fn import(children: &Children<'_>, machine: &Scratch, hospital: &Hospital) -> Result<Imported, CliError> {
    let ward = hospital.ward(WARD).ok_or_else(|| cannot("the hospital has no such ward"))?;
    let patients = hospital.options().patients;
    let mut on_ward = Vec::new();
    let written =
        |pipe: &mut dyn Write, records: &[Record]| records.iter().try_for_each(|one| writeln!(pipe, "{}", one.json));
    let said = play::import_through_pipe(children, machine, "import", exit::OK, |pipe| {
        written(pipe, &hospital.foundation())?;
        for (n, file) in (0..).zip(hospital.patients()) {
            written(pipe, &file.resources)?;
            // Whoever lies there by their chart already.
            on_ward.extend(Lying::of(&file, &ward, WARD).filter(|_| n != ERASED));
        }
        Ok(())
    })?;
    let imported = number_of(&said, "stored_total")?;
    if imported < patients {
        return Err(cannot("the import stored less than the hospital has patients"));
    }
    let mut lying = Vec::new();
    let put = (patients..).filter_map(|n| Some((n, hospital.inpatient(n, WARD, n - patients)?)));
    // A child for whom the hospital knows no reason to be admitted has no stay.
    let put = put.filter_map(|(n, file)| Some((n, Lying::of(&file, &ward, WARD)?, file)));
    let said = play::import_through_pipe(children, machine, "import-ward", exit::OK, |pipe| {
        for (n, one, file) in put.take(count(LYING)) {
            written(pipe, &file.resources)?;
            lying.push(n);
            on_ward.push(one);
        }
        Ok(())
    })?;
    let stored = number_of(&said, "stored_total")?;
    if stored == 0 {
        return Err(cannot("nobody came to lie on the ward"));
    }
    Ok((imported + stored, lying, on_ward))
}

/// A count of things in memory.
pub(super) fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// All resources that `tacet check --json` counts.
pub(super) fn total(check: &Value) -> u64 {
    let counts = check.get("resources").and_then(Value::as_object).into_iter().flat_map(|counts| counts.values());
    counts.filter_map(Value::as_u64).sum()
}

fn number_of(printed: &str, member: &str) -> Result<u64, CliError> {
    let value = play::json_of(printed)?;
    let found = value.get(member).and_then(Value::as_u64);
    found.ok_or_else(|| cannot("a command printed something else than it documents"))
}

fn text_of(printed: &str, member: &str) -> Result<String, CliError> {
    let value = play::json_of(printed)?;
    let found = value.get(member).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| cannot("a command printed something else than it documents"))
}

/// Ends a server as its service manager does.
pub(super) fn end(server: Server) -> Result<(), CliError> {
    match server.end(Signal::TERM)?.success() {
        true => Ok(()),
        false => Err(cannot("a server did not end well")),
    }
}

/// Random bytes.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    tacet_seal::SecureRng.fill(&mut noise);
    noise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_fails_again_and_again_is_not_waited_for() {
        let line = |failures: u64| {
            format!(r#"{{"level":"ERROR","message":"{NO_BACKUP}","problem":"no room","failures":{failures}}}"#)
        };
        assert_eq!(failing(""), None);
        assert_eq!(failing(&format!("{}\nnoise\n", line(FAILURES_MAX - 1))), None);
        assert_eq!(failing(&format!("{}\nnoise\n", line(FAILURES_MAX))), Some("no room".to_owned()));
        // It had gone well in between.
        assert_eq!(failing(&[line(FAILURES_MAX), line(1)].join("\n")), None);
    }
}
