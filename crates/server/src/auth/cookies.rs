//! The two cookies of a browser: its session, and the device that it is.

use hyper::header::{COOKIE, HeaderMap, HeaderValue};

/// The session. `__Host-`: set by this host over TLS, for the whole of it, so that no neighbour can plant one.
const SESSION: &str = "__Host-tacet-session";

/// The device, which stays.
const DEVICE: &str = "__Host-tacet-device";

/// How long a device is remembered by its browser, in seconds: a year.
const DEVICE_S: u64 = 365 * 86_400;

/// Longest cookie that is looked at, in bytes. Ours are far shorter.
const COOKIE_BYTES_MAX: usize = 200;

/// The session's secret of a request.
pub(crate) fn session(headers: &HeaderMap) -> Option<&str> {
    find(headers, SESSION)
}

/// The device of a request.
pub(crate) fn device(headers: &HeaderMap) -> Option<&str> {
    find(headers, DEVICE)
}

/// The one cookie of this name. Two of one name are none: one of them is somebody else's.
fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    let value = found.next().filter(|value| !value.is_empty() && value.len() <= COOKIE_BYTES_MAX)?;
    found.next().is_none().then_some(value)
}

/// Gives a session to the browser, for as long as it runs; the server ends it sooner.
pub(crate) fn set_session(secret: &str) -> Option<HeaderValue> {
    line(SESSION, secret, "")
}

/// Takes it away.
pub(crate) fn clear_session() -> Option<HeaderValue> {
    line(SESSION, "", "; Max-Age=0")
}

/// Makes the browser known.
pub(crate) fn set_device(secret: &str) -> Option<HeaderValue> {
    line(DEVICE, secret, &format!("; Max-Age={DEVICE_S}"))
}

fn line(name: &str, value: &str, more: &str) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{more}");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_once_or_not_at_all() {
        let read = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            session(&headers).map(str::to_owned)
        };
        assert_eq!(read(&["a=b; __Host-tacet-session=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(read(&["a=b", "__Host-tacet-session=x"]).as_deref(), Some("x"));
        assert_eq!(read(&["tacet-session=x; __Host-tacet-device=y"]), None);
        assert_eq!(read(&["__Host-tacet-session=x; __Host-tacet-session=y"]), None, "one of them is planted");
        assert_eq!(read(&["__Host-tacet-session=x", "__Host-tacet-session=x"]), None);
        assert_eq!(read(&["__Host-tacet-session="]), None);
    }
}
