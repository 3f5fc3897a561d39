//! Making a copy: the records of a request, sorted by type into sealed files. Runs in a thread of its own.

use super::file::CopyWriter;
use super::record::{CopyState, Record};
use super::running::Place;
use super::source::Source;
use super::{Copies, CopyRequest, Progress, make_private, remove_folder, unreadable};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::vault::Inner;
use crate::{EventKind, Outcome};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use tacet_types::{ResourceType, Timestamp};

/// Makes the copy and writes down how that ended, unless it was ended meanwhile.
pub(super) fn make(inner: &Inner, caller: &Caller, request: &CopyRequest, mut record: Record, place: &Place) {
    let Ok(copies) = inner.copies() else { return };
    let made = fill(inner, copies, caller, request, &mut record, &place.progress);
    let (outcome, what) = match &made {
        Ok(()) => (Outcome::Success, "made"),
        Err(_) => (Outcome::Failed, "given up"),
    };
    match &made {
        Ok(()) => record.state = CopyState::Done,
        Err(error) => {
            record.files.clear();
            record.state = CopyState::Failed(why(error, place.progress.is_given_up()).to_owned());
        }
    }
    let mut entry = caller.entry(inner.clock.now(), EventKind::Export, outcome, None);
    entry.detail = Some(record.described(what));
    entry.categories = record.files.iter().map(|file| file.resource_type).collect();
    entry.categories.sort_unstable();
    let kept = inner.finish_copy(&record, entry);
    if let Err(error) = &made
        && matches!(kept, Ok(true))
    {
        tracing::error!(operation = %caller.operation, cause = cause(error), "a copy could not be made");
    }
    if kept.is_err() {
        tracing::error!(operation = %caller.operation, "how a copy ended could not be written down");
    }
    // Without a row that says that it is done, nobody reads the files any more.
    if made.is_err() || !matches!(kept, Ok(true)) {
        let _ = remove_folder(&copies.folder(&record.id));
    }
}

fn why(error: &VaultError, given_up: bool) -> &'static str {
    match error {
        _ if given_up => "the server was stopped while it was made: ask for it again",
        VaultError::TooCostly { .. } => "its filters find too much: narrow them, or leave them out",
        VaultError::Indexing(_) | VaultError::Index(_) | VaultError::Definitions => {
            "the search index could not answer while it was made: ask for it again"
        }
        _ => "it could not be made: the server's log has more; ask for it again",
    }
}

/// For the log: of the system's own faults the kind, of ours their text, which names nobody.
fn cause(error: &VaultError) -> String {
    match std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(system) => format!("{:?}", system.kind()),
        None => error.to_string(),
    }
}

fn fill(
    inner: &Inner,
    copies: &Copies,
    caller: &Caller,
    request: &CopyRequest,
    record: &mut Record,
    progress: &Progress,
) -> Result<(), VaultError> {
    let folder = copies.folder(&record.id);
    make_private(&folder).map_err(unreadable)?;
    let note = record.described("is made");
    let found = inner.find(caller, request, progress)?;
    let started = Timestamp::from_ms(record.created_ms);
    let shared = HashSet::new();
    let mut source = Source { inner, caller, request, found, note: &note, started, progress, shared };
    let mut writers: BTreeMap<ResourceType, CopyWriter<'_>> = BTreeMap::new();
    {
        let record = &*record;
        source.run(&mut |disclosed| {
            let resource_type = disclosed.record.resource_type;
            if !writers.contains_key(&resource_type) {
                let number = u32::try_from(writers.len()).unwrap_or(u32::MAX);
                let rng = inner.rng.as_ref();
                let writer = CopyWriter::create(inner.keys.id, &folder, record, number, resource_type, rng)?;
                writers.insert(resource_type, writer);
            }
            writers.get_mut(&resource_type).map_or(Ok(()), |writer| writer.add(&disclosed.body))
        })?;
    }
    let mut files: Vec<(u32, super::CopyFile)> = Vec::new();
    for writer in writers.into_values() {
        let number = writer.number();
        files.push((number, writer.finish()?));
    }
    for directory in [&folder, &copies.directory] {
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(unreadable)?;
    }
    files.sort_by_key(|(number, _)| *number);
    record.files = files.into_iter().map(|(_, file)| file).collect();
    Ok(())
}
