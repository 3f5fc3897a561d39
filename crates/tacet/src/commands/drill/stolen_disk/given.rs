//! What the played hospital gives out of its hands, where a thief finds it too: packs for a ward's workstation, a transfer to another hospital, and
//! backups of content and of keys.
//!
//! The keys that open packs and transfer are in memory only. They show that names are in there.

use super::super::child::Children;
use super::super::needles::Needles;
use super::super::play::{import_through_pipe, json_of, open_sealed};
use super::super::scratch::{Area, Scratch, files_below};
use crate::commands::init::private_directory;
use crate::error::CliError;
use crate::exit;
use age::secrecy::ExposeSecret;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tacet_testkit::{Hospital, HospitalOptions, PatientFile};
use tacet_types::Timestamp;
use zeroize::Zeroizing;

/// The ward that has a workstation, and what the settings call it.
const WARD: &str = "Cardiologie";
const WARD_ID: &str = "drill";

/// Patients who lie there.
const LYING: usize = 6;

/// What a pack begins with once it is opened.
const PACK_BEGINS: &[u8] = b"tacet-pack/1\n";

/// Who gets what, and who lies on the ward.
pub(in super::super) struct Receivers {
    workstation: age::x25519::Identity,
    other_hospital: age::x25519::Identity,
    place: String,
    lying: Vec<PatientFile>,
    planted: Hospital,
}

/// What was given out.
pub(in super::super) struct Given {
    /// Packs that lie in the folder, and on how many sheets the last is.
    pub(in super::super) packs: u64,
    pub(in super::super) pack_patients: u64,
    /// Patients in the transfer.
    pub(in super::super) transferred: u64,
    /// Snapshots of the backup of content, and objects of that of keys.
    pub(in super::super) snapshots: u64,
    pub(in super::super) key_objects: u64,
    /// Bytes of both.
    pub(in super::super) backup_bytes: u64,
    /// What the other hospital reads in the transfer: the scanner must find names in it.
    pub(in super::super) opened_transfer: Zeroizing<Vec<u8>>,
}

fn unexpected(what: &str) -> CliError {
    CliError::Usage(format!("the drill could not be played: {what}"))
}

fn text(path: &Path) -> Result<&str, CliError> {
    path.to_str().ok_or_else(|| unexpected("the scratch directory's name is no text"))
}

fn places(scratch: &Scratch) -> [PathBuf; 3] {
    ["packs", "backup", "backup-keys"].map(|name| scratch.area(Area::Given).join(name))
}

impl Receivers {
    /// `now` is this machine's: who lies on the ward does so now, whenever the played hospital's other patients lived. `first`: the number of the first of them.
    pub(in super::super) fn new(hospital: &Hospital, first: u64, now: Timestamp) -> Result<Self, CliError> {
        let planted = Hospital::new(HospitalOptions { now, ..hospital.options() });
        let place = planted.ward(WARD).filter(|place| hospital.ward(WARD).as_ref() == Some(place));
        let place = place.ok_or_else(|| unexpected("the hospital has no such ward"))?;
        // Whoever lets nobody see the records is on no pack.
        let files = (first..).zip(0..).filter_map(|(n, bed)| planted.inpatient(n, WARD, bed));
        let lying = files.filter(|file| !file.refuses()).take(LYING).collect();
        let (workstation, other_hospital) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
        Ok(Self { workstation, other_hospital, place, lying, planted })
    }

    /// The id of the ward: the settings name it, in clear.
    pub(in super::super) fn place(&self) -> &str {
        &self.place
    }

    /// Adds the strings of who lies there, and the keys of who gets something.
    pub(in super::super) fn plant(&self, needles: &mut Needles) {
        for file in &self.lying {
            needles.add_patient(&self.planted, file);
        }
        needles.add_secret("key of the workstation", self.workstation.to_string().expose_secret());
        needles.add_secret("key of the other hospital", self.other_hospital.to_string().expose_secret());
    }

    /// Sets up backups and packs for every server that is started from now on, and brings in who lies on the ward.
    pub(in super::super) fn set_up(&self, children: &Children<'_>, scratch: &Scratch) -> Result<(), CliError> {
        let [packs, backup, keys] = places(scratch);
        for folder in [&packs, &backup, &keys] {
            private_directory(folder)?;
        }
        let folder = |path: &Path| Ok::<_, CliError>(format!("kind = \"folder\"\npath = {:?}\n", text(path)?));
        children.configure(&format!(
            "[log]\nlevel = \"trace\"\njson = true\n[backup]\ninterval_seconds = 1\n[backup.target]\n{}[backup.keys]\n{}\
             [packs]\ninterval_seconds = 30\nfolders = [{:?}]\n[packs.wards.{WARD_ID}]\nplace = \"Location/{}\"\nname = \"Ward of the drill\"\n\
             recipients = [\"{}\"]\n",
            folder(&backup)?,
            folder(&keys)?,
            text(&packs)?,
            self.place,
            self.workstation.to_public(),
        ))?;
        let said = import_through_pipe(children, scratch, "import-ward", exit::OK, |pipe| {
            let records = self.lying.iter().flat_map(|file| &file.resources);
            records.into_iter().try_for_each(|record| writeln!(pipe, "{}", record.json))
        })?;
        match json_of(&said)?.get("stored_total").and_then(Value::as_u64) {
            Some(stored) if stored >= LYING as u64 => Ok(()),
            _ => Err(unexpected("nobody came to lie on the ward")),
        }
    }

    /// Makes a pack, a transfer and a whole snapshot, and looks that they are there.
    pub(in super::super) fn hand_out(
        &self,
        children: &Children<'_>,
        scratch: &Scratch,
        operator: &str,
    ) -> Result<Given, CliError> {
        let [packs, backup, keys] = places(scratch);
        let number = |printed: &str, member: &str| {
            let found = json_of(printed)?.get(member).and_then(Value::as_u64);
            found.ok_or_else(|| unexpected("a command printed something else than it documents"))
        };
        let made = children.run("pack-make", operator, &["pack", "make", "--ward", WARD_ID, "--json"])?;
        let pack_patients = number(&made, "patients")?;
        if pack_patients != self.lying.len() as u64 {
            return Err(unexpected("the pack has not everybody who lies on the ward"));
        }
        let mut packed = 0;
        for file in files_below(&packs)?.iter().filter(|path| path.extension().is_some_and(|name| name == "tacetpack"))
        {
            let opened = open_sealed(file, &self.workstation)?;
            if !opened.starts_with(PACK_BEGINS) || !opened.windows(5).any(|window| window == b"%PDF-") {
                return Err(unexpected("a pack that its workstation opens is no pack"));
            }
            packed += 1;
        }

        let file = scratch.area(Area::Given).join("summaries.transfer");
        let to = self.other_hospital.to_public().to_string();
        let mut transfer =
            vec!["transfer", "make", "--emergency", "--reason", "drill of a stolen disk", "--to", to.as_str()];
        transfer.extend(["--output", text(&file)?]);
        transfer.extend(self.lying.iter().flat_map(|lying| ["--patient", lying.id.as_str()]));
        children.run("transfer-make", operator, &transfer)?;
        let opened_transfer = open_sealed(&file, &self.other_hospital)?;

        children.run("backup-now", operator, &["backup", "now", "--base", "--json"])?;
        let (content, key_files) = (files_below(&backup)?, files_below(&keys)?);
        let snapshots = content.iter().filter(|path| path.parent().is_some_and(|folder| folder.ends_with("snapshots")));
        let sizes = content.iter().chain(&key_files).filter_map(|path| Some(std::fs::metadata(path).ok()?.len()));
        let given = Given {
            packs: packed,
            pack_patients,
            transferred: self.lying.len() as u64,
            snapshots: snapshots.count() as u64,
            key_objects: key_files.len() as u64,
            backup_bytes: sizes.sum(),
            opened_transfer,
        };
        // The whole one at least; how many the days of work made is a matter of how quick the machine is.
        match given.packs > 0 && given.snapshots >= 1 && given.key_objects >= 2 {
            true => Ok(given),
            false => Err(unexpected("there are no packs or no backups where they were put")),
        }
    }
}
