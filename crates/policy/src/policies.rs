//! Policies as read from their files: parsed, held against the schema, each with a name and a reason.
//!
//! ```text
//! care.cedar ─┐  parse     names and      validate strictly    entities: roles and kinds
//! ..         ─┼─ each ───> reasons there? ──────────────────> of records in their groups ──> Policies
//! ```
//!
//! Nothing is taken half: one mistake in one file, and none of them applies.

use crate::category::Category;
use crate::decide::Decider;
use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use tacet_types::Role;

/// The words of policies.
pub const SCHEMA: &str = include_str!("../policies/tacet.cedarschema");

/// The policies that come with the program, by file name.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("breakglass.cedar", include_str!("../policies/breakglass.cedar")),
    ("care.cedar", include_str!("../policies/care.cedar")),
    ("confidentiality.cedar", include_str!("../policies/confidentiality.cedar")),
    ("exports.cedar", include_str!("../policies/exports.cedar")),
    ("machines.cedar", include_str!("../policies/machines.cedar")),
    ("patients.cedar", include_str!("../policies/patients.cedar")),
];

/// Files of policies at once.
pub const FILES_MAX: usize = 64;
/// Bytes of one file of policies.
pub const FILE_BYTES_MAX: usize = 256 * 1024;
/// Policies in all files together. Each is looked at for each decision.
pub const POLICIES_MAX: usize = 500;
/// Characters of a policy's id: it is written into every entry of the ledger that it permits.
pub const ID_BYTES_MAX: usize = 64;

/// Why policies were not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.told())]
pub struct PolicyError {
    /// The file; empty where it is about all of them.
    pub file: String,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// The policy's id, where it is known.
    pub policy: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub help: String,
}

impl PolicyError {
    fn told(&self) -> String {
        let mut text = self.file.clone();
        if let Some(line) = self.line {
            text.push_str(&format!(":{line}"));
        }
        if let Some(policy) = &self.policy {
            text.push_str(&format!(": policy `{policy}`"));
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&self.problem);
        if !self.help.is_empty() {
            text.push_str(&format!(" ({})", self.help));
        }
        text
    }
}

/// One policy, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyInfo {
    /// Its `@id`.
    pub id: Arc<str>,
    /// The file that holds it.
    pub file: Arc<str>,
    /// The line at which it begins, from 1.
    pub line: usize,
    /// Its `@reason`.
    pub reason: Arc<str>,
    /// Its `@ground`: what the ledger names as ground where no relation is needed.
    pub ground: Option<Arc<str>>,
    /// Whether it permits; else it forbids.
    pub permits: bool,
}

/// A set of policies that applies as a whole.
pub struct Policies {
    pub(crate) infos: BTreeMap<Arc<str>, PolicyInfo>,
    pub(crate) decider: Decider,
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies").field("policies", &self.infos.keys()).finish_non_exhaustive()
    }
}

impl Policies {
    /// The policies that come with the program. Made once.
    pub fn built_in() -> Arc<Self> {
        static BUILT: LazyLock<Arc<Policies>> = LazyLock::new(|| {
            #[expect(clippy::expect_used, reason = "what is compiled in is loaded by a test")]
            let policies = Policies::load(BUILT_IN).expect("policies that come with the program are valid");
            Arc::new(policies)
        });
        Arc::clone(&BUILT)
    }

    /// The policies of these files, as `(name, text)`. They stand alone: those that come with the program do not apply beside them.
    pub fn load(texts: &[(&str, &str)]) -> Result<Self, PolicyError> {
        let about_all = |problem: String, help: &str| PolicyError {
            file: String::new(),
            line: None,
            policy: None,
            problem,
            help: help.to_owned(),
        };
        if texts.len() > FILES_MAX {
            return Err(about_all(format!("more than {FILES_MAX} files of policies"), "join some of them"));
        }
        let mut all = PolicySet::new();
        let mut infos = BTreeMap::new();
        for (name, text) in texts {
            for (info, policy) in read(name, text)? {
                if let Some(first) = infos.get(&info.id) {
                    let PolicyInfo { file, line, .. } = first;
                    let problem = format!("the id is taken by the policy at {file}:{line}");
                    return Err(about(&info, problem, "give each policy an id of its own"));
                }
                if infos.len() == POLICIES_MAX {
                    return Err(about_all(format!("more than {POLICIES_MAX} policies"), "join some of them"));
                }
                let id = PolicyId::new(&info.id);
                let added = all.add(policy.new_id(id));
                added.map_err(|error| about(&info, error.to_string(), ""))?;
                infos.insert(Arc::clone(&info.id), info);
            }
        }
        if !infos.values().any(|info| info.permits) {
            return Err(about_all("no policy permits anything".into(), "is this the folder of policies?"));
        }
        validate(&all, &infos, texts)?;
        let decider = Decider::new(all).map_err(|problem| about_all(problem, "this is a fault of Tacet: report it"))?;
        Ok(Self { infos, decider })
    }

    /// Every policy, in order of ids.
    pub fn infos(&self) -> impl Iterator<Item = &PolicyInfo> {
        self.infos.values()
    }

    /// The policy of an id.
    pub fn info(&self, id: &str) -> Option<&PolicyInfo> {
        self.infos.get(id)
    }
}

fn about(info: &PolicyInfo, problem: String, help: &str) -> PolicyError {
    PolicyError {
        file: info.file.to_string(),
        line: Some(info.line),
        policy: Some(info.id.to_string()),
        problem,
        help: help.to_owned(),
    }
}

/// The line, from 1, of a place in a text.
fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// Where a diagnostic points to, and what it advises.
fn pointed(diagnostic: &dyn Diagnostic, text: &str) -> (Option<usize>, String) {
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let line = label.as_ref().map(|label| line_at(text, label.offset()));
    let help = diagnostic.help().map(|help| help.to_string()).or_else(|| label?.label().map(str::to_owned));
    (line, help.unwrap_or_default())
}

/// The policies of one file, in the file's order.
fn read(name: &str, text: &str) -> Result<Vec<(PolicyInfo, Policy)>, PolicyError> {
    let refuse = |line, policy: Option<&str>, problem: String, help: &str| PolicyError {
        file: name.to_owned(),
        line,
        policy: policy.map(str::to_owned),
        problem,
        help: help.to_owned(),
    };
    if text.len() > FILE_BYTES_MAX {
        return Err(refuse(None, None, format!("more than {FILE_BYTES_MAX} bytes"), "split the file"));
    }
    let set = PolicySet::from_str(text).map_err(|errors| {
        let first = errors.iter().next();
        let (line, help) = first.map(|error| pointed(error, text)).unwrap_or_default();
        refuse(line, None, first.map_or_else(|| errors.to_string(), ToString::to_string), &help)
    })?;
    if let Some(template) = set.templates().next() {
        let id = template.annotation("id");
        return Err(refuse(None, id, "it has a `?slot`".into(), "write the policy out: templates are not used"));
    }
    let mut policies: Vec<&Policy> = set.policies().collect();
    // Cedar numbers the policies of a text: policy0, policy1, ..
    policies.sort_by_key(|policy| policy.id().to_string().trim_start_matches("policy").parse::<usize>().ok());
    let mut read = Vec::with_capacity(policies.len());
    for (place, policy) in policies.into_iter().enumerate() {
        let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
            let problem = format!("policy {} of the file has no id", place + 1);
            return Err(refuse(None, None, problem, "write @id(\"..\") before it"));
        };
        let at = line_of(text, id);
        let line = Some(at);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if id.len() > ID_BYTES_MAX || !id.bytes().all(plain) {
            let help = format!("ids are up to {ID_BYTES_MAX} of a-z, 0-9 and -");
            return Err(refuse(line, Some(id), "this is no id for the ledger".into(), &help));
        }
        let Some(reason) = policy.annotation("reason").filter(|reason| !reason.is_empty()) else {
            return Err(refuse(line, Some(id), "it has no reason".into(), "write @reason(\"..\") before it"));
        };
        let ground = policy.annotation("ground");
        if ground.is_some_and(|ground| ground.is_empty() || ground.len() > ID_BYTES_MAX || !ground.bytes().all(plain)) {
            let help = format!("grounds are up to {ID_BYTES_MAX} of a-z, 0-9 and -");
            return Err(refuse(line, Some(id), "its @ground is no ground for the ledger".into(), &help));
        }
        let info = PolicyInfo {
            id: id.into(),
            file: name.into(),
            line: at,
            reason: reason.into(),
            ground: ground.map(Into::into),
            permits: policy.effect() == Effect::Permit,
        };
        read.push((info, policy.clone()));
    }
    Ok(read)
}

/// The line of the policy with this id.
fn line_of(text: &str, id: &str) -> usize {
    let quoted = format!("\"{id}\"");
    let found = text.match_indices(&quoted).find(|(at, _)| {
        let before = text.get(..*at).unwrap_or_default().trim_end();
        before.strip_suffix('(').is_some_and(|before| before.trim_end().ends_with("@id"))
    });
    line_at(text, found.map_or(0, |(at, _)| at))
}

/// Holds every policy against the schema, and every name against those that there are.
fn validate(
    all: &PolicySet,
    infos: &BTreeMap<Arc<str>, PolicyInfo>,
    texts: &[(&str, &str)],
) -> Result<(), PolicyError> {
    let of = |id: &PolicyId| infos.get(id.to_string().as_str());
    let refuse = |id: &PolicyId, diagnostic: &dyn Diagnostic| {
        let info = of(id);
        let text = info.and_then(|info| texts.iter().find(|(name, _)| *name == &*info.file));
        let (line, help) = pointed(diagnostic, text.map_or("", |(_, text)| *text));
        PolicyError {
            file: info.map(|info| info.file.to_string()).unwrap_or_default(),
            line: line.or(info.map(|info| info.line)),
            policy: Some(id.to_string()),
            problem: plain_words(&diagnostic.to_string(), id),
            help,
        }
    };
    let validator = Validator::new(schema()?);
    let result = validator.validate(all, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(refuse(error.policy_id(), error));
    }
    // Warnings are of policies that never apply, and of letters that look like others: both hide what a policy does.
    if let Some(warning) = result.validation_warnings().next() {
        return Err(refuse(warning.policy_id(), warning));
    }
    for policy in all.policies() {
        for uid in policy.entity_literals() {
            let kind = uid.type_name().to_string();
            let name = uid.id().unescaped();
            let known = match kind.as_str() {
                "Role" => Role::parse(name).is_some(),
                "Category" => Category::parse(name).is_some(),
                _ => true,
            };
            if let (false, Some(info)) = (known, of(policy.id())) {
                let there: Vec<&str> = match kind.as_str() {
                    "Role" => Role::ALL.iter().map(|role| role.as_str()).collect(),
                    _ => Category::ALL.iter().map(|category| category.as_str()).collect(),
                };
                let help = format!("there are: {}", there.join(", "));
                return Err(about(info, format!("`{kind}::\"{name}\"` does not exist"), &help));
            }
        }
    }
    Ok(())
}

/// What the validator says, without the id that stands before it anyway.
fn plain_words(message: &str, id: &PolicyId) -> String {
    message.strip_prefix(&format!("for policy `{id}`, ")).unwrap_or(message).to_owned()
}

/// The schema that comes with the program.
pub(crate) fn schema() -> Result<Schema, PolicyError> {
    let read = Schema::from_cedarschema_str(SCHEMA);
    read.map(|(schema, _)| schema).map_err(|error| PolicyError {
        file: "tacet.cedarschema".into(),
        line: None,
        policy: None,
        problem: error.to_string(),
        help: "this is a fault of Tacet: report it".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = "@id(\"a\")\n@reason(\"r\")\npermit (principal == Role::\"nurse\", action, resource);\n";

    fn refused(text: &str) -> String {
        Policies::load(&[("fine.cedar", FINE), ("x.cedar", text)]).unwrap_err().to_string()
    }

    #[test]
    fn those_that_come_with_the_program_are_valid() {
        let policies = Policies::load(BUILT_IN).unwrap();
        assert!(policies.infos().count() > 20);
        let info = policies.info("clinician-care").unwrap();
        assert_eq!((&*info.file, info.permits), ("care.cedar", true));
        let line = BUILT_IN[1].1.lines().nth(info.line - 1).unwrap();
        assert!(line.contains("@id(\"clinician-care\")"));
    }

    #[test]
    fn an_error_says_where_and_what_to_do() {
        for (text, told) in [
            ("permit (principal, action, resource);", "x.cedar: policy 1 of the file has no id"),
            ("\n@id(\"b\")\npermit (principal, action, resource);", "x.cedar:2: policy `b`: it has no reason"),
            (
                "@id(\"a\") @reason(\"r\") permit (principal, action, resource);",
                "the id is taken by the policy at fine.cedar:1",
            ),
            ("@id(\"b c\") @reason(\"r\") permit (principal, action, resource);", "this is no id for the ledger"),
            ("\n\n@id(\"b\") @reason(\"r\")\npermit (principal, action, resource", "x.cedar:"),
            (
                "@id(\"b\")\n@reason(\"r\")\npermit (principal == Role::\"clincian\", action, resource);",
                "x.cedar:1: policy `b`: `Role::\"clincian\"` does not exist (there are: clinician, nurse",
            ),
            (
                "@id(\"b\") @reason(\"r\")\npermit (principal, action, resource == Category::\"secrets\");",
                "`Category::\"secrets\"` does not exist",
            ),
            (
                "@id(\"b\")\n@reason(\"r\")\npermit (principal, action, resource)\nwhen { context.relations.contains(Relation::\"neighbour\") };",
                "x.cedar:4: policy `b`",
            ),
            (
                "@id(\"b\")\n@reason(\"r\")\npermit (principal, action, resource)\nwhen { context.colour == 1 };",
                "x.cedar:4: policy `b`",
            ),
            (
                "@id(\"b\")\n@reason(\"r\")\npermit (principal in RoleGroup::\"everyone\", action, resource);",
                "x.cedar:3: policy `b`",
            ),
            (
                "@id(\"b\") @reason(\"r\") permit (principal == ?principal, action, resource);",
                "x.cedar: policy `b`: it has a `?slot`",
            ),
        ] {
            let error = refused(text);
            assert!(error.contains(told), "{error}\nfor {text}");
        }
        assert!(Policies::load(&[]).unwrap_err().to_string().contains("no policy permits anything"));
        let long = " ".repeat(FILE_BYTES_MAX + 1);
        assert!(refused(&long).contains("more than"));
    }
}
