//! In which form a client wants its answer, and in which form it sends a body. JSON only, said clearly where another is asked for.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/http.html#mime-type>; RFC 9110, section 12; RFC 7240 (`Prefer`).

use crate::error::ApiError;
use crate::query::Query;
use hyper::StatusCode;
use hyper::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tacet_fhir::outcome::IssueType;
use tacet_vault::ReturnPreference;

/// The media type of FHIR in JSON.
pub(crate) const FHIR_JSON: HeaderValue = HeaderValue::from_static("application/fhir+json; charset=utf-8");

/// Plain JSON, for clients that know nothing else.
const PLAIN_JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Form {
    /// `application/json` was asked for.
    plain: bool,
    /// Lines and indents.
    pub(crate) pretty: bool,
}

impl Form {
    /// The form where nothing was asked for.
    pub(crate) const DEFAULT: Self = Self { plain: false, pretty: false };

    /// Reads `_format`, `_pretty` and `Accept`; `_format` wins, as FHIR says.
    pub(crate) fn of(headers: &HeaderMap, query: &Query) -> Result<Self, ApiError> {
        let pretty = match query.get("_pretty")? {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(ApiError::invalid("`_pretty` must be `true` or `false`")),
        };
        let plain = match query.get("_format")? {
            // A `+` of a media type that was not escaped arrives as a blank.
            Some(format) => media_type(&format.replace(' ', "+")).or_else(|| (format == "json").then_some(false)),
            None => accepted(headers),
        };
        let plain = plain.ok_or_else(|| {
            let message = "only JSON is served: ask for `application/fhir+json`";
            ApiError::new(StatusCode::NOT_ACCEPTABLE, IssueType::NotSupported, message)
        })?;
        Ok(Self { plain, pretty })
    }

    /// The `Content-Type` of an answer in this form.
    pub(crate) fn content_type(self) -> HeaderValue {
        if self.plain { PLAIN_JSON } else { FHIR_JSON }
    }
}

/// Whether the media type is plain JSON; `None` where it is no JSON, or FHIR of another version.
fn media_type(text: &str) -> Option<bool> {
    let mut parts = text.split(';').map(str::trim);
    let plain = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/fhir+json" | "application/json+fhir" => false,
        "application/json" | "text/json" => true,
        _ => return None,
    };
    parameters_fit(parts).then_some(plain)
}

/// `charset` must be UTF-8 and `fhirVersion` 4.0 where they are given.
fn parameters_fit<'a>(mut parameters: impl Iterator<Item = &'a str>) -> bool {
    parameters.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "charset" => value.eq_ignore_ascii_case("utf-8"),
            "fhirversion" => value == "4.0",
            _ => true,
        }
    })
}

fn accepted(headers: &HeaderMap) -> Option<bool> {
    let mut ranges = headers.get_all(ACCEPT).iter().peekable();
    if ranges.peek().is_none() {
        return Some(false);
    }
    let mut best: Option<(u16, bool)> = None;
    for range in ranges.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
        let plain = match kind.trim() {
            "*/*" | "application/*" => Some(false),
            _ => media_type(range),
        };
        let quality = quality(parameters);
        if let Some(plain) = plain.filter(|_| quality > 0)
            && best.is_none_or(|(other, _)| quality > other)
        {
            best = Some((quality, plain));
        }
    }
    best.map(|(_, plain)| plain)
}

/// The weight of a range in thousandths; 0 is "not this one".
fn quality(parameters: &str) -> u16 {
    let weight = parameters.split(';').filter_map(|parameter| parameter.trim().strip_prefix("q=")).next();
    match weight.map(str::parse::<f32>) {
        None => 1000,
        Some(Ok(weight)) if (0.0..=1.0).contains(&weight) => (weight * 1000.0) as u16,
        Some(_) => 0,
    }
}

/// Holds a request with a body to JSON in UTF-8, not compressed.
pub(crate) fn check_body_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |message: &'static str| {
        Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, IssueType::NotSupported, message))
    };
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return refused("compressed bodies are not taken: send it without `Content-Encoding`");
    }
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if media.and_then(media_type).is_none() {
        return refused("only JSON is taken: send it with `Content-Type: application/fhir+json`");
    }
    Ok(())
}

/// What the client wants back from a change: `Prefer: return=...`. A preference that is not known is left aside (RFC 7240,
/// section 2); `None` where there is none.
pub(crate) fn preference(headers: &HeaderMap) -> Option<ReturnPreference> {
    let texts = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|value| value.split([',', ';'])).find_map(|preference| match preference.trim() {
        "return=minimal" => Some(ReturnPreference::Minimal),
        "return=representation" => Some(ReturnPreference::Representation),
        "return=OperationOutcome" => Some(ReturnPreference::OperationOutcome),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: Option<&str>, query: &str) -> Result<Form, ApiError> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        }
        Form::of(&headers, &Query::parse(Some(query)).unwrap())
    }

    #[test]
    fn json_is_found_among_what_is_accepted() {
        for (accept, query, plain) in [
            (None, "", false),
            (Some("*/*"), "", false),
            (Some("application/fhir+json"), "", false),
            (Some("application/fhir+json; fhirVersion=4.0"), "", false),
            (Some("application/json"), "", true),
            (Some("text/html, application/xml;q=0.9, */*;q=0.8"), "", false),
            (Some("application/json;q=0.5, application/fhir+json"), "", false),
            (Some("application/fhir+xml"), "_format=json", false),
            (Some("text/html"), "_format=application/json", true),
            (None, "_format=application/fhir+json", false),
            (None, "_format=application/fhir%2Bjson", false),
        ] {
            assert_eq!(form(accept, query).unwrap().plain, plain, "{accept:?} {query}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for (accept, query) in [
            (Some("application/fhir+xml"), ""),
            (Some("application/fhir+json;q=0"), ""),
            (Some("application/fhir+json; fhirVersion=5.0"), ""),
            (Some(""), ""),
            (None, "_format=xml"),
            (Some("*/*"), "_format=text/turtle"),
        ] {
            assert!(form(accept, query).is_err(), "{accept:?} {query}");
        }
        assert!(form(None, "_pretty=yes").is_err());
    }

    #[test]
    fn bodies_are_json_in_utf_8() {
        let check = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            check_body_type(&headers).is_ok()
        };
        assert!(check("application/fhir+json") && check("application/json; charset=UTF-8"));
        for kind in ["application/fhir+xml", "text/plain", "", "application/json; charset=latin1"] {
            assert!(!check(kind), "{kind}");
        }
        assert!(check_body_type(&HeaderMap::new()).is_err());
    }
}
