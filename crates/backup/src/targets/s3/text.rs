//! The XML that stores answer with, as far as it is needed: listings and the code of an error. What is not understood is passed over; nothing of it is trusted.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Deepest element that is looked into.
const DEPTH_MAX: usize = 8;

/// Most entries of a page, whatever was asked for.
const ENTRIES_MAX: usize = 10_000;

/// Longest text of an element that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// A page of a listing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Page {
    /// Objects, versions and delete markers, in the store's order.
    pub(super) entries: Vec<Entry>,
    /// Where the next page begins; none after the last. Of objects the first is the token, of versions a key and a version.
    pub(super) next: Option<(String, String)>,
}

/// An object, a version of it, or a marker that says that it was deleted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Entry {
    /// Its key, as the store has it.
    pub(super) key: String,
    /// Its version; empty in a plain listing.
    pub(super) version: String,
    /// Its length in bytes.
    pub(super) bytes: u64,
    /// Whether it is a marker.
    pub(super) marker: bool,
}

/// Reads a page of `ListObjectsV2` or `ListObjectVersions`. None where it is none.
pub(super) fn page(body: &[u8]) -> Option<Page> {
    let mut page = Page::default();
    let mut truncated = false;
    let (mut token, mut key, mut version) = (None, None, String::new());
    let mut entry = Entry::default();
    let mut listing = false;
    walk(body, |path, found| {
        let Some(kept) = path.get(1..) else { return Some(()) };
        listing |= matches!(path.first().map(String::as_str), Some("ListBucketResult" | "ListVersionsResult"));
        match (kept.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), found) {
            (["Contents" | "Version" | "DeleteMarker"], Found::Start) => entry = Entry::default(),
            ([kind @ ("Contents" | "Version" | "DeleteMarker")], Found::End(_)) => {
                (page.entries.len() < ENTRIES_MAX).then_some(())?;
                entry.marker = *kind == "DeleteMarker";
                page.entries.push(std::mem::take(&mut entry));
            }
            (["Contents" | "Version" | "DeleteMarker", "Key"], Found::End(text)) => entry.key = text,
            (["Version" | "DeleteMarker", "VersionId"], Found::End(text)) => entry.version = text,
            (["Contents" | "Version", "Size"], Found::End(text)) => entry.bytes = text.trim().parse().ok()?,
            (["IsTruncated"], Found::End(text)) => truncated = text.trim() == "true",
            (["NextContinuationToken"], Found::End(text)) => token = Some(text),
            (["NextKeyMarker"], Found::End(text)) => key = Some(text),
            (["NextVersionIdMarker"], Found::End(text)) => version = text,
            _ => {}
        }
        Some(())
    })?;
    if truncated {
        // One that says that there is more, and not where, would be taken for the whole.
        page.next = Some((token.or(key)?, version));
    }
    listing.then_some(page)
}

/// The code of an error answer.
pub(super) fn code(body: &[u8]) -> Option<String> {
    let mut code = None;
    walk(body, |path, found| {
        if let ([_, name], Found::End(text)) = (path, found)
            && name == "Code"
        {
            code = Some(text);
        }
        Some(())
    })?;
    code
}

enum Found {
    Start,
    End(String),
}

/// Shows each element with its path: where it begins, and where it ends with the text that stands directly in it.
fn walk(body: &[u8], mut visit: impl FnMut(&[String], Found) -> Option<()>) -> Option<()> {
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?);
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                (path.len() < DEPTH_MAX).then_some(())?;
                path.push(start.local_name().as_ref().to_owned());
                text.clear();
                visit(&path, Found::Start)?;
            }
            Event::End(_) => {
                visit(&path, Found::End(std::mem::take(&mut text)))?;
                path.pop()?;
            }
            Event::Empty(start) => {
                (path.len() < DEPTH_MAX).then_some(())?;
                path.push(start.local_name().as_ref().to_owned());
                visit(&path, Found::Start)?;
                visit(&path, Found::End(String::new()))?;
                path.pop()?;
            }
            Event::Text(part) => add(&mut text, &part.xml10_content())?,
            Event::CData(part) => add(&mut text, &part.xml10_content())?,
            Event::GeneralRef(name) => {
                let letter = match name.resolve_char_ref().ok()? {
                    Some(letter) => letter,
                    None => match &*name.xml10_content() {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => return None,
                    },
                };
                add(&mut text, letter.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return None,
            Event::Eof => return path.is_empty().then_some(()),
            _ => {}
        }
    }
}

fn add(text: &mut String, part: &str) -> Option<()> {
    (text.len() + part.len() <= TEXT_BYTES_MAX).then_some(())?;
    text.push_str(part);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_of_objects_and_of_versions_are_read() {
        let objects = page(
            br#"<?xml version="1.0"?><ListBucketResult xmlns="x"><Name>b</Name><IsTruncated>true</IsTruncated>
            <Contents><Key>p/a</Key><ETag>&quot;x&quot;</ETag><Size>3</Size><Owner><ID>1</ID></Owner></Contents>
            <Contents><Key>odd//&amp;name</Key><Size>0</Size></Contents><NextContinuationToken>t</NextContinuationToken></ListBucketResult>"#,
        )
        .unwrap();
        let keys: Vec<_> =
            objects.entries.iter().map(|entry| (entry.key.as_str(), entry.bytes, entry.marker)).collect();
        assert_eq!(keys, [("p/a", 3, false), ("odd//&name", 0, false)]);
        assert_eq!(objects.next, Some(("t".into(), String::new())));
        let versions = page(
            b"<ListVersionsResult><IsTruncated>false</IsTruncated><DeleteMarker><Key>a</Key><VersionId>3</VersionId></DeleteMarker>\
            <Version><Key>a</Key><VersionId>2</VersionId><Size>9</Size></Version></ListVersionsResult>",
        )
        .unwrap();
        let read: Vec<_> = versions.entries.iter().map(|entry| (entry.version.as_str(), entry.marker)).collect();
        assert_eq!((read, versions.next), (vec![("3", true), ("2", false)], None));
        assert_eq!(page(b"<ListBucketResult/>"), Some(Page::default()));
    }

    #[test]
    fn what_is_no_listing_or_hides_that_there_is_more_is_refused() {
        let deep = "<a>".repeat(9);
        for bad in [
            "",
            "<Error><Code>x</Code></Error>",
            "<html></html>",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><ListBucketResult></ListBucketResult>",
            "<ListBucketResult><Contents><Key>&b;</Key></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Size>many</Size></Contents></ListBucketResult>",
            &deep,
        ] {
            assert_eq!(page(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(
            code(b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>").as_deref(),
            Some("AccessDenied")
        );
        assert_eq!(code(b"nonsense"), None);
    }
}
