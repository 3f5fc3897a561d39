//! Decoys on the disk: planted at the start, held against themselves at each look.

use super::walk::seen;
use super::{TripwiresConfig, is_gone, open_at_once};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tacet_tripwire::decoy::{DECOY_BYTES, NAMES, SEED_BYTES, holds, make};
use tacet_tripwire::{Alarm, FileSeen, Grade, Wire};
use tacet_types::Rng;

/// Directories beside the data directory that may have decoys.
const BESIDE_MAX: usize = 16;

pub(super) struct Decoys {
    places: Vec<Place>,
    /// Whether they are to be there; where not, those that are go.
    wanted: bool,
    planted: bool,
}

struct Place {
    path: PathBuf,
    name: &'static str,
    seen: Option<FileSeen>,
}

impl Decoys {
    pub(super) fn new(data: &Path, config: &TripwiresConfig) -> Self {
        let beside = config.decoys_beside.iter().take(BESIDE_MAX).map(PathBuf::as_path);
        let place = |folder: &Path, name: &'static str| Place { path: folder.join(name), name, seen: None };
        let places = [data].into_iter().chain(beside).flat_map(|folder| NAMES.map(|name| place(folder, name)));
        Self { places: places.collect(), wanted: config.decoys, planted: false }
    }

    /// Plants them the first time; says then and later which are not as they were.
    pub(super) fn look(&mut self, rng: &dyn Rng) -> Vec<Alarm> {
        let first = !std::mem::replace(&mut self.planted, true);
        let (mut changed, mut gone) = (0, 0);
        for place in &mut self.places {
            if first {
                changed += u64::from(!place.plant(rng, self.wanted));
                continue;
            }
            let Some(before) = &place.seen else { continue };
            match std::fs::symlink_metadata(&place.path) {
                Ok(found) => {
                    let now = seen(String::new(), &found);
                    if now != *before {
                        let whole = place.is_whole().unwrap_or(false);
                        changed += u64::from(!whole);
                        place.seen = whole.then_some(now);
                    }
                }
                Err(error) if is_gone(&error) => {
                    gone += 1;
                    place.seen = None;
                }
                Err(_) => {}
            }
        }
        let alarm = |wire, count, word| Alarm {
            wire,
            grade: Grade::Hard,
            count,
            detail: format!("{count} of {} decoys {word}", self.places.len()),
        };
        let mut alarms = Vec::new();
        alarms.extend((changed > 0).then(|| alarm(Wire::DecoyChanged, changed, "changed")));
        alarms.extend((gone > 0).then(|| alarm(Wire::DecoyGone, gone, "are gone")));
        alarms
    }
}

impl Place {
    /// Plants a decoy where there is none. False: one is there that was changed, or something else under its name.
    fn plant(&mut self, rng: &dyn Rng, wanted: bool) -> bool {
        match self.is_whole() {
            Ok(whole) => {
                if !wanted && whole {
                    let _ = std::fs::remove_file(&self.path);
                } else if wanted && whole {
                    self.note();
                }
                // What is not wanted is not looked at.
                whole || !wanted
            }
            Err(error) if is_gone(&error) && wanted => {
                match self.write(rng) {
                    Ok(()) => self.note(),
                    Err(error) => {
                        tracing::warn!(kind = ?error.kind(), "a decoy could not be planted");
                    }
                }
                true
            }
            Err(_) => true,
        }
    }

    fn note(&mut self) {
        self.seen = std::fs::symlink_metadata(&self.path).ok().map(|found| seen(String::new(), &found));
    }

    fn write(&self, rng: &dyn Rng) -> io::Result<()> {
        let mut seed = [0; SEED_BYTES];
        rng.fill(&mut seed);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)?;
        file.write_all(&make(self.name, &seed))?;
        file.sync_all()
    }

    fn is_whole(&self) -> io::Result<bool> {
        let mut bytes = Vec::new();
        open_at_once(&self.path)?.take(DECOY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(holds(self.name, &bytes))
    }
}
