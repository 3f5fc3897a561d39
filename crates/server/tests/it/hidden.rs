//! What is not allowed looks like what is not there.
//!
//! Two hospitals are the same, save that one has patients more, whom a caller may not see. The same requests are made in both, those that
//! change something too. Whatever can be seen of the answers, and how much the store worked for them, must be the same: then nobody
//! learns from them whether those patients are there.

mod clock;
mod face;
mod labels;
mod machine;
mod oracle;
mod pcf;
mod probes;
mod timing;
mod wire;

use crate::ward::{ACT_CODE, Chart, OWN_CODES, Ward, refusal};
use face::Face;
use probes::Probe;
use serde_json::{Value, json};

/// Patients set apart, who lie in ward A all the same, and one who has refused everybody.
const APART: &[&str] = &["p-vip", "p-detained", "p-staff", "p-denied"];

/// A patient of another ward, with whom ward A has nothing to do.
const OTHER: &str = "p-other";

fn chart(patient: &str) -> Vec<Value> {
    let labels: &[(&str, &str)] = match patient {
        "p-vip" => &[(ACT_CODE, "VIP")],
        "p-detained" => &[(OWN_CODES, "detained")],
        "p-staff" => &[(ACT_CODE, "EMP")],
        _ => &[],
    };
    let mut records = match patient {
        OTHER => Chart { ward: "ward-b", class: "AMB", ..Chart::of(patient) }.records(),
        _ => Chart { labels, ..Chart::of(patient) }.records(),
    };
    if patient == "p-denied" {
        records.push(refusal(patient));
    }
    records
}

/// Records of the patient whom everybody sees that lead to the others, whether or not those are there.
fn leading_to(patients: &[&str]) -> Vec<Value> {
    let all = |prefix: &str| -> Vec<Value> {
        patients.iter().map(|patient| json!({"reference": format!("{prefix}{patient}")})).collect()
    };
    let open = json!({"reference": "Patient/p-open"});
    let items: Vec<Value> =
        ["o-p-open"].into_iter().map(|id| json!({"item": {"reference": format!("Observation/{id}")}})).collect();
    let more: Vec<Value> = all("Observation/o-").into_iter().map(|item| json!({ "item": item })).collect();
    let members: Vec<Value> =
        all("Patient/").into_iter().chain([open.clone()]).map(|who| json!({ "entity": who })).collect();
    vec![
        json!({"resourceType": "Observation", "id": "o-leads", "status": "final", "subject": open, "code": {"text": "leads"},
            "encounter": {"reference": "Encounter/e-p-open"}, "effectiveDateTime": "2026-03-01",
            "hasMember": all("Observation/o-"), "derivedFrom": all("DocumentReference/d-"), "focus": all("Patient/")}),
        json!({"resourceType": "Encounter", "id": "e-leads", "status": "finished", "class": {"system": ACT_CODE, "code": "IMP"},
            "subject": open, "period": {"start": "2026-03-01", "end": "2026-03-02"}, "location": [{"location": {"reference": "Location/ward-a"}}],
            "partOf": {"reference": format!("Encounter/e-{}", patients[0])}}),
        json!({"resourceType": "List", "id": "l-leads", "status": "current", "mode": "working", "subject": open,
            "entry": items.into_iter().chain(more).collect::<Vec<_>>()}),
        json!({"resourceType": "Group", "id": "g-leads", "type": "person", "actual": true, "member": members}),
    ]
}

/// The two hospitals: with these patients, and without.
async fn both(patients: &[&str]) -> [Ward; 2] {
    let with = Ward::open().await;
    for patient in patients {
        with.put_all(&chart(patient)).await;
    }
    let without = Ward::open().await;
    for ward in [&with, &without] {
        ward.put_all(&leading_to(patients)).await;
    }
    [with, without]
}

/// Asks the same in both hospitals and gives what differs.
async fn differences(who: &str, probes: &[Probe], [with, without]: &[Ward; 2]) -> Vec<String> {
    let mut found = Vec::new();
    for probe in probes {
        let mut seen = Vec::new();
        for ward in [with, without] {
            let before = ward.work();
            let answer = ward.ask(who, probe.ask()).await;
            let mut work = ward.work().since(before);
            if probe.walks_the_feed() {
                (work.gets, work.read_bytes) = (0, 0);
            }
            seen.push((Face::of(&answer), work));
        }
        let (hidden, absent) = (&seen[0], &seen[1]);
        if hidden.0 != absent.0 {
            found.push(format!("{who} {probe}\n  hidden: {:?}\n  absent: {:?}", hidden.0, absent.0));
        } else if hidden.1 != absent.1 {
            found
                .push(format!("{who} {probe} ({})\n  work: {:?}\n  absent: {:?}", hidden.0.status, hidden.1, absent.1));
        }
        assert!(hidden.0.status != 500, "{who} {probe}: {:?}", hidden.0);
    }
    found
}

/// By which the laboratory, and a doctor of elsewhere, have to do with the patient whom everybody sees.
fn of_others() -> Vec<Value> {
    let open = json!({"reference": "Patient/p-open"});
    let actors = ["Patient/p-open", "Practitioner/dr-other"];
    let actors = actors.map(|actor| json!({"actor": {"reference": actor}, "status": "accepted"}));
    vec![
        json!({"resourceType": "ServiceRequest", "id": "s-open", "status": "active", "intent": "order", "subject": open,
            "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "108252007"}]}], "code": {"text": "blood"}}),
        json!({"resourceType": "Appointment", "id": "ap-others", "status": "booked", "start": "2026-03-04T09:00:00Z",
            "end": "2026-03-04T09:30:00Z", "participant": actors}),
    ]
}

async fn hides(who: &str, patients: &[&str]) {
    let wards = both(patients).await;
    for ward in &wards {
        ward.put_all(&of_others()).await;
    }
    // Pages first: what is made below has ids by chance, and stands on another page in each hospital.
    walk(who, patients, &wards).await;
    let mut probes = probes::of_all(patients);
    probes.extend(patients.iter().flat_map(|patient| probes::about(patient)));
    probes.extend(probes::of_all(patients).into_iter().filter(|probe| !probe.is_page_by_id()));
    // Nothing was compared if nobody saw anything, or the machine does not see those patients either.
    let open = wards[0].get(who, "/Patient/p-open").await;
    assert_eq!(open.status, 200, "{who} sees p-open: {:?}", open.body);
    for patient in patients {
        let path = format!("/Patient/{patient}");
        assert_eq!(wards[0].get("machine", &path).await.status, 200);
        assert_eq!(wards[0].get(who, &path).await.status, 404);
    }
    let asked = probes.len();
    let found = differences(who, &probes, &wards).await;
    assert!(found.is_empty(), "{} of {asked} differ\n{}", found.len(), found.join("\n"));
}

/// Pages after pages, with different totals and sorts: the same in both, while those who are hidden change.
async fn walk(who: &str, patients: &[&str], wards: &[Ward; 2]) {
    for path in [
        "/Observation?_count=1&_total=accurate&_sort=_id",
        "/Encounter?_count=1&_total=accurate&_sort=-_id",
        "/Patient?_count=1&_sort=family",
        "/_history?_count=2",
        "/Observation/_history?_count=1",
        "/?_type=Patient,Observation,Encounter&_count=1&_sort=_id",
        "/Patient/p-open/$everything?_count=1",
    ] {
        let mut pages = [Vec::new(), Vec::new()];
        for (ward, pages) in wards.iter().zip(&mut pages) {
            let mut next = Some(path.to_owned());
            while let Some(path) = next {
                let page = ward.get(who, &path).await;
                pages.push(Face::of(&page));
                assert!(pages.len() < 200, "{path} has no end");
                let links = page.value()["link"].clone();
                let links = links.as_array().cloned().unwrap_or_default();
                let link = links.iter().find(|link| link["relation"] == "next");
                next = link
                    .map(|link| link["url"].as_str().unwrap().strip_prefix(crate::ward::BASE_URL).unwrap().to_owned());
                // In one of the hospitals, what is hidden moves between two pages.
                if std::ptr::eq(ward, &wards[0]) {
                    let changed: Vec<Value> = patients.iter().map(|patient| chart(patient)[2].clone()).collect();
                    ward.put_all(&changed).await;
                }
            }
        }
        assert_eq!(pages[0], pages[1], "{who} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ward_learns_nothing_of_others() {
    hides("ward-doctor", &[APART, &[OTHER]].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_in_charge_of_one_learns_nothing_of_others() {
    hides("own-doctor", &[APART, &[OTHER]].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nurse_learns_nothing_of_others() {
    hides("nurse", &["p-vip", "p-denied", OTHER]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_desk_learns_nothing_of_those_set_apart() {
    hides("desk", APART).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pharmacy_learns_nothing_of_those_set_apart() {
    hides("pharmacist", &["p-vip", "p-denied", OTHER]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_laboratory_learns_nothing_of_those_without_an_order() {
    hides("laboratory", &["p-vip", "p-denied", OTHER]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_of_elsewhere_learns_nothing_of_others() {
    hides("other-doctor", &["p-vip", "p-detained", OTHER]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_learns_nothing_of_others() {
    hides("patient", &["p-vip", "p-detained", OTHER]).await;
}
