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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tantivy::HasLen;
use tantivy::directory::{FileHandle, OwnedBytes};

/// Gives every open file a number that no other open file of this process has.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// Kinds of files, by the end of their path, that the library reads all over for every query: opened whole.
const WHOLE: [&str; 3] = ["term", "del", "fieldnorm"];

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
        let mut open = Self { number, reading: reading.clone(), cipher, layout, file, text_bytes: 0, whole: None };
        let last = open.chunks(layout.before_last..layout.before_last + 1)?;
        open.text_bytes = layout.text_bytes(&last).ok_or(Refusal::Length)?;
        let kind = path.rsplit('.').next().unwrap_or_default();
        if WHOLE.contains(&kind) {
            let bytes = OwnedBytes::new(open.range(0..open.text_bytes)?);
            reading.whole_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
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
        let bytes = self.range(range).map_err(|refusal| self.reading.latch.refuse(refusal))?;
        let bytes = OwnedBytes::new(bytes);
        self.reading.cache.put(key, &bytes);
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
}
