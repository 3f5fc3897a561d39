use super::*;
use crate::restore::base::{BaseRow, Piece};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use tacet_store::memory::{Disk, Faults, MemoryEngine};

/// The suite that every engine of the store is held to.
#[path = "../../../../store/tests/it/suite.rs"]
mod suite;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A base in memory that fails when it is told to.
struct MemoryBase {
    pieces: Vec<Piece>,
    blocks: Vec<Vec<Arc<Block>>>,
    broken: AtomicBool,
    reads: AtomicUsize,
}

impl MemoryBase {
    fn new(rows: &Map, rows_a_block: usize, blocks_a_piece: usize) -> Arc<Self> {
        let rows: Vec<_> = rows.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let blocks: Vec<_> = rows.chunks(rows_a_block).map(|rows| Arc::new(Block { rows: rows.to_vec() })).collect();
        let blocks: Vec<_> = blocks.chunks(blocks_a_piece).map(<[_]>::to_vec).collect();
        let pieces = blocks.iter().map(|blocks| Piece {
            first: blocks[0].rows[0].0.clone(),
            last: blocks.last().unwrap().rows.last().unwrap().0.clone(),
            bytes: blocks.iter().map(|block| block.bytes() as u64).sum(),
        });
        let pieces = pieces.collect();
        Arc::new(Self { pieces, blocks, broken: AtomicBool::new(false), reads: AtomicUsize::new(0) })
    }

    fn read(&self) -> Result<(), StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        match self.broken.load(Ordering::SeqCst) {
            true => Err(StoreError::Io(std::io::Error::other("the source is away"))),
            false => Ok(()),
        }
    }
}

impl Base for MemoryBase {
    fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    fn blocks(&self, piece: usize) -> Result<Arc<Vec<Vec<u8>>>, StoreError> {
        self.read()?;
        Ok(Arc::new(self.blocks[piece].iter().map(|block| block.rows[0].0.clone()).collect()))
    }

    fn block(&self, piece: usize, block: usize) -> Result<Arc<Block>, StoreError> {
        self.read()?;
        Ok(Arc::clone(&self.blocks[piece][block]))
    }
}

fn scan(reader: &dyn Reader, from: &[u8], to: &[u8], max: usize, down: bool) -> Result<Vec<BaseRow>, StoreError> {
    let mut rows = Vec::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        if rows.len() >= max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    if down {
        reader.range_rev(from, to, visit)?
    } else {
        reader.range(from, to, visit)?
    };
    Ok(rows)
}

fn expected(model: &Map, from: &[u8], to: &[u8], max: usize, down: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    let within = model.iter().filter(|(key, _)| key.as_slice() >= from && key.as_slice() < to);
    let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
    if down { within.rev().take(max).map(owned).collect() } else { within.take(max).map(owned).collect() }
}

#[derive(Clone, Debug)]
enum Step {
    Write(BTreeMap<Vec<u8>, Option<Vec<u8>>>),
    Get(Vec<Vec<u8>>),
    Range(Vec<u8>, Vec<u8>, usize),
    TakeSnapshot,
    DropSnapshots,
    FillPiece(usize),
    FillWanted,
    Finish,
    Reopen,
    Break(bool),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    // Few bytes, so that keys meet and are prefixes of each other.
    vec(prop_oneof![Just(1u8), Just(2), Just(3), Just(255)], 1..5)
}

fn rows() -> impl Strategy<Value = Map> {
    btree_map(key(), vec(any::<u8>(), 0..9), 1..120)
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![2 => Just(None), 3 => vec(any::<u8>(), 0..9).prop_map(Some)];
    prop_oneof![
        6 => btree_map(key(), value, 0..8).prop_map(Step::Write),
        6 => vec(key(), 1..6).prop_map(Step::Get),
        5 => (key(), key(), 1..40usize).prop_map(|(from, to, max)| Step::Range(from, to, max)),
        2 => Just(Step::TakeSnapshot),
        1 => Just(Step::DropSnapshots),
        5 => (0..40usize).prop_map(Step::FillPiece),
        3 => Just(Step::FillWanted),
        2 => Just(Step::Finish),
        2 => Just(Step::Reopen),
        1 => any::<bool>().prop_map(Step::Break),
    ]
}

/// What stands in the rows, told by an ordered map beside it. Where the source is away, an answer may be an error, and never another one.
fn run(base_rows: Map, shape: (usize, usize), steps: Vec<Step>) {
    let disk = Disk::default();
    let local = || Arc::new(MemoryEngine::open(&disk, Faults::default()));
    let base = MemoryBase::new(&base_rows, shape.0, shape.1);
    let mut engine = FillingEngine::open(local(), base.clone()).unwrap();
    let mut model = base_rows;
    let mut snapshots: Vec<(Box<dyn Snapshot>, Map)> = Vec::new();
    for step in steps {
        let broken = base.broken.load(Ordering::SeqCst);
        match step {
            Step::Write(changes) => {
                let write = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| match value {
                    Some(value) => Write::put(key.clone(), value.clone()),
                    None => Write::delete(key.clone()),
                };
                // Writing asks the source nothing.
                engine.write(&changes.iter().map(write).collect::<Vec<_>>(), Durability::Durable).unwrap();
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(model.insert(key, value)),
                        None => drop(model.remove(&key)),
                    }
                }
            }
            Step::Get(keys) => {
                let views = snapshots.iter().map(|(snapshot, model)| (snapshot.as_ref() as &dyn Reader, model));
                for (reader, model) in views.chain([(&engine as &dyn Reader, &model)]) {
                    for key in &keys {
                        match reader.get(key) {
                            Ok(found) => assert_eq!(found.as_ref(), model.get(key)),
                            Err(error) => assert!(broken, "{error}"),
                        }
                    }
                    match reader.get_many(&keys) {
                        Ok(found) => {
                            assert_eq!(found, keys.iter().map(|key| model.get(key).cloned()).collect::<Vec<_>>())
                        }
                        Err(error) => assert!(broken, "{error}"),
                    }
                }
            }
            Step::Range(from, to, max) => {
                let views = snapshots.iter().map(|(snapshot, model)| (snapshot.as_ref() as &dyn Reader, model));
                for (reader, model) in views.chain([(&engine as &dyn Reader, &model)]) {
                    for down in [false, true] {
                        match scan(reader, &from, &to, max, down) {
                            Ok(found) => assert_eq!(found, expected(model, &from, &to, max, down)),
                            Err(error) => assert!(broken, "{error}"),
                        }
                    }
                }
            }
            Step::TakeSnapshot => snapshots.push((engine.snapshot().unwrap(), model.clone())),
            Step::DropSnapshots => snapshots.clear(),
            Step::FillPiece(piece) => assert!(engine.fill_piece(piece % base.pieces.len()).is_ok() || broken),
            Step::FillWanted => drop(engine.fill_wanted().unwrap()),
            Step::Finish => {
                let whole = engine.filled().pieces == engine.filled().pieces_all;
                assert_eq!(engine.finish().unwrap(), whole);
                assert_eq!(engine.is_full(), whole);
            }
            Step::Reopen => {
                snapshots.clear();
                let filled = engine.filled();
                engine = FillingEngine::open(local(), base.clone()).unwrap();
                assert_eq!(engine.filled(), filled);
            }
            Step::Break(broken) => base.broken.store(broken, Ordering::SeqCst),
        }
    }
    base.broken.store(false, Ordering::SeqCst);
    assert_eq!(
        scan(&engine, &[0], &[255; 9], usize::MAX, false).unwrap(),
        expected(&model, &[0], &[255; 9], usize::MAX, false)
    );
    for piece in 0..base.pieces.len() {
        engine.fill_piece(piece).unwrap();
    }
    assert!(engine.finish().unwrap());
    assert_eq!(engine.filled().percent(), 100);
    // Without the source: what is here is everything, and of what was remembered one row is left.
    base.broken.store(true, Ordering::SeqCst);
    let plain = local();
    let all: Vec<_> = model.into_iter().collect();
    assert_eq!(scan(&engine, &[0], &[255; 9], usize::MAX, false).unwrap(), all);
    assert_eq!(scan(plain.as_ref(), &[1], &[255; 9], usize::MAX, false).unwrap(), all);
    assert_eq!(scan(plain.as_ref(), &[0], &[1], 9, false).unwrap(), [(inner::FULL.to_vec(), vec![])]);
    let again = FillingEngine::open(plain, base.clone()).unwrap();
    assert!(again.is_full() && again.filled().percent() == 100);
    assert_eq!(scan(&again, &[0], &[255; 9], usize::MAX, true).unwrap().len(), all.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_an_ordered_map_while_it_fills(base in rows(), shape in (1..9usize, 1..5usize), steps in vec(step(), 1..80)) {
        run(base, shape, steps);
    }
}

#[test]
fn a_read_that_cannot_be_made_is_an_error_and_not_an_absent_row() {
    let rows: Map = (0..100u8).map(|number| (vec![5, number], vec![number])).collect();
    let base = MemoryBase::new(&rows, 10, 2);
    let engine = FillingEngine::open(Arc::new(MemoryEngine::new()), base.clone()).unwrap();
    engine.fill_piece(1).unwrap();
    engine.write(&[Write::delete([5, 90]), Write::put([5, 91], [0])], Durability::Durable).unwrap();
    base.broken.store(true, Ordering::SeqCst);
    // Of what is here, and of what no piece can have, it answers.
    assert_eq!(engine.get(&[5, 25]).unwrap(), Some(vec![25]));
    assert_eq!(engine.get(&[5, 91]).unwrap(), Some(vec![0]));
    assert_eq!(engine.get(&[4, 1]).unwrap(), None);
    assert_eq!(engine.get(&[5, 200]).unwrap(), None);
    for absent_or_not in [[5, 0], [5, 99], [5, 60]] {
        assert!(engine.get(&absent_or_not).is_err());
    }
    assert!(engine.get(&[5, 5, 5]).is_err(), "nobody knows whether there is such a row");
    assert!(scan(&engine, &[5], &[6], 999, false).is_err() && scan(&engine, &[5], &[6], 999, true).is_err());
    assert!(engine.fill_piece(0).is_err());
    assert!(!engine.finish().unwrap());
    base.broken.store(false, Ordering::SeqCst);
    assert_eq!(scan(&engine, &[5], &[6], 999, false).unwrap().len(), 99);
}

#[test]
fn what_was_read_is_taken_in_and_read_no_more() {
    let rows: Map = (0..100u8).map(|number| (vec![5, number], vec![number])).collect();
    let base = MemoryBase::new(&rows, 10, 5);
    let engine = FillingEngine::open(Arc::new(MemoryEngine::new()), base.clone()).unwrap();
    assert_eq!(engine.get(&[5, 33]).unwrap(), Some(vec![33]));
    assert_eq!(engine.get(&[5, 34]).unwrap(), Some(vec![34]));
    assert_eq!(engine.fill_wanted().unwrap(), 1);
    base.broken.store(true, Ordering::SeqCst);
    assert!(engine.get(&[5, 41]).is_err());
    assert_eq!(engine.missing_between(&[5, 40], &[5, 60]), [0, 1]);
    base.broken.store(false, Ordering::SeqCst);
    engine.fill_piece(0).unwrap();
    assert_eq!(engine.missing_between(&[5], &[6]), [1]);
    assert_eq!((engine.filled().pieces, engine.filled().percent()), (1, 50));
}

#[test]
fn an_engine_that_was_filled_from_elsewhere_is_refused() {
    let rows: Map = (0..100u8).map(|number| (vec![5, number], vec![number])).collect();
    let local = Arc::new(MemoryEngine::new());
    let engine = FillingEngine::open(local.clone(), MemoryBase::new(&rows, 1, 1)).unwrap();
    engine.fill_piece(99).unwrap();
    drop(engine);
    assert!(FillingEngine::open(local, MemoryBase::new(&rows, 10, 1)).is_err());
}

#[test]
fn what_is_kept_of_the_filling_is_nobodys_to_read_or_write() {
    let rows: Map = (0..9u8).map(|number| (vec![5, number], vec![number])).collect();
    let engine = FillingEngine::open(Arc::new(MemoryEngine::new()), MemoryBase::new(&rows, 2, 2)).unwrap();
    engine.write_noting(&[Write::put([0, 1], [1]), Write::delete([5, 1])], "logs", b"7").unwrap();
    engine.fill_piece(0).unwrap();
    assert_eq!(engine.note("logs").unwrap(), Some(b"7".to_vec()));
    assert_eq!(scan(&engine, &[0], &[1], 9, false).unwrap(), [(vec![0, 1], vec![1])]);
    assert_eq!(scan(&engine, &[0], &[1], 9, true).unwrap(), [(vec![0, 1], vec![1])]);
    assert_eq!(engine.get(&inner::piece(0)).unwrap(), None);
    assert!(engine.write(&[Write::delete(inner::piece(0))], Durability::Durable).is_err());
    assert_eq!(engine.get(&[5, 1]).unwrap(), None);
}

/// Writers, readers and the fill at once: no row that was written is lost, none that was removed comes back, and no reader ever misses one.
#[test]
fn writers_readers_and_the_fill_do_not_undo_each_other() {
    let rows: Map = (0..4000u16).map(|number| ([&[5], &number.to_be_bytes()[..]].concat(), vec![0])).collect();
    let base = MemoryBase::new(&rows, 8, 16);
    let engine = FillingEngine::open(Arc::new(MemoryEngine::new()), base.clone()).unwrap();
    let key = |number: u16| [&[5], &number.to_be_bytes()[..]].concat();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..4000u16).filter(|number| number % 3 == 0) {
                engine
                    .write(&[Write::delete(key(number)), Write::put(key(number | 1), [9])], Durability::Durable)
                    .unwrap();
                assert_eq!(engine.get(&key(number | 1)).unwrap(), Some(vec![9]), "{number}");
                if number % 2 == 0 {
                    assert_eq!(engine.get(&key(number)).unwrap(), None, "{number}");
                }
            }
        });
        scope.spawn(|| {
            for piece in (0..base.pieces.len()).rev() {
                engine.fill_piece(piece).unwrap();
                engine.fill_wanted().unwrap();
            }
            assert!(engine.finish().unwrap());
        });
        scope.spawn(|| {
            for number in (0..4000u16).filter(|number| number % 6 == 4) {
                assert_eq!(engine.get(&key(number)).unwrap(), Some(vec![0]), "{number} was never touched");
            }
        });
    });
    for number in 0..4000u16 {
        let odd_of_removed = number % 2 == 1 && (number % 3 == 0 || (number - 1).is_multiple_of(3));
        let expected = if odd_of_removed {
            Some(vec![9])
        } else if number % 3 == 0 {
            None
        } else {
            Some(vec![0])
        };
        assert_eq!(engine.get(&key(number)).unwrap(), expected, "{number}");
    }
}

#[test]
fn it_conforms_whatever_is_here_already() {
    // Rows around those of the suite, so that each write is of a key that the base may have.
    let around: Map =
        [1, 0x20, 0x30].iter().flat_map(|space| (0..40).map(|row| (vec![*space, row], vec![row]))).collect();
    for (rows, filled, finished) in
        [(Map::new(), 0, false), (around.clone(), 0, false), (around.clone(), 2, false), (around, 99, true)]
    {
        let (disk, base) = (Disk::default(), MemoryBase::new(&rows, 7, 5));
        let open = || {
            let local = Arc::new(MemoryEngine::open(&disk, Faults::default()));
            let engine = FillingEngine::open(local, base.clone()).unwrap();
            (0..base.pieces.len().min(filled)).for_each(|piece| assert!(engine.fill_piece(piece).is_ok()));
            assert_eq!(finished && engine.finish().unwrap(), finished);
            Arc::new(engine) as Arc<dyn Engine>
        };
        suite::conforms(&open);
        let engine = open();
        for (key, value) in &rows {
            assert_eq!(engine.get(key).unwrap().as_ref(), Some(value), "what was around is untouched");
        }
    }
}
