//! What the change feed says of a commit: which resources got a new version, by their row, never by their name.
//!
//! So that after an erasure the feed holds nothing of the patient: the head row that it points to is gone.

use crate::head::Method;
use crate::layout::RowKey;
use tacet_types::{OperationId, ResourceType, Timestamp, VersionId};

/// Format of a feed row.
const FORMAT: u8 = 1;

/// Bytes of one change: row 17, version 8, type 1, method 1.
const CHANGE_BYTES: usize = 27;

/// One new version of one resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    pub(crate) head: RowKey,
    pub(crate) version: VersionId,
    pub(crate) resource_type: ResourceType,
    pub(crate) method: Method,
}

/// What one commit changed, in its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ChangeSet {
    pub(crate) operation: OperationId,
    pub(crate) at: Timestamp,
    pub(crate) changes: Vec<Change>,
}

impl ChangeSet {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(25 + self.changes.len() * CHANGE_BYTES);
        bytes.push(FORMAT);
        bytes.extend(self.operation.0);
        bytes.extend(self.at.as_ms().to_be_bytes());
        for change in &self.changes {
            bytes.extend(change.head);
            bytes.extend(change.version.0.to_be_bytes());
            bytes.extend([change.resource_type.code(), change.method.code()]);
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first_chunk::<1>()?;
        let (operation, rest) = rest.split_first_chunk::<16>()?;
        let (at, rest) = rest.split_first_chunk::<8>()?;
        let (changes, left) = rest.as_chunks::<CHANGE_BYTES>();
        if *format != [FORMAT] || !left.is_empty() {
            return None;
        }
        let changes = changes.iter().map(|change| {
            let (head, rest) = change.split_first_chunk::<17>()?;
            let (version, rest) = rest.split_first_chunk::<8>()?;
            let [resource_type, method] = *rest.first_chunk::<2>()?;
            Some(Change {
                head: *head,
                version: VersionId(u64::from_be_bytes(*version)),
                resource_type: ResourceType::from_code(resource_type)?,
                method: Method::from_code(method)?,
            })
        });
        Some(Self {
            operation: OperationId(*operation),
            at: Timestamp::from_ms(i64::from_be_bytes(*at)),
            changes: changes.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_sets_go_round_and_the_malformed_is_refused() {
        let change = Change {
            head: [3; 17],
            version: VersionId(2),
            resource_type: ResourceType::parse("Patient").unwrap(),
            method: Method::Post,
        };
        let set = ChangeSet {
            operation: OperationId([1; 16]),
            at: Timestamp::from_ms(5),
            changes: vec![change.clone(), Change { method: Method::Delete, ..change }],
        };
        let bytes = set.encode();
        assert_eq!(ChangeSet::decode(&bytes), Some(set));
        for length in 0..bytes.len() {
            let whole = length >= 25 && (length - 25) % CHANGE_BYTES == 0;
            assert_eq!(ChangeSet::decode(&bytes[..length]).is_some(), whole);
        }
        let mut wrong = bytes;
        wrong[25 + 25] = 255;
        assert_eq!(ChangeSet::decode(&wrong), None);
    }
}
