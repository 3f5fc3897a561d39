//! A code system as CodeSystem resources that can be stored like any other.

use super::{LoadError, Sink};
use crate::system::{Concept, Content, PropertyDefinition, SystemHeader};
use crate::table::PropertyKind;
use std::io::Write;
use tacet_fhir::json::{Json, write_into};

/// Largest resource that is written, in bytes. The store takes resources of up to 64 MiB; half of it leaves room for what
/// it adds, and holds some 250,000 concepts with code, display and one parent.
pub const PART_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Writes the code system as resources, one on each line (NDJSON): the system itself with codes, displays, designations
/// and hierarchy, then supplements (`content` is `supplement`) with the other properties.
///
/// The supplements come first in the output, since they are written while the file is read; their order does not
/// matter to whoever stores them.
#[derive(Debug)]
pub struct Parts<W> {
    output: W,
    header: Option<SystemHeader>,
    base: Vec<u8>,
    supplement: Vec<u8>,
    supplements: u64,
    count: u64,
    part_bytes_max: usize,
}

/// The codes of the properties that the system itself carries.
const PARENT: &str = "parent";
const INACTIVE: &str = "inactive";
const NOT_SELECTABLE: &str = "notSelectable";

impl<W: Write> Parts<W> {
    /// Writes there.
    pub fn new(output: W) -> Self {
        Self {
            output,
            header: None,
            base: Vec::new(),
            supplement: Vec::new(),
            supplements: 0,
            count: 0,
            part_bytes_max: PART_BYTES_MAX,
        }
    }

    /// Writes what is left: the last supplement and the system itself. Gives the number of resources written.
    ///
    /// # Errors
    /// Nothing was read, or it cannot be written.
    pub fn finish(mut self) -> Result<u64, LoadError> {
        self.end_supplement()?;
        if self.header.is_none() {
            return Err(LoadError::format(0, "nothing was read"));
        }
        self.base.extend_from_slice(format!("],\"count\":{}}}\n", self.count).as_bytes());
        self.output.write_all(&self.base)?;
        self.output.flush()?;
        Ok(self.supplements + 1)
    }

    fn end_supplement(&mut self) -> Result<(), LoadError> {
        if !self.supplement.is_empty() {
            self.supplement.extend_from_slice(b"]}\n");
            self.output.write_all(&self.supplement)?;
            self.supplement.clear();
        }
        Ok(())
    }

    /// Puts a concept behind the others of its resource.
    fn append(part: &mut Vec<u8>, concept: &Json<'_>) {
        if part.last() != Some(&b'[') {
            part.push(b',');
        }
        write_into(concept, part);
    }
}

/// A resource up to its first concept.
fn head(header: &SystemHeader) -> Vec<u8> {
    let mut json = Json::object([("resourceType", Json::from("CodeSystem")), ("url", Json::from(header.url.as_str()))]);
    for (name, text) in [("version", &header.version), ("name", &header.name), ("title", &header.title)] {
        if let Some(text) = text {
            json.set(name, Json::from(text.as_str()));
        }
    }
    json.set("status", Json::from("active"));
    json.set("caseSensitive", Json::from(header.case_sensitive));
    if header.content != Content::Supplement {
        json.set("hierarchyMeaning", Json::from("is-a"));
    }
    json.set("content", Json::from(header.content.as_str()));
    if let Some(of) = &header.supplements {
        json.set("supplements", Json::from(of.as_str()));
    }
    let properties = header.properties.iter().map(|property| {
        let mut json = Json::object([("code", Json::from(property.code.as_str()))]);
        if let Some(uri) = &property.uri {
            json.set("uri", Json::from(uri.as_str()));
        }
        json.set("type", Json::from(property.kind.as_str()));
        json
    });
    let properties: Vec<Json<'_>> = properties.collect();
    if !properties.is_empty() {
        json.set("property", Json::Array(properties));
    }
    let mut bytes = Vec::new();
    write_into(&json, &mut bytes);
    bytes.pop();
    bytes.extend_from_slice(b",\"concept\":[");
    bytes
}

fn standard_property(code: &str, kind: PropertyKind) -> PropertyDefinition {
    PropertyDefinition {
        code: code.to_owned(),
        uri: Some(format!("http://hl7.org/fhir/concept-properties#{code}")),
        kind,
    }
}

fn property<'a>(code: &'a str, member: &'a str, value: Json<'a>) -> Json<'a> {
    Json::object([("code", Json::from(code)), (member, value)])
}

impl<W: Write> Sink for Parts<W> {
    fn begin(&mut self, header: SystemHeader) -> Result<(), LoadError> {
        let mut base = header.clone();
        base.properties = vec![
            standard_property(PARENT, PropertyKind::Code),
            standard_property(INACTIVE, PropertyKind::Boolean),
            standard_property(NOT_SELECTABLE, PropertyKind::Boolean),
        ];
        self.base = head(&base);
        self.header = Some(header);
        Ok(())
    }

    fn concept(&mut self, concept: &Concept<'_>) -> Result<(), LoadError> {
        let Some(header) = &self.header else {
            return Err(LoadError::format(0, "a concept came before its code system"));
        };
        let mut json = Json::object([("code", Json::from(concept.code))]);
        for (name, text) in [("display", concept.display), ("definition", concept.definition)] {
            if !text.is_empty() {
                json.set(name, Json::from(text));
            }
        }
        let designations = concept.designations.iter().map(|(language, value)| {
            let mut designation = Json::Object(Vec::new());
            if !language.is_empty() {
                designation.set("language", Json::from(*language));
            }
            designation.set("value", Json::from(*value));
            designation
        });
        let designations: Vec<Json<'_>> = designations.collect();
        if !designations.is_empty() {
            json.set("designation", Json::Array(designations));
        }
        let mut properties: Vec<Json<'_>> =
            concept.parents.iter().map(|parent| property(PARENT, "valueCode", Json::from(*parent))).collect();
        for (code, on) in [(INACTIVE, concept.inactive), (NOT_SELECTABLE, concept.is_abstract)] {
            if on {
                properties.push(property(code, "valueBoolean", Json::from(true)));
            }
        }
        if !properties.is_empty() {
            json.set("property", Json::Array(properties));
        }
        Self::append(&mut self.base, &json);
        self.count += 1;
        if self.base.len() > self.part_bytes_max {
            return Err(LoadError::TooLarge(format!(
                "codes, displays and hierarchy are more than {} bytes: load a narrower file",
                self.part_bytes_max
            )));
        }

        let values = concept.properties.iter().filter_map(|(name, value)| {
            let known = header.properties.get(usize::from(*name))?;
            Some(property(&known.code, "valueString", Json::from(*value)))
        });
        let values: Vec<Json<'_>> = values.collect();
        if values.is_empty() {
            return Ok(());
        }
        if self.supplement.is_empty() {
            self.supplements += 1;
            let number = self.supplements;
            let mut supplement = header.clone();
            supplement.content = Content::Supplement;
            supplement.url = format!("{}/supplement/properties-{number}", header.url);
            supplement.name = header.name.as_ref().map(|name| format!("{name}Properties{number}"));
            supplement.supplements = Some(match &header.version {
                Some(version) => format!("{}|{version}", header.url),
                None => header.url.clone(),
            });
            for known in &mut supplement.properties {
                known.kind = PropertyKind::String;
            }
            self.supplement = head(&supplement);
        }
        let json = Json::object([("code", Json::from(concept.code)), ("property", Json::Array(values))]);
        Self::append(&mut self.supplement, &json);
        // The largest concept that a loader hands on is far smaller than the room that this leaves.
        if self.supplement.len() > self.part_bytes_max / 2 {
            self.end_supplement()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Membership};
    use tacet_fhir::json::{Limits, parse};

    #[test]
    fn parts_make_one_system_again() {
        let mut output = Vec::new();
        let mut parts = Parts::new(&mut output);
        parts.part_bytes_max = 4_500;
        let mut header = SystemHeader::complete("http://example.org/big", Some("7".to_owned()));
        header.properties = vec![PropertyDefinition { code: "KIND".to_owned(), uri: None, kind: PropertyKind::String }];
        parts.begin(header).unwrap();
        for at in 0..30_u32 {
            let (code, parent) = (format!("c{at}"), format!("c{}", at / 2));
            let parents = [parent.as_str()];
            let kind = if at % 2 == 0 { "an even number, and said so at some length here" } else { "odd" };
            let concept = Concept {
                code: &code,
                display: "A \"name\"",
                parents: if at == 0 { &[] } else { &parents },
                properties: &[(0, kind)],
                inactive: at == 7,
                ..Concept::default()
            };
            parts.concept(&concept).unwrap();
        }
        let count = parts.finish().unwrap();
        assert!(count > 2, "several supplements");
        let lines: Vec<&[u8]> = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len() as u64, count);
        let mut builder = Builder::empty();
        for line in &lines {
            assert!(line.len() <= 4_500);
            let resource = parse(line, &Limits::default()).unwrap();
            assert_eq!(tacet_fhir::validate::validate(&resource, &tacet_fhir::validate::Options::default()), []);
            builder.add_resource(&resource).unwrap();
        }
        let set =
            br#"{"resourceType":"ValueSet","url":"http://example.org/odd","status":"active","compose":{"include":[
            {"system":"http://example.org/big","filter":[{"property":"KIND","op":"=","value":"odd"},
            {"property":"concept","op":"is-a","value":"c3"}]}]}}"#;
        builder.add_resource(&parse(set, &Limits::default()).unwrap()).unwrap();
        let terminology = builder.build();
        let member = |code| terminology.member_of("http://example.org/odd", Some("http://example.org/big"), code);
        assert_eq!(member("c7"), Membership::Yes);
        assert_eq!(member("c6"), Membership::No);
        assert_eq!(member("c5"), Membership::No);
        assert_eq!(terminology.above("http://example.org/big", "c6").unwrap(), ["c0", "c1", "c3", "c6"]);
    }
}
