//! Where the chains stand at a start: from what was noted, or from the targets. What is missing or damaged there is said, and does not keep the backup from
//! going on with a base.

use super::whole::Known;
use super::{Backup, Latest};
use crate::catalog;
use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{Kind, Manifest, ManifestRef, Signed, manifest_name, manifest_prefix};
use crate::target::{Target, TargetError};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most missing snapshots that are told at a start; `verify` names all.
const MISSING_MAX: usize = 100;

impl Backup {
    pub(super) fn find(&mut self, class: Class, noted: Option<ManifestRef>) -> Result<Option<Latest>, BackupError> {
        let target = self.target(class);
        if let Some(reference) = noted {
            *self.highest(class) = reference.number;
            let object = manifest_name(class, reference.number, &reference.id);
            match catalog::load(target.as_ref(), &object) {
                Ok(signed) if signed.reference() == reference => return self.latest(class, &signed).map(Some),
                Err(BackupError::Target(error)) if !matches!(error, TargetError::Absent(_)) => return Err(error.into()),
                _ => {
                    tracing::error!(%object, "A SNAPSHOT IS MISSING from the backup's target, or is another one: find out who did that");
                    self.vanished.push(reference);
                }
            }
        }
        let listed = catalog::list_snapshots(target.as_ref(), class)?;
        // What the store has now need not follow from there.
        self.base_due = Some("it is not known how the store follows from the last snapshot");
        let mut of_others = None;
        for listing in listed.iter().rev() {
            let found = catalog::load(target.as_ref(), &listing.object);
            match found.and_then(|signed| signed.verify(&self.source.signer.public()).map(|_| ()).map(|()| signed)) {
                Ok(signed) => {
                    // Numbers right after it may have been ours and be damaged. One far away is somebody else's: it must not take all numbers away.
                    let taken: BTreeSet<u64> = listed.iter().map(|listing| listing.number).collect();
                    let mut last = signed.unverified().number;
                    while taken.contains(&last.saturating_add(1)) {
                        last = last.saturating_add(1);
                    }
                    let highest = self.highest(class);
                    *highest = (*highest).max(last);
                    tracing::info!(
                        number = listing.number,
                        target = target.describe(),
                        "the backup goes on after what is on its target"
                    );
                    return self.latest(class, &signed).map(Some);
                }
                Err(error @ (BackupError::Damaged { .. } | BackupError::Signature(_) | BackupError::Format { .. })) => {
                    tracing::error!(object = %listing.object, %error, "A SNAPSHOT IS NOT WHAT WAS WRITTEN: find out who changed it or put it there");
                    if !matches!(error, BackupError::Damaged { .. }) {
                        of_others.get_or_insert(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        // Nothing of ours: it is the target of somebody else.
        of_others.map_or(Ok(None), Err)
    }

    /// Highest number that is known to be taken.
    fn highest(&mut self, class: Class) -> &mut u64 {
        if class == Class::Key { &mut self.highest_keys } else { &mut self.highest_content }
    }

    pub(super) fn latest(&mut self, class: Class, signed: &Signed) -> Result<Latest, BackupError> {
        let manifest = signed.verify(&self.source.signer.public())?;
        if manifest.establishment() != self.source.establishment {
            let text = "the target has the backup of another establishment: give each its own";
            return Err(BackupError::Settings(text.to_owned()));
        }
        let target = self.target(class);
        let base = if manifest.kind == Kind::Base { Some(signed.clone()) } else { self.base_of(&target, manifest)? };
        let missing = missing_between(target.as_ref(), class, manifest.base, manifest.number)?;
        let unreadable = (base.is_none() && !missing.contains(&manifest.base)).then_some(manifest.base);
        for number in missing.into_iter().chain(unreadable) {
            let id = "0".repeat(16);
            tracing::error!(
                number,
                "A SNAPSHOT IS MISSING from the backup's target, or is another one: find out who did that"
            );
            self.vanished.push(ManifestRef { number, id, sha256: [0; 32] });
        }
        if let Some(base) = &base {
            *self.known_of(class) = Known::of(class, &base.unverified().segments);
        }
        Ok(Latest {
            reference: signed.reference(),
            to: manifest.to,
            base: manifest.base,
            base_time: base.map_or(manifest.time(), |base| base.unverified().time()),
            ledger: manifest.ledger,
            recovery: manifest.recovery.clone(),
        })
    }

    /// Numbers of key copies, of those that a restore needs now, that are not on their target any more: some of them, where they are many.
    ///
    /// # Errors
    /// The target's.
    pub fn keys_missing(&self) -> Result<Vec<u64>, BackupError> {
        let Some(latest) = &self.keys else { return Ok(Vec::new()) };
        missing_between(self.target(Class::Key).as_ref(), Class::Key, latest.base, latest.reference.number)
    }

    /// The base of a log's chain; none where it is not there as it was written.
    fn base_of(&self, target: &Arc<dyn Target>, log: &Manifest) -> Result<Option<Signed>, BackupError> {
        for listing in catalog::list_number(target.as_ref(), log.class(), log.base)? {
            match catalog::load(target.as_ref(), &listing.object) {
                Ok(base) if base.verify(&self.source.signer.public()).is_ok() => return Ok(Some(base)),
                Err(BackupError::Target(error)) => return Err(error.into()),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Numbers of a chain of which there is no snapshot, at most [`MISSING_MAX`].
fn missing_between(target: &dyn Target, class: Class, base: u64, last: u64) -> Result<Vec<u64>, BackupError> {
    // Numbers stand in names with all their digits: what the first and the last have in common, all between them have.
    let (first_digits, last_digits) = (format!("{base:012}"), format!("{last:012}"));
    let common: String = first_digits
        .chars()
        .zip(last_digits.chars())
        .take_while(|(one, other)| one == other)
        .map(|(one, _)| one)
        .collect();
    let listed = catalog::list_with(target, class, &format!("{}{common}", manifest_prefix(class)))?;
    let there: BTreeSet<u64> = listed.iter().map(|listing| listing.number).collect();
    Ok((base..=last).filter(|number| !there.contains(number)).take(MISSING_MAX).collect())
}
