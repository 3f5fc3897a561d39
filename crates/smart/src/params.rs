//! Forms and queries, read within bounds: each parameter once (RFC 6749, section 3.1), an empty one is none.

use crate::error::{ErrorCode, OAuthError};
use crate::settings::{FORM_BYTES_MAX, JWT_BYTES_MAX, PARAMETER_BYTES_MAX, PARAMETERS_MAX};
use std::collections::BTreeMap;

/// The parameters of a request.
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads `application/x-www-form-urlencoded` text: a body, or what stands after `?` in an address.
    ///
    /// # Errors
    /// `invalid_request` where it is over a bound or names a parameter twice.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let refuse = |what| Err(OAuthError::new(ErrorCode::InvalidRequest, what));
        if text.len() > FORM_BYTES_MAX {
            return refuse("the request is too large");
        }
        let mut params = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            let bytes_max = if name.ends_with("assertion") { JWT_BYTES_MAX } else { PARAMETER_BYTES_MAX };
            if value.len() > bytes_max || name.len() > 100 {
                return refuse("a parameter is too long");
            }
            if params.len() >= PARAMETERS_MAX {
                return refuse("the request has too many parameters");
            }
            if params.insert(name.into_owned(), value.into_owned()).is_some() {
                return refuse("a parameter is given twice");
            }
        }
        Ok(Self(params))
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a parameter that must be there.
    pub(crate) fn need(&self, name: &str, missing: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_within_bounds() {
        let params = Params::parse("a=1&b=&c=x%20y+z").unwrap();
        assert_eq!((params.get("a"), params.get("b"), params.get("c")), (Some("1"), None, Some("x y z")));
        assert!(Params::parse("a=1&a=1").is_err(), "twice");
        assert!(Params::parse(&"x".repeat(FORM_BYTES_MAX + 1)).is_err());
        assert!(Params::parse(&format!("a={}", "x".repeat(PARAMETER_BYTES_MAX + 1))).is_err());
        let many: Vec<String> = (0..=PARAMETERS_MAX).map(|n| format!("p{n}=1")).collect();
        assert!(Params::parse(&many.join("&")).is_err());
    }
}
