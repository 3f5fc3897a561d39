//! Rows become segments on a target. One segment at a time is in memory.

use crate::classes::{Class, class_of};
use crate::error::BackupError;
use crate::manifest::{SegmentInfo, SpaceRows, segment_object, sha256};
use crate::segment::{SEGMENT_BYTES, SEGMENT_BYTES_MAX, Segment, SegmentWriter, TRAILER_BYTES};
use crate::target::{ObjectName, Put, Target, TargetError};
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use tacet_store::Reader;
use tacet_types::{Rng, Timestamp};

/// Bytes of rows from which on a segment of a base may end.
const BASE_BYTES_MIN: usize = SEGMENT_BYTES / 4;

/// A segment of a base ends before a key whose hash has these bits clear: one of 4,096 keys. So the same rows are cut at the same places whatever
/// stands around them, and a range without changes is the same segments again.
const BOUNDARY_BITS: u32 = 0xfff;

/// Names that are tried for a segment: more than one only where another object stands under its name.
const PLACES_MAX: u32 = 9;

/// Of the segments that a base takes up again it reads one of so many to its last byte, other ones each time. So damage on a target is in no more than
/// as many bases, and each costs a part of what reading everything would.
const WHOLE_EACH: u64 = 4;

/// Bytes that are read of each of the others, somewhere, besides their trailers.
const SAMPLE_BYTES: u64 = 64 << 10;

/// What is on the target of earlier snapshots: looked at before it is sent again.
pub(crate) struct Held<'a> {
    segments: HashSet<[u8; 32]>,
    /// Which base this is: which part is read whole.
    round: u64,
    rng: &'a dyn Rng,
}

impl<'a> Held<'a> {
    pub(crate) fn new(segments: HashSet<[u8; 32]>, round: u64, rng: &'a dyn Rng) -> Self {
        Self { segments, round, rng }
    }

    pub(crate) fn into_segments(self) -> HashSet<[u8; 32]> {
        self.segments
    }

    fn is_whole_due(&self, segment: &Segment) -> bool {
        let [first, ..] = segment.sha256;
        u64::from(first) % WHOLE_EACH == self.round % WHOLE_EACH
    }
}

/// How objects are put.
pub(crate) struct Sending<'a> {
    pub(crate) target: &'a dyn Target,
    pub(crate) class: Class,
    /// Nobody shall remove what is put before this.
    pub(crate) keep_until: Option<Timestamp>,
    /// Segments of earlier snapshots; none: everything is put.
    pub(crate) held: Option<Held<'a>>,
    segments: Vec<SegmentInfo>,
    rows: BTreeMap<u8, (u64, u64)>,
    /// Bytes that were sent.
    pub(crate) sent_bytes: u64,
    /// Bytes that were sent, and that were read of what is there already.
    moved_bytes: u64,
    /// Segments under whose names other bytes stood.
    pub(crate) damaged: u64,
}

impl<'a> Sending<'a> {
    pub(crate) fn new(target: &'a dyn Target, class: Class, keep_until: Option<Timestamp>) -> Self {
        let (segments, rows) = (Vec::new(), BTreeMap::new());
        Self { target, class, keep_until, held: None, segments, rows, sent_bytes: 0, moved_bytes: 0, damaged: 0 }
    }

    fn put(&mut self, segment: &Segment) -> Result<(), BackupError> {
        let mut object = segment_object(self.class, &segment.sha256, 1);
        if !self.is_there(&object, segment)? {
            for place in 1..=PLACES_MAX {
                object = segment_object(self.class, &segment.sha256, place);
                match self.target.put_new(&object, &segment.bytes, self.keep_until) {
                    Ok(Put::Written) => {
                        self.sent_bytes += segment.bytes.len() as u64;
                        self.moved_bytes += segment.bytes.len() as u64;
                    }
                    Ok(Put::Same) => {}
                    // Damaged there, or put there by somebody who may add. It cannot be written over, and must not end the backup.
                    Err(TargetError::Different(_)) if place < PLACES_MAX => {
                        self.damaged += 1;
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

    /// Whether a segment of an earlier snapshot is still there as it was: by its trailer, which has its name, and some of its bytes; or by all of them, when it is
    /// its turn. They are held against the ones that would be sent.
    fn is_there(&mut self, object: &ObjectName, segment: &Segment) -> Result<bool, BackupError> {
        let Some(held) = self.held.as_ref().filter(|held| held.segments.contains(&segment.sha256)) else {
            return Ok(false);
        };
        let bytes = segment.bytes.len() as u64;
        let trailer_at = bytes.saturating_sub(TRAILER_BYTES as u64);
        // One byte more than there may be: an object that is longer is not what was written either.
        let (first, second) = if !held.is_whole_due(segment) {
            let mut place = [0; 8];
            held.rng.fill(&mut place);
            let from = u64::from_be_bytes(place).checked_rem(trailer_at).unwrap_or(0);
            (trailer_at..bytes + 1, Some(from..(from + SAMPLE_BYTES).min(trailer_at)))
        } else if self.target.compares() {
            // Putting it is the same question, answered where it lies.
            self.moved_bytes += bytes;
            return Ok(false);
        } else {
            (0..bytes + 1, None)
        };
        for range in std::iter::once(first).chain(second) {
            let read = match self.target.read(object, Some(range.clone())) {
                Ok(read) => read,
                Err(TargetError::Absent(_)) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            self.moved_bytes += read.len() as u64;
            let at = |place: u64| usize::try_from(place.min(bytes)).unwrap_or(usize::MAX);
            if segment.bytes.get(at(range.start)..at(range.end)) != Some(read.as_slice()) {
                return Ok(false);
            }
        }
        Ok(true)
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
                    between(self.moved_bytes)?;
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
        writes: impl Iterator<Item = (&'w [u8], Option<&'w [u8]>)>,
    ) -> Result<(), BackupError> {
        let mut writer = SegmentWriter::new();
        for (key, value) in writes {
            let space = key.first().copied().unwrap_or_default();
            // INVARIANT: no row of keys is in a segment of content, nor the other way round.
            if class_of(space).ok_or(BackupError::Space(space))? != self.class {
                continue;
            }
            writer.push(key, value);
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
