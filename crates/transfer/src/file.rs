//! The file: what is signed, and what seals it.

use crate::keys::SIGNATURE_BYTES;
use crate::manifest::{Manifest, Part, PatientParts};
use crate::{HospitalKeys, PublicKey, Recipient, TransferError};
use std::io::{Read, Write};
use tacet_types::Timestamp;
use zeroize::Zeroizing;

/// Longest transfer, in bytes.
pub const FILE_BYTES_MAX: usize = 512 << 20;

/// Most bytes of all documents and PDFs of a transfer: what the seal and the manifest take is left for them.
pub const CONTENT_BYTES_MAX: usize = FILE_BYTES_MAX - 2 * MANIFEST_BYTES_MAX;

/// Longest manifest, in bytes.
const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// How far the clock of the sender may be ahead, in milliseconds.
const AHEAD_MS_MAX: i64 = 3_600_000;

/// What a sealed file holds begins with this.
const MAGIC: &[u8] = b"tacet-transfer-1\n";

/// What goes of one patient: the document Bundle in JSON, and the PDF.
pub type Summary = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

/// A transfer that was opened: everything in it is what the sender signed.
pub struct Opened {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The name under which the sender is known here.
    pub sender: String,
    content: Zeroizing<Vec<u8>>,
    /// Where each part begins in the content.
    places: Vec<(usize, usize)>,
}

impl Opened {
    /// How many patients there are.
    pub fn patients(&self) -> usize {
        self.manifest.patients.len()
    }

    /// The document Bundle of a patient, in JSON.
    pub fn bundle(&self, patient: usize) -> Option<&[u8]> {
        self.part(patient.checked_mul(2)?)
    }

    /// The PDF of a patient.
    pub fn pdf(&self, patient: usize) -> Option<&[u8]> {
        self.part(patient.checked_mul(2)?.checked_add(1)?)
    }

    fn part(&self, at: usize) -> Option<&[u8]> {
        let (start, end) = *self.places.get(at)?;
        self.content.get(start..end)
    }
}

/// Signs and seals a transfer: for each patient the document Bundle in JSON and the PDF.
///
/// # Errors
/// The manifest keeps not to its bounds, there is too much, or it cannot be sealed.
pub fn seal(
    mut manifest: Manifest,
    patients: &[Summary],
    keys: &HospitalKeys,
    to: &Recipient,
) -> Result<Vec<u8>, TransferError> {
    manifest.from.key = keys.public().to_string();
    manifest.to.key = to.to_string();
    let parts = patients.iter().map(|(bundle, pdf)| PatientParts { bundle: Part::of(bundle), pdf: Part::of(pdf) });
    manifest.patients = parts.collect();
    manifest.check()?;
    let total = manifest.parts().try_fold(0u64, |sum, part| sum.checked_add(part.bytes));
    if total.is_none_or(|total| total > CONTENT_BYTES_MAX as u64) {
        return Err(TransferError::TooMuch { what: "bytes", max: CONTENT_BYTES_MAX });
    }
    let text = serde_json::to_vec(&manifest).map_err(|error| TransferError::Sealing(Box::new(error)))?;
    if text.len() > MANIFEST_BYTES_MAX {
        return Err(TransferError::TooMuch { what: "bytes in its manifest", max: MANIFEST_BYTES_MAX });
    }
    let length = u32::try_from(text.len()).map_err(|error| TransferError::Sealing(Box::new(error)))?;
    let sealing = |error: std::io::Error| TransferError::Sealing(Box::new(error));
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&to.0 as &dyn age::Recipient))
        .map_err(|error| TransferError::Sealing(Box::new(error)))?;
    let mut out = encryptor.wrap_output(Vec::new()).map_err(sealing)?;
    for piece in [MAGIC, &keys.sign(&text), &length.to_be_bytes(), &text] {
        out.write_all(piece).map_err(sealing)?;
    }
    for (bundle, pdf) in patients {
        out.write_all(bundle).and_then(|()| out.write_all(pdf)).map_err(sealing)?;
    }
    out.finish().map_err(sealing)
}

/// Opens a transfer that is for the owner of `keys`, signed by one of `senders`, at the time `now`.
///
/// # Errors
/// What [`TransferError`] says; nothing of a file is given that is not wholly what was signed.
pub fn open(
    file: &[u8],
    keys: &HospitalKeys,
    senders: &[(String, PublicKey)],
    now: Timestamp,
) -> Result<Opened, TransferError> {
    if file.len() > FILE_BYTES_MAX {
        return Err(TransferError::TooLong);
    }
    let decryptor = age::Decryptor::new(file).map_err(|_| TransferError::NoTransfer)?;
    let mut reader =
        decryptor.decrypt(std::iter::once(&keys.identity as &dyn age::Identity)).map_err(|error| match error {
            age::DecryptError::NoMatchingKeys => TransferError::NotForUs,
            age::DecryptError::InvalidHeader | age::DecryptError::UnknownFormat => TransferError::NoTransfer,
            _ => TransferError::Changed,
        })?;
    // Never longer than the file, so all of its room is taken at once: a buffer that grows leaves copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(file.len()));
    reader.read_to_end(&mut content).map_err(|_| TransferError::Changed)?;
    let (manifest, sender, mut place) = manifest(&content, keys, senders)?;
    let mut places = Vec::with_capacity(2 * manifest.patients.len());
    for part in manifest.parts() {
        let length = usize::try_from(part.bytes).map_err(|_| TransferError::Changed)?;
        let end = place.checked_add(length).ok_or(TransferError::Changed)?;
        let bytes = content.get(place..end).ok_or(TransferError::Changed)?;
        if Part::of(bytes) != *part {
            return Err(TransferError::Changed);
        }
        places.push((place, end));
        place = end;
    }
    if place != content.len() {
        return Err(TransferError::Changed);
    }
    if let Some(until) = manifest.until().filter(|until| *until < now) {
        return Err(TransferError::Expired { until });
    }
    if manifest.made_at().is_none_or(|made| made > now.plus_ms(AHEAD_MS_MAX)) {
        return Err(TransferError::Early);
    }
    Ok(Opened { manifest, sender, content, places })
}

/// The manifest, once the signature of a known sender holds; who that is, and where the parts begin.
fn manifest(
    content: &[u8],
    keys: &HospitalKeys,
    senders: &[(String, PublicKey)],
) -> Result<(Manifest, String, usize), TransferError> {
    let rest = content.strip_prefix(MAGIC).ok_or(TransferError::Form)?;
    let (signature, rest) = rest.split_at_checked(SIGNATURE_BYTES).ok_or(TransferError::Form)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(TransferError::Form)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| TransferError::Form)?;
    if length > MANIFEST_BYTES_MAX {
        return Err(TransferError::Form);
    }
    let text = rest.get(..length).ok_or(TransferError::Form)?;
    let Some((sender, key)) = senders.iter().find(|(_, key)| key.verifies(text, signature)) else {
        // Whom it names is only told, so that people can compare; it is believed in nothing.
        let named = serde_json::from_slice::<Manifest>(text).ok().and_then(|said| PublicKey::parse(&said.from.key));
        return Err(match named {
            Some(key) if !senders.iter().any(|(_, known)| *known == key) && key.verifies(text, signature) => {
                TransferError::UnknownSender { key }
            }
            _ => TransferError::Changed,
        });
    };
    let manifest: Manifest = serde_json::from_slice(text).map_err(|_| TransferError::Form)?;
    manifest.check()?;
    // Signed for another recipient and sealed anew to this one: somebody passed it on who should not have.
    let for_us = manifest.to.key == keys.recipient().to_string() && manifest.from.key == key.to_string();
    if !for_us {
        return Err(TransferError::NotForUs);
    }
    Ok((manifest, sender.clone(), MAGIC.len() + SIGNATURE_BYTES + 4 + length))
}
