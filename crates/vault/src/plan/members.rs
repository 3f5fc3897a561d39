//! Which patients' compartments a planned version is in, and the chunks of members that say so.

use super::Plan;
use crate::error::VaultError;
use crate::layout::{self, RowKey};
use crate::members::{CHUNK_MEMBERS, decode_chunk, decode_count, encode_chunk};
use tacet_seal::Purpose;
use tacet_store::Write;
use tacet_types::ResourceId;

/// A compartment's members as this plan leaves them.
pub(super) struct MemberList {
    count: u64,
    /// The chunk that new members go to, and those already in it.
    chunk: u64,
    last: Vec<RowKey>,
}

impl Plan<'_> {
    pub(super) fn add_member(&mut self, patient: &ResourceId, head: RowKey) -> Result<(), VaultError> {
        if !self.members.contains_key(patient) {
            let list = self.member_list(patient)?;
            self.members.insert(patient.clone(), list);
        }
        let full = self.members.get(patient).is_some_and(|list| list.last.len() == CHUNK_MEMBERS);
        if full {
            self.write_member_chunk(patient)?;
            if let Some(list) = self.members.get_mut(patient) {
                list.chunk += 1;
                list.last.clear();
            }
            let row = layout::members_chunk(&self.inner.keys.row_keys, patient, self.chunk_of(patient));
            self.look(row.to_vec())?;
        }
        if let Some(list) = self.members.get_mut(patient) {
            list.last.push(head);
            list.count += 1;
        }
        Ok(())
    }

    fn chunk_of(&self, patient: &ResourceId) -> u64 {
        self.members.get(patient).map_or(0, |list| list.chunk)
    }

    fn member_list(&mut self, patient: &ResourceId) -> Result<MemberList, VaultError> {
        let head_row = layout::members_head(&self.inner.keys.row_keys, patient);
        let count = match self.look(head_row.to_vec())? {
            Some(value) => decode_count(&self.inner.open_structure(Purpose::Members, &head_row, &value)?)?,
            None => 0,
        };
        let chunk = count.saturating_sub(1) / CHUNK_MEMBERS as u64;
        let chunk_row = layout::members_chunk(&self.inner.keys.row_keys, patient, chunk);
        let last = match self.look(chunk_row.to_vec())? {
            Some(value) => decode_chunk(&self.inner.open_structure(Purpose::Members, &chunk_row, &value)?)?,
            None => Vec::new(),
        };
        Ok(MemberList { count, chunk, last })
    }

    fn write_member_chunk(&mut self, patient: &ResourceId) -> Result<(), VaultError> {
        let Some(list) = self.members.get(patient) else { return Ok(()) };
        let row = layout::members_chunk(&self.inner.keys.row_keys, patient, list.chunk);
        let value = self.inner.seal_structure(Purpose::Members, &row, &encode_chunk(&list.last))?;
        self.writes.push(Write::Put { key: row.to_vec(), value });
        Ok(())
    }

    pub(super) fn write_members(&mut self) -> Result<(), VaultError> {
        let patients: Vec<ResourceId> = self.members.keys().cloned().collect();
        for patient in patients {
            self.write_member_chunk(&patient)?;
            let count = self.members.get(&patient).map_or(0, |list| list.count);
            let row = layout::members_head(&self.inner.keys.row_keys, &patient);
            let value = self.inner.seal_structure(Purpose::Members, &row, &count.to_be_bytes())?;
            self.writes.push(Write::Put { key: row.to_vec(), value });
        }
        Ok(())
    }

    pub(super) fn patients_digest(&self, patients: &[ResourceId]) -> [u8; 16] {
        if patients.is_empty() {
            return [0; 16];
        }
        let mut names: Vec<&[u8]> = patients.iter().map(|id| id.as_str().as_bytes()).collect();
        names.sort_unstable();
        let key = self.inner.keys.row_keys.key(layout::MEMBERS, 3, &names);
        let mut digest = [0; 16];
        digest.iter_mut().zip(key.iter().skip(1)).for_each(|(to, from)| *to = *from);
        digest
    }
}
