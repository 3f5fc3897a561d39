//! A small object store for tests: what is asked of one here, versions and locks included, and no more. It keeps what it was asked, to look at.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// One version of an object.
#[derive(Clone)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) bytes: Vec<u8>,
    pub(super) until: Option<String>,
    pub(super) marker: bool,
}

/// A request, as it came.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: HashMap<String, String>,
    pub(super) headers: HashMap<String, String>,
    body: Vec<u8>,
}

#[derive(Default)]
pub(super) struct State {
    /// Versions of each key, the oldest first.
    pub(super) objects: BTreeMap<String, Vec<Version>>,
    pub(super) asked: Vec<Asked>,
    /// Whether it locks; one that does not takes the headers all the same.
    pub(super) locks: bool,
    /// Answers that come first, whatever is asked.
    pub(super) first: Vec<(u16, String)>,
    /// Names in a page of a listing.
    pub(super) page: usize,
    next: usize,
}

/// A store that ends with the test.
pub(super) struct Store {
    pub(super) address: SocketAddr,
    pub(super) state: Arc<Mutex<State>>,
}

impl Store {
    /// A store whose connections are what `wrap` makes of them (TLS, or nothing).
    pub(super) fn start<S: Read + Write>(wrap: impl Fn(TcpStream) -> Option<S> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { page: 1000, ..State::default() }));
        let (shared, wrap) = (Arc::clone(&state), Arc::new(wrap));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, wrap) = (Arc::clone(&shared), Arc::clone(&wrap));
                std::thread::spawn(move || {
                    let Some(stream) = stream.ok().and_then(|stream| wrap(stream)) else { return };
                    let mut stream = BufReader::new(stream);
                    while let Some(asked) = read(&mut stream) {
                        let (status, headers, body) = {
                            let mut state = shared.lock().unwrap();
                            state.asked.push(asked.clone());
                            answer(&mut state, &asked)
                        };
                        let length = if asked.method == "HEAD" {
                            String::new()
                        } else {
                            format!("content-length: {}\r\n", body.len())
                        };
                        let head = format!("HTTP/1.1 {status} x\r\n{length}{headers}\r\n");
                        let body = if asked.method == "HEAD" { vec![] } else { body };
                        if stream.get_mut().write_all(&[head.into_bytes(), body].concat()).is_err() {
                            return;
                        }
                        let _ = stream.get_mut().flush();
                    }
                });
            }
        });
        Self { address, state }
    }
}

fn read(stream: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut parts = line.split(' ');
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let url = url::Url::parse(&format!("http://x{target}")).ok()?;
    let query = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    Some(Asked { method, path: url.path().to_owned(), query, headers, body })
}

type Answer = (u16, String, Vec<u8>);

fn refused(status: u16, code: &str) -> Answer {
    (status, String::new(), format!("<Error><Code>{code}</Code></Error>").into_bytes())
}

fn answer(state: &mut State, asked: &Asked) -> Answer {
    if !state.first.is_empty() {
        let (status, body) = state.first.remove(0);
        return (status, String::new(), body.into_bytes());
    }
    if !asked.headers.get("authorization").is_some_and(|text| text.contains("Credential=AK/")) {
        return refused(403, "AccessDenied");
    }
    let Some(key) = asked.path.strip_prefix("/backups").map(|key| key.trim_start_matches('/').to_owned()) else {
        return refused(404, "NoSuchBucket");
    };
    if key.is_empty() {
        return list(state, asked);
    }
    let versions = state.objects.get(&key).cloned().unwrap_or_default();
    let wanted = match asked.query.get("versionId") {
        Some(id) => versions.iter().find(|version| version.id == *id),
        None => versions.last(),
    };
    let there = wanted.filter(|version| !version.marker);
    match asked.method.as_str() {
        "PUT" if asked.query.contains_key("retention") => {
            let body = String::from_utf8(asked.body.clone()).unwrap();
            let until = body.split_once("<RetainUntilDate>").unwrap().1.split_once('<').unwrap().0.to_owned();
            let id = there.unwrap().id.clone();
            let versions = state.objects.get_mut(&key).unwrap();
            versions.iter_mut().find(|version| version.id == id).unwrap().until = Some(until);
            (200, String::new(), vec![])
        }
        "PUT" if asked.headers.contains_key("if-none-match") && there.is_some() => refused(412, "PreconditionFailed"),
        "PUT" => {
            state.next += 1;
            let until = asked.headers.get("x-amz-object-lock-retain-until-date").filter(|_| state.locks).cloned();
            let version = Version { id: format!("v{}", state.next), bytes: asked.body.clone(), until, marker: false };
            state.objects.entry(key).or_default().push(version);
            (200, "etag: \"x\"\r\n".to_owned(), vec![])
        }
        "DELETE" => {
            state.next += 1;
            let marker = Version { id: format!("v{}", state.next), bytes: vec![], until: None, marker: true };
            match (asked.query.get("versionId"), wanted) {
                (Some(_), Some(version)) if version.until.is_some() => return refused(403, "AccessDenied"),
                (Some(id), _) => state.objects.entry(key).or_default().retain(|version| version.id != *id),
                (None, _) if state.locks => state.objects.entry(key).or_default().push(marker),
                (None, _) => drop(state.objects.remove(&key)),
            }
            (204, String::new(), vec![])
        }
        _ => {
            let Some(there) = there else { return refused(404, "NoSuchKey") };
            let lock = there.until.as_ref().map_or(String::new(), |until| {
                format!("x-amz-object-lock-mode: COMPLIANCE\r\nx-amz-object-lock-retain-until-date: {until}\r\n")
            });
            let common = format!("{lock}etag: \"x\"\r\nlast-modified: Sun, 22 Nov 2026 12:00:00 GMT\r\n");
            if asked.method == "HEAD" {
                return (200, format!("{common}content-length: {}\r\n", there.bytes.len()), vec![]);
            }
            let Some(range) = asked.headers.get("range") else { return (200, common, there.bytes.clone()) };
            let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
            if from >= there.bytes.len() {
                return refused(416, "InvalidRange");
            }
            let to = to.min(there.bytes.len() - 1);
            let said = format!("{common}content-range: bytes {from}-{to}/{}\r\n", there.bytes.len());
            (206, said, there.bytes[from..=to].to_vec())
        }
    }
}

fn list(state: &State, asked: &Asked) -> Answer {
    let versions = asked.query.contains_key("versions");
    let prefix = asked.query.get("prefix").cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for (key, all) in state.objects.iter().filter(|(key, _)| key.starts_with(&prefix)) {
        let shown = if versions { all.len() } else { usize::from(all.last().is_some_and(|last| !last.marker)) };
        for version in all.iter().rev().take(shown) {
            let kind = match (versions, version.marker) {
                (false, _) => "Contents",
                (true, false) => "Version",
                (true, true) => "DeleteMarker",
            };
            let key = key.replace('&', "&amp;");
            rows.push(format!(
                "<{kind}><Key>{key}</Key><VersionId>{}</VersionId><Size>{}</Size></{kind}>",
                version.id,
                version.bytes.len()
            ));
        }
    }
    let from = ["continuation-token", "version-id-marker"].iter().find_map(|name| asked.query.get(*name));
    let from: usize = from.map_or(0, |from| from.parse().unwrap());
    let page: String = rows.iter().skip(from).take(state.page).map(String::as_str).collect();
    let more = from + state.page < rows.len();
    let next = from + state.page;
    let tail = match (more, versions) {
        (false, _) => String::new(),
        (true, false) => format!("<NextContinuationToken>{next}</NextContinuationToken>"),
        (true, true) => format!("<NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>{next}</NextVersionIdMarker>"),
    };
    let root = if versions { "ListVersionsResult" } else { "ListBucketResult" };
    (200, String::new(), format!("<{root}><IsTruncated>{more}</IsTruncated>{tail}{page}</{root}>").into_bytes())
}
