use super::*;
use crate::targets::frames::{self, GREETING, VERSION};
use crate::targets::tests::{listed_names, name};
use crate::targets::{Folder, Receive, ReceiveError, receive};
use rustix::fs::{CWD, FileType, Mode};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tacet_types::{SystemClock, SystemRng};

/// A command in the place of `ssh`: it joins what it is given to two pipes of the file system, at whose other ends a thread of the test serves.
struct Machine {
    place: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("backups")).unwrap();
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> '{0}/asked'\necho 'warning: of the other shell' >&2\nexec 3<&0\ncat <&3 > '{0}/in' &\nexec cat < '{0}/out'\n",
            place.path().display()
        );
        std::fs::write(place.path().join("ssh"), script).unwrap();
        executable(&place.path().join("ssh"));
        for pipe in ["in", "out"] {
            rustix::fs::mknodat(CWD, place.path().join(pipe), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        Self { place }
    }

    fn backups(&self) -> PathBuf {
        self.place.path().join("backups")
    }

    fn settings(&self) -> SshSettings {
        SshSettings {
            host: "backup@vault.example".into(),
            port: Some(2222),
            identity: Some("/etc/tacet/key".into()),
            known_hosts: None,
            command: self.place.path().join("ssh"),
            arguments: vec!["-o".into(), "StrictHostKeyChecking=no".into()],
            stall_s: 20,
        }
    }

    /// Serves the next connection as the thread says.
    fn serve<T: Send + 'static>(&self, act: impl FnOnce(File, File) -> T + Send + 'static) -> JoinHandle<T> {
        let place = self.place.path().to_owned();
        std::thread::spawn(move || {
            let input = File::open(place.join("in")).unwrap();
            let output = File::options().write(true).open(place.join("out")).unwrap();
            act(input, output)
        })
    }

    /// Serves the next connection as a receiver does.
    fn receive(&self, prune: bool, keep_free_bytes: u64) -> JoinHandle<Result<(), ReceiveError>> {
        let path = self.backups();
        self.serve(move |mut input, mut output| {
            let folder = folder(&path);
            receive(&folder, Receive { prune, keep_free_bytes }, &mut input, &mut output)
        })
    }
}

fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
}

fn folder(path: &Path) -> Folder {
    Folder::open(path, Arc::new(SystemClock), Arc::new(SystemRng)).unwrap()
}

#[test]
fn objects_go_to_the_other_machine_and_come_back() {
    let machine = Machine::new();
    let served = machine.receive(false, 0);
    let target = Ssh::new(&machine.settings()).unwrap();
    // Over several frames, and not a whole number of them.
    let large: Vec<u8> = (0..DATA_BYTES_MAX * 2 + 77).map(|at| (at % 251) as u8).collect();
    assert_eq!(target.put_new(&name("segments/a"), &large, None).unwrap(), Put::Written);
    assert_eq!(target.put_new(&name("segments/a"), &large, None).unwrap(), Put::Same);
    assert!(matches!(target.put_new(&name("segments/a"), b"other", None), Err(TargetError::Different(_))));
    assert_eq!(target.put_new(&name("snapshots/1"), b"", None).unwrap(), Put::Written);
    assert_eq!(target.read(&name("segments/a"), None).unwrap(), large);
    assert_eq!(target.read(&name("segments/a"), Some(5..9)).unwrap(), large[5..9]);
    assert_eq!(
        target.read(&name("segments/a"), Some(large.len() as u64 - 2..u64::MAX)).unwrap(),
        large[large.len() - 2..]
    );
    assert_eq!(target.read(&name("segments/a"), Some(9..9)).unwrap(), b"");
    assert!(matches!(target.read(&name("segments/b"), None), Err(TargetError::Absent(_))));
    assert_eq!(listed_names(&target, ""), ["segments/a", "snapshots/1"]);
    assert_eq!(listed_names(&target, "sn"), ["snapshots/1"]);
    drop(target);
    served.join().unwrap().unwrap();
    assert_eq!(std::fs::read(machine.backups().join("segments/a")).unwrap(), large);
    // One connection did all that, and what stands before the operator's arguments keeps the host's key checked.
    let asked = std::fs::read_to_string(machine.place.path().join("asked")).unwrap();
    assert_eq!(asked.lines().count(), 1);
    let strict = asked.find("StrictHostKeyChecking=yes").unwrap();
    assert!(strict < asked.find("StrictHostKeyChecking=no").unwrap());
    assert!(asked.trim_end().ends_with("-- backup@vault.example tacet backup receive"), "{asked}");
}

#[test]
fn a_listing_of_many_pages_can_be_broken_off_and_the_next_call_works() {
    let machine = Machine::new();
    let there = folder(&machine.backups());
    let names: Vec<_> = (0..frames::NAMES_MAX * 2 + 5).map(|number| name(&format!("segments/{number:05}"))).collect();
    for name in &names {
        there.put_new(name, b"x", None).unwrap();
    }
    let served = machine.receive(false, 0);
    let target = Ssh::new(&machine.settings()).unwrap();
    assert_eq!(listed_names(&target, "").len(), names.len());
    let mut seen = 0;
    target
        .list("", &mut |_| {
            seen += 1;
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(seen, 1);
    served.join().unwrap().unwrap();
    let again = machine.receive(false, 0);
    assert_eq!(target.read(&name("segments/00000"), None).unwrap(), b"x");
    drop(target);
    again.join().unwrap().unwrap();
}

/// The attacker with this machine's key, who speaks the protocol well: all that can be done is to add.
#[test]
fn whoever_has_the_key_can_add_and_nothing_else() {
    let machine = Machine::new();
    let there = folder(&machine.backups());
    let names: Vec<_> = (0..5).map(|number| name(&format!("snapshots/{number:012}"))).collect();
    for name in &names {
        there.put_new(name, name.as_str().as_bytes(), None).unwrap();
    }
    let served = machine.receive(false, 0);
    let attacker = Ssh::new(&machine.settings()).unwrap();
    for name in &names {
        for rubbish in [&b""[..], b"x", &[0; 5000]] {
            assert!(matches!(attacker.put_new(name, rubbish, None), Err(TargetError::Different(_))));
        }
        assert!(matches!(attacker.remove(name), Err(TargetError::Refused(_))));
    }
    assert!(attacker.put_new(&name("snapshots/000000000001/x"), b"x", None).is_err());
    assert!(
        attacker
            .put_new(&name("locked"), b"x", Some(Timestamp::from_ms(i64::MAX)))
            .unwrap_err()
            .to_string()
            .contains("twenty")
    );
    attacker.put_new(&name("rubbish"), &[7; 100_000], None).unwrap();
    drop(attacker);
    served.join().unwrap().unwrap();
    for name in &names {
        assert_eq!(there.read(name, None).unwrap(), name.as_str().as_bytes());
    }
    assert_eq!(listed_names(&there, "").len(), 6);
}

#[test]
fn the_receiver_refuses_removing_and_strange_messages_whatever_the_client_knows() {
    let place = tempfile::tempdir().unwrap();
    let folder = folder(place.path());
    folder.put_new(&name("a"), b"1", None).unwrap();
    let hello = Message::Hello { oldest: VERSION, newest: VERSION };
    let put = |bytes, digest| Message::Put { name: name("b"), bytes, digest, keep_until: None };
    let sum = |bytes: &[u8]| <[u8; 32]>::try_from(digest(&SHA256, bytes).as_ref()).unwrap();
    let talk = |messages: &[Message], tail: &[u8]| {
        let mut input = GREETING.to_vec();
        messages.iter().for_each(|message| frames::write(&mut input, message).unwrap());
        input.extend_from_slice(tail);
        let mut output = Vec::new();
        let ended = receive(&folder, Receive { prune: false, keep_free_bytes: 0 }, &mut input.as_slice(), &mut output);
        let mut answers = Vec::new();
        let mut rest = output.strip_prefix(GREETING.as_slice()).unwrap();
        while !rest.is_empty() {
            answers.push(frames::read(&mut rest).unwrap());
        }
        (ended, answers)
    };
    let failed = |answers: &[Message], wanted: Why| matches!(answers.last(), Some(Message::Failed { why, .. }) if *why == wanted);

    let (ended, answers) = talk(&[hello.clone(), Message::Remove { name: name("a") }], b"");
    assert!(ended.is_ok() && failed(&answers, Why::Refused));
    // Fewer bytes than were said, more, others, and none.
    let (ended, answers) = talk(&[hello.clone(), put(3, sum(b"abc")), Message::Data(b"ab".to_vec())], b"");
    assert!(ended.is_err() && answers.last() == Some(&Message::GoOn));
    let (ended, answers) = talk(&[hello.clone(), put(3, sum(b"abc")), Message::Data(b"abcd".to_vec())], b"");
    assert!(ended.is_err() && failed(&answers, Why::Protocol));
    let (ended, answers) = talk(&[hello.clone(), put(3, sum(b"abc")), Message::Data(b"abd".to_vec())], b"");
    assert!(ended.is_ok() && failed(&answers, Why::Unavailable));
    let (ended, answers) = talk(&[hello.clone(), put(3, sum(b"abc")), Message::Removed], b"");
    assert!(ended.is_err() && failed(&answers, Why::Protocol));
    // A name that is none, a hello in the middle, no hello at all, another version.
    let mut bad = vec![0x40, 0, 0, 0, 3, 2, b'.', b'.'];
    let sum_of = sum(&bad);
    bad.extend_from_slice(&sum_of[..16]);
    let (ended, answers) = talk(std::slice::from_ref(&hello), &bad);
    assert!(ended.is_err() && failed(&answers, Why::Protocol));
    let (ended, answers) = talk(&[hello.clone(), hello.clone()], b"");
    assert!(ended.is_err() && failed(&answers, Why::Protocol));
    let (ended, answers) = talk(&[Message::Remove { name: name("a") }], b"");
    assert!(ended.is_err() && failed(&answers, Why::Protocol));
    let (ended, _) = talk(&[Message::Hello { oldest: 2, newest: 9 }], b"");
    assert!(matches!(ended, Err(ReceiveError::Version { oldest: 2, newest: 9 })));
    let mut answered = Vec::new();
    let shell =
        receive(&folder, Receive { prune: true, keep_free_bytes: 0 }, &mut &b"rm -rf / ; exit\n"[..], &mut answered);
    assert!(matches!(shell, Err(ReceiveError::Greeting)));
    assert_eq!(
        (listed_names(&folder, ""), folder.read(&name("a"), None).unwrap()),
        (vec!["a".to_owned()], b"1".to_vec())
    );
    assert_eq!(std::fs::read_dir(place.path().join(".incoming")).unwrap().count(), 0);
}

#[test]
fn what_would_take_the_last_room_is_refused() {
    let machine = Machine::new();
    let served = machine.receive(false, u64::MAX / 2);
    let target = Ssh::new(&machine.settings()).unwrap();
    let error = target.put_new(&name("a"), b"x", None).unwrap_err();
    assert!(matches!(&error, TargetError::Refused(text) if text.contains("room")), "{error}");
    drop(target);
    served.join().unwrap().unwrap();
    assert!(!machine.backups().join("a").exists());
}

#[test]
fn the_pruning_accounts_receiver_removes_what_is_not_kept_any_more() {
    let machine = Machine::new();
    let there = folder(&machine.backups());
    there.put_new(&name("old"), b"1", None).unwrap();
    let later = tacet_types::Clock::now(&SystemClock).plus_ms(3_600_000);
    there.put_new(&name("kept"), b"2", Some(later)).unwrap();
    let served = machine.receive(true, 0);
    let target = Ssh::new(&machine.settings()).unwrap();
    target.remove(&name("old")).unwrap();
    target.remove(&name("old")).unwrap();
    assert!(target.remove(&name("kept")).unwrap_err().to_string().contains("until"));
    drop(target);
    served.join().unwrap().unwrap();
    assert_eq!(listed_names(&there, ""), ["kept"]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn a_receiver_given_any_messages_keeps_what_it_has(
        frames_given in proptest::collection::vec((proptest::sample::select(vec![0x10, 0x12, 0x20, 0x30, 0x40, 0x77]), body()), 0..8),
    ) {
        let place = tempfile::tempdir().unwrap();
        let folder = folder(place.path());
        folder.put_new(&name("a"), b"kept", None).unwrap();
        let mut input = GREETING.to_vec();
        frames::write(&mut input, &Message::Hello { oldest: VERSION, newest: VERSION }).unwrap();
        for (kind, body) in &frames_given {
            input.extend_from_slice(&frames::framed(*kind, body));
        }
        let _ = receive(&folder, Receive { prune: false, keep_free_bytes: 0 }, &mut input.as_slice(), &mut Vec::new());
        proptest::prop_assert_eq!(folder.read(&name("a"), None).unwrap(), b"kept");
    }
}

/// Bodies that often begin with a name.
fn body() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    let names = proptest::sample::select(vec![&b"\x01a"[..], b"\x03a/b", b"\x01b", b"\x02..", b""]);
    let rest = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        (0..9u64).prop_map(|bytes| [&bytes.to_be_bytes()[..], &[0; 33]].concat()),
        Just(vec![0; 16]),
    ];
    (names, rest).prop_map(|(name, rest)| [name, rest.as_slice()].concat())
}

/// A receiver that lies: whatever it says, the client ends with an error and in bounded memory.
#[test]
fn a_hostile_receiver_gets_nothing_past_the_client() {
    type Liar = fn(&mut File, Message);
    let liars: [(&str, Liar); 9] = [
        ("found too much", |to, _| say(to, &[Message::Found { bytes: 9, digest: [0; 32] }])),
        ("found the wrong bytes", |to, _| {
            say(to, &[Message::Found { bytes: 3, digest: [0; 32] }, Message::Data(vec![1, 2, 3])])
        }),
        ("sent more than it said", |to, _| {
            say(to, &[Message::Found { bytes: 2, digest: [0; 32] }, Message::Data(vec![1, 2, 3])])
        }),
        ("another answer", |to, _| say(to, &[Message::Written])),
        ("repeats itself", |to, _| say(to, &[Message::Names(vec![entry("a"), entry("a")]), Message::End { count: 2 }])),
        ("a hole", |to, _| say(to, &[Message::Names(vec![entry("a")]), Message::End { count: 2 }])),
        ("backwards", |to, _| say(to, &[Message::Names(vec![entry("b"), entry("a")])])),
        ("rubbish", |to, _| to.write_all(&[0x55; 4000]).unwrap_or(())),
        ("nothing", |_, _| {}),
    ];
    for (what, liar) in liars {
        let machine = Machine::new();
        let target = Ssh::new(&machine.settings()).unwrap();
        let served = machine.serve(move |mut input, mut output| {
            let mut greeting = [0; GREETING.len()];
            input.read_exact(&mut greeting).unwrap();
            output.write_all(GREETING).unwrap();
            frames::read(&mut input).unwrap();
            say(&mut output, &[Message::Welcome { version: VERSION, prune: false }]);
            if let Ok(question) = frames::read(&mut input) {
                liar(&mut output, question);
            }
        });
        let error = match what {
            "repeats itself" | "a hole" | "backwards" => {
                target.list("", &mut |_| ControlFlow::Continue(())).unwrap_err()
            }
            _ => target.read(&name("a"), Some(0..3)).unwrap_err(),
        };
        assert!(matches!(error, TargetError::Unavailable(_)), "{what}: {error}");
        assert!(error.to_string().contains("vault.example"), "{what}: {error}");
        drop(target);
        served.join().unwrap();
    }
}

fn say(to: &mut File, messages: &[Message]) {
    for message in messages {
        // The client may have gone by now.
        let _ = frames::write(to, message);
    }
}

fn entry(text: &str) -> Listed {
    Listed { name: name(text), bytes: 1 }
}

#[test]
fn what_ssh_says_of_its_failure_is_told_cleaned_and_a_shell_that_greets_is_noticed() {
    let place = tempfile::tempdir().unwrap();
    let command = place.path().join("ssh");
    let ssh = |script: &str| {
        std::fs::write(&command, format!("#!/bin/sh\n{script}\n")).unwrap();
        executable(&command);
        let settings = SshSettings {
            host: "vault".into(),
            port: None,
            identity: None,
            known_hosts: Some("/etc/tacet/known_hosts".into()),
            command: command.clone(),
            arguments: vec![],
            stall_s: 1,
        };
        Ssh::new(&settings).unwrap().read(&name("a"), None).unwrap_err().to_string()
    };
    let denied = ssh("printf 'Permission denied \\033[31m(publickey)\\n' >&2; exit 255");
    assert!(denied.contains("Permission denied ?[31m(publickey)"), "{denied}");
    assert!(ssh("echo 'Welcome to Ubuntu, you have mail'; cat > /dev/null").contains("no receiver"));
    // It never answers: the watchdog ends it.
    assert!(ssh("sleep 600").contains("nothing moved"));
    std::fs::remove_file(&command).unwrap();
    let settings = SshSettings {
        host: "vault".into(),
        port: None,
        identity: None,
        known_hosts: None,
        command,
        arguments: vec![],
        stall_s: 1,
    };
    assert!(Ssh::new(&settings).unwrap().read(&name("a"), None).unwrap_err().to_string().contains("cannot be run"));
    for bad in ["", "-oProxyCommand=x", "a b", "a\nb"] {
        assert!(Ssh::new(&SshSettings { host: bad.into(), ..settings.clone() }).is_err(), "{bad:?}");
    }
}

mod real;
