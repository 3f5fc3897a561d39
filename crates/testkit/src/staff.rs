//! The hospital itself: organisations, wards, practitioners and their roles. Every bundle of a patient takes them as there.

use crate::clinic::terms::Ward;
use crate::draw::{Draw, Stream};
use crate::identity::names::draw_origin;
use crate::identity::person::Sex;
use crate::json::{JsonWriter, References, Uuid};
use crate::rota::write_shift;
use crate::{Record, StaffMember};
use tacet_types::ResourceType;

/// How many practitioners work in the hospital. Fixed, so that a patient does not depend on the hospital's size.
pub(crate) const PRACTITIONERS: u64 = 120;

/// Wards: French name, code of the HL7 v3 ServiceDeliveryLocationRoleType system, and beds.
const WARDS: [(Ward, &str, &str, i64); 15] = [
    (Ward::Emergency, "Urgences", "ER", 24),
    (Ward::Medicine, "Médecine interne", "HU", 32),
    (Ward::Surgery, "Chirurgie", "HU", 40),
    (Ward::Maternity, "Maternité", "HU", 26),
    (Ward::Psychiatry, "Psychiatrie", "PSYCHF", 30),
    (Ward::Geriatrics, "Gériatrie", "HU", 36),
    (Ward::IntensiveCare, "Réanimation", "ICU", 14),
    (Ward::Laboratory, "Laboratoire", "MBL", 0),
    (Ward::Paediatrics, "Pédiatrie", "PEDU", 22),
    (Ward::Cardiology, "Cardiologie", "CARD", 28),
    (Ward::Pneumology, "Pneumologie", "HU", 26),
    (Ward::Oncology, "Oncologie", "ONCL", 20),
    (Ward::Imaging, "Imagerie médicale", "RADDX", 0),
    (Ward::Outpatients, "Consultations externes", "HOSP", 0),
    (Ward::Vaccination, "Centre de vaccination", "HOSP", 0),
];

/// Trades: code of the French list of professions, French name, how many of 100 practitioners.
const TRADES: [(&str, &str, u64); 6] = [
    ("10", "Médecin", 45),
    ("60", "Infirmier", 35),
    ("50", "Sage-femme", 6),
    ("21", "Pharmacien", 5),
    ("70", "Masseur-kinésithérapeute", 5),
    ("40", "Chirurgien-dentiste", 4),
];

/// Somebody who works there.
pub(crate) struct Practitioner {
    pub(crate) id: Uuid,
    role: Uuid,
    /// `Dr Léa Martin`, or without title for who is no physician.
    pub(crate) display: String,
    family: String,
    given: &'static str,
    sex: Sex,
    trade: (&'static str, &'static str),
    ward: Ward,
    number: String,
    /// Which shift, for those who work in shifts.
    shift: u64,
}

/// A place in the hospital.
pub(crate) struct WardPlace {
    pub(crate) ward: Ward,
    pub(crate) id: Uuid,
    pub(crate) name: &'static str,
    code: &'static str,
    beds: i64,
}

/// What stands before any patient comes.
pub(crate) struct Staff {
    pub(crate) hospital: Uuid,
    pub(crate) insurer: Uuid,
    pub(crate) laboratory: Uuid,
    building: Uuid,
    pub(crate) wards: Vec<WardPlace>,
    pub(crate) practitioners: Vec<Practitioner>,
}

/// The hospital's name.
pub(crate) const HOSPITAL_NAME: &str = "Centre hospitalier Sainte-Opportune";

impl Staff {
    pub(crate) fn draw(seed: u64) -> Self {
        let draw = &mut Draw::new(seed, Stream::Staff, 0);
        let id = |draw: &mut Draw| Uuid::from_words(draw.next(), draw.next());
        let (hospital, insurer, laboratory, building) = (id(draw), id(draw), id(draw), id(draw));
        let wards = WARDS.iter().map(|(ward, name, code, beds)| WardPlace {
            ward: *ward,
            id: id(draw),
            name,
            code,
            beds: *beds,
        });
        let wards = wards.collect();
        let practitioners = (0..PRACTITIONERS).map(|n| Practitioner::draw(seed, n)).collect();
        Self { hospital, insurer, laboratory, building, wards, practitioners }
    }

    /// The ward of a name.
    pub(crate) fn named(&self, name: &str) -> Option<&WardPlace> {
        self.wards.iter().find(|place| place.name == name)
    }

    /// Somebody of this ward, a physician where `physician`; whoever comes first where the ward has none.
    pub(crate) fn of_ward(&self, ward: Ward, physician: bool, choice: u64) -> Option<&Practitioner> {
        let fits = |person: &&Practitioner| person.ward == ward && (!physician || person.trade.0 == "10");
        let count = self.practitioners.iter().filter(fits).count() as u64;
        if count > 0 {
            return self.practitioners.iter().filter(fits).nth((choice % count) as usize);
        }
        let physicians = |person: &&Practitioner| person.trade.0 == "10";
        let count = self.practitioners.iter().filter(physicians).count().max(1) as u64;
        self.practitioners.iter().filter(physicians).nth((choice % count) as usize)
    }

    pub(crate) fn physicians(&self) -> impl Iterator<Item = &Practitioner> {
        self.practitioners.iter().filter(|person| person.trade.0 == "10")
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = StaffMember> + '_ {
        self.practitioners.iter().filter_map(|person| {
            let place = self.place(person.ward)?;
            Some(StaffMember {
                id: person.id.text(),
                display: person.display.clone(),
                number: person.number.clone(),
                profession: person.trade.0,
                ward: place.id.text(),
                ward_name: place.name,
            })
        })
    }

    pub(crate) fn place(&self, ward: Ward) -> Option<&WardPlace> {
        self.wards.iter().find(|place| place.ward == ward)
    }

    /// All resources of the hospital itself, referred to before referring.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let mut keep = |name: &'static str, id: Uuid, body: &dyn Fn(&mut JsonWriter)| {
            let Some(resource_type) = ResourceType::parse(name) else { return };
            let json = JsonWriter::resource(References::Relative, name, id, body);
            records.push(Record { resource_type, id: id.text(), json });
        };
        let organisations = [
            (self.hospital, HOSPITAL_NAME, "910999991", "Healthcare Provider", "prov"),
            (self.insurer, "Caisse d'assurance maladie d'essai", "910999992", "Insurance Company", "ins"),
            (self.laboratory, "Laboratoire de biologie de l'Essonne", "910999993", "Healthcare Provider", "prov"),
        ];
        for (id, name, finess, kind, code) in organisations {
            keep("Organization", id, &|w| {
                w.single("identifier", |w| {
                    w.text("use", "official");
                    w.text("system", "https://finess.esante.gouv.fr");
                    w.text("value", finess);
                });
                w.boolean("active", true);
                w.concepts("type", "http://terminology.hl7.org/CodeSystem/organization-type", code, kind);
                w.text("name", name);
                w.single("telecom", |w| {
                    w.text("system", "phone");
                    w.text("value", "01 99 00 00 10");
                    w.text("use", "work");
                });
                w.single("address", hospital_address);
            });
        }
        keep("Location", self.building, &|w| {
            w.text("status", "active");
            w.text("name", HOSPITAL_NAME);
            w.text("mode", "instance");
            w.object("address", hospital_address);
            w.concept("physicalType", PHYSICAL_TYPE, "bu", "Building");
            w.standing("managingOrganization", "Organization", self.hospital, HOSPITAL_NAME);
        });
        for place in &self.wards {
            keep("Location", place.id, &|w| {
                w.text("status", "active");
                w.text("name", place.name);
                w.text("description", &description(place));
                w.text("mode", "instance");
                w.concepts("type", ROLE_CODE, place.code, place.name);
                w.concept("physicalType", PHYSICAL_TYPE, "wa", "Ward");
                w.standing("managingOrganization", "Organization", self.hospital, HOSPITAL_NAME);
                w.standing("partOf", "Location", self.building, "");
            });
        }
        for person in &self.practitioners {
            keep("Practitioner", person.id, &|w| person.write(w));
            keep("PractitionerRole", person.role, &|w| person.write_role(w, self));
        }
        records
    }
}

const PHYSICAL_TYPE: &str = "http://terminology.hl7.org/CodeSystem/location-physical-type";
const ROLE_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
const PROFESSIONS: &str = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante";
const RPPS: &str = "https://rpps.esante.gouv.fr";

fn description(place: &WardPlace) -> String {
    match place.beds {
        0 => format!("{}, sans hospitalisation", place.name),
        beds => format!("{}, {beds} lits", place.name),
    }
}

fn hospital_address(w: &mut JsonWriter) {
    w.text("use", "work");
    w.array("line", |w| w.item("40 avenue du Puits-Fleuri"));
    w.text("city", "Corbeil-Essonnes");
    w.text("district", "91174");
    w.text("postalCode", "91100");
    w.text("country", "FRA");
}

impl Practitioner {
    fn draw(seed: u64, n: u64) -> Self {
        let draw = &mut Draw::new(seed, Stream::Staff, n + 1);
        let (id, role) = (Uuid::from_words(draw.next(), draw.next()), Uuid::from_words(draw.next(), draw.next()));
        let origin = draw_origin(draw);
        let sex = if draw.chance(60) { Sex::Female } else { Sex::Male };
        let given = draw.pick(if sex == Sex::Female { origin.female } else { origin.male });
        let family = draw.pick(origin.family).to_owned();
        let mut rest = draw.below(100);
        let mut trade = (TRADES[0].0, TRADES[0].1);
        for (code, name, percent) in TRADES {
            if rest < percent {
                trade = (code, name);
                break;
            }
            rest -= percent;
        }
        let title = if trade.0 == "10" { "Dr " } else { "" };
        let (ward, ..) = draw.pick_from(&WARDS);
        Self {
            id,
            role,
            display: format!("{title}{given} {family}"),
            family,
            given,
            sex,
            trade,
            ward: *ward,
            shift: n,
            number: with_luhn_digit(&format!("899{:07}", n * 104_729 % 10_000_000)),
        }
    }

    fn write(&self, w: &mut JsonWriter) {
        w.single("identifier", |w| {
            w.text("use", "official");
            w.object("type", |w| {
                w.concept_members("https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203", "RPPS", "N° RPPS", "")
            });
            w.text("system", RPPS);
            w.text("value", &self.number);
        });
        w.boolean("active", true);
        w.single("name", |w| {
            w.text("use", "official");
            w.text("text", &self.display);
            w.text("family", &self.family);
            w.array("given", |w| w.item(self.given));
            if self.trade.0 == "10" {
                w.array("prefix", |w| w.item("Dr"));
            }
        });
        w.single("telecom", |w| {
            w.text("system", "email");
            w.text("value", &format!("{}@ch-sainte-opportune.example.org", self.number));
            w.text("use", "work");
        });
        w.text("gender", self.sex.code());
        w.single("qualification", |w| w.concept("code", PROFESSIONS, self.trade.0, self.trade.1));
    }

    fn write_role(&self, w: &mut JsonWriter, staff: &Staff) {
        w.boolean("active", true);
        w.standing("practitioner", "Practitioner", self.id, &self.display);
        w.standing("organization", "Organization", staff.hospital, HOSPITAL_NAME);
        w.concepts("code", PROFESSIONS, self.trade.0, self.trade.1);
        if let Some(place) = staff.place(self.ward) {
            w.array("specialty", |w| w.element(|w| w.text("text", place.name)));
            w.array("location", |w| w.element(|w| w.standing_members("Location", place.id, place.name)));
        }
        w.single("telecom", |w| {
            w.text("system", "phone");
            w.text("value", "01 99 00 00 11");
            w.text("use", "work");
        });
        // Nurses and midwives work in shifts; physicians may be called at any hour.
        if matches!(self.trade.0, "60" | "50") {
            write_shift(w, self.shift);
        }
    }
}

/// Appends the check digit of ISO/IEC 7812 (Luhn), as the register of professionals does.
fn with_luhn_digit(number: &str) -> String {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte.saturating_sub(b'0'));
            let doubled = if place % 2 == 0 { digit * 2 } else { digit };
            doubled / 10 + doubled % 10
        })
        .sum();
    format!("{number}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ward_is_there_and_has_somebody_to_call() {
        let staff = Staff::draw(1);
        for (ward, ..) in WARDS {
            assert!(staff.place(ward).is_some());
            assert_eq!(staff.of_ward(ward, true, 3).unwrap().trade.0, "10");
            assert!(staff.of_ward(ward, false, 7).is_some());
        }
        assert_eq!(staff.records().len(), 3 + 1 + 15 + 240);
    }

    #[test]
    fn register_numbers_carry_their_check_digit() {
        assert_eq!(with_luhn_digit("7992739871"), "79927398713");
        let staff = Staff::draw(1);
        let mut numbers: Vec<_> = staff.practitioners.iter().map(|person| &person.number).collect();
        assert!(numbers.iter().all(|number| number.len() == 11 && number.starts_with("899")));
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), 120);
    }
}
