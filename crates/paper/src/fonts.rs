//! Letters: which there are, how wide they are, how they join.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use rustybuzz::{Direction, Face, UnicodeBuffer};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

/// Most widths of words that are remembered.
const WIDTHS_MAX: usize = 20_000;

pub(crate) struct Fonts {
    regular: Letters,
    bold: Letters,
    widths: RefCell<HashMap<(bool, String), f32>>,
}

struct Letters {
    face: Face<'static>,
    font: Font,
}

/// A part of a line that is written in one direction.
pub(crate) struct Run<'a> {
    pub(crate) text: &'a str,
    pub(crate) font: Font,
    pub(crate) glyphs: Vec<KrillaGlyph>,
    /// In parts of the size of the letters.
    pub(crate) width: f32,
}

impl Letters {
    fn new(data: &'static [u8]) -> Option<Self> {
        Some(Self { face: Face::from_slice(data, 0)?, font: Font::new(data.into(), 0)? })
    }

    fn has(&self, letter: char) -> bool {
        self.face.glyph_index(letter).is_some()
    }
}

impl Fonts {
    pub(crate) fn new() -> Option<Self> {
        let (regular, bold) = (Letters::new(dejavu::sans::regular())?, Letters::new(dejavu::sans::bold())?);
        Some(Self { regular, bold, widths: RefCell::new(HashMap::new()) })
    }

    /// The text with letters that are there; the others, and what would turn the direction of writing, by their numbers.
    pub(crate) fn printable<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let prints =
            |letter: char| letter == '\n' || (!letter.is_control() && !steers(letter) && self.regular.has(letter));
        if text.chars().all(prints) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len() + 16);
        for letter in text.chars() {
            match letter {
                _ if prints(letter) => out.push(letter),
                '\t' | '\r' | '\u{a0}' | '\u{202f}' => out.push(' '),
                other => out.push_str(&format!("[U+{:04X}]", u32::from(other))),
            }
        }
        Cow::Owned(out)
    }

    /// How wide a text is, in parts of the size of its letters.
    pub(crate) fn width(&self, text: &str, bold: bool) -> f32 {
        let key = (bold, text.to_owned());
        if let Some(width) = self.widths.borrow().get(&key) {
            return *width;
        }
        let width = self.runs(text, bold).iter().map(|run| run.width).sum();
        let mut widths = self.widths.borrow_mut();
        if widths.len() >= WIDTHS_MAX {
            widths.clear();
        }
        widths.insert(key, width);
        width
    }

    /// The runs of a line, from left to right.
    pub(crate) fn runs<'a>(&self, text: &'a str, bold: bool) -> Vec<Run<'a>> {
        let parts = directions(text);
        parts.into_iter().filter_map(|(range, to_left)| Some(self.run(text.get(range)?, bold, to_left))).collect()
    }

    fn run<'a>(&self, text: &'a str, bold: bool, to_left: bool) -> Run<'a> {
        let letters = if bold && text.chars().all(|letter| self.bold.has(letter)) { &self.bold } else { &self.regular };
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        buffer.guess_segment_properties();
        buffer.set_direction(if to_left { Direction::RightToLeft } else { Direction::LeftToRight });
        let shaped = rustybuzz::shape(&letters.face, &[], buffer);
        let mut begins: Vec<usize> = shaped.glyph_infos().iter().map(|info| info.cluster as usize).collect();
        begins.sort_unstable();
        begins.dedup();
        let units = letters.font.units_per_em();
        #[expect(clippy::cast_precision_loss, reason = "places within a letter are some thousands of units")]
        let part = |units_of: i32| units_of as f32 / units;
        let mut width = 0.0;
        let glyphs = shaped.glyph_infos().iter().zip(shaped.glyph_positions()).map(|(info, position)| {
            let begin = info.cluster as usize;
            let end = begins.get(begins.partition_point(|other| *other <= begin)).copied().unwrap_or(text.len());
            let advance = part(position.x_advance);
            width += advance;
            let (x, y) = (part(position.x_offset), part(position.y_offset));
            KrillaGlyph::new(GlyphId::new(info.glyph_id), advance, x, y, part(position.y_advance), begin..end, None)
        });
        let glyphs = glyphs.collect();
        Run { text, font: letters.font.clone(), glyphs, width }
    }

    /// The lines of a text that are no wider than `width`, in parts of the size of its letters. A word that is wider is cut.
    pub(crate) fn lines(&self, text: &str, bold: bool, width: f32) -> Vec<String> {
        let space = self.width(" ", bold);
        let mut lines = Vec::new();
        for paragraph in text.split('\n') {
            let (mut line, mut line_width) = (String::new(), 0.0);
            for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
                let word_width = self.width(word, bold);
                let apart = if line.is_empty() { 0.0 } else { space };
                if line_width + apart + word_width <= width {
                    if !line.is_empty() {
                        line.push(' ');
                    }
                    line.push_str(word);
                    line_width += apart + word_width;
                    continue;
                }
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                }
                line_width = 0.0;
                if word_width <= width {
                    line.push_str(word);
                    line_width = word_width;
                    continue;
                }
                for letter in letters(word) {
                    let letter_width = self.width(letter, bold);
                    if line_width + letter_width > width && !line.is_empty() {
                        lines.push(std::mem::take(&mut line));
                        line_width = 0.0;
                    }
                    line.push_str(letter);
                    line_width += letter_width;
                }
            }
            lines.push(line);
        }
        lines
    }
}

/// Whether a character is not seen and steers how others are written: a name with such a one could make a line say something else.
fn steers(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The letters of a word; one that is written as its number is not taken apart.
fn letters(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let length = match numbered(rest) {
            Some((length, _)) => length,
            None => rest.chars().next()?.len_utf8(),
        };
        let (letter, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(letter)
    })
}

/// A letter that is written as its number at the beginning of a text: how long that is, and the letter.
fn numbered(text: &str) -> Option<(usize, char)> {
    let (digits, _) = text.strip_prefix("[U+")?.split_once(']')?;
    let letter =
        (digits.len() <= 6).then(|| u32::from_str_radix(digits, 16).ok()).flatten().and_then(char::from_u32)?;
    Some((digits.len() + 4, letter))
}

/// What a line says where letters stand in it as their numbers; none where none do. What is no letter stays a number.
pub(crate) fn meant(line: &str) -> Option<String> {
    if !line.contains("[U+") {
        return None;
    }
    let word = |part: &str| match numbered(part) {
        Some((_, letter)) if letter.is_alphanumeric() => letter.to_string(),
        _ => part.to_owned(),
    };
    Some(letters(line).map(word).collect())
}

/// Whether a letter is written from right to left.
fn is_to_left(letter: char) -> bool {
    matches!(letter, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

/// The parts of a line that are written in one direction. What has none (blanks, signs) between two words to the left is to the left.
fn directions(text: &str) -> Vec<(Range<usize>, bool)> {
    let mut parts: Vec<(Range<usize>, bool)> = Vec::new();
    // The end of the last letter to the left, while nothing of the other direction came after it.
    let mut open: Option<usize> = None;
    for (at, letter) in text.char_indices() {
        let end = at + letter.len_utf8();
        let last = parts.last_mut();
        match (is_to_left(letter), last) {
            (true, Some((range, true))) => {
                range.end = end;
                open = Some(end);
            }
            (true, Some((range, false))) if open.is_some_and(|left_end| left_end == range.start) => {
                // Only what has no direction stood between.
                let joined = range.start;
                parts.pop();
                match parts.last_mut() {
                    Some((before, _)) => before.end = end,
                    None => parts.push((joined..end, true)),
                }
                open = Some(end);
            }
            (true, _) => {
                parts.push((at..end, true));
                open = Some(end);
            }
            (false, last) => {
                if letter.is_alphanumeric() {
                    open = None;
                }
                match last {
                    Some((range, false)) => range.end = end,
                    _ => parts.push((at..end, false)),
                }
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_of_a_line() {
        let of = |text: &'static str| -> Vec<(&str, bool)> {
            directions(text).into_iter().map(|(range, to_left)| (&text[range], to_left)).collect()
        };
        assert_eq!(of("Zélie Aubrac"), [("Zélie Aubrac", false)]);
        assert_eq!(of("محمد علي"), [("محمد علي", true)]);
        assert_eq!(of("Dr محمد علي (x)"), [("Dr ", false), ("محمد علي", true), (" (x)", false)]);
        assert_eq!(of("א, a ב"), [("א", true), (", a ", false), ("ב", true)]);
        assert!(of("").is_empty());
    }

    #[test]
    fn what_cannot_be_printed_is_told() {
        let fonts = Fonts::new().unwrap();
        for text in ["Éloïse Nguyễn Œuvrard", "Иван Ќ", "Ωμέγα", "محمد", "Łódź", "ქართული", "Հայ"]
        {
            assert_eq!(fonts.printable(text), text);
        }
        assert_eq!(meant("Dr [U+674E][U+202E] [U+x] a").as_deref(), Some("Dr 李[U+202E] [U+x] a"));
        assert_eq!(meant("Dr Li"), None);
        assert_eq!(fonts.lines("[U+674E][U+5C0F]", false, 5.0), ["[U+674E]", "[U+5C0F]"]);
        assert_eq!(fonts.printable("李 a\u{202e}b\tc"), "[U+674E] a[U+202E]b c");
    }

    #[test]
    fn lines_are_no_wider_than_asked_and_lose_nothing() {
        let fonts = Fonts::new().unwrap();
        let text = "Une phrase assez longue, avec un mot commelesgensennecriventpasaussilong et\n\nla suite.";
        for width in [4.0, 8.0, 30.0, 200.0] {
            let lines = fonts.lines(text, false, width);
            for line in &lines {
                assert!(fonts.width(line, false) <= width * 1.02, "{line}");
            }
            let squeeze = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
            assert_eq!(squeeze(&lines.concat()), squeeze(text));
        }
        assert_eq!(fonts.lines("a\n\nb", true, 10.0), ["a", "", "b"]);
    }
}
