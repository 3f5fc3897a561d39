//! People, organisations and places in American shapes, and where records come from.

use super::*;

const CITIES: [(&str, &str, &str, &str); 12] = [
    ("Boston", "MA", "Massachusetts", "02118"),
    ("Worcester", "MA", "Massachusetts", "01608"),
    ("Springfield", "MA", "Massachusetts", "01103"),
    ("Austin", "TX", "Texas", "78701"),
    ("Portland", "OR", "Oregon", "97204"),
    ("Denver", "CO", "Colorado", "80202"),
    ("Columbus", "OH", "Ohio", "43215"),
    ("Atlanta", "GA", "Georgia", "30303"),
    ("Seattle", "WA", "Washington", "98101"),
    ("Madison", "WI", "Wisconsin", "53703"),
    ("Albany", "NY", "New York", "12207"),
    ("Tampa", "FL", "Florida", "33602"),
];
const FAMILIES: [&str; 24] = [
    "Adams",
    "Baker",
    "Carter",
    "Diaz",
    "Evans",
    "Foster",
    "Garcia",
    "Harris",
    "Irwin",
    "Johnson",
    "King",
    "Lopez",
    "Miller",
    "Nguyen",
    "Ortiz",
    "Parker",
    "Quinn",
    "Reyes",
    "Smith",
    "Taylor",
    "Underwood",
    "Vargas",
    "White",
    "Young",
];
const GIVEN: [&str; 20] = [
    "Aaron", "Beth", "Carlos", "Dana", "Elena", "Frank", "Grace", "Henry", "Irene", "James", "Karen", "Luis", "Maria",
    "Nora", "Oscar", "Paula", "Ruth", "Samuel", "Tina", "Walter",
];
const STREETS: [&str; 8] =
    ["Main Street", "Oak Avenue", "Elm Street", "Park Road", "Maple Lane", "Church Street", "Mill Way", "Hill Terrace"];
const PLACES: [&str; 8] = [
    "GENERAL HOSPITAL",
    "COMMUNITY HEALTH CENTER",
    "PRIMARY CARE ASSOCIATES",
    "URGENT CARE CLINIC",
    "MEDICAL CENTER",
    "FAMILY MEDICINE PC",
    "OUTPATIENT CLINIC",
    "REHABILITATION CENTER",
];

/// A name with digits behind it, as synthetic feeds mark theirs.
fn named(draw: &mut Draw, names: &[&'static str]) -> String {
    let name = *draw.pick_from(names);
    if draw.chance(40) { format!("{name}{}", draw.between(1, 999)) } else { name.to_owned() }
}

fn phone(w: &mut JsonWriter, draw: &mut Draw, usage: &str) {
    // 555-01xx is kept for fiction in the North American numbering plan.
    let number = format!("555-{:03}-01{:02}", draw.between(200, 999), draw.below(100));
    w.single("telecom", |w| {
        w.text("system", "phone");
        w.text("value", &number);
        if !usage.is_empty() {
            w.text("use", usage);
        }
    });
}

fn address(w: &mut JsonWriter, draw: &mut Draw) {
    let (city, short, long, postal) = *draw.pick_from(&CITIES);
    let line = format!("{} {}", draw.between(1, 1200), draw.pick_from(&STREETS));
    w.array("line", |w| w.item(&line));
    w.text("city", city);
    w.text("state", if draw.chance(50) { short } else { long });
    w.text("postalCode", postal);
    w.text("country", "US");
}

pub(super) fn patient(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-patient");
    if draw.chance(60) {
        w.narrative(&["Synthetic patient"]);
    }
    let female = draw.chance(50);
    let (race, race_text) = *draw.pick_from(&[
        ("2106-3", "White"),
        ("2054-5", "Black or African American"),
        ("2028-9", "Asian"),
        ("2131-1", "Other Race"),
    ]);
    let (ethnicity, ethnicity_text) =
        *draw.pick_from(&[("2186-5", "Not Hispanic or Latino"), ("2135-2", "Hispanic or Latino")]);
    let birth_city = *draw.pick_from(&CITIES);
    w.array("extension", |w| {
        for (name, code, text) in [("us-core-race", race, race_text), ("us-core-ethnicity", ethnicity, ethnicity_text)]
        {
            w.element(|w| {
                w.array("extension", |w| {
                    w.element(|w| {
                        w.text("url", "ombCategory");
                        w.coding("valueCoding", "urn:oid:2.16.840.1.113883.6.238", code, text);
                    });
                    w.element(|w| {
                        w.text("url", "text");
                        w.text("valueString", text);
                    });
                });
                w.text("url", &format!("{US_CORE}{name}"));
            });
        }
        w.element(|w| {
            w.text("url", "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName");
            w.text("valueString", &format!("{} {}", named(draw, &GIVEN), named(draw, &FAMILIES)));
        });
        w.element(|w| {
            w.text("url", &format!("{US_CORE}us-core-birthsex"));
            w.text("valueCode", if female { "F" } else { "M" });
        });
        w.element(|w| {
            w.text("url", "http://hl7.org/fhir/StructureDefinition/patient-birthPlace");
            w.object("valueAddress", |w| {
                w.text("city", birth_city.0);
                w.text("state", birth_city.2);
                w.text("country", "US");
            });
        });
    });
    let record_number = any_id(draw).text();
    w.array("identifier", |w| {
        let kinds = [("MR", "Medical Record Number"), ("SS", "Social Security Number"), ("DL", "Driver's License")];
        for (code, text) in kinds.into_iter().chain([("PPN", "Passport Number")]) {
            w.element(|w| {
                w.object("type", |w| w.concept_members(&hl7("v2-0203"), code, text, text));
                match code {
                    "MR" => {
                        w.text("system", "http://hospital.example.org");
                        w.text("value", &record_number);
                    }
                    "SS" => {
                        w.text("system", "http://hl7.org/fhir/sid/us-ssn");
                        // No number beginning with 999 is given out.
                        w.text("value", &format!("999-{:02}-{:04}", draw.below(100), draw.below(10_000)));
                    }
                    "DL" => {
                        w.text("system", "urn:oid:2.16.840.1.113883.4.3.25");
                        w.text("value", &format!("S999{:05}", draw.below(100_000)));
                    }
                    _ => {
                        w.text("system", "http://hl7.org/fhir/sid/passport-USA");
                        w.text("value", &format!("X{:08}X", draw.below(100_000_000)));
                    }
                }
            });
        }
    });
    let given = named(draw, &GIVEN);
    w.array("name", |w| {
        w.element(|w| {
            w.text("use", "official");
            w.text("family", &named(draw, &FAMILIES));
            w.array("given", |w| w.item(&given));
            w.array("prefix", |w| w.item(if female { "Mrs." } else { "Mr." }));
        });
        if female && draw.chance(50) {
            w.element(|w| {
                w.text("use", "maiden");
                w.text("family", &named(draw, &FAMILIES));
                w.array("given", |w| w.item(&given));
                w.array("prefix", |w| w.item("Mrs."));
            });
        }
    });
    phone(w, draw, "home");
    w.text("gender", if female { "female" } else { "male" });
    w.date("birthDate", draw.between(-14_000, 20_000));
    if draw.chance(15) {
        w.instant("deceasedDateTime", moment(draw));
    }
    w.single("address", |w| {
        w.single("extension", |w| {
            w.array("extension", |w| {
                for (name, low, high) in [("latitude", 250_000, 480_000), ("longitude", -1_230_000, -700_000)] {
                    w.element(|w| {
                        w.text("url", name);
                        w.decimal("valueDecimal", draw.between(low, high), 4);
                    });
                }
            });
            w.text("url", "http://hl7.org/fhir/StructureDefinition/geolocation");
        });
        address(w, draw);
    });
    let (status, text) =
        *draw.pick_from(&[("M", "Married"), ("S", "Never Married"), ("W", "Widowed"), ("D", "Divorced")]);
    w.object("maritalStatus", |w| w.concept_members(&hl7("v3-MaritalStatus"), status, text, text));
    w.boolean("multipleBirthBoolean", false);
    w.single("communication", |w| {
        w.object("language", |w| w.concept_members("urn:ietf:bcp:47", "en-US", "English", "English"));
    });
    if draw.chance(40) {
        refer_in_array(w, draw, "generalPractitioner", "Practitioner");
    }
}

pub(super) fn organization(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-organization");
    let identifier = any_id(draw).text();
    w.single("identifier", |w| {
        w.text("system", "urn:ietf:rfc:3986");
        w.text("value", &identifier);
    });
    w.boolean("active", true);
    w.single("type", |w| {
        w.concept_members(&hl7("organization-type"), "prov", "Healthcare Provider", "Healthcare Provider");
    });
    w.text("name", &format!("{} {}", draw.pick_from(&CITIES).0.to_uppercase(), draw.pick_from(&PLACES)));
    phone(w, draw, "");
    w.single("address", |w| address(w, draw));
}

pub(super) fn location(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-location");
    w.text("status", "active");
    w.text("name", &format!("{} {}", draw.pick_from(&CITIES).0.to_uppercase(), draw.pick_from(&PLACES)));
    phone(w, draw, "");
    w.object("address", |w| address(w, draw));
    w.object("position", |w| {
        w.decimal("longitude", draw.between(-1_230_000, -700_000), 4);
        w.decimal("latitude", draw.between(250_000, 480_000), 4);
    });
    refer(w, draw, "managingOrganization", "Organization");
}

pub(super) fn practitioner(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-practitioner");
    w.single("identifier", |w| {
        w.text("system", "http://hl7.org/fhir/sid/us-npi");
        w.text("value", &format!("9999{:06}", draw.below(1_000_000)));
    });
    w.boolean("active", true);
    let (family, given) = (named(draw, &FAMILIES), named(draw, &GIVEN));
    w.single("name", |w| {
        w.text("family", &family);
        w.array("given", |w| w.item(&given));
        w.array("prefix", |w| w.item("Dr."));
    });
    w.single("telecom", |w| {
        w.text("system", "email");
        w.text("value", &format!("{given}.{family}@example.com"));
        w.text("use", "work");
    });
    w.single("address", |w| address(w, draw));
    w.text("gender", if draw.chance(50) { "female" } else { "male" });
}

pub(super) fn practitioner_role(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-practitionerrole");
    w.boolean("active", true);
    refer(w, draw, "practitioner", "Practitioner");
    refer(w, draw, "organization", "Organization");
    w.single("code", |w| {
        w.concept_members(
            "http://nucc.org/provider-taxonomy",
            "208D00000X",
            "General Practice Physician",
            "General Practice Physician",
        );
    });
    refer_in_array(w, draw, "location", "Location");
    phone(w, draw, "work");
}

pub(super) fn provenance(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-provenance");
    w.array("target", |w| {
        for name in ["Patient", "Encounter", "Condition", "Observation", "Procedure", "Claim"] {
            for _ in 0..draw.between(1, 3) {
                w.element(|w| w.own_members(name, any_id(draw)));
            }
        }
    });
    let recorded = moment(draw);
    w.instant("recorded", recorded);
    w.array("agent", |w| {
        for (code, display) in [("author", "Author"), ("transmitter", "Transmitter")] {
            w.element(|w| {
                w.object("type", |w| w.concept_members(&hl7("provenance-participant-type"), code, display, display));
                refer(w, draw, "who", "Practitioner");
                refer(w, draw, "onBehalfOf", "Organization");
            });
        }
    });
    w.single("signature", |w| {
        w.single("type", |w| {
            w.coding_members("urn:iso-astm:E1762-95:2013", "1.2.840.10065.1.12.1.1", "Author's Signature");
        });
        w.instant("when", recorded);
        refer(w, draw, "who", "Practitioner");
    });
}
