//! What holds for any code that is read.

use proptest::prelude::*;
use tacet_ucum::{Canonical, canonical, convert, parse};

fn symbol() -> impl Strategy<Value = String> {
    let atoms = [
        "m", "s", "g", "kg", "mg", "L", "dL", "mmol", "mm[Hg]", "[IU]", "[in_i]", "deg", "%", "10*", "{x}", "U",
        "kcal", "[lb_av]", "K", "h", "7", "m[H2O]", "B", "[foz_us]",
    ];
    (prop::sample::select(atoms.to_vec()), -3_i32..=3).prop_map(|(atom, exponent)| match exponent {
        0 | 1 => atom.to_owned(),
        _ if atom.starts_with('{') || atom.starts_with('7') => atom.to_owned(),
        _ => format!("{atom}{exponent}"),
    })
}

fn code() -> impl Strategy<Value = String> {
    let leaf = symbol();
    leaf.prop_recursive(3, 12, 4, |inner| {
        (inner.clone(), prop::sample::select(vec!['.', '/']), inner)
            .prop_map(|(left, operator, right)| format!("({left}){operator}({right})"))
    })
}

fn one() -> Canonical {
    canonical("1").unwrap()
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,40}", close in "[mgskLhd\\[\\]{}()./0-9*^'%-]{0,24}") {
        for text in [text, close] {
            if let Ok(unit) = parse(&text) {
                let base = parse(&unit.base_units()).unwrap();
                prop_assert!(unit.comparable(&base));
                prop_assert_eq!(unit.base_units(), base.base_units());
            }
        }
    }

    #[test]
    fn amounts_come_back(code in code(), other in code(), digits in -1_000_000_i128..1_000_000, tens in -6_i32..6) {
        let Ok(unit) = parse(&code) else { return Ok(()) };
        let amount: f64 = format!("{digits}e{tens}").parse().unwrap();
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * a.abs().max(b.abs());
        let base = unit.base_amount(digits, tens).unwrap();
        prop_assert!(near(base, unit.to_base(amount).unwrap()), "{} {}", base, code);
        prop_assert!(near(unit.from_base(base).unwrap(), amount));
        // An inverse twice is the unit itself; a unit over itself is a number.
        for (text, expected) in [(format!("/(1/({code}))"), unit.canonical()), (format!("({code})/({code})"), one())] {
            let found = parse(&text).unwrap().canonical();
            prop_assert!(near(found.factor, expected.factor) && found.unit == expected.unit, "{}", text);
        }
        if let Ok(other) = parse(&other) {
            match convert(amount, &unit, &other) {
                Ok(converted) => prop_assert!(near(convert(converted, &other, &unit).unwrap(), amount)),
                Err(_) => prop_assert!(!unit.comparable(&other)),
            }
        }
    }
}
