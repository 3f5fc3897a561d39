//! What part of the results is asked for, and what comes back.

use crate::document::Key;
use crate::request::{SortKey, Total};
use std::cmp::Ordering;
use tacet_types::{ResourceId, ResourceType, VersionId};

/// Most results of one page; a larger count is taken as this.
pub const PAGE_COUNT_MAX: usize = 10_000;

/// Most keys of a sort that a position holds.
pub const SORT_KEYS_MAX: usize = 8;

/// Most bytes of a text that a position holds; two texts alike so far are told apart by the order of resources.
pub const SORT_TEXT_BYTES_MAX: usize = 256;

/// First byte of an encoded position.
const POSITION_FORMAT: u8 = 1;

/// Which results, and how many.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// What they are ordered by; after that, and if it is empty, by the fixed order of resources.
    pub sort: Vec<SortKey>,
    /// At most this many. 0 asks for the total only.
    pub count: usize,
    /// Only those after this position: the `next` of the page before, with the same filter and sort.
    pub after: Option<Position>,
    /// Whether all matches are counted.
    pub total: Total,
}

/// Results of one page. Keys only: nothing is disclosed yet.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Hits {
    /// The resources with their versions, in order.
    pub keys: Vec<(Key, VersionId)>,
    /// Where each of `keys` stands.
    pub positions: Vec<Position>,
    /// Where the next page begins; None where this is the last.
    pub next: Option<Position>,
    /// How many match in all, if that was asked for.
    pub total: Option<u64>,
}

/// By what a resource stands where it stands, for one key of a sort.
#[derive(Clone, PartialEq, Debug)]
pub enum SortValue {
    /// It has no value: it comes after those that have one, whatever the direction.
    Missing,
    /// A moment in milliseconds, or a whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A text, compared by its bytes, cut to [`SORT_TEXT_BYTES_MAX`].
    Text(Box<str>),
}

impl SortValue {
    /// A text cut to what a position holds.
    pub fn text(text: &str) -> Self {
        Self::Text(text.get(..text.floor_char_boundary(SORT_TEXT_BYTES_MAX)).unwrap_or_default().into())
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Missing => 3,
            Self::Integer(_) => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
        }
    }

    /// Which comes first in the direction; what has no value comes last in both.
    pub fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let ordering = match (self, other) {
            (Self::Missing, _) | (_, Self::Missing) => return self.rank().cmp(&other.rank()),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        };
        if descending { ordering.reverse() } else { ordering }
    }
}

/// Where a resource stands in an order. It stays right while data change: it names values, not a count. It holds values of the
/// resource: seal it before it leaves the server.
#[derive(Clone, PartialEq, Debug)]
pub struct Position {
    /// One for each key of the sort.
    pub values: Vec<SortValue>,
    /// The place of the resource in the fixed order.
    pub order: u64,
    /// The resource.
    pub key: Key,
}

impl Position {
    /// Which of two stands first under a sort.
    pub fn compare(&self, other: &Self, sort: &[SortKey]) -> Ordering {
        let values = self.values.iter().zip(&other.values).zip(sort);
        values
            .map(|((a, b), key)| a.compare(b, key.descending))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
            .then_with(|| self.order.cmp(&other.order))
            .then_with(|| self.key.cmp(&other.key))
    }

    /// As bytes, for a sealed cursor.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![POSITION_FORMAT, self.values.len().min(SORT_KEYS_MAX) as u8];
        for value in self.values.iter().take(SORT_KEYS_MAX) {
            match value {
                SortValue::Missing => out.push(0),
                SortValue::Integer(value) => {
                    out.push(1);
                    out.extend(value.to_be_bytes());
                }
                SortValue::Number(value) => {
                    out.push(2);
                    out.extend(value.to_bits().to_be_bytes());
                }
                SortValue::Text(text) => {
                    out.push(3);
                    let text = text.get(..text.floor_char_boundary(SORT_TEXT_BYTES_MAX)).unwrap_or_default();
                    // INVARIANT: cut to fewer than 65,536 bytes the line before.
                    out.extend((text.len() as u16).to_be_bytes());
                    out.extend(text.as_bytes());
                }
            }
        }
        out.extend(self.order.to_be_bytes());
        out.push(self.key.resource_type.code());
        out.extend(self.key.id.as_str().as_bytes());
        out
    }

    /// Reads what [`Position::encode`] wrote; None for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let ([POSITION_FORMAT, count], mut rest) = bytes.split_first_chunk()? else { return None };
        if usize::from(*count) > SORT_KEYS_MAX {
            return None;
        }
        let mut values = Vec::with_capacity(usize::from(*count));
        for _ in 0..*count {
            let (kind, after) = rest.split_first()?;
            rest = after;
            values.push(match kind {
                0 => SortValue::Missing,
                1 => SortValue::Integer(i64::from_be_bytes(*take(&mut rest)?)),
                2 => SortValue::Number(f64::from_bits(u64::from_be_bytes(*take(&mut rest)?))),
                3 => {
                    let length = usize::from(u16::from_be_bytes(*take(&mut rest)?));
                    let (text, after) = rest.split_at_checked(length.min(SORT_TEXT_BYTES_MAX + 1))?;
                    rest = after;
                    (length <= SORT_TEXT_BYTES_MAX)
                        .then_some(SortValue::Text(std::str::from_utf8(text).ok()?.into()))?
                }
                _ => return None,
            });
        }
        let order = u64::from_be_bytes(*take(&mut rest)?);
        let (resource_type, id) = rest.split_first()?;
        let resource_type = ResourceType::from_code(*resource_type)?;
        let id = ResourceId::parse(std::str::from_utf8(id).ok()?).ok()?;
        Some(Self { values, order, key: Key { resource_type, id } })
    }
}

fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::SortBy;

    fn position(values: Vec<SortValue>, order: u64, id: &str) -> Position {
        let key = Key { resource_type: ResourceType::parse("Patient").unwrap(), id: ResourceId::parse(id).unwrap() };
        Position { values, order, key }
    }

    #[test]
    fn a_position_goes_round_and_no_part_of_it_does() {
        let values = vec![
            SortValue::Missing,
            SortValue::Integer(-5),
            SortValue::Number(1.5),
            SortValue::text("Müller"),
            SortValue::text(&"é".repeat(300)),
        ];
        let position = position(values, 7, "a-1");
        let bytes = position.encode();
        assert_eq!(Position::decode(&bytes), Some(position.clone()));
        for length in 0..bytes.len() {
            assert_ne!(Position::decode(&bytes[..length]), Some(position.clone()), "cut to {length}");
        }
        for place in 0..bytes.len() {
            let mut other = bytes.clone();
            other[place] ^= 0x80;
            assert_ne!(Position::decode(&other), Some(position.clone()), "byte {place}");
        }
    }

    #[test]
    fn what_has_no_value_comes_last_in_both_directions_and_ties_have_an_order() {
        let sort = |descending| vec![SortKey { parameter: SortBy::LastUpdated, descending }];
        let one = position(vec![SortValue::Integer(1)], 9, "a");
        let two = position(vec![SortValue::Integer(2)], 1, "b");
        let none = position(vec![SortValue::Missing], 0, "c");
        assert!(one.compare(&two, &sort(false)).is_lt() && one.compare(&two, &sort(true)).is_gt());
        for descending in [false, true] {
            assert!(one.compare(&none, &sort(descending)).is_lt() && none.compare(&two, &sort(descending)).is_gt());
        }
        let (same, later) =
            (position(vec![SortValue::Integer(1)], 9, "b"), position(vec![SortValue::Integer(1)], 10, "a"));
        assert!(one.compare(&same, &sort(true)).is_lt() && same.compare(&later, &sort(true)).is_lt());
    }
}
