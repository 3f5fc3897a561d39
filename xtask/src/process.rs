//! What the kernel says of a process: processor time and memory. Linux only, like the figures that are published.

use crate::Outcome;
use std::collections::BTreeMap;
use std::path::Path;

/// Ticks a second in `/proc/<pid>/stat`: Linux shows 100 to programs on every machine we build for (`USER_HZ`, proc(5)).
const TICKS_PER_S: f64 = 100.0;

/// Number of the first field behind the command's name in `/proc/<pid>/stat` (proc(5)).
const FIRST_FIELD_AFTER_NAME: usize = 3;

/// Number of the field `utime`, which `stime` follows.
const OWN_FIELD: usize = 14;

/// Number of the field `cutime`, which `cstime` follows.
const CHILDREN_FIELD: usize = 16;

/// Processor time that a process has used so far, user and system, in seconds. Threads that ended are counted.
pub(crate) fn cpu_s(pid: u32) -> Outcome<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_ticks_s(&stat, OWN_FIELD).ok_or_else(|| format!("/proc/{pid}/stat has an unknown shape").into())
}

/// Processor time of the threads of a process that run now, in seconds by name; those that differ by a number at their end together.
pub(crate) fn threads_cpu_s(pid: u32) -> Outcome<BTreeMap<String, f64>> {
    let mut threads: BTreeMap<String, f64> = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // One that ends meanwhile is none.
        let Ok(stat) = std::fs::read_to_string(entry?.path().join("stat")) else { continue };
        let (Some(name), Some(cpu_s)) = (parse_name(&stat), parse_ticks_s(&stat, OWN_FIELD)) else {
            return Err(format!("/proc/{pid}/task has an unknown shape").into());
        };
        *threads.entry(name.to_owned()).or_default() += cpu_s;
    }
    Ok(threads)
}

/// The name in a `stat`, without a number at its end.
fn parse_name(stat: &str) -> Option<&str> {
    let (before, _) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    Some(name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '#'))
}

/// Processor time of this process's children that have ended, in seconds.
pub(crate) fn children_cpu_s() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    parse_ticks_s(&stat, CHILDREN_FIELD).ok_or_else(|| "/proc/self/stat has an unknown shape".into())
}

/// A field and the one after it, counted from behind the command's name, which may hold spaces and brackets.
fn parse_ticks_s(stat: &str, field: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(field - FIRST_FIELD_AFTER_NAME);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) as f64 / TICKS_PER_S)
}

/// Memory of a process: resident now, and the most it has been, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Outcome<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| parse_kib(&status, name).map(|kib| kib * 1024);
    match (field("VmRSS:"), field("VmHWM:")) {
        (Some(now), Some(most)) => Ok((now, most)),
        _ => Err(format!("/proc/{pid}/status has an unknown shape").into()),
    }
}

fn parse_kib(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Bytes that a folder takes on the disk, by the blocks its files occupy.
pub(crate) fn disk_bytes(folder: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt;
    /// Unit of `st_blocks`, in bytes (stat(2)).
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * BLOCK_BYTES };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 40 10 20 0 1 0 1 2 3";
        assert_eq!(parse_ticks_s(stat, OWN_FIELD), Some(2.0));
        assert_eq!(parse_ticks_s(stat, CHILDREN_FIELD), Some(0.5));
        assert_eq!(parse_ticks_s("7 (a S 1", OWN_FIELD), None);
        assert_eq!((parse_name(stat), parse_name("8 (store-12) S 1")), (Some("a) b (c"), Some("store")));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!((parse_kib(status, "VmRSS:"), parse_kib(status, "VmHWM:")), (Some(1024), Some(2048)));
        assert_eq!(parse_kib(status, "VmSwap:"), None);
    }

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("inner/file"), vec![1; 10_000]).unwrap();
        assert!(disk_bytes(folder.path()).unwrap() >= 8_192);
    }
}
