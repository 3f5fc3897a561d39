//! What is imported: a synthetic hospital written as NDJSON, or a folder that was given, counted.

use crate::Outcome;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tacet_testkit::{Hospital as Synthetic, HospitalOptions, Record};
use tacet_types::Timestamp;

/// Patients in one file, so that a large hospital is some files and not one.
const PATIENTS_A_FILE: u64 = 1_000;

/// The present of the synthetic hospital, fixed so that two runs load the same bytes.
pub(crate) const NOW: &str = "2026-03-01T08:00:00Z";

/// At most this many places of imported resources are kept for reading: enough that they are not all in a cache at once.
const PLACES_MAX: u64 = 200_000;

/// Input on the disk.
pub(crate) struct Hospital {
    /// Where it lies.
    pub(crate) folder: PathBuf,
    /// How many resources it holds.
    pub(crate) resources: u64,
    /// Its size unpacked.
    pub(crate) bytes: u64,
    /// `Type/id` of some of its resources, spread over all patients.
    pub(crate) places: Vec<String>,
}

/// Writes a synthetic hospital of so many patients.
pub(crate) fn write(folder: &Path, patients: u32, seed: u64) -> Outcome<Hospital> {
    std::fs::create_dir_all(folder)?;
    let (patients, now) = (u64::from(patients), Timestamp::parse(NOW)?);
    let synthetic = Synthetic::new(HospitalOptions { seed, patients, now });
    let mut hospital = Hospital { folder: folder.to_path_buf(), resources: 0, bytes: 0, places: Vec::new() };
    hospital.write_file("0000.ndjson", [synthetic.foundation()].into_iter(), 0)?;
    let places_a_patient = (PLACES_MAX / patients.max(1)).max(1);
    for (number, first) in (0..patients).step_by(PATIENTS_A_FILE as usize).enumerate() {
        let some = first..(first + PATIENTS_A_FILE).min(patients);
        let files = some.map(|n| synthetic.patient(n).resources);
        hospital.write_file(&format!("{:04}.ndjson", number + 1), files, places_a_patient)?;
    }
    Ok(hospital)
}

impl Hospital {
    fn write_file(&mut self, name: &str, files: impl Iterator<Item = Vec<Record>>, places_each: u64) -> Outcome {
        let mut out = BufWriter::new(File::create(self.folder.join(name))?);
        for records in files {
            for (number, record) in (0..).zip(&records) {
                out.write_all(record.json.as_bytes())?;
                out.write_all(b"\n")?;
                self.resources += 1;
                self.bytes += record.json.len() as u64 + 1;
                if number < places_each && (self.places.len() as u64) < PLACES_MAX {
                    self.places.push(format!("{}/{}", record.resource_type, record.id));
                }
            }
        }
        Ok(out.flush()?)
    }
}

/// Counts what a file or folder holds, by reading it ourselves, so that the importer is not asked about itself.
pub(crate) fn count(path: &Path) -> Outcome<Hospital> {
    let mut hospital = Hospital { folder: path.to_path_buf(), resources: 0, bytes: 0, places: Vec::new() };
    count_into(path, &mut hospital)?;
    if hospital.resources == 0 {
        return Err(format!("{} holds no bundles and no NDJSON", path.display()).into());
    }
    Ok(hospital)
}

fn count_into(path: &Path, hospital: &mut Hospital) -> Outcome {
    if path.is_dir() {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Outcome<_>>()?;
        paths.sort();
        return paths.iter().try_for_each(|path| count_into(path, hospital));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (plain, packed) = name.strip_suffix(".gz").map_or((name.as_str(), false), |plain| (plain, true));
    if !plain.ends_with(".json") && !plain.ends_with(".ndjson") {
        return Ok(());
    }
    let file = File::open(path)?;
    let mut input: Box<dyn BufRead> =
        if packed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(BufReader::new(file)) };
    let failed = |error: &dyn std::error::Error| format!("{}: {error}", path.display());
    if plain.ends_with(".ndjson") {
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).map_err(|error| failed(&error))? > 0 {
            hospital.bytes += line.len() as u64;
            hospital.resources += u64::from(line.iter().any(|byte| !byte.is_ascii_whitespace()));
            line.clear();
        }
        return Ok(());
    }
    let mut text = Vec::new();
    input.read_to_end(&mut text).map_err(|error| failed(&error))?;
    hospital.bytes += text.len() as u64;
    hospital.resources += resources_of(&text).map_err(|error| failed(&error))?;
    Ok(())
}

/// How many resources a document brings: the entries of a bundle that is to be unpacked, or itself.
fn resources_of(text: &[u8]) -> Result<u64, serde_json::Error> {
    #[derive(Deserialize)]
    struct Entry {
        resource: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        resource_type: Option<String>,
        #[serde(default)]
        entry: serde_json::Value,
    }
    let document: Document = serde_json::from_slice(text)?;
    match document.resource_type.as_deref() {
        Some("Bundle") => {
            let entries: Vec<Entry> = serde_json::from_value(document.entry)?;
            Ok(entries.iter().filter(|entry| entry.resource.is_some()).count() as u64)
        }
        Some(_) => Ok(1),
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let written = write(folder.path(), 3, 1).unwrap();
        let counted = count(folder.path()).unwrap();
        assert!(written.resources > 3 && !written.places.is_empty());
        assert_eq!((written.resources, written.bytes), (counted.resources, counted.bytes));
        assert!(written.places.iter().any(|place| place.starts_with("Patient/")));
    }

    #[test]
    fn bundles_are_counted_by_their_entries() {
        let bundle = br#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient"}},{"fullUrl":"x"}]}"#;
        assert_eq!(resources_of(bundle).unwrap(), 1);
        assert_eq!(resources_of(br#"{"resourceType":"Patient","id":"1"}"#).unwrap(), 1);
        assert_eq!(resources_of(br#"{"other":1}"#).unwrap(), 0);
        assert!(resources_of(b"{").is_err());
    }

    #[test]
    fn packed_files_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("a.ndjson.gz")).unwrap();
        let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packer.write_all(b"{}\n\n{}\n").unwrap();
        packer.finish().unwrap();
        assert_eq!(count(folder.path()).unwrap().resources, 2);
        std::fs::remove_file(folder.path().join("a.ndjson.gz")).unwrap();
        assert!(count(folder.path()).is_err());
    }
}
