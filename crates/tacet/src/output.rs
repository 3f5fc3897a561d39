//! What the command line prints: data on stdout, for people or as one JSON document; messages on stderr.

use crate::error::CliError;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// Version of the JSON documents that commands print. Raised when a field changes its meaning or goes.
const JSON_FORMAT: u32 = 1;

/// Where the output of a command goes.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a person is looking, so that progress bars make sense.
    pub(crate) fn interactive(&self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }

    /// Prints a command's result: `value` as JSON with `--json`, `text` otherwise.
    pub(crate) fn result(&self, command: &str, mut value: Value, text: &str) {
        let mut stdout = std::io::stdout().lock();
        // A reader that went away (a closed pipe) is not an error of the command.
        let _ = if self.json {
            if let Value::Object(members) = &mut value {
                members.insert("format".into(), json!(JSON_FORMAT));
                members.insert("command".into(), json!(command));
            }
            writeln!(stdout, "{value}")
        } else {
            writeln!(stdout, "{}", text.trim_end())
        };
        let _ = stdout.flush();
    }

    /// Prints lines as they come. False: the reader went away, and no more need come.
    pub(crate) fn lines(&self, text: &str) -> bool {
        std::io::stdout().lock().write_all(text.as_bytes()).is_ok()
    }

    /// A message for whoever looks on.
    pub(crate) fn note(&self, message: &str) {
        let _ = writeln!(std::io::stderr(), "{message}");
    }

    /// Says why a command failed and what to do.
    pub(crate) fn failure(&self, error: CliError) {
        if self.json {
            let value = json!({ "format": JSON_FORMAT, "error": error.to_string(), "help": error.help_text() });
            let _ = writeln!(std::io::stdout(), "{value}");
        }
        let _ = writeln!(std::io::stderr(), "{:?}", miette::Report::new(error));
    }
}
