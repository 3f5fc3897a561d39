//! Notes from sheets of paper that are entered afterwards (docs/paper-packs.md): a sheet is one that this store printed, of the patient whom the note is about.
//!
//! Nothing is kept of the sheets that were printed: the mark in a sheet's code is a keyed hash of the sheet's name and the patient's, so that it is worked out again. Whoever
//! has not the establishment's key can make up a code with a chance of one in a million.

use super::Plan;
use crate::error::VaultError;
use crate::vault::Inner;
use tacet_continuity::code::{MARK_BYTES, SheetCode, sheet_code, sheet_name};
use tacet_continuity::late::{Wrong, sheets};
use tacet_continuity::read::each;
use tacet_fhir::json::Json;
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_fhir::reference::Reference;
use tacet_types::{RecordRef, ResourceId, ResourceType};

/// Space of the marks of sheets: no row of the store begins with it, so none of its keys is one.
const SHEET_SPACE: u8 = 0xf1;

/// Most records that are looked at for whom one without a patient of its own is about (a Provenance, by what it points at).
const TARGETS_MAX: usize = 16;

/// The codes of the sheets that a change comes from; none for what was not written on paper first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Sheets(Vec<SheetCode>);

impl Sheets {
    /// What the ledger's entry says beside the change.
    pub(super) fn told(&self) -> Option<String> {
        let codes: Vec<&str> = self.0.iter().map(SheetCode::as_str).collect();
        (!codes.is_empty()).then(|| format!("late entry, from paper: {}", codes.join(", ")))
    }
}

/// A planned version that comes from sheets.
pub(super) struct Late {
    resource_type: ResourceType,
    sheets: Sheets,
    patients: Vec<ResourceId>,
    /// What it points at, where it is in no patient's compartment itself.
    targets: Vec<(ResourceType, ResourceId)>,
}

impl Inner {
    fn sheet_mark(&self, name: &str, patient: &ResourceId) -> [u8; MARK_BYTES] {
        let key = self.keys.row_keys.key(SHEET_SPACE, 1, &[name.as_bytes(), patient.as_str().as_bytes()]);
        // The first byte is the space.
        std::array::from_fn(|place| key.get(place + 1).copied().unwrap_or_default())
    }

    /// The code of a patient's sheet in the pack of this serial number.
    pub(crate) fn sheet_code(&self, serial: &str, number: usize, patient: &ResourceId) -> String {
        let name = sheet_name(serial, number);
        sheet_code(&name, self.sheet_mark(&name, patient))
    }
}

impl Plan<'_> {
    /// Remembers a planned version that comes from sheets, to be held to them once the whole plan is there. Gives the sheets.
    pub(super) fn note_late(&mut self, record: &RecordRef, resource: &Json<'_>, patients: &[ResourceId]) -> Sheets {
        let sheets = Sheets(sheets(resource));
        if !sheets.0.is_empty() {
            let targets = each(resource, "target").iter().take(TARGETS_MAX);
            let targets = targets.filter_map(|one| Reference::parse(one.get_str("reference")?).target_id());
            self.late.push(Late {
                resource_type: record.resource_type,
                sheets: sheets.clone(),
                patients: patients.to_vec(),
                targets: targets.collect(),
            });
        }
        sheets
    }

    /// Holds the notes to their sheets. Rights were looked at before: what is told here tells nothing to who may not write of the patient.
    pub(super) fn hold_late(&mut self) -> Result<(), VaultError> {
        for Late { resource_type, sheets, mut patients, targets } in std::mem::take(&mut self.late) {
            for (kind, id) in targets {
                let row = self.inner.head_row(kind, &id);
                patients.extend(self.head(&row)?.and_then(|head| head.current.owner.patient().cloned()));
            }
            let printed = |code: &SheetCode| {
                patients.iter().any(|patient| code.bears(self.inner.sheet_mark(code.name(), patient)))
            };
            if !sheets.0.iter().all(printed) {
                let issue = Issue::error(IssueType::Invariant, resource_type.as_str(), Wrong::Foreign.told());
                return Err(VaultError::Invalid(vec![issue]));
            }
        }
        Ok(())
    }
}
