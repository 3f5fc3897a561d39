//! Which records define search parameters, codes and profiles: the lists that a start reads, as a plan leaves them.

use super::Plan;
use crate::error::VaultError;
use crate::index::{CUSTOM_PARAMETERS_MAX, decode_rows};
use crate::knowledge::{DEFINITIONS_OF_A_TYPE_MAX, Redefining, kind_of};
use crate::layout::{self, RowKey};
use std::collections::BTreeSet;
use tacet_seal::Purpose;
use tacet_store::Write;
use tacet_types::ResourceType;

impl Plan<'_> {
    /// What must be held until the commit is through, if it changes definitions.
    pub(crate) fn redefines(&self) -> Option<Redefining> {
        (!self.definitions.is_empty()).then(|| Redefining::new(&self.inner.knowing))
    }

    /// Puts a definition on the list of its type, or takes it off.
    pub(super) fn list_definition(
        &mut self,
        resource_type: ResourceType,
        head: RowKey,
        there: bool,
    ) -> Result<(), VaultError> {
        let Some(kind) = kind_of(resource_type) else { return Ok(()) };
        if !self.definitions.contains_key(&kind) {
            let rows = match self.look(layout::definitions(kind).to_vec())? {
                Some(value) => self.inner.open_definitions(kind, &value)?,
                None => BTreeSet::new(),
            };
            self.definitions.insert(kind, (rows, false));
        }
        let Some((rows, changed)) = self.definitions.get_mut(&kind) else { return Ok(()) };
        *changed |= if there { rows.insert(head) } else { rows.remove(&head) };
        if there && rows.len() > DEFINITIONS_OF_A_TYPE_MAX {
            rows.remove(&head);
            return Err(VaultError::TooLarge { what: "definitions of one type", max: DEFINITIONS_OF_A_TYPE_MAX });
        }
        Ok(())
    }

    pub(super) fn write_definitions(&mut self) -> Result<(), VaultError> {
        for (kind, (rows, changed)) in &self.definitions {
            if *changed {
                let row = layout::definitions(*kind);
                let plain: Vec<u8> = rows.iter().flatten().copied().collect();
                let value = self.inner.seal_structure(Purpose::State, &row, &plain)?;
                self.writes.push(Write::Put { key: row.to_vec(), value });
            }
        }
        Ok(())
    }

    /// Puts a SearchParameter on the list by which they are found at the start, or takes it off.
    pub(super) fn list_custom_parameter(&mut self, head: RowKey, there: bool) -> Result<(), VaultError> {
        let row = layout::CUSTOM_PARAMETERS_ROW;
        let mut rows = match &self.custom_parameters {
            Some(rows) => rows.clone(),
            None => match self.look(row.to_vec())? {
                Some(value) => decode_rows(&self.inner.open_structure(Purpose::State, &row, &value)?)?,
                None => Vec::new(),
            },
        };
        if rows.contains(&head) == there {
            self.custom_parameters = Some(rows);
            return Ok(());
        }
        rows.retain(|known| *known != head);
        if there {
            if rows.len() == CUSTOM_PARAMETERS_MAX {
                return Err(VaultError::TooLarge { what: "SearchParameter resources", max: CUSTOM_PARAMETERS_MAX });
            }
            rows.push(head);
        }
        let value = self.inner.seal_structure(Purpose::State, &row, &rows.concat())?;
        self.writes.push(Write::Put { key: row.to_vec(), value });
        self.custom_parameters = Some(rows);
        Ok(())
    }
}
