//! Claims, what the payer answered, and coverage, in the shapes of American billing.

use super::terms::{ENCOUNTERS, PROCEDURES};
use super::*;
use crate::calendar::HOUR_MS;

const INSURERS: [&str; 8] = [
    "Medicare",
    "Medicaid",
    "private",
    "Example Health Plan",
    "NO_INSURANCE",
    "State Mutual",
    "Union Care",
    "Blue River",
];
/// Variables of the Medicare Blue Button interface, <https://bluebutton.cms.gov/resources/>.
const VARIABLES: &str = "https://bluebutton.cms.gov/resources/variables/";
const ADJUDICATION: &str = "https://bluebutton.cms.gov/resources/codesystem/adjudication";

fn money(w: &mut JsonWriter, name: &str, cents: i64) {
    w.object(name, |w| {
        w.decimal("value", cents, 2);
        w.text("currency", "USD");
    });
}

fn kind(w: &mut JsonWriter, draw: &mut Draw) {
    let code = *draw.pick_from(&["institutional", "professional", "pharmacy"]);
    w.concept("type", &hl7("claim-type"), code, "");
}

/// What was done, as billing writes it.
fn service(w: &mut JsonWriter, draw: &mut Draw) {
    let codes = if draw.chance(50) { ENCOUNTERS } else { PROCEDURES };
    concept(w, draw, "productOrService", SNOMED, codes);
}

pub(super) fn claim(w: &mut JsonWriter, draw: &mut Draw) {
    let start = moment(draw);
    let end = start + draw.between(1, 48) * HOUR_MS / 4;
    let insurer = *draw.pick_from(&INSURERS);
    w.text("status", "active");
    kind(w, draw);
    w.text("use", "claim");
    refer(w, draw, "patient", "Patient");
    w.period("billablePeriod", start, end);
    w.instant("created", end);
    refer(w, draw, "provider", "Organization");
    w.concept("priority", &hl7("processpriority"), "normal", "");
    if draw.chance(25) {
        w.object("prescription", |w| w.own_members("MedicationRequest", any_id(draw)));
    }
    let diagnoses = draw.between(0, 3);
    sequence(w, "diagnosis", diagnoses, |w, _| refer(w, draw, "diagnosisReference", "Condition"));
    let procedures = draw.between(0, 2);
    sequence(w, "procedure", procedures, |w, _| refer(w, draw, "procedureReference", "Procedure"));
    w.single("insurance", |w| {
        w.integer("sequence", 1);
        w.boolean("focal", true);
        w.object("coverage", |w| w.text("display", insurer));
    });
    sequence(w, "item", draw.between(1, 4), |w, place| {
        match place {
            1 => {}
            place if place <= diagnoses => w.array("diagnosisSequence", |w| w.raw_item(&(place - 1).to_string())),
            _ => w.array("procedureSequence", |w| w.raw_item("1")),
        }
        service(w, draw);
        if place == 1 {
            refer_in_array(w, draw, "encounter", "Encounter");
        } else if draw.chance(50) {
            money(w, "net", draw.between(500, 900_000));
        }
    });
    money(w, "total", draw.between(5_000, 2_000_000));
}

/// An array of `count` numbered objects; nothing for none.
fn sequence(w: &mut JsonWriter, name: &str, count: i64, mut body: impl FnMut(&mut JsonWriter, i64)) {
    if count > 0 {
        w.array(name, |w| {
            for place in 1..=count {
                w.element(|w| {
                    w.integer("sequence", place);
                    body(w, place);
                });
            }
        });
    }
}

/// The amounts of one line, each under the variable that names it.
const AMOUNTS: [(&str, &str); 6] = [
    ("line_coinsrnc_amt", "Line Beneficiary Coinsurance Amount"),
    ("line_prvdr_pmt_amt", "Line Provider Payment Amount"),
    ("line_sbmtd_chrg_amt", "Line Submitted Charge Amount"),
    ("line_alowd_chrg_amt", "Line Allowed Charge Amount"),
    ("line_bene_ptb_ddctbl_amt", "Line Beneficiary Part B Deductible Amount"),
    ("line_prcsg_ind_cd", "Line Processing Indicator Code"),
];

pub(super) fn explanation(w: &mut JsonWriter, draw: &mut Draw) {
    let start = moment(draw);
    let insurer = *draw.pick_from(&INSURERS);
    w.array("contained", |w| {
        w.element(|w| {
            w.text("resourceType", "ServiceRequest");
            w.text("id", "referral");
            w.text("status", "completed");
            w.text("intent", "order");
            refer(w, draw, "subject", "Patient");
            refer(w, draw, "requester", "Practitioner");
            refer_in_array(w, draw, "performer", "Practitioner");
        });
        w.element(|w| {
            w.text("resourceType", "Coverage");
            w.text("id", "coverage");
            w.text("status", "active");
            w.object("type", |w| w.text("text", insurer));
            refer(w, draw, "beneficiary", "Patient");
            w.array("payor", |w| w.element(|w| w.text("display", insurer)));
        });
    });
    if draw.chance(50) {
        w.array("extension", |w| {
            for (variable, code, display) in [
                ("prpayamt", "", ""),
                ("nch_clm_type_cd", "71", "Local carrier non-durable medical equipment claim"),
                ("nch_near_line_rec_ident_cd", "O", "Part B physician/supplier claim record"),
            ] {
                w.element(|w| {
                    w.text("url", &format!("{VARIABLES}{variable}"));
                    match code {
                        "" => money(w, "valueMoney", 0),
                        code => w.coding("valueCoding", &format!("{VARIABLES}{variable}"), code, display),
                    }
                });
            }
        });
    }
    let claim = any_id(draw);
    w.array("identifier", |w| {
        w.element(|w| {
            w.text("system", &format!("{VARIABLES}clm_id"));
            w.text("value", &claim.text());
        });
        w.element(|w| {
            w.text("system", "https://bluebutton.cms.gov/resources/identifier/claim-group");
            w.text("value", &format!("{:011}", draw.below(100_000_000_000)));
        });
    });
    w.text("status", "active");
    kind(w, draw);
    w.text("use", "claim");
    refer(w, draw, "patient", "Patient");
    w.period("billablePeriod", start, start + 365 * 24 * HOUR_MS);
    w.instant("created", start);
    w.object("insurer", |w| w.text("display", insurer));
    refer(w, draw, "provider", "Practitioner");
    w.object("referral", |w| w.text("reference", "#referral"));
    w.own("claim", "Claim", claim);
    w.text("outcome", "complete");
    sequence(w, "careTeam", 1, |w, _| {
        refer(w, draw, "provider", "Practitioner");
        w.concept("role", &hl7("claimcareteamrole"), "primary", "Primary Care Practitioner");
    });
    let diagnoses = draw.between(0, 2);
    sequence(w, "diagnosis", diagnoses, |w, _| {
        refer(w, draw, "diagnosisReference", "Condition");
        w.concepts("type", &hl7("ex-diagnosistype"), "principal", "");
    });
    w.single("insurance", |w| {
        w.boolean("focal", true);
        w.object("coverage", |w| {
            w.text("reference", "#coverage");
            w.text("display", insurer);
        });
    });
    sequence(w, "item", draw.between(1, 5), |w, place| {
        if (2..=diagnoses + 1).contains(&place) {
            w.array("diagnosisSequence", |w| w.raw_item(&(place - 1).to_string()));
        }
        w.concept("category", &format!("{VARIABLES}line_cms_type_srvc_cd"), "1", "Medical care");
        service(w, draw);
        w.period("servicedPeriod", start, start + HOUR_MS);
        let (code, display) = *draw.pick_from(&[
            ("21", "Inpatient Hospital"),
            ("22", "Outpatient Hospital"),
            ("20", "Urgent Care Facility"),
            ("23", "Emergency Room"),
            ("11", "Office"),
        ]);
        w.concept("locationCodeableConcept", &hl7("ex-serviceplace"), code, display);
        if draw.chance(50) {
            w.object("quantity", |w| w.integer("value", 1));
        }
        if place == 1 {
            refer_in_array(w, draw, "encounter", "Encounter");
        } else {
            money(w, "net", draw.between(500, 900_000));
        }
        if place == 1 || draw.chance(60) {
            w.array("adjudication", |w| {
                for (variable, text) in AMOUNTS {
                    w.element(|w| {
                        w.concept("category", ADJUDICATION, &format!("{VARIABLES}{variable}"), text);
                        if variable == "line_prcsg_ind_cd" {
                            w.concept("reason", &format!("{VARIABLES}{variable}"), "A", "Allowed");
                        } else {
                            money(w, "amount", draw.between(0, 200_000));
                        }
                    });
                }
            });
        }
    });
    w.single("total", |w| {
        w.object("category", |w| {
            w.concept_members(&hl7("adjudication"), "submitted", "Submitted Amount", "Submitted Amount")
        });
        money(w, "amount", draw.between(5_000, 2_000_000));
    });
    w.object("payment", |w| money(w, "amount", draw.between(0, 900_000)));
}

pub(super) fn coverage(w: &mut JsonWriter, draw: &mut Draw) {
    let start = moment(draw);
    let insurer = *draw.pick_from(&INSURERS);
    w.text("status", "active");
    w.object("type", |w| w.concept_members(&hl7("v3-ActCode"), "EHCPOL", "extended healthcare", ""));
    refer(w, draw, "subscriber", "Patient");
    w.text("subscriberId", &format!("{:09}", draw.below(1_000_000_000)));
    refer(w, draw, "beneficiary", "Patient");
    w.concept("relationship", &hl7("subscriber-relationship"), "self", "Self");
    w.period("period", start, start + 365 * 24 * HOUR_MS);
    w.array("payor", |w| w.element(|w| w.text("display", insurer)));
    w.single("class", |w| {
        w.concept("type", &hl7("coverage-class"), "plan", "Plan");
        w.text("value", &format!("PLAN{:04}", draw.below(10_000)));
        w.text("name", insurer);
    });
}
