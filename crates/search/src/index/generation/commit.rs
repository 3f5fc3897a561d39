//! Putting what was applied on disk, again where the disk did not take it, and what is done when it never does.

use super::*;

impl Generation {
    /// What a failure is to the caller, given how many troubles there were before.
    pub(crate) fn failed(&self, what: &'static str, troubles: u64) -> SearchError {
        if self.latch.is_closed() {
            self.latch.error()
        } else if self.latch.troubles() > troubles {
            Latch::trouble()
        } else {
            SearchError::Engine(what)
        }
    }

    /// Puts the overlay into the files, if anything changed. Gives up to where they hold everything.
    pub(crate) fn commit(&self) -> Result<Sequence, SearchError> {
        let mut slot = self.writer();
        let troubles = self.latch.troubles();
        let outcome = if self.latch.is_closed() {
            Err(self.latch.error())
        } else if self.stopped.load(Ordering::SeqCst) {
            Err(SearchError::Closed)
        } else {
            self.usable(&mut slot).and_then(|writer| self.commit_with(writer))
        };
        if let Err(error) = &outcome
            && !self.takes_nothing()
        {
            tracing::warn!(%error, "the search index could not be committed");
            self.undo(&mut slot);
            let mut live = self.live();
            live.failures += 1;
            if live.failures >= FAILURES_MAX && self.latch.troubles() == troubles {
                self.latch.close();
            }
        }
        drop(slot);
        // Whoever waits holds the lock until it waits: none misses this.
        drop(self.live());
        self.room.notify_all();
        outcome
    }

    /// The writer; another if the last one was given up.
    pub(super) fn usable<'s>(&self, slot: &'s mut Option<IndexWriter>) -> Result<&'s mut IndexWriter, SearchError> {
        if slot.is_none() {
            let troubles = self.latch.troubles();
            let numbers = self.numbers.load(Ordering::SeqCst);
            let made = catch_unwind(AssertUnwindSafe(|| new_writer(&self.index, self.bytes_max, numbers)));
            let Ok(Ok(writer)) = made else { return Err(self.failed("making a writer", troubles)) };
            *slot = Some(writer);
        }
        slot.as_mut().ok_or(SearchError::Closed)
    }

    /// Gives up a commit that failed, and what it left on the disk.
    pub(super) fn undo(&self, slot: &mut Option<IndexWriter>) {
        let Some(writer) = slot.take() else { return };
        self.unsure.store(true, Ordering::SeqCst);
        if self.added.load(Ordering::SeqCst) {
            // What was added past the overlay went with the writer, and nobody has it any more.
            self.latch.fall_behind();
        }
        // An empty group of operations changes nothing and tells how far the numbers have come.
        if let Ok(Ok(number)) = catch_unwind(AssertUnwindSafe(|| writer.run(Vec::new()))) {
            self.numbers.fetch_max(number, Ordering::SeqCst);
        }
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(writer)));
        if dropped.is_err() || self.usable(slot).is_err() {
            return;
        }
        let Some(writer) = slot.as_ref() else { return };
        // The list may be the new one although the commit failed: the files of the old one go only once that is sure.
        if self.index.directory().sync_directory().is_ok() {
            let collected = catch_unwind(AssertUnwindSafe(|| writer.garbage_collect_files().wait()));
            if !matches!(collected, Ok(Ok(_))) {
                tracing::warn!("files of a commit of the search index that failed are removed later");
            }
        }
    }

    pub(super) fn commit_with(&self, writer: &mut IndexWriter) -> Result<Sequence, SearchError> {
        let (frozen, replaced, sequence) = {
            let live = self.live();
            let sequence = live.watermark.contiguous();
            if live.overlay.is_empty() && sequence == live.committed && !self.added.load(Ordering::SeqCst) {
                return Ok(sequence);
            }
            // Deleting what is not there costs a look into every segment for each resource, and most are new while a hospital is
            // imported. Whether it is there is known of what the searcher has; not of what was added past the overlay, nor after a
            // commit of which nobody knows whether it happened.
            let known = !live.stale && !self.added.load(Ordering::SeqCst) && !self.unsure.load(Ordering::SeqCst);
            (live.overlay.clone(), known.then(|| Arc::clone(&live.superseded)), sequence)
        };
        let [since_commit, before] = &self.searched;
        before.store(since_commit.swap(false, Ordering::Relaxed), Ordering::Relaxed);
        let troubles = self.latch.troubles();
        let payload = Payload::new(sequence, self.parameters.fingerprint(), self.mark_of(sequence)).encode();
        let written = catch_unwind(AssertUnwindSafe(|| {
            for (key, entry) in frozen.entries() {
                if replaced.as_ref().is_none_or(|replaced| replaced.holds(key)) {
                    writer.delete_term(engine::key_term(key));
                }
                if let Some(document) = &entry.document {
                    writer.add_document(engine::to_document(document, self.order.of(key)))?;
                }
            }
            let mut prepared = writer.prepare_commit()?;
            prepared.set_payload(&payload);
            prepared.commit()?;
            self.reader.reload()
        }));
        if !matches!(written, Ok(Ok(()))) || self.latch.is_closed() {
            return Err(self.failed("committing", troubles));
        }
        let mut live = self.live();
        live.committed = sequence;
        live.failures = 0;
        self.unsure.store(false, Ordering::SeqCst);
        self.added.store(false, Ordering::SeqCst);
        self.added_bytes.store(0, Ordering::Relaxed);
        for (key, entry) in frozen.entries() {
            if live.overlay.get(key).is_some_and(|now| now.number == entry.number) {
                live.overlay.remove(key);
            }
            if entry.commit > sequence {
                live.recent.insert(self.order.name(key), (entry.version, entry.commit));
            }
        }
        let contiguous = live.watermark.contiguous();
        live.recent.retain(|_, (_, sequence)| *sequence > contiguous);
        if live.recent.len() > REMEMBERED_MAX {
            self.latch.fall_behind();
            return Err(self.latch.error());
        }
        // What cannot be read at this moment is looked for again before the next search.
        if live.search_in(self.reader.searcher()).is_err() && self.latch.troubles() == troubles {
            self.latch.close();
        }
        Ok(sequence)
    }
}
