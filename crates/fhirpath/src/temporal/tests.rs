use super::*;

fn at(text: &str) -> Moment {
    read_date_time(text).expect("a date or time")
}

#[test]
fn parts_compare_up_to_the_coarser_precision() {
    assert_eq!(at("2018").compare(&at("2019-03")), Some(Ordering::Less));
    assert_eq!(at("2018-03").compare(&at("2018-03-01")), None);
    assert_eq!(at("2018-03-01T10:30:00Z").compare(&at("2018-03-01T10:30:00.000Z")), Some(Ordering::Equal));
    assert_eq!(at("2018-03-01T10:30:00+02:00").compare(&at("2018-03-01T08:30:00Z")), Some(Ordering::Equal));
}

#[test]
fn a_time_without_a_zone_is_known_to_differ_only_past_every_zone() {
    let zoned = at("2018-03-02T12:00:00Z");
    assert_eq!(at("2018-03-02T12:00:00").compare(&zoned), None);
    assert_eq!(at("2018-03-01T23:59:00").compare(&zoned), Some(Ordering::Less));
    assert_eq!(at("2018-03-03T04:00:00").compare(&zoned), Some(Ordering::Greater));
    assert_eq!(zoned.compare(&at("2018-03-03T04:00:00")), Some(Ordering::Less));
    assert_eq!(at("2018-03-03T02:00:00").compare(&zoned), None);
    assert_eq!(at("2018-03-02T00").compare(&zoned), None);
    assert_eq!(at("2018-03-01T23").compare(&zoned), Some(Ordering::Less));
    // A day without a time has no zone to be unsure of.
    assert_eq!(at("2018-03-01").compare(&zoned), Some(Ordering::Less));
    assert_eq!(at("2018-03-02").compare(&zoned), None);
}

#[test]
fn faulty_texts_are_not_read() {
    for text in [
        "",
        "218",
        "2018-",
        "2018-13",
        "2018-02-30",
        "0000",
        "2018-03-01T",
        "2018-03-01T25",
        "2018-03T10",
        "2018-03-01T10:00:00+15:00",
        "2018-03-01T10:00:00.Z",
        "2018-03-01T10:00:00Zx",
        "-018",
        "2018-3-1",
        "٢٠١٨",
    ] {
        assert_eq!(read_date_time(text), None, "{text}");
    }
}

#[test]
fn months_keep_the_day_or_take_the_last() {
    let text = |moment: Moment| {
        let mut out = String::new();
        moment.write_date_time(&mut out).expect("text");
        out
    };
    let moved = |from: &str, amount, unit| at(from).plus(amount, unit, false).map(text);
    assert_eq!(moved("2020-01-31", 1, CalendarUnit::Month).as_deref(), Some("2020-02-29"));
    assert_eq!(moved("2020-02-29", 1, CalendarUnit::Year).as_deref(), Some("2021-02-28"));
    assert_eq!(moved("2020", 24, CalendarUnit::Month).as_deref(), Some("2022"));
    assert_eq!(moved("2020-01", -31, CalendarUnit::Day).as_deref(), Some("2019-12"));
    assert_eq!(moved("2020-01-01T00:00:00Z", -1, CalendarUnit::Second).as_deref(), Some("2019-12-31T23:59:59Z"));
    assert_eq!(moved("9999-12-31", 1, CalendarUnit::Day), None);
    assert_eq!(moved("0001", i64::MIN, CalendarUnit::Year), None);
    assert_eq!(moved("2020-01-01T00:00:00Z", i64::MAX, CalendarUnit::Week), None);
}

#[test]
fn a_time_of_day_goes_round() {
    let late = read_time("23:30").expect("a time");
    let moved = late.plus(45, CalendarUnit::Minute, true).expect("a time");
    assert_eq!((moved.hour, moved.minute), (0, 15));
    let back = moved.plus(-49, CalendarUnit::Hour, true).expect("a time");
    assert_eq!((back.hour, back.minute), (23, 15));
    assert_eq!(late.plus(1, CalendarUnit::Day, true), None);
}
