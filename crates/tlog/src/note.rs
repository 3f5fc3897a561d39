//! Signed notes (<https://c2sp.org/signed-note>): a text and lines of signatures under it, each by a named key.
//!
//! A note that was parsed is not verified: [`Note::verify`] with the keys that are trusted does that. Signatures by other keys, and of types
//! that this program does not know, are kept as they came and say nothing.

mod key;

pub use key::{KEY_NAME_BYTES_MAX, KeyError, KeyId, SignatureType, SignerKey, VerifierKey};

use crate::text;
use std::fmt;

/// Longest note, in bytes. Sixteen signatures, which every reader must take, are 110 KiB where they are of the largest kind in sight.
pub const NOTE_BYTES_MAX: usize = 256 << 10;

/// Most signatures of a note. The specification asks for 16 at least.
pub const SIGNATURES_MAX: usize = 64;

/// How a signature line begins: em dash and space.
const SIGNATURE_START: &str = "\u{2014} ";

/// Bytes of a key id before a signature.
const KEY_ID_BYTES: usize = 4;

/// Why bytes are not a note, or why it is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than allowed.
    #[error("the note has more than {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// Not shaped as the specification says.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// More signatures than allowed.
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// A trusted key's name and id stand on a signature that is not by that key.
    #[error("the signature of {name} does not fit: the note was changed, or is forged")]
    BadSignature {
        /// The key's name.
        name: String,
    },
    /// No signature is by a trusted key.
    #[error("the note is not signed by a key that is trusted here")]
    NotSigned,
}

/// One signature under a note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    name: String,
    id: KeyId,
    bytes: Vec<u8>,
}

impl Signature {
    /// A signature line's parts; `None` where no key has such a name or the signature is empty.
    pub fn new(name: &str, id: KeyId, bytes: Vec<u8>) -> Option<Self> {
        (key::name_fits(name) && !bytes.is_empty()).then(|| Self { name: name.to_owned(), id, bytes })
    }

    /// The name of the key that is said to have made it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of that key.
    pub fn key_id(&self) -> KeyId {
        self.id
    }

    /// What the key made, without the id. Its shape depends on the key's type.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads one line, without its end.
    pub fn parse_line(line: &str) -> Result<Self, NoteError> {
        let wrong = || NoteError::Malformed("a line below the text is not a signature");
        let (name, encoded) =
            line.strip_prefix(SIGNATURE_START).and_then(|rest| rest.split_once(' ')).ok_or_else(wrong)?;
        let decoded = text::base64(encoded).ok_or_else(wrong)?;
        let (id, bytes) = decoded.split_first_chunk::<KEY_ID_BYTES>().ok_or_else(wrong)?;
        Self::new(name, KeyId(*id), bytes.to_vec()).ok_or_else(wrong)
    }

    /// Reads lines as a witness answers them, each with its end.
    ///
    /// # Errors
    /// A line is not a signature, or there are too many.
    pub fn parse_lines(bytes: &[u8]) -> Result<Vec<Self>, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let lines = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed("it does not end with a line end"))?;
        parse_signatures(lines)
    }
}

impl fmt::Display for Signature {
    /// The line, without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = text::to_base64(&[&self.id.0, self.bytes.as_slice()].concat());
        write!(f, "{SIGNATURE_START}{} {encoded}", self.name)
    }
}

fn parse_signatures(lines: &str) -> Result<Vec<Signature>, NoteError> {
    if lines.split('\n').nth(SIGNATURES_MAX).is_some() {
        return Err(NoteError::TooManySignatures);
    }
    lines.split('\n').map(Signature::parse_line).collect()
}

/// A text and its signatures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// A text that nobody signed yet.
    ///
    /// # Errors
    /// The text does not end with a line end, or has control characters.
    pub fn new(text: String) -> Result<Self, NoteError> {
        if text.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed("the text does not end with a line end"));
        }
        check_characters(&text)?;
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a note. It is not verified by that.
    ///
    /// # Errors
    /// It is not shaped as a note, or longer than allowed.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
        check_characters(whole)?;
        // The last empty line separates: the text may have empty lines of its own.
        let (text, lines) = whole.rsplit_once("\n\n").ok_or(NoteError::Malformed("no empty line below the text"))?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed("it does not end with a line end"))?;
        Ok(Self { text: format!("{text}\n"), signatures: parse_signatures(lines)? })
    }

    /// The text, with the end of its last line.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in order, verified or not.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature, unless it is there already. `false`, and nothing done, where there is no room.
    #[must_use]
    pub fn add(&mut self, signature: Signature) -> bool {
        if self.signatures.contains(&signature) {
            return true;
        }
        let fits = self.signatures.len() < SIGNATURES_MAX
            && self.encode().len() + signature.to_string().len() < NOTE_BYTES_MAX;
        if fits {
            self.signatures.push(signature);
        }
        fits
    }

    /// Adds a signature in the place of all that carry the same key's name and id: a witness that signs again says more than before. `false`, and
    /// nothing done, where there is no room.
    #[must_use]
    pub fn renew(&mut self, signature: Signature) -> bool {
        let before = self.signatures.clone();
        self.signatures.retain(|other| other.name != signature.name || other.id != signature.id);
        let added = self.add(signature);
        if !added {
            self.signatures = before;
        }
        added
    }

    /// The note as text: what is stored, served and sent.
    pub fn encode(&self) -> String {
        let mut out = format!("{}\n", self.text);
        for signature in &self.signatures {
            out.push_str(&signature.to_string());
            out.push('\n');
        }
        out
    }

    /// The keys of `trusted` by which this note is signed, by their places in it.
    ///
    /// # Errors
    /// A signature with the name and id of a trusted key does not fit, or there is none by a trusted key.
    pub fn verify(&self, trusted: &[VerifierKey]) -> Result<Vec<usize>, NoteError> {
        let mut by = Vec::new();
        for signature in &self.signatures {
            for (place, key) in trusted.iter().enumerate() {
                if !key.made(signature) || !key.is_supported() {
                    continue;
                }
                if !key.verify(self.text.as_bytes(), &signature.bytes) {
                    return Err(NoteError::BadSignature { name: signature.name.clone() });
                }
                if !by.contains(&place) {
                    by.push(place);
                }
            }
        }
        if by.is_empty() { Err(NoteError::NotSigned) } else { Ok(by) }
    }
}

/// No control characters but the line end.
fn check_characters(text: &str) -> Result<(), NoteError> {
    let fits = text.bytes().all(|byte| byte >= b' ' || byte == b'\n');
    if fits { Ok(()) } else { Err(NoteError::Malformed("it has a control character")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacet_types::SeededRng;

    /// The example of the specification, with the key that its author published for it in Go's package `note`.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PETER_NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn the_published_note_verifies_and_no_other() {
        let key = VerifierKey::parse(PETER).unwrap();
        assert_eq!(key.to_string(), PETER);
        let note = Note::parse(PETER_NOTE.as_bytes()).unwrap();
        assert_eq!(note.encode(), PETER_NOTE);
        assert_eq!(note.verify(std::slice::from_ref(&key)), Ok(vec![0]));
        for place in 0..PETER_NOTE.len() {
            let mut changed = PETER_NOTE.as_bytes().to_vec();
            changed[place] ^= 1;
            let taken = Note::parse(&changed).is_ok_and(|note| note.verify(std::slice::from_ref(&key)).is_ok());
            assert!(!taken, "byte {place}");
            let cut = Note::parse(&PETER_NOTE.as_bytes()[..place]);
            assert!(!cut.is_ok_and(|note| note.verify(std::slice::from_ref(&key)).is_ok()), "cut at {place}");
        }
    }

    #[test]
    fn a_forged_signature_by_a_trusted_name_spoils_the_note_and_unknown_ones_do_not() {
        let rng = SeededRng::new(1);
        let [mine, other] = ["a.example/log", "b.example/log"]
            .map(|name| SignerKey::generate(name, SignatureType::Ed25519, &rng).unwrap());
        let mut note = Note::new("words\n\nmore words\n".to_owned()).unwrap();
        assert!(note.add(mine.sign(note.text().as_bytes()).unwrap()));
        assert!(note.add(other.sign(note.text().as_bytes()).unwrap()));
        let unknown = Signature::new("pq.example", KeyId([1, 2, 3, 4]), vec![7; 2428]).unwrap();
        assert!(note.add(unknown.clone()));
        let again = Note::parse(note.encode().as_bytes()).unwrap();
        assert_eq!(again, note);
        assert_eq!(again.signatures()[2], unknown);
        assert_eq!(again.verify(&[mine.verifier()]), Ok(vec![0]));
        assert_eq!(again.verify(&[other.verifier(), mine.verifier()]), Ok(vec![1, 0]));
        assert_eq!(again.verify(&[]), Err(NoteError::NotSigned));
        // The same name and id, and not that key's signature.
        let forged = Signature::new(mine.name(), mine.verifier().id(), vec![0; 64]).unwrap();
        assert!(note.add(forged));
        assert!(matches!(note.verify(&[mine.verifier()]), Err(NoteError::BadSignature { .. })));
        // A key of a type that is not known here is held, and says nothing.
        let later = VerifierKey::from_parts("pq.example", SignatureType::Other(0x0a), &[1; 40]).unwrap();
        let told = Signature::new("pq.example", later.id(), vec![9; 10]).unwrap();
        let mut note = Note::new("words\n".to_owned()).unwrap();
        assert!(note.add(told));
        assert_eq!(note.verify(&[later]), Err(NoteError::NotSigned));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        for bad in [
            "",
            "\n",
            "\n\n",
            "text\n",
            "text\n\n",
            "text\n\nnot a signature\n",
            "text\n\n\u{2014} n AAAAAAE=",
            "text\n\n\u{2014} n AAAAAA==\n",
            "text\n\n\u{2014}  AAAAAAE=\n",
            "text\n\n\u{2014} a+b AAAAAAE=\n",
            "text\n\n- n AAAAAAE=\n",
            "te\txt\n\n\u{2014} n AAAAAAE=\n",
            "te\rxt\n\n\u{2014} n AAAAAAE=\n",
            "text\n\n\u{2014} n AAAAAAE= \n",
            "text\n\n\u{2014} a\u{a0}b AAAAAAE=\n",
        ] {
            assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Note::parse("text\n\n\u{2014} n AAAAAAE=\n".as_bytes()).is_ok());
        assert!(Note::parse("\n\n\u{2014} n AAAAAAE=\n".as_bytes()).is_ok(), "an empty text is one empty line");
        assert!(Note::parse(b"te\xffxt\n\n\xe2\x80\x94 n AAAAAAE=\n").is_err());
        let many = format!("text\n\n{}", "\u{2014} n AAAAAAE=\n".repeat(SIGNATURES_MAX + 1));
        assert_eq!(Note::parse(many.as_bytes()), Err(NoteError::TooManySignatures));
        assert_eq!(Note::parse(&vec![b'a'; NOTE_BYTES_MAX + 1]), Err(NoteError::TooLong));
    }
}
