//! What a ward must know of one patient, typed: whoever sets it on paper decides nothing any more.
//!
//! Lists are bounded and say how much they leave out. What nobody recorded is told as such: silence is not a "no".

mod findings;
mod measures;
mod missing;
mod ordered;
mod person;

pub use missing::Section;
pub use person::identity;

use crate::dosage::Due;
use crate::read::When;
use crate::select::{self, Dossier, Measured};
use crate::words::Telling;
use findings::{alerts, allergy, known, problem};
use measures::measures;
use ordered::{orders, treatments};
use person::{contacts, stay};
use std::collections::BTreeSet;
use tacet_types::Timestamp;

/// Most allergies on a sheet.
pub const ALLERGIES_MAX: usize = 20;
/// Most alerts on a sheet.
pub const ALERTS_MAX: usize = 15;
/// Most problems on a sheet.
pub const PROBLEMS_MAX: usize = 25;
/// Most treatments on a sheet.
pub const TREATMENTS_MAX: usize = 45;
/// Most results on a sheet.
pub const RESULTS_MAX: usize = 45;
/// Most vital signs on a sheet.
pub const VITALS_MAX: usize = 15;
/// Most orders and appointments on a sheet.
pub const ORDERS_MAX: usize = 25;
/// Most people to call on a sheet.
pub const CONTACTS_MAX: usize = 8;

/// Of what kind a national identity of health is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InsKind {
    /// NIR.
    Nir,
    /// NIA.
    Nia,
    /// A NIR for tests.
    TestNir,
    /// A NIR for demonstrations.
    DemoNir,
}

impl InsKind {
    /// As it is written beside the number.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nir => "NIR",
            Self::Nia => "NIA",
            Self::TestNir => "NIR TEST",
            Self::DemoNir => "NIR DEMO",
        }
    }
}

/// Some of a list, and how many more there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed<T> {
    /// The first ones.
    pub items: Vec<T>,
    /// How many are left out.
    pub more: usize,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), more: 0 }
    }
}

impl<T> Listed<T> {
    fn of(all: impl IntoIterator<Item = T>, max: usize) -> Self {
        let mut items: Vec<T> = all.into_iter().collect();
        let more = items.len().saturating_sub(max);
        items.truncate(max);
        Self { items, more }
    }
}

/// Who it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// The name, family name in capitals.
    pub name: Option<String>,
    /// The name that is used, where it is another one.
    pub used: Option<String>,
    /// The date of birth.
    pub born: Option<When>,
    /// `male`, `female`, `other`, `unknown`.
    pub sex: Option<String>,
    /// The national identity of health.
    pub ins: Option<(String, InsKind)>,
    /// Whether the identity counts as validated (French identity reliability `VALI`); none where nothing says so.
    pub validated: Option<bool>,
    /// The hospital's own number.
    pub number: Option<String>,
    /// Whether the record says that this person has died.
    pub dead: bool,
    /// Preferred language, where the record names one.
    pub speaks: Option<String>,
}

/// Where the patient lies, and for whom to ask.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Stay {
    /// The ward.
    pub ward: Option<String>,
    /// The room.
    pub room: Option<String>,
    /// The bed, or the place as it was written.
    pub bed: Option<String>,
    /// Since when in the hospital.
    pub since: Option<When>,
    /// Who is responsible.
    pub responsible: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// An allergy or intolerance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allergy {
    /// Against what.
    pub what: String,
    /// What came of it.
    pub reactions: Vec<String>,
    /// Whether it may kill: criticality high, or a severe reaction.
    pub grave: bool,
    /// Whether it was confirmed.
    pub confirmed: bool,
}

/// What is known of a kind of thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Known<T> {
    /// Nobody recorded anything: not a "no".
    NotRecorded,
    /// Somebody recorded that there is none; in their words.
    None(Vec<String>),
    /// These.
    Some(Listed<T>),
}

/// A problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What.
    pub what: String,
    /// Since when.
    pub since: Option<When>,
    /// Whether it is only suspected.
    pub suspected: bool,
}

/// A treatment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Treatment {
    /// What.
    pub what: String,
    /// Doses in words, each dosage on a line; empty where the order has none.
    pub doses: Vec<String>,
    /// How it stands.
    pub standing: Standing,
    /// When it was given last.
    pub last: Option<Given>,
    /// When it is due, where a time follows from the order.
    pub due: Option<Due>,
    /// The order's own end, where it has passed.
    pub ended: Option<When>,
}

/// How a treatment stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// Not to be given.
    Forbidden,
    /// Ordered, to be given at once.
    AtOnce,
    /// Ordered.
    Ordered,
    /// Ordered, and resting now.
    Resting,
    /// Taken by the patient, as somebody said.
    Taken,
}

/// The last time that something was given, or was not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// When.
    pub at: When,
    /// How much.
    pub dose: Option<String>,
    /// Whether somebody wrote that it was not given.
    pub refused: bool,
}

/// A result or a vital sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measure {
    /// What.
    pub what: String,
    /// The value with its unit; its parts, where it has such. None: nobody said.
    pub value: Option<String>,
    /// Between what it is usual.
    pub range: Option<String>,
    /// How far it is off.
    pub off: Off,
    /// When.
    pub at: Option<When>,
    /// The one before, and when that was.
    pub before: Option<(String, Option<When>)>,
    /// Whether it may change yet.
    pub preliminary: bool,
}

/// How far a value is off: letters and signs, for who has no colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Off {
    /// Not, or nobody says.
    No,
    /// Below.
    Low,
    /// Far below.
    VeryLow,
    /// Above.
    High,
    /// Far above.
    VeryHigh,
    /// Otherwise abnormal.
    Abnormal,
    /// Critical.
    Critical,
    /// Found, where finding something is unusual.
    Positive,
}

impl Off {
    /// The sign.
    pub fn sign(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Low => "▼ L",
            Self::VeryLow => "▼▼ LL",
            Self::High => "▲ H",
            Self::VeryHigh => "▲▲ HH",
            Self::Abnormal => "! A",
            Self::Critical => "!! AA",
            Self::Positive => "+ POS",
        }
    }
}

/// What is to be done, or when somebody expects the patient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// What.
    pub what: String,
    /// When, where it says.
    pub at: Option<When>,
    /// Whether it is urgent.
    pub urgent: bool,
    /// Whether it is an appointment.
    pub appointment: bool,
}

/// Somebody to call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contact {
    /// As what: a relation, or none for the general practitioner.
    pub relation: Option<String>,
    /// The name.
    pub name: String,
    /// Telephone numbers.
    pub phones: Vec<String>,
    /// Whether it is the general practitioner.
    pub doctor: bool,
}

/// A sheet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sheet {
    /// The id of the patient's record.
    pub patient: String,
    /// Who.
    pub identity: Identity,
    /// Where.
    pub stay: Stay,
    /// Alerts: isolation, resuscitation, refusals, what the ward is to know at once.
    pub alerts: Listed<String>,
    /// Allergies.
    pub allergies: Known<Allergy>,
    /// Problems.
    pub problems: Known<Problem>,
    /// Treatments.
    pub treatments: Known<Treatment>,
    /// Vital signs.
    pub vitals: Listed<Measure>,
    /// Results.
    pub results: Listed<Measure>,
    /// Orders and appointments.
    pub orders: Listed<Order>,
    /// People.
    pub contacts: Listed<Contact>,
    /// What could not be read or would have been too much: the sheet is not whole.
    pub gaps: Vec<Gap>,
    /// In which parts something is missing that could not be read.
    pub missing: BTreeSet<Section>,
}

/// Why a sheet is not whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gap {
    /// The record has more than is read for a sheet.
    TooMuch,
    /// A record could not be read.
    Unreadable,
    /// Nothing of the record could be read now.
    Nothing,
}

/// Whose sheet, and for which moment.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'s> {
    /// The id of the patient.
    pub patient: &'s str,
    /// The id of the encounter by which the patient is there; none: any that goes on.
    pub encounter: Option<&'s str>,
    /// Now.
    pub now: Timestamp,
    /// How it is told.
    pub telling: Telling,
}

impl Sheet {
    /// A sheet of which nothing is known but whose it is.
    pub fn empty(patient: &str, gap: Gap) -> Self {
        Self {
            patient: patient.to_owned(),
            identity: Identity::default(),
            stay: Stay::default(),
            alerts: Listed::default(),
            allergies: Known::NotRecorded,
            problems: Known::NotRecorded,
            treatments: Known::NotRecorded,
            vitals: Listed::default(),
            results: Listed::default(),
            orders: Listed::default(),
            contacts: Listed::default(),
            gaps: vec![gap],
            missing: BTreeSet::new(),
        }
    }

    /// The sheet of a patient, from their records and what those refer to.
    pub fn of(dossier: &Dossier<'_>, asked: &Asked<'_>) -> Self {
        let mut sheet = Self::empty(asked.patient, Gap::Nothing);
        sheet.gaps.clear();
        let patient = dossier.each("Patient").find(|record| record.get_str("id") == Some(asked.patient));
        match patient {
            Some(patient) => sheet.identity = identity(patient),
            None => sheet.lacks([Section::Identity]),
        }
        sheet.stay = stay(dossier, asked);
        sheet.alerts = Listed::of(alerts(dossier, asked), ALERTS_MAX);
        sheet.allergies = known(&select::allergies(dossier), ALLERGIES_MAX, |record| Some(allergy(record)));
        sheet.problems = known(&select::problems(dossier), PROBLEMS_MAX, |record| Some(problem(record)));
        sheet.treatments = treatments(dossier, asked);
        sheet.vitals = measures(dossier, Measured::VitalSigns, VITALS_MAX, asked);
        sheet.results = measures(dossier, Measured::Results, RESULTS_MAX, asked);
        sheet.orders = Listed::of(orders(dossier, asked), ORDERS_MAX);
        sheet.contacts = Listed::of(contacts(dossier, patient), CONTACTS_MAX);
        sheet
    }
}
