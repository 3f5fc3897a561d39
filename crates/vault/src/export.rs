//! Export: every current record, opened under ledger entries that name each one, window by window.
//!
//! What becomes of the text is the caller's matter; `tacet export` seals it to its recipient as it comes.

use crate::EventKind;
use crate::access::Look;
use crate::caller::Caller;
use crate::disclose::{Disclosed, SHOWN_BYTES_MAX};
use crate::error::VaultError;
use crate::head::Method;
use crate::layout;
use crate::vault::Vault;
use std::collections::BTreeMap;
use tacet_policy::Act;
use tacet_types::ResourceType;

/// Records opened at once.
pub const EXPORT_WINDOW_RECORDS: usize = 1000;

/// What was exported.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExportReport {
    /// Resources by type.
    pub exported: BTreeMap<ResourceType, u64>,
}

impl Vault {
    /// Hands every current record of these types (all where the list is empty) to `sink`, in no order that tells
    /// anything. `purpose_note` stands in each ledger entry: what the export is and to whom it goes.
    pub async fn export(
        &self,
        caller: &Caller,
        types: &[ResourceType],
        purpose_note: &str,
        sink: &mut (dyn FnMut(&Disclosed) -> std::io::Result<()> + Send),
    ) -> Result<ExportReport, VaultError> {
        let mut report = ExportReport::default();
        let (from, to) = layout::bounds(layout::HEADS);
        let mut from = from.to_vec();
        loop {
            let sights = self.0.sights(caller, Act::Export)?;
            let rows = self.0.rows(&from, &to, EXPORT_WINDOW_RECORDS)?;
            let Some((last, _)) = rows.last() else { return Ok(report) };
            from = [last.as_slice(), &[0]].concat();
            let (mut located, mut bytes) = (Vec::new(), 0usize);
            for (key, _) in &rows {
                let row = key.as_slice().try_into().map_err(|_| VaultError::Damaged("a head row has a wrong key"))?;
                let Some(found) = self.0.locate_row(&row)? else { continue };
                let wanted = types.is_empty() || types.contains(&found.record.resource_type);
                let wanted = wanted && self.0.look_at(sights.as_ref(), &found) != Look::Hidden;
                if wanted && found.meta.method != Method::Delete {
                    bytes = bytes.saturating_add(found.sealed_bytes());
                    located.push(found);
                }
                if bytes >= SHOWN_BYTES_MAX {
                    from = [key.as_slice(), &[0]].concat();
                    break;
                }
            }
            while !located.is_empty() {
                let shown = self.0.disclose_all(caller, EventKind::Export, Some(purpose_note), located).await?;
                for (_, disclosed) in shown.disclosed {
                    sink(&disclosed).map_err(|error| VaultError::Internal(Box::new(error)))?;
                    *report.exported.entry(disclosed.record.resource_type).or_default() += 1;
                }
                located = shown.rest;
            }
        }
    }
}
