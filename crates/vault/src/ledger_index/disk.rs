//! The files of the ledger's index: sealed segments, and the sealed manifest that names them.
//!
//! ```text
//! ledger-index/CURRENT     sealed manifest: how far, the tree up to there, each segment with its key
//! ledger-index/<32 hex>    a segment: chunks of one length, each sealed under the segment's key and bound to its number
//! ```
//!
//! `docs/formats/ledger-index.md` has it to the byte. Segments are written once and synced before a manifest names them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tacet_ledger::index::{
    CHUNK_BYTES, ChunkWriter, Chunks, MANIFEST_BYTES_MAX, Malformed, Manifest, Marks, SegmentInfo, TOPS_A_CHUNK, Top,
    decode_tops, encode_tops, runs,
};
use tacet_seal::{Associated, Dictionary, ENVELOPE_BYTES, Key, Purpose, SealError, Sealer};
use tacet_types::{EstablishmentId, Rng};

/// Name of the manifest.
const MANIFEST_FILE: &str = "CURRENT";

/// Name under which the next one is written.
const NEXT_FILE: &str = "NEXT";

/// What the manifest is bound to.
const MANIFEST_ROW: &[u8] = b"ledger/index";

/// Bytes of a chunk on the disk: its text fills the seal's steps exactly, so that all have one length.
const SEALED_BYTES: usize = CHUNK_BYTES + 6 + ENVELOPE_BYTES;

/// Why the index, or a part of it, is not taken for what it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The disk did not do it.
    #[error("the disk failed")]
    Io(#[from] io::Error),
    /// It opens and is not what was written.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It does not open.
    #[error("a part of the ledger's index does not open")]
    Sealed(#[from] SealError),
    /// It has another length.
    #[error("a file of the ledger's index is cut short or has grown")]
    Length,
}

impl Refused {
    /// Whether the disk did not do it at this moment, and nothing says that a file is damaged.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Io(error) if !matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound))
    }
}

/// Where the files are, and how they are sealed.
#[derive(Clone)]
pub(super) struct Disk {
    directory: PathBuf,
    establishment: EstablishmentId,
    sealer: Sealer,
    rng: Arc<dyn Rng>,
    /// In tests: how many more operations that change files are done before each fails, as if the machine had stopped.
    #[cfg(test)]
    pub(super) left: Option<Arc<std::sync::atomic::AtomicI64>>,
}

impl Disk {
    /// In this directory, which is nobody else's; it is made where it is not there.
    pub(super) fn new(
        directory: &Path,
        establishment: EstablishmentId,
        sealer: Sealer,
        rng: Arc<dyn Rng>,
    ) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        Ok(Self {
            directory: directory.to_path_buf(),
            establishment,
            sealer,
            rng,
            #[cfg(test)]
            left: None,
        })
    }

    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        let Some(left) = &self.left else { return Ok(()) };
        if left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) > 0 {
            return Ok(());
        }
        Err(io::Error::other("the disk stopped"))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests count here")]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    fn path(&self, id: &[u8; 16]) -> PathBuf {
        self.directory.join(name(id))
    }

    /// The manifest; none where there is none.
    pub(super) fn manifest(&self) -> Result<Option<Manifest>, Refused> {
        let path = self.directory.join(MANIFEST_FILE);
        let sealed = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > 2 * MANIFEST_BYTES_MAX as u64 => return Err(Refused::Length),
            Ok(_) => std::fs::read(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let text = tacet_seal::open(&self.sealer, &self.manifest_place(), &sealed, MANIFEST_BYTES_MAX)?;
        Ok(Some(Manifest::decode(&text)?))
    }

    /// Puts a manifest in the place of the one before, durably.
    pub(super) fn put_manifest(&self, manifest: &Manifest) -> Result<(), Refused> {
        let text = manifest.encode();
        let place = self.manifest_place();
        let sealed = tacet_seal::seal(&self.sealer, &place, &text, Dictionary::Stored, self.rng.as_ref())?;
        let next = self.directory.join(NEXT_FILE);
        match std::fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut file = self.create(&next)?;
        self.step()?;
        file.write_all(&sealed)?;
        self.step()?;
        file.sync_data()?;
        self.step()?;
        std::fs::rename(&next, self.directory.join(MANIFEST_FILE))?;
        self.sync_directory()?;
        Ok(())
    }

    fn manifest_place(&self) -> Associated<'static> {
        let row: &'static [u8] = MANIFEST_ROW;
        Associated { establishment: self.establishment, purpose: Purpose::Index, row, resource: None }
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.step()?;
        File::open(&self.directory)?.sync_all()
    }

    /// Removes what looks like a segment and is none of these. What cannot be removed is left: nobody can open it.
    pub(super) fn sweep(&self, used: &[&SegmentInfo]) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let Ok(found) = entry.file_name().into_string() else { continue };
            let ours = found.len() == 32 && found.bytes().all(|byte| byte.is_ascii_hexdigit());
            if ours && !used.iter().any(|segment| name(&segment.id) == found) && self.step().is_ok() {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Begins a segment whose first entry is `from`.
    pub(super) fn writer(&self, from: u64) -> Result<SegmentWriter<'_>, Refused> {
        let mut id = [0; 16];
        self.rng.fill(&mut id);
        let key = Arc::new(Key::random(self.rng.as_ref()));
        let file = self.create(&self.path(&id))?;
        let info = SegmentInfo { id, key, from, to: from, chunks: 0, marks: 0 };
        let sealer = Sealer::gcm(&info.key);
        let out = BufWriter::with_capacity(16 * SEALED_BYTES, file);
        Ok(SegmentWriter { disk: self, info, sealer, out, number: 0, tops: Vec::new(), chunks: ChunkWriter::new(from) })
    }

    /// Removes the file of a segment that is used no more.
    pub(super) fn remove(&self, segment: &SegmentInfo) {
        if self.step().is_ok() {
            let _ = std::fs::remove_file(self.path(&segment.id));
        }
    }

    /// Opens a segment: its length must be right, and its tops and marks must open.
    pub(super) fn segment(&self, info: SegmentInfo) -> Result<Segment, Refused> {
        let file = File::open(self.path(&info.id))?;
        if file.metadata()?.len() != (info.all_chunks() * SEALED_BYTES) as u64 {
            return Err(Refused::Length);
        }
        let sealer = Sealer::gcm(&info.key);
        let establishment = self.establishment;
        let mut segment = Segment { info, file, sealer, establishment, tops: Vec::new(), marks: Marks::default() };
        let (first, chunks) = (segment.info.chunks as usize, segment.info.chunks as usize);
        let mut tops = Vec::with_capacity(chunks);
        for (number, from) in (first..).zip((0..chunks).step_by(TOPS_A_CHUNK)) {
            decode_tops(&segment.open(number)?, (chunks - from).min(TOPS_A_CHUNK), &mut tops)?;
        }
        segment.tops = tops;
        let (first, marks) = (first + segment.info.tops_chunks(), segment.info.marks as usize);
        let mut found = Marks::default();
        for (number, from) in (first..).zip((0..marks).step_by(tacet_ledger::index::MARKS_A_CHUNK)) {
            let count = (marks - from).min(tacet_ledger::index::MARKS_A_CHUNK);
            found.decode(&segment.open(number)?, count)?;
        }
        segment.marks = found;
        Ok(segment)
    }
}

fn name(id: &[u8; 16]) -> String {
    use std::fmt::Write;
    id.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a chunk is bound to: its segment and its number.
fn place(info: &SegmentInfo, number: usize) -> [u8; 24] {
    let mut row = [0; 24];
    row.iter_mut().zip(info.id.into_iter().chain((number as u64).to_be_bytes())).for_each(|(to, from)| *to = from);
    row
}

/// Writes a segment. One that is not finished is removed by the next start.
pub(super) struct SegmentWriter<'a> {
    disk: &'a Disk,
    info: SegmentInfo,
    sealer: Sealer,
    out: BufWriter<File>,
    number: usize,
    tops: Vec<Top>,
    chunks: ChunkWriter,
}

impl SegmentWriter<'_> {
    /// Adds a posting. They come in ascending order.
    pub(super) fn push(&mut self, key: u64, entry: u64) -> Result<(), Refused> {
        match self.chunks.push(key, entry)? {
            Some((top, chunk)) => self.posting_chunk(top, &chunk),
            None => Ok(()),
        }
    }

    fn posting_chunk(&mut self, top: Top, chunk: &[u8]) -> Result<(), Refused> {
        self.tops.push(top);
        self.info.chunks = self.info.chunks.checked_add(1).ok_or(Refused::Length)?;
        self.seal(chunk)
    }

    fn seal(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        let row = place(&self.info, self.number);
        let establishment = self.disk.establishment;
        let associated = Associated { establishment, purpose: Purpose::Index, row: &row, resource: None };
        let rng = self.disk.rng.as_ref();
        let sealed = tacet_seal::seal(&self.sealer, &associated, chunk, Dictionary::Stored, rng)?;
        if sealed.len() != SEALED_BYTES {
            return Err(Refused::Length);
        }
        self.number += 1;
        self.disk.step()?;
        Ok(self.out.write_all(&sealed)?)
    }

    /// Ends it before entry `to` and makes it durable.
    pub(super) fn finish(mut self, to: u64, marks: &Marks) -> Result<Segment, Refused> {
        let chunks = std::mem::replace(&mut self.chunks, ChunkWriter::new(0));
        if let Some((top, chunk)) = chunks.finish() {
            self.posting_chunk(top, &chunk)?;
        }
        self.info.to = to;
        self.info.marks = u32::try_from(marks.as_slice().len()).map_err(|_| Refused::Length)?;
        for chunk in encode_tops(&self.tops).iter().chain(&marks.encode()) {
            self.seal(chunk)?;
        }
        let file = self.out.into_inner().map_err(|error| Refused::Io(error.into_error()))?;
        self.disk.step()?;
        file.sync_data()?;
        self.disk.sync_directory()?;
        let (sealer, establishment) = (self.sealer, self.disk.establishment);
        Ok(Segment { info: self.info, file, sealer, establishment, tops: self.tops, marks: marks.clone() })
    }
}

/// A segment. Its tops and marks are in memory, a thousandth of it; the chunks are opened one at a time. It can be read to the end after its file was
/// removed.
pub(super) struct Segment {
    pub(super) info: SegmentInfo,
    file: File,
    sealer: Sealer,
    establishment: EstablishmentId,
    tops: Vec<Top>,
    pub(super) marks: Marks,
}

impl Segment {
    fn open(&self, number: usize) -> Result<Vec<u8>, Refused> {
        let mut sealed = vec![0; SEALED_BYTES];
        self.file.read_exact_at(&mut sealed, (number * SEALED_BYTES) as u64)?;
        let row = place(&self.info, number);
        let (establishment, purpose) = (self.establishment, Purpose::Index);
        let associated = Associated { establishment, purpose, row: &row, resource: None };
        let text = tacet_seal::open(&self.sealer, &associated, &sealed, CHUNK_BYTES)?;
        if text.len() == CHUNK_BYTES { Ok(text.to_vec()) } else { Err(Refused::Length) }
    }

    /// Bytes on the disk.
    pub(super) fn bytes(&self) -> u64 {
        (self.info.all_chunks() * SEALED_BYTES) as u64
    }

    /// The runs of one chunk: key and entries.
    pub(super) fn decoded(&self, number: usize) -> Result<Vec<(u64, Vec<u64>)>, Refused> {
        let chunk = self.chunk(number)?;
        let mut out = Vec::new();
        for run in runs(&chunk, self.info.from) {
            let run = run?;
            let mut entries = Vec::new();
            run.entries(&mut entries)?;
            out.push((run.key, entries));
        }
        Ok(out)
    }
}

/// A segment that several questions read at a time.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Arc<Segment>);

impl Chunks for Shared {
    type Error = Refused;

    fn from(&self) -> u64 {
        self.0.info.from
    }

    fn tops(&self) -> &[Top] {
        &self.0.tops
    }

    fn chunk(&self, number: usize) -> Result<Vec<u8>, Refused> {
        self.0.open(number)
    }
}

impl Chunks for Segment {
    type Error = Refused;

    fn from(&self) -> u64 {
        self.info.from
    }

    fn tops(&self) -> &[Top] {
        &self.tops
    }

    fn chunk(&self, number: usize) -> Result<Vec<u8>, Refused> {
        self.open(number)
    }
}
