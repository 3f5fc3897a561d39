//! The frame of a syslog message: RFC 5424 with the octet count of RFC 5425, section 4.3.

use crate::Site;
use crate::shown::Shown;
use tacet_ledger::Outcome;

/// Facility 10: security and authorization (RFC 5424, table 1; DICOM PS3.15 A.6).
const FACILITY: u8 = 10;

/// Severity of what went well: notice.
const NOTICE: u8 = 5;

/// Severity of what did not: warning.
const WARNING: u8 = 4;

/// Longest host name (RFC 5424, section 6).
const HOST_BYTES_MAX: usize = 255;

/// What a message is, for its MSGID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageKind {
    /// An AuditMessage (DICOM PS3.15 A.6).
    Dicom,
    /// A line of CEF.
    Cef,
    /// An object of JSON.
    Json,
    /// A resource of FHIR.
    Fhir,
}

impl MessageKind {
    fn id(self) -> &'static str {
        match self {
            Self::Dicom => "DICOM+RFC3881",
            Self::Cef => "CEF",
            Self::Json => "JSON",
            Self::Fhir => "FHIR",
        }
    }
}

/// A whole frame: the number of octets, a space, the message. `body` is UTF-8, and announced as such by its mark, save for CEF, which is
/// looked for at the beginning.
pub fn framed(shown: &Shown, site: &Site, kind: MessageKind, body: &str) -> Vec<u8> {
    let severity = if shown.outcome == Outcome::Success { NOTICE } else { WARNING };
    let priority = FACILITY * 8 + severity;
    let mark = if kind == MessageKind::Cef { "" } else { "\u{feff}" };
    let (at, host, id) = (shown.at, host(site), kind.id());
    let message = format!("<{priority}>1 {at} {host} tacet - {id} - {mark}{body}");
    let mut frame = format!("{} ", message.len()).into_bytes();
    frame.extend(message.into_bytes());
    frame
}

fn host(site: &Site) -> String {
    let name: String = site.host().chars().filter(char::is_ascii_graphic).take(HOST_BYTES_MAX).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}
