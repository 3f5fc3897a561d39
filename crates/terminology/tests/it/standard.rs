//! The definitions of the standard that are built in.

use crate::{call, codes};
use std::collections::BTreeSet;
use tacet_fhir::definitions::tables;
use tacet_terminology::{Kind, Membership, Terminology};

#[test]
fn required_bindings_have_the_same_codes_here_as_in_the_tables_that_validate() {
    let terminology = Terminology::standard();
    let mut compared = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for group in tables().groups() {
        for member in group.members() {
            let Some(set) = group.element(member).codes().map(|id| tables().code_set(id)) else { continue };
            let url = format!("http://hl7.org/fhir/ValueSet/{}", set.name());
            // Those tables leave out codes that exist only for order.
            match call(&terminology, Kind::ValueSet, "expand", &[("url", &url), ("excludeNotForUI", "true")]) {
                Ok(found) => {
                    let found: BTreeSet<String> = codes(&found).into_iter().collect();
                    let expected: BTreeSet<String> = set.codes().iter().map(|(code, _)| (*code).to_owned()).collect();
                    assert_eq!(found, expected, "{url}");
                    for (code, system) in set.codes() {
                        assert_eq!(terminology.member_of(&url, Some(system), code), Membership::Yes, "{url}");
                    }
                    compared.insert(url);
                }
                Err(_) => {
                    unknown.insert(url);
                }
            }
        }
    }
    assert!(compared.len() > 150, "only {} of them, without {unknown:?}", compared.len());
    assert!(unknown.len() <= 5, "{unknown:?}");
}

#[test]
fn no_content_of_others_is_built_in() {
    let terminology = Terminology::standard();
    for system in ["http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org", "urn:iso:std:iso:3166"] {
        assert!(terminology.system_header(system, None).is_none());
        assert_eq!(terminology.code_exists(system, None, "x"), Membership::Unknown);
    }
    let observations = "http://hl7.org/fhir/ValueSet/observation-codes";
    assert_eq!(terminology.member_of(observations, Some("http://loinc.org"), "0-0"), Membership::Unknown);
    // A code of another system is not in it, whatever LOINC holds.
    assert_eq!(terminology.member_of(observations, Some("http://example.org/x"), "0-0"), Membership::No);
}

#[test]
fn hierarchies_of_the_standard_hold() {
    let terminology = Terminology::standard();
    let class = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    assert!(terminology.above(class, "IMP").unwrap().contains(&"_ActEncounterCode".to_owned()));
    let set = "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode";
    assert_eq!(terminology.member_of(set, Some(class), "IMP"), Membership::Yes);
    assert_eq!(terminology.member_of(set, Some(class), "OPTIN"), Membership::No);
    let query = [("url", "http://hl7.org/fhir/ValueSet/administrative-gender"), ("filter", "fem")];
    assert_eq!(codes(&call(&terminology, Kind::ValueSet, "$expand", &query).unwrap()), ["female"]);
}
