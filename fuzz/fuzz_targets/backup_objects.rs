//! Segments and manifests of a backup: what reads back is what was written, and no bytes are one by chance.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_backup::{ObjectName, SegmentIndex, SegmentWriter, Signed};

fuzz_target!(|data: &[u8]| {
    // As an object under a name that is in it, as somebody would make one.
    if let Some(at) = data.len().checked_sub(40)
        && let Some(name) = data.get(at..at + 32).and_then(|name| <[u8; 32]>::try_from(name).ok())
        && let Ok(index) = SegmentIndex::of(&name, data)
    {
        let mut writer = SegmentWriter::new();
        let mut rows = 0;
        if index
            .rows(data, &mut |row| {
                writer.push(&row.key, row.value.as_deref());
                rows += 1;
            })
            .is_ok()
        {
            let again = writer.finish().unwrap();
            assert!(rows > 0 && again.spaces == index.spaces && again.last == index.last);
        }
    }
    for name in ["snapshots/000000000001-0000000000000000.json", "keys/000000000001-0000000000000000.json"] {
        let name = ObjectName::parse(name).unwrap();
        if let Ok(signed) = Signed::read(&name, data) {
            assert_eq!(signed.unverified().name(), name);
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(
            ObjectName::parse(text)
                .is_none_or(|name| !name.as_str().contains("..//") && !name.as_str().starts_with('/'))
        );
    }
});
