use super::*;
use crate::vectors;
use crate::{InProcessKeeper, KeeperLimits, KeyKeeper, OnBehalf, WrappedKey};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tacet_types::{ManualClock, SeededRng, Timestamp};
use tempfile::TempDir;

const PASSPHRASE: &str = "correct horse battery";
const CHEAP: PassphraseCost = PassphraseCost::DANGEROUSLY_CHEAP;

struct Scene {
    directory: TempDir,
    rng: SeededRng,
}

impl Scene {
    fn new(seed: u64) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), rng: SeededRng::new(seed) }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("root.key")
    }

    fn create(&self) -> (RootFile, Vec<RecoveryShare>) {
        RootFile::create(&self.path(), PASSPHRASE, Split::DEFAULT, CHEAP, &self.rng).unwrap()
    }

    fn unlock(&self) -> Result<RootFile, RootError> {
        RootFile::unlock(&self.path(), PASSPHRASE)
    }
}

fn keeper(file: &RootFile) -> InProcessKeeper {
    let clock = Arc::new(ManualClock::new(Timestamp::from_ms(0)));
    InProcessKeeper::new(file.keys(), clock, Arc::new(SeededRng::new(99)), KeeperLimits::default())
}

fn opens(file: &RootFile, wrapped: &WrappedKey) -> bool {
    keeper(file).unwrap(wrapped, b"patient", OnBehalf::Start).is_ok()
}

#[test]
fn a_new_file_opens_with_its_passphrase_only() {
    let scene = Scene::new(1);
    let (made, shares) = scene.create();
    assert_eq!(shares.len(), 5);
    let opened = scene.unlock().unwrap();
    assert!(opened.keys().iter().eq(made.keys().iter()));
    assert_eq!(opened.info(), RootInfo { revision: 1, split: Split::DEFAULT, cost: CHEAP });
    assert_eq!(RootFile::inspect(&scene.path()).unwrap(), opened.info());
    for wrong in ["", "correct horse batterz", "correct horse battery ", "Correct horse battery"] {
        let error = RootFile::unlock(&scene.path(), wrong).err().unwrap();
        assert!(matches!(error, RootError::WrongPassphrase { threshold: 3 }), "{error}");
    }
    assert_eq!(fs::metadata(scene.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(scene.directory.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn the_file_holds_no_key_in_clear() {
    let scene = Scene::new(1);
    let (made, _) = scene.create();
    let bytes = fs::read(scene.path()).unwrap();
    let secrets = made.keys().iter().map(|(_, key)| key).chain([&made.payload.recovery, &made.passphrase_key]);
    for secret in secrets {
        assert!(!bytes.windows(8).any(|window| secret.as_bytes().windows(8).any(|part| part == window)));
    }
}

#[test]
fn a_file_is_never_overwritten() {
    let scene = Scene::new(1);
    scene.create();
    let before = fs::read(scene.path()).unwrap();
    let again = RootFile::create(&scene.path(), PASSPHRASE, Split::DEFAULT, CHEAP, &scene.rng);
    assert!(matches!(again, Err(RootError::Exists)));
    fs::write(scene.path(), b"something else").unwrap();
    let again = RootFile::create(&scene.path(), PASSPHRASE, Split::DEFAULT, CHEAP, &scene.rng);
    assert!(matches!(again, Err(RootError::Exists)));
    assert_eq!(fs::read(scene.path()).unwrap(), b"something else");
    assert_eq!(fs::read_dir(scene.directory.path()).unwrap().count(), 1);
    assert!(!before.is_empty());
}

#[test]
fn what_is_not_a_closed_root_key_file_is_refused() {
    let scene = Scene::new(1);
    assert!(matches!(scene.unlock(), Err(RootError::Missing)));
    scene.create();
    for mode in [0o640, 0o604, 0o660, 0o777, 0o610] {
        fs::set_permissions(scene.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(scene.unlock(), Err(RootError::OpenToOthers { mode: found }) if found == mode));
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(scene.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert!(scene.unlock().is_ok());
    }
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let good = fs::read(scene.path()).unwrap();
    for (bytes, expected) in [
        (vec![], "NotARootKeyFile"),
        (b"hello".to_vec(), "NotARootKeyFile"),
        (vec![0; 100_000], "NotARootKeyFile"),
        (good[..good.len() - 1].to_vec(), "Damaged"),
        ([&good[..8], &[2], &good[9..]].concat(), "NewerFormat"),
    ] {
        fs::write(scene.path(), bytes).unwrap();
        assert_eq!(vectors::name_of(&scene.unlock().err().unwrap()), expected);
    }
    fs::remove_file(scene.path()).unwrap();
    fs::create_dir(scene.path()).unwrap();
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(scene.unlock().is_err());
}

#[test]
fn weak_passphrases_are_refused_before_anything_is_written() {
    let scene = Scene::new(1);
    let short = RootFile::create(&scene.path(), "short", Split::DEFAULT, CHEAP, &scene.rng);
    assert!(matches!(short, Err(RootError::PassphraseTooShort { .. })));
    assert!(!scene.path().exists());
    let (mut file, shares) = scene.create();
    assert!(file.change_passphrase("short", CHEAP, &scene.rng).is_err());
    assert!(RootFile::recover(&scene.path(), &shares, "short", &scene.rng).is_err());
    assert!(scene.unlock().is_ok());
}

#[test]
fn a_new_passphrase_replaces_the_old_one_and_keeps_the_shares() {
    let scene = Scene::new(1);
    let (mut file, shares) = scene.create();
    let dearer = PassphraseCost::new(128, 2, 1).unwrap();
    file.change_passphrase("another long passphrase", dearer, &scene.rng).unwrap();
    assert!(matches!(scene.unlock(), Err(RootError::WrongPassphrase { .. })));
    let opened = RootFile::unlock(&scene.path(), "another long passphrase").unwrap();
    assert_eq!(opened.info(), RootInfo { revision: 2, split: Split::DEFAULT, cost: dearer });
    assert!(opened.keys().iter().eq(file.keys().iter()));
    let recovered = RootFile::recover(&scene.path(), &shares[..3], PASSPHRASE, &scene.rng).unwrap();
    assert!(recovered.keys().iter().eq(file.keys().iter()));
}

#[test]
fn shares_recover_through_rotations_until_new_ones_are_made() {
    let scene = Scene::new(1);
    let (mut file, shares) = scene.create();
    file.begin_rotation(&scene.rng).unwrap();
    let mut during = RootFile::recover(&scene.path(), &shares[1..4], "the second passphrase", &scene.rng).unwrap();
    assert!(during.keys().rotating() && during.keys().iter().eq(file.keys().iter()));
    during.finish_rotation(&scene.rng).unwrap();
    let mut after = RootFile::recover(&scene.path(), &shares[2..], "the third passphrase", &scene.rng).unwrap();
    assert_eq!((after.keys().generation(), after.keys().rotating()), (2, false));
    assert!(RootFile::unlock(&scene.path(), "the third passphrase").is_ok());
    assert!(RootFile::unlock(&scene.path(), "the second passphrase").is_err());

    let newer = after.new_shares(Split::new(2, 3).unwrap(), &scene.rng).unwrap();
    assert_eq!(newer.len(), 3);
    let old = RootFile::recover(&scene.path(), &shares, PASSPHRASE, &scene.rng);
    assert!(matches!(old, Err(RootError::ReplacedShare { index: 1 })));
    assert!(RootFile::unlock(&scene.path(), "the third passphrase").is_ok(), "the passphrase stays");
    let recovered = RootFile::recover(&scene.path(), &newer[1..], PASSPHRASE, &scene.rng).unwrap();
    assert!(recovered.keys().iter().eq(after.keys().iter()));
    assert!(matches!(
        RootFile::recover(&scene.path(), &newer[1..2], PASSPHRASE, &scene.rng),
        Err(RootError::TooFewShares { .. })
    ));
}

#[test]
fn shares_of_another_file_do_not_recover() {
    let (one, two) = (Scene::new(1), Scene::new(2));
    let ((_, shares), (_, foreign)) = (one.create(), two.create());
    let mixed = [shares[0].clone(), foreign[1].clone(), shares[2].clone()];
    let outcome = RootFile::recover(&one.path(), &mixed, PASSPHRASE, &one.rng);
    assert!(matches!(outcome, Err(RootError::ForeignShare { index: 2 })));
    assert_eq!(one.unlock().unwrap().info().revision, 1, "nothing was written");
}

#[test]
fn a_file_changed_by_somebody_else_is_not_overwritten() {
    let scene = Scene::new(1);
    let (mut first, _) = scene.create();
    let mut second = scene.unlock().unwrap();
    first.begin_rotation(&scene.rng).unwrap();
    assert!(matches!(second.begin_rotation(&scene.rng), Err(RootError::ChangedMeanwhile)));
    let found = scene.unlock().unwrap();
    assert!(found.keys().iter().eq(first.keys().iter()));
    fs::remove_file(scene.path()).unwrap();
    assert!(matches!(first.finish_rotation(&scene.rng), Err(RootError::ChangedMeanwhile)));
    assert!(!scene.path().exists());
}

#[test]
fn two_writers_do_not_meet() {
    let scene = Scene::new(1);
    let (mut first, _) = scene.create();
    let mut second = scene.unlock().unwrap();
    let mut met = false;
    let outcome = first.begin_rotation_seen(&scene.rng, &mut |step| {
        if step == Step::HalfWritten {
            met = true;
            assert!(matches!(second.begin_rotation(&scene.rng), Err(RootError::Busy)));
        }
        Ok(())
    });
    assert!(outcome.is_ok() && met);
    assert!(scene.unlock().is_ok());
}

const STEPS: [Step; 6] =
    [Step::Created, Step::HalfWritten, Step::Written, Step::Synced, Step::Renamed, Step::DirectorySynced];

/// A process killed after `step`: what it did so far stays, nothing after it happens.
fn killed_after(step: Step) -> impl FnMut(Step) -> io::Result<()> {
    move |seen| if seen == step { Err(io::Error::other("killed")) } else { Ok(()) }
}

#[test]
fn a_rotation_killed_at_any_point_loses_nothing() {
    for killed_in_begin in STEPS {
        for killed_in_finish in STEPS {
            let scene = Scene::new(1);
            let (mut file, shares) = scene.create();
            let wrapped = keeper(&file).wrap(&Key::from_bytes([42; 32]), b"patient").unwrap();

            assert!(file.begin_rotation_seen(&scene.rng, &mut killed_after(killed_in_begin)).is_err());
            drop(file);
            let mut file = scene.unlock().unwrap();
            let renamed = matches!(killed_in_begin, Step::Renamed | Step::DirectorySynced);
            assert_eq!(file.keys().rotating(), renamed, "{killed_in_begin:?}");
            assert!(opens(&file, &wrapped), "{killed_in_begin:?}");
            assert!(RootFile::recover(&scene.path(), &shares[..3], PASSPHRASE, &scene.rng).is_ok());

            file = scene.unlock().unwrap();
            assert_eq!(file.begin_rotation(&scene.rng).unwrap(), 2, "taken up again, not begun twice");
            assert!(opens(&file, &wrapped));
            let rewrapped = keeper(&file).rewrap(&wrapped, b"patient").unwrap().unwrap();

            assert!(file.finish_rotation_seen(&scene.rng, &mut killed_after(killed_in_finish)).is_err());
            drop(file);
            let mut file = scene.unlock().unwrap();
            assert!(opens(&file, &rewrapped), "{killed_in_finish:?}");
            file.finish_rotation(&scene.rng).unwrap();
            assert!(!file.keys().rotating());
            assert!(opens(&file, &rewrapped) && !opens(&file, &wrapped));
            assert!(opens(&scene.unlock().unwrap(), &rewrapped));
            let last = RootFile::recover(&scene.path(), &shares[2..], PASSPHRASE, &scene.rng).unwrap();
            assert!(opens(&last, &rewrapped), "the shares of the first day still recover");
            assert_eq!(fs::read_dir(scene.directory.path()).unwrap().count(), 1, "no leftover survives the next write");
        }
    }
}

#[test]
fn a_leftover_of_any_kind_does_not_stop_the_next_write() {
    let scene = Scene::new(1);
    let (mut file, _) = scene.create();
    let leftover = scene.directory.path().join(".root.key.new");
    fs::write(&leftover, vec![0xff; 10_000]).unwrap();
    fs::set_permissions(&leftover, fs::Permissions::from_mode(0o666)).unwrap();
    file.begin_rotation(&scene.rng).unwrap();
    assert!(!leftover.exists());
    assert_eq!(fs::metadata(scene.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(scene.unlock().unwrap().keys().rotating());
    // A link in its place is not followed.
    let victim = scene.directory.path().join("victim");
    fs::write(&victim, b"mine").unwrap();
    std::os::unix::fs::symlink(&victim, &leftover).unwrap();
    assert!(matches!(file.finish_rotation(&scene.rng), Err(RootError::Io(_))));
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

#[test]
fn generations_do_not_wrap_around() {
    let keys = RootKeys::for_tests(vec![(u32::MAX, Key::from_bytes([1; 32]))]);
    let outcome = keys.with_next(&SeededRng::new(1));
    assert!(matches!(outcome, Err(RootError::GenerationsUsedUp { generation: u32::MAX })));
}

#[test]
fn errors_and_debug_output_name_no_secret() {
    let scene = Scene::new(1);
    let (file, shares) = scene.create();
    assert_eq!(format!("{file:?}"), "RootFile(revision 1, RootKeys(generation 1, ..), ..)");
    let error = RootFile::unlock(&scene.path(), "a very secret passphrase").err().unwrap();
    assert!(!format!("{error} {error:?}").contains("secret"));
    assert!(!format!("{:?}", shares[0]).contains(&shares[0].to_text()[30..40]));
}

#[derive(Serialize, Deserialize)]
struct RootVectors {
    passphrase: String,
    threshold: u8,
    generations: Vec<(u32, String)>,
    file: String,
    shares: Vec<String>,
    malformed_shares: Vec<(String, String)>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_committed_file_opens_and_its_shares_recover() {
    let vectors: RootVectors = vectors::read("root-key.json");
    let scene = Scene::new(3);
    let bytes: Vec<u8> = (0..vectors.file.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&vectors.file[at..at + 2], 16).unwrap())
        .collect();
    fs::write(scene.path(), bytes).unwrap();
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let listed = |file: &RootFile| -> Vec<(u32, String)> {
        file.keys().iter().map(|(generation, key)| (generation, hex(key.as_bytes()))).collect()
    };
    assert_eq!(listed(&RootFile::unlock(&scene.path(), &vectors.passphrase).unwrap()), vectors.generations);
    let shares: Vec<RecoveryShare> =
        vectors.shares.iter().skip(2).map(|text| RecoveryShare::parse(text).unwrap()).collect();
    assert_eq!(shares.len(), usize::from(vectors.threshold));
    assert_eq!(
        listed(&RootFile::recover(&scene.path(), &shares, PASSPHRASE, &scene.rng).unwrap()),
        vectors.generations
    );
    assert!(vectors.malformed_shares.len() >= 8);
    for (text, expected) in &vectors.malformed_shares {
        assert_eq!(&vectors::name_of(&RecoveryShare::parse(text).err().unwrap()), expected, "{text}");
    }
}

#[test]
#[ignore = "writes the vectors anew"]
fn write_vectors() {
    let scene = Scene::new(2026);
    let (mut file, shares) = scene.create();
    file.begin_rotation(&scene.rng).unwrap();
    let shares: Vec<String> = shares.iter().map(|share| share.to_text().to_string()).collect();
    let first = &shares[0];
    let changed = |at: usize, to: &str| format!("{}{to}{}", &first[..at], &first[at + 1..]);
    let malformed = [
        String::new(),
        "TACET-SHARE".to_owned(),
        first[..first.len() - 1].to_owned(),
        format!("{first}0"),
        changed(12, if first.as_bytes()[12] == b'Z' { "Y" } else { "Z" }),
        changed(60, if first.as_bytes()[60] == b'Z' { "Y" } else { "Z" }),
        changed(106, if first.as_bytes()[106] == b'Z' { "Y" } else { "Z" }),
        changed(20, "U"),
        changed(20, "é"),
        first.replace("TACET", "TASSET"),
        [first.as_str(), shares[1].as_str()].concat(),
    ];
    vectors::write(
        "root-key.json",
        &RootVectors {
            passphrase: PASSPHRASE.to_owned(),
            threshold: 3,
            generations: file.keys().iter().map(|(generation, key)| (generation, hex(key.as_bytes()))).collect(),
            file: hex(&fs::read(scene.path()).unwrap()),
            malformed_shares: malformed.map(|text| (text, "MistypedShare".to_owned())).into(),
            shares,
        },
    );
}
