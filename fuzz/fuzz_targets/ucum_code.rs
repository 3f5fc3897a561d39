//! A unit code is read or refused; what is read has base units that are a code themselves, and amounts come back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tacet_ucum::{convert, parse};

fuzz_target!(|data: &[u8]| {
    let Ok(code) = std::str::from_utf8(data) else { return };
    let Ok(unit) = parse(code) else { return };
    let base = parse(&unit.base_units()).expect("base units are a code");
    assert!(unit.comparable(&base) && base.comparable(&unit));
    let canonical = unit.canonical();
    assert!(canonical.factor.is_finite() && canonical.factor > 0.0 && canonical.offset.is_finite());
    assert_eq!(convert(1.5, &unit, &unit), Ok(1.5));
    if let (Some(exact), Some(near)) = (unit.base_amount(15, -1), unit.to_base(1.5)) {
        assert!((exact - near).abs() <= 1e-9 * exact.abs().max(canonical.offset.abs()), "{exact} {near}");
    }
});
