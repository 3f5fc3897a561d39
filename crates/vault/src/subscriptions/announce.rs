//! A notification discloses: that something matches, which record, or the record. It is in the ledger before it is sent, on the account
//! of who asked for the subscription.

use super::{Announced, NotificationContent};
use crate::disclose::Located;
use crate::error::VaultError;
use crate::owner::Owner;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use std::collections::BTreeMap;
use tacet_ledger::{ENTRIES_MAX, RECORDS_MAX};
use tacet_policy::Act;
use tacet_types::{OperationId, RecordRef, ResourceId, VersionId};

impl Vault {
    /// Writes down that these versions are going to be notified, and opens them where they are to be sent.
    ///
    /// Nothing may be sent before this has answered. Asked again for another attempt, it writes another entry. With
    /// [`NotificationContent::Full`] an answer holds no more than one that shows records does: ask for a few.
    pub async fn announce(
        &self,
        id: &ResourceId,
        version: VersionId,
        records: &[RecordRef],
        content: NotificationContent,
    ) -> Result<Announced, VaultError> {
        let inner = &self.0;
        if self.subscriber_end(id, version)?.is_some() {
            return Ok(Announced::SubscriberGone);
        }
        let asked =
            inner.subscribed()?.with(id, version, |active| (active.subscriber.clone(), active.criteria.query.clone()));
        let Some((subscriber, query)) = asked else { return Ok(Announced::SubscriberGone) };
        let caller = subscriber.caller(OperationId::random(inner.rng.as_ref()));
        let sights = inner.sights(&caller, Act::Read)?;
        let mut located = Vec::with_capacity(records.len());
        for record in records {
            let found = inner.locate_version(record.resource_type, &record.id, record.version)?;
            // It may be hidden from who asked by now: the version itself, or the record as it is now.
            located.extend(inner.still_seen(sights.as_ref(), found)?);
        }
        if content == NotificationContent::Full {
            let shown = inner.disclose_all(&caller, EventKind::Vread, Some(&query), located).await?;
            let shown: Vec<_> = shown.disclosed.into_iter().map(|(_, disclosed)| disclosed).collect();
            return Ok(Announced::Send { there: shown.iter().map(|shown| shown.record.clone()).collect(), shown });
        }
        let there = located.iter().map(|found| found.record.clone()).collect();
        inner
            .note_announced(&caller, &query, &format!("notification of Subscription/{}", id.as_str()), located)
            .await?;
        Ok(Announced::Send { there, shown: Vec::new() })
    }
}

impl Inner {
    /// One entry for each patient: their records match, and somebody is told so.
    pub(super) async fn note_announced(
        &self,
        caller: &crate::Caller,
        query: &str,
        detail: &str,
        located: Vec<Located>,
    ) -> Result<(), VaultError> {
        let mut by_owner: BTreeMap<Owner, Vec<RecordRef>> = BTreeMap::new();
        for found in located {
            by_owner.entry(found.meta.owner).or_default().push(found.record);
        }
        let mut entries = Vec::new();
        for (owner, records) in by_owner {
            for records in records.chunks(RECORDS_MAX) {
                let mut entry =
                    caller.entry(self.clock.now(), EventKind::Search, Outcome::Success, owner.ledger_patient());
                entry.records = records.to_vec();
                entry.categories = records.iter().map(|record| record.resource_type).collect();
                entry.categories.sort_unstable();
                entry.categories.dedup();
                entry.query = Some(query.to_owned());
                entry.detail = Some(detail.to_owned());
                entries.push(entry);
            }
        }
        for entries in entries.chunks(ENTRIES_MAX) {
            self.record(entries.to_vec()).await?;
        }
        Ok(())
    }
}
