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
        self.0.access.as_ref().map(|access| access.policies())
    }

    /// Makes ahead, in a thread of its own, what the first question of each role needs: else a clinician would wait for it. It ends with the
    /// store.
    pub fn warm(&self) -> std::io::Result<()> {
        let inner = Arc::downgrade(&self.0);
        let warm = move || {
            let Some((access, clock)) =
                inner.upgrade().and_then(|inner| Some((Arc::clone(inner.access.as_ref()?), Arc::clone(&inner.clock))))
            else {
                return;
            };
            access.warm(clock.now(), &|| inner.strong_count() > 0);
        };
        std::thread::Builder::new().name("tacet-rules".to_owned()).spawn(warm).map(drop)
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
        // It looks at the record's patients and no others.
        Ok(tacet_policy::explain(
            &access.policies(),
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
