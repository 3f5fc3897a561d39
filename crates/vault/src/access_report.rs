//! What the ledger has about one patient, for the patient's own report: whoever asks is in the ledger first, and who may not ask is answered as if there
//! were nobody.
//!
//! The report itself is made elsewhere: here are the entries, the oldest first, and what is known of those that do not open.

use crate::audit::Whose;
use crate::caller::Caller;
use crate::error::VaultError;
use crate::ledger_questions::{LedgerLine, may_ask};
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use std::ops::ControlFlow;
use tacet_ledger::LedgerError;
use tacet_ledger::index::Question;
use tacet_policy::{Access, Act};
use tacet_types::{ResourceId, ResourceType, Role, Timestamp};

/// Entries that are told at a time.
const PART_ENTRIES: usize = 500;

/// What is known beside the entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PatientLedger {
    /// When the ledger begins; none where its first entry is past its retention.
    pub began: Option<Timestamp>,
    /// From when on entries can be read: of before, nobody knows anything any more. None: all can.
    pub kept_since: Option<Timestamp>,
    /// Entries of the whole ledger of which nobody can say about whom they are. At most 10,000 are counted.
    pub unread: u64,
}

impl Vault {
    /// Tells the entries about one patient from `from` on and before `to`, the oldest first, until `tell` breaks off. For a patient about a record for
    /// which they stand, and for who reads the ledger. Written down before the first is told. May block.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], written down as refused, where a patient asks about somebody else, or the rules close to them where their record comes
    /// from; [`VaultError::Forbidden`] for every other role; the time ends before it begins; the ledger's index cannot answer now.
    pub async fn patient_ledger(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        (from, to): (Timestamp, Timestamp),
        tell: &mut (dyn FnMut(LedgerLine) -> ControlFlow<()> + Send),
    ) -> Result<PatientLedger, VaultError> {
        let inner = &self.0;
        let own = inner.may_be_told(caller, patient)?;
        let of = ResourceType::parse("Patient").map(|of| (of, patient.clone()));
        let question = Question { patient: of.clone(), from: Some(from), to: Some(to), ..Question::default() };
        inner.check_question(&question)?;
        // INVARIANT: nothing of the ledger is looked at before it is written down who looks.
        let outcome = if own { Outcome::Success } else { Outcome::Refused };
        let mut entry = caller.entry(inner.clock.now(), EventKind::LedgerAccess, outcome, of);
        entry.query = Some(format!("report {}", question.criteria()));
        inner.record(vec![entry]).await?;
        if !own {
            return Err(VaultError::NotFound);
        }
        let mut reading = inner.oldest_first(&question)?;
        'told: while !reading.is_done() {
            for line in reading.next(PART_ENTRIES)? {
                if tell(line).is_break() {
                    break 'told;
                }
            }
        }
        let kept_since = inner.ledger_kept()?.map(|kept| kept.since);
        Ok(PatientLedger { began: inner.ledger_began()?, kept_since, unread: reading.unread() })
    }
}

impl Inner {
    /// Whether this caller is told of this patient; no: as if there were nobody.
    fn may_be_told(&self, caller: &Caller, patient: &ResourceId) -> Result<bool, VaultError> {
        if may_ask(caller.role) {
            // A token that is good for less than its account is good for none of this.
            return if caller.scopes.is_none() { Ok(true) } else { Err(VaultError::Forbidden) };
        }
        if caller.role != Role::Patient {
            return Err(VaultError::Forbidden);
        }
        let Whose::Patients(own) = self.whose(caller, Access::Search)? else { return Ok(false) };
        Ok(own.contains(patient))
    }

    /// Whose entries this caller may be told of, in whatever form.
    pub(crate) fn whose(&self, caller: &Caller, access: Access) -> Result<Whose, VaultError> {
        let Whose::Patients(mut own) = Whose::of(caller, access)? else { return Ok(Whose::Everybodys) };
        // Where records come from says who did what when: to whom that is closed (a detained patient could learn of a transport), so is this.
        let sights = self.sights(caller, Act::Read)?;
        let traces: Vec<ResourceType> = ResourceType::parse("Provenance").into_iter().collect();
        own.retain(|id| sights.as_ref().is_none_or(|sights| sights.opens_some(&traces, id)));
        Ok(Whose::Patients(own))
    }

    /// When the first entry was written.
    fn ledger_began(&self) -> Result<Option<Timestamp>, VaultError> {
        match tacet_ledger::read(self.store.reader(), &self.ledger_keys, 0) {
            Ok(entry) => Ok(Some(entry.at)),
            Err(LedgerError::KeyNotHeld { .. } | LedgerError::NoEntry { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }
}
