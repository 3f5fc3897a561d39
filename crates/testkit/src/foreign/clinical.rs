//! Clinical records in American shapes.

use super::terms::*;
use super::*;
use crate::calendar::{HOUR_MS, MINUTE_MS, push_date, push_instant};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

fn subject(w: &mut JsonWriter, draw: &mut Draw) {
    refer(w, draw, "subject", "Patient");
    if draw.chance(90) {
        refer(w, draw, "encounter", "Encounter");
    }
}

/// The same instant with milliseconds, as some software writes it.
fn instant(w: &mut JsonWriter, draw: &mut Draw, name: &str, ms: i64) {
    if draw.chance(50) {
        return w.instant(name, ms);
    }
    let mut text = String::new();
    push_instant(&mut text, ms);
    text.insert_str(19.min(text.len()), &format!(".{:03}", draw.below(1000)));
    w.text(name, &text);
}

/// A number as software computes it: sometimes with fourteen more digits than were measured.
fn quantity(w: &mut JsonWriter, draw: &mut Draw, number: &Number) {
    let (.., unit, digits, low, high, _) = *number;
    let scaled = draw.between(low, high);
    w.object("valueQuantity", |w| {
        if draw.chance(60) {
            let tail = draw.below(1_000_000_000_000);
            w.raw("value", &format!("{}.{:02}{tail:012}", scaled / 100, scaled.rem_euclid(100)));
        } else {
            w.decimal("value", scaled, digits);
        }
        w.text("unit", unit);
        w.text("system", "http://unitsofmeasure.org");
        w.text("code", unit);
    });
}

pub(super) fn observation(w: &mut JsonWriter, draw: &mut Draw) {
    let number = draw.pick_from(NUMBERS);
    us_core(w, draw, if number.6 == "laboratory" { "us-core-observation-lab" } else { "us-core-vital-signs" });
    let at = moment(draw);
    w.text("status", "final");
    let pressure = draw.chance(12);
    let smoking = !pressure && draw.chance(6);
    let category = match (pressure, smoking) {
        (true, _) => "vital-signs",
        (_, true) => "survey",
        _ => number.6,
    };
    let display = if draw.chance(60) { category } else { "" };
    w.concepts("category", &hl7("observation-category"), category, display);
    let code = match (pressure, smoking) {
        (true, _) => *draw.pick_from(&[("55284-4", "Blood Pressure"), ("85354-9", "Blood Pressure")]),
        (_, true) => ("72166-2", "Tobacco smoking status NHIS"),
        _ => (number.0, number.1),
    };
    concept(w, draw, "code", LOINC, &[code]);
    subject(w, draw);
    instant(w, draw, "effectiveDateTime", at);
    instant(w, draw, "issued", at);
    if pressure {
        w.array("component", |w| {
            for (code, display, low, high) in
                [("8462-4", "Diastolic Blood Pressure", 55, 110), ("8480-6", "Systolic Blood Pressure", 95, 180)]
            {
                w.element(|w| {
                    w.object("code", |w| w.concept_members(LOINC, code, display, display));
                    quantity(w, draw, &(code, display, "mm[Hg]", 0, low, high, ""));
                });
            }
        });
    } else if smoking {
        let answer = *draw.pick_from(&[
            ("266919005", "Never smoker"),
            ("8517006", "Former smoker"),
            ("449868002", "Smokes tobacco daily"),
        ]);
        concept(w, draw, "valueCodeableConcept", SNOMED, &[answer]);
    } else {
        quantity(w, draw, number);
    }
}

pub(super) fn encounter(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-encounter");
    let start = moment(draw);
    w.text("status", "finished");
    let class = *draw.pick_from(&["AMB", "AMB", "AMB", "EMER", "IMP"]);
    w.object("class", |w| {
        w.text("system", &hl7("v3-ActCode"));
        w.text("code", class);
    });
    concepts(w, draw, "type", SNOMED, ENCOUNTERS);
    let named = draw.chance(40);
    w.object("subject", |w| {
        w.own_members("Patient", any_id(draw));
        if named {
            w.text("display", "Mr. Walter Smith");
        }
    });
    let end = start + draw.between(1, 96) * 15 * MINUTE_MS;
    w.single("participant", |w| {
        if named {
            w.single("type", |w| {
                w.concept_members(&hl7("v3-ParticipationType"), "PPRF", "primary performer", "primary performer");
            });
            w.period("period", start, end);
        }
        refer(w, draw, "individual", "Practitioner");
    });
    w.period("period", start, end);
    if draw.chance(40) {
        let (code, display) = *draw.pick_from(DIAGNOSES);
        w.concepts("reasonCode", SNOMED, code, display);
    }
    if class == "IMP" {
        w.object("hospitalization", |w| {
            w.object("dischargeDisposition", |w| {
                let text = "Discharged to home care or self care (routine discharge)";
                w.concept_members("http://www.nubc.org/patient-discharge", "01", text, text);
            });
        });
    }
    refer(w, draw, "serviceProvider", "Organization");
}

pub(super) fn condition(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-condition");
    let at = moment(draw);
    let over = draw.chance(50);
    w.concept("clinicalStatus", &hl7("condition-clinical"), if over { "resolved" } else { "active" }, "");
    w.concept("verificationStatus", &hl7("condition-ver-status"), "confirmed", "");
    if draw.chance(50) {
        w.concepts("category", &hl7("condition-category"), "encounter-diagnosis", "Encounter Diagnosis");
    }
    concept(w, draw, "code", SNOMED, DIAGNOSES);
    subject(w, draw);
    w.instant("onsetDateTime", at);
    if over {
        w.instant("abatementDateTime", at + draw.between(5, 60) * 24 * HOUR_MS);
    }
    w.instant("recordedDate", at);
}

pub(super) fn procedure(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-procedure");
    let at = moment(draw);
    w.text("status", "completed");
    concept(w, draw, "code", SNOMED, PROCEDURES);
    subject(w, draw);
    w.period("performedPeriod", at, at + draw.between(1, 12) * 15 * MINUTE_MS);
    if draw.chance(30) {
        w.array("reasonReference", |w| {
            w.element(|w| {
                w.own_members("Condition", any_id(draw));
                w.text("display", draw.pick_from(DIAGNOSES).1);
            });
        });
    }
}

pub(super) fn immunization(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-immunization");
    w.text("status", "completed");
    concept(w, draw, "vaccineCode", CVX, VACCINES);
    refer(w, draw, "patient", "Patient");
    refer(w, draw, "encounter", "Encounter");
    w.instant("occurrenceDateTime", moment(draw));
    w.boolean("primarySource", true);
}

pub(super) fn report(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-diagnosticreport-lab");
    let at = moment(draw);
    w.text("status", "final");
    w.concepts("category", &hl7("v2-0074"), "LAB", "Laboratory");
    concept(w, draw, "code", LOINC, PANELS);
    subject(w, draw);
    instant(w, draw, "effectiveDateTime", at);
    instant(w, draw, "issued", at);
    w.array("result", |w| {
        for _ in 0..draw.between(3, 12) {
            w.element(|w| {
                w.own_members("Observation", any_id(draw));
                w.text("display", draw.pick_from(NUMBERS).1);
            });
        }
    });
}

pub(super) fn prescription(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-medicationrequest");
    w.text("status", draw.pick(&["active", "stopped", "completed"]));
    w.text("intent", "order");
    concept(w, draw, "medicationCodeableConcept", RXNORM, DRUGS);
    subject(w, draw);
    w.instant("authoredOn", moment(draw));
    refer(w, draw, "requester", "Practitioner");
    if draw.chance(60) {
        refer_in_array(w, draw, "reasonReference", "Condition");
    }
    if draw.chance(50) {
        w.single("dosageInstruction", |w| {
            w.integer("sequence", 1);
            if draw.chance(40) {
                w.text("text", "Take as needed.");
            }
            w.object("timing", |w| {
                w.object("repeat", |w| {
                    w.integer("frequency", draw.between(1, 4));
                    w.decimal("period", draw.between(1, 12), 1);
                    w.text("periodUnit", if draw.chance(50) { "d" } else { "h" });
                });
            });
            w.boolean("asNeededBoolean", draw.chance(30));
            w.single("doseAndRate", |w| {
                w.object("type", |w| {
                    w.single("coding", |w| w.coding_members(&hl7("dose-rate-type"), "ordered", "Ordered"));
                });
                w.object("doseQuantity", |w| w.decimal("value", draw.between(1, 40), 1));
            });
        });
    }
}

pub(super) fn administration(w: &mut JsonWriter, draw: &mut Draw) {
    w.text("status", "completed");
    concept(w, draw, "medicationCodeableConcept", RXNORM, DRUGS);
    refer(w, draw, "subject", "Patient");
    refer(w, draw, "context", "Encounter");
    w.instant("effectiveDateTime", moment(draw));
    if draw.chance(50) {
        refer_in_array(w, draw, "reasonReference", "Condition");
    }
    if draw.chance(50) {
        w.object("dosage", |w| {
            w.object("dose", |w| w.integer("value", draw.between(1, 4)));
            w.object("rateQuantity", |w| w.integer("value", draw.between(1, 8)));
        });
    }
}

pub(super) fn allergy(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-allergyintolerance");
    let (code, display, category) = *draw.pick_from(ALLERGIES);
    w.concept("clinicalStatus", &hl7("allergyintolerance-clinical"), "active", "");
    w.concept("verificationStatus", &hl7("allergyintolerance-verification"), "confirmed", "");
    w.text("type", "allergy");
    w.array("category", |w| w.item(category));
    w.text("criticality", if draw.chance(80) { "low" } else { "high" });
    concept(w, draw, "code", SNOMED, &[(code, display)]);
    refer(w, draw, "patient", "Patient");
    w.instant("recordedDate", moment(draw));
}

pub(super) fn care_plan(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-careplan");
    let (code, display) = *draw.pick_from(PLANS);
    let activities: Vec<_> = (0..draw.between(1, 3)).map(|_| *draw.pick_from(ACTIVITIES)).collect();
    let over = draw.chance(40);
    w.narrative(&[&format!("Care Plan for {display}."), "Activities:"]);
    w.text("status", if over { "completed" } else { "active" });
    w.text("intent", "order");
    if draw.chance(50) {
        w.array("category", |w| {
            w.element(|w| {
                w.concept_members(
                    &US_CORE.replace("StructureDefinition/", "CodeSystem/careplan-category"),
                    "assess-plan",
                    "",
                    "",
                )
            });
            w.element(|w| w.concept_members(SNOMED, code, display, display));
        });
    } else {
        concepts(w, draw, "category", SNOMED, &[(code, display)]);
    }
    subject(w, draw);
    let start = moment(draw);
    w.object("period", |w| {
        w.instant("start", start);
        if over {
            w.instant("end", start + 90 * 24 * HOUR_MS);
        }
    });
    if draw.chance(50) {
        refer_in_array(w, draw, "careTeam", "CareTeam");
    }
    if draw.chance(60) {
        refer_in_array(w, draw, "addresses", "Condition");
    }
    if draw.chance(40) {
        refer_in_array(w, draw, "goal", "Goal");
    }
    w.array("activity", |w| {
        for activity in activities {
            w.element(|w| {
                w.object("detail", |w| {
                    concept(w, draw, "code", SNOMED, &[activity]);
                    w.text("status", if over { "completed" } else { "in-progress" });
                    if draw.chance(50) {
                        w.object("location", |w| w.text("display", "COMMUNITY HEALTH CENTER"));
                    }
                });
            });
        }
    });
}

pub(super) fn care_team(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-careteam");
    let start = moment(draw);
    w.text("status", "active");
    subject(w, draw);
    w.object("period", |w| w.instant("start", start));
    w.array("participant", |w| {
        for (code, display, name) in [
            ("116154003", "Patient", "Patient"),
            ("223366009", "Healthcare professional (occupation)", "Practitioner"),
            ("224891009", "Healthcare services (qualifier value)", "Organization"),
        ] {
            w.element(|w| {
                w.array("role", |w| w.element(|w| w.concept_members(SNOMED, code, display, display)));
                refer(w, draw, "member", name);
            });
        }
    });
    let (code, display) = *draw.pick_from(DIAGNOSES);
    w.concepts("reasonCode", SNOMED, code, display);
    refer_in_array(w, draw, "managingOrganization", "Organization");
}

pub(super) fn goal(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-goal");
    w.text("lifecycleStatus", draw.pick(&["accepted", "active", "completed"]));
    w.concept("achievementStatus", &hl7("goal-achievement"), draw.pick(&["in-progress", "achieved"]), "");
    let text = *draw.pick_from(&[
        "Hemoglobin A1c total in Blood < 7.0",
        "Maintain blood pressure below 140/90 mm[Hg]",
        "Glucose [Mass/volume] in Blood < 108",
        "Address patient knowledge deficit on diabetic self-care",
        "Improve and maintenance of optimal foot health",
        "Walk thirty minutes each day",
        "Stop smoking within three months",
    ]);
    w.object("description", |w| w.text("text", text));
    refer(w, draw, "subject", "Patient");
    if draw.chance(50) {
        w.single("target", |w| {
            let (code, display) = *draw.pick_from(&[("4548-4", "Hemoglobin A1c"), ("85354-9", "Blood pressure panel")]);
            w.concept("measure", LOINC, code, display);
            let mut day = String::new();
            push_date(&mut day, draw.between(15_000, 20_000));
            w.text("dueDate", &day);
        });
    }
    if draw.chance(50) {
        refer_in_array(w, draw, "addresses", "Condition");
    }
}

pub(super) fn device(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-implantable-device");
    let serial = format!("{:012}", draw.below(1_000_000_000_000));
    let lot = format!("{:08}", draw.below(100_000_000));
    let made = moment(draw);
    w.single("udiCarrier", |w| {
        w.text("deviceIdentifier", &serial);
        w.text("carrierHRF", &format!("(01){serial}(11)200101(17)250101(10){lot}(21){serial}"));
    });
    w.text("status", "active");
    w.text("distinctIdentifier", &serial);
    w.instant("manufactureDate", made);
    w.instant("expirationDate", made + 25 * 365 * 24 * HOUR_MS);
    w.text("lotNumber", &lot);
    w.text("serialNumber", &serial);
    let (code, display) = *draw.pick_from(&[
        ("72506001", "Implantable defibrillator, device (physical object)"),
        ("706004007", "Implantable cardiac pacemaker (physical object)"),
        ("170615005", "Home nebulizer (physical object)"),
    ]);
    w.single("deviceName", |w| {
        w.text("name", display);
        w.text("type", "user-friendly-name");
    });
    concept(w, draw, "type", SNOMED, &[(code, display)]);
    refer(w, draw, "patient", "Patient");
}

pub(super) fn imaging(w: &mut JsonWriter, draw: &mut Draw) {
    let at = moment(draw);
    let arc = format!("1.2.840.99999999.{}", draw.below(100_000_000));
    let (modality, name, class, title) = *draw.pick_from(&[
        ("DX", "Digital Radiography", "1.2.840.10008.5.1.4.1.1.1.1", "Image of chest"),
        ("CT", "Computed Tomography", "1.2.840.10008.5.1.4.1.1.2", "CT Image Storage"),
        ("US", "Ultrasound", "1.2.840.10008.5.1.4.1.1.3.1", "Ultrasound Multiframe Image Storage"),
    ]);
    let (site, site_name) = *draw.pick_from(&[("51185008", "Chest"), ("40983000", "Arm"), ("72696002", "Knee")]);
    w.single("identifier", |w| {
        w.text("use", "official");
        w.text("system", "urn:ietf:rfc:3986");
        w.text("value", &format!("urn:oid:{arc}"));
    });
    w.text("status", "available");
    subject(w, draw);
    w.instant("started", at);
    w.integer("numberOfSeries", 1);
    w.integer("numberOfInstances", 1);
    w.single("series", |w| {
        w.text("uid", &format!("{arc}.1"));
        w.integer("number", 1);
        w.coding("modality", "http://dicom.nema.org/resources/ontology/DCM", modality, name);
        w.integer("numberOfInstances", 1);
        w.coding("bodySite", SNOMED, site, site_name);
        w.instant("started", at);
        w.single("instance", |w| {
            w.text("uid", &format!("{arc}.1.1"));
            w.coding("sopClass", "urn:ietf:rfc:3986", &format!("urn:oid:{class}"), "");
            w.integer("number", 1);
            w.text("title", title);
        });
    });
}

pub(super) fn document(w: &mut JsonWriter, draw: &mut Draw) {
    us_core(w, draw, "us-core-documentreference");
    let at = moment(draw);
    let (_, reason) = *draw.pick_from(DIAGNOSES);
    let (_, drug) = *draw.pick_from(DRUGS);
    let note = format!(
        "# Chief Complaint\nNo complaints.\n\n# History of Present Illness\nPatient is a {} year-old. Patient has a history of \
         {reason}.\n\n# Social History\nPatient is married. Patient has never smoked.\n\n# Allergies\nNo Known Allergies.\n\n\
         # Medications\n{drug}\n\n# Assessment and Plan\nPatient is presenting with {reason}.\n",
        draw.between(1, 95)
    );
    w.single("identifier", |w| {
        w.text("system", "urn:ietf:rfc:3986");
        w.text("value", &format!("urn:uuid:{}", any_id(draw).text()));
    });
    w.text("status", "superseded");
    w.object("type", |w| w.concept_members(LOINC, "34117-2", "History and physical note", ""));
    w.single("category", |w| {
        w.concept_members(
            &US_CORE.replace("StructureDefinition/", "CodeSystem/us-core-documentreference-category"),
            "clinical-note",
            "Clinical Note",
            "",
        );
    });
    refer(w, draw, "subject", "Patient");
    w.instant("date", at);
    refer_in_array(w, draw, "author", "Practitioner");
    refer(w, draw, "custodian", "Organization");
    w.single("content", |w| {
        w.object("attachment", |w| {
            w.text("contentType", "text/plain; charset=utf-8");
            w.text("data", &STANDARD.encode(&note));
        });
        w.coding(
            "format",
            "http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem",
            "urn:ihe:iti:xds:2017:mimeTypeSufficient",
            "mimeType Sufficient",
        );
    });
    w.object("context", |w| {
        refer_in_array(w, draw, "encounter", "Encounter");
        w.period("period", at, at + HOUR_MS);
    });
}

pub(super) fn supply(w: &mut JsonWriter, draw: &mut Draw) {
    w.text("status", "completed");
    refer(w, draw, "patient", "Patient");
    w.concept("type", &hl7("supply-item-type"), "device", "Device");
    w.object("suppliedItem", |w| {
        w.object("quantity", |w| w.integer("value", draw.between(1, 10)));
        let item = *draw.pick_from(&[
            ("337388004", "Blood glucose testing strips (physical object)"),
            ("469673003", "Nasal oxygen cannula (physical object)"),
        ]);
        concept(w, draw, "itemCodeableConcept", SNOMED, &[item]);
    });
    w.instant("occurrenceDateTime", moment(draw));
}
