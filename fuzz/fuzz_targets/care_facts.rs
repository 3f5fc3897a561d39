//! Labels, masking and facts of anything that parses: nothing panics, what is cut stays cut, facts come back from their text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_fhir::json::{Limits, parse};
use tacet_fhir::security::{labels_of, public_part, without_inline};
use tacet_policy::{CareData, CareSettings, Facts, Subject, facts_of};
use tacet_types::{Labels, ResourceId, ResourceType, Role, Timestamp};

fuzz_target!(|data: &[u8]| {
    let Ok(resource) = parse(data, &Limits::default()) else {
        return;
    };
    let labels = labels_of(&resource);
    for (shown, told) in [(Labels::NONE, false), (Labels::RESTRICTED, true), (Labels::EVERY, false)] {
        let cut = without_inline(resource.clone(), shown, told);
        assert_eq!(without_inline(cut.clone(), shown, told), cut);
    }
    assert!(Labels::INLINE.within(labels) || public_part(&resource).as_ref() == &resource);

    let kind = tacet_fhir::resource::resource_type(&resource);
    let (Some(kind), Ok(id)) = (kind.or_else(|| ResourceType::parse("Consent")), ResourceId::parse("x")) else {
        return;
    };
    let Some(facts) = facts_of(kind, &id, &resource) else {
        return;
    };
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
    let (mut care, settings, now) = (CareData::new(), CareSettings::default(), Timestamp::from_ms(1_772_348_400_000));
    let patients = facts.patient_ids();
    care.put((kind, id.clone()), Some(facts));
    care.relations(&id, now, &settings);
    care.hospital(now, &settings);
    assert!(care.next_change(Some(&id), now, &settings).is_none_or(|next| next > now));
    let subject = Subject {
        account: String::new(),
        role: Role::Clinician,
        practitioner: Some(id.clone()),
        patients: Vec::new(),
        purpose: "TREAT",
        strong: true,
        supplier: false,
        approved: None,
    };
    for patient in &patients {
        care.consents(patient, &subject, now);
    }
    care.put((kind, id), None);
    assert!(care.is_empty() && care.flagged().next().is_none());
});
