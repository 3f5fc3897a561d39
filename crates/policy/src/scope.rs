//! What a SMART scope leaves of what somebody may see: `patient/Observation.rs?category=vital-signs`.
//!
//! ```text
//! patient/Observation.rs?category=vital-signs        user/*.cruds        v1: patient/Observation.read
//! level   type        permissions  criteria
//! ```
//!
//! A scope gives nothing: it cuts what the policies open. Criteria are kept as a query, since only the index knows what they mean.
//! Grammar: SMART App Launch 2.2, <https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html>.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use tacet_types::{PatientSet, ResourceId, ResourceType, TypeSet, Visibility};

/// Bytes of all scopes of a token together.
pub const SCOPES_BYTES_MAX: usize = 8 * 1024;
/// Scopes of a token.
pub const SCOPES_MAX: usize = 128;
/// Search parameters of one scope.
pub const SCOPE_CRITERIA_MAX: usize = 8;

/// Scopes that say nothing of records: who logged in, for how long, in which context.
const OF_THE_SESSION: [&str; 6] = ["openid", "fhirUser", "profile", "launch", "offline_access", "online_access"];

/// Parameters of every type that say what a record is like. The others say how to answer, or search elsewhere.
const COMMON_PARAMETERS: [&str; 6] = ["_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"];

/// Why scopes were not understood. The text names the scope: scopes hold no personal data but what a client puts there, so the text is
/// for the client, not for a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Too many or too long.
    #[error("scopes of more than {SCOPES_BYTES_MAX} bytes, or more than {SCOPES_MAX}: ask for fewer")]
    TooMany,
    /// Neither `level/Type.permissions` nor one of those of the session.
    #[error("`{0}` is no scope: write it like `patient/Observation.rs`")]
    Unknown(String),
    /// No type of R4.
    #[error("`{0}` names no resource type of R4")]
    Type(String),
    /// Neither some of `cruds` in this order, nor `read`, `write` or `*`.
    #[error("`{0}` says what may be done in other letters than `cruds`, in this order")]
    Permissions(String),
    /// The part after `?`.
    #[error("`{0}` has criteria that are not `name=value` of one type's own search parameters")]
    Criteria(String),
}

/// For whom a scope is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Level {
    /// For the patient of the launch.
    Patient,
    /// For all that the user may see.
    User,
    /// For all that the machine may see.
    System,
}

/// What a request does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// Makes a record.
    Create,
    /// Reads one by its id, or its history.
    Read,
    /// Changes one.
    Update,
    /// Deletes one.
    Delete,
    /// Searches, counts, asks for histories of a type.
    Search,
}

/// Letters of SMART 2, in the only order that it allows.
const LETTERS: [(char, Access); 5] =
    [('c', Access::Create), ('r', Access::Read), ('u', Access::Update), ('d', Access::Delete), ('s', Access::Search)];

/// One scope about records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// For whom.
    pub level: Level,
    /// The type, `None` for `*`.
    pub resource_type: Option<ResourceType>,
    access: u8,
    /// A query, as it was written, without `?`: only records that it finds.
    pub query: Option<String>,
}

impl Scope {
    /// Whether it allows this.
    pub fn allows(&self, access: Access) -> bool {
        self.access & (1 << access as u8) != 0
    }

    fn types(&self) -> TypeSet {
        self.resource_type.map_or(TypeSet::EVERY, |resource_type| TypeSet::of([resource_type]))
    }

    fn parse(word: &str) -> Result<Option<Self>, ScopeError> {
        let Some((level, rest)) = word.split_once('/') else {
            let known = OF_THE_SESSION.contains(&word);
            return if known { Ok(None) } else { Err(ScopeError::Unknown(word.to_owned())) };
        };
        let level = match level {
            "patient" => Level::Patient,
            "user" => Level::User,
            "system" => Level::System,
            // The context that a client wants to be launched in: `launch/patient`.
            "launch" if !rest.is_empty() => return Ok(None),
            _ => return Err(ScopeError::Unknown(word.to_owned())),
        };
        let (subject, query) = match rest.split_once('?') {
            Some((subject, query)) => (subject, Some(query)),
            None => (rest, None),
        };
        let (name, permissions) = subject.split_once('.').ok_or_else(|| ScopeError::Unknown(word.to_owned()))?;
        let resource_type = match name {
            "*" => None,
            name => Some(ResourceType::parse(name).ok_or_else(|| ScopeError::Type(word.to_owned()))?),
        };
        let access = access_of(permissions).ok_or_else(|| ScopeError::Permissions(word.to_owned()))?;
        let query = match query {
            None => None,
            Some(query) if resource_type.is_some() && is_criteria(query) => Some(query.to_owned()),
            Some(_) => return Err(ScopeError::Criteria(word.to_owned())),
        };
        Ok(Some(Self { level, resource_type, access, query }))
    }
}

/// The permissions of `rs`, or of the words of SMART 1.
fn access_of(permissions: &str) -> Option<u8> {
    let letters = match permissions {
        "read" => "rs",
        "write" => "cud",
        "*" => "cruds",
        "" => return None,
        letters => letters,
    };
    let mut rest = LETTERS.iter();
    letters.chars().try_fold(0, |set, letter| {
        // Each is looked for behind the one before: an order or a repetition that SMART does not allow finds none.
        rest.find(|(known, _)| *known == letter).map(|(_, access)| set | 1 << *access as u8)
    })
}

/// Whether a query says only what a record of the type itself is like: no chain, no `_has`, no `_include`, nothing about the answer.
fn is_criteria(query: &str) -> bool {
    let parts = || query.split('&');
    let fine = |part: &str| {
        let Some((name, value)) = part.split_once('=') else { return false };
        let (bare, modifier) = match name.split_once(':') {
            Some((bare, modifier)) => (bare, Some(modifier)),
            None => (name, None),
        };
        let word = |text: &str| {
            text.starts_with(|first: char| first.is_ascii_alphabetic())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        (word(bare) || COMMON_PARAMETERS.contains(&bare))
            && modifier.is_none_or(word)
            && !value.is_empty()
            && value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'?' | b'#'))
    };
    parts().count() <= SCOPE_CRITERIA_MAX && parts().all(fine)
}

/// The scopes of a token.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scopes {
    scopes: Vec<Scope>,
}

/// What scopes leave of a visibility: the records of `open`, and those of each of `under` that its query finds.
#[derive(Clone, PartialEq, Debug)]
pub struct Cut {
    /// Open without more.
    pub open: Visibility,
    /// Open where the content is as the scope says.
    pub under: Vec<Conditional>,
}

/// A part of a visibility that is open only to what a query finds.
#[derive(Clone, PartialEq, Debug)]
pub struct Conditional {
    /// Of this type.
    pub resource_type: ResourceType,
    /// A query of this type's own search parameters, without `?`.
    pub query: String,
    /// What would be open if everything fitted the query.
    pub visibility: Visibility,
}

impl Scopes {
    /// The scopes of a text, separated by single spaces as OAuth has it. Those of the session are understood and left out.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.len() > SCOPES_BYTES_MAX || text.split(' ').count() > SCOPES_MAX {
            return Err(ScopeError::TooMany);
        }
        let mut scopes: Vec<Scope> = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if let Some(scope) = Scope::parse(word)?
                && !scopes.contains(&scope)
            {
                scopes.push(scope);
            }
        }
        Ok(Self { scopes })
    }

    /// Those about records.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter()
    }

    /// Whether some scope allows this for this type, whatever the record is like.
    pub fn may(&self, access: Access, resource_type: ResourceType) -> bool {
        let of = |scope: &&Scope| scope.allows(access) && scope.types().has(resource_type);
        self.scopes.iter().any(|scope| of(&scope))
    }

    /// Cuts what somebody may see (for [`Access::Read`] and [`Access::Search`]) or change (for the others) down to these scopes, and
    /// scopes of [`Level::Patient`] down to the patient of the launch. Without such a patient they open only what is of no patient.
    pub fn cut(&self, visibility: &Visibility, access: Access, patient: Option<&ResourceId>) -> Cut {
        let mut open = Visibility::nothing();
        let mut under = Vec::new();
        for scope in self.scopes.iter().filter(|scope| scope.allows(access)) {
            let visibility = visibility.clone().of_types(scope.types());
            let visibility = if scope.level == Level::Patient { of_patient(visibility, patient) } else { visibility };
            match (scope.resource_type, &scope.query) {
                (Some(resource_type), Some(query)) if !visibility.classes.is_empty() => {
                    under.push(Conditional { resource_type, query: query.clone(), visibility });
                }
                (_, Some(_)) => {}
                (_, None) => open.classes.extend(visibility.classes),
            }
        }
        // What is open anyway needs no query; what two scopes open is listed once.
        let mut classes = Vec::with_capacity(open.classes.len());
        for class in open.classes {
            if !classes.contains(&class) {
                classes.push(class);
            }
        }
        Cut { open: Visibility { classes }, under }
    }
}

/// What is left for one patient, and what is of no patient.
fn of_patient(mut visibility: Visibility, patient: Option<&ResourceId>) -> Visibility {
    let only = patient.map(|patient| (patient, Arc::new(HashSet::from([patient.clone()]))));
    visibility.classes.retain_mut(|class| match (&class.patients, &only) {
        (PatientSet::Nobody, _) => true,
        (patients, Some((patient, only))) if patients.has(patient) => {
            class.patients = PatientSet::Only(Arc::clone(only));
            true
        }
        _ => false,
    });
    visibility
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Patient => "patient",
            Level::User => "user",
            Level::System => "system",
        };
        let name = self.resource_type.map_or("*", ResourceType::as_str);
        write!(f, "{level}/{name}.")?;
        for (letter, _) in LETTERS.iter().filter(|(_, access)| self.allows(*access)) {
            write!(f, "{letter}")?;
        }
        self.query.iter().try_for_each(|query| write!(f, "?{query}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::{Basis, Labels, Sight};

    fn kind(name: &str) -> ResourceType {
        ResourceType::parse(name).unwrap()
    }

    fn id(text: &str) -> ResourceId {
        ResourceId::parse(text).unwrap()
    }

    #[test]
    fn scopes_of_both_versions_are_read() {
        let text = "openid fhirUser launch/patient patient/Observation.rs?category=http://x|laboratory&code=1 user/*.cruds \
                    patient/Patient.read system/Condition.write user/*.* offline_access";
        let scopes = Scopes::parse(text).unwrap();
        let written: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        assert_eq!(
            written,
            [
                "patient/Observation.rs?category=http://x|laboratory&code=1",
                "user/*.cruds",
                "patient/Patient.rs",
                "system/Condition.cud",
            ]
        );
        assert_eq!(Scopes::parse(&written.join(" ")).unwrap(), scopes);
        assert!(Scopes::parse("").unwrap().iter().next().is_none());
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        let unknown = |word: &str| ScopeError::Unknown(word.into());
        for (word, error) in [
            ("admin", unknown("admin")),
            ("patients/Observation.rs", unknown("patients/Observation.rs")),
            ("patient/Observation", unknown("patient/Observation")),
            ("patient/observation.rs", ScopeError::Type("patient/observation.rs".into())),
            ("patient/Observation.", ScopeError::Permissions("patient/Observation.".into())),
            ("patient/Observation.sr", ScopeError::Permissions("patient/Observation.sr".into())),
            ("patient/Observation.rr", ScopeError::Permissions("patient/Observation.rr".into())),
            ("patient/Observation.rs?", ScopeError::Criteria("patient/Observation.rs?".into())),
            ("patient/*.rs?code=1", ScopeError::Criteria("patient/*.rs?code=1".into())),
            (
                "patient/Observation.rs?subject.name=x",
                ScopeError::Criteria("patient/Observation.rs?subject.name=x".into()),
            ),
            ("patient/Observation.rs?_include=*", ScopeError::Criteria("patient/Observation.rs?_include=*".into())),
            (
                "patient/Observation.rs?_has:Group:member:code=1",
                ScopeError::Criteria("patient/Observation.rs?_has:Group:member:code=1".into()),
            ),
        ] {
            assert_eq!(Scopes::parse(&format!("openid {word}")), Err(error));
        }
        assert_eq!(Scopes::parse(&"a".repeat(SCOPES_BYTES_MAX + 1)), Err(ScopeError::TooMany));
        assert_eq!(Scopes::parse(&" ".repeat(SCOPES_MAX)), Err(ScopeError::TooMany));
    }

    #[test]
    fn a_scope_cuts_and_never_opens() {
        let whole = Visibility::everything(Basis { ground: "g".into(), policy: "p".into() });
        let scopes = Scopes::parse("patient/Observation.rs user/Condition.r patient/Encounter.rs?class=AMB").unwrap();
        let ann = id("ann");
        let hers = std::slice::from_ref(&ann);
        let sees = |cut: &Cut, name: &str, patients: &[ResourceId]| {
            matches!(cut.open.sight(kind(name), patients, Labels::NONE), Sight::Seen(_))
        };
        let read = scopes.cut(&whole, Access::Read, Some(&ann));
        assert!(sees(&read, "Observation", hers) && !sees(&read, "Observation", &[id("bob")]));
        assert!(!sees(&read, "Observation", &[ann.clone(), id("bob")]));
        assert!(sees(&read, "Condition", &[id("bob")]) && !sees(&read, "Patient", hers));
        assert!(!sees(&read, "Encounter", hers));
        let [encounters] = read.under.as_slice() else { panic!("one scope has criteria") };
        assert_eq!((encounters.resource_type, encounters.query.as_str()), (kind("Encounter"), "class=AMB"));
        assert!(matches!(encounters.visibility.sight(kind("Encounter"), hers, Labels::NONE), Sight::Seen(_)));
        assert_eq!(encounters.visibility.sight(kind("Encounter"), &[id("bob")], Labels::NONE), Sight::Hidden);
        let search = scopes.cut(&whole, Access::Search, Some(&ann));
        assert!(!sees(&search, "Condition", &[id("bob")]) && sees(&search, "Observation", hers));
        let none = scopes.cut(&whole, Access::Read, None);
        assert!(
            !sees(&none, "Observation", hers)
                && none
                    .under
                    .iter()
                    .all(|part| { part.visibility.sight(kind("Encounter"), hers, Labels::NONE) == Sight::Hidden })
        );
        assert!(scopes.cut(&whole, Access::Create, Some(&ann)).open.classes.is_empty());
        assert!(scopes.cut(&Visibility::nothing(), Access::Read, Some(&ann)).open.classes.is_empty());
        assert!(scopes.may(Access::Read, kind("Condition")) && !scopes.may(Access::Search, kind("Condition")));
    }
}
