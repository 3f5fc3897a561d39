//! Entries as people and programs take them away: JSON, and lines of CSV that no spreadsheet runs as a formula.

use crate::entry::Entry;
use serde_json::{Value, json};
use tacet_types::{RecordRef, ResourceId, ResourceType, Timestamp};

/// The names of the columns of [`csv_line`], as a line.
pub const CSV_HEADER: &str = "index,at,kind,outcome,owner,account,role,on_behalf_of,purpose,patient,categories,records,basis,address,channel,device,session,token,operation,query,detail,record_list\r\n";

/// What a cell may not begin with: spreadsheets take it for a formula, whatever the file says
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Characters after which the list of records ends in its cell; the number of all stands beside it. Spreadsheets hold 32,767.
const RECORD_LIST_BYTES_MAX: usize = 30_000;

fn reference(resource_type: ResourceType, id: &ResourceId) -> String {
    format!("{resource_type}/{}", id.as_str())
}

fn record(record: &RecordRef) -> String {
    format!("{}/_history/{}", reference(record.resource_type, &record.id), record.version)
}

/// An entry with its number, every field by its name; what is not set is null.
pub fn entry_json(index: u64, entry: &Entry) -> Value {
    json!({
        "index": index,
        "at": entry.at.to_string(),
        "kind": entry.kind.as_str(),
        "outcome": entry.outcome.as_str(),
        "owner": entry.agent.owner,
        "account": entry.account,
        "role": entry.agent.role,
        "on_behalf_of": entry.on_behalf_of,
        "purpose": entry.purpose.as_str(),
        "patient": entry.patient.as_ref().map(|(kind, id)| reference(*kind, id)),
        "categories": entry.categories.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "records": entry.records.iter().map(record).collect::<Vec<_>>(),
        "basis": entry.basis,
        "address": entry.origin.address,
        "channel": entry.origin.channel.as_str(),
        "device": entry.device,
        "session": entry.session,
        "token": entry.agent.token,
        "operation": entry.operation.to_string(),
        "query": entry.query,
        "detail": entry.detail,
    })
}

/// An entry as a line of CSV (RFC 4180) under [`CSV_HEADER`]. A text that a spreadsheet would run as a formula gets an apostrophe before it.
pub fn csv_line(index: u64, entry: &Entry) -> String {
    let mut list = String::new();
    for record in entry.records.iter().map(record) {
        if list.len() + record.len() > RECORD_LIST_BYTES_MAX {
            list.push_str(" ...");
            break;
        }
        if !list.is_empty() {
            list.push(' ');
        }
        list.push_str(&record);
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let categories: Vec<&str> = entry.categories.iter().map(|kind| kind.as_str()).collect();
    csv_cells(&[
        index.to_string(),
        entry.at.to_string(),
        entry.kind.to_string(),
        entry.outcome.to_string(),
        entry.agent.owner.clone(),
        text(&entry.account),
        entry.agent.role.clone(),
        text(&entry.on_behalf_of),
        entry.purpose.to_string(),
        entry.patient.as_ref().map(|(kind, id)| reference(*kind, id)).unwrap_or_default(),
        categories.join(" "),
        entry.records.len().to_string(),
        text(&entry.basis),
        entry.origin.address.map(|address| address.to_string()).unwrap_or_default(),
        entry.origin.channel.to_string(),
        text(&entry.device),
        text(&entry.session),
        text(&entry.agent.token),
        entry.operation.to_string(),
        text(&entry.query),
        text(&entry.detail),
        list,
    ])
}

/// Cells as a line of CSV.
pub fn csv_cells(cells: &[String]) -> String {
    let mut line = String::new();
    for (place, cell) in cells.iter().enumerate() {
        if place > 0 {
            line.push(',');
        }
        let guarded = if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell.clone() };
        if guarded.contains(['"', ',', '\r', '\n', ';']) {
            line.push('"');
            line.push_str(&guarded.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(&guarded);
        }
    }
    line.push_str("\r\n");
    line
}

/// A moment as somebody types it: an RFC 3339 instant, or a date, which stands for its first moment in UTC.
pub fn parse_moment(text: &str) -> Option<Timestamp> {
    let date = text.len() == 10 && text.is_ascii();
    if date { Timestamp::parse(&format!("{text}T00:00:00Z")).ok() } else { Timestamp::parse(text).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::full_entry;

    #[test]
    fn json_has_every_field() {
        let mut entry = full_entry();
        (entry.account, entry.session) = (Some("a-1".into()), Some("s-1".into()));
        (entry.device, entry.basis) = (Some("d-1".into()), Some("ward by care".into()));
        let value = entry_json(7, &entry);
        let object = value.as_object().unwrap();
        assert_eq!(object.len(), CSV_HEADER.trim_end().split(',').count() - 1);
        assert!(object.values().all(|value| !value.is_null()), "{value}");
        assert!(CSV_HEADER.trim_end().split(',').all(|name| name == "record_list" || object.contains_key(name)));
        assert_eq!(value["records"][1], "Condition/c.1/_history/300");
    }

    #[test]
    fn no_cell_is_a_formula_or_ends_another() {
        let mut entry = full_entry();
        entry.agent.owner = "=HYPERLINK(\"http://evil\",\"x\")".into();
        entry.query = Some("+1\r\n@x,\"".into());
        entry.detail = Some("-2".into());
        entry.on_behalf_of = Some("\t=1".into());
        let line = csv_line(3, &entry);
        assert!(line.contains(",\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\",,clinician,'\t=1,TREAT,"), "{line}");
        assert!(
            line.contains(",\"'+1\r\n@x,\"\"\",'-2,\"") || line.contains(",\"'+1\r\n@x,\"\"\",'-2,Observation/"),
            "{line}"
        );
        assert!(line.ends_with("\r\n") && line.starts_with("3,2026-03-01T08:00:00.123Z,search,success,"));
        // As a reader of RFC 4180 sees it.
        let (mut cells, mut quoted) = (1, false);
        for character in line.trim_end().chars() {
            match character {
                '"' => quoted = !quoted,
                ',' if !quoted => cells += 1,
                _ => {}
            }
        }
        assert_eq!(cells, CSV_HEADER.trim_end().split(',').count());
    }

    #[test]
    fn a_formula_is_guarded_however_it_is_spelt() {
        for cell in ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1", "＠x"] {
            let line = csv_cells(&[cell.to_owned()]);
            assert!(line.trim_start_matches('"').starts_with('\''), "{line:?}");
        }
        assert_eq!(csv_cells(&["a=1".to_owned(), "x-y".to_owned()]), "a=1,x-y\r\n");
    }

    #[test]
    fn moments_are_instants_or_dates() {
        assert_eq!(parse_moment("2026-03-01").unwrap().to_string(), "2026-03-01T00:00:00.000Z");
        assert_eq!(parse_moment("2026-03-01T09:00:00+01:00").unwrap().to_string(), "2026-03-01T08:00:00.000Z");
        assert!(
            ["", "2026-13-01", "2026-03", "yesterday", "2026-03-1é"].iter().all(|text| parse_moment(text).is_none())
        );
    }
}
