//! The one file that changes: the library's list of segments, and with it the id of every file.

use crate::sealed::chunk::Refusal;
use crate::sealed::keys::FileId;
use std::collections::BTreeMap;

/// The library's list of segments and the ids of all files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Meta {
    /// As the library wrote it.
    pub(crate) list: Vec<u8>,
    /// Path and id.
    pub(crate) files: BTreeMap<String, FileId>,
}

impl Meta {
    pub(crate) fn encode(&self) -> Vec<u8> {
        // INVARIANT: the list takes some hundred bytes for each segment and a path some fifty.
        let mut out = (self.list.len() as u32).to_be_bytes().to_vec();
        out.extend_from_slice(&self.list);
        for (path, id) in &self.files {
            out.extend_from_slice(&(path.len() as u16).to_be_bytes());
            out.extend_from_slice(path.as_bytes());
            out.extend_from_slice(&id.0);
        }
        out
    }

    /// Reads what [`Meta::encode`] wrote. The bytes are authentic, so anything else is a fault of the program that wrote them.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Refusal::Format)?;
        let (list, mut rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(Refusal::Format)?;
        let mut files = BTreeMap::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<2>().ok_or(Refusal::Format)?;
            let (path, after) =
                after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(Refusal::Format)?;
            let (id, after) = after.split_first_chunk::<{ FileId::BYTES }>().ok_or(Refusal::Format)?;
            let path = String::from_utf8(path.to_vec()).map_err(|_| Refusal::Format)?;
            files.insert(path, FileId(*id));
            rest = after;
        }
        Ok(Self { list: list.to_vec(), files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_round_and_no_part_of_it_does() {
        let files = [("a.term", 1), ("b.0.del", 2)].map(|(path, id)| (path.to_owned(), FileId([id; 16])));
        let meta = Meta { list: b"{}".to_vec(), files: files.into() };
        let bytes = meta.encode();
        assert_eq!(Meta::decode(&bytes), Ok(meta.clone()));
        for length in 0..bytes.len() {
            assert_ne!(Meta::decode(&bytes[..length]), Ok(meta.clone()), "{length}");
        }
    }
}
