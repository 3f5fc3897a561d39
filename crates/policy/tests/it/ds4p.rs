//! The examples of HL7's guide on security labels, enforced as their text says.

use crate::data::{folder, resource};
use tacet_fhir::json::write;
use tacet_fhir::security::{labels_of, public_part, without_inline};
use tacet_fhir::validate::{Options, validate};
use tacet_types::Labels;

#[test]
fn examples_are_labelled_and_masked_as_their_text_says() {
    let Some(folder) = folder("ds4p") else { return };
    let read = |name: &str| resource(&folder.join(name));

    // An identifier that is restricted, beside one that is not.
    let patient = read("extension-inline-sec-label-patient.json");
    assert_eq!(labels_of(&patient), Labels::INLINE);
    for told in [false, true] {
        let shown = without_inline(patient.clone(), Labels::NONE, told);
        let text = String::from_utf8(write(&shown)).expect("UTF-8");
        assert!(!text.contains("111-22-3333") && text.contains("1234567") && text.contains("Doe"), "{text}");
        assert_eq!(text.contains("REDACTED"), told);
        assert_eq!(text.contains("PROCESSINLINELABEL"), told, "nothing says that there was more");
        assert_eq!(validate(&shown, &Options::default()), []);
    }
    assert_eq!(without_inline(patient.clone(), Labels::RESTRICTED, true), patient);
    assert_eq!(public_part(&patient).get("identifier").map(|all| all.items().len()), Some(1));

    // How reliable a reference is says nothing of who may see it.
    let immunization = read("extension-inline-sec-label-immunization.json");
    assert_eq!(labels_of(&immunization), Labels::NONE);
    assert_eq!(without_inline(immunization.clone(), Labels::NONE, false), immunization);

    // Labels of the whole resource, with extensions on the label that say why and who.
    for (name, labels) in [
        ("extension-sec-label-related-artifact-consent.json", Labels::RESTRICTED),
        ("extension-display-observation.json", Labels::NONE),
        ("extension-display-patient.json", Labels::NONE),
    ] {
        assert_eq!(labels_of(&read(name)), labels, "{name}");
    }
}
