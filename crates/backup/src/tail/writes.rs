//! Writes of groups as they wait: the rows of a group in one piece of memory, and the last write of each key over several groups in the order of the keys.

use std::ops::Range;
use tacet_store::Write;

/// Bytes before a row's key: the lengths of its key and of its value.
const HEAD_BYTES: usize = 4 + 4;

/// Length of a value that is none: the row is removed.
const REMOVED: u32 = u32::MAX;

/// Bytes that a row costs besides its own: its place, when it is put in order.
const PLACE_BYTES: usize = size_of::<Place>();

/// Rows of one group, one behind the other.
#[derive(Debug)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    count: usize,
}

impl Rows {
    /// A copy of these writes.
    pub(super) fn of<'w>(writes: impl Iterator<Item = &'w Write> + Clone) -> Self {
        let (mut length, mut count) = (0, 0);
        for write in writes.clone() {
            length += HEAD_BYTES + write.key().len() + write.value().map_or(0, <[u8]>::len);
            count += 1;
        }
        let mut bytes = Vec::with_capacity(length);
        for write in writes {
            // INVARIANT: the store takes no longer keys and values (KEY_BYTES_MAX, VALUE_BYTES_MAX).
            let key_length = u32::try_from(write.key().len()).unwrap_or(REMOVED);
            let value_length = write.value().map_or(REMOVED, |value| u32::try_from(value.len()).unwrap_or(REMOVED));
            bytes.extend_from_slice(&key_length.to_le_bytes());
            bytes.extend_from_slice(&value_length.to_le_bytes());
            bytes.extend_from_slice(write.key());
            bytes.extend_from_slice(write.value().unwrap_or_default());
        }
        Self { bytes, count }
    }

    /// Bytes that they cost in memory until they are sent.
    pub(super) fn cost_bytes(&self) -> usize {
        self.bytes.len() + self.count * PLACE_BYTES
    }
}

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    group: usize,
    key: usize,
    key_length: u32,
    value_length: u32,
}

/// The last write of each key in some groups, in the order of the keys.
#[derive(Debug)]
pub(crate) struct Writes {
    groups: Vec<Rows>,
    places: Vec<Place>,
}

impl Writes {
    /// Puts them in order. Later groups come later.
    pub(super) fn of(groups: Vec<Rows>) -> Self {
        let mut writes = Self { places: Vec::with_capacity(groups.iter().map(|rows| rows.count).sum()), groups };
        for (group, rows) in writes.groups.iter().enumerate() {
            let (mut rest, mut at) = (rows.bytes.as_slice(), 0);
            while let Some((head, after)) = rest.split_first_chunk::<HEAD_BYTES>() {
                let [a, b, c, d, value_length @ ..] = *head;
                let key_length = u32::from_le_bytes([a, b, c, d]);
                let value_length = u32::from_le_bytes(value_length);
                writes.places.push(Place { group, key: at + HEAD_BYTES, key_length, value_length });
                let length = key_length as usize + if value_length == REMOVED { 0 } else { value_length as usize };
                rest = after.get(length..).unwrap_or_default();
                at += HEAD_BYTES + length;
            }
        }
        let mut places = std::mem::take(&mut writes.places);
        // Stable: of one key, the last stays last.
        places.sort_by(|one, other| writes.key(one).cmp(writes.key(other)));
        let mut kept: Vec<Place> = Vec::with_capacity(places.len());
        for place in places {
            match kept.last_mut() {
                Some(last) if writes.key(last) == writes.key(&place) => *last = place,
                _ => kept.push(place),
            }
        }
        writes.places = kept;
        writes
    }

    fn bytes(&self, group: usize, range: Range<usize>) -> &[u8] {
        self.groups.get(group).and_then(|rows| rows.bytes.get(range)).unwrap_or_default()
    }

    fn key(&self, place: &Place) -> &[u8] {
        self.bytes(place.group, place.key..place.key + place.key_length as usize)
    }

    fn row(&self, place: &Place) -> (&[u8], Option<&[u8]>) {
        let value = place.key + place.key_length as usize;
        let value = (place.value_length != REMOVED)
            .then(|| self.bytes(place.group, value..value + place.value_length as usize));
        (self.key(place), value)
    }

    /// Each key with what it is set to; none where it is removed.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], Option<&[u8]>)> {
        self.places.iter().map(|place| self.row(place))
    }

    /// Those from a key, included, to another, not.
    pub(crate) fn range(&self, from: &[u8], to: &[u8]) -> impl DoubleEndedIterator<Item = (&[u8], Option<&[u8]>)> {
        let at = |key: &[u8]| self.places.partition_point(|place| self.key(place) < key);
        let places = self.places.get(at(from)..at(to)).unwrap_or_default();
        places.iter().map(|place| self.row(place))
    }

    /// What was written of a key: set to this, or removed. None where nothing was.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let place = self.places.binary_search_by(|place| self.key(place).cmp(key)).ok()?;
        self.places.get(place).map(|place| self.row(place).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A key of two bytes, and a value of some length or none.
    fn any_group() -> impl Strategy<Value = BTreeMap<Vec<u8>, Option<Vec<u8>>>> {
        let key = (0..3_u8, 0..20_u8).prop_map(|(one, two)| vec![one, two]);
        prop::collection::btree_map(key, prop::option::of(prop::collection::vec(any::<u8>(), 0..9)), 0..12)
    }

    proptest! {
        #[test]
        fn they_are_what_a_map_would_hold(groups in prop::collection::vec(any_group(), 0..6)) {
            let mut map = BTreeMap::new();
            let mut rows = Vec::new();
            for group in &groups {
                let writes: Vec<Write> = group.iter().map(|(key, value)| match value {
                    Some(value) => Write::put(key.clone(), value.clone()),
                    None => Write::delete(key.clone()),
                }).collect();
                rows.push(Rows::of(writes.iter()));
                map.extend(group.clone());
            }
            let writes = Writes::of(rows);
            prop_assert!(writes.iter().eq(map.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))));
            for key in [[0, 3], [1, 0], [2, 19], [9, 9]] {
                prop_assert_eq!(writes.get(&key), map.get(&key[..]).map(Option::as_deref));
                let some = writes.range(&[1, 2], &key);
                if key[..] > [1, 2][..] {
                    let expected = map.range(vec![1, 2]..key.to_vec());
                    prop_assert!(some.rev().eq(expected.rev().map(|(key, value)| (key.as_slice(), value.as_deref()))));
                }
            }
        }
    }
}
