//! ClaML (EN 14463), the XML form in which the ICD-10 and other classifications are given out.
//!
//! `Class` elements become concepts, their `SuperClass` elements parents, the `Rubric` of kind `preferred` the display and
//! `definition` the definition. `Modifier` elements are not applied: a classification that makes its last digits by
//! modifiers loses those codes, and they are counted as passed over.

use super::{LoadError, Loaded, Release, Sink};
use crate::system::Concept;
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use std::io::BufRead;

/// Longest text of one class, in bytes.
const CLASS_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of elements. Labels hold paragraphs and lists, and those texts.
const DEPTH_MAX: usize = 64;
/// Most bytes of one file that are read. The ICD-10 in ClaML has about 20 MB.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A class while it is read.
#[derive(Default)]
struct Class {
    code: String,
    kind: String,
    parents: Vec<String>,
    display: String,
    definition: String,
    bytes: usize,
}

/// Which rubric is open.
#[derive(Clone, Copy, PartialEq)]
enum Rubric {
    None,
    Preferred,
    Definition,
}

/// Reads a ClaML file. Blocks and chapters, which are no codes of a diagnosis, are abstract.
///
/// # Errors
/// It is not well-formed XML or holds no `Class`; or reading or writing fails.
pub fn claml(input: impl BufRead, release: &Release, sink: &mut dyn Sink) -> Result<Loaded, LoadError> {
    let mut reader = Reader::from_reader(std::io::Read::take(input, FILE_BYTES_MAX));
    sink.begin(release.header(true))?;
    let mut loaded = Loaded::default();
    let mut class: Option<Class> = None;
    let mut rubric = Rubric::None;
    let mut depth = 0_usize;
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| {
            LoadError::format(0, format!("not well-formed XML at byte {}: {error}", reader.error_position()))
        })?;
        match event {
            Event::Eof => break,
            Event::Start(start) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(LoadError::TooLarge(format!(
                        "elements stand in one another more than {DEPTH_MAX} deep"
                    )));
                }
                open(&start, &mut class, &mut rubric, &mut loaded)?;
            }
            Event::Empty(start) => {
                open(&start, &mut class, &mut rubric, &mut loaded)?;
                close(start.name().as_ref(), &mut class, &mut rubric, sink, &mut loaded)?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                close(end.name().as_ref(), &mut class, &mut rubric, sink, &mut loaded)?;
            }
            Event::Text(text) => say(&mut class, rubric, &text.xml10_content())?,
            Event::CData(text) => say(&mut class, rubric, &text.xml10_content())?,
            // Only the references of XML itself and numbers: nothing that a document type defines is looked up.
            Event::GeneralRef(name) => {
                let letter = match name.resolve_char_ref() {
                    Ok(Some(letter)) => letter.to_string(),
                    _ => match &*name.xml10_content() {
                        "amp" => "&".to_owned(),
                        "lt" => "<".to_owned(),
                        "gt" => ">".to_owned(),
                        "quot" => "\"".to_owned(),
                        "apos" => "'".to_owned(),
                        _ => return Err(LoadError::format(0, "an entity that XML itself does not define")),
                    },
                };
                say(&mut class, rubric, &letter)?;
            }
            _ => {}
        }
    }
    match loaded.concepts {
        0 => Err(LoadError::format(0, "no element `Class` with a code: is it a ClaML file?")),
        _ => Ok(loaded),
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Result<String, LoadError> {
    let found = start.attributes().find_map(|one| one.ok().filter(|one| one.key.as_ref() == name));
    match found {
        None => Ok(String::new()),
        Some(one) => {
            let value = one
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|_| LoadError::format(0, "an attribute with an entity that XML does not define"))?;
            Ok(value.trim().to_owned())
        }
    }
}

fn open(
    start: &BytesStart<'_>,
    class: &mut Option<Class>,
    rubric: &mut Rubric,
    loaded: &mut Loaded,
) -> Result<(), LoadError> {
    match (start.name().as_ref(), class) {
        ("Class", class) => {
            *class =
                Some(Class { code: attribute(start, "code")?, kind: attribute(start, "kind")?, ..Class::default() });
        }
        ("SuperClass", Some(class)) => {
            let code = attribute(start, "code")?;
            class.bytes += code.len() + size_of::<String>();
            class.parents.push(code);
            bounded(class)?;
        }
        ("Rubric", Some(_)) => {
            *rubric = match attribute(start, "kind")?.as_str() {
                "preferred" => Rubric::Preferred,
                "definition" => Rubric::Definition,
                _ => Rubric::None,
            };
        }
        ("ModifierClass", _) => loaded.passed_over += 1,
        _ => {}
    }
    Ok(())
}

fn close(
    name: &str,
    class: &mut Option<Class>,
    rubric: &mut Rubric,
    sink: &mut dyn Sink,
    loaded: &mut Loaded,
) -> Result<(), LoadError> {
    match name {
        "Rubric" => *rubric = Rubric::None,
        // A label's parts (`Reference`, `Para`, `Fragment`) are words apart.
        "Label" | "Reference" | "Para" | "Fragment" | "ListItem" | "Term" => say(class, *rubric, " ")?,
        "Class" => {
            if let Some(class) = class.take() {
                hand_on(&class, sink, loaded)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn hand_on(class: &Class, sink: &mut dyn Sink, loaded: &mut Loaded) -> Result<(), LoadError> {
    if class.code.is_empty() {
        loaded.passed_over += 1;
        return Ok(());
    }
    let bare = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let parents: Vec<&str> = class.parents.iter().map(String::as_str).filter(|code| !code.is_empty()).collect();
    sink.concept(&Concept {
        code: &class.code,
        display: &bare(&class.display),
        definition: &bare(&class.definition),
        parents: &parents,
        is_abstract: matches!(class.kind.as_str(), "chapter" | "block"),
        ..Concept::default()
    })?;
    loaded.concepts += 1;
    Ok(())
}

fn say(class: &mut Option<Class>, rubric: Rubric, text: &str) -> Result<(), LoadError> {
    let Some(class) = class else { return Ok(()) };
    match rubric {
        Rubric::None => return Ok(()),
        Rubric::Preferred => class.display.push_str(text),
        Rubric::Definition => class.definition.push_str(text),
    }
    class.bytes += text.len();
    bounded(class)
}

fn bounded(class: &Class) -> Result<(), LoadError> {
    match class.bytes > CLASS_BYTES_MAX {
        true => Err(LoadError::TooLarge(format!("one class has more than {CLASS_BYTES_MAX} bytes"))),
        false => Ok(()),
    }
}
