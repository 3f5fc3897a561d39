//! `tacet transfer make`.

use super::{closing, told};
use crate::args::{Global, TransferMakeArgs};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Opened};
use crate::output::Output;
use crate::people;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tacet_fhir::json::{self, Json};
use tacet_identity::Kind;
use tacet_ledger::{PurposeOfUse, QUERY_BYTES_MAX, one_line};
use tacet_summary::{Language, SummarySettings, TYPES};
use tacet_transfer::{CONTENT_BYTES_MAX, Manifest, PATIENTS_MAX, Recipient};
use tacet_types::{OperationId, ResourceId, ResourceType};
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
    let reason = one_line(&args.reason);
    if reason.chars().count() < REASON_CHARS_MIN {
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
            let known = ward.as_ref().map_or(Ok(true), |place| opened.vault.is_on_record(place))?;
            let or = if known { "" } else { ", or there is no such ward: it is not on record" };
            return Err(CliError::Usage(format!("nobody lies on that ward now{or}; nothing was written")));
        }
        if patients.len() > PATIENTS_MAX {
            return Err(CliError::Usage(format!("a transfer has at most {PATIENTS_MAX} patients: make several")));
        }
        let text = format!("transfer of {what} to {to_name} ({recipient})");
        if !args.emergency {
            people::require_named(opened, Kind::BulkExport, &text, args.approval.as_deref())?;
        }
        let now = open::clock().now();
        let expires = now.plus_ms(i64::from(args.expires_days) * DAY_MS);
        let id = ResourceId::random(open::rng().as_ref()).as_str().to_owned();
        let second = if args.emergency { ", in an emergency, without a second person" } else { "" };
        let query = format!(
            "$summary: transfer {id} to {to_name} ({recipient}), to be destroyed by {expires}{second}: {reason}"
        );
        if query.len() > QUERY_BYTES_MAX {
            return Err(CliError::Usage(format!(
                "the reason is longer than the {QUERY_BYTES_MAX} bytes that the ledger keeps"
            )));
        }
        // Nothing is opened, and no approval used up, before the place to write to is there.
        let mut file = create(&args.output)?;
        let mut gathering = Gathering {
            opened,
            caller: &caller,
            query: &query,
            transfer: &id,
            settings: SummarySettings {
                hospital: opened.config.access.name.clone(),
                hospital_identifier: None,
                base: Some(people::base_url(opened)),
                language,
                now,
            },
            is_ward: ward.is_some(),
            made: Vec::new(),
            gathered: Vec::new(),
            left_out: Vec::new(),
        };
        let allowed = match args.emergency {
            true => Ok(()),
            false => people::use_approval(opened, &caller, Kind::BulkExport, &text, args.approval.as_deref()),
        };
        let written = allowed.and_then(|()| gathering.all(&patients)).and_then(|()| {
            let hospital = opened.config.access.name.clone();
            let mut manifest =
                Manifest::new(id.clone(), hospital, to_name.clone(), now, expires, purpose.as_str().to_owned());
            manifest.by = caller.owner.clone();
            manifest.reason = reason;
            let keys = opened.vault.transfer_keys();
            let sealed = tacet_transfer::seal(manifest, &gathering.made, &keys, &recipient).map_err(told)?;
            let unwritten = CliError::file(&args.output, "the transfer cannot be written");
            file.write_all(&sealed).and_then(|()| file.sync_all()).map_err(unwritten)?;
            Ok(sealed.len())
        });
        let bytes = match written {
            Ok(written) => written,
            Err(error) => {
                // A part of a transfer is of no use to anyone, and nobody is to read in the ledger that one was sent.
                let _ = std::fs::remove_file(&args.output);
                let note = format!("transfer {id} was not made: nothing was written");
                open::wait(opened.vault.note_transfer_failed(&caller, &gathering.gathered, &note))?;
                return Err(error);
            }
        };
        let (count, left_out) = (gathering.made.len(), &gathering.left_out);
        let named: Vec<Value> =
            left_out.iter().map(|(patient, why)| json!({ "patient": patient.as_str(), "why": why })).collect();
        let value = json!({
            "file": args.output, "transfer": id, "patients": count, "bytes": bytes, "to": to_name, "recipient": recipient.to_string(),
            "expires": expires.to_string(), "emergency": args.emergency, "left_out": named,
        });
        let mut text = format!(
            "{count} patients in `{}`, sealed to {to_name}. It may be taken until {expires}; destroy your copy once it has arrived.",
            args.output.display()
        );
        if !left_out.is_empty() {
            text += &format!("\n{} LEFT OUT, who go on paper or by another way:", left_out.len());
            for (patient, why) in left_out {
                text += &format!("\n  Patient/{}: {why}", patient.as_str());
            }
        }
        output.result("transfer make", value, &text);
        Ok(if left_out.is_empty() { exit::OK } else { exit::REJECTED })
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

/// Summaries that are gathered for a transfer.
struct Gathering<'a> {
    opened: &'a Opened,
    caller: &'a Caller,
    /// What the ledger says beside each patient whose record is opened.
    query: &'a str,
    /// The transfer's id.
    transfer: &'a str,
    settings: SummarySettings,
    /// Whether whoever lies on a ward goes; otherwise somebody named them.
    is_ward: bool,
    made: Vec<Made>,
    /// Whose they are.
    gathered: Vec<ResourceId>,
    /// Who does not go, and why.
    left_out: Vec<(ResourceId, String)>,
}

impl Gathering<'_> {
    /// The summaries of these patients: each written down, with whom it goes to, before it is opened. A record that does not open keeps nobody else from
    /// going: that patient is left out and named, and the ledger says so too.
    fn all(&mut self, patients: &[ResourceId]) -> Result<(), CliError> {
        let types: Vec<ResourceType> = TYPES.iter().filter_map(|name| ResourceType::parse(name)).collect();
        let asked = Asked::Transfer(self.query.to_owned());
        let mut bytes = 0;
        for patient in patients {
            let caller = Caller { operation: OperationId::random(open::rng().as_ref()), ..self.caller.clone() };
            let records = match open::wait(self.opened.vault.whole_record(&caller, patient, &types, &asked)) {
                Err(VaultError::NotFound | VaultError::Gone { .. } | VaultError::Erased) if !self.is_ward => {
                    return Err(CliError::Usage(format!(
                        "there is no Patient/{}: nothing was written",
                        patient.as_str()
                    )));
                }
                records => records,
            };
            let one = match records {
                Ok(records) => one(patient, &records, &self.settings),
                Err(VaultError::Internal(_) | VaultError::Damaged(_)) => {
                    Err("a record does not open: run `tacet check`".to_owned())
                }
                Err(error) if is_of_one(&error) => Err(error.to_string()),
                Err(error) => {
                    self.gathered.push(patient.clone());
                    return Err(error.into());
                }
            };
            match one {
                Ok(made) => {
                    bytes += made.0.len() + made.1.len();
                    if bytes > CONTENT_BYTES_MAX {
                        self.gathered.push(patient.clone());
                        return Err(CliError::Usage(format!(
                            "a transfer has at most {CONTENT_BYTES_MAX} bytes, which {} of these {} patients fill: send them in several",
                            self.made.len(),
                            patients.len()
                        )));
                    }
                    self.made.push(made);
                    self.gathered.push(patient.clone());
                }
                Err(why) => {
                    let note =
                        format!("transfer {} is without this patient: the record could not be opened", self.transfer);
                    open::wait(self.opened.vault.note_transfer_failed(&caller, std::slice::from_ref(patient), &note))?;
                    self.left_out.push((patient.clone(), why));
                }
            }
        }
        if self.made.is_empty() {
            return Err(CliError::Usage(
                "no record of these patients opens: nothing was written; run `tacet check`".into(),
            ));
        }
        Ok(())
    }
}

/// Whether an error is one of a single patient's record. Any other would be that of the next one too.
fn is_of_one(error: &VaultError) -> bool {
    matches!(error, VaultError::TooLarge { .. } | VaultError::NotFound | VaultError::Gone { .. } | VaultError::Erased)
}

/// A patient's document and PDF; or why there is none, with nothing of the record in it.
fn one(patient: &ResourceId, records: &[tacet_vault::Disclosed], settings: &SummarySettings) -> Result<Made, String> {
    let limits = json::Limits { bytes_max: usize::MAX, values_max: usize::MAX, ..json::Limits::default() };
    let parsed = records.iter().map(|one| json::parse(&one.body, &limits)).collect::<Result<Vec<_>, _>>();
    let resources = parsed.map_err(|_| VaultError::Damaged("a record is no JSON").to_string())?;
    let is_it = |one: &&Json<'_>| one.resource_type() == Some("Patient") && one.get_str("id") == Some(patient.as_str());
    let subject = resources.iter().find(is_it).ok_or_else(|| VaultError::NotFound.to_string())?;
    let summary = tacet_summary::summarize(subject, &resources, settings, open::rng().as_ref())
        .map_err(|error| format!("no summary can be made: {error}"))?;
    let pdf =
        tacet_summary::to_paper(&summary).to_pdf().map_err(|error| format!("the PDF could not be made: {error}"))?;
    Ok((Zeroizing::new(json::write(&summary.bundle)), Zeroizing::new(pdf)))
}
