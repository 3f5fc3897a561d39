//! Whole snapshots: every row of one moment, of which only what is not on the target is sent; and looks afterwards, whether all of it is there.
//!
//! A base takes up segments of the ones before it. Between its look at such a segment and its manifest somebody may prune it, who does not know of the base
//! yet. So the target is listed once when the manifest stands, and once more when every pruning that did not see it has ended: what is missing makes another
//! base, which puts it again.

use super::{Backup, Latest, Made};
use crate::classes::Class;
use crate::error::BackupError;
use crate::manifest::{ManifestRef, SegmentInfo, manifest_name, segment_hash};
use crate::prune::LIST_AGAIN_MS;
use crate::sending::{Held, Sending, check_spaces, is_plain};
use crate::target::TargetError;
use crate::verify::segment_prefixes;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Duration;
use tacet_store::{Mark, mark_of};

/// How long a base waits at its end for its first mark to be durable. It has been for long, unless the base is tiny.
const DURABLE_WAIT_MS: u64 = 10_000;

/// When it is looked the second time, in milliseconds after the first: three times as long as a pruning goes by what it knows.
const SECOND_LOOK_MS: i64 = 3 * LIST_AGAIN_MS;

/// Segments on a target.
#[derive(Clone, Default)]
pub(super) struct Known {
    segments: HashSet<[u8; 32]>,
    /// Whether these are those of the last base, and no others.
    of_base: bool,
}

impl Known {
    /// Those of a base. What stands beside another object's name is not taken up again.
    pub(super) fn of<'s>(class: Class, segments: impl IntoIterator<Item = &'s SegmentInfo>) -> Self {
        let plain = segments.into_iter().filter(|segment| is_plain(class, segment));
        Self { segments: plain.map(|segment| segment.sha256).collect(), of_base: true }
    }
}

impl Backup {
    pub(super) fn known_of(&mut self, class: Class) -> &mut Known {
        if class == Class::Key { &mut self.known_keys } else { &mut self.known }
    }

    pub(super) fn make_base(
        &mut self,
        why: &'static str,
        made: &mut Vec<Made>,
        between: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), BackupError> {
        self.batch = None;
        self.prepared.clear();
        self.source.tail.begin();
        let snapshot = self.source.engine.snapshot()?;
        let mark = mark_of(snapshot.as_ref())?;
        self.source.tail.in_base(&mark);
        check_spaces(snapshot.as_ref())?;
        let ledger = (self.source.ledger)(snapshot.as_ref())?;
        let rng = std::sync::Arc::clone(&self.source.rng);

        let keys_target = self.target(Class::Key);
        let mut sending = Sending::new(keys_target.as_ref(), Class::Key, self.keep_base_until());
        // Where objects are locked, one that is there already is put all the same: that lengthens its lock.
        if self.plan.locked_ms.is_none() {
            sending.held = Some(Held::new(self.known_keys.segments.clone(), self.bases, rng.as_ref()));
        }
        let mut manifest = self.manifest(Class::Key, mark, None);
        sending.base(snapshot.as_ref(), &mut |_| Ok(()))?;
        let mut damaged = sending.damaged;
        (manifest.segments, manifest.rows) = sending.into_parts();
        manifest.recovery = self.recovery(self.keys.as_ref());
        self.wait_durable(&mark);
        let known = Known::of(Class::Key, &manifest.segments);
        let keys = self.publish(Class::Key, manifest)?;
        self.known_keys = known;
        self.hold_apart(&keys)?;

        let target = self.target(Class::Content);
        let mut sending = Sending::new(target.as_ref(), Class::Content, self.keep_base_until());
        if self.plan.locked_ms.is_none() {
            let known = std::mem::take(&mut self.known.segments);
            sending.held = Some(Held::new(known, self.bases, rng.as_ref()));
        }
        self.known.of_base = false;
        let mut manifest = self.manifest(Class::Content, mark, None);
        // A base takes its time: what is written meanwhile goes out as logs, whose manifests follow the base's.
        let placeholder = Latest {
            reference: ManifestRef { number: manifest.number, id: manifest.id.clone(), sha256: [0; 32] },
            to: mark.into(),
            base: manifest.number,
            base_time: manifest.time(),
            ledger,
            recovery: None,
        };
        let before = self.content.replace(placeholder);
        let sent = sending.base(snapshot.as_ref(), &mut |bytes| {
            if !between(bytes) {
                return Err(BackupError::Stopped);
            }
            if self.source.tail.is_filling() && self.prepare_log()?.is_some() {
                tracing::warn!("more is written than goes out while a whole snapshot is made: another one will follow");
            }
            Ok(())
        });
        self.content = before;
        drop(snapshot);
        let sent_bytes = sending.sent_bytes;
        damaged += sending.damaged;
        let earlier = sending.held.take().map(Held::into_segments).unwrap_or_default();
        let (segments, rows) = sending.into_parts();
        let known = Known::of(Class::Content, &segments);
        if let Err(error) = sent {
            // The next try finds what this one sent.
            self.known.segments = earlier;
            self.known.segments.extend(known.segments);
            return Err(error);
        }
        self.known = known;
        (manifest.segments, manifest.rows) = (segments, rows);
        manifest.ledger = ledger;
        manifest.keys = self.keys.as_ref().map(|latest| latest.reference.clone());
        self.bases += 1;
        made.push(self.publish_content(manifest, (sent_bytes, damaged), Some(why))?);
        self.base_due = None;
        let now = self.source.clock.now();
        self.looks = vec![now.plus_ms(SECOND_LOOK_MS), now];
        Ok(())
    }

    /// Looks whether the last base is whole on its targets, when that is due. One that refuses to be listed keeps no snapshot from being made.
    pub(super) fn look_at_last_base(&mut self) -> Result<(), BackupError> {
        let now = self.source.clock.now();
        // In either direction: a clock that was set back must not put it off for ever.
        while self.looks.last().is_some_and(|due| *due <= now || due.as_ms() - now.as_ms() > SECOND_LOOK_MS) {
            match self.segments_missing() {
                // An account that may list manifests and no segments: to make no snapshots at all would be worse. It is looked again in a while.
                Err(BackupError::Target(error @ TargetError::Refused(_))) => {
                    tracing::error!(%error, "IT IS NOT KNOWN WHETHER THE LAST WHOLE SNAPSHOT IS WHOLE: the target refuses to list segments; give the account that right");
                    self.looks = vec![now.plus_ms(SECOND_LOOK_MS)];
                }
                other => {
                    other?;
                    self.looks.pop();
                }
            }
        }
        Ok(())
    }

    /// How many segments of the last base and of the last whole key copy are not on their targets any more. Where any is missing, the next snapshot is a base.
    ///
    /// # Errors
    /// The target's.
    pub fn segments_missing(&mut self) -> Result<u64, BackupError> {
        let mut missing = 0;
        for class in [Class::Key, Class::Content] {
            let target = self.target(class);
            let known = self.known_of(class);
            if !known.of_base {
                continue;
            }
            let mut left = known.segments.clone();
            for prefix in segment_prefixes(class) {
                target.list(prefix, &mut |found| {
                    segment_hash(class, &found.name).map(|hash| left.remove(&hash));
                    if left.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
            }
            if left.is_empty() {
                continue;
            }
            known.segments.retain(|hash| !left.contains(hash));
            missing += left.len() as u64;
            self.base_due = Some("segments of the last whole snapshot are missing from the target");
            tracing::error!(
                segments = left.len(),
                target = target.describe(),
                "SEGMENTS OF THE LAST WHOLE SNAPSHOT ARE MISSING: another whole snapshot is made; find out who pruned while one was made, or removed them"
            );
        }
        Ok(missing)
    }

    /// Notices two names of one place that settings do not show to be one: what went to the target of keys must not be seen on that of content.
    fn hold_apart(&self, keys: &ManifestRef) -> Result<(), BackupError> {
        let object = manifest_name(Class::Key, keys.number, &keys.id);
        match self.plan.target.read(&object, Some(0..1)) {
            Ok(_) => {}
            Err(TargetError::Absent(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let text = format!(
            "the key copy that went to {} stands on {} too: the two are one place; give the keys a target of their own (`[backup.keys]`)",
            self.plan.keys.describe(),
            self.plan.target.describe()
        );
        // Where content is already, it may be that somebody copied it there, who could stop the backup by that.
        if self.content.is_none() {
            return Err(BackupError::Settings(text));
        }
        tracing::error!(text, "KEYS LIE BESIDE THE CONTENT");
        Ok(())
    }

    /// Waits until the engine has made durable what a snapshot of it showed.
    fn wait_durable(&self, mark: &Mark) {
        let mut waited = 0;
        while self.source.tail.last_group() < mark.group && waited < DURABLE_WAIT_MS {
            self.source.tail.pause(Duration::from_millis(10));
            waited += 10;
        }
    }
}

#[cfg(test)]
mod tests;
