//! Typed access to the rows: JSON in and out.

use crate::error::SmartError;
use crate::secret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::ControlFlow;
use std::sync::Arc;
use tacet_ledger::Entry;
use tacet_ledger::noted::{Expect, NotedRows, RowWrite, RowsError, Table};

/// How often something is tried again because somebody else changed a row meanwhile.
pub(crate) const TRIES_MAX: usize = 4;

/// The rows of the authorization server.
#[derive(Clone)]
pub(crate) struct Rows(pub(crate) Arc<dyn NotedRows>);

/// The name of a row that is found by a secret: a word and the secret's hash.
pub(crate) fn by_secret(kind: &str, secret: &str) -> Vec<u8> {
    let mut name = kind.as_bytes().to_vec();
    name.push(b':');
    name.extend_from_slice(&secret::sha256(secret.as_bytes()));
    name
}

/// The name of a row that is found by an id.
pub(crate) fn by_id(kind: &str, id: &str) -> Vec<u8> {
    format!("{kind}:{id}").into_bytes()
}

impl Rows {
    /// A row and its revision.
    pub(crate) fn get<T: DeserializeOwned>(&self, table: Table, name: &[u8]) -> Result<Option<(T, u64)>, SmartError> {
        let Some(row) = self.0.get(table, name)? else { return Ok(None) };
        let value = serde_json::from_slice(&row.value).map_err(|_| SmartError::Damaged)?;
        Ok(Some((value, row.revision)))
    }

    /// Each row whose name starts with `kind` and a colon.
    pub(crate) fn each<T: DeserializeOwned>(
        &self,
        table: Table,
        kind: &str,
        mut each: impl FnMut(Vec<u8>, T, u64),
    ) -> Result<(), SmartError> {
        let prefix = format!("{kind}:").into_bytes();
        let mut damaged = false;
        self.0.scan(table, &mut |row| {
            if row.name.starts_with(&prefix) {
                match serde_json::from_slice(&row.value) {
                    Ok(value) => each(row.name, value, row.revision),
                    Err(_) => damaged = true,
                }
            }
            ControlFlow::Continue(())
        })?;
        if damaged { Err(SmartError::Damaged) } else { Ok(()) }
    }

    /// Writes all of this and the entries, or nothing.
    pub(crate) async fn commit(&self, writes: Vec<RowWrite>, entries: Vec<Entry>) -> Result<(), RowsError> {
        self.0.commit(writes, entries).await
    }
}

/// A write of a value.
pub(crate) fn put<T: Serialize>(
    table: Table,
    name: Vec<u8>,
    value: &T,
    expect: Expect,
) -> Result<RowWrite, SmartError> {
    let value = serde_json::to_vec(value).map_err(|_| SmartError::Damaged)?;
    Ok(RowWrite { table, name, value: Some(value), expect })
}

/// A removal.
pub(crate) fn remove(table: Table, name: Vec<u8>, expect: Expect) -> RowWrite {
    RowWrite { table, name, value: None, expect }
}
