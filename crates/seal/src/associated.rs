//! What a seal is bound to: a row that is moved, renamed or given to another purpose does not open.

use crate::envelope::{FORMAT_VERSION, SealError};
use crate::sealer::Algorithm;
use tacet_types::{EstablishmentId, ResourceId, ResourceType, VersionId};

/// Longest row key that can be bound, in bytes: its length is written in 16 bits.
pub const ROW_BYTES_MAX: usize = u16::MAX as usize;

/// What a sealed row is for. The numbers are part of the format: one is never given another meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Purpose {
    /// A version of a resource.
    Content = 1,
    /// The head of a resource: which version is current.
    Head = 2,
    /// An entry of the change feed.
    Feed = 3,
    /// Which records belong to a patient or a type.
    Members = 4,
    /// A row that holds a wrapped data key.
    DataKey = 5,
    /// An entry of the access ledger.
    Ledger = 6,
    /// An access token.
    Token = 7,
    /// How far an import has come.
    ImportMark = 8,
    /// The head of the ledger's tree.
    LedgerHead = 9,
    /// The search index.
    Index = 10,
    /// An export.
    Export = 11,
    /// The store's own state.
    State = 12,
}

impl Purpose {
    /// Every purpose, in the order of its number.
    pub const ALL: [Self; 12] = [
        Self::Content,
        Self::Head,
        Self::Feed,
        Self::Members,
        Self::DataKey,
        Self::Ledger,
        Self::Token,
        Self::ImportMark,
        Self::LedgerHead,
        Self::Index,
        Self::Export,
        Self::State,
    ];

    /// The smallest step, in bytes, that lengths are padded to. Content and ledger entries vary with what a patient has
    /// and with who looked, so they move in wide steps; structural rows vary little and are many. Nearly every resource is
    /// shorter than the step of contents once it is compressed, so that its length says neither what type it is nor which
    /// code it bears: with a step of 256 a thief who knew the true frequencies guessed twice as many codes right from
    /// lengths as without them (`tacet drill stolen-disk`).
    pub const fn padding_step_bytes(self) -> usize {
        match self {
            Self::Content => 1024,
            Self::Ledger | Self::Index | Self::Export => 256,
            Self::Head
            | Self::Feed
            | Self::Members
            | Self::DataKey
            | Self::Token
            | Self::ImportMark
            | Self::LedgerHead
            | Self::State => 64,
        }
    }
}

/// The place and meaning of a sealed row. None of it is stored in the envelope: who opens must say the same.
#[derive(Clone, Copy, Debug)]
pub struct Associated<'a> {
    /// The establishment that the row belongs to.
    pub establishment: EstablishmentId,
    /// What the row is for.
    pub purpose: Purpose,
    /// The row's key in the store, or another name that only this row has. At most [`ROW_BYTES_MAX`] bytes.
    pub row: &'a [u8],
    /// For content: type, id and version of the resource.
    pub resource: Option<(&'a ResourceType, &'a ResourceId, VersionId)>,
}

impl Associated<'_> {
    /// The associated data as the cipher takes it; every field has a fixed width or its length before it.
    pub(crate) fn encode(&self, algorithm: Algorithm) -> Result<Vec<u8>, SealError> {
        let row_bytes = u16::try_from(self.row.len()).map_err(|_| SealError::RowTooLong { bytes: self.row.len() })?;
        let mut out = Vec::with_capacity(24 + self.row.len() + 128);
        out.extend([FORMAT_VERSION, algorithm as u8]);
        out.extend(self.establishment.0);
        out.push(self.purpose as u8);
        out.extend(row_bytes.to_be_bytes());
        out.extend(self.row);
        match self.resource {
            None => out.push(0),
            Some((resource_type, id, version)) => {
                out.push(1);
                for text in [resource_type.as_str(), id.as_str()] {
                    // INVARIANT: both are under 256 bytes (a FHIR type has at most 64, an id at most 64).
                    out.push(u8::try_from(text.len()).map_err(|_| SealError::RowTooLong { bytes: text.len() })?);
                    out.extend(text.as_bytes());
                }
                out.extend(version.0.to_be_bytes());
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn purposes_keep_their_numbers() {
        let numbers: Vec<u8> = Purpose::ALL.iter().map(|purpose| *purpose as u8).collect();
        assert_eq!(numbers, (1..=12).collect::<Vec<u8>>());
    }

    #[test]
    fn no_two_places_encode_alike() {
        let patient = ResourceType::parse("Patient").unwrap();
        let group = ResourceType::parse("Group").unwrap();
        let ids = ["1", "11", "a", "Patient"].map(|id| ResourceId::parse(id).unwrap());
        let mut seen = HashSet::new();
        for algorithm in [Algorithm::Aes256Gcm, Algorithm::Aes256GcmSiv] {
            for establishment in [EstablishmentId([0; 16]), EstablishmentId([1; 16])] {
                for purpose in Purpose::ALL {
                    for row in [&b""[..], b"\0", b"\0\0", b"\x01", b"row"] {
                        let place = Associated { establishment, purpose, row, resource: None };
                        assert!(seen.insert(place.encode(algorithm).unwrap()));
                        for id in &ids {
                            for resource_type in [&patient, &group] {
                                for version in [VersionId(1), VersionId(256)] {
                                    let place = Associated { resource: Some((resource_type, id, version)), ..place };
                                    assert!(seen.insert(place.encode(algorithm).unwrap()));
                                }
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(seen.len(), 2 * 2 * 12 * 5 * (1 + 4 * 2 * 2));
    }

    #[test]
    fn a_row_key_beyond_the_bound_is_refused() {
        let row = vec![0; ROW_BYTES_MAX + 1];
        let mut place =
            Associated { establishment: EstablishmentId([0; 16]), purpose: Purpose::Head, row: &row, resource: None };
        assert!(matches!(place.encode(Algorithm::Aes256Gcm), Err(SealError::RowTooLong { bytes: 65_536 })));
        place.row = &row[1..];
        assert!(place.encode(Algorithm::Aes256Gcm).is_ok());
    }
}
