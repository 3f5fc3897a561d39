//! Security labels of what is in a document: a Bundle carries every label that something in it has, since its narratives say it again
//! (<https://hl7.org/fhir/R4/security-labels.html>: high water mark).

use std::collections::BTreeMap;
use tacet_fhir::json::Json;

/// An element's own label (DS4P).
const INLINE: &str = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";

/// Labels, each once, by system and code.
#[derive(Default)]
pub(crate) struct Gathered(BTreeMap<(String, String), Json<'static>>);

impl Gathered {
    /// Adds those of a resource and of its elements. The depth is that of the parsed resource, which is bounded.
    pub(crate) fn add(&mut self, value: &Json<'_>) {
        match value {
            Json::Array(items) => items.iter().for_each(|item| self.add(item)),
            Json::Object(members) => {
                if let Some(security) = value.get("meta").and_then(|meta| meta.get("security")) {
                    security.iter().for_each(|coding| self.keep(coding));
                }
                if value.get_str("url") == Some(INLINE)
                    && let Some(coding) = value.get("valueCoding")
                {
                    self.keep(coding);
                }
                members.iter().for_each(|(_, member)| self.add(member));
            }
            _ => {}
        }
    }

    fn keep(&mut self, coding: &Json<'_>) {
        let part = |name| coding.get_str(name).unwrap_or_default().to_owned();
        self.0.entry((part("system"), part("code"))).or_insert_with(|| coding.clone().into_owned());
    }

    /// The confidentiality of the whole, where some part has one: the strictest (HL7 v3 Confidentiality).
    pub(crate) fn confidentiality(&self) -> Option<&'static str> {
        const STRICTEST: [&str; 6] = ["V", "R", "N", "M", "L", "U"];
        const SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
        STRICTEST.into_iter().find(|code| self.0.contains_key(&(SYSTEM.to_owned(), (*code).to_owned())))
    }

    /// All of them.
    pub(crate) fn into_list(self) -> Vec<Json<'static>> {
        self.0.into_values().collect()
    }
}
