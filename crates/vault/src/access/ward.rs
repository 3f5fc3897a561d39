//! What a ward's team needs of the patients who lie there, for paper: found by care data, seen by the policies as somebody of the ward sees it, and opened under
//! an entry for each patient.
//!
//! The policies are asked about a nurse of the ward who has an order to carry out for each of its patients. So what they open to everybody of the ward is
//! there; patients who are set apart (detained, known, staff) are there too, since the ward cares for them; and what they keep for those in charge (psychiatry, HIV,
//! what a minor confided) is not. What is left out is not marked: a sheet of paper is read by many.

use super::Sights;
use crate::caller::Caller;
use crate::disclose::{Disclosed, Located, is_of_one};
use crate::error::VaultError;
use crate::head::Method;
use crate::layout::RowKey;
use crate::members::CHUNK_MEMBERS;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tacet_fhir::json;
use tacet_fhir::reference::{self, Reference};
use tacet_fhir::search::parameter;
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_policy::{
    Act, CareData, CareSettings, CareView, ConsentRuling, PatientFlags, Relation, RelationSet, Subject, visibility,
};
use tacet_seal::SigningUse;
use tacet_search::Page;
use tacet_search::document::Key;
use tacet_search::filter::{Comparison, Filter, Test};
use tacet_search::request::Total;
use tacet_tlog::note::{Signature, SignatureType};
use tacet_tlog::{KeyError, SignerKey, VerifierKey};
use tacet_types::{OperationId, RecordRef, ResourceId, ResourceType, Role, Timestamp};
use zeroize::Zeroizing;

/// Most patients of one ward.
pub const WARD_PATIENTS_MAX: usize = 400;

/// Most records of one patient that are opened for a sheet.
pub const WARD_RECORDS_MAX: usize = 800;

/// Most records outside of patients' compartments that a ward's records refer to: staff, places, medications.
const SHARED_MAX: usize = 4_000;

/// How many steps are gone from a place to what it is a part of.
const STEPS_MAX: usize = 4;

/// How far back measures and what was given are looked at: 30 days; and how far ahead appointments: 2 days. In milliseconds.
const BACK_MS: i64 = 30 * 86_400_000;
const AHEAD_MS: i64 = 2 * 86_400_000;

/// Longest wait for the key keeper at a time, in milliseconds, and how often it is waited for.
const WAIT_MS_MAX: u64 = 10_000;
const WAITS_MAX: usize = 30;

/// Who makes packs, as the ledger names it.
const OWNER: &str = "paper packs";

/// For whom the policies are asked. No Practitioner has this id: it is longer than FHIR allows to be found by chance, and nobody is granted anything by it.
const OF_THE_WARD: &str = "somebody-of-the-ward-for-whom-a-paper-pack-is-made";

/// What is read for a sheet, of all times.
const LASTING: [&str; 13] = [
    "Patient",
    "Encounter",
    "AllergyIntolerance",
    "Condition",
    "Flag",
    "Consent",
    "MedicationRequest",
    "MedicationStatement",
    "ServiceRequest",
    "DeviceRequest",
    "NutritionOrder",
    "RelatedPerson",
    "Medication",
];

/// What is read of around now, with the search parameter that says when it was.
const TIMED: [(&str, &str); 3] =
    [("Observation", "date"), ("MedicationAdministration", "effective-time"), ("Appointment", "date")];

/// What is read outside of patients' compartments.
const SHARED: [&str; 5] = ["Practitioner", "PractitionerRole", "Organization", "Location", "Medication"];

/// A ward: the Location where its patients lie, or the Organization that provides their stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ward {
    /// `Location` or `Organization`.
    pub resource_type: ResourceType,
    /// Its id.
    pub id: ResourceId,
}

impl Ward {
    /// Reads `Location/[id]` or `Organization/[id]`.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('/')?;
        let resource_type =
            ResourceType::parse(kind).filter(|kind| matches!(kind.as_str(), "Location" | "Organization"))?;
        Some(Self { resource_type, id: ResourceId::parse(id).ok()? })
    }
}

/// What is missing of a patient.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct WardGaps {
    /// There was more than [`WARD_RECORDS_MAX`].
    pub too_much: bool,
    /// Of which types records did not open: the patient's own, and what these refer to.
    pub unreadable: BTreeSet<ResourceType>,
    /// Whether something did not open of which not even the type is known.
    pub unknown: bool,
}

/// A patient of a ward.
pub struct WardPatient {
    /// Who.
    pub patient: ResourceId,
    /// The encounter by which they are there.
    pub encounter: ResourceId,
    /// The code of the patient's sheet ([`tacet_continuity::code`]).
    pub code: String,
    /// The records, as somebody of the ward sees them.
    pub records: Vec<Disclosed>,
    /// What is missing.
    pub gaps: WardGaps,
}

/// What a ward's pack is made of.
pub struct WardRecords {
    /// The patients.
    pub patients: Vec<WardPatient>,
    /// What their records refer to outside of their compartments.
    pub shared: Vec<Disclosed>,
    /// How many patients there are beyond [`WARD_PATIENTS_MAX`].
    pub more: usize,
}

/// Care data as they are for somebody of the ward.
struct OfWard<'a> {
    care: &'a CareData,
    patients: HashMap<ResourceId, RelationSet>,
}

impl CareView for OfWard<'_> {
    fn relations(&self, _: &ResourceId, _: Timestamp, _: &CareSettings) -> HashMap<ResourceId, RelationSet> {
        self.patients.clone()
    }

    fn hospital(&self, now: Timestamp, settings: &CareSettings) -> HashMap<ResourceId, RelationSet> {
        self.care.hospital(now, settings)
    }

    fn flags(&self, patient: &ResourceId) -> PatientFlags {
        self.care.flags(patient)
    }

    fn each_flagged(&self, now: Timestamp, each: &mut dyn FnMut(&ResourceId)) {
        CareView::each_flagged(self.care, now, each);
    }

    fn consents(&self, patient: &ResourceId, subject: &Subject, now: Timestamp) -> Vec<ConsentRuling> {
        CareView::consents(self.care, patient, subject, now)
    }

    fn break_glass(&self, _: &str, _: Timestamp) -> Vec<ResourceId> {
        Vec::new()
    }

    fn plans(&self, patient: &ResourceId, now: Timestamp) -> Vec<ResourceId> {
        CareView::plans(self.care, patient, now)
    }
}

impl Vault {
    /// What is known of the patients who lie on a ward now, for paper, in the pack of this serial number. `told` gives the text that stands in the ledger beside the
    /// entry of each sheet, by its code; entries stand before anything opens. What does not open is missing, and it is said of which kind it is; a patient of whom nothing opens is
    /// among them, with nothing. Waits by `wait` while the keeper lets no more through. May block.
    ///
    /// # Errors
    /// Nobody goes by relations here (no access settings), disclosures are stopped, the keys are locked, or the store fails.
    pub async fn ward_records(
        &self,
        ward: &Ward,
        serial: &str,
        told: &(dyn Fn(&str) -> String + Sync),
        wait: &(dyn Fn(Duration) + Sync),
    ) -> Result<WardRecords, VaultError> {
        let inner = &self.0;
        let caller = inner.packs_caller();
        let now = inner.clock.now();
        let access = inner
            .access
            .as_ref()
            .ok_or(VaultError::NotSupported("packs of wards without rules on who may see what"))?;
        let (mut present, sights) = {
            let care = access.care();
            let present = care.data.on_ward((ward.resource_type, &ward.id), now, &access.settings);
            let relations = RelationSet::of([Relation::WardEncounter, Relation::Order]);
            let patients = present.iter().map(|(patient, _)| (patient.clone(), relations)).collect();
            let view = OfWard { care: &care.data, patients };
            let seen = visibility(&access.policies(), &view, &access.settings, &somebody(), Act::Read, now);
            (present, Arc::new(Sights::new((seen, Vec::new()))))
        };
        // What a consent closes to everybody of the ward is not there, as if nobody were.
        let patient_type: Vec<ResourceType> = ResourceType::parse("Patient").into_iter().collect();
        present.retain(|(patient, _)| sights.opens_some(&patient_type, patient));
        let more = present.len().saturating_sub(WARD_PATIENTS_MAX);
        present.truncate(WARD_PATIENTS_MAX);
        let mut patients = Vec::new();
        for (place, (patient, encounter)) in present.into_iter().enumerate() {
            let code = inner.sheet_code(serial, place + 1, &patient);
            let note = told(&code);
            let (records, gaps) = match inner.of_patient(&caller, &sights, &patient, &note, wait).await {
                Ok(found) => found,
                Err(error) if is_of_one(&error) => {
                    tracing::error!(operation = %caller.operation, %error, "a patient's sheet cannot be made");
                    (Vec::new(), WardGaps { unknown: true, ..WardGaps::default() })
                }
                Err(error) => return Err(error),
            };
            patients.push(WardPatient { patient, encounter, code, records, gaps });
        }
        let (shared, lost) = inner.shared(&caller, &sights, &patients, wait).await?;
        if !lost.is_empty() {
            for patient in &mut patients {
                let named = references(patient.records.iter());
                patient.gaps.unreadable.extend(lost.iter().filter(|one| named.contains(*one)).map(|(kind, _)| *kind));
            }
        }
        Ok(WardRecords { patients, shared, more })
    }

    /// Writes down that a pack was made or opened. `text`: its serial number, the ward, how many sheets; no personal data.
    ///
    /// # Errors
    /// The ledger cannot write.
    pub async fn note_pack(&self, caller: Option<&Caller>, text: String) -> Result<(), VaultError> {
        let own = self.0.packs_caller();
        self.note_with(caller.unwrap_or(&own), EventKind::Print, Outcome::Success, Some(text)).await
    }

    /// Signs a pack's note with the hospital's key for packs.
    ///
    /// # Errors
    /// The library fails.
    pub fn sign_pack(&self, text: &[u8]) -> Result<Signature, KeyError> {
        self.0.pack_key()?.sign(text)
    }

    /// The hospital's key for packs, as workstations are given it.
    ///
    /// # Errors
    /// The library fails.
    pub fn pack_key(&self) -> Result<VerifierKey, KeyError> {
        Ok(self.0.pack_key()?.verifier())
    }
}

/// As whom the policies see the ward.
fn somebody() -> Subject {
    Subject {
        account: OWNER.to_owned(),
        role: Role::Nurse,
        practitioner: ResourceId::parse(OF_THE_WARD).ok(),
        patients: Vec::new(),
        purpose: PurposeOfUse::Treatment.as_str(),
        strong: true,
        supplier: false,
        approved: None,
    }
}

impl Inner {
    fn packs_caller(&self) -> Caller {
        let origin = Origin { address: None, channel: Channel::Internal };
        let operation = OperationId::random(self.rng.as_ref());
        Caller::new(OWNER, Role::Integrator, PurposeOfUse::Treatment, origin, operation)
    }

    fn pack_key(&self) -> Result<SignerKey, KeyError> {
        let id: String = self.keys.id.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let seed = Zeroizing::new(*self.keys.signing_seed(SigningUse::Pack).as_bytes());
        SignerKey::from_seed(&format!("tacet-packs/{id}"), SignatureType::Ed25519, seed)
    }

    /// A patient's records for a sheet.
    async fn of_patient(
        &self,
        caller: &Caller,
        sights: &Arc<Sights>,
        patient: &ResourceId,
        note: &str,
        wait: &(dyn Fn(Duration) + Sync),
    ) -> Result<(Vec<Disclosed>, WardGaps), VaultError> {
        let (located, mut gaps) = self.of_compartment(sights, patient)?;
        let (records, lost) = self.opened(caller, sights, located, Some(note), wait).await?;
        gaps.unreadable.extend(lost.iter().map(|record| record.resource_type));
        if !gaps.unreadable.is_empty() || gaps.unknown {
            // Never which: what is told of a patient is told in the ledger.
            tracing::error!(operation = %caller.operation, records = lost.len(), "records do not open and are missing on a sheet: run `tacet check`");
        }
        Ok((records, gaps))
    }

    /// What is looked at of a patient, and what is missing already. A row that cannot be read hides no other.
    fn of_compartment(
        &self,
        sights: &Arc<Sights>,
        patient: &ResourceId,
    ) -> Result<(Vec<Located>, WardGaps), VaultError> {
        let mut gaps = WardGaps::default();
        let mut seen: HashSet<RowKey> = HashSet::new();
        let (mut lasting, mut timed) = (Vec::new(), Vec::new());
        for chunk in 0..self.member_count(patient)?.div_ceil(CHUNK_MEMBERS as u64) {
            for row in readable(self.members_in_chunk(patient, chunk), &mut gaps)?.unwrap_or_default() {
                if !seen.insert(row) {
                    continue;
                }
                let Some(found) = readable(self.locate_row(&row), &mut gaps)?.flatten() else { continue };
                let kind = found.record.resource_type.as_str();
                let is_timed = TIMED.iter().any(|(name, _)| *name == kind);
                let wanted = is_timed || LASTING.contains(&kind);
                if !wanted
                    || found.meta.method == Method::Delete
                    || self.look_at(Some(sights), &found) == super::Look::Hidden
                {
                    continue;
                }
                if is_timed { timed.push(found) } else { lasting.push(found) }
            }
        }
        if let Some(recent) = self.recent(&timed) {
            timed.retain(|found| recent.contains(&key_of(found)));
        }
        let newest = |found: &Located| std::cmp::Reverse(found.meta.last_updated);
        lasting.sort_by_key(newest);
        timed.sort_by_key(newest);
        // A half for each, and what one does not need for the other.
        let of_timed = WARD_RECORDS_MAX.saturating_sub(lasting.len()).max(WARD_RECORDS_MAX / 2);
        let of_lasting = WARD_RECORDS_MAX - timed.len().min(of_timed);
        gaps.too_much = lasting.len() > of_lasting || timed.len() > of_timed;
        // The Patient is never what is left out.
        lasting.sort_by_key(|found| found.record.resource_type.as_str() != "Patient");
        lasting.truncate(of_lasting);
        timed.truncate(of_timed);
        lasting.append(&mut timed);
        Ok((lasting, gaps))
    }

    /// Which of these are of around now, as the index knows. None where it cannot answer: then all are, and the latest written count.
    fn recent(&self, timed: &[Located]) -> Option<HashSet<Key>> {
        let now_ms = self.clock.now().as_ms();
        let mut keys: Vec<Key> = timed.iter().map(key_of).collect();
        if keys.is_empty() {
            return None;
        }
        keys.sort_unstable();
        let around = TIMED.iter().filter_map(|(name, code)| {
            let kind = ResourceType::parse(name)?;
            let test = Test::Date(Comparison::Approximately, now_ms - BACK_MS, now_ms + AHEAD_MS);
            Some(Filter::All(vec![Filter::Types(vec![kind]), Filter::Value(parameter(kind, code)?, test)]))
        });
        let filter = Filter::All(vec![Filter::Any(around.collect()), Filter::Keys(keys)]);
        let page = Page { sort: Vec::new(), count: timed.len(), after: None, total: Total::None };
        let hits = self.answering().ok()?.index.search(&filter, &page).ok()?;
        Some(hits.keys.into_iter().map(|(key, _)| key).collect())
    }

    /// Opens these, the entry first, and says what did not open. Where it must wait for the keeper, it goes on with what is left.
    async fn opened(
        &self,
        caller: &Caller,
        sights: &Arc<Sights>,
        mut located: Vec<Located>,
        note: Option<&str>,
        wait: &(dyn Fn(Duration) + Sync),
    ) -> Result<(Vec<Disclosed>, Vec<RecordRef>), VaultError> {
        let (mut records, mut lost, mut waits) = (Vec::new(), Vec::new(), 0);
        while !located.is_empty() {
            let sights = Some(Arc::clone(sights));
            let shown = self.disclose_what_opens(caller, EventKind::Print, note, located, sights).await?;
            records.extend(shown.disclosed.into_iter().map(|(_, disclosed)| disclosed));
            lost.extend(shown.unreadable);
            located = shown.rest;
            if let Some(retry_after_ms) = shown.retry_after_ms {
                if waits == WAITS_MAX {
                    return Err(VaultError::RateExceeded { retry_after_ms });
                }
                waits += 1;
                wait(Duration::from_millis(retry_after_ms.clamp(1, WAIT_MS_MAX)));
            }
        }
        Ok((records, lost))
    }

    /// What the records refer to outside of patients' compartments, once each, and what places are parts of; and what of it did not open.
    async fn shared(
        &self,
        caller: &Caller,
        sights: &Arc<Sights>,
        patients: &[WardPatient],
        wait: &(dyn Fn(Duration) + Sync),
    ) -> Result<(Vec<Disclosed>, HashSet<(ResourceType, ResourceId)>), VaultError> {
        let mut known: HashSet<(ResourceType, ResourceId)> = HashSet::new();
        let (mut shared, mut lost): (Vec<Disclosed>, HashSet<_>) = (Vec::new(), HashSet::new());
        let mut wanted = references(patients.iter().flat_map(|patient| &patient.records));
        for _ in 0..STEPS_MAX {
            let mut located = BTreeMap::new();
            for (resource_type, id) in wanted {
                let room = known.len() < SHARED_MAX;
                if !room || !SHARED.contains(&resource_type.as_str()) || !known.insert((resource_type, id.clone())) {
                    continue;
                }
                let found = match self.locate(resource_type, &id) {
                    Err(error) if is_of_one(&error) => {
                        lost.insert((resource_type, id));
                        continue;
                    }
                    found => found?,
                };
                let of_nobody = |found: &Located| {
                    found.meta.owner == crate::owner::Owner::Establishment && found.meta.method != Method::Delete
                };
                if let Some(found) = found.filter(of_nobody)
                    && self.look_at(Some(sights), &found) != super::Look::Hidden
                {
                    located.insert((resource_type, id), found);
                }
            }
            if located.is_empty() {
                break;
            }
            let located = located.into_values().collect();
            let (opened, unread) = self.opened(caller, sights, located, Some("paper pack"), wait).await?;
            lost.extend(unread.into_iter().map(|record| (record.resource_type, record.id)));
            let places = opened
                .iter()
                .filter(|one| matches!(one.record.resource_type.as_str(), "Location" | "PractitionerRole"));
            wanted = references(places);
            shared.extend(opened);
        }
        if !lost.is_empty() {
            tracing::error!(operation = %caller.operation, records = lost.len(), "what sheets refer to does not open: run `tacet check`");
        }
        Ok((shared, lost))
    }
}

/// What was read; none, and a gap, where it is damaged.
fn readable<T>(read: Result<T, VaultError>, gaps: &mut WardGaps) -> Result<Option<T>, VaultError> {
    match read {
        Err(error) if is_of_one(&error) => {
            gaps.unknown = true;
            Ok(None)
        }
        read => read.map(Some),
    }
}

fn key_of(found: &Located) -> Key {
    Key { resource_type: found.record.resource_type, id: found.record.id.clone() }
}

fn references<'d>(records: impl Iterator<Item = &'d Disclosed>) -> BTreeSet<(ResourceType, ResourceId)> {
    let mut found = BTreeSet::new();
    for record in records {
        let Ok(value) = json::parse(&record.body, &crate::disclose::json_limits()) else { continue };
        reference::for_each_reference(&value, &mut |text| found.extend(Reference::parse(text).target_id()));
    }
    found
}
