//! Opening an index: finding the generation in use, or beginning an empty one.

use crate::error::SearchError;
use crate::index::generation::{Generation, Setting};
use crate::index::key::IndexKey;
use crate::index::{Empty, IndexOptions, Marks, Opened, Store};
use crate::parameters::Parameters;
use crate::sealed::{
    Disk, Found, GENERATION_FORMAT, GenerationKey, Latch, LockedDirectory, Placed, Pointer, RangeCache, Reading,
    Refusal, SealedDirectory,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Parts that the memory is split in.
const MEMORY_SHARES: usize = 20;

/// Of these, those of each writer and each overlay: there are two of either while the index is rebuilt.
const WRITING_SHARES: usize = 3;

/// Those of the ranges kept for reading. From some million resources on, a column that puts results in order takes tens of megabytes, and
/// one that is not kept is opened for every search.
const READING_SHARES: usize = 8;

const _: () = assert!(4 * WRITING_SHARES + READING_SHARES == MEMORY_SHARES, "the parts are the whole");

/// What generations are made with.
pub(crate) struct Workshop {
    pub(crate) options: IndexOptions,
    pub(crate) key: IndexKey,
    pub(crate) disk: Disk,
    pub(crate) cache: Arc<RangeCache>,
    pub(crate) whole_bytes: Arc<AtomicUsize>,
    pub(crate) marks: Option<Marks>,
}

impl Workshop {
    pub(crate) fn new(options: IndexOptions, key: IndexKey, disk: Disk, marks: Option<Marks>) -> Self {
        let cache = Arc::new(RangeCache::new(options.memory_bytes_max / MEMORY_SHARES * READING_SHARES));
        Self { options, key, disk, cache, whole_bytes: Arc::default(), marks }
    }

    fn setting(&self, parameters: Parameters, latch: &Arc<Latch>) -> Setting {
        let bytes_max = self.options.memory_bytes_max / MEMORY_SHARES * WRITING_SHARES;
        Setting {
            parameters,
            order: self.key.order().clone(),
            latch: Arc::clone(latch),
            bytes_max,
            marks: self.marks.clone(),
        }
    }

    fn reading(&self, latch: &Arc<Latch>) -> Reading {
        let (cache, whole_bytes) = (Arc::clone(&self.cache), Arc::clone(&self.whole_bytes));
        Reading { cache, latch: Arc::clone(latch), whole_bytes }
    }

    /// An empty generation, and the pointer that would lead to it.
    pub(crate) fn create(
        &self,
        parameters: Parameters,
    ) -> Result<(Generation, Option<(PathBuf, Pointer)>), SearchError> {
        let latch = Arc::default();
        let fingerprint = parameters.fingerprint();
        let setting = self.setting(parameters, &latch);
        let Some(root) = &self.options.directory else { return Ok((Generation::create(setting, None)?, None)) };
        let (key, again) = self.random_key()?;
        let mut directory = [0; 16];
        self.options.rng.fill(&mut directory);
        let pointer = Pointer { format: GENERATION_FORMAT, directory, key, fingerprint };
        let path = root.join(pointer.directory_name());
        let rng = Arc::clone(&self.options.rng);
        let sealed = SealedDirectory::create(&self.disk, &path, Arc::new(again), rng, self.reading(&latch))?;
        Ok((Generation::create(setting, Some(&sealed))?, Some((path, pointer))))
    }

    /// A new key, twice: for the pointer and for the files.
    fn random_key(&self) -> Result<(GenerationKey, GenerationKey), SearchError> {
        let key = GenerationKey::random(self.options.rng.as_ref());
        let again = GenerationKey::from_key(key.key().duplicate());
        Ok((key, again))
    }

    /// Makes `pointer` the one in use.
    pub(crate) fn point(&self, pointer: &Pointer) -> Result<Placed, SearchError> {
        match &self.options.directory {
            Some(root) => pointer.write(&self.disk, root, &self.key, self.options.rng.as_ref()),
            None => Ok(Placed::Durably),
        }
    }
}

/// The generation in use, or an empty one.
pub(crate) struct Beginning {
    pub(crate) generation: Generation,
    pub(crate) path: Option<PathBuf>,
    pub(crate) opened: Opened,
    pub(crate) lock: Option<LockedDirectory>,
}

/// A generation in memory that answers nothing, for the time until another is built in the directory.
pub(crate) fn without_files(workshop: &Workshop, parameters: Parameters) -> Result<Beginning, SearchError> {
    let latch = Arc::default();
    let generation = Generation::create(workshop.setting(parameters, &latch), None)?;
    latch.close();
    Ok(Beginning { generation, path: None, opened: Opened::Empty(Empty::Unreadable), lock: None })
}

/// Opens what is there.
pub(crate) fn open(workshop: &Workshop, parameters: Parameters, store: Store) -> Result<Beginning, SearchError> {
    let Some(root) = &workshop.options.directory else {
        let (generation, _) = workshop.create(parameters)?;
        return Ok(Beginning { generation, path: None, opened: Opened::Empty(Empty::New), lock: None });
    };
    let lock = LockedDirectory::open(&workshop.disk, root)?;
    let empty = match Pointer::read(root, &workshop.key)? {
        Found::Nothing => Empty::New,
        Found::Newer => Empty::NewerFormat,
        Found::Damaged => Empty::Damaged,
        Found::Pointer(pointer) => match open_generation(workshop, root, *pointer, &parameters, store)? {
            Ok((generation, path)) => {
                let (at, _) = generation.sequences();
                sweep(workshop, root, Some(&path))?;
                let opened = Opened::At(at);
                return Ok(Beginning { generation, path: Some(path), opened, lock: Some(lock) });
            }
            Err(empty) => empty,
        },
    };
    tracing::info!(?empty, "the search index is empty and is built from the records");
    Pointer::remove(&workshop.disk, root)?;
    sweep(workshop, root, None)?;
    let (generation, place) = workshop.create(parameters)?;
    let Some((path, pointer)) = place else { return Err(SearchError::Engine("making an index")) };
    workshop.point(&pointer)?;
    Ok(Beginning { generation, path: Some(path), opened: Opened::Empty(empty), lock: Some(lock) })
}

/// Opens the generation that the pointer leads to, or says why it is not used.
fn open_generation(
    workshop: &Workshop,
    root: &Path,
    pointer: Pointer,
    parameters: &Parameters,
    store: Store,
) -> Result<Result<(Generation, PathBuf), Empty>, SearchError> {
    if pointer.format != GENERATION_FORMAT {
        return Ok(Err(Empty::OlderFormat));
    }
    if pointer.fingerprint != parameters.fingerprint() {
        return Ok(Err(Empty::ParametersChanged));
    }
    let latch = Arc::default();
    let path = root.join(pointer.directory_name());
    let (key, rng) = (Arc::new(pointer.key), Arc::clone(&workshop.options.rng));
    let opened = SealedDirectory::open(&workshop.disk, &path, key, rng, workshop.reading(&latch))
        .map_err(|refusal| if refusal == Refusal::NotNow { Latch::trouble() } else { SearchError::Damaged })
        .and_then(|directory| Generation::open(workshop.setting(parameters.clone(), &latch), &directory));
    let generation = match opened {
        Ok(generation) if !latch.is_closed() => generation,
        Ok(_) | Err(SearchError::Damaged) => return Ok(Err(Empty::Damaged)),
        Err(error) => return Err(error),
    };
    let (at, _) = generation.sequences();
    if at < store.least {
        return Ok(Err(Empty::RolledBack));
    }
    if at > store.last {
        return Ok(Err(Empty::AheadOfStore));
    }
    if !generation.is_of_this_store(at) {
        return Ok(Err(Empty::OtherBranch));
    }
    Ok(Ok((generation, path)))
}

/// Removes generations that are not in use: begun and not finished, or left when another took their place. Touches nothing that does
/// not look like one.
fn sweep(workshop: &Workshop, root: &Path, in_use: Option<&Path>) -> Result<(), SearchError> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let looks_like_one = name
            .to_str()
            .is_some_and(|name| name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        if looks_like_one && entry.file_type()?.is_dir() && Some(entry.path().as_path()) != in_use {
            workshop.disk.remove_directory(&entry.path())?;
        }
    }
    Ok(())
}
