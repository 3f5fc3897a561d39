//! What of a bundle is said by criteria: conditional entries, conditional references, and searches
//! (<https://hl7.org/fhir/R4/http.html#trules>).

use super::{Step, Target, Verb, at_entry, invalid};
use crate::caller::Caller;
use crate::conditional::given_id;
use crate::error::VaultError;
use crate::patch::PatchValue;
use crate::plan::Expect;
use crate::search::SearchPage;
use crate::turns::Turn;
use crate::vault::Vault;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use tacet_fhir::json::{self, Json};
use tacet_fhir::reference::{Reference, for_each_reference};
use tacet_fhir::resource;
use tacet_types::{RecordRef, ResourceId, ResourceType, Timestamp};
use zeroize::Zeroizing;

/// Most distinct criteria in one bundle.
pub(super) const CRITERIA_MAX: usize = 1000;

/// Conditional references by their text, each with the type and the criteria that it is.
pub(super) type References = BTreeMap<String, (ResourceType, Vec<(String, String)>)>;

/// What was found for a step before the plan.
pub(super) enum Resolved {
    /// A create that finds its resource there.
    Exists(RecordRef, Timestamp),
    /// A deletion that finds nothing.
    Nothing,
}

/// Decoded names and values of a query.
pub(crate) fn decode_query(query: &str) -> Result<Vec<(String, String)>, VaultError> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let decoded = parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Some((decode(name)?, decode(value)?))
    });
    decoded.collect::<Option<_>>().ok_or_else(|| invalid("request.url", "a query that is not percent-encoded text"))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok().filter(|text| !text.contains('+'))?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The conditional references of a transaction's resources: each text with its type and criteria.
pub(super) fn conditional_references(steps: &[Step<'_>]) -> Result<References, VaultError> {
    let mut found = BTreeMap::new();
    for (place, step) in steps.iter().enumerate() {
        let Some(resource) = &step.resource else { continue };
        let mut texts = Vec::new();
        for_each_reference(resource, &mut |text| {
            if let Reference::Conditional { resource_type, query } = Reference::parse(text) {
                texts.push((text.to_owned(), resource_type, query.to_owned()));
            }
        });
        for (text, resource_type, query) in texts {
            let criteria = decode_query(&query).map_err(|error| at_entry(error, place))?;
            found.insert(text, (resource_type, criteria));
        }
    }
    Ok(found)
}

impl Vault {
    /// The turns of all criteria of a transaction; none where there are none.
    pub(super) async fn turns_of<'a>(
        &'a self,
        steps: &'a [Step<'_>],
        references: &'a References,
    ) -> Result<Vec<Turn<'a>>, VaultError> {
        let of_steps = steps.iter().filter_map(|step| match &step.target {
            Target::Criteria(criteria) if step.writes() => Some((step.resource_type, criteria.as_slice())),
            _ => None,
        });
        let of_references = references.values().map(|(resource_type, criteria)| (*resource_type, criteria.as_slice()));
        let all: Vec<_> = of_steps.chain(of_references).collect();
        match all.len() {
            0 => Ok(Vec::new()),
            count if count > CRITERIA_MAX => {
                Err(VaultError::TooLarge { what: "criteria in one bundle", max: CRITERIA_MAX })
            }
            _ => self.0.criteria_turns(all.into_iter()).await,
        }
    }

    /// What conditional references lead to. One that leads to nothing or to several refuses the bundle, as R4 has it.
    pub(super) async fn lead(
        &self,
        caller: &Caller,
        references: &References,
        base_url: &str,
    ) -> Result<HashMap<String, String>, VaultError> {
        let mut targets = HashMap::new();
        for (text, (resource_type, criteria)) in references {
            let (found, query) = self.0.fitting(caller, *resource_type, base_url, criteria, 1)?.one()?;
            let Some(found) = found else { return Err(VaultError::PreconditionFailed) };
            self.0.note_found(caller, &query, &found).await?;
            targets.insert(text.clone(), format!("{resource_type}/{}", found.record.id.as_str()));
        }
        Ok(targets)
    }

    /// Finds what the criteria of a step mean, and makes of it a step on one resource.
    pub(super) async fn settle(
        &self,
        caller: &Caller,
        step: &mut Step<'_>,
        base_url: &str,
    ) -> Result<Option<Resolved>, VaultError> {
        let Target::Criteria(criteria) = &step.target else { return Ok(None) };
        let (found, query) = self.0.fitting(caller, step.resource_type, base_url, criteria, 1)?.one()?;
        if let Some(found) = &found {
            self.0.note_found(caller, &query, found).await?;
        }
        let wanted = match step.expect {
            Expect::Version(version) => Some(version),
            _ => None,
        };
        if wanted.is_some() && wanted != found.as_ref().map(|found| found.record.version) {
            return Err(VaultError::PreconditionFailed);
        }
        let expect = found.as_ref().map_or(Expect::Absent, |found| Expect::Version(found.record.version));
        match (&step.verb, found) {
            (Verb::Create, Some(found)) => return Ok(Some(Resolved::Exists(found.record, found.last_updated))),
            (Verb::Delete, None) => return Ok(Some(Resolved::Nothing)),
            (Verb::Patch, None) => return Err(VaultError::NotFound),
            (Verb::Update, found) => {
                let given = step.resource.as_ref().map(given_id).transpose()?.flatten();
                step.id = match (found, given) {
                    (Some(found), Some(given)) if found.record.id != given => return Err(VaultError::IdMismatch),
                    (Some(found), _) => found.record.id,
                    (None, Some(given)) => given,
                    (None, None) => ResourceId::random(self.0.rng.as_ref()),
                };
                if let Some(resource) = &mut step.resource {
                    resource::set_id(resource, &step.id);
                }
            }
            (_, Some(found)) => step.id = found.record.id,
            (_, None) => {}
        }
        step.expect = expect;
        Ok(None)
    }

    /// Makes of a patch the update that it comes to, so that it is planned with the rest of its transaction.
    pub(super) async fn settle_patch(
        &self,
        caller: &Caller,
        step: &mut Step<'_>,
        base_url: &str,
    ) -> Result<(), VaultError> {
        let patch = patch_of(step)?;
        let current = self.read(caller, step.resource_type, &step.id).await?;
        if matches!(step.expect, Expect::Version(version) if version != current.record.version) {
            return Err(VaultError::PreconditionFailed);
        }
        step.resource = Some(self.0.patched(&current, &patch, base_url)?);
        step.expect = Expect::Version(current.record.version);
        step.verb = Verb::Update;
        Ok(())
    }
}

/// The patch that an entry brings: a Parameters resource, or a Binary with a JSON Patch in it.
pub(super) fn patch_of<'a>(step: &Step<'a>) -> Result<PatchValue<'static>, VaultError> {
    let wrong =
        || invalid("resource", "a PATCH needs a Parameters resource, or a Binary of `application/json-patch+json`");
    let body: &Json<'a> = step.resource.as_ref().ok_or_else(wrong)?;
    match body.get_str("resourceType") {
        Some("Parameters") => Ok(PatchValue::FhirPath(body.clone().into_owned())),
        Some("Binary")
            if body.get_str("contentType").is_some_and(|kind| kind.starts_with("application/json-patch+json")) =>
        {
            use base64::Engine as _;
            let text = body.get_str("data").ok_or_else(wrong)?;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| wrong())?;
            let patch = json::parse(&bytes, &json::Limits::default())?.into_owned();
            Ok(PatchValue::Json(patch))
        }
        _ => Err(wrong()),
    }
}

/// A page of results as a Bundle of its own, for the answer to a search inside of a bundle.
pub(super) fn searchset(page: &SearchPage, base_url: &str, path: &str) -> Zeroizing<Vec<u8>> {
    let bytes = page.entries.iter().map(|entry| entry.disclosed.body.len() + 300).sum::<usize>() + 10_000;
    let mut out = Zeroizing::new(Vec::with_capacity(bytes));
    out.extend(b"{\"resourceType\":\"Bundle\",\"type\":\"searchset\"");
    if let Some(total) = page.total {
        out.extend(format!(",\"total\":{total}").as_bytes());
    }
    let string = |text: String| json::write(&Json::String(Cow::Owned(text)));
    let used: Vec<String> =
        page.used.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    out.extend(b",\"link\":[{\"relation\":\"self\",\"url\":");
    out.extend(string(format!("{base_url}/{path}?{}", used.join("&"))));
    if let Some(next) = &page.next {
        out.extend(b"},{\"relation\":\"next\",\"url\":");
        out.extend(string(format!("{base_url}/{path}?_cursor={next}")));
    }
    out.extend(b"}]");
    for (place, entry) in page.entries.iter().enumerate() {
        let record = &entry.disclosed.record;
        out.extend(if place == 0 { &b",\"entry\":[{\"fullUrl\":"[..] } else { b",{\"fullUrl\":" });
        out.extend(string(format!("{base_url}/{}/{}", record.resource_type, record.id.as_str())));
        out.extend(b",\"resource\":");
        out.extend_from_slice(&entry.disclosed.body);
        let mode = if entry.mode == crate::SearchMode::Match { "match" } else { "include" };
        out.extend(format!(",\"search\":{{\"mode\":\"{mode}\"}}}}").as_bytes());
    }
    out.extend(if page.entries.is_empty() { &b"}"[..] } else { b"]}" });
    out
}

/// Text as it stands in a query.
fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/|,$".contains(&byte);
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if keep(byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
        out
    })
}
