//! Narratives: the one place where XML stands inside of a resource.
//!
//! In JSON a narrative is a string that holds a `div` with its own namespace declaration. It is taken over as it was
//! written, byte for byte, wherever it can stand alone; otherwise (prefixes, a namespace that was declared further
//! out) it is written anew, with the same elements, attributes and text.

use super::XmlErrorKind as Kind;
use super::token::{Attribute, Event, Namespace, Reader, Start, one_line_end};
use super::write::{attribute_into, text_into};
use super::{WriteError, XHTML_NAMESPACE};
use std::borrow::Cow;

/// Deepest nesting inside of a narrative; that of [`crate::validate`] is lower.
const DEPTH_MAX: usize = 256;

/// Reads on from the start tag of the `div` to its end, and gives the whole as text.
pub(super) fn read<'t>(reader: &mut Reader<'t>, div: &Start<'t>) -> Result<Cow<'t, str>, Kind> {
    if div.namespace != Namespace::Xhtml || div.name != "div" {
        return Err(Kind::Narrative);
    }
    let mut stands_alone = div.declares && !div.prefixed;
    let mut anew = String::new();
    open(&mut anew, div, true)?;
    let mut names = vec![div.name];
    while !names.is_empty() {
        match reader.next()? {
            Event::Start(start) => {
                if start.namespace != Namespace::Xhtml {
                    return Err(Kind::Namespace);
                }
                if names.len() >= DEPTH_MAX {
                    return Err(Kind::TooDeep);
                }
                stands_alone &= !start.prefixed;
                open(&mut anew, &start, false)?;
                names.push(start.name);
            }
            Event::End => {
                if let Some(name) = names.pop() {
                    anew.push_str("</");
                    anew.push_str(name);
                    anew.push('>');
                }
            }
            Event::Text(text) => text_into(&text, &mut anew).map_err(|_| Kind::Character)?,
            Event::Done => return Err(Kind::UnexpectedEnd),
        }
    }
    let written = reader.text().get(div.offset..reader.offset()).ok_or(Kind::Narrative)?;
    // CDATA sections have no place in XHTML that is read as HTML.
    stands_alone &= !written.contains("<![CDATA[") && !written.contains("<?");
    Ok(if stands_alone { one_line_end(written) } else { Cow::Owned(anew) })
}

fn open(out: &mut String, start: &Start<'_>, declare: bool) -> Result<(), Kind> {
    out.push('<');
    out.push_str(start.name);
    if declare {
        attribute_into("xmlns", XHTML_NAMESPACE, out).map_err(|_| Kind::Character)?;
    }
    for Attribute { name, value } in &start.attributes {
        attribute_into(name, value, out).map_err(|_| Kind::Character)?;
    }
    out.push('>');
    Ok(())
}

/// The narrative of a JSON string as it may stand in an XML text.
pub(super) fn write(text: &str) -> Result<Cow<'_, str>, WriteError> {
    let text = with_characters(text.trim())?;
    let mut reader = Reader::new(&text);
    let Ok(Event::Start(div)) = reader.next() else { return Err(WriteError::Narrative) };
    // A `div` that declares nothing is taken for XHTML, as it is where narratives are read from JSON.
    if div.name != "div" || div.prefixed || (div.declares && div.namespace != Namespace::Xhtml) || div.offset != 0 {
        return Err(WriteError::Narrative);
    }
    let declares = div.declares;
    loop {
        match reader.next().map_err(|_| WriteError::Narrative)? {
            Event::Start(start) if start.prefixed || (start.declares && start.namespace != Namespace::Xhtml) => {
                return Err(WriteError::Narrative);
            }
            Event::Start(_) | Event::End | Event::Text(_) => {}
            Event::Done => break,
        }
    }
    if declares {
        return Ok(text);
    }
    let rest = text.strip_prefix("<div").ok_or(WriteError::Narrative)?;
    Ok(Cow::Owned(format!("<div xmlns=\"{XHTML_NAMESPACE}\"{rest}")))
}

/// HTML's names for U+00A0 to U+00FF, in that order. FHIR has no place for them, but texts from elsewhere have them.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 \
    sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring \
    AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash \
    Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml \
    igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn \
    yuml";

/// Others that are met.
const OTHERS: [(&str, char); 16] = [
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bull", '•'),
    ("hellip", '…'),
    ("euro", '€'),
    ("trade", '™'),
    ("larr", '←'),
    ("rarr", '→'),
    ("le", '≤'),
    ("ge", '≥'),
    ("ne", '≠'),
    ("minus", '−'),
];

/// With HTML's entities as characters; XML's own stay as they are.
fn with_characters(text: &str) -> Result<Cow<'_, str>, WriteError> {
    if !text.contains('&') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (entity, after) = part.split_once(';').ok_or(WriteError::Narrative)?;
        match html_character(entity) {
            Some(letter) => out.push(letter),
            None => {
                out.push('&');
                out.push_str(entity);
                out.push(';');
            }
        }
        out.push_str(after);
    }
    Ok(Cow::Owned(out))
}

fn html_character(entity: &str) -> Option<char> {
    let latin = LATIN.split_ascii_whitespace().zip('\u{A0}'..='\u{FF}').find(|(name, _)| *name == entity);
    latin.or_else(|| OTHERS.into_iter().find(|(name, _)| *name == entity)).map(|(_, letter)| letter)
}
