//! Redirect addresses: which may be registered, and when an asked one is a registered one.
//!
//! Compared as text, to the byte (RFC 9700, section 4.1.3). The one exception is the port of a loopback address (RFC 8252, section 7.3).

use url::{Host, Url};

/// Longest redirect address, in bytes.
pub const REDIRECT_BYTES_MAX: usize = 2000;

/// Checks an address that somebody wants to register.
///
/// # Errors
/// What is wrong with it.
pub fn check(uri: &str) -> Result<(), &'static str> {
    if uri.is_empty() || uri.len() > REDIRECT_BYTES_MAX {
        return Err("a redirect address is empty or too long");
    }
    // No blank, control character or backslash: readers of addresses disagree about these.
    if !uri.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'<' | b'>' | b'"' | b'`')) {
        return Err("a redirect address has a character that may not stand in one");
    }
    let url = Url::parse(uri).map_err(|_| "a redirect address is not an absolute address")?;
    if uri.contains('#') {
        return Err("a redirect address may not have a fragment");
    }
    let after_scheme = uri.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') || authority.contains('*') || authority.is_empty() {
        return Err("a redirect address names its host and nothing else before it");
    }
    match (url.scheme(), url.host()) {
        ("https", Some(_)) if uri.starts_with("https://") => Ok(()),
        ("http", Some(_)) if loopback(uri).is_some() => Ok(()),
        _ => Err("a redirect address is https, or http at 127.0.0.1 or [::1]"),
    }
}

/// Whether the asked address is the registered one.
pub fn matches(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    // The native app's exception: the same but for the port, which the system gives it at random.
    match (loopback(registered), loopback(asked)) {
        (Some(a), Some(b)) => a == b && check(asked).is_ok(),
        _ => false,
    }
}

/// Host and what follows the port, for `http` at a literal loopback address. Names such as `localhost` are none: they can be made to point elsewhere.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let host = ["127.0.0.1", "[::1]"].into_iter().find(|host| rest.starts_with(host))?;
    let rest = rest.strip_prefix(host)?;
    let path = match rest.strip_prefix(':') {
        Some(port) => {
            let digits = port.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 || digits > 5 {
                return None;
            }
            port.get(digits..)?
        }
        None => rest,
    };
    if !(path.is_empty() || path.starts_with('/') || path.starts_with('?')) {
        return None;
    }
    let url = Url::parse(uri).ok()?;
    let really = match url.host()? {
        Host::Ipv4(address) => address.octets() == [127, 0, 0, 1],
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(_) => false,
    };
    really.then_some((host, path))
}

/// The address with parameters added to its query.
pub(crate) fn with(uri: &str, params: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(params);
    let sign = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{sign}{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for good in
            ["https://app.example/cb", "https://app.example/cb?x=1", "http://127.0.0.1/cb", "http://[::1]:80/cb"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "app.example/cb",
            "//app.example/cb",
            "http://app.example/cb",
            "http://localhost/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.1@evil.example/cb",
            "http://2130706433/cb",
            "http://127.1/cb",
            "https://app.example/cb#x",
            "https://user@app.example/cb",
            "https://*.example/cb",
            "https:/app.example/cb",
            "https:app.example",
            "https:///cb",
            "https://app.example\\@evil.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "com.example.app:/cb",
            "https://app.example/c b",
            "https://app.example/\u{e9}",
            "HTTPS://app.example/cb",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_match_to_the_byte() {
        let web = "https://app.example/cb";
        assert!(matches(web, web));
        for asked in [
            "https://app.example/cb/",
            "https://app.example/cb?x=1",
            "https://app.example/cb/../evil",
            "https://app.example/CB",
            "https://APP.example/cb",
            "https://app.example:443/cb",
            "https://app.example.evil.example/cb",
            "https://app.example@evil.example/cb",
            "https://app.example/cb#",
            "https://app.example/cb%2f",
            "http://app.example/cb",
        ] {
            assert!(!matches(web, asked), "{asked}");
        }
        let native = "http://127.0.0.1/cb";
        assert!(matches(native, "http://127.0.0.1:49152/cb"));
        for asked in [
            "http://127.0.0.1:49152/other",
            "http://127.0.0.1:49152/cb?x",
            "http://[::1]:49152/cb",
            "http://localhost:49152/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:80@evil.example/cb",
            "https://127.0.0.1:49152/cb",
        ] {
            assert!(!matches(native, asked), "{asked}");
        }
        assert_eq!(with("https://a/?x=1", &[("state", "a&b")]), "https://a/?x=1&state=a%26b");
    }
}
