//! What FHIR REST promises: statuses, headers, conditions, forms, pages.

use crate::client::{Answer, Ask};
use crate::memory::START;
use crate::running::{Running, start};
use tacet_ledger::{Channel, PurposeOfUse};
use tacet_types::Timestamp;

const PATIENT: &str = r#"{"resourceType":"Patient","active":true}"#;

async fn clinician(server: &Running, method: &str, path: &str, headers: &[(&'static str, &str)]) -> Answer {
    let mut ask = Ask::new(method, path).bearer("clinician");
    if ["PUT", "POST"].contains(&method) {
        ask = ask.json(PATIENT);
    }
    for (name, value) in headers {
        ask = ask.header(name, value);
    }
    server.ask(ask).await
}

#[tokio::test]
async fn a_record_lives_and_dies() {
    let server = start().await;
    let last_modified = Timestamp::from_ms(START).http_date();

    let created = clinician(&server, "POST", "/Patient", &[]).await;
    assert_eq!(created.status, 201);
    let location = format!("{}/Patient/n0/_history/1", server.base_url);
    assert_eq!(created.header("location"), Some(location.as_str()));
    assert_eq!(created.header("etag"), Some("W/\"1\""));
    assert_eq!(created.header("last-modified"), Some(last_modified.as_str()));
    assert_eq!(created.header("content-type"), Some("application/fhir+json; charset=utf-8"));
    assert_eq!(created.value()["id"], "n0");

    let read = clinician(&server, "GET", "/Patient/n0", &[]).await;
    assert_eq!((read.status, read.header("etag")), (200, Some("W/\"1\"")));
    assert_eq!(read.value()["active"], true);

    let updated = clinician(&server, "PUT", "/Patient/n0", &[("if-match", "W/\"1\"")]).await;
    assert_eq!((updated.status, updated.header("etag")), (200, Some("W/\"2\"")));
    assert_eq!(updated.header("location"), None);
    let stale = clinician(&server, "PUT", "/Patient/n0", &[("if-match", "W/\"1\"")]).await;
    stale.is_refusal(412, "conflict");
    let there = clinician(&server, "PUT", "/Patient/n0", &[("if-none-match", "*")]).await;
    there.is_refusal(412, "conflict");
    let new = clinician(&server, "PUT", "/Patient/mine", &[("if-none-match", "*")]).await;
    assert_eq!(new.status, 201);
    assert!(new.header("location").unwrap().ends_with("/Patient/mine/_history/1"));

    let old = clinician(&server, "GET", "/Patient/n0/_history/1", &[]).await;
    assert_eq!((old.status, old.header("etag")), (200, Some("W/\"1\"")));
    clinician(&server, "GET", "/Patient/n0/_history/9", &[]).await.is_refusal(404, "not-found");
    clinician(&server, "GET", "/Patient/n0/_history/01", &[]).await.is_refusal(404, "not-found");

    clinician(&server, "DELETE", "/Patient/n0", &[("if-match", "W/\"1\"")]).await.is_refusal(412, "conflict");
    let deleted = clinician(&server, "DELETE", "/Patient/n0", &[("if-match", "W/\"2\"")]).await;
    assert_eq!((deleted.status, deleted.header("etag"), deleted.body.len()), (204, Some("W/\"3\""), 0));
    let again = clinician(&server, "DELETE", "/Patient/nobody", &[]).await;
    assert_eq!((again.status, again.header("etag")), (204, None));
    let gone = clinician(&server, "GET", "/Patient/n0", &[]).await;
    gone.is_refusal(410, "deleted");
    assert_eq!(gone.header("etag"), Some("W/\"3\""));
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let server = start().await;
    server.put_patient("p1").await;
    let date = Timestamp::from_ms(START).http_date();
    for path in ["/Patient/p1", "/Patient/p1/_history/1"] {
        for headers in [("if-none-match", "W/\"1\""), ("if-modified-since", date.as_str())] {
            for method in ["GET", "HEAD"] {
                let answer = clinician(&server, method, path, &[headers]).await;
                assert_eq!((answer.status, answer.body.len()), (304, 0), "{method} {path} {headers:?}");
                assert_eq!(answer.header("etag"), Some("W/\"1\""));
            }
        }
        let answer = clinician(&server, "GET", path, &[("if-none-match", "W/\"2\"")]).await;
        assert_eq!(answer.status, 200);
    }
    let asked = server.memory.0.callers.lock().unwrap().len();
    assert_eq!(asked, 1 + 2 * (4 + 1), "each of them went to the store, and so into the ledger");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = start().await;
    server.put_patient("p1").await;
    let get = clinician(&server, "GET", "/Patient/p1", &[]).await;
    let head = clinician(&server, "HEAD", "/Patient/p1", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["etag", "last-modified", "content-type", "content-length"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
        assert!(head.header(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_client_says_what_it_wants_back() {
    let server = start().await;
    let minimal = clinician(&server, "PUT", "/Patient/p1", &[("prefer", "return=minimal")]).await;
    assert_eq!((minimal.status, minimal.body.len()), (201, 0));
    assert!(minimal.header("location").is_some() && minimal.header("etag").is_some());
    let whole = clinician(&server, "PUT", "/Patient/p1", &[("prefer", "return=representation")]).await;
    assert_eq!(whole.value()["resourceType"], "Patient");
    let outcome = [("prefer", "respond-async, return=OperationOutcome")];
    for (method, path) in [("PUT", "/Patient/p1"), ("POST", "/Patient"), ("DELETE", "/Patient/p1")] {
        let answer = clinician(&server, method, path, &outcome).await;
        assert_eq!(answer.value()["resourceType"], "OperationOutcome", "{method}");
        crate::errors::is_valid(&answer.body);
    }
}

#[tokio::test]
async fn every_answer_wears_the_same_coat() {
    let server = start().await;
    server.put_patient("p1").await;
    for path in ["/Patient/p1", "/Patient/nobody", "/metadata", "/health", "/nowhere/at/all/x", "/_history"] {
        let answer = clinician(&server, "GET", path, &[]).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{path}");
        assert_eq!(answer.header("x-request-id").unwrap().len(), 32, "{path}");
        assert_eq!(answer.header("server"), None, "{path}");
    }
}

#[tokio::test]
async fn json_and_xml_are_served_and_taken_and_nothing_else() {
    let server = start().await;
    server.put_patient("p1").await;
    let xml = clinician(&server, "GET", "/Patient/p1", &[("accept", "application/fhir+xml")]).await;
    assert_eq!((xml.status, xml.header("content-type")), (200, Some("application/fhir+xml; charset=utf-8")));
    let text = String::from_utf8(xml.body.to_vec()).unwrap();
    assert!(text.contains("<Patient xmlns=\"http://hl7.org/fhir\">") && text.contains("<id value=\"p1\"/>"), "{text}");
    let stored =
        Ask::new("PUT", "/Patient/p1").bearer("clinician").json(text).header("content-type", "application/fhir+xml");
    assert_eq!(server.ask(stored).await.status, 200);
    let error = clinician(&server, "GET", "/Patient/nobody?_format=xml", &[]).await;
    assert_eq!((error.status, error.header("content-type")), (404, Some("application/fhir+xml; charset=utf-8")));
    assert!(error.body.starts_with(b"<OperationOutcome") || error.body.starts_with(b"<?xml"), "{:?}", error.body);
    clinician(&server, "GET", "/Patient/p1?_format=ttl", &[]).await.is_refusal(406, "not-supported");
    let plain = clinician(&server, "GET", "/Patient/p1", &[("accept", "application/json")]).await;
    assert_eq!(plain.header("content-type"), Some("application/json; charset=utf-8"));
    let pretty = clinician(&server, "GET", "/Patient/p1?_pretty=true", &[]).await;
    assert!(pretty.body.starts_with(b"{\n  \""));
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        for (method, path) in [("PUT", "/Patient/p1"), ("POST", "/Patient"), ("POST", "/")] {
            let answer = clinician(&server, method, path, &[("content-type", kind)]).await;
            answer.is_refusal(415, "not-supported");
        }
    }
    let broken = Ask::new("PUT", "/Patient/p1")
        .bearer("clinician")
        .json("<Patient")
        .header("content-type", "application/fhir+xml");
    server.ask(broken).await.is_refusal(400, "invalid");
}

#[tokio::test]
async fn long_answers_are_packed_for_those_who_ask() {
    use std::io::Read;
    let server = start().await;
    let whole = clinician(&server, "GET", "/metadata", &[]).await;
    let packed = clinician(&server, "GET", "/metadata", &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 4 < whole.body.len());
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&*packed.body).read_to_end(&mut text).unwrap();
    assert_eq!(text, whole.body);
    let body = br#"{"resourceType":"Patient","id":"p9"}"#;
    let mut sent = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut sent, body).unwrap();
    let ask = Ask::new("PUT", "/Patient/p9")
        .bearer("clinician")
        .json(sent.finish().unwrap())
        .header("content-encoding", "gzip");
    assert_eq!(server.ask(ask).await.status, 201);
    let short = clinician(&server, "GET", "/Patient/p9", &[("accept-encoding", "gzip")]).await;
    assert_eq!(short.header("content-encoding"), None, "it fits in a packet as it is");
}

#[tokio::test]
async fn what_a_binary_holds_goes_in_and_out_as_it_is() {
    let server = start().await;
    let png: &[u8] = &[0x89, b'P', b'N', b'G', 0, 255, 254];
    let ask = Ask::new("PUT", "/Binary/b1").bearer("clinician").json(png).header("content-type", "image/png");
    assert_eq!(server.ask(ask).await.status, 201);
    let image = clinician(&server, "GET", "/Binary/b1", &[("accept", "image/*")]).await;
    assert_eq!((image.status, image.header("content-type"), &*image.body), (200, Some("image/png"), png));
    assert_eq!(image.header("content-disposition"), Some("attachment"), "a browser does not run it");
    let resource = clinician(&server, "GET", "/Binary/b1", &[("accept", "application/fhir+json")]).await;
    assert_eq!(resource.value()["contentType"], "image/png");
    clinician(&server, "GET", "/Binary/b1", &[("accept", "text/html")]).await.is_refusal(406, "not-supported");
    clinician(&server, "GET", "/Patient/p1", &[("accept", "image/png")]).await.is_refusal(406, "not-supported");
}

#[tokio::test]
async fn other_packings_are_refused() {
    let server = start().await;
    server.put_patient("p1").await;
    let packed = clinician(&server, "PUT", "/Patient/p1", &[("content-encoding", "br")]).await;
    packed.is_refusal(415, "not-supported");
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_name() {
    let server = start().await;
    server.put_patient("p1").await;
    for (method, path) in [
        ("POST", "/ConceptMap/$closure"),
        ("POST", "/Patient/p1/$match"),
        ("POST", "/Patient/p1"),
        ("GET", "/Observation/p1/$everything"),
        ("GET", "/Patient/p1/_history?_count=0"),
    ] {
        clinician(&server, method, path, &[]).await.is_refusal(501, "not-supported");
    }
    for (method, path, header) in [
        ("PUT", "/Patient/p1", ("if-match", "*")),
        ("PUT", "/Patient/p1", ("if-none-match", "W/\"1\"")),
        ("GET", "/Patient/p1", ("if-match", "W/\"1\"")),
    ] {
        clinician(&server, method, path, &[header]).await.is_refusal(501, "not-supported");
    }
    for path in ["/Patient/p1?name=x", "/Patient/p1?_summary=true", "/_history?_list=x"] {
        clinician(&server, "GET", path, &[]).await.is_refusal(400, "not-supported");
    }
    for (method, path) in [("PUT", "/Patient"), ("DELETE", "/Patient")] {
        clinician(&server, method, path, &[]).await.is_refusal(412, "required");
    }
    clinician(&server, "PUT", "/Patient/p1?identifier=x", &[]).await.is_refusal(400, "not-supported");
    assert_eq!(server.memory.0.callers.lock().unwrap().len(), 1, "the store was asked for none of them");
}

#[tokio::test]
async fn what_could_not_be_there_is_not() {
    let server = start().await;
    for path in ["/Nonsense", "/patient/p1", "/Patient/a_b", "/Parameters/p1", "/Nonsense/p1/_history", "/Patient/%zz"]
    {
        clinician(&server, "GET", path, &[]).await.is_refusal(404, "not-found");
    }
    let encoded = clinician(&server, "GET", "/Patient/%6eobody", &[]).await;
    encoded.is_refusal(404, "not-found");
}

#[tokio::test]
async fn bodies_that_are_none_are_the_clients_fault() {
    let server = start().await;
    let wrong = Ask::new("PUT", "/Observation/o1").bearer("clinician").json(PATIENT);
    let answer = server.ask(wrong).await;
    answer.is_refusal(422, "invariant");
    assert_eq!(answer.value()["issue"][0]["expression"][0], "Patient.name[0]");
}

#[tokio::test]
async fn history_has_pages() {
    let server = start().await;
    for _ in 0..3 {
        server.put_patient("p1").await;
        server.memory.0.clock.advance_ms(1000);
    }
    clinician(&server, "DELETE", "/Patient/p1", &[]).await;
    for path in ["/Patient/p1/_history", "/Patient/_history", "/_history"] {
        let mut next = Some(format!("{}{path}?_count=2&_since=2020-01-01T00:00:00%2B01:00", server.base_url));
        let mut versions = Vec::new();
        while let Some(url) = next {
            let answer = clinician(&server, "GET", url.strip_prefix(&server.base_url).unwrap(), &[]).await;
            assert_eq!(answer.status, 200, "{url}");
            crate::errors::is_valid(&answer.body);
            let page = answer.value();
            assert_eq!((page["type"].as_str(), page["total"].as_u64()), (Some("history"), Some(4)));
            assert_eq!(page["link"][0]["relation"], "self");
            assert_eq!(page["link"][0]["url"], url);
            for entry in page["entry"].as_array().unwrap() {
                assert_eq!(entry["fullUrl"], format!("{}/Patient/p1", server.base_url));
                assert_eq!(entry.get("resource").is_none(), entry["request"]["method"] == "DELETE");
                versions.push(entry["response"]["etag"].as_str().unwrap().to_owned());
            }
            next = page["link"].get(1).map(|link| link["url"].as_str().unwrap().to_owned());
        }
        assert_eq!(versions, ["W/\"4\"", "W/\"3\"", "W/\"2\"", "W/\"1\""], "{path}");
    }
    let since = Timestamp::from_ms(START + 2000);
    let later = clinician(&server, "GET", &format!("/_history?_since={since}"), &[]).await;
    assert_eq!(later.value()["total"], 2);
    for bad in ["_since=yesterday", "_at=2024-13", "_count=x", "_count=1&_count=2"] {
        clinician(&server, "GET", &format!("/_history?{bad}"), &[]).await.is_refusal(400, "invalid");
    }
}

#[tokio::test]
async fn everything_is_asked_for_in_two_ways() {
    let server = start().await;
    server.put_patient("p1").await;
    let got = clinician(&server, "GET", "/Patient/p1/$everything?_count=1&_type=Condition,Observation", &[]).await;
    assert_eq!(got.status, 200);
    crate::errors::is_valid(&got.body);
    let page = got.value();
    assert_eq!(
        (page["type"].as_str(), page["entry"][0]["search"]["mode"].as_str()),
        (Some("searchset"), Some("match"))
    );
    let next = page["link"][1]["url"].as_str().unwrap();
    assert!(next.ends_with("/Patient/p1/$everything?_count=1&_type=Condition,Observation&_cursor=2"), "{next}");

    let body = r#"{"resourceType":"Parameters","parameter":[{"name":"_count","valueInteger":1},
        {"name":"_type","valueCode":"Condition"},{"name":"_type","valueCode":"Observation"}]}"#;
    let posted = server.ask(Ask::new("POST", "/Patient/p1/$everything").bearer("clinician").json(body)).await;
    assert_eq!((posted.status, &posted.value()["entry"]), (200, &page["entry"]));
    let patient = Ask::new("POST", "/Patient/p1/$everything").bearer("clinician").json(PATIENT);
    server.ask(patient).await.is_refusal(400, "invalid");
}

#[tokio::test]
async fn a_bundle_goes_to_the_base() {
    let server = start().await;
    let answer = server.ask(Ask::new("POST", "/").bearer("integrator").json(vec![b' '; 100_000])).await;
    let bundle = answer.value();
    assert_eq!((answer.status, bundle["total"].as_u64()), (200, Some(100_000)), "its body arrived whole");
    assert_eq!(bundle["link"][0]["url"], server.base_url, "and the base URL is ours, not the client's `Host`");
}

#[tokio::test]
async fn the_store_is_told_who_asks_and_why() {
    let server = start().await;
    clinician(&server, "GET", "/Patient/p1", &[]).await;
    server.ask(Ask::new("GET", "/Patient/p1").bearer("integrator")).await;
    let answer =
        clinician(&server, "GET", "/Patient/p1", &[("x-purpose-of-use", "HRESCH"), ("x-on-behalf-of", "Zelie")]).await;
    let callers = server.memory.0.callers.lock().unwrap().clone();
    let purposes: Vec<_> = callers.iter().map(|caller| caller.purpose).collect();
    assert_eq!(purposes, [PurposeOfUse::Treatment, PurposeOfUse::Operations, PurposeOfUse::Research]);
    let last = &callers[2];
    assert_eq!((last.owner.as_str(), last.token.as_deref()), ("the clinician", Some("id-clinician")));
    assert_eq!(last.on_behalf_of.as_deref(), Some("Zelie"));
    assert_eq!(last.operation.to_string(), answer.header("x-request-id").unwrap());
    assert_eq!(last.origin.address.unwrap().to_string(), "127.0.0.1");
    assert_eq!(last.origin.channel, Channel::Http);
    let long = "x".repeat(257);
    for header in [("x-purpose-of-use", "SNOOPING"), ("x-on-behalf-of", ""), ("x-on-behalf-of", long.as_str())] {
        clinician(&server, "GET", "/Patient/p1", &[header]).await.is_refusal(400, "invalid");
    }
}

#[tokio::test]
async fn health_and_metrics_say_how_it_goes() {
    let server = start().await;
    server.put_patient("p1").await;
    clinician(&server, "GET", "/Patient/nobody", &[]).await;
    let health = server.ask(Ask::new("GET", "/health")).await;
    assert_eq!((health.status, health.value()["status"].as_str()), (200, Some("ready")));
    server.memory.0.failed.store(true, std::sync::atomic::Ordering::Relaxed);
    let health = server.ask(Ask::new("GET", "/health")).await;
    assert_eq!((health.status, health.value()["status"].as_str()), (503, Some("not-ready")));

    let metrics = server.ask(Ask::new("GET", "/metrics").bearer("operator")).await;
    assert_eq!(metrics.status, 200);
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "tacet_requests_total{route=\"/{type}/{id}\",method=\"PUT\",status=\"201\"} 1",
        "tacet_requests_total{route=\"/{type}/{id}\",method=\"GET\",status=\"404\"} 1",
        "tacet_requests_total{route=\"/health\",method=\"GET\",status=\"503\"} 1",
        "tacet_request_duration_seconds_count{route=\"/{type}/{id}\"} 2",
        "tacet_ledger_entries 4711",
        "tacet_requests_in_flight 1",
        "tacet_key_unwraps_total{reason=\"disclosure\"} 0",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

/// A short page may take as long as a long one: those that may pass over many records once held up the connections.
#[tokio::test]
async fn pages_are_put_together_beside_the_connections() {
    let server = start().await;
    server.put_patient("p1").await;
    let here = std::thread::current().id();
    for (path, beside) in [
        ("/Patient/p1/_history?_count=1", false),
        ("/Patient/p1/_history?_count=33", true),
        ("/Patient/p1/_history?_count=1&_since=2020-01-01T00:00:00Z", true),
        ("/Patient/p1/_history?_count=1&_at=2020", true),
        ("/Patient/_history?_count=1", true),
        ("/_history?_count=1", true),
        ("/Patient/p1/$everything?_count=1", true),
    ] {
        assert_eq!(clinician(&server, "GET", path, &[]).await.status, 200, "{path}");
        let thread = server.memory.0.page_threads.lock().unwrap().pop().unwrap();
        assert_eq!(thread != here, beside, "{path}");
    }
}
