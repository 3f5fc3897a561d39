//! The change feed: what changed, in the order in which it was committed. Its rows' content is the callers'.

use crate::engine::{Reader, Visit};
use crate::error::StoreError;
use crate::rows::{SPACE_FEED, feed_key, feed_sequence};
use std::ops::ControlFlow;
use tacet_types::Sequence;

type Rows = Vec<(Sequence, Vec<u8>)>;

/// Up to `max` rows after `after`, ascending.
pub(crate) fn after(reader: &dyn Reader, after: Sequence, max: usize) -> Result<Rows, StoreError> {
    let Some(first) = after.0.checked_add(1) else { return Ok(Vec::new()) };
    collect(max, |visit| reader.range(&feed_key(Sequence(first)), &[SPACE_FEED + 1], visit))
}

/// Up to `max` rows before `before`, descending.
pub(crate) fn before(reader: &dyn Reader, before: Sequence, max: usize) -> Result<Rows, StoreError> {
    collect(max, |visit| reader.range_rev(&[SPACE_FEED], &feed_key(before), visit))
}

/// The last sequence; 0 where there is none.
pub(crate) fn last(reader: &dyn Reader) -> Result<Sequence, StoreError> {
    Ok(before(reader, Sequence(u64::MAX), 1)?.first().map_or(Sequence(0), |(sequence, _)| *sequence))
}

fn collect(max: usize, scan: impl FnOnce(&mut Visit<'_>) -> Result<(), StoreError>) -> Result<Rows, StoreError> {
    let mut rows = Vec::new();
    let mut failed = None;
    if max == 0 {
        return Ok(rows);
    }
    scan(&mut |key, value| {
        match feed_sequence(key) {
            Ok(sequence) => rows.push((sequence, value.to_vec())),
            Err(error) => failed = Some(error),
        }
        if failed.is_some() || rows.len() >= max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failed.map_or(Ok(rows), Err)
}
