//! No bytes are a paper pack but those that the hospital signed; and whatever a record says of the sheet that it comes from, reading it ends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_continuity::code::SheetCode;
use tacet_continuity::{container, late};
use tacet_fhir::json::{Limits, parse};
use tacet_tlog::SignerKey;
use tacet_tlog::note::SignatureType;
use tacet_types::Timestamp;
use zeroize::Zeroizing;

fuzz_target!(|data: &[u8]| {
    let signer =
        SignerKey::from_seed("tacet-packs/fuzz", SignatureType::Ed25519, Zeroizing::new([7; 32])).expect("a key");
    let keys = [signer.verifier()];
    for begin in [b"".as_slice(), b"tacet-pack/1\n"] {
        assert!(container::open(&[begin, data].concat(), &keys).is_err());
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(code) = SheetCode::parse(text)
    {
        // What is read as a code is written the same, and bears one mark at most of these two.
        assert_eq!(SheetCode::parse(code.as_str()), Some(code.clone()));
        assert!(!(code.bears([1; 4]) && code.bears([2; 4])));
    }
    if let Ok(record) = parse(data, &Limits::default()) {
        let now = Timestamp::from_ms(1_760_000_000_000);
        let (wrong, sheets) = (late::wrong(&record, now), late::sheets(&record));
        assert!(sheets.len() <= late::SHEETS_MAX);
        // What names no sheet is never held to one, and what is in order is in order later too.
        if sheets.is_empty() {
            assert!(matches!(wrong, None | Some(late::Wrong::Code | late::Wrong::TooMany)));
        }
        if wrong.is_none() {
            assert_eq!(late::wrong(&record, now.plus_ms(86_400_000)), None);
        }
    }
});
