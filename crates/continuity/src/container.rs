//! What is sealed to a workstation: a signed note about a pack, and the PDF. `docs/formats/pack.md` describes it to the byte.
//!
//! ```text
//! "tacet-pack/1\n"  length of the note (4 bytes, big endian)  note (C2SP signed note: who, what, when, hash)  PDF
//! ```
//!
//! The seal around it (age) is made and opened by who has the file; here is what must hold inside: the hospital's key signed the note, and the PDF is
//! the one that the note names.

use crate::Language;
use aws_lc_rs::digest::{SHA256, digest};
use tacet_tlog::note::{Note, NoteError, Signature};
use tacet_tlog::{KeyError, VerifierKey};
use tacet_types::Timestamp;

/// How an opened pack begins.
const MAGIC: &[u8] = b"tacet-pack/1\n";

/// Longest note, in bytes.
const NOTE_BYTES_MAX: usize = 4096;

/// Largest opened pack, in bytes: some thousand pages.
pub const PACK_BYTES_MAX: usize = 64 << 20;

/// Longest id or name that is told in a note, in bytes.
const FIELD_BYTES_MAX: usize = 200;

/// What a pack says of itself. No name of a patient is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// The establishment that made it.
    pub establishment: String,
    /// The ward, as the settings name it: `Location/42`.
    pub ward: String,
    /// The serial number.
    pub serial: String,
    /// When it was made.
    pub made: Timestamp,
    /// Until when it is to be trusted.
    pub until: Timestamp,
    /// Its language.
    pub language: Language,
    /// How many patients it has sheets of.
    pub patients: usize,
}

/// Why a pack is not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// It is no pack, or of a later version.
    #[error("this is no paper pack, or one of a later version")]
    Form,
    /// It is larger than any pack.
    #[error("this is larger than {PACK_BYTES_MAX} bytes, the largest pack there is")]
    TooLarge,
    /// The hospital's key did not sign it.
    #[error("the hospital's key did not sign this pack: do not use it, and report it")]
    Signature(#[source] NoteError),
    /// The PDF is not the one that was signed.
    #[error("the pages are not those that were signed: do not use this pack, and report it")]
    Pages,
    /// A field does not fit a line.
    #[error("the ward's name does not fit a line of {FIELD_BYTES_MAX} bytes")]
    Field,
    /// The key does not sign.
    #[error("the pack could not be signed")]
    Key(#[source] KeyError),
}

/// An opened pack whose signature holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened<'b> {
    /// What it says of itself.
    pub about: About,
    /// The PDF.
    pub pdf: &'b [u8],
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl About {
    fn note(&self, pdf: &[u8]) -> Result<Note, PackError> {
        let fields = [&self.establishment, &self.ward, &self.serial];
        let fits =
            |text: &&String| !text.is_empty() && text.len() <= FIELD_BYTES_MAX && !text.chars().any(char::is_control);
        if !fields.iter().all(fits) {
            return Err(PackError::Field);
        }
        let text = format!(
            "tacet-pack/1\nestablishment {}\nward {}\nserial {}\nmade {}\nuntil {}\nlanguage {}\npatients {}\npdf {} {}\n",
            self.establishment,
            self.ward,
            self.serial,
            self.made,
            self.until,
            self.language.tag(),
            self.patients,
            pdf.len(),
            hex(digest(&SHA256, pdf).as_ref()),
        );
        Note::new(text).map_err(|_| PackError::Field)
    }

    /// Reads a note's text: what it says, and length and hash of the PDF.
    fn parse(text: &str) -> Option<(Self, usize, String)> {
        let mut lines = text.strip_prefix("tacet-pack/1\n")?.lines();
        let mut field = |name: &str| {
            let value = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?;
            (value.len() <= FIELD_BYTES_MAX).then(|| value.to_owned())
        };
        let about = Self {
            establishment: field("establishment")?,
            ward: field("ward")?,
            serial: field("serial")?,
            made: Timestamp::parse(&field("made")?).ok()?,
            until: Timestamp::parse(&field("until")?).ok()?,
            language: Language::parse(&field("language")?)?,
            patients: field("patients")?.parse().ok()?,
        };
        let pdf = field("pdf")?;
        let (length, hash) = pdf.split_once(' ')?;
        let length = length.parse().ok()?;
        lines.next().is_none().then(|| (about, length, hash.to_owned()))
    }
}

/// A pack, signed by who holds the key: what is to be sealed to the ward's workstations.
///
/// # Errors
/// A field does not fit, the pack is too large, or the key does not sign.
pub fn sign(
    about: &About,
    pdf: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Signature, KeyError>,
) -> Result<Vec<u8>, PackError> {
    let mut note = about.note(pdf)?;
    let signature = sign(note.text().as_bytes()).map_err(PackError::Key)?;
    if !note.add(signature) {
        return Err(PackError::Field);
    }
    let note = note.encode();
    let total = MAGIC.len() + 4 + note.len() + pdf.len();
    let length = u32::try_from(note.len()).ok().filter(|_| note.len() <= NOTE_BYTES_MAX && total <= PACK_BYTES_MAX);
    let length = length.ok_or(PackError::TooLarge)?;
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(note.as_bytes());
    out.extend_from_slice(pdf);
    Ok(out)
}

/// Opens a pack out of its seal, if one of these keys signed it.
///
/// # Errors
/// It is no pack, none of the keys signed it, or its pages are others.
pub fn open<'b>(bytes: &'b [u8], trusted: &[VerifierKey]) -> Result<Opened<'b>, PackError> {
    if bytes.len() > PACK_BYTES_MAX {
        return Err(PackError::TooLarge);
    }
    let rest = bytes.strip_prefix(MAGIC).ok_or(PackError::Form)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(PackError::Form)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|length| *length <= NOTE_BYTES_MAX);
    let (note, pdf) = rest.split_at_checked(length.ok_or(PackError::Form)?).ok_or(PackError::Form)?;
    let note = Note::parse(note).map_err(|_| PackError::Form)?;
    // INVARIANT: nothing that the note says is believed before a trusted key has signed it.
    note.verify(trusted).map_err(PackError::Signature)?;
    let (about, length, hash) = About::parse(note.text()).ok_or(PackError::Form)?;
    if pdf.len() != length || hex(digest(&SHA256, pdf).as_ref()) != hash {
        return Err(PackError::Pages);
    }
    Ok(Opened { about, pdf })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_tlog::SignerKey;
    use tacet_tlog::note::SignatureType;
    use tacet_types::SeededRng;

    fn about() -> About {
        About {
            establishment: "6f1c".into(),
            ward: "Location/cardio".into(),
            serial: "20261122-1205-7K3Q".into(),
            made: Timestamp::parse("2026-11-22T12:05:00Z").unwrap(),
            until: Timestamp::parse("2026-11-23T00:05:00Z").unwrap(),
            language: Language::French,
            patients: 130,
        }
    }

    fn key(seed: u64) -> SignerKey {
        SignerKey::generate("hospital.example/packs", SignatureType::Ed25519, &SeededRng::new(seed)).unwrap()
    }

    #[test]
    fn a_pack_goes_round_and_every_flipped_byte_is_noticed() {
        let (signer, pdf) = (key(1), b"%PDF-1.7 pages".as_slice());
        let pack = sign(&about(), pdf, |text| signer.sign(text)).unwrap();
        let trusted = [signer.verifier()];
        assert_eq!(open(&pack, &trusted).unwrap(), Opened { about: about(), pdf });
        for place in 0..pack.len() {
            for bit in [1, 0x80] {
                let mut bent = pack.clone();
                bent[place] ^= bit;
                assert!(open(&bent, &trusted).is_err(), "byte {place}");
            }
        }
        for length in 0..pack.len() {
            assert!(open(&pack[..length], &trusted).is_err(), "{length} bytes");
        }
        assert!(open(&[pack.as_slice(), b"x"].concat(), &trusted).is_err());
    }

    #[test]
    fn only_a_trusted_key_counts() {
        let pack = sign(&about(), b"pdf", |text| key(1).sign(text)).unwrap();
        assert!(matches!(open(&pack, &[key(2).verifier()]), Err(PackError::Signature(_))));
        assert!(open(&pack, &[]).is_err());
        assert!(open(&pack, &[key(2).verifier(), key(1).verifier()]).is_ok());
        let two_lines = About { ward: "a\npatients 3".into(), ..about() };
        assert!(matches!(sign(&two_lines, b"pdf", |text| key(1).sign(text)), Err(PackError::Field)));
    }
}
