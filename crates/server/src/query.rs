//! The query of a URL: decoded, bounded, and held to what a route knows. A parameter that is not known is refused, never
//! passed over: a filter that is silently dropped shows more than was asked for.

use crate::error::ApiError;
use std::borrow::Cow;
use tacet_fhir::outcome::IssueType;
use tacet_types::Timestamp;

/// Most parameters of a request.
const PARAMETERS_MAX: usize = 64;

/// Where a page begins.
const CURSOR: &str = "_cursor";

/// How a token would be named in a query or a form (RFC 6750, sections 2.2 and 2.3).
const TOKEN: &str = "access_token";

/// Parameters that any route takes, and that say only how the answer looks.
const GENERAL: [&str; 2] = ["_format", "_pretty"];

/// The parameters of a request.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query (`application/x-www-form-urlencoded`).
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let mut parameters = Vec::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == PARAMETERS_MAX {
                return Err(ApiError::invalid(format!("more than {PARAMETERS_MAX} parameters")));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = |text| decode(text, true).map(Cow::into_owned);
            match (decoded(name), decoded(value)) {
                // Browsers, proxies and logs keep addresses: a token in one is not passed over as if nothing was lost (RFC 9700, 4.3.2).
                (Some(name), _) if name == TOKEN => {
                    return Err(ApiError::invalid(
                        "a token has no place in an address or a form: send it in the header `Authorization`, and have this one revoked",
                    ));
                }
                (Some(name), Some(value)) => parameters.push((name, value)),
                _ => return Err(ApiError::invalid("the query is not percent-encoded UTF-8")),
            }
        }
        Ok(Self(parameters))
    }

    /// Adds the parameters of a form that was sent as a body.
    pub(crate) fn push_form(&mut self, body: &[u8]) -> Result<(), ApiError> {
        let text = std::str::from_utf8(body).map_err(|_| ApiError::invalid("the form is not UTF-8"))?;
        for (name, value) in Self::parse(Some(text))?.0 {
            self.push(&name, value)?;
        }
        Ok(())
    }

    /// The parameters of a search: all but those that say how the answer looks or where its page begins.
    pub(crate) fn search(&self) -> Vec<(String, String)> {
        let other = |name: &str| GENERAL.contains(&name) || name == CURSOR;
        self.0.iter().filter(|(name, _)| !other(name)).cloned().collect()
    }

    /// The parameters that say how the answer looks.
    pub(crate) fn general(&self) -> Vec<(String, String)> {
        self.0.iter().filter(|(name, _)| GENERAL.contains(&name.as_str())).cloned().collect()
    }

    /// As they stand.
    pub(crate) fn from_pairs(parameters: Vec<(String, String)>) -> Self {
        Self(parameters)
    }

    /// Adds a parameter that came in another way (a `Parameters` resource).
    pub(crate) fn push(&mut self, name: &str, value: String) -> Result<(), ApiError> {
        if self.0.len() >= PARAMETERS_MAX {
            return Err(ApiError::invalid(format!("more than {PARAMETERS_MAX} parameters")));
        }
        self.0.push((name.to_owned(), value));
        Ok(())
    }

    /// The value of a parameter that may stand once.
    pub(crate) fn get<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, ApiError> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(ApiError::invalid("a parameter stands twice that may stand once"));
        }
        Ok(value)
    }

    /// The values of a parameter that may stand more than once.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Refuses every parameter but these and the general ones. A name is not said back: it may be anything.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        for (name, _) in &self.0 {
            let name = name.as_str();
            if known.contains(&name) || GENERAL.contains(&name) {
                continue;
            }
            let message = "a parameter of this request is not known here: see /metadata";
            return Err(ApiError::new(hyper::StatusCode::BAD_REQUEST, IssueType::NotSupported, message));
        }
        Ok(())
    }

    /// `_count`: entries on a page, from 1, brought down to `max`; `default` where it is absent.
    pub(crate) fn count(&self, default: usize, max: usize) -> Result<usize, ApiError> {
        match self.get("_count")? {
            None => Ok(default.min(max)),
            Some("0") => Err(ApiError::not_supported("`_count=0`")),
            Some(text) => match text.parse::<u32>() {
                Ok(count) => Ok((count as usize).min(max)),
                Err(_) => Err(ApiError::invalid("`_count` must be a number from 1")),
            },
        }
    }

    /// `_since`: an instant, or the first moment of a date.
    pub(crate) fn since(&self) -> Result<Option<Timestamp>, ApiError> {
        Ok(self.period("_since")?.map(|(low, _)| low))
    }

    /// A date or time of any precision as the span that it covers: first moment, and the first after it.
    pub(crate) fn period(&self, name: &str) -> Result<Option<(Timestamp, Timestamp)>, ApiError> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        // The `+` of an offset that was not escaped arrives as a blank.
        match period(&text.replace(' ', "+")) {
            Some(period) => Ok(Some(period)),
            None => {
                Err(ApiError::invalid("not a date or time: expected as much as is known of `YYYY-MM-DDThh:mm:ss.sssZ`"))
            }
        }
    }

    /// The query for a link to this page or, with a cursor, to the next: `?name=value&...`.
    pub(crate) fn link(&self, cursor: Option<&str>) -> String {
        let mut text = String::new();
        let kept = self.0.iter().filter(|(name, _)| cursor.is_none() || name != "_cursor");
        let parameters = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in parameters.chain(cursor.map(|cursor| ("_cursor", cursor))) {
            text.push(if text.is_empty() { '?' } else { '&' });
            encode(name, &mut text);
            text.push('=');
            encode(value, &mut text);
        }
        text
    }
}

/// Undoes percent-encoding, and `+` for a blank in forms. `None` where the escapes or the UTF-8 are broken.
pub(crate) fn decode(text: &str, form: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || (form && byte == b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                (high * 16 + low) as u8
            }
            b'+' if form => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn encode(text: &str, out: &mut String) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or('0');
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:,/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

fn period(text: &str) -> Option<(Timestamp, Timestamp)> {
    let day = |date: &str| Timestamp::parse(&format!("{date}T00:00:00Z")).ok();
    let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u32>().ok());
    match text.len() {
        4 => {
            let next = number(0, 4)?.checked_add(1)?;
            Some((day(&format!("{text}-01-01"))?, day(&format!("{next:04}-01-01"))?))
        }
        7 => {
            let (year, month) = (number(0, 4)?, number(5, 7)?);
            let (next_year, next_month) = if month == 12 { (year.checked_add(1)?, 1) } else { (year, month + 1) };
            Some((day(&format!("{text}-01"))?, day(&format!("{next_year:04}-{next_month:02}-01"))?))
        }
        10 => day(text).map(|low| (low, low.plus_ms(86_400_000))),
        _ => {
            let low = Timestamp::parse(text).ok()?;
            let fine = text.as_bytes().get(19) == Some(&b'.');
            Some((low, low.plus_ms(if fine { 1 } else { 1000 })))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_decoded_and_bounded() {
        let query = Query::parse(Some("_since=2024-01-01T00:00:00%2B01:00&&_count=5&a+b=%C3%A9")).unwrap();
        assert_eq!(query.get("a b").unwrap(), Some("é"));
        assert_eq!(query.count(10, 100).unwrap(), 5);
        assert_eq!(query.since().unwrap(), Timestamp::parse("2024-01-01T00:00:00+01:00").ok());
        for text in ["a=%", "a=%4", "a=%zz", "%ff=1", "a=%+1"] {
            assert!(Query::parse(Some(text)).is_err(), "{text}");
        }
        let many = vec!["a=1"; PARAMETERS_MAX];
        assert!(Query::parse(Some(&many.join("&"))).is_ok());
        assert!(Query::parse(Some(&format!("{}&b=2", many.join("&")))).is_err());
    }

    #[test]
    fn unknown_parameters_are_refused() {
        let query = |text| Query::parse(Some(text)).unwrap();
        assert!(query("_format=json&_pretty=true&_since=2024").only(&["_since"]).is_ok());
        for text in ["name=x", "_since=2024&_summary=true", "token=x"] {
            assert!(query(text).only(&["_since"]).is_err(), "{text}");
        }
        assert!(query("_count=1&_count=2").count(10, 100).is_err());
        for text in ["_count=0", "_count=-1", "_count=x", "_count="] {
            assert!(query(text).count(10, 100).is_err(), "{text}");
        }
        assert_eq!(query("_count=5000").count(10, 100).unwrap(), 100);
    }

    #[test]
    fn a_token_is_no_parameter() {
        for text in ["access_token=x", "_id=1&access_token", "access%5Ftoken=x", "a=b&access_token=x&c=d"] {
            assert!(Query::parse(Some(text)).is_err(), "{text}");
            assert!(Query::default().push_form(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Query::parse(Some("access_tokens=x&token=y")).is_ok());
    }

    #[test]
    fn a_date_covers_its_span() {
        for (text, low, high) in [
            ("2023", "2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
            ("2023-12", "2023-12-01T00:00:00Z", "2024-01-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("2024-02-29T12:00:00+01:00", "2024-02-29T11:00:00Z", "2024-02-29T11:00:01Z"),
            ("2024-02-29T12:00:00.5Z", "2024-02-29T12:00:00.5Z", "2024-02-29T12:00:00.501Z"),
        ] {
            let expected = (Timestamp::parse(low).unwrap(), Timestamp::parse(high).unwrap());
            assert_eq!(period(text), Some(expected), "{text}");
        }
        for text in ["", "24", "2023-13", "2023-02-30", "20é3", "yesterday", "2024-02-29T12:00"] {
            assert_eq!(period(text), None, "{text}");
        }
    }

    #[test]
    fn links_go_round() {
        let query = Query::parse(Some("_since=2024-01-01T00:00:00%2B01:00&_cursor=old")).unwrap();
        let link = query.link(Some("a=b&c"));
        assert_eq!(link, "?_since=2024-01-01T00:00:00%2B01:00&_cursor=a%3Db%26c");
        let again = Query::parse(link.strip_prefix('?')).unwrap();
        assert_eq!(again.get("_cursor").unwrap(), Some("a=b&c"));
        assert_eq!(again.since().unwrap(), query.since().unwrap());
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused_and_any_value_goes_round(text: String, name: String, value: String) {
            if let Ok(query) = Query::parse(Some(&text)) {
                let again = Query::parse(query.link(None).strip_prefix('?')).unwrap();
                prop_assert_eq!(again.0, query.0);
            }
            let _ = (period(&text), decode(&text, false));
            let query = Query(vec![(name.clone(), value.clone())]);
            let link = query.link(Some(&value));
            prop_assert!(link.is_ascii());
            let again = Query::parse(link.strip_prefix('?')).unwrap();
            prop_assert_eq!(again.all("_cursor").last(), Some(value.as_str()));
            prop_assert!(name == "_cursor" || again.all(&name).any(|found| found == value));
        }
    }
}
