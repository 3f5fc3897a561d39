//! Rows become segments on a target. One segment at a time is in memory.

use crate::classes::{Class, class_of};
use crate::error::BackupError;
use crate::manifest::{SegmentInfo, SpaceRows, segment_object, sha256};
use crate::segment::{SEGMENT_BYTES, SEGMENT_BYTES_MAX, Segment, SegmentWriter, TRAILER_BYTES};
use crate::target::{ObjectName, Put, Target, TargetError};
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use tacet_store::Reader;
use tacet_types::Timestamp;

/// Bytes of rows from which on a segment of a base may end.
const BASE_BYTES_MIN: usize = SEGMENT_BYTES / 4;

/// A segment of a base ends before a key whose hash has these bits clear: one of 4,096 keys. So the same rows are cut at the same places whatever
/// stands around them, and a range without changes is the same segments again.
const BOUNDARY_BITS: u32 = 0xfff;

/// Names that are tried for a segment: more than one only where another object stands under its name.
const PLACES_MAX: u32 = 9;

/// How objects are put.
pub(crate) struct Sending<'a> {
    pub(crate) target: &'a dyn Target,
    pub(crate) class: Class,
    /// Nobody shall remove what is put before this.
    pub(crate) keep_until: Option<Timestamp>,
    /// Segments of earlier snapshots: asked for before they are sent.
    pub(crate) known: HashSet<[u8; 32]>,
    segments: Vec<SegmentInfo>,
    rows: BTreeMap<u8, (u64, u64)>,
    /// Bytes that were sent.
    pub(crate) sent_bytes: u64,
}

impl<'a> Sending<'a> {
    pub(crate) fn new(target: &'a dyn Target, class: Class, keep_until: Option<Timestamp>) -> Self {
        let (known, segments, rows) = (HashSet::new(), Vec::new(), BTreeMap::new());
        Self { target, class, keep_until, known, segments, rows, sent_bytes: 0 }
    }

    fn put(&mut self, segment: &Segment) -> Result<(), BackupError> {
        let mut object = segment_object(self.class, &segment.sha256, 1);
        if !(self.known.contains(&segment.sha256) && self.is_there(&object, segment)?) {
            for place in 1..=PLACES_MAX {
                object = segment_object(self.class, &segment.sha256, place);
                match self.target.put_new(&object, &segment.bytes, self.keep_until) {
                    Ok(Put::Written) => self.sent_bytes += segment.bytes.len() as u64,
                    Ok(Put::Same) => {}
                    // Damaged there, or put there by somebody who may add. It cannot be written over, and must not end the backup.
                    Err(TargetError::Different(_)) if place < PLACES_MAX => {
                        tracing::error!(%object, "A SEGMENT of the backup IS NOT WHAT BELONGS THERE: it goes beside it");
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
                break;
            }
        }
        for rows in &segment.spaces {
            let counts = self.rows.entry(rows.space).or_default();
            counts.0 += rows.puts;
            counts.1 += rows.deletes;
        }
        self.segments.push(SegmentInfo {
            object,
            sha256: segment.sha256,
            bytes: segment.bytes.len() as u64,
            rows: segment.spaces.iter().map(|rows| rows.puts + rows.deletes).sum(),
            first: segment.first.clone(),
            last: segment.last.clone(),
        });
        Ok(())
    }

    /// Whether a segment of an earlier snapshot is still there: by its trailer, which has its name. Its blocks are `verify`'s work.
    fn is_there(&self, object: &ObjectName, segment: &Segment) -> Result<bool, BackupError> {
        let bytes = segment.bytes.len();
        let trailer_at = bytes.saturating_sub(TRAILER_BYTES);
        match self.target.read(object, Some(trailer_at as u64..bytes as u64 + 1)) {
            Ok(trailer) => Ok(segment.bytes.get(trailer_at..) == Some(&trailer)),
            Err(TargetError::Absent(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends every row of the class that `reader` has, and calls `between` after each segment.
    pub(crate) fn base(
        &mut self,
        reader: &dyn Reader,
        between: &mut dyn FnMut(u64) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let spaces: Vec<u8> = crate::classes::spaces_of(self.class).collect();
        for space in spaces {
            let mut writer = SegmentWriter::new();
            let mut from = vec![space];
            loop {
                // The scan ends at each segment, so that what is sent is not sent inside of the engine.
                let mut ended = None;
                reader.range(&from, &[space.saturating_add(1)], &mut |key, value| {
                    let bytes = writer.row_bytes();
                    if bytes >= SEGMENT_BYTES_MAX || bytes >= BASE_BYTES_MIN && is_boundary(key) {
                        ended = Some(key.to_vec());
                        return ControlFlow::Break(());
                    }
                    writer.push(key, Some(value));
                    ControlFlow::Continue(())
                })?;
                if let Some(segment) = std::mem::take(&mut writer).finish() {
                    self.put(&segment)?;
                    between(self.sent_bytes)?;
                }
                let Some(next) = ended else { break };
                from = next;
            }
        }
        Ok(())
    }

    /// Sends the writes of this class.
    pub(crate) fn log<'w>(
        &mut self,
        writes: impl Iterator<Item = (&'w Vec<u8>, &'w Option<Vec<u8>>)>,
    ) -> Result<(), BackupError> {
        let mut writer = SegmentWriter::new();
        for (key, value) in writes {
            let space = key.first().copied().unwrap_or_default();
            // INVARIANT: no row of keys is in a segment of content, nor the other way round.
            if class_of(space).ok_or(BackupError::Space(space))? != self.class {
                continue;
            }
            writer.push(key, value.as_deref());
            if writer.row_bytes() >= SEGMENT_BYTES
                && let Some(segment) = std::mem::take(&mut writer).finish()
            {
                self.put(&segment)?;
            }
        }
        if let Some(segment) = writer.finish() {
            self.put(&segment)?;
        }
        Ok(())
    }

    /// What a manifest says of what was sent.
    pub(crate) fn into_parts(self) -> (Vec<SegmentInfo>, Vec<SpaceRows>) {
        let rows = self.rows.into_iter();
        (self.segments, rows.map(|(space, (puts, deletes))| SpaceRows { space, puts, deletes }).collect())
    }
}

/// Whether a segment stands under its own name. One beside it does because what stands there is not it.
pub(crate) fn is_plain(class: Class, segment: &SegmentInfo) -> bool {
    segment.object == segment_object(class, &segment.sha256, 1)
}

fn is_boundary(key: &[u8]) -> bool {
    let hash = sha256(key);
    hash.first_chunk::<4>().is_some_and(|bytes| u32::from_be_bytes(*bytes) & BOUNDARY_BITS == 0)
}

/// Refuses a store with rows in a space that has no class.
pub(crate) fn check_spaces(reader: &dyn Reader) -> Result<(), BackupError> {
    for space in 0..=u8::MAX {
        if class_of(space).is_some() {
            continue;
        }
        let mut found = false;
        let end = if space == u8::MAX { vec![u8::MAX; tacet_store::KEY_BYTES_MAX + 1] } else { vec![space + 1] };
        reader.range(&[space], &end, &mut |_, _| {
            found = true;
            ControlFlow::Break(())
        })?;
        if found {
            return Err(BackupError::Space(space));
        }
    }
    Ok(())
}

/// An id for a snapshot.
pub(crate) fn random_id(rng: &dyn tacet_types::Rng) -> [u8; crate::manifest::ID_BYTES] {
    let mut id = [0; crate::manifest::ID_BYTES];
    rng.fill(&mut id);
    id
}
