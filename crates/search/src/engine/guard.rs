//! What the index holds of whose record a document is and of its labels: terms to find by, and columns to look at afterwards.
//!
//! | term, under no parameter | of |
//! |---|---|
//! | patient's id, ended; type | each patient of the document |
//! | nobody; type | a document of no patient |
//! | many; type | a document of more than one |
//! | label; type, bit | each label |
//!
//! The types stand last, so that all that a patient has is one range of the dictionary, and what they have of one type one term.

use super::terms::{self, GLOBAL, kind};
use crate::document::Document;
use tacet_types::ResourceId;

/// Ends the id of a patient: no character of an id, so that none begins with another.
const ID_END: u8 = 1;

/// Begins the terms of a patient; a type follows.
pub(super) fn patient(id: &ResourceId) -> Vec<u8> {
    let mut term = terms::head(GLOBAL, kind::PATIENT);
    terms::put_id(&mut term, id.as_str());
    term.push(ID_END);
    term
}

/// The term of documents of a type that have no patient.
pub(super) fn nobody(type_code: u8) -> Vec<u8> {
    terms::plain(GLOBAL, kind::NOBODY, &[type_code])
}

/// The term of documents of a type that have more than one patient.
pub(super) fn many(type_code: u8) -> Vec<u8> {
    terms::plain(GLOBAL, kind::MANY, &[type_code])
}

/// Begins the terms of labels of a type; the bit of a label follows.
pub(super) fn labels(type_code: u8) -> Vec<u8> {
    terms::plain(GLOBAL, kind::LABEL, &[type_code])
}

/// The terms of a document.
pub(super) fn terms_of(document: &Document) -> Vec<Vec<u8>> {
    let code = document.key.resource_type.code();
    let mut found = Vec::with_capacity(document.patients.len() + 1);
    for id in &document.patients {
        let mut term = patient(id);
        term.push(code);
        found.push(term);
    }
    match document.patients.len() {
        0 => found.push(nobody(code)),
        1 => {}
        _ => found.push(many(code)),
    }
    let bits = document.labels.bits();
    for bit in (0..u64::BITS as u8).filter(|bit| bits >> bit & 1 == 1) {
        let mut term = labels(code);
        term.push(bit);
        found.push(term);
    }
    found
}
