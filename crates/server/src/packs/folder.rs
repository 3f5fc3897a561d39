//! Where packs lie: a folder that workstations copy from or share. The latest has a name that stays, and is never half there.
//!
//! ```text
//! ward-<id>.tacetpack              the latest
//! ward-<id>-<serial>.tacetpack     it and those before, as many as are kept; serial numbers sort by time
//! .ward-<id>.new                   being written
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How the names of packs end.
const END: &str = ".tacetpack";

/// Mode of a pack: sealed, and to be fetched by others.
const MODE: u32 = 0o644;

/// Puts a pack in the place of the one before, and lets go of those that are past `keep`.
pub(super) fn put(folder: &Path, id: &str, serial: &str, sealed: &[u8], keep: usize) -> io::Result<()> {
    let latest = format!("ward-{id}{END}");
    if keep > 1 {
        write(folder, id, &format!("ward-{id}-{serial}{END}"), sealed)?;
    }
    write(folder, id, &latest, sealed)?;
    File::open(folder)?.sync_all()?;
    let begin = format!("ward-{id}-");
    let mut kept: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // A ward's id may begin with another's: only what has the form of a serial number is of this one.
        let middle = name.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(END));
        if middle.is_some_and(is_serial) {
            kept.push(name);
        }
    }
    kept.sort_unstable();
    for name in kept.iter().rev().skip(if keep > 1 { keep } else { 0 }) {
        fs::remove_file(folder.join(name))?;
    }
    Ok(())
}

/// Whether a text has the form `20261122-1205-7K3Q`.
fn is_serial(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4] && parts.iter().take(2).all(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn write(folder: &Path, id: &str, name: &str, sealed: &[u8]) -> io::Result<()> {
    let new = folder.join(format!(".ward-{id}.new"));
    // One that was left by a stop in the middle.
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&new)?;
    let written = file.write_all(sealed).and_then(|()| file.sync_all());
    let put = written.and_then(|()| fs::rename(&new, folder.join(name)));
    if put.is_err() {
        let _ = fs::remove_file(&new);
    }
    put
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_latest_stays_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join(".ward-a.new"), b"left by a stop").unwrap();
        for (minute, content) in [(1, b"one"), (2, b"two"), (3, b"six")] {
            put(folder, "a", &format!("20261122-120{minute}-AAAA"), content, 2).unwrap();
            put(folder, "a-b", &format!("20261122-120{minute}-AAAA"), content, 1).unwrap();
        }
        fs::write(folder.join("ward-a-notes.tacetpack"), b"of somebody else").unwrap();
        put(folder, "a", "20261122-1204-AAAA", b"end", 2).unwrap();
        assert_eq!(fs::read(folder.join("ward-a.tacetpack")).unwrap(), b"end");
        assert_eq!(
            names(folder),
            [
                "ward-a-20261122-1203-AAAA.tacetpack",
                "ward-a-20261122-1204-AAAA.tacetpack",
                "ward-a-b.tacetpack",
                "ward-a-notes.tacetpack",
                "ward-a.tacetpack"
            ]
        );
        assert!(put(&folder.join("absent"), "a", "20261122-1205-AAAA", b"x", 2).is_err());
    }
}
