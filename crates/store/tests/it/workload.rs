//! Numbered commits whose rows tell by themselves whether a commit is whole, and the check of all of them.

use std::collections::BTreeMap;
use tacet_store::{Commit, NoSequencer, Precondition, Reader, Sequencer, Store, Write};
use tacet_types::Sequence;

/// Space of the commits' rows: `space | writer (4) | number (4) | row (1)`.
const SPACE_ROWS: u8 = 0x20;

/// Space of the writers' counters: `space | writer (4)`, whose value is the number of the last commit.
const SPACE_COUNTERS: u8 = 0x21;

pub(crate) type Plain = Store<NoSequencer>;

fn row_key(writer: u32, number: u32, row: u8) -> Vec<u8> {
    [&[SPACE_ROWS], &writer.to_be_bytes()[..], &number.to_be_bytes(), &[row]].concat()
}

fn counter_key(writer: u32) -> Vec<u8> {
    [&[SPACE_COUNTERS], &writer.to_be_bytes()[..]].concat()
}

/// Rows of one commit, 1 to 5.
fn row_count(writer: u32, number: u32) -> u8 {
    (writer.wrapping_add(number) % 5 + 1) as u8
}

fn row_value(writer: u32, number: u32, row: u8) -> Vec<u8> {
    let seed = writer.wrapping_mul(31).wrapping_add(number).wrapping_mul(31).wrapping_add(u32::from(row));
    let length = if number % 97 == 96 { 20_000 } else { 30 + seed % 400 };
    (0..length).map(|at| (seed.wrapping_mul(2_654_435_761).wrapping_add(at) >> 7) as u8 | 1).collect()
}

/// The commit `number` (from 0) of a writer: its rows, and the writer's counter moved from the commit before.
pub(crate) fn commit(writer: u32, number: u32) -> Commit<()> {
    let rows = (0..row_count(writer, number))
        .map(|row| Write::put(row_key(writer, number, row), row_value(writer, number, row)));
    let counter = Write::put(counter_key(writer), number.to_be_bytes());
    let before = match number.checked_sub(1) {
        Some(before) => Precondition::Unchanged { key: counter_key(writer), value: before.to_be_bytes().to_vec() },
        None => Precondition::Absent { key: counter_key(writer) },
    };
    let absent = Precondition::Absent { key: row_key(writer, number, 0) };
    let feed = Some([writer.to_be_bytes(), number.to_be_bytes()].concat());
    Commit { preconditions: vec![before, absent], writes: rows.chain([counter]).collect(), feed, item: () }
}

/// The number after a writer's last commit.
pub(crate) fn next_number(reader: &dyn Reader, writer: u32) -> u32 {
    let counter = reader.get(&counter_key(writer)).unwrap();
    counter.map_or(0, |value| u32::from_be_bytes(value.try_into().unwrap()) + 1)
}

/// Checks that each writer's commits from `from` on are whole up to its counter and absent beyond it, that what was
/// acknowledged (by writer: how many) is among them, and that the feed has each once and in order. Says how many each has.
pub(crate) fn check<S: Sequencer>(
    store: &Store<S>,
    acknowledged: &BTreeMap<u32, u32>,
    from: &BTreeMap<u32, u32>,
) -> BTreeMap<u32, u32> {
    let reader = store.reader();
    let mut found = BTreeMap::new();
    for (&writer, &least) in acknowledged {
        let next = next_number(reader, writer);
        assert!(next >= least, "writer {writer} has {next} commits and {least} were acknowledged");
        for number in from.get(&writer).copied().unwrap_or(0)..next {
            for row in 0..row_count(writer, number) {
                let value = reader.get(&row_key(writer, number, row)).unwrap();
                assert!(
                    value.as_deref() == Some(row_value(writer, number, row).as_slice()),
                    "row {row} of commit {number} of writer {writer} is missing or wrong"
                );
            }
        }
        let beyond = crate::conformance::scan(reader, &row_key(writer, next, 0), &row_key(writer, u32::MAX, 255), 1);
        assert!(beyond.is_empty(), "writer {writer} has rows of a commit that is not there");
        found.insert(writer, next);
    }
    let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
    let mut last = Sequence(0);
    loop {
        let page = store.feed(last, 1000).unwrap();
        if page.is_empty() {
            break;
        }
        for (sequence, value) in page {
            assert_eq!(sequence, Sequence(last.0 + 1), "the feed has no holes");
            let writer = u32::from_be_bytes(value[..4].try_into().unwrap());
            let number = u32::from_be_bytes(value[4..].try_into().unwrap());
            assert_eq!(number, *seen.get(&writer).unwrap_or(&0), "the feed is in the order of the commits");
            seen.insert(writer, number + 1);
            last = sequence;
        }
    }
    assert_eq!(last, store.last_sequence());
    assert_eq!(store.commits(), last.0);
    seen.retain(|writer, _| found.contains_key(writer));
    found.retain(|_, count| *count > 0);
    assert_eq!(seen, found, "the feed holds what the rows hold");
    found
}
