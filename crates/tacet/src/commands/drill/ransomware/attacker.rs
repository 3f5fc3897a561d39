//! The attack on the host: files encrypted in place, a piece here and there as such programs do to be fast, renamed, a note left; then the process killed.

use super::crowd::{self, Course, Day};
use super::stage::{ADMINISTRATOR, Stage, is_well, noise, total};
use super::{cannot, now_ms, seconds_since};
use crate::args::RansomwareArgs;
use crate::commands::drill::child::Server;
use crate::commands::drill::http::Client;
use crate::commands::drill::play;
use crate::commands::drill::scratch::{Area, files_below};
use crate::error::CliError;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes that are made unreadable at a time.
const PIECE_BYTES: usize = 4096;

/// Distance between two pieces, in bytes: intermittent encryption.
const STRIDE_BYTES: u64 = 65_536;

/// Between two looks of the workstation.
const FETCH_EVERY: Duration = Duration::from_millis(200);

/// Snapshots that must come while the crowd works.
const SNAPSHOTS_MIN: u64 = 2;

/// Writes that must be acknowledged before the attack.
const WRITES_MIN: u64 = 40;

/// Records whose text is kept before the attack, to be compared afterwards.
const SAMPLE: u64 = 64;

/// Longest wait for all that, in seconds.
const WAIT_S: f64 = 1800.0;

/// What the attack was, and what stood before it.
pub(super) struct Attacked {
    pub(super) day: Day,
    /// Paths and texts of records that were there for long.
    pub(super) sample: BTreeMap<String, Vec<u8>>,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) begun_ms: i64,
    pub(super) killed_ms: i64,
    pub(super) tripwire: Option<Tripwire>,
    /// Whether the old machine's store still opens: then there was no attack.
    pub(super) survived: bool,
    /// Seconds of the day before the attack.
    pub(super) worked_s: f64,
}

/// The first alarm.
pub(super) struct Tripwire {
    pub(super) after_s: f64,
    /// Files that were encrypted by then.
    pub(super) files: u64,
    /// Whether the store took no more writes then.
    pub(super) locked: bool,
}

struct Encrypted {
    files: u64,
    bytes: u64,
    begun_ms: i64,
    killed_ms: i64,
    tripwire: Option<Tripwire>,
}

pub(super) fn play(stage: &Stage, args: &RansomwareArgs, say: &dyn Fn(&str)) -> Result<Attacked, CliError> {
    let children = stage.configured()?;
    let mut server = children.serve("attacked", ADMINISTRATOR)?;
    let client = Client { address: server.address, token: stage.token.clone(), session: None };
    stage.wait_past(stage.snapshots_before, &mut server)?;
    let sample = sample(stage, &client)?;
    let begun = now_ms();
    let address = server.address;
    let (day, encrypted) = crowd::work(stage, address, |course| {
        wait_for_work(stage, args, course, &mut server)?;
        // A snapshot was just made: the attack comes at any moment between two.
        let part = u64::from(noise(1).first().copied().unwrap_or(0));
        wait_fetching(stage, args.backup_seconds.saturating_mul(1000) * part / 256)?;
        let worked_s = seconds_since(begun);
        say("the attack: files are encrypted while people write");
        Ok::<_, CliError>((encrypt_and_kill(stage, args, server)?, worked_s))
    });
    let (encrypted, worked_s) = encrypted?;
    let (code, printed) = children.ended("old-machine", ADMINISTRATOR, &["check", "--json"])?;
    let survived = code == Some(0) && play::json_of(&printed).is_ok_and(|check| total(&check) > 0);
    let Encrypted { files, bytes, begun_ms, killed_ms, tripwire } = encrypted;
    Ok(Attacked { day, sample, files, bytes, begun_ms, killed_ms, tripwire, survived, worked_s })
}

/// Texts of records that nobody changes.
fn sample(stage: &Stage, client: &Client) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
    let patients = stage.hospital.options().patients;
    let step = (patients / SAMPLE).max(1);
    let mut sample = BTreeMap::new();
    let numbers = (2..patients).step_by(usize::try_from(step).unwrap_or(1)).chain(stage.lying.iter().copied());
    for n in numbers {
        let file = stage.hospital.patient(n);
        let kept = file.resources.iter().take(1).chain(file.resources.last());
        for record in kept {
            let path = format!("/{}/{}", record.resource_type, record.id);
            let answer = client.ask("GET", &path, &[], "");
            let answer = answer.map_err(|error| CliError::other("the drill's server does not answer", error))?;
            if answer.status != 200 {
                return Err(cannot("a record of the hospital is not there before the attack"));
            }
            sample.insert(path, answer.body());
        }
    }
    Ok(sample)
}

/// Until enough was written, enough snapshots were made, and the ward has its pack.
fn wait_for_work(stage: &Stage, args: &RansomwareArgs, course: &Course, server: &mut Server) -> Result<(), CliError> {
    let begun = now_ms();
    let wanted = stage.newest()? + SNAPSHOTS_MIN;
    loop {
        let worked_s = seconds_since(begun);
        let has_pack = stage.fetch_pack()?;
        let enough = worked_s >= args.load_seconds as f64 && course.acknowledged() >= WRITES_MIN;
        if enough && has_pack && stage.newest()? >= wanted {
            return Ok(());
        }
        is_well(server)?;
        if worked_s > WAIT_S {
            return Err(cannot(if has_pack { "too few snapshots or writes came" } else { "the ward got no pack" }));
        }
        std::thread::sleep(FETCH_EVERY);
    }
}

/// Lets time pass, in which the workstation goes on fetching its pack.
fn wait_fetching(stage: &Stage, ms: u64) -> Result<(), CliError> {
    let until = now_ms().saturating_add(i64::try_from(ms).unwrap_or(0));
    while now_ms() < until {
        stage.fetch_pack()?;
        std::thread::sleep(FETCH_EVERY);
    }
    stage.fetch_pack().map(drop)
}

/// What lies on the hospital's machine: its data with settings and root key, and the packs that it put beside.
fn loot(stage: &Stage) -> Result<Vec<PathBuf>, CliError> {
    let mut files = files_below(&stage.machine.area(Area::Data))?;
    files.extend(files_below(&stage.packs())?);
    files.extend(files_below(&stage.machine.area(Area::Working))?);
    // As they come: neither first nor last by name.
    files.sort_by_key(|path| {
        let name = path.as_os_str().as_encoded_bytes();
        name.iter().fold(0xcbf2_9ce4_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
    });
    Ok(files)
}

fn encrypt_and_kill(stage: &Stage, args: &RansomwareArgs, server: Server) -> Result<Encrypted, CliError> {
    let begun_ms = now_ms();
    let mut encrypted = Encrypted { files: 0, bytes: 0, begun_ms, killed_ms: begun_ms, tripwire: None };
    let mut server = Some(server);
    let kill = |server: &mut Option<Server>, encrypted: &mut Encrypted| {
        if let Some(server) = server.take() {
            encrypted.killed_ms = now_ms();
            server.end(Signal::KILL)?;
        }
        Ok::<(), CliError>(())
    };
    if args.kill_first {
        kill(&mut server, &mut encrypted)?;
    }
    let files = loot(stage)?;
    let count = files.len().max(1) as u64;
    for file in files {
        // A file that the server took away itself meanwhile is no loss.
        if let Ok(bytes) = encrypt(&file) {
            encrypted.files += 1;
            encrypted.bytes += bytes;
        }
        let due_ms = args.attack_seconds.saturating_mul(1000) * encrypted.files / count;
        let ahead_ms = i64::try_from(due_ms).unwrap_or(0) - (now_ms() - begun_ms);
        if let Some(running) = &server {
            if encrypted.tripwire.is_none() {
                encrypted.tripwire = alarm(running, begun_ms, encrypted.files);
            }
            std::thread::sleep(Duration::from_millis(u64::try_from(ahead_ms).unwrap_or(0)));
        }
    }
    let note = stage.machine.area(Area::Data).join("HOW_TO_DECRYPT.txt");
    std::fs::write(&note, "Your files are encrypted.\n").map_err(CliError::file(&note, "cannot be written"))?;
    if let (Some(running), None) = (&server, &encrypted.tripwire) {
        encrypted.tripwire = alarm(running, begun_ms, encrypted.files);
    }
    kill(&mut server, &mut encrypted)?;
    Ok(encrypted)
}

fn alarm(server: &Server, begun_ms: i64, files: u64) -> Option<Tripwire> {
    let log = server.log();
    log.contains("TRIPWIRE").then(|| Tripwire {
        after_s: seconds_since(begun_ms),
        files,
        locked: log.contains("THE STORE IS LOCKED"),
    })
}

/// Makes a file unreadable; gives the bytes that were written over.
fn encrypt(path: &Path) -> std::io::Result<u64> {
    let file: File = OpenOptions::new().write(true).open(path).or_else(|_| {
        // Read-only files are no obstacle for their owner.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        OpenOptions::new().write(true).open(path)
    })?;
    let length = file.metadata()?.len();
    let (mut at, mut written) = (0, 0);
    while at < length {
        let piece = PIECE_BYTES.min(usize::try_from(length - at).unwrap_or(PIECE_BYTES));
        file.write_all_at(&noise(piece), at)?;
        written += piece as u64;
        at += STRIDE_BYTES;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".locked");
    std::fs::rename(path, PathBuf::from(name))?;
    Ok(written)
}
