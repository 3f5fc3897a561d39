//! A body on its way in or out takes another form here: XML to JSON and back, content to the Binary that holds it, and packing by
//! gzip. Inside, a resource is JSON.

use crate::error::ApiError;
use crate::negotiate::BodyType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName};
use std::io::Write;
use tacet_fhir::json::{self, Json};
use tacet_fhir::outcome::IssueType;
use tacet_fhir::xml;
use zeroize::Zeroizing;

/// Shortest answer that is packed, in bytes: a shorter one fits in a packet as it is.
pub(crate) const GZIP_BYTES_MIN: usize = 1024;

/// To whom else the access to a Binary's content is bound (FHIR R4, "binary").
const SECURITY_CONTEXT: HeaderName = HeaderName::from_static("x-security-context");

/// The JSON of a body. `path` is where it was sent: content of any other type than FHIR's is taken for Binary alone.
pub(crate) fn to_json(bytes: &Bytes, kind: &BodyType, headers: &HeaderMap, path: &str) -> Result<Bytes, ApiError> {
    match kind {
        BodyType::Xml => {
            let limits = json::Limits { bytes_max: usize::MAX, ..json::Limits::default() };
            let resource = xml::parse(bytes, &limits).map_err(|error| ApiError::invalid(error.to_string()))?;
            Ok(Bytes::from_owner(Zeroizing::new(json::write(&resource))))
        }
        BodyType::Native(content_type) => binary(bytes, content_type, headers, path),
        _ => Ok(bytes.clone()),
    }
}

fn binary(bytes: &[u8], content_type: &str, headers: &HeaderMap, path: &str) -> Result<Bytes, ApiError> {
    let mut segments = path.split('/').skip(1);
    if segments.next() != Some("Binary") {
        let message = "JSON and XML are taken: send it with `Content-Type: application/fhir+json`";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, IssueType::NotSupported, message));
    }
    let mut resource = Json::object([("resourceType", Json::from("Binary"))]);
    if let Some(id) = segments.next().filter(|id| !id.is_empty()) {
        resource.set("id", Json::from(id));
    }
    resource.set("contentType", Json::from(content_type));
    if let Some(context) = headers.get(SECURITY_CONTEXT) {
        let reference = context.to_str().map_err(|_| ApiError::invalid("`X-Security-Context` must be a reference"))?;
        resource.set("securityContext", Json::object([("reference", Json::from(reference))]));
    }
    let data = Zeroizing::new(STANDARD.encode(bytes));
    resource.set("data", Json::from(data.as_str()));
    Ok(Bytes::from_owner(Zeroizing::new(json::write(&resource))))
}

/// What a Binary holds: its type and its bytes. None: it is no Binary with content.
pub(crate) fn native(resource: &[u8]) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let resource = json::parse(resource, &json::Limits { bytes_max: usize::MAX, ..json::Limits::default() }).ok()?;
    let content_type = resource.get_str("contentType")?.to_owned();
    let data: String = resource.get_str("data")?.split_ascii_whitespace().collect();
    Some((content_type, Zeroizing::new(STANDARD.decode(data).ok()?)))
}

/// A resource as XML.
pub(crate) fn to_xml(resource: &[u8]) -> Result<Bytes, ApiError> {
    let limits = json::Limits {
        bytes_max: usize::MAX,
        depth_max: json::DEPTH_CEILING,
        values_max: usize::MAX,
        members_max: usize::MAX,
    };
    let failed = || ApiError::internal("an answer cannot be written as XML");
    let resource = json::parse(resource, &limits).map_err(|_| failed())?;
    Ok(Bytes::from_owner(Zeroizing::new(xml::write(&resource).map_err(|_| failed())?)))
}

/// Packs by gzip, at the speed that serving asks for.
pub(crate) fn packed(bytes: &[u8]) -> Bytes {
    let mut out = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    // Writing into memory does not fail.
    let _ = out.write_all(bytes);
    Bytes::from_owner(Zeroizing::new(out.finish().unwrap_or_default()))
}

/// Packs by gzip what comes piece by piece.
pub(crate) struct Packer(GzEncoder<Vec<u8>>);

impl Packer {
    pub(crate) fn new() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }

    /// Takes a piece; gives what of it and those before is packed by now, which may be nothing.
    pub(crate) fn piece(&mut self, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        // Writing into memory does not fail.
        let _ = self.0.write_all(bytes);
        Zeroizing::new(std::mem::take(self.0.get_mut()))
    }

    /// What is left at the end.
    pub(crate) fn end(self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.finish().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn content_becomes_a_binary_and_comes_back() {
        let kind = BodyType::Native("image/png".to_owned());
        let content = Bytes::from_static(&[0, 159, 146, 150, 255]);
        let mut headers = HeaderMap::new();
        headers.insert(SECURITY_CONTEXT, HeaderValue::from_static("Patient/1"));
        let resource = to_json(&content, &kind, &headers, "/Binary/b-1").unwrap();
        let value = json::parse(&resource, &json::Limits::default()).unwrap();
        assert_eq!(value.get_str("id"), Some("b-1"));
        assert_eq!(value.get("securityContext").and_then(|context| context.get_str("reference")), Some("Patient/1"));
        let (content_type, back) = native(&resource).unwrap();
        assert_eq!((content_type.as_str(), back.as_slice()), ("image/png", &*content));
        assert!(to_json(&content, &kind, &headers, "/Patient").is_err());
        assert!(native(br#"{"resourceType":"Binary","contentType":"a/b","data":"&"}"#).is_none());
    }

    #[test]
    fn xml_goes_in_and_out() {
        let resource = br#"{"resourceType":"Patient","id":"a","active":true,"name":[{"family":"A & B"}]}"#;
        let xml = to_xml(resource).unwrap();
        assert!(std::str::from_utf8(&xml).unwrap().contains("A &amp; B"));
        assert_eq!(*to_json(&xml, &BodyType::Xml, &HeaderMap::new(), "/Patient").unwrap(), *resource);
        assert!(to_json(&Bytes::from_static(b"<Patient"), &BodyType::Xml, &HeaderMap::new(), "/Patient").is_err());
    }

    #[test]
    fn packing_goes_round() {
        use std::io::Read;
        let text = vec![b'a'; 10_000];
        let packed = packed(&text);
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&*packed).read_to_end(&mut back).unwrap();
        assert!(packed.len() < 200 && back == text);
    }
}
