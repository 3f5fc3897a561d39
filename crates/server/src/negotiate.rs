//! In which form a client wants its answer, and in which form it sends a body: JSON, XML, compressed or not, and for Binary what
//! it holds. What else is asked for is refused, saying what there is.
//!
//! FHIR R4, <https://hl7.org/fhir/R4/http.html#mime-type> and <https://hl7.org/fhir/R4/binary.html>; RFC 9110, section 12; RFC 7240
//! (`Prefer`).

use crate::error::ApiError;
use crate::query::Query;
use hyper::StatusCode;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tacet_fhir::outcome::IssueType;
use tacet_vault::ReturnPreference;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// A media type of resources.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Media {
    /// `application/fhir+json`
    FhirJson,
    /// Plain JSON, for clients that know nothing else.
    Json,
    /// `application/fhir+xml`
    FhirXml,
    /// Plain XML.
    Xml,
}

impl Media {
    /// Whether it is one of the two of XML.
    pub(crate) fn is_xml(self) -> bool {
        matches!(self, Self::FhirXml | Self::Xml)
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::FhirJson => "application/fhir+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::FhirXml => "application/fhir+xml; charset=utf-8",
            Self::Xml => "application/xml; charset=utf-8",
        })
    }
}

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Form {
    media: Media,
    /// Lines and indents.
    pub(crate) pretty: bool,
    /// Compressed by gzip where that is worth it.
    pub(crate) gzip: bool,
    /// What a Binary holds is wanted, and not the resource around it.
    pub(crate) native: bool,
}

impl Form {
    /// The form where nothing was asked for.
    pub(crate) const DEFAULT: Self = Self { media: Media::FhirJson, pretty: false, gzip: false, native: false };

    /// Reads `_format`, `_pretty`, `Accept` and `Accept-Encoding`; `_format` wins over `Accept`, as FHIR says. `of_binary`: the answer may
    /// be what a Binary holds, which has any type.
    pub(crate) fn of(headers: &HeaderMap, query: &Query, of_binary: bool) -> Result<Self, ApiError> {
        let pretty = match query.get("_pretty")? {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(ApiError::invalid("`_pretty` must be `true` or `false`")),
        };
        let media = match query.get("_format")? {
            // A `+` of a media type that was not escaped arrives as a blank.
            Some(format) => media_type(&format.replace(' ', "+")).or(match format {
                "json" => Some(Media::FhirJson),
                "xml" => Some(Media::FhirXml),
                _ => None,
            }),
            None => accepted(headers),
        };
        let named = query.get("_format")?.is_some_and(|format| !matches!(format, "pdf" | "application/pdf"));
        let native = media.is_none() && of_binary && !named;
        let media = match media {
            Some(media) => media,
            None if native => Media::FhirJson,
            None => {
                let message = "only JSON and XML are served: ask for `application/fhir+json` or `application/fhir+xml`";
                return Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, IssueType::NotSupported, message));
            }
        };
        Ok(Self { media, pretty, gzip: takes_gzip(headers), native })
    }

    /// The form of an error's answer: as of any other, and the default where what was asked for cannot be.
    pub(crate) fn of_error(headers: &HeaderMap, query: Option<&str>) -> Self {
        Query::parse(query).and_then(|query| Self::of(headers, &query, false)).unwrap_or(Self::DEFAULT)
    }

    /// The `Content-Type` of an answer in this form.
    pub(crate) fn content_type(self) -> HeaderValue {
        self.media.content_type()
    }

    /// Whether resources are written as XML.
    pub(crate) fn is_xml(self) -> bool {
        self.media.is_xml()
    }
}

/// The media type, where it is one of resources; `None` where it is another, or FHIR of another version.
fn media_type(text: &str) -> Option<Media> {
    let mut parts = text.split(';').map(str::trim);
    let media = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/fhir+json" | "application/json+fhir" => Media::FhirJson,
        "application/json" | "text/json" => Media::Json,
        "application/fhir+xml" | "application/xml+fhir" => Media::FhirXml,
        "application/xml" | "text/xml" => Media::Xml,
        _ => return None,
    };
    parameters_fit(parts).then_some(media)
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

fn accepted(headers: &HeaderMap) -> Option<Media> {
    let mut ranges = headers.get_all(ACCEPT).iter().peekable();
    if ranges.peek().is_none() {
        return Some(Media::FhirJson);
    }
    // A browser asks for HTML, then XML, then anything: it is shown JSON, as by every other FHIR server.
    let html = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("text/html"));
    if headers.get_all(ACCEPT).iter().any(html) {
        let anything =
            headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|text| text.contains("*/*")));
        return anything.then_some(Media::FhirJson);
    }
    let mut best: Option<(u16, Media)> = None;
    for range in ranges.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
        let kind = kind.trim();
        let media = match kind {
            "*/*" | "application/*" => Some(Media::FhirJson),
            _ => media_type(range),
        };
        let quality = quality(parameters);
        if let Some(media) = media.filter(|_| quality > 0)
            && best.is_none_or(|(other, _)| quality > other)
        {
            best = Some((quality, media));
        }
    }
    best.map(|(_, media)| media)
}

/// Whether a media type is among those that the client takes. Where it names none it takes any.
pub(crate) fn takes(headers: &HeaderMap, kind: &str) -> bool {
    let mut ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    let whole = kind.split(';').next().unwrap_or_default().trim();
    let family = whole.split('/').next().unwrap_or_default();
    ranges.peek().is_none()
        || ranges.flat_map(|value| value.split(',')).any(|range| {
            let (range, parameters) = range.split_once(';').unwrap_or((range, ""));
            let range = range.trim();
            let fits = range == "*/*"
                || range.eq_ignore_ascii_case(whole)
                || range.strip_suffix("/*").is_some_and(|start| start.eq_ignore_ascii_case(family));
            fits && quality(parameters) > 0
        })
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && quality(parameters) > 0
    })
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

/// What a route takes as its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// A resource.
    Resource,
    /// A resource, or for Binary content of any type.
    Content,
    /// A patch.
    Patch,
    /// The fields of a form, or a resource.
    Form,
    /// Resources, each on a line.
    Lines,
}

/// What a request's body is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum BodyType {
    /// A resource in JSON.
    Json,
    /// A resource in XML.
    Xml,
    /// JSON Patch, RFC 6902.
    JsonPatch,
    /// JSON Merge Patch, RFC 7396.
    MergePatch,
    /// The fields of a form.
    Form,
    /// Resources in JSON, each on a line.
    Lines,
    /// What a Binary holds, of this type.
    Native(String),
}

/// Finds out what a body is, and refuses what the route does not take.
pub(crate) fn body_type(headers: &HeaderMap, taken: Taken) -> Result<BodyType, ApiError> {
    let refused = |message: &'static str| {
        Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, IssueType::NotSupported, message))
    };
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity" && coding != "gzip") {
        return refused("of compressed bodies only those by gzip are taken: send it without `Content-Encoding`");
    }
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (essence.as_str(), taken) {
        ("application/json-patch+json", Taken::Patch) => return Ok(BodyType::JsonPatch),
        ("application/merge-patch+json", Taken::Patch) => return Ok(BodyType::MergePatch),
        ("application/x-www-form-urlencoded", Taken::Form) => return Ok(BodyType::Form),
        ("application/fhir+ndjson" | "application/ndjson" | "application/x-ndjson", Taken::Lines)
            if parameters_fit(text.split(';').skip(1).map(str::trim)) =>
        {
            return Ok(BodyType::Lines);
        }
        (_, Taken::Lines) => {
            return refused(
                "an import takes the NDJSON itself, with `Content-Type: application/fhir+ndjson`: this server fetches nothing from URLs",
            );
        }
        _ => {}
    }
    match (media_type(text), taken) {
        (Some(media), _) if media.is_xml() => Ok(BodyType::Xml),
        (Some(_), _) => Ok(BodyType::Json),
        (None, Taken::Content) if essence.contains('/') && text.len() <= NATIVE_TYPE_BYTES_MAX => {
            Ok(BodyType::Native(text.to_owned()))
        }
        (None, Taken::Patch) => refused(
            "a patch is taken as `application/json-patch+json`, or as `application/fhir+json` with a Parameters resource",
        ),
        (None, Taken::Form) => refused("send the parameters as `application/x-www-form-urlencoded`"),
        (None, _) => refused("JSON and XML are taken: send it with `Content-Type: application/fhir+json`"),
    }
}

/// Longest media type of what a Binary holds.
const NATIVE_TYPE_BYTES_MAX: usize = 256;

/// Whether unknown search parameters are refused (`Prefer: handling=strict`) or passed over (`lenient`). None: nothing was said.
pub(crate) fn is_strict(headers: &HeaderMap) -> Option<bool> {
    preferences(headers).find_map(|preference| match preference {
        "handling=strict" => Some(true),
        "handling=lenient" => Some(false),
        _ => None,
    })
}

/// Whether the client asks for an answer later (`Prefer: respond-async`).
pub(crate) fn wants_async(headers: &HeaderMap) -> bool {
    preferences(headers).any(|preference| preference == "respond-async")
}

fn preferences(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|value| value.split([',', ';'])).map(str::trim)
}

/// What the client wants back from a change: `Prefer: return=...`. A preference that is not known is left aside (RFC 7240,
/// section 2); `None` where there is none.
pub(crate) fn preference(headers: &HeaderMap) -> Option<ReturnPreference> {
    preferences(headers).find_map(|preference| match preference {
        "return=minimal" => Some(ReturnPreference::Minimal),
        "return=representation" => Some(ReturnPreference::Representation),
        "return=OperationOutcome" => Some(ReturnPreference::OperationOutcome),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn form(accept: Option<&'static str>, query: &str) -> Result<Form, ApiError> {
        let accept: Vec<_> = accept.into_iter().map(|accept| (ACCEPT, accept)).collect();
        Form::of(&headers(&accept), &Query::parse(Some(query)).unwrap(), false)
    }

    #[test]
    fn a_form_is_found_among_what_is_accepted() {
        use Media::{FhirJson, FhirXml, Json, Xml};
        for (accept, query, media) in [
            (None, "", FhirJson),
            (Some("*/*"), "", FhirJson),
            (Some("application/fhir+json"), "", FhirJson),
            (Some("application/fhir+json; fhirVersion=4.0"), "", FhirJson),
            (Some("application/json"), "", Json),
            (Some("application/fhir+xml"), "", FhirXml),
            (Some("application/xml;q=0.9, application/fhir+json;q=0.8"), "", Xml),
            (Some("application/json;q=0.5, application/fhir+json"), "", FhirJson),
            (Some("application/fhir+xml"), "_format=json", FhirJson),
            (Some("text/html"), "_format=application/json", Json),
            (Some("text/html, application/xml;q=0.9, */*;q=0.8"), "", FhirJson),
            (None, "_format=xml", FhirXml),
            (None, "_format=text/xml", Xml),
            (None, "_format=application/fhir+json", FhirJson),
            (None, "_format=application/fhir%2Bxml", FhirXml),
        ] {
            assert_eq!(form(accept, query).unwrap().media, media, "{accept:?} {query}");
        }
    }

    #[test]
    fn what_is_neither_json_nor_xml_is_refused() {
        for (accept, query) in [
            (Some("text/turtle"), ""),
            (Some("application/fhir+json;q=0"), ""),
            (Some("application/fhir+json; fhirVersion=5.0"), ""),
            (Some(""), ""),
            (None, "_format=ttl"),
            (Some("*/*"), "_format=text/turtle"),
        ] {
            assert!(form(accept, query).is_err(), "{accept:?} {query}");
        }
        assert!(form(None, "_pretty=yes").is_err());
    }

    #[test]
    fn a_binary_has_any_type() {
        let query = Query::default();
        let of = |accept| Form::of(&headers(&[(ACCEPT, accept)]), &query, true).unwrap().native;
        assert!(of("image/png") && of("application/pdf, image/*"));
        assert!(!of("*/*") && !of("application/fhir+json") && !of("image/png, application/fhir+xml;q=0.1"));
        let takes = |accept, kind| takes(&headers(&[(ACCEPT, accept)]), kind);
        assert!(
            takes("image/*", "image/png") && takes("IMAGE/PNG", "image/png; x=1") && takes("a/b, */*;q=0.1", "c/d")
        );
        assert!(!takes("image/*", "application/pdf") && !takes("image/png;q=0", "image/png"));
    }

    #[test]
    fn gzip_is_for_those_who_say_so() {
        let of = |codings| takes_gzip(&headers(&[(ACCEPT_ENCODING, codings)]));
        assert!(of("gzip") && of("br, GZIP;q=0.5"));
        assert!(!of("br") && !of("gzip;q=0") && !takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_body_is_of_a_type_that_its_route_takes() {
        let of = |kind: &'static str, taken| body_type(&headers(&[(CONTENT_TYPE, kind)]), taken).ok();
        for taken in [Taken::Resource, Taken::Content, Taken::Patch, Taken::Form] {
            assert_eq!(of("application/fhir+json", taken), Some(BodyType::Json));
            assert_eq!(of("application/json; charset=UTF-8", taken), Some(BodyType::Json));
            assert_eq!(of("application/fhir+xml", taken), Some(BodyType::Xml));
        }
        assert_eq!(of("application/json-patch+json", Taken::Patch), Some(BodyType::JsonPatch));
        assert_eq!(of("application/merge-patch+json", Taken::Patch), Some(BodyType::MergePatch));
        assert_eq!(of("application/json-patch+json", Taken::Resource), None);
        assert_eq!(of("application/x-www-form-urlencoded", Taken::Form), Some(BodyType::Form));
        assert_eq!(of("application/x-www-form-urlencoded", Taken::Resource), None);
        assert_eq!(of("image/png", Taken::Content), Some(BodyType::Native("image/png".to_owned())));
        for kind in ["text/plain", "", "application/json; charset=latin1"] {
            assert_eq!(of(kind, Taken::Resource), None, "{kind}");
        }
        assert!(body_type(&HeaderMap::new(), Taken::Resource).is_err());
        let coded = |coding| {
            let pairs = [(CONTENT_TYPE, "application/fhir+json"), (CONTENT_ENCODING, coding)];
            body_type(&headers(&pairs), Taken::Resource).is_ok()
        };
        assert!(coded("gzip") && coded("identity") && !coded("br"));
    }

    #[test]
    fn preferences_are_read_one_by_one() {
        let of = |text| headers(&[(PREFER, text)]);
        assert_eq!(is_strict(&of("return=minimal; handling=strict")), Some(true));
        assert_eq!(is_strict(&of("handling=lenient, respond-async")), Some(false));
        assert_eq!(is_strict(&of("return=minimal")), None);
        assert!(wants_async(&of("respond-async")) && !wants_async(&of("handling=strict")));
        assert_eq!(preference(&of("handling=strict,return=minimal")), Some(ReturnPreference::Minimal));
    }
}
