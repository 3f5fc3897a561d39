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
    if bundled(config) {
        return text.into_bytes();
    }
    match config.frame() {
        AuditFeedFrame::Syslog => framed(&shown, site, kind, &text),
        // No form has a line end within it.
        AuditFeedFrame::Lines => (text + "\n").into_bytes(),
    }
}

/// Whether messages go together as a Bundle (IHE ITI-20, Send Audit Bundle).
fn bundled(config: &AuditFeedConfig) -> bool {
    config.url.is_some() && config.form == AuditFeedForm::Fhir
}

/// What is sent at once: messages one after the other, or a Bundle of events that are to be stored.
pub(super) fn together(messages: &[Vec<u8>], config: &AuditFeedConfig) -> Vec<u8> {
    if !bundled(config) {
        return messages.concat();
    }
    let mut bundle = br#"{"resourceType":"Bundle","type":"batch","entry":["#.to_vec();
    for (place, message) in messages.iter().enumerate() {
        bundle.extend(if place == 0 { &b"{\"resource\":"[..] } else { &b",{\"resource\":"[..] });
        bundle.extend(message);
        bundle.extend(br#","request":{"method":"POST","url":"AuditEvent"}}"#);
    }
    bundle.extend(b"]}");
    bundle
}
