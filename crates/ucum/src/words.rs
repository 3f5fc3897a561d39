//! Units as people write them, on paper and in summaries.

/// A unit as people write it, where a record has a code in the place of words: `×10³/µL` for `10*3/uL`. What is no code stays as it is; empty where it
/// says only what is counted (`{score}`). A unit is told in French or in English. For eyes only: never parse or compare it.
pub fn in_words(unit: &str, french: bool) -> String {
    const NAMES: [(&str, &str); 5] =
        [("mm[Hg]", "mmHg"), ("cm[H2O]", "cmH2O"), ("[degF]", "°F"), ("/uL", "/µL"), ("[iU]", "[IU]")];
    let mut told = NAMES.iter().fold(unit.to_owned(), |told, (code, name)| told.replace(code, name));
    told = told.replace("[IU]", if french { "UI" } else { "IU" });
    if told == "Cel" {
        return "°C".to_owned();
    }
    // What stands in braces is a remark.
    while let Some((before, rest)) = told.split_once('{') {
        let Some((_, after)) = rest.split_once('}') else { break };
        told = format!("{before}{after}");
    }
    let Some(rest) = told.strip_prefix("10*").or_else(|| told.strip_prefix("10^")) else { return told };
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (power, rest) = rest.split_at_checked(digits).unwrap_or((rest, ""));
    let raised =
        |digit: char| ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'].get(digit.to_digit(10)? as usize).copied();
    match power.is_empty() {
        true => told,
        false => format!("×10{}{rest}", power.chars().filter_map(raised).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_as_people_write_them() {
        for (code, french, english) in [
            ("mm[Hg]", "mmHg", "mmHg"),
            ("10*3/uL", "×10³/µL", "×10³/µL"),
            ("10*12/L", "×10¹²/L", "×10¹²/L"),
            ("[IU]/mL", "UI/mL", "IU/mL"),
            ("m[iU]/L", "mUI/L", "mIU/L"),
            ("Cel", "°C", "°C"),
            ("/min{beats}", "/min", "/min"),
            ("{score}", "", ""),
            ("comprimé", "comprimé", "comprimé"),
            ("10*", "10*", "10*"),
            ("{x", "{x", "{x"),
        ] {
            assert_eq!((in_words(code, true).as_str(), in_words(code, false).as_str()), (french, english));
        }
    }
}
