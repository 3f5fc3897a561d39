//! The mark beside an engine, in a file of two slots that are written in turn (`docs/formats/store.md`, "Witness").
//!
//! A slot torn while it is written leaves the other, which holds the mark before; nobody was told of the newer one yet.

use crate::engine::{Durability, Mark, Witness};
use crate::error::StoreError;
use aws_lc_rs::digest::{SHA256, digest};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

const MAGIC: &[u8; 8] = b"TACETWIT";

/// Format of a slot.
const SLOT_FORMAT: u16 = 1;

/// Distance of the slots: a page, so that no write of one touches the other's sectors.
const SLOT_DISTANCE_BYTES: u64 = 4096;

/// Bytes of a slot before its hash.
const BODY_BYTES: usize = 8 + 2 + 1 + 5 + 8 + 8 + 8 + 32;

/// Bytes of a slot.
const SLOT_BYTES: usize = BODY_BYTES + 32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slot {
    generation: u64,
    mark: Mark,
    clean: bool,
}

impl Slot {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&SLOT_FORMAT.to_be_bytes());
        bytes.push(u8::from(self.clean));
        bytes.extend_from_slice(&[0; 5]);
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.mark.group.to_be_bytes());
        bytes.extend_from_slice(&self.mark.commits.to_be_bytes());
        bytes.extend_from_slice(&self.mark.digest);
        let hash = digest(&SHA256, &bytes);
        bytes.extend_from_slice(hash.as_ref());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Option<Self>, StoreError> {
        let (Some(body), Some(hash)) = (bytes.get(..BODY_BYTES), bytes.get(BODY_BYTES..SLOT_BYTES)) else {
            return Ok(None);
        };
        if digest(&SHA256, body).as_ref() != hash {
            return Ok(None);
        }
        let fields = || {
            let rest = body.strip_prefix(MAGIC)?;
            let (format, rest) = rest.split_first_chunk::<2>()?;
            let ([clean, ..], rest) = rest.split_first_chunk::<6>()?;
            let (generation, rest) = rest.split_first_chunk::<8>()?;
            let (group, rest) = rest.split_first_chunk::<8>()?;
            let (commits, rest) = rest.split_first_chunk::<8>()?;
            let (group, commits) = (u64::from_be_bytes(*group), u64::from_be_bytes(*commits));
            let mark = Mark { group, commits, digest: <[u8; 32]>::try_from(rest).ok()? };
            let slot = Self { generation: u64::from_be_bytes(*generation), mark, clean: *clean == 1 };
            Some((u16::from_be_bytes(*format), slot))
        };
        match fields() {
            Some((format, _)) if format > SLOT_FORMAT => {
                Err(StoreError::NewerFormat { found: u32::from(format), supported: u32::from(SLOT_FORMAT) })
            }
            fields => Ok(fields.map(|(_, slot)| slot)),
        }
    }
}

/// A witness in a file.
pub(crate) struct FileWitness {
    file: File,
    /// Generation of the newest slot, once it is known.
    generation: Mutex<Option<u64>>,
}

impl FileWitness {
    /// Over a file of its own, which may be empty.
    pub(crate) fn new(file: File) -> Self {
        Self { file, generation: Mutex::new(None) }
    }

    /// The newest slot that is whole, and whether anything was ever written.
    fn newest(&self) -> Result<(Option<Slot>, bool), StoreError> {
        let mut newest: Option<Slot> = None;
        let mut written = false;
        for index in 0..2 {
            let mut bytes = [0; SLOT_BYTES];
            let length = read_at(&self.file, &mut bytes, index * SLOT_DISTANCE_BYTES)?;
            written |= bytes.iter().take(length).any(|byte| *byte != 0);
            let slot = Slot::read(&bytes)?;
            newest = newest.into_iter().chain(slot).max_by_key(|slot| slot.generation);
        }
        Ok((newest, written))
    }
}

impl Witness for FileWitness {
    fn read(&self) -> Result<Option<(Mark, bool)>, StoreError> {
        match self.newest()? {
            (Some(slot), _) => Ok(Some((slot.mark, slot.clean))),
            (None, false) => Ok(None),
            // Both slots are torn by no crash: only one is written at a time. But the very first write may be torn.
            (None, true) => Err(StoreError::corrupt("the witness beside the engine is unreadable")),
        }
    }

    fn record(&self, mark: &Mark, clean: bool, durability: Durability) -> Result<(), StoreError> {
        let mut known = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        let last = match *known {
            Some(generation) => generation,
            None => {
                // The first record of a file extends it, so that no later one changes its length.
                if self.file.metadata()?.len() < 2 * SLOT_DISTANCE_BYTES {
                    self.file.write_all_at(&[0; SLOT_DISTANCE_BYTES as usize], 0)?;
                    self.file.write_all_at(&[0; SLOT_DISTANCE_BYTES as usize], SLOT_DISTANCE_BYTES)?;
                    self.file.sync_all()?;
                }
                self.newest()?.0.map_or(0, |slot| slot.generation)
            }
        };
        let generation = last.saturating_add(1);
        let slot = Slot { generation, mark: *mark, clean };
        self.file.write_all_at(&slot.bytes(), (generation % 2) * SLOT_DISTANCE_BYTES)?;
        if durability == Durability::Durable {
            self.file.sync_data()?;
        }
        *known = Some(generation);
        Ok(())
    }
}

/// Reads until the buffer is full or the file ends; says how much was read.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(group: u64) -> Mark {
        Mark { group, commits: group * 3, digest: [group as u8; 32] }
    }

    fn witness() -> FileWitness {
        FileWitness::new(tempfile::tempfile().unwrap())
    }

    fn reopened(witness: &FileWitness) -> FileWitness {
        FileWitness::new(witness.file.try_clone().unwrap())
    }

    #[test]
    fn the_last_mark_is_read_back() {
        let witness = witness();
        assert_eq!(witness.read().unwrap(), None);
        for group in 1..10 {
            witness.record(&mark(group), group == 9, Durability::Durable).unwrap();
            assert_eq!(witness.read().unwrap(), Some((mark(group), group == 9)));
            assert_eq!(reopened(&witness).read().unwrap(), Some((mark(group), group == 9)));
        }
        let again = reopened(&witness);
        again.record(&mark(20), false, Durability::Buffered).unwrap();
        assert_eq!(again.read().unwrap(), Some((mark(20), false)));
    }

    #[test]
    fn a_slot_torn_at_any_byte_leaves_the_mark_before() {
        for torn in 0..SLOT_BYTES {
            let witness = witness();
            witness.record(&mark(1), false, Durability::Durable).unwrap();
            witness.record(&mark(2), false, Durability::Durable).unwrap();
            let third = Slot { generation: 3, mark: mark(3), clean: true };
            witness.file.write_all_at(&third.bytes()[..torn], SLOT_DISTANCE_BYTES).unwrap();
            assert_eq!(reopened(&witness).read().unwrap(), Some((mark(2), false)), "torn after {torn} bytes");
        }
    }

    #[test]
    fn two_damaged_slots_are_an_error_and_a_newer_format_is_named() {
        let witness = witness();
        witness.record(&mark(1), false, Durability::Durable).unwrap();
        witness.file.write_all_at(&[1], SLOT_DISTANCE_BYTES + 20).unwrap();
        assert!(matches!(witness.read(), Err(StoreError::Corrupt { .. })));
        let mut newer = Slot { generation: 9, mark: mark(1), clean: true }.bytes();
        newer[9] = 2;
        newer.truncate(BODY_BYTES);
        newer.extend_from_slice(digest(&SHA256, &newer.clone()).as_ref());
        witness.file.write_all_at(&newer, 0).unwrap();
        assert!(matches!(witness.read(), Err(StoreError::NewerFormat { found: 2, supported: 1 })));
    }

    #[test]
    fn a_slot_has_the_documented_bytes() {
        let bytes = Slot { generation: 0x0102, mark: mark(5), clean: true }.bytes();
        assert_eq!(bytes.len(), 104);
        assert_eq!(&bytes[..16], b"TACETWIT\x00\x01\x01\0\0\0\0\0");
        assert_eq!(&bytes[16..24], [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!((&bytes[24..32], &bytes[32..40]), (&[0, 0, 0, 0, 0, 0, 0, 5][..], &[0, 0, 0, 0, 0, 0, 0, 15][..]));
        assert_eq!(&bytes[40..72], [5; 32]);
    }
}
