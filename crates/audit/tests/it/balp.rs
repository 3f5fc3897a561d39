//! Every event is a valid AuditEvent of R4, and has the profiles that it claims.

use crate::events::{each, site};
use std::collections::BTreeMap;
use tacet_audit::{Eyes, Patients, Shown, audit_event};
use tacet_conformance::{Packages, ValidationContext, validate};
use tacet_fhir::json::{Limits, parse, parse_str};
use tacet_fhir::outcome::Severity;
use tacet_types::Timestamp;

/// The profiles of BALP where the test data are, and R4 alone where they are not.
pub(crate) fn packages() -> (Packages, bool) {
    let mut packages = Packages::standard();
    let Some(folder) = tacet_testdata::folder("ihe-balp") else { return (packages, false) };
    let mut profiles = 0;
    for prefix in ["StructureDefinition-", "ValueSet-", "CodeSystem-"] {
        for (name, bytes) in tacet_testdata::each_file(&folder, ".json").filter(|(name, _)| name.starts_with(prefix)) {
            let definition = parse(&bytes, &Limits::default()).unwrap_or_else(|_| panic!("{name} is JSON"));
            packages.add_resource(&definition).unwrap_or_else(|error| panic!("{name}: {error}"));
            profiles += usize::from(prefix.starts_with('S'));
        }
    }
    assert!(profiles >= 20, "only {profiles} profiles");
    (packages, true)
}

/// A validator with the terminology of R4 and of BALP.
pub(crate) fn with_validator(run: impl FnOnce(&dyn Fn(&str) -> Vec<String>, bool)) {
    let (packages, there) = packages();
    let mut builder = tacet_terminology::Builder::default();
    for resource in packages.terminology() {
        let _ = builder.add_resource(resource);
    }
    let terminology = builder.build();
    let context = ValidationContext::new(&terminology, Timestamp::parse("2026-07-01T00:00:00Z").unwrap());
    let check = |text: &str| {
        let resource = parse_str(text, &Limits::default()).unwrap();
        let issues = validate(&resource, &[], &packages, &context);
        let bad = issues.into_iter().filter(|issue| issue.severity <= Severity::Error);
        bad.map(|issue| format!("{}: {}", issue.location, issue.message)).collect()
    };
    run(&check, there);
}

#[test]
fn every_event_has_the_profiles_that_it_claims() {
    with_validator(|check, balp| {
        let pseudonym = |name: &str| format!("hash-of-{}", name.len());
        let eyes = [
            Eyes::Auditor,
            Eyes::Patient,
            Eyes::Receiver(Patients::Hashed(&pseudonym)),
            Eyes::Receiver(Patients::Withheld),
        ];
        let (mut claimed, mut run, mut checked): (BTreeMap<String, usize>, usize, usize) = Default::default();
        each(|words, entry| {
            // Each with the eyes of one, in turn, so that all meet all.
            let Some(eyes) = eyes.get(run % eyes.len()) else { return };
            run += 1;
            // What did not succeed claims least: a third of it is enough.
            if entry.outcome != tacet_ledger::Outcome::Success && run % 3 != 0 {
                return;
            }
            checked += 1;
            let event = audit_event(&Shown::of(5, entry, *eyes), &site());
            let errors = check(&event.to_string());
            assert!(errors.is_empty(), "{words}: {errors:#?}\n{event:#}");
            for profile in event["meta"]["profile"].as_array().into_iter().flatten() {
                *claimed.entry(profile.as_str().unwrap().rsplit('/').next().unwrap().to_owned()).or_default() += 1;
            }
        });
        assert!(checked > 4000, "{checked}");
        let names: Vec<&str> = claimed.keys().map(String::as_str).collect();
        let expected = [
            "IHE.BasicAudit.Create",
            "IHE.BasicAudit.Delete",
            "IHE.BasicAudit.OAUTHaccessTokenUse.Opaque",
            "IHE.BasicAudit.PatientCreate",
            "IHE.BasicAudit.PatientDelete",
            "IHE.BasicAudit.PatientQuery",
            "IHE.BasicAudit.PatientRead",
            "IHE.BasicAudit.PatientUpdate",
            "IHE.BasicAudit.PrivacyDisclosure.Source",
            "IHE.BasicAudit.Query",
            "IHE.BasicAudit.Read",
            "IHE.BasicAudit.Update",
        ];
        assert_eq!(names, expected);
        // The validator must be able to say no: an event with what its profile asks for taken away.
        if balp {
            let mut event = crate::events::event(&crate::events::full(tacet_ledger::EventKind::Read));
            event["agent"].as_array_mut().unwrap().remove(0);
            assert!(!check(&event.to_string()).is_empty());
        }
    });
}
