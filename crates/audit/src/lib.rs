//! The ledger's entries as others read them: FHIR AuditEvent by the profiles of IHE BALP, DICOM audit messages, CEF, plain JSON.
//!
//! ```text
//! (index, Entry) ── Shown::of(.., Eyes) ──> Shown ──┬── audit_event ──> AuditEvent (R4, BALP)
//!                    what these eyes may see        ├── dicom::message ──> AuditMessage XML ──┐
//!                                                   ├── cef::line                             ├── syslog::framed
//!                                                   └── line::object ──> one JSON object      ┘
//! ```
//!
//! What it is not: it reads no ledger, sends nothing, and knows no key (a pseudonym is made by whoever calls). Which element of an
//! entry goes where is in `docs/audit.md`, and a test holds the page to it.

pub mod cef;
mod codes;
pub mod dicom;
mod event;
pub mod line;
mod shown;
pub mod syslog;

pub use codes::{Family, OWN, entry_index, event_id, kinds_told};
pub use event::audit_event;
pub use shown::{Eyes, Object, Patients, Shown, Told};

/// Who keeps the ledger: what every event says of its source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// The establishment's name, for people.
    pub name: String,
    /// The establishment's id, which is bound into every seal.
    pub establishment: tacet_types::EstablishmentId,
    /// The FHIR base URL of the server.
    pub base_url: String,
}

impl Site {
    /// The establishment's id as a UUID.
    pub fn uuid(&self) -> String {
        let hex: String = self.establishment.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }

    /// The host of the base URL, without a port; `-` where it has none.
    pub fn host(&self) -> &str {
        let rest = self.base_url.split_once("://").map_or(self.base_url.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        if host.is_empty() { "-" } else { host }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::EstablishmentId;

    #[test]
    fn a_site_has_a_uuid_and_a_host() {
        let site =
            |url: &str| Site { name: "H".into(), establishment: EstablishmentId([0xab; 16]), base_url: url.into() };
        assert_eq!(site("").uuid(), "abababab-abab-abab-abab-abababababab");
        for (url, host) in [
            ("https://h.example/fhir", "h.example"),
            ("https://h.example:8443", "h.example"),
            ("http://[::1]:80/x", "::1"),
            ("", "-"),
        ] {
            assert_eq!(site(url).host(), host);
        }
    }
}
