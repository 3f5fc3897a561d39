//! The sealed file that says which generation is in use, and holds its key.

use crate::error::SearchError;
use crate::index::IndexKey;
use crate::sealed::disk::Disk;
use crate::sealed::file::open_here;
use crate::sealed::keys::{GenerationKey, hex};
use rustix::io::Errno;
use std::io::{self, Read};
use std::path::Path;
use tacet_seal::{Associated, Dictionary, KEY_BYTES, Key, Purpose, SealError, Zeroizing, open, seal};
use tacet_types::Rng;

/// Name of the file.
const POINTER_FILE: &str = "CURRENT";

/// Name under which the next one is written.
const NEXT_FILE: &str = "NEXT";

/// What the pointer is bound to.
const ROW: &[u8] = b"search/pointer";

/// Bytes of the text: format, directory, key, fingerprint of the parameters.
const TEXT_BYTES: usize = 2 + 16 + KEY_BYTES + 16;

/// Longest text that is opened, in bytes: a newer format may have more.
const TEXT_BYTES_MAX: usize = 4096;

/// Most bytes of the file that are read: far more than the longest text takes sealed.
const FILE_BYTES_MAX: u64 = 4 * TEXT_BYTES_MAX as u64;

/// Whether a pointer that was written is sure to be there after a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Placed {
    /// It is.
    Durably,
    /// It is in use, but the disk did not say that it keeps it: the one before may come back.
    Perhaps,
}

/// Which generation.
pub(crate) struct Pointer {
    /// Format of the generation.
    pub(crate) format: u16,
    /// Names its directory.
    pub(crate) directory: [u8; 16],
    /// Its key.
    pub(crate) key: GenerationKey,
    /// Of the search parameters that it was built with.
    pub(crate) fingerprint: [u8; 16],
}

/// What was found in the pointer's place.
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// This.
    Pointer(Box<Pointer>),
    /// One of a format from the future.
    Newer,
    /// Something that does not open.
    Damaged,
}

impl Pointer {
    /// The name of the generation's directory.
    pub(crate) fn directory_name(&self) -> String {
        hex(&self.directory)
    }

    /// Reads the pointer of an index.
    pub(crate) fn read(directory: &Path, key: &IndexKey) -> Result<Found, SearchError> {
        let mut sealed = Vec::new();
        let read = open_here(&directory.join(POINTER_FILE))
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut sealed));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::LOOP | Errno::ISDIR)) => {
                return Ok(Found::Damaged);
            }
            Err(error) => return Err(error.into()),
        }
        let text = match open(&key.sealer, &place(key), &sealed, TEXT_BYTES_MAX) {
            Ok(text) => text,
            Err(SealError::UnknownFormat { .. }) => return Ok(Found::Newer),
            Err(_) => return Ok(Found::Damaged),
        };
        Ok(Self::decode(&text))
    }

    fn decode(text: &[u8]) -> Found {
        let Some((format, rest)) = text.split_first_chunk::<2>() else { return Found::Damaged };
        let format = u16::from_be_bytes(*format);
        if format > super::GENERATION_FORMAT {
            return Found::Newer;
        }
        let parts = rest.split_first_chunk::<16>().and_then(|(directory, rest)| {
            let (key, fingerprint) = rest.split_at_checked(KEY_BYTES)?;
            Some((*directory, Key::from_slice(key)?, fingerprint.try_into().ok()?))
        });
        let Some((directory, key, fingerprint)) = parts else { return Found::Damaged };
        Found::Pointer(Box::new(Self { format, directory, key: GenerationKey::from_key(key), fingerprint }))
    }

    /// Puts this pointer in the place of the one before. An error says that the one before is in use still.
    pub(crate) fn write(
        &self,
        disk: &Disk,
        directory: &Path,
        key: &IndexKey,
        rng: &dyn Rng,
    ) -> Result<Placed, SearchError> {
        let mut text = Zeroizing::new(Vec::with_capacity(TEXT_BYTES));
        text.extend_from_slice(&self.format.to_be_bytes());
        text.extend_from_slice(&self.directory);
        text.extend_from_slice(self.key.key().as_bytes());
        text.extend_from_slice(&self.fingerprint);
        let sealed = seal(&key.sealer, &place(key), &text, Dictionary::Stored, rng)?;
        let next = directory.join(NEXT_FILE);
        match disk.remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let file = disk.create(&next)?;
        disk.write(&file, &sealed)?;
        disk.sync(&file)?;
        disk.rename(&next, &directory.join(POINTER_FILE))?;
        if let Err(error) = disk.sync_directory(directory) {
            tracing::warn!(%error, "the search index's pointer may not survive a stop");
            return Ok(Placed::Perhaps);
        }
        Ok(Placed::Durably)
    }

    /// Removes the pointer: the index is empty.
    pub(crate) fn remove(disk: &Disk, directory: &Path) -> io::Result<()> {
        match disk.remove_file(&directory.join(POINTER_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => disk.sync_directory(directory),
        }
    }
}

fn place(key: &IndexKey) -> Associated<'_> {
    Associated { establishment: key.establishment, purpose: Purpose::Index, row: ROW, resource: None }
}
