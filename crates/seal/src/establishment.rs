//! The keys of one establishment, all out of one random key that the keeper wraps.

use crate::associated::Purpose;
use crate::derivation::Derivation;
use crate::key::Key;
use crate::row_keys::RowKeys;
use crate::sealer::Sealer;
use std::fmt;
use std::sync::Arc;
use tacet_types::EstablishmentId;

/// What an establishment signs with a key that is derived from its own: Ed25519 (RFC 8032), whose seed this names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SigningUse {
    /// Manifests of backups.
    Backup,
    /// Packs for the wards' workstations.
    Pack,
    /// Summaries that are sealed to another hospital.
    Transfer,
    /// Signs nothing: the seed of the key to which others seal summaries (X25519).
    TransferReceiving,
}

impl SigningUse {
    /// HKDF label. Part of the format: `docs/formats/seal.md` lists them.
    const fn label(self) -> &'static str {
        match self {
            Self::Backup => "tacet/establishment/backup-signing/1",
            Self::Pack => "tacet/establishment/pack-signing/1",
            Self::Transfer => "tacet/establishment/transfer-signing/1",
            Self::TransferReceiving => "tacet/establishment/transfer-receiving/1",
        }
    }
}

/// Row keys and sealers of an establishment. Cheap to clone (everything is shared).
///
/// The sealers are AES-256-GCM-SIV: these keys live as long as the establishment.
#[derive(Clone)]
pub struct EstablishmentKeys {
    /// The establishment.
    pub id: EstablishmentId,
    /// Makes the keys of rows.
    pub row_keys: RowKeys,
    /// Content of resources outside every patient compartment (what belongs to a patient is under that patient's data key).
    pub content: Sealer,
    /// Heads of resources.
    pub head: Sealer,
    /// Entries of the change feed.
    pub feed: Sealer,
    /// Which records belong to a patient or a type.
    pub members: Sealer,
    /// Rows that hold wrapped data keys.
    pub data_key: Sealer,
    /// Entries of the ledger.
    pub ledger: Sealer,
    /// Access tokens.
    pub token: Sealer,
    /// Import marks.
    pub import_mark: Sealer,
    /// Heads of the ledger's tree.
    pub ledger_head: Sealer,
    /// The search index.
    pub index: Sealer,
    /// Exports.
    pub export: Sealer,
    /// The store's own state.
    pub state: Sealer,
    backup_signing: Arc<Key>,
    pack_signing: Arc<Key>,
    transfer_signing: Arc<Key>,
    transfer_receiving: Arc<Key>,
}

impl EstablishmentKeys {
    /// Derives every key from the establishment's key; the same input gives the same keys, so nothing but the wrapped
    /// establishment key needs to be kept.
    pub fn derive(key: &Key, id: EstablishmentId) -> Self {
        let derivation = Derivation::new(key.as_bytes(), &id.0);
        let sealer = |purpose| Sealer::gcm_siv(&derivation.key(label(purpose)));
        Self {
            id,
            row_keys: RowKeys::new(&derivation.key("tacet/establishment/row-keys/1")),
            content: sealer(Purpose::Content),
            head: sealer(Purpose::Head),
            feed: sealer(Purpose::Feed),
            members: sealer(Purpose::Members),
            data_key: sealer(Purpose::DataKey),
            ledger: sealer(Purpose::Ledger),
            token: sealer(Purpose::Token),
            import_mark: sealer(Purpose::ImportMark),
            ledger_head: sealer(Purpose::LedgerHead),
            index: sealer(Purpose::Index),
            export: sealer(Purpose::Export),
            state: sealer(Purpose::State),
            backup_signing: Arc::new(derivation.key(SigningUse::Backup.label())),
            pack_signing: Arc::new(derivation.key(SigningUse::Pack.label())),
            transfer_signing: Arc::new(derivation.key(SigningUse::Transfer.label())),
            transfer_receiving: Arc::new(derivation.key(SigningUse::TransferReceiving.label())),
        }
    }

    /// The seed of the key that signs for this use.
    pub fn signing_seed(&self, signing: SigningUse) -> &Key {
        match signing {
            SigningUse::Backup => &self.backup_signing,
            SigningUse::Pack => &self.pack_signing,
            SigningUse::Transfer => &self.transfer_signing,
            SigningUse::TransferReceiving => &self.transfer_receiving,
        }
    }

    /// The sealer for a purpose.
    pub fn sealer(&self, purpose: Purpose) -> &Sealer {
        match purpose {
            Purpose::Content => &self.content,
            Purpose::Head => &self.head,
            Purpose::Feed => &self.feed,
            Purpose::Members => &self.members,
            Purpose::DataKey => &self.data_key,
            Purpose::Ledger => &self.ledger,
            Purpose::Token => &self.token,
            Purpose::ImportMark => &self.import_mark,
            Purpose::LedgerHead => &self.ledger_head,
            Purpose::Index => &self.index,
            Purpose::Export => &self.export,
            Purpose::State => &self.state,
        }
    }
}

/// HKDF labels. Part of the format: `docs/formats/seal.md` lists them.
const fn label(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Content => "tacet/establishment/content/1",
        Purpose::Head => "tacet/establishment/head/1",
        Purpose::Feed => "tacet/establishment/feed/1",
        Purpose::Members => "tacet/establishment/members/1",
        Purpose::DataKey => "tacet/establishment/data-key/1",
        Purpose::Ledger => "tacet/establishment/ledger/1",
        Purpose::Token => "tacet/establishment/token/1",
        Purpose::ImportMark => "tacet/establishment/import-mark/1",
        Purpose::LedgerHead => "tacet/establishment/ledger-head/1",
        Purpose::Index => "tacet/establishment/index/1",
        Purpose::Export => "tacet/establishment/export/1",
        Purpose::State => "tacet/establishment/state/1",
    }
}

impl fmt::Debug for EstablishmentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EstablishmentKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Associated, Dictionary, open, seal};
    use std::collections::HashSet;
    use tacet_types::SeededRng;

    #[test]
    fn keys_can_be_derived_again_and_each_purpose_has_its_own() {
        let key = Key::from_bytes([9; 32]);
        let id = EstablishmentId([1; 16]);
        let (first, again) = (EstablishmentKeys::derive(&key, id), EstablishmentKeys::derive(&key, id));
        assert_eq!(first.row_keys.key(2, 0, &[b"x"]), again.row_keys.key(2, 0, &[b"x"]));
        let rng = SeededRng::new(1);
        for purpose in Purpose::ALL {
            let place = Associated { establishment: id, purpose, row: b"row", resource: None };
            let sealed = seal(first.sealer(purpose), &place, b"text", Dictionary::None, &rng).unwrap();
            assert_eq!(*open(again.sealer(purpose), &place, &sealed, 100).unwrap(), b"text");
            for other in Purpose::ALL.into_iter().filter(|other| *other != purpose) {
                assert!(open(first.sealer(other), &place, &sealed, 100).is_err(), "{purpose:?} under {other:?}");
            }
        }
        let labels: HashSet<&str> = Purpose::ALL.into_iter().map(label).collect();
        assert_eq!(labels.len(), Purpose::ALL.len());
    }

    #[test]
    fn each_use_of_a_signature_has_a_seed_of_its_own() {
        let key = Key::from_bytes([9; 32]);
        let keys = EstablishmentKeys::derive(&key, EstablishmentId([1; 16]));
        let again = EstablishmentKeys::derive(&key, EstablishmentId([1; 16]));
        assert_eq!(keys.signing_seed(SigningUse::Backup), again.signing_seed(SigningUse::Backup));
        assert_ne!(keys.signing_seed(SigningUse::Backup), keys.signing_seed(SigningUse::Pack));
    }

    #[test]
    fn another_establishment_has_other_keys() {
        let key = Key::from_bytes([9; 32]);
        let one = EstablishmentKeys::derive(&key, EstablishmentId([1; 16]));
        let two = EstablishmentKeys::derive(&key, EstablishmentId([2; 16]));
        assert_ne!(one.row_keys.key(2, 0, &[b"x"]), two.row_keys.key(2, 0, &[b"x"]));
    }
}
