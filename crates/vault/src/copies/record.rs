//! The row of a copy: whose it is, what for, until when, its key, its files. JSON, sealed.

use crate::caller::Caller;
use crate::error::VaultError;
use serde::{Deserialize, Serialize};
use tacet_types::ResourceType;
use zeroize::Zeroizing;

/// How far a copy is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyState {
    /// It is being made.
    Working,
    /// It can be read.
    Done,
    /// It could not be made; the text says why and what to do, without personal data.
    Failed(String),
}

/// A file of a copy: NDJSON of one type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CopyFile {
    /// The type of its resources.
    #[serde(with = "type_name")]
    pub resource_type: ResourceType,
    /// How many there are.
    pub count: u64,
    /// Bytes of its text.
    pub bytes: u64,
    /// Sealed pieces that it is made of.
    pub(crate) pieces: u32,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) owner: String,
    /// The account, where the owner has one: a name may change hands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    /// What the token was good for that asked, where that was less than the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scopes: Option<Narrowed>,
    pub(super) note: String,
    pub(super) recipients: Vec<String>,
    pub(super) created_ms: i64,
    pub(super) expires_ms: i64,
    pub(super) request: String,
    pub(super) state: CopyState,
    pub(super) key: CopyKey,
    pub(super) files: Vec<CopyFile>,
    /// Who asked for it and who allowed it, where two were needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) approval: Option<String>,
}

/// What narrowed the request for a copy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Narrowed {
    /// The scopes, in the order of their texts.
    scopes: Vec<String>,
    /// The patient of the launch.
    patient: Option<String>,
}

impl Narrowed {
    /// What narrows this caller; none where nothing does.
    pub(super) fn of(caller: &Caller) -> Option<Self> {
        let scopes = caller.scopes.as_ref()?;
        let mut scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        scopes.sort_unstable();
        scopes.dedup();
        Some(Self { scopes, patient: caller.launch_patient.as_ref().map(|patient| patient.as_str().to_owned()) })
    }
}

/// The key of a copy, wiped when it goes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct CopyKey(pub(super) Vec<u8>);

impl Drop for CopyKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl Record {
    /// Whether this caller may have it: whoever asked for it, and not by a token that is good for less, or for something else.
    pub(super) fn is_for(&self, caller: &Caller) -> bool {
        let narrowed = Narrowed::of(caller);
        caller.is(&self.owner, self.account.as_deref()) && (narrowed.is_none() || narrowed == self.scopes)
    }

    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        serde_json::to_vec(self).map(Zeroizing::new).map_err(|error| VaultError::Internal(Box::new(error)))
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, VaultError> {
        serde_json::from_slice(bytes).map_err(|_| VaultError::Damaged("the row of a copy cannot be read"))
    }

    /// For the ledger.
    pub(super) fn described(&self, what: &str) -> String {
        let recipients = if self.recipients.is_empty() { "its owner".to_owned() } else { self.recipients.join(", ") };
        let approval = self.approval.as_ref().map(|words| format!(", by {words}")).unwrap_or_default();
        format!(
            "copy {} {what}: for {}, to {recipients}, until {}{approval}",
            self.id,
            self.note,
            tacet_types::Timestamp::from_ms(self.expires_ms)
        )
    }
}

mod type_name {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use tacet_types::ResourceType;

    pub(super) fn serialize<S: Serializer>(kind: &ResourceType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ResourceType, D::Error> {
        let name = String::deserialize(deserializer)?;
        ResourceType::parse(&name).ok_or_else(|| D::Error::custom("no resource type"))
    }
}
