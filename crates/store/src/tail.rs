//! What is written, shown to somebody who follows along: an engine around another that gives each group to a [`Tail`] once it is durable.
//!
//! It stands below the committer, so that a tail sees exactly the rows that the engine took, those that the sequencer added included, in their
//! order, and from the first commit of a process on. The link of the chain that each group carries says where the group belongs, so that whoever
//! follows can prove that nothing is missing between what they were shown.

use crate::chain::{self, Link};
use crate::engine::{
    Durability, Engine, EngineStatistics, Mark, Pressure, Reader, Snapshot, Value, Visit, Witness, Write,
};
use crate::error::StoreError;
use std::sync::{Arc, Mutex, PoisonError};

/// Follows what a store writes. Called by the committer: it must not wait, nor call the store.
pub trait Tail: Send + Sync {
    /// Where the store stood when the following began; what was written until then is durable, and is not shown.
    fn begins(&self, _at: Mark) {}

    /// A group is durable: these writes bring the store from `from` to `to`. No key occurs twice. Rows of the store's own, whose keys begin with a zero, are
    /// among them.
    fn wrote(&self, from: Mark, to: Mark, writes: &[Write]);

    /// Something was written that is no group of commits, or failed: what is shown from here on does not follow from what was shown.
    fn lost(&self);
}

/// How far the commits go that `reader` shows.
///
/// # Errors
/// The chain of commits cannot be read.
pub fn mark_of(reader: &dyn Reader) -> Result<Mark, StoreError> {
    Ok(chain::walk(reader, 0)?.head)
}

/// An engine, and a tail that is shown what is written to it.
pub struct TailedEngine {
    engine: Arc<dyn Engine>,
    tail: Arc<dyn Tail>,
    /// Where the store stands; none where that is not known.
    at: Mutex<Option<Mark>>,
}

impl TailedEngine {
    /// Around an engine to which nobody else writes.
    ///
    /// # Errors
    /// The chain of commits cannot be read.
    pub fn new(engine: Arc<dyn Engine>, tail: Arc<dyn Tail>) -> Result<Self, StoreError> {
        let at = mark_of(engine.as_ref())?;
        tail.begins(at);
        Ok(Self { engine, tail, at: Mutex::new(Some(at)) })
    }
}

impl Reader for TailedEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.engine.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Value>>, StoreError> {
        self.engine.get_many(keys)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.engine.range(from, to, visit)
    }

    fn range_rev(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.engine.range_rev(from, to, visit)
    }
}

impl Engine for TailedEngine {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.engine.snapshot()
    }

    fn write(&self, writes: &[Write], durability: Durability) -> Result<(), StoreError> {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.engine.write(writes, durability);
        let link = writes.iter().find_map(Link::in_write);
        match (&written, link, *at) {
            (Ok(()), Some(link), Some(from)) if link.follows(&from) => {
                *at = Some(link.mark);
                self.tail.wrote(from, link.mark, writes);
            }
            _ => {
                // The store's own rows at a start, a failure, or rows that came past the committer.
                let own = written.is_ok()
                    && link.is_none()
                    && writes.iter().all(|write| write.key().first() == Some(&crate::rows::SPACE_STORE));
                if !own {
                    self.tail.lost();
                }
                *at = if written.is_ok() { mark_of(self.engine.as_ref()).ok() } else { None };
            }
        }
        written
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.engine.flush()
    }

    fn statistics(&self) -> EngineStatistics {
        self.engine.statistics()
    }

    fn pressure(&self) -> Pressure {
        self.engine.pressure()
    }

    fn recovered(&self) -> Result<(), StoreError> {
        self.engine.recovered()
    }

    fn witness(&self) -> &dyn Witness {
        self.engine.witness()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryEngine;
    use crate::store::{Commit, Sequencer, Store, StoreOptions};
    use std::collections::BTreeMap;
    use std::ops::ControlFlow;

    type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

    /// Marks before and after each group.
    type Marks = Vec<(Mark, Mark)>;

    #[derive(Default)]
    struct Seen(Mutex<(Marks, Rows, u32)>);

    impl Tail for Seen {
        fn wrote(&self, from: Mark, to: Mark, writes: &[Write]) {
            let mut seen = self.0.lock().unwrap();
            seen.0.push((from, to));
            for write in writes.iter().filter(|write| write.key().first() != Some(&crate::rows::SPACE_STORE)) {
                match write.clone() {
                    Write::Put { key, value } => seen.1.insert(key, value),
                    Write::Delete { key } => seen.1.remove(&key),
                };
            }
        }

        fn lost(&self) {
            self.0.lock().unwrap().2 += 1;
        }
    }

    /// Numbers commits, as a ledger does.
    struct Numbers(u64);

    impl Sequencer for Numbers {
        type Item = ();
        type Outcome = u64;

        fn sequence(&mut self, (): (), rows: &mut Vec<Write>) -> Result<u64, StoreError> {
            self.0 += 1;
            rows.push(Write::put([&[0x10][..], &self.0.to_be_bytes()].concat(), b"entry"));
            Ok(self.0)
        }

        fn seal_group(&mut self, rows: &mut Vec<Write>) -> Result<(), StoreError> {
            rows.push(Write::put([0x11], self.0.to_be_bytes()));
            Ok(())
        }
    }

    fn dump(engine: &dyn Engine) -> Rows {
        let mut rows = Rows::new();
        engine
            .range(&[1], &[0xff; 33], &mut |key, value| {
                rows.insert(key.to_vec(), value.to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
        rows
    }

    #[test]
    fn what_is_shown_is_what_is_there_whoever_writes_at_once() {
        let seen = Arc::new(Seen::default());
        let inner = Arc::new(MemoryEngine::new());
        for round in 0..3_u64 {
            let engine = Arc::new(TailedEngine::new(inner.clone(), seen.clone()).unwrap());
            let store = Store::open(engine, Numbers(round * 200), StoreOptions::default()).unwrap();
            std::thread::scope(|scope| {
                for writer in 0..4_u64 {
                    let store = store.clone();
                    scope.spawn(move || {
                        for n in 0..50_u64 {
                            let row = [5, (n * 7 + writer + round) as u8 % 40];
                            let write = if n.is_multiple_of(3) {
                                Write::delete(row)
                            } else {
                                Write::put(row, [writer as u8, n as u8])
                            };
                            let (writes, feed) = (vec![write], Some(vec![n as u8]));
                            store.submit(Commit { writes, feed, ..Commit::default() }).wait().unwrap();
                        }
                    });
                }
            });
            store.close().unwrap();
        }
        let seen = seen.0.lock().unwrap();
        assert_eq!(seen.1, dump(inner.as_ref()));
        assert!(seen.1.keys().filter(|key| key[0] == 0x10).count() == 600 && seen.1.contains_key(&vec![0x11]));
        assert_eq!(seen.0.first().unwrap().0, Mark::START);
        assert!(seen.0.windows(2).all(|pair| pair[0].1 == pair[1].0), "groups follow each other, over starts too");
        assert_eq!(seen.0.last().unwrap().1, mark_of(inner.as_ref()).unwrap());
        assert_eq!(seen.2, 0);
    }

    #[test]
    fn rows_past_the_committer_break_the_tail() {
        let seen = Arc::new(Seen::default());
        let engine = Arc::new(TailedEngine::new(Arc::new(MemoryEngine::new()), seen.clone()).unwrap());
        let store = Store::open(engine.clone(), Numbers(0), StoreOptions::default()).unwrap();
        assert_eq!(seen.0.lock().unwrap().2, 0, "the store's own first row is no loss");
        engine.write(&[Write::put([9, 9], [1])], Durability::Buffered).unwrap();
        assert_eq!(seen.0.lock().unwrap().2, 1);
        store.submit(Commit::default()).wait().unwrap();
        assert_eq!(seen.0.lock().unwrap().0.len(), 1);
    }
}
