//! Manifests: what comes next in a chain, signed and put, if nobody else took its number.

use super::{Backup, Latest, Made};
use crate::catalog;
use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{Identity, Kind, Manifest, ManifestRef, Signed};
use crate::sending::random_id;
use crate::state::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tacet_store::Mark;
use tacet_types::Timestamp;

impl Backup {
    pub(super) fn recovery(&self) -> Option<String> {
        (self.source.recovery)().map(|bytes| STANDARD.encode(bytes))
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
        sent_bytes: u64,
        why: Option<&'static str>,
    ) -> Result<Made, BackupError> {
        let (kind, time, to) = (manifest.kind, manifest.time(), manifest.to.into());
        let (segments, rows, bytes) = (manifest.segments.len() as u64, manifest.row_count(), manifest.bytes());
        let Some(keys) = manifest.keys.clone() else {
            return Err(BackupError::Broken("there is no key copy".to_owned()));
        };
        let reference = self.publish(Class::Content, manifest)?;
        Ok(Made { reference, kind, time, to, segments, rows, bytes, sent_bytes, keys, why })
    }

    /// Signs a manifest and puts it, if nobody else took its number.
    pub(super) fn publish(&mut self, class: Class, manifest: Manifest) -> Result<ManifestRef, BackupError> {
        let (target, number) = (self.target(class), manifest.number);
        let foreign = |what| BackupError::Foreign { number, what };
        if !catalog::list_number(target.as_ref(), class, number)?.is_empty() {
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
        target.put_new(&manifest.name(), &bytes, until)?;
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
        if catalog::list_number(target.as_ref(), class, number)?.len() > 1 {
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
        let state = State::new(reference(&self.content), reference(&self.keys));
        if let Err(error) = self.plan.state.write(state, &self.plan.target.describe(), &self.plan.keys.describe()) {
            // The next start lists the targets and makes a base.
            tracing::warn!(%error, "it could not be noted how far the backup is");
        }
    }
}
