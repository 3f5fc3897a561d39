//! Copies that are kept beside the store: what a bulk export makes. Each is an object of its own, with an owner, a purpose,
//! recipients, an end and its own key; when it ends, or is destroyed before, the key goes and the files with it.
//!
//! ```text
//! begin ──> row (sealed: whose, what for, until when, the key) ──> a thread opens records, patient by patient, under ledger
//!           entries that name each ──> files of sealed pieces ──> row says what there is ──> read by the owner, each time with an entry
//! ```
//!
//! What a copy is not: a backup. It does not outlive a patient's erasure either: an erasure ends every copy that there is.

mod file;
mod find;
mod keeping;
mod record;
mod running;
mod source;
mod work;

pub use file::CopyReader;
pub use find::FOUND_MAX;
pub use record::{CopyFile, CopyState};

use crate::Outcome;
use crate::caller::Caller;
use crate::error::VaultError;
use crate::history::FEED_SKEW_MS;
use crate::vault::{Inner, Vault};
use record::{CopyKey, Narrowed, Record};
use running::{Place, Progress, Running};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tacet_ledger::noted::RowWrite;
use tacet_ledger::{Entry, QUERY_BYTES_MAX};
use tacet_policy::Act;
use tacet_seal::Key;
use tacet_types::{Labels, ResourceId, ResourceType, Timestamp};

/// Copies made at a time: each opens records as fast as the key keeper lets it.
pub const COPIES_RUNNING_MAX: usize = 2;

/// Copies kept at a time, done or not.
pub const COPIES_KEPT_MAX: usize = 100;

/// Longest life of a copy, in milliseconds: thirty days.
pub const COPY_LIFE_MS_MAX: i64 = 30 * 86_400_000;

/// Longest text that says what a copy is for, and longest list of recipients, in bytes.
const NOTE_BYTES_MAX: usize = 500;

/// How long a stop waits for the threads that make copies, in milliseconds. Each looks up between two windows of records.
const STOP_MS: u64 = 30_000;

/// Random bytes in the id of a copy: it cannot be guessed, though only its owner may use it anyway.
const ID_BYTES: usize = 16;

/// Whose records go into a copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CopyScope {
    /// Everything, with what belongs to no patient.
    System,
    /// What is in the compartments of all patients.
    Patients,
    /// What is in the compartments of these patients.
    PatientsIn(Vec<ResourceId>),
}

/// What a copy shall hold, and why.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// Whose records.
    pub scope: CopyScope,
    /// Only these types; all where it is empty.
    pub types: Vec<ResourceType>,
    /// Only what was stored at this moment or later.
    pub since: Option<Timestamp>,
    /// Of the types that are named here, only what one of their searches finds (`_typeFilter`).
    pub filters: Vec<(ResourceType, Vec<(String, String)>)>,
    /// What absolute references to this server begin with, for the searches.
    pub base_url: String,
    /// What it is for, in words.
    pub note: String,
    /// Who shall get it, in words; the owner alone where it is empty.
    pub recipients: Vec<String>,
    /// How long it is kept, in milliseconds.
    pub life_ms: i64,
    /// The request as it was made, for the manifest.
    pub request: String,
    /// The second person's word for it, where one was needed.
    pub approval: Option<CopyApproval>,
}

/// What a second person has allowed. It is used up in the commit in which the copy begins.
#[derive(Clone, Debug)]
pub struct CopyApproval {
    /// The special confidentiality that they were told of: a person's copy holds of it what is named here and no more.
    pub labels: Labels,
    /// Which approval, who asked and who allowed it: for the ledger.
    pub words: String,
    /// Uses it up: fails where it was used meanwhile.
    pub write: RowWrite,
    /// The entry that says so.
    pub entry: Entry,
}

/// What is known of a copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyStatus {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub state: CopyState,
    /// The request as it was made.
    pub request: String,
    /// What it is for.
    pub note: String,
    /// Who shall get it.
    pub recipients: Vec<String>,
    /// When it was asked for.
    pub created: Timestamp,
    /// Every change that was stored up to this moment is in it. Some that came later are too. Earlier than `created`, because a
    /// change takes its time before it is stored.
    pub complete_until: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// How much is done while it is made, in hundredths.
    pub progress_percent: u32,
    /// Its files, once it is done.
    pub files: Vec<CopyFile>,
}

/// The copies of a vault.
pub(crate) struct Copies {
    directory: PathBuf,
    /// Who keeps them: ends them when their time is over.
    keeper: Caller,
    running: Arc<Running>,
    /// Held while a copy begins and while a patient is erased, so that none begins that the erasure does not end.
    turn: Mutex<()>,
}

impl Copies {
    fn folder(&self, id: &str) -> PathBuf {
        self.directory.join(id)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault {
    /// Keeps copies in this directory, which is nobody else's. What an earlier run left unfinished or past its end is ended. `keeper`:
    /// on whose account the ledger says so.
    pub async fn keep_copies_in(&self, directory: &Path, keeper: &Caller) -> Result<(), VaultError> {
        make_private(directory).map_err(unreadable)?;
        let (directory, keeper) = (directory.to_path_buf(), keeper.clone());
        let copies = Copies { directory, keeper, running: Arc::default(), turn: Mutex::default() };
        let now = self.0.clock.now();
        let mut known = Vec::new();
        for record in self.0.copy_records()? {
            if record.expires_ms <= now.as_ms() {
                self.0.forget_copy(&copies, &record, "expired", &copies.keeper).await?;
                continue;
            }
            known.push(record.id.clone());
            if record.state == CopyState::Working {
                let entry =
                    self.0.copy_entry(&copies.keeper, &record, "given up: the server was stopped", Outcome::Failed);
                let why = "the server was stopped while it was made: ask for it again";
                let _ = remove_folder(&copies.folder(&record.id));
                self.0.put_copy(&Record { state: CopyState::Failed(why.to_owned()), ..record }, entry).await?;
            }
        }
        for entry in std::fs::read_dir(&copies.directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            // Only what a copy may be called: a volume may have a `lost+found`.
            let left = entry.file_name().into_string().ok().filter(|name| is_id(name) && !known.contains(name));
            if left.is_some() {
                remove_folder(&entry.path()).map_err(unreadable)?;
            }
        }
        let _ = self.0.copies.set(copies);
        Ok(())
    }

    /// Begins a copy. It is made in a thread of its own; [`Vault::copy`] says how far it is. Waits for the disk.
    pub async fn begin_copy(&self, caller: &Caller, request: CopyRequest) -> Result<String, VaultError> {
        let approved = request.approval.as_ref().map(|approval| approval.labels);
        let caller = &Caller { approved, ..caller.clone() };
        if self.0.sights(caller, Act::Export)?.is_some_and(|sights| sights.is_nothing()) {
            return Err(VaultError::NotAllowed("this account may take no copies away"));
        }
        let copies = self.0.copies()?;
        let noted = request.note.len() + request.recipients.iter().map(String::len).sum::<usize>();
        if noted > NOTE_BYTES_MAX {
            let what = "bytes that say what a copy is for and to whom it goes";
            return Err(VaultError::TooLarge { what, max: NOTE_BYTES_MAX });
        }
        if request.request.len() > QUERY_BYTES_MAX {
            return Err(VaultError::TooLarge { what: "bytes in the request for a copy", max: QUERY_BYTES_MAX });
        }
        self.0.check_filters(&request)?;
        self.end_expired_copies().await?;
        let mut id = [0; ID_BYTES];
        self.0.rng.fill(&mut id);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let place = copies.running.take(&id, COPIES_RUNNING_MAX)?;
        let now = self.0.clock.now();
        let approval = request.approval.as_ref();
        let record = Record {
            approval: approval.map(|approval| approval.words.clone()),
            id: id.clone(),
            owner: caller.owner.clone(),
            account: caller.account.clone(),
            scopes: Narrowed::of(caller),
            note: request.note.clone(),
            recipients: request.recipients.clone(),
            created_ms: now.as_ms(),
            expires_ms: now.plus_ms(request.life_ms.clamp(1, COPY_LIFE_MS_MAX)).as_ms(),
            request: request.request.clone(),
            state: CopyState::Working,
            key: CopyKey(Key::random(self.0.rng.as_ref()).as_bytes().to_vec()),
            files: Vec::new(),
        };
        self.0.begun(copies, caller, &record, approval)?;
        match self.0.start(caller, request, record.clone(), place) {
            Ok(()) => Ok(id),
            Err(error) => {
                self.0.forget_copy(copies, &record, "given up: no thread", caller).await?;
                Err(VaultError::Internal(Box::new(error)))
            }
        }
    }

    /// What is known of a copy. To anybody but its owner it is not there.
    pub fn copy(&self, caller: &Caller, id: &str) -> Result<CopyStatus, VaultError> {
        let copies = self.0.copies()?;
        // Asked before the row is read: one that ends in between is seen as it ended.
        let progress = copies.running.progress(id);
        let mut record = self.own_copy(caller, id)?;
        if record.state == CopyState::Working && progress.is_none() && copies.running.progress(id).is_none() {
            let why = "it could not be made: the server's log has more; ask for it again";
            record = self.own_copy(caller, id)?;
            if record.state == CopyState::Working {
                record.state = CopyState::Failed(why.to_owned());
            }
        }
        let created = Timestamp::from_ms(record.created_ms);
        Ok(CopyStatus {
            id: record.id,
            state: record.state,
            request: record.request,
            note: record.note,
            recipients: record.recipients,
            created,
            complete_until: created.plus_ms(-FEED_SKEW_MS),
            expires: Timestamp::from_ms(record.expires_ms),
            progress_percent: progress.map_or(0, |progress| progress.percent()),
            files: record.files,
        })
    }

    /// Opens a file of a copy for reading, once a ledger entry says so.
    pub async fn read_copy(&self, caller: &Caller, id: &str, file: usize) -> Result<CopyReader, VaultError> {
        let copies = self.0.copies()?;
        let record = self.own_copy(caller, id)?;
        let Some(found) = record.files.get(file).filter(|_| record.state == CopyState::Done) else {
            return Err(VaultError::NotFound);
        };
        let mut entry = self.0.copy_entry(caller, &record, &format!("read, file {file},"), Outcome::Success);
        entry.categories = vec![found.resource_type];
        self.0.record(vec![entry]).await?;
        CopyReader::open(&self.0, &copies.folder(id), &record, file)
    }

    /// Ends a copy: its key and its files are destroyed. One that is being made is given up.
    pub async fn end_copy(&self, caller: &Caller, id: &str) -> Result<(), VaultError> {
        let record = self.own_copy(caller, id)?;
        self.0.forget_copy(self.0.copies()?, &record, "ended", caller).await
    }

    /// Ends the copies whose time is over. To be called from time to time; a copy past its end is shown to nobody even before.
    pub async fn end_expired_copies(&self) -> Result<(), VaultError> {
        let Some(copies) = self.0.copies.get() else { return Ok(()) };
        let now = self.0.clock.now().as_ms();
        for record in self.0.copy_records()?.into_iter().filter(|record| record.expires_ms <= now) {
            self.0.forget_copy(copies, &record, "expired", &copies.keeper).await?;
        }
        Ok(())
    }

    /// The copy of this id, if it is this caller's, by no narrower token, and its time is not over.
    fn own_copy(&self, caller: &Caller, id: &str) -> Result<Record, VaultError> {
        if !caller.role.may_read_records() {
            return Err(VaultError::Forbidden);
        }
        let record = if is_id(id) { self.0.copy_record(id)? } else { None };
        let now = self.0.clock.now().as_ms();
        let record = record.filter(|record| record.is_for(caller) && record.expires_ms > now);
        record.ok_or(VaultError::NotFound)
    }
}

impl Inner {
    /// Starts the thread that makes a copy. It holds the store's inside and no [`Vault`], whose threads end with the last of these.
    fn start(
        self: &Arc<Self>,
        caller: &Caller,
        request: CopyRequest,
        record: Record,
        place: Place,
    ) -> std::io::Result<()> {
        let (inner, caller) = (Arc::clone(self), caller.clone());
        let work = move || work::make(&inner, &caller, &request, record, &place);
        std::thread::Builder::new().name("copy".to_owned()).spawn(work).map(|_| ())
    }

    /// Gives up the copies that are being made.
    pub(crate) fn give_up_copies(&self) {
        if let Some(copies) = self.copies.get() {
            copies.running.give_up_all();
        }
    }

    /// Gives up the copies that are being made and lets none begin. Called before the store is closed, so that it is written
    /// down how they ended.
    pub(crate) fn stop_copies(&self) {
        if let Some(copies) = self.copies.get() {
            copies.running.stop(Duration::from_millis(STOP_MS));
        }
    }
}

/// Whether a text may be the id of a copy.
fn is_id(text: &str) -> bool {
    text.len() == ID_BYTES * 2 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn unreadable(error: std::io::Error) -> VaultError {
    VaultError::Unavailable(Box::new(error))
}

/// Makes a directory that only its owner may enter.
fn make_private(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Removes the files of a copy, if there are any.
fn remove_folder(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
