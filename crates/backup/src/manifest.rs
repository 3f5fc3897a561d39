//! Manifests: what a snapshot is made of, signed.
//!
//! The object is one line of JSON, `{"manifest":{...},"signature":"..."}`. The signature is over the bytes of the value of `manifest` as they stand.
//! It is read only if writing what was read gives the same bytes again, so that no byte can change unnoticed.

use crate::classes::Class;
use crate::error::BackupError;
use crate::hex;
use crate::signing::{BackupSigner, PublicKey, SIGNATURE_BYTES};
use crate::target::ObjectName;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tacet_store::Mark;
use tacet_types::{EstablishmentId, Timestamp};

/// The format this program writes, and the only one that it reads.
pub const FORMAT: &str = "tacet-backup/1";

/// Longest manifest in bytes: a base of some 1.5 TB.
pub(crate) const MANIFEST_BYTES_MAX: usize = 256 << 20;

/// Highest number of a snapshot: what its 12 digits hold.
pub(crate) const NUMBER_MAX: u64 = 999_999_999_999;

/// Bytes of a snapshot's id.
pub(crate) const ID_BYTES: usize = 8;

/// Whether a snapshot stands alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Every row at one moment.
    Base,
    /// What was written since the snapshot before.
    Log,
}

/// Where snapshots of a class stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClassText {
    Content,
    Keys,
}

/// A place in the store's chain of commits ([`Mark`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkText {
    /// Number of the last group.
    pub group: u64,
    /// Commits up to it.
    pub commits: u64,
    /// Digest over all groups.
    #[serde(with = "hex::array")]
    pub digest: [u8; 32],
}

impl From<Mark> for MarkText {
    fn from(mark: Mark) -> Self {
        Self { group: mark.group, commits: mark.commits, digest: mark.digest }
    }
}

impl From<MarkText> for Mark {
    fn from(mark: MarkText) -> Self {
        Self { group: mark.group, commits: mark.commits, digest: mark.digest }
    }
}

/// The ledger as it stands in a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerState {
    /// Entries.
    pub entries: u64,
    /// Root of the tree over them.
    #[serde(with = "hex::array")]
    pub root: [u8; 32],
}

/// One segment of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentInfo {
    /// The object that holds it.
    pub object: ObjectName,
    /// Its content's name: SHA-256 over header and index ([`crate::segment_name`]).
    #[serde(with = "hex::array")]
    pub sha256: [u8; 32],
    /// Length of the object in bytes.
    pub bytes: u64,
    /// Rows in it, removals included.
    pub rows: u64,
    /// Its first key.
    #[serde(with = "hex::bytes")]
    pub first: Vec<u8>,
    /// Its last key.
    #[serde(with = "hex::bytes")]
    pub last: Vec<u8>,
}

/// Rows of one space in a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpaceRows {
    /// First byte of their keys.
    pub space: u8,
    /// Rows that are set. In a base: all there are.
    pub puts: u64,
    /// Rows that are removed. In a base: none.
    pub deletes: u64,
}

/// Names another manifest so that it cannot be exchanged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestRef {
    /// Number of its snapshot.
    pub number: u64,
    /// Id of its snapshot.
    pub id: String,
    /// SHA-256 of the whole object.
    #[serde(with = "hex::array")]
    pub sha256: [u8; 32],
}

/// What a snapshot is made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    class: ClassText,
    #[serde(with = "hex::array")]
    establishment: [u8; 16],
    /// Number of the snapshot, from 1.
    pub number: u64,
    /// Its id: 16 random hexadecimal digits.
    pub id: String,
    /// Whether it stands alone.
    pub kind: Kind,
    /// Number of the base that its chain begins with; its own for a base.
    pub base: u64,
    /// The snapshot before it, whichever its chain; none before the first.
    pub previous: Option<ManifestRef>,
    /// Number of the base of the chain that the snapshot before is in; none before the first.
    pub previous_base: Option<u64>,
    time: String,
    /// Where it begins: the mark at which the snapshot before ends. None for a base.
    pub from: Option<MarkText>,
    /// Up to where the store's commits are in it.
    pub to: MarkText,
    /// The ledger at that place. Only content has it.
    pub ledger: Option<LedgerState>,
    /// Segments in the order of their keys.
    pub segments: Vec<SegmentInfo>,
    /// Rows by space, ascending.
    pub rows: Vec<SpaceRows>,
    /// The key copy that belongs to it: the newest when it was made. Only content has it.
    pub keys: Option<ManifestRef>,
    /// The sealed part of the root key's file that the recovery shares open, in Base64. Only key copies have it.
    pub recovery: Option<String>,
    /// The key by which it is signed, in hexadecimal digits.
    pub key: String,
    /// Version of the program that made it.
    pub program: String,
}

/// What a new manifest is told.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Whose rows.
    pub class: Class,
    /// Of which establishment.
    pub establishment: EstablishmentId,
    /// Number of the snapshot.
    pub number: u64,
    /// When it is made.
    pub time: Timestamp,
}

impl Manifest {
    /// A base without segments, to be filled.
    pub(crate) fn new(identity: Identity, id: [u8; ID_BYTES], to: Mark) -> Self {
        let class = match identity.class {
            Class::Key => ClassText::Keys,
            Class::Content | Class::Local => ClassText::Content,
        };
        Self {
            format: FORMAT.to_owned(),
            class,
            establishment: identity.establishment.0,
            number: identity.number,
            id: hex::encode(&id),
            kind: Kind::Base,
            base: identity.number,
            previous: None,
            previous_base: None,
            time: identity.time.to_string(),
            from: None,
            to: to.into(),
            ledger: None,
            segments: Vec::new(),
            rows: Vec::new(),
            keys: None,
            recovery: None,
            key: String::new(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Whose rows it is about.
    pub fn class(&self) -> Class {
        match self.class {
            ClassText::Content => Class::Content,
            ClassText::Keys => Class::Key,
        }
    }

    /// Of which establishment.
    pub fn establishment(&self) -> EstablishmentId {
        EstablishmentId(self.establishment)
    }

    /// When it was made.
    pub fn time(&self) -> Timestamp {
        // INVARIANT: `check` has read it; one that is being made has it from a timestamp.
        Timestamp::parse(&self.time).unwrap_or(Timestamp::from_ms(0))
    }

    /// The object that it stands in.
    pub fn name(&self) -> ObjectName {
        manifest_name(self.class(), self.number, &self.id)
    }

    /// Bytes of its segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).fold(0, u64::saturating_add)
    }

    /// Rows that it sets and removes.
    pub fn row_count(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows).fold(0, u64::saturating_add)
    }

    /// What a manifest may say whoever signed it.
    fn check(&self) -> Result<(), &'static str> {
        let prefix = format!("{}/", segment_folder(self.class()));
        if self.number == 0 || self.number > NUMBER_MAX || self.base == 0 || self.base > self.number {
            return Err("its numbers make no sense");
        }
        if hex::decode_array::<ID_BYTES>(&self.id).is_none() {
            return Err("its id is not 16 hexadecimal digits");
        }
        if (self.kind == Kind::Base) != (self.base == self.number) || (self.kind == Kind::Base) != self.from.is_none() {
            return Err("it is neither a base nor a log");
        }
        if self.previous.as_ref().is_some_and(|previous| previous.number >= self.number) {
            return Err("the snapshot before it has no smaller number");
        }
        if self.previous_base.is_some() != self.previous.is_some()
            || self.previous_base > self.previous.as_ref().map(|previous| previous.number)
            || self.kind == Kind::Log && self.previous_base != Some(self.base)
        {
            return Err("it does not say in which chain the snapshot before it is");
        }
        if Timestamp::parse(&self.time).map(|time| time.to_string()).as_ref() != Ok(&self.time) {
            return Err("its time is no instant");
        }
        let mut before: &[u8] = &[];
        for segment in &self.segments {
            if !segment.object.as_str().starts_with(&prefix) || segment.first > segment.last || segment.rows == 0 {
                return Err("a segment of it cannot be one");
            }
            if segment.first.as_slice() <= before {
                return Err("its segments are not in the order of their keys");
            }
            before = &segment.last;
        }
        if !self.rows.is_sorted_by(|one, next| one.space < next.space) {
            return Err("its spaces are not in order");
        }
        let listed = self.rows.iter().map(|rows| rows.puts.saturating_add(rows.deletes)).fold(0, u64::saturating_add);
        if listed != self.row_count() {
            return Err("its rows are not those of its segments");
        }
        Ok(())
    }
}

fn folder(class: Class) -> &'static str {
    match class {
        Class::Key => "keys",
        Class::Content | Class::Local => "snapshots",
    }
}

fn segment_folder(class: Class) -> &'static str {
    match class {
        Class::Key => "key-segments",
        Class::Content | Class::Local => "segments",
    }
}

/// What the names of all manifests of a class begin with.
pub fn manifest_prefix(class: Class) -> String {
    format!("{}/", folder(class))
}

/// The object of a segment; with a `place` over 1 the one beside it, where another object stands under its name.
pub(crate) fn segment_object(class: Class, sha256: &[u8; 32], place: u32) -> ObjectName {
    let beside = if place > 1 { format!("-{place}") } else { String::new() };
    name(format!("{}/{}{beside}", segment_folder(class), hex::encode(sha256)))
}

/// The name of a segment that stands under its own name; none for other objects.
pub(crate) fn segment_hash(class: Class, object: &ObjectName) -> Option<[u8; 32]> {
    hex::decode_array(object.as_str().strip_prefix(segment_folder(class))?.strip_prefix('/')?)
}

/// The object of a manifest: `snapshots/<12 digits>-<id>.json`, or `keys/...`.
pub fn manifest_name(class: Class, number: u64, id: &str) -> ObjectName {
    // An id that came from elsewhere is held to its form before it comes here.
    name(format!("{}/{number:012}-{id}.json", folder(class)))
}

#[expect(
    clippy::expect_used,
    reason = "digits, hexadecimal digits and fixed words; an id was checked when it was read"
)]
fn name(text: String) -> ObjectName {
    ObjectName::parse(&text).expect("a name of ours")
}

/// Number and id in the name of a manifest's object; `None` for other objects.
pub fn manifest_number(class: Class, object: &ObjectName) -> Option<(u64, String)> {
    let rest = object.as_str().strip_prefix(folder(class))?.strip_prefix('/')?.strip_suffix(".json")?;
    let (number, id) = rest.split_once('-')?;
    let parsed: u64 = number.parse().ok().filter(|parsed| (1..=NUMBER_MAX).contains(parsed))?;
    hex::decode_array::<ID_BYTES>(id)?;
    (format!("{parsed:012}") == number).then(|| (parsed, id.to_owned()))
}

/// A manifest as it stands on a target.
#[derive(Clone, Debug)]
pub struct Signed {
    manifest: Manifest,
    text: String,
    signature: Vec<u8>,
    sha256: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    manifest: &'a RawValue,
    signature: String,
}

impl Signed {
    /// Signs a manifest; gives it with the bytes of its object.
    pub(crate) fn sign(mut manifest: Manifest, signer: &BackupSigner) -> Result<(Self, Vec<u8>), BackupError> {
        manifest.key = signer.public().to_string();
        let written =
            |error: serde_json::Error| BackupError::Settings(format!("a manifest cannot be written: {error}"));
        let text = serde_json::to_string(&manifest).map_err(written)?;
        let signature = signer.sign(text.as_bytes());
        let bytes = envelope(&text, &signature);
        let sha256 = sha256(&bytes);
        Ok((Self { manifest, text, signature, sha256 }, bytes))
    }

    /// Reads the bytes of an object. The signature is not verified: [`Signed::verify`] does.
    ///
    /// # Errors
    /// They are not a manifest, or not the one that belongs under this name.
    pub fn read(object: &ObjectName, bytes: &[u8]) -> Result<Self, BackupError> {
        let damaged = |what| BackupError::damaged(object, what);
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(damaged("it is longer than a manifest may be"));
        }
        let read: Envelope<'_> = serde_json::from_slice(bytes).map_err(|_| damaged("it is not a manifest"))?;
        let text = read.manifest.get().to_owned();
        if let Ok(Probe { format }) = serde_json::from_str(&text)
            && format != FORMAT
        {
            return Err(BackupError::Format { found: format.chars().take(40).collect() });
        }
        let manifest: Manifest = serde_json::from_str(&text).map_err(|_| damaged("it is not a manifest"))?;
        let signature = hex::decode(&read.signature)
            .filter(|signature| signature.len() == SIGNATURE_BYTES)
            .ok_or_else(|| damaged("its signature is malformed"))?;
        manifest.check().map_err(damaged)?;
        if serde_json::to_string(&manifest).ok().as_ref() != Some(&text) || envelope(&text, &signature) != bytes {
            return Err(damaged("it is not written as this program writes"));
        }
        if manifest.name() != *object {
            return Err(damaged("it stands under the name of another"));
        }
        Ok(Self { manifest, text, signature, sha256: sha256(bytes) })
    }

    /// The manifest, if `key` signed it.
    ///
    /// # Errors
    /// [`BackupError::Signature`].
    pub fn verify(&self, key: &PublicKey) -> Result<&Manifest, BackupError> {
        if self.manifest.key == key.to_string() && key.verifies(self.text.as_bytes(), &self.signature) {
            Ok(&self.manifest)
        } else {
            Err(BackupError::Signature(self.manifest.name()))
        }
    }

    /// The manifest, whoever signed it: to find the establishment's key in a key copy, by which it is verified then.
    pub fn unverified(&self) -> &Manifest {
        &self.manifest
    }

    /// Names it for the one that follows.
    pub fn reference(&self) -> ManifestRef {
        ManifestRef { number: self.manifest.number, id: self.manifest.id.clone(), sha256: self.sha256 }
    }
}

#[derive(Deserialize)]
struct Probe {
    format: String,
}

fn envelope(text: &str, signature: &[u8]) -> Vec<u8> {
    format!("{{\"manifest\":{text},\"signature\":\"{}\"}}\n", hex::encode(signature)).into_bytes()
}

/// SHA-256 as an array.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests;
