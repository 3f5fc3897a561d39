//! An entry's bytes have one reading, and an entry one writing; and so has the row of a month's key.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_ledger::{Entry, EpochRow};

fuzz_target!(|data: &[u8]| {
    if let Ok(entry) = Entry::decode(data) {
        assert_eq!(entry.encode().expect("an entry that was read cannot be written"), data);
    }
    if let Some(row) = EpochRow::parse(data) {
        assert_eq!(row.encode(), data);
    }
});
