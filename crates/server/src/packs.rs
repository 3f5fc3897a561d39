//! Paper packs: for each ward, every few minutes, a PDF of all who lie there, signed, sealed to the ward's workstations, and put where these find it.
//!
//! ```text
//! every interval_seconds, ward after ward:
//!   vault.ward_records (an entry for each patient, then they open) ──> sheets ──> PDF ──> signed note ──> age ──> folders: ward-<id>.tacetpack
//! ```
//!
//! What cannot be made now is left as it was: the pack before is still there, and says when it was made. Nothing of a pack is on a disk unsealed.

mod folder;

use crate::app::Environment;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tacet_continuity::code::serial;
use tacet_continuity::container::{About, PackError, sign};
use tacet_continuity::select::Dossier;
use tacet_continuity::sheet::{Asked, Gap, Section, Sheet};
use tacet_continuity::{Language, Pack, Telling, Zone};
use tacet_fhir::json::{self, Json};
use tacet_types::Timestamp;
use tacet_vault::{Disclosed, Vault, VaultError, Ward, WardPatient, WardRecords};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use zeroize::Zeroizing;

/// Most wards, most folders, and most workstations of a ward.
const WARDS_MAX: usize = 200;
const FOLDERS_MAX: usize = 8;
const RECIPIENTS_MAX: usize = 64;

/// Shortest time between two packs of a ward, in seconds: each is an entry in the ledger for each patient.
const INTERVAL_S_MIN: u64 = 30;

/// Most packs of a ward that are kept in a folder.
const KEEP_MAX: usize = 1000;

/// Longest id of a ward, in bytes: it is a part of a file's name.
const ID_BYTES_MAX: usize = 32;

/// Paper packs.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PacksConfig {
    /// How often each ward's pack is made, in seconds.
    pub interval_seconds: u64,
    /// For how many hours a pack says that it is to be trusted.
    pub trusted_hours: u32,
    /// `fr` or `en`.
    pub language: String,
    /// By whose clock times are told: `Europe/Paris`, `UTC`, or a distance such as `+04:00`.
    pub zone: String,
    /// Where packs are put: each folder gets all of them.
    pub folders: Vec<PathBuf>,
    /// How many packs of a ward are kept in a folder, the latest included.
    pub keep: usize,
    /// The wards, by a short id that is a part of the file's name.
    pub wards: BTreeMap<String, WardConfig>,
}

impl Default for PacksConfig {
    fn default() -> Self {
        Self {
            interval_seconds: 300,
            trusted_hours: 12,
            language: "fr".to_owned(),
            zone: "Europe/Paris".to_owned(),
            folders: Vec::new(),
            keep: 12,
            wards: BTreeMap::new(),
        }
    }
}

/// A ward that has packs.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WardConfig {
    /// The Location where its patients lie, or the Organization that provides their stays: `Location/[id]`.
    pub place: String,
    /// Its name, as it stands on paper.
    pub name: String,
    /// The workstations that can open its packs, as `tacet pack workstation init` prints them: `age1…`.
    pub recipients: Vec<String>,
}

/// Why there is no pack.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PacksError {
    /// The settings do not serve.
    #[error("`[packs]`: {0}")]
    Settings(String),
    /// There is no ward of this id in the settings.
    #[error("there is no ward of this id under `[packs.wards]`; there is: {known}")]
    NoWard {
        /// The ids that there are.
        known: String,
    },
    /// The store refuses.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The pages could not be set.
    #[error("the pages could not be made")]
    Paper(#[from] tacet_continuity::PaperError),
    /// It could not be signed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// It could not be sealed.
    #[error("the pack could not be sealed")]
    Seal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A folder does not take it.
    #[error("a folder of `[packs]` does not take the pack")]
    Folder(#[source] std::io::Error),
}

/// A ward, with what its settings mean.
struct Place {
    ward: Ward,
    text: String,
    name: String,
    recipients: Vec<age::x25519::Recipient>,
}

/// A pack that was made.
pub struct MadePack {
    /// What it says of itself.
    pub about: About,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// How many bytes the PDF has.
    pub pdf_bytes: usize,
}

/// Makes packs by the settings.
pub struct PackMaker {
    places: BTreeMap<String, Place>,
    folders: Vec<PathBuf>,
    keep: usize,
    trusted_ms: i64,
    telling: Telling,
    hospital: String,
}

impl PackMaker {
    /// By these settings, for the hospital of this name.
    ///
    /// # Errors
    /// A setting says nothing that makes sense; the error says which.
    pub fn new(config: &PacksConfig, hospital: &str) -> Result<Self, PacksError> {
        let wrong = |text: String| PacksError::Settings(text);
        let language = Language::parse(&config.language).filter(|known| known.tag() == config.language);
        let language = language.ok_or_else(|| wrong("`language` is `fr` or `en`".into()))?;
        let zone = Zone::parse(&config.zone)
            .ok_or_else(|| wrong("`zone` is `Europe/Paris`, `UTC` or a distance such as `+04:00`".into()))?;
        if config.wards.len() > WARDS_MAX || config.folders.len() > FOLDERS_MAX {
            return Err(wrong(format!("at most {WARDS_MAX} wards and {FOLDERS_MAX} folders")));
        }
        if config.interval_seconds < INTERVAL_S_MIN || !(1..=KEEP_MAX).contains(&config.keep) {
            return Err(wrong(format!("`interval_seconds` is at least {INTERVAL_S_MIN}, `keep` from 1 to {KEEP_MAX}")));
        }
        let mut places = BTreeMap::new();
        for (id, ward) in &config.wards {
            if !is_ward_id(id) {
                return Err(wrong(format!(
                    "`{id}` is no id of a ward: up to {ID_BYTES_MAX} small letters, digits and hyphens"
                )));
            }
            let place = Ward::parse(&ward.place).ok_or_else(|| {
                wrong(format!("`place` of the ward `{id}` is `Location/[id]` or `Organization/[id]`"))
            })?;
            let recipients: Result<Vec<_>, _> =
                ward.recipients.iter().map(|text| age::x25519::Recipient::from_str(text)).collect();
            let recipients = recipients.map_err(|_| {
                wrong(format!("a recipient of the ward `{id}` is none: take what `tacet pack workstation init` prints"))
            })?;
            if recipients.is_empty() || recipients.len() > RECIPIENTS_MAX {
                return Err(wrong(format!("the ward `{id}` has no recipient, or more than {RECIPIENTS_MAX}")));
            }
            let place = Place { ward: place, text: ward.place.clone(), name: ward.name.clone(), recipients };
            places.insert(id.clone(), place);
        }
        Ok(Self {
            places,
            folders: config.folders.clone(),
            keep: config.keep,
            trusted_ms: i64::from(config.trusted_hours.clamp(1, 24 * 30)) * 3_600_000,
            telling: Telling { language, zone },
            hospital: hospital.to_owned(),
        })
    }

    /// The ids of the wards.
    pub fn wards(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    fn place(&self, id: &str) -> Result<&Place, PacksError> {
        let none = || PacksError::NoWard { known: self.wards().collect::<Vec<_>>().join(", ") };
        self.places.get(id).ok_or_else(none)
    }

    /// What is to be printed of a ward, in clear: entries in the ledger first, one for each patient. May block.
    ///
    /// # Errors
    /// There is no such ward, or the store refuses.
    pub fn gather(&self, vault: &Vault, id: &str, environment: &Environment) -> Result<Pack, PacksError> {
        let place = self.place(id)?;
        let made = environment.clock.now();
        let mut chance = [0; 4];
        environment.rng.fill(&mut chance);
        let serial = serial(made, chance);
        let told = |code: &str| format!("paper pack {serial} of the ward {id}, sheet {code}");
        let wait = |pause: Duration| std::thread::sleep(pause);
        let records = pollster::block_on(vault.ward_records(&place.ward, &serial, &told, &wait))?;
        Ok(Pack {
            hospital: self.hospital.clone(),
            ward: place.name.clone(),
            made,
            until: made.plus_ms(self.trusted_ms),
            telling: self.telling,
            sheets: sheets(&records, made, self.telling),
            more: records.more,
            serial,
        })
    }

    /// Makes the pack of a ward: as [`PackMaker::gather`], set, signed and sealed. May block.
    ///
    /// # Errors
    /// There is no such ward, the store refuses, or the pages cannot be made.
    pub fn make(&self, vault: &Vault, id: &str, environment: &Environment) -> Result<MadePack, PacksError> {
        let place = self.place(id)?;
        let pack = self.gather(vault, id, environment)?;
        let (patients, serial, made, until) = (pack.sheets.len(), pack.serial.clone(), pack.made, pack.until);
        let pdf = Zeroizing::new(pack.to_pdf()?);
        let about = About {
            establishment: establishment(vault),
            ward: place.text.clone(),
            serial,
            made,
            until,
            language: self.telling.language,
            patients,
        };
        let signed = Zeroizing::new(sign(&about, &pdf, |text| vault.sign_pack(text))?);
        let sealed = seal(&signed, &place.recipients)?;
        // INVARIANT: that it was made is written down before anybody can have it.
        let text = format!(
            "paper pack {} of the ward {id} ({}): {patients} sheets, sealed to {} workstations",
            about.serial,
            place.text,
            place.recipients.len()
        );
        pollster::block_on(vault.note_pack(None, text))?;
        Ok(MadePack { about, sealed, pdf_bytes: pdf.len() })
    }

    /// Puts a pack into every folder, in the place of the one before. Says how many took it.
    ///
    /// # Errors
    /// No folder took it, and there is one.
    pub fn put(&self, id: &str, pack: &MadePack) -> Result<usize, PacksError> {
        let (mut taken, mut failed) = (0, None);
        for folder in &self.folders {
            match folder::put(folder, id, &pack.about.serial, &pack.sealed, self.keep) {
                Ok(()) => taken += 1,
                Err(error) => {
                    tracing::error!(ward = id, folder = %folder.display(), %error, "a folder does not take a ward's pack");
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if taken == 0 => Err(PacksError::Folder(error)),
            _ => Ok(taken),
        }
    }

    /// Lets go of packs that this hospital's server put into the folders for wards that are in the settings no more, once they are not to be trusted any longer.
    pub fn sweep(&self, vault: &Vault, environment: &Environment) {
        let wards = self.wards().collect();
        let time = (environment.clock.now(), self.trusted_ms);
        for folder in &self.folders {
            match folder::sweep(folder, &establishment(vault), &wards, time) {
                Ok(0) => {}
                Ok(wards) => {
                    tracing::info!(folder = %folder.display(), wards, "packs of wards that are not in the settings were removed");
                }
                Err(error) => tracing::warn!(folder = %folder.display(), %error, "old packs cannot be removed here"),
            }
        }
    }
}

fn establishment(vault: &Vault) -> String {
    vault.establishment().0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text is the id of a ward: it is a part of a file's name.
fn is_ward_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(fits)
}

/// The sheets of a ward's records, each with its code. A record that cannot be read is missing on its sheet, which says so.
fn sheets(records: &WardRecords, now: Timestamp, telling: Telling) -> Vec<(String, Sheet)> {
    let shared: Vec<Json<'_>> = records.shared.iter().filter_map(parsed).collect();
    let shared = Arc::new(Dossier::new(shared));
    let sheet = |patient: &WardPatient| {
        let id = patient.patient.as_str();
        if patient.records.is_empty() {
            return Sheet::empty(id, Gap::Nothing);
        }
        let mut missing: Vec<Section> = patient.gaps.unreadable.iter().map(|kind| Section::of(kind.as_str())).collect();
        missing.extend(patient.gaps.unknown.then_some(Section::Unknown));
        let mut read: Vec<Json<'_>> = Vec::with_capacity(patient.records.len());
        for record in &patient.records {
            match parsed(record) {
                Some(value) => read.push(value),
                None => missing.push(Section::of(record.record.resource_type.as_str())),
            }
        }
        let asked = Asked { patient: id, encounter: Some(patient.encounter.as_str()), now, telling };
        let mut sheet = Sheet::of(&Dossier::over(read, Arc::clone(&shared)), &asked);
        sheet.lacks(missing);
        if patient.gaps.too_much {
            sheet.gaps.push(Gap::TooMuch);
        }
        sheet
    };
    records.patients.iter().map(|patient| (patient.code.clone(), sheet(patient))).collect()
}

fn parsed(disclosed: &Disclosed) -> Option<Json<'_>> {
    // What was accepted once was within bounds; these are those of any reader.
    json::parse(&disclosed.body, &json::Limits::default()).ok()
}

fn seal(signed: &[u8], recipients: &[age::x25519::Recipient]) -> Result<Vec<u8>, PacksError> {
    let failed = |error: std::io::Error| PacksError::Seal(Box::new(error));
    let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|one| one as &dyn age::Recipient))
        .map_err(|error| PacksError::Seal(Box::new(error)))?;
    let mut sealed = Vec::with_capacity(signed.len() + signed.len() / 1000 + 4096);
    let mut out = encryptor.wrap_output(&mut sealed).map_err(failed)?;
    out.write_all(signed).map_err(failed)?;
    out.finish().map_err(failed)?;
    Ok(sealed)
}

/// The running maker of packs.
pub struct Packs {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Packs {
    /// Makes every ward's pack now and every so many seconds, one ward after the other. Nothing where no ward has packs.
    ///
    /// # Errors
    /// The settings do not serve.
    pub fn start(
        vault: Vault,
        config: &PacksConfig,
        hospital: &str,
        environment: &Environment,
    ) -> Result<Self, PacksError> {
        let maker = Arc::new(PackMaker::new(config, hospital)?);
        if !config.wards.is_empty() && config.folders.is_empty() {
            return Err(PacksError::Settings("there are wards and no folder for their packs".into()));
        }
        let (stop, mut stopped) = watch::channel(false);
        let pause = Duration::from_secs(config.interval_seconds);
        let environment = environment.clone();
        let task = tokio::spawn(async move {
            if maker.places.is_empty() && maker.folders.is_empty() {
                return;
            }
            let mut every = tokio::time::interval(pause);
            // A round that took longer than its time is followed by the next at once, and not by all that were missed.
            every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = stopped.changed() => return,
                    _ = every.tick() => {}
                }
                let (sweeping, store, clock) = (Arc::clone(&maker), vault.clone(), environment.clone());
                if spawn_blocking(move || sweeping.sweep(&store, &clock)).await.is_err() {
                    tracing::error!("removing old packs ended in a panic");
                }
                for id in maker.wards().map(str::to_owned).collect::<Vec<_>>() {
                    if *stopped.borrow() {
                        return;
                    }
                    let (maker, vault, environment) = (Arc::clone(&maker), vault.clone(), environment.clone());
                    let made = spawn_blocking(move || round(&maker, &vault, &id, &environment)).await;
                    if made.is_err() {
                        tracing::error!("making a ward's pack ended in a panic");
                    }
                }
            }
        });
        Ok(Self { task, stop })
    }

    /// Ends it, after the pack that is being made.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.task.await;
    }
}

fn round(maker: &PackMaker, vault: &Vault, id: &str, environment: &Environment) {
    let begun = environment.clock.now();
    let made = maker.make(vault, id, environment).and_then(|pack| Ok((maker.put(id, &pack)?, pack)));
    match made {
        Ok((folders, pack)) => {
            let ms = environment.clock.now().as_ms() - begun.as_ms();
            let (serial, patients) = (&pack.about.serial, pack.about.patients);
            tracing::info!(ward = id, serial, patients, folders, ms, "a ward's paper pack was made");
        }
        // The pack before is where it was.
        Err(error) => tracing::error!(ward = id, %error, "a ward's paper pack could not be made"),
    }
}
