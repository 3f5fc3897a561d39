//! A sealed file opened for reading.

use crate::sealed::cache::RangeCache;
use crate::sealed::chunk::{
    CHUNK_BYTES, ChunkCipher, FILE_FORMAT, HEAD_BYTES, Layout, Refusal, SEALED_CHUNK_BYTES, TAG_BYTES,
};
use crate::sealed::keys::{FileId, GenerationKey};
use crate::sealed::latch::Latch;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tantivy::HasLen;
use tantivy::directory::{FileHandle, OwnedBytes};

/// Gives every open file a number that no other open file of this process has.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// Kinds of files, by the end of their path, that the library reads all over for every query: opened whole.
const WHOLE: [&str; 3] = ["term", "del", "fieldnorm"];

/// Most chunks that are opened ahead of what is asked for. Merging asks for the postings of one term after the other, most of them a few
/// bytes: without this each would cost a chunk.
const AHEAD_CHUNKS_MAX: u64 = 16;

/// Ranges one after the other from which a file is taken to be read from end to end, so that they are not kept for later.
const STREAK_NOT_KEPT: u32 = 8;

/// What was opened ahead.
#[derive(Default)]
struct Ahead {
    /// The first chunk in `text`.
    first: u64,
    text: Vec<u8>,
    /// The chunk after the last range that was asked for.
    after: u64,
    /// How many ranges were asked for one after the other.
    streak: u32,
}

impl Ahead {
    /// Some bytes of chunks from this one on, if they were all opened.
    fn get(&self, first: u64, skipped: usize, length: usize) -> Option<&[u8]> {
        let before = usize::try_from(first.checked_sub(self.first)?).ok()?.checked_mul(CHUNK_BYTES)?;
        let start = before.checked_add(skipped)?;
        self.text.get(start..start.checked_add(length)?)
    }
}

#[cfg(test)]
thread_local! {
    /// Whether too many files are open, as far as this thread sees.
    pub(crate) static OPENS_FAIL: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Opens a file for reading that stands here itself: no link is followed, and nothing that is not a file is waited for.
pub(crate) fn open_here(path: &Path) -> io::Result<File> {
    #[cfg(test)]
    if OPENS_FAIL.get() {
        return Err(Errno::MFILE.into());
    }
    let flags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Whether a failure to read says something of the file, or of this moment only.
fn why(error: &io::Error) -> Refusal {
    match (error.kind(), Errno::from_io_error(error)) {
        (io::ErrorKind::NotFound, _) => Refusal::Missing,
        (io::ErrorKind::UnexpectedEof, _) => Refusal::Length,
        (_, Some(Errno::LOOP | Errno::ISDIR | Errno::NOTDIR | Errno::NXIO)) => Refusal::Another,
        (_, Some(Errno::IO)) => Refusal::Unreadable,
        _ => {
            tracing::warn!(%error, "a file of the search index cannot be read at this moment");
            Refusal::NotNow
        }
    }
}

/// What open files share.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) cache: Arc<RangeCache>,
    pub(crate) latch: Arc<Latch>,
    /// Bytes of the files that are held whole.
    pub(crate) whole_bytes: Arc<AtomicUsize>,
}

/// An open file. Whatever becomes of its name, it reads what was in it.
pub(crate) struct OpenFile {
    number: u64,
    reading: Reading,
    cipher: ChunkCipher,
    layout: Layout,
    file: File,
    text_bytes: usize,
    whole: Option<OwnedBytes>,
    ahead: Mutex<Ahead>,
}

impl OpenFile {
    /// Opens a file and its last chunk, which says how long it is. `expected` is the id that it must have.
    pub(crate) fn open(
        reading: &Reading,
        on_disk: &Path,
        key: &GenerationKey,
        path: &str,
        expected: Option<FileId>,
    ) -> Result<Self, Refusal> {
        let file = open_here(on_disk).map_err(|error| why(&error))?;
        let metadata = file.metadata().map_err(|error| why(&error))?;
        if !metadata.is_file() {
            return Err(Refusal::Another);
        }
        let file_bytes = metadata.len();
        let layout = Layout::of(file_bytes).ok_or(Refusal::Length)?;
        let mut head = [0; HEAD_BYTES];
        file.read_exact_at(&mut head, 0).map_err(|error| why(&error))?;
        let [format, id @ ..] = head;
        if format != FILE_FORMAT {
            return Err(Refusal::Format);
        }
        if expected.is_some_and(|expected| expected.0 != id) {
            return Err(Refusal::Another);
        }
        let cipher = ChunkCipher::new(key, FileId(id), path);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let (reading, ahead) = (reading.clone(), Mutex::default());
        let mut open = Self { number, reading, cipher, layout, file, text_bytes: 0, whole: None, ahead };
        let last = open.chunks(layout.before_last..layout.before_last + 1)?;
        open.text_bytes = layout.text_bytes(&last).ok_or(Refusal::Length)?;
        let kind = path.rsplit('.').next().unwrap_or_default();
        if WHOLE.contains(&kind) {
            let bytes = OwnedBytes::new(open.range(0..open.text_bytes)?);
            open.reading.whole_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
            open.whole = Some(bytes);
        }
        Ok(open)
    }

    /// All of the text.
    pub(crate) fn text(&self) -> Result<Vec<u8>, Refusal> {
        self.range(0..self.text_bytes)
    }

    /// Reads and opens some chunks.
    fn chunks(&self, numbers: Range<u64>) -> Result<Vec<u8>, Refusal> {
        let last = self.layout.before_last;
        let count = usize::try_from(numbers.end.saturating_sub(numbers.start)).map_err(|_| Refusal::Range)?;
        let shorter = if numbers.end > last { SEALED_CHUNK_BYTES - self.layout.last_sealed_bytes } else { 0 };
        let sealed_bytes = (count * SEALED_CHUNK_BYTES).checked_sub(shorter).ok_or(Refusal::Range)?;
        let mut sealed = vec![0; sealed_bytes];
        let at = HEAD_BYTES as u64 + numbers.start * SEALED_CHUNK_BYTES as u64;
        self.file.read_exact_at(&mut sealed, at).map_err(|error| why(&error))?;
        let mut text = vec![0; sealed_bytes - count * TAG_BYTES];
        let texts = text.chunks_mut(CHUNK_BYTES);
        for ((number, sealed), text) in numbers.zip(sealed.chunks(SEALED_CHUNK_BYTES)).zip(texts) {
            self.cipher.open(number, number == last, sealed, text)?;
        }
        Ok(text)
    }

    /// A range, and whether it is worth keeping.
    fn next_range(&self, range: Range<usize>) -> Result<(Vec<u8>, bool), Refusal> {
        let (first, after) = ((range.start / CHUNK_BYTES) as u64, range.end.div_ceil(CHUNK_BYTES) as u64);
        if range.is_empty() || range.end > self.text_bytes || after.saturating_sub(first) > AHEAD_CHUNKS_MAX / 2 {
            return Ok((self.range(range)?, true));
        }
        // Who reads at the same time reads for itself.
        let Ok(mut ahead) = self.ahead.try_lock() else { return Ok((self.range(range)?, true)) };
        // In the chunk where the last range ended, or in the next.
        let goes_on = first == ahead.after || first + 1 == ahead.after;
        ahead.streak = if goes_on { ahead.streak.saturating_add(1) } else { 0 };
        ahead.after = after;
        let keep = ahead.streak < STREAK_NOT_KEPT;
        let skipped = range.start % CHUNK_BYTES;
        if goes_on && let Some(text) = ahead.get(first, skipped, range.len()) {
            return Ok((text.to_vec(), keep));
        }
        if !goes_on {
            // Nothing that was opened for a reading that is over stays in memory.
            ahead.text = Vec::new();
            return Ok((self.range(range)?, true));
        }
        // The longer it goes on, the more.
        let more = (1u64 << ahead.streak.min(AHEAD_CHUNKS_MAX.ilog2())).min(AHEAD_CHUNKS_MAX);
        let until = after.max(first + more).min(self.layout.before_last + 1);
        ahead.text = self.chunks(first..until)?;
        ahead.first = first;
        let text = ahead.get(first, skipped, range.len()).ok_or(Refusal::Range)?;
        Ok((text.to_vec(), keep))
    }

    fn range(&self, range: Range<usize>) -> Result<Vec<u8>, Refusal> {
        if range.start > range.end || range.end > self.text_bytes {
            return Err(Refusal::Range);
        }
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let first = range.start / CHUNK_BYTES;
        let after = range.end.div_ceil(CHUNK_BYTES);
        let mut text = self.chunks(first as u64..after as u64)?;
        let skipped = range.start - first * CHUNK_BYTES;
        text.truncate(skipped + range.len());
        text.drain(..skipped);
        // What is kept is what was asked for.
        text.shrink_to_fit();
        Ok(text)
    }
}

impl FileHandle for OpenFile {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if self.reading.latch.is_closed() {
            return Err(Refusal::NotAuthentic.into());
        }
        if let Some(whole) = &self.whole {
            let fits = range.start <= range.end && range.end <= whole.len();
            return if fits { Ok(whole.slice(range)) } else { Err(self.reading.latch.refuse(Refusal::Range).into()) };
        }
        let key = (self.number, range.start, range.end);
        if let Some(bytes) = self.reading.cache.get(key) {
            return Ok(bytes);
        }
        let (bytes, keep) = self.next_range(range).map_err(|refusal| self.reading.latch.refuse(refusal))?;
        let bytes = OwnedBytes::new(bytes);
        if keep {
            self.reading.cache.put(key, &bytes);
        }
        Ok(bytes)
    }
}

impl HasLen for OpenFile {
    fn len(&self) -> usize {
        self.text_bytes
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.reading.cache.forget(self.number);
        if let Some(whole) = &self.whole {
            self.reading.whole_bytes.fetch_sub(whole.len(), Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenFile({}, {} bytes)", self.number, self.text_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_no_refusal() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::ACCESS, Errno::PERM, Errno::INTR, Errno::STALE] {
            assert_eq!(why(&errno.into()), Refusal::NotNow, "{errno}");
        }
        assert_eq!(why(&Errno::IO.into()), Refusal::Unreadable);
        assert_eq!(why(&Errno::LOOP.into()), Refusal::Another);
        assert_eq!(why(&Errno::NOENT.into()), Refusal::Missing);
    }
    #[test]
    fn what_is_opened_ahead_is_what_stands_there() {
        use crate::sealed::disk::Disk;
        use crate::sealed::writer::ChunkWriter;
        use std::io::Write;
        use tacet_types::{Rng, SeededRng};
        let scratch = tempfile::tempdir().unwrap();
        let rng = SeededRng::new(3);
        let text: Vec<u8> = (0..60 * CHUNK_BYTES + 77).map(|_| rng.below(256) as u8).collect();
        let (key, id) = (GenerationKey::random(&rng), FileId::random(&rng));
        let reading =
            Reading { cache: Arc::new(RangeCache::new(1 << 16)), latch: Arc::default(), whole_bytes: Arc::default() };
        let path = scratch.path().join("file");
        let mut writer =
            ChunkWriter::create((&Disk::default(), &reading.latch), &path, &key, id, "segment.idx").unwrap();
        writer.write_all(&text).unwrap();
        writer.finish().unwrap();
        let file = OpenFile::open(&reading, &path, &key, "segment.idx", Some(id)).unwrap();
        // One after the other, with leaps in between, also back and to the end.
        let (mut at, mut ahead) = (0, 0);
        for step in 0..20_000 {
            if step % 500 == 499 || at >= text.len() {
                at = rng.below(text.len() as u64) as usize;
            }
            let most = if rng.below(50) == 0 { 12 * CHUNK_BYTES } else { 300 };
            let end = (at + rng.below(most as u64) as usize).min(text.len());
            assert_eq!(file.read_bytes(at..end).unwrap().as_slice(), &text[at..end]);
            ahead += usize::from(file.ahead.lock().unwrap().streak > 0);
            at = end;
        }
        assert!(ahead > 10_000, "{ahead}");
        assert!(file.read_bytes(text.len() - 5..text.len() + 1).is_err());
    }
}
