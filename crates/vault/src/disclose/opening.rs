//! Opening: data keys against receipts, and what lies sealed under them.

use super::{CONTENT_BYTES_MAX, Disclosed, Located, json_limits};
use crate::error::VaultError;
use crate::layout;
use crate::layout::RowKey;
use crate::owner::Owner;
use crate::vault::Inner;
use tacet_fhir::json::{self, Json};
use tacet_ledger::Receipt;
use tacet_seal::{OnBehalf, Sealer, WrappedKey};
use tacet_search::document::{Document, Key};
use tacet_search::parameters::Parameters;
use tacet_types::RecordRef;
use zeroize::Zeroizing;

impl Inner {
    /// Unwraps the data key of `owner` against a receipt. None: the key was destroyed.
    pub(crate) fn opener<'a>(&'a self, receipt: &'a Receipt, owner: &Owner) -> Result<Option<Opener<'a>>, VaultError> {
        let row = layout::data_key(&self.keys.row_keys, &owner.label());
        let on_behalf = OnBehalf::LedgerEntry(receipt.index());
        let Some(sealer) = self.data_key(&row, owner, on_behalf)? else { return Ok(None) };
        Ok(Some(Opener { inner: self, receipt, sealer }))
    }

    /// The data key in a row. None: there is none, or it was destroyed.
    pub(crate) fn data_key(
        &self,
        row: &RowKey,
        owner: &Owner,
        on_behalf: OnBehalf,
    ) -> Result<Option<Sealer>, VaultError> {
        match self.store.reader().get(row)? {
            Some(value) if value != layout::ERASED => {
                let key = self.keeper.unwrap(&WrappedKey::from_bytes(value)?, row, on_behalf)?;
                Ok(Some(content_sealer(owner, &key)))
            }
            _ => Ok(None),
        }
    }

    /// Opens a record with a key in hand and throws the text away: says only whether it opens and is what it claims.
    /// For `tacet check`, which discloses nothing.
    pub(crate) fn verify_content(&self, sealer: &Sealer, located: &Located) -> Result<(), VaultError> {
        let text = self.open_content(sealer, located)?;
        let value = json::parse(&text, &json_limits())?;
        let string = |name: &str| value.get(name).and_then(Json::as_str);
        let names_itself = string("resourceType") == Some(located.record.resource_type.as_str())
            && string("id") == Some(located.record.id.as_str());
        if names_itself { Ok(()) } else { Err(VaultError::Damaged("a record is not the one its row names")) }
    }

    /// The search document of a record, with a key in hand. For the search index, which discloses nothing.
    pub(crate) fn document_of(
        &self,
        sealer: &Sealer,
        located: &Located,
        parameters: &Parameters,
    ) -> Result<Document, VaultError> {
        let text = self.open_content(sealer, located)?;
        let value = json::parse(&text, &json_limits())?;
        let RecordRef { resource_type, id, version } = located.record.clone();
        Ok(Document::of(&value, Key { resource_type, id }, version, located.meta.last_updated, parameters))
    }

    /// The value of a record that the vault itself goes by (a SearchParameter), with a key in hand. It is shown to nobody.
    pub(crate) fn value_of(&self, sealer: &Sealer, located: &Located) -> Result<Json<'static>, VaultError> {
        Ok(json::parse(&self.open_content(sealer, located)?, &json_limits())?.into_owned())
    }

    pub(crate) fn open_content(&self, sealer: &Sealer, located: &Located) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (_, content) = self.open_version_meta(&located.row, &located.value)?;
        let associated = self.content_associated(&located.row, &located.record);
        Ok(tacet_seal::open(sealer, &associated, content, CONTENT_BYTES_MAX)?)
    }
}

/// A patient's key seals few records, so random nonces are safe with AES-256-GCM; the establishment's key seals
/// without bound, where AES-256-GCM-SIV forgives a repeated nonce.
pub(crate) fn content_sealer(owner: &Owner, key: &tacet_seal::Key) -> Sealer {
    match owner {
        Owner::Patient(_) => Sealer::gcm(key),
        Owner::Establishment => Sealer::gcm_siv(key),
    }
}

/// Opens the records that one receipt names, with the one data key that it unwrapped.
pub(crate) struct Opener<'a> {
    inner: &'a Inner,
    receipt: &'a Receipt,
    sealer: Sealer,
}

impl Opener<'_> {
    /// Opens a record, if the receipt names it.
    pub(crate) fn open(&self, located: Located) -> Result<Disclosed, VaultError> {
        // INVARIANT: nothing is opened that the durable entry does not name.
        if !self.receipt.covers(&located.record) {
            return Err(VaultError::Internal("the receipt does not name this record".into()));
        }
        let body = self.inner.open_content(&self.sealer, &located)?;
        Ok(Disclosed { record: located.record, last_updated: located.meta.last_updated, body })
    }
}
