//! Batch and transaction bundles.
//!
//! A transaction is one plan and one commit: all of it or nothing. Its references between entries are resolved to the
//! ids that the entries get. A batch is its entries one after the other, each with its own outcome.

mod criteria;

use crate::caller::Caller;
use crate::conditional::ConditionalCreate;
use crate::disclose::{Disclosed, SHOWN_BYTES_MAX};
use crate::error::VaultError;
use crate::head::Method;
use crate::plan::Expect;
use crate::references::{refuse_unresolved, resolve, resolve_alone};
use crate::search::SearchCall;
use crate::vault::Vault;
use crate::write::{Stored, refuse_unkept};
use criteria::Resolved;
use std::collections::{HashMap, HashSet};
use tacet_fhir::compartment::Compartment;
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::{Issue, IssueType, operation_outcome_bytes};
use tacet_search::request::{Handling, Scope};
use tacet_types::{RecordRef, ResourceId, ResourceType, Timestamp, VersionId};
use zeroize::Zeroizing;

/// Most entries in one bundle.
pub const BUNDLE_ENTRIES_MAX: usize = 10_000;

/// What a writer wants back (`Prefer: return=`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReturnPreference {
    /// Only where it is and which version.
    #[default]
    Minimal,
    /// The resource as stored.
    Representation,
    /// An OperationOutcome.
    OperationOutcome,
}

/// What an entry asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Verb {
    Read(Option<VersionId>),
    Search,
    Create,
    Update,
    Patch,
    Delete,
}

/// Which resource an entry is about.
enum Target {
    /// The one of its URL, or a new one.
    Id,
    /// The one that fits these criteria.
    Criteria(Vec<(String, String)>),
    /// Those that a search finds.
    Search(Box<SearchCall>),
}

/// One entry of a bundle.
struct Step<'a> {
    verb: Verb,
    resource_type: ResourceType,
    /// Given in the URL, or chosen for a new resource.
    id: ResourceId,
    expect: Expect,
    target: Target,
    resource: Option<Json<'a>>,
    full_url: Option<String>,
}

/// What became of an entry.
enum Done {
    Stored(Stored),
    Deleted(Option<RecordRef>),
    Read(Disclosed),
    /// A create that found its resource there.
    Exists(RecordRef, Timestamp),
    /// A Bundle of what a search found.
    Found(Zeroizing<Vec<u8>>),
}

impl From<Resolved> for Done {
    fn from(resolved: Resolved) -> Self {
        match resolved {
            Resolved::Exists(record, last_updated) => Self::Exists(record, last_updated),
            Resolved::Nothing => Self::Deleted(None),
        }
    }
}

/// The version that a writer named.
fn version_of(expect: Expect) -> Option<VersionId> {
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
    fn criteria_only(&self) -> Step<'static> {
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

    fn writes(&self) -> bool {
        !matches!(self.verb, Verb::Read(_) | Verb::Search)
    }
}

impl Done {
    /// Bytes of opened records in the answer.
    fn bytes(&self) -> usize {
        match self {
            Self::Read(disclosed) => disclosed.body.len(),
            Self::Found(bundle) => bundle.len(),
            Self::Stored(_) | Self::Deleted(_) | Self::Exists(..) => 0,
        }
    }
}

impl Vault {
    /// Carries out a batch or transaction bundle; gives the response bundle.
    ///
    /// `base_url` (without a slash at the end) is what absolute references to this server begin with.
    pub async fn bundle(
        &self,
        caller: &Caller,
        body: &[u8],
        base_url: &str,
        prefer: ReturnPreference,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        if !caller.role.may_write_records() {
            return Err(VaultError::Forbidden);
        }
        let bundle = json::parse(body, &self.0.limits.json)?;
        let kind = bundle.get("type").and_then(Json::as_str).map(str::to_owned);
        if bundle.get("resourceType").and_then(Json::as_str) != Some("Bundle") {
            return Err(invalid("Bundle", "the body of a POST to the base must be a Bundle"));
        }
        match kind.as_deref() {
            Some("transaction") => self.transaction(caller, bundle, base_url, prefer).await,
            Some("batch") => self.batch(caller, bundle, base_url, prefer).await,
            _ => Err(invalid("Bundle.type", "only a bundle of type `batch` or `transaction` can be carried out")),
        }
    }

    async fn transaction(
        &self,
        caller: &Caller,
        bundle: Json<'_>,
        base_url: &str,
        prefer: ReturnPreference,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.0.check_rules(&bundle)?;
        let entries = entries_of(bundle)?;
        let mut steps = Vec::with_capacity(entries.len());
        for (place, entry) in entries.into_iter().enumerate() {
            steps.push(self.step(entry, base_url).map_err(|error| at_entry(error, place))?);
        }
        let references = criteria::conditional_references(&steps)?;
        let said: Vec<Step<'_>> = steps.iter().map(Step::criteria_only).collect();
        // Held until all is committed: nobody else with the same criteria looks or writes meanwhile.
        let _turns = self.turns_of(&said, &references).await?;
        let mut resolved: HashMap<usize, Done> = HashMap::new();
        for (place, step) in steps.iter_mut().enumerate() {
            if let Some(found) = self.settle(caller, step, base_url).await.map_err(|error| at_entry(error, place))? {
                if let Resolved::Exists(record, _) = &found {
                    step.id = record.id.clone();
                }
                resolved.insert(place, found.into());
            } else if step.verb == Verb::Patch {
                self.settle_patch(caller, step, base_url).await.map_err(|error| at_entry(error, place))?;
            } else if let Target::Search(call) = &step.target {
                // What is no search is refused before anything is written.
                let indexing = self.0.answering()?;
                self.0
                    .compile_search(indexing, &call.scope, &call.parameters, call.handling, base_url)
                    .map_err(|error| at_entry(error, place))?;
            }
        }
        refuse_duplicates(&steps, &resolved)?;
        let mut targets: HashMap<String, String> = steps
            .iter()
            .filter(|step| matches!(step.verb, Verb::Create | Verb::Update))
            .filter_map(|step| Some((step.full_url.clone()?, format!("{}/{}", step.resource_type, step.id.as_str()))))
            .collect();
        targets.extend(self.lead(caller, &references, base_url).await?);
        for (place, step) in steps.iter_mut().enumerate() {
            if let Some(resource) = &mut step.resource
                && !resolved.contains_key(&place)
            {
                resolve(resource, &targets, base_url);
                refuse_unresolved(resource).map_err(|error| at_entry(error, place))?;
            }
        }
        // What is not written by this transaction reads the same before it, and may still refuse all of it.
        let written: HashSet<(ResourceType, &ResourceId)> =
            steps.iter().filter(|step| step.writes()).map(|step| (step.resource_type, &step.id)).collect();
        let (mut read, mut bytes) = (HashMap::new(), 0usize);
        for (place, step) in steps.iter().enumerate() {
            if matches!(step.verb, Verb::Read(_)) && !written.contains(&(step.resource_type, &step.id)) {
                let done = self.read_step(caller, step, bytes).await.map_err(|error| at_entry(error, place))?;
                bytes = bytes.saturating_add(done.bytes());
                read.insert(place, done);
            }
        }
        drop(written);
        // FHIR R4, http.html#trules: deletions, then creations, then updates, then reads.
        let mut order: Vec<usize> = (0..steps.len()).filter(|place| !resolved.contains_key(place)).collect();
        order.sort_by_key(|place| steps.get(*place).map(|step| rank(&step.verb)));
        let (written, _) = self
            .0
            .commit(caller, None, |plan| {
                let mut written = HashMap::new();
                for place in &order {
                    let Some(step) = steps.get_mut(*place) else { continue };
                    let done = match (&step.verb, &mut step.resource) {
                        (Verb::Create, Some(resource)) => Done::Stored(
                            plan.put(step.resource_type, &step.id, resource, Method::Post, Expect::Absent)?.into(),
                        ),
                        (Verb::Update, Some(resource)) => Done::Stored(
                            plan.put(step.resource_type, &step.id, resource, Method::Put, step.expect)?.into(),
                        ),
                        (Verb::Delete, _) => Done::Deleted(
                            plan.delete(step.resource_type, &step.id, step.expect)?.map(|(record, _)| record),
                        ),
                        _ => continue,
                    };
                    written.insert(*place, done);
                }
                Ok(written)
            })
            .await?;
        let mut done = written;
        done.extend(read);
        done.extend(resolved);
        let mut responses = Vec::with_capacity(steps.len());
        for (place, step) in steps.iter().enumerate() {
            // From here on all is written: an entry that cannot be answered says so itself, and the others stand.
            let done = match done.remove(&place) {
                Some(done) => Ok(done),
                None if !step.writes() => self.read_step(caller, step, bytes).await, // searches too
                None => Err(VaultError::Internal("an entry of the bundle was not carried out".into())),
            };
            bytes = bytes.saturating_add(done.as_ref().map_or(0, Done::bytes));
            responses.push(render(&done, prefer, caller));
        }
        Ok(response_bundle("transaction-response", &responses))
    }

    async fn batch(
        &self,
        caller: &Caller,
        bundle: Json<'_>,
        base_url: &str,
        prefer: ReturnPreference,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (mut responses, mut bytes) = (Vec::new(), 0usize);
        for entry in entries_of(bundle)? {
            let done = match self.step(entry, base_url) {
                Ok(step) => self.carry_out(caller, step, base_url, bytes).await,
                Err(error) => Err(error),
            };
            bytes = bytes.saturating_add(done.as_ref().map_or(0, Done::bytes));
            responses.push(render(&done, prefer, caller));
        }
        Ok(response_bundle("batch-response", &responses))
    }

    async fn carry_out(
        &self,
        caller: &Caller,
        mut step: Step<'_>,
        base_url: &str,
        bytes: usize,
    ) -> Result<Done, VaultError> {
        let references = criteria::conditional_references(std::slice::from_ref(&step))?;
        if !references.is_empty() {
            let targets = self.lead(caller, &references, base_url).await?;
            if let Some(resource) = &mut step.resource {
                resolve(resource, &targets, base_url);
            }
        }
        if let Target::Criteria(criteria) = &step.target {
            let criteria = criteria.clone();
            return self.carry_out_conditional(caller, step, &criteria, base_url).await;
        }
        match (&step.verb, &mut step.resource) {
            (Verb::Read(_) | Verb::Search, _) => self.read_step(caller, &step, bytes).await,
            (Verb::Patch, _) => {
                let (patch, if_match) = (criteria::patch_of(&step)?, version_of(step.expect));
                let (of, id) = (step.resource_type, &step.id);
                Ok(Done::Stored(self.patch_with(caller, of, id, &patch, base_url, if_match, None).await?))
            }
            (Verb::Delete, _) => {
                let (deleted, _) =
                    self.0.commit(caller, None, |plan| plan.delete(step.resource_type, &step.id, step.expect)).await?;
                Ok(Done::Deleted(deleted.map(|(record, _)| record)))
            }
            (verb, Some(resource)) => {
                self.0.check_rules(resource)?;
                resolve_alone(resource, base_url)?;
                let (method, expect) = match verb {
                    Verb::Create => (Method::Post, Expect::Absent),
                    _ => (Method::Put, step.expect),
                };
                let (planned, _) = self
                    .0
                    .commit(caller, None, |plan| plan.put(step.resource_type, &step.id, resource, method, expect))
                    .await?;
                Ok(Done::Stored(planned.into()))
            }
            (_, None) => Err(invalid("resource", "an entry that creates or updates needs a resource")),
        }
    }

    /// Carries out an entry of a batch that goes by criteria.
    async fn carry_out_conditional(
        &self,
        caller: &Caller,
        mut step: Step<'_>,
        criteria: &[(String, String)],
        base_url: &str,
    ) -> Result<Done, VaultError> {
        let (of, if_match) = (step.resource_type, version_of(step.expect));
        match (&step.verb, &mut step.resource) {
            (Verb::Delete, _) => {
                let deleted = self.0.delete_by(caller, of, base_url, criteria).await?;
                Ok(Done::Deleted(deleted.into_iter().next().and_then(|deleted| deleted.record)))
            }
            (Verb::Patch, _) => {
                let patch = criteria::patch_of(&step)?;
                Ok(Done::Stored(self.patch_by(caller, of, criteria, &patch, base_url, if_match).await?))
            }
            (verb, Some(resource)) => {
                self.0.check_rules(resource)?;
                resolve_alone(resource, base_url)?;
                if *verb == Verb::Update {
                    let stored = self.0.update_by(caller, of, resource, base_url, criteria, if_match).await?;
                    return Ok(Done::Stored(stored));
                }
                Ok(match self.0.create_unless(caller, of, resource, base_url, criteria).await? {
                    ConditionalCreate::Created(stored) => Done::Stored(stored),
                    ConditionalCreate::Exists { record, last_updated } => Done::Exists(record, last_updated),
                })
            }
            (_, None) => Err(invalid("resource", "an entry that creates or updates needs a resource")),
        }
    }

    /// Carries out a read or a search, unless the answer is full: it holds `bytes` already.
    async fn read_step(&self, caller: &Caller, step: &Step<'_>, bytes: usize) -> Result<Done, VaultError> {
        if bytes >= SHOWN_BYTES_MAX {
            return Err(VaultError::TooLarge { what: "bytes read by one bundle", max: SHOWN_BYTES_MAX });
        }
        if let Target::Search(call) = &step.target {
            let page = self.search(caller, call).await?;
            return Ok(Done::Found(criteria::searchset(
                &page,
                &call.base_url,
                &crate::search::scope_text(&call.scope),
            )));
        }
        let disclosed = match step.verb {
            Verb::Read(Some(version)) => self.vread(caller, step.resource_type, &step.id, version).await?,
            _ => self.read(caller, step.resource_type, &step.id).await?,
        };
        Ok(Done::Read(disclosed))
    }

    /// Understands one entry.
    fn step<'a>(&self, entry: Json<'a>, base_url: &str) -> Result<Step<'a>, VaultError> {
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

fn entries_of(bundle: Json<'_>) -> Result<Vec<Json<'_>>, VaultError> {
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

fn rank(verb: &Verb) -> u8 {
    match verb {
        Verb::Delete => 0,
        Verb::Create => 1,
        Verb::Update | Verb::Patch => 2,
        Verb::Read(_) | Verb::Search => 3,
    }
}

/// FHIR R4: "the identity of each resource must be unique" among those that a transaction writes.
fn refuse_duplicates(steps: &[Step<'_>], resolved: &HashMap<usize, Done>) -> Result<(), VaultError> {
    let mut seen = HashSet::new();
    let mut urls = HashSet::new();
    for (place, step) in steps.iter().enumerate() {
        let writes = step.writes();
        let twice = writes && !resolved.contains_key(&place) && !seen.insert((step.resource_type, &step.id));
        let url_twice = step.full_url.as_ref().is_some_and(|url| writes && !urls.insert(url));
        if twice || url_twice {
            let message = "another entry of this transaction writes the same resource";
            return Err(at_entry(invalid("", message), place));
        }
    }
    Ok(())
}

pub(crate) fn invalid(location: &str, message: &str) -> VaultError {
    VaultError::Invalid(vec![Issue::error(IssueType::Invalid, location, message)])
}

/// The same error, its locations inside of this entry.
fn at_entry(error: VaultError, place: usize) -> VaultError {
    match error {
        VaultError::Invalid(mut issues) => {
            for issue in &mut issues {
                let dot = if issue.location.is_empty() { "" } else { "." };
                issue.location = format!("Bundle.entry[{place}]{dot}{}", issue.location);
            }
            VaultError::Invalid(issues)
        }
        other => other,
    }
}

/// One entry of the response. Ids hold nothing that JSON would have to escape.
fn render(done: &Result<Done, VaultError>, prefer: ReturnPreference, caller: &Caller) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::new());
    match done {
        Ok(Done::Stored(stored)) => {
            let status = if stored.created { "201 Created" } else { "200 OK" };
            match prefer {
                ReturnPreference::Minimal => out.extend(b"{"),
                ReturnPreference::Representation => {
                    out.extend(b"{\"resource\":");
                    out.extend_from_slice(&stored.body);
                    out.extend(b",");
                }
                ReturnPreference::OperationOutcome => out.extend(b"{"),
            }
            out.extend(response(status, Some(&stored.record), Some(stored.last_updated)).as_bytes());
            if prefer == ReturnPreference::OperationOutcome {
                out.pop();
                out.extend(b",\"outcome\":");
                out.extend(operation_outcome_bytes(&[], Some(&caller.operation)));
                out.extend(b"}");
            }
            out.extend(b"}");
        }
        Ok(Done::Deleted(record)) => {
            out.extend(b"{");
            out.extend(response("204 No Content", record.as_ref(), None).as_bytes());
            out.extend(b"}");
        }
        Ok(Done::Exists(record, last_updated)) => {
            out.extend(b"{");
            out.extend(response("200 OK", Some(record), Some(*last_updated)).as_bytes());
            out.extend(b"}");
        }
        Ok(Done::Found(bundle)) => {
            out.extend(b"{\"resource\":");
            out.extend_from_slice(bundle);
            out.extend(b",");
            out.extend(response("200 OK", None, None).as_bytes());
            out.extend(b"}");
        }
        Ok(Done::Read(disclosed)) => {
            out.extend(b"{\"resource\":");
            out.extend_from_slice(&disclosed.body);
            out.extend(b",");
            out.extend(response("200 OK", Some(&disclosed.record), Some(disclosed.last_updated)).as_bytes());
            out.extend(b"}");
        }
        Err(error) => {
            out.extend(b"{\"response\":{\"status\":\"");
            out.extend(error.http_status().as_bytes());
            out.extend(b"\",\"outcome\":");
            out.extend(operation_outcome_bytes(&error.issues(), Some(&caller.operation)));
            out.extend(b"}}");
        }
    }
    out
}

fn response(status: &str, record: Option<&RecordRef>, last_updated: Option<Timestamp>) -> String {
    let mut text = format!("\"response\":{{\"status\":\"{status}\"");
    if let Some(RecordRef { resource_type, id, version }) = record {
        let id = id.as_str();
        text += &format!(",\"location\":\"{resource_type}/{id}/_history/{version}\",\"etag\":\"W/\\\"{version}\\\"\"");
    }
    if let Some(at) = last_updated {
        text += &format!(",\"lastModified\":\"{at}\"");
    }
    text + "}"
}

fn response_bundle(kind: &str, entries: &[Zeroizing<Vec<u8>>]) -> Zeroizing<Vec<u8>> {
    let bytes = entries.iter().map(|entry| entry.len() + 1).sum::<usize>() + 100;
    let mut out = Zeroizing::new(Vec::with_capacity(bytes));
    out.extend(format!("{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\"").as_bytes());
    for (place, entry) in entries.iter().enumerate() {
        out.extend(if place == 0 { &b",\"entry\":["[..] } else { b"," });
        out.extend_from_slice(entry);
    }
    out.extend(if entries.is_empty() { &b"}"[..] } else { b"]}" });
    out
}
