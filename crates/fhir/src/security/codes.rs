//! Which label a code of a security label stands for.
//!
//! A code that is not in these tables, of whatever system, is [`Labels::OTHER`]: a label that we cannot read is not one that we may
//! ignore. Systems and codes: HL7 Terminology, <https://terminology.hl7.org/CodeSystem-v3-ActCode.html>.

use crate::json::Json;
use tacet_types::Labels;

/// How confidential (HL7 v3).
const CONFIDENTIALITY: [&str; 3] = [
    "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "http://hl7.org/fhir/v3/Confidentiality",
    "urn:oid:2.16.840.1.113883.5.25",
];

/// Why it is confidential, and how it is to be handled (HL7 v3).
const ACT_CODE: [&str; 3] = [
    "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    "http://hl7.org/fhir/v3/ActCode",
    "urn:oid:2.16.840.1.113883.5.4",
];

/// Laws that protect it (HL7 v3).
const PRIVACY_LAW: &str = "http://terminology.hl7.org/CodeSystem/v3-ActUSPrivacyLaw";

/// Labels of Tacet's own, whose codes are the names of [`Labels::ALL`].
pub(super) const OWN_SYSTEM: &str = "https://tacet.invalid/CodeSystem/confidentiality";

/// How reliable and how altered something is: says nothing of who may see it.
pub(super) const OBSERVATION_VALUE: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";

/// Systems none of whose codes restricts who may see: purposes (and the mark of test data), integrity, who takes part.
const HARMLESS: [&str; 6] = [
    OBSERVATION_VALUE,
    "http://hl7.org/fhir/v3/ObservationValue",
    "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "http://hl7.org/fhir/v3/ActReason",
    "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
    "http://terminology.hl7.org/CodeSystem/v3-ParticipationFunction",
];

/// Says that elements carry labels of their own (DS4P).
pub(super) const PROCESS_INLINE: &str = "PROCESSINLINELABEL";

/// The label of one `Coding`; none, if it restricts nothing.
pub(super) fn label_of(coding: &Json<'_>) -> Labels {
    let Some(code) = coding.get_str("code") else { return Labels::OTHER };
    let system = coding.get_str("system").unwrap_or_default();
    if CONFIDENTIALITY.contains(&system) {
        confidentiality(code)
    } else if ACT_CODE.contains(&system) || system == PRIVACY_LAW {
        sensitivity(code)
    } else if system == OWN_SYSTEM {
        Labels::parse(code).unwrap_or(Labels::OTHER)
    } else if HARMLESS.contains(&system) {
        Labels::NONE
    } else {
        Labels::OTHER
    }
}

/// Whether this is the mark that inline labels are there.
pub(super) fn is_inline_mark(coding: &Json<'_>) -> bool {
    coding.get_str("code") == Some(PROCESS_INLINE)
        && coding.get_str("system").is_some_and(|system| ACT_CODE.contains(&system))
}

fn confidentiality(code: &str) -> Labels {
    match code {
        "U" | "L" | "M" | "N" => Labels::NONE,
        "R" => Labels::RESTRICTED,
        "V" => Labels::VERY_RESTRICTED,
        // Codes that the system gave up, still found in old records.
        "HIV" => Labels::HIV,
        "PSY" => Labels::PSYCHIATRY,
        "ETH" => Labels::SUBSTANCE_USE,
        "SDV" => Labels::VIOLENCE,
        "C" => Labels::VIP,
        _ => Labels::OTHER,
    }
}

fn sensitivity(code: &str) -> Labels {
    match code {
        "HIV" => Labels::HIV,
        "PSY" | "MH" | "PSYTHPN" | "BH" | "COGN" | "DVD" | "EMOTDIS" | "HIPAAPsyNotes" => Labels::PSYCHIATRY,
        "SUD" | "ETH" | "ETHUD" | "OPIOIDUD" | "TBOO" | "42CFRPart2" => Labels::SUBSTANCE_USE,
        // A law of the US that protects records on drugs, HIV and sickle cells alike.
        "Title38Section7332" => Labels::SUBSTANCE_USE.and(Labels::HIV).and(Labels::GENETICS),
        "SEX" | "STD" | "PREGNANT" => Labels::SEXUAL_HEALTH,
        "SDV" | "VIO" | "MST" => Labels::VIOLENCE,
        // What is "specially protected" without saying why may be any of what is below it.
        "SPI" => Labels::VIOLENCE.and(Labels::OTHER),
        "GDIS" | "SICKLE" | "SCA" => Labels::GENETICS,
        "ADOL" | "MINOR" => Labels::MINOR,
        "CEL" | "VIP" | "NOVIP" => Labels::VIP,
        "EMP" | "COMPT" | "HRCOMPT" => Labels::STAFF,
        "PDS" | "PRS" => Labels::WITHHELD_BY_PATIENT,
        // What whoever receives it has to do with it: encrypt, audit, mark, label. Nothing of who may see it.
        "ANONY" | "AOD" | "AUDIT" | "AUDTR" | "CPLYCC" | "CPLYCD" | "CPLYCUI" | "CPLYJPP" | "CPLYJSP" | "CPLYOPP"
        | "CPLYOSP" | "CPLYPOL" | "DECLASSIFYLABEL" | "DEID" | "DELAU" | "DOWNGRDLABEL" | "DRIVLABEL" | "ENCRYPT"
        | "ENCRYPTR" | "ENCRYPTT" | "ENCRYPTU" | "HUAPRV" | "LABEL" | "MASK" | "MINEC" | "PERSISTLABEL"
        | "PRIVMARK" | "CUIMark" | "PSEUD" | "REDACT" | "UPGRDLABEL" | PROCESS_INLINE => Labels::NONE,
        "ConfidentialMark"
        | "COPYMark"
        | "DeliverToAddresseeOnlyMark"
        | "RedisclosureProhibitionMark"
        | "RestrictedConfidentialityMark"
        | "DRAFTMark"
        | "CONTROLLEDUNCLASSIFIEDINFORMATIONMark" => Labels::NONE,
        // What must not be done with it afterwards: pass it on, use it for something else, link or merge it.
        "NOCOLLECT" | "NOINTEGRATE" | "NOMOU" | "NOORGPOL" | "NOPERSISTP" | "NORDSCLCD" | "NORDSCLCDS" | "NORDSCLW"
        | "NORELINK" | "NOREUSE" => Labels::NONE,
        "HIPAANOPP" | "HIPAASelfPay" | "HIPAAConsentCD" | "CommonRule" => Labels::NONE,
        _ => Labels::OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse_str};

    fn of(text: &str) -> Labels {
        label_of(&parse_str(text, &Limits::default()).unwrap())
    }

    #[test]
    fn codes_have_their_labels_and_strange_ones_the_strictest() {
        let v3 = |system: &str, code: &str| {
            of(&format!(r#"{{"system":"http://terminology.hl7.org/CodeSystem/v3-{system}","code":"{code}"}}"#))
        };
        for (system, code, labels) in [
            ("Confidentiality", "N", Labels::NONE),
            ("Confidentiality", "R", Labels::RESTRICTED),
            ("Confidentiality", "V", Labels::VERY_RESTRICTED),
            ("Confidentiality", "X", Labels::OTHER),
            ("ActCode", "ETHUD", Labels::SUBSTANCE_USE),
            ("ActCode", "PSY", Labels::PSYCHIATRY),
            ("ActCode", "SDV", Labels::VIOLENCE),
            ("ActCode", "REL", Labels::OTHER),
            ("ActCode", "NOPAT", Labels::OTHER),
            ("ActCode", "PROCESSINLINELABEL", Labels::NONE),
            ("ActReason", "HTEST", Labels::NONE),
            ("ObservationValue", "PATRPT", Labels::NONE),
        ] {
            assert_eq!(v3(system, code), labels, "{system} {code}");
        }
        for (label, name) in Labels::ALL {
            assert_eq!(of(&format!(r#"{{"system":"{OWN_SYSTEM}","code":"{name}"}}"#)), *label);
        }
        for text in [
            r#"{"system":"https://hospital.example/secret","code":"7"}"#,
            r#"{"code":"R"}"#,
            r#"{"display":"secret"}"#,
            r#""R""#,
            "null",
            r#"{"system":"https://tacet.invalid/CodeSystem/confidentiality","code":"secret"}"#,
        ] {
            assert_eq!(of(text), Labels::OTHER, "{text}");
        }
    }
}
