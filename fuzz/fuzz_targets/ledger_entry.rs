//! An entry's bytes have one reading, and an entry one writing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_ledger::Entry;

fuzz_target!(|data: &[u8]| {
    if let Ok(entry) = Entry::decode(data) {
        assert_eq!(entry.encode().expect("an entry that was read cannot be written"), data);
    }
});
