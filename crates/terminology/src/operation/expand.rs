//! `ValueSet/$expand` (<https://hl7.org/fhir/R4/valueset-operation-expand.html>).

use super::Moment;
use crate::canonical::{split, version_matches};
use crate::error::TerminologyError;
use crate::expansion::{Expansion, Member, Pins};
use crate::limits::EXPANSION_PAGE_CODES_MAX;
use crate::parameters::{Given, string};
use crate::snapshot::Terminology;
use crate::value_set::ValueSet;
use std::fmt::Write as _;
use std::sync::Arc;
use tacet_fhir::json::{Json, Limits, parse_str};
use tacet_fhir::search::fold;
use tacet_types::Rng;

/// What an expansion is to hold.
#[derive(Clone, Default, Debug)]
pub struct Expand<'a> {
    /// The value set's address, perhaps with a version; or
    pub url: Option<String>,
    /// the value set itself. One of the two.
    pub value_set: Option<&'a Json<'a>>,
    /// The version of the value set, where the address has none.
    pub version: Option<String>,
    /// Words that must occur in a code, a display or a designation; case and accents do not count.
    pub filter: Option<String>,
    /// How many codes to leave out at the start.
    pub offset: usize,
    /// How many codes to give at most. 0: only how many there are.
    pub count: Option<usize>,
    /// Whether designations are given.
    pub include_designations: bool,
    /// Which: languages, or uses as `system|code`. Empty: all.
    pub designations: Vec<String>,
    /// Whether the definition (`compose`) is given.
    pub include_definition: bool,
    /// Whether codes that are not to be used any more are left out.
    pub active_only: bool,
    /// Whether codes that exist only for order are left out.
    pub exclude_not_for_ui: bool,
    /// The language of displays.
    pub display_language: Option<String>,
    /// Code systems, perhaps with a version, whose codes are left out.
    pub exclude_systems: Vec<String>,
    /// Versions of systems (`system|version`) where the value set names none.
    pub system_versions: Vec<String>,
    /// Versions that must be used; others are an error.
    pub check_system_versions: Vec<String>,
    /// Versions that are used whatever the value set says.
    pub force_system_versions: Vec<String>,
}

impl<'a> Expand<'a> {
    pub(super) fn read(given: &'a Given<'a>, instance: Option<&'a Json<'a>>) -> Result<Self, TerminologyError> {
        given.refuse(&["context", "contextDirection", "date"])?;
        Ok(Self {
            url: given.text("url")?,
            value_set: instance.or_else(|| given.get("valueSet")),
            version: given.text("valueSetVersion")?,
            filter: given.text("filter")?,
            offset: given.count("offset")?.unwrap_or(0),
            count: given.count("count")?,
            include_designations: given.flag("includeDesignations")?.unwrap_or(false),
            designations: given.texts("designation"),
            include_definition: given.flag("includeDefinition")?.unwrap_or(false),
            active_only: given.flag("activeOnly")?.unwrap_or(false),
            exclude_not_for_ui: given.flag("excludeNotForUI")?.unwrap_or(false),
            display_language: given.text("displayLanguage")?,
            exclude_systems: given.texts("exclude-system"),
            system_versions: given.texts("system-version"),
            check_system_versions: given.texts("check-system-version"),
            force_system_versions: given.texts("force-system-version"),
        })
    }

    fn pins(&self) -> Pins {
        let read = |list: &[String]| {
            list.iter()
                .filter_map(|canonical| {
                    let (url, version) = split(canonical);
                    Some((url.to_owned(), version?.to_owned()))
                })
                .collect()
        };
        Pins {
            default: read(&self.system_versions),
            check: read(&self.check_system_versions),
            force: read(&self.force_system_versions),
        }
    }

    fn wants(&self, member: &Member<'_>, words: &[String]) -> bool {
        if (self.active_only && member.is_inactive()) || (self.exclude_not_for_ui && member.is_abstract()) {
            return false;
        }
        let excluded = self.exclude_systems.iter().any(|canonical| {
            let (url, version) = split(canonical);
            *member.slot.url == *url
                && version.is_none_or(|asked| version_matches(member.slot.version.as_deref(), asked))
        });
        if excluded {
            return false;
        }
        if words.is_empty() {
            return true;
        }
        let mut text = fold(member.code).into_owned();
        for name in member.display(None).into_iter().chain(member.designations().map(|(_, _, value)| value)) {
            text.push('\n');
            text.push_str(&fold(name));
        }
        words.iter().all(|word| text.contains(word))
    }

    fn names_designation(&self, language: &str, purpose: &Json<'_>) -> bool {
        self.designations.is_empty()
            || self.designations.iter().any(|asked| match asked.split_once('|') {
                Some((system, code)) => {
                    purpose.get_str("system") == Some(system) && purpose.get_str("code") == Some(code)
                }
                None => crate::language::matches(language, asked),
            })
    }
}

impl Terminology {
    pub(super) fn named_value_set(
        &self,
        url: Option<&str>,
        version: Option<&str>,
        resource: Option<&Json<'_>>,
    ) -> Result<Arc<ValueSet>, TerminologyError> {
        match (resource, url) {
            (Some(resource), _) => ValueSet::of(resource).map(Arc::new),
            (None, Some(url)) => match version.filter(|_| !url.contains('|')) {
                Some(version) => self.value_set(&format!("{url}|{version}")),
                None => self.value_set(url),
            },
            (None, None) => Err(TerminologyError::request("name a value set: `url` or `valueSet` is missing")),
        }
    }

    /// The codes of a value set, as a ValueSet with its expansion.
    ///
    /// # Errors
    /// The value set or what it refers to is not known or wrong; or it is too large to be given without `count`.
    pub fn expand(&self, request: &Expand<'_>, moment: Moment<'_>) -> Result<Json<'static>, TerminologyError> {
        let value_set = self.named_value_set(request.url.as_deref(), request.version.as_deref(), request.value_set)?;
        let expansion = self.expansion(&value_set, &request.pins())?;
        if let Some(problem) = expansion.problem() {
            return Err(problem.clone());
        }
        let words: Vec<String> = request
            .filter
            .iter()
            .flat_map(|text| text.split_whitespace())
            .map(|word| fold(word).into_owned())
            .collect();
        let wanted: Vec<Member<'_>> = expansion.members().filter(|member| request.wants(member, &words)).collect();
        let left = wanted.len().saturating_sub(request.offset);
        if request.count.is_none() && left > EXPANSION_PAGE_CODES_MAX {
            return Err(TerminologyError::too_costly(format!(
                "more than {EXPANSION_PAGE_CODES_MAX} codes: ask for a page with `count` and `offset`, or use `filter`"
            )));
        }
        let count = request.count.unwrap_or(left).min(EXPANSION_PAGE_CODES_MAX);
        let contains: Vec<Json<'static>> =
            wanted.iter().skip(request.offset).take(count).map(|member| entry(member, request)).collect();

        let mut body = Json::object([
            ("identifier", Json::from(uuid(moment.rng))),
            ("timestamp", Json::from(moment.clock.now().to_string())),
            ("total", Json::from(wanted.len() as u64)),
            ("offset", Json::from(request.offset as u64)),
        ]);
        let parameters = parameters(request, &expansion);
        if !parameters.is_empty() {
            body.set("parameter", Json::Array(parameters));
        }
        if !contains.is_empty() {
            body.set("contains", Json::Array(contains));
        }
        let mut resource = head(&value_set, request.include_definition);
        resource.set("expansion", body);
        Ok(resource)
    }
}

/// The value set without its expansion.
fn head(value_set: &ValueSet, include_definition: bool) -> Json<'static> {
    if let Some(resource) = &value_set.resource {
        let mut resource = resource.clone();
        if !include_definition {
            resource.remove("compose");
        }
        return resource;
    }
    let mut resource = Json::object([("resourceType", Json::from("ValueSet"))]);
    for (name, text) in [("url", &value_set.url), ("version", &value_set.version), ("name", &value_set.name)] {
        if let Some(text) = text {
            resource.set(name, string(text));
        }
    }
    resource.set("status", Json::from("active"));
    resource
}

fn entry(member: &Member<'_>, request: &Expand<'_>) -> Json<'static> {
    let mut entry = Json::object([("system", string(&member.slot.url))]);
    if member.is_abstract() {
        entry.set("abstract", Json::from(true));
    }
    if member.is_inactive() {
        entry.set("inactive", Json::from(true));
    }
    entry.set("code", string(member.code));
    if let Some(display) = member.display(request.display_language.as_deref()) {
        entry.set("display", string(display));
    }
    if request.include_designations {
        let designations: Vec<Json<'static>> = member
            .designations()
            .map(|(language, purpose, value)| (language, parsed(purpose), value))
            .filter(|(language, purpose, _)| request.names_designation(language, purpose))
            .map(|(language, purpose, value)| designation(language, purpose, value))
            .collect();
        if !designations.is_empty() {
            entry.set("designation", Json::Array(designations));
        }
    }
    entry
}

/// JSON that this crate wrote itself.
pub(super) fn parsed(text: &str) -> Json<'static> {
    parse_str(text, &Limits::default()).map_or(Json::Null, Json::into_owned)
}

fn designation(language: &str, purpose: Json<'static>, value: &str) -> Json<'static> {
    let mut designation = Json::Object(Vec::new());
    if !language.is_empty() {
        designation.set("language", string(language));
    }
    if purpose.is_object() {
        designation.set("use", purpose);
    }
    designation.set("value", string(value));
    designation
}

/// Most versions of systems that are listed.
const VERSIONS_LISTED_MAX: usize = 100;

/// What the expansion was made with.
fn parameters(request: &Expand<'_>, expansion: &Expansion) -> Vec<Json<'static>> {
    let mut list = Vec::new();
    let mut say = |name: &'static str, member: &'static str, value: Json<'static>| {
        list.push(Json::object([("name", Json::from(name)), (member, value)]));
    };
    for slot in expansion.slots().iter().take(VERSIONS_LISTED_MAX) {
        if let Some(version) = &slot.version {
            say("version", "valueUri", Json::from(format!("{}|{version}", slot.url)));
        }
    }
    if let Some(filter) = &request.filter {
        say("filter", "valueString", string(filter));
    }
    if let Some(count) = request.count {
        say("count", "valueInteger", Json::from(count as u64));
    }
    if request.offset > 0 {
        say("offset", "valueInteger", Json::from(request.offset as u64));
    }
    for (name, on) in [
        ("activeOnly", request.active_only),
        ("excludeNotForUI", request.exclude_not_for_ui),
        ("includeDesignations", request.include_designations),
    ] {
        if on {
            say(name, "valueBoolean", Json::from(true));
        }
    }
    if let Some(language) = &request.display_language {
        say("displayLanguage", "valueCode", string(language));
    }
    for system in &request.exclude_systems {
        say("exclude-system", "valueUri", string(system));
    }
    list
}

/// A random UUID (RFC 9562, version 4) as an address.
fn uuid(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    let number = u128::from_be_bytes(bytes);
    let number = (number & !(0xF << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let mut text = String::from("urn:uuid:");
    for (at, digit) in format!("{number:032x}").chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        let _written = text.write_char(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::SeededRng;

    #[test]
    fn an_identifier_is_a_uuid_of_version_4() {
        let text = uuid(&SeededRng::new(7));
        assert_eq!(text.len(), 9 + 36);
        assert_eq!(&text[9 + 14..9 + 15], "4");
        assert!(matches!(&text[9 + 19..9 + 20], "8" | "9" | "a" | "b"));
        assert_ne!(text, uuid(&SeededRng::new(8)));
    }
}
