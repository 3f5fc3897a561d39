//! Replacing references while a transaction gives its entries their ids.
//!
//! FHIR R4 (<https://hl7.org/fhir/R4/http.html#trules>) asks for every matching link: `Reference.reference`, elements
//! of type uri, url, oid and uuid, and `<a href>` and `<img src>` in the narrative; `canonical` elements stay.
//! Elements that *name* a thing rather than link to it also stay, although their type is uri: the `url` of a
//! definition, `Extension.url`, `system`, and their like. Were they replaced, importing a code system would change
//! each code that uses it.

use super::split_version;
use crate::json::Json;
use std::borrow::Cow;

/// Whether elements of that name are of type uri, url, oid or uuid and link to something (R4 StructureDefinitions, all
/// types). Left out, because they name a system, a type, a code or a rule set: `authority`, `code`,
/// `contentReference`, `implicitRules`, `issuer`, `jurisdiction`, `property`, `protocol`, `system`, `target`, `type`.
fn links(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "authorizationUrl"
            | "defaultValueOid"
            | "defaultValueUri"
            | "defaultValueUrl"
            | "defaultValueUuid"
            | "definition"
            | "definitionUri"
            | "derivedFromUri"
            | "detail"
            | "endpoint"
            | "eventUri"
            | "fixedOid"
            | "fixedUri"
            | "fixedUrl"
            | "fixedUuid"
            | "instantiates"
            | "instantiatesUri"
            | "link"
            | "location"
            | "moduleUri"
            | "nameUrl"
            | "onlineInformation"
            | "patternOid"
            | "patternUri"
            | "patternUrl"
            | "patternUuid"
            | "policy"
            | "relativePath"
            | "rendering"
            | "source"
            | "sourceUri"
            | "targetUri"
            | "uri"
            | "url"
            | "valueOid"
            | "valueUri"
            | "valueUrl"
            | "valueUuid"
    )
}

/// Where an element of such a name is canonical instead: (member that holds the object, name). `""` is a resource
/// itself.
const CANONICAL: [(&str, &str); 8] = [
    ("", "definition"),          // MessageHeader
    ("", "instantiates"), // CapabilityStatement; the uri of the same name in two medication types is handled below
    ("component", "definition"), // SearchParameter
    ("constraint", "source"), // ElementDefinition
    ("dependsOn", "uri"), // ImplementationGuide
    ("codeSystem", "uri"), // TerminologyCapabilities
    ("unmapped", "url"),  // ConceptMap
    ("structure", "url"), // StructureMap
];

/// Replaces each link of the resource for which `map` gives another text; returns how many were replaced.
///
/// `map` is asked with the link as it stands and, when that is version-specific or ends in a `#part`, also without:
/// the part is then kept, and the version dropped, since the transaction writes a new one (a caller that knows its
/// number answers to the whole text, `…/_history/n`). Links within the resource (`#name`) are never asked for.
pub fn rewrite_references(resource: &mut Json<'_>, map: &mut dyn FnMut(&str) -> Option<String>) -> usize {
    let mut rewriter = Rewriter { map, replaced: 0 };
    rewriter.value(resource, "");
    rewriter.replaced
}

struct Rewriter<'m> {
    map: &'m mut dyn FnMut(&str) -> Option<String>,
    replaced: usize,
}

impl Rewriter<'_> {
    /// `holder` is the name of the member that holds this object or array of objects, `""` for a resource.
    fn value(&mut self, value: &mut Json<'_>, holder: &str) {
        match value {
            Json::Array(items) => items.iter_mut().for_each(|item| self.value(item, holder)),
            Json::Object(members) => {
                let resource_type = members.iter().find(|(name, _)| name == "resourceType").map(|(_, value)| value);
                let holder = if resource_type.is_some() { "" } else { holder };
                let instantiates_is_uri = matches!(resource_type, Some(Json::String(name))
                    if name == "NutritionOrder" || name == "MedicationAdministration");
                for (name, value) in members {
                    match value {
                        Json::Object(_) => self.value(value, name),
                        Json::Array(items) => match items.first() {
                            Some(Json::String(_)) => {
                                if is_link(holder, name, instantiates_is_uri) {
                                    items.iter_mut().for_each(|item| self.link(item));
                                }
                            }
                            _ => self.value(value, name),
                        },
                        Json::String(text) => {
                            if name == "div" && holder == "text" {
                                self.narrative(text);
                            } else if is_link(holder, name, instantiates_is_uri) {
                                self.link(value);
                            }
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn link(&mut self, value: &mut Json<'_>) {
        if let Json::String(text) = value
            && let Some(new) = self.lookup(text)
        {
            *text = Cow::Owned(new);
            self.replaced += 1;
        }
    }

    fn lookup(&mut self, text: &str) -> Option<String> {
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        if let Some(new) = (self.map)(text) {
            return Some(new);
        }
        let (link, part) = match text.find('#') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let (plain, version) = split_version(link);
        if part.is_empty() && version.is_none() {
            return None;
        }
        if version.is_some()
            && !part.is_empty()
            && let Some(new) = (self.map)(link)
        {
            return Some(new + part);
        }
        (self.map)(plain).map(|new| new + part)
    }

    fn narrative(&mut self, text: &mut Cow<'_, str>) {
        let mut new = String::new();
        let mut copied = 0;
        for (from, to) in link_attributes(text) {
            let Some(written) = text.get(from..to) else { continue };
            let link = if written.contains('&') { Cow::Owned(written.replace("&amp;", "&")) } else { written.into() };
            if let Some(target) = self.lookup(&link) {
                new.push_str(text.get(copied..from).unwrap_or_default());
                new.push_str(&escape_attribute(&target));
                copied = to;
                self.replaced += 1;
            }
        }
        if copied > 0 {
            new.push_str(text.get(copied..).unwrap_or_default());
            *text = Cow::Owned(new);
        }
    }
}

fn is_link(holder: &str, name: &str, instantiates_is_uri: bool) -> bool {
    if name == "reference" {
        return true;
    }
    links(name)
        && !(name == "url" && matches!(holder, "" | "extension" | "modifierExtension"))
        && (!CANONICAL.contains(&(holder, name)) || (instantiates_is_uri && name == "instantiates"))
}

/// The places (from, to) of the values of `href` in `<a>` and `src` in `<img>`, in order. The text is XHTML; what is
/// not well formed is passed over.
fn link_attributes(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| rest.find('<')).map(|offset| at + offset) {
        let rest = text.get(open + 1..).unwrap_or_default();
        let wanted = match rest.as_bytes() {
            [b'a', blank, ..] if blank.is_ascii_whitespace() => "href",
            [b'i', b'm', b'g', blank, ..] if blank.is_ascii_whitespace() => "src",
            _ => {
                at = open + 1;
                continue;
            }
        };
        at = attributes(text, open + 1, wanted, &mut found);
    }
    found
}

/// Reads the attributes of the tag whose name begins at `at`; returns the place after them.
fn attributes(text: &str, mut at: usize, wanted: &str, found: &mut Vec<(usize, usize)>) -> usize {
    while let Some(stop) = text.get(at..).and_then(|rest| rest.find(['=', '>', '<'])).map(|offset| at + offset) {
        let before = text.get(at..stop).unwrap_or_default();
        at = stop + 1;
        match text.as_bytes().get(stop) {
            Some(b'<') => return stop,
            Some(b'=') => {}
            _ => return at,
        }
        let name = before.trim_end().rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default();
        let blanks = text.get(at..).map_or(0, |rest| rest.len() - rest.trim_start().len());
        at += blanks;
        let Some(quote @ ('"' | '\'')) = text.get(at..).and_then(|rest| rest.chars().next()) else { continue };
        let from = at + 1;
        let Some(length) = text.get(from..).and_then(|rest| rest.find(quote)) else { return text.len() };
        if name == wanted {
            found.push((from, from + length));
        }
        at = from + length + 1;
    }
    text.len()
}

fn escape_attribute(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '"', '\'', '<']) {
        return text.into();
    }
    text.replace('&', "&amp;").replace('"', "&quot;").replace('\'', "&#39;").replace('<', "&lt;").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse_str};

    fn rewritten(text: &str) -> (String, usize) {
        let mut json = parse_str(text, &Limits::default()).unwrap();
        let count = rewrite_references(&mut json, &mut |old| {
            assert!(!old.starts_with('#'));
            (old == "urn:uuid:a").then(|| "Patient/1".to_owned())
        });
        (String::from_utf8(crate::json::write(&json)).unwrap(), count)
    }

    #[test]
    fn links_of_every_kind_are_replaced() {
        for (old, new) in [
            (r#"{"subject":{"reference":"urn:uuid:a"}}"#, r#"{"subject":{"reference":"Patient/1"}}"#),
            (r#"{"a":[{"b":[{"reference":"urn:uuid:a"}]}]}"#, r#"{"a":[{"b":[{"reference":"Patient/1"}]}]}"#),
            (
                r#"{"extension":[{"url":"urn:uuid:a","valueUri":"urn:uuid:a"}]}"#,
                r#"{"extension":[{"url":"urn:uuid:a","valueUri":"Patient/1"}]}"#,
            ),
            (
                r#"{"content":[{"attachment":{"url":"urn:uuid:a"}}]}"#,
                r#"{"content":[{"attachment":{"url":"Patient/1"}}]}"#,
            ),
            (r#"{"instantiatesUri":["x","urn:uuid:a"]}"#, r#"{"instantiatesUri":["x","Patient/1"]}"#),
            (r#"{"meta":{"source":"urn:uuid:a#9"}}"#, r#"{"meta":{"source":"Patient/1#9"}}"#),
            (r#"{"s":{"reference":"urn:uuid:a/_history/7"}}"#, r#"{"s":{"reference":"Patient/1"}}"#),
            (r#"{"s":{"reference":"urn:uuid:a/_history/7#c"}}"#, r#"{"s":{"reference":"Patient/1#c"}}"#),
            (
                r#"{"resourceType":"MedicationAdministration","instantiates":["urn:uuid:a"]}"#,
                r#"{"resourceType":"MedicationAdministration","instantiates":["Patient/1"]}"#,
            ),
            (
                r#"{"contained":[{"resourceType":"Basic","subject":{"reference":"urn:uuid:a"}}]}"#,
                r#"{"contained":[{"resourceType":"Basic","subject":{"reference":"Patient/1"}}]}"#,
            ),
        ] {
            assert_eq!(rewritten(old), (new.to_owned(), 1));
        }
    }

    #[test]
    fn names_canonicals_fragments_and_texts_stay() {
        for text in [
            r##"{"s":{"reference":"#urn:uuid:a"}}"##,
            r#"{"resourceType":"ValueSet","url":"urn:uuid:a"}"#,
            r#"{"code":{"coding":[{"system":"urn:uuid:a"}]}}"#,
            r#"{"resourceType":"CapabilityStatement","instantiates":["urn:uuid:a"]}"#,
            r#"{"identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:a"}]}"#,
            r#"{"meta":{"profile":["urn:uuid:a"]}}"#,
            r#"{"valueCanonical":"urn:uuid:a","valueString":"urn:uuid:a"}"#,
            r#"{"s":{"reference":"urn:uuid:b"}}"#,
            r#"{"s":{"reference":"urn:uuid:a/x"}}"#,
        ] {
            assert_eq!(rewritten(text), (text.to_owned(), 0));
        }
    }

    #[test]
    fn narrative_links_are_replaced() {
        let (text, count) = rewritten(
            r##"{"text":{"div":"<div>urn:uuid:a <a class='x' href='urn:uuid:a'>a</a><img src = \"urn:uuid:a\"/><a href=\"#n\">n</a><abbr href='urn:uuid:a'/><p src='urn:uuid:a'/></div>"}}"##,
        );
        assert_eq!(count, 2);
        assert_eq!(
            text,
            r##"{"text":{"div":"<div>urn:uuid:a <a class='x' href='Patient/1'>a</a><img src = \"Patient/1\"/><a href=\"#n\">n</a><abbr href='urn:uuid:a'/><p src='urn:uuid:a'/></div>"}}"##
        );
    }

    #[test]
    fn broken_narrative_is_passed_over() {
        for div in
            ["<a href='urn:uuid:a", "<a href=urn:uuid:a>", "<a ", "<", "<a <a href", "é<a é='é' href=''>", "<a href="]
        {
            let mut json = Json::object([("text", Json::object([("div", Json::String(div.into()))]))]);
            assert_eq!(rewrite_references(&mut json, &mut |_| Some("x".to_owned())), 0, "{div}");
        }
    }

    #[test]
    fn what_replaces_is_escaped_in_markup() {
        let div = "<a href='urn:uuid:a'>".to_owned();
        let mut json = Json::object([("text", Json::object([("div", Json::String(div.into()))]))]);
        rewrite_references(&mut json, &mut |_| Some("a'b&c".to_owned()));
        assert_eq!(json.get("text").unwrap().get_str("div"), Some("<a href='a&#39;b&amp;c'>"));
    }
}
