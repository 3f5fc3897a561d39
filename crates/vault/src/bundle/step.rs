//! What the entries of a bundle ask for (<https://hl7.org/fhir/R4/bundle.html#bundle-request>).

use super::{BUNDLE_ENTRIES_MAX, criteria, invalid};
use crate::error::VaultError;
use crate::plan::Expect;
use crate::search::SearchCall;
use crate::vault::Vault;
use crate::write::refuse_unkept;
use tacet_fhir::compartment::Compartment;
use tacet_fhir::json::Json;
use tacet_search::request::{Handling, Scope};
use tacet_types::{ResourceId, ResourceType, VersionId};

/// What an entry asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    Read(Option<VersionId>),
    Search,
    Create,
    Update,
    Patch,
    Delete,
}

/// Which resource an entry is about.
pub(super) enum Target {
    /// The one of its URL, or a new one.
    Id,
    /// The one that fits these criteria.
    Criteria(Vec<(String, String)>),
    /// Those that a search finds.
    Search(Box<SearchCall>),
}

/// One entry of a bundle.
pub(super) struct Step<'a> {
    pub(super) verb: Verb,
    pub(super) resource_type: ResourceType,
    /// Given in the URL, or chosen for a new resource.
    pub(super) id: ResourceId,
    pub(super) expect: Expect,
    pub(super) target: Target,
    pub(super) resource: Option<Json<'a>>,
    pub(super) full_url: Option<String>,
}

/// The version that a writer named.
pub(super) fn version_of(expect: Expect) -> Option<VersionId> {
    match expect {
        Expect::Version(version) => Some(version),
        Expect::Any | Expect::Absent => None,
    }
}

/// What a GET searches for: a type, everything, or a compartment. None: it is no search.
fn search_url(url: &str, base_url: &str) -> Result<Option<SearchCall>, VaultError> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let path = path.strip_prefix(base_url).unwrap_or(path).trim_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let scope = match parts.as_slice() {
        [""] if url.contains('?') => Scope::System,
        [name] => match ResourceType::parse(name) {
            Some(resource_type) => Scope::Type(resource_type),
            None => return Ok(None),
        },
        [name, id, inside] if !inside.starts_with('_') && !inside.starts_with('$') => {
            let compartment = ResourceType::parse(name).and_then(Compartment::of);
            let types = if *inside == "*" { Some(None) } else { ResourceType::parse(inside).map(Some) };
            match (compartment, ResourceId::parse(id), types) {
                (Some(compartment), Ok(id), Some(types)) => Scope::Compartment { compartment, id, types },
                _ => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    let mut parameters = criteria::decode_query(query)?;
    let cursor = parameters.iter().position(|(name, _)| name == "_cursor").map(|place| parameters.remove(place).1);
    let base_url = base_url.to_owned();
    Ok(Some(SearchCall { scope, parameters, handling: Handling::Strict, base_url, cursor }))
}

impl Step<'_> {
    /// The step without what it carries: enough for its turns.
    pub(super) fn criteria_only(&self) -> Step<'static> {
        let target = match &self.target {
            Target::Criteria(criteria) => Target::Criteria(criteria.clone()),
            _ => Target::Id,
        };
        Step {
            verb: self.verb.clone(),
            resource_type: self.resource_type,
            id: self.id.clone(),
            expect: self.expect,
            target,
            resource: None,
            full_url: None,
        }
    }

    pub(super) fn writes(&self) -> bool {
        !matches!(self.verb, Verb::Read(_) | Verb::Search)
    }
}

impl Vault {
    /// Understands one entry.
    pub(super) fn step<'a>(&self, entry: Json<'a>, base_url: &str) -> Result<Step<'a>, VaultError> {
        let Json::Object(members) = entry else { return Err(invalid("", "an entry must be an object")) };
        let (mut resource, mut request, mut full_url) = (None, None, None);
        for (name, value) in members {
            match name.as_ref() {
                "resource" => resource = Some(value),
                "request" => request = Some(value),
                "fullUrl" => full_url = value.as_str().map(str::to_owned),
                _ => {}
            }
        }
        let request =
            request.ok_or_else(|| invalid("request", "an entry of a batch or transaction needs a request"))?;
        let text = |name: &str| request.get(name).and_then(Json::as_str);
        let url = text("url").ok_or_else(|| invalid("request.url", "an entry needs a URL"))?;
        if let (Some("GET" | "HEAD"), Some(call)) = (text("method"), search_url(url, base_url)?) {
            let resource_type = ResourceType::parse("Bundle").ok_or(VaultError::NotFound)?;
            let (id, target) = (ResourceId::random(self.0.rng.as_ref()), Target::Search(Box::new(call)));
            return Ok(Step {
                verb: Verb::Search,
                resource_type,
                id,
                expect: Expect::Any,
                target,
                resource: None,
                full_url,
            });
        }
        let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
        let (resource_type, id, version) = parse_url(path, base_url)?;
        let target = match (query, text("ifNoneExist"), text("method")) {
            (None, Some(criteria), Some("POST")) => Target::Criteria(criteria::decode_query(criteria)?),
            (Some(query), None, Some("PUT" | "PATCH" | "DELETE")) if id.is_none() => {
                Target::Criteria(criteria::decode_query(query)?)
            }
            (None, _, _) => Target::Id,
            _ => return Err(invalid("request.url", "criteria stand in `[type]?...` or, for POST, in `ifNoneExist`")),
        };
        let by_criteria = matches!(target, Target::Criteria(_));
        // The one that fits is not known yet; what does not fit anything gets a new id.
        let id = if by_criteria && id.is_none() && text("method") != Some("POST") {
            Some(ResourceId::random(self.0.rng.as_ref()))
        } else {
            id
        };
        let needed = |id: Option<ResourceId>| id.ok_or_else(|| invalid("request.url", "this needs `[type]/[id]`"));
        let (verb, id) = match (text("method"), version) {
            (Some("GET" | "HEAD"), version) => (Verb::Read(version), needed(id)?),
            (Some("POST"), None) if id.is_none() => (Verb::Create, ResourceId::random(self.0.rng.as_ref())),
            (Some("PUT"), None) => (Verb::Update, needed(id)?),
            (Some("DELETE"), None) => (Verb::Delete, needed(id)?),
            (Some("PATCH"), None) => (Verb::Patch, needed(id)?),
            _ => {
                return Err(invalid(
                    "request.method",
                    "no such request: use GET, POST, PUT, PATCH or DELETE as FHIR has them",
                ));
            }
        };
        let expect = match (text("ifMatch"), text("ifNoneMatch")) {
            (Some(tag), _) => Expect::Version(
                parse_etag(tag)
                    .ok_or_else(|| invalid("request.ifMatch", "expected an entity tag such as `W/\"3\"`"))?,
            ),
            (None, Some("*")) => Expect::Absent,
            _ => Expect::Any,
        };
        if matches!(verb, Verb::Create | Verb::Update) {
            refuse_unkept(resource_type)?;
            let value =
                resource.as_ref().ok_or_else(|| invalid("resource", "an entry that writes needs a resource"))?;
            let named = value.get("resourceType").and_then(Json::as_str) == Some(resource_type.as_str());
            let same_id =
                verb == Verb::Create || by_criteria || value.get("id").and_then(Json::as_str) == Some(id.as_str());
            if !named || !same_id {
                return Err(VaultError::IdMismatch);
            }
        }
        Ok(Step { verb, resource_type, id, expect, target, resource, full_url })
    }
}

pub(super) fn entries_of(bundle: Json<'_>) -> Result<Vec<Json<'_>>, VaultError> {
    let Json::Object(members) = bundle else { return Err(invalid("Bundle", "a bundle must be an object")) };
    let entries = members.into_iter().find(|(name, _)| name == "entry").map(|(_, value)| value);
    match entries {
        None => Ok(Vec::new()),
        Some(Json::Array(entries)) if entries.len() > BUNDLE_ENTRIES_MAX => {
            Err(VaultError::TooLarge { what: "entries in a bundle", max: BUNDLE_ENTRIES_MAX })
        }
        Some(Json::Array(entries)) => Ok(entries),
        Some(_) => Err(invalid("Bundle.entry", "must be an array")),
    }
}

fn parse_url(url: &str, base_url: &str) -> Result<(ResourceType, Option<ResourceId>, Option<VersionId>), VaultError> {
    let unknown = || invalid("request.url", "expected `[type]`, `[type]/[id]` or `[type]/[id]/_history/[version]`");
    let relative = url.strip_prefix(base_url).unwrap_or(url).trim_start_matches('/');
    let mut parts = relative.split('/');
    let resource_type = parts.next().and_then(ResourceType::parse).ok_or_else(unknown)?;
    let id = match parts.next() {
        None => return Ok((resource_type, None, None)),
        Some(id) => ResourceId::parse(id).map_err(|_| unknown())?,
    };
    match (parts.next(), parts.next(), parts.next()) {
        (None, None, None) => Ok((resource_type, Some(id), None)),
        (Some("_history"), Some(version), None) => {
            Ok((resource_type, Some(id), Some(VersionId::parse(version).ok_or_else(unknown)?)))
        }
        _ => Err(unknown()),
    }
}

/// A weak entity tag, `W/"3"`.
fn parse_etag(tag: &str) -> Option<VersionId> {
    VersionId::parse(tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?)
}
