//! What the index needs of the establishment's keys: its own sealer, and the hash that orders results.

use crate::document::Key;
use std::fmt;
use tacet_seal::{EstablishmentKeys, Purpose, ROW_KEY_BYTES, RowKeys, Sealer};
use tacet_types::EstablishmentId;

/// Keeps the order of results apart from the rows of the store, whose keys come from the same hash.
const ORDER_DOMAIN: u8 = Purpose::Index as u8;

/// The space of the order's hashes: no row of the store begins with it.
const ORDER_SPACE: u8 = 0xff;

/// A keyed hash of type and id.
pub(crate) type Name = [u8; ROW_KEY_BYTES - 1];

/// Keys of the search index of one establishment. Cheap to clone.
#[derive(Clone)]
pub struct IndexKey {
    pub(crate) establishment: EstablishmentId,
    pub(crate) sealer: Sealer,
    order: Order,
}

impl IndexKey {
    /// What the index needs of these keys; it keeps nothing of the others.
    pub fn of(keys: &EstablishmentKeys) -> Self {
        let sealer = keys.sealer(Purpose::Index).clone();
        Self { establishment: keys.id, sealer, order: Order(keys.row_keys.clone()) }
    }

    /// The order of results that no sort tells apart.
    pub fn order(&self) -> &Order {
        &self.order
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey(..)")
    }
}

/// A fixed order of resources that tells nothing of them: by a keyed hash of type and id. A resource keeps its place whatever
/// becomes of it, so that paging neither skips nor repeats one that does not change.
#[derive(Clone)]
pub struct Order(RowKeys);

impl Order {
    /// The place of a resource. Two may share one: type and id then decide.
    pub fn of(&self, key: &Key) -> u64 {
        self.name(key).iter().take(8).fold(0, |place, byte| place << 8 | u64::from(*byte))
    }

    /// Stands for a resource where many are remembered: short, and no two share one.
    pub(crate) fn name(&self, key: &Key) -> Name {
        let parts = [key.resource_type.as_str().as_bytes(), key.id.as_str().as_bytes()];
        let [_, hash @ ..] = self.0.key(ORDER_SPACE, ORDER_DOMAIN, &parts);
        hash
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Order(..)")
    }
}
