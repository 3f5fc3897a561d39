//! The answer to a bundle: a response for each of its entries.

use super::{Done, ReturnPreference};
use crate::caller::Caller;
use crate::error::VaultError;
use tacet_fhir::outcome::operation_outcome_bytes;
use tacet_types::{RecordRef, Timestamp};
use zeroize::Zeroizing;

/// One entry of the response. Ids hold nothing that JSON would have to escape.
pub(super) fn render(done: &Result<Done, VaultError>, prefer: ReturnPreference, caller: &Caller) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::new());
    match done {
        Ok(Done::Stored(stored)) => {
            let status = if stored.created { "201 Created" } else { "200 OK" };
            match prefer {
                ReturnPreference::Minimal => out.extend(b"{"),
                ReturnPreference::Representation => {
                    out.extend(b"{\"resource\":");
                    out.extend_from_slice(&stored.body);
                    out.extend(b",");
                }
                ReturnPreference::OperationOutcome => out.extend(b"{"),
            }
            out.extend(response(status, Some(&stored.record), Some(stored.last_updated)).as_bytes());
            if prefer == ReturnPreference::OperationOutcome {
                out.pop();
                out.extend(b",\"outcome\":");
                out.extend(operation_outcome_bytes(&[], Some(&caller.operation)));
                out.extend(b"}");
            }
            out.extend(b"}");
        }
        Ok(Done::Deleted(record)) => {
            out.extend(b"{");
            out.extend(response("204 No Content", record.as_ref(), None).as_bytes());
            out.extend(b"}");
        }
        Ok(Done::Exists(record, last_updated)) => {
            out.extend(b"{");
            out.extend(response("200 OK", Some(record), Some(*last_updated)).as_bytes());
            out.extend(b"}");
        }
        Ok(Done::Found(bundle)) => {
            out.extend(b"{\"resource\":");
            out.extend_from_slice(bundle);
            out.extend(b",");
            out.extend(response("200 OK", None, None).as_bytes());
            out.extend(b"}");
        }
        Ok(Done::Read(disclosed)) => {
            out.extend(b"{\"resource\":");
            out.extend_from_slice(&disclosed.body);
            out.extend(b",");
            out.extend(response("200 OK", Some(&disclosed.record), Some(disclosed.last_updated)).as_bytes());
            out.extend(b"}");
        }
        Err(error) => {
            out.extend(b"{\"response\":{\"status\":\"");
            out.extend(error.http_status().as_bytes());
            out.extend(b"\",\"outcome\":");
            out.extend(operation_outcome_bytes(&error.issues(), Some(&caller.operation)));
            out.extend(b"}}");
        }
    }
    out
}

fn response(status: &str, record: Option<&RecordRef>, last_updated: Option<Timestamp>) -> String {
    let mut text = format!("\"response\":{{\"status\":\"{status}\"");
    if let Some(RecordRef { resource_type, id, version }) = record {
        let id = id.as_str();
        text += &format!(",\"location\":\"{resource_type}/{id}/_history/{version}\",\"etag\":\"W/\\\"{version}\\\"\"");
    }
    if let Some(at) = last_updated {
        text += &format!(",\"lastModified\":\"{at}\"");
    }
    text + "}"
}

pub(super) fn response_bundle(kind: &str, entries: &[Zeroizing<Vec<u8>>]) -> Zeroizing<Vec<u8>> {
    let bytes = entries.iter().map(|entry| entry.len() + 1).sum::<usize>() + 100;
    let mut out = Zeroizing::new(Vec::with_capacity(bytes));
    out.extend(format!("{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\"").as_bytes());
    for (place, entry) in entries.iter().enumerate() {
        out.extend(if place == 0 { &b",\"entry\":["[..] } else { b"," });
        out.extend_from_slice(entry);
    }
    out.extend(if entries.is_empty() { &b"}"[..] } else { b"]}" });
    out
}
