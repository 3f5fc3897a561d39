//! Every way to ask for a patient, and for what there is of them.

use crate::client::Ask;
use crate::ward::family;
use serde_json::{Value, json};
use std::fmt;

#[derive(Clone)]
pub(super) struct Probe {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?} {}", self.method, self.path, self.headers, self.body.as_deref().unwrap_or_default())
    }
}

fn get(path: impl Into<String>) -> Probe {
    Probe { method: "GET", path: path.into(), headers: Vec::new(), body: None }
}

fn with(method: &'static str, path: impl Into<String>, body: &Value) -> Probe {
    let headers = vec![("content-type", "application/fhir+json".to_owned())];
    Probe { method, path: path.into(), headers, body: Some(body.to_string()) }
}

fn form(path: impl Into<String>, body: &str) -> Probe {
    let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
    Probe { method: "POST", path: path.into(), headers, body: Some(body.to_owned()) }
}

impl Probe {
    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Whether it shows those that come first by their ids, which may have been drawn.
    pub(super) fn is_page_by_id(&self) -> bool {
        ["_sort=_id", "_sort=-_id"].iter().any(|sort| self.path.contains(sort))
    }

    /// Whether it passes over what others wrote: a history of a type or of everything takes longer the more there is that is not shown
    /// (docs/http-api.md).
    pub(super) fn walks_the_feed(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        path.ends_with("/_history") && path.split('/').count() < 4
    }

    pub(super) fn ask(&self) -> Ask {
        let ask = Ask::new(self.method, &self.path);
        let ask = match &self.body {
            Some(body) => ask.json(body.clone()),
            None => ask,
        };
        self.headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value))
    }
}

/// The records of a patient.
fn records(patient: &str) -> Vec<(&'static str, String)> {
    let own = [("Patient", patient.to_owned())];
    let others = [
        ("Encounter", "e"),
        ("Observation", "o"),
        ("Condition", "c"),
        ("AllergyIntolerance", "a"),
        ("Appointment", "ap"),
        ("Account", "ac"),
        ("DocumentReference", "d"),
    ];
    own.into_iter().chain(others.map(|(kind, prefix)| (kind, format!("{prefix}-{patient}")))).collect()
}

/// Everything that is about one patient.
pub(super) fn about(patient: &str) -> Vec<Probe> {
    let mut all = Vec::new();
    for (kind, id) in records(patient) {
        all.extend(of_record(kind, &id));
    }
    all.extend(beyond_records(patient));
    all
}

/// What is about one patient, and names more than one of their records.
pub(super) fn beyond_records(patient: &str) -> Vec<Probe> {
    [searches(patient), operations(patient), changes(patient), bundles(patient)].concat()
}

/// Everything that is about one record.
pub(super) fn of_record(kind: &'static str, id: &str) -> Vec<Probe> {
    let path = format!("/{kind}/{id}");
    let bare = json!({"resourceType": kind, "id": id});
    let mut all = vec![
        get(&path),
        Probe { method: "HEAD", ..get(&path) },
        get(&path).header("if-none-match", "W/\"1\""),
        get(&path).header("if-none-match", "*"),
        get(&path).header("if-modified-since", "Mon, 02 Mar 2037 10:00:00 GMT"),
        get(format!("{path}?_summary=true")),
        get(format!("{path}?_elements=id")),
        get(format!("{path}?_format=xml")),
        get(format!("{path}/_history")),
        get(format!("{path}/_history?_count=1")),
        get(format!("{path}/_history/1")),
        get(format!("{path}/_history/2")),
        get(format!("{path}/$meta")),
        get(format!("{path}/_history/1/$meta")),
        with("POST", format!("{path}/$meta"), &json!({"resourceType": "Parameters"})),
        get(format!("{path}/$everything")),
        with("POST", format!("{path}/$everything"), &json!({"resourceType": "Parameters"})),
        get(format!("{path}/$summary")),
        get(format!("{path}/$summary")).header("accept", "application/pdf"),
        get(format!("{path}/*")),
        get(format!("{path}/Observation")),
        get(format!("{path}/$validate")),
        get(format!("/{kind}?_id={id}")),
        get(format!("/{kind}?_id={id}&_summary=count")),
        get(format!("/{kind}?_id={id},o-p-open,e-p-open,p-open&_total=accurate")),
        get(format!("/{kind}?_id:not={id}&_total=accurate")),
        get(format!("/?_type={kind}&_id={id}")),
        form(format!("/{kind}/_search"), &format!("_id={id}")),
        with("PUT", &path, &bare),
        with("PUT", &path, &bare).header("if-match", "W/\"1\""),
        with("PUT", &path, &bare).header("if-match", "W/\"7\""),
        with("PUT", &path, &bare).header("if-none-match", "*"),
        with("PUT", format!("/{kind}?_id={id}"), &bare),
        with("PUT", format!("/{kind}?_id={id}"), &json!({"resourceType": kind})),
        with("PATCH", &path, &json!([{"op": "add", "path": "/language", "value": "fr"}]))
            .header("content-type", "application/json-patch+json"),
        with("PATCH", &path, &json!([{"op": "test", "path": "/id", "value": id}]))
            .header("content-type", "application/json-patch+json")
            .header("if-match", "W/\"1\""),
        with("PATCH", format!("/{kind}?_id={id}"), &json!([{"op": "add", "path": "/language", "value": "fr"}]))
            .header("content-type", "application/json-patch+json"),
        Probe { method: "DELETE", ..get(&path) },
        Probe { method: "DELETE", ..get(&path) }.header("if-match", "W/\"7\""),
        Probe { method: "DELETE", ..get(format!("/{kind}?_id={id}")) },
        with("POST", format!("{path}/$meta-add"), &labels("urn:x", "added")),
        with("POST", format!("{path}/$meta-delete"), &labels("urn:x", "added")),
        with("POST", format!("/{kind}/$validate"), &parameters("resource", &bare)),
        with("POST", format!("{path}/$validate?mode=delete"), &json!({"resourceType": "Parameters"})),
        with("POST", format!("/{kind}"), &bare).header("if-none-exist", &format!("_id={id}")),
        with("POST", format!("/{kind}"), &bare),
    ];
    // Again: what was tried before must have changed nothing.
    all.push(get(&path));
    all
}

fn parameters(name: &str, resource: &Value) -> Value {
    json!({"resourceType": "Parameters", "parameter": [{"name": name, "resource": resource}]})
}

fn labels(system: &str, code: &str) -> Value {
    json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"system": system, "code": code}]}}]})
}

fn searches(patient: &str) -> Vec<Probe> {
    let name = family(patient);
    let mut all = Vec::new();
    for query in [
        format!("Patient?identifier=urn:ward:ins|INS-{patient}"),
        format!("Patient?family={name}"),
        format!("Patient?name={name}&_summary=count"),
        format!("Patient?name:exact={name}"),
        format!("Patient?family:contains={name}"),
        format!("Patient?phone=%2B33-{patient}"),
        format!("Patient?address-city=City{patient}"),
        format!("Patient?birthdate=1970-05-17&address-city=City{patient}"),
        format!("Patient?_content={name}"),
        format!("Patient?_text={name}"),
        format!("Patient?_filter=family%20eq%20{name}"),
        format!("Patient?_filter=id%20eq%20{patient}"),
        format!("Patient?_has:Observation:patient:_id=o-{patient}"),
        format!("Patient?_has:Encounter:patient:_has:Observation:encounter:_id=o-{patient}"),
        format!("Patient?_id={patient}&_revinclude=Observation:patient&_revinclude:iterate=Encounter:patient"),
        format!("Observation?subject=Patient/{patient}"),
        format!("Observation?patient={patient}&_total=accurate"),
        format!("Observation?patient={patient}&_summary=count"),
        format!("Observation?subject:Patient={patient}"),
        format!("Observation?patient:identifier=urn:ward:ins|INS-{patient}"),
        format!("Observation?patient.family={name}"),
        format!("Observation?subject:Patient.name={name}"),
        format!("Observation?encounter=Encounter/e-{patient}"),
        format!("Observation?encounter.subject:Patient.family={name}"),
        format!("Observation?identifier=OBS-{patient}"),
        format!("Observation?identifier:of-type=x|y|OBS-{patient}"),
        format!("Observation?has-member=Observation/o-{patient}"),
        format!("Observation?has-member.patient.family={name}"),
        format!("Observation?has-member._id=o-{patient}"),
        format!("Observation?has-member:missing=false&has-member.identifier=OBS-{patient}"),
        format!("Observation?focus=Patient/{patient}"),
        format!("Observation?focus:Patient.family={name}"),
        format!("Observation?_has:Observation:has-member:patient={patient}"),
        format!("Observation?derived-from:DocumentReference.patient={patient}"),
        format!("Observation?patient:not={patient}&_summary=count"),
        format!("Condition?code=SICK-{patient}"),
        format!("Condition?code:in=http://x.example/vs&patient={patient}"),
        format!("Condition?patient={patient}&_include=Condition:encounter&_include:iterate=Encounter:part-of"),
        format!("Encounter?part-of=Encounter/e-{patient}"),
        format!("Encounter?part-of.subject:Patient.family={name}"),
        format!("Encounter?_id=e-{patient},e-p-open&_include=*&_revinclude=*"),
        format!("Encounter?location=Location/ward-a&subject.family={name}"),
        format!("Practitioner?_has:Patient:general-practitioner:family={name}"),
        format!("Practitioner?_has:Patient:general-practitioner:_id={patient}&_summary=count"),
        format!("Location?_has:Encounter:location:subject={patient}"),
        format!("Organization?_has:Patient:organization:identifier=INS-{patient}"),
        format!("Appointment?actor=Patient/{patient}"),
        format!("Appointment?patient.family={name}&_summary=count"),
        format!("Account?subject=Patient/{patient}"),
        format!("Consent?patient={patient}"),
        format!("Group?member=Patient/{patient}"),
        format!("List?item=Observation/o-{patient}"),
        format!("List?item.patient={patient}"),
        format!("?_type=Observation,Condition&patient={patient}"),
        format!("Patient/{patient}/Observation?_count=5"),
        format!("Encounter/e-{patient}/Observation"),
        format!("Practitioner/dr-gp/Patient?_id={patient}"),
        format!("Observation?_contained=both&patient={patient}"),
        format!("Observation?patient=https://ward.example/fhir/Patient/{patient}"),
        format!("Observation?patient={patient}&_sort=patient"),
    ] {
        all.push(get(format!("/{query}")));
    }
    all.push(form("/Observation/_search", &format!("patient={patient}&_total=accurate")));
    all.push(form("/Patient/_search?_summary=count", &format!("family={name}")));
    all.push(form("/_search", &format!("_type=Patient&_id={patient}")));
    all.push(form(format!("/Patient/{patient}/Observation/_search"), "code=29463-7"));
    all.push(get(format!("/Observation?patient.family={name}")).header("prefer", "handling=strict"));
    all
}

fn operations(patient: &str) -> Vec<Probe> {
    let similar = json!({"resourceType": "Patient", "identifier": [{"system": "urn:ward:ins", "value": format!("INS-{patient}")}],
        "name": [{"family": family(patient), "given": ["Zelie"]}], "birthDate": "1970-05-17", "gender": "female"});
    let refers = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "subject": {"reference": format!("Patient/{patient}")}, "encounter": {"reference": format!("Encounter/e-{patient}")}});
    vec![
        with("POST", "/Patient/$match", &parameters("resource", &similar)),
        with(
            "POST",
            "/Patient/$match",
            &json!({"resourceType": "Parameters", "parameter": [
            {"name": "resource", "resource": similar}, {"name": "onlyCertainMatches", "valueBoolean": true}, {"name": "count", "valueInteger": 1}]}),
        ),
        with("POST", "/Observation/$validate", &parameters("resource", &refers)),
        with("POST", "/Observation/$validate", &refers),
        get(format!("/Patient/{patient}/$everything?_type=Observation")),
        get(format!("/Patient/{patient}/$everything?_since=2020-01-01T00:00:00Z")),
        get(format!("/Encounter/e-{patient}/$everything")),
        get("/Encounter/e-leads/$everything"),
        get(format!("/Group/g-{patient}/$export")).header("prefer", "respond-async"),
        get(format!("/$export?_typeFilter=Patient?_id={patient}")).header("prefer", "respond-async"),
        get(format!("/Subscription/s-{patient}/$events")),
    ]
}

fn changes(patient: &str) -> Vec<Probe> {
    let of = json!({"reference": format!("Patient/{patient}")});
    let new = |subject: &Value| json!({"resourceType": "Observation", "status": "final", "code": {"text": "new"}, "subject": subject});
    let open = json!({"reference": "Patient/p-open"});
    let mut linked = new(&open);
    linked["encounter"] = json!({"reference": format!("Encounter/e-{patient}")});
    linked["derivedFrom"] = json!([{"reference": format!("DocumentReference/d-{patient}")}]);
    let mut by_identifier = new(&open);
    by_identifier["focus"] = json!([{"identifier": {"system": "urn:ward:ins", "value": format!("INS-{patient}")}}]);
    let mut contained = new(&open);
    contained["contained"] =
        json!([{"resourceType": "Patient", "id": "c", "identifier": [{"value": format!("INS-{patient}")}]}]);
    contained["performer"] = json!([{"reference": "#c"}]);
    let subscription = json!({"resourceType": "Subscription", "status": "requested", "reason": "x",
        "criteria": format!("Observation?patient={patient}"), "channel": {"type": "rest-hook", "endpoint": "https://x.example/"}});
    let twin = json!({"resourceType": "Patient", "identifier": [{"system": "urn:ward:ins", "value": format!("INS-{patient}")}],
        "name": [{"family": family(patient)}]});
    vec![
        with("POST", "/Observation", &new(&of)),
        with("POST", "/Observation", &linked),
        with("POST", "/Observation", &by_identifier),
        with("POST", "/Observation", &contained),
        with("POST", "/Observation", &new(&of)).header("if-none-exist", &format!("identifier=OBS-{patient}")),
        with("POST", "/Observation", &new(&open)).header("if-none-exist", &format!("identifier=OBS-{patient}")),
        with("POST", "/Observation", &new(&open))
            .header("if-none-exist", &format!("patient.family={}", family(patient))),
        with("PUT", format!("/Observation?identifier=OBS-{patient}"), &new(&open)),
        with("PUT", format!("/Observation?identifier=OBS-{patient}"), &new(&of)),
        with("PUT", format!("/Patient?identifier=INS-{patient}"), &twin),
        with("POST", "/Patient", &twin).header("if-none-exist", &format!("identifier=INS-{patient}")),
        with(
            "PATCH",
            format!("/Observation?identifier=OBS-{patient}"),
            &json!([{"op": "add", "path": "/language", "value": "fr"}]),
        )
        .header("content-type", "application/json-patch+json"),
        Probe { method: "DELETE", ..get(format!("/Observation?identifier=OBS-{patient}")) },
        Probe { method: "DELETE", ..get(format!("/Observation?patient={patient}")) },
        // A record that is seen, moved to somebody who is not.
        with("PUT", "/Observation/o-leads", &{
            let mut moved = new(&of);
            moved["id"] = json!("o-leads");
            moved
        }),
        with(
            "PATCH",
            "/Observation/o-p-open",
            &json!([{"op": "replace", "path": "/subject/reference", "value": format!("Patient/{patient}")}]),
        )
        .header("content-type", "application/json-patch+json"),
        with("POST", "/Subscription", &subscription),
    ]
}

fn bundles(patient: &str) -> Vec<Probe> {
    let observation = |subject: String| json!({"resourceType": "Observation", "status": "final", "code": {"text": "b"}, "subject": {"reference": subject}});
    let entry = |method: &str, url: String| json!({"request": {"method": method, "url": url}});
    let mut all = Vec::new();
    for kind in ["batch", "transaction"] {
        let bundle =
            |entries: Vec<Value>| with("POST", "/", &json!({"resourceType": "Bundle", "type": kind, "entry": entries}));
        all.push(bundle(vec![
            entry("GET", format!("Patient/{patient}")),
            entry("GET", format!("Observation?patient={patient}")),
            entry("GET", format!("Observation/o-{patient}/_history")),
            entry("GET", "Patient/p-open".to_owned()),
        ]));
        all.push(bundle(vec![entry("GET", format!("Patient?identifier=INS-{patient}&_summary=count"))]));
        all.push(bundle(vec![entry("DELETE", format!("Observation/o-{patient}"))]));
        all.push(bundle(vec![entry("DELETE", format!("Observation?identifier=OBS-{patient}"))]));
        for reference in [
            format!("Patient/{patient}"),
            format!("Patient?identifier=urn:ward:ins|INS-{patient}"),
            format!("Patient?_id={patient}"),
        ] {
            all.push(bundle(vec![json!({"resource": observation(reference.clone()), "request": {"method": "POST", "url": "Observation"}})]));
            let mut seen = observation("Patient/p-open".to_owned());
            seen["focus"] = json!([{ "reference": reference }]);
            all.push(bundle(vec![json!({"resource": seen, "request": {"method": "POST", "url": "Observation"}})]));
        }
        all.push(bundle(vec![json!({"resource": {"resourceType": "Patient", "name": [{"family": family(patient)}]},
            "request": {"method": "POST", "url": "Patient", "ifNoneExist": format!("identifier=INS-{patient}")}})]));
        all.push(bundle(vec![json!({"resource": observation(format!("Patient/{patient}")),
            "request": {"method": "PUT", "url": format!("Observation/o-{patient}"), "ifMatch": "W/\"1\""}})]));
        all.push(bundle(vec![
            json!({"request": {"method": "GET", "url": format!("Observation/o-{patient}"), "ifNoneMatch": "W/\"1\""}}),
        ]));
    }
    all
}

/// What asks about nobody by name: the numbers and orders of all.
pub(super) fn of_all(patients: &[&str]) -> Vec<Probe> {
    let mut all = Vec::new();
    for kind in [
        "Patient",
        "Encounter",
        "Observation",
        "Condition",
        "AllergyIntolerance",
        "Appointment",
        "Account",
        "DocumentReference",
        "Consent",
    ] {
        for query in [
            "",
            "?_summary=count",
            "?_total=accurate&_count=1&_sort=_id",
            "?_total=estimate&_count=2&_sort=_id",
            "?_sort=_lastUpdated",
            "?_sort=-_id&_total=accurate",
            "?_lastUpdated=gt2020-01-01",
            "?_security:missing=true",
            "?_elements=id&_count=100",
            "?_include=*&_revinclude=*",
            "?_tag:missing=true&_summary=count",
            "?_security=VIP,detained,EMP",
        ] {
            all.push(get(format!("/{kind}{query}")));
        }
        all.push(get(format!("/{kind}/_history")));
        all.push(get(format!("/{kind}/_history?_count=1")));
        all.push(get(format!("/{kind}/$meta")));
    }
    for path in [
        "/_history",
        "/_history?_count=3",
        "/_history?_since=2026-03-01T00:00:00Z",
        "/$meta",
        "/?_type=Patient&_summary=count",
        "/Observation?_list=l-leads",
        "/List/l-leads",
        "/List?_id=l-leads&_include=List:item",
        "/Group/g-leads",
        "/Group?_id=g-leads&_include=Group:member",
        "/Observation?_id=o-leads&_include=Observation:has-member",
        "/Observation?_id=o-leads&_include=Observation:has-member&_include:iterate=Observation:patient",
        "/Observation?_id=o-leads&_include=Observation:focus&_revinclude:iterate=Condition:patient",
        "/Observation?_id=o-leads&_include=*",
        "/Observation?_sort=patient&_total=accurate",
        "/Observation?_sort=-date,patient",
        "/Encounter?_id=e-leads&_include=Encounter:part-of",
        "/Practitioner?_id=dr-gp&_revinclude=Patient:general-practitioner",
        "/Practitioner?_id=dr-gp&_revinclude=*",
        "/Practitioner/dr-gp/$everything",
        "/Practitioner/dr-gp/Patient",
        "/Practitioner/dr-gp/*",
        "/Location?_id=ward-a&_revinclude=Encounter:location&_revinclude:iterate=Observation:encounter",
        "/Organization?_id=hospital&_revinclude=Patient:organization&_total=accurate",
        "/Practitioner?_has:Patient:general-practitioner:gender=female",
        "/Observation?patient.gender=female&_summary=count",
        "/Observation?has-member:missing=false",
        "/Observation?code:text=weight&_summary=count",
        "/Patient?birthdate=1970-05-17&_total=accurate",
        "/Patient?_has:Observation:patient:code=29463-7&_summary=count",
        "/Patient?general-practitioner=dr-gp&_summary=count",
        "/Encounter?location=ward-a&_summary=count",
        "/Patient/p-open/$everything",
        "/Encounter/e-p-open/$everything",
        "/Encounter/e-leads/$everything",
        "/Patient?_filter=gender%20eq%20female",
        "/Subscription",
        "/Subscription/$status",
    ] {
        all.push(get(path));
    }
    all.push(get("/$export").header("prefer", "respond-async"));
    all.push(get("/Patient/$export").header("prefer", "respond-async"));
    all.push(get("/Group/g-leads/$export").header("prefer", "respond-async"));
    let look = |url: String| json!({"request": {"method": "GET", "url": url}});
    let entries: Vec<Value> = patients.iter().map(|patient| look(format!("Patient/{patient}"))).collect();
    all.push(with("POST", "/", &json!({"resourceType": "Bundle", "type": "batch", "entry": entries})));
    all
}
