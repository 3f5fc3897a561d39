//! Rows that say how full an engine is. They stand in the store's own space, beside its format and its chain, and nobody is shown them.
//!
//! ```text
//! 00 7e 01 | piece (4)               the piece is here
//! 00 7e 02 | piece (4) | block (4)   the block is here
//! 00 7e 03 | key                     the row `key` was removed here: what the base has of it does not count
//! 00 7e 04 | name                    a note of whoever fills
//! 00 7e 05                           everything is here; of these rows it is the only one that stays
//! ```

/// Begins every such row.
pub(super) const INNER: [u8; 2] = [0x00, 0x7e];

/// Says that everything is here. Past every other row of these.
pub(super) const FULL: [u8; 3] = [0x00, 0x7e, 0x05];

const PIECE: u8 = 0x01;
const BLOCK: u8 = 0x02;
const REMOVED: u8 = 0x03;
const NOTE: u8 = 0x04;

/// Whether a key is one of these rows'.
pub(super) fn is_inner(key: &[u8]) -> bool {
    key.starts_with(&INNER)
}

pub(super) fn piece(piece: u32) -> Vec<u8> {
    [&INNER[..], &[PIECE], &piece.to_be_bytes()].concat()
}

pub(super) fn block(piece: u32, block: u32) -> Vec<u8> {
    [&INNER[..], &[BLOCK], &piece.to_be_bytes(), &block.to_be_bytes()].concat()
}

/// First and past-the-end key of the blocks of a piece that are here.
pub(super) fn blocks_of(piece: u32) -> (Vec<u8>, Vec<u8>) {
    (block(piece, 0), [block(piece, u32::MAX), vec![0]].concat())
}

pub(super) fn removed(key: &[u8]) -> Vec<u8> {
    [&INNER[..], &[REMOVED], key].concat()
}

/// The key in a row that says that it was removed.
pub(super) fn key_of_removed(row: &[u8]) -> Option<&[u8]> {
    row.strip_prefix(&INNER)?.strip_prefix(&[REMOVED])
}

/// First and past-the-end key of the rows that say what was removed from `from` to `to`.
pub(super) fn removed_between(from: &[u8], to: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (removed(from), removed(to))
}

pub(super) fn note(name: &str) -> Vec<u8> {
    [&INNER[..], &[NOTE], name.as_bytes()].concat()
}

/// What a row of a piece or a block names.
pub(super) enum Here {
    Piece(u32),
    Block(u32, u32),
}

/// Reads such a row's key; `None` where it is none.
pub(super) fn here(row: &[u8]) -> Option<Here> {
    let rest = row.strip_prefix(&INNER)?;
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
    match rest {
        [PIECE, rest @ ..] => Some(Here::Piece(number(rest)?)),
        [BLOCK, rest @ ..] => {
            let (piece, block) = rest.split_at_checked(4)?;
            Some(Here::Block(number(piece)?, number(block)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_apart_and_those_of_the_store_are_none() {
        assert!(matches!(here(&piece(7)), Some(Here::Piece(7))));
        assert!(matches!(here(&block(7, 9)), Some(Here::Block(7, 9))));
        assert!(here(&removed(&[1; 4])).is_none() && here(&note("x")).is_none());
        assert_eq!(key_of_removed(&removed(&[2, 3])), Some(&[2, 3][..]));
        assert_eq!(key_of_removed(&piece(1)), None);
        for store in [&[0x00, 0x01][..], &[0x00, 0x02, 0, 0, 0, 1], &[0x00, 0x03], &[0x00], &[]] {
            assert!(!is_inner(store));
        }
        let (from, to) = blocks_of(7);
        assert!(from <= block(7, 0) && block(7, u32::MAX) < to && to < block(8, 0));
    }
}
