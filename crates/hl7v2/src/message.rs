//! A message: segments, fields, repetitions, components and subcomponents of the vertical-bar form (chapter 2).
//!
//! Nothing is copied before it is asked for. Numbers of fields are those of the standard: PID-3 is field 3 of PID; of MSH, field 1 is the separator
//! itself.

use crate::escape::unescape;
use std::borrow::Cow;

/// Longest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Most segments of a message.
pub const SEGMENTS_MAX: usize = 2_000;

/// Most fields that are looked at of a segment, and components of a field.
pub const PARTS_MAX: usize = 250;

/// Most repetitions that are looked at of a field.
pub const REPETITIONS_MAX: usize = 50;

/// Why a text is no message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    /// It does not begin with MSH and its delimiters.
    #[error("a message begins with MSH, the field separator and four or five other delimiters, as `MSH|^~\\&|`")]
    Header,
    /// A bound is exceeded.
    #[error("the message has more than {max} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// A segment whose name is none.
    #[error("segment {place} has no name: three letters or digits, the first a letter")]
    Segment {
        /// Which, from 1.
        place: usize,
    },
}

/// The delimiters that a message says it uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Delimiters {
    pub(crate) field: char,
    pub(crate) component: char,
    pub(crate) repetition: char,
    pub(crate) escape: Option<char>,
    pub(crate) subcomponent: Option<char>,
    pub(crate) truncation: Option<char>,
}

impl Delimiters {
    /// Those that the standard recommends.
    pub(crate) const DEFAULT: Self = Self {
        field: '|',
        component: '^',
        repetition: '~',
        escape: Some('\\'),
        subcomponent: Some('&'),
        truncation: None,
    };

    /// MSH-2, in their order.
    pub(crate) fn encoding(&self) -> String {
        let mut text = String::from_iter([self.component, self.repetition]);
        text.extend(self.escape.into_iter().chain(self.subcomponent).chain(self.truncation));
        text
    }

    fn of(header: &str) -> Option<Self> {
        let mut letters = header.strip_prefix("MSH")?.chars();
        let field = letters.next()?;
        let encoding: Vec<char> = letters.take_while(|letter| *letter != field).take(6).collect();
        let delimiters = match *encoding.as_slice() {
            [component, repetition] => {
                Self { field, component, repetition, escape: None, subcomponent: None, truncation: None }
            }
            [component, repetition, escape, subcomponent] => Self {
                field,
                component,
                repetition,
                escape: Some(escape),
                subcomponent: Some(subcomponent),
                truncation: None,
            },
            [component, repetition, escape, subcomponent, truncation] => Self {
                field,
                component,
                repetition,
                escape: Some(escape),
                subcomponent: Some(subcomponent),
                truncation: Some(truncation),
            },
            _ => return None,
        };
        let mut all = vec![field];
        all.extend(&encoding);
        let sound = all.iter().all(|letter| letter.is_ascii_punctuation());
        let distinct = all.iter().enumerate().all(|(place, letter)| !all.iter().take(place).any(|one| one == letter));
        (sound && distinct).then_some(delimiters)
    }
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    pub(crate) delimiters: Delimiters,
    segments: Vec<Segment<'a>>,
}

/// A segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    name: &'a str,
    /// Everything after the name, with the separator before the first field.
    rest: &'a str,
    delimiters: Delimiters,
}

/// A field, a repetition of it, or a component: its text, and by what it is parted.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    text: &'a str,
    delimiters: Delimiters,
    depth: u8,
}

impl<'a> Message<'a> {
    /// Reads a message. Segments end with a carriage return; line feeds are taken for it.
    ///
    /// # Errors
    /// See [`ParseError`].
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        if text.len() > MESSAGE_BYTES_MAX {
            return Err(ParseError::TooLarge { what: "bytes", max: MESSAGE_BYTES_MAX });
        }
        let text = text.trim_start_matches(['\r', '\n', '\u{feff}']);
        let delimiters = Delimiters::of(text).ok_or(ParseError::Header)?;
        let mut segments = Vec::new();
        let lines = text.split(['\r', '\n']).filter(|line| !line.trim().is_empty());
        for (place, line) in lines.enumerate() {
            if place == SEGMENTS_MAX {
                return Err(ParseError::TooLarge { what: "segments", max: SEGMENTS_MAX });
            }
            let (name, rest) = line.split_once(delimiters.field).unwrap_or((line.trim_end(), ""));
            let named = name.len() == 3
                && name.starts_with(|first: char| first.is_ascii_uppercase())
                && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
            if !named {
                return Err(ParseError::Segment { place: place + 1 });
            }
            segments.push(Segment { name, rest, delimiters });
        }
        Ok(Self { delimiters, segments })
    }

    /// The first segment of a name.
    pub fn segment(&self, name: &str) -> Option<Segment<'a>> {
        self.segments().find(|segment| segment.name == name)
    }

    /// Its segments, in their order.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> {
        self.segments.iter().copied()
    }

    /// A field of the first segment of a name; empty where there is none.
    pub fn field(&self, segment: &str, number: usize) -> Field<'a> {
        let absent = Field { text: "", delimiters: self.delimiters, depth: 0 };
        self.segment(segment).map_or(absent, |segment| segment.field(number))
    }
}

impl<'a> Segment<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// A field by its number; empty where there is none.
    pub fn field(&self, number: usize) -> Field<'a> {
        // Of MSH the first field is the separator, so that what comes after it is the second.
        let header = matches!(self.name, "MSH" | "BHS" | "FHS");
        let place = number.checked_sub(if header { 2 } else { 1 }).filter(|place| *place < PARTS_MAX);
        let text = place.and_then(|place| self.rest.split(self.delimiters.field).nth(place)).unwrap_or("");
        // MSH-2 is made of delimiters and holds none.
        let depth = if header && number == 2 { 3 } else { 0 };
        Field { text, delimiters: self.delimiters, depth }
    }
}

impl<'a> Field<'a> {
    fn split(self, by: Option<char>, depth: u8, max: usize) -> impl Iterator<Item = Field<'a>> {
        let whole = by.is_none().then_some(self.text);
        let parts = by.map(|by| self.text.split(by));
        let texts = whole.into_iter().chain(parts.into_iter().flatten()).take(max);
        texts.map(move |text| Field { text, delimiters: self.delimiters, depth })
    }

    /// Its repetitions; none where it is empty.
    pub fn repetitions(self) -> impl Iterator<Item = Field<'a>> {
        let by = (self.depth == 0).then_some(self.delimiters.repetition);
        self.split(by, 1, REPETITIONS_MAX).filter(|field| !field.text.is_empty())
    }

    /// A component of its first repetition, by its number from 1; empty where there is none.
    pub fn component(self, number: usize) -> Field<'a> {
        let nothing = Field { text: "", delimiters: self.delimiters, depth: 2 };
        let first = if self.depth == 0 { self.repetitions().next() } else { Some(self) };
        let by = Some(self.delimiters.component);
        let place = number.checked_sub(1);
        first.zip(place).and_then(|(first, place)| first.split(by, 2, PARTS_MAX).nth(place)).unwrap_or(nothing)
    }

    /// A subcomponent of a component, by its number from 1; empty where there is none.
    pub fn subcomponent(self, number: usize) -> Field<'a> {
        let nothing = Field { text: "", delimiters: self.delimiters, depth: 3 };
        let by = self.delimiters.subcomponent;
        let place = number.checked_sub(1);
        place.and_then(|place| self.split(by, 3, PARTS_MAX).nth(place)).unwrap_or(nothing)
    }

    /// Whether nothing stands there. What is to be deleted (`""`) is something.
    pub fn is_empty(self) -> bool {
        self.text.trim().is_empty()
    }

    /// Whether it says that what was known is to be deleted: two quotation marks.
    pub fn is_null(self) -> bool {
        self.text.trim() == "\"\""
    }

    /// The text as it stands, escapes and all.
    pub fn raw(self) -> &'a str {
        self.text
    }

    /// The value of its first repetition, component and subcomponent: unescaped and without blanks around it. Empty for what is to be deleted.
    pub fn value(self) -> Cow<'a, str> {
        let first = match self.depth {
            0 | 1 => self.component(1).subcomponent(1),
            2 => self.subcomponent(1),
            _ => self,
        };
        if first.is_null() {
            return Cow::Borrowed("");
        }
        match unescape(first.text, &self.delimiters) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        }
    }

    /// The value, if there is one.
    pub fn some(self) -> Option<String> {
        let value = self.value();
        (!value.is_empty()).then(|| value.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "MSH|^~\\&|GAM|CHU^1.2^ISO|DPI|CHU|2026||ADT^A01^ADT_A01|7|P|2.5\rPID|1||3^^^A&1.2&ISO^PI~4^^^B||O\\T\\X&van^Jo||\"\"|F\n\nPV1|1";

    #[test]
    fn parts_are_found_by_their_numbers() {
        let message = Message::parse(TEXT).unwrap();
        assert!(message.field("MSH", 1).is_empty() && message.field("MSH", 2).raw() == "^~\\&");
        assert_eq!(message.field("MSH", 3).value(), "GAM");
        assert_eq!(message.field("MSH", 9).component(2).value(), "A01");
        let ids: Vec<String> = message.field("PID", 3).repetitions().filter_map(Field::some).collect();
        assert_eq!(ids, ["3", "4"]);
        assert_eq!(message.field("PID", 3).component(4).subcomponent(2).value(), "1.2");
        assert_eq!(message.field("PID", 5).component(1).subcomponent(1).value(), "O&X");
        assert_eq!(message.field("PID", 5).component(1).subcomponent(2).value(), "van");
        assert!(message.field("PID", 7).is_null() && message.field("PID", 7).value().is_empty());
        assert!(!message.field("PID", 7).is_empty() && message.field("PID", 99).is_empty());
        assert!(message.field("ZZZ", 1).is_empty() && message.segment("PV1").is_some());
    }

    #[test]
    fn other_delimiters_are_taken_from_the_header() {
        let message = Message::parse("MSH$%*?!$A$B$C$D$2026$$ADT%A02$9$P$2.3\rPID$1$$5%%%X*6").unwrap();
        assert_eq!(message.field("MSH", 9).component(2).value(), "A02");
        assert_eq!(message.field("PID", 3).repetitions().count(), 2);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for text in ["", "PID|1", "MSH", "MSH|", "MSH|^^\\&|", "MSHA^~\\&A", "MSH|^~\\&#+|"] {
            assert_eq!(Message::parse(text).err(), Some(ParseError::Header), "{text}");
        }
        assert_eq!(Message::parse("MSH|^~\\&|\rpid|1").err(), Some(ParseError::Segment { place: 2 }));
        let long = format!("MSH|^~\\&|\r{}", "PID|1\r".repeat(SEGMENTS_MAX));
        assert!(matches!(Message::parse(&long).err(), Some(ParseError::TooLarge { what: "segments", .. })));
        let big = format!("MSH|^~\\&|{}", "x".repeat(MESSAGE_BYTES_MAX));
        assert!(matches!(Message::parse(&big).err(), Some(ParseError::TooLarge { what: "bytes", .. })));
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_fall_over(text in "MSH\\|\\^~\\\\&\\|[|^~&\\\\A-C0-9\r\"]{0,80}") {
            if let Ok(message) = Message::parse(&text) {
                for segment in message.segments() {
                    for number in 0..6 {
                        for repetition in segment.field(number).repetitions() {
                            let _ = repetition.component(2).subcomponent(2).value();
                        }
                    }
                }
            }
        }
    }
}
