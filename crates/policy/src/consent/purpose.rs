//! Purposes of use, from the narrower to the wider: who agrees to treatment agrees to treatment in an emergency.
//!
//! HL7 v3-ActReason as R4 has it, <https://hl7.org/fhir/R4/v3/PurposeOfUse/vs.html>.

/// Each purpose with the one right above it.
const ABOVE: &[(&str, &[&str])] = &[
    ("TREAT", &["CLINTRL", "COC", "ETREAT", "POPHLTH"]),
    ("ETREAT", &["BTG", "ERTREAT"]),
    (
        "HOPERAT",
        &[
            "CAREMGT",
            "DONAT",
            "FRAUD",
            "GOV",
            "HACCRED",
            "HCOMPL",
            "HDECD",
            "HDIRECT",
            "HDM",
            "HLEGAL",
            "HOUTCOMS",
            "HPRGRP",
            "HQUALIMP",
            "HSYSADMIN",
            "MEMADMIN",
            "MILCDM",
            "PATADMIN",
            "PATSFTY",
            "PERFMSR",
            "RECORDMGT",
            "SYSDEV",
            "TRAIN",
        ],
    ),
    ("HSYSADMIN", &["LABELING", "METAMGT"]),
    ("SYSDEV", &["HTEST"]),
    ("HPAYMT", &["CLMATTCH", "COVAUTH", "COVERAGE", "REMITADV"]),
    ("COVERAGE", &["ELIGDTRM", "ELIGVER", "ENROLLM", "MILDCRG"]),
    ("HRESCH", &["BIORCH", "CLINTRCH", "DSRCH", "POARCH", "TRANSRCH", "RESCH", "RESEARCH"]),
    ("CLINTRCH", &["CLINTRCHNPC", "CLINTRCHPC", "PRECLINTRCH"]),
    ("PATRQT", &["FAMRQT", "PWATRNY", "SUPNWK"]),
    ("PUBHLTH", &["DISASTER", "THREAT"]),
];

/// Most steps from a purpose to the top.
const STEPS_MAX: usize = 4;

/// Whether a purpose is another, or a narrower one of it.
pub(super) fn is_a(purpose: &str, other: &str) -> bool {
    let mut at = purpose;
    for _ in 0..STEPS_MAX {
        if at == other {
            return true;
        }
        match ABOVE.iter().find(|(_, below)| below.contains(&at)) {
            Some((above, _)) => at = above,
            None => return false,
        }
    }
    at == other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_itself_and_what_is_above_it() {
        assert!(is_a("BTG", "TREAT") && is_a("TREAT", "TREAT") && is_a("CLINTRCHPC", "HRESCH"));
        assert!(!is_a("TREAT", "BTG") && !is_a("HRESCH", "TREAT") && !is_a("FooBar", "TREAT"));
        assert!(is_a("FooBar", "FooBar"));
    }
}
