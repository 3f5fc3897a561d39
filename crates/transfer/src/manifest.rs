//! What a transfer says of itself: who sends it to whom, why, until when, and the length and hash of each part.

use crate::TransferError;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tacet_types::Timestamp;

/// The version of the format.
pub(crate) const FORMAT: u32 = 1;

/// Most patients in one transfer.
pub const PATIENTS_MAX: usize = 1_000;

/// Longest text of a manifest, in bytes.
pub const TEXT_BYTES_MAX: usize = 500;

/// A hospital.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Of the sender, its public key in hexadecimal digits; of the receiver, `age1…`.
    pub key: String,
}

/// A part of a transfer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its length, in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

impl Part {
    /// What a part of these bytes is.
    pub fn of(bytes: &[u8]) -> Self {
        let sha256 = digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes: bytes.len() as u64, sha256 }
    }
}

/// What there is of one patient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientParts {
    /// The summary as a document Bundle, in JSON.
    pub bundle: Part,
    /// The summary as a PDF.
    pub pdf: Part,
}

/// What a transfer says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(crate) format: u32,
    /// Its id, a UUID.
    pub id: String,
    /// Who sends it.
    pub from: Holder,
    /// For whom it is.
    pub to: Holder,
    /// When it was made, RFC 3339.
    pub made: String,
    /// Until when it may be taken, and after which it is to be destroyed; RFC 3339.
    pub expires: String,
    /// What for: a code of HL7 v3 PurposeOfUse.
    pub purpose: String,
    /// Who made it.
    pub by: String,
    /// Why, in words.
    pub reason: String,
    /// The patients, in the order of their parts.
    pub patients: Vec<PatientParts>,
}

impl Manifest {
    /// A manifest of no patient yet. The keys are set where it is sealed.
    pub fn new(id: String, from: String, to: String, made: Timestamp, expires: Timestamp, purpose: String) -> Self {
        let holder = |name| Holder { name, key: String::new() };
        Self {
            format: FORMAT,
            id,
            from: holder(from),
            to: holder(to),
            made: made.to_string(),
            expires: expires.to_string(),
            purpose,
            by: String::new(),
            reason: String::new(),
            patients: Vec::new(),
        }
    }

    /// Until when it may be taken.
    pub fn until(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.expires).ok()
    }

    /// When it was made.
    pub fn made_at(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.made).ok()
    }

    /// Whether it keeps to the form: bounds and lines without control characters.
    pub(crate) fn check(&self) -> Result<(), TransferError> {
        let texts = [
            &self.id,
            &self.from.name,
            &self.from.key,
            &self.to.name,
            &self.to.key,
            &self.purpose,
            &self.by,
            &self.reason,
        ];
        let short = texts.iter().all(|text| text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control));
        let timed = self.made_at().zip(self.until()).is_some_and(|(made, until)| made <= until);
        if self.patients.len() > PATIENTS_MAX {
            return Err(TransferError::TooMuch { what: "patients", max: PATIENTS_MAX });
        }
        if self.format != FORMAT || !short || !timed || self.patients.is_empty() || self.id.is_empty() {
            return Err(TransferError::Form);
        }
        Ok(())
    }

    /// Every part in its order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.patients.iter().flat_map(|patient| [&patient.bundle, &patient.pdf])
    }
}
