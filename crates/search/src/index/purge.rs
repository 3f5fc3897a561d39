//! Writing the files anew without what was deleted.

use crate::error::SearchError;
use crate::index::generation::Generation;
use std::collections::HashSet;
use std::time::Duration;
use tantivy::index::SegmentId;

/// How often segments with deleted documents are looked for before it is given up. Each round writes those of the round before anew;
/// more than two are needed only when the library merged at the same time.
const ROUNDS_MAX: usize = 32;

/// How long a look waits for a merge that the library does just then, in milliseconds.
const WAIT_MS: u64 = 50;

/// How often it waits before it is given up: ten minutes, longer than it takes to write the largest segment.
const WAITS_MAX: usize = 12_000;

/// Rewrites every segment that holds deleted documents. Afterwards no file holds a value of a document that was deleted before.
pub(crate) fn purge(generation: &Generation) -> Result<(), SearchError> {
    let troubles = generation.latch.troubles();
    let failed = || generation.failed("purging", troubles);
    // Segments that this made hold nothing that was deleted before it began; what is deleted later is not asked for here.
    let mut clean: HashSet<SegmentId> = HashSet::new();
    let (mut rounds, mut waits) = (0, 0);
    while rounds < ROUNDS_MAX && waits < WAITS_MAX {
        let metas = generation.index().searchable_segment_metas().map_err(|_| failed())?;
        let dirty = metas.iter().filter(|meta| meta.has_deletes() && !clean.contains(&meta.id()));
        let dirty: Vec<SegmentId> = dirty.map(tantivy::SegmentMeta::id).collect();
        drop(metas);
        if dirty.is_empty() {
            let collected = generation.with_writer(|writer| writer.garbage_collect_files())?;
            // The searcher lets go of the old files first: as long as it holds them the library keeps their names.
            generation.reload()?;
            collected.wait().map_err(|_| failed())?;
            let collected = generation.with_writer(|writer| writer.garbage_collect_files())?;
            collected.wait().map_err(|_| failed())?;
            return Ok(());
        }
        let mut busy = false;
        for id in dirty {
            let merging = generation.with_writer(|writer| writer.merge(&[id]))?;
            match merging.wait() {
                Ok(Some(merged)) => {
                    clean.insert(merged.id());
                }
                Ok(None) => {}
                // Being merged with others at this moment: what comes of it is looked at in the next round.
                Err(_) if generation.latch.is_closed() || generation.latch.troubles() > troubles => {
                    return Err(failed());
                }
                Err(_) => busy = true,
            }
        }
        if busy {
            waits += 1;
            std::thread::sleep(Duration::from_millis(WAIT_MS));
        } else {
            rounds += 1;
        }
        generation.reload()?;
    }
    Err(failed())
}
