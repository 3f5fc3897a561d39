//! How a drill's report gets from the command line into a ledger that a running server holds: a note, sealed under a key that the root key wraps, and
//! the answer to it. So nobody who can only write into the data directory brings a drill into the ledger that was never held; and no name of whoever
//! held it lies on the disk.
//!
//! To the byte in `docs/formats/drill-note.md`.

use super::{DrillNoted, DrillReport};
use crate::error::VaultError;
use crate::vault::Vault;
use crate::{Caller, PurposeOfUse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tacet_ledger::{Channel, Origin};
use tacet_seal::keeper::WRAPPED_KEY_BYTES;
use tacet_seal::{Associated, Dictionary, Key, KeyKeeper, OnBehalf, Purpose, Sealer, WrappedKey};
use tacet_types::{EstablishmentId, OperationId, Rng, Role};

/// Longest note or answer, in bytes.
pub const DRILL_NOTE_BYTES_MAX: usize = 16 * 1024;

/// What each begins with: the format.
const MAGIC: &[u8; 8] = b"TACETDR\x01";

/// What the key of a note is wrapped for, and that of an answer. Before it comes nothing, after it the note's nonce of eight bytes.
const NOTE: &[u8] = b"tacet/drill/note/1";
const ANSWER: &[u8] = b"tacet/drill/answer/1";

/// Bytes of what makes a note one of its own.
const NONCE_BYTES: usize = 8;

/// What names one note: also the name of its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoteId(pub [u8; NONCE_BYTES]);

impl NoteId {
    /// A new one.
    pub fn random(rng: &dyn Rng) -> Self {
        let mut bytes = [0; NONCE_BYTES];
        rng.fill(&mut bytes);
        Self(bytes)
    }

    /// Of a file's name.
    pub fn parse(text: &str) -> Option<Self> {
        let number = u64::from_str_radix(text, 16).ok()?;
        let id = Self(number.to_be_bytes());
        (id.to_string() == text).then_some(id)
    }
}

impl std::fmt::Display for NoteId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    owner: String,
    report: DrillReport,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    noted: Option<DrillNoted>,
    problem: Option<String>,
}

/// A note with what came of a drill, which `owner` held, for the server whose root key the keeper holds.
///
/// # Errors
/// The keeper's.
pub fn drill_note(
    keeper: &dyn KeyKeeper,
    rng: &dyn Rng,
    id: NoteId,
    owner: &str,
    report: &DrillReport,
) -> Result<Vec<u8>, VaultError> {
    let mut report = report.clone();
    report.figures = super::cut(&report.figures, super::DRILL_FIGURES_BYTES_MAX).to_owned();
    seal(keeper, rng, NOTE, id, &Note { owner: super::cut(owner, 256).to_owned(), report })
}

/// What the server answered to a note: what it wrote down, or why it did not.
///
/// # Errors
/// It is no answer to this note, or none of this server.
pub fn drill_answer(
    keeper: &dyn KeyKeeper,
    id: NoteId,
    bytes: &[u8],
) -> Result<Result<DrillNoted, String>, VaultError> {
    let answer: Answer = open(keeper, ANSWER, id, bytes)?;
    Ok(answer.noted.ok_or_else(|| answer.problem.unwrap_or_default()))
}

impl Vault {
    /// Takes a note: writes down what it says, and gives what is answered. What cannot be written down because of what it is (a replay, say) is answered
    /// too.
    ///
    /// # Errors
    /// It is no note of this establishment, or the keys are locked, or their rate is used up, or the store cannot write: try again in the last three cases.
    pub async fn take_drill_note(&self, id: NoteId, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        let keeper = self.0.keeper.as_ref();
        let Note { owner, report } = open(keeper, NOTE, id, bytes)?;
        let origin = Origin { address: None, channel: Channel::CommandLine };
        let operation = OperationId::random(self.0.rng.as_ref());
        let caller = Caller::new(owner, Role::Operator, PurposeOfUse::SystemAdministration, origin, operation);
        let answer = match self.note_drill(&caller, &report).await {
            Ok(noted) => Answer { noted: Some(noted), problem: None },
            Err(error @ VaultError::NotAllowed(_)) => Answer { noted: None, problem: Some(error.to_string()) },
            Err(error) => return Err(error),
        };
        seal(keeper, self.0.rng.as_ref(), ANSWER, id, &answer)
    }
}

fn context(what: &[u8], id: NoteId) -> Vec<u8> {
    [what, &id.0].concat()
}

/// Which place a note's seal is bound to. The key is of this one note and wrapped for it, so nothing else need name the establishment.
fn place(context: &[u8]) -> Associated<'_> {
    Associated { establishment: EstablishmentId([0; 16]), purpose: Purpose::State, row: context, resource: None }
}

fn seal(
    keeper: &dyn KeyKeeper,
    rng: &dyn Rng,
    what: &[u8],
    id: NoteId,
    said: &impl Serialize,
) -> Result<Vec<u8>, VaultError> {
    let context = context(what, id);
    let text = serde_json::to_vec(said).map_err(|error| VaultError::Internal(Box::new(error)))?;
    let key = Key::random(rng);
    let wrapped = keeper.wrap(&key, &context)?;
    let sealed = tacet_seal::seal(&Sealer::gcm(&key), &place(&context), &text, Dictionary::None, rng)?;
    Ok([MAGIC.as_slice(), wrapped.as_bytes(), &sealed].concat())
}

fn open<T: DeserializeOwned>(keeper: &dyn KeyKeeper, what: &[u8], id: NoteId, bytes: &[u8]) -> Result<T, VaultError> {
    let none = || VaultError::NotAllowed("this is no note of a drill that was held with this store's root key");
    let rest = bytes.strip_prefix(MAGIC.as_slice()).filter(|_| bytes.len() <= DRILL_NOTE_BYTES_MAX).ok_or_else(none)?;
    let (wrapped, sealed) = rest.split_at_checked(WRAPPED_KEY_BYTES).ok_or_else(none)?;
    let wrapped = WrappedKey::from_bytes(wrapped.to_vec()).map_err(|_| none())?;
    let context = context(what, id);
    let key = match keeper.unwrap(&wrapped, &context, OnBehalf::Maintenance("drill note")) {
        Err(
            tacet_seal::KeeperError::NotAuthentic
            | tacet_seal::KeeperError::UnknownGeneration { .. }
            | tacet_seal::KeeperError::Malformed { .. },
        ) => return Err(none()),
        key => key?,
    };
    let text =
        tacet_seal::open(&Sealer::gcm(&key), &place(&context), sealed, DRILL_NOTE_BYTES_MAX).map_err(|_| none())?;
    serde_json::from_slice(&text).map_err(|_| none())
}
