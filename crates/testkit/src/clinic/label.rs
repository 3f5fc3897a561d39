//! Security labels as the synthetic hospital sets them: on whole records, and on single elements.

use crate::json::JsonWriter;

/// System and code of a label, and its display.
pub(crate) type Label = (&'static str, &'static str, &'static str);

const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
/// What FHIR has no code for.
const OWN: &str = "https://tacet.invalid/CodeSystem/confidentiality";
/// An element that carries labels of its own (HL7 DS4P implementation guide).
const INLINE: &str = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";

/// Some elements of the record carry labels of their own.
pub(crate) const PROCESS_INLINE: Label =
    ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "PROCESSINLINELABEL", "process inline security label");
/// A patient who is detained.
pub(crate) const DETAINED: Label = (OWN, "detained", "detained");
/// When and how somebody who is detained is moved.
pub(crate) const TRANSPORT: Label = (OWN, "transport", "transport of a detained patient");
/// A known person.
pub(crate) const CELEBRITY: Label = (ACT_CODE, "CEL", "celebrity information sensitivity");
/// Somebody who works here.
pub(crate) const EMPLOYEE: Label = (ACT_CODE, "EMP", "employee information sensitivity");

/// Writes the labels of a whole record; nothing where there are none.
pub(crate) fn labels(w: &mut JsonWriter, labels: &[Label]) {
    if !labels.is_empty() {
        w.object("meta", |w| security(w, labels));
    }
}

/// Writes the labels among the other members of `meta`.
pub(crate) fn security(w: &mut JsonWriter, labels: &[Label]) {
    if !labels.is_empty() {
        w.array("security", |w| {
            for (system, code, display) in labels {
                w.element(|w| w.coding_members(system, code, display));
            }
        });
    }
}

/// Writes the label "restricted" where a record needs it, with the code of its sensitivity where it has one.
pub(crate) fn label(w: &mut JsonWriter, sensitive: Option<&'static str>) {
    let restricted = (CONFIDENTIALITY, "R", "restricted");
    match sensitive {
        None => (),
        Some("") => labels(w, &[restricted]),
        Some(code) => labels(w, &[restricted, (ACT_CODE, code, "")]),
    }
}

/// Writes the label of the element that is being written.
pub(crate) fn inline(w: &mut JsonWriter, sensitive: Option<&'static str>) {
    let Some(code) = sensitive else { return };
    w.single("extension", |w| {
        w.text("url", INLINE);
        w.object("valueCoding", |w| w.coding_members(ACT_CODE, code, ""));
    });
}
