//! Manifests: what comes next in a chain, signed and put, if nobody else took its number.

use super::{Backup, Latest, Made};
use crate::catalog;
use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{Identity, Kind, Manifest, ManifestRef, Signed, manifest_name};
use crate::sending::random_id;
use crate::state::State;
use crate::target::TargetError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tacet_store::Mark;
use tacet_types::Timestamp;

impl Backup {
    /// The part of the root key's file that the shares open. Where the file cannot be read any more, as when somebody encrypts the machine while the
    /// server runs, the one of the key copy before goes on: a key copy without it could not be restored from.
    pub(super) fn recovery(&self, before: Option<&Latest>) -> Option<String> {
        let now = (self.source.recovery)().map(|bytes| STANDARD.encode(bytes));
        now.or_else(|| before.and_then(|latest| latest.recovery.clone()))
    }

    /// Finds out about manifests that were sent and whose arrival nobody heard of: the connection broke, or the machine stopped. Otherwise the number
    /// would be taken by ourselves, and look as if somebody else had.
    pub(super) fn settle_next(&mut self) -> Result<(), BackupError> {
        for class in [Class::Key, Class::Content] {
            let next = if class == Class::Key { &self.keys_next } else { &self.content_next };
            let Some(next) = next.clone() else { continue };
            let ahead = self.latest_of(class).is_none_or(|latest| latest.reference.number < next.number);
            let object = manifest_name(class, next.number, &next.id);
            if ahead {
                match catalog::load(self.target(class).as_ref(), &object) {
                    Ok(signed) if signed.reference() == next => {
                        let latest = self.latest(class, &signed)?;
                        *(if class == Class::Key { &mut self.keys } else { &mut self.content }) = Some(latest);
                    }
                    Err(BackupError::Target(error)) if !matches!(error, TargetError::Absent(_)) => {
                        return Err(error.into());
                    }
                    // It never came, or is not what was sent: its number is free, or somebody's.
                    _ => {}
                }
            }
            *(if class == Class::Key { &mut self.keys_next } else { &mut self.content_next }) = None;
        }
        Ok(())
    }

    /// How many manifests of this number stand on a target that our key signed. Anybody who may add can put others beside them: those are named, and
    /// keep nobody from going on.
    fn ours(&self, class: Class, number: u64) -> Result<usize, BackupError> {
        let target = self.target(class);
        let mut ours = 0;
        for listing in catalog::list_number(target.as_ref(), class, number)? {
            match catalog::load(target.as_ref(), &listing.object) {
                Ok(signed) if signed.verify(&self.source.signer.public()).is_ok() => ours += 1,
                Err(BackupError::Target(error)) if !matches!(error, TargetError::Absent(_)) => return Err(error.into()),
                _ => {
                    tracing::error!(object = %listing.object, "SOMEBODY ELSE PUT A MANIFEST on the backup's target: find out who did that");
                }
            }
        }
        Ok(ours)
    }

    pub(super) fn keep_until(&self) -> Option<Timestamp> {
        self.plan.locked_ms.map(|ms| self.source.clock.now().plus_ms(ms))
    }

    /// A base is needed as long as the last log that follows it.
    pub(super) fn keep_base_until(&self) -> Option<Timestamp> {
        self.keep_until().map(|until| until.plus_ms(self.plan.base_every_ms))
    }

    /// A manifest that comes next; a log where `before` is given.
    pub(super) fn manifest(&self, class: Class, to: Mark, before: Option<&Latest>) -> Manifest {
        let latest = if class == Class::Key { &self.keys } else { &self.content };
        let highest = if class == Class::Key { self.highest_keys } else { self.highest_content };
        let number = latest.as_ref().map_or(0, |latest| latest.reference.number).max(highest) + 1;
        let identity =
            Identity { class, establishment: self.source.establishment, number, time: self.source.clock.now() };
        let mut manifest = Manifest::new(identity, random_id(self.source.rng.as_ref()), to);
        manifest.previous = latest.as_ref().map(|latest| latest.reference.clone());
        manifest.previous_base = latest.as_ref().map(|latest| latest.base);
        if let Some(before) = before {
            (manifest.kind, manifest.base, manifest.from) = (Kind::Log, before.base, Some(before.to));
        }
        manifest
    }

    pub(super) fn publish_content(
        &mut self,
        manifest: Manifest,
        (sent_bytes, damaged): (u64, u64),
        why: Option<&'static str>,
    ) -> Result<Made, BackupError> {
        let (kind, time, to) = (manifest.kind, manifest.time(), manifest.to.into());
        let (segments, rows, bytes) = (manifest.segments.len() as u64, manifest.row_count(), manifest.bytes());
        let Some(keys) = manifest.keys.clone() else {
            return Err(BackupError::Broken("there is no key copy".to_owned()));
        };
        let reference = self.publish(Class::Content, manifest)?;
        Ok(Made { reference, kind, time, to, segments, rows, bytes, sent_bytes, damaged, keys, why })
    }

    /// Signs a manifest and puts it, if nobody else took its number.
    pub(super) fn publish(&mut self, class: Class, manifest: Manifest) -> Result<ManifestRef, BackupError> {
        let (target, number) = (self.target(class), manifest.number);
        let foreign = |what| BackupError::Foreign { number, what };
        if self.ours(class, number)? > 0 {
            return Err(foreign(
                "this store was set back, or another server writes to the same target; stop the other one, or say that all is well with \
                 `tacet backup now --adopt`",
            ));
        }
        let base_time = match (manifest.kind, self.latest_of(class)) {
            (Kind::Log, Some(latest)) => latest.base_time,
            _ => manifest.time(),
        };
        let (signed, bytes) = Signed::sign(manifest, &self.source.signer)?;
        let manifest = signed.unverified();
        let until = if manifest.kind == Kind::Base { self.keep_base_until() } else { self.keep_until() };
        *(if class == Class::Key { &mut self.keys_next } else { &mut self.content_next }) = Some(signed.reference());
        self.note_state();
        target.put_new(&manifest.name(), &bytes, until)?;
        *(if class == Class::Key { &mut self.keys_next } else { &mut self.content_next }) = None;
        let latest = Latest {
            reference: signed.reference(),
            to: manifest.to,
            base: manifest.base,
            base_time,
            ledger: manifest.ledger,
            recovery: manifest.recovery.clone(),
        };
        *(if class == Class::Key { &mut self.keys } else { &mut self.content }) = Some(latest);
        self.note_state();
        if self.ours(class, number)? > 1 {
            self.base_due = Some("another server wrote to the same target");
            return Err(foreign("another server writes to the same target at the same time; stop it"));
        }
        Ok(signed.reference())
    }

    fn latest_of(&self, class: Class) -> Option<&Latest> {
        if class == Class::Key { self.keys.as_ref() } else { self.content.as_ref() }
    }

    fn note_state(&self) {
        let reference = |latest: &Option<Latest>| latest.as_ref().map(|latest| latest.reference.clone());
        let state = State::new(reference(&self.content), reference(&self.keys)).with_next(
            self.content_next.clone(),
            self.keys_next.clone(),
            self.bases,
        );
        if let Err(error) = self.plan.state.write(state, &self.plan.target.describe(), &self.plan.keys.describe()) {
            // The next start lists the targets and makes a base.
            tracing::warn!(%error, "it could not be noted how far the backup is");
        }
    }
}
