//! The words of a resource's texts, for `_text` and `_content` (R4 search, "Text": how words are made is left to the server).
//!
//! A word is a run of letters and digits of the folded text. Words of the resource and of the query are made by the same function.

use std::borrow::Cow;
use std::collections::BTreeSet;
use tacet_fhir::json::Json;
use tacet_fhir::search::fold;

/// Most distinct words of one narrative that are kept.
pub const NARRATIVE_WORDS_MAX: usize = 4096;

/// Most distinct words of all texts of one resource that are kept.
pub const CONTENT_WORDS_MAX: usize = 8192;

/// Longest word, in bytes; what is longer is cut there, in resource and query alike.
pub const WORD_BYTES_MAX: usize = 64;

/// Text above this size is not read for words, in bytes: one long text is data and not language.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// How deep the texts of a resource are looked for. The parser allows less.
const DEPTH_MAX: usize = 256;

/// The words of a text, folded and in order, each as often as it stands there.
pub fn words(text: &str) -> Vec<Box<str>> {
    let mut found = Vec::new();
    each_word(text, &mut |word| found.push(word.into()));
    found
}

fn each_word(text: &str, visit: &mut dyn FnMut(&str)) {
    let folded = fold(text);
    for word in folded.split(|c: char| !c.is_alphanumeric()) {
        if !word.is_empty() {
            visit(word.get(..word.floor_char_boundary(WORD_BYTES_MAX)).unwrap_or(word));
        }
    }
}

/// A set of words that stops growing at its bound.
struct Bag {
    words: BTreeSet<Box<str>>,
    max: usize,
}

impl Bag {
    fn add(&mut self, text: &str) {
        if text.len() > TEXT_BYTES_MAX {
            return;
        }
        each_word(text, &mut |word| {
            if self.words.len() < self.max && !self.words.contains(word) {
                self.words.insert(word.into());
            }
        });
    }

    fn sorted(self) -> Vec<Box<str>> {
        self.words.into_iter().collect()
    }
}

/// The distinct words of `text.div`, sorted.
pub(super) fn narrative_words(resource: &Json<'_>) -> Vec<Box<str>> {
    let mut bag = Bag { words: BTreeSet::new(), max: NARRATIVE_WORDS_MAX };
    if let Some(div) = resource.get("text").and_then(|text| text.get_str("div")) {
        bag.add(&plain(div));
    }
    bag.sorted()
}

/// The distinct words of all texts, sorted: narrative, names, displays, codes, comments, contained resources. Not of ids, addresses
/// (`http:`, `urn:`), `meta`, or base64 data.
pub(super) fn content_words(resource: &Json<'_>) -> Vec<Box<str>> {
    let mut bag = Bag { words: BTreeSet::new(), max: CONTENT_WORDS_MAX };
    collect(resource, "", 0, &mut bag);
    bag.sorted()
}

fn collect(value: &Json<'_>, name: &str, depth: usize, bag: &mut Bag) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Json::Object(members) => {
            members.iter().for_each(|(name, value)| collect(value, name, depth + 1, bag));
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, name, depth + 1, bag)),
        Json::String(text) => match name {
            "id" | "resourceType" | "reference" | "data" | "versionId" | "lastUpdated" | "profile" => {}
            "div" => bag.add(&plain(text)),
            _ if ["http:", "https:", "urn:"].iter().any(|scheme| text.starts_with(scheme)) => {}
            _ => bag.add(text),
        },
        Json::Number(text) => bag.add(text),
        Json::Bool(_) | Json::Null => {}
    }
}

/// The text of XHTML: tags become blanks, references become their characters.
fn plain(xhtml: &str) -> Cow<'_, str> {
    if !xhtml.contains(['<', '&']) {
        return Cow::Borrowed(xhtml);
    }
    let mut text = String::with_capacity(xhtml.len());
    let mut rest = xhtml;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        rest = if let Some(tag) = from.strip_prefix("<!--") {
            text.push(' ');
            tag.split_once("-->").map_or("", |(_, rest)| rest)
        } else if from.starts_with('<') {
            // Inline marks stand inside words (`<b>A</b>bdomen`), all others between them.
            let (tag, rest) = from.split_once('>').unwrap_or((from, ""));
            let name = tag.trim_start_matches(['<', '/']).split(|c: char| !c.is_ascii_alphanumeric()).next();
            if !matches!(
                name,
                Some("b" | "i" | "em" | "strong" | "sub" | "sup" | "span" | "u" | "small" | "big" | "tt")
            ) {
                text.push(' ');
            }
            rest
        } else {
            match from.get(1..).and_then(|name| name.split_once(';')).filter(|(name, _)| name.len() <= 10) {
                Some((name, rest)) => {
                    text.push(character(name));
                    rest
                }
                None => {
                    text.push(' ');
                    from.get(1..).unwrap_or_default()
                }
            }
        };
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character of `&name;`. XHTML in FHIR may use the names of HTML 4; those of letters with accents are made up of the letter
/// and the name of the accent, and folding takes the accent away, so the letter is enough.
fn character(name: &str) -> char {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return code.ok().and_then(char::from_u32).unwrap_or(' ');
    }
    let accents = ["acute", "grave", "circ", "uml", "tilde", "cedil", "ring", "slash", "caron"];
    let mut letters = name.chars();
    match (letters.next(), letters.as_str()) {
        (Some(letter), accent) if accents.contains(&accent) && letter.is_ascii_alphabetic() => letter,
        _ if name == "szlig" => 'ß',
        _ if name.eq_ignore_ascii_case("aelig") => 'æ',
        _ if name.eq_ignore_ascii_case("oelig") => 'œ',
        _ => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_fhir::json::{Limits, parse_str};

    fn strings(words: &[Box<str>]) -> Vec<&str> {
        words.iter().map(|word| &**word).collect()
    }

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        assert_eq!(strings(&words("Saint-Étienne, l'œuvre 5,4mg")), ["saint", "etienne", "l", "oeuvre", "5", "4mg"]);
        assert_eq!(strings(&words(" .,! ")), Vec::<&str>::new());
        assert_eq!(words(&"é".repeat(100)).first().map(|word| word.len()), Some(WORD_BYTES_MAX));
    }

    #[test]
    fn narrative_is_read_without_tags_and_with_its_characters() {
        let text = r#"{"resourceType":"Basic","text":{"div":"<div xmlns=\"http://x\"><p>D&eacute;j&#224;</p><p>vu <b>A</b>bdomen</p><!-- hid --> &amp; <br/>x</div>"}}"#;
        let json = parse_str(text, &Limits::default()).unwrap();
        assert_eq!(strings(&narrative_words(&json)), ["abdomen", "deja", "vu", "x"]);
    }

    #[test]
    fn content_is_all_texts_but_addresses_ids_and_data() {
        let text = r#"{"resourceType":"Basic","id":"secretid","text":{"div":"<div>Bone</div>"},"code":{"coding":[{"system":"http://s.example","code":"ab-1","display":"Tibia"}]},
            "contained":[{"resourceType":"Patient","name":[{"family":"Müller"}]}],"x":{"data":"QUJD"},"n":1.5,"b":true}"#;
        let json = parse_str(text, &Limits::default()).unwrap();
        assert_eq!(strings(&content_words(&json)), ["1", "5", "ab", "bone", "muller", "tibia"]);
    }

    #[test]
    fn words_are_bounded() {
        let many: String = (0..NARRATIVE_WORDS_MAX + 10).map(|n| format!("w{n} ")).collect();
        let json = Json::object([("text", Json::object([("div", Json::from(many.as_str()))]))]);
        assert_eq!(narrative_words(&json).len(), NARRATIVE_WORDS_MAX);
        assert_eq!(content_words(&json).len(), NARRATIVE_WORDS_MAX + 10);
    }
}
