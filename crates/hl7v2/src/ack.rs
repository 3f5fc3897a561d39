//! The answer to a message: ACK with MSA and, where something is wrong, ERR (chapter 2, 2.9.2 and 2.14).

use crate::escape::escape;
use crate::message::{Delimiters, Message};

/// Table 0008, original mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// Taken.
    Accept,
    /// Not taken: something in it is wrong, or is missing here. Sent again as it is, it fails again until that is mended.
    Error,
    /// Not taken, whatever it says: its kind, its version or its form is not for this receiver, or the receiver cannot work now.
    Reject,
}

impl Code {
    /// As it stands in MSA-1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "AA",
            Self::Error => "AE",
            Self::Reject => "AR",
        }
    }

    /// The code of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Accept, Self::Error, Self::Reject].into_iter().find(|code| code.as_str() == name)
    }
}

/// What became of a message. The text says what to do and holds nothing of the patient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// In a code.
    pub code: Code,
    /// In words; empty where it was taken.
    pub text: String,
    /// Why, by table 0357 (100 to 207); none where it was taken.
    pub error: Option<u16>,
}

impl Answer {
    /// It was taken.
    pub fn accepted() -> Self {
        Self { code: Code::Accept, text: String::new(), error: None }
    }

    /// It was not.
    pub fn refused(code: Code, error: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), error: Some(error) }
    }
}

/// The acknowledgement of a message, in its own delimiters. `now`: `YYYYMMDDHHMMSS+0000`; `id`: the number of this answer.
pub fn acknowledge(message: &Message<'_>, answer: &Answer, now: &str, id: &str) -> String {
    let delimiters = message.delimiters;
    let raw = |number: usize| message.field("MSH", number).raw();
    let trigger = message.field("MSH", 9).component(2).some().unwrap_or_default();
    let kind = match trigger.is_empty() {
        true => "ACK".to_owned(),
        false => ["ACK", &escape(&trigger, &delimiters), "ACK"].join(&delimiters.component.to_string()),
    };
    let version = message.field("MSH", 12).value();
    // Who received it answers whoever sent it.
    let header = [raw(5), raw(6), raw(3), raw(4), now, "", &kind, id, raw(11), raw(12), "", "", "", "", "", raw(18)];
    written(&delimiters, &header, (answer, raw(10), &version))
}

/// The acknowledgement of what could not be read as a message: it names none.
pub fn acknowledge_unreadable(answer: &Answer, now: &str, id: &str) -> String {
    let header = ["", "", "", "", now, "", "ACK", id, "P", "2.5.1", "", "", "", "", "", "UNICODE UTF-8"];
    written(&Delimiters::DEFAULT, &header, (answer, "", "2.5.1"))
}

/// MSH, MSA and ERR; the header's fields from MSH-3 on.
fn written(delimiters: &Delimiters, header: &[&str], (answer, of, version): (&Answer, &str, &str)) -> String {
    let field = delimiters.field.to_string();
    let text = escape(&answer.text, delimiters);
    let header = header.join(&field);
    let header = header.trim_end_matches(delimiters.field);
    let mut out = format!("MSH{field}{}{field}{header}\r", delimiters.encoding());
    let msa = ["MSA", answer.code.as_str(), of, &text].join(&field);
    out.push_str(msa.trim_end_matches(delimiters.field));
    out.push('\r');
    // ERR has this form since 2.5; before, MSA-3 says it.
    let minor = version.strip_prefix("2.").and_then(|rest| rest.split('.').next()?.parse::<u8>().ok());
    if let Some(error) = answer.error.filter(|_| minor.is_none_or(|minor| minor >= 5)) {
        let code = [error.to_string().as_str(), words(error), "HL70357"].join(&delimiters.component.to_string());
        let err = ["ERR", "", "", &code, "E", "", "", "", &text].join(&field);
        out.push_str(&err);
        out.push('\r');
    }
    out
}

/// Table 0357.
fn words(error: u16) -> &'static str {
    match error {
        100 => "Segment sequence error",
        101 => "Required field missing",
        102 => "Data type error",
        103 => "Table value not found",
        200 => "Unsupported message type",
        201 => "Unsupported event code",
        202 => "Unsupported processing id",
        203 => "Unsupported version id",
        204 => "Unknown key identifier",
        205 => "Duplicate key identifier",
        206 => "Application record locked",
        _ => "Application internal error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(version: &str) -> String {
        format!(
            "MSH|^~\\&|GAM|CHU-X|DPI|CHU-Y|2024||ADT^A01^ADT_A01|39\\T\\75|P|{version}|||||FRA|UNICODE UTF-8\rPID|1"
        )
    }

    #[test]
    fn sender_and_receiver_change_places() {
        let text = text("2.5^FRA");
        let message = Message::parse(&text).unwrap();
        let ack = acknowledge(&message, &Answer::accepted(), "20240306101112+0000", "T1");
        assert_eq!(
            ack,
            "MSH|^~\\&|DPI|CHU-Y|GAM|CHU-X|20240306101112+0000||ACK^A01^ACK|T1|P|2.5^FRA||||||UNICODE UTF-8\rMSA|AA|39\\T\\75\r"
        );
        let read = Message::parse(&ack).unwrap();
        assert_eq!(read.field("MSA", 2).raw(), message.field("MSH", 10).raw());
    }

    #[test]
    fn what_is_wrong_is_said_as_the_version_has_it() {
        let answer = Answer::refused(Code::Reject, 201, "send A01|A02");
        for (version, errors) in [("2.3", 0), ("2.4", 0), ("2.5", 1), ("2.5.1", 1), ("2.8", 1)] {
            let text = text(version);
            let ack = acknowledge(&Message::parse(&text).unwrap(), &answer, "2024", "T1");
            assert!(ack.contains("MSA|AR|39\\T\\75|send A01\\F\\A02\r"), "{ack}");
            assert_eq!(
                ack.matches("\rERR|||201^Unsupported event code^HL70357|E||||send").count(),
                errors,
                "{version}"
            );
        }
        let ack = acknowledge_unreadable(&answer, "2024", "T1");
        assert!(ack.contains("\rMSA|AR||send") && Message::parse(&ack).is_ok());
    }
}
