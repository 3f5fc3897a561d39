//! Every way to ask about a patient, or about the observation of the same id.

use super::observation_of;
use crate::house::*;
use pollster::block_on;
use tacet_types::VersionId;
use tacet_vault::{
    Caller, ConditionalCreate, EverythingQuery, Handling, HistoryScope, MatchCall, MetaChange, MetaScope, Patch,
    ReturnPreference, Scope, SearchCall, SearchPage, VaultError,
};

/// What came of it, in words, without what differs anyway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer(String);

impl Answer {
    /// With the target's id replaced, so that answers about two targets can be compared.
    pub(super) fn about(self, target: &str) -> Self {
        Self(self.0.replace(target, "ID"))
    }
}

/// A way to ask.
type Way = Box<dyn Fn(&House, &Caller, &str) -> Answer>;

/// Those that change something where they find something.
pub(super) const CHANGING: [&str; 9] = [
    "update if-match",
    "conditional create",
    "conditional update",
    "conditional delete",
    "update",
    "delete",
    "patch",
    "bundle",
    "labels",
];

pub(super) fn search(house: &House, caller: &Caller, text: &str) -> Result<SearchPage, VaultError> {
    let (name, query) = text.split_once('?').unwrap();
    let parameters = query.split('&').map(|part| part.split_once('=').unwrap());
    let call = SearchCall {
        scope: Scope::Type(kind(name)),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        handling: Handling::Strict,
        base_url: BASE_URL.to_owned(),
        cursor: None,
    };
    block_on(house.vault.search(caller, &call))
}

fn page(page: Result<SearchPage, VaultError>) -> Answer {
    Answer(match page {
        Ok(page) => {
            let found: Vec<String> = page
                .entries
                .iter()
                .map(|entry| format!("{:?} {}", entry.mode, String::from_utf8_lossy(&entry.disclosed.body)))
                .collect();
            format!("total {:?} next {} {found:?}", page.total, page.next.is_some())
        }
        Err(error) => error_of(&error),
    })
}

fn error_of(error: &VaultError) -> String {
    format!("{} {error} {:?}", error.http_status(), error.issues())
}

fn said<T>(result: Result<T, VaultError>, show: impl FnOnce(T) -> String) -> Answer {
    Answer(result.map_or_else(|error| error_of(&error), show))
}

fn body(disclosed: tacet_vault::Disclosed) -> String {
    String::from_utf8(disclosed.body.to_vec()).unwrap()
}

fn criteria(id: &str) -> Vec<(String, String)> {
    vec![("identifier".to_owned(), format!("urn:ward|{id}"))]
}

pub(super) fn ways() -> Vec<(&'static str, Way)> {
    let mut ways: Vec<(&'static str, Way)> = Vec::new();
    let mut add = |name, way: Way| ways.push((name, way));
    add("read patient", Box::new(|h, c, id| said(block_on(h.vault.read(c, kind("Patient"), &rid(id))), body)));
    add("read", Box::new(|h, c, id| said(block_on(h.vault.read(c, kind("Observation"), &rid(id))), body)));
    add(
        "vread",
        Box::new(|h, c, id| said(block_on(h.vault.vread(c, kind("Observation"), &rid(id), VersionId(1))), body)),
    );
    add(
        "history",
        Box::new(|h, c, id| {
            let scope = HistoryScope::Instance(kind("Observation"), rid(id));
            said(block_on(h.vault.history(c, &scope, &Default::default())), |page| page.entries.len().to_string())
        }),
    );
    for text in [
        "Observation?_id=ID&_total=accurate",
        "Observation?_id=ID&_summary=count",
        "Observation?subject=Patient/ID&_total=accurate",
        "Patient?_id=ID&_total=accurate",
        "Patient?family=fam-ID&_total=accurate",
        "Observation?_id=ID&_include=Observation:subject",
        "Patient?_id=ID&_revinclude=Observation:subject",
        "Observation?subject:Patient.family=fam-ID&_total=accurate",
        "Patient?_has:Observation:subject:code=c-ID&_total=accurate",
        "Observation?_filter=code eq c-ID&_total=accurate",
        "Encounter?subject=Patient/ID&_include=Encounter:subject&_total=accurate",
    ] {
        add(text, Box::new(move |h, c, id| page(search(h, c, &text.replace("ID", id)))));
    }
    add(
        "compartment",
        Box::new(|h, c, id| {
            let compartment = tacet_fhir::compartment::Compartment::Patient;
            let scope = Scope::Compartment { compartment, id: rid(id), types: None };
            let (parameters, base_url) = (Vec::new(), BASE_URL.to_owned());
            let call = SearchCall { scope, parameters, handling: Handling::Strict, base_url, cursor: None };
            page(block_on(h.vault.search(c, &call)))
        }),
    );
    add(
        "everything",
        Box::new(|h, c, id| {
            let all = block_on(h.vault.everything(c, &rid(id), &EverythingQuery::default()));
            said(all, |page| page.entries.into_iter().map(|(one, member)| format!("{member} {}", body(one))).collect())
        }),
    );
    add(
        "meta",
        Box::new(|h, c, id| {
            let meta = block_on(h.vault.meta(c, &MetaScope::Record(kind("Observation"), rid(id))));
            said(meta, |meta| String::from_utf8(meta.to_vec()).unwrap())
        }),
    );
    add(
        "match",
        Box::new(|h, c, id| {
            let patient = format!(
                r#"{{"resourceType":"Patient","identifier":[{{"system":"urn:ward","value":"{id}"}}],"name":[{{"family":"fam-{id}"}}],"birthDate":"1970-01-01"}}"#
            );
            let call = MatchCall { body: patient.into_bytes(), base_url: BASE_URL.to_owned(), ..Default::default() };
            said(block_on(h.vault.match_patients(c, &call)), |page| {
                page.entries
                    .into_iter()
                    .filter(|entry| entry.disclosed.record.id.as_str() == id)
                    .map(|entry| body(entry.disclosed))
                    .collect()
            })
        }),
    );
    add(
        "conditional create",
        Box::new(|h, c, id| {
            let new = observation_of("new", "mine", "");
            let done =
                block_on(h.vault.create_conditional(c, kind("Observation"), new.as_bytes(), BASE_URL, &criteria(id)));
            said(done, |done| match done {
                ConditionalCreate::Created(_) => "created".to_owned(),
                ConditionalCreate::Exists { record, .. } => format!("exists {}", record.id.as_str()),
            })
        }),
    );
    add(
        "conditional update",
        Box::new(|h, c, id| {
            let new = observation_of("new", "mine", "").replace(r#""id":"new","#, "");
            let done = block_on(h.vault.update_conditional(
                c,
                kind("Observation"),
                new.as_bytes(),
                BASE_URL,
                &criteria(id),
                None,
            ));
            said(done, |stored| format!("created {}", stored.created))
        }),
    );
    add(
        "conditional delete",
        Box::new(|h, c, id| {
            let done = block_on(h.vault.delete_conditional(c, kind("Observation"), BASE_URL, &criteria(id)));
            said(done, |deleted| deleted.len().to_string())
        }),
    );
    add(
        "update",
        Box::new(|h, c, id| {
            let new = observation_of(id, "mine", "");
            let done =
                block_on(h.vault.update(c, kind("Observation"), &rid(id), new.as_bytes(), BASE_URL, None, false));
            said(done, |stored| format!("created {}", stored.created))
        }),
    );
    add(
        "update if-match",
        Box::new(|h, c, id| {
            let new = observation_of(id, "mine", "");
            let version = Some(VersionId(9));
            let done =
                block_on(h.vault.update(c, kind("Observation"), &rid(id), new.as_bytes(), BASE_URL, version, false));
            said(done, |stored| format!("created {}", stored.created))
        }),
    );
    add(
        "delete",
        Box::new(|h, c, id| {
            let done = block_on(h.vault.delete(c, kind("Observation"), &rid(id), None));
            said(done, |deleted| format!("{}", deleted.record.is_some()))
        }),
    );
    add(
        "patch",
        Box::new(|h, c, id| {
            let patch = Patch::Merge(br#"{"status":"amended"}"#);
            let done = block_on(h.vault.patch(c, kind("Observation"), &rid(id), &patch, BASE_URL, None));
            said(done, |stored| format!("created {}", stored.created))
        }),
    );
    add(
        "labels",
        Box::new(|h, c, id| {
            let meta =
                br#"{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}"#;
            let done = block_on(h.vault.change_meta(c, kind("Observation"), &rid(id), MetaChange::Add, meta, None));
            said(done, |meta| String::from_utf8(meta.to_vec()).unwrap())
        }),
    );
    add(
        "bundle",
        Box::new(|h, c, id| {
            let put = observation_of(id, "mine", "");
            let bundle = format!(
                r#"{{"resourceType":"Bundle","type":"batch","entry":[
                {{"request":{{"method":"GET","url":"Observation/{id}"}}}},
                {{"request":{{"method":"GET","url":"Observation?identifier=urn:ward|{id}"}}}},
                {{"resource":{put},"request":{{"method":"PUT","url":"Observation/{id}"}}}},
                {{"request":{{"method":"DELETE","url":"Observation/{id}"}}}},
                {{"request":{{"method":"DELETE","url":"Observation?identifier=urn:ward|{id}"}}}}]}}"#
            );
            let done = block_on(h.vault.bundle(c, bundle.as_bytes(), BASE_URL, ReturnPreference::Minimal));
            let operation = c.operation.to_string();
            said(done, |answer| String::from_utf8(answer.to_vec()).unwrap().replace(&operation, "OP"))
        }),
    );
    ways
}
