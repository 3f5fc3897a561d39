//! What the rule remembers from run to run: the setting, and which months' ends were announced.

use super::LedgerRetention;
use super::plan::MonthStep;
use crate::error::VaultError;
use crate::vault::Inner;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tacet_ledger::Epoch;
use tacet_ledger::noted::{Expect, RowWrite, Table};
use tacet_types::Timestamp;

/// The row's name in its table.
const NAME: &[u8] = b"rule";

/// The row.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Years for which entries are kept, as they were set when the rule last ran.
    keep_years: u16,
    /// Months whose end was announced, by number, and when, in milliseconds.
    announced: BTreeMap<u16, i64>,
}

/// What the rule remembers.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    kept: Option<Kept>,
    revision: Option<u64>,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.kept == other.kept
    }
}

impl Rule {
    /// The setting of the last run; none: there was none.
    pub(super) fn keep_years(&self) -> Option<u16> {
        self.kept.as_ref().map(|kept| kept.keep_years)
    }

    /// When the end of a month was announced.
    pub(super) fn announced(&self, epoch: Epoch) -> Option<Timestamp> {
        let at = self.kept.as_ref()?.announced.get(&epoch.number())?;
        Some(Timestamp::from_ms(*at))
    }

    /// Months that were announced and are not due by what was found.
    pub(super) fn withdrawn(&self, found: &LedgerRetention) -> Vec<Epoch> {
        let kept = |epoch: &Epoch| found.of(MonthStep::Kept).any(|month| month.epoch == *epoch);
        let announced = self.kept.iter().flat_map(|kept| kept.announced.keys());
        announced.map(|number| Epoch::from_number(*number)).filter(kept).collect()
    }

    /// What is to be remembered of what was found.
    pub(super) fn after(&self, found: &LedgerRetention) -> Self {
        let announced = found.months.iter().filter_map(|month| {
            let at = month.announced.filter(|_| !matches!(month.step, MonthStep::Kept | MonthStep::Gone))?;
            Some((month.epoch.number(), at.as_ms()))
        });
        let kept = Kept { keep_years: found.keep_years, announced: announced.collect() };
        Self { kept: Some(kept), revision: self.revision }
    }

    /// The same without a month whose key is destroyed.
    pub(super) fn without(mut self, epoch: Epoch) -> Self {
        if let Some(kept) = &mut self.kept {
            kept.announced.remove(&epoch.number());
        }
        self
    }

    /// Its row, in the place of the one that was read.
    pub(super) fn write(&self) -> Result<RowWrite, VaultError> {
        let kept = self.kept.clone().unwrap_or_default();
        let value = serde_json::to_vec(&kept).map_err(|error| VaultError::Internal(Box::new(error)))?;
        let expect = self.revision.map_or(Expect::Absent, Expect::Revision);
        Ok(RowWrite { table: Table::LedgerRetention, name: NAME.to_vec(), value: Some(value), expect })
    }

    #[cfg(test)]
    pub(super) fn of(keep_years: u16, announced: &[(Epoch, Timestamp)]) -> Self {
        let announced = announced.iter().map(|(epoch, at)| (epoch.number(), at.as_ms())).collect();
        Self { kept: Some(Kept { keep_years, announced }), revision: None }
    }
}

impl Inner {
    pub(super) fn kept_rule(&self) -> Result<Rule, VaultError> {
        let Some((row, _)) = self.noted_row(Table::LedgerRetention, NAME)? else { return Ok(Rule::default()) };
        let kept = serde_json::from_slice(&row.value)
            .map_err(|_| VaultError::Damaged("the row of the ledger's retention cannot be read"))?;
        Ok(Rule { kept: Some(kept), revision: Some(row.revision) })
    }
}
