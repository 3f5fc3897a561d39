//! `tacet transfer take`: what a transfer holds is kept as documents in the records of its patients. Nothing that is on file is changed.
//!
//! A summary goes to a patient of whom the rules for identities are certain, or whom a person named. It becomes a DocumentReference that holds the document and the
//! PDF, so it is under the patient's key and goes with the patient's erasure, and a Provenance that names the sender. What it says of problems or treatments is not
//! made into records of this hospital: that is for a clinician who has read it.

use super::{closing, read};
use crate::args::{Global, TransferTakeArgs};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Opened};
use crate::output::Output;
use crate::people;
use base64::Engine;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tacet_fhir::json::{self, Json};
use tacet_fhir::reference::Reference;
use tacet_ledger::PurposeOfUse;
use tacet_types::{OperationId, RecordRef, ResourceId, ResourceType, VersionId};
use tacet_vault::{Caller, Disclosed, Handling, MatchCall, ReturnPreference, Role, Scope, SearchCall, VaultError};

/// The system of identifiers that are URNs.
const URNS: &str = "urn:ietf:rfc:3986";

/// The system of the keys by which hospitals sign transfers.
const SENDERS: &str = "https://tacet.invalid/NamingSystem/transfer-key";

/// Longest identifier of a document that is taken, in bytes.
const URN_BYTES_MAX: usize = 200;

/// How often a Patient that was replaced by another is followed to that one.
const REPLACED_MAX: usize = 5;

/// What became of a summary.
enum Taken {
    /// It is in this patient's record now.
    Now(ResourceId),
    /// It was there already, in this patient's record.
    Before(Option<ResourceId>),
    /// Nobody is certain to be the one.
    Uncertain,
    /// This one does not go into the records: why.
    Refused(String),
}

/// A summary that is to be taken.
struct Summary<'d> {
    number: usize,
    document: Json<'d>,
    /// The document's identifier: a URN.
    urn: String,
    bundle: &'d [u8],
    pdf: &'d [u8],
}

pub(super) fn run(global: &Global, args: &TransferTakeArgs, output: &Output) -> Result<u8, CliError> {
    let known = args.known.iter().map(|text| known(text)).collect::<Result<BTreeMap<_, _>, _>>()?;
    let opened = open::open(global, Some(MAINTENANCE_LIMITS))?;
    closing(opened, |opened| {
        let transfer = read::read(opened, &args.file)?;
        let highest = known.keys().chain(&args.new).max().copied().unwrap_or_default();
        if highest > transfer.patients() || args.new.contains(&0) || known.contains_key(&0) {
            return Err(CliError::Usage(format!("summaries have numbers from 1 to {}", transfer.patients())));
        }
        let caller = open::caller(global, Role::Integrator, PurposeOfUse::Treatment);
        let (mut lines, mut listed, mut uncertain, mut refused) = (String::new(), Vec::new(), 0, 0);
        for at in 0..transfer.patients() {
            let (Some(bundle), Some(pdf)) = (transfer.bundle(at), transfer.pdf(at)) else { continue };
            let number = at + 1;
            let caller = Caller { operation: OperationId::random(open::rng().as_ref()), ..caller.clone() };
            let mut warnings = Vec::new();
            let taken = match summary(number, bundle, pdf) {
                Ok(summary) => {
                    let chosen = Chosen { known: known.get(&number), is_new: args.new.contains(&number) };
                    take(opened, &caller, &transfer, &summary, chosen, &mut warnings)
                }
                Err(error) => Ok(Taken::Refused(error.to_string())),
            };
            // One that does not go into the records keeps nobody else's from it.
            let taken = taken.or_else(|error| match error {
                CliError::Vault(error) if is_of_one(&error) => Ok(Taken::Refused(error.to_string())),
                other => Err(other),
            })?;
            let (what, patient) = match &taken {
                Taken::Now(patient) => ("taken", Some(patient.as_str().to_owned())),
                Taken::Before(patient) => ("taken before", patient.as_ref().map(|id| id.as_str().to_owned())),
                Taken::Uncertain => ("left out", None),
                Taken::Refused(why) => {
                    output.note(&format!("summary {number} is not taken: {why}"));
                    ("refused", None)
                }
            };
            uncertain += usize::from(matches!(taken, Taken::Uncertain));
            refused += usize::from(matches!(taken, Taken::Refused(_)));
            let whom = patient.as_deref().map(|id| format!(": Patient/{id}")).unwrap_or_default();
            lines += &format!("  {number}  {what}{whom}\n");
            let mut line = json!({ "number": number, "outcome": what, "patient": patient });
            if let Some(members) = line.as_object_mut().filter(|_| !warnings.is_empty()) {
                warnings.iter().for_each(|warning| output.note(&format!("summary {number}: {warning}")));
                members.insert("warnings".to_owned(), json!(warnings));
            }
            listed.push(line);
        }
        if uncertain > 0 {
            output.note(&format!(
                "{uncertain} left out: no patient is certain to be the one. Compare the identities (`tacet transfer open`), then name the \
                 record with `--as NUMBER=ID`, or begin one with `--new NUMBER`; what was taken is not taken twice"
            ));
        }
        let value = json!({
            "transfer": transfer.manifest.id, "sender": transfer.sender, "summaries": listed, "left_out": uncertain, "refused": refused,
        });
        output.result("transfer take", value, &format!("From {}:\n{lines}", transfer.sender));
        Ok(if uncertain + refused > 0 { exit::REJECTED } else { exit::OK })
    })
}

/// Bounds of what is parsed here: it was within those of a transfer, or of the store.
fn limits() -> json::Limits {
    json::Limits { bytes_max: usize::MAX, values_max: usize::MAX, ..json::Limits::default() }
}

/// Whether an error is one of a single summary. Any other would be that of the next one too.
fn is_of_one(error: &VaultError) -> bool {
    matches!(
        error,
        VaultError::Invalid(_)
            | VaultError::Malformed(_)
            | VaultError::TooLarge { .. }
            | VaultError::NotSupported(_)
            | VaultError::NotAllowed(_)
            | VaultError::Conflict
            | VaultError::SeveralMatch
            | VaultError::PreconditionFailed
            | VaultError::Erased
            | VaultError::Gone { .. }
    )
}

/// Whether a text is a URN that means nothing else where it is looked for: it becomes a part of a search, and the sender chose it.
fn is_urn(text: &str) -> bool {
    text.len() <= URN_BYTES_MAX
        && text.starts_with("urn:")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-._".contains(&byte))
}

/// `NUMBER=ID`.
fn known(text: &str) -> Result<(usize, ResourceId), CliError> {
    let wrong = || CliError::Usage("`--as` is the number of a summary and the id of a patient, such as `3=abc`".into());
    let (number, id) = text.split_once('=').ok_or_else(wrong)?;
    Ok((number.parse().map_err(|_| wrong())?, ResourceId::parse(id).map_err(|_| wrong())?))
}

fn summary<'d>(number: usize, bundle: &'d [u8], pdf: &'d [u8]) -> Result<Summary<'d>, CliError> {
    let wrong = || CliError::Usage(format!("summary {number} of this transfer is no FHIR document about a patient"));
    let document = json::parse(bundle, &limits()).map_err(|_| wrong())?;
    let is_document = document.resource_type() == Some("Bundle") && document.get_str("type") == Some("document");
    let urn = document.get("identifier").and_then(|one| one.get_str("value")).filter(|urn| is_urn(urn));
    let urn = urn.filter(|_| is_document && read::patient(&document).is_some()).ok_or_else(wrong)?.to_owned();
    Ok(Summary { number, document, urn, bundle, pdf })
}

/// What somebody said of whose a summary is.
#[derive(Clone, Copy)]
struct Chosen<'a> {
    known: Option<&'a ResourceId>,
    is_new: bool,
}

fn take(
    opened: &Opened,
    caller: &Caller,
    transfer: &tacet_transfer::Opened,
    summary: &Summary<'_>,
    chosen: Chosen<'_>,
    warnings: &mut Vec<String>,
) -> Result<Taken, CliError> {
    let base_url = people::base_url(opened);
    let identifier = format!("{URNS}|{}", summary.urn);
    let told = format!(
        "summary {} of transfer {} from {} (key {})",
        summary.number, transfer.manifest.id, transfer.sender, transfer.manifest.from.key
    );
    let before = found(opened, caller, "DocumentReference", &[("identifier", &identifier)], &base_url)?;
    if let Some(document) = before.first() {
        // A stop may have come between what was stored and its entry, so each run that finds it writes one.
        let patient = json::parse(&document.body, &limits()).ok().and_then(|document| subject(&document));
        let told = format!("{told}: it is in the record already");
        let records = vec![document.record.clone()];
        open::wait(opened.vault.note_transfer_taken(caller, patient.as_ref(), records, told))?;
        return Ok(Taken::Before(patient));
    }
    let patient = match (chosen.known, chosen.is_new) {
        (Some(id), _) => Some(standing(opened, caller, summary.number, id, &base_url, warnings)?),
        (None, true) => {
            for certain in certain(opened, caller, summary, &base_url)? {
                warnings.push(format!(
                    "Patient/{} is certain to be the same person: a second record was begun, to be merged by whoever keeps identities",
                    certain.as_str()
                ));
            }
            None
        }
        (None, false) => match certain(opened, caller, summary, &base_url)?.as_slice() {
            [one] => Some(one.clone()),
            _ => return Ok(Taken::Uncertain),
        },
    };
    let body = transaction(transfer, summary, patient.as_ref(), &open::clock().now().to_string())?;
    let answer =
        open::wait(opened.vault.bundle(caller, body.to_string().as_bytes(), &base_url, ReturnPreference::Minimal))?;
    let records = stored(&answer);
    let patient = patient.or_else(|| {
        records.iter().find(|record| record.resource_type.as_str() == "Patient").map(|record| record.id.clone())
    });
    let patient = patient.ok_or(CliError::Vault(VaultError::NotFound))?;
    open::wait(opened.vault.note_transfer_taken(caller, Some(&patient), records, told))?;
    Ok(Taken::Now(patient))
}

/// The patient of a DocumentReference.
fn subject(document: &Json<'_>) -> Option<ResourceId> {
    let (kind, id) = Reference::parse(document.get("subject")?.get_str("reference")?).target_id()?;
    (kind.as_str() == "Patient").then_some(id)
}

/// The record of a patient who was named; where it was replaced by another, that one (<https://hl7.org/fhir/R4/patient.html#merging>).
fn standing(
    opened: &Opened,
    caller: &Caller,
    number: usize,
    named: &ResourceId,
    base_url: &str,
    warnings: &mut Vec<String>,
) -> Result<ResourceId, CliError> {
    let mut id = named.clone();
    for _ in 0..REPLACED_MAX {
        let records = found(opened, caller, "Patient", &[("_id", id.as_str())], base_url)?;
        let Some(record) = records.first() else {
            return Err(CliError::Usage(format!("there is no Patient/{} for summary {number}", id.as_str())));
        };
        let patient = json::parse(&record.body, &limits())
            .map_err(|_| CliError::Vault(VaultError::Damaged("a record is no JSON")))?;
        match replaced_by(&patient) {
            Some(next) => {
                warnings.push(format!("Patient/{} was replaced by Patient/{}", id.as_str(), next.as_str()));
                id = next;
            }
            None => {
                if patient.get("active") == Some(&Json::Bool(false)) {
                    warnings.push(format!("Patient/{} is not in use any more", id.as_str()));
                }
                return Ok(id);
            }
        }
    }
    Err(CliError::Usage(format!(
        "Patient/{} was replaced by another, and that one again, {REPLACED_MAX} times: name the record that is in use",
        named.as_str()
    )))
}

/// The record that replaces this one.
fn replaced_by(patient: &Json<'_>) -> Option<ResourceId> {
    let links = patient.get("link")?.items();
    let link = links.iter().find(|link| link.get_str("type") == Some("replaced-by"))?;
    let (kind, id) = Reference::parse(link.get("other")?.get_str("reference")?).target_id()?;
    (kind.as_str() == "Patient").then_some(id)
}

/// The records that fit, of at most two.
fn found(
    opened: &Opened,
    caller: &Caller,
    of: &str,
    parameters: &[(&str, &str)],
    base_url: &str,
) -> Result<Vec<Disclosed>, CliError> {
    let of = ResourceType::parse(of).ok_or(CliError::Vault(VaultError::NotFound))?;
    let mut parameters: Vec<_> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    parameters.push(("_count".to_owned(), "2".to_owned()));
    let call = SearchCall {
        scope: Scope::Type(of),
        parameters,
        handling: Handling::Strict,
        base_url: base_url.to_owned(),
        cursor: None,
    };
    Ok(open::wait(opened.vault.search(caller, &call))?.entries.into_iter().map(|entry| entry.disclosed).collect())
}

/// The patients of whom the rules for identities are certain: one, or nobody knows which. At most two are looked for.
fn certain(
    opened: &Opened,
    caller: &Caller,
    summary: &Summary<'_>,
    base_url: &str,
) -> Result<Vec<ResourceId>, CliError> {
    let Some(patient) = read::patient(&summary.document) else { return Ok(Vec::new()) };
    let call = MatchCall {
        body: json::write(patient),
        only_certain: Some(true),
        count: Some(2),
        base_url: base_url.to_owned(),
    };
    match open::wait(opened.vault.match_patients(caller, &call)) {
        Ok(page) => Ok(page.entries.into_iter().map(|entry| entry.disclosed.record.id).collect()),
        // Too little is known of the patient to look for anybody: nobody is certain.
        Err(VaultError::Invalid(_) | VaultError::Search(_) | VaultError::TooCostly { .. }) => Ok(Vec::new()),
        Err(other) => Err(other.into()),
    }
}

/// What is stored of a summary.
fn transaction(
    transfer: &tacet_transfer::Opened,
    summary: &Summary<'_>,
    patient: Option<&ResourceId>,
    now: &str,
) -> Result<Value, CliError> {
    const NEW: &str = "urn:uuid:0b5a6f0e-7c53-4d8e-9f6e-2f6f3a1d0001";
    const DOCUMENT: &str = "urn:uuid:0b5a6f0e-7c53-4d8e-9f6e-2f6f3a1d0002";
    let engine = base64::engine::general_purpose::STANDARD;
    let subject = patient.map_or_else(|| NEW.to_owned(), |id| format!("Patient/{}", id.as_str()));
    let title =
        summary.document.get("entry").and_then(|entries| entries.items().first()?.get("resource")?.get_str("title"));
    let title = title.unwrap_or("International Patient Summary");
    let sender = json!({
        "display": transfer.sender, "identifier": { "system": SENDERS, "value": transfer.manifest.from.key },
    });
    let mut document = json!({
        "resourceType": "DocumentReference",
        "masterIdentifier": { "system": URNS, "value": summary.urn },
        "status": "current",
        "type": { "coding": [{ "system": "http://loinc.org", "code": "60591-5", "display": "Patient summary Document" }] },
        "subject": { "reference": subject },
        "date": transfer.manifest.made,
        "author": [sender],
        "description": format!("{title} ({})", transfer.sender),
        "content": [
            { "attachment": { "contentType": "application/fhir+json", "title": title, "data": engine.encode(summary.bundle) } },
            { "attachment": { "contentType": "application/pdf", "title": title, "data": engine.encode(summary.pdf) } },
        ],
    });
    // What the sender's labels close there, they close here.
    if let Some(labels) = summary.document.get("meta").and_then(|meta| meta.get("security"))
        && let Some(members) = document.as_object_mut()
    {
        let labels: Value = serde_json::from_slice(&json::write(labels)).unwrap_or_default();
        members.insert("meta".to_owned(), json!({ "security": labels }));
        members.insert("securityLabel".to_owned(), labels_as_concepts(&labels));
    }
    let provenance = json!({
        "resourceType": "Provenance",
        "target": [{ "reference": DOCUMENT }],
        "recorded": now,
        "activity": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE" }] },
        "agent": [{
            "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "author" }] },
            "who": sender,
        }],
        "entity": [{ "role": "source", "what": { "identifier": { "system": URNS, "value": summary.urn } } }],
    });
    let mut entries = Vec::new();
    if patient.is_none() {
        entries.push(json!({ "fullUrl": NEW, "resource": new_patient(summary)?, "request": { "method": "POST", "url": "Patient" } }));
    }
    let identifier = format!("identifier={URNS}|{}", summary.urn);
    entries.push(json!({
        "fullUrl": DOCUMENT, "resource": document,
        "request": { "method": "POST", "url": "DocumentReference", "ifNoneExist": identifier },
    }));
    entries.push(json!({ "resource": provenance, "request": { "method": "POST", "url": "Provenance" } }));
    Ok(json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }))
}

fn labels_as_concepts(labels: &Value) -> Value {
    let codings = labels.as_array().cloned().unwrap_or_default();
    codings.into_iter().map(|coding| json!({ "coding": [coding] })).collect()
}

/// A record for a patient who is new here: who it is, and no link to what this hospital has not.
fn new_patient(summary: &Summary<'_>) -> Result<Value, CliError> {
    const KEPT: [&str; 11] = [
        "resourceType",
        "identifier",
        "name",
        "telecom",
        "gender",
        "birthDate",
        "_birthDate",
        "deceasedBoolean",
        "deceasedDateTime",
        "address",
        "communication",
    ];
    let Some(patient) = read::patient(&summary.document) else { return Err(CliError::Vault(VaultError::NotFound)) };
    let mut patient: Value = serde_json::from_slice(&json::write(patient))
        .map_err(|error| CliError::other("a Patient of the transfer cannot be read", error))?;
    // What the sender's labels close there, they close here.
    let labels = patient.get("meta").and_then(|meta| meta.get("security")).cloned();
    if let Some(members) = patient.as_object_mut() {
        members.retain(|name, _| KEPT.contains(&name.as_str()));
    }
    without_references(&mut patient);
    if let Some((labels, members)) = labels.zip(patient.as_object_mut()) {
        members.insert("meta".to_owned(), json!({ "security": labels }));
    }
    Ok(patient)
}

/// Takes out references, and what is nothing without them: an id of the sender's may be somebody else's here. The depth is that of what was parsed.
fn without_references(value: &mut Value) {
    let is_empty = |value: &Value| match value {
        // An extension that has only its name says nothing, and R4 forbids it (ext-1).
        Value::Object(members) => members.keys().all(|name| name == "url"),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(members) => {
            members.retain(|name, value| {
                without_references(value);
                name != "reference" && name != "valueReference" && !is_empty(value)
            });
        }
        Value::Array(items) => {
            items.iter_mut().for_each(without_references);
            items.retain(|item| !is_empty(item));
        }
        _ => {}
    }
}

/// What a transaction stored, by its response.
fn stored(answer: &[u8]) -> Vec<RecordRef> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let entries = answer.get("entry").and_then(Value::as_array).cloned().unwrap_or_default();
    let located = entries.iter().filter_map(|entry| {
        let location = entry.get("response")?.get("location")?.as_str()?;
        let mut parts = location.rsplit('/');
        let (version, _, id, kind) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(RecordRef {
            resource_type: ResourceType::parse(kind)?,
            id: ResourceId::parse(id).ok()?,
            version: VersionId::parse(version)?,
        })
    });
    located.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sender_chose_is_no_part_of_a_search() {
        assert!(is_urn("urn:uuid:0b5a6f0e-7c53-4d8e-9f6e-2f6f3a1d0001") && is_urn("urn:oid:1.2.250.1"));
        for wrong in
            ["", "uuid:1", "urn:a,urn:b", "urn:a|b", "urn:a&_id=b", "urn:a%2Cb", "urn:a$b", "urn:a\\b", "urn:é"]
        {
            assert!(!is_urn(wrong), "{wrong}");
        }
        assert!(!is_urn(&format!("urn:{}", "a".repeat(URN_BYTES_MAX))));
    }

    #[test]
    fn no_id_of_the_senders_comes_along() {
        let mut patient = json!({
            "identifier": [{ "value": "1", "assigner": { "reference": "Organization/7" } }, { "value": "2", "assigner": { "display": "CHU" } }],
            "address": [{ "extension": [{ "url": "http://x", "valueReference": { "reference": "Location/1" } }], "city": "Lens" }],
        });
        without_references(&mut patient);
        assert!(!patient.to_string().contains("Organization/7") && !patient.to_string().contains("Location/1"));
        assert_eq!(
            patient["identifier"],
            json!([{ "value": "1" }, { "value": "2", "assigner": { "display": "CHU" } }])
        );
        assert_eq!(patient["address"], json!([{ "city": "Lens" }]));
    }
}
