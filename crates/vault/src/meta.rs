//! `$meta`, `$meta-add` and `$meta-delete`: profiles, tags and security labels of a record
//! (<https://hl7.org/fhir/R4/resource-operation-meta.html>).
//!
//! R4 lets a server change labels without a new version. Here a version that was written stays as it is, so a change of labels is a
//! version of its own, with its ledger entry; where nothing changes there is no new version.
//!
//! The labels in use among many records are read from these records, each under its entry: the index can find them and cannot tell
//! their labels.

use crate::access::Sights;
use crate::bundle::invalid;
use crate::caller::Caller;
use crate::disclose::{Located, SHOWN_BYTES_MAX, json_limits};
use crate::error::VaultError;
use crate::head::Method;
use crate::plan::Expect;
use crate::search::SEARCH_PAGE_MAX;
use crate::vault::{Inner, Vault};
use crate::write::{COMMIT_ATTEMPTS_MAX, refuse_unkept};
use crate::{EventKind, Outcome};
use std::collections::HashSet;
use std::sync::Arc;
use tacet_fhir::json::{self, Json};
use tacet_policy::Act;
use tacet_search::Page;
use tacet_search::document::Key;
use tacet_search::filter::Filter;
use tacet_search::request::{Handling, Scope, Total};
use tacet_types::{ResourceId, ResourceType, VersionId};
use zeroize::Zeroizing;

/// Most profiles, tags and labels that one request adds or takes away.
pub const LABELS_MAX: usize = 1000;

/// Most records with labels that are read to tell which labels a type, or the whole store, has.
pub const LABELLED_MAX: usize = 1000;

/// The lists of `meta` that these operations change: of uris, or of codings.
const LISTS: [&str; 3] = ["profile", "security", "tag"];

/// Whose labels are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetaScope {
    /// Those in use among all records.
    System,
    /// Those in use among the records of a type.
    Type(ResourceType),
    /// Those of a record as it is now.
    Record(ResourceType, ResourceId),
    /// Those of one version of a record.
    Version(ResourceType, ResourceId, VersionId),
}

/// What becomes of the labels that a request names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetaChange {
    /// Those that are not there are added.
    Add,
    /// Those that are there are taken away.
    Delete,
}

/// What makes a label the same: the uri of a profile, or system and code of a coding.
type Label = (Option<String>, Option<String>);

impl Vault {
    /// The `meta` of a record or of one of its versions, or the labels in use among many, in a Parameters resource, `return`. It is a read
    /// of the records, and stands in the ledger as one. Where more than [`LABELLED_MAX`] records have labels it is refused.
    pub async fn meta(&self, caller: &Caller, scope: &MetaScope) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let one = match scope {
            MetaScope::Record(resource_type, id) => self.read(caller, *resource_type, id).await?,
            MetaScope::Version(resource_type, id, version) => self.vread(caller, *resource_type, id, *version).await?,
            MetaScope::Type(resource_type) => return self.0.labels_in_use(caller, Scope::Type(*resource_type)).await,
            MetaScope::System => return self.0.labels_in_use(caller, Scope::System).await,
        };
        Ok(answer(json::parse(&one.body, &json_limits())?.get("meta")))
    }

    /// Adds or takes away profiles, tags and security labels. `parameters` is a Parameters resource with the parameter `meta`; what
    /// else that `meta` holds is not looked at. Gives the new `meta` as [`Vault::meta`] does. `if_match` names the version that must
    /// be current.
    pub async fn change_meta(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
        change: MetaChange,
        parameters: &[u8],
        if_match: Option<VersionId>,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        if !caller.role.may_write_records() {
            return Err(VaultError::Forbidden);
        }
        refuse_unkept(resource_type)?;
        let named = self.0.named_meta(parameters)?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let current = self.read(caller, resource_type, id).await?;
            let version = current.record.version;
            if if_match.is_some_and(|wanted| wanted != version) {
                return Err(VaultError::PreconditionFailed);
            }
            let mut value = json::parse(&current.body, &json_limits())?.into_owned();
            if !changed(&mut value, &named, change) {
                // Who may not change it is told the same whether or not there is anything to change.
                self.0.commit(caller, None, |plan| plan.may_update(resource_type, id)).await?;
                return Ok(answer(value.get("meta")));
            }
            self.0.check_rules(&value)?;
            let expect = Expect::Version(version);
            let done =
                self.0.commit(caller, None, |plan| plan.put(resource_type, id, &mut value, Method::Put, expect)).await;
            match done {
                Err(VaultError::PreconditionFailed) if if_match.is_none() => {}
                Ok(_) => return Ok(answer(value.get("meta"))),
                Err(error) => return Err(error),
            }
        }
        Err(VaultError::Conflict)
    }
}

impl Inner {
    /// The labels in use among the records that a scope has, each once, as first met in the order of the search.
    async fn labels_in_use(&self, caller: &Caller, scope: Scope) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let sights = self.sights(caller, Act::Read)?;
        let query = match &scope {
            Scope::Type(resource_type) => format!("{resource_type}/$meta"),
            _ => "$meta".to_owned(),
        };
        let keys = self.labelled(sights.as_ref(), &scope)?;
        if keys.len() > LABELLED_MAX || keys.is_empty() {
            let outcome = if keys.is_empty() { Outcome::Success } else { Outcome::Failed };
            self.disclose_nothing(caller, EventKind::Search, &query, outcome, None).await?;
        }
        if keys.len() > LABELLED_MAX {
            let what = "records with labels to read (ask for one type, or search by `_tag`, `_security` or `_profile`)";
            return Err(VaultError::TooCostly { what, max: LABELLED_MAX });
        }
        let mut in_use = InUse::default();
        let (mut waiting, mut bytes) = (Vec::new(), 0usize);
        for key in keys {
            let found = self.locate(key.resource_type, &key.id)?;
            let Some(found) = found.filter(|found| found.meta.method != Method::Delete) else { continue };
            bytes = bytes.saturating_add(found.sealed_bytes());
            waiting.push(found);
            if waiting.len() == SEARCH_PAGE_MAX || bytes >= SHOWN_BYTES_MAX {
                bytes = 0;
                self.read_labels(caller, &query, std::mem::take(&mut waiting), &mut in_use).await?;
            }
        }
        self.read_labels(caller, &query, waiting, &mut in_use).await?;
        Ok(answer(Some(&in_use.into_meta())))
    }

    /// The records with a label, and one more than may be read if there are so many.
    fn labelled(&self, sights: Option<&Arc<Sights>>, scope: &Scope) -> Result<Vec<Key>, VaultError> {
        let indexing = self.answering()?;
        let mut any = Vec::new();
        for list in LISTS {
            let has_some = [(format!("_{list}:missing"), "false".to_owned())];
            any.push(self.compile_any_search(indexing, scope, &has_some, Handling::Strict, "")?.request.filter);
        }
        let page = Page { sort: Vec::new(), count: LABELLED_MAX + 1, after: None, total: Total::None };
        let filter = match sights {
            Some(sights) => sights.guarded(Filter::Any(any)),
            None => Filter::Any(any),
        };
        let hits = indexing.index.search(&filter, &page).map_err(|error| {
            if error.asks_for_rebuild() {
                indexing.failed("searching", &error);
            }
            VaultError::from(error)
        })?;
        Ok(hits.keys.into_iter().map(|(key, _)| key).collect())
    }

    /// Reads the labels of these records, as many at a time as one answer holds.
    async fn read_labels(
        &self,
        caller: &Caller,
        query: &str,
        mut located: Vec<Located>,
        in_use: &mut InUse,
    ) -> Result<(), VaultError> {
        while !located.is_empty() {
            let shown = self.disclose_all(caller, EventKind::Search, Some(query), located).await?;
            for (_, record) in &shown.disclosed {
                in_use.add(&json::parse(&record.body, &json_limits())?)?;
            }
            located = shown.rest;
        }
        Ok(())
    }

    /// The `meta` that a request brings.
    fn named_meta(&self, parameters: &[u8]) -> Result<Json<'static>, VaultError> {
        let wrong = || invalid("Parameters.parameter", "a Parameters resource with one parameter `meta` is needed");
        let body = json::parse(parameters, &self.limits.json)?.into_owned();
        if body.resource_type() != Some("Parameters") {
            return Err(wrong());
        }
        let [one] = body.get("parameter").map(Json::items).unwrap_or_default() else { return Err(wrong()) };
        let meta = one.get("valueMeta").filter(|meta| meta.is_object() && one.get_str("name") == Some("meta"));
        let meta = meta.ok_or_else(wrong)?;
        let labels = || LISTS.iter().filter_map(|list| Some((*list, meta.get(list)?)));
        for (list, values) in labels() {
            let right = |value: &Json<'_>| if list == "profile" { value.as_str().is_some() } else { is_coding(value) };
            if !values.is_array() || !values.iter().all(right) {
                let message = "profiles must be uris, tags and security labels codings with a code or a system";
                return Err(invalid(&format!("Parameters.parameter[0].value.{list}"), message));
            }
        }
        if labels().map(|(_, values)| values.items().len()).sum::<usize>() > LABELS_MAX {
            return Err(VaultError::TooLarge { what: "profiles, tags and labels at once", max: LABELS_MAX });
        }
        Ok(meta.clone())
    }
}

/// Whether this can be told from others: a coding of display alone could not.
fn is_coding(value: &Json<'_>) -> bool {
    value.get_str("code").is_some() || value.get_str("system").is_some()
}

fn label(value: &Json<'_>) -> Label {
    match value.as_str() {
        Some(uri) => (Some(uri.to_owned()), None),
        None => (value.get_str("system").map(str::to_owned), value.get_str("code").map(str::to_owned)),
    }
}

/// Changes the labels of a resource; whether there was anything to change.
fn changed(resource: &mut Json<'static>, named: &Json<'static>, change: MetaChange) -> bool {
    let Some(meta) = resource.get_mut("meta") else { return false };
    let mut any = false;
    for list in LISTS {
        let wanted = named.get(list).map(Json::items).unwrap_or_default();
        if wanted.is_empty() {
            continue;
        }
        let extensions = format!("_{list}");
        match change {
            MetaChange::Add => {
                let there = meta.get(list).map(Json::items).unwrap_or_default();
                let mut known: HashSet<Label> = there.iter().map(label).collect();
                let new: Vec<Json<'static>> =
                    wanted.iter().filter(|value| known.insert(label(value))).cloned().collect();
                if new.is_empty() {
                    continue;
                }
                any = true;
                match meta.get_mut(list).and_then(Json::as_array_mut) {
                    Some(there) => there.extend(new),
                    None => drop(meta.set(list, Json::Array(new))),
                }
                // What stands beside a list of primitives is as long as the list.
                if let Some(length) = meta.get(list).map(|all| all.items().len())
                    && let Some(beside) = meta.get_mut(&extensions).and_then(Json::as_array_mut)
                {
                    beside.resize(length, Json::Null);
                }
            }
            MetaChange::Delete => {
                let gone: HashSet<Label> = wanted.iter().map(label).collect();
                let keep: Vec<bool> = match meta.get(list) {
                    Some(there) => there.iter().map(|value| !gone.contains(&label(value))).collect(),
                    None => continue,
                };
                if keep.iter().all(|keep| *keep) {
                    continue;
                }
                any = true;
                for name in [list, extensions.as_str()] {
                    if let Some(values) = meta.get_mut(name).and_then(Json::as_array_mut) {
                        let mut kept = keep.iter().copied();
                        values.retain(|_| kept.next().unwrap_or(true));
                    }
                    // FHIR has no empty lists.
                    if meta.get(name).is_some_and(|values| values.iter().all(Json::is_null)) {
                        meta.remove(name);
                    }
                }
            }
        }
    }
    any
}

/// Labels that were met, each once.
#[derive(Default)]
struct InUse {
    known: HashSet<(&'static str, Label)>,
    lists: [Vec<Json<'static>>; LISTS.len()],
}

impl InUse {
    fn add(&mut self, resource: &Json<'_>) -> Result<(), VaultError> {
        let Some(meta) = resource.get("meta") else { return Ok(()) };
        for (list, found) in LISTS.into_iter().zip(&mut self.lists) {
            for value in meta.get(list).map(Json::items).unwrap_or_default() {
                if !value.is_null() && self.known.insert((list, label(value))) {
                    found.push(value.clone().into_owned());
                }
            }
        }
        match self.known.len() > LABELS_MAX {
            true => Err(VaultError::TooCostly { what: "different labels in one answer", max: LABELS_MAX }),
            false => Ok(()),
        }
    }

    fn into_meta(self) -> Json<'static> {
        let lists = LISTS.into_iter().zip(self.lists).filter(|(_, found)| !found.is_empty());
        Json::Object(lists.map(|(list, found)| (list.into(), Json::Array(found))).collect())
    }
}

/// A resource's `meta` as the answer of these operations.
fn answer(meta: Option<&Json<'_>>) -> Zeroizing<Vec<u8>> {
    let meta = meta.map_or_else(|| Json::Object(Vec::new()), Json::borrowed);
    let text = |text: &'static str| Json::String(text.into());
    let parameter = Json::object([("name", text("return")), ("valueMeta", meta)]);
    let parameters = Json::object([("resourceType", text("Parameters")), ("parameter", Json::Array(vec![parameter]))]);
    Zeroizing::new(json::write(&parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Json<'static> {
        json::parse(text.as_bytes(), &json_limits()).unwrap().into_owned()
    }

    fn after(before: &str, named: &str, change: MetaChange) -> Option<String> {
        let mut resource = parse(&format!(r#"{{"meta":{before}}}"#));
        let any = changed(&mut resource, &parse(named), change);
        any.then(|| String::from_utf8(json::write(resource.get("meta").unwrap())).unwrap())
    }

    #[test]
    fn labels_are_told_apart_by_system_and_code() {
        use MetaChange::{Add, Delete};
        let tag = r#"{"tag":[{"system":"s","code":"a","display":"A"}]}"#;
        assert_eq!(after("{}", tag, Add).unwrap(), tag);
        assert_eq!(after(tag, r#"{"tag":[{"system":"s","code":"a","version":"2"}]}"#, Add), None);
        assert_eq!(after(tag, r#"{"security":[]}"#, Add), None);
        let two = after(tag, r#"{"tag":[{"code":"a"},{"code":"a"}]}"#, Add).unwrap();
        assert_eq!(two, r#"{"tag":[{"system":"s","code":"a","display":"A"},{"code":"a"}]}"#);
        assert_eq!(after(&two, r#"{"tag":[{"code":"a"}]}"#, Delete).unwrap(), tag);
        assert_eq!(after(tag, r#"{"tag":[{"system":"s","code":"a"}]}"#, Delete).unwrap(), "{}");
        assert_eq!(
            after(tag, r#"{"tag":[{"system":"s","code":"b"}],"security":[{"system":"s","code":"a"}]}"#, Delete),
            None
        );
        let profiles = r#"{"profile":["p","q"],"_profile":[null,{"id":"x"}]}"#;
        assert_eq!(
            after(profiles, r#"{"profile":["p"]}"#, Delete).unwrap(),
            r#"{"profile":["q"],"_profile":[{"id":"x"}]}"#
        );
        assert_eq!(after(profiles, r#"{"profile":["q"]}"#, Delete).unwrap(), r#"{"profile":["p"]}"#);
        assert_eq!(
            after(profiles, r#"{"profile":["q","r"]}"#, Add).unwrap(),
            r#"{"profile":["p","q","r"],"_profile":[null,{"id":"x"},null]}"#
        );
    }
}
