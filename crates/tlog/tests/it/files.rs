//! Logs as files: made by the definition, kept in memory, and laid on a disk for a verifier that is another program.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Command;
use tacet_tlog::derive::LogFiles;
use tacet_tlog::merkle::{TreeHash, leaf_hash, root_of};
use tacet_tlog::note::SignatureType;
use tacet_tlog::tile::{Resource, encode_tile, push_entry, resources};
use tacet_tlog::{Checkpoint, SignedCheckpoint, SignerKey};
use tacet_types::SeededRng;

pub(crate) const ORIGIN: &str = "hospital.example/ledger";

/// Names the program of the other verifier; without it only ours is asked.
const FOREIGN: &str = "TACET_FOREIGN_VERIFIER";

pub(crate) fn key(seed: u64, name: &str) -> SignerKey {
    SignerKey::generate(name, SignatureType::Ed25519, &SeededRng::new(seed)).unwrap()
}

/// Entries and what is made of them.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// The hashes of each level: level 0 has the leaves' own, each further one those of whole tiles below.
pub(crate) fn levels(entries: &[Vec<u8>]) -> Vec<Vec<TreeHash>> {
    let mut levels = vec![entries.iter().map(|entry| leaf_hash(entry)).collect::<Vec<_>>()];
    while levels.last().unwrap().len() >= 256 {
        levels.push(levels.last().unwrap().chunks_exact(256).map(root_of).collect());
    }
    levels
}

impl Log {
    pub(crate) fn of(entries: Vec<Vec<u8>>, key: &SignerKey) -> Self {
        let levels = levels(&entries);
        let range = |index: u64, width: u16| index as usize * 256..index as usize * 256 + usize::from(width);
        let mut files = BTreeMap::new();
        for resource in resources(entries.len() as u64) {
            let bytes = match &resource {
                Resource::Entries { index, width } => {
                    let mut bundle = Vec::new();
                    entries[range(*index, *width)].iter().for_each(|entry| push_entry(&mut bundle, entry).unwrap());
                    bundle
                }
                Resource::Tile(tile) => encode_tile(&levels[usize::from(tile.level)][range(tile.index, tile.width)]),
                Resource::Checkpoint => continue,
            };
            files.insert(resource.to_string(), bytes);
        }
        let signed = signed(key, entries.len() as u64, root_of(&levels[0]));
        files.insert("checkpoint".to_owned(), signed.encode().into_bytes());
        Self { entries, files }
    }

    /// Made-up entries of several lengths, the longest that there may be among them.
    pub(crate) fn made_up(count: usize, key: &SignerKey) -> Self {
        let entry = |number: usize| {
            let length = if number == 1000 { 65_535 } else { number * 7 % 41 };
            [&(number as u64).to_be_bytes()[..], &vec![number as u8; length]].concat()[..length.max(8)].to_vec()
        };
        Self::of((0..count).map(entry).collect(), key)
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        SignedCheckpoint::parse(&self.files["checkpoint"]).unwrap().checkpoint().clone()
    }
}

pub(crate) fn signed(key: &SignerKey, size: u64, root: TreeHash) -> SignedCheckpoint {
    SignedCheckpoint::sign(Checkpoint::new(key.name(), size, root).unwrap(), key).unwrap()
}

/// Files in memory, with some of them otherwise.
pub(crate) struct Changed<'a> {
    pub(crate) files: &'a BTreeMap<String, Vec<u8>>,
    pub(crate) changes: &'a BTreeMap<String, Option<Vec<u8>>>,
}

impl LogFiles for Changed<'_> {
    type Error = Infallible;

    fn read(&mut self, resource: &Resource, _: usize) -> Result<Option<Vec<u8>>, Infallible> {
        let path = resource.to_string();
        Ok(self.changes.get(&path).cloned().unwrap_or_else(|| self.files.get(&path).cloned()))
    }
}

/// The other verifier, and a directory for it.
pub(crate) struct Foreign {
    program: PathBuf,
    directory: PathBuf,
    key: String,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Foreign {
    /// `None`, and a word about it, where there is none.
    pub(crate) fn with(log: &Log, key: &SignerKey, name: &str) -> Option<Self> {
        let Some(program) = std::env::var_os(FOREIGN) else {
            println!("{FOREIGN} is not set: the verifier in another language is not asked");
            return None;
        };
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let foreign = Self { program: program.into(), directory, key: key.verifier().to_string() };
        log.files.iter().for_each(|(path, bytes)| foreign.put(path, Some(bytes)));
        Some(foreign)
    }

    fn put(&self, path: &str, bytes: Option<&Vec<u8>>) {
        let path = self.directory.join("log").join(path);
        match bytes {
            Some(bytes) => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
            None => {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// What it says of the log with these changes: whether it is right, and its words.
    pub(crate) fn verify(
        &self,
        log: &Log,
        changes: &BTreeMap<String, Option<Vec<u8>>>,
        known: &[SignedCheckpoint],
    ) -> (bool, String) {
        changes.iter().for_each(|(path, bytes)| self.put(path, bytes.as_ref()));
        let mut command = Command::new(&self.program);
        command.arg("-log").arg(self.directory.join("log")).arg("-key").arg(&self.key);
        for (place, checkpoint) in known.iter().enumerate() {
            let path: &Path = &self.directory.join(format!("known-{place}"));
            std::fs::write(path, checkpoint.encode()).unwrap();
            command.arg("-known").arg(path);
        }
        let output = command.output().unwrap();
        changes.keys().for_each(|path| self.put(path, log.files.get(path)));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
        assert!(matches!(output.status.code(), Some(0 | 1)), "the other verifier broke: {said}");
        (output.status.success(), said)
    }
}
