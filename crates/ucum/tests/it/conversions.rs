//! Conversions whose results are known from elsewhere.

use tacet_ucum::{UnitError, canonical, convert, parse};

#[test]
fn known_amounts_are_converted() {
    for (amount, from, to, expected) in [
        (1.0, "[in_i]", "cm", 2.54),
        (1.0, "[lb_av]", "g", 453.59237),
        (1.0, "[oz_av]", "g", 28.349_523_125),
        (1.0, "[foz_us]", "mL", 29.573_529_562_5),
        (1.0, "[stone_av]", "kg", 6.350_293_18),
        (5.5, "[ft_i]", "m", 1.6764),
        (37.0, "Cel", "[degF]", 98.6),
        (98.6, "[degF]", "Cel", 37.0),
        (0.0, "Cel", "K", 273.15),
        (-40.0, "Cel", "[degF]", -40.0),
        (37_000.0, "mCel", "Cel", 37.0),
        (80.0, "[degRe]", "Cel", 100.0),
        (120.0, "mm[Hg]", "kPa", 15.998_64),
        (10.0, "cm[H2O]", "Pa", 980.665),
        (1.0, "atm", "mm[Hg]", 760.002_100_178_515_3),
        (1.0, "[psi]", "kPa", 6.894_757_293_168_361),
        (1.0, "kcal", "kJ", 4.184),
        (1.0, "U", "nkat", 1e3 / 60.0),
        (90.0, "mg/dL", "g/L", 0.9),
        (5.0, "mmol/L", "umol/mL", 5.0),
        (140.0, "meq/L", "mmol/L", 140.0),
        (72.0, "{beats}/min", "/min", 72.0),
        (60.0, "/min", "Hz", 1.0),
        (1.0, "d", "h", 24.0),
        (1.0, "a", "d", 365.25),
        (1.0, "mo", "d", 30.4375),
        (1.0, "wk", "d", 7.0),
        (180.0, "deg", "rad", std::f64::consts::PI),
        (1.0, "deg", "'", 60.0),
        (50.0, "%", "1", 0.5),
        (3.0, "10*3/uL", "10*9/L", 3.0),
        (3.0, "10^3/uL", "10*9/L", 3.0),
        (20.0, "[drp]", "mL", 1.0),
        (3.0, "[Ch]", "mm", 1.0),
        (100.0, "mL/min/{1.73_m2}", "L/h", 6.0),
        (1.0, "k[IU]/L", "[iU]/mL", 1.0),
        (3.0, "dB[SPL]", "B[SPL]", 0.3),
        (1.0, "kg.m/s2", "N", 1.0),
        (2.0, "MiBy", "bit", 16_777_216.0),
        (1.0, "Ci", "GBq", 37.0),
        (1.0, "kg/m2", "g/cm2", 0.1),
        (1.0, "[HP]", "W", 745.699_871_582_270_2),
    ] {
        let (from_unit, to_unit) = (parse(from).expect(from), parse(to).expect(to));
        let converted = convert(amount, &from_unit, &to_unit).expect(from);
        let error = (converted - expected).abs();
        assert!(error <= expected.abs() * 1e-13, "{amount} {from} is {converted} {to}, not {expected}");
    }
}

#[test]
fn base_units_are_sorted_and_read_back() {
    for (code, factor, offset, unit) in [
        ("mg/dL", 10.0, 0.0, "g.m-3"),
        ("mm[Hg]", 133_322.0, 0.0, "g.m-1.s-2"),
        ("Cel", 1.0, 273.15, "K"),
        ("{score}", 1.0, 0.0, "1"),
        ("mmol/L", 6.022_140_76e23, 0.0, "m-3"),
        ("[IU]/mL", 1e6, 0.0, "[iU].m-3"),
        ("V", 1e3, 0.0, "C-1.g.m2.s-2"),
        ("[pH]", 1.0, 0.0, "[pH]"),
        ("m/m", 1.0, 0.0, "1"),
    ] {
        let found = canonical(code).expect(code);
        assert_eq!((found.factor, found.offset, found.unit.as_str()), (factor, offset, unit), "{code}");
        let (given, base) = (parse(code).expect(code), parse(unit).expect(unit));
        assert!(given.comparable(&base), "{code}");
    }
    assert_eq!(canonical("tablet"), None);
}

#[test]
fn what_measures_other_things_does_not_compare() {
    for (one, other) in [
        ("kg", "m"),
        ("[IU]", "U"),
        ("[IU]", "[arb'U]"),
        ("[CFU]/mL", "[PFU]/mL"),
        ("[pH]", "mol/L"),
        ("B[SPL]", "B[V]"),
        ("Cel", "m"),
        ("rad", "1"),
        ("m/s", "m.s"),
    ] {
        let (one, other) = (parse(one).expect(one), parse(other).expect(other));
        assert!(!one.comparable(&other));
        assert_eq!(convert(1.0, &one, &other), Err(UnitError::NotComparable));
    }
}

#[test]
fn equal_amounts_are_equal_to_the_bit() {
    for ((digits, tens, unit), (other_digits, other_tens, other)) in [
        ((3, -1, "g/L"), (300, 0, "ug/mL")),
        ((1, -1, "m"), (100, 0, "mm")),
        ((7, -1, "[lb_av]"), (49, 2, "[gr]")),
        ((1, 0, "[ft_us]"), (12, 0, "[in_us]")),
        ((986, -1, "[degF]"), (37, 0, "Cel")),
        ((986, -1, "[degF]"), (31_015, -2, "K")),
        ((-40, 0, "[degF]"), (-40, 0, "Cel")),
        ((90, 0, "deg"), (5400, 0, "'")),
        ((0, 0, "[lb_av]"), (0, 5, "t")),
    ] {
        let amount = parse(unit).expect(unit).base_amount(digits, tens);
        assert!(amount.is_some());
        assert_eq!(amount, parse(other).expect(other).base_amount(other_digits, other_tens), "{unit} {other}");
    }
    assert_eq!(parse("Ym").expect("a unit").base_amount(1, 400), None);
}
