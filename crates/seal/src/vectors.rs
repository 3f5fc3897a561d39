//! The committed vectors under `vectors/`: what another implementation would be held to, and what keeps this one from
//! changing a format by accident. `vectors/README.md` says how to read them.
//!
//! `cargo test -p tacet-seal -- --ignored write_vectors` writes them anew. A difference in what was valid is a new format.

use crate::sealer::TAG_BYTES;
use crate::{
    Algorithm, Associated, Dictionary, ENVELOPE_BYTES, EstablishmentKeys, FORMAT_VERSION, InProcessKeeper,
    KeeperLimits, Key, KeyKeeper, OnBehalf, Purpose, RootKeys, RowKeys, Sealer, WrappedKey, open, seal,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tacet_types::{EstablishmentId, ManualClock, ResourceId, ResourceType, Rng, SeededRng, Timestamp, VersionId};

#[derive(Serialize, Deserialize)]
struct SealVectors {
    valid: Vec<Valid>,
    malformed: Vec<Malformed>,
    malformed_inside: Vec<Inside>,
}

#[derive(Serialize, Deserialize, Clone)]
struct Valid {
    name: String,
    algorithm: u8,
    key: String,
    establishment: String,
    purpose: u8,
    row: String,
    resource: Option<(String, String, u64)>,
    plaintext: String,
    /// 0 stored, 1 compressed. Another release of zstd may compress otherwise, so only stored ones seal to the same bytes.
    coding: u16,
    sealed: String,
}

/// A change to a valid vector after which it must not open.
#[derive(Serialize, Deserialize, Default, Clone)]
#[serde(default)]
struct Malformed {
    name: String,
    base: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate_to: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    append: Option<String>,
    /// Position from the start, and what is added to it bit by bit.
    #[serde(skip_serializing_if = "Option::is_none")]
    xor: Option<(usize, u8)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    establishment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<(String, String, u64)>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_resource: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed_of: Option<String>,
    error: String,
}

/// Sealed as it should be, in the place of the first valid vector, around a text that is not as it should be.
#[derive(Serialize, Deserialize, Clone)]
struct Inside {
    name: String,
    inside: String,
    sealed: String,
    bytes_max: usize,
    error: String,
}

#[derive(Serialize, Deserialize)]
struct KeyVectors {
    row_keys: Vec<RowKeyVector>,
    wrapped_keys: Vec<WrappedKeyVector>,
    establishments: Vec<EstablishmentVector>,
}

#[derive(Serialize, Deserialize)]
struct RowKeyVector {
    key: String,
    space: u8,
    domain: u8,
    parts: Vec<String>,
    row_key: String,
}

#[derive(Serialize, Deserialize)]
struct WrappedKeyVector {
    generation: u32,
    root_key: String,
    context: String,
    key: String,
    wrapped: String,
}

#[derive(Serialize, Deserialize)]
struct EstablishmentVector {
    key: String,
    id: String,
    /// Space 1, domain 2, parts `a` and `b`.
    row_key: String,
    /// For each purpose in order: the text `tacet` in the row `row`.
    sealed: Vec<String>,
}

/// Draws a nonce that was drawn before.
struct Replay(Mutex<Vec<u8>>);

impl Rng for Replay {
    fn fill(&self, bytes: &mut [u8]) {
        let mut left = self.0.lock().unwrap();
        bytes.copy_from_slice(&left[..bytes.len()]);
        left.drain(..bytes.len());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn key_of(text: &str) -> Key {
    Key::from_slice(&unhex(text)).unwrap()
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name)
}

pub(crate) fn read<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(path(name)).unwrap()).unwrap()
}

pub(crate) fn write<T: Serialize>(name: &str, vectors: &T) {
    let mut text = serde_json::to_string_pretty(vectors).unwrap();
    text.push('\n');
    std::fs::write(path(name), text).unwrap();
}

/// The name of an error: its variant.
pub(crate) fn name_of(error: &impl std::fmt::Debug) -> String {
    format!("{error:?}").chars().take_while(|character| character.is_alphanumeric()).collect()
}

impl Valid {
    fn sealer(&self) -> Sealer {
        Sealer::new(Algorithm::from_byte(self.algorithm).unwrap(), &key_of(&self.key))
    }

    /// Runs `work` with the associated data of this vector.
    fn with_place<T>(&self, work: impl FnOnce(&Associated<'_>) -> T) -> T {
        let row = unhex(&self.row);
        let resource = self.resource.as_ref().map(|(resource_type, id, version)| {
            (ResourceType::parse(resource_type).unwrap(), ResourceId::parse(id).unwrap(), VersionId(*version))
        });
        work(&Associated {
            establishment: EstablishmentId(unhex(&self.establishment).try_into().unwrap()),
            purpose: Purpose::ALL.into_iter().find(|purpose| *purpose as u8 == self.purpose).unwrap(),
            row: &row,
            resource: resource.as_ref().map(|(resource_type, id, version)| (resource_type, id, *version)),
        })
    }

    fn open(&self, sealed: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
        let opened = self.with_place(|place| open(&self.sealer(), place, sealed, bytes_max));
        opened.map(|text| text.to_vec()).map_err(|error| name_of(&error))
    }
}

impl Malformed {
    fn outcome(&self, valid: &[Valid]) -> Result<Vec<u8>, String> {
        let named = |name: &str| valid.iter().find(|vector| vector.name == name).unwrap();
        let mut vector = named(&self.base).clone();
        let mut sealed = unhex(&self.sealed_of.as_deref().map_or(&vector, named).sealed);
        if let Some(length) = self.truncate_to {
            assert!(length < sealed.len());
            sealed.truncate(length);
        }
        sealed.extend(self.append.as_deref().map(unhex).unwrap_or_default());
        if let Some((at, mask)) = self.xor {
            sealed[at] ^= mask;
        }
        let replace = |to: &mut String, from: &Option<String>| to.clone_from(from.as_ref().unwrap_or(&to.clone()));
        replace(&mut vector.key, &self.key);
        replace(&mut vector.establishment, &self.establishment);
        replace(&mut vector.row, &self.row);
        vector.purpose = self.purpose.unwrap_or(vector.purpose);
        vector.resource = self.resource.clone().or(vector.resource).filter(|_| !self.no_resource);
        vector.open(&sealed, usize::MAX)
    }
}

#[test]
fn valid_seals_open_and_seal_again_to_the_same_bytes() {
    let vectors: SealVectors = read("seal.json");
    assert!(vectors.valid.len() >= 10);
    for vector in &vectors.valid {
        let (sealed, plaintext) = (unhex(&vector.sealed), unhex(&vector.plaintext));
        assert_eq!(vector.open(&sealed, plaintext.len()).as_deref(), Ok(&plaintext[..]), "{}", vector.name);
        let rng = Replay(Mutex::new(sealed[2..14].to_vec()));
        let again =
            vector.with_place(|place| seal(&vector.sealer(), place, &plaintext, Dictionary::None, &rng).unwrap());
        match vector.coding {
            0 => assert_eq!(hex(&again), vector.sealed, "{}", vector.name),
            _ => assert_eq!(vector.open(&again, plaintext.len()).as_deref(), Ok(&plaintext[..]), "{}", vector.name),
        }
    }
}

#[test]
fn malformed_seals_are_refused_for_the_stated_reason() {
    let vectors: SealVectors = read("seal.json");
    assert!(vectors.malformed.len() >= 100 && vectors.malformed_inside.len() >= 10);
    for malformed in &vectors.malformed {
        assert_eq!(malformed.outcome(&vectors.valid).err().as_ref(), Some(&malformed.error), "{}", malformed.name);
    }
    for inside in &vectors.malformed_inside {
        let outcome = vectors.valid[0].open(&unhex(&inside.sealed), inside.bytes_max);
        assert_eq!(outcome.err().as_ref(), Some(&inside.error), "{}", inside.name);
    }
}

#[test]
fn keys_are_derived_and_wrapped_as_committed() {
    let vectors: KeyVectors = read("keys.json");
    for vector in &vectors.row_keys {
        let parts: Vec<Vec<u8>> = vector.parts.iter().map(|part| unhex(part)).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let made = RowKeys::new(&key_of(&vector.key)).key(vector.space, vector.domain, &parts);
        assert_eq!(hex(&made), vector.row_key);
    }
    for vector in &vectors.wrapped_keys {
        let wrapped = WrappedKey::from_bytes(unhex(&vector.wrapped)).unwrap();
        let keeper = keeper(vector.generation, &vector.root_key, wrapped.as_bytes()[5..17].to_vec());
        let key = keeper.unwrap(&wrapped, &unhex(&vector.context), OnBehalf::Start).unwrap();
        assert_eq!(key, key_of(&vector.key));
        assert_eq!(keeper.wrap(&key, &unhex(&vector.context)).unwrap(), wrapped);
    }
    for vector in &vectors.establishments {
        let id = EstablishmentId(unhex(&vector.id).try_into().unwrap());
        let keys = EstablishmentKeys::derive(&key_of(&vector.key), id);
        assert_eq!(hex(&keys.row_keys.key(1, 2, &[b"a", b"b"])), vector.row_key);
        assert_eq!(vector.sealed.len(), Purpose::ALL.len());
        for (purpose, sealed) in Purpose::ALL.into_iter().zip(&vector.sealed) {
            let place = Associated { establishment: id, purpose, row: b"row", resource: None };
            assert_eq!(*open(keys.sealer(purpose), &place, &unhex(sealed), 5).unwrap(), b"tacet");
        }
    }
    assert!(vectors.row_keys.len() >= 4 && vectors.wrapped_keys.len() >= 2 && vectors.establishments.len() >= 2);
}

fn keeper(generation: u32, root_key: &str, nonce: Vec<u8>) -> InProcessKeeper {
    let root = RootKeys::for_tests(vec![(generation, key_of(root_key))]);
    let clock = Arc::new(ManualClock::new(Timestamp::from_ms(0)));
    InProcessKeeper::new(&root, clock, Arc::new(Replay(Mutex::new(nonce))), KeeperLimits::default())
}

#[test]
#[ignore = "writes the vectors anew"]
fn write_vectors() {
    write("seal.json", &make_seal_vectors());
    write("keys.json", &make_key_vectors());
}

fn make_valid() -> Vec<Valid> {
    let rng = SeededRng::new(2024);
    let draw = |bytes: usize| {
        let mut drawn = vec![0; bytes];
        rng.fill(&mut drawn);
        drawn
    };
    let json = br#"{"resourceType":"Patient","id":"example","active":true,"gender":"female"}"#;
    let patient = |version| Some(("Patient".to_owned(), "example".to_owned(), version));
    let long_id = Some(("MedicinalProductUndesirableEffect".to_owned(), "z".repeat(64), u64::MAX));
    let texts = [
        ("stored", json.to_vec(), 1, 1, patient(1), draw(17)),
        ("empty", Vec::new(), 1, 1, patient(2), draw(17)),
        ("one byte", vec![0], 1, 1, patient(3), draw(17)),
        ("fills a step", draw(250), 1, 1, patient(4), draw(17)),
        ("one byte beyond a step", draw(251), 1, 1, patient(5), draw(17)),
        ("compressed", json.repeat(10), 1, 1, patient(6), draw(17)),
        ("noise of 3000 bytes", draw(3000), 1, 1, patient(7), draw(17)),
        ("longest id and version", json.to_vec(), 1, 1, long_id, draw(17)),
        ("siv head", draw(40), 2, 2, None, draw(17)),
        ("siv fills a narrow step", draw(58), 2, 3, None, draw(17)),
        ("siv ledger compressed", json.repeat(10), 2, 6, None, draw(9)),
        ("siv empty row key", b"text".to_vec(), 2, 12, None, Vec::new()),
    ];
    let (key, establishment) = (hex(&draw(32)), hex(&draw(16)));
    texts
        .into_iter()
        .map(|(name, plaintext, algorithm, purpose, resource, row)| {
            let coding = u16::from(name.contains("compressed"));
            let mut vector = Valid {
                name: name.to_owned(),
                algorithm,
                key: key.clone(),
                establishment: establishment.clone(),
                purpose,
                row: hex(&row),
                resource,
                plaintext: hex(&plaintext),
                coding,
                sealed: String::new(),
            };
            let sealed =
                vector.with_place(|place| seal(&vector.sealer(), place, &plaintext, Dictionary::None, &rng).unwrap());
            vector.sealed = hex(&sealed);
            vector
        })
        .collect()
}

fn make_seal_vectors() -> SealVectors {
    let valid = make_valid();
    let mut malformed = Vec::new();
    let mut add = |name: String, change: Malformed| malformed.push(Malformed { name, ..change });
    for base in ["stored", "siv head"] {
        let vector = valid.iter().find(|vector| vector.name == base).unwrap();
        let length = vector.sealed.len() / 2;
        let on = || Malformed { base: base.to_owned(), ..Malformed::default() };
        for cut in (0..60).chain((64..length).step_by(16)).chain([length - 1]) {
            add(format!("{base}: cut to {cut} bytes"), Malformed { truncate_to: Some(cut), ..on() });
        }
        for at in (0..16).chain([length / 2, length - 17, length - 16, length - 1]) {
            for mask in [0x01, 0x80, 0xff] {
                add(format!("{base}: byte {at} changed by {mask:02x}"), Malformed { xor: Some((at, mask)), ..on() });
            }
        }
        for append in ["00", "ff", "00000000000000000000000000000000"] {
            add(format!("{base}: {append} added"), Malformed { append: Some(append.to_owned()), ..on() });
        }
        add(format!("{base}: another key"), Malformed { key: Some("00".repeat(32)), ..on() });
        add(format!("{base}: another establishment"), Malformed { establishment: Some("00".repeat(16)), ..on() });
        for row in [String::new(), vector.row[2..].to_owned(), format!("{}00", vector.row), "00".repeat(17)] {
            add(format!("{base}: row `{row}`"), Malformed { row: Some(row), ..on() });
        }
        for purpose in (1..=12).filter(|purpose| *purpose != vector.purpose) {
            add(format!("{base}: purpose {purpose}"), Malformed { purpose: Some(purpose), ..on() });
        }
        for (resource_type, id, version) in
            [("Patient", "example", 2), ("Patient", "Example", 1), ("Person", "example", 1), ("Patient", "exampl", 1)]
        {
            let resource = Some((resource_type.to_owned(), id.to_owned(), version));
            add(format!("{base}: {resource_type}/{id}/{version}"), Malformed { resource, ..on() });
        }
        let other = if base == "stored" { "empty" } else { "siv fills a narrow step" };
        add(format!("{base}: swapped with `{other}`"), Malformed { sealed_of: Some(other.to_owned()), ..on() });
        let foreign = if base == "stored" { "siv head" } else { "stored" };
        add(format!("{base}: sealed as `{foreign}`"), Malformed { sealed_of: Some(foreign.to_owned()), ..on() });
    }
    add(
        "stored: no resource".to_owned(),
        Malformed { base: "stored".to_owned(), no_resource: true, ..Malformed::default() },
    );
    for change in &mut malformed {
        change.error = change.outcome(&valid).expect_err("a malformed vector opens");
    }
    let malformed_inside = make_inside(&valid[0]);
    SealVectors { valid, malformed, malformed_inside }
}

/// What a faulty writer could seal, with the reason that it is refused for: written by hand, not by the reader.
fn make_inside(base: &Valid) -> Vec<Inside> {
    let frame = zstd::bulk::compress(&b"tacet ".repeat(100), 1).unwrap();
    let bomb = zstd::bulk::compress(&vec![0; 50_000_000], 1).unwrap();
    let inner = |coding: u16, length: usize, body: &[u8], padding: &[u8]| {
        [&coding.to_be_bytes()[..], &(length as u32).to_be_bytes(), body, padding].concat()
    };
    let compressed = |body: &[u8]| inner(1, body.len(), body, &[0; 40]);
    let undeclared = {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_contentsize(false).unwrap();
        std::io::Write::write_all(&mut encoder, b"text of a length that is not declared").unwrap();
        encoder.finish().unwrap()
    };
    let texts = [
        ("five bytes", vec![0; 5], 1000, "Truncated"),
        ("length beyond the text", inner(0, 11, b"0123456789", b""), 1000, "Malformed"),
        ("greatest length", inner(0, 0xffff_ffff, b"0123456789", b""), 1000, "Malformed"),
        ("padding not zero at its start", inner(0, 10, b"0123456789", b"\x01\0\0"), 1000, "Malformed"),
        ("padding not zero at its end", inner(0, 10, b"0123456789", b"\0\0\x80"), 1000, "Malformed"),
        ("body beyond the bound", inner(0, 10, b"0123456789", b""), 9, "TooLarge"),
        ("dictionary 65535", inner(65535, frame.len(), &frame, b""), 1000, "UnknownDictionary"),
        ("compressed: nothing", compressed(b""), 1000, "Malformed"),
        ("compressed: noise", compressed(b"this is not a frame"), 1000, "Malformed"),
        ("compressed: cut frame", compressed(&frame[..frame.len() - 1]), 1000, "Malformed"),
        ("compressed: two frames", compressed(&frame.repeat(2)), 1000, "Malformed"),
        ("compressed: frame and a byte", compressed(&[&frame[..], b"\0"].concat()), 1000, "Malformed"),
        ("compressed: length not declared", compressed(&undeclared), 1000, "Malformed"),
        ("compressed: beyond the bound", compressed(&frame), 599, "TooLarge"),
        ("compressed: bomb", compressed(&bomb), 1_000_000, "TooLarge"),
    ];
    let rng = SeededRng::new(7);
    texts
        .into_iter()
        .map(|(name, inside, bytes_max, error)| {
            let (sealer, mut nonce, mut text) = (base.sealer(), [0; 12], inside.clone());
            rng.fill(&mut nonce);
            let bound = base.with_place(|place| place.encode(sealer.algorithm()).unwrap());
            let tag = sealer.seal_in_place(nonce, &bound, &mut text).unwrap();
            let sealed = [&[FORMAT_VERSION, base.algorithm][..], &nonce, &text, tag.as_ref()].concat();
            assert_eq!(sealed.len(), ENVELOPE_BYTES + inside.len());
            assert_eq!(tag.as_ref().len(), TAG_BYTES);
            // The bomb is long: its inside is left out, since `sealed` has it.
            let inside = if inside.len() > 1000 { String::new() } else { hex(&inside) };
            Inside { name: name.to_owned(), inside, sealed: hex(&sealed), bytes_max, error: error.to_owned() }
        })
        .collect()
}

fn make_key_vectors() -> KeyVectors {
    let rng = SeededRng::new(2025);
    let draw = |bytes: usize| {
        let mut drawn = vec![0; bytes];
        rng.fill(&mut drawn);
        drawn
    };
    let names: [(u8, u8, &[&[u8]]); 5] = [
        (2, 1, &[b"Patient", b"example", b"\0\0\0\0\0\0\0\x01"]),
        (2, 2, &[b"Patient", b"example"]),
        (0xff, 0, &[]),
        (0, 0xff, &[b""]),
        (3, 4, &[&[b'x'; 300], b"y"]),
    ];
    let row_keys = names.map(|(space, domain, parts)| {
        let key = hex(&draw(32));
        let row_key = hex(&RowKeys::new(&key_of(&key)).key(space, domain, parts));
        RowKeyVector { key, space, domain, parts: parts.iter().map(|part| hex(part)).collect(), row_key }
    });
    let wrapped_keys = [(1, &b"patient"[..]), (u32::MAX, b"")].map(|(generation, context)| {
        let (root_key, key) = (hex(&draw(32)), hex(&draw(32)));
        let wrapped = keeper(generation, &root_key, draw(12)).wrap(&key_of(&key), context).unwrap();
        WrappedKeyVector { generation, root_key, context: hex(context), key, wrapped: hex(wrapped.as_bytes()) }
    });
    let establishments = [0, 1].map(|_| {
        let (key, id) = (draw(32), EstablishmentId(draw(16).try_into().unwrap()));
        let keys = EstablishmentKeys::derive(&Key::from_slice(&key).unwrap(), id);
        let sealed = Purpose::ALL.map(|purpose| {
            let place = Associated { establishment: id, purpose, row: b"row", resource: None };
            hex(&seal(keys.sealer(purpose), &place, b"tacet", Dictionary::None, &rng).unwrap())
        });
        EstablishmentVector {
            key: hex(&key),
            id: hex(&id.0),
            row_key: hex(&keys.row_keys.key(1, 2, &[b"a", b"b"])),
            sealed: sealed.to_vec(),
        }
    });
    KeyVectors { row_keys: row_keys.into(), wrapped_keys: wrapped_keys.into(), establishments: establishments.into() }
}
