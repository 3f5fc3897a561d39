//! A seeded synthetic hospital: wards, staff and patients with plausible charts, as FHIR R4 JSON. Nobody in it is real. [`passkey`] is what its people
//! log in with; [`apart`] compares how long answers take.
//!
//! ```text
//!   Hospital::new(seed, ..) ── foundation() ──> organisations, wards, practitioners        (import these first)
//!          │
//!          ├── patient(n) ──────────────> every resource of patient n
//!          ├── transaction_bundle(n) ───> the same as one transaction
//!          ├── planted(n) ──────────────> the strings of patient n that a thief would look for
//!          └── write_ndjson(..) ────────> any number of patients, streamed
//! ```
//!
//! Patient `n` depends on the seed, on `now` and on `n` only: patients can be generated in any order, in parallel, and
//! without the others, so a million of them need no more memory than one. The demo, the load generator, the drills, the
//! tests and the compression dictionaries all draw on it.
//!
//! What cannot be mistaken for the real thing: identity numbers are in the national range for tests, phone numbers in the
//! ranges kept for fiction, mail at `example.org`, registers of professionals in their test range. Two patients may share an
//! identity number, about as often as registers get it wrong; the hospital's own number is unique.
//!
//! It is no model of epidemiology: what is frequent here is what exercises software. It does no I/O except to the writers
//! that it is given.

pub mod apart;
mod bundle;
mod calendar;
mod clinic;
mod draw;
pub mod foreign;
mod identity;
mod json;
mod load;
pub mod passkey;
mod planted;
mod rota;
mod staff;

pub use bundle::Method;
pub use clinic::standing::Standing;
pub use identity::nir::{INS_NIR_TEST_SYSTEM, nir_is_valid, nir_key};
pub use planted::{Planted, PlantedKind};

use clinic::chart::{Chart, patient_uuid};
use json::References;
use serde_json::Value;
use staff::Staff;
use tacet_types::{ResourceType, Timestamp};

/// What a synthetic hospital is made of.
#[derive(Clone, Copy, Debug)]
pub struct HospitalOptions {
    /// Names the hospital: the same seed gives the same hospital on every machine.
    pub seed: u64,
    /// How many patients [`Hospital::patients`] goes through. No patient depends on it.
    pub patients: u64,
    /// The present: charts end here, appointments lie beyond.
    pub now: Timestamp,
}

/// A generated resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its logical id, a UUID.
    pub id: String,
    /// Its JSON, compact, on one line.
    pub json: String,
}

/// Every resource of one patient, the Patient first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatientFile {
    /// The patient's number.
    pub n: u64,
    /// The logical id of the Patient resource.
    pub id: String,
    /// The resources. References between them are relative (`Patient/..`).
    pub resources: Vec<Record>,
}

impl PatientFile {
    /// Whether a consent in force lets nobody who cares for the patient see the records: it denies the purpose of treatment and names nobody.
    pub fn refuses(&self) -> bool {
        let consents = self.resources.iter().filter(|record| record.resource_type.as_str() == "Consent");
        let mut consents = consents.filter_map(|record| serde_json::from_str::<Value>(&record.json).ok());
        consents.any(|consent| {
            let text = |at: &str| consent.pointer(at).and_then(Value::as_str);
            text("/status") == Some("active")
                && text("/scope/coding/0/code") == Some("patient-privacy")
                && text("/provision/type") == Some("deny")
                && text("/provision/purpose/0/code") == Some("TREAT")
                && consent.pointer("/provision/actor").is_none()
        })
    }
}

/// Somebody who works in the hospital, as far as accounts and rights go by it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaffMember {
    /// The logical id of the Practitioner.
    pub id: String,
    /// The name as displays show it.
    pub display: String,
    /// Number in the register of professionals (RPPS).
    pub number: String,
    /// Code of the French list of professions: `10` physician, `21` pharmacist, `50` midwife, `60` nurse.
    pub profession: &'static str,
    /// The logical id of the Location of the ward.
    pub ward: String,
    /// The ward's name.
    pub ward_name: &'static str,
}

/// A synthetic hospital.
pub struct Hospital {
    options: HospitalOptions,
    staff: Staff,
}

impl Hospital {
    /// Draws the hospital itself; patients are drawn when asked for.
    pub fn new(options: HospitalOptions) -> Self {
        Self { options, staff: Staff::draw(options.seed) }
    }

    /// The options that it was made with.
    pub fn options(&self) -> HospitalOptions {
        self.options
    }

    /// Organizations, Locations, Practitioners, PractitionerRoles and the on-call list around the present, each after those that it refers
    /// to.
    pub fn foundation(&self) -> Vec<Record> {
        let mut records = self.staff.records();
        records.extend(rota::on_call(&self.staff, self.options.seed, self.options.now.as_ms()));
        records
    }

    /// The foundation as one transaction of `PUT`s, so that the patients' references to it hold.
    pub fn foundation_bundle(&self) -> String {
        bundle::transaction(&self.foundation(), Method::Put)
    }

    fn chart(&self, n: u64, references: References) -> Chart<'_> {
        Chart::write(&self.staff, self.options.seed, n, self.options.now.as_ms(), references)
    }

    /// Every resource of patient number `n`, any `n`.
    pub fn patient(&self, n: u64) -> PatientFile {
        let chart = self.chart(n, References::Relative);
        PatientFile { n, id: chart.patient.text(), resources: chart.records }
    }

    /// Who works there, in the order of [`Standing::Staff`]'s numbers.
    pub fn staff(&self) -> impl Iterator<Item = StaffMember> + '_ {
        self.staff.members()
    }

    /// What sets patient number `n` apart.
    pub fn standing(&self, n: u64) -> Standing {
        Standing::draw(self.options.seed, n)
    }

    /// The logical id of the Patient resource of patient number `n`.
    pub fn patient_id(&self, n: u64) -> String {
        patient_uuid(self.options.seed, n).text()
    }

    /// Patient number `n` as one who lies on the ward of this name now, in bed `bed`: the chart, and a stay that goes on. None where there is no such ward,
    /// or the patient has died. References are relative.
    pub fn inpatient(&self, n: u64, ward: &str, bed: u64) -> Option<PatientFile> {
        let place = self.staff.named(ward)?;
        let mut chart = self.chart(n, References::Relative);
        chart.write_present(place.ward, bed);
        (!chart.person.dead).then(|| PatientFile { n, id: chart.patient.text(), resources: chart.records })
    }

    /// The logical id of the Location of the ward of this name.
    pub fn ward(&self, name: &str) -> Option<String> {
        Some(self.staff.named(name)?.id.text())
    }

    /// All patients, one after the other.
    pub fn patients(&self) -> impl Iterator<Item = PatientFile> + '_ {
        (0..self.options.patients).map(|n| self.patient(n))
    }

    /// Patient number `n` as a transaction: full URLs and inner references by `urn:uuid:`, staff by relative reference.
    pub fn transaction_bundle(&self, n: u64, method: Method) -> String {
        bundle::transaction(&self.chart(n, References::Urn).records, method)
    }

    /// The strings of patient number `n` that a thief would look for, as its resources have them. Letters hold more, in
    /// base64: [`Planted`] strings are what stands in clear.
    pub fn planted(&self, n: u64) -> Vec<Planted> {
        planted::collect(&self.chart(n, References::Relative))
    }
}

#[cfg(test)]
mod tests;
