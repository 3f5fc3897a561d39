//! Code 128 (ISO/IEC 15417): a text of printable ASCII as bars and gaps, two digits in one symbol where there are many.

/// Longest text of a barcode, in bytes: it must fit beside a name.
pub const BARCODE_BYTES_MAX: usize = 32;

/// Widths of bars and gaps of each symbol, in modules: values 0 to 105, each beginning with a bar.
const SYMBOLS: [&[u8; 6]; 106] = [
    b"212222", b"222122", b"222221", b"121223", b"121322", b"131222", b"122213", b"122312", b"132212", b"221213",
    b"221312", b"231212", b"112232", b"122132", b"122231", b"113222", b"123122", b"123221", b"223211", b"221132",
    b"221231", b"213212", b"223112", b"312131", b"311222", b"321122", b"321221", b"312212", b"322112", b"322211",
    b"212123", b"212321", b"232121", b"111323", b"131123", b"131321", b"112313", b"132113", b"132311", b"211313",
    b"231113", b"231311", b"112133", b"112331", b"132131", b"113123", b"113321", b"133121", b"313121", b"211331",
    b"231131", b"213113", b"213311", b"213131", b"311123", b"311321", b"331121", b"312113", b"312311", b"332111",
    b"314111", b"221411", b"431111", b"111224", b"111422", b"121124", b"121421", b"141122", b"141221", b"112214",
    b"112412", b"122114", b"122411", b"142112", b"142211", b"241211", b"221114", b"413111", b"241112", b"134111",
    b"111242", b"121142", b"121241", b"114212", b"124112", b"124211", b"411212", b"421112", b"421211", b"212141",
    b"214121", b"412121", b"111143", b"111341", b"131141", b"114113", b"114311", b"411113", b"411311", b"113141",
    b"114131", b"311141", b"411131", b"211412", b"211214", b"211232",
];

/// The end, a bar longer than the others.
const STOP: &[u8; 7] = b"2331112";

const TO_CODE_C: u8 = 99;
const TO_CODE_B: u8 = 100;
const START_B: u8 = 104;
const START_C: u8 = 105;

/// Fewest digits in a row for which two in a symbol are shorter.
const DIGITS_MIN: usize = 4;

/// The widths of bars and gaps in turn, in modules, beginning with a bar; none for a text that is empty, too long or not printable ASCII.
pub fn code128(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > BARCODE_BYTES_MAX || !bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return None;
    }
    let mut values: Vec<u8> = Vec::new();
    let (mut rest, mut pairs) = (bytes, false);
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let wanted = digits >= DIGITS_MIN || (pairs && digits >= 2);
        if values.is_empty() || wanted != pairs {
            values.push(match (values.is_empty(), wanted) {
                (true, true) => START_C,
                (true, false) => START_B,
                (false, true) => TO_CODE_C,
                (false, false) => TO_CODE_B,
            });
            pairs = wanted;
        }
        match rest {
            [tens, ones, after @ ..] if pairs => {
                values.push((tens - b'0') * 10 + (ones - b'0'));
                rest = after;
            }
            [letter, after @ ..] => {
                values.push(letter - b' ');
                rest = after;
            }
            [] => {}
        }
    }
    let sum: usize = values.iter().enumerate().map(|(place, value)| place.max(1) * usize::from(*value)).sum();
    values.push(u8::try_from(sum % 103).ok()?);
    let mut widths: Vec<u8> = Vec::new();
    for value in values {
        widths.extend(SYMBOLS.get(usize::from(value))?.iter().map(|digit| digit - b'0'));
    }
    widths.extend(STOP.iter().map(|digit| digit - b'0'));
    Some(widths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// What makes the table one of Code 128: eleven modules each, bars of even width in all, no symbol twice.
    #[test]
    fn symbols_are_those_of_the_code() {
        for symbol in SYMBOLS {
            let widths: Vec<u32> = symbol.iter().map(|digit| u32::from(digit - b'0')).collect();
            assert_eq!(widths.iter().sum::<u32>(), 11, "{symbol:?}");
            assert_eq!(widths.iter().step_by(2).sum::<u32>() % 2, 0, "{symbol:?}");
        }
        assert_eq!(SYMBOLS.iter().collect::<HashSet<_>>().len(), SYMBOLS.len());
        assert_eq!(STOP.iter().map(|digit| u32::from(digit - b'0')).sum::<u32>(), 13);
    }

    /// Reads bars back, as a scanner does.
    fn read(widths: &[u8]) -> String {
        let (symbols, stop) = widths.split_at(widths.len() - 7);
        assert_eq!(stop, STOP.map(|digit| digit - b'0'));
        let value =
            |symbol: &[u8]| SYMBOLS.iter().position(|known| known.iter().map(|d| d - b'0').eq(symbol.iter().copied()));
        let mut values: Vec<usize> = symbols.chunks(6).map(|symbol| value(symbol).unwrap()).collect();
        let check = values.pop().unwrap();
        assert_eq!(values.iter().enumerate().map(|(place, value)| place.max(1) * value).sum::<usize>() % 103, check);
        let (mut out, mut pairs) = (String::new(), false);
        for value in values {
            match value {
                105 | 99 if value == 105 || !pairs => pairs = true,
                104 | 100 => pairs = false,
                value if pairs => out.push_str(&format!("{value:02}")),
                value => out.push(char::from(u8::try_from(value).unwrap() + b' ')),
            }
        }
        out
    }

    #[test]
    fn texts_go_round() {
        for text in ["279035121518989", "2790A5121518989", "AB12", "1234", "12345", "a", "P-0042/7 x", "99999999"] {
            assert_eq!(read(&code128(text).unwrap()), text);
        }
        // Start, seven pairs, a switch, a digit, the check, the stop.
        assert_eq!(code128("279035121518989").unwrap().iter().map(|w| u32::from(*w)).sum::<u32>(), 11 * 11 + 13);
        for wrong in ["", "é", "a\n", &"1".repeat(33)] {
            assert_eq!(code128(wrong), None);
        }
    }
}
