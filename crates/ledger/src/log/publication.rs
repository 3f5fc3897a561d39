//! How the ledger was published at the last start: so that a later start notices that less is asked of others now. Who may write the
//! settings could quietly do without witnesses otherwise.

use super::{Change, SPACE_LOG};
use crate::error::LedgerError;
use crate::keys::LedgerKeys;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use tacet_store::{Reader, Write};
use tacet_types::Rng;

const PUBLICATION_ROW: [u8; 2] = [SPACE_LOG, 5];

/// How the ledger is published.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Publication {
    /// Whether anybody may fetch the files.
    pub public: bool,
    /// The keys of the witnesses that are asked, as text; their names alone in rows of earlier versions.
    pub witnesses: BTreeSet<String>,
    /// How many must have cosigned, and within how many seconds; none: nothing stops without them.
    pub required: Option<(u64, u64)>,
}

impl Publication {
    /// What others see less of, or are asked less often, than before: each in words.
    pub fn less_than(&self, before: &Self) -> Vec<String> {
        let mut less = Vec::new();
        if before.public && !self.public {
            less.push("the published files can no longer be fetched by anybody".to_owned());
        }
        let name = |key: &str| key.split('+').next().unwrap_or_default().to_owned();
        let names: BTreeSet<String> = self.witnesses.iter().map(|key| name(key)).collect();
        for key in before.witnesses.difference(&self.witnesses) {
            match names.contains(&name(key)) {
                false => less.push(format!("the witness {} is no longer asked", name(key))),
                // Whoever writes the settings could put a key of their own in its place.
                true if key.contains('+') => less.push(format!("the witness {} has another key", name(key))),
                true => {}
            }
        }
        match (before.required, self.required) {
            (Some((quorum, _)), None) => {
                less.push(format!("cosignatures are no longer required: of {quorum} witnesses before"));
            }
            (Some((before, _)), Some((now, _))) if now < before => {
                less.push(format!("cosignatures of {now} witnesses are required: of {before} before"));
            }
            _ => {}
        }
        if let (Some((_, before)), Some((_, now))) = (before.required, self.required)
            && now > before
        {
            less.push(format!("cosignatures may be {now} seconds old: {before} before"));
        }
        less
    }

    /// `public 1`, `required QUORUM SECONDS`, `witness KEY`: a line each.
    fn encode(&self) -> String {
        let mut out = format!("public {}\n", u8::from(self.public));
        // Writing to a text cannot fail.
        if let Some((quorum, age_s)) = self.required {
            let _ = writeln!(out, "required {quorum} {age_s}");
        }
        self.witnesses.iter().for_each(|name| {
            let _ = writeln!(out, "witness {name}");
        });
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut publication = Self::default();
        for line in std::str::from_utf8(bytes).ok()?.lines() {
            match line.split_once(' ')? {
                ("public", said) => publication.public = said == "1",
                ("required", said) => {
                    let (quorum, age_s) = said.split_once(' ')?;
                    publication.required = Some((quorum.parse().ok()?, age_s.parse().ok()?));
                }
                ("witness", name) => {
                    publication.witnesses.insert(name.to_owned());
                }
                _ => return None,
            }
        }
        Some(publication)
    }
}

/// How the ledger was published at the last start; `None` where that was not kept.
///
/// # Errors
/// The row does not open or cannot be read.
pub fn publication(reader: &dyn Reader, keys: &LedgerKeys) -> Result<Option<Publication>, LedgerError> {
    let Some(row) = reader.get(&PUBLICATION_ROW)? else { return Ok(None) };
    let plain = keys.open_log(&PUBLICATION_ROW, &row)?;
    Publication::decode(&plain).ok_or(LedgerError::LogRow("how it is published")).map(Some)
}

/// Keeps how the ledger is published.
///
/// # Errors
/// The cipher fails.
pub fn keep_publication(keys: &LedgerKeys, now: &Publication, rng: &dyn Rng) -> Result<Change, LedgerError> {
    let row = keys.seal_log(&PUBLICATION_ROW, now.encode().as_bytes(), rng)?;
    Ok(Change { preconditions: Vec::new(), writes: vec![Write::put(PUBLICATION_ROW, row)] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_less_is_told_and_what_is_more_is_not() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let before = Publication { public: true, witnesses: names(&["w1", "w2"]), required: Some((2, 3600)) };
        assert_eq!(Publication::decode(before.encode().as_bytes()).as_ref(), Some(&before));
        assert_eq!(Publication::decode(b"public 0\n"), Some(Publication::default()));
        for wrong in ["public", "required 1\n", "odd x\n", "required x 1\n"] {
            assert_eq!(Publication::decode(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(before.less_than(&before), Vec::<String>::new());
        assert_eq!(before.less_than(&Publication::default()), Vec::<String>::new());
        assert_eq!(Publication::default().less_than(&before).len(), 4);
        let age = Publication { required: Some((1, 7200)), ..before.clone() };
        assert_eq!(age.less_than(&before).len(), 2);
        let other = Publication { witnesses: names(&["w1", "w3"]), ..before.clone() };
        assert_eq!(other.less_than(&before), ["the witness w2 is no longer asked"]);
        // By their keys: one of the same name may be anybody's. Rows of before had names only.
        let keyed = Publication { witnesses: names(&["w1+aa+BA", "w2+bb+BA"]), ..before.clone() };
        assert_eq!(keyed.less_than(&before), Vec::<String>::new());
        let swapped = Publication { witnesses: names(&["w1+aa+BA", "w2+cc+BA"]), ..before.clone() };
        assert_eq!(swapped.less_than(&keyed), ["the witness w2 has another key"]);
        let fewer = Publication { witnesses: names(&["w1+aa+BA"]), ..before.clone() };
        assert_eq!(fewer.less_than(&keyed), ["the witness w2 is no longer asked"]);
    }
}
