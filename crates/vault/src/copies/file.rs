//! The files of a copy: pieces of NDJSON, each sealed under the copy's key and bound to its place.
//!
//! A file is a row of pieces: length (4 bytes, big-endian), envelope (`docs/formats/seal.md`). How many pieces there are stands in the
//! copy's row, so one that is missing at the end is missed.

use super::record::{CopyFile, Record};
use crate::error::VaultError;
use crate::vault::Inner;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use tacet_seal::{Associated, Dictionary, Key, Purpose, Sealer};
use tacet_types::{EstablishmentId, ResourceType, Rng};
use zeroize::Zeroizing;

/// Text of one piece, in bytes: whole lines, so a longer line makes a longer piece. A copy has a piece in memory for each type
/// that it holds.
const PIECE_BYTES: usize = 64 * 1024;

/// Longest piece that is read back, in bytes: a piece and the longest record.
const PIECE_BYTES_MAX: usize = crate::disclose::CONTENT_BYTES_MAX + 2 * PIECE_BYTES;

/// Where a piece stands, as its seal is bound to it.
fn place(id: &str, file: u32, piece: u32) -> Vec<u8> {
    [id.as_bytes(), &file.to_be_bytes(), &piece.to_be_bytes()].concat()
}

fn path(folder: &Path, file: u32) -> PathBuf {
    folder.join(file.to_string())
}

fn sealer(record: &Record) -> Result<Sealer, VaultError> {
    let key: [u8; 32] =
        record.key.0.as_slice().try_into().map_err(|_| VaultError::Damaged("the row of a copy cannot be read"))?;
    // One key seals one copy, far fewer pieces than random nonces are safe for.
    Ok(Sealer::gcm(&Key::from_bytes(key)))
}

fn failed(error: std::io::Error) -> VaultError {
    VaultError::Unavailable(Box::new(error))
}

/// Writes one file of a copy.
pub(super) struct CopyWriter<'a> {
    establishment: EstablishmentId,
    id: String,
    number: u32,
    sealer: Sealer,
    rng: &'a dyn Rng,
    out: BufWriter<File>,
    text: Zeroizing<Vec<u8>>,
    file: CopyFile,
}

impl<'a> CopyWriter<'a> {
    pub(super) fn create(
        establishment: EstablishmentId,
        folder: &Path,
        record: &Record,
        number: u32,
        resource_type: ResourceType,
        rng: &'a dyn Rng,
    ) -> Result<Self, VaultError> {
        let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path(folder, number));
        Ok(Self {
            establishment,
            id: record.id.clone(),
            number,
            sealer: sealer(record)?,
            rng,
            out: BufWriter::new(out.map_err(failed)?),
            text: Zeroizing::new(Vec::with_capacity(2 * PIECE_BYTES)),
            file: CopyFile { resource_type, count: 0, bytes: 0, pieces: 0 },
        })
    }

    /// Its number among the files of the copy.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn add(&mut self, resource: &[u8]) -> Result<(), VaultError> {
        let length = self.text.len() + resource.len() + 1;
        if length > self.text.capacity() {
            // A buffer that grows by itself leaves what it held behind; this one is wiped when it is replaced.
            let mut longer = Zeroizing::new(Vec::with_capacity(length));
            longer.extend_from_slice(&self.text);
            self.text = longer;
        }
        self.text.extend_from_slice(resource);
        self.text.push(b'\n');
        self.file.count += 1;
        self.file.bytes += resource.len() as u64 + 1;
        if self.text.len() >= PIECE_BYTES { self.piece() } else { Ok(()) }
    }

    fn piece(&mut self) -> Result<(), VaultError> {
        let row = place(&self.id, self.number, self.file.pieces);
        let associated =
            Associated { establishment: self.establishment, purpose: Purpose::Export, row: &row, resource: None };
        let sealed = tacet_seal::seal(&self.sealer, &associated, &self.text, Dictionary::None, self.rng)?;
        let length = u32::try_from(sealed.len()).map_err(|error| VaultError::Internal(Box::new(error)))?;
        self.out.write_all(&length.to_be_bytes()).map_err(failed)?;
        self.out.write_all(&sealed).map_err(failed)?;
        self.file.pieces += 1;
        // The room of a long record is given back.
        self.text = Zeroizing::new(Vec::with_capacity(2 * PIECE_BYTES));
        Ok(())
    }

    /// Writes what is left and puts it all on the disk.
    pub(super) fn finish(mut self) -> Result<CopyFile, VaultError> {
        if !self.text.is_empty() {
            self.piece()?;
        }
        self.out.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
        Ok(self.file)
    }
}

/// Reads one file of a copy, piece by piece, for as long as the copy stands.
pub struct CopyReader {
    /// Not held: a download that stalls keeps no store open.
    inner: Weak<Inner>,
    id: String,
    number: u32,
    sealer: Sealer,
    input: BufReader<File>,
    next: u32,
    file: CopyFile,
}

impl CopyReader {
    pub(super) fn open(inner: &Arc<Inner>, folder: &Path, record: &Record, file: usize) -> Result<Self, VaultError> {
        let number = u32::try_from(file).map_err(|_| VaultError::NotFound)?;
        let file = record.files.get(file).cloned().ok_or(VaultError::NotFound)?;
        let input = match File::open(path(folder, number)) {
            Ok(input) => input,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // It was ended a moment ago, or somebody took it away.
                let stands = inner.copy_stands(&record.id)?;
                return Err(if stands {
                    VaultError::Damaged("a file of a copy is gone")
                } else {
                    VaultError::NotFound
                });
            }
            Err(error) => return Err(failed(error)),
        };
        let (id, sealer) = (record.id.clone(), sealer(record)?);
        Ok(Self { inner: Arc::downgrade(inner), id, number, sealer, input: BufReader::new(input), next: 0, file })
    }

    /// What the file holds.
    pub fn file(&self) -> &CopyFile {
        &self.file
    }

    /// The next lines of the file. None: this was all. A copy that was ended, by whom or what ever, gives no more.
    pub fn piece(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        if self.next == self.file.pieces {
            return Ok(None);
        }
        let inner = self.inner.upgrade().ok_or(VaultError::NotFound)?;
        if !inner.copy_stands(&self.id)? {
            return Err(VaultError::NotFound);
        }
        let damaged = |_| VaultError::Damaged("a file of a copy is cut off");
        let mut length = [0; 4];
        self.input.read_exact(&mut length).map_err(damaged)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > PIECE_BYTES_MAX {
            return Err(VaultError::Damaged("a file of a copy is not what was written"));
        }
        // Room as bytes come: a length that was changed on the disk reserves nothing.
        let mut sealed = Vec::new();
        let read = self.input.by_ref().take(length as u64).read_to_end(&mut sealed).map_err(failed)?;
        if read < length {
            return Err(VaultError::Damaged("a file of a copy is cut off"));
        }
        let row = place(&self.id, self.number, self.next);
        let establishment = inner.keys.id;
        let associated = Associated { establishment, purpose: Purpose::Export, row: &row, resource: None };
        let text = tacet_seal::open(&self.sealer, &associated, &sealed, PIECE_BYTES_MAX)
            .map_err(|_| VaultError::Damaged("a file of a copy is not what was written"))?;
        self.next += 1;
        Ok(Some(text))
    }
}
