//! An entry in the Common Event Format (ArcSight CEF, revision 25), which most SIEM take: one line, without its end.

use crate::Site;
use crate::shown::{Shown, Told};
use std::fmt::Write;
use tacet_ledger::Outcome;

/// The line of an entry.
pub fn line(shown: &Shown, site: &Site) -> String {
    let told = shown.telling();
    let severity = match shown.outcome {
        Outcome::Success => told.severity,
        Outcome::Refused | Outcome::Failed => told.severity.max(5),
    };
    let mut line = String::with_capacity(512);
    line.push_str("CEF:0|Tacet|Tacet|");
    header(&mut line, env!("CARGO_PKG_VERSION"));
    header(&mut line, shown.kind.as_str());
    header(&mut line, told.words);
    let _ = write!(line, "{severity}|");
    let mut put = |name: &str, value: &str| extension(&mut line, name, value);
    put("externalId", &shown.index.to_string());
    put("rt", &shown.at.as_ms().to_string());
    put("act", shown.kind.as_str());
    put("outcome", shown.outcome.as_str());
    put("dvchost", site.host());
    put("deviceExternalId", &site.uuid());
    put("app", shown.channel.as_str());
    put("spriv", &shown.role);
    put("cnt", &shown.records.to_string());
    if let Some(owner) = shown.owner.text() {
        put("suser", owner);
    }
    if let Some(account) = shown.account.text() {
        put("suid", account);
    }
    if let Some(address) = shown.address.text() {
        // `src` holds IPv4 only.
        if address.contains(':') {
            put("c6a2", address);
            put("c6a2Label", "Source IPv6 Address");
        } else {
            put("src", address);
        }
    }
    if let Some(detail) = shown.detail.text() {
        put("reason", detail);
    }
    if let Some(behind) = shown.on_behalf_of.text() {
        put("sourceServiceName", behind);
    }
    let categories: Vec<&str> = shown.categories.iter().map(|category| category.as_str()).collect();
    let labelled = [
        ("cs1", "patient", patient(shown)),
        ("cs2", "purpose", Some(shown.purpose.as_str().to_owned())),
        ("cs3", "basis", shown.basis.text().map(str::to_owned)),
        ("cs4", "session", shown.session.text().or(shown.credential.text()).map(str::to_owned)),
        ("cs5", "operation", Some(shown.operation.to_string())),
        ("cs6", "criteria", shown.query.text().map(str::to_owned)),
        ("flexString1", "categories", Some(categories.join(",")).filter(|text| !text.is_empty())),
        ("flexString2", "device", shown.device.text().map(str::to_owned)),
    ];
    for (name, label, value) in labelled {
        if let Some(value) = value {
            put(name, &value);
            put(&format!("{name}Label"), label);
        }
    }
    line.truncate(line.trim_end_matches(' ').len());
    line
}

fn patient(shown: &Shown) -> Option<String> {
    match (&shown.patient, shown.patient_type) {
        (Told::Said(id), Some(resource_type)) => Some(format!("{resource_type}/{id}")),
        (Told::Pseudonym(hash), _) => Some(hash.clone()),
        _ => None,
    }
}

/// A part of the header: `|` and `\` escaped, no line end.
fn header(line: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '|' | '\\' => line.extend(['\\', letter]),
            letter if letter.is_control() => line.push(' '),
            letter => line.push(letter),
        }
    }
    line.push('|');
}

/// A name and a value: `=`, `\` and line ends escaped.
fn extension(line: &mut String, name: &str, value: &str) {
    let _ = write!(line, "{name}=");
    for letter in value.chars() {
        match letter {
            '=' | '\\' => line.extend(['\\', letter]),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            letter if letter.is_control() => line.push(' '),
            letter => line.push(letter),
        }
    }
    line.push(' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_its_place() {
        let mut line = String::new();
        header(&mut line, "a|b\\c\nd");
        extension(&mut line, "k", "x=1 act=login\r\ny\\");
        assert_eq!(line, "a\\|b\\\\c d|k=x\\=1 act\\=login\\r\\ny\\\\ ");
    }
}
