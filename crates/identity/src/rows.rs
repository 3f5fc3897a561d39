//! Rows as JSON with a version, over [`NotedRows`].

use crate::error::IdentityError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use tacet_ledger::noted::{Expect, NotedRows, RowWrite, Table};

/// The version of the form of all rows of this crate (`docs/formats/identity.md`).
pub(crate) const ROW_VERSION: u16 = 1;

/// What is kept in a row.
pub(crate) trait Row: Serialize + DeserializeOwned {
    /// Where.
    const TABLE: Table;
    /// What it is called in an error.
    const WHAT: &'static str;
}

/// A row as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Kept<T> {
    pub(crate) row: T,
    pub(crate) revision: u64,
}

#[derive(Serialize)]
struct Written<'a, T> {
    version: u16,
    row: &'a T,
}

#[derive(Deserialize)]
struct Read<T> {
    version: u16,
    row: T,
}

pub(crate) fn encode<T: Row>(row: &T) -> Result<Vec<u8>, IdentityError> {
    serde_json::to_vec(&Written { version: ROW_VERSION, row }).map_err(|_| IdentityError::Row(T::WHAT))
}

pub(crate) fn decode<T: Row>(value: &[u8]) -> Result<T, IdentityError> {
    let read: Read<T> = serde_json::from_slice(value).map_err(|_| IdentityError::Row(T::WHAT))?;
    if read.version == ROW_VERSION { Ok(read.row) } else { Err(IdentityError::Row(T::WHAT)) }
}

pub(crate) fn get<T: Row>(rows: &dyn NotedRows, name: &[u8]) -> Result<Option<Kept<T>>, IdentityError> {
    let found = rows.get(T::TABLE, name)?;
    found.map(|found| Ok(Kept { row: decode(&found.value)?, revision: found.revision })).transpose()
}

pub(crate) fn put<T: Row>(name: &[u8], row: &T, expect: Expect) -> Result<RowWrite, IdentityError> {
    Ok(RowWrite { table: T::TABLE, name: name.to_vec(), value: Some(encode(row)?), expect })
}

pub(crate) fn gone<T: Row>(name: &[u8], expect: Expect) -> RowWrite {
    RowWrite { table: T::TABLE, name: name.to_vec(), value: None, expect }
}

/// Reads every row of a kind. Rows that are no such row stop it with an error, so that none is passed over.
pub(crate) fn each<T: Row>(rows: &dyn NotedRows, take: &mut dyn FnMut(&[u8], Kept<T>)) -> Result<(), IdentityError> {
    let mut outcome = Ok(());
    rows.scan(T::TABLE, &mut |found| match decode(&found.value) {
        Ok(row) => {
            take(&found.name, Kept { row, revision: found.revision });
            ControlFlow::Continue(())
        }
        Err(error) => {
            outcome = Err(error);
            ControlFlow::Break(())
        }
    })?;
    outcome
}

/// Serde for a role, by its name.
pub(crate) mod role_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use tacet_types::Role;

    pub(crate) fn serialize<S: Serializer>(role: &Role, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(role.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Role, D::Error> {
        let name = String::deserialize(from)?;
        Role::parse(&name).ok_or_else(|| serde::de::Error::custom("not a role"))
    }
}
