//! Room on the disk: whether a restore has enough before anything comes, and that a full disk is called so where the engine only says that it stopped.

use crate::error::CliError;
use std::path::Path;

/// Free room below which an engine that gave up did so for want of it, in bytes: it writes tables and journals of up to 64 MiB, and one that did not fit is
/// removed again.
const FULL_BYTES: u64 = 256 << 20;

/// Room that a restored store takes, in tenths of its backup's bytes: journals, and tables that are written once more when they are merged.
const ROOM_TENTHS: u64 = 13;

/// What is said of the room before anything comes.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Room {
    Enough,
    /// It may do, and may not.
    Short(String),
    /// Not even what comes fits.
    None(String),
}

/// Bytes that are free for this user where `path` lies.
pub(super) fn free_bytes(path: &Path) -> Result<u64, CliError> {
    let disk =
        rustix::fs::statvfs(path).map_err(|error| CliError::file(path, "its free room is not known")(error.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Holds what comes against what is free.
pub(super) fn held_against(data: &Path, free_bytes: u64, bytes: u64) -> Room {
    let wanted = (bytes / 10).saturating_mul(ROOM_TENTHS);
    let says = || {
        format!(
            "{} MiB are free in `{}`, and what comes back has {} MiB: with journals some {} MiB",
            free_bytes >> 20,
            data.display(),
            bytes >> 20,
            wanted >> 20
        )
    };
    if free_bytes < bytes {
        return Room::None(format!("{}. Make room, or name a directory with more of it by `--data`", says()));
    }
    if free_bytes < wanted { Room::Short(says()) } else { Room::Enough }
}

/// Says that the disk is full, where that is why the restore ended.
pub(super) fn told(data: &Path, error: CliError) -> CliError {
    match free_bytes(data) {
        Ok(free_bytes) => told_of(data, free_bytes, error),
        Err(_) => error,
    }
}

fn told_of(data: &Path, free_bytes: u64, error: CliError) -> CliError {
    if error.is_full_disk() || (free_bytes < FULL_BYTES && error.is_of_engine()) {
        return CliError::DiskFull { path: data.to_owned(), free_bytes, source: Box::new(error) };
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_backup::BackupError;
    use tacet_store::StoreError;

    #[test]
    fn room_is_held_against_what_comes_and_both_figures_are_said() {
        let held = |free: u64| held_against(Path::new("d"), free << 20, 1000 << 20);
        assert_eq!(held(1300), Room::Enough);
        let (Room::Short(short), Room::None(none)) = (held(1200), held(999)) else { panic!("{:?}", held(1200)) };
        assert!(short.contains("1200 MiB are free") && short.contains("1300 MiB"), "{short}");
        assert!(none.contains("999 MiB are free") && none.contains("1000 MiB") && none.contains("Make room"), "{none}");
        assert!(matches!(held_against(Path::new("d"), u64::MAX, u64::MAX), Room::Enough), "no overflow");
    }

    #[test]
    fn an_engine_that_stopped_on_a_full_disk_is_told_as_that() {
        let failed = || CliError::Backup(BackupError::Store(StoreError::Failed));
        let told = told_of(Path::new("d"), FULL_BYTES - 1, failed());
        assert!(told.to_string().contains("the disk is full: 255 MiB"), "{told}");
        assert!(told.help_text().unwrap().contains("run the same command again"));
        assert!(matches!(told_of(Path::new("d"), FULL_BYTES, failed()), CliError::Backup(_)), "there is room");
        let full = CliError::Backup(BackupError::Store(StoreError::Full));
        assert!(matches!(told_of(Path::new("d"), FULL_BYTES, full), CliError::DiskFull { .. }), "it says so itself");
        let other = CliError::Backup(BackupError::Broken("x".to_owned()));
        assert!(matches!(told_of(Path::new("d"), 0, other), CliError::Backup(_)), "that is no matter of room");
    }
}
