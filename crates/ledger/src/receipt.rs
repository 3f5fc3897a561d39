//! Before and after the commit: a [`Prepared`] entry goes in, a [`Receipt`] comes out.

use crate::codes::{EventKind, Outcome};
use crate::entry::{Entry, EntryError};
use std::fmt;
use tacet_types::{EstablishmentId, OperationId, RecordRef, ResourceId, ResourceType, Timestamp};

/// An entry ready to be committed: checked and encoded, so that the committer has only to seal it.
pub struct Prepared {
    pub(crate) encoded: Vec<u8>,
    /// When it happened: by its month the key is chosen.
    pub(crate) at: Timestamp,
    subject: Subject,
}

/// What a receipt says of its entry.
struct Subject {
    kind: EventKind,
    outcome: Outcome,
    operation: OperationId,
    patient: Option<(ResourceType, ResourceId)>,
    /// Sorted.
    records: Box<[RecordRef]>,
}

impl Prepared {
    /// Checks and encodes an entry. Takes microseconds; do it before submitting, not in the committer.
    ///
    /// # Errors
    /// The entry goes beyond a bound: nothing may be disclosed for it.
    pub fn new(entry: &Entry) -> Result<Self, EntryError> {
        let encoded = entry.encode()?;
        let mut records = entry.records.clone();
        records.sort_unstable();
        let subject = Subject {
            kind: entry.kind,
            outcome: entry.outcome,
            operation: entry.operation,
            patient: entry.patient.clone(),
            records: records.into(),
        };
        Ok(Self { encoded, at: entry.at, subject })
    }

    /// Many entries at once, in their order.
    ///
    /// # Errors
    /// The first entry that goes beyond a bound.
    pub fn all(entries: &[Entry]) -> Result<Vec<Self>, EntryError> {
        entries.iter().map(Self::new).collect()
    }

    pub(crate) fn into_receipt(self, establishment: EstablishmentId, index: u64) -> Receipt {
        Receipt { establishment, index, subject: self.subject }
    }
}

/// Proof, within this process, that an entry is in the ledger and durable.
///
/// What opens a record asks for one. It cannot be made anywhere but in the ledger's sequencer, it cannot be copied,
/// and the [crate's documentation](crate#why-a-receipt-is-proof) says why holding one means that its entry will be
/// there after a power loss.
///
/// ```compile_fail,E0451
/// // A receipt cannot be forged: its fields are private and nothing public makes one.
/// fn forge(subject: tacet_ledger::Receipt) -> tacet_ledger::Receipt {
///     tacet_ledger::Receipt { index: 7, ..subject }
/// }
/// ```
///
/// ```compile_fail,E0277
/// // Nor doubled, so that one entry pays for one disclosure.
/// fn double(receipt: &tacet_ledger::Receipt) -> tacet_ledger::Receipt {
///     <tacet_ledger::Receipt as Clone>::clone(receipt)
/// }
/// ```
pub struct Receipt {
    establishment: EstablishmentId,
    index: u64,
    subject: Subject,
}

impl Receipt {
    /// Whether the entry lets this very version be opened: it names it, records a disclosure (not a change), and a
    /// successful one.
    pub fn covers(&self, record: &RecordRef) -> bool {
        self.subject.kind.discloses()
            && self.subject.outcome == Outcome::Success
            && self.subject.records.binary_search(record).is_ok()
    }

    /// The patient whose record the entry is about, where it is one patient's.
    pub fn patient(&self) -> Option<&(ResourceType, ResourceId)> {
        self.subject.patient.as_ref()
    }

    /// The versions that the entry names, sorted.
    pub fn records(&self) -> &[RecordRef] {
        &self.subject.records
    }

    /// What the entry records.
    pub fn kind(&self) -> EventKind {
        self.subject.kind
    }

    /// The entry's number in the ledger, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The operation that the entry belongs to.
    pub fn operation(&self) -> OperationId {
        self.subject.operation
    }

    /// The establishment in whose ledger the entry is.
    pub fn establishment(&self) -> EstablishmentId {
        self.establishment
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({:?}, ..)", self.subject.kind)
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({}, {:?}, {:?}, ..)", self.index, self.subject.kind, self.subject.operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::full_entry;
    use tacet_types::VersionId;

    fn receipt(entry: &Entry) -> Receipt {
        Prepared::new(entry).unwrap().into_receipt(EstablishmentId([1; 16]), 12)
    }

    #[test]
    fn a_receipt_covers_what_its_entry_names_and_nothing_else() {
        let entry = full_entry();
        let receipt = receipt(&entry);
        assert!(entry.records.iter().all(|record| receipt.covers(record)));
        for record in &entry.records {
            let mut other = record.clone();
            other.version = VersionId(record.version.0 + 1);
            assert!(!receipt.covers(&other));
            let mut other = record.clone();
            other.id = ResourceId::parse("another").unwrap();
            assert!(!receipt.covers(&other));
            let mut other = record.clone();
            other.resource_type = ResourceType::parse("Patient").unwrap();
            assert!(!receipt.covers(&other));
        }
        assert_eq!((receipt.index(), receipt.operation(), receipt.records().len()), (12, entry.operation, 2));
        assert_eq!(receipt.patient(), entry.patient.as_ref());
    }

    #[test]
    fn only_a_disclosure_that_succeeded_opens() {
        for kind in EventKind::ALL {
            for outcome in Outcome::ALL {
                let entry = Entry { kind: *kind, outcome: *outcome, ..full_entry() };
                let opens = kind.discloses() && *outcome == Outcome::Success;
                assert_eq!(receipt(&entry).covers(&entry.records[0]), opens, "{kind} {outcome}");
            }
        }
    }

    #[test]
    fn nothing_personal_prints() {
        let prepared = Prepared::new(&full_entry()).unwrap();
        let printed = format!("{prepared:?} {:?}", receipt(&full_entry()));
        assert!(
            ["7e5f", "c.1", "Aubrac", "Observation"].iter().all(|personal| !printed.contains(personal)),
            "{printed}"
        );
    }
}
