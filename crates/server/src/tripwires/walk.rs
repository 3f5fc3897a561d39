//! A bounded walk of a data directory, and reading what a look asks of it.

use super::{is_gone, open_at_once};
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use tacet_tripwire::species::{HEAD_BYTES, STAYING, Species};
use tacet_tripwire::{Answer, FileSeen, Question, decoy, places, print};

/// Most files of a walk. A store of a large hospital has some thousands.
const FILES_MAX: usize = 200_000;

/// How deep the program's own directories go, and a little more.
const DEPTH_MAX: usize = 10;

/// Longest settings that are looked at, in bytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Every file of a data directory but decoys, and but what is nobody's and lies in or at one of these places, which the settings name. Of links only
/// those at the top are followed, by which an operator puts a part on another disk.
///
/// # Errors
/// A directory that cannot be read, and one with more files than a walk takes.
pub(super) fn files(data: &Path, kept: &[String]) -> io::Result<Vec<FileSeen>> {
    let mut files = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match std::fs::read_dir(data.join(&folder)) {
            Ok(entries) => entries,
            // It went between being listed and being read.
            Err(error) if is_gone(&error) && depth > 0 => continue,
            // Nobody's folder that nobody else may read, such as `lost+found` of a disk: it must not hide everything else from the look.
            Err(error) if is_foreign(&folder) && error.kind() == io::ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let path = if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
            if decoy::NAMES.contains(&path.as_str()) {
                continue;
            }
            if Species::of(&path) == Species::Foreign && is_kept(&path, kept) {
                continue;
            }
            if files.len() + folders.len() >= FILES_MAX {
                return Err(io::Error::from(io::ErrorKind::QuotaExceeded));
            }
            let found = match entry.metadata() {
                Ok(found) if found.is_symlink() && depth == 0 => std::fs::metadata(entry.path()),
                found => found,
            };
            match found {
                Ok(found) if found.is_dir() && depth < DEPTH_MAX => folders.push((path, depth + 1)),
                Ok(found) => files.push(seen(path, &found)),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
    for path in STAYING {
        // A walk may miss a file that is replaced meanwhile.
        if !files.iter().any(|file| file.path == path)
            && let Ok(found) = std::fs::symlink_metadata(data.join(path))
        {
            files.push(seen(path.to_owned(), &found));
        }
    }
    Ok(files)
}

/// Directories of the program: nothing in the settings makes what is foreign in there the operator's.
const OURS: [&str; 4] = ["store", "index", "ledger-index", "copies"];

/// Whether a path is one of these or below one, and outside of the program's own directories.
fn is_kept(path: &str, kept: &[String]) -> bool {
    let ours = path.split('/').next().is_some_and(|first| OURS.contains(&first));
    !ours
        && kept
            .iter()
            .any(|kept| path.strip_prefix(kept.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Whether nothing of the program's lies in a folder.
fn is_foreign(folder: &str) -> bool {
    let top = folder.split('/').next().unwrap_or_default();
    !["", "store", "index", "ledger-index", "copies"].contains(&top)
}

pub(super) fn seen(path: String, found: &Metadata) -> FileSeen {
    let ns = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    FileSeen {
        path,
        bytes: found.len(),
        modified_ns: ns(found.mtime(), found.mtime_nsec()),
        changed_ns: ns(found.ctime(), found.ctime_nsec()),
        inode: found.ino(),
    }
}

/// Reads what is asked. What cannot be read has no answer.
pub(super) fn answers(data: &Path, questions: Vec<Question>) -> Vec<Answer> {
    questions.into_iter().filter_map(|question| answer(data, question).ok()).collect()
}

fn answer(data: &Path, question: Question) -> io::Result<Answer> {
    Ok(match question {
        Question::Head(path) => {
            let mut head = Vec::with_capacity(HEAD_BYTES);
            open_at_once(&data.join(&path))?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
            Answer::Head(path, head)
        }
        Question::Print(path, bytes) => {
            let file = open_at_once(&data.join(&path))?;
            let mut pieces = Vec::new();
            for (at, length) in places(bytes) {
                let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
                file.read_exact_at(&mut piece, at)?;
                pieces.push(piece);
            }
            Answer::Print(path, print(pieces.iter().map(Vec::as_slice)))
        }
        Question::Text(path) => {
            let mut text = Vec::new();
            open_at_once(&data.join(&path))?.take(TEXT_BYTES_MAX).read_to_end(&mut text)?;
            let plain = |text: &str| text.chars().all(|letter| !letter.is_control() || "\n\r\t".contains(letter));
            Answer::Text(path, std::str::from_utf8(&text).is_ok_and(plain))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_programs_is_never_passed_over() {
        for folder in ["", "store", "store/fjall/keyspaces/1", "index/0011", "ledger-index", "copies/0011"] {
            assert!(!is_foreign(folder), "{folder}");
        }
        assert!(is_foreign("lost+found") && is_foreign("storey"));
    }
}
