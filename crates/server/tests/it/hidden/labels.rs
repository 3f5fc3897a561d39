//! Elements with labels of their own (DS4P): whoever is not cleared finds nothing of them in any answer, and by no search; that
//! something is withheld is said only to those who may know.

use crate::client::Ask;
use crate::ward::{ACT_CODE, BASE_URL, Chart, Ward};
use serde_json::{Value, json};
use tacet_vault::Role;

const INLINE: &str = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";

/// What must not be seen.
const SECRET: &str = "Amieeplanted";

fn label(code: &str) -> Value {
    json!([{"url": INLINE, "valueCoding": {"system": ACT_CODE, "code": code}}])
}

/// Records of `p-open` of which some elements are labelled.
fn labelled() -> Vec<Value> {
    let open = json!({"reference": "Patient/p-open"});
    vec![
        json!({"resourceType": "Observation", "id": "o-masked", "status": "final", "subject": open,
            "encounter": {"reference": "Encounter/e-p-open"}, "code": {"text": "viral load"}, "effectiveDateTime": "2026-03-01",
            "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{SECRET}</div>")},
            "valueString": format!("{SECRET} copies"), "_valueString": {"extension": label("HIV")},
            "note": [{"extension": label("HIV"), "text": format!("{SECRET} note")}, {"text": "an open note"}],
            "component": [{"extension": label("PSY"), "code": {"text": format!("{SECRET} component")}, "valueString": SECRET}]}),
        json!({"resourceType": "Condition", "id": "c-masked", "subject": open, "encounter": {"reference": "Encounter/e-p-open"},
            "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
            "code": {"extension": label("HIV"), "coding": [{"system": "urn:ward:disease", "code": SECRET}], "text": SECRET}}),
    ]
}

async fn ward() -> (Ward, String) {
    let ward = Ward::open().await;
    ward.put_all(&labelled()).await;
    // Somebody who is in charge, so is told, and whose role is not cleared.
    let pharmacist = json!({"resourceType": "CareTeam", "id": "team", "status": "active", "subject": {"reference": "Patient/p-open"},
        "participant": [{"member": {"reference": "Practitioner/pharma"}}]});
    ward.put_all(&[pharmacist]).await;
    let told = ward.token(Role::Pharmacist, Some("pharma"), &[]).await;
    (ward, told)
}

/// Every way to see these records.
fn ways() -> Vec<(String, Ask)> {
    let mut all = Vec::new();
    for path in [
        "/Observation/o-masked",
        "/Observation/o-masked?_summary=true",
        "/Observation/o-masked?_summary=text",
        "/Observation/o-masked?_summary=data",
        "/Observation/o-masked?_elements=valueString,note,component",
        "/Observation/o-masked?_format=xml",
        "/Observation/o-masked/_history",
        "/Observation/o-masked/_history/1",
        "/Observation/o-masked/$meta",
        "/Observation?_id=o-masked",
        "/Observation?_id=o-masked&_summary=text",
        "/Observation?_id=o-masked&_elements=value",
        "/Observation?_id=o-masked&_include=*&_revinclude=*",
        "/Observation?patient=p-open&_sort=value-string",
        "/Observation/_history",
        "/Condition/c-masked",
        "/Condition/c-masked/_history",
        "/Condition?_id=c-masked&_elements=code",
        "/Condition?patient=p-open",
        "/Condition/_history",
        "/_history",
        "/Patient/p-open?_summary=data",
        "/Patient?_id=p-open&_revinclude=Condition:patient&_revinclude=Observation:patient",
        "/Patient/p-open/$everything",
        "/Patient/p-open/$summary",
        "/Patient/p-open/$summary?_format=xml&_lang=en",
        "/Patient/p-open/Observation",
        "/Patient/p-open/*",
        "/Encounter/e-p-open/$everything",
        "/Encounter/e-p-open/Observation",
    ] {
        all.push((path.to_owned(), Ask::new("GET", path)));
    }
    let entries: Vec<Value> = ["Observation/o-masked", "Condition?patient=p-open", "Observation/o-masked/_history"]
        .iter()
        .map(|url| json!({"request": {"method": "GET", "url": url}}))
        .collect();
    for kind in ["batch", "transaction"] {
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries});
        all.push((kind.to_owned(), Ask::new("POST", "/").json(bundle.to_string())));
    }
    let form = Ask::new("POST", "/Observation/_search").json("_id=o-masked");
    all.push(("_search".to_owned(), form.header("content-type", "application/x-www-form-urlencoded")));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_masked_element_is_in_any_answer() {
    let (ward, told) = ward().await;
    let (mut shown, mut marked) = (0, 0);
    for (what, ask) in ways() {
        for (who, secret) in [
            ("own-doctor", ward.secret("own-doctor")),
            ("machine", ward.secret("machine")),
            ("patient", ward.secret("patient")),
            ("ward-doctor", ward.secret("ward-doctor")),
            ("nurse", ward.secret("nurse")),
            ("told", told.as_str()),
        ] {
            let ask = match who {
                "machine" => ask.clone().bearer(secret).send(ward.address()).await,
                _ => ward.ask_with(secret, ask.clone()).await,
            };
            let text = String::from_utf8_lossy(&ask.body).into_owned();
            let cleared = ["own-doctor", "machine", "patient"].contains(&who);
            if cleared {
                shown += usize::from(text.contains(SECRET));
                continue;
            }
            assert!(!text.contains(SECRET), "{who} {what}: {text}");
            let says = ["REDACTED", "MASKED", "\"masked\"", "inline-sec-label", "PROCESSINLINELABEL"];
            let says = says.iter().any(|mark| text.contains(mark));
            if who == "told" {
                marked += usize::from(says);
            } else {
                assert!(!says, "{who} is told that something is withheld: {what}: {text}");
            }
        }
    }
    assert!(shown > 40, "who is cleared sees it: {shown}");
    assert!(marked > 2, "who is in charge is told: {marked}");
}

/// What is masked is found by nobody, so that nobody who is not cleared can find it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_masked_is_found() {
    let (ward, told) = ward().await;
    for query in [
        format!("Observation?value-string={SECRET}"),
        format!("Observation?value-string:contains={SECRET}"),
        format!("Observation?component-value-string={SECRET}"),
        format!("Observation?combo-value-string={SECRET}"),
        format!("Observation?_content={SECRET}"),
        format!("Observation?_text={SECRET}"),
        format!("Observation?_filter=value-string%20eq%20{SECRET}"),
        format!("Condition?code=urn:ward:disease|{SECRET}"),
        format!("Condition?code:text={SECRET}"),
        format!("Condition?code={SECRET}&_summary=count"),
        format!("Condition?_content={SECRET}"),
        format!("Patient?_has:Condition:patient:code={SECRET}"),
        format!("Patient?_has:Observation:patient:value-string={SECRET}"),
        format!("Encounter?_has:Condition:encounter:code={SECRET}"),
    ] {
        for secret in [ward.secret("own-doctor"), ward.secret("ward-doctor"), ward.secret("nurse"), told.as_str()] {
            let answer =
                ward.ask_with(secret, Ask::new("GET", &format!("/{query}")).header("prefer", "handling=strict")).await;
            if answer.status == 200 {
                let page = answer.value();
                assert!(page["total"].as_u64().unwrap_or_default() == 0 && page["entry"].is_null(), "{query}: {page}");
            } else {
                assert!((400..500).contains(&answer.status), "{query}: {:?}", answer.body);
                assert!(!String::from_utf8_lossy(&answer.body).contains(SECRET));
            }
        }
    }
    // Sorting by what is masked tells nothing of it: another value gives the same order.
    let order = |page: Value| -> Vec<String> {
        let entries = page["entry"].as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let path = "/Observation?patient=p-open&_sort=value-string,_id";
    let before = order(ward.get("ward-doctor", path).await.value());
    let mut other = labelled()[0].clone();
    other["valueString"] = json!("AAAA");
    ward.put_all(&[other]).await;
    assert_eq!(order(ward.get("ward-doctor", path).await.value()), before);
}

/// Changes by who is not cleared neither show, nor lose, nor tell.
#[tokio::test(flavor = "multi_thread")]
async fn changes_neither_show_nor_lose_what_is_masked() {
    let (ward, _) = ward().await;
    let patch = json!([{"op": "replace", "path": "/code/text", "value": "another"}]);
    let ask = Ask::new("PATCH", "/Observation/o-masked").json(patch.to_string());
    let ask = ask.header("content-type", "application/json-patch+json").header("prefer", "return=representation");
    let test = |value: &str| {
        let patch = json!([{"op": "test", "path": "/valueString", "value": value}, {"op": "add", "path": "/language", "value": "fr"}]);
        Ask::new("PATCH", "/Observation/o-masked")
            .json(patch.to_string())
            .header("content-type", "application/json-patch+json")
    };
    for who in ["ward-doctor", "nurse"] {
        let refused = ward.ask(who, ask.clone()).await;
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert!((400..500).contains(&refused.status) && !text.contains(SECRET), "{who}: {text}");
        assert!(!text.contains("withheld"), "{who} is told that something is withheld: {text}");
        let [right, wrong] =
            [ward.ask(who, test(&format!("{SECRET} copies"))).await, ward.ask(who, test("wrong")).await];
        assert_eq!((right.status, right.value()["issue"].clone()), (wrong.status, wrong.value()["issue"].clone()));
        let bare = json!({"resourceType": "Observation", "id": "o-masked", "status": "final", "code": {"text": "x"},
            "subject": {"reference": "Patient/p-open"}});
        let put = ward.ask(who, Ask::new("PUT", "/Observation/o-masked").json(bare.to_string())).await;
        let text = String::from_utf8_lossy(&put.body).into_owned();
        assert!((400..500).contains(&put.status) && !text.contains("withheld"), "{who}: {text}");
    }
    let kept = ward.get("machine", "/Observation/o-masked").await.value();
    assert_eq!((kept["meta"]["versionId"].as_str(), kept["note"].as_array().unwrap().len()), (Some("1"), 2));
    let changed = ward.ask("own-doctor", ask).await;
    assert_eq!(changed.status, 200, "{:?}", changed.body);
    assert!(String::from_utf8_lossy(&changed.body).contains(SECRET), "who is cleared changes it whole");
}

/// Labels of the record, and of what stands beside it, decide who sees the record.
#[tokio::test(flavor = "multi_thread")]
async fn a_label_of_the_record_hides_it_from_who_is_not_cleared() {
    let ward = Ward::open().await;
    let table: &[(&str, &[&str])] = &[
        ("HIV", &["own-doctor", "patient"]),
        ("PSY", &["own-doctor", "patient"]),
        ("ETHUD", &["own-doctor", "patient"]),
        ("SDV", &["own-doctor", "patient"]),
        ("GDIS", &["own-doctor", "patient"]),
        ("ADOL", &["own-doctor"]),
        ("VIP", &["own-doctor", "patient"]),
        ("EMP", &["own-doctor", "patient"]),
        ("PDS", &["patient"]),
        ("NOPAT", &["own-doctor"]),
        ("AUDIT", &["own-doctor", "patient", "ward-doctor", "nurse", "pharmacist"]),
    ];
    for (code, who_sees) in table {
        let record = json!({"resourceType": "Observation", "id": format!("o-{code}"), "status": "final", "code": {"text": *code},
            "meta": {"security": [{"system": ACT_CODE, "code": code}]}, "subject": {"reference": "Patient/p-open"}});
        ward.put_all(&[record]).await;
        for who in ["own-doctor", "patient", "ward-doctor", "nurse", "pharmacist", "desk", "laboratory", "other-doctor"]
        {
            let seen = who_sees.contains(&who);
            let read = ward.get(who, &format!("/Observation/o-{code}")).await;
            assert_eq!(read.status, if seen { 200 } else { 404 }, "{who} {code}");
            let found = ward.get(who, &format!("/Observation?_id=o-{code}&_summary=count")).await;
            assert_eq!(found.value()["total"].as_u64(), Some(u64::from(seen)), "{who} {code}");
            let stated = ward.get(who, &format!("/Observation?_security={code}&_total=accurate")).await;
            assert_eq!(stated.value()["total"].as_u64(), Some(u64::from(seen)), "{who} {code}");
        }
    }
}

/// When a prisoner is moved is not in their own view, whichever way they ask.
#[tokio::test(flavor = "multi_thread")]
async fn a_prisoner_sees_no_date_of_a_transport() {
    let ward = Ward::open().await;
    let labels: &[(&str, &str)] = &[(crate::ward::OWN_CODES, "detained")];
    ward.put_all(&Chart { labels, participants: &["dr-own"], ..Chart::of("p-detained") }.records()).await;
    let patient = json!({"reference": "Patient/p-detained"});
    let date = "2026-03-17";
    let transport = json!([{"system": crate::ward::OWN_CODES, "code": "transport"}]);
    ward.put_all(&[
        json!({"resourceType": "Appointment", "id": "next", "status": "booked", "start": format!("{date}T08:00:00Z"), "end": format!("{date}T09:00:00Z"),
            "participant": [{"actor": patient, "status": "accepted"}]}),
        json!({"resourceType": "Encounter", "id": "planned", "status": "planned", "class": {"system": ACT_CODE, "code": "AMB"}, "subject": patient,
            "period": {"start": format!("{date}T08:00:00Z")}}),
        json!({"resourceType": "ServiceRequest", "id": "order", "status": "active", "intent": "order", "subject": patient, "code": {"text": "scan"},
            "occurrenceDateTime": date}),
        json!({"resourceType": "Observation", "id": "moved", "meta": {"security": transport}, "status": "final", "subject": patient,
            "code": {"text": "transport"}, "effectiveDateTime": date}),
    ])
    .await;
    let paths = [
        "/Appointment",
        "/Appointment/next",
        "/Appointment/next/_history",
        "/Encounter",
        "/Encounter/planned",
        "/ServiceRequest",
        "/ServiceRequest/order",
        "/Observation",
        "/Observation/moved",
        "/_history",
        "/Patient/p-detained/$everything",
        "/Patient/p-detained/*",
        "/Patient/p-detained/Appointment",
        "/Appointment?date=2026-03-17&_summary=count",
        "/Patient?_has:Appointment:patient:date=2026-03-17",
        "/?_type=Appointment,Encounter,ServiceRequest",
        "/Encounter?date=2026-03-17",
        "/Patient?_id=p-detained&_revinclude=*",
    ];
    let mut seen_by_doctor = 0;
    for path in paths {
        let answer = ward.get("prisoner", path).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned().replace(path, "").replace(BASE_URL, "");
        let entries = answer.value()["entry"].clone();
        let said = format!("{}{}", entries, if answer.status == 200 && entries.is_null() { text.as_str() } else { "" });
        let said = said.replace("date=2026-03-17", "");
        assert!(!said.contains(date), "{path}: {said}");
        assert!(answer.value()["total"].as_u64().unwrap_or(0) == 0 || !path.contains("2026-03-17"), "{path}: {text}");
        let doctor = ward.get("own-doctor", path).await;
        seen_by_doctor += usize::from(String::from_utf8_lossy(&doctor.body).contains(date));
    }
    assert!(seen_by_doctor > 10, "the doctor in charge knows: {seen_by_doctor}");
    assert_eq!(ward.get("prisoner", "/Patient/p-detained").await.status, 200, "the rest is theirs");
}
