//! Narratives: enough of XHTML to know that a text is one balanced `div` of formatting elements.
//!
//! The lists of elements and attributes are those of the invariant `txt-1` of R4, so a script, a form, a frame or an
//! `onclick` is refused because it is not on a list. An address that would run as a script is refused too. This is
//! not an XML parser: entities are not resolved and attribute values are not interpreted.

/// Elements that a narrative may use (`txt-1`), and `area` and `map`, which belong to its images. Sorted.
const ELEMENTS: [&str; 48] = [
    "a",
    "abbr",
    "acronym",
    "area",
    "b",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "li",
    "map",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
];
/// The rest of the elements, kept apart only because arrays are short.
const MORE_ELEMENTS: [&str; 2] = ["ul", "var"];
/// Attributes that a narrative may use (`txt-1`), and XML's own for names and languages. Sorted.
const ATTRIBUTES: [&str; 54] = [
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellhalign",
    "cellpadding",
    "cellspacing",
    "cellvalign",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "colspan",
    "compact",
    "coords",
    "dir",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "lang",
    "longdesc",
    "name",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "usemap",
    "valign",
    "value",
    "vspace",
    "width",
    "xml:id",
    "xml:lang",
    "xml:space",
    "xmlns",
];
/// Deepest nesting of elements.
const DEPTH_MAX: usize = 100;

const NOT_A_DIV: &str = "a narrative is one <div> element of XHTML";
const UNBALANCED: &str = "the narrative is not well-formed: an element is not closed where it should be";
const MALFORMED: &str = "the narrative is not well-formed XHTML";
const FORBIDDEN_ELEMENT: &str = "the narrative uses an element other than those for formatting (txt-1)";
const FORBIDDEN_ATTRIBUTE: &str = "the narrative uses an attribute that is not allowed (txt-1)";
const ACTIVE: &str = "the narrative has an address that would run as a script";
const EMPTY: &str = "the narrative has no content (txt-2)";

/// Checks a narrative; `Err` says what is wrong.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let starts = text.strip_prefix("<div").is_some_and(|rest| rest.starts_with([' ', '>', '/', '\t', '\r', '\n']));
    if !starts {
        return Err(NOT_A_DIV);
    }
    if text.bytes().any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) {
        return Err(MALFORMED);
    }
    let mut open: Vec<&str> = Vec::with_capacity(8);
    let mut has_content = false;
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('<') {
        has_content |= !is_blank(before);
        if let Some(comment) = from.strip_prefix("!--") {
            let (_, after) = comment.split_once("-->").ok_or(MALFORMED)?;
            rest = after;
        } else if let Some(end) = from.strip_prefix('/') {
            let (name, after) = end.split_once('>').ok_or(MALFORMED)?;
            if open.pop() != Some(name.trim_end_matches([' ', '\t', '\r', '\n'])) {
                return Err(UNBALANCED);
            }
            rest = after;
        } else {
            let tag = Tag::read(from)?;
            has_content |= tag.name == "img";
            if !tag.is_closed {
                open.push(tag.name);
                if open.len() > DEPTH_MAX {
                    return Err("the narrative is nested deeper than allowed");
                }
            }
            rest = tag.after;
        }
        if open.is_empty() && !rest.is_empty() {
            return Err(NOT_A_DIV);
        }
    }
    if !open.is_empty() {
        return Err(UNBALANCED);
    }
    if has_content { Ok(()) } else { Err(EMPTY) }
}

/// A start tag, after its `<`.
struct Tag<'t> {
    name: &'t str,
    is_closed: bool,
    after: &'t str,
}

impl<'t> Tag<'t> {
    fn read(text: &'t str) -> Result<Self, &'static str> {
        let name_end = text.find(|letter: char| !letter.is_ascii_alphanumeric()).ok_or(MALFORMED)?;
        let (name, mut rest) = text.split_at(name_end);
        if ELEMENTS.binary_search(&name).is_err() && !MORE_ELEMENTS.contains(&name) {
            return Err(if name.is_empty() { MALFORMED } else { FORBIDDEN_ELEMENT });
        }
        loop {
            let attribute = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            if let Some(after) = attribute.strip_prefix("/>") {
                return Ok(Tag { name, is_closed: true, after });
            }
            if let Some(after) = attribute.strip_prefix('>') {
                return Ok(Tag { name, is_closed: false, after });
            }
            if attribute.len() == rest.len() {
                return Err(MALFORMED);
            }
            rest = Self::attribute(attribute)?;
        }
    }

    /// One `name="value"`; returns what follows it.
    fn attribute(text: &'t str) -> Result<&'t str, &'static str> {
        let blanks = [' ', '\t', '\r', '\n'];
        let (name, value) = text.split_once('=').ok_or(MALFORMED)?;
        let name = name.trim_end_matches(blanks);
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_'));
        if !is_name {
            return Err(MALFORMED);
        }
        if ATTRIBUTES.binary_search(&name).is_err() {
            return Err(FORBIDDEN_ATTRIBUTE);
        }
        let value = value.trim_start_matches(blanks);
        let quote = if value.starts_with('"') { '"' } else { '\'' };
        let (value, after) = value.strip_prefix(quote).and_then(|value| value.split_once(quote)).ok_or(MALFORMED)?;
        if value.contains('<') {
            return Err(MALFORMED);
        }
        if matches!(name, "href" | "src" | "cite" | "longdesc") && runs_as_script(value) {
            return Err(ACTIVE);
        }
        Ok(after)
    }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Whether an address has a scheme that a browser runs. Blanks and control characters are skipped, as browsers do. An
/// entity other than `&amp;` before the first `:`, `/` or `?` is taken for a scheme that hides.
fn runs_as_script(address: &str) -> bool {
    if address.starts_with('#') {
        return false;
    }
    let head = address.split([':', '/', '?']).next().unwrap_or_default();
    if head.split("&amp;").any(|part| part.contains('&')) {
        return true;
    }
    let has_scheme = address.get(head.len()..).is_some_and(|rest| rest.starts_with(':'));
    let scheme: String = head.chars().filter(|letter| *letter > ' ').collect();
    has_scheme && (scheme.eq_ignore_ascii_case("javascript") || scheme.eq_ignore_ascii_case("vbscript"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn div(inner: &str) -> String {
        format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inner}</div>")
    }

    #[test]
    fn narratives_of_formatting_are_accepted() {
        assert!(ELEMENTS.is_sorted() && ATTRIBUTES.is_sorted());
        for inner in [
            "text",
            "<p>a<br/>b</p><!-- <script> in a comment --> c",
            "<table class='grid'><tr><td colspan = \"2\">&lt;x&gt;</td></tr></table>",
            "<img src=\"#pic\" alt=\"x > y\"/>",
            "<a href=\"https://example.org/a?b=1&amp;c=2\" title=\"é\">é</a >",
            "<ul><li><var>x</var></li></ul>",
            "<p xml:lang=\"fr\">x</p>",
            "<a href=\"/a&amp;b:c\">x</a>",
        ] {
            assert_eq!(check(&div(inner)), Ok(()), "{inner}");
        }
        assert_eq!(check(" \n<div>x</div>\n"), Ok(()));
    }

    #[test]
    fn other_narratives_are_refused() {
        for (text, reason) in [
            ("text".to_owned(), NOT_A_DIV),
            ("<divx>a</divx>".to_owned(), NOT_A_DIV),
            ("<p>a</p>".to_owned(), NOT_A_DIV),
            ("<div>a</div><div>b</div>".to_owned(), NOT_A_DIV),
            ("<div>a</div>tail".to_owned(), NOT_A_DIV),
            ("<div>a".to_owned(), UNBALANCED),
            (div("<p>a"), UNBALANCED),
            (div("a</p>"), UNBALANCED),
            (div("<b><i>a</b></i>"), UNBALANCED),
            (div("<!-- a"), MALFORMED),
            (div("<![CDATA[x]]>"), MALFORMED),
            (div("<?php x ?>"), MALFORMED),
            (div("a < b"), MALFORMED),
            (div("<p class=x>a</p>"), MALFORMED),
            (div("<p class>a</p>"), MALFORMED),
            (div("<p class=\"a\"id=\"b\">a</p>"), MALFORMED),
            (div("\u{1}"), MALFORMED),
            (div("<script>alert(1)</script>"), FORBIDDEN_ELEMENT),
            (div("<SCRIPT>alert(1)</SCRIPT>"), FORBIDDEN_ELEMENT),
            (div("<iframe src=\"x\"/>"), FORBIDDEN_ELEMENT),
            (div("<form>a</form>"), FORBIDDEN_ELEMENT),
            (div("<p onclick=\"x()\">a</p>"), FORBIDDEN_ATTRIBUTE),
            (div("<a href=\"javascript:x()\">a</a>"), ACTIVE),
            (div("<a href=' JaVa\nScript :x()'>a</a>"), ACTIVE),
            (div("<a href=\"java&#115;cript:x()\">a</a>"), ACTIVE),
            (div("<a href=\"javascript&#58;x()\">a</a>"), ACTIVE),
            (div("<a href=\"javascript&colon;x()\">a</a>"), ACTIVE),
            (div(" \n "), EMPTY),
            ("<div/>".to_owned(), EMPTY),
        ] {
            assert_eq!(check(&text), Err(reason), "{text}");
        }
        let deep = format!("{}a{}", "<p>".repeat(DEPTH_MAX), "</p>".repeat(DEPTH_MAX));
        assert!(check(&div(&deep)).is_err());
    }
}
