//! What can be asked of the definitions: the operations of R4's terminology service, and `$validate`.
//!
//! <https://hl7.org/fhir/R4/terminology-service.html>, <https://hl7.org/fhir/R4/resource-operation-validate.html>. An operation on a
//! stored resource reads it, under an entry of the ledger that names it; one on a type has an entry that names the question.

use crate::caller::Caller;
use crate::disclose::{Disclosed, json_limits};
use crate::error::VaultError;
use crate::search::escaped;
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::{Issue, IssueType};
use tacet_ledger::QUERY_BYTES_MAX;
use tacet_terminology::{ErrorKind, Input, Kind, Moment, Operation, TerminologyError};
use tacet_types::{ResourceId, ResourceType};
use zeroize::Zeroizing;

/// Most profiles that one `$validate` may name.
const PROFILES_MAX: usize = 20;

/// The type of definition that an operation is called on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefinitionKind {
    /// `$lookup`, `$validate-code`, `$subsumes`.
    CodeSystem,
    /// `$expand`, `$validate-code`.
    ValueSet,
    /// `$translate`.
    ConceptMap,
}

impl DefinitionKind {
    /// The kind of this type, if operations are called on it.
    pub fn of(resource_type: ResourceType) -> Option<Self> {
        match resource_type.as_str() {
            "CodeSystem" => Some(Self::CodeSystem),
            "ValueSet" => Some(Self::ValueSet),
            "ConceptMap" => Some(Self::ConceptMap),
            _ => None,
        }
    }

    /// The type's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CodeSystem => "CodeSystem",
            Self::ValueSet => "ValueSet",
            Self::ConceptMap => "ConceptMap",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::CodeSystem => Kind::CodeSystem,
            Self::ValueSet => Kind::ValueSet,
            Self::ConceptMap => Kind::ConceptMap,
        }
    }
}

/// What an operation is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OperationInput {
    /// Names and values of a URL, decoded.
    Query(Vec<(String, String)>),
    /// A `Parameters` resource, or the one resource that the operation takes, as JSON.
    Body(Vec<u8>),
}

/// A call of an operation on terminology.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperationCall {
    /// The type it is called on.
    pub kind: DefinitionKind,
    /// The resource it is called on, if it is not the type.
    pub id: Option<ResourceId>,
    /// Its name, without `$`.
    pub name: String,
    /// What it is given.
    pub input: OperationInput,
}

/// A call of `$validate`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValidateCall {
    /// The type it is called on.
    pub resource_type: ResourceType,
    /// The resource it is called on, if it is not the type.
    pub id: Option<ResourceId>,
    /// The resource to look at, or a `Parameters` with it as `resource`, as JSON. None: the stored one.
    pub body: Option<Vec<u8>>,
    /// `create`, `update`, `delete` or `profile`. One in the body comes before it.
    pub mode: Option<String>,
    /// Profiles that the resource must have, beside its own. Those in the body come with them.
    pub profiles: Vec<String>,
}

impl Vault {
    /// Carries out an operation on terminology; the answer is a resource. Blocks while definitions are read that were stored before.
    pub async fn terminology(&self, caller: &Caller, call: &OperationCall) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        if !caller.role.may_read_records() {
            return Err(VaultError::Forbidden);
        }
        let path = format!("{}/${}", call.kind.as_str(), call.name);
        let resource_type = ResourceType::parse(call.kind.as_str()).ok_or(VaultError::NotFound)?;
        let stored = match &call.id {
            Some(id) => Some(self.read(caller, resource_type, id).await?),
            None => {
                let named = match &call.input {
                    OperationInput::Query(pairs) => pairs.as_slice(),
                    OperationInput::Body(_) => &[],
                };
                self.0.note_question(caller, &path, named).await?;
                None
            }
        };
        let snapshot = self.0.knowing.fresh()?;
        let stored = stored.as_ref().map(|stored| json::parse(&stored.body, &json_limits())).transpose()?;
        let body = match &call.input {
            OperationInput::Body(body) => Some(json::parse(body, &self.0.limits.json)?),
            OperationInput::Query(_) => None,
        };
        let input = match (&call.input, &body) {
            (OperationInput::Query(pairs), _) => Input::Query(pairs),
            (_, Some(body)) => Input::Resource(body),
            (OperationInput::Body(_), None) => Input::Query(&[]),
        };
        let operation = Operation { name: &call.name, kind: call.kind.kind(), input, instance: stored.as_ref() };
        let moment = Moment { clock: self.0.clock.as_ref(), rng: self.0.rng.as_ref() };
        let answer = snapshot.terminology().operation(&operation, moment).map_err(VaultError::Operation)?;
        Ok(Zeroizing::new(json::write(&answer)))
    }

    /// Says what is wrong with a resource, without storing it. Blocks while definitions are read that were stored before.
    pub async fn validate(&self, caller: &Caller, call: &ValidateCall) -> Result<Vec<Issue>, VaultError> {
        if !caller.role.may_read_records() {
            return Err(VaultError::Forbidden);
        }
        let body = call.body.as_ref().map(|body| json::parse(body, &self.0.limits.json)).transpose()?;
        let Asked { resource, mode, profiles } = asked(call, body.as_ref())?;
        let look_at_stored = mode == Mode::Delete || (resource.is_none() && call.id.is_some());
        let stored: Option<Disclosed> = match &call.id {
            Some(id) if look_at_stored => Some(self.read(caller, call.resource_type, id).await?),
            _ => {
                let mut named: Vec<(String, String)> = Vec::new();
                named.extend(profiles.iter().map(|profile| ("profile".to_owned(), (*profile).to_owned())));
                self.0.note_question(caller, &format!("{}/$validate", call.resource_type), &named).await?;
                None
            }
        };
        if mode == Mode::Delete {
            // What may be read may be deleted: there is no rule of integrity that would forbid it.
            return Ok(Vec::new());
        }
        let snapshot = self.0.knowing.fresh()?;
        let stored = stored.as_ref().map(|stored| json::parse(&stored.body, &json_limits())).transpose()?;
        let value = match (&stored, resource) {
            (Some(stored), _) => stored,
            (None, Some(resource)) => resource,
            (None, None) => {
                return Err(request("send the resource to validate, by itself or as the parameter `resource`"));
            }
        };
        let mut issues = Vec::new();
        if value.resource_type() != Some(call.resource_type.as_str()) {
            let message = "the resource is not of the type in the URL";
            issues.push(Issue::error(IssueType::Invalid, "", message));
        }
        if let (Mode::Update, Some(id)) = (mode, &call.id)
            && value.get_str("id") != Some(id.as_str())
        {
            let message = "the id must be the one in the URL";
            issues.push(Issue::error(IssueType::Invalid, format!("{}.id", call.resource_type), message));
        }
        issues.extend(self.0.held_to_profiles(value, &profiles, &snapshot));
        Ok(issues)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Create,
    Update,
    Delete,
    Profile,
}

/// What a call of `$validate` asks for.
struct Asked<'a> {
    resource: Option<&'a Json<'a>>,
    mode: Mode,
    profiles: Vec<&'a str>,
}

fn asked<'a>(call: &'a ValidateCall, body: Option<&'a Json<'a>>) -> Result<Asked<'a>, VaultError> {
    let mut mode = call.mode.as_deref();
    let mut profiles: Vec<&str> = call.profiles.iter().map(String::as_str).collect();
    let mut resource = body;
    if let Some(parameters) = body.filter(|body| body.resource_type() == Some("Parameters")) {
        resource = None;
        for parameter in parameters.get("parameter").map(Json::items).unwrap_or_default() {
            let text = || {
                ["valueCode", "valueUri", "valueCanonical", "valueString"]
                    .iter()
                    .find_map(|name| parameter.get_str(name))
            };
            match parameter.get_str("name") {
                Some("resource") => resource = parameter.get("resource"),
                Some("mode") => mode = text(),
                Some("profile") => profiles.extend(text()),
                _ => return Err(request("`$validate` takes the parameters `resource`, `mode` and `profile`")),
            }
        }
    }
    if profiles.len() > PROFILES_MAX {
        return Err(VaultError::TooLarge { what: "profiles to validate against", max: PROFILES_MAX });
    }
    let mode = match (mode, &call.id) {
        (Some("create"), _) => Mode::Create,
        (Some("update"), _) => Mode::Update,
        (Some("delete"), Some(_)) => Mode::Delete,
        (Some("delete"), None) => {
            return Err(request("`mode=delete` is for a stored resource: name its id in the URL"));
        }
        (Some("profile"), Some(_)) if resource.is_some() => {
            return Err(request("`mode=profile` is for the stored resource: send none"));
        }
        (Some("profile"), None) => {
            return Err(request("`mode=profile` is for a stored resource: name its id in the URL"));
        }
        (None | Some("profile"), _) => Mode::Profile,
        _ => return Err(request("`mode` must be create, update, delete or profile")),
    };
    Ok(Asked { resource, mode, profiles })
}

fn request(message: &str) -> VaultError {
    VaultError::Operation(TerminologyError { kind: ErrorKind::Request, message: message.to_owned() })
}

impl Inner {
    /// Writes down that somebody asked something that no record answers.
    async fn note_question(&self, caller: &Caller, path: &str, named: &[(String, String)]) -> Result<(), VaultError> {
        let mut query = path.to_owned();
        for (place, (name, value)) in named.iter().enumerate() {
            query.push(if place == 0 { '?' } else { '&' });
            query += &escaped(name);
            query.push('=');
            query += &escaped(value);
        }
        if query.len() > QUERY_BYTES_MAX {
            return Err(VaultError::TooLarge { what: "bytes in the parameters of an operation", max: QUERY_BYTES_MAX });
        }
        self.disclose_nothing(caller, EventKind::Search, &query, Outcome::Success, None).await
    }
}
