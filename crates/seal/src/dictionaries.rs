//! Compression dictionaries: which there are, which one a new row takes, and how one is made.
//!
//! A dictionary is trained on synthetic records only: one made from real records would carry pieces of them in clear.

use crate::compression::Dictionary;
use crate::envelope::SealError;
use std::sync::{LazyLock, OnceLock};
use tacet_types::ResourceType;
use zstd::dict::{DecoderDictionary, EncoderDictionary};

/// A dictionary as it is committed.
pub(crate) struct Committed {
    /// Written in every row that was compressed with it. **Never reused**, not even for a better dictionary of the same
    /// name: that one gets the next free id, and the old file stays for as long as rows may need it.
    pub(crate) id: u16,
    /// A FHIR resource type, [`LEDGER`] or [`OTHER`].
    pub(crate) name: &'static str,
    /// The file under `dictionaries/`.
    pub(crate) bytes: &'static [u8],
}

/// Name of the dictionary for ledger entries.
const LEDGER: &str = "Ledger";

/// Name of the dictionary for resource types that have none of their own.
const OTHER: &str = "Other";

/// Ids below this one say "as it is" and "compressed without dictionary" (see `compression`).
pub(crate) const ID_MIN: u16 = 2;

/// A line of the table: id, name, and the file under `dictionaries/`, without its ending.
macro_rules! committed {
    ($($id:literal $name:literal $file:literal)+) => {
        &[$(Committed { id: $id, name: $name, bytes: include_bytes!(concat!("../dictionaries/", $file, ".dict")) }),+]
    };
}

/// Every dictionary that a row may have been compressed with, oldest first. A line here is made with its file, by
/// `cargo xtask dictionaries`, and stays for ever.
static COMMITTED: &[Committed] = committed! {
    2 "AllergyIntolerance" "AllergyIntolerance"
    3 "Appointment" "Appointment"
    4 "CarePlan" "CarePlan"
    5 "CareTeam" "CareTeam"
    6 "Claim" "Claim"
    7 "Composition" "Composition"
    8 "Condition" "Condition"
    9 "Consent" "Consent"
    10 "Coverage" "Coverage"
    11 "Device" "Device"
    12 "DiagnosticReport" "DiagnosticReport"
    13 "DocumentReference" "DocumentReference"
    14 "Encounter" "Encounter"
    15 "ExplanationOfBenefit" "ExplanationOfBenefit"
    16 "Goal" "Goal"
    17 "ImagingStudy" "ImagingStudy"
    18 "Immunization" "Immunization"
    19 "Location" "Location"
    20 "MedicationAdministration" "MedicationAdministration"
    21 "MedicationRequest" "MedicationRequest"
    22 "Observation" "Observation"
    23 "Organization" "Organization"
    24 "Patient" "Patient"
    25 "Practitioner" "Practitioner"
    26 "PractitionerRole" "PractitionerRole"
    27 "Procedure" "Procedure"
    28 "Provenance" "Provenance"
    29 "RelatedPerson" "RelatedPerson"
    30 "ServiceRequest" "ServiceRequest"
    31 "Specimen" "Specimen"
    32 "SupplyDelivery" "SupplyDelivery"
    33 "Other" "Other"
};

/// The committed dictionaries, ready for use. Each is prepared when it is first needed.
pub(crate) static DICTIONARIES: LazyLock<Dictionaries> = LazyLock::new(|| Dictionaries::new(COMMITTED));

/// Level of compression. Level 1 costs about 3 us a record; higher ones cost more than they save (issue of the
/// measured choices).
pub(crate) const LEVEL: i32 = 1;

/// A set of dictionaries, found by id for reading and by kind of row for writing.
pub(crate) struct Dictionaries {
    all: Vec<Prepared>,
    /// By [`ResourceType::code`], the newest dictionary's place in `all`.
    by_type: Vec<Option<usize>>,
    ledger: Option<usize>,
    other: Option<usize>,
}

pub(crate) struct Prepared {
    pub(crate) id: u16,
    bytes: &'static [u8],
    encoder: OnceLock<Option<EncoderDictionary<'static>>>,
    decoder: OnceLock<Option<DecoderDictionary<'static>>>,
}

impl Dictionaries {
    pub(crate) fn new(committed: &[Committed]) -> Self {
        let mut by_type = vec![None; usize::from(u8::MAX) + 1];
        let (mut ledger, mut other) = (None, None);
        let mut all = Vec::with_capacity(committed.len());
        for (place, dictionary) in committed.iter().enumerate() {
            let slot = match ResourceType::parse(dictionary.name) {
                Some(resource_type) => by_type.get_mut(usize::from(resource_type.code())),
                None if dictionary.name == LEDGER => Some(&mut ledger),
                None if dictionary.name == OTHER => Some(&mut other),
                None => None,
            };
            if let Some(slot) = slot {
                *slot = Some(place);
            }
            all.push(Prepared {
                id: dictionary.id,
                bytes: dictionary.bytes,
                encoder: OnceLock::new(),
                decoder: OnceLock::new(),
            });
        }
        Self { all, by_type, ledger, other }
    }

    /// The id of every dictionary.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u16> + '_ {
        self.all.iter().map(|dictionary| dictionary.id)
    }

    /// The dictionary that a new row of this kind takes.
    pub(crate) fn for_writing(&self, hint: Dictionary) -> Option<&Prepared> {
        let place = match hint {
            Dictionary::Stored | Dictionary::None => None,
            Dictionary::Ledger => self.ledger,
            Dictionary::Resource(resource_type) => {
                self.by_type.get(usize::from(resource_type.code())).copied().flatten().or(self.other)
            }
        };
        self.all.get(place?)
    }

    /// The dictionary that a stored row names.
    pub(crate) fn for_reading(&self, id: u16) -> Result<&Prepared, SealError> {
        self.all.iter().find(|dictionary| dictionary.id == id).ok_or(SealError::UnknownDictionary { id })
    }
}

impl Prepared {
    pub(crate) fn encoder(&self) -> Result<&EncoderDictionary<'static>, SealError> {
        let prepare = || EncoderDictionary::try_copy(self.bytes, LEVEL).ok();
        self.encoder.get_or_init(prepare).as_ref().ok_or(SealError::BrokenDictionary { id: self.id })
    }

    pub(crate) fn decoder(&self) -> Result<&DecoderDictionary<'static>, SealError> {
        let prepare = || DecoderDictionary::try_copy(self.bytes).ok();
        self.decoder.get_or_init(prepare).as_ref().ok_or(SealError::BrokenDictionary { id: self.id })
    }
}

/// Makes a dictionary of at most `bytes_max` bytes (16 KiB is a good size) from samples of one kind of row.
///
/// **Synthetic samples only.** A dictionary holds pieces of its samples in clear and is published with the program.
/// Give some hundreds of samples; with too few, the library says so.
#[cfg(feature = "train")]
pub fn train(samples: &[Vec<u8>], bytes_max: usize) -> Result<Vec<u8>, SealError> {
    zstd::dict::from_samples(samples, bytes_max).map_err(SealError::Compression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_dictionaries_are_sound() {
        let mut ids: Vec<u16> = COMMITTED.iter().map(|dictionary| dictionary.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), COMMITTED.len(), "an id is used twice");
        for dictionary in COMMITTED {
            assert!(dictionary.id >= ID_MIN, "{}", dictionary.name);
            let kind = [LEDGER, OTHER].contains(&dictionary.name) || ResourceType::parse(dictionary.name).is_some();
            assert!(kind, "{}", dictionary.name);
            let prepared = DICTIONARIES.for_reading(dictionary.id).unwrap();
            assert!(prepared.encoder().is_ok() && prepared.decoder().is_ok(), "{}", dictionary.name);
        }
    }

    #[test]
    fn a_new_row_takes_the_newest_dictionary_of_its_kind() {
        let committed = [
            Committed { id: 2, name: "Patient", bytes: b"first" },
            Committed { id: 3, name: "Ledger", bytes: b"ledger" },
            Committed { id: 9, name: "Patient", bytes: b"second" },
        ];
        let dictionaries = Dictionaries::new(&committed);
        let patient = Dictionary::Resource(ResourceType::parse("Patient").unwrap());
        let group = Dictionary::Resource(ResourceType::parse("Group").unwrap());
        let chosen = |hint| dictionaries.for_writing(hint).map(|dictionary| dictionary.id);
        assert_eq!(chosen(patient), Some(9));
        assert_eq!(chosen(Dictionary::Ledger), Some(3));
        assert_eq!((chosen(group), chosen(Dictionary::None)), (None, None));
        assert!(dictionaries.for_reading(2).is_ok(), "the older one still opens old rows");
        assert!(matches!(dictionaries.for_reading(4), Err(SealError::UnknownDictionary { id: 4 })));
    }

    #[test]
    fn a_type_without_a_dictionary_takes_the_common_one() {
        let committed =
            [Committed { id: 2, name: "Patient", bytes: b"one" }, Committed { id: 3, name: "Other", bytes: b"two" }];
        let dictionaries = Dictionaries::new(&committed);
        let chosen = |hint| dictionaries.for_writing(hint).map(|dictionary| dictionary.id);
        let of = |name| Dictionary::Resource(ResourceType::parse(name).unwrap());
        assert_eq!((chosen(of("Patient")), chosen(of("Group"))), (Some(2), Some(3)));
        assert_eq!((chosen(Dictionary::Ledger), chosen(Dictionary::None)), (None, None));
    }

    #[test]
    fn the_committed_dictionaries_earn_their_place() {
        let text = br#"{"resourceType":"Observation","id":"0f3b","meta":{"versionId":"1"},"status":"final","category":[{"coding":
            [{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],"code":{"coding":[
            {"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/9a"},"valueQuantity":{"value":71,
            "unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}"#;
        let length = |hint| crate::compression::compress(&DICTIONARIES, hint, text, |_, body| body.len()).unwrap();
        let with = length(Dictionary::Resource(ResourceType::parse("Observation").unwrap()));
        let without = length(Dictionary::None);
        assert!(with * 2 < without, "{with} against {without} bytes");
    }

    #[cfg(feature = "train")]
    #[test]
    fn a_dictionary_can_be_trained() {
        let samples: Vec<Vec<u8>> = (0..2000)
            .map(|n| {
                format!("{{\"resourceType\":\"Observation\",\"id\":\"{n}\",\"status\":\"final\",\"n\":{}}}", n * 7919)
            })
            .map(String::into_bytes)
            .collect();
        let dictionary = train(&samples, 4096).unwrap();
        assert!((1..=4096).contains(&dictionary.len()));
        assert!(train(&[], 4096).is_err());
    }
}
