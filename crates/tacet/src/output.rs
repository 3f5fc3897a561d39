//! What the command line prints: data on stdout, for people or as one JSON document; messages on stderr.
//!
//! Much of it was written by others: names in records, reasons of whoever asked, what another hospital says of itself. All that is printed goes through
//! [`shown`] or [`escaped`] here, so that nothing of it moves the cursor, colours or hides a line, or turns the direction in which a name is read.

use crate::error::CliError;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// Version of the JSON documents that commands print. Raised when a field changes its meaning or goes.
const JSON_FORMAT: u32 = 1;

/// Where the output of a command goes.
pub(crate) struct Output {
    json: bool,
    /// The last line of the last result, in its form for people.
    last_line: Mutex<String>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, last_line: Mutex::default() }
    }

    /// Whether a person is looking, so that progress bars make sense.
    pub(crate) fn interactive(&self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }

    /// Prints a command's result: `value` as JSON with `--json`, `text` otherwise.
    pub(crate) fn result(&self, command: &str, mut value: Value, text: &str) {
        let last_line = text.trim_end().lines().next_back().unwrap_or_default();
        *self.last_line.lock().unwrap_or_else(PoisonError::into_inner) = last_line.to_owned();
        let mut stdout = std::io::stdout().lock();
        // A reader that went away (a closed pipe) is not an error of the command.
        let _ = if self.json {
            if let Value::Object(members) = &mut value {
                members.insert("format".into(), json!(JSON_FORMAT));
                members.insert("command".into(), json!(command));
            }
            writeln!(stdout, "{}", escaped(&value.to_string()))
        } else {
            writeln!(stdout, "{}", shown(text.trim_end(), false))
        };
        let _ = stdout.flush();
    }

    /// The last line of what was printed for people last, or would have been: a drill's score.
    pub(crate) fn last_line(&self) -> String {
        self.last_line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Prints lines as they come. False: the reader went away, and no more need come.
    pub(crate) fn lines(&self, text: &str) -> bool {
        // Lines are JSON, or of a table.
        let text = if text.starts_with('{') { escaped(text) } else { shown(text, false) };
        std::io::stdout().lock().write_all(text.as_bytes()).is_ok()
    }

    /// A message for whoever looks on.
    pub(crate) fn note(&self, message: &str) {
        let _ = writeln!(std::io::stderr(), "{}", shown(message, false));
    }

    /// Says why a command failed and what to do.
    pub(crate) fn failure(&self, error: CliError) {
        if self.json {
            let value = json!({ "format": JSON_FORMAT, "error": error.to_string(), "help": error.help_text() });
            let _ = writeln!(std::io::stdout(), "{}", escaped(&value.to_string()));
        }
        // The report is drawn with colours.
        let report = format!("{:?}", miette::Report::new(error));
        let _ = writeln!(std::io::stderr(), "{}", shown(&report, true));
    }
}

/// Whether a terminal does something else with a character than showing it: controls (C0, DEL, C1), line and paragraph separators, what turns the direction of text
/// (Unicode, UAX #9), and invisible tags.
fn is_active(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Text as it may stand on a terminal, whoever wrote it: what would act stands as `\u{fffd}`. Lines stay lines. `drawn`: our own escapes are in it.
fn shown(text: &str, drawn: bool) -> Cow<'_, str> {
    if !text.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let mut letters = text.chars().peekable();
    let mut out = String::with_capacity(text.len());
    while let Some(letter) = letters.next() {
        let stays = match letter {
            '\n' | '\t' => true,
            // Alone it writes over the line.
            '\r' => letters.peek() == Some(&'\n'),
            '\u{1b}' => drawn,
            letter => !is_active(letter),
        };
        out.push(if stays { letter } else { char::REPLACEMENT_CHARACTER });
    }
    Cow::Owned(out)
}

/// The same JSON, with what would act on a terminal as escapes: it stands in strings only.
fn escaped(json: &str) -> Cow<'_, str> {
    let acts = |letter: char| is_active(letter) && letter != '\n';
    if !json.chars().any(acts) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        if acts(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_does_nothing_on_a_terminal() {
        let hostile = "Zoé\u{202e}KCAH\u{2066}\u{1b}[2J\u{9b}31m\rx\u{7f}\u{200f}\u{61c}\u{e0041}\nمريم\tłódź";
        let told = shown(hostile, false);
        assert_eq!(
            told,
            "Zoé\u{fffd}KCAH\u{fffd}\u{fffd}[2J\u{fffd}31m\u{fffd}x\u{fffd}\u{fffd}\u{fffd}\u{fffd}\nمريم\tłódź"
        );
        assert_eq!(shown("a\r\nb", false), "a\r\nb");
        assert_eq!(shown("\u{1b}[31mred\u{202e}", true), "\u{1b}[31mred\u{fffd}");
        // In JSON the value stays what it is.
        let value = json!({ "name": hostile });
        let text = value.to_string() + "\n";
        let told = escaped(&text);
        assert!(!told.trim_end().chars().any(is_active), "{told:?}");
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), value);
    }
}
