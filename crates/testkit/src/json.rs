//! Writes JSON text by hand: the generator knows its shapes, so a tree in between would only cost time.

use crate::calendar::{push_date, push_instant};

/// The id of a generated resource: 128 bits in the shape of a version 4 UUID (RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Uuid(u128);

impl Uuid {
    /// Makes a version 4 UUID of two random words.
    pub(crate) fn from_words(high: u64, low: u64) -> Self {
        let value = (u128::from(high) << 64) | u128::from(low);
        let value = value & !(0xf << 76) | (0x4 << 76); // version 4
        Self(value & !(0x3 << 62) | (0x2 << 62)) // variant of RFC 9562
    }

    pub(crate) fn push(self, out: &mut String) {
        for nibble in 0..32u32 {
            if matches!(nibble, 8 | 12 | 16 | 20) {
                out.push('-');
            }
            let digit = (self.0 >> (124 - 4 * nibble)) as u8 & 0xf;
            out.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
    }

    pub(crate) fn text(self) -> String {
        let mut out = String::with_capacity(36);
        self.push(&mut out);
        out
    }
}

/// How references between the resources of one patient are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum References {
    /// `Patient/<id>`
    Relative,
    /// `urn:uuid:<id>`, for bundles
    Urn,
}

/// JSON text in the making. A comma is set wherever something stands before: the text tells, so nothing is remembered.
pub(crate) struct JsonWriter {
    out: String,
    references: References,
}

impl JsonWriter {
    pub(crate) fn new(references: References) -> Self {
        Self { out: String::with_capacity(1024), references }
    }

    /// The text of one resource: `resourceType`, `id`, and what `body` writes.
    pub(crate) fn resource(references: References, name: &str, id: Uuid, body: impl FnOnce(&mut Self)) -> String {
        let mut writer = Self::new(references);
        writer.out.push_str("{\"resourceType\":\"");
        writer.out.push_str(name);
        writer.out.push_str("\",\"id\":\"");
        id.push(&mut writer.out);
        writer.out.push('"');
        body(&mut writer);
        writer.out.push('}');
        writer.out
    }

    pub(crate) fn into_text(self) -> String {
        self.out
    }

    fn comma(&mut self) {
        if !matches!(self.out.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(',');
        }
    }

    /// A member's name, which is always our own and needs no escape.
    fn name(&mut self, name: &str) {
        self.comma();
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        push_escaped(&mut self.out, text);
        self.out.push('"');
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quoted(text);
    }

    /// A member whose value is already JSON: a number or a constant fragment of our own.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.push_str(json);
    }

    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    pub(crate) fn integer(&mut self, name: &str, value: i64) {
        self.name(name);
        push_integer(&mut self.out, value);
    }

    /// A decimal given as a whole number of `10^-digits`, written with all its digits.
    pub(crate) fn decimal(&mut self, name: &str, scaled: i64, digits: u32) {
        self.name(name);
        push_decimal(&mut self.out, scaled, digits);
    }

    pub(crate) fn date(&mut self, name: &str, days: i64) {
        self.name(name);
        self.out.push('"');
        push_date(&mut self.out, days);
        self.out.push('"');
    }

    pub(crate) fn instant(&mut self, name: &str, ms: i64) {
        self.name(name);
        self.out.push('"');
        push_instant(&mut self.out, ms);
        self.out.push('"');
    }

    pub(crate) fn object(&mut self, name: &str, body: impl FnOnce(&mut Self)) {
        self.name(name);
        self.braced(body);
    }

    fn braced(&mut self, body: impl FnOnce(&mut Self)) {
        self.out.push('{');
        body(self);
        self.out.push('}');
    }

    pub(crate) fn array(&mut self, name: &str, body: impl FnOnce(&mut Self)) {
        self.name(name);
        self.out.push('[');
        body(self);
        self.out.push(']');
    }

    /// An object as an element of the array being written, or as the whole text.
    pub(crate) fn element(&mut self, body: impl FnOnce(&mut Self)) {
        self.comma();
        self.braced(body);
    }

    /// A text as an element of the array being written.
    pub(crate) fn item(&mut self, text: &str) {
        self.comma();
        self.quoted(text);
    }

    /// JSON of our own as an element of the array being written.
    pub(crate) fn raw_item(&mut self, json: &str) {
        self.comma();
        self.out.push_str(json);
    }

    /// An array of one object.
    pub(crate) fn single(&mut self, name: &str, body: impl FnOnce(&mut Self)) {
        self.array(name, |w| w.element(body));
    }

    // --- shapes of FHIR

    pub(crate) fn period(&mut self, name: &str, start_ms: i64, end_ms: i64) {
        self.object(name, |w| {
            w.instant("start", start_ms);
            w.instant("end", end_ms);
        });
    }

    /// The members of a Coding.
    pub(crate) fn coding_members(&mut self, system: &str, code: &str, display: &str) {
        self.text("system", system);
        self.text("code", code);
        if !display.is_empty() {
            self.text("display", display);
        }
    }

    pub(crate) fn coding(&mut self, name: &str, system: &str, code: &str, display: &str) {
        self.object(name, |w| w.coding_members(system, code, display));
    }

    /// The members of a CodeableConcept with one coding; with `text` where it is not empty.
    pub(crate) fn concept_members(&mut self, system: &str, code: &str, display: &str, text: &str) {
        self.single("coding", |w| w.coding_members(system, code, display));
        if !text.is_empty() {
            self.text("text", text);
        }
    }

    /// A CodeableConcept with one coding.
    pub(crate) fn concept(&mut self, name: &str, system: &str, code: &str, display: &str) {
        self.object(name, |w| w.concept_members(system, code, display, ""));
    }

    /// An array with one CodeableConcept of one coding.
    pub(crate) fn concepts(&mut self, name: &str, system: &str, code: &str, display: &str) {
        self.single(name, |w| w.concept_members(system, code, display, ""));
    }

    /// A Quantity in UCUM units; `scaled` is a whole number of `10^-digits`.
    pub(crate) fn quantity(&mut self, name: &str, scaled: i64, digits: u32, unit: &str, code: &str) {
        self.object(name, |w| {
            w.decimal("value", scaled, digits);
            w.text("unit", unit);
            w.text("system", "http://unitsofmeasure.org");
            w.text("code", code);
        });
    }

    /// The members of a reference to a resource of the same patient.
    pub(crate) fn own_members(&mut self, resource_type: &str, id: Uuid) {
        self.name("reference");
        self.out.push('"');
        match self.references {
            References::Relative => {
                self.out.push_str(resource_type);
                self.out.push('/');
            }
            References::Urn => self.out.push_str("urn:uuid:"),
        }
        id.push(&mut self.out);
        self.out.push('"');
    }

    /// A reference to a resource of the same patient.
    pub(crate) fn own(&mut self, name: &str, resource_type: &str, id: Uuid) {
        self.object(name, |w| w.own_members(resource_type, id));
    }

    /// The members of a reference to staff, ward or organisation, which every bundle takes as already there.
    pub(crate) fn standing_members(&mut self, resource_type: &str, id: Uuid, display: &str) {
        self.name("reference");
        self.out.push('"');
        self.out.push_str(resource_type);
        self.out.push('/');
        id.push(&mut self.out);
        self.out.push('"');
        if !display.is_empty() {
            self.text("display", display);
        }
    }

    /// A reference to staff, ward or organisation.
    pub(crate) fn standing(&mut self, name: &str, resource_type: &str, id: Uuid, display: &str) {
        self.object(name, |w| w.standing_members(resource_type, id, display));
    }

    /// A generated narrative: paragraphs of plain text, escaped here.
    pub(crate) fn narrative(&mut self, paragraphs: &[&str]) {
        let mut div = String::with_capacity(256);
        div.push_str("<div xmlns=\"http://www.w3.org/1999/xhtml\">");
        for paragraph in paragraphs {
            div.push_str("<p>");
            for character in paragraph.chars() {
                match character {
                    '&' => div.push_str("&amp;"),
                    '<' => div.push_str("&lt;"),
                    '>' => div.push_str("&gt;"),
                    other => div.push(other),
                }
            }
            div.push_str("</p>");
        }
        div.push_str("</div>");
        self.object("text", |w| {
            w.text("status", "generated");
            w.text("div", &div);
        });
    }
}

/// Appends `text` with what JSON must escape escaped (RFC 8259, section 7): quote, backslash and control characters.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(plain) {
        out.push_str(text);
        return;
    }
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            control if u32::from(control) < 0x20 => {
                out.push_str("\\u00");
                let value = u32::from(control);
                out.push(char::from_digit(value >> 4, 16).unwrap_or('0'));
                out.push(char::from_digit(value & 0xf, 16).unwrap_or('0'));
            }
            other => out.push(other),
        }
    }
}

fn push_integer(out: &mut String, value: i64) {
    if value < 0 {
        out.push('-');
    }
    let value = value.unsigned_abs();
    let mut power = 1u64;
    while value / power >= 10 {
        power *= 10;
    }
    while power > 0 {
        out.push(char::from(b'0' + (value / power % 10) as u8));
        power /= 10;
    }
}

fn push_decimal(out: &mut String, scaled: i64, digits: u32) {
    let unit = 10i64.pow(digits.min(9));
    if scaled < 0 {
        out.push('-');
    }
    let scaled = scaled.saturating_abs();
    push_integer(out, scaled / unit);
    if digits > 0 {
        out.push('.');
        let mut place = unit / 10;
        while place > 0 {
            out.push(char::from(b'0' + (scaled / place % 10) as u8));
            place /= 10;
        }
    }
}

/// A decimal as text, as [`JsonWriter::decimal`] writes it but with a French comma.
pub(crate) fn french_decimal(scaled: i64, digits: u32) -> String {
    let mut out = String::new();
    push_decimal(&mut out, scaled, digits);
    out.replace('.', ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let awkward = "N'Diaye \"Éloïse\" \\ \n\t\r \u{1} \u{1f} 𝄞";
        let id = Uuid::from_words(1, 2);
        let text = JsonWriter::resource(References::Relative, "Basic", id, |w| {
            w.text("a", awkward);
            w.array("list", |w| {
                w.item("x");
                w.element(|w| w.boolean("yes", true));
                w.element(|_| {});
            });
            w.object("empty", |_| {});
            w.integer("i", -120);
            w.integer("zero", 0);
            w.decimal("d", 1050, 2);
            w.decimal("small", -5, 1);
            w.own("subject", "Patient", id);
            w.narrative(&["1 < 2 & 3", "« fin »"]);
        });
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["a"], awkward);
        assert_eq!(value["list"].as_array().unwrap().len(), 3);
        assert_eq!(value["i"], -120);
        assert_eq!(value["zero"], 0);
        assert!(text.contains("\"d\":10.50,\"small\":-0.5,"));
        assert_eq!(value["subject"]["reference"], "Patient/00000000-0000-4001-8000-000000000002");
        assert_eq!(
            value["text"]["div"],
            "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>1 &lt; 2 &amp; 3</p><p>« fin »</p></div>"
        );
    }
}
