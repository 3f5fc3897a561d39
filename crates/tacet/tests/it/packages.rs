//! `tacet package add` and `tacet package list`: definitions of a package are stored, known to the server, and not stored twice.

use crate::http::Client;
use crate::place::Place;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

/// A package as registries give it.
fn package(files: &[(&str, String)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("package/{name}"), text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn wards() -> Vec<u8> {
    let system = json!({ "resourceType": "CodeSystem", "url": "http://w.example/cs", "version": "1", "name": "Wards", "status": "active",
        "content": "complete", "concept": [{ "code": "card", "display": "Cardiology" }] });
    let profile = json!({ "resourceType": "StructureDefinition", "url": "http://w.example/named", "name": "Named", "status": "active",
        "fhirVersion": "4.0.1", "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": { "element": [{ "id": "Patient", "path": "Patient" }, { "id": "Patient.name", "path": "Patient.name", "min": 1 }] } });
    package(&[
        ("package.json", json!({ "name": "wards.example", "version": "1.0.0" }).to_string()),
        ("CodeSystem-wards.json", system.to_string()),
        ("StructureDefinition-named.json", profile.to_string()),
        ("Patient-example.json", json!({ "resourceType": "Patient", "id": "example" }).to_string()),
    ])
}

#[test]
fn definitions_of_a_package_are_stored_once_and_used() {
    let (place, _) = Place::with_store();
    assert_eq!(place.json(&["package", "list"])["packages"], json!({}));
    let file = place.write("wards.tgz", wards());
    let file = file.to_str().unwrap();
    let added = place.json(&["package", "add", file]);
    let stored = &added["packages"][0];
    assert_eq!(stored["package"], "wards.example#1.0.0");
    assert_eq!(
        (&stored["stored"], &stored["rejected"]),
        (&json!({ "CodeSystem": 1, "StructureDefinition": 1 }), &json!(0))
    );
    assert!(stored["passed_over"].as_u64().unwrap() >= 1, "an example is no definition: {stored}");
    let again = place.json(&["package", "add", file]);
    assert_eq!((&again["packages"][0]["stored"], &again["packages"][0]["done_before"]), (&json!({}), &json!(2)));
    let list = place.json(&["package", "list"]);
    assert_eq!(list["packages"], json!({ "wards.example#1.0.0": { "CodeSystem": 1, "StructureDefinition": 1 } }));
    assert_eq!(place.assert_sound("after the package")["resources"]["CodeSystem"], 1);

    let token = place.token("Dr Wards", "integrator");
    let serving = place.serve();
    let mut client = Client::connect(&serving.address, &token).unwrap();
    let looked = client.get("/CodeSystem/$lookup?system=http://w.example/cs&code=card").unwrap();
    assert!(looked.status == 200 && looked.body.contains("Cardiology"), "{}", looked.body);
    let named = "/Patient/$validate?profile=http://w.example/named";
    let errors = |client: &mut Client, body: &str| {
        let outcome = client.send("POST", named, &[], body).unwrap();
        assert_eq!(outcome.status, 200, "{}", outcome.body);
        let outcome = outcome.json();
        outcome["issue"].as_array().unwrap().iter().filter(|issue| issue["severity"] == "error").count()
    };
    assert_eq!(errors(&mut client, r#"{"resourceType":"Patient","name":[{"family":"Roux"}]}"#), 0);
    assert_eq!(errors(&mut client, r#"{"resourceType":"Patient"}"#), 1, "the profile asks for a name");
    serving.stop();
}

#[test]
fn what_is_no_package_is_refused_and_leaves_nothing() {
    let (place, _) = Place::with_store();
    let mut cut = wards();
    cut.truncate(cut.len() / 2);
    for (name, bytes) in [("text.tgz", b"no package".to_vec()), ("cut.tgz", cut)] {
        let file = place.write(name, bytes);
        let refused = place.run(&["package", "add", file.to_str().unwrap()]).ended(1);
        assert!(refused.said().contains("the package cannot be used"), "{}", refused.err);
    }
    place.run(&["package", "add", "nowhere.tgz"]).ended(1);
    let broken = package(&[("package.json", "{}".to_owned()), ("ValueSet-x.json", "{".to_owned())]);
    let file = place.write("broken.tgz", broken);
    let left_out = place.run(&["package", "add", file.to_str().unwrap(), "--json"]);
    assert_ne!(left_out.code, Some(0), "{}", left_out.err);
    assert_eq!(left_out.json()["packages"][0]["rejected"], 1);
    assert_eq!(place.json(&["package", "list"])["packages"], json!({}));
    place.assert_sound("after what was refused");
}
