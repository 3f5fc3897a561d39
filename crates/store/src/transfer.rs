//! From one engine to another, row by row: how a store leaves the engine it was made in.

use crate::chain;
use crate::engine::{Durability, Engine, Mark, Write};
use crate::error::StoreError;
use crate::rows::{FORMAT_KEY, format_value};
use std::ops::ControlFlow;

/// Bytes of keys and values written at once.
const BATCH_BYTES: usize = 4 << 20;

/// Beyond every key: keys are shorter than this, so none is greater.
const END: [u8; crate::KEY_BYTES_MAX + 1] = [0xff; crate::KEY_BYTES_MAX + 1];

/// Copies every row of `from`, as it stands now, into the empty engine `to`, and the mark that goes with it. Says how many
/// rows were copied; `progress` is told now and then.
///
/// Nobody may write to `from` meanwhile, or the copy ends before what was written. A copy that was interrupted has no
/// witness, and is refused when it is opened as a store; begin again with an empty engine.
pub fn copy_all(from: &dyn Engine, to: &dyn Engine, progress: &mut dyn FnMut(u64)) -> Result<u64, StoreError> {
    let mut occupied = to.witness().read()?.is_some();
    to.range(&[], &END, &mut |_, _| {
        occupied = true;
        ControlFlow::Break(())
    })?;
    if occupied {
        return Err(StoreError::corrupt("the engine to copy to is not empty"));
    }
    let snapshot = from.snapshot()?;
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    let mut rows = 0;
    let mut failed = None;
    snapshot.range(&[], &END, &mut |key, value| {
        let write = Write::put(key, value);
        batch_bytes += write.bytes();
        rows += 1;
        batch.push(write);
        if batch_bytes >= BATCH_BYTES {
            if let Err(error) = to.write(&batch, Durability::Buffered) {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            batch.clear();
            batch_bytes = 0;
            progress(rows);
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    to.write(&batch, Durability::Durable)?;
    to.flush()?;
    // The mark comes last: without it the copy is not a store. It says that nothing was acknowledged beyond.
    let head = chain::walk(snapshot.as_ref(), 0)?.head;
    to.witness().record(&head, true, Durability::Durable)?;
    progress(rows);
    Ok(rows)
}

/// Makes a store of an engine whose callers' rows were brought from elsewhere: its commits go on from `mark`, the place at which those rows stood.
///
/// Until then the engine is refused as a store. Nobody may have it open meanwhile; done again, with the same mark, it changes nothing.
///
/// # Errors
/// The engine has commits of its own already, or cannot be written to.
pub fn settle(engine: &dyn Engine, mark: &Mark) -> Result<(), StoreError> {
    let own = engine.get(&FORMAT_KEY)?.is_some() && chain::walk(engine, 0)?.head != *mark;
    if own {
        return Err(StoreError::corrupt("the engine to be settled is a store with commits of its own"));
    }
    let mut writes = chain::restart(engine, mark)?;
    writes.push(Write::put(FORMAT_KEY, format_value()));
    engine.write(&writes, Durability::Durable)?;
    engine.flush()?;
    engine.witness().record(mark, true, Durability::Durable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryEngine;
    use crate::{Commit, NoSequencer, Store, StoreOptions};
    use std::sync::Arc;

    #[test]
    fn a_copy_is_a_store_and_no_copy_goes_over_rows() {
        let from = Arc::new(MemoryEngine::new());
        let store = Store::open(from.clone(), NoSequencer, StoreOptions::default()).unwrap();
        for number in 0..40u8 {
            let writes = vec![Write::put([0xff; 20], [number]), Write::put([5, number], vec![number; 200_000])];
            store.submit(Commit { writes, feed: Some(vec![number]), ..Commit::default() }).wait().unwrap();
        }
        store.close().unwrap();
        let to = Arc::new(MemoryEngine::new());
        let mut told = Vec::new();
        let rows = copy_all(from.as_ref(), to.as_ref(), &mut |rows| told.push(rows)).unwrap();
        // The format row, 40 links, 40 feed rows, 40 rows of their own and one in common.
        assert_eq!((rows, told.last()), (122, Some(&122)));
        assert!(told.len() > 1 && told.is_sorted());
        assert!(copy_all(from.as_ref(), to.as_ref(), &mut |_| {}).is_err());
        let copy = Store::open(to, NoSequencer, StoreOptions::default()).unwrap();
        assert_eq!((copy.commits(), copy.last_sequence()), (40, tacet_types::Sequence(40)));
        assert_eq!(copy.reader().get(&[0xff; 20]).unwrap(), Some(vec![39]));
        copy.submit(Commit::default()).wait().unwrap();
    }
    #[test]
    fn a_settled_engine_goes_on_from_its_mark() {
        let engine = Arc::new(MemoryEngine::new());
        engine
            .write(&[Write::put([5, 1], [7]), Write::put([1, 0, 0, 0, 0, 0, 0, 0, 9], [1])], Durability::Buffered)
            .unwrap();
        let open = |engine: &Arc<MemoryEngine>| Store::open(engine.clone(), NoSequencer, StoreOptions::default());
        assert!(open(&engine).is_err(), "rows alone are no store");
        let mark = Mark { group: 40, commits: 90, digest: [3; 32] };
        settle(engine.as_ref(), &mark).unwrap();
        settle(engine.as_ref(), &mark).unwrap();
        let store = open(&engine).unwrap();
        assert_eq!((store.commits(), store.last_sequence()), (90, tacet_types::Sequence(9)));
        let writes = vec![Write::put([5, 2], [8])];
        let committed = store.submit(Commit { writes, feed: Some(vec![1]), ..Commit::default() }).wait().unwrap();
        assert_eq!(committed.sequence, Some(tacet_types::Sequence(10)));
        store.close().unwrap();
        let store = open(&engine).unwrap();
        assert_eq!((store.commits(), store.reader().get(&[5, 1]).unwrap()), (91, Some(vec![7])));
        drop(store);
        // Killed, it is walked from where it began.
        assert_eq!(open(&engine).unwrap().commits(), 91);
        assert!(settle(engine.as_ref(), &mark).is_err(), "what has commits of its own is not settled again");
        assert!(settle(engine.as_ref(), &Mark::START).is_err());
    }
}
