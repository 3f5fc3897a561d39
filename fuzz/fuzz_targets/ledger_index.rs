//! The parts of the ledger's index are read or refused, whatever their bytes; what is read and written again is the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_ledger::index::{CHUNK_BYTES, ChunkWriter, Manifest, Marks, decode_tops, encode_tops, runs};

fuzz_target!(|data: &[u8]| {
    if let Ok(manifest) = Manifest::decode(data) {
        assert_eq!(&*manifest.encode(), data, "a manifest has one writing");
    }
    let mut chunk = data.to_vec();
    chunk.resize(CHUNK_BYTES, 0);

    let mut postings = Vec::new();
    let whole = runs(&chunk, 7).try_for_each(|run| {
        let run = run?;
        let mut entries = Vec::new();
        run.entries(&mut entries)?;
        postings.extend(entries.into_iter().map(|entry| (run.key, entry)));
        Ok::<(), tacet_ledger::index::Malformed>(())
    });
    if whole.is_ok() {
        assert!(postings.is_sorted(), "postings come in order");
        let mut writer = ChunkWriter::new(7);
        let mut read = Vec::new();
        let mut take = |chunk: &[u8]| {
            for run in runs(chunk, 7) {
                let run = run.expect("what was written is read");
                let mut entries = Vec::new();
                run.entries(&mut entries).expect("what was written is read");
                read.extend(entries.into_iter().map(|entry| (run.key, entry)));
            }
        };
        for (key, entry) in &postings {
            if let Some((_, full)) = writer.push(*key, *entry).expect("they are in order") {
                take(&full);
            }
        }
        if let Some((_, full)) = writer.finish() {
            take(&full);
        }
        assert_eq!(read, postings);
    }

    let mut tops = Vec::new();
    if decode_tops(&chunk, data.len() / 16, &mut tops).is_ok() && !tops.is_empty() {
        let again = encode_tops(&tops);
        assert!(again.concat().starts_with(&chunk[..tops.len() * 16]));
    }
    let mut marks = Marks::default();
    if marks.decode(&chunk, data.len() / 24).is_ok() && !marks.as_slice().is_empty() {
        assert!(marks.encode().concat().starts_with(&chunk[..marks.as_slice().len() * 24]));
    }
});
