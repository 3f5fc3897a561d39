//! One stay from its admission to its end, message by message.

use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tacet_hl7v2::{Adt, Code, Existing, MapError, Message, Settings};

fn settings() -> Settings {
    Settings {
        systems: BTreeMap::from([
            ("CHU".to_owned(), "urn:chu:pid".to_owned()),
            ("V".to_owned(), "urn:chu:visit".to_owned()),
        ]),
        ward_system: Some("urn:chu:ward".to_owned()),
        zone_minutes: Some(60),
        ..Settings::default()
    }
}

fn message(event: &str, at: &str, ward: &str, more: &str) -> String {
    format!(
        "MSH|^~\\&|GAM|CHU|DPI|CHU|{at}||ADT^{event}|7|P|2.5\rEVN||{at}\rPID|1||123^^^CHU^PI~279035121518989^^^INS&1.2.250.1.213.1.4.10&ISO^INS||\
         MARTIN^Anne^Zoé^^Mme^^L||19790328|F|||28 Av^^PARIS^^75007^FRA^H||0102030405^PRN^CP\rPV1|1|I|{ward}^12^1||||||||||||||||V77^^^V{more}"
    )
}

/// Brings what exists to where the message says, as a store would.
fn applied(existing: &mut Existing, text: &str) -> Result<bool, MapError> {
    let (message, settings) = (Message::parse(text).unwrap(), settings());
    let adt = Adt::of(&message, &settings)?;
    existing.ward = adt.ward().filter(|ward| ward.value != "NOWHERE").map(|ward| format!("Location/{}", ward.value));
    let Some(bundle) = adt.bundle(existing)? else { return Ok(false) };
    for entry in bundle["entry"].as_array().unwrap() {
        let place = entry["request"]["url"].as_str().unwrap();
        let slot = if place.starts_with("Patient") { &mut existing.patient } else { &mut existing.stay };
        if entry["request"]["method"] == "POST" {
            let mut resource = entry["resource"].clone();
            if place == "Encounter" {
                resource["subject"] = json!({ "reference": "Patient/p1" });
            }
            assert!(entry["request"]["ifNoneExist"].as_str().unwrap().starts_with("identifier=urn:chu:"), "{entry}");
            *slot = Some(((if place == "Patient" { "p1" } else { "e1" }).to_owned(), 1, resource));
            continue;
        }
        let (id, version, now) = slot.as_mut().unwrap();
        assert!(place.ends_with(&format!("/{id}")) && entry["request"]["ifMatch"] == format!("W/\"{version}\""));
        let data = entry["resource"]["data"].as_str().unwrap();
        let operations = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        let operations: Vec<Value> = serde_json::from_slice(&operations).unwrap();
        for operation in operations {
            let name = operation["path"].as_str().unwrap().trim_start_matches('/').to_owned();
            match operation["op"].as_str().unwrap() {
                "add" => now[name] = operation["value"].clone(),
                _ => drop(now.as_object_mut().unwrap().remove(&name).unwrap()),
            }
        }
        *version += 1;
    }
    Ok(true)
}

fn wards(existing: &Existing) -> Vec<(String, String, bool)> {
    let stay = &existing.stay.as_ref().unwrap().2;
    let of = |location: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&location["location"]["display"]), text(&location["status"]), !location["period"]["end"].is_null())
    };
    stay["location"].as_array().unwrap().iter().map(of).collect()
}

fn ward(name: &str, status: &str, ended: bool) -> (String, String, bool) {
    (name.to_owned(), status.to_owned(), ended)
}

#[test]
fn a_stay_goes_its_way() {
    let mut store = Existing::default();
    assert!(applied(&mut store, &message("A01", "20260302100000", "CARD", "")).unwrap());
    let patient = store.patient.clone().unwrap().2;
    assert_eq!(
        (&patient["name"][0]["family"], &patient["name"][0]["given"], &patient["birthDate"], &patient["gender"]),
        (&json!("MARTIN"), &json!(["Anne", "Zoé"]), &json!("1979-03-28"), &json!("female"))
    );
    assert_eq!(patient["identifier"][1]["system"], "urn:oid:1.2.250.1.213.1.4.10");
    assert_eq!(patient["telecom"][0], json!({ "system": "phone", "value": "0102030405", "use": "mobile" }));
    let stay = store.stay.clone().unwrap().2;
    assert_eq!((&stay["status"], &stay["class"]["code"]), (&json!("in-progress"), &json!("IMP")));
    assert_eq!(stay["period"]["start"], "2026-03-02T10:00:00+01:00");
    assert_eq!(stay["location"][0]["location"]["reference"], "Location/CARD");
    assert!(!applied(&mut store, &message("A01", "20260302100000", "CARD", "")).unwrap(), "nothing changes");
    assert!(applied(&mut store, &message("A02", "20260303080000", "REA", "")).unwrap());
    assert_eq!(wards(&store), [ward("CARD", "completed", true), ward("REA", "active", false)]);
    assert!(applied(&mut store, &message("A12", "20260303090000", "CARD", "")).unwrap());
    assert_eq!(wards(&store), [ward("CARD", "active", false)]);
    assert!(matches!(applied(&mut store, &message("A12", "20260303090000", "CARD", "")), Err(MapError::State(_))));
    assert!(applied(&mut store, &message("A02", "20260304080000", "REA", "")).unwrap());
    assert!(applied(&mut store, &message("A03", "20260305080000", "REA", "")).unwrap());
    assert_eq!(wards(&store), [ward("CARD", "completed", true), ward("REA", "completed", true)]);
    let stay = store.stay.clone().unwrap().2;
    assert_eq!((&stay["status"], &stay["period"]["end"]), (&json!("finished"), &json!("2026-03-05T08:00:00+01:00")));
    for late in ["A01", "A02", "A11", "A12"] {
        let refused = applied(&mut store, &message(late, "20260305090000", "REA", "")).unwrap_err();
        assert_eq!(refused.answer().code, Code::Error, "{late}");
    }
    assert!(applied(&mut store, &message("A13", "20260305090000", "REA", "")).unwrap());
    assert_eq!(wards(&store), [ward("CARD", "completed", true), ward("REA", "active", false)]);
    let stay = store.stay.clone().unwrap().2;
    assert!(stay["status"] == "in-progress" && stay["period"]["end"].is_null());
    assert!(applied(&mut store, &message("A11", "20260305100000", "REA", "")).unwrap());
    assert_eq!(store.stay.clone().unwrap().2["status"], "cancelled");
}

#[test]
fn what_the_message_leaves_out_stays() {
    let mut store = Existing::default();
    applied(&mut store, &message("A01", "20260302100000", "CARD", "")).unwrap();
    let patient = &mut store.patient.as_mut().unwrap().2;
    patient["generalPractitioner"] = json!([{ "reference": "Practitioner/gp" }]);
    patient["identifier"][1]["extension"] = json!([{ "url": "urn:x", "valueCode": "VALI" }]);
    patient["identifier"].as_array_mut().unwrap().push(json!({ "system": "urn:other", "value": "9" }));
    let before = store.patient.clone().unwrap().2;
    let text = "MSH|^~\\&|GAM|CHU|DPI|CHU|2026||ADT^A08|8|P|2.5\rEVN||2026\rPID|1||123^^^CHU^PI~279035121518989^^^INS&1.2.250.1.213.1.4.10&ISO^INS||DUPONT^Anne^^^^^L||||||\
                ||\"\"\rPV1|1|I|REA";
    applied(&mut store, text).unwrap();
    let after = store.patient.clone().unwrap().2;
    assert_eq!(after["name"][0]["family"], "DUPONT");
    assert!(after.get("telecom").is_none(), "it said so");
    for same in ["birthDate", "gender", "address", "generalPractitioner", "identifier", "active"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(wards(&store), [ward("CARD", "active", false)], "an update moves nobody");
}

#[test]
fn what_is_not_for_a_feed_is_refused() {
    let refusal = |text: &str| applied(&mut Existing::default(), text).unwrap_err();
    let at = "20260302100000";
    for (event, error, code) in [("A40", 201, "AR"), ("A05", 201, "AR"), ("A03", 204, "AE"), ("A11", 204, "AE")] {
        let answer = refusal(&message(event, at, "CARD", "")).answer();
        assert_eq!((answer.error, answer.code.as_str()), (Some(error), code), "{event}");
    }
    assert_eq!(refusal(&message("A01", at, "CARD", "").replace("ADT^", "ORU^")), MapError::Kind);
    assert_eq!(refusal(&message("A01", at, "CARD", "").replace("|2.5\r", "|2.1\r")), MapError::Version);
    assert_eq!(
        refusal(
            &message("A01", at, "CARD", "")
                .replace("^^^CHU^PI", "^^^OTHER^PI")
                .replace("~279035121518989^^^INS&1.2.250.1.213.1.4.10&ISO^INS", "")
        ),
        MapError::Authority("PID-3")
    );
    assert_eq!(
        refusal(&message("A01", at, "CARD", "").replace("V77", "")),
        MapError::Missing("PV1-19, the visit number")
    );
    assert_eq!(refusal(&message("A01", at, "NOWHERE", "")), MapError::NoWard);
    assert_eq!(refusal(&message("A02", at, "", "")), MapError::Missing("PV1-3, the ward"));
    assert_eq!(refusal(&message("A01", "yesterday", "CARD", "")), MapError::Time("EVN"));
    let mut store = Existing::default();
    applied(&mut store, &message("A01", at, "CARD", "")).unwrap();
    store.stay.as_mut().unwrap().2["subject"] = json!({ "reference": "Patient/p2" });
    assert_eq!(applied(&mut store, &message("A02", at, "REA", "")).unwrap_err(), MapError::OtherPatient);
}
