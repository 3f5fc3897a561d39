//! One generation of the index: the library's index over a sealed directory (or in memory), the overlay in front of it, and
//! how the one becomes part of the other.

mod commit;

use crate::document::Key;
use crate::engine::{self, Superseded};
use crate::error::SearchError;
use crate::index::key::{Name, Order};
use crate::index::overlay::{Overlay, document_bytes};
use crate::index::payload::{Mark, NO_MARK, Payload};
use crate::index::watermark::Watermark;
use crate::index::writer::new_writer;
use crate::index::{Change, ENTRIES_COMMIT, ENTRIES_COMMIT_UNWATCHED, ENTRIES_MAX, Marks};
use crate::parameters::Parameters;
use crate::sealed::{Latch, SealedDirectory};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tacet_types::{Sequence, VersionId};
use tantivy::directory::RamDirectory;
use tantivy::{Directory as _, Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher};

/// Commits that may fail one after the other before the generation is given up. Those that the disk did not take do not count
/// until the overlay is full: until then every answer is right, and the next commit is tried.
const FAILURES_MAX: u32 = 3;

/// Resources that are remembered because commits before theirs are not here yet. Some hundred bytes each.
pub(crate) const REMEMBERED_MAX: usize = if cfg!(test) { 4000 } else { 2_000_000 };

/// Commits of the store that changed nothing to search for, before the index writes down how far it is.
const SEQUENCES_WITHOUT_COMMIT_MAX: u64 = 1000;

/// Blocks of stored keys that a searcher keeps open.
const STORE_BLOCKS: usize = 64;

/// Whether a commit is done with the changes that are told of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counts {
    /// Everything of it was told.
    Yes,
    /// There is more to come of it.
    No,
}

/// Of which commit changes are told, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) commit: Sequence,
    pub(crate) counts: Counts,
    /// Whether there is time to wait for room.
    pub(crate) patient: bool,
}

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
    marks: Option<Marks>,
    /// That of the commit up to which the files held everything when they were opened.
    mark: Mark,
    bytes_max: usize,
    /// Documents were added past the overlay since the last commit.
    added: AtomicBool,
    /// A commit failed, and may be on the disk all the same: what the searcher has is not all that may be there.
    unsure: AtomicBool,
    /// Somebody has searched since the last commit; and between that and the one before.
    searched: [AtomicBool; 2],
    /// Bytes of these documents, about.
    added_bytes: AtomicUsize,
    /// The highest number that the library gave an operation of a writer that was given up.
    numbers: AtomicU64,
    stopped: AtomicBool,
}

/// What changes with every commit of the store.
struct Live {
    overlay: Overlay,
    watermark: Watermark,
    committed: Sequence,
    /// Versions that were committed beyond the gap: what fills it may be older.
    recent: HashMap<Name, (VersionId, Sequence)>,
    searcher: Searcher,
    /// What of the searcher's documents the overlay takes the place of.
    superseded: Arc<Superseded>,
    /// `superseded` lacks something that could not be read: it is made again before the next search.
    stale: bool,
    failures: u32,
}

impl Live {
    /// Takes another searcher.
    fn search_in(&mut self, searcher: Searcher) -> Result<(), SearchError> {
        let before = std::mem::replace(&mut self.searcher, searcher);
        let known = !std::mem::replace(&mut self.stale, true);
        let keys = self.overlay.entries().map(|(key, _)| key);
        // The library panics at some files that it cannot read.
        let superseded = catch_unwind(AssertUnwindSafe(|| {
            if known {
                self.superseded.follow(&before, &self.searcher, keys)
            } else {
                Superseded::of(&self.searcher, keys)
            }
        }));
        self.superseded = Arc::new(superseded.unwrap_or(Err(SearchError::Engine("looking for replaced documents")))?);
        self.stale = false;
        Ok(())
    }

    /// Notes that the overlay takes the place of what the searcher has of a resource.
    fn supersede(&mut self, key: &Key) -> Result<(), SearchError> {
        let Self { searcher, superseded, .. } = self;
        let added = catch_unwind(AssertUnwindSafe(|| Arc::make_mut(superseded).add(searcher, key)));
        added.unwrap_or(Err(SearchError::Engine("looking for replaced documents")))
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
    /// Tells the store's commits apart.
    pub(crate) marks: Option<Marks>,
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
        let Ok(Ok((index, metas))) = opened else {
            // A file that cannot be read at this moment is no reason to throw the index away.
            let passes = !setting.latch.is_closed() && setting.latch.troubles() > 0;
            return Err(if passes { Latch::trouble() } else { SearchError::Damaged });
        };
        let payload = metas.payload.as_deref().map_or_else(
            || Some(Payload::new(Sequence(0), setting.parameters.fingerprint(), NO_MARK)),
            Payload::decode,
        );
        let fits = |payload: &Payload| {
            let expected = Payload::new(payload.sequence, setting.parameters.fingerprint(), payload.mark);
            *payload == expected && metas.schema == engine::schema()
        };
        let Some(payload) = payload.filter(fits) else { return Err(SearchError::Damaged) };
        let mut generation = Self::over(index, Some(directory), setting, payload.sequence)?;
        generation.mark = payload.mark;
        Ok(generation)
    }

    /// Whether what the files held when they were opened came from the commits that the store has now. Without anybody who can tell it is
    /// believed.
    pub(crate) fn is_of_this_store(&self, at: Sequence) -> bool {
        self.marks.is_none() || self.mark_of(at) == self.mark
    }

    fn mark_of(&self, sequence: Sequence) -> Mark {
        let marks = self.marks.as_ref().filter(|_| sequence != Sequence(0));
        marks.and_then(|marks| marks(sequence)).unwrap_or(NO_MARK)
    }

    fn over(
        index: Index,
        directory: Option<&SealedDirectory>,
        setting: Setting,
        committed: Sequence,
    ) -> Result<Self, SearchError> {
        let Setting { parameters, order, latch, bytes_max, marks } = setting;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let reader = index
                .reader_builder()
                .reload_policy(ReloadPolicy::Manual)
                .doc_store_cache_num_blocks(STORE_BLOCKS)
                .try_into()?;
            let writer = new_writer(&index, bytes_max, 0)?;
            Ok::<_, tantivy::TantivyError>((reader, writer))
        }));
        let (reader, writer) = match opened {
            Ok(Ok(opened)) => opened,
            _ if latch.is_closed() => return Err(SearchError::Damaged),
            _ if latch.troubles() > 0 => return Err(Latch::trouble()),
            Ok(Err(_)) | Err(_) => return Err(SearchError::Engine("opening the index")),
        };
        let live = Live {
            overlay: Overlay::default(),
            watermark: Watermark::at(committed),
            committed,
            recent: HashMap::new(),
            searcher: reader.searcher(),
            superseded: Arc::default(),
            stale: false,
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
            marks,
            mark: NO_MARK,
            bytes_max,
            added: AtomicBool::new(false),
            unsure: AtomicBool::new(false),
            searched: Default::default(),
            added_bytes: AtomicUsize::new(0),
            numbers: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Option<IndexWriter>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether [`Generation::apply`] would wait now.
    pub(crate) fn would_wait(&self) -> bool {
        !self.takes_nothing() && self.is_full(&self.live())
    }

    /// Waits until [`Generation::apply`] would not.
    pub(crate) fn wait_for_room(&self, wake: impl Fn()) {
        drop(self.with_room(self.live(), wake));
    }

    fn with_room<'l>(&self, mut live: MutexGuard<'l, Live>, wake: impl Fn()) -> MutexGuard<'l, Live> {
        while self.is_full(&live) && !self.takes_nothing() {
            if live.failures >= FAILURES_MAX {
                // Nobody is kept waiting for a disk that takes nothing.
                self.latch.fall_behind();
                break;
            }
            wake();
            live = self.room.wait(live).unwrap_or_else(PoisonError::into_inner);
        }
        live
    }

    /// Takes in changes of a commit. Gives whether it is time to commit. Waits while the overlay is full, if it may; `wake` makes
    /// somebody commit.
    pub(crate) fn apply(&self, told: Told, changes: Vec<Change>, wake: impl Fn()) -> bool {
        let Told { commit, counts, patient } = told;
        let mut live = self.live();
        if patient && !changes.is_empty() {
            live = self.with_room(live, wake);
        }
        if counts == Counts::Yes {
            if live.watermark.contains(commit) {
                return false;
            }
            live.watermark.add(commit);
        }
        if self.takes_nothing() {
            // It answers nothing any more; what comes after it is built from a snapshot taken later.
            return false;
        }
        for change in changes {
            let in_overlay = live.overlay.get(&change.key);
            let recent = (!live.recent.is_empty()).then(|| live.recent.get(&self.order.name(&change.key))).flatten();
            if in_overlay.is_some_and(|entry| entry.is_newer(commit, change.version))
                || recent.is_some_and(|(version, of)| (*of, *version) > (commit, change.version))
            {
                continue;
            }
            let in_overlay = in_overlay.is_some();
            let troubles = self.latch.troubles();
            if !in_overlay && live.supersede(&change.key).is_err() {
                live.stale = true;
                if self.latch.troubles() == troubles {
                    self.latch.close();
                    return false;
                }
            }
            live.overlay.put(change.key, change.version, commit, change.document);
        }
        self.is_due(&live)
    }

    /// Whether it is time to commit.
    fn is_due(&self, live: &Live) -> bool {
        let watched = self.searched.iter().any(|searched| searched.load(Ordering::Relaxed));
        let entries = if watched { ENTRIES_COMMIT } else { ENTRIES_COMMIT_UNWATCHED };
        live.overlay.len() >= entries || live.overlay.bytes() >= self.bytes_max / 2
    }

    /// Notes that somebody searches. Gives whether it is time to commit therefore.
    pub(crate) fn note_search(&self) -> bool {
        let [since_commit, _] = &self.searched;
        !since_commit.swap(true, Ordering::Relaxed) && self.is_due(&self.live())
    }

    /// Stands for a resource.
    pub(crate) fn name(&self, key: &Key) -> Name {
        self.order.name(key)
    }

    fn takes_nothing(&self) -> bool {
        self.latch.is_closed() || self.stopped.load(Ordering::SeqCst)
    }

    fn is_full(&self, live: &Live) -> bool {
        live.overlay.len() >= ENTRIES_MAX || live.overlay.bytes() >= self.bytes_max
    }

    /// Adds documents of a snapshot straight to the files. `skip` says which are known in a later version; it is asked for one
    /// change while nothing else is added.
    pub(crate) fn add(&self, changes: Vec<Change>, skip: impl Fn(&Change) -> bool) -> Result<(), SearchError> {
        let writer = self.writer();
        let writer = writer.as_ref().ok_or(SearchError::Closed)?;
        let troubles = self.latch.troubles();
        self.added.store(true, Ordering::SeqCst);
        for change in changes {
            if skip(&change) {
                continue;
            }
            let Some(document) = &change.document else { continue };
            self.added_bytes.fetch_add(document_bytes(document), Ordering::Relaxed);
            let document = engine::to_document(document, self.order.of(&change.key));
            let added = catch_unwind(AssertUnwindSafe(|| writer.add_document(document)));
            if !matches!(added, Ok(Ok(_))) {
                return Err(self.failed("adding documents", troubles));
            }
        }
        Ok(())
    }

    /// Whether so much was added that it must be committed first: what is added waits in memory until the library has taken it in.
    pub(crate) fn is_filled(&self) -> bool {
        self.added_bytes.load(Ordering::Relaxed) >= self.bytes_max
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

    /// One moment to search in.
    pub(crate) fn view(&self) -> Result<View, SearchError> {
        if self.latch.is_closed() {
            return Err(self.latch.error());
        }
        let mut live = self.live();
        if live.stale {
            let troubles = self.latch.troubles();
            let searcher = live.searcher.clone();
            if live.search_in(searcher).is_err() {
                if self.latch.troubles() == troubles {
                    self.latch.close();
                }
                return Err(self.failed("looking for replaced documents", troubles));
            }
        }
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
        let troubles = self.latch.troubles();
        let reloaded = catch_unwind(AssertUnwindSafe(|| self.reader.reload()));
        if !matches!(reloaded, Ok(Ok(()))) {
            return Err(self.failed("reading the list of segments", troubles));
        }
        let searched = self.live().search_in(self.reader.searcher());
        searched.map_err(|_| self.failed("looking for replaced documents", troubles))
    }

    /// Resources that can be found, about: exact between two changes.
    pub(crate) fn documents(&self) -> u64 {
        let Ok(View { searcher, superseded, overlay, .. }) = self.view() else { return 0 };
        let committed = searcher.num_docs().saturating_sub(superseded.count() as u64);
        committed + overlay.documents().count() as u64
    }

    /// Documents that were deleted and stand in the files still, those that another took the place of among them.
    pub(crate) fn deleted_documents(&self) -> u64 {
        let readers = self.live().searcher.clone();
        readers.segment_readers().iter().map(|reader| u64::from(reader.num_deleted_docs())).sum()
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
        self.stopped.store(true, Ordering::SeqCst);
        let writer = self.writer().take();
        if let Some(directory) = &self.directory {
            directory.detach();
        }
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(writer)));
        if dropped.is_err() {
            tracing::warn!("a thread of the search index failed while it was stopped");
        }
        drop(self.live());
        self.room.notify_all();
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.stop();
    }
}
