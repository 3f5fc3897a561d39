//! Languages of a narrative, where a profile says something about them by the extension `narrative-language-control`.
//!
//! A narrative in several languages has a `div` for each, with the attribute `lang`, right below its own
//! (<https://hl7.org/fhir/R4/languages.html>).

use super::{Check, Scope};
use crate::instance::Instance;
use crate::place::Place;
use tacet_fhir::outcome::IssueType;

/// Most sections that are told apart.
const SECTIONS_MAX: usize = 100;

impl<'v> Check<'v> {
    /// Holds the sections of a narrative against what the profile asks for: `_no` for none, `_yes` for some, `_resource`
    /// for one in the language of the resource, or a language.
    pub(super) fn languages(
        &mut self,
        wanted: &[String],
        instance: Instance<'v>,
        scope: &Scope<'v>,
        place: &Place<'_>,
    ) {
        let Some(div) = instance.value.and_then(|value| value.get_str("div")) else { return };
        let sections = sections(div);
        let has = |language: &str| sections.iter().any(|section| section.eq_ignore_ascii_case(language));
        for wanted in wanted {
            let is_met = match wanted.as_str() {
                "_no" => sections.is_empty(),
                "_yes" => !sections.is_empty(),
                "_resource" => scope.resource.get_str("language").is_some_and(has),
                language => has(language),
            };
            if !is_met {
                let message = "the narrative does not have the sections for languages that the profile asks for";
                self.error(IssueType::Structure, place, || message);
            }
        }
    }
}

/// The languages of the sections right below the outermost element.
fn sections(div: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut rest = div;
    while let Some((_, after)) = rest.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        let Some(end) = tag_end(after) else { break };
        let (tag, next) = after.split_at(end);
        rest = next;
        if tag.starts_with('/') {
            depth = depth.saturating_sub(1);
            continue;
        }
        let mut parts = tag.trim_end_matches('/').split_ascii_whitespace();
        if depth == 1 && parts.next() == Some("div") && found.len() < SECTIONS_MAX {
            let language = parts.find_map(|part| part.strip_prefix("lang=").or_else(|| part.strip_prefix("xml:lang=")));
            found.extend(language.map(|language| language.trim_matches(['"', '\''])));
        }
        if !tag.ends_with('/') {
            depth += 1;
        }
    }
    found
}

/// Where a tag ends: at the first `>` that is not inside of quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    text.char_indices().find_map(|(at, letter)| {
        match quote {
            Some(open) if open == letter => quote = None,
            Some(_) => {}
            None if letter == '>' => return Some(at),
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            None => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::sections;

    #[test]
    fn sections_stand_right_below_the_narrative() {
        assert_eq!(sections("<div><p>a</p></div>"), [""; 0]);
        let text = r#"<div lang="x"><!-- <div lang="y"> --><br/><div xml:lang='pt' lang="pt"><div lang="z"/></div>
            <div title="a > b" lang="de">b</div><p lang="en">c</p></div>"#;
        assert_eq!(sections(text), ["pt", "de"]);
        assert_eq!(sections("<div><div lang=\"a"), [""; 0]);
    }
}
