//! Values of token parameters (<https://hl7.org/fhir/R4/search.html#token>). Codes and systems compare exactly, case included.

use super::condition::Compiler;
use super::escape::{split, unescape};
use super::fault::{Fault, Outcome};
use crate::document::words;
use crate::filter::{SystemTest, Test};

const FORMS: &str = "code, system|code, |code or system|";

/// The system and the code of `system|code`, `|code`, `code` or `system|`; the code is empty in the last.
pub(super) fn coding(name: &str, raw: &str) -> Outcome<(SystemTest, Box<str>)> {
    match split(raw, '|').as_slice() {
        [code] if !code.is_empty() => Ok((SystemTest::Any, unescape(code).into())),
        ["", code] if !code.is_empty() => Ok((SystemTest::Absent, unescape(code).into())),
        [system, code] if !system.is_empty() => Ok((SystemTest::Is(unescape(system).into()), unescape(code).into())),
        _ => Err(Fault::invalid(name, FORMS)),
    }
}

/// One value without modifier.
pub(super) fn token(name: &str, raw: &str) -> Outcome<Test> {
    Ok(match coding(name, raw)? {
        (SystemTest::Is(system), code) if code.is_empty() => Test::TokenOfSystem(system),
        (system, code) => Test::TokenIs { system, code },
    })
}

/// The words that `:text` asks for.
pub(super) fn text_words(name: &str, raw: &str) -> Outcome<Vec<Box<str>>> {
    let found = words(&unescape(raw));
    if found.is_empty() { Err(Fault::invalid(name, "one word at least")) } else { Ok(found) }
}

impl Compiler<'_> {
    /// One value with a modifier. `:not` and `:not-in` give the test that must not hold.
    pub(super) fn token_with(&mut self, name: &str, modifier: &str, raw: &str) -> Outcome<Test> {
        match modifier {
            "not" => token(name, raw),
            "text" => Ok(Test::TokenText(text_words(name, raw)?)),
            "in" | "not-in" => Ok(Test::TokenAmong(self.terminology.expand(&unescape(raw))?)),
            "above" | "below" => {
                let (SystemTest::Is(system), code) = coding(name, raw)? else {
                    return Err(Fault::invalid(
                        name,
                        "system|code, since only a system says what stands above or below",
                    ));
                };
                if code.is_empty() {
                    return Err(Fault::invalid(name, "system|code"));
                }
                Ok(Test::TokenAmong(if modifier == "below" {
                    self.terminology.below(&system, &code)?
                } else {
                    self.terminology.above(&system, &code)?
                }))
            }
            "of-type" => match split(raw, '|').as_slice() {
                [system, code, value] if [system, code, value].iter().all(|part| !part.is_empty()) => {
                    Ok(Test::OfType {
                        system: SystemTest::Is(unescape(system).into()),
                        code: unescape(code).into(),
                        value: unescape(value).into(),
                    })
                }
                _ => Err(Fault::invalid(name, "system|code|value, all three")),
            },
            _ => Err(Fault::unknown_modifier(name, modifier)),
        }
    }
}
