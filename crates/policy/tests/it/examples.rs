//! Facts of every official example of R4.

use crate::data::{folder, key, resource};
use std::collections::BTreeMap;
use tacet_fhir::compartment::patients;
use tacet_fhir::json::{Limits, parse};
use tacet_policy::{CareData, Facts, facts_of};
use tacet_types::Timestamp;

#[test]
fn facts_of_the_examples_are_small_and_come_back_from_their_text() {
    let Some(folder) = folder("r4-examples") else { return };
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut care = CareData::new();
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        // One file is no resource.
        let Ok(json) = parse(&bytes, &Limits::default()) else { continue };
        if json.resource_type().is_none() {
            continue;
        }
        let (kind, id) = key(&json);
        let Some(facts) = facts_of(kind, &id, &json) else { continue };
        *seen.entry(kind.as_str()).or_default() += 1;
        let text = serde_json::to_string(&facts).expect("JSON");
        assert!(text.len() < 2_000, "{}: {} bytes", path.display(), text.len());
        assert_eq!(serde_json::from_str::<Facts>(&text).expect("its own text"), facts);
        // Facts go when a patient is erased, so each names patients in whose compartment the record is, and no other.
        let whose = patients(&json);
        if kind.as_str() != "Person" {
            assert!(facts.patient_ids().iter().all(|patient| whose.contains(patient)), "{}", path.display());
        }
        care.put((kind, id.clone()), Some(facts));
        keys.push((kind, id));
    }
    for kind in ["Encounter", "Appointment", "ServiceRequest", "EpisodeOfCare", "Patient", "PractitionerRole", "Slot"] {
        assert!(seen.contains_key(kind), "{kind}: {seen:?}");
    }
    assert!(!care.is_empty());
    care.forget(Timestamp::from_ms(i64::MAX));
    for key in keys {
        care.put(key, None);
    }
    assert!(care.is_empty() && care.flagged().next().is_none());
}

#[test]
fn a_real_record_of_another_version_is_refused() {
    let Some(folder) = folder("ihe-pcf") else { return };
    let consent = resource(&folder.join("Consent-ex-consent-basic-treat.json"));
    let (kind, id) = key(&consent);
    let text = serde_json::to_string(&facts_of(kind, &id, &consent)).expect("JSON");
    assert!(text.contains(r#""v":1"#));
    assert!(serde_json::from_str::<Facts>(&text.replace(r#""v":1"#, r#""v":2"#)).is_err());
}
