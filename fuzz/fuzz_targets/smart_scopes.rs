//! Scopes of any text are refused or read; what is written of them reads the same, and they cut what is seen, never add to it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use tacet_policy::{Access, Scopes};
use tacet_types::{Basis, Labels, PatientSet, ResourceId, ResourceType, Sight, Visibility};

fuzz_target!(|text: &str| {
    let Ok(scopes) = Scopes::parse(text) else { return };
    let written: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    assert_eq!(Scopes::parse(&written.join(" ")).as_ref(), Ok(&scopes));
    let (Ok(ann), Ok(bob)) = (ResourceId::parse("ann"), ResourceId::parse("bob")) else { return };
    let mut seen = Visibility::everything(Basis { ground: "g".into(), policy: "p".into() });
    for class in &mut seen.classes {
        if class.patients != PatientSet::Nobody {
            class.patients = PatientSet::Only(Arc::new([ann.clone()].into()));
        }
    }
    let of_patients_only =
        scopes.iter().all(|scope| text.contains("patient/") && scope.to_string().starts_with("patient/"));
    for access in [Access::Create, Access::Read, Access::Update, Access::Delete, Access::Search] {
        let cut = scopes.cut(&seen, access, Some(&bob));
        let parts = std::iter::once(&cut.open).chain(cut.under.iter().map(|part| &part.visibility));
        for (part, resource_type) in parts.flat_map(|part| ResourceType::all().map(move |kind| (part, kind))) {
            let open = |patients: &[ResourceId]| part.sight(resource_type, patients, Labels::NONE) != Sight::Hidden;
            assert!(!open(std::slice::from_ref(&bob)), "bob was hidden before");
            assert!(!open(std::slice::from_ref(&ann)) || !of_patients_only, "ann is not the patient of the launch");
            assert!(!open(&[]) || scopes.may(access, resource_type));
        }
    }
});
