//! What went wrong, as FHIR says it: issues, and the OperationOutcome that carries them to a client.
//!
//! An issue names a place and a rule, never the value found there, so that it may be logged and shown.

use crate::json::{Json, ParseError, write};
use std::borrow::Cow;
use tacet_types::OperationId;

/// How bad an issue is: the R4 code system `issue-severity`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The action failed and nothing more could be checked.
    Fatal,
    /// The action failed because of this.
    Error,
    /// The action went through, and this deserves a look.
    Warning,
    /// Nothing is wrong.
    Information,
}

impl Severity {
    /// The code of the code system.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Fatal => "fatal",
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Information => "information",
        }
    }
}

macro_rules! issue_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)+) => {
        /// What kind of thing an issue is about: the R4 code system `issue-type`, all of it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum IssueType { $($(#[$doc])* $name,)+ }

        impl IssueType {
            /// Every type, in the order of the code system.
            pub const ALL: &[IssueType] = &[$(IssueType::$name,)+];

            /// The code of the code system.
            pub fn as_str(self) -> &'static str {
                match self { $(IssueType::$name => $code,)+ }
            }
        }
    };
}

issue_types! {
    /// The content is not valid.
    Invalid = "invalid",
    /// A problem of structure: wrong JSON, an unknown element, a wrong cardinality.
    Structure = "structure",
    /// An element that must be there is missing.
    Required = "required",
    /// The value of an element is not well-formed.
    Value = "value",
    /// A rule on the content is broken.
    Invariant = "invariant",
    /// Something about authentication or permission.
    Security = "security",
    /// Nobody is logged in.
    Login = "login",
    /// The user or system is not known.
    Unknown = "unknown",
    /// The session ended.
    Expired = "expired",
    /// The user may not do this.
    Forbidden = "forbidden",
    /// Something was left out of the answer for privacy.
    Suppressed = "suppressed",
    /// Processing failed.
    Processing = "processing",
    /// Not a thing this server does.
    NotSupported = "not-supported",
    /// A duplicate of a record was sent.
    Duplicate = "duplicate",
    /// Several records match where one was expected.
    MultipleMatches = "multiple-matches",
    /// What is referred to is not there.
    NotFound = "not-found",
    /// What is referred to was deleted.
    Deleted = "deleted",
    /// The content is too long.
    TooLong = "too-long",
    /// A code is not one of those allowed.
    CodeInvalid = "code-invalid",
    /// An extension is not acceptable.
    Extension = "extension",
    /// The operation would be too costly.
    TooCostly = "too-costly",
    /// A rule of the trade is broken.
    BusinessRule = "business-rule",
    /// Somebody else changed the record meanwhile.
    Conflict = "conflict",
    /// Not all of the answer is there.
    Incomplete = "incomplete",
    /// A passing trouble.
    Transient = "transient",
    /// A lock could not be had.
    LockError = "lock-error",
    /// The store does not answer.
    NoStore = "no-store",
    /// Something broke inside.
    Exception = "exception",
    /// It took too long.
    Timeout = "timeout",
    /// It cannot be completed now.
    Throttled = "throttled",
    /// Nothing is wrong.
    Informational = "informational",
}

/// One problem of a resource or of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub code: IssueType,
    /// Where: simple FHIRPath such as `Patient.contact[0].name`, or empty for the whole.
    pub location: String,
    /// What to do about it, in words. Never the value itself.
    pub message: String,
}

impl Issue {
    /// An error at a place.
    pub fn error(code: IssueType, location: impl Into<String>, message: impl Into<String>) -> Self {
        Issue { severity: Severity::Error, code, location: location.into(), message: message.into() }
    }
}

impl From<&ParseError> for Issue {
    fn from(error: &ParseError) -> Self {
        Issue {
            severity: Severity::Fatal,
            code: IssueType::Structure,
            location: String::new(),
            message: format!("not acceptable JSON: {error}"),
        }
    }
}

/// The OperationOutcome of these issues. Its `id` is the operation id, by which the log and the ledger find the
/// operation again; a FHIR id allows its 32 hexadecimal digits.
///
/// Without an issue it says that all went well, since R4 wants one at least.
pub fn operation_outcome(issues: &[Issue], operation: Option<&OperationId>) -> Json<'static> {
    let well = [Issue {
        severity: Severity::Information,
        code: IssueType::Informational,
        location: String::new(),
        message: "all went well".to_owned(),
    }];
    let issues = if issues.is_empty() { &well } else { issues };
    let mut outcome = Json::object([("resourceType", Json::from("OperationOutcome"))]);
    if let Some(operation) = operation {
        outcome.set("id", Json::from(operation.to_string()));
    }
    outcome.set("issue", Json::Array(issues.iter().map(issue).collect()));
    outcome
}

/// [`operation_outcome`], written out.
pub fn operation_outcome_bytes(issues: &[Issue], operation: Option<&OperationId>) -> Vec<u8> {
    write(&operation_outcome(issues, operation))
}

fn issue(issue: &Issue) -> Json<'static> {
    let mut json = Json::object([
        ("severity", Json::from(issue.severity.as_str())),
        ("code", Json::from(issue.code.as_str())),
        ("diagnostics", Json::String(Cow::Owned(issue.message.clone()))),
    ]);
    if !issue.location.is_empty() {
        json.set("expression", Json::Array(vec![Json::String(Cow::Owned(issue.location.clone()))]));
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::tables;
    use crate::json::{Limits, parse};
    use crate::validate::{Options, validate};

    #[test]
    fn the_codes_are_those_of_the_standard() {
        for (path, member, codes) in [
            ("OperationOutcome.issue", "code", IssueType::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>()),
            ("OperationOutcome.issue", "severity", vec!["fatal", "error", "warning", "information"]),
        ] {
            let group = tables().find(path).expect("a part");
            let element = group.element(group.member(member).expect("a member"));
            let set = tables().code_set(element.codes().expect("a required binding"));
            assert_eq!(set.codes().len(), codes.len());
            assert!(codes.iter().all(|code| set.contains_code(code)));
        }
    }

    #[test]
    fn an_outcome_is_valid_and_carries_the_operation_id() {
        let issue = Issue::error(IssueType::Required, "Patient.contact[0].name", "required element is missing");
        let outcome = operation_outcome(&[issue], Some(&OperationId([0xAB; 16])));
        assert_eq!(validate(&outcome, &Options::default()), []);
        assert_eq!(outcome.get_str("id"), Some("abababababababababababababababab"));
        let issue = outcome.get("issue").and_then(|issues| issues.items().first()).expect("an issue");
        assert_eq!(issue.get_str("severity"), Some("error"));
        assert_eq!(issue.get_str("code"), Some("required"));
        assert_eq!(issue.get_str("diagnostics"), Some("required element is missing"));
        assert_eq!(issue.get("expression"), Some(&Json::Array(vec![Json::from("Patient.contact[0].name")])));
    }

    #[test]
    fn an_outcome_without_issues_says_that_all_went_well() {
        let bytes = operation_outcome_bytes(&[], None);
        let outcome = parse(&bytes, &Limits::default()).expect("JSON");
        assert_eq!(validate(&outcome, &Options::default()), []);
        assert!(bytes.windows(13).any(|window| window == b"informational"));
    }

    #[test]
    fn a_parse_error_becomes_an_issue_with_its_place() {
        let error = parse(b"{\"a\":\n}", &Limits::default()).expect_err("malformed");
        let issue = Issue::from(&error);
        assert_eq!((issue.severity, issue.code), (Severity::Fatal, IssueType::Structure));
        assert!(issue.message.contains("line 2, column 1"), "{}", issue.message);
    }
}
