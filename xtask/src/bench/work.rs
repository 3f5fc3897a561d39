//! The work that is measured, the same on every server: creating, reading and updating small Observations of patients that
//! were created first. It keeps to what any FHIR R4 server does, so that a peer can be held to it.

use super::draw::Draw;
use crate::Outcome;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION};
use hyper::{Method, Request, StatusCode, http};
use std::rc::Rc;

/// A server that does the work.
#[derive(Clone)]
pub(crate) struct Target {
    /// Its name in the report.
    pub(crate) name: String,
    /// Host and port.
    pub(crate) authority: String,
    /// Path of the FHIR base, empty or beginning with `/` and not ending so.
    pub(crate) base: String,
    /// Value of the Authorization header.
    pub(crate) authorization: Option<String>,
    /// Its process, when it runs here.
    pub(crate) pid: Option<u32>,
}

impl Target {
    /// Reads the base URL of a server on plain HTTP.
    pub(crate) fn parse(name: &str, url: &str) -> Outcome<Self> {
        let rest = url.strip_prefix("http://").ok_or("the peer's URL begins with `http://`")?;
        let (authority, base) = rest.split_once('/').unwrap_or((rest, ""));
        let base = base.trim_end_matches('/');
        Ok(Self {
            name: name.to_owned(),
            authority: if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") },
            base: if base.is_empty() { String::new() } else { format!("/{base}") },
            authorization: None,
            pid: None,
        })
    }
}

/// Something that was created: where, and of which patient it is when it is an Observation.
#[derive(Clone)]
pub(crate) struct Created {
    /// `Type/id`.
    pub(crate) place: String,
    /// `Patient/id`, or empty.
    pub(crate) patient: String,
}

/// What a request came to.
pub(crate) enum Done {
    /// A resource was created.
    Created(Created),
    /// Anything else that succeeded.
    Answered,
}

/// Kinds of request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// POST of a Patient, to have some.
    Patient,
    /// POST of an Observation.
    Create,
    /// GET of an Observation.
    Read,
    /// PUT of an Observation with another value.
    Update,
    /// GET of any resource that was imported.
    ReadImported,
}

impl Kind {
    /// As it stands in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Patient => "create a patient",
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::ReadImported => "read any",
        }
    }
}

/// A stream of requests.
#[derive(Clone)]
pub(crate) struct Job {
    kind: Kind,
    /// Patients that Observations are of: `Patient/id`.
    patients: Rc<[String]>,
    /// What to read or update.
    present: Rc<[Created]>,
    /// Of which patient the Observation of the last request is.
    subject: String,
    draw: Draw,
    /// Of the observations, those at `first + n * step` are this connection's to update, so that two never meet.
    first: usize,
    step: usize,
    sent: usize,
}

impl Job {
    /// Work of one kind on what is there.
    pub(crate) fn new(kind: Kind, patients: &[String], present: &[Created], seed: u64) -> Self {
        let (patients, present) = (patients.into(), present.into());
        Self { kind, patients, present, subject: String::new(), draw: Draw::new(seed), first: 0, step: 1, sent: 0 }
    }

    /// The part of it that one connection of several does.
    pub(crate) fn for_connection(&self, number: usize, connections: usize) -> Self {
        let mut job = self.clone();
        job.draw = self.draw.split(number as u64);
        (job.first, job.step) = (number, connections);
        job
    }

    /// The next request.
    pub(crate) fn next(&mut self, target: &Target) -> Outcome<Request<Full<Bytes>>> {
        self.sent += 1;
        let (method, path, body) = match self.kind {
            Kind::Patient => (Method::POST, "Patient".to_owned(), patient(&mut self.draw)),
            Kind::Create => {
                self.subject = self.draw.choose(&self.patients).ok_or("no patients to observe")?.clone();
                (Method::POST, "Observation".to_owned(), observation(None, &self.subject, &mut self.draw))
            }
            Kind::Read | Kind::ReadImported => {
                let present = self.draw.choose(&self.present).ok_or("nothing to read")?;
                (Method::GET, present.place.clone(), String::new())
            }
            Kind::Update => {
                let mine = self.present.len().saturating_sub(self.first).div_ceil(self.step);
                let index =
                    self.first + self.sent.checked_rem(mine).ok_or("fewer observations than connections")? * self.step;
                let present = self.present.get(index).ok_or("fewer observations than connections")?;
                let id = present.place.rsplit('/').next();
                (Method::PUT, present.place.clone(), observation(id, &present.patient, &mut self.draw))
            }
        };
        let mut request =
            Request::builder().method(method).uri(format!("{}/{path}", target.base)).header(HOST, &target.authority);
        request = request.header("accept", "application/fhir+json");
        if let Some(authorization) = &target.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/fhir+json");
        }
        Ok(request.body(Full::new(Bytes::from(body)))?)
    }

    /// Whether an answer is what was asked for.
    pub(crate) fn judge(&self, head: &http::response::Parts, body: &Bytes) -> Result<Done, String> {
        let expected =
            if matches!(self.kind, Kind::Patient | Kind::Create) { StatusCode::CREATED } else { StatusCode::OK };
        if head.status != expected {
            return Err(format!("{:?} was answered by {}", self.kind, head.status));
        }
        match self.kind {
            Kind::Patient | Kind::Create => {
                let location = head.headers.get(LOCATION).and_then(|location| location.to_str().ok());
                let place = location.and_then(place).ok_or("the answer to a create has no Location")?;
                Ok(Done::Created(Created { place, patient: self.subject.clone() }))
            }
            Kind::Read | Kind::ReadImported if !body.starts_with(b"{") => Err("a read gave no JSON object".to_owned()),
            Kind::Read | Kind::ReadImported | Kind::Update => Ok(Done::Answered),
        }
    }
}

/// `Type/id` out of a Location, which may be relative and may name a version.
fn place(location: &str) -> Option<String> {
    let path = location.split("/_history/").next()?;
    let mut parts = path.rsplit('/');
    let (id, resource_type) = (parts.next()?, parts.next()?);
    (!id.is_empty() && resource_type.starts_with(|c: char| c.is_ascii_uppercase()))
        .then(|| format!("{resource_type}/{id}"))
}

/// A patient who does not exist.
fn patient(draw: &mut Draw) -> String {
    let number = draw.below(1_000_000);
    format!(
        r#"{{"resourceType":"Patient","active":true,"identifier":[{{"system":"urn:oid:1.2.3.4.5","value":"bench-{number:06}"}}],"name":[{{"use":"official","family":"Essai{number:06}","given":["Camille","Sacha"]}}],"gender":"unknown","birthDate":"19{:02}-{:02}-{:02}","address":[{{"line":["{} rue du Banc"],"city":"Essaiville","postalCode":"00000","country":"FR"}}]}}"#,
        draw.below(100),
        draw.below(12) + 1,
        draw.below(28) + 1,
        draw.below(200) + 1,
    )
}

/// A blood pressure, about 1.2 kB: the size of the median resource of a record.
fn observation(id: Option<&str>, patient: &str, draw: &mut Draw) -> String {
    let id = id.map(|id| format!(r#""id":"{id}","#)).unwrap_or_default();
    let (systolic, diastolic) = (100 + draw.below(60), 60 + draw.below(40));
    let (day, hour, minute) = (draw.below(28) + 1, draw.below(24), draw.below(60));
    let component = |code: &str, name: &str, value: u64| {
        format!(
            r#"{{"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}","display":"{name}"}}],"text":"{name}"}},"valueQuantity":{{"value":{value}.0,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}}}"#
        )
    };
    format!(
        r#"{{"resourceType":"Observation",{id}"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure panel"}}],"text":"Blood pressure"}},"subject":{{"reference":"{patient}"}},"effectiveDateTime":"2026-01-{day:02}T{hour:02}:{minute:02}:00+01:00","issued":"2026-01-{day:02}T{hour:02}:{minute:02}:30.500+01:00","component":[{},{}]}}"#,
        component("8480-6", "Systolic blood pressure", systolic),
        component("8462-4", "Diastolic blood pressure", diastolic),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_read_from_a_url() {
        let read = |url| Target::parse("x", url).map(|target| (target.authority, target.base)).ok();
        assert_eq!(read("http://host:8080/fhir/"), Some(("host:8080".into(), "/fhir".into())));
        assert_eq!(read("http://host"), Some(("host:80".into(), String::new())));
        assert_eq!(read("https://host"), None);
    }

    #[test]
    fn a_place_is_read_from_a_location() {
        for location in ["http://h/fhir/Observation/7/_history/1", "Observation/7/_history/1", "/Observation/7"] {
            assert_eq!(place(location).as_deref(), Some("Observation/7"), "{location}");
        }
        for location in ["", "7", "/", "http://h/fhir/"] {
            assert_eq!(place(location), None, "{location}");
        }
    }

    #[test]
    fn bodies_are_json_of_a_known_size() {
        let mut draw = Draw::new(1);
        let patient: serde_json::Value = serde_json::from_str(&patient(&mut draw)).unwrap();
        assert_eq!(patient["resourceType"], "Patient");
        let text = observation(Some("7"), "Patient/1", &mut draw);
        let observation: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&observation["id"], &observation["subject"]["reference"]), (&"7".into(), &"Patient/1".into()));
        assert!((900..1_500).contains(&text.len()), "{} bytes", text.len());
    }

    #[test]
    fn connections_never_update_the_same_observation() {
        let target = Target::parse("x", "http://host").unwrap();
        let present = |n| Created { place: format!("Observation/{n}"), patient: "Patient/1".to_owned() };
        let job = Job::new(Kind::Update, &[], &(0..10).map(present).collect::<Vec<_>>(), 1);
        let mut seen = std::collections::BTreeMap::new();
        for number in 0..4 {
            let mut mine = job.for_connection(number, 4);
            for _ in 0..20 {
                let path = mine.next(&target).unwrap().uri().path().to_owned();
                assert_eq!(*seen.entry(path).or_insert(number), number);
            }
        }
        assert_eq!(seen.len(), 10);
        assert!(job.for_connection(11, 12).next(&target).is_err());
    }
}
