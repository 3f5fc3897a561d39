//! Functions of texts (FHIRPath N1, "String Manipulation" and "Additional String Functions"). Places in a text count
//! its characters, not bytes.

use super::{Evaluation, Result, Scope, boolean, single};
use crate::error::EvaluationError;
use crate::function::Function;
use crate::item::{Collection, Item};
use crate::syntax::Call;
use crate::text;
use regex::Regex;
use std::borrow::Cow;

impl<'v> Evaluation<'_, 'v> {
    pub(super) fn strings(&self, call: &'v Call, focus: &[Item<'v>], scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        use Function as F;
        let at = call.function.name();
        let Some(subject) = self.subject(focus, at)? else { return Ok(Vec::new()) };
        let subject = subject.as_ref();
        // Whatever is done, it reads the text.
        self.step(subject.len() / super::TEXT_BYTES_PER_STEP)?;
        let one = |item: Item<'v>| Ok(vec![item]);
        match call.function {
            F::Upper => return one(self.text(subject.to_uppercase())?),
            F::Lower => return one(self.text(subject.to_lowercase())?),
            F::Trim => return one(self.text(subject.trim().to_owned())?),
            F::Length => return one(Item::Integer(count(subject))),
            F::ToChars => {
                self.step(subject.len())?;
                return Ok(subject.chars().map(|letter| Item::text(letter.to_string())).collect());
            }
            F::Substring => return self.substring(call, subject, scope),
            F::Matches | F::MatchesFull | F::ReplaceMatches if call.pattern.is_some() => {
                let Some(pattern) = &call.pattern else { return Ok(Vec::new()) };
                return self.matched(call, subject, pattern, scope);
            }
            _ => {}
        }
        let Some(argument) = self.text_argument(call, 0, scope, at)? else { return Ok(Vec::new()) };
        let argument = argument.as_ref();
        match call.function {
            F::IndexOf | F::LastIndexOf => {
                let found = if call.function == F::IndexOf { subject.find(argument) } else { subject.rfind(argument) };
                one(Item::Integer(found.map_or(-1, |byte| count(subject.get(..byte).unwrap_or_default()))))
            }
            F::StartsWith => Ok(boolean(subject.starts_with(argument))),
            F::EndsWith => Ok(boolean(subject.ends_with(argument))),
            F::Contains => Ok(boolean(subject.contains(argument))),
            F::Replace => {
                let Some(with) = self.text_argument(call, 1, scope, at)? else { return Ok(Vec::new()) };
                let times = subject.matches(argument).count();
                self.check_text(subject.len().saturating_add(times.saturating_mul(with.len())))?;
                if argument.is_empty() {
                    // Around every character, as the official suite has it: `xaxbx`.
                    let mut out = with.to_string();
                    for letter in subject.chars() {
                        out.push(letter);
                        out.push_str(&with);
                    }
                    return one(self.text(out)?);
                }
                one(self.text(subject.replace(argument, &with))?)
            }
            F::Matches | F::MatchesFull | F::ReplaceMatches => {
                // A pattern that is not spelled out is compiled each time: as dear as a thousand steps.
                self.step(1000)?;
                let pattern = crate::pattern::compile(argument, call.function == F::MatchesFull);
                let pattern = pattern.ok_or(EvaluationError::Pattern { at })?;
                self.matched(call, subject, &pattern, scope)
            }
            F::Split => {
                self.step(subject.len())?;
                if argument.is_empty() {
                    return Ok(subject.chars().map(|letter| Item::text(letter.to_string())).collect());
                }
                Ok(subject.split(argument).map(|part| Item::text(part.to_owned())).collect())
            }
            F::Encode => {
                self.check_text(subject.len().saturating_mul(2))?;
                let encoded = crate::encoding::encode(subject.as_bytes(), argument);
                one(self.text(encoded.ok_or(ENCODING)?)?)
            }
            F::Decode => {
                if !crate::encoding::is_known(argument) {
                    return Err(ENCODING);
                }
                let decoded =
                    crate::encoding::decode(subject, argument).and_then(|bytes| String::from_utf8(bytes).ok());
                decoded.map(|text| self.text(text)).transpose().map(|item| item.into_iter().collect())
            }
            _ => {
                let escapes = call.function == F::Escape;
                self.check_text(subject.len())?;
                let done = match (argument, escapes) {
                    ("html", true) => tacet_types::escaped_html(subject).into_owned(),
                    ("html", false) => text::unescape_html(subject),
                    ("json", true) => text::escape_json(subject),
                    ("json", false) => text::unescape_json(subject),
                    _ => return Err(EvaluationError::Argument { at, expected: "`html` or `json`" }),
                };
                one(self.text(done)?)
            }
        }
    }

    /// The text that a function is called on.
    fn subject(&self, focus: &[Item<'v>], at: &'static str) -> Result<Option<Cow<'v, str>>> {
        match single(focus, at)? {
            None => Ok(None),
            Some(item) => match item {
                Item::String(text) => Ok(Some(text.clone())),
                Item::Node(node) if node.json.is_null() => Ok(None),
                Item::Node(node) => match (node.value(), node.json.as_str()) {
                    (Some(Item::String(text)), _) => Ok(Some(text)),
                    // A date and the like may be used as text (R4 keeps them so).
                    (Some(_), Some(text)) => Ok(Some(Cow::Borrowed(text))),
                    _ => Err(EvaluationError::Type { at }),
                },
                _ => Err(EvaluationError::Type { at }),
            },
        }
    }

    fn substring(&self, call: &'v Call, subject: &str, scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        const AT: &str = "substring";
        let Some(start) = self.integer_argument(call, 0, scope, AT)? else { return Ok(Vec::new()) };
        let length = self.integer_argument(call, 1, scope, AT)?;
        let Ok(start) = usize::try_from(start) else { return Ok(Vec::new()) };
        let Some((from, _)) = subject.char_indices().nth(start) else { return Ok(Vec::new()) };
        let rest = subject.get(from..).unwrap_or_default();
        let part = match length {
            None => rest,
            Some(length) => {
                let length = usize::try_from(length.max(0)).unwrap_or(usize::MAX);
                let end = rest.char_indices().nth(length).map_or(rest.len(), |(end, _)| end);
                rest.get(..end).unwrap_or_default()
            }
        };
        Ok(vec![self.text(part.to_owned())?])
    }

    fn matched(&self, call: &'v Call, subject: &str, pattern: &Regex, scope: &Scope<'_, 'v>) -> Result<Collection<'v>> {
        // Linear in the text, with a factor that the bounded size of the pattern allows.
        self.step(subject.len())?;
        if call.function != Function::ReplaceMatches {
            return Ok(boolean(pattern.is_match(subject)));
        }
        let Some(with) = self.text_argument(call, 1, scope, "replaceMatches")? else { return Ok(Vec::new()) };
        // An empty pattern changes nothing, as the official suite has it.
        if pattern.as_str().is_empty() {
            return Ok(vec![self.text(subject.to_owned())?]);
        }
        // A replacement with `$` may give back as much as all of the text each time.
        let times = pattern.find_iter(subject).count();
        let groups = with.matches('$').count();
        let each = with.len().saturating_add(groups.saturating_mul(subject.len()));
        self.check_text(subject.len().saturating_add(times.saturating_mul(each)))?;
        Ok(vec![self.text(pattern.replace_all(subject, with.as_ref()).into_owned())?])
    }
}

const ENCODING: EvaluationError =
    EvaluationError::Argument { at: "encode() or decode()", expected: "`base64`, `urlbase64` or `hex`" };

/// Characters of a text.
fn count(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}
