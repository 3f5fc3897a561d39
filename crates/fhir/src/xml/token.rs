//! The tokens of an XML text: XML 1.0 without document types, with namespaces.
//!
//! A loop without recursion; it holds a name for each open element. It borrows from the text wherever nothing had to
//! be replaced.

use super::XmlErrorKind as Kind;
use super::{FHIR_NAMESPACE, XHTML_NAMESPACE};
use std::borrow::Cow;

/// Most attributes in one tag, namespace declarations included. FHIR has two, HTML's tables a handful.
const ATTRIBUTES_MAX: usize = 32;

/// Most namespace declarations in force at a place.
const DECLARATIONS_MAX: usize = 128;

/// Deepest nesting of elements, whatever the reader above allows.
const OPEN_MAX: usize = 512;

/// What tools put on the outermost element (`xsi:schemaLocation`); it says nothing about the resource.
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// The namespace of an element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Namespace {
    Fhir,
    Xhtml,
    Other,
}

/// A start tag.
#[derive(Debug)]
pub(super) struct Start<'t> {
    pub(super) namespace: Namespace,
    /// Whether the name has a prefix.
    pub(super) prefixed: bool,
    pub(super) name: &'t str,
    /// Without declarations of namespaces.
    pub(super) attributes: Vec<Attribute<'t>>,
    /// Whether the tag itself says what elements without prefix are in.
    pub(super) declares: bool,
    /// Where the tag begins.
    pub(super) offset: usize,
}

/// An attribute with its value, entities replaced.
#[derive(Debug)]
pub(super) struct Attribute<'t> {
    /// As written, `xml:lang` with its prefix.
    pub(super) name: &'t str,
    pub(super) value: Cow<'t, str>,
}

#[derive(Debug)]
pub(super) enum Event<'t> {
    Start(Start<'t>),
    /// The end of the element that was opened last.
    End,
    Text(Cow<'t, str>),
    /// The whole text was read.
    Done,
}

struct Open<'t> {
    name: &'t str,
    declarations: usize,
}

pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    open: Vec<Open<'t>>,
    /// Prefix (empty for none) and namespace.
    declarations: Vec<(&'t str, Cow<'t, str>)>,
    /// An empty-element tag was read, whose end is still to be told.
    end_is_due: bool,
    /// The outermost element is complete.
    complete: bool,
}

/// Whether only what XML takes for white space.
pub(super) fn is_blank(text: &str) -> bool {
    text.bytes().all(is_space)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// XML 1.0 section 2.2.
pub(super) fn is_character(letter: char) -> bool {
    !matches!(letter, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Reader { text, at: 0, open: Vec::new(), declarations: Vec::new(), end_is_due: false, complete: false }
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) -> bool {
        let blanks = self.rest().bytes().take_while(|byte| is_space(*byte)).count();
        self.at += blanks;
        blanks > 0
    }

    /// Goes past `mark`, and returns what stood before it.
    fn until(&mut self, mark: &str) -> Result<&'t str, Kind> {
        let (before, _) = self.rest().split_once(mark).ok_or(Kind::UnexpectedEnd)?;
        self.at += before.len() + mark.len();
        Ok(before)
    }

    fn take(&mut self, mark: &str) -> bool {
        let there = self.rest().starts_with(mark);
        self.at += if there { mark.len() } else { 0 };
        there
    }

    /// The declaration `<?xml …?>`, which may stand at the very start only.
    pub(super) fn declaration(&mut self) -> Result<(), Kind> {
        let is_declaration =
            self.rest().strip_prefix("<?xml").is_some_and(|rest| rest.starts_with(|next: char| next.is_whitespace()));
        if !is_declaration {
            return Ok(());
        }
        let declaration = self.until("?>")?;
        let Some((_, encoding)) = declaration.split_once("encoding") else { return Ok(()) };
        let encoding = encoding.trim_start_matches([' ', '\t', '\r', '\n', '=', '"', '\'']);
        let is_utf8 = ["utf-8", "utf8", "us-ascii"].iter().any(|known| {
            let (name, after) = encoding.split_at_checked(known.len()).unwrap_or((encoding, ""));
            name.eq_ignore_ascii_case(known) && after.starts_with(['"', '\''])
        });
        if is_utf8 { Ok(()) } else { Err(Kind::Encoding) }
    }

    pub(super) fn next(&mut self) -> Result<Event<'t>, Kind> {
        if std::mem::take(&mut self.end_is_due) {
            self.close();
            return Ok(Event::End);
        }
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return if self.complete { Ok(Event::Done) } else { Err(Kind::UnexpectedEnd) };
            }
            if self.take("<!--") {
                let comment = self.until("--")?;
                characters(comment)?;
                if !self.take(">") {
                    return Err(Kind::Malformed);
                }
            } else if self.take("<![CDATA[") {
                if self.open.is_empty() {
                    return Err(Kind::Malformed);
                }
                let text = self.until("]]>")?;
                characters(text)?;
                return Ok(Event::Text(one_line_end(text)));
            } else if rest.starts_with("<!") {
                return Err(if rest.starts_with("<!DOCTYPE") { Kind::DocumentType } else { Kind::Malformed });
            } else if self.take("<?") {
                let instruction = self.until("?>")?;
                characters(instruction)?;
                let target = instruction.split([' ', '\t', '\r', '\n']).next().unwrap_or_default();
                if !is_name(target) || target.eq_ignore_ascii_case("xml") {
                    return Err(Kind::Malformed);
                }
            } else if self.take("</") {
                let name = self.name()?;
                self.skip_space();
                if !self.take(">") {
                    return Err(Kind::Malformed);
                }
                if self.open.last().is_none_or(|open| open.name != name) {
                    return Err(Kind::Unbalanced);
                }
                self.close();
                return Ok(Event::End);
            } else if rest.starts_with('<') {
                return self.start().map(Event::Start);
            } else if let Some(text) = self.characters()? {
                return Ok(Event::Text(text));
            }
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.declarations.truncate(open.declarations);
        }
        self.complete = self.open.is_empty();
    }

    /// Text up to the next tag; nothing where it is white space outside of the outermost element.
    fn characters(&mut self) -> Result<Option<Cow<'t, str>>, Kind> {
        let rest = self.rest();
        let length = rest.find('<').unwrap_or(rest.len());
        let text = rest.get(..length).unwrap_or_default();
        if self.open.is_empty() {
            if !is_blank(text) {
                return Err(Kind::Malformed);
            }
            self.at += length;
            return Ok(None);
        }
        if text.contains("]]>") {
            return Err(Kind::Malformed);
        }
        characters(text)?;
        let text = unescaped(&one_line_end(text))?.map_or_else(|| one_line_end(text), Cow::Owned);
        self.at += length;
        Ok(Some(text))
    }

    fn name(&mut self) -> Result<&'t str, Kind> {
        let rest = self.rest();
        let length = rest.find(|letter: char| !is_name_letter(letter)).unwrap_or(rest.len());
        let name = rest.get(..length).filter(|name| is_name(name)).ok_or(Kind::Malformed)?;
        self.at += length;
        Ok(name)
    }

    fn start(&mut self) -> Result<Start<'t>, Kind> {
        if self.complete {
            return Err(Kind::Malformed);
        }
        if self.open.len() >= OPEN_MAX {
            return Err(Kind::TooDeep);
        }
        let offset = self.at;
        self.at += 1;
        let full = self.name()?;
        let before = self.declarations.len();
        let mut attributes: Vec<Attribute<'t>> = Vec::new();
        loop {
            let spaced = self.skip_space();
            if self.take("/>") {
                self.end_is_due = true;
                break;
            }
            if self.take(">") {
                break;
            }
            if !spaced {
                return Err(if self.rest().is_empty() { Kind::UnexpectedEnd } else { Kind::Malformed });
            }
            let attribute = self.attribute()?;
            if attributes.iter().any(|known| known.name == attribute.name) {
                return Err(Kind::RepeatedAttribute);
            }
            if attributes.len() >= ATTRIBUTES_MAX {
                return Err(Kind::TooManyAttributes);
            }
            attributes.push(attribute);
        }
        self.declare(&mut attributes)?;
        self.open.push(Open { name: full, declarations: before });
        let (prefix, name) = full.split_once(':').unwrap_or(("", full));
        let namespace = match self.namespace(prefix) {
            Some(FHIR_NAMESPACE) => Namespace::Fhir,
            Some(XHTML_NAMESPACE) => Namespace::Xhtml,
            Some(_) => Namespace::Other,
            None if prefix.is_empty() => Namespace::Other,
            None => return Err(Kind::Namespace),
        };
        self.drop_foreign(&mut attributes)?;
        let declares = self.declarations.get(before..).unwrap_or_default().iter().any(|(prefix, _)| prefix.is_empty());
        Ok(Start { namespace, prefixed: !prefix.is_empty(), name, attributes, declares, offset })
    }

    /// Takes the declarations of namespaces out of the attributes.
    fn declare(&mut self, attributes: &mut Vec<Attribute<'t>>) -> Result<(), Kind> {
        let is_declaration =
            |attribute: &mut Attribute<'t>| attribute.name == "xmlns" || attribute.name.starts_with("xmlns:");
        for attribute in attributes.extract_if(.., is_declaration) {
            let prefix = attribute.name.strip_prefix("xmlns:").unwrap_or_default();
            let is_wrong = !prefix.is_empty() && (attribute.value.is_empty() || prefix == "xml" || prefix == "xmlns");
            if is_wrong {
                return Err(Kind::Namespace);
            }
            if self.declarations.len() >= DECLARATIONS_MAX {
                return Err(Kind::TooManyAttributes);
            }
            self.declarations.push((prefix, attribute.value));
        }
        Ok(())
    }

    /// Attributes with a prefix: those for schemas are dropped, `xml:` stays, any other is unknown.
    fn drop_foreign(&self, attributes: &mut Vec<Attribute<'t>>) -> Result<(), Kind> {
        let mut known = true;
        attributes.retain(|attribute| match attribute.name.split_once(':') {
            None | Some(("xml", _)) => true,
            Some((prefix, _)) => {
                known &= self.namespace(prefix) == Some(SCHEMA_INSTANCE);
                false
            }
        });
        if known { Ok(()) } else { Err(Kind::UnknownAttribute) }
    }

    fn namespace(&self, prefix: &str) -> Option<&str> {
        self.declarations.iter().rev().find(|(known, _)| *known == prefix).map(|(_, namespace)| namespace.as_ref())
    }

    fn attribute(&mut self) -> Result<Attribute<'t>, Kind> {
        let name = self.name()?;
        self.skip_space();
        if !self.take("=") {
            return Err(Kind::Malformed);
        }
        self.skip_space();
        let quote = if self.take("\"") {
            "\""
        } else if self.take("'") {
            "'"
        } else {
            return Err(Kind::Malformed);
        };
        let start = self.at;
        let value = self.until(quote)?;
        let checked = characters(value)
            .and_then(|()| if value.contains('<') { Err(Kind::Malformed) } else { attribute_value(value) });
        if checked.is_err() {
            self.at = start;
        }
        Ok(Attribute { name, value: checked? })
    }
}

fn characters(text: &str) -> Result<(), Kind> {
    // Control characters first: most texts have none, and bytes are quick to look through.
    let is_plain = text.bytes().all(|byte| byte >= b' ' && byte != 0xEF);
    if is_plain || text.chars().all(is_character) { Ok(()) } else { Err(Kind::Character) }
}

/// XML 1.0 section 2.11: every line ends with a line feed.
pub(super) fn one_line_end(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(text) }
}

/// XML 1.0 section 3.3.3: white space in a value is a blank, unless it is written by number.
fn attribute_value(value: &str) -> Result<Cow<'_, str>, Kind> {
    let plain: Cow<'_, str> = if value.contains(['\t', '\r', '\n']) {
        Cow::Owned(one_line_end(value).replace(['\t', '\n'], " "))
    } else {
        Cow::Borrowed(value)
    };
    Ok(unescaped(&plain)?.map_or(plain, Cow::Owned))
}

/// With entities replaced; nothing where there are none.
fn unescaped(text: &str) -> Result<Option<String>, Kind> {
    let mut parts = text.split('&');
    let first = parts.next().unwrap_or_default();
    if first.len() == text.len() {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    out.push_str(first);
    for part in parts {
        let (entity, after) = part.split_once(';').ok_or(Kind::Malformed)?;
        out.push(entity_character(entity)?);
        out.push_str(after);
    }
    Ok(Some(out))
}

fn entity_character(entity: &str) -> Result<char, Kind> {
    let number = match entity {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => match entity.strip_prefix('#') {
            Some(number) => match number.strip_prefix('x') {
                Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    u32::from_str_radix(digits, 16).ok()
                }
                None if number.bytes().all(|byte| byte.is_ascii_digit()) => number.parse().ok(),
                _ => return Err(Kind::Malformed),
            },
            None if is_name(entity) => return Err(Kind::Entity),
            None => return Err(Kind::Malformed),
        },
    };
    number.and_then(char::from_u32).filter(|letter| is_character(*letter)).ok_or(Kind::Character)
}

fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || matches!(letter, '_' | '-' | '.' | ':')
        || (!letter.is_ascii() && letter.is_alphanumeric())
}

/// A name with at most one prefix (Namespaces in XML, section 3). Stricter than XML outside of the letters and digits.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_alphabetic() || first == '_') && part.chars().all(is_name_letter)
    };
    match name.split_once(':') {
        None => is_part(name),
        Some((prefix, local)) => is_part(prefix) && is_part(local) && !local.contains(':'),
    }
}
