//! The patient's own report over HTTP: people apart from machines, every access of years, and nothing for who may not ask.

use super::{DAY_MS, MINUTE_MS, ORIGIN, Office, at_the_machine, clinician, ward};
use crate::client::Ask;
use serde_json::{Value, json};
use tacet_ledger::{Outcome, PurposeOfUse};
use tacet_server::PeopleSettings;
use tacet_types::{Clock, ResourceId, ResourceType};
use tacet_vault::{Caller, EventKind, NewToken, Role};

fn of_days(actor: &Value, key: &str) -> Vec<String> {
    actor["days"].as_array().unwrap().iter().map(|day| day[key].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_learns_who_reached_the_record() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let folder = tempfile::tempdir().unwrap();
    let dr = office
        .employ(
            &staff,
            json!({
                "login": "dr.a", "display": "Dr Anne Mercier", "role": "clinician", "practitioner": "dr-a",
            }),
        )
        .await;
    let foreign = office.employ(&staff, clinician("dr.b", "dr-b")).await;
    let patient =
        |login: &str, of: &str| json!({ "login": login, "display": login, "role": "patient", "patients": [of] });
    let mine = office.employ(&staff, patient("p.mine", "mine")).await;
    let other = office.employ(&staff, patient("p.other", "other")).await;
    let path = "/Patient/mine/$access-report";
    assert_eq!(office.ask(&mine, "GET", path, None).await.status, 501, "without the ledger's index it says so");
    office.vault.keep_ledger_index_in(folder.path(), true).unwrap();

    for path in ["/Patient/mine", "/Observation/mine", "/Observation/mine", "/Observation?patient=mine"] {
        assert_eq!(office.ask(&dr, "GET", path, None).await.status, 200, "{path}");
    }
    assert_eq!(office.ask(&foreign, "GET", "/Observation/mine", None).await.status, 404);
    let declare = json!({ "patient": "mine", "reason": "vital-emergency", "text": "found unconscious", "minutes": 60 });
    assert_eq!(office.ask(&foreign, "POST", "/_break-glass", Some(declare)).await.status, 201);
    assert_eq!(office.ask(&foreign, "GET", "/Observation/mine", None).await.status, 200);
    // Another patient is answered as if there were nobody, and so is who asks about nobody.
    let absent = office.ask(&mine, "GET", "/Patient/nobody/$access-report", None).await;
    for (who, path) in [(&other, path), (&mine, "/Patient/other/$access-report")] {
        let answer = office.ask(who, "GET", path, None).await;
        assert_eq!((answer.status, answer.value()["issue"].clone()), (404, absent.value()["issue"].clone()), "{path}");
    }
    assert_eq!(absent.status, 404);
    for who in [&dr, &staff.adm1] {
        assert_eq!(office.ask(who, "GET", path, None).await.status, 403);
    }

    office.clock.advance_ms(MINUTE_MS);
    let answer = office.ask(&mine, "GET", &format!("{path}?_lang=fr"), None).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let told = office.entries().into_iter().rev().find(|entry| entry.kind == EventKind::LedgerAccess).unwrap();
    assert_eq!((told.agent.owner.as_str(), told.outcome), ("p.mine", Outcome::Success), "the asking is in the ledger");
    let page = answer.value();
    assert_eq!(page["patient"], json!({ "id": "mine", "name": "Amiee221" }));
    let person = |name: &str| -> Value {
        let persons = page["persons"].as_array().unwrap();
        persons.iter().find(|person| person["name"] == name).unwrap_or_else(|| panic!("{name}: {persons:#?}")).clone()
    };
    let anne = person("Dr Anne Mercier");
    assert_eq!(anne["role_text"], "médecin, dentiste ou sage-femme");
    // Reads of a day on the same ground are together, whatever was read.
    assert_eq!(of_days(&anne, "kind"), ["read", "search"], "{anne:#}");
    assert_eq!((anne["accesses"].as_u64(), anne["days"][0]["accesses"].as_u64()), (Some(4), Some(3)));
    assert!(of_days(&anne, "why")[0].contains("prenait part à votre séjour"), "{anne:#}");
    let urgent = person("dr.b");
    assert!(of_days(&urgent, "kind").contains(&"break-glass".to_owned()), "{urgent:#}");
    assert!(of_days(&urgent, "outcome").contains(&"refused".to_owned()), "{urgent:#}");
    assert!(urgent.to_string().contains("urgence vitale — « found unconscious »"));
    assert_eq!((page["summary"]["emergencies"].as_u64(), page["summary"]["exports"].as_u64()), (Some(2), Some(0)));
    let stranger = page["persons"].as_array().unwrap().iter().find(|person| person["standing"] == "unknown").unwrap();
    assert!(
        stranger["name"].is_null() && !page.to_string().contains("p.other"),
        "who the other patient is, is not told"
    );
    // What the machines stored is apart.
    let machines = page["machines"].as_array().unwrap();
    assert_eq!((machines.len(), machines[0]["standing"].as_str()), (1, Some("machine")));
    assert_eq!(of_days(&machines[0], "kind"), ["create"], "{machines:#?}");
    let gaps: Vec<&str> = page["gaps"].as_array().unwrap().iter().map(|gap| gap["code"].as_str().unwrap()).collect();
    assert_eq!(gaps, ["before-the-ledger", "counted-only", "other-numbers", "other-systems"]);

    // Page by page it is the same, though each page is written down.
    let total = page["accesses"]["total"].as_u64().unwrap();
    let to = page["period"]["to"].as_str().unwrap();
    let mut next = Some(format!("{path}?_lang=fr&_count=3&to={to}"));
    let mut seen = Vec::new();
    while let Some(path) = next {
        let page = office.ask(&mine, "GET", &path, None).await.value();
        assert_eq!(page["accesses"]["total"].as_u64(), Some(total));
        seen.extend(page["accesses"]["items"].as_array().unwrap().iter().map(|item| item["entry"].as_u64().unwrap()));
        next = page["accesses"]["next"].as_str().map(|next| next.strip_prefix(ORIGIN).unwrap().to_owned());
    }
    assert_eq!(seen.len() as u64, total);
    assert!(seen.is_sorted());

    // As a paper; for who hands it over without the name.
    for who in [&mine, &staff.sec, &staff.aud] {
        let ask = Ask::new("GET", &format!("{path}?_lang=en")).header("accept", "application/pdf");
        let answer = office.send(ask, who, None).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/pdf")));
        assert!(answer.body.starts_with(b"%PDF-1.7"));
        assert!(answer.header("content-disposition").unwrap().contains("access-report.pdf"));
        assert_eq!(answer.header("content-language"), Some("en"));
    }
    let named = office.ask(&staff.sec, "GET", &format!("{path}?_format=pdf"), None).await;
    assert_eq!((named.status, named.header("content-type")), (200, Some("application/pdf")));
    let page = office.ask(&staff.sec, "GET", path, None).await.value();
    assert!(
        page["patient"]["name"].is_null() && !page.to_string().contains("Amiee"),
        "who reads the ledger reads no record"
    );
    for wrong in ["_lang=de", "from=x", "from=2026-03-02&to=2026-03-01", "_offset=x", "_count=x", "name=x"] {
        assert_eq!(office.ask(&mine, "GET", &format!("{path}?{wrong}"), None).await.status, 400, "{wrong}");
    }
    for kind in ["application/fhir+xml", "text/plain", "image/png"] {
        let answer = office.send(Ask::new("GET", path).header("accept", kind), &mine, None).await;
        assert_eq!(answer.status, 406, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_years_are_all_there() {
    let settings = PeopleSettings { tokens_for_people: true, ..PeopleSettings::default() };
    let office = Office::open_with(&settings, crate::running::config()).await;
    let folder = tempfile::tempdir().unwrap();
    office.vault.keep_ledger_index_in(folder.path(), true).unwrap();
    ward(&office).await;
    let (of, id) = (ResourceType::parse("Observation").unwrap(), ResourceId::parse("mine").unwrap());
    let began = office.clock.now();
    for month in 0..36 {
        office.clock.advance_ms(30 * DAY_MS);
        for person in ["Dr Anne Mercier", "Dr Paul Œuvrard"] {
            let caller = Caller {
                on_behalf_of: Some(person.to_owned()),
                purpose: PurposeOfUse::Treatment,
                ..at_the_machine(Role::Integrator)
            };
            for _ in 0..=month % 3 {
                office.vault.read(&caller, of, &id).await.unwrap();
            }
        }
    }
    office.clock.advance_ms(MINUTE_MS);
    let auditor = office.token(Role::Auditor, false).await;
    let get = async |query: &str| {
        let path = format!("/Patient/mine/$access-report?_lang=fr{query}");
        let answer = Ask::new("GET", &path).bearer(&auditor).send(office.address).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.value()
    };
    let page = get("").await;
    // 36 months of one, two or three reads by each of two; and what the machine stored on the first day.
    let reads = 36 * 2 * 2;
    assert_eq!(page["summary"]["by_persons"].as_u64(), Some(reads), "{:#}", page["summary"]);
    assert_eq!(page["summary"]["by_machines"].as_u64(), Some(page["accesses"]["total"].as_u64().unwrap() - reads));
    assert!(page["summary"]["by_machines"].as_u64() >= Some(1));
    let persons = page["persons"].as_array().unwrap();
    assert_eq!(persons.len(), 2);
    for person in persons {
        assert_eq!(person["days"].as_array().unwrap().len(), 36, "one line a day");
        assert_eq!(person["accesses"].as_u64(), Some(reads / 2));
        assert_eq!(person["said_by"], "root");
    }
    // It goes back behind the beginning, and says so.
    assert!(page["period"]["from"].as_str().unwrap() < began.to_string().as_str());
    assert_eq!(page["gaps"][0]["code"], "before-the-ledger");
    let late = get(&format!("&from={}", office.clock.now().plus_ms(-DAY_MS))).await;
    assert_eq!(late["summary"]["by_persons"].as_u64(), Some(6));
    assert_ne!(late["gaps"][0]["code"], "before-the-ledger");
}

#[tokio::test(flavor = "multi_thread")]
async fn to_a_detained_patient_it_is_closed() {
    let settings = PeopleSettings { tokens_for_people: true, ..PeopleSettings::default() };
    let office = Office::open_with(&settings, crate::running::config()).await;
    let folder = tempfile::tempdir().unwrap();
    office.vault.keep_ledger_index_in(folder.path(), true).unwrap();
    let detained =
        json!({ "security": [{ "system": "https://tacet.invalid/CodeSystem/confidentiality", "code": "detained" }] });
    for (id, meta, status) in [("free", json!({ "versionId": "1" }), 200), ("held", detained, 404)] {
        office
            .put(json!({ "resourceType": "Patient", "id": id, "meta": meta, "name": [{ "family": "Amiee221" }] }))
            .await;
        let patients = [ResourceId::parse(id).unwrap()];
        let new = NewToken {
            owner: "a patient",
            role: Role::Patient,
            expires: office.clock.now().plus_ms(DAY_MS),
            practitioner: None,
            patients: &patients,
            may_export: false,
            supplier: false,
        };
        let made = office.vault.create_token_with(&at_the_machine(Role::Operator), new).await.unwrap();
        let path = format!("/Patient/{id}/$access-report");
        let answer = Ask::new("GET", &path).bearer(made.1.reveal()).send(office.address).await;
        assert_eq!(answer.status, status, "{id}: {:?}", answer.body);
        // The same in the form of AuditEvents: what is closed is closed in every form.
        let events = Ask::new("GET", "/AuditEvent").bearer(made.1.reveal()).send(office.address).await;
        let events = events.value()["entry"].as_array().map_or(0, Vec::len);
        assert_eq!(events > 0, id == "free", "{id}: {events} events");
        // Who hands it over sees it.
        let auditor = office.token(Role::Auditor, false).await;
        assert_eq!(Ask::new("GET", &path).bearer(&auditor).send(office.address).await.status, 200);
    }
}
