//! Who comes by the FHIR data is proposed; two people let somebody in, here as everywhere.

use super::leavers::role;
use super::{ORIGIN, Office, Somebody, Staff, clinician, ward, why};
use crate::running::config;
use serde_json::{Value, json};
use tacet_identity::PROPOSALS_OPEN_MAX;
use tacet_seal::SecureRng;
use tacet_server::{Environment, People, PeopleError, PeopleSettings};
use tacet_types::SystemClock;

const OURS: [&str; 2] = ["Organization/hospital", "Organization/clinic"];

async fn office(organizations: &[&str]) -> (Office, Staff) {
    let propose_accounts = organizations.iter().map(|name| (*name).to_owned()).collect();
    let settings = PeopleSettings { propose_accounts, ..PeopleSettings::default() };
    Office::staffed(Office::open_with(&settings, config()).await).await
}

fn practitioner(id: &str, given: &str, family: &str) -> Value {
    json!({
        "resourceType": "Practitioner", "id": id, "active": true,
        "identifier": [{ "system": "https://rpps.esante.gouv.fr", "value": id }],
        "name": [{ "family": family, "given": [given] }],
    })
}

/// A PractitionerRole with a profession of the French list.
fn french(id: &str, practitioner: &str, code: &str, more: Value) -> Value {
    let mut role = role(id, practitioner, code, more);
    let system = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante";
    role["code"][0]["coding"][0]["system"] = json!(system);
    if role.get("organization").is_none() {
        role["organization"] = json!({ "reference": "Organization/hospital" });
    }
    role
}

async fn round(office: &Office) -> usize {
    office.people.round(&SecureRng).await.unwrap().proposed
}

/// What waits for a decision, by login.
async fn waiting(office: &Office, by: &Somebody) -> Vec<Value> {
    let answer = office.ask(by, "GET", "/_approvals?standing=pending", None).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let mut all = answer.value()["approvals"].as_array().unwrap().clone();
    all.sort_by_key(|approval| approval["act"]["login"].as_str().map(str::to_owned));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn who_works_here_and_has_no_account_is_let_in_by_two_people() {
    let (office, staff) = office(&OURS).await;
    ward(&office).await;
    office.put(practitioner("p1", "Léa", "Martin")).await;
    office.put(french("r1", "p1", "60", json!({ "period": { "start": "2026-01-01", "end": "2026-06-30" } }))).await;
    let since = async |hour: &str| {
        let since = tacet_types::Timestamp::parse(&format!("2026-03-01T{hour}:00:00Z")).unwrap();
        office.people.follow_practitioners(&SecureRng, since).await.unwrap().proposed
    };
    assert_eq!(since("09").await, 0, "nothing was stored since");
    assert_eq!(since("07").await, 1);
    assert_eq!((since("07").await, round(&office).await), (0, 0), "once");
    let [proposal] = &waiting(&office, &staff.adm1).await[..] else { panic!() };
    let draft = &proposal["act"];
    assert_eq!(
        [&draft["login"], &draft["display"], &draft["role"], &draft["practitioner"], &draft["ends"]],
        ["lea.martin", "Léa Martin", "nurse", "p1", "2026-06-30T23:59:59.000Z"]
    );
    assert_eq!(proposal["asked"]["account"], Value::Null);
    assert_eq!((&proposal["ticket"], &proposal["kind"]), (&json!("directory"), &json!("new-account")));
    let id = proposal["id"].as_str().unwrap();
    // A security officer asks for nobody.
    assert_eq!(office.decide(&staff.sec, id, true).await.status, 409);
    let taken = office.decide(&staff.adm1, id, true).await;
    assert_eq!(taken.status, 200, "{:?}", taken.body);
    let taken = taken.value();
    assert_eq!((&taken["standing"], &taken["asked"]["login"]), (&json!("pending"), &json!("adm1")));
    assert_eq!((&taken["secondCode"], &taken["account"]), (&Value::Null, &Value::Null));
    let accounts = async || office.ask(&staff.adm1, "GET", "/_accounts", None).await.value();
    assert_eq!(accounts().await["accounts"].as_array().unwrap().len(), 4, "nobody is let in by one person");
    assert!(office.decide(&staff.adm1, id, true).await.status >= 400);
    let allowed = office.decide(&staff.sec, id, true).await;
    assert_eq!(allowed.status, 200, "{:?}", allowed.body);
    let second = allowed.value()["secondCode"].as_str().unwrap().to_owned();
    office.clock.advance_ms(1);
    let path = format!("/_accounts/{}/invitation", allowed.value()["account"].as_str().unwrap());
    let first = office.ask(&staff.adm1, "POST", &path, Some(json!({ "approval": id }))).await;
    assert_eq!(first.status, 200, "{:?}", first.body);
    let nurse = office.enrolled(first.value()["code"].as_str().unwrap(), &second, "lea.martin").await;
    assert_eq!(office.ask(&nurse, "GET", "/Practitioner/p1", None).await.status, 200);
    assert_eq!(round(&office).await, 0);
    // And leaves by the same data.
    office.put(french("r1", "p1", "60", json!({ "active": false }))).await;
    assert_eq!(office.people.round(&SecureRng).await.unwrap().closed, 1);
    office.put(french("r1", "p1", "60", json!({}))).await;
    assert_eq!(round(&office).await, 0, "back in the data is not proposed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_described_well_enough_is_not_proposed() {
    let (office, staff) = office(&OURS).await;
    let nobody =
        json!({ "resourceType": "Practitioner", "id": "no-name", "identifier": [{ "system": "s", "value": "1" }] });
    let mut gone = practitioner("gone", "A", "Gone");
    gone["active"] = json!(false);
    for record in
        [nobody, gone, json!({ "resourceType": "Practitioner", "id": "no-number", "name": [{ "family": "N" }] })]
    {
        office.put(record).await;
    }
    for id in ["ended", "later", "other", "two", "inactive", "unclear", "elsewhere", "nowhere"] {
        office.put(practitioner(id, "B", id)).await;
    }
    for (id, of, code, more) in [
        ("r1", "no-name", "10", json!({})),
        ("r2", "gone", "10", json!({})),
        ("r3", "no-number", "10", json!({})),
        ("r4", "ended", "10", json!({ "period": { "end": "2026-02-28" } })),
        ("r5", "later", "10", json!({ "period": { "start": "2026-04-01" } })),
        ("r6", "other", "70", json!({})),
        ("r7", "two", "10", json!({})),
        ("r8", "two", "60", json!({})),
        ("r9", "inactive", "10", json!({ "active": false })),
        ("r10", "unclear", "10", json!({ "period": { "end": "2026" } })),
        ("r11", "nobody", "10", json!({})),
        ("r12", "elsewhere", "10", json!({ "organization": { "reference": "Organization/other-hospital" } })),
        ("r13", "nowhere", "10", json!({ "organization": { "display": "Organization/hospital" } })),
    ] {
        office.put(french(id, of, code, more)).await;
    }
    assert_eq!(round(&office).await, 0, "{:?}", waiting(&office, &staff.adm1).await);
    // One of them is described now.
    office.put(french("r8", "two", "60", json!({ "active": false }))).await;
    assert_eq!(round(&office).await, 1);
    let proposed = waiting(&office, &staff.adm1).await;
    assert_eq!([&proposed[0]["act"]["practitioner"], &proposed[0]["act"]["role"]], ["two", "clinician"]);
    // Who works elsewhere as something else comes as what they are here.
    let here = json!({ "organization": { "reference": "Organization/clinic" } });
    office.put(french("r14", "elsewhere", "60", here)).await;
    assert_eq!(round(&office).await, 1);
    let proposed = waiting(&office, &staff.adm1).await;
    assert_eq!([&proposed[0]["act"]["practitioner"], &proposed[0]["act"]["role"]], ["elsewhere", "nurse"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_floods_nobody_and_people_have_the_last_word() {
    let (office, staff) = office(&OURS).await;
    for n in 0..PROPOSALS_OPEN_MAX + 5 {
        // Two of each name.
        office.put(practitioner(&format!("p{n:02}"), "Ann", &format!("Name{}", n / 2))).await;
        office.put(french(&format!("r{n:02}"), &format!("p{n:02}"), "10", json!({}))).await;
    }
    assert_eq!(round(&office).await, PROPOSALS_OPEN_MAX);
    assert_eq!(round(&office).await, 0);
    let first = waiting(&office, &staff.adm1).await;
    let logins: std::collections::BTreeSet<String> = first.iter().map(|one| one["act"]["login"].to_string()).collect();
    assert_eq!(logins.len(), PROPOSALS_OPEN_MAX, "nobody has the login of another");
    assert_eq!(office.decide(&staff.adm1, first[0]["id"].as_str().unwrap(), false).await.status, 200);
    assert_eq!(round(&office).await, 1, "the next comes in the place of who was refused");
    let refused = &first[0]["act"]["practitioner"];
    assert!(waiting(&office, &staff.adm1).await.iter().all(|one| one["act"]["practitioner"] != *refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_proposed_where_the_hospital_does_not_want_it() {
    for wrong in ["hospital", "Organization/", "Organization/a b", "Location/hospital"] {
        let rows = std::sync::Arc::new(tacet_ledger::noted::MemoryRows::default());
        let environment = Environment { clock: std::sync::Arc::new(SystemClock), rng: std::sync::Arc::new(SecureRng) };
        let settings = PeopleSettings { propose_accounts: vec![wrong.to_owned()], ..PeopleSettings::default() };
        let opened = People::open(rows, None, &environment, &settings, ORIGIN).await;
        assert!(matches!(opened, Err(PeopleError::Proposing)), "{wrong}");
    }
    let (office, staff) = office(&[]).await;
    office.put(practitioner("p1", "Léa", "Martin")).await;
    office.put(french("r1", "p1", "60", json!({}))).await;
    assert_eq!(round(&office).await, 0);
    assert_eq!(waiting(&office, &staff.adm1).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_wrote_proposes_nobody() {
    let (office, staff) = office(&OURS).await;
    ward(&office).await;
    let doctor = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    // Rules of a hospital that lets its physicians keep the directory.
    let mut files: serde_json::Map<String, Value> =
        tacet_policy::BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    let rule = r#"@id("physicians-keep-the-directory")
@ground("hospital")
@reason("physicians keep the directory")
permit (principal == Role::"clinician", action == Action::"write", resource == Category::"directory");"#;
    files.insert("directory.cedar".into(), json!(rule));
    let asked = office.ask(&staff.adm1, "POST", "/_policy", Some(json!({ "files": files, "why": why() }))).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    let change = asked.value()["id"].as_str().unwrap().to_owned();
    assert_eq!(office.decide(&staff.aud, &change, true).await.status, 200);
    let applied = office.ask(&staff.adm1, "POST", &format!("/_policy/changes/{change}"), None).await;
    assert_eq!(applied.status, 200, "{:?}", applied.body);

    office.put(practitioner("friend", "A", "Friend")).await;
    office.put(french("r1", "friend", "70", json!({}))).await;
    let put = async |record: Value| {
        let path = format!("/{}/{}", record["resourceType"].as_str().unwrap(), record["id"].as_str().unwrap());
        let answer = office.ask(&doctor, "PUT", &path, Some(record)).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
    };
    put(practitioner("friend", "A", "Friend")).await;
    put(french("r1", "friend", "10", json!({}))).await;
    assert_eq!(round(&office).await, 0);
    // Neither does a role of theirs for somebody whom the hospital knows.
    office.put(practitioner("friend", "A", "Friend")).await;
    assert_eq!(round(&office).await, 0);
    office.put(french("r1", "friend", "10", json!({}))).await;
    assert_eq!(round(&office).await, 1, "the hospital says so too");
}
