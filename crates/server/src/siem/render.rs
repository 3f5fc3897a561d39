//! The bytes of one entry, as a feed sends it.

use super::config::{AuditFeedConfig, AuditFeedForm, AuditFeedFrame, AuditFeedPatients};
use tacet_audit::syslog::{MessageKind, framed};
use tacet_audit::{Eyes, Patients, Shown, Site, audit_event, cef, dicom, line};
use tacet_ledger::Entry;
use tacet_vault::Vault;

/// One message, with what separates it from the next.
pub(super) fn message(index: u64, entry: &Entry, config: &AuditFeedConfig, site: &Site, vault: &Vault) -> Vec<u8> {
    let pseudonym = |name: &str| vault.pseudonym(name);
    let patients = match config.patients {
        AuditFeedPatients::Hashed => Patients::Hashed(&pseudonym),
        AuditFeedPatients::Clear => Patients::Clear,
        AuditFeedPatients::None => Patients::Withheld,
    };
    let mut shown = Shown::of(index, entry, Eyes::Receiver(patients));
    shown.objects.truncate(config.records_max);
    let (kind, text) = match config.form {
        AuditFeedForm::Dicom => (MessageKind::Dicom, dicom::message(&shown, site)),
        AuditFeedForm::Fhir => (MessageKind::Fhir, audit_event(&shown, site).to_string()),
        AuditFeedForm::Json => (MessageKind::Json, line::object(&shown, site).to_string()),
        AuditFeedForm::Cef => (MessageKind::Cef, cef::line(&shown, site)),
    };
    match config.frame() {
        AuditFeedFrame::Syslog => framed(&shown, site, kind, &text),
        // No form has a line end within it.
        AuditFeedFrame::Lines => (text + "\n").into_bytes(),
    }
}
