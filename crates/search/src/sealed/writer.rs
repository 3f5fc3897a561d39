//! Writes a sealed file: takes its text in pieces, seals chunk after chunk.

use crate::sealed::chunk::{CHUNK_BYTES, ChunkCipher, FILE_FORMAT, padding};
use crate::sealed::disk::Disk;
use crate::sealed::keys::{FileId, GenerationKey};
use crate::sealed::latch::Latch;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use tantivy::directory::{AntiCallToken, TerminatingWrite};

/// Text gathered before it is written, in bytes: a whole number of chunks.
const GATHERED_BYTES: usize = 16 * CHUNK_BYTES;

/// A file being written. It is whole and on the disk once [`ChunkWriter::finish`] returned; before that nobody reads it.
pub(crate) struct ChunkWriter {
    disk: Disk,
    latch: Arc<Latch>,
    file: File,
    cipher: ChunkCipher,
    number: u64,
    text: Vec<u8>,
    text_bytes: u64,
}

impl ChunkWriter {
    /// Makes the file `on_disk`, which was not there, for what the library calls `path`.
    pub(crate) fn create(
        (disk, latch): (&Disk, &Arc<Latch>),
        on_disk: &Path,
        key: &GenerationKey,
        id: FileId,
        path: &str,
    ) -> io::Result<Self> {
        let file = disk.create(on_disk).map_err(|error| latch.not_written(error))?;
        let mut head = vec![FILE_FORMAT];
        head.extend_from_slice(&id.0);
        disk.write(&file, &head).map_err(|error| latch.not_written(error))?;
        let cipher = ChunkCipher::new(key, id, path);
        Ok(Self {
            disk: disk.clone(),
            latch: Arc::clone(latch),
            file,
            cipher,
            number: 0,
            text: Vec::new(),
            text_bytes: 0,
        })
    }

    /// Seals what was gathered. One chunk is kept back unless the file ends here: it could be the last.
    fn seal_gathered(&mut self, ends: bool) -> io::Result<()> {
        let keep = if ends { 0 } else { 1 };
        let mut sealed = Vec::with_capacity(self.text.len() + self.text.len() / 128);
        let chunks: Vec<&[u8]> = self.text.chunks(CHUNK_BYTES).collect();
        let count = chunks.len().saturating_sub(keep);
        for (place, chunk) in chunks.iter().take(count).enumerate() {
            let last = ends && place + 1 == count;
            let mut chunk = chunk.to_vec();
            self.cipher.seal(self.number, last, &mut chunk)?;
            self.number += 1;
            sealed.extend_from_slice(&chunk);
        }
        self.text.drain(..self.text.len().min(count * CHUNK_BYTES));
        self.disk.write(&self.file, &sealed).map_err(|error| self.latch.not_written(error))
    }

    fn add(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = GATHERED_BYTES.saturating_sub(self.text.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.text.extend_from_slice(now);
            bytes = later;
            if self.text.len() >= GATHERED_BYTES && !bytes.is_empty() {
                self.seal_gathered(false)?;
            }
        }
        Ok(())
    }

    /// Pads and ends the file and makes its content durable.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let (zeros, length) = padding(self.text_bytes);
        let block = [0; CHUNK_BYTES];
        let mut left = zeros;
        while left > 0 {
            let now = left.min(CHUNK_BYTES);
            self.add(block.get(..now).unwrap_or_default())?;
            left -= now;
        }
        self.add(&length)?;
        self.seal_gathered(true)?;
        self.disk.sync(&self.file).map_err(|error| self.latch.not_written(error))
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes)?;
        self.text_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for ChunkWriter {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.finish()
    }
}
