//! Writes Bundles of stored records: their JSON goes in as it is, neither parsed nor changed.

use std::fmt::Display;
use std::io::Write;
use tacet_fhir::outcome::operation_outcome_bytes;
use tacet_types::{OperationId, RecordRef, Timestamp, VersionId};
use tacet_vault::{EverythingPage, HistoryPage, MatchPage, Method, SearchEntry, SearchMode, SearchPage};
use zeroize::Zeroizing;

/// Room for what stands around one record, in bytes, beside twice the base URL.
const ENTRY_BYTES: usize = 640;

/// How well a record matches (<https://hl7.org/fhir/R4/extension-match-grade.html>).
const MATCH_GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";

/// Links of a page.
pub(crate) struct Links {
    /// This page.
    pub(crate) this: String,
    /// The next page, where there is one.
    pub(crate) next: Option<String>,
}

/// A Bundle of type `history`.
pub(crate) fn history(page: &HistoryPage, base_url: &str, links: &Links, at: Timestamp) -> Zeroizing<Vec<u8>> {
    let bodies = page.entries.iter().filter_map(|entry| entry.body.as_ref());
    let mut out = buffer(bodies.map(|body| body.len()), page.entries.len(), base_url, links);
    head(&mut out, "history", page.total, links, at);
    for (place, entry) in page.entries.iter().enumerate() {
        let RecordRef { resource_type, id, version } = &entry.record;
        let id = id.as_str();
        open(&mut out, place, base_url, &entry.record);
        if let Some(body) = &entry.body {
            put(&mut out, ",\"resource\":");
            out.extend_from_slice(body);
        }
        let (method, status) = match entry.method {
            Method::Post => ("POST", "201 Created"),
            Method::Put if *version == VersionId::FIRST => ("PUT", "201 Created"),
            Method::Put => ("PUT", "200 OK"),
            Method::Delete => ("DELETE", "204 No Content"),
        };
        put(&mut out, format_args!(",\"request\":{{\"method\":\"{method}\",\"url\":\"{resource_type}"));
        if entry.method != Method::Post {
            put(&mut out, format_args!("/{id}"));
        }
        let last = entry.last_updated;
        put(&mut out, format_args!("\"}},\"response\":{{\"status\":\"{status}\",\"location\":"));
        string(&mut out, &format!("{base_url}/{resource_type}/{id}/_history/{version}"));
        put(&mut out, format_args!(",\"etag\":\"W/\\\"{version}\\\"\",\"lastModified\":\"{last}\"}}}}"));
    }
    close(out, page.entries.len())
}

/// A Bundle of type `searchset`.
pub(crate) fn everything(page: &EverythingPage, base_url: &str, links: &Links, at: Timestamp) -> Zeroizing<Vec<u8>> {
    let bodies = page.entries.iter().map(|(record, _)| record.body.len());
    let mut out = buffer(bodies, page.entries.len(), base_url, links);
    head(&mut out, "searchset", None, links, at);
    for (place, (disclosed, is_match)) in page.entries.iter().enumerate() {
        open(&mut out, place, base_url, &disclosed.record);
        put(&mut out, ",\"resource\":");
        out.extend_from_slice(&disclosed.body);
        let mode = if *is_match { "match" } else { "include" };
        put(&mut out, format_args!(",\"search\":{{\"mode\":\"{mode}\"}}}}"));
    }
    close(out, page.entries.len())
}

/// A Bundle of type `searchset`: the page of a search. What was passed over of the query is said in an OperationOutcome at its end.
pub(crate) fn search(
    page: &SearchPage,
    base_url: &str,
    links: &Links,
    at: Timestamp,
    operation: &OperationId,
) -> Zeroizing<Vec<u8>> {
    let outcome = match page.issues.as_slice() {
        [] => Vec::new(),
        issues => operation_outcome_bytes(issues, Some(operation)),
    };
    let bodies = page.entries.iter().map(|entry| entry.disclosed.body.len());
    let mut out = buffer(bodies.chain([outcome.len()]), page.entries.len() + 1, base_url, links);
    head(&mut out, "searchset", page.total, links, at);
    found(&mut out, &page.entries, base_url);
    let mut entries = page.entries.len();
    if !outcome.is_empty() {
        put(&mut out, if entries == 0 { ",\"entry\":[{\"resource\":" } else { ",{\"resource\":" });
        out.extend_from_slice(&outcome);
        put(&mut out, ",\"search\":{\"mode\":\"outcome\"}}");
        entries += 1;
    }
    close(out, entries)
}

/// A Bundle of type `searchset`: the patients that a look-up found, the best first.
pub(crate) fn matches(page: &MatchPage, base_url: &str, links: &Links, at: Timestamp) -> Zeroizing<Vec<u8>> {
    let bodies = page.entries.iter().map(|entry| entry.disclosed.body.len());
    let mut out = buffer(bodies, page.entries.len(), base_url, links);
    head(&mut out, "searchset", u64::try_from(page.entries.len()).ok(), links, at);
    found(&mut out, &page.entries, base_url);
    close(out, page.entries.len())
}

/// Entries of what was found, each with why it is there and, where that was weighed, how well it matches.
fn found(out: &mut Vec<u8>, entries: &[SearchEntry], base_url: &str) {
    for (place, entry) in entries.iter().enumerate() {
        open(out, place, base_url, &entry.disclosed.record);
        put(out, ",\"resource\":");
        out.extend_from_slice(&entry.disclosed.body);
        put(out, ",\"search\":{");
        if let Some(graded) = entry.graded {
            let grade = graded.grade.as_str();
            put(out, format_args!("\"extension\":[{{\"url\":\"{MATCH_GRADE}\",\"valueCode\":\"{grade}\"}}],"));
        }
        let mode = match entry.mode {
            SearchMode::Match => "match",
            SearchMode::Include => "include",
        };
        put(out, format_args!("\"mode\":\"{mode}\""));
        if let Some(graded) = entry.graded {
            put(out, format_args!(",\"score\":{:.2}", graded.score));
        }
        put(out, "}}");
    }
}

/// A buffer that will not have to grow: it is wiped at its end, and one that grew would have left copies behind.
fn buffer(bodies: impl Iterator<Item = usize>, entries: usize, base_url: &str, links: &Links) -> Zeroizing<Vec<u8>> {
    let around = entries * (ENTRY_BYTES + 2 * base_url.len());
    let links = links.this.len() + links.next.as_ref().map_or(0, String::len);
    Zeroizing::new(Vec::with_capacity(bodies.sum::<usize>() + around + 2 * links + ENTRY_BYTES))
}

fn head(out: &mut Vec<u8>, kind: &str, total: Option<u64>, links: &Links, at: Timestamp) {
    put(out, "{\"resourceType\":\"Bundle\"");
    put(out, format_args!(",\"meta\":{{\"lastUpdated\":\"{at}\"}},\"type\":\"{kind}\""));
    if let Some(total) = total {
        put(out, format_args!(",\"total\":{total}"));
    }
    put(out, ",\"link\":[{\"relation\":\"self\",\"url\":");
    string(out, &links.this);
    if let Some(next) = &links.next {
        put(out, "},{\"relation\":\"next\",\"url\":");
        string(out, next);
    }
    put(out, "}]");
}

fn open(out: &mut Vec<u8>, place: usize, base_url: &str, record: &RecordRef) {
    put(out, if place == 0 { ",\"entry\":[{\"fullUrl\":" } else { ",{\"fullUrl\":" });
    string(out, &format!("{base_url}/{}/{}", record.resource_type, record.id.as_str()));
}

fn close(mut out: Zeroizing<Vec<u8>>, entries: usize) -> Zeroizing<Vec<u8>> {
    put(&mut out, if entries == 0 { "}" } else { "]}" });
    out
}

fn put(out: &mut Vec<u8>, text: impl Display) {
    // Writing into memory does not fail.
    let _ = write!(out, "{text}");
}

fn string(out: &mut Vec<u8>, text: &str) {
    // As above; a `str` is always a JSON string.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::{ResourceId, ResourceType};
    use tacet_vault::{Disclosed, HistoryEntry};

    fn record(version: u64) -> RecordRef {
        RecordRef {
            resource_type: ResourceType::parse("MedicinalProductContraindication").unwrap(),
            id: ResourceId::parse(&"x".repeat(64)).unwrap(),
            version: VersionId(version),
        }
    }

    fn links() -> Links {
        Links { this: "https://h/_history".into(), next: Some("https://h/_history?_cursor=\"".into()) }
    }

    #[test]
    fn the_buffer_never_grows() {
        let body = || Zeroizing::new(b"{\"n\":1.00}".to_vec());
        let entry = |method| HistoryEntry {
            record: record(u64::MAX),
            last_updated: Timestamp::from_ms(0),
            method,
            body: (method != Method::Delete).then(body),
        };
        let entries = [Method::Post, Method::Put, Method::Delete].repeat(100).into_iter().map(entry).collect();
        let page = HistoryPage { entries, next: None, total: Some(u64::MAX) };
        let base = format!("https://{}.example", "h".repeat(100));
        let bodies = page.entries.iter().filter_map(|entry| entry.body.as_ref()).map(|body| body.len());
        let room = buffer(bodies, 300, &base, &links()).capacity();
        let written = history(&page, &base, &links(), Timestamp::from_ms(0));
        assert!(written.len() <= room, "{} > {room}", written.len());
        let value: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(value["entry"].as_array().unwrap().len(), 300);
        assert_eq!(value["entry"][2]["request"]["method"], "DELETE");
        assert!(value["entry"][2].get("resource").is_none());
        assert_eq!(value["link"][1]["url"], "https://h/_history?_cursor=\"");
    }

    #[test]
    fn an_empty_page_is_a_bundle() {
        let page = EverythingPage { entries: Vec::new(), next: None };
        let written = everything(&page, "https://h", &links(), Timestamp::from_ms(0));
        assert!(serde_json::from_slice::<serde_json::Value>(&written).unwrap().get("entry").is_none());
        let disclosed = Disclosed {
            record: record(1),
            last_updated: Timestamp::from_ms(0),
            body: Zeroizing::new(b"{\"n\":1.00}".to_vec()),
        };
        let page = EverythingPage { entries: vec![(disclosed, true)], next: None };
        let written = everything(&page, "https://h", &links(), Timestamp::from_ms(0));
        assert!(std::str::from_utf8(&written).unwrap().contains("{\"n\":1.00},\"search\":{\"mode\":\"match\"}"));
    }
}
