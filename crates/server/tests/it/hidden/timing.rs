//! What it takes to say that something is not there: the same work is done for what is hidden as for what is absent, counted. How long that
//! takes: `clock.rs`.

use super::{APART, OTHER, both};
use crate::client::Ask;
use crate::ward::{Ward, Work};
use serde_json::json;

/// What a request made the store do, and the status.
async fn work_of(ward: &Ward, who: &str, ask: Ask) -> (Work, u64, u16) {
    let (before, scans) = (ward.work(), ward.scans());
    let answer = ward.ask(who, ask).await;
    (ward.work().since(before), ward.scans() - scans, answer.status)
}

/// Requests about one id.
fn about(kind: &str, id: &str) -> Vec<Ask> {
    let path = format!("/{kind}/{id}");
    let bare = json!({"resourceType": kind, "id": id}).to_string();
    let patch = json!([{"op": "add", "path": "/language", "value": "fr"}]).to_string();
    let tag =
        json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "t"}]}}]});
    let gets =
        ["", "/_history/1", "/_history/7", "/_history", "/$meta", "/_history/1/$meta", "/$everything", "/Observation"];
    let mut all: Vec<Ask> = gets.iter().map(|tail| Ask::new("GET", &format!("{path}{tail}"))).collect();
    all.extend([
        Ask::new("HEAD", &path),
        Ask::new("GET", &path).header("if-none-match", "W/\"1\""),
        Ask::new("GET", &format!("/{kind}?_id={id}")),
        Ask::new("GET", &format!("/{kind}?_id={id}&_summary=count")),
        Ask::new("DELETE", &path),
        Ask::new("DELETE", &path).header("if-match", "W/\"1\""),
        Ask::new("DELETE", &format!("/{kind}?_id={id}")),
        Ask::new("PUT", &path).json(bare.clone()),
        Ask::new("PUT", &path).json(bare.clone()).header("if-match", "W/\"1\""),
        Ask::new("PUT", &path).json(bare).header("if-none-match", "*"),
        Ask::new("PATCH", &path).json(patch).header("content-type", "application/json-patch+json"),
        Ask::new("POST", &format!("{path}/$meta-add")).json(tag.to_string()),
        Ask::new("POST", "/").json(entry_of("GET", &format!("{kind}/{id}"))),
        Ask::new("POST", "/").json(entry_of("DELETE", &format!("{kind}/{id}"))),
    ]);
    if kind == "Patient" {
        let of = json!({"reference": format!("Patient/{id}")});
        let weight = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": of});
        let account = json!({"resourceType": "Account", "status": "active", "subject": [of]});
        all.push(Ask::new("POST", "/Observation").json(weight.to_string()));
        all.push(Ask::new("POST", "/Account").json(account.to_string()));
        all.push(Ask::new("GET", &format!("/Observation?patient={id}")));
    }
    all
}

fn entry_of(method: &str, url: &str) -> String {
    json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": method, "url": url}}]})
        .to_string()
}

/// Rows looked up, keys unwrapped, entries and their sealed length: the same for what is hidden as for what is absent.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_costs_what_is_absent_costs() {
    let patients = [APART, &[OTHER]].concat();
    let [ward, _] = both(&patients).await;
    let (mut compared, mut wrong) = (0, Vec::new());
    for (who, patients) in
        [("ward-doctor", patients.as_slice()), ("nurse", &patients), ("patient", &patients), ("desk", APART)]
    {
        for kind in ["Patient", "Observation", "Encounter"] {
            let prefix = match kind {
                "Patient" => "",
                "Observation" => "o-",
                _ => "e-",
            };
            let nobody = || about(kind, &format!("{prefix}nobody"));
            // Once before, so that what is looked up once is looked up.
            for ask in nobody() {
                work_of(&ward, who, ask).await;
            }
            for patient in patients {
                for (hidden, absent) in about(kind, &format!("{prefix}{patient}")).into_iter().zip(nobody()) {
                    let what = format!("{who} {hidden:?}");
                    let (hidden, absent) = (work_of(&ward, who, hidden).await, work_of(&ward, who, absent).await);
                    compared += 1;
                    // After the last row the scan begins again at the first.
                    if (hidden.0, hidden.2) != (absent.0, absent.2) || hidden.1.abs_diff(absent.1) > 1 {
                        wrong.push(format!("{what}\n  hidden: {hidden:?}\n  absent: {absent:?}"));
                    }
                }
            }
        }
    }
    assert!(compared > 1000, "{compared}");
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
}
