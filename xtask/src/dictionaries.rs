//! `cargo xtask dictionaries`: makes the compression dictionaries of `crates/seal/dictionaries`, and measures them.
//!
//! ```text
//!   testkit (synthetic only) ──► samples by type, as the store keeps them ──► train ──► <Type>.dict, <Other>.dict
//! ```
//!
//! A dictionary holds pieces of its samples in clear and ships with the program, so nothing but the testkit feeds it.
//! A dictionary once released stays as it is, because rows name it: a better one gets the next number in its file's name
//! and a line of its own in `crates/seal/src/dictionaries.rs`. This command writes files, never that table.

use crate::{Outcome, workspace};
use flate2::read::GzDecoder;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use tacet_seal::{Associated, Dictionary, Key, Purpose, Sealer};
use tacet_testkit::{Hospital, HospitalOptions, Record, foreign};
use tacet_types::{EstablishmentId, ResourceId, ResourceType, SeededRng, Timestamp, VersionId};

/// Size of a dictionary, in bytes. Measured: 8 KiB costs a few per cent of ratio, 32 KiB wins next to nothing.
const DICTIONARY_BYTES: usize = 16 * 1024;

/// Bytes of samples a type is trained on: the trainer's manual asks for a hundred times the dictionary or more.
const SAMPLE_BYTES_MAX: usize = 4 << 20;

/// Bytes of samples of each type for the dictionary of all other types.
const MIXED_BYTES_MAX: usize = 256 << 10;

/// Name of the dictionary for types that have none of their own.
const OTHER: &str = "Other";

/// The present of the training hospital: 2026-01-15T08:00:00Z. Fixed, so that training repeats.
const NOW_MS: i64 = 1_768_464_000_000;

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Do not train: seal the records of this folder (bundles, NDJSON or single resources, may be .gz) with and without
    /// dictionaries, and print bytes by type
    #[arg(long, value_name = "FOLDER")]
    measure: Option<PathBuf>,
    /// How many synthetic patients to draw samples from
    #[arg(long, default_value_t = 4_000)]
    patients: u64,
    /// Seed of the synthetic hospital
    #[arg(long, default_value_t = 20_260_115)]
    seed: u64,
}

/// Trains the dictionaries, or measures those that are built in.
pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.measure {
        Some(folder) => measure(folder),
        None => write_dictionaries(arguments),
    }
}

fn write_dictionaries(arguments: &Arguments) -> Outcome {
    let folder = workspace::root().join("crates/seal/dictionaries");
    fs::create_dir_all(&folder)?;
    let samples = samples(arguments);
    for (resource_type, samples) in &samples {
        write(&folder, resource_type.as_str(), samples)?;
    }
    let mixed: Vec<Vec<u8>> = samples.values().flat_map(|samples| within(samples, MIXED_BYTES_MAX)).collect();
    write(&folder, OTHER, &mixed)?;
    println!("add each new file to the table in crates/seal/src/dictionaries.rs, with the next free id");
    Ok(())
}

fn write(folder: &Path, name: &str, samples: &[Vec<u8>]) -> Outcome {
    let dictionary = tacet_seal::train(samples, DICTIONARY_BYTES)?;
    let free = (1..).map(|number| match number {
        1 => folder.join(format!("{name}.dict")),
        number => folder.join(format!("{name}.{number}.dict")),
    });
    let path = free.into_iter().find(|path| !path.exists()).ok_or("no free name for a dictionary")?;
    fs::write(&path, &dictionary)?;
    println!("{}: {} bytes, of {} samples", path.display(), dictionary.len(), samples.len());
    Ok(())
}

/// Samples of every type that the testkit makes, hospital's and foreign in equal parts, in the shape that the store keeps.
fn samples(arguments: &Arguments) -> BTreeMap<ResourceType, Vec<Vec<u8>>> {
    let now = Timestamp::from_ms(NOW_MS);
    let hospital = Hospital::new(HospitalOptions { seed: arguments.seed, patients: arguments.patients, now });
    let mut own: BTreeMap<ResourceType, Vec<Vec<u8>>> = BTreeMap::new();
    // Staff is few in one hospital: many hospitals, then.
    let staff = (0..20).flat_map(|k| {
        let options = HospitalOptions { seed: arguments.seed + k, ..hospital.options() };
        Hospital::new(options).foundation()
    });
    let patients = (0..arguments.patients).flat_map(|n| hospital.patient(n).resources);
    for (place, record) in staff.chain(patients).enumerate() {
        own.entry(record.resource_type).or_default().push(as_stored(&record, now, place));
    }
    for resource_type in foreign::types() {
        let foreign = (0..arguments.patients).filter_map(|n| foreign::record(resource_type, arguments.seed, n));
        let foreign: Vec<Vec<u8>> = foreign.enumerate().map(|(place, record)| as_stored(&record, now, place)).collect();
        let ours = own.entry(resource_type).or_default();
        *ours = within(ours, SAMPLE_BYTES_MAX / 2);
        let left = SAMPLE_BYTES_MAX - ours.iter().map(Vec::len).sum::<usize>();
        ours.extend(within(&foreign, left));
    }
    own.values_mut().for_each(|samples| *samples = within(samples, SAMPLE_BYTES_MAX));
    own
}

/// The first samples that fit into this many bytes together.
fn within(samples: &[Vec<u8>], bytes_max: usize) -> Vec<Vec<u8>> {
    let mut bytes = 0;
    let fits = |sample: &&Vec<u8>| {
        bytes += sample.len();
        bytes <= bytes_max
    };
    samples.iter().take_while(fits).cloned().collect()
}

/// A record as the vault stores it: with version and time in `meta`, which stands after the id.
fn as_stored(record: &Record, now: Timestamp, place: usize) -> Vec<u8> {
    let at = now.plus_ms(place as i64 * 7_919 % 86_400_000_000);
    let version = if place.is_multiple_of(5) { 2 } else { 1 };
    let given = format!("\"versionId\":\"{version}\",\"lastUpdated\":\"{at}\"");
    let id = format!("\"id\":\"{}\",", record.id);
    let json = match record.json.split_once(&id) {
        Some((before, after)) => match after.strip_prefix("\"meta\":{") {
            Some(rest) => format!("{before}{id}\"meta\":{{{given},{rest}"),
            None => format!("{before}{id}\"meta\":{{{given}}},{after}"),
        },
        None => record.json.clone(),
    };
    json.into_bytes()
}

/// Bytes of one type: how many records, as JSON, sealed without dictionary, sealed with it.
#[derive(Default)]
struct Sizes {
    records: u64,
    json: u64,
    without: u64,
    with: u64,
}

fn measure(folder: &Path) -> Outcome {
    let rng = SeededRng::new(1);
    let sealer = Sealer::gcm(&Key::random(&rng));
    let mut sizes: BTreeMap<ResourceType, Sizes> = BTreeMap::new();
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Outcome<_>>()?;
    paths.sort();
    for path in paths {
        for resource in resources(&path)? {
            let Some((record, json)) = stored(&resource)? else { continue };
            let id = ResourceId::parse(&record.id)?;
            let associated = Associated {
                establishment: EstablishmentId([1; 16]),
                purpose: Purpose::Content,
                row: b"measure",
                resource: Some((&record.resource_type, &id, VersionId::FIRST)),
            };
            let bytes = |hint| {
                Ok::<_, tacet_seal::SealError>(tacet_seal::seal(&sealer, &associated, &json, hint, &rng)?.len() as u64)
            };
            let size = sizes.entry(record.resource_type).or_default();
            size.records += 1;
            size.json += json.len() as u64;
            size.without += bytes(Dictionary::None)?;
            size.with += bytes(Dictionary::Resource(record.resource_type))?;
        }
    }
    print(&sizes);
    Ok(())
}

/// The record as the store would keep it; `None` where it is no resource with an id.
fn stored(resource: &RawValue) -> Outcome<Option<(Record, Vec<u8>)>> {
    let head: Head = serde_json::from_str(resource.get())?;
    let (Some(resource_type), Some(id)) = (head.resource_type.as_deref().and_then(ResourceType::parse), head.id) else {
        return Ok(None);
    };
    let record = Record { resource_type, id, json: compact(resource.get()) };
    let json = as_stored(&record, Timestamp::from_ms(NOW_MS), 1);
    Ok(Some((record, json)))
}

/// What a resource is, without reading the rest of it: the order of its members must stay.
#[derive(serde::Deserialize)]
struct Head {
    #[serde(rename = "resourceType")]
    resource_type: Option<String>,
    id: Option<String>,
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(serde::Deserialize)]
struct Entry {
    resource: Option<Box<RawValue>>,
}

/// JSON without white space between its tokens.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |character: &char| {
        let kept = in_string || !character.is_ascii_whitespace();
        match character {
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && *character == '\\' && !escaped;
        kept
    };
    json.chars().filter(keep).collect()
}

/// Every resource of a file, those within bundles one by one.
fn resources(path: &Path) -> Outcome<Vec<Box<RawValue>>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    if !plain.ends_with(".json") && !plain.ends_with(".ndjson") {
        return Ok(Vec::new());
    }
    let mut text = String::new();
    let mut file: Box<dyn Read> = Box::new(BufReader::new(File::open(path)?));
    if plain != name {
        file = Box::new(GzDecoder::new(file));
    }
    file.read_to_string(&mut text)?;
    let mut out = Vec::new();
    for value in serde_json::Deserializer::from_str(&text).into_iter::<Box<RawValue>>() {
        let value = value?;
        let head: Head = serde_json::from_str(value.get())?;
        if head.entry.is_empty() {
            out.push(value);
        } else {
            out.extend(head.entry.into_iter().filter_map(|entry| entry.resource));
        }
    }
    Ok(out)
}

fn print(sizes: &BTreeMap<ResourceType, Sizes>) {
    println!("{:24} {:>8} {:>11} {:>11} {:>11} {:>7} {:>7}", "type", "records", "JSON", "without", "with", "", "");
    let mut total = Sizes::default();
    let line = |name: &str, size: &Sizes| {
        let ratio = |sealed: u64| size.json as f64 / sealed.max(1) as f64;
        println!(
            "{name:24} {:8} {:11} {:11} {:11} {:6.2}x {:6.2}x",
            size.records,
            size.json,
            size.without,
            size.with,
            ratio(size.without),
            ratio(size.with)
        );
    };
    for (resource_type, size) in sizes {
        line(resource_type.as_str(), size);
        total.records += size.records;
        total.json += size.json;
        total.without += size.without;
        total.with += size.with;
    }
    line("all", &total);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Record {
        let resource_type = ResourceType::parse("Patient").unwrap();
        Record { resource_type, id: "a".to_owned(), json: json.to_owned() }
    }

    #[test]
    fn samples_have_the_shape_that_the_store_keeps() {
        let at = Timestamp::from_ms(0);
        let stored = |json: &str| String::from_utf8(as_stored(&record(json), at, 0)).unwrap();
        let given = r#""versionId":"2","lastUpdated":"1970-01-01T00:00:00.000Z""#;
        assert_eq!(
            stored(r#"{"resourceType":"Patient","id":"a","active":true}"#),
            format!(r#"{{"resourceType":"Patient","id":"a","meta":{{{given}}},"active":true}}"#)
        );
        assert_eq!(
            stored(r#"{"resourceType":"Patient","id":"a","meta":{"profile":["p"]}}"#),
            format!(r#"{{"resourceType":"Patient","id":"a","meta":{{{given},"profile":["p"]}}}}"#)
        );
    }

    #[test]
    fn white_space_goes_between_tokens_only() {
        let json = "{ \"a b\" :\n[ 1 , \"x \\\" y\\\\\" , {\t} ] }";
        assert_eq!(compact(json), "{\"a b\":[1,\"x \\\" y\\\\\",{}]}");
    }

    #[test]
    fn samples_stop_at_their_bound() {
        let samples = vec![vec![0; 10]; 5];
        assert_eq!(within(&samples, 35).len(), 3);
        assert_eq!(within(&samples, 0).len(), 0);
    }
}
