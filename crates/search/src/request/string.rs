//! Values of string and uri parameters (<https://hl7.org/fhir/R4/search.html#string>, <https://hl7.org/fhir/R4/search.html#uri>).

use super::escape::unescape;
use super::fault::{Fault, Outcome};
use super::token::text_words;
use crate::filter::Test;
use tacet_fhir::search::fold;

/// The value as strings compare. Blanks alone ask for nothing.
pub(super) fn folded(name: &str, text: &str) -> Outcome<Box<str>> {
    let folded = fold(text);
    if folded.is_empty() { Err(Fault::invalid(name, "a text")) } else { Ok(folded.into()) }
}

/// One string: the beginning of a part of the name, address or text.
pub(super) fn string(name: &str, raw: &str) -> Outcome<Test> {
    Ok(Test::StringStarts(folded(name, &unescape(raw))?))
}

/// One string with a modifier.
pub(super) fn string_with(name: &str, modifier: &str, raw: &str) -> Outcome<Test> {
    match modifier {
        "exact" => Ok(Test::StringIs(unescape(raw).into())),
        "contains" => Ok(Test::StringContains(folded(name, &unescape(raw))?)),
        "text" => Ok(Test::StringText(text_words(name, raw)?)),
        _ => Err(Fault::unknown_modifier(name, modifier)),
    }
}

/// One uri, exactly. `url|version` asks for that version of a canonical.
pub(super) fn uri(name: &str, raw: &str) -> Outcome<Test> {
    let text = unescape(raw);
    if text.contains(char::is_whitespace) {
        return Err(Fault::invalid(name, "a uri"));
    }
    Ok(match text.split_once('|') {
        Some((url, version)) if !url.is_empty() && !version.is_empty() => {
            Test::Canonical(url.into(), Some(version.into()))
        }
        Some(_) => return Err(Fault::invalid(name, "uri or uri|version")),
        None => Test::UriIs(text.into()),
    })
}

/// One uri with a modifier. A urn has no segments.
pub(super) fn uri_with(name: &str, modifier: &str, raw: &str) -> Outcome<Test> {
    let (Test::UriIs(uri), true) = (uri(name, raw)?, matches!(modifier, "above" | "below")) else {
        return Err(if matches!(modifier, "above" | "below") {
            Fault::invalid(name, "a url without version")
        } else {
            Fault::unknown_modifier(name, modifier)
        });
    };
    if uri.starts_with("urn:") {
        return Err(Fault::invalid(name, "a url: nothing is above or below a urn"));
    }
    Ok(if modifier == "below" { Test::UriBelow(uri) } else { Test::UriAbove(uri) })
}
