use super::*;
use crate::targets::tests::{listed, name};
use std::os::unix::fs::{PermissionsExt, symlink};
use tacet_types::{SeededRng, SystemRng};

/// A clock that a test sets.
struct Set(std::sync::atomic::AtomicI64);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// Long before any file of a test was written would be no good: the files' own times are the machine's.
const LATE_MS: i64 = 4_000_000_000_000;

fn set(ms: i64) -> Arc<Set> {
    Arc::new(Set(ms.into()))
}

fn folder(path: &Path) -> Folder {
    Folder::open(path, set(LATE_MS), Arc::new(SystemRng)).unwrap()
}

#[test]
fn what_is_put_is_read_listed_and_never_written_over() {
    let place = tempfile::tempdir().unwrap();
    let target = folder(place.path());
    assert_eq!(listed(&target, ""), []);
    assert!(matches!(target.read(&name("a"), None), Err(TargetError::Absent(_))));
    assert_eq!(target.put_new(&name("segments/ab/cd"), b"sealed", None).unwrap(), Put::Written);
    assert_eq!(target.put_new(&name("segments/ab/cd"), b"sealed", None).unwrap(), Put::Same);
    for other in [&b"sealeD"[..], b"seale", b"sealed!", b""] {
        assert!(matches!(target.put_new(&name("segments/ab/cd"), other, None), Err(TargetError::Different(_))));
    }
    assert_eq!(target.read(&name("segments/ab/cd"), None).unwrap(), b"sealed");
    assert_eq!(target.read(&name("segments/ab/cd"), Some(2..4)).unwrap(), b"al");
    assert_eq!(target.read(&name("segments/ab/cd"), Some(4..99)).unwrap(), b"ed");
    for nothing in [99..100, 6..7, 3..3, u64::MAX - 1..u64::MAX] {
        assert_eq!(target.read(&name("segments/ab/cd"), Some(nothing)).unwrap(), b"");
    }
    let file = place.path().join("segments/ab/cd");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o400);
    assert_eq!(std::fs::read_dir(place.path().join(INCOMING)).unwrap().count(), 0);
}

#[test]
fn listings_are_in_the_order_of_whole_names_and_stop_when_told() {
    let place = tempfile::tempdir().unwrap();
    let target = folder(place.path());
    let mut names = vec!["a/b", "a-b", "a.b", "a0", "b", "snapshots/1-a.json", "snapshots/10-b.json", "snap", "a/c/d"];
    for text in &names {
        target.put_new(&name(text), text.as_bytes(), None).unwrap();
    }
    names.sort_unstable();
    let all: Vec<_> = names.iter().map(|text| ((*text).to_owned(), text.len() as u64)).collect();
    assert_eq!(listed(&target, ""), all);
    for prefix in ["a", "a/", "a/c", "snap", "snapshots/1", "snapshots/1-", "z", "a/b/"] {
        let some: Vec<_> = all.iter().filter(|(text, _)| text.starts_with(prefix)).cloned().collect();
        assert_eq!(listed(&target, prefix), some, "{prefix}");
    }
    let mut seen = 0;
    target
        .list("", &mut |_| {
            seen += 1;
            if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(seen, 3);
}

#[test]
fn a_folder_of_other_things_a_link_and_a_file_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let open = |path: &Path| Folder::open(path, set(LATE_MS), Arc::new(SystemRng)).err().map(|error| error.to_string());
    let full = place.path().join("full");
    std::fs::create_dir_all(&full).unwrap();
    std::fs::write(full.join("thesis.odt"), "x").unwrap();
    assert!(open(&full).unwrap().contains("`thesis.odt`"));
    let good = place.path().join("good");
    std::fs::create_dir(&good).unwrap();
    std::fs::create_dir(good.join(HARMLESS)).unwrap();
    assert_eq!(open(&good), None);
    symlink(&good, place.path().join("link")).unwrap();
    assert!(open(&place.path().join("link")).unwrap().contains("symbolic link"));
    assert!(open(&full.join("thesis.odt")).unwrap().contains("no folder"));
    assert!(open(&place.path().join("none")).unwrap().contains("mount"));
    std::fs::write(good.join(MARKER), "tacet backup folder 9\n").unwrap();
    assert!(open(&good).unwrap().contains("format"));
}

#[test]
fn a_folder_that_loses_its_marker_is_not_taken_for_an_empty_one() {
    let place = tempfile::tempdir().unwrap();
    let target = folder(place.path());
    target.put_new(&name("a"), b"1", None).unwrap();
    // What an unmounted disk leaves: an empty directory in its place.
    std::fs::remove_file(place.path().join("a")).unwrap();
    std::fs::remove_file(place.path().join(MARKER)).unwrap();
    assert!(target.put_new(&name("b"), b"2", None).unwrap_err().to_string().contains("mounted"));
    assert!(target.list("", &mut |_| ControlFlow::Continue(())).is_err());
}

#[test]
fn links_and_strangers_things_in_the_folder_are_not_followed_nor_listed() {
    let place = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("secret"), "root:x").unwrap();
    let target = folder(place.path());
    target.put_new(&name("segments/a"), b"1", None).unwrap();
    symlink(elsewhere.path().join("secret"), place.path().join("segments/b")).unwrap();
    symlink(elsewhere.path(), place.path().join("snapshots")).unwrap();
    std::fs::write(place.path().join("segments/Odd Name"), "x").unwrap();
    std::fs::write(place.path().join("segments/.hidden"), "x").unwrap();
    std::fs::create_dir(place.path().join("segments/c")).unwrap();
    assert_eq!(listed(&target, ""), [("segments/a".to_owned(), 1)]);
    for odd in ["segments/b", "segments/c", "snapshots/secret", "segments/a/x"] {
        assert!(matches!(target.read(&name(odd), None), Err(TargetError::Unavailable(_))), "{odd}");
        assert!(target.put_new(&name(odd), b"2", None).is_err(), "{odd}");
    }
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read(elsewhere.path().join("secret")).unwrap(), b"root:x");
}

#[test]
fn leftovers_of_a_writer_that_died_go_and_those_of_a_living_one_stay() {
    let place = tempfile::tempdir().unwrap();
    let target = folder(place.path());
    target.put_new(&name("a"), b"1", None).unwrap();
    let incoming = place.path().join(INCOMING);
    std::fs::write(incoming.join("0123456789abcdef"), "half").unwrap();
    let mut living = target.begin().unwrap();
    living.write(b"half of a longer object").unwrap();
    assert_eq!(listed(&target, ""), [("a".to_owned(), 1)]);
    // The next program that writes sweeps once.
    let next = folder(place.path());
    next.put_new(&name("b"), b"2", None).unwrap();
    assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 1);
    assert_eq!(target.finish(living, &name("c"), None).unwrap(), Put::Written);
    assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 0);
}

#[test]
fn of_writers_of_one_name_at_the_same_time_one_wins_and_the_others_are_told() {
    let place = tempfile::tempdir().unwrap();
    let target = folder(place.path());
    let mut uploads: Vec<_> = (0..4).map(|_| target.begin().unwrap()).collect();
    for (number, upload) in uploads.iter_mut().enumerate() {
        upload.write(if number == 3 { b"other" } else { b"bytes" }).unwrap();
    }
    let ends: Vec<_> = uploads.into_iter().map(|upload| target.finish(upload, &name("x"), None)).collect();
    assert!(matches!(ends[0], Ok(Put::Written)));
    assert!(matches!(ends[1], Ok(Put::Same)) && matches!(ends[2], Ok(Put::Same)));
    assert!(matches!(ends[3], Err(TargetError::Different(_))));
    assert_eq!(target.read(&name("x"), None).unwrap(), b"bytes");
}

#[test]
fn an_object_is_kept_until_its_time_and_the_time_only_grows() {
    let place = tempfile::tempdir().unwrap();
    let clock = set(LATE_MS);
    let target = Folder::open(place.path(), Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SeededRng::new(1))).unwrap();
    let at = |ms: i64| Some(Timestamp::from_ms(LATE_MS + ms));
    target.put_new(&name("a"), b"1", at(2000)).unwrap();
    target.put_new(&name("b"), b"2", None).unwrap();
    assert!(matches!(target.remove(&name("a")), Err(TargetError::Refused(_))));
    target.remove(&name("b")).unwrap();
    target.remove(&name("b")).unwrap();
    assert_eq!(target.put_new(&name("a"), b"1", at(5000)).unwrap(), Put::Same);
    assert_eq!(target.put_new(&name("a"), b"1", at(1000)).unwrap(), Put::Same);
    clock.0.store(LATE_MS + 4999, Ordering::SeqCst);
    assert!(target.remove(&name("a")).unwrap_err().to_string().contains("until"));
    clock.0.store(LATE_MS + 5000, Ordering::SeqCst);
    target.remove(&name("a")).unwrap();
    assert_eq!(listed(&target, ""), []);
}

/// What a thief of the account that writes can do to a folder, said as it is: it owns the files, so it can remove them. Hence the
/// two other targets. Through the target itself nothing is changed.
#[test]
fn through_the_target_nothing_that_is_there_changes() {
    let place = tempfile::tempdir().unwrap();
    let target = folder(place.path());
    let names: Vec<_> = (0..20).map(|number| name(&format!("segments/{number:02}"))).collect();
    for (number, name) in names.iter().enumerate() {
        target.put_new(name, &[number as u8; 100], None).unwrap();
    }
    for name in &names {
        let rubbish = [&b""[..], b"x", &[0xff; 100], &[0; 10_000]];
        assert!(rubbish.iter().all(|rubbish| target.put_new(name, rubbish, None).is_err()));
        let inside = ObjectName::parse(&format!("{name}/below")).unwrap();
        assert!(target.put_new(&inside, b"x", None).is_err());
    }
    for (number, name) in names.iter().enumerate() {
        assert_eq!(target.read(name, None).unwrap(), [number as u8; 100]);
    }
}
