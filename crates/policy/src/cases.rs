//! Test cases of policies: who, with which relation, wants what, and whether they shall.
//!
//! ```toml
//! [[case]]
//! name = "a ward is not in charge of a known person"
//! role = "nurse"
//! kind = "results"
//! relations = ["ward-encounter"]
//! flags = ["vip"]
//! expect = "deny"
//! ```

use crate::category::Category;
use crate::decide::Decision;
use crate::policies::Policies;
use crate::situation::{Act, ConsentSays, Label, PatientFlags, Purpose, Relation, RelationSet, Situation};
use serde::Deserialize;
use std::sync::Arc;
use tacet_types::{ResourceType, Role};

/// Bytes of a file of cases.
pub const CASES_BYTES_MAX: usize = 1024 * 1024;
/// Cases of a file.
pub const CASES_MAX: usize = 10_000;

/// The cases that the policies of the program are held to.
pub const BUILT_IN_CASES: &str = include_str!("../policies/cases.toml");

/// Why a file of cases was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// Too much.
    #[error("a file of cases has at most {CASES_BYTES_MAX} bytes and {CASES_MAX} cases: split it")]
    TooMany,
    /// Neither TOML nor JSON of cases.
    #[error("cases are not understood: {0}")]
    Syntax(String),
    /// A word that there is not.
    #[error("case `{case}`: {field} `{word}` does not exist (there are: {there})")]
    Word {
        /// The case's name.
        case: String,
        /// The field.
        field: &'static str,
        /// What stands there.
        word: String,
        /// What could.
        there: String,
    },
    /// Neither a kind nor a type, or both.
    #[error("case `{0}` needs either `kind`, like \"results\", or `type`, like \"Observation\"")]
    Kind(String),
    /// No case at all: a test of nothing would pass.
    #[error("there is no case in the file: begin each with [[case]]")]
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, alias = "cases")]
    case: Vec<Written>,
}

fn yes() -> bool {
    true
}

/// A case as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    role: String,
    act: Option<String>,
    kind: Option<String>,
    #[serde(rename = "type")]
    resource_type: Option<String>,
    #[serde(default)]
    relations: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    labels: Vec<String>,
    purpose: Option<String>,
    #[serde(default = "yes")]
    strong: bool,
    #[serde(default)]
    supplier: bool,
    #[serde(default = "yes")]
    of_patient: bool,
    #[serde(default)]
    upcoming: bool,
    #[serde(default)]
    break_glass: bool,
    consent: Option<String>,
    #[serde(default)]
    approved: bool,
    expect: String,
    by: Option<String>,
}

/// One case.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// One situation, and one more for each label: all must be permitted.
    pub situations: Vec<Situation>,
    /// Whether it shall be permitted.
    pub expect_permit: bool,
    /// The policy that shall be among those that decide.
    pub by: Option<String>,
}

/// What became of a case.
#[derive(Clone, PartialEq, Debug)]
pub struct Tried {
    /// The case's name.
    pub name: String,
    /// Whether it came out as it should.
    pub passed: bool,
    /// Whether it shall be permitted.
    pub expect_permit: bool,
    /// What was decided, by which policies.
    pub decision: Decision,
}

fn word<T>(
    case: &str,
    field: &'static str,
    word: &str,
    parsed: Option<T>,
    there: impl FnOnce() -> Vec<&'static str>,
) -> Result<T, CasesError> {
    let error = || CasesError::Word { case: case.to_owned(), field, word: word.to_owned(), there: there().join(", ") };
    parsed.ok_or_else(error)
}

impl Written {
    fn read(self) -> Result<Case, CasesError> {
        let name = self.name.as_str();
        let roles = || Role::ALL.iter().map(|role| role.as_str()).collect();
        let role = word(name, "role", &self.role, Role::parse(&self.role), roles)?;
        let act = self.act.as_deref().unwrap_or(Act::Read.as_str());
        let acts = || Act::ALL.iter().map(|act| act.as_str()).collect();
        let act = word(name, "act", act, Act::parse(act), acts)?;
        let category = match (&self.kind, &self.resource_type) {
            (Some(kind), None) => {
                let kinds = || Category::ALL.iter().map(|category| category.as_str()).collect();
                word(name, "kind", kind, Category::parse(kind), kinds)?
            }
            (None, Some(text)) => {
                let types = || vec!["the resource types of R4"];
                Category::of(word(name, "type", text, ResourceType::parse(text), types)?)
            }
            _ => return Err(CasesError::Kind(self.name)),
        };
        let mut relations = RelationSet::NONE;
        for text in &self.relations {
            let there = || Relation::ALL.iter().map(|relation| relation.as_str()).collect();
            relations.insert(word(name, "relation", text, Relation::parse(text), there)?);
        }
        let mut flags = PatientFlags::NONE;
        for text in &self.flags {
            let there = || vec!["detained", "vip", "staff", "restricted"];
            word(name, "flag", text, flags.set(text).then_some(()), there)?;
        }
        let mut labels = Vec::new();
        for text in &self.labels {
            let there = || Label::all().map(Label::as_str).collect();
            labels.push(Some(word(name, "label", text, Label::parse(text), there)?));
        }
        let consent = self.consent.as_deref().unwrap_or(ConsentSays::Nothing.as_str());
        let there = || ConsentSays::ALL.iter().map(|says| says.as_str()).collect();
        let consent = word(name, "consent", consent, ConsentSays::parse(consent), there)?;
        let expect_permit = match self.expect.as_str() {
            "allow" => true,
            "deny" => false,
            other => return word(name, "expect", other, None, || vec!["allow", "deny"]),
        };
        let situation = |label| Situation {
            role,
            act,
            purpose: self.purpose.as_deref().map_or(Purpose::usual(role), Purpose::of),
            strong: self.strong,
            supplier: self.supplier,
            category,
            of_patient: self.of_patient,
            upcoming: self.upcoming && category.is_planned(),
            relations,
            flags,
            label,
            break_glass: self.break_glass,
            consent,
            approved: self.approved,
        };
        let situations = std::iter::once(None).chain(labels).map(situation).collect();
        Ok(Case { name: self.name.clone(), situations, expect_permit, by: self.by })
    }
}

/// The cases of a file: JSON where it begins with `{`, else TOML.
pub fn cases(text: &str) -> Result<Vec<Case>, CasesError> {
    if text.len() > CASES_BYTES_MAX {
        return Err(CasesError::TooMany);
    }
    let file: File = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| CasesError::Syntax(error.to_string()))?
    } else {
        toml::from_str(text).map_err(|error| CasesError::Syntax(error.to_string()))?
    };
    match file.case.len() {
        0 => Err(CasesError::None),
        1..=CASES_MAX => file.case.into_iter().map(Written::read).collect(),
        _ => Err(CasesError::TooMany),
    }
}

impl Policies {
    /// Tries cases, and says of each what came out.
    pub fn test(&self, cases: &[Case]) -> Vec<Tried> {
        cases.iter().map(|case| self.tried(case)).collect()
    }

    fn tried(&self, case: &Case) -> Tried {
        let decisions: Vec<Decision> = case.situations.iter().map(|situation| self.decide_anew(situation)).collect();
        let denied = decisions.iter().find(|decision| !decision.permit);
        let nothing = || Decision { permit: false, policies: Arc::default() };
        let decision = denied.or(decisions.first()).cloned().unwrap_or_else(nothing);
        let by = case.by.as_deref();
        let passed = decision.permit == case.expect_permit
            && by.is_none_or(|by| decision.policies.iter().any(|policy| **policy == *by));
        Tried { name: case.name.clone(), passed, expect_permit: case.expect_permit, decision }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_of_the_program_pass_their_cases() {
        let cases = cases(BUILT_IN_CASES).unwrap();
        assert!(cases.len() > 40);
        let failed: Vec<Tried> = Policies::built_in().test(&cases).into_iter().filter(|tried| !tried.passed).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        let used = |policy: &str| cases.iter().any(|case| case.by.as_deref() == Some(policy));
        let untested: Vec<String> =
            Policies::built_in().infos().map(|info| info.id.to_string()).filter(|id| !used(id)).collect();
        assert!(untested.is_empty(), "policies that no case names: {untested:?}");
    }

    #[test]
    fn json_says_the_same_as_toml() {
        let toml = "[[case]]\nname = \"n\"\nrole = \"nurse\"\ntype = \"Observation\"\nlabels = [\"hiv\", \"vip\"]\nexpect = \"deny\"\n";
        let json = r#"{"cases": [{"name": "n", "role": "nurse", "kind": "results", "labels": ["hiv", "vip"], "expect": "deny"}]}"#;
        let read = cases(toml).unwrap();
        assert_eq!(read, cases(json).unwrap());
        assert_eq!(read[0].situations.len(), 3);
    }

    #[test]
    fn a_wrong_word_is_named() {
        let with = |line: &str| {
            let text = format!("[[case]]\nname = \"n\"\nrole = \"nurse\"\nexpect = \"deny\"\n{line}\n");
            cases(&text).unwrap_err().to_string()
        };
        assert!(with("kind = \"secrets\"").contains("kind `secrets` does not exist (there are: demographics,"));
        assert!(with("kind = \"results\"\nflags = [\"rich\"]").contains("flag `rich` does not exist"));
        assert!(with("kind = \"results\"\ncolour = 1").contains("unknown field"));
        assert!(with("").contains("needs either `kind`"));
        assert!(matches!(cases(""), Err(CasesError::None)));
    }
}
