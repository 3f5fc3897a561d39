//! How each kind of event is told in codes: those of DICOM, of FHIR's interactions, of ISO 21089, and beside them always our own.
//!
//! DICOM PS3.15 A.5 and PS3.16 CID 400 and 401; FHIR R4 value sets `audit-event-type` and `audit-event-sub-type`; IHE BALP.

use tacet_ledger::EventKind;

/// Where our own codes and extensions are defined: names, no address to fetch from.
pub const OWN: &str = "https://tacet.invalid/fhir";

pub(crate) const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
pub(crate) const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
pub(crate) const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
pub(crate) const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
pub(crate) const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
pub(crate) const SECURITY_ROLE: &str = "http://terminology.hl7.org/CodeSystem/extra-security-role-type";
pub(crate) const PROVENANCE: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
pub(crate) const PURPOSE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
pub(crate) const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
pub(crate) const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
pub(crate) const RESOURCE_TYPES: &str = "http://hl7.org/fhir/resource-types";
pub(crate) const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
pub(crate) const BALP_ENTITY: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
pub(crate) const BALP_AGENT: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes";

/// How ids of the ledger's AuditEvents begin; the entry's number follows.
const ID_PREFIX: &str = "l-";

/// The id of the AuditEvent that shows entry `index`: the same for ever.
pub fn event_id(index: u64) -> String {
    format!("{ID_PREFIX}{index}")
}

/// The entry that an id names; `None` for ids that are not the ledger's.
pub fn entry_index(id: &str) -> Option<u64> {
    let digits = id.strip_prefix(ID_PREFIX)?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = plain && (digits == "0" || !digits.starts_with('0'));
    canonical.then(|| digits.parse().ok()).flatten()
}

/// A code with its system and its words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Code {
    pub(crate) system: &'static str,
    pub(crate) code: &'static str,
    pub(crate) words: &'static str,
}

const fn code(system: &'static str, code: &'static str, words: &'static str) -> Code {
    Code { system, code, words }
}

pub(crate) const APPLICATION: Code = code(DCM, "110150", "Application");
pub(crate) const SOURCE: Code = code(DCM, "110153", "Source Role ID");
pub(crate) const DESTINATION: Code = code(DCM, "110152", "Destination Role ID");
pub(crate) const CUSTODIAN: Code = code(PROVENANCE, "custodian", "Custodian");
pub(crate) const RECIPIENT: Code = code(PARTICIPATION, "IRCP", "information recipient");
pub(crate) const AUTHOR: Code = code(PARTICIPATION, "AUT", "author (originator)");
pub(crate) const HUMAN: Code = code(SECURITY_ROLE, "humanuser", "human user");
pub(crate) const OAUTH_AGENT: Code = code(BALP_AGENT, "UserOauthAgent", "User OAuth Agent participant");
pub(crate) const PERSON: Code = code(ENTITY_TYPE, "1", "Person");
pub(crate) const SYSTEM_OBJECT: Code = code(ENTITY_TYPE, "2", "System Object");
pub(crate) const OTHER: Code = code(ENTITY_TYPE, "4", "Other");
pub(crate) const ROLE_PATIENT: Code = code(OBJECT_ROLE, "1", "Patient");
pub(crate) const ROLE_RESOURCE: Code = code(OBJECT_ROLE, "4", "Domain Resource");
pub(crate) const ROLE_SECURITY: Code = code(OBJECT_ROLE, "13", "Security Resource");
pub(crate) const ROLE_QUERY: Code = code(OBJECT_ROLE, "24", "Query");
pub(crate) const REQUEST_ID: Code = code(BALP_ENTITY, "XrequestId", "");
pub(crate) const SERVER: Code = code(SOURCE_TYPE, "4", "Application Server");

/// The event with which a patient's record is made, read, changed or deleted (DICOM PS3.15 A.5.3).
pub(crate) const PATIENT_RECORD: Code = code(DCM, "110110", "Patient Record");
const QUERY: Code = code(DCM, "110112", "Query");
const ACTIVITY: Code = code(DCM, "110100", "Application Activity");
const LOG_USED: Code = code(DCM, "110101", "Audit Log Used");
const EXPORT: Code = code(DCM, "110106", "Export");
const IMPORT: Code = code(DCM, "110107", "Import");
const ALERT: Code = code(DCM, "110113", "Security Alert");
const AUTHENTICATION: Code = code(DCM, "110114", "User Authentication");
const STARTED: Code = code(DCM, "110120", "Application Start");
const STOPPED: Code = code(DCM, "110121", "Application Stop");
const LOGIN: Code = code(DCM, "110122", "Login");
const LOGOUT: Code = code(DCM, "110123", "Logout");
const EMERGENCY: Code = code(DCM, "110127", "Emergency Override Started");
const SECURITY_SETTINGS: Code = code(DCM, "110129", "Security Configuration");
const SOFTWARE_SETTINGS: Code = code(DCM, "110131", "Software Configuration");
const ROLES_CHANGED: Code = code(DCM, "110136", "Security Roles Changed");
const ATTRIBUTES_CHANGED: Code = code(DCM, "110137", "User Security Attributes Changed");
const REST: Code = code(EVENT_TYPE, "rest", "Restful Operation");
const READ: Code = code(INTERACTION, "read", "read");
const VREAD: Code = code(INTERACTION, "vread", "vread");
const HISTORY: Code = code(INTERACTION, "history", "history");
const SEARCH: Code = code(INTERACTION, "search", "search");
const OPERATION: Code = code(INTERACTION, "operation", "operation");
const CREATE: Code = code(INTERACTION, "create", "create");
const UPDATE: Code = code(INTERACTION, "update", "update");
const DELETE: Code = code(INTERACTION, "delete", "delete");
const DISCLOSED: Code = code(LIFECYCLE, "disclose", "Disclose Record Lifecycle Event");
const DESTROYED: Code = code(LIFECYCLE, "destroy", "Destroy/Delete Record Lifecycle Event");
const ARCHIVED: Code = code(LIFECYCLE, "archive", "Archive Record Lifecycle Event");
const RESTORED: Code = code(LIFECYCLE, "restore", "Restore Record Lifecycle Event");

/// The pattern of IHE BALP that an event follows where it succeeded and is about a record: it says which agents and entities it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// A record was read.
    Read,
    /// Records were looked for.
    Query,
    /// A record was made.
    Create,
    /// A record was changed.
    Update,
    /// A record was deleted.
    Delete,
    /// Records were given away.
    Disclosure,
}

impl Family {
    /// The name of its profile, with the patient or without.
    pub(crate) fn profile(self, of_patient: bool) -> Option<&'static str> {
        Some(match (self, of_patient) {
            (Self::Read, true) => "IHE.BasicAudit.PatientRead",
            (Self::Read, false) => "IHE.BasicAudit.Read",
            (Self::Query, true) => "IHE.BasicAudit.PatientQuery",
            (Self::Query, false) => "IHE.BasicAudit.Query",
            (Self::Create, true) => "IHE.BasicAudit.PatientCreate",
            (Self::Create, false) => "IHE.BasicAudit.Create",
            (Self::Update, true) => "IHE.BasicAudit.PatientUpdate",
            (Self::Update, false) => "IHE.BasicAudit.Update",
            (Self::Delete, true) => "IHE.BasicAudit.PatientDelete",
            (Self::Delete, false) => "IHE.BasicAudit.Delete",
            (Self::Disclosure, true) => "IHE.BasicAudit.PrivacyDisclosure.Source",
            (Self::Disclosure, false) => return None,
        })
    }
}

/// Which way records go in an event: it says which roles the two ends have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// To the client.
    Out,
    /// To the server: what is stored, and criteria.
    In,
    /// Deleted.
    Gone,
    /// No record goes anywhere.
    Nowhere,
}

/// How a kind of event is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Telling {
    /// `AuditEvent.type`.
    pub(crate) event: Code,
    /// `AuditEvent.subtype`, before our own.
    pub(crate) subtype: Option<Code>,
    /// The EventID of a DICOM message, where `event` is none.
    pub(crate) dicom: Code,
    /// `C`, `R`, `U`, `D` or `E`.
    pub(crate) action: &'static str,
    pub(crate) family: Option<Family>,
    pub(crate) way: Way,
    /// In words.
    pub(crate) words: &'static str,
    /// How much a security officer wants to know of it where it succeeds, 0 to 10 (CEF).
    pub(crate) severity: u8,
}

/// How a kind of event is told.
pub(crate) fn telling(kind: EventKind) -> Telling {
    use EventKind as K;
    let told = |event: Code, subtype: Option<Code>, action, way, words, severity| Telling {
        event,
        subtype,
        dicom: event,
        action,
        family: None,
        way,
        words,
        severity,
    };
    let rest = |subtype, action, family, way, words, severity| Telling {
        family,
        dicom: PATIENT_RECORD,
        ..told(REST, Some(subtype), action, way, words, severity)
    };
    let own = |event, action, words, severity| told(event, None, action, Way::Nowhere, words, severity);
    match kind {
        K::Login => told(AUTHENTICATION, Some(LOGIN), "E", Way::Nowhere, "Somebody was let in", 2),
        K::LoginFailed => told(AUTHENTICATION, Some(LOGIN), "E", Way::Nowhere, "Somebody was not let in", 5),
        K::Logout => told(AUTHENTICATION, Some(LOGOUT), "E", Way::Nowhere, "Somebody left", 1),
        K::Read => rest(READ, "R", Some(Family::Read), Way::Out, "A record was read", 1),
        K::Vread => rest(VREAD, "R", Some(Family::Read), Way::Out, "A version of a record was read", 1),
        K::History => rest(HISTORY, "R", None, Way::Out, "The versions of records were read", 2),
        K::Search => {
            Telling { dicom: QUERY, ..rest(SEARCH, "E", Some(Family::Query), Way::In, "Records were looked for", 1) }
        }
        K::Everything => rest(OPERATION, "E", None, Way::Out, "The whole record of a patient was read", 3),
        K::BreakGlass => told(ALERT, Some(EMERGENCY), "R", Way::Out, "A record was opened past the ordinary rights", 7),
        K::Create => rest(CREATE, "C", Some(Family::Create), Way::In, "A record was made", 1),
        K::Update => rest(UPDATE, "U", Some(Family::Update), Way::In, "A record was changed", 1),
        K::Delete => rest(DELETE, "D", Some(Family::Delete), Way::Gone, "A record was deleted", 3),
        K::Import => told(IMPORT, None, "C", Way::In, "Records were taken in", 3),
        K::Erase => Telling {
            dicom: PATIENT_RECORD,
            ..told(DESTROYED, None, "D", Way::Gone, "The key of a patient was destroyed", 7)
        },
        K::Export => Telling {
            family: Some(Family::Disclosure),
            ..told(EXPORT, Some(DISCLOSED), "R", Way::Out, "Records were copied out", 6)
        },
        K::Print => Telling {
            family: Some(Family::Disclosure),
            ..told(EXPORT, Some(DISCLOSED), "R", Way::Out, "Records were printed", 4)
        },
        K::TransferMade => Telling {
            family: Some(Family::Disclosure),
            ..told(EXPORT, Some(DISCLOSED), "R", Way::Out, "A summary was sealed to another hospital", 6)
        },
        K::TransferTaken => told(IMPORT, None, "C", Way::In, "A summary was taken in from another hospital", 3),
        K::Backup => Telling { dicom: ACTIVITY, ..own(ARCHIVED, "E", "A backup was made", 3) },
        K::BackupVerified => own(ACTIVITY, "E", "A backup was verified", 3),
        K::BackupMissing => told(ALERT, Some(SECURITY_SETTINGS), "E", Way::Nowhere, "A backup is missing", 9),
        K::Restore => Telling { dicom: ACTIVITY, ..own(RESTORED, "E", "A backup was brought back", 7) },
        K::RightsChange => told(ALERT, Some(ROLES_CHANGED), "E", Way::Nowhere, "Rights were changed", 6),
        K::TokenCreated => told(ALERT, Some(ATTRIBUTES_CHANGED), "E", Way::Nowhere, "A token was made", 6),
        K::TokenRevoked => told(ALERT, Some(ATTRIBUTES_CHANGED), "E", Way::Nowhere, "A token was withdrawn", 4),
        K::ConfigurationChange => told(ALERT, Some(SOFTWARE_SETTINGS), "E", Way::Nowhere, "A setting was changed", 6),
        K::ApprovalAsked => told(ALERT, Some(ROLES_CHANGED), "E", Way::Nowhere, "A second person was asked", 4),
        K::ApprovalDecided => told(ALERT, Some(ROLES_CHANGED), "E", Way::Nowhere, "A second person decided", 5),
        K::AccountChange => told(ALERT, Some(ATTRIBUTES_CHANGED), "E", Way::Nowhere, "An account was changed", 5),
        K::BreakGlassReviewed => own(ACTIVITY, "E", "A break-glass was reviewed", 3),
        K::AccessReview => own(LOG_USED, "E", "Accesses were reviewed", 3),
        K::KeyEvent => told(ALERT, Some(SECURITY_SETTINGS), "E", Way::Nowhere, "Something was done to a key", 7),
        K::KeyRotation => told(ALERT, Some(SECURITY_SETTINGS), "E", Way::Nowhere, "Keys were changed", 6),
        K::LedgerKeyDestroyed => {
            told(ALERT, Some(SECURITY_SETTINGS), "E", Way::Nowhere, "A key of the ledger ended", 6)
        }
        K::Tripwire => {
            told(ALERT, Some(SECURITY_SETTINGS), "E", Way::Nowhere, "Something looked like an attack on the store", 9)
        }
        K::Lockdown => told(ALERT, Some(SECURITY_SETTINGS), "E", Way::Nowhere, "The store was locked", 10),
        K::LockdownLifted => told(ALERT, Some(SECURITY_SETTINGS), "E", Way::Nowhere, "A lockdown was lifted", 8),
        K::DrillHeld => own(ACTIVITY, "E", "A drill was held", 3),
        K::LedgerAccess => own(LOG_USED, "R", "The ledger was read", 3),
        K::Start => told(ACTIVITY, Some(STARTED), "E", Way::Nowhere, "The store was opened", 3),
        K::Stop => told(ACTIVITY, Some(STOPPED), "E", Way::Nowhere, "The store was closed", 3),
        K::Check => own(ACTIVITY, "E", "The store was checked", 3),
    }
}

/// The codes of `AuditEvent.subtype`, save our own.
pub(crate) fn subtypes(kind: EventKind) -> Vec<Code> {
    let told = telling(kind);
    let mut subtypes: Vec<Code> = told.subtype.into_iter().collect();
    if told.family == Some(Family::Disclosure) {
        subtypes.push(OPERATION);
    }
    subtypes
}

/// The kinds whose events have this value of one of the search parameters `type`, `subtype` and `action`; none where another parameter is
/// meant, or a value that is more than one code with or without its system. For finding entries by their kind.
pub fn kinds_told(parameter: &str, value: &str) -> Option<Vec<EventKind>> {
    let (system, code) = value.split_once('|').map_or((None, value), |(system, code)| (Some(system), code));
    if code.is_empty() || system == Some("") || value.contains([',', '\\', '$']) || code.contains('|') {
        return None;
    }
    let is = |known: &Code| known.code == code && system.is_none_or(|system| system == known.system);
    let own = format!("{OWN}/CodeSystem/ledger-event");
    let fits = |kind: &&EventKind| match parameter {
        "type" => is(&telling(**kind).event),
        "subtype" => {
            subtypes(**kind).iter().any(is)
                || (kind.as_str() == code && system.is_none_or(|system| system == own.as_str()))
        }
        // A code without a system in the element: the value set gives it one, which a search may name.
        _ => telling(**kind).action == code,
    };
    matches!(parameter, "type" | "subtype" | "action").then(|| EventKind::ALL.iter().filter(fits).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_round_and_others_are_nobodys() {
        for index in [0, 1, 10, u64::MAX] {
            assert_eq!(entry_index(&event_id(index)), Some(index));
        }
        for id in ["", "l-", "l-01", "l-x", "l--1", "l-18446744073709551616", "L-1", "5", "l-1 "] {
            assert_eq!(entry_index(id), None, "{id}");
        }
    }

    #[test]
    fn kinds_are_found_by_what_their_events_say() {
        use EventKind as K;
        assert_eq!(kinds_told("action", "D"), Some(vec![K::Delete, K::Erase]));
        assert_eq!(kinds_told("type", "110114"), Some(vec![K::Login, K::LoginFailed, K::Logout]));
        assert_eq!(kinds_told("subtype", "operation"), Some(vec![K::Everything, K::Export, K::Print, K::TransferMade]));
        assert_eq!(kinds_told("subtype", &format!("{OWN}/CodeSystem/ledger-event|read")), Some(vec![K::Read]));
        assert_eq!(kinds_told("subtype", "http://hl7.org/fhir/restful-interaction|read"), Some(vec![K::Read]));
        assert_eq!(kinds_told("type", "http://nowhere.example|rest"), Some(vec![]));
        for (parameter, value) in
            [("type", "rest,110100"), ("type", "|rest"), ("type", "x|"), ("agent", "x"), ("type:not", "rest")]
        {
            assert_eq!(kinds_told(parameter, value), None, "{parameter}={value}");
        }
    }

    #[test]
    fn every_kind_is_told_with_a_dicom_event() {
        for kind in EventKind::ALL {
            let told = telling(*kind);
            assert_eq!(told.dicom.system, DCM, "{kind}");
            assert!("CRUDE".contains(told.action) && told.severity <= 10 && !told.words.is_empty(), "{kind}");
        }
    }
}
