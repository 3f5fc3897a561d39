//! Notes, checkpoints, receipts, requests to witnesses, keys and paths have one reading and one writing; bundles and tiles too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_tlog::note::{Note, Signature};
use tacet_tlog::tile::{Resource, TILE_WIDTH, decode_bundle, decode_tile, encode_tile, push_entry};
use tacet_tlog::witness::AddCheckpoint;
use tacet_tlog::{Checkpoint, Receipt, SignedCheckpoint, SignerKey, VerifierKey};

fuzz_target!(|data: &[u8]| {
    if let Ok(note) = Note::parse(data) {
        assert_eq!(note.encode().as_bytes(), data);
        assert!(note.verify(&[]).is_err(), "nobody is trusted");
    }
    if let Ok(signed) = SignedCheckpoint::parse(data) {
        assert_eq!(signed.encode().as_bytes(), data);
        assert_eq!(signed.checkpoint().text(), signed.note().text());
    }
    if let Ok(receipt) = Receipt::parse(data) {
        assert_eq!(receipt.encode().as_bytes(), data);
    }
    if let Ok(request) = AddCheckpoint::parse(data) {
        assert_eq!(request.encode().as_bytes(), data);
        assert!(request.decide(&[], None).is_err(), "no log is known");
    }
    if let Ok(opening) = tacet_ledger::Opening::parse(data) {
        assert_eq!(opening.encode(), data);
        let _ = (opening.leaf(), opening.entry().is_ok());
    }
    let _ = Signature::parse_lines(data);
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(checkpoint) = Checkpoint::parse(text) {
            assert_eq!(checkpoint.text(), text);
        }
        if let Some(resource) = Resource::parse(text) {
            assert_eq!(resource.to_string(), text);
        }
        if let Ok(key) = VerifierKey::parse(text) {
            assert_eq!(key.to_string(), text);
        }
        if let Ok(key) = SignerKey::parse(text) {
            assert_eq!(key.to_skey().as_str(), text);
        }
    }
    let Some((width, rest)) = data.split_first() else { return };
    let width = u16::from(*width).clamp(1, TILE_WIDTH);
    if let Ok(hashes) = decode_tile(rest, width) {
        assert_eq!(encode_tile(&hashes), rest);
    }
    if let Ok(entries) = decode_bundle(rest, width) {
        let mut again = Vec::new();
        entries
            .iter()
            .for_each(|entry| push_entry(&mut again, entry).expect("an entry that was read cannot be written"));
        assert_eq!(again, rest);
    }
});
