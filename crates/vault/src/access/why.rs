//! Why somebody may see a record, or may not: for whoever keeps the policies. It opens nothing, and tells nothing of the content.

use super::subject;
use crate::caller::Caller;
use crate::error::VaultError;
use crate::vault::Vault;
use std::sync::Arc;
use tacet_policy::{Act, Explanation, Policies};
use tacet_types::{ResourceId, ResourceType};

impl Vault {
    /// The rules that apply. None: the store was opened without any.
    pub fn policies(&self) -> Option<Arc<Policies>> {
        self.0.access.as_ref().map(|access| Arc::clone(&access.policies))
    }

    /// Why `caller` may do this to the record as it is now, or may not. By what stands beside the record: its labels, its patients. It is
    /// not for `caller` to see: it tells of what is hidden.
    ///
    /// [`VaultError::NotFound`] where there is no such record.
    pub fn explain(
        &self,
        caller: &Caller,
        act: Act,
        resource_type: ResourceType,
        id: &ResourceId,
    ) -> Result<Explanation, VaultError> {
        let access = self
            .0
            .access
            .as_ref()
            .ok_or(VaultError::NotSupported("this store was opened without rules on who may see what"))?;
        let head = self.0.head_of(resource_type, id)?.ok_or(VaultError::NotFound)?;
        let patients = head
            .current
            .patients()
            .ok_or(VaultError::NotSupported("an explanation for a record of so many patients: ask for one of them"))?;
        let care = access.care();
        Ok(tacet_policy::explain(
            &access.policies,
            &care.data,
            &access.settings,
            &subject(caller),
            act,
            self.0.clock.now(),
            resource_type,
            &patients,
            head.current.labels,
        ))
    }
}
