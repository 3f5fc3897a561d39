//! The French social security number (NIR) and its key.
//!
//! Thirteen places: sex, year and month of birth, place of birth (five places of the official geographic code, in which
//! Corsica has the letters `2A` and `2B`), order of registration. Two more digits are the key: 97 less the number modulo
//! 97, with `2A` read as 19 and `2B` as 18 (decree of 22 January 1982; ANS, "Référentiel Identifiant national de santé").

/// The OID of the national health identity built on NIRs, in its range for tests, as a FHIR `system`.
pub const INS_NIR_TEST_SYSTEM: &str = "urn:oid:1.2.250.1.213.1.4.10";

/// The key of a NIR of 13 places; `None` if it is not the shape of a NIR. The month is not judged: registers hold odd ones.
pub fn nir_key(nir: &str) -> Option<u8> {
    let bytes = nir.as_bytes();
    if bytes.len() != 13 || !matches!(bytes.first(), Some(b'1' | b'2')) {
        return None;
    }
    let mut number = 0u64;
    for (place, byte) in bytes.iter().enumerate() {
        let digit = match (place, byte) {
            // Held as `20` here, and brought down to 19 or 18 below.
            (6, b'A' | b'B') if bytes.get(5) == Some(&b'2') => 0,
            (_, digit) if digit.is_ascii_digit() => u64::from(digit - b'0'),
            _ => return None,
        };
        number = number * 10 + digit;
    }
    // The department stands six places before the end, so one department more or less is 10^6 of the number.
    let number = match bytes.get(6) {
        Some(b'A') => number - 1_000_000,
        Some(b'B') => number - 2_000_000,
        _ => number,
    };
    Some((97 - number % 97) as u8)
}

/// True for 15 places whose last two are the key of the first thirteen.
pub fn nir_is_valid(nir: &str) -> bool {
    let (Some(number), Some(key)) = (nir.get(..13), nir.get(13..)) else { return false };
    key.len() == 2 && key.bytes().all(|byte| byte.is_ascii_digit()) && key.parse().ok() == nir_key(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_published_numbers() {
        // The first is an example of Interop'Santé; the second is published there with the wrong key 16.
        assert_eq!(nir_key("1621265879136"), Some(77));
        assert!(nir_is_valid("162126587913677"));
        assert_eq!(nir_key("1791256121135"), Some(15));
        assert!(!nir_is_valid("179125612113516"));
        // The well-known specimen card number.
        assert!(nir_is_valid("269054958815780"));
    }

    #[test]
    fn corsica_is_read_as_19_and_18() {
        for (corsican, plain) in [("2A", "19"), ("2B", "18")] {
            assert_eq!(nir_key(&format!("18503{corsican}004017")), nir_key(&format!("18503{plain}004017")));
        }
        assert_ne!(nir_key("185032A004017"), nir_key("185032B004017"));
    }

    #[test]
    fn what_is_no_nir_is_refused() {
        for text in ["", "1", "3621265879136", "16212658791367", "162126A879136", "1621265B79136", "18503A2004017"] {
            assert_eq!(nir_key(text), None, "{text}");
        }
        assert_eq!(nir_key("16212658é9136"), None);
        for text in ["", "162126587913678", "1621265879136", "16212658791367é", "1621265879136+7", "é62126587913677"]
        {
            assert!(!nir_is_valid(text), "{text}");
        }
    }

    #[test]
    fn one_wrong_digit_is_always_noticed() {
        let good = "162126587913677";
        for place in 0..13 {
            for digit in b'0'..=b'9' {
                let mut bytes = good.as_bytes().to_vec();
                if bytes[place] != digit {
                    bytes[place] = digit;
                    assert!(!nir_is_valid(std::str::from_utf8(&bytes).unwrap()));
                }
            }
        }
    }
}
