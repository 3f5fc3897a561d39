//! Base64 (RFC 4648, with the ordinary and the URL alphabet) and hexadecimal, for `encode()` and `decode()`.

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Whether there is a form of that name.
pub(crate) fn is_known(form: &str) -> bool {
    matches!(form, "hex" | "base64" | "urlbase64")
}

fn alphabet(form: &str) -> Option<&'static [u8; 64]> {
    match form {
        "base64" => Some(BASE64),
        "urlbase64" => Some(URL_BASE64),
        _ => None,
    }
}

/// Bytes in that form; `None` where there is none of that name.
pub(crate) fn encode(bytes: &[u8], form: &str) -> Option<String> {
    if form == "hex" {
        let digit = |value: u8| HEX.get(usize::from(value)).copied().map_or('0', char::from);
        return Some(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect());
    }
    let alphabet = alphabet(form)?;
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = alphabet.get((bits >> (18 - 6 * place) & 63) as usize).copied().map_or('=', char::from);
            out.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    Some(out)
}

/// The bytes of a text in that form; `None` where it is not in it. Padding may be left out.
pub(crate) fn decode(text: &str, form: &str) -> Option<Vec<u8>> {
    if form == "hex" {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let bytes = text.as_bytes();
        if !bytes.len().is_multiple_of(2) {
            return None;
        }
        return bytes.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect();
    }
    let alphabet = alphabet(form)?;
    let mut values = [u8::MAX; 256];
    for (value, letter) in (0_u8..).zip(alphabet) {
        if let Some(slot) = values.get_mut(usize::from(*letter)) {
            *slot = value;
        }
    }
    let letters = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(letters.len() / 4 * 3 + 3);
    for chunk in letters.chunks(4) {
        let mut bits = 0_u32;
        for letter in chunk {
            let value = values.get(usize::from(*letter)).copied().filter(|value| *value < 64)?;
            bits = bits << 6 | u32::from(value);
        }
        let kept = match chunk.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        bits <<= 6 * (4 - chunk.len());
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend(bytes.iter().take(kept));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_byte_comes_back() {
        for form in ["hex", "base64", "urlbase64"] {
            for length in 0..=260_usize {
                let bytes: Vec<u8> = (0..length).map(|at| (at * 7 % 256) as u8).collect();
                let text = encode(&bytes, form).expect("a known form");
                assert_eq!(decode(&text, form).as_deref(), Some(bytes.as_slice()), "{form} {length}");
            }
        }
        assert_eq!(encode(b"", "base32"), None);
        assert_eq!(decode("a", "base64"), None);
        assert_eq!(decode("ab c", "base64"), None);
        assert_eq!(decode("a", "hex"), None);
        assert_eq!(decode("zz", "hex"), None);
    }
}
