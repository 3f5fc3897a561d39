//! Where packs lie: a folder that workstations copy from or share. The latest has a name that stays, and is never half there.
//!
//! ```text
//! ward-<id>.tacetpack              the latest
//! ward-<id>-<serial>.tacetpack     it and those before, as many as are kept; serial numbers sort by time
//! .ward-<id>.new                   being written
//! .wards-<establishment>           ids of the wards whose packs this hospital's server puts here, one a line
//! ```
//!
//! Several servers may share a folder, so packs of a ward that is in no settings are let go of only where the list says that they are this server's.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::UNIX_EPOCH;
use tacet_continuity::code::serial;
use tacet_types::Timestamp;

/// How the names of packs end.
const END: &str = ".tacetpack";

/// Mode of a pack: sealed, and to be fetched by others.
const MODE: u32 = 0o644;

/// Length of the part of a serial number that is its time: `20261122-1205`.
const TIME_BYTES: usize = 13;

/// Longest list of wards that is read, in bytes: far more than there may be wards.
const LIST_BYTES_MAX: u64 = 64 << 10;

/// Digits of the establishment in the name of its list.
const OWN_DIGITS: usize = 16;

/// Puts a pack in the place of the one before, and lets go of those that are past `keep`.
pub(super) fn put(folder: &Path, id: &str, serial: &str, sealed: &[u8], keep: usize) -> io::Result<()> {
    let own = format!("ward-{id}-{serial}{END}");
    if keep > 1 {
        write(folder, id, &own, sealed)?;
    }
    write(folder, id, &format!("ward-{id}{END}"), sealed)?;
    File::open(folder)?.sync_all()?;
    // This one first, then those before it, the latest first. Last, and so the first to go, what a clock made that was ahead: as many as it made, they must not
    // push out the true ones.
    let mut kept = numbered(folder, id)?;
    kept.retain(|(name, _)| *name != own);
    kept.sort_by_key(|(name, of)| (of.get(..TIME_BYTES) > serial.get(..TIME_BYTES), std::cmp::Reverse(name.clone())));
    for (name, _) in kept.iter().skip(keep.saturating_sub(1)) {
        fs::remove_file(folder.join(name))?;
    }
    Ok(())
}

/// The packs of a ward that have a serial number: name and number.
fn numbered(folder: &Path, id: &str) -> io::Result<Vec<(String, String)>> {
    let begin = format!("ward-{id}-");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // A ward's id may begin with another's: only what has the form of a serial number is of this one.
        let middle = name.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(END)).map(str::to_owned);
        found.extend(middle.filter(|middle| is_serial(middle)).map(|middle| (name, middle)));
    }
    Ok(found)
}

/// Lets go of packs that this server put here for wards that are in its settings no more, once they are not to be trusted any longer, and keeps the list of its wards.
/// Says of how many wards packs went.
pub(super) fn sweep(
    folder: &Path,
    establishment: &str,
    wards: &BTreeSet<&str>,
    (now, trusted_ms): (Timestamp, i64),
) -> io::Result<usize> {
    let list = folder.join(format!(".wards-{}", establishment.get(..OWN_DIGITS).unwrap_or(establishment)));
    let mut text = String::new();
    match File::open(&list) {
        Ok(file) => {
            file.take(LIST_BYTES_MAX).read_to_string(&mut text)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listed: BTreeSet<&str> = text.lines().filter(|id| super::is_ward_id(id)).collect();
    let minute = |at: Timestamp| serial(at, [0; 4]).get(..TIME_BYTES).map(str::to_owned).unwrap_or_default();
    let (trusted_since, latest) = (minute(now.plus_ms(-trusted_ms)), minute(now));
    let (mut left, mut went) = (wards.clone(), 0);
    for id in listed.difference(wards) {
        let mut stays = false;
        for (name, of) in numbered(folder, id)? {
            let at = of.get(..TIME_BYTES).unwrap_or_default();
            // One of later than now is of a clock that was ahead: nobody knows from when it is.
            if at < trusted_since.as_str() || at > latest.as_str() {
                fs::remove_file(folder.join(name))?;
            } else {
                stays = true;
            }
        }
        let last = folder.join(format!("ward-{id}{END}"));
        match fs::metadata(&last) {
            Ok(found) => {
                let written = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                let end_ms = i64::try_from(written).unwrap_or(i64::MAX).saturating_add(trusted_ms);
                if stays || end_ms >= now.as_ms() {
                    stays = true;
                } else {
                    fs::remove_file(&last)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if stays {
            left.insert(id);
        } else {
            went += 1;
        }
    }
    if left != listed {
        let text: String = left.iter().map(|id| format!("{id}\n")).collect();
        let new = list.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &list)?;
    }
    Ok(went)
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

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn packs_of_a_clock_that_was_ahead_push_out_no_true_ones() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for minute in 1..=4 {
            put(folder, "a", &format!("20281122-120{minute}-AAAA"), b"ahead", 3).unwrap();
        }
        for minute in 1..=2 {
            put(folder, "a", &format!("20261122-120{minute}-AAAA"), b"true", 3).unwrap();
        }
        assert_eq!(
            names(folder),
            [
                "ward-a-20261122-1201-AAAA.tacetpack",
                "ward-a-20261122-1202-AAAA.tacetpack",
                "ward-a-20281122-1204-AAAA.tacetpack",
                "ward-a.tacetpack"
            ]
        );
        // Several within a minute: the one that was put is never what goes.
        put(folder, "a", "20261122-1203-ZZZZ", b"true", 3).unwrap();
        put(folder, "a", "20261122-1203-AAAA", b"last", 2).unwrap();
        assert_eq!(
            names(folder),
            ["ward-a-20261122-1203-AAAA.tacetpack", "ward-a-20261122-1203-ZZZZ.tacetpack", "ward-a.tacetpack"]
        );
        assert_eq!(fs::read(folder.join("ward-a.tacetpack")).unwrap(), b"last");
    }

    #[test]
    fn packs_of_a_ward_that_was_taken_out_go_once_they_are_past_trust() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        const OWN: &str = "00112233445566778899aabbccddeeff";
        let hour_ms = 3_600_000;
        let both: BTreeSet<&str> = ["a", "b"].into();
        let only: BTreeSet<&str> = ["a"].into();
        for (id, keep) in [("a", 3), ("b", 3), ("b-c", 3), ("d", 1)] {
            for minute in 1..=2 {
                put(folder, id, &format!("20261122-120{minute}-AAAA"), b"x", keep).unwrap();
            }
        }
        let written = |name: &str, at: Timestamp| {
            let ms = u64::try_from(at.as_ms()).unwrap();
            let file = File::options().write(true).open(folder.join(name)).unwrap();
            file.set_modified(UNIX_EPOCH + std::time::Duration::from_millis(ms)).unwrap();
        };
        for name in ["ward-a.tacetpack", "ward-b.tacetpack", "ward-b-c.tacetpack", "ward-d.tacetpack"] {
            written(name, at("2026-11-22T12:02:30Z"));
        }
        let sweep =
            |wards: &BTreeSet<&str>, now: &str| super::sweep(folder, OWN, wards, (at(now), 12 * hour_ms)).unwrap();
        let all = names(folder).len();
        assert_eq!(sweep(&both, "2026-11-22T12:03:00Z"), 0);
        // Taken out: still to be trusted for some hours, in case it was a slip.
        assert_eq!(sweep(&only, "2026-11-22T14:00:00Z"), 0);
        assert_eq!(names(folder).len(), all + 1);
        put(folder, "b", "20281122-1200-AAAA", b"ahead", 3).unwrap();
        written("ward-b.tacetpack", at("2026-11-22T12:02:30Z"));
        assert_eq!(sweep(&only, "2026-11-23T00:03:00Z"), 1);
        let left: Vec<String> = names(folder).into_iter().filter(|name| name.starts_with("ward-b")).collect();
        // What another server puts here, of a ward that no settings name, stays.
        assert_eq!(
            left,
            ["ward-b-c-20261122-1201-AAAA.tacetpack", "ward-b-c-20261122-1202-AAAA.tacetpack", "ward-b-c.tacetpack"]
        );
        assert!(folder.join("ward-a.tacetpack").exists() && folder.join("ward-d.tacetpack").exists());
        assert_eq!(sweep(&only, "2026-11-24T00:00:00Z"), 0);
        assert_eq!(fs::read_to_string(folder.join(".wards-0011223344556677")).unwrap(), "a\n");
        // A list that somebody wrote into leads out of the folder nowhere.
        fs::write(folder.join(".wards-0011223344556677"), "../x\na\n\n").unwrap();
        assert_eq!(sweep(&only, "2026-11-24T00:00:00Z"), 0);
    }
}
