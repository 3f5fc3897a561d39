//! One generation of the index: the library's index over a sealed directory (or in memory), the overlay in front of it, and
//! how the one becomes part of the other.

use crate::document::Key;
use crate::engine::{self, Superseded};
use crate::error::SearchError;
use crate::index::key::Order;
use crate::index::overlay::Overlay;
use crate::index::payload::Payload;
use crate::index::watermark::Watermark;
use crate::index::{Change, ENTRIES_COMMIT, ENTRIES_MAX};
use crate::parameters::Parameters;
use crate::sealed::{Latch, SealedDirectory};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tacet_types::{Sequence, VersionId};
use tantivy::directory::RamDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher};

/// Share of deleted documents in a segment from which it is written anew.
const DELETED_SHARE_MAX: f32 = 0.3;

/// Threads that merge segments: one, since merging must not take the processors from searches.
const MERGE_THREADS: usize = 1;

/// Least memory of the writer that the library takes, in bytes.
const WRITER_BYTES_MIN: usize = 15_000_000;

/// Most memory of the writer, in bytes: beyond it a commit is not cheaper.
const WRITER_BYTES_MAX: usize = 1 << 30;

/// Commits that may fail one after the other before the generation is given up.
const FAILURES_MAX: u32 = 3;

/// Commits of the store that changed nothing to search for, before the index writes down how far it is.
const SEQUENCES_WITHOUT_COMMIT_MAX: u64 = 1000;

/// Blocks of stored keys that a searcher keeps open.
const STORE_BLOCKS: usize = 64;

/// One generation.
pub(crate) struct Generation {
    pub(crate) parameters: Parameters,
    pub(crate) latch: Arc<Latch>,
    order: Order,
    /// None in memory.
    directory: Option<SealedDirectory>,
    index: Index,
    reader: IndexReader,
    writer: Mutex<Option<IndexWriter>>,
    live: Mutex<Live>,
    room: Condvar,
    bytes_max: usize,
    /// Documents were added past the overlay since the last commit.
    added: AtomicBool,
    stopped: AtomicBool,
}

/// What changes with every commit of the store.
struct Live {
    overlay: Overlay,
    watermark: Watermark,
    committed: Sequence,
    /// Versions that were committed beyond the gap: what fills it may be older.
    recent: HashMap<Key, (VersionId, Sequence)>,
    searcher: Searcher,
    /// What of the searcher's documents the overlay takes the place of.
    superseded: Arc<Superseded>,
    failures: u32,
}

impl Live {
    /// Takes another searcher.
    fn search_in(&mut self, searcher: Searcher) -> Result<(), SearchError> {
        let superseded = Superseded::of(&searcher, self.overlay.entries().map(|(key, _)| key))?;
        self.searcher = searcher;
        self.superseded = Arc::new(superseded);
        Ok(())
    }
}

/// One moment of a generation.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) searcher: Searcher,
    pub(crate) superseded: Arc<Superseded>,
    pub(crate) overlay: Overlay,
    pub(crate) order: Order,
    pub(crate) parameters: Parameters,
}

/// What a generation needs from outside.
pub(crate) struct Setting {
    pub(crate) parameters: Parameters,
    pub(crate) order: Order,
    pub(crate) latch: Arc<Latch>,
    /// Memory of the writer and of the overlay, in bytes each.
    pub(crate) bytes_max: usize,
}

impl Generation {
    /// An empty generation.
    pub(crate) fn create(setting: Setting, directory: Option<&SealedDirectory>) -> Result<Self, SearchError> {
        let schema = engine::schema();
        let index = match directory {
            Some(directory) => Index::create(directory.clone(), schema, IndexSettings::default()),
            None => Index::create(RamDirectory::create(), schema, IndexSettings::default()),
        };
        let index = index.map_err(|_| SearchError::Engine("making an index"))?;
        Self::over(index, directory, setting, Sequence(0))
    }

    /// The generation in a directory. Gives up to where it holds everything.
    pub(crate) fn open(setting: Setting, directory: &SealedDirectory) -> Result<Self, SearchError> {
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let index = Index::open(directory.clone())?;
            let metas = index.load_metas()?;
            directory.sweep(&metas.list_segment_files())?;
            Ok::<_, tantivy::TantivyError>((index, metas))
        }));
        let Ok(Ok((index, metas))) = opened else { return Err(SearchError::Damaged) };
        let payload = metas
            .payload
            .as_deref()
            .map_or_else(|| Some(Payload::new(Sequence(0), setting.parameters.fingerprint())), Payload::decode);
        let fits = |payload: &Payload| {
            let expected = Payload::new(payload.sequence, setting.parameters.fingerprint());
            *payload == expected && metas.schema == engine::schema()
        };
        let Some(payload) = payload.filter(fits) else { return Err(SearchError::Damaged) };
        Self::over(index, Some(directory), setting, payload.sequence)
    }

    fn over(
        index: Index,
        directory: Option<&SealedDirectory>,
        setting: Setting,
        committed: Sequence,
    ) -> Result<Self, SearchError> {
        let Setting { parameters, order, latch, bytes_max } = setting;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let reader = index
                .reader_builder()
                .reload_policy(ReloadPolicy::Manual)
                .doc_store_cache_num_blocks(STORE_BLOCKS)
                .try_into()?;
            let options = IndexWriterOptions::builder()
                .num_worker_threads(1)
                .num_merge_threads(MERGE_THREADS)
                .memory_budget_per_thread(bytes_max.clamp(WRITER_BYTES_MIN, WRITER_BYTES_MAX))
                .build();
            let writer: IndexWriter = index.writer_with_options(options)?;
            prepare_writer(&writer)?;
            Ok::<_, tantivy::TantivyError>((reader, writer))
        }));
        let (reader, writer) = match opened {
            Ok(Ok(opened)) => opened,
            _ if latch.is_damaged() => return Err(SearchError::Damaged),
            Ok(Err(_)) | Err(_) => return Err(SearchError::Engine("opening the index")),
        };
        let live = Live {
            overlay: Overlay::default(),
            watermark: Watermark::at(committed),
            committed,
            recent: HashMap::new(),
            searcher: reader.searcher(),
            superseded: Arc::default(),
            failures: 0,
        };
        Ok(Self {
            parameters,
            latch,
            order,
            directory: directory.cloned(),
            index,
            reader,
            writer: Mutex::new(Some(writer)),
            live: Mutex::new(live),
            room: Condvar::new(),
            bytes_max,
            added: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        })
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Option<IndexWriter>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in changes. Gives whether it is time to commit. Waits while the overlay is full; `wake` makes somebody commit.
    pub(crate) fn apply(&self, sequence: Sequence, changes: Vec<Change>, wake: impl Fn()) -> bool {
        let mut live = self.live();
        while self.is_full(&live) && !changes.is_empty() && !self.takes_nothing() {
            wake();
            live = self.room.wait(live).unwrap_or_else(PoisonError::into_inner);
        }
        if live.watermark.contains(sequence) {
            return false;
        }
        live.watermark.add(sequence);
        if self.takes_nothing() {
            // It answers nothing any more; what comes after it is built from a snapshot taken later.
            return false;
        }
        for change in changes {
            let in_overlay = live.overlay.get(&change.key).map(|entry| entry.version);
            let known = in_overlay.max(live.recent.get(&change.key).map(|(version, _)| *version));
            if known.is_some_and(|known| known > change.version) {
                continue;
            }
            if in_overlay.is_none() {
                let Live { searcher, superseded, .. } = &mut *live;
                if Arc::make_mut(superseded).add(searcher, &change.key).is_err() {
                    self.latch.close();
                    return false;
                }
            }
            live.overlay.put(change.key, change.version, sequence, change.document);
        }
        live.overlay.len() >= ENTRIES_COMMIT || live.overlay.bytes() >= self.bytes_max / 2
    }

    fn takes_nothing(&self) -> bool {
        self.latch.is_damaged() || self.stopped.load(Ordering::SeqCst)
    }

    fn is_full(&self, live: &Live) -> bool {
        live.overlay.len() >= ENTRIES_MAX || live.overlay.bytes() >= self.bytes_max
    }

    /// Adds documents of a snapshot straight to the files. `skip` says which are known in a later version; it is asked for one
    /// change while nothing else is added.
    pub(crate) fn add(&self, changes: Vec<Change>, skip: impl Fn(&Change) -> bool) -> Result<(), SearchError> {
        let writer = self.writer();
        let writer = writer.as_ref().ok_or(SearchError::Closed)?;
        self.added.store(true, Ordering::SeqCst);
        for change in changes {
            if skip(&change) {
                continue;
            }
            let Some(document) = &change.document else { continue };
            let document = engine::to_document(document, self.order.of(&change.key));
            let added = catch_unwind(AssertUnwindSafe(|| writer.add_document(document)));
            if !matches!(added, Ok(Ok(_))) {
                return Err(self.failed("adding documents"));
            }
        }
        Ok(())
    }

    /// Everything up to here was added.
    pub(crate) fn raise(&self, sequence: Sequence) {
        self.live().watermark.raise(sequence);
    }

    /// Whether there is something to commit.
    pub(crate) fn is_behind(&self) -> bool {
        let live = self.live();
        let behind = live.watermark.contiguous().0.saturating_sub(live.committed.0);
        !live.overlay.is_empty() || behind >= SEQUENCES_WITHOUT_COMMIT_MAX
    }

    fn failed(&self, what: &'static str) -> SearchError {
        if self.latch.is_damaged() { SearchError::Damaged } else { SearchError::Engine(what) }
    }

    /// Puts the overlay into the files, if anything changed. Gives up to where they hold everything.
    pub(crate) fn commit(&self) -> Result<Sequence, SearchError> {
        let mut writer = self.writer();
        let writer = writer.as_mut().ok_or(SearchError::Closed)?;
        let outcome = if self.latch.is_damaged() { Err(SearchError::Damaged) } else { self.commit_with(writer) };
        if let Err(error) = &outcome
            && !self.latch.is_damaged()
        {
            tracing::warn!(%error, "the search index could not be committed");
            let undone = catch_unwind(AssertUnwindSafe(|| {
                writer.rollback()?;
                prepare_writer(writer)
            }));
            let mut live = self.live();
            live.failures += 1;
            if live.failures >= FAILURES_MAX || !matches!(undone, Ok(Ok(_))) {
                self.latch.close();
            }
        }
        self.room.notify_all();
        outcome
    }

    fn commit_with(&self, writer: &mut IndexWriter) -> Result<Sequence, SearchError> {
        let (frozen, sequence) = {
            let live = self.live();
            let sequence = live.watermark.contiguous();
            if live.overlay.is_empty() && sequence == live.committed && !self.added.load(Ordering::SeqCst) {
                return Ok(sequence);
            }
            (live.overlay.clone(), sequence)
        };
        let payload = Payload::new(sequence, self.parameters.fingerprint()).encode();
        let written = catch_unwind(AssertUnwindSafe(|| {
            for (key, entry) in frozen.entries() {
                writer.delete_term(engine::key_term(key));
                if let Some(document) = &entry.document {
                    writer.add_document(engine::to_document(document, self.order.of(key)))?;
                }
            }
            let mut prepared = writer.prepare_commit()?;
            prepared.set_payload(&payload);
            prepared.commit()?;
            self.reader.reload()
        }));
        if !matches!(written, Ok(Ok(()))) || self.latch.is_damaged() {
            return Err(self.failed("committing"));
        }
        let mut live = self.live();
        live.committed = sequence;
        live.failures = 0;
        self.added.store(false, Ordering::SeqCst);
        for (key, entry) in frozen.entries() {
            let same = |now: &super::overlay::Entry| (now.version, now.sequence) == (entry.version, entry.sequence);
            if live.overlay.get(key).is_some_and(same) {
                live.overlay.remove(key);
            }
            if entry.sequence > sequence {
                live.recent.insert(key.clone(), (entry.version, entry.sequence));
            }
        }
        let contiguous = live.watermark.contiguous();
        live.recent.retain(|_, (_, sequence)| *sequence > contiguous);
        live.search_in(self.reader.searcher()).inspect_err(|_| self.latch.close())?;
        Ok(sequence)
    }

    /// One moment to search in.
    pub(crate) fn view(&self) -> Result<View, SearchError> {
        if self.latch.is_damaged() {
            return Err(SearchError::Damaged);
        }
        let live = self.live();
        Ok(View {
            searcher: live.searcher.clone(),
            superseded: Arc::clone(&live.superseded),
            overlay: live.overlay.clone(),
            order: self.order.clone(),
            parameters: self.parameters.clone(),
        })
    }

    /// (applied without a gap, on disk).
    pub(crate) fn sequences(&self) -> (Sequence, Sequence) {
        let live = self.live();
        (live.watermark.contiguous(), live.committed)
    }

    /// Looks at the files as they are now, and lets go of those that were replaced.
    pub(crate) fn reload(&self) -> Result<(), SearchError> {
        // No commit in between: it would bring what the overlay still holds, and not take it from there.
        let _writer = self.writer();
        let reloaded = catch_unwind(AssertUnwindSafe(|| self.reader.reload()));
        if !matches!(reloaded, Ok(Ok(()))) {
            return Err(self.failed("reading the list of segments"));
        }
        self.live().search_in(self.reader.searcher())
    }

    /// Resources that can be found, about: exact between two changes.
    pub(crate) fn documents(&self) -> u64 {
        let Ok(View { searcher, superseded, overlay, .. }) = self.view() else { return 0 };
        let committed = searcher.num_docs().saturating_sub(superseded.count() as u64);
        committed + overlay.documents().count() as u64
    }

    /// Entries of the overlay, and its bytes.
    pub(crate) fn overlay_size(&self) -> (usize, usize) {
        let live = self.live();
        (live.overlay.len(), live.overlay.bytes())
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Does something with the writer while nothing is committed.
    pub(crate) fn with_writer<T>(&self, run: impl FnOnce(&mut IndexWriter) -> T) -> Result<T, SearchError> {
        self.writer().as_mut().map(run).ok_or(SearchError::Closed)
    }

    /// Stops writing. What merges are on their way is given up.
    pub(crate) fn stop(&self) {
        let writer = self.writer().take();
        if let Some(directory) = &self.directory {
            directory.detach();
        }
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(writer)));
        if dropped.is_err() {
            tracing::warn!("a thread of the search index failed while it was stopped");
        }
        self.stopped.store(true, Ordering::SeqCst);
        self.room.notify_all();
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What every new writer needs, and one that undid a commit.
///
/// The library gives the first operation the number that the last commit has. A merge that begins then takes it for committed
/// in segments without deletions, and not in those whose deletions have that number; the merged segment forgets it for the latter, and a
/// deleted document stays. An empty group of operations uses that number up.
fn prepare_writer(writer: &IndexWriter) -> tantivy::Result<()> {
    writer.run(Vec::new())?;
    let mut policy = LogMergePolicy::default();
    policy.set_del_docs_ratio_before_merge(DELETED_SHARE_MAX);
    writer.set_merge_policy(Box::new(policy));
    Ok(())
}
