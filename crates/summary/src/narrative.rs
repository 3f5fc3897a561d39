//! Narratives: XHTML made from words, with everything escaped.

use crate::{Language, Section};
use tacet_fhir::json::Json;
use tacet_types::escaped_html;

/// Longest narrative of one resource, in bytes.
const RESOURCE_BYTES_MAX: usize = 8 * 1024;

/// Text for an element of XHTML: no markup, and no character that XML 1.0 has not.
fn escaped(text: &str) -> String {
    let clean = text.chars().filter_map(|letter| match letter {
        '\t' | '\n' | '\r' => Some(' '),
        '\u{fffe}' | '\u{ffff}' => None,
        letter => (!letter.is_control()).then_some(letter),
    });
    escaped_html(&clean.collect::<String>()).into_owned()
}

fn narrative(inner: &str, language: Language) -> Json<'static> {
    let tag = language.tag();
    let div = format!(r#"<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="{tag}" lang="{tag}">{inner}</div>"#);
    Json::object([("status", Json::from("generated")), ("div", Json::from(div))])
}

/// The narrative of a section.
pub(crate) fn section(section: &Section, language: Language) -> Json<'static> {
    if section.rows.is_empty() {
        return narrative(&format!("<p>{}</p>", escaped(section.place.nothing(language))), language);
    }
    let mut inner = String::from("<table><thead><tr>");
    let all = section.columns.iter().map(|name| ("th", escaped(name)));
    all.for_each(|(tag, text)| inner += &format!("<{tag}>{text}</{tag}>"));
    inner.push_str("</tr></thead><tbody>");
    for row in &section.rows {
        inner.push_str("<tr>");
        row.iter().for_each(|text| inner += &format!("<td>{}</td>", escaped(text)));
        inner.push_str("</tr>");
    }
    inner.push_str("</tbody></table>");
    if let Some(words) = older(section, language) {
        inner += &format!("<p>{}</p>", escaped(&words));
    }
    narrative(&inner, language)
}

/// That there is more, where there is.
pub(crate) fn older(section: &Section, language: Language) -> Option<String> {
    let older = section.older;
    (older > 0).then(|| match language {
        Language::French => format!("{older} autres, plus anciens, ne sont pas repris ici."),
        Language::English => format!("{older} more, which are older, are not listed here."),
    })
}

/// The narrative of a resource that has none: its type and a line of words.
pub(crate) fn resource(kind: &str, words: &str, language: Language) -> Json<'static> {
    let mut words = words;
    while words.len() > RESOURCE_BYTES_MAX {
        let end = (0..=RESOURCE_BYTES_MAX).rev().find(|at| words.is_char_boundary(*at)).unwrap_or_default();
        words = words.get(..end).unwrap_or_default();
    }
    let words = if words.trim().is_empty() { "—" } else { words };
    narrative(&format!("<p><b>{}</b>: {}</p>", escaped(kind), escaped(words)), language)
}

/// The narrative of the composition: whom it is about and who made it.
pub(crate) fn composition(title: &str, lines: &[(String, String)], language: Language) -> Json<'static> {
    let mut inner = format!("<p><b>{}</b></p><ul>", escaped(title));
    lines.iter().for_each(|(label, text)| inner += &format!("<li>{}: {}</li>", escaped(label), escaped(text)));
    inner.push_str("</ul>");
    narrative(&inner, language)
}
