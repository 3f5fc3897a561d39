//! Scopes as text: the grammar of SMART App Launch 2 (and the forms of version 1), and what two sets have in common.
//!
//! What a scope opens is not said here (`tacet_policy::scope` does). Here it is made sure that what is granted is never wider than what was asked,
//! what the client may have, and what the person approved: [`ScopeSet::meet`] only ever narrows.
//!
//! Source: <https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html>.

use crate::settings::SCOPES_MAX;
use std::fmt;
use tacet_types::ResourceType;

/// Longest scope text, in bytes.
pub const SCOPE_BYTES_MAX: usize = 8 * 1024;

/// Most search parameters in one scope.
const QUERY_PARTS_MAX: usize = 8;

/// Why a text is no set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScopeError {
    /// A word is not in the grammar.
    #[error(
        "a scope is not well-formed: write `patient/Observation.rs?category=laboratory`, `user/*.cruds` and the like"
    )]
    Malformed,
    /// Too many, or too long.
    #[error("too many scopes: ask for at most {SCOPES_MAX}, in {SCOPE_BYTES_MAX} bytes")]
    TooMany,
}

/// Whose records a scope is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// The patient in context.
    Patient,
    /// What the person may see.
    User,
    /// What the client itself may see.
    System,
}

/// One scope.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// `openid`
    OpenId,
    /// `fhirUser`
    FhirUser,
    /// `launch`
    Launch,
    /// `launch/patient`
    LaunchPatient,
    /// `launch/encounter`
    LaunchEncounter,
    /// `offline_access`
    OfflineAccess,
    /// `online_access`
    OnlineAccess,
    /// About records.
    Resource(ResourceScope),
}

/// A scope about records.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResourceScope {
    level: Level,
    /// None: each type.
    kind: Option<ResourceType>,
    /// Bits of create, read, update, delete, search, from the lowest.
    acts: u8,
    /// Search parameters that all must hold, in order, each once.
    query: Vec<String>,
    /// Written as version 1 has it.
    v1: bool,
}

const ACTS: [(u8, char); 5] = [(1, 'c'), (2, 'r'), (4, 'u'), (8, 'd'), (16, 's')];
const ALL_ACTS: u8 = 31;
const READ_ACTS: u8 = 2 | 16;
const WRITE_ACTS: u8 = 1 | 4 | 8;

impl ResourceScope {
    /// Reads `patient/Observation.rs?category=laboratory`. None for a well-formed scope of a type that R4 does not have.
    fn parse(text: &str) -> Result<Option<Self>, ScopeError> {
        let (level, rest) = text.split_once('/').ok_or(ScopeError::Malformed)?;
        let level = match level {
            "patient" => Level::Patient,
            "user" => Level::User,
            "system" => Level::System,
            _ => return Err(ScopeError::Malformed),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (kind, acts) = rest.split_once('.').ok_or(ScopeError::Malformed)?;
        let (acts, v1) = match acts {
            "read" => (READ_ACTS, true),
            "write" => (WRITE_ACTS, true),
            "*" => (ALL_ACTS, true),
            _ => (parse_acts(acts)?, false),
        };
        if v1 && query.is_some() {
            return Err(ScopeError::Malformed);
        }
        let query = query.map_or(Ok(Vec::new()), parse_query)?;
        let kind = match kind {
            "*" => None,
            _ if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                return Err(ScopeError::Malformed);
            }
            _ => match ResourceType::parse(kind) {
                Some(kind) => Some(kind),
                None => return Ok(None),
            },
        };
        Ok(Some(Self { level, kind, acts, query, v1 }))
    }

    /// What both allow.
    fn meet(&self, other: &Self) -> Option<Self> {
        let kind = match (self.kind, other.kind) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.or(b),
        };
        let acts = self.acts & other.acts;
        if self.level != other.level || acts == 0 {
            return None;
        }
        // All the parameters of both must hold: fewer records than by either.
        let mut query: Vec<String> = self.query.iter().chain(&other.query).cloned().collect();
        query.sort();
        query.dedup();
        if query.len() > QUERY_PARTS_MAX {
            return None;
        }
        let v1 = self.v1 && acts == self.acts && query.is_empty();
        Some(Self { level: self.level, kind, acts, query, v1 })
    }
}

fn parse_acts(text: &str) -> Result<u8, ScopeError> {
    let mut acts = 0u8;
    for letter in text.chars() {
        let (bit, _) = ACTS.into_iter().find(|(_, known)| *known == letter).ok_or(ScopeError::Malformed)?;
        // In the order of `cruds`, each once.
        if bit <= acts {
            return Err(ScopeError::Malformed);
        }
        acts |= bit;
    }
    if acts == 0 { Err(ScopeError::Malformed) } else { Ok(acts) }
}

fn parse_query(text: &str) -> Result<Vec<String>, ScopeError> {
    let mut parts: Vec<String> = Vec::new();
    for part in text.split('&') {
        let (name, value) = part.split_once('=').ok_or(ScopeError::Malformed)?;
        let name_fits = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':' | b'.'));
        if !name_fits || value.is_empty() || parts.len() >= QUERY_PARTS_MAX {
            return Err(ScopeError::Malformed);
        }
        parts.push(part.to_owned());
    }
    parts.sort();
    parts.dedup();
    Ok(parts)
}

impl Scope {
    /// Reads one word. None for one that is well-formed and not known here: it is not granted.
    fn parse(word: &str) -> Result<Option<Self>, ScopeError> {
        // NQCHAR of RFC 6749, appendix A.
        if !word.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            return Err(ScopeError::Malformed);
        }
        Ok(Some(match word {
            "openid" => Self::OpenId,
            "fhirUser" => Self::FhirUser,
            "launch" => Self::Launch,
            "launch/patient" => Self::LaunchPatient,
            "launch/encounter" => Self::LaunchEncounter,
            "offline_access" => Self::OfflineAccess,
            "online_access" => Self::OnlineAccess,
            _ if ["patient/", "user/", "system/"].iter().any(|level| word.starts_with(level)) => {
                return Ok(ResourceScope::parse(word)?.map(Self::Resource));
            }
            _ => return Ok(None),
        }))
    }

    fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Resource(a), Self::Resource(b)) => a.meet(b).map(Self::Resource),
            (a, b) => (a == b).then(|| a.clone()),
        }
    }

    /// Whether everything that `other` allows is allowed by this.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Resource(a), Self::Resource(b)) => {
                a.meet(b).is_some_and(|both| (both.kind, both.acts) == (b.kind, b.acts) && both.query == b.query)
            }
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match self {
            Self::OpenId => return f.write_str("openid"),
            Self::FhirUser => return f.write_str("fhirUser"),
            Self::Launch => return f.write_str("launch"),
            Self::LaunchPatient => return f.write_str("launch/patient"),
            Self::LaunchEncounter => return f.write_str("launch/encounter"),
            Self::OfflineAccess => return f.write_str("offline_access"),
            Self::OnlineAccess => return f.write_str("online_access"),
            Self::Resource(scope) => scope,
        };
        let level = match scope.level {
            Level::Patient => "patient",
            Level::User => "user",
            Level::System => "system",
        };
        write!(f, "{level}/{}.", scope.kind.map_or("*", ResourceType::as_str))?;
        match (scope.v1, scope.acts) {
            (true, READ_ACTS) => f.write_str("read")?,
            (true, WRITE_ACTS) => f.write_str("write")?,
            (true, ALL_ACTS) => f.write_str("*")?,
            (_, acts) => {
                for (_, letter) in ACTS.iter().filter(|(bit, _)| acts & bit != 0) {
                    write!(f, "{letter}")?;
                }
            }
        }
        for (at, part) in scope.query.iter().enumerate() {
            write!(f, "{}{part}", if at == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// A set of scopes, in the order in which they were asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// Reads scopes with blanks between. Words that are well-formed and not known are left out (RFC 6749, section 3.3: the answer says what was granted).
    ///
    /// # Errors
    /// A word that is not in the grammar; too many.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.len() > SCOPE_BYTES_MAX {
            return Err(ScopeError::TooMany);
        }
        let mut scopes = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if let Some(scope) = Scope::parse(word)?
                && !scopes.contains(&scope)
            {
                if scopes.len() >= SCOPES_MAX {
                    return Err(ScopeError::TooMany);
                }
                scopes.push(scope);
            }
        }
        Ok(Self(scopes))
    }

    /// What both sets allow, in the order of this one. Never wider than either; where it would need more than [`SCOPES_MAX`] scopes, the rest is not granted.
    #[must_use]
    pub fn meet(&self, allowed: &Self) -> Self {
        let mut met: Vec<Scope> = Vec::new();
        for asked in &self.0 {
            // The widest first, so that what another one already says is not said again.
            let of_asked: Vec<Scope> = allowed.0.iter().filter_map(|allowed| asked.meet(allowed)).collect();
            for (at, scope) in of_asked.iter().enumerate() {
                let said = met.iter().any(|known| known.covers(scope))
                    || of_asked.iter().skip(at + 1).any(|later| later.covers(scope) && !scope.covers(later));
                if !said && met.len() < SCOPES_MAX {
                    met.push(scope.clone());
                }
            }
        }
        Self(met)
    }

    /// Whether each scope of `asked` is wholly allowed by one of this set.
    pub fn covers(&self, asked: &Self) -> bool {
        asked.0.iter().all(|asked| self.0.iter().any(|own| own.covers(asked)))
    }

    /// Whether it holds this scope.
    pub fn has(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// Whether it says anything about records of this level.
    pub fn has_level(&self, level: Level) -> bool {
        self.0.iter().any(|scope| matches!(scope, Scope::Resource(scope) if scope.level == level))
    }

    /// Those about records of other levels than `level`, and all that are not about records, are left.
    #[must_use]
    pub fn without_level(&self, level: Level) -> Self {
        let keep = |scope: &&Scope| !matches!(scope, Scope::Resource(scope) if scope.level == level);
        Self(self.0.iter().filter(keep).cloned().collect())
    }

    /// Only those about records of `level`.
    #[must_use]
    pub fn only_level(&self, level: Level) -> Self {
        let keep = |scope: &&Scope| matches!(scope, Scope::Resource(scope) if scope.level == level);
        Self(self.0.iter().filter(keep).cloned().collect())
    }

    /// Without this one.
    #[must_use]
    pub fn without(&self, scope: &Scope) -> Self {
        Self(self.0.iter().filter(|own| *own != scope).cloned().collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each as text.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(Scope::to_string).collect()
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    #[test]
    fn the_grammar_is_held() {
        for good in [
            "patient/Observation.rs",
            "patient/*.cruds",
            "user/Patient.read",
            "system/*.*",
            "user/Condition.write",
            "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
            "patient/Observation.rs?_security=a&category=b",
            "launch/patient openid fhirUser offline_access online_access launch launch/encounter",
        ] {
            assert_eq!(set(good).to_string(), good);
        }
        for bad in [
            "patient/Observation",
            "patient/Observation.",
            "patient/Observation.sr",
            "patient/Observation.rr",
            "patient/Observation.x",
            "patient/.rs",
            "patient/Obs-x.rs",
            "patient/Observation.rs?",
            "patient/Observation.rs?category",
            "patient/Observation.rs?category=",
            "patient/Observation.rs?=x",
            "patient/Observation.read?category=x",
            "patient/Observation.rs\u{e9}",
            "patient/Observation.rs\t",
            "a\"b",
        ] {
            assert_eq!(ScopeSet::parse(bad), Err(ScopeError::Malformed), "{bad}");
        }
        assert!(set("profile email patient/NotOfFhir.rs launch/other").is_empty(), "known ones only");
        let many: Vec<String> = (0..=SCOPES_MAX).map(|n| format!("patient/Observation.rs?code={n}")).collect();
        assert_eq!(ScopeSet::parse(&many.join(" ")), Err(ScopeError::TooMany));
    }

    #[test]
    fn what_two_have_in_common() {
        for (asked, allowed, both) in [
            ("patient/Observation.cruds", "patient/*.rs", "patient/Observation.rs"),
            ("patient/*.rs", "patient/Observation.r patient/Patient.rs", "patient/Observation.r patient/Patient.rs"),
            ("patient/Observation.rs", "user/Observation.rs", ""),
            ("patient/Observation.rs", "patient/*.c", ""),
            ("patient/Observation.rs?category=a", "patient/Observation.rs", "patient/Observation.rs?category=a"),
            ("patient/Observation.rs", "patient/*.rs?category=a", "patient/Observation.rs?category=a"),
            (
                "patient/Observation.rs?category=a",
                "patient/*.rs?status=b",
                "patient/Observation.rs?category=a&status=b",
            ),
            ("patient/*.read", "patient/*.cruds", "patient/*.read"),
            ("patient/*.*", "patient/*.rs", "patient/*.rs"),
            ("patient/*.read", "patient/*.r", "patient/*.r"),
            ("patient/*.rs", "patient/Observation.r patient/Observation.rs", "patient/Observation.rs"),
            ("openid launch/patient", "openid", "openid"),
        ] {
            let met = set(asked).meet(&set(allowed));
            assert_eq!(met.to_string(), both, "{asked} and {allowed}");
            assert!(set(asked).covers(&met) && set(allowed).covers(&met));
        }
        assert!(!set("patient/Observation.rs?category=a").covers(&set("patient/Observation.rs")));
        assert!(set("patient/*.rs").covers(&set("patient/Observation.r?category=a")));
    }

    proptest! {
        #[test]
        fn nothing_is_ever_widened(a in any_set(), b in any_set(), c in any_set()) {
            let met = a.meet(&b);
            prop_assert!(a.covers(&met) && b.covers(&met));
            let again = met.meet(&c);
            prop_assert!(a.covers(&again) && b.covers(&again) && c.covers(&again));
            prop_assert!(a.meet(&a).covers(&a));
            prop_assert_eq!(ScopeSet::parse(&met.to_string()).unwrap().to_string(), met.to_string());
        }
    }

    fn any_set() -> impl Strategy<Value = ScopeSet> {
        let one = "(patient|user|system)/(\\*|Observation|Patient)\\.(c?r?u?d?s|cr?u?d|read|write|\\*)";
        let query = "(\\?(category|status)=[ab](&code=[ab])?)?";
        proptest::collection::vec((one, query), 0..6).prop_map(|parts| {
            let words: Vec<String> = parts
                .into_iter()
                .map(
                    |(one, query)| {
                        if one.ends_with(['d', 's', 'c']) && !one.ends_with("read") { one + &query } else { one }
                    },
                )
                .collect();
            ScopeSet::parse(&words.join(" ")).unwrap()
        })
    }
}
