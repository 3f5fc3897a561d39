use super::store::{State, Store};
use super::*;
use crate::targets::tests::{listed, name};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The variable by which `cargo xtask ci` names a real store: a folder with `endpoint`, and the credentials of its accounts.
const REAL: &str = "TACET_TEST_S3";

fn credentials(folder: &Path, key: &str) -> PathBuf {
    let path = folder.join(format!("{key}.credentials"));
    let mut file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
    std::io::Write::write_all(
        &mut file,
        format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = hush-{key}\n").as_bytes(),
    )
    .unwrap();
    path
}

fn settings(endpoint: String, credentials: PathBuf, lock: Lock) -> S3Settings {
    S3Settings {
        endpoint,
        region: "us-east-1".into(),
        bucket: "backups".into(),
        prefix: "hospital/one".into(),
        path_style: true,
        roots: None,
        credentials,
        lock,
    }
}

/// A store in this process, and a target in it.
struct Place {
    _folder: tempfile::TempDir,
    store: Store,
    target: S3,
}

fn place(lock: Lock, locks: bool) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::start(Some);
    store.state.lock().unwrap().locks = locks;
    let target =
        S3::new(&settings(format!("http://{}", store.address), credentials(folder.path(), "AK"), lock)).unwrap();
    Place { _folder: folder, store, target }
}

impl Place {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.store.state.lock().unwrap()
    }
}

/// What every place must do, whichever it is.
fn does_what_a_target_does(target: &dyn Target) {
    let large: Vec<u8> = (0..300_000).map(|at| (at % 253) as u8).collect();
    assert_eq!(target.put_new(&name("segments/a"), &large, None).unwrap(), Put::Written);
    assert_eq!(target.put_new(&name("segments/a"), &large, None).unwrap(), Put::Same);
    for other in [&large[1..], b"other"] {
        assert!(matches!(target.put_new(&name("segments/a"), other, None), Err(TargetError::Different(_))));
    }
    assert_eq!(target.put_new(&name("snapshots/000000000001-b.json"), b"{}", None).unwrap(), Put::Written);
    assert_eq!(target.read(&name("segments/a"), None).unwrap(), large);
    assert_eq!(target.read(&name("segments/a"), Some(5..9)).unwrap(), large[5..9]);
    assert_eq!(target.read(&name("segments/a"), Some(299_990..400_000)).unwrap(), large[299_990..]);
    assert_eq!(target.read(&name("segments/a"), Some(400_000..400_001)).unwrap(), b"");
    assert_eq!(target.read(&name("segments/a"), Some(7..7)).unwrap(), b"");
    assert!(matches!(target.read(&name("segments/b"), None), Err(TargetError::Absent(_))));
    assert!(matches!(target.read(&name("segments/b"), Some(0..4)), Err(TargetError::Absent(_))));
    let all = [("segments/a".to_owned(), 300_000), ("snapshots/000000000001-b.json".to_owned(), 2)];
    assert_eq!(listed(target, ""), all);
    assert_eq!(listed(target, "snapshots/0000"), all[1..]);
    assert_eq!(listed(target, "segments/b"), []);
}

#[test]
fn objects_are_put_on_condition_read_and_listed() {
    let place = place(Lock::None, false);
    does_what_a_target_does(&place.target);
    let state = place.state();
    let puts: Vec<_> = state.asked.iter().filter(|asked| asked.method == "PUT").collect();
    assert_eq!(puts.len(), 2);
    for put in puts {
        assert_eq!(put.headers["if-none-match"], "*");
        assert!(put.path.starts_with("/backups/hospital/one/") && put.headers.contains_key("x-amz-checksum-sha256"));
        assert!(!put.headers.keys().any(|header| header.starts_with("x-amz-object-lock")));
    }
}

#[test]
fn with_versions_too() {
    let place = place(Lock::Compliance, true);
    does_what_a_target_does(&place.target);
    place.state().page = 1;
    let all = listed(&place.target, "");
    assert_eq!(all.len(), 2);
    assert_eq!(listed(&place.target, "snapshots/0000"), all[1..]);
}

#[test]
fn an_object_is_locked_until_its_time_by_signed_headers_and_the_time_only_grows() {
    let place = place(Lock::Compliance, true);
    let until = |text: &str| Some(Timestamp::parse(text).unwrap());
    let object = name("segments/a");
    assert_eq!(place.target.put_new(&object, b"1", until("2030-01-01T00:00:00.001Z")).unwrap(), Put::Written);
    {
        let state = place.state();
        let put = state.asked.iter().find(|asked| asked.method == "PUT").unwrap();
        assert_eq!(put.headers["x-amz-object-lock-mode"], "COMPLIANCE");
        assert_eq!(put.headers["x-amz-object-lock-retain-until-date"], "2030-01-01T00:00:01Z");
        let signed = put.headers["authorization"].split_once("SignedHeaders=").unwrap().1;
        assert!(signed.contains("x-amz-object-lock-mode;x-amz-object-lock-retain-until-date"), "{signed}");
        assert!(signed.contains("if-none-match"), "{signed}");
    }
    let kept = |place: &Place| place.state().objects["hospital/one/segments/a"][0].until.clone().unwrap();
    assert_eq!(place.target.put_new(&object, b"1", until("2031-01-01T00:00:00Z")).unwrap(), Put::Same);
    assert_eq!(kept(&place), "2031-01-01T00:00:00Z");
    assert_eq!(place.target.put_new(&object, b"1", until("2029-01-01T00:00:00Z")).unwrap(), Put::Same);
    assert_eq!(place.target.put_new(&object, b"1", None).unwrap(), Put::Same);
    assert_eq!(kept(&place), "2031-01-01T00:00:00Z");
    assert!(matches!(place.target.remove(&object), Err(TargetError::Refused(_))));
    assert_eq!(place.target.read(&object, None).unwrap(), b"1");
}

#[test]
fn a_store_that_takes_the_words_and_does_not_lock_is_found_out() {
    let place = place(Lock::Compliance, false);
    let error =
        place.target.put_new(&name("a"), b"1", Some(Timestamp::parse("2030-01-01T00:00:00Z").unwrap())).unwrap_err();
    assert!(
        matches!(&error, TargetError::Settings(text) if text.contains("does not say that it is locked")),
        "{error}"
    );
}

/// The attacker with the credential, against a store that keeps versions and enforces nothing else.
#[test]
fn what_is_written_over_deleted_or_buried_under_versions_is_still_read_and_listed() {
    let place = place(Lock::Compliance, true);
    let until = Some(Timestamp::parse("2030-01-01T00:00:00Z").unwrap());
    for text in ["snapshots/1", "snapshots/2", "snapshots/3"] {
        place.target.put_new(&name(text), text.as_bytes(), until).unwrap();
    }
    {
        let mut state = place.state();
        let version =
            |id: &str, marker| store::Version { id: id.into(), bytes: b"rubbish!".to_vec(), until: None, marker };
        state.objects.get_mut("hospital/one/snapshots/1").unwrap().push(version("x1", false));
        state.objects.get_mut("hospital/one/snapshots/2").unwrap().push(version("x2", true));
        let third = state.objects.get_mut("hospital/one/snapshots/3").unwrap();
        (0..25).for_each(|number| third.push(version(&format!("y{number}"), number % 2 == 0)));
        // Names that no path of a file system has, or that are none of ours, and deleted rubbish.
        for odd in
            ["hospital/one/a//b", "hospital/one/../x", "hospital/one/A&B", "hospital/one/", "hospital/one/\u{7f}"]
        {
            state.objects.insert(odd.into(), vec![version("z", false)]);
        }
        state.objects.insert("hospital/one/gone".into(), vec![version("m", true)]);
        state.page = 4;
    }
    let again = place.target.bucket.first_versions.lock().unwrap().drain().count();
    assert!(again > 0);
    let names: Vec<_> = listed(&place.target, "").into_iter().collect();
    assert_eq!(names, ["snapshots/1", "snapshots/2", "snapshots/3"].map(|text| (text.to_owned(), 11)));
    for text in ["snapshots/1", "snapshots/2", "snapshots/3"] {
        assert_eq!(place.target.read(&name(text), None).unwrap(), text.as_bytes());
        assert_eq!(place.target.put_new(&name(text), text.as_bytes(), until).unwrap(), Put::Same);
    }
}

#[test]
fn without_versions_a_strangers_odd_names_do_not_break_a_listing() {
    let place = place(Lock::None, false);
    place.target.put_new(&name("b"), b"1", None).unwrap();
    let odd = store::Version { id: "z".into(), bytes: vec![], until: None, marker: false };
    place.state().objects.insert("hospital/one/a//b".into(), vec![odd]);
    assert_eq!(listed(&place.target, ""), [("b".to_owned(), 1)]);
    place.target.remove(&name("b")).unwrap();
    place.target.remove(&name("b")).unwrap();
    assert_eq!(listed(&place.target, ""), []);
}

#[test]
fn errors_say_what_to_do_hold_no_credential_and_faults_that_pass_are_tried_again() {
    let place = place(Lock::None, false);
    let fault = |status: u16, code: &str| {
        place.state().first = vec![(status, format!("<Error><Code>{code}</Code><Message>hush-AK</Message></Error>"))];
        let read = place.target.read(&name("a"), None).unwrap_err();
        place.state().first = vec![(status, format!("<Error><Code>{code}</Code></Error>"))];
        let listed = place.target.list("", &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(&listed), "{read} {listed}");
        assert!(!read.to_string().contains("hush") && !listed.to_string().contains("hush"), "{read} {listed}");
        listed
    };
    assert!(matches!(fault(403, "AccessDenied"), TargetError::Refused(_)));
    assert!(fault(403, "SignatureDoesNotMatch").to_string().contains("credential is wrong"));
    assert!(fault(403, "RequestTimeTooSkewed").to_string().contains("clocks"));
    assert!(fault(404, "NoSuchBucket").to_string().contains("make it first"));
    assert!(fault(400, "AuthorizationHeaderMalformed").to_string().contains("region"));
    place.state().first = vec![(503, String::new()), (500, String::new()), (429, String::new())];
    assert_eq!(listed(&place.target, ""), []);
    place.state().first = vec![(503, String::new()), (503, String::new())];
    assert_eq!(place.target.put_new(&name("a"), b"1", None).unwrap(), Put::Written);
    place.state().first = vec![(200, "<html>maintenance</html>".into())];
    assert!(matches!(place.target.list("", &mut |_| ControlFlow::Continue(())), Err(TargetError::Unavailable(_))));
    // Nobody listens there.
    let folder = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = S3::new(&settings(format!("http://{closed}"), credentials(folder.path(), "AK"), Lock::None)).unwrap();
    assert!(nobody.list("", &mut |_| ControlFlow::Continue(())).unwrap_err().to_string().contains("cannot be reached"));
}

#[test]
fn the_stores_certificate_is_held_to_the_authorities_that_were_named() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (right, wrong) = (pem("right.pem", made.cert.pem()), pem("wrong.pem", other.cert.pem()));
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let store = Store::start(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).ok()?;
        Some(rustls::StreamOwned::new(connection, stream))
    });
    let target = |roots: &Path| {
        let endpoint = format!("https://localhost:{}", store.address.port());
        let settings = settings(endpoint, credentials(folder.path(), "AK"), Lock::None);
        S3::new(&S3Settings { roots: Some(roots.to_owned()), ..settings }).unwrap()
    };
    assert_eq!(target(&right).put_new(&name("a"), b"1", None).unwrap(), Put::Written);
    assert!(matches!(target(&wrong).read(&name("a"), None), Err(TargetError::Unavailable(_))));
}

#[test]
fn settings_that_cannot_be_right_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = settings("http://127.0.0.1:9".into(), credentials(folder.path(), "AK"), Lock::None);
    assert!(S3::new(&good).is_ok());
    let with = |change: fn(&mut S3Settings)| {
        let mut settings = good.clone();
        change(&mut settings);
        S3::new(&settings).is_err()
    };
    assert!(with(|settings| settings.endpoint = "http://user:pw@127.0.0.1:9".into()));
    assert!(with(|settings| settings.endpoint = "http://127.0.0.1:9/path".into()));
    assert!(with(|settings| settings.endpoint = "https://s3.example".into()));
    assert!(with(|settings| settings.endpoint = "s3.example".into()));
    assert!(with(|settings| settings.bucket = "a/../b".into()));
    assert!(with(|settings| settings.prefix = "../up".into()));
    assert!(with(|settings| settings.prefix = "end/".into()));
    assert!(with(|settings| settings.credentials = "/nonexistent".into()));
}

mod real;
