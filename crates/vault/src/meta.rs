//! `$meta`, `$meta-add` and `$meta-delete`: profiles, tags and security labels of a record
//! (<https://hl7.org/fhir/R4/resource-operation-meta.html>).
//!
//! R4 lets a server change labels without a new version. Here a version that was written stays as it is, so a change of labels is a
//! version of its own, with its ledger entry; where nothing changes there is no new version.

use crate::bundle::invalid;
use crate::caller::Caller;
use crate::disclose::json_limits;
use crate::error::VaultError;
use crate::head::Method;
use crate::plan::Expect;
use crate::vault::{Inner, Vault};
use crate::write::{COMMIT_ATTEMPTS_MAX, refuse_unkept};
use std::collections::HashSet;
use tacet_fhir::json::{self, Json};
use tacet_types::{ResourceId, ResourceType, VersionId};
use zeroize::Zeroizing;

/// Most profiles, tags and labels that one request adds or takes away.
pub const LABELS_MAX: usize = 1000;

/// The lists of `meta` that these operations change: of uris, or of codings.
const LISTS: [&str; 3] = ["profile", "security", "tag"];

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
    /// The `meta` of a record in a Parameters resource, `return`. It is a read of the record, and stands in the ledger as one.
    pub async fn meta(
        &self,
        caller: &Caller,
        resource_type: ResourceType,
        id: &ResourceId,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let current = self.read(caller, resource_type, id).await?;
        Ok(answer(&json::parse(&current.body, &json_limits())?))
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
                return Ok(answer(&value));
            }
            self.0.check_rules(&value)?;
            let expect = Expect::Version(version);
            let done =
                self.0.commit(caller, None, |plan| plan.put(resource_type, id, &mut value, Method::Put, expect)).await;
            match done {
                Err(VaultError::PreconditionFailed) if if_match.is_none() => {}
                Ok(_) => return Ok(answer(&value)),
                Err(error) => return Err(error),
            }
        }
        Err(VaultError::Conflict)
    }
}

impl Inner {
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

/// A resource's `meta` as the answer of these operations.
fn answer(resource: &Json<'_>) -> Zeroizing<Vec<u8>> {
    let meta = resource.get("meta").map_or_else(|| Json::Object(Vec::new()), Json::borrowed);
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
