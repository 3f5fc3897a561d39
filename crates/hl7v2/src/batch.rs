//! Several messages in one text: a batch (FHS, BHS, messages, BTS, FTS), or one message after the other.

use crate::message::{MESSAGE_BYTES_MAX, ParseError};

/// Most messages at once.
pub const MESSAGES_MAX: usize = 500;

/// The messages of a text, each with its own MSH. Batch headers and trailers are not looked into.
///
/// # Errors
/// [`ParseError::Header`] where there is none; too many.
pub fn messages(text: &str) -> Result<Vec<&str>, ParseError> {
    let mut starts = Vec::new();
    let mut ends = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive(['\r', '\n']) {
        let name = line.get(..3).unwrap_or_default();
        if matches!(name, "MSH" | "FHS" | "BHS" | "BTS" | "FTS") {
            if starts.len() > ends.len() {
                ends.push(at);
            }
            if name == "MSH" {
                starts.push(at);
            }
        }
        at += line.len();
    }
    if starts.len() > ends.len() {
        ends.push(text.len());
    }
    if starts.is_empty() {
        return Err(ParseError::Header);
    }
    if starts.len() > MESSAGES_MAX {
        return Err(ParseError::TooLarge { what: "messages", max: MESSAGES_MAX });
    }
    let cut = starts.into_iter().zip(ends).filter_map(|(start, end)| text.get(start..end));
    let messages: Vec<&str> = cut.collect();
    if messages.iter().any(|message| message.len() > MESSAGE_BYTES_MAX) {
        return Err(ParseError::TooLarge { what: "bytes", max: MESSAGE_BYTES_MAX });
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_its_messages() {
        let text = "FHS|^~\\&|\rBHS|^~\\&|\rMSH|^~\\&|1\rPID|\rMSH|^~\\&|2\rPID|\rBTS|2\rFTS|1\r";
        assert_eq!(messages(text).unwrap(), ["MSH|^~\\&|1\rPID|\r", "MSH|^~\\&|2\rPID|\r"]);
        assert_eq!(messages("MSH|^~\\&|1\nPV1|").unwrap().len(), 1);
        assert_eq!(messages("PID|1"), Err(ParseError::Header));
        let many = "MSH|\r".repeat(MESSAGES_MAX + 1);
        assert!(matches!(messages(&many), Err(ParseError::TooLarge { what: "messages", .. })));
    }
}
