//! A store that grows from size to size, so that a measurement at ten million resources does not begin with an empty one.
//!
//! A synthetic patient is the same in a hospital of any size, so the larger hospital is the smaller one and more patients. They go to the
//! importer through a named pipe: nothing of them lies on the disk beside the store. How far it has come is written beside the store, and
//! an import that was interrupted is done again from there; what it had stored is skipped by its marks.

use super::hospital;
use crate::instance::Instance;
use crate::{Outcome, process};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tacet_testkit::{Hospital, Record};

/// Size of the buffer in front of the pipe, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// How one step of growth went.
#[derive(Serialize, Deserialize, Clone)]
pub(super) struct Grown {
    /// Patients that the store holds afterwards.
    pub(super) patients: u32,
    /// Resources that it holds afterwards.
    pub(super) resources: u64,
    /// Resources that this step brought.
    pub(super) brought: u64,
    /// Of this step, the drawing of the patients beside it included.
    pub(super) resources_per_s: f64,
    /// Of this step.
    pub(super) cpu_us_per_resource: f64,
    /// Of the whole store.
    pub(super) disk_bytes_per_resource: f64,
}

/// What is written beside the store.
#[derive(Serialize, Deserialize)]
struct Progress {
    seed: u64,
    steps: Vec<Grown>,
}

/// The store.
pub(super) struct Growing {
    /// Where it is.
    pub(super) instance: Instance,
    folder: PathBuf,
    progress: Progress,
}

impl Growing {
    /// The store in `folder`, or a new one if there is none that was filled with this seed.
    pub(super) fn open(program: &Path, folder: &Path, seed: u64) -> Outcome<Self> {
        let (file, store) = (folder.join("progress.json"), folder.join("store"));
        let known: Option<Progress> = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(progress) = known.filter(|progress| progress.seed == seed && store.exists()) {
            return Ok(Self { instance: Instance::existing(program, &store), folder: folder.to_owned(), progress });
        }
        std::fs::create_dir_all(folder)?;
        let instance = Instance::create(program, &store)?;
        let growing = Self { instance, folder: folder.to_owned(), progress: Progress { seed, steps: Vec::new() } };
        growing.note()?;
        Ok(growing)
    }

    /// Grows it to so many patients, and says how the step there went, now or in an earlier run.
    pub(super) fn grow(&mut self, patients: u32, hospital: &Hospital) -> Outcome<Grown> {
        if let Some(done) = self.progress.steps.iter().find(|step| step.patients == patients) {
            return Ok(done.clone());
        }
        let (from, before) = self.progress.steps.last().map_or((0, 0), |step| (step.patients, step.resources));
        if patients < from {
            return Err(format!("the store holds {from} patients already: it only grows").into());
        }
        let pipe = self.folder.join("patients.ndjson");
        if pipe.exists() {
            std::fs::remove_file(&pipe)?;
        }
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).map_err(std::io::Error::from)?;
        let (imported, written) = std::thread::scope(|scope| {
            let writing = scope.spawn(|| write(&pipe, from..patients, hospital).map_err(|error| error.to_string()));
            let imported = self.instance.import(std::slice::from_ref(&pipe));
            // A writer that waits for a reader, because the import failed before it was one, gets one that is gone at once.
            let reader = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&pipe);
            drop(reader);
            (imported, writing.join())
        });
        let took = imported?;
        let brought = written.map_err(|_| "the patients could not be drawn")??;
        std::fs::remove_file(&pipe)?;
        let resources = before + brought;
        let step = Grown {
            patients,
            resources,
            brought,
            resources_per_s: brought as f64 / took.wall_s,
            cpu_us_per_resource: took.cpu_s * 1e6 / brought as f64,
            disk_bytes_per_resource: process::disk_bytes(&self.instance.data())? as f64 / resources as f64,
        };
        self.progress.steps.push(step.clone());
        self.note()?;
        Ok(step)
    }

    fn note(&self) -> Outcome {
        Ok(std::fs::write(self.folder.join("progress.json"), serde_json::to_vec_pretty(&self.progress)?)?)
    }
}

/// Writes patients into the pipe, the hospital itself before the first; gives how many resources they have.
fn write(pipe: &Path, patients: std::ops::Range<u32>, hospital: &Hospital) -> Outcome<u64> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, OpenOptions::new().write(true).open(pipe)?);
    let mut resources = 0;
    if patients.start == 0 {
        resources += put(&mut out, &hospital.foundation())?;
    }
    for n in patients {
        resources += put(&mut out, &hospital.patient(n.into()).resources)?;
    }
    out.flush()?;
    Ok(resources)
}

fn put(out: &mut BufWriter<File>, records: &[Record]) -> Outcome<u64> {
    for record in records {
        out.write_all(record.json.as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(records.len() as u64)
}

/// The synthetic hospital of this seed with so many patients.
pub(super) fn hospital_of(seed: u64, patients: u32) -> Outcome<Hospital> {
    let now = tacet_types::Timestamp::parse(hospital::NOW)?;
    Ok(Hospital::new(tacet_testkit::HospitalOptions { seed, patients: patients.into(), now }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_larger_hospital_is_the_smaller_one_and_more() {
        let folder = tempfile::tempdir().unwrap();
        let drawn = |range: std::ops::Range<u32>| {
            let pipe = folder.path().join("pipe");
            let _ = std::fs::remove_file(&pipe);
            mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
            let hospital = hospital_of(1, range.end).unwrap();
            std::thread::scope(|scope| {
                let writing = scope.spawn(|| write(&pipe, range.clone(), &hospital).unwrap());
                let mut text = String::new();
                File::open(&pipe).unwrap().read_to_string(&mut text).unwrap();
                assert_eq!(writing.join().unwrap(), text.lines().count() as u64);
                text
            })
        };
        let (all, first, more) = (drawn(0..5), drawn(0..3), drawn(3..5));
        assert!(all.len() > 5000 && all == first + &more);
    }
}
