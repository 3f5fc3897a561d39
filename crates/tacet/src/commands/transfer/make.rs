//! `tacet transfer make`.

use super::{closing, told};
use crate::args::{Global, TransferMakeArgs};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Opened};
use crate::output::Output;
use crate::people;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tacet_fhir::json::{self, Json};
use tacet_identity::Kind;
use tacet_ledger::{PurposeOfUse, QUERY_BYTES_MAX};
use tacet_summary::{Language, SummarySettings, TYPES};
use tacet_transfer::{Manifest, PATIENTS_MAX, Recipient};
use tacet_types::{OperationId, ResourceId, ResourceType, Timestamp};
use tacet_vault::{Asked, Caller, Role, VaultError, Ward};
use zeroize::Zeroizing;

/// Mode of a transfer: its owner's alone.
const FILE_MODE: u32 = 0o600;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// Shortest reason, in characters.
const REASON_CHARS_MIN: usize = 10;

/// The document and the PDF of a patient.
type Made = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

pub(super) fn run(global: &Global, args: &TransferMakeArgs, output: &Output) -> Result<u8, CliError> {
    if args.reason.trim().chars().count() < REASON_CHARS_MIN {
        return Err(CliError::Usage(format!("say why in {REASON_CHARS_MIN} characters or more (`--reason`)")));
    }
    let language = Language::parse(&args.language).ok_or_else(|| CliError::Usage("`--language` is fr or en".into()))?;
    let named = args.patient.iter().map(|id| ResourceId::parse(id).map_err(|error| CliError::Usage(error.to_string())));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let ward = args.ward.as_deref().map(|text| {
        Ward::parse(text).ok_or_else(|| CliError::Usage("a ward is `Location/[id]` or `Organization/[id]`".into()))
    });
    let ward = ward.transpose()?;
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    closing(opened, |opened| {
        let (to_name, recipient) = receiver(opened, &args.to)?;
        let purpose = if args.emergency { PurposeOfUse::EmergencyTreatment } else { PurposeOfUse::Treatment };
        let caller = open::caller(global, Role::Integrator, purpose);
        let (what, patients) = match &ward {
            Some(place) => (
                format!("the patients of {}", args.ward.as_deref().unwrap_or_default()),
                opened.vault.patients_on_ward(place)?,
            ),
            None => (
                named.iter().map(|id| format!("Patient/{}", id.as_str())).collect::<Vec<_>>().join(", "),
                named.clone(),
            ),
        };
        if patients.is_empty() {
            return Err(CliError::Usage("nobody lies on that ward now: nothing was written".into()));
        }
        if patients.len() > PATIENTS_MAX {
            return Err(CliError::Usage(format!("a transfer has at most {PATIENTS_MAX} patients: make several")));
        }
        let text = format!("transfer of {what} to {to_name} ({recipient})");
        if !args.emergency {
            let approval = args.approval.as_deref();
            people::require_named(opened, Kind::BulkExport, &text, approval)?;
            people::use_approval(opened, &caller, Kind::BulkExport, &text, approval)?;
        }
        let now = open::clock().now();
        let expires = now.plus_ms(i64::from(args.expires_days) * DAY_MS);
        let id = ResourceId::random(open::rng().as_ref()).as_str().to_owned();
        let second = if args.emergency { ", in an emergency, without a second person" } else { "" };
        let query = format!(
            "$summary: transfer {id} to {to_name} ({recipient}), to be destroyed by {expires}{second}: {}",
            args.reason.trim()
        );
        if query.len() > QUERY_BYTES_MAX {
            return Err(CliError::Usage(format!(
                "the reason is longer than the {QUERY_BYTES_MAX} bytes that the ledger keeps"
            )));
        }
        // Nothing is opened before the place to write to is there.
        let mut file = create(&args.output)?;
        let written = summaries(opened, &caller, &patients, &query, language, now).and_then(|made| {
            let hospital = opened.config.access.name.clone();
            let mut manifest =
                Manifest::new(id.clone(), hospital, to_name.clone(), now, expires, purpose.as_str().to_owned());
            manifest.by = caller.owner.clone();
            manifest.reason = args.reason.trim().to_owned();
            let sealed =
                tacet_transfer::seal(manifest, &made, &opened.vault.transfer_keys(), &recipient).map_err(told)?;
            let unwritten = CliError::file(&args.output, "the transfer cannot be written");
            file.write_all(&sealed).and_then(|()| file.sync_all()).map_err(unwritten)?;
            Ok((made.len(), sealed.len()))
        });
        let (count, bytes) = match written {
            Ok(written) => written,
            Err(error) => {
                // A part of a transfer is of no use to anyone.
                let _ = std::fs::remove_file(&args.output);
                return Err(error);
            }
        };
        let value = json!({
            "file": args.output, "transfer": id, "patients": count, "bytes": bytes, "to": to_name, "recipient": recipient.to_string(),
            "expires": expires.to_string(), "emergency": args.emergency,
        });
        let text = format!(
            "{count} patients in `{}`, sealed to {to_name}. It may be taken until {expires}; destroy your copy once it has arrived.",
            args.output.display()
        );
        output.result("transfer make", value, &text);
        Ok(exit::OK)
    })
}

/// The receiving hospital's name and key.
fn receiver(opened: &Opened, to: &str) -> Result<(String, Recipient), CliError> {
    let listed = &opened.config.transfer.recipients;
    if let Some(key) = listed.get(to) {
        return Ok((to.to_owned(), Recipient::parse(key).map_err(told)?));
    }
    let recipient = Recipient::parse(to).map_err(|_| {
        let names = listed.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let names = if names.is_empty() { "nobody".to_owned() } else { names };
        CliError::Usage(format!(
            "`{to}` is neither listed under `[transfer.recipients]` ({names} is) nor a key such as `age1…`"
        ))
    })?;
    let key = recipient.to_string();
    let name = listed.iter().find(|(_, known)| **known == key).map(|(name, _)| name.clone());
    Ok((name.unwrap_or_else(|| "a hospital that is not listed".to_owned()), recipient))
}

fn create(path: &Path) -> Result<std::fs::File, CliError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(CliError::file(path, "the transfer cannot be made here; it must not exist yet"))
}

/// The summaries of these patients: each written down, with whom it goes to, before it is opened.
fn summaries(
    opened: &Opened,
    caller: &Caller,
    patients: &[ResourceId],
    query: &str,
    language: Language,
    now: Timestamp,
) -> Result<Vec<Made>, CliError> {
    let types: Vec<ResourceType> = TYPES.iter().filter_map(|name| ResourceType::parse(name)).collect();
    let settings = SummarySettings {
        hospital: opened.config.access.name.clone(),
        hospital_identifier: None,
        base: Some(people::base_url(opened)),
        language,
        now,
    };
    let asked = Asked::Transfer(query.to_owned());
    let mut made = Vec::with_capacity(patients.len());
    for patient in patients {
        let caller = Caller { operation: OperationId::random(open::rng().as_ref()), ..caller.clone() };
        let records = match open::wait(opened.vault.whole_record(&caller, patient, &types, &asked)) {
            Ok(records) => records,
            Err(VaultError::NotFound | VaultError::Gone { .. } | VaultError::Erased) => {
                return Err(CliError::Usage(format!("there is no Patient/{}: nothing was written", patient.as_str())));
            }
            Err(other) => return Err(other.into()),
        };
        made.push(one(patient, &records, &settings)?);
    }
    Ok(made)
}

fn one(patient: &ResourceId, records: &[tacet_vault::Disclosed], settings: &SummarySettings) -> Result<Made, CliError> {
    let limits = json::Limits { bytes_max: usize::MAX, values_max: usize::MAX, ..json::Limits::default() };
    let parsed = records.iter().map(|one| json::parse(&one.body, &limits)).collect::<Result<Vec<_>, _>>();
    let resources = parsed.map_err(|_| CliError::Vault(VaultError::Damaged("a record is no JSON")))?;
    let is_it = |one: &&Json<'_>| one.resource_type() == Some("Patient") && one.get_str("id") == Some(patient.as_str());
    let subject = resources.iter().find(is_it).ok_or(CliError::Vault(VaultError::NotFound))?;
    let summary = tacet_summary::summarize(subject, &resources, settings, open::rng().as_ref())
        .map_err(|error| CliError::other("a summary could not be made", error))?;
    let pdf = tacet_summary::to_paper(&summary)
        .to_pdf()
        .map_err(|error| CliError::other("a PDF could not be made", error))?;
    Ok((Zeroizing::new(json::write(&summary.bundle)), Zeroizing::new(pdf)))
}
