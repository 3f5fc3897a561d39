//! The attacker at a bucket of an object store: every request by which something might go, under the server's credential.

use super::{CENTURY_MS, Credential, planted};
use crate::commands::drill::ransomware::places::Place;
use crate::commands::drill::ransomware::stage::{Stage, noise};
use crate::commands::drill::ransomware::{cannot, now_ms};
use crate::error::CliError;
use tacet_backup::targets::{Attempt, S3};
use tacet_backup::{ObjectName, Target, TargetError};
use tacet_types::Timestamp;

/// Milliseconds of a minute: how long a lock would last that is cut short.
const MINUTE_MS: i64 = 60_000;

/// Objects of a place on which everything is tried: each try is some requests over a network. Whether anything is gone is looked at on all of them.
const TRIED_MAX: usize = 8;

/// What is tried on an object.
fn on_object() -> [(&'static str, Attempt); 6] {
    let soon = Timestamp::from_ms(now_ms() + MINUTE_MS);
    [
        ("an object was removed", Attempt::Remove),
        ("the version of an object that counts was removed", Attempt::RemoveFirst),
        ("objects were removed in one request", Attempt::RemoveMany),
        ("a lock was cut short", Attempt::CutLock(soon)),
        ("a lock was made one that can be lifted", Attempt::LoosenLock(Timestamp::from_ms(now_ms() + CENTURY_MS))),
        ("a lock was taken away", Attempt::DropLock),
    ]
}

/// What is tried on the bucket.
const ON_BUCKET: [(&str, Attempt); 5] = [
    ("the bucket no longer keeps versions", Attempt::SuspendVersions),
    ("the bucket lets its objects expire", Attempt::Expire),
    ("the bucket locks nothing any more", Attempt::UnlockBucket),
    ("the bucket has another policy", Attempt::OpenBucket),
    ("the bucket was removed", Attempt::RemoveBucket),
];

pub(super) fn on_bucket(stage: &Stage, store: &S3, place: Place, outcome: &mut Credential) -> Result<(), CliError> {
    let names = stage.places.objects(place)?;
    if names.is_empty() {
        return Err(cannot("the backup is empty, so nothing can be tried on it"));
    }
    let failed = |error: TargetError| CliError::other("the drill's store does not answer", error);
    let mut must = |what: &str, name: &ObjectName, attempt: &Attempt| {
        let done = store.attempt(name, attempt).map_err(failed)?;
        outcome.must(what, !done);
        Ok::<_, CliError>(())
    };
    let step = (names.len() / TRIED_MAX).max(1);
    let tried: Vec<&ObjectName> = names.iter().rev().step_by(step).map(|(name, _)| name).collect();
    for name in &tried {
        for (what, attempt) in on_object() {
            must(what, name, &attempt)?;
        }
    }
    let first = tried.first().ok_or_else(|| cannot("the backup is empty"))?;
    for (what, attempt) in ON_BUCKET {
        must(what, first, &attempt)?;
    }
    // A store lets whoever may put put again. What lies below is what counts, and is what a restore reads.
    for name in &tried {
        for rubbish in [noise(500), Vec::new()] {
            outcome.added += u64::from(store.attempt(name, &Attempt::WriteOver(rubbish)).map_err(failed)?);
        }
        // Now that there are versions.
        let removed = store.attempt(name, &Attempt::RemoveFirst).map_err(failed)?;
        outcome.must("the version of an object that counts was removed from under another", !removed);
    }
    for (name, text) in planted(place)? {
        outcome.added += u64::from(store.put_new(&name, &text, None).is_ok());
    }
    Ok(())
}
