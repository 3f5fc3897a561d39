use super::*;
use crate::breakglass::BtgReason;
use crate::facts::facts_of;
use crate::situation::Relation;
use tacet_fhir::json::{Limits, parse_str};
use tacet_types::Zone;

mod said;

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// What a resource says of care.
fn read(text: &str) -> ((ResourceType, ResourceId), Option<Facts>) {
    let json = parse_str(text, &Limits::default()).unwrap_or_else(|error| panic!("{error}: {text}"));
    let kind = tacet_fhir::resource::resource_type(&json).unwrap();
    let id = tacet_fhir::resource::id(&json).unwrap();
    let facts = facts_of(kind, &id, &json);
    ((kind, id), facts)
}

/// Puts a resource of this type and id, with these members.
pub(super) fn put(care: &mut CareData, kind: &str, id: &str, members: &str) {
    let (key, facts) = read(&format!(r#"{{"resourceType":"{kind}","id":"{id}",{members}}}"#));
    care.put(key, facts);
}

/// 2026-03-02 is a Monday.
const NOON: &str = "2026-03-02T11:00:00Z";

struct Ward {
    care: CareData,
    settings: CareSettings,
}

impl Ward {
    /// A ward with two rooms, another ward, and who works there.
    fn new() -> Self {
        let settings = CareSettings { rota_zone: Zone::Fixed(0), shift_margin_minutes: 0, ..CareSettings::default() };
        let mut ward = Self { care: CareData::new(), settings };
        for (place, part_of) in [("ward", "house"), ("room", "ward"), ("bed", "room"), ("other", "house")] {
            ward.put(&format!(
                r#"{{"resourceType":"Location","id":"{place}","partOf":{{"reference":"Location/{part_of}"}}}}"#
            ));
        }
        ward.put(r#"{"resourceType":"PractitionerRole","id":"r-nurse","practitioner":{"reference":"Practitioner/nurse"},
            "location":[{"reference":"Location/ward"}],"availableTime":[{"availableStartTime":"06:00:00","availableEndTime":"14:00:00"}],
            "notAvailable":[{"description":"leave","during":{"start":"2026-03-04","end":"2026-03-05"}}]}"#);
        ward.put(
            r#"{"resourceType":"PractitionerRole","id":"r-doctor","practitioner":{"reference":"Practitioner/doctor"},
            "organization":{"reference":"Organization/clinic"},"location":[{"reference":"Location/other"}]}"#,
        );
        ward
    }

    fn put(&mut self, text: &str) {
        let (key, facts) = read(text);
        self.care.put(key, facts);
    }

    /// Written by a Practitioner in the place of what stood there.
    fn put_by(&mut self, writer: &str, before: Option<&str>, text: &str) {
        let before = before.and_then(|text| read(text).1);
        let (key, facts) = read(text);
        self.care.put(key, facts.map(|facts| facts.written_by(&id(writer), before)));
    }

    fn gone(&mut self, kind: &str, name: &str) {
        self.care.put((ResourceType::parse(kind).unwrap(), id(name)), None);
    }

    /// Names of relations to patient `p`, and none to anybody else.
    fn of(&self, practitioner: &str, now: &str) -> Vec<&'static str> {
        let related = self.care.relations(&id(practitioner), at(now), &self.settings);
        assert!(related.keys().all(|patient| patient.as_str() == "p"), "of others");
        related.get(&id("p")).map(|set| set.iter().map(Relation::as_str).collect()).unwrap_or_default()
    }

    fn next(&self, practitioner: &str, now: &str) -> Option<String> {
        self.care.next_change(Some(&id(practitioner)), at(now), &self.settings).map(|at| at.to_string())
    }
}

fn stay(rest: &str) -> String {
    format!(
        r#"{{"resourceType":"Encounter","id":"e","class":{{"code":"IMP"}},"subject":{{"reference":"Patient/p"}},{rest}}}"#
    )
}

#[test]
fn a_ward_knows_who_lies_in_it_while_one_works_there() {
    let mut ward = Ward::new();
    let here = r#""location":[{"location":{"reference":"Location/bed"},"status":"active"}]"#;
    ward.put(&stay(&format!(r#""status":"in-progress","period":{{"start":"2026-03-01T08:00:00Z"}},{here}"#)));
    assert_eq!(ward.of("nurse", NOON), ["ward-encounter"]);
    assert_eq!(ward.of("doctor", NOON), [""; 0], "works in another ward");
    assert_eq!(ward.of("nurse", "2026-03-02T05:59:59.999Z"), [""; 0], "before the shift");
    assert_eq!(ward.of("nurse", "2026-03-02T14:00:00Z"), [""; 0], "after it");
    assert_eq!(ward.of("nurse", "2026-03-04T11:00:00Z"), [""; 0], "on leave");
    assert_eq!(ward.next("nurse", NOON).as_deref(), Some("2026-03-02T14:00:00.000Z"));
    ward.settings.shift_margin_minutes = 30;
    assert_eq!(ward.of("nurse", "2026-03-02T14:29:00Z"), ["ward-encounter"], "handing over");

    // Moved: for some days the first ward still has what to write.
    ward.put(&stay(
        r#""status":"in-progress","period":{"start":"2026-02-01"},"location":[
        {"location":{"reference":"Location/ward"},"status":"completed","period":{"end":"2026-03-01T10:00:00Z"}},
        {"location":{"reference":"Location/other"},"status":"active","period":{"start":"2026-03-01T10:00:00Z"}}]"#,
    ));
    assert_eq!(ward.of("nurse", NOON), ["ward-encounter"]);
    assert_eq!(ward.of("nurse", "2026-03-06T11:00:00Z"), [""; 0]);
    assert_eq!(ward.of("doctor", "2026-03-06T11:00:00Z"), ["ward-encounter"]);

    for (status, period, related) in [
        ("planned", r#"{"start":"2026-03-03"}"#, false),
        ("finished", r#"{"start":"2026-02-01","end":"2026-02-27T12:00:00Z"}"#, true),
        ("finished", r#"{"start":"2026-02-01","end":"2026-02-27T09:00:00Z"}"#, false),
        ("cancelled", r#"{"start":"2026-02-01"}"#, false),
        ("in-progress", r#"{"start":"2025-02-01"}"#, false),
        ("in-progress", r#"{"start":"2026-02-01","end":"2026-02-02"}"#, false),
    ] {
        ward.put(&stay(&format!(r#""status":"{status}","period":{period},{here}"#)));
        assert_eq!(!ward.of("nurse", NOON).is_empty(), related, "{status} {period}");
    }
    ward.gone("Encounter", "e");
    assert_eq!(ward.of("nurse", NOON), [""; 0]);

    // A role without a place is one of the whole organisation.
    ward.put(
        r#"{"resourceType":"PractitionerRole","id":"r-doctor","practitioner":{"reference":"Practitioner/doctor"},
        "organization":{"reference":"Organization/clinic"}}"#,
    );
    ward.put(&stay(r#""status":"arrived","serviceProvider":{"reference":"Organization/clinic"}"#));
    assert_eq!(ward.of("doctor", NOON), ["ward-encounter"]);
    assert_eq!(ward.of("nurse", NOON), [""; 0]);
}

#[test]
fn persons_are_related_by_what_names_them() {
    for (text, who, relation) in [
        (stay(r#""status":"in-progress","participant":[{"individual":{"reference":"PractitionerRole/r-doctor"}}]"#), "doctor", "encounter-participant"),
        (
            r#"{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-03-09T10:00:00Z","end":"2026-03-09T10:20:00Z","participant":[
            {"actor":{"reference":"Patient/p"},"status":"accepted"},{"actor":{"reference":"Practitioner/doctor"},"status":"accepted"}]}"#.to_owned(),
            "doctor",
            "appointment",
        ),
        (
            r#"{"resourceType":"ServiceRequest","id":"s","status":"active","intent":"order","subject":{"reference":"Patient/p"},"authoredOn":"2026-02-20",
            "category":[{"coding":[{"system":"http://snomed.info/sct","code":"3457005"}]}],"performer":[{"reference":"Practitioner/doctor"}]}"#.to_owned(),
            "doctor",
            "referral",
        ),
        (
            r#"{"resourceType":"ServiceRequest","id":"s","status":"completed","intent":"order","subject":{"reference":"Patient/p"},"authoredOn":"2026-02-20",
            "requester":{"reference":"Practitioner/doctor"},"performer":[{"reference":"Practitioner/nurse"}]}"#.to_owned(),
            "doctor",
            "order",
        ),
        (
            r#"{"resourceType":"CareTeam","id":"t","status":"active","subject":{"reference":"Patient/p"},"participant":[{"member":{"reference":"Practitioner/doctor"},
            "period":{"end":"2026-03-02T12:00:00Z"}}]}"#.to_owned(),
            "doctor",
            "care-team",
        ),
        (
            r#"{"resourceType":"CareTeam","id":"t","status":"active","subject":{"reference":"Patient/p"},"participant":[{"member":{"reference":"Organization/clinic"}}]}"#.to_owned(),
            "doctor",
            "care-team",
        ),
        (
            r#"{"resourceType":"EpisodeOfCare","id":"o","status":"active","patient":{"reference":"Patient/p"},"managingOrganization":{"reference":"Organization/x"},
            "careManager":{"reference":"Practitioner/doctor"}}"#.to_owned(),
            "doctor",
            "care-team",
        ),
        (
            r#"{"resourceType":"Patient","id":"p","generalPractitioner":[{"reference":"Practitioner/doctor"}]}"#.to_owned(),
            "doctor",
            "general-practitioner",
        ),
    ] {
        let mut ward = Ward::new();
        ward.put(&text);
        assert_eq!(ward.of(who, NOON), [relation], "{text}");
        assert_eq!(ward.of("nurse", NOON), [""; 0], "{text}");
    }
}

#[test]
fn relations_begin_and_end_with_their_days() {
    let appointment = |start: &str, status: &str| {
        format!(
            r#"{{"resourceType":"Appointment","id":"a","status":"{status}","start":"{start}","end":"{start}","participant":[
            {{"actor":{{"reference":"Patient/p"}}}},{{"actor":{{"reference":"Practitioner/doctor"}},"status":"accepted"}}]}}"#
        )
    };
    for (start, status, related) in [
        ("2026-03-09T11:00:00Z", "booked", true),
        ("2026-03-09T11:00:00.001Z", "booked", false),
        ("2026-02-23T11:00:00Z", "fulfilled", true),
        ("2026-02-23T10:59:59.998Z", "fulfilled", false),
        ("2026-03-03T11:00:00Z", "cancelled", false),
        ("2026-03-03T11:00:00Z", "proposed", false),
    ] {
        let mut ward = Ward::new();
        ward.put(&appointment(start, status));
        assert_eq!(!ward.of("doctor", NOON).is_empty(), related, "{start} {status}");
    }
    let mut ward = Ward::new();
    ward.put(&appointment("2026-03-20T11:00:00Z", "booked"));
    assert_eq!(ward.next("doctor", NOON).as_deref(), Some("2026-03-13T11:00:00.000Z"));
    ward.put(r#"{"resourceType":"ServiceRequest","id":"s","status":"completed","intent":"order","subject":{"reference":"Patient/p"},"authoredOn":"2026-02-20",
        "requester":{"reference":"Practitioner/doctor"},"performer":[{"reference":"Practitioner/nurse"}]}"#);
    assert_eq!(ward.of("nurse", NOON), [""; 0], "it is done");
    assert_eq!(ward.of("doctor", "2026-04-01T00:00:00Z"), [""; 0], "the order is too old");
}

#[test]
fn teams_of_teams_are_followed_and_circles_end() {
    let mut ward = Ward::new();
    let team = |name: &str, member: &str, patient: &str| {
        format!(
            r#"{{"resourceType":"CareTeam","id":"{name}","status":"active",{patient}"participant":[{{"member":{{"reference":"{member}"}}}}]}}"#
        )
    };
    ward.put(&team("a", "Practitioner/doctor", ""));
    ward.put(&team("b", "CareTeam/a", ""));
    ward.put(&team("c", "CareTeam/b", r#""subject":{"reference":"Patient/p"},"#));
    assert_eq!(ward.of("doctor", NOON), ["care-team"]);
    ward.put(&team("a", "CareTeam/c", ""));
    assert_eq!(ward.of("doctor", NOON), [""; 0]);
    ward.put(r#"{"resourceType":"EpisodeOfCare","id":"o","status":"active","patient":{"reference":"Patient/p"},"team":[{"reference":"CareTeam/z"}]}"#);
    ward.put(&team("z", "PractitionerRole/r-nurse", ""));
    assert_eq!(ward.of("nurse", NOON), ["care-team"]);
}

#[test]
fn who_is_on_call_has_the_ward_for_the_night() {
    let mut ward = Ward::new();
    ward.put(&stay(r#""status":"in-progress","location":[{"location":{"reference":"Location/bed"}}]"#));
    let schedule = |service: &str| {
        format!(
            r#"{{"resourceType":"Schedule","id":"s","serviceType":[{{"coding":[{{"code":"{service}"}}]}}],
            "actor":[{{"reference":"Practitioner/doctor"}},{{"reference":"Location/ward"}}]}}"#
        )
    };
    let slot = |status: &str| {
        format!(
            r#"{{"resourceType":"Slot","id":"n","schedule":{{"reference":"Schedule/s"}},"status":"{status}","start":"2026-03-02T18:00:00Z","end":"2026-03-03T08:00:00Z"}}"#
        )
    };
    ward.put(&schedule("on-call"));
    ward.put(&slot("busy"));
    assert_eq!(ward.of("doctor", "2026-03-02T20:00:00Z"), ["on-call"]);
    assert_eq!(ward.of("doctor", NOON), [""; 0]);
    assert_eq!(ward.next("doctor", NOON).as_deref(), Some("2026-03-02T18:00:00.000Z"));
    ward.put(&slot("free"));
    assert_eq!(ward.of("doctor", "2026-03-02T20:00:00Z"), [""; 0]);
    ward.put(&slot("busy-unavailable"));
    ward.put(&schedule("consultation"));
    assert_eq!(ward.of("doctor", "2026-03-02T20:00:00Z"), [""; 0], "a consulting hour is no duty");
    ward.put(r#"{"resourceType":"Schedule","id":"s","serviceType":[{"text":"Garde"}],"actor":[{"reference":"PractitionerRole/r-nurse"}]}"#);
    assert_eq!(ward.of("nurse", "2026-03-02T20:00:00Z"), ["on-call"], "without a place: that of the role");
}

#[test]
fn whoever_put_a_patient_on_file_has_a_day() {
    let mut ward = Ward::new();
    ward.care.put_registration(id("p"), id("nurse"), at("2026-03-02T08:00:00Z"));
    assert_eq!(ward.of("nurse", NOON), ["registered"]);
    assert_eq!(
        ward.next("nurse", "2026-03-03T02:00:00Z").as_deref(),
        Some("2026-03-03T06:00:00.000Z"),
        "the shift first"
    );
    assert_eq!(ward.of("nurse", "2026-03-03T08:00:00.001Z"), [""; 0]);
    ward.care.erase(&id("p"));
    assert_eq!(ward.of("nurse", NOON), [""; 0]);
    for n in 0..REGISTERED_MAX + 5 {
        ward.care.put_registration(id(&format!("p{n}")), id("nurse"), at(NOON));
    }
    assert_eq!(ward.care.relations(&id("nurse"), at(NOON), &ward.settings).len(), REGISTERED_MAX);
}

#[test]
fn the_hospital_knows_its_patients() {
    let mut ward = Ward::new();
    let of = |ward: &Ward, now: &str| {
        let related = ward.care.hospital(at(now), &ward.settings);
        related.get(&id("p")).map(|set| set.iter().map(Relation::as_str).collect::<Vec<_>>()).unwrap_or_default()
    };
    ward.put(&stay(r#""status":"in-progress","period":{"start":"2026-03-01"}"#));
    assert_eq!(of(&ward, NOON), ["inpatient"]);
    ward.put(&stay(r#""status":"finished","period":{"start":"2026-03-01","end":"2026-03-02T09:00:00Z"}"#));
    assert_eq!(of(&ward, NOON), [""; 0]);
    ward.put(r#"{"resourceType":"MedicationRequest","id":"m","status":"active","intent":"order","subject":{"reference":"Patient/p"},"authoredOn":"2026-02-27"}"#);
    ward.put(r#"{"resourceType":"ServiceRequest","id":"s","status":"active","intent":"order","subject":{"reference":"Patient/p"},"authoredOn":"2026-02-27",
        "category":[{"coding":[{"system":"http://snomed.info/sct","code":"108252007"}]}]}"#);
    assert_eq!(of(&ward, NOON), ["prescription", "open-order"]);
    let next = ward.care.next_change_of_hospital(at(NOON), &ward.settings).unwrap();
    assert_eq!(next.to_string(), "2026-03-29T00:00:00.001Z");
    assert_eq!(of(&ward, "2026-03-29T00:00:00.001Z"), [""; 0]);
}

#[test]
fn patients_are_set_apart_by_what_records_say() {
    let mut ward = Ward::new();
    let names = |ward: &Ward| ward.care.flags(&id("p")).names().collect::<Vec<_>>();
    let labelled = |code: &str| {
        format!(
            r#"{{"resourceType":"Patient","id":"p","meta":{{"security":[{{"system":"https://tacet.invalid/CodeSystem/confidentiality","code":"{code}"}}]}},
            "identifier":[{{"system":"urn:oid:1.2","value":"7"}}]}}"#
        )
    };
    ward.put(&labelled("detained"));
    assert_eq!(names(&ward), ["detained"]);
    let flag = |status: &str| {
        format!(
            r#"{{"resourceType":"Flag","id":"f","status":"{status}","subject":{{"reference":"Patient/p"}},
            "code":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"CEL"}}]}}}}"#
        )
    };
    ward.put(&flag("active"));
    assert_eq!(names(&ward), ["detained", "vip"]);
    ward.put(&flag("inactive"));
    ward.put(&labelled("restricted"));
    assert_eq!(names(&ward), ["restricted"]);

    // The same person as somebody who works here: by an identifier, whichever comes first, or by a Person.
    let staff = |active: bool| {
        format!(
            r#"{{"resourceType":"Practitioner","id":"d","active":{active},"identifier":[{{"system":"urn:oid:1.2","value":"7"}}]}}"#
        )
    };
    ward.put(&staff(true));
    assert_eq!(names(&ward), ["staff", "restricted"]);
    ward.put(r#"{"resourceType":"Patient","id":"p","identifier":[{"system":"urn:oid:1.2","value":"8"}]}"#);
    assert_eq!(names(&ward), [""; 0]);
    ward.put(&labelled("restricted"));
    assert_eq!(names(&ward), ["staff", "restricted"]);
    ward.put(&staff(false));
    assert_eq!(names(&ward), ["restricted"]);
    ward.put(r#"{"resourceType":"Person","id":"x","link":[{"target":{"reference":"Patient/p"}},{"target":{"reference":"Practitioner/d"}}]}"#);
    assert_eq!(names(&ward), ["staff", "restricted"]);
    ward.gone("Person", "x");
    ward.put(&stay(r#""status":"in-progress","hospitalization":{"specialCourtesy":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-EncounterSpecialCourtesy","code":"VIP"}]}]}"#));
    assert_eq!(names(&ward), ["vip", "restricted"]);
    ward.gone("Encounter", "e");
    ward.gone("Patient", "p");
    assert_eq!(ward.care.flagged().count(), 0);
}

#[test]
fn emergencies_hold_for_one_account_and_patient_until_their_end() {
    let mut care = CareData::new();
    let declared = |name: &str, until: &str| BreakGlass {
        id: name.into(),
        account: "dr".into(),
        patient: id("p"),
        reason: BtgReason::VitalEmergency,
        text: "t".into(),
        from: at(NOON),
        until: at(until),
    };
    care.put_break_glass(declared("1", "2026-03-02T13:00:00Z"));
    care.put_break_glass(declared("2", "2026-03-02T14:00:00Z"));
    assert_eq!(care.break_glass("dr", at(NOON)), [id("p")]);
    assert!(
        care.break_glass("other", at(NOON)).is_empty() && care.break_glass("dr", at("2026-03-02T10:59:59Z")).is_empty()
    );
    assert_eq!(care.declared("dr", &id("p"), at(NOON)).map(|declared| declared.id.as_str()), Some("2"));
    assert_eq!(care.next_change(None, at(NOON), &CareSettings::default()), Some(at("2026-03-02T13:00:00.001Z")));
    let epoch = care.epoch();
    assert!(care.end_break_glass("2") && !care.end_break_glass("2"));
    assert!(care.epoch() > epoch);
    assert!(care.break_glass("dr", at("2026-03-02T13:00:00.001Z")).is_empty());
}

#[test]
fn nothing_is_left_of_records_that_went() {
    let mut ward = Ward::new();
    let epoch = ward.care.epoch();
    ward.put(&stay(r#""status":"in-progress","location":[{"location":{"reference":"Location/bed"}}],"participant":[{"individual":{"reference":"Practitioner/doctor"}}]"#));
    assert!(ward.care.epoch() > epoch);
    let epoch = ward.care.epoch();
    ward.put(&stay(r#""status":"in-progress","location":[{"location":{"reference":"Location/bed"}}],"participant":[{"individual":{"reference":"Practitioner/doctor"}}]"#));
    assert_eq!(ward.care.epoch(), epoch, "the same says the same");
    ward.put(r#"{"resourceType":"Group","id":"g","type":"practitioner","actual":true,"member":[{"entity":{"reference":"Practitioner/doctor"}}]}"#);
    ward.put(r#"{"resourceType":"Slot","id":"n","schedule":{"reference":"Schedule/s"},"status":"busy","start":"2026-03-02T18:00:00Z","end":"2026-03-03T08:00:00Z"}"#);
    ward.put(r#"{"resourceType":"Patient","id":"p","identifier":[{"system":"s","value":"1"}],"generalPractitioner":[{"reference":"Practitioner/doctor"}]}"#);
    ward.put(r#"{"resourceType":"Patient","id":"q","identifier":[{"system":"s","value":"1"}]}"#);
    ward.put(r#"{"resourceType":"Consent","id":"c","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
        "patient":{"reference":"Patient/p"},"provision":{"type":"deny","period":{"end":"2026-12-31"}}}"#);
    for (kind, name) in [
        ("Encounter", "e"),
        ("Group", "g"),
        ("Slot", "n"),
        ("Patient", "p"),
        ("Patient", "q"),
        ("Consent", "c"),
        ("Location", "ward"),
        ("Location", "room"),
        ("Location", "bed"),
        ("Location", "other"),
        ("PractitionerRole", "r-nurse"),
        ("PractitionerRole", "r-doctor"),
    ] {
        ward.gone(kind, name);
    }
    let care = &ward.care;
    assert!(care.is_empty() && care.by_actor.is_empty() && care.by_place.is_empty() && care.parts.is_empty());
    assert!(
        care.slots.is_empty()
            && care.of_hospital.is_empty()
            && care.special.is_empty()
            && care.turns.is_empty()
            && care.ends.is_empty()
            && care.by_named.is_empty()
    );
    assert!(care.patients_by_identifier.of(0).next().is_none());
}

/// What is over can be forgotten, and an answer holds until the moment that was named: both for a ward with some of everything.
#[test]
fn answers_hold_until_the_next_change_and_forgetting_changes_none() {
    let mut ward = Ward::new();
    ward.settings.rota_zone = Zone::Paris;
    ward.settings.shift_margin_minutes = 15;
    ward.put(&stay(r#""status":"finished","period":{"start":"2026-02-20","end":"2026-03-02T09:30:00Z"},"location":[{"location":{"reference":"Location/bed"}}],
        "participant":[{"individual":{"reference":"Practitioner/nurse"},"period":{"end":"2026-02-28"}}]"#));
    ward.put(r#"{"resourceType":"Appointment","id":"a","status":"booked","start":"2026-03-15T10:00:00Z","end":"2026-03-15T10:20:00Z","participant":[
        {"actor":{"reference":"Patient/p"}},{"actor":{"reference":"PractitionerRole/r-nurse"}}]}"#);
    ward.put(r#"{"resourceType":"CareTeam","id":"t","status":"active","subject":{"reference":"Patient/p"},"period":{"start":"2026-03-10"},
        "participant":[{"member":{"reference":"Practitioner/nurse"},"period":{"end":"2026-03-26"}}]}"#);
    ward.put(r#"{"resourceType":"Schedule","id":"s","serviceType":[{"text":"astreinte"}],"actor":[{"reference":"Practitioner/nurse"}]}"#);
    ward.put(r#"{"resourceType":"Slot","id":"n","schedule":{"reference":"Schedule/s"},"status":"busy","start":"2026-03-02T18:00:00Z","end":"2026-03-03T08:00:00Z"}"#);
    ward.care.put_registration(id("p"), id("nurse"), at("2026-03-20T12:34:56Z"));
    let nurse = id("nurse");
    let answer = |ward: &Ward, now: Timestamp| ward.care.relations(&nurse, now, &ward.settings);
    let (mut now, end) = (at("2026-02-27T00:00:00Z"), at("2026-04-10T00:00:00Z"));
    let (mut steps, mut answers) = (0, 0);
    let mut last = None;
    while now < end {
        let next = ward.care.next_change(Some(&nurse), now, &ward.settings).expect("a rota never ends");
        assert!(next > now);
        let here = answer(&ward, now);
        for part in 0..8 {
            let between = now.plus_ms((next.as_ms() - now.as_ms() - 1) * part / 7);
            assert_eq!(answer(&ward, between), here, "{now} {between} {next}");
        }
        answers += usize::from(last.as_ref() != Some(&here));
        (last, now, steps) = (Some(here), next, steps + 1);
    }
    assert!(steps > 80 && answers > 10, "{steps} {answers}");

    let later = at("2028-01-01T00:00:00Z");
    let before = answer(&ward, later);
    let known = ward.care.len();
    ward.care.forget(later);
    assert!(ward.care.len() < known && ward.care.registered.is_empty());
    assert_eq!(answer(&ward, later), before);
}
