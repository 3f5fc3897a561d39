//! From one engine to another, row by row: how a store leaves the engine it was made in.

use crate::chain;
use crate::engine::{Durability, Engine, Write};
use crate::error::StoreError;
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
}
