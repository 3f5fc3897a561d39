//! An approval says whom it is about by name, to who may know it.

use super::{Office, Somebody, clinician, ward, why};
use serde_json::{Value, json};

async fn read(office: &Office, by: &Somebody, id: &str) -> Value {
    let answer = office.ask(by, "GET", &format!("/_approvals/{id}"), None).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.value()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decides_reads_names_and_not_ids_alone() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let mut wanted = clinician("dr.a", "dr-a");
    wanted["display"] = json!("Dr Aubrac");
    let doctor = office.employ(&staff, wanted).await;
    let path = format!("/_accounts/{}/recovery", doctor.id);
    let asked = office.ask(&staff.adm1, "POST", &path, Some(why())).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    let id = asked.value()["id"].as_str().unwrap().to_owned();
    let whole = json!({
        "account": doctor.id, "login": "dr.a", "display": "Dr Aubrac", "role": "clinician", "state": "active",
    });
    for by in [&staff.adm1, &staff.adm2, &staff.sec] {
        let told = read(&office, by, &id).await;
        assert_eq!((&told["concerns"], &told["gain"]), (&whole, &json!([whole])));
        assert_eq!(told["account"], json!(doctor.id));
        let asker = &told["asked"];
        assert_eq!(
            (&asker["account"], &asker["login"], &asker["display"]),
            (&json!(staff.adm1.id), &json!("adm1"), &json!("adm1"))
        );
    }
    let listed = office.ask(&staff.sec, "GET", "/_approvals?standing=pending", None).await.value();
    assert_eq!(listed["approvals"][0]["concerns"], whole);
    // A new account has a name before there is one, and is concerned once there is.
    let asked = office.ask(
        &staff.adm1,
        "POST",
        "/_accounts",
        Some({
            let mut wanted = clinician("dr.b", "dr-b");
            wanted["why"] = why();
            wanted
        }),
    );
    let asked = asked.await.value();
    assert_eq!((&asked["concerns"], &asked["gain"]), (&Value::Null, &json!([])));
    let decided = office.decide(&staff.sec, asked["id"].as_str().unwrap(), true).await.value();
    assert_eq!(decided["concerns"]["login"], "dr.b");
    assert_eq!(
        (&decided["decision"]["by"]["login"], &decided["decision"]["by"]["name"]),
        (&json!("sec"), &json!("sec"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_asked_reads_their_own_name_and_ids_of_others() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let doctor = office.employ(&staff, clinician("dr.a", "dr-a")).await;
    let body = json!({
        "kind": "bulk-export", "text": "all", "beneficiaries": [staff.adm2.id, doctor.id], "why": why(),
    });
    let refused = office.ask(&doctor, "POST", "/_approvals", Some(body.clone())).await;
    assert!(refused.status >= 400, "nobody asks for their own good: {:?}", refused.body);
    let body = json!({ "kind": "bulk-export", "text": "all", "beneficiaries": [staff.adm2.id], "why": why() });
    let asked = office.ask(&doctor, "POST", "/_approvals", Some(body)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.body);
    let id = asked.value()["id"].as_str().unwrap().to_owned();
    let decided = office.decide(&staff.aud, &id, true).await;
    assert_eq!(decided.status, 200, "{:?}", decided.body);
    assert_eq!(decided.value()["gain"][0]["login"], "adm2", "who decides knows");
    let own = read(&office, &doctor, &id).await;
    assert_eq!((&own["asked"]["login"], &own["asked"]["display"]), (&json!("dr.a"), &json!("dr.a")));
    assert_eq!(own["gain"], json!([{ "account": staff.adm2.id }]));
    let by = own["decision"]["by"].as_object().unwrap();
    assert!(by.contains_key("account") && !by.contains_key("login") && !by.contains_key("display"), "{by:?}");
}
