//! Who reads the ledger is in the ledger: every route that an auditor or a security officer may use is asked, and either shows nothing of it, for a
//! reason that stands here, or leaves an entry that says who looked.

use super::{Office, Somebody, clinician, ward};
use crate::client::Ask;
use hyper::Method;
use serde_json::json;
use tacet_ledger::{EventKind, Outcome};
use tacet_server::{Access, ROUTES};
use tacet_vault::Role;

/// Routes that show what entries say, to whoever may ask.
const SHOWING: [&str; 7] = [
    "/_ledger/entries",
    "/_ledger/sessions/{session}/extent",
    "/_reviews/access/{review}",
    "/AuditEvent",
    "/AuditEvent/_search",
    "/AuditEvent/{id}",
    "/Patient/{id}/$access-report",
];

/// Routes that show nothing of the ledger, and what they show.
const QUIET: [(&str, &str); 12] = [
    ("/auth/session", "one's own session"),
    ("/_approvals", "what was asked of second persons: rows of their own"),
    ("/_approvals/{approval}", "one of these"),
    ("/_break-glass", "emergencies that wait for a review: rows of their own, of which the same people were told"),
    ("/_notices", "what this account was told"),
    ("/_lockdown", "whether the store is locked, since when, by whom and why"),
    ("/_policy", "the rules"),
    ("/_policy/changes/{approval}", "the rules that are proposed"),
    ("/_reviews/access", "periods, numbers, reviewers, and nobody who is reviewed"),
    ("/_ledger/log/{*file}", "hashes and sealed entries, which open for nobody: each reading would move what is read"),
    ("/_ledger/log/checkpoint", "the size and the root, signed"),
    ("/oauth/consent", "an app's question"),
];

fn looks(office: &Office, owner: &str) -> usize {
    let by = |entry: &&tacet_ledger::Entry| {
        entry.kind == EventKind::LedgerAccess && entry.agent.owner == owner && entry.outcome == Outcome::Success
    };
    office.entries().iter().filter(by).count()
}

fn may(access: Access, role: Role) -> bool {
    match access {
        Access::Bearer(capability) | Access::Session(capability) => capability.is_of(role),
        Access::Public | Access::Visitor | Access::Client => false,
    }
}

#[tokio::test]
async fn who_reads_the_ledger_is_in_it_by_whatever_way() {
    let (office, staff) = Office::with_staff().await;
    ward(&office).await;
    let folder = tempfile::tempdir().unwrap();
    office.vault.keep_ledger_index_in(folder.path(), true).unwrap();
    let doctor = office.employ(&staff, clinician("dr-a", "dr-a")).await;
    assert_eq!(office.ask(&doctor, "GET", "/Patient/mine", None).await.status, 200);
    office.clock.advance_ms(super::DAY_MS);
    let sec = office.logged_in(staff.sec.key).await.unwrap();
    let aud = office.logged_in(staff.aud.key).await.unwrap();
    let before = looks(&office, "sec");
    let wanted = json!({ "from": "2026-03-01", "to": "2026-03-02", "reviewer": "aud" });
    let review = office.ask(&sec, "POST", "/_reviews/access", Some(wanted)).await;
    assert_eq!((review.status, looks(&office, "sec")), (201, before + 1), "preparing a review reads the ledger");
    let review = review.value()["id"].as_str().unwrap().to_owned();

    let mut shown = Vec::new();
    for (who, name, role) in [(&aud, "aud", Role::Auditor), (&sec, "sec", Role::SecurityOfficer)] {
        for route in ROUTES.iter().filter(|route| may(route.access, role)) {
            let showing = SHOWING.contains(&route.pattern);
            let quiet = QUIET.iter().any(|(pattern, _)| *pattern == route.pattern);
            let reads = route.methods.iter().any(|method| [Method::GET, Method::HEAD].contains(method));
            assert!(showing || quiet || !reads, "{}: does it show the ledger? say so here", route.pattern);
            for method in route.methods.iter().filter(|_| showing) {
                let before = looks(&office, name);
                let status = ask(&office, who, method, &route.pattern.replace("{review}", &review)).await;
                if route.methods.contains(&Method::GET) && [200, 304].contains(&status) {
                    assert!(looks(&office, name) > before, "{method} {} as {name} left no entry", route.pattern);
                    shown.push((name, route.pattern));
                }
            }
        }
    }
    for pattern in SHOWING.iter().filter(|pattern| ROUTES.iter().any(|route| route.pattern == **pattern)) {
        assert!(shown.iter().any(|(_, asked)| asked == pattern), "{pattern} was shown to nobody here");
    }
}

async fn ask(office: &Office, who: &Somebody, method: &Method, pattern: &str) -> u16 {
    let path = match pattern {
        "/AuditEvent/{id}" => "/AuditEvent/l-1".to_owned(),
        other => other.replace("{session}", "s-1").replace("{id}", "mine"),
    };
    let ask = Ask::new(method.as_str(), &path);
    let ask =
        if *method == Method::POST { ask.header("content-type", "application/x-www-form-urlencoded") } else { ask };
    office.send(ask, who, None).await.status
}
