//! What a ward must know of one patient, typed: whoever sets it on paper decides nothing any more.
//!
//! Lists are bounded and say how much they leave out. What nobody recorded is told as such: silence is not a "no".

use crate::dosage::{self, Due};
use crate::read::{
    DAY_MS, When, concept, concept_key, each, has_code, human_name, moment, name_of, number, phones, quantity, range,
    target, text,
};
use crate::select::{self, Dossier, Measured, OBSERVED, Stated};
use crate::words::Telling;
use tacet_fhir::json::Json;
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

/// The OIDs of the national identity of health, and of its ranges for tests: what the number is
/// (ANS, "Référentiel Identifiant national de santé", annex 2).
const INS: [(&str, InsKind); 4] = [
    ("1.2.250.1.213.1.4.8", InsKind::Nir),
    ("1.2.250.1.213.1.4.9", InsKind::Nia),
    ("1.2.250.1.213.1.4.10", InsKind::TestNir),
    ("1.2.250.1.213.1.4.11", InsKind::DemoNir),
];

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
        }
    }

    /// The sheet of a patient, from their records and what those refer to.
    pub fn of(dossier: &Dossier<'_>, asked: &Asked<'_>) -> Self {
        let mut sheet = Self::empty(asked.patient, Gap::Nothing);
        sheet.gaps.clear();
        let patient = dossier.each("Patient").find(|record| record.get_str("id") == Some(asked.patient));
        match patient {
            Some(patient) => sheet.identity = identity(patient),
            None => sheet.gaps.push(Gap::Unreadable),
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

/// Who a Patient is.
pub fn identity(patient: &Json<'_>) -> Identity {
    let identifiers = || each(patient, "identifier").iter().filter(|one| one.get_str("use") != Some("old"));
    let ins = identifiers().find_map(|one| {
        let oid = one.get_str("system")?.trim_start_matches("urn:oid:");
        let (_, kind) = INS.iter().find(|(known, _)| *known == oid)?;
        Some((text(one, "value")?, *kind))
    });
    let number = identifiers().find(|one| has_code(one.get("type"), &["PI", "MR"])).or_else(|| {
        identifiers().find(|one| {
            let oid = one.get_str("system").unwrap_or_default().trim_start_matches("urn:oid:");
            !INS.iter().any(|(known, _)| *known == oid)
        })
    });
    let names = || each(patient, "name").iter();
    let name = name_of(patient);
    let used = names().find(|name| name.get_str("use") == Some("usual")).and_then(human_name);
    let reliability = each(patient, "extension")
        .iter()
        .filter(|one| one.get_str("url").is_some_and(|url| url.ends_with("fr-core-identity-reliability")))
        .flat_map(|one| each(one, "extension"))
        .find_map(|one| one.get("valueCoding")?.get_str("code"));
    let preferred = each(patient, "communication").iter();
    let preferred = preferred.filter(|one| one.get("preferred").and_then(Json::as_bool) == Some(true));
    Identity {
        used: used.filter(|used| Some(used) != name.as_ref()),
        name,
        born: moment(patient, &["birthDate"]),
        sex: text(patient, "gender"),
        ins,
        validated: reliability.map(|code| code == "VALI"),
        number: number.and_then(|one| text(one, "value")),
        dead: patient.get("deceasedBoolean").and_then(Json::as_bool) == Some(true)
            || patient.get("deceasedDateTime").is_some(),
        speaks: preferred.filter_map(|one| one.get("language").and_then(concept)).next(),
    }
}

/// The display of a reference, or the name of what it refers to.
fn named<'a>(dossier: &Dossier<'a>, holder: &Json<'a>, reference: &Json<'_>) -> Option<String> {
    let found = || dossier.resolve(holder, reference);
    text(reference, "display").or_else(|| {
        let found = found()?;
        match found.get("name")? {
            Json::String(_) => text(found, "name"),
            _ => name_of(found),
        }
    })
}

fn stay(dossier: &Dossier<'_>, asked: &Asked<'_>) -> Stay {
    let going = |one: &&Json<'_>| match asked.encounter {
        Some(id) => one.get_str("id") == Some(id),
        None => matches!(one.get_str("status"), Some("in-progress" | "arrived" | "triaged" | "onleave")),
    };
    let start = |one: &Json<'_>| moment(one, &["period"]);
    let encounter = dossier.each("Encounter").filter(going).max_by_key(|one| start(one).map(|when| when.as_ms()));
    let Some(encounter) = encounter else { return Stay::default() };
    let mut stay = Stay { since: start(encounter), ..Stay::default() };
    let places = each(encounter, "location").iter();
    let here = places.filter(|one| !matches!(one.get_str("status"), Some("completed" | "planned" | "reserved")));
    let latest = here.max_by_key(|one| moment(one, &["period"]).map_or(i64::MIN, |when| when.as_ms()));
    if let Some(place) = latest.and_then(|one| one.get("location")) {
        let said = text(place, "display");
        let mut next = dossier.resolve(encounter, place);
        // From the bed to its room and its ward; a bound on steps, as places may be parts of each other.
        for _ in 0..4 {
            let Some(location) = next else { break };
            let name = text(location, "name");
            let kind = location.get("physicalType");
            match () {
                () if has_code(kind, &["bd"]) => stay.bed = stay.bed.take().or(name),
                () if has_code(kind, &["ro"]) => stay.room = stay.room.take().or(name),
                () if has_code(kind, &["wa", "lvl", "wi", "bu"]) => {
                    stay.ward = stay.ward.take().or(name);
                    break;
                }
                () => stay.bed = stay.bed.take().or(name),
            }
            next = location.get("partOf").and_then(|above| dossier.resolve(location, above));
        }
        // "Cardiologie, lit 12" says where, where no place of that kind is on file.
        if stay.bed.is_none() {
            stay.bed = match (said, &stay.ward) {
                (Some(said), Some(ward)) => {
                    let rest = said.strip_prefix(ward.as_str()).unwrap_or(&said);
                    let rest = rest.trim_start_matches([',', ' ', '-', '–']).to_owned();
                    Some(rest).filter(|rest| !rest.is_empty())
                }
                (said, _) => said,
            };
        }
    }
    let people =
        || each(encounter, "participant").iter().filter(|one| one.get("period").is_none_or(|p| p.get("end").is_none()));
    let of_kind = |codes: &[&str]| {
        people()
            .find(|one| each(one, "type").iter().any(|kind| has_code(Some(kind), codes)))
            .and_then(|one| one.get("individual"))
    };
    let responsible =
        of_kind(&["ATND"]).or_else(|| of_kind(&["PPRF"])).or_else(|| people().find_map(|one| one.get("individual")));
    stay.responsible = responsible.and_then(|reference| named(dossier, encounter, reference));
    let reasons: Vec<String> = each(encounter, "reasonCode").iter().filter_map(concept).take(3).collect();
    stay.reason = Some(reasons.join(" ; ")).filter(|reasons| !reasons.is_empty());
    stay
}

/// What the ward is to know at once: flags, and what the patient refused or decided ahead.
fn alerts(dossier: &Dossier<'_>, asked: &Asked<'_>) -> Vec<String> {
    let over = |one: &Json<'_>| {
        let end = one.get("period").and_then(|period| period.get_str("end")).and_then(When::parse);
        end.is_some_and(|end| end.as_ms() + DAY_MS <= asked.now.as_ms())
    };
    let mut alerts: Vec<(bool, String)> = Vec::new();
    for flag in select::flags(dossier).filter(|flag| !over(flag)) {
        let Some(what) = flag.get("code").and_then(concept) else { continue };
        // Of the running of the hospital, not of safety: after the others.
        let minor =
            each(flag, "category").iter().any(|one| has_code(Some(one), &["admin", "administrative", "contact"]));
        alerts.push((minor, what));
    }
    // Consents that limit care, not the sharing of records (<https://hl7.org/fhir/R4/valueset-consent-scope.html>).
    for consent in dossier.each("Consent").filter(|one| one.get_str("status") == Some("active")) {
        let about_care = has_code(consent.get("scope"), &["adr", "treatment"]);
        let ahead = each(consent, "category")
            .iter()
            .find(|one| has_code(Some(one), &["acd", "dnr", "emrgonly", "hcd", "polst"]));
        if !about_care && ahead.is_none() {
            continue;
        }
        let provision = consent.get("provision");
        let refuses = provision.and_then(|one| one.get_str("type")) == Some("deny");
        let what: Vec<String> =
            provision.into_iter().flat_map(|one| each(one, "code")).filter_map(concept).take(4).collect();
        let what = if what.is_empty() { ahead.and_then(concept) } else { Some(what.join(", ")) };
        let what = what
            .or_else(|| consent.get("policyRule").and_then(concept))
            .or_else(|| consent.get("scope").and_then(concept));
        let Some(what) = what else { continue };
        let telling = asked.telling;
        let kind = if refuses {
            telling.of("Refus de soins", "Refuses")
        } else {
            telling.of("Volonté du patient", "Patient’s will")
        };
        alerts.push((false, format!("{kind} : {what}")));
    }
    alerts.sort();
    alerts.dedup();
    alerts.into_iter().map(|(_, what)| what).collect()
}

fn known<'s, 'a, T>(stated: &Stated<'s, 'a>, max: usize, of: impl Fn(&'s Json<'a>) -> Option<T>) -> Known<T> {
    if !stated.known.is_empty() {
        return Known::Some(Listed::of(stated.known.iter().filter_map(|record| of(record)), max));
    }
    if stated.none.is_empty() {
        return Known::NotRecorded;
    }
    Known::None(stated.none.iter().filter_map(|record| record.get("code").and_then(concept)).take(4).collect())
}

fn allergy(record: &Json<'_>) -> Allergy {
    let reactions = || each(record, "reaction").iter();
    let substance = || reactions().find_map(|reaction| reaction.get("substance").and_then(concept));
    let mut told: Vec<String> = reactions().flat_map(|one| each(one, "manifestation")).filter_map(concept).collect();
    told.dedup();
    told.truncate(5);
    Allergy {
        what: record.get("code").and_then(concept).or_else(substance).unwrap_or_else(|| "?".to_owned()),
        reactions: told,
        grave: record.get_str("criticality") == Some("high")
            || reactions().any(|reaction| reaction.get_str("severity") == Some("severe")),
        confirmed: has_code(record.get("verificationStatus"), &["confirmed"]),
    }
}

fn problem(record: &Json<'_>) -> Problem {
    Problem {
        what: record.get("code").and_then(concept).unwrap_or_else(|| "?".to_owned()),
        since: moment(record, &["onsetDateTime", "onsetPeriod", "recordedDate"]),
        suspected: has_code(record.get("verificationStatus"), &["unconfirmed", "provisional", "differential"]),
    }
}

/// What a medication is called, and what tells it from others.
fn medication<'a>(dossier: &Dossier<'a>, order: &Json<'a>) -> (String, Option<String>) {
    if let Some(code) = order.get("medicationCodeableConcept") {
        return (concept(code).unwrap_or_else(|| "?".to_owned()), concept_key(code));
    }
    let Some(reference) = order.get("medicationReference") else { return ("?".to_owned(), None) };
    let found = dossier.resolve(order, reference);
    let code = found.and_then(|found| found.get("code"));
    let name = code.and_then(concept).or_else(|| text(reference, "display")).unwrap_or_else(|| "?".to_owned());
    (name, code.and_then(concept_key).or_else(|| target(reference)))
}

fn treatments(dossier: &Dossier<'_>, asked: &Asked<'_>) -> Known<Treatment> {
    let (telling, now) = (&asked.telling, asked.now);
    let mut found: Vec<Treatment> = Vec::new();
    for order in select::prescriptions(dossier) {
        let (what, key) = medication(dossier, order);
        let given = last_given(dossier, order, key.as_deref(), asked);
        let at = given.as_ref().filter(|given| !given.refused).and_then(|given| match given.at {
            When::At(at) => Some(at),
            When::Date(_) => None,
        });
        let standing = match order.get_str("status") {
            _ if dosage::is_forbidden(order) => Standing::Forbidden,
            Some("on-hold") => Standing::Resting,
            _ if dosage::is_at_once(order) => Standing::AtOnce,
            _ => Standing::Ordered,
        };
        let to_give = matches!(standing, Standing::AtOnce | Standing::Ordered);
        let ended = dosage::ends(order, "dosageInstruction").filter(|end| end.as_ms() + DAY_MS <= now.as_ms());
        found.push(Treatment {
            what,
            doses: dosage::told(order, "dosageInstruction", telling, now),
            standing,
            last: given,
            due: dosage::next_due(order, "dosageInstruction", at, telling, now).filter(|_| to_give),
            ended,
        });
    }
    let taken = select::taken(dossier);
    for statement in &taken.known {
        let (what, _) = medication(dossier, statement);
        found.push(Treatment {
            what,
            doses: dosage::told(statement, "dosage", telling, now),
            standing: Standing::Taken,
            last: None,
            due: None,
            ended: None,
        });
    }
    if !found.is_empty() {
        found.sort_by(|one, other| one.standing.cmp(&other.standing).then_with(|| one.what.cmp(&other.what)));
        return Known::Some(Listed::of(found, TREATMENTS_MAX));
    }
    match taken.none.is_empty() {
        true => Known::NotRecorded,
        false => Known::None(
            taken.none.iter().filter_map(|one| concept(one.get("medicationCodeableConcept")?)).take(2).collect(),
        ),
    }
}

/// The last time that an order was carried out, or refused: by administrations that name it, or else those of the same medication.
fn last_given<'a>(dossier: &Dossier<'a>, order: &Json<'a>, key: Option<&str>, asked: &Asked<'_>) -> Option<Given> {
    let id = order.get_str("id").map(|id| format!("MedicationRequest/{id}"));
    let counts = |one: &&Json<'a>| {
        let named = one.get("request").and_then(target);
        let same = match &named {
            Some(_) => named == id,
            None => key.is_some() && medication(dossier, one).1.as_deref() == key,
        };
        same && matches!(one.get_str("status"), Some("completed" | "in-progress" | "not-done" | "stopped"))
    };
    let at = |one: &Json<'_>| moment(one, &["effectiveDateTime", "effectivePeriod"]);
    let past = |one: &&Json<'_>| at(one).is_some_and(|when| when.as_ms() <= asked.now.as_ms());
    let latest = dossier.each("MedicationAdministration").filter(counts).filter(past);
    let latest = latest.max_by_key(|one| at(one).map(|when| when.as_ms()))?;
    let dose = latest.get("dosage").and_then(|dosage| dosage.get("dose"));
    Some(Given {
        at: at(latest)?,
        dose: dose.and_then(|dose| quantity(dose, asked.telling.language.comma())),
        refused: latest.get_str("status") == Some("not-done"),
    })
}

/// The value of an observation or of a part of one.
fn value(record: &Json<'_>, telling: &Telling, now: Timestamp) -> Option<String> {
    let comma = telling.language.comma();
    record
        .get("valueQuantity")
        .and_then(|one| quantity(one, comma))
        .or_else(|| record.get("valueCodeableConcept").and_then(concept))
        .or_else(|| text(record, "valueString"))
        .or_else(|| record.get("valueRange").and_then(|one| range(one, comma)))
        .or_else(|| Some(record.get("valueInteger")?.as_number()?.to_owned()))
        .or_else(|| {
            let yes = record.get("valueBoolean").and_then(Json::as_bool)?;
            Some(if yes { telling.of("oui", "yes") } else { telling.of("non", "no") }.to_owned())
        })
        .or_else(|| {
            let ratio = record.get("valueRatio")?;
            Some(format!(
                "{}/{}",
                quantity(ratio.get("numerator")?, comma)?,
                quantity(ratio.get("denominator")?, comma)?
            ))
        })
        .or_else(|| moment(record, &["valueDateTime"]).map(|when| telling.when(&when, now)))
        .or_else(|| text(record, "valueTime"))
}

fn whole_value(record: &Json<'_>, telling: &Telling, now: Timestamp) -> Option<String> {
    let own = value(record, telling, now);
    let parts = each(record, "component").iter().take(12).filter_map(|part| {
        let what = part.get("code").and_then(concept)?;
        Some(format!("{what} {}", value(part, telling, now)?))
    });
    let parts: Vec<String> = parts.collect();
    match (own, parts.is_empty()) {
        (own, true) => own,
        (None, false) => Some(parts.join(" ; ")),
        (Some(own), false) => Some(format!("{own} ({})", parts.join(" ; "))),
    }
}

fn measures(dossier: &Dossier<'_>, kind: Measured, max: usize, asked: &Asked<'_>) -> Listed<Measure> {
    let (telling, now) = (&asked.telling, asked.now);
    let all = select::latest(dossier, kind).into_iter().map(|(record, before)| Measure {
        what: record.get("code").and_then(concept).unwrap_or_else(|| "?".to_owned()),
        value: whole_value(record, telling, now).or_else(|| record.get("dataAbsentReason").and_then(concept)),
        range: usual(record, telling.language.comma()),
        off: off(record),
        at: moment(record, &OBSERVED),
        before: before.and_then(|one| Some((whole_value(one, telling, now)?, moment(one, &OBSERVED)))),
        preliminary: record.get_str("status") == Some("preliminary"),
    });
    Listed::of(all, max)
}

/// The usual range: the one that says `normal` or nothing, not one of a treatment.
fn normal<'r, 'a>(record: &'r Json<'a>) -> Option<&'r Json<'a>> {
    let ranges = each(record, "referenceRange").iter();
    ranges.into_iter().find(|range| range.get("type").is_none() || has_code(range.get("type"), &["normal"]))
}

fn usual(record: &Json<'_>, comma: bool) -> Option<String> {
    let normal = normal(record)?;
    let bare = |side: &str| {
        let side = normal.get(side)?;
        let digits = side.get("value")?.as_number()?;
        Some(if comma { digits.replace('.', ",") } else { digits.to_owned() })
    };
    // The unit stands with the value; a range in another unit tells its own.
    let unit = |value: Option<&Json<'_>>| value.and_then(|value| text(value, "unit").or_else(|| text(value, "code")));
    let same = unit(record.get("valueQuantity")) == unit(normal.get("low").or_else(|| normal.get("high")));
    match (bare("low"), bare("high")) {
        _ if !same => range(normal, comma).or_else(|| text(normal, "text")),
        (Some(low), Some(high)) => Some(format!("{low}–{high}")),
        (Some(low), None) => Some(format!("≥ {low}")),
        (None, Some(high)) => Some(format!("≤ {high}")),
        (None, None) => text(normal, "text"),
    }
}

/// As the laboratory said (<https://hl7.org/fhir/R4/valueset-observation-interpretation.html>); where it said nothing, by the range, if both are in one unit.
fn off(record: &Json<'_>) -> Off {
    let said = each(record, "interpretation").iter().flat_map(|one| each(one, "coding")).find_map(|coding| {
        Some(match coding.get_str("code")? {
            "L" => Off::Low,
            "LL" | "LU" => Off::VeryLow,
            "H" => Off::High,
            "HH" | "HU" => Off::VeryHigh,
            "A" => Off::Abnormal,
            "AA" => Off::Critical,
            "POS" | "DET" => Off::Positive,
            "N" | "NEG" | "ND" => Off::No,
            _ => return None,
        })
    });
    said.unwrap_or_else(|| {
        let (Some(measured), Some(normal)) = (record.get("valueQuantity"), normal(record)) else { return Off::No };
        let unit = |value: &Json<'_>| text(value, "code").or_else(|| text(value, "unit"));
        let side = |name: &str| normal.get(name).filter(|side| unit(side) == unit(measured)).and_then(number);
        match number(measured) {
            Some(value) if measured.get("comparator").is_none() => match (side("low"), side("high")) {
                (Some(low), _) if value < low => Off::Low,
                (_, Some(high)) if value > high => Off::High,
                _ => Off::No,
            },
            _ => Off::No,
        }
    })
}

fn orders(dossier: &Dossier<'_>, asked: &Asked<'_>) -> Vec<Order> {
    let zone = asked.telling.zone;
    let today = zone.local_ms(asked.now).div_euclid(DAY_MS);
    let is_today = |when: &When| match when {
        When::At(at) => zone.local_ms(*at).div_euclid(DAY_MS) == today,
        When::Date(_) => when.as_ms().div_euclid(DAY_MS) == today,
    };
    let mut orders: Vec<Order> = Vec::new();
    let meetings = dossier.each("Appointment").filter(|one| {
        matches!(one.get_str("status"), Some("proposed" | "pending" | "booked" | "arrived" | "checked-in" | "waitlist"))
    });
    for meeting in meetings {
        let Some(at) = moment(meeting, &["start"]).filter(is_today) else { continue };
        let kinds = ["appointmentType", "serviceType", "reasonCode"];
        let what = kinds.iter().find_map(|kind| each(meeting, kind).iter().find_map(concept));
        let what = text(meeting, "description")
            .or(what)
            .unwrap_or_else(|| asked.telling.of("Rendez-vous", "Appointment").to_owned());
        orders.push(Order { what, at: Some(at), urgent: false, appointment: true });
    }
    let asked_for =
        dossier.each("ServiceRequest").chain(dossier.each("NutritionOrder")).chain(dossier.each("DeviceRequest"));
    let stands = |one: &&Json<'_>| {
        matches!(one.get_str("status"), Some("active" | "on-hold"))
            && !matches!(one.get_str("intent"), Some("proposal" | "plan" | "option"))
    };
    for order in asked_for.filter(stands) {
        let what = ["code", "codeCodeableConcept"].iter().find_map(|name| order.get(name).and_then(concept));
        let diet = || order.get("oralDiet").and_then(|diet| each(diet, "type").iter().find_map(concept));
        let Some(what) = what.or_else(diet) else { continue };
        let not = dosage::is_forbidden(order);
        let what = if not { format!("{} : {what}", asked.telling.of("NE PAS FAIRE", "DO NOT")) } else { what };
        orders.push(Order {
            what,
            at: moment(order, &["occurrenceDateTime", "occurrencePeriod", "occurrenceTiming", "dateTime"]),
            urgent: not || matches!(order.get_str("priority"), Some("stat" | "asap" | "urgent")),
            appointment: false,
        });
    }
    orders.sort_by_key(|order| (!order.appointment, !order.urgent, order.at.as_ref().map_or(i64::MAX, When::as_ms)));
    orders
}

fn contacts(dossier: &Dossier<'_>, patient: Option<&Json<'_>>) -> Vec<Contact> {
    let relation = |one: &Json<'_>| each(one, "relationship").iter().find_map(concept);
    let mut contacts: Vec<Contact> = Vec::new();
    for contact in patient.into_iter().flat_map(|patient| each(patient, "contact")) {
        let organization = || contact.get("organization").and_then(|one| text(one, "display"));
        if let Some(name) = contact.get("name").and_then(human_name).or_else(organization) {
            contacts.push(Contact { relation: relation(contact), name, phones: phones(contact), doctor: false });
        }
    }
    for person in dossier.each("RelatedPerson").filter(|one| one.get("active").and_then(Json::as_bool) != Some(false)) {
        let Some(name) = name_of(person) else { continue };
        let contact = Contact { relation: relation(person), name, phones: phones(person), doctor: false };
        if !contacts.iter().any(|known| known.name == contact.name && known.phones == contact.phones) {
            contacts.push(contact);
        }
    }
    if let Some(patient) = patient {
        for doctor in each(patient, "generalPractitioner") {
            let found = dossier.resolve(patient, doctor);
            let Some(name) = named(dossier, patient, doctor) else { continue };
            contacts.push(Contact {
                relation: None,
                name,
                phones: found.map(phones).unwrap_or_default(),
                doctor: true,
            });
        }
    }
    contacts
}
