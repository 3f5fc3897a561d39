//! The strings of a patient that a thief would look for: what a drill greps a stolen disk for.

use crate::calendar::{french_date, push_date};
use crate::clinic::chart::Chart;

/// What a planted string tells of the patient.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum PlantedKind {
    /// A family name.
    Family,
    /// A given name.
    Given,
    /// The name as displays show it.
    Display,
    /// The national identity number (INS/NIR).
    Nir,
    /// The hospital's own number of the patient.
    LocalNumber,
    /// The birth date, `1962-12-27` or `27/12/1962`.
    BirthDate,
    /// A phone number.
    Phone,
    /// An email address.
    Email,
    /// A line of the home address.
    AddressLine,
    /// A CIM-10 code diagnosed.
    ConditionCode,
    /// The wording of a diagnosis.
    ConditionDisplay,
    /// The logical id of the Patient resource.
    PatientId,
}

impl PlantedKind {
    /// The kind in plain words, for a drill's table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Family => "family name",
            Self::Given => "given name",
            Self::Display => "full name",
            Self::Nir => "national identity number",
            Self::LocalNumber => "hospital number",
            Self::BirthDate => "birth date",
            Self::Phone => "phone number",
            Self::Email => "email address",
            Self::AddressLine => "address line",
            Self::ConditionCode => "diagnosis code",
            Self::ConditionDisplay => "diagnosis",
            Self::PatientId => "record id",
        }
    }
}

/// A string that stands in the records of one synthetic patient.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Planted {
    /// What it tells.
    pub kind: PlantedKind,
    /// The string, byte for byte as the resources have it.
    pub text: String,
}

/// Strings shorter than this turn up in random bytes by chance: five bytes once in 2^40 places, a terabyte.
const DISTINCTIVE_BYTES_MIN: usize = 6;

impl Planted {
    /// Long enough not to turn up by chance in sealed bytes, so that a find is a leak. Short names (`Li`) and codes (`I10`)
    /// are not.
    pub fn is_distinctive(&self) -> bool {
        self.text.len() >= DISTINCTIVE_BYTES_MIN
    }
}

/// Every planted string of a chart, each once.
pub(crate) fn collect(chart: &Chart) -> Vec<Planted> {
    let person = &chart.person;
    let mut out = Vec::new();
    let mut plant = |kind, text: &str| {
        if !text.is_empty() {
            out.push(Planted { kind, text: text.to_owned() });
        }
    };
    plant(PlantedKind::PatientId, &chart.patient.text());
    plant(PlantedKind::Family, &person.family);
    plant(PlantedKind::Family, person.daily_family());
    person.given.iter().for_each(|given| plant(PlantedKind::Given, given));
    plant(PlantedKind::Display, &chart.display);
    plant(PlantedKind::Nir, person.nir.as_deref().unwrap_or_default());
    plant(PlantedKind::LocalNumber, &person.local_number);
    let mut birth = String::new();
    push_date(&mut birth, person.birth);
    plant(PlantedKind::BirthDate, &birth);
    plant(PlantedKind::BirthDate, &french_date(person.birth));
    let contact = person.contact.as_ref();
    for phone in [person.mobile.as_deref(), person.landline.as_deref(), contact.map(|contact| contact.mobile.as_str())]
    {
        plant(PlantedKind::Phone, phone.unwrap_or_default());
    }
    plant(PlantedKind::Email, person.email.as_deref().unwrap_or_default());
    person.address.iter().for_each(|line| plant(PlantedKind::AddressLine, line));
    for diagnosis in &chart.diagnosed {
        plant(PlantedKind::ConditionCode, diagnosis.cim10);
        plant(PlantedKind::ConditionDisplay, diagnosis.text);
    }
    out.sort();
    out.dedup();
    out
}
