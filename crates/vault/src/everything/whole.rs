//! All of a patient's record that somebody may see, at once: what a summary is made of.

use super::{EVERYTHING_PAGE_MAX, EverythingQuery, QUERY};
use crate::EventKind;
use crate::caller::Caller;
use crate::disclose::Disclosed;
use crate::error::VaultError;
use crate::vault::Vault;
use std::collections::HashSet;
use tacet_types::{RecordRef, ResourceId, ResourceType};

/// Most bytes of opened records that are held at once for one summary.
pub const WHOLE_RECORD_BYTES_MAX: usize = 96 << 20;

/// How the ledger names what a patient's record is asked for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Asked {
    /// To read it.
    #[default]
    Everything,
    /// For a summary of it.
    Summary,
    /// For a summary that is sealed to another hospital; the text says for whom and until when.
    Transfer(String),
}

impl Asked {
    pub(super) fn kind(&self) -> EventKind {
        match self {
            Self::Everything | Self::Summary => EventKind::Everything,
            Self::Transfer(_) => EventKind::TransferMade,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Everything => QUERY,
            Self::Summary => "$summary",
            Self::Transfer(text) => text,
        }
    }
}

impl Vault {
    /// The records of these types in a patient's compartment, and those of these types that they refer to outside of every compartment: each once, as the caller
    /// may see them. Written down and opened page by page, as `$everything` does it.
    ///
    /// # Errors
    /// As [`Vault::everything`]; [`VaultError::TooLarge`] past [`WHOLE_RECORD_BYTES_MAX`].
    pub async fn whole_record(
        &self,
        caller: &Caller,
        patient: &ResourceId,
        types: &[ResourceType],
        asked: &Asked,
    ) -> Result<Vec<Disclosed>, VaultError> {
        let mut query = EverythingQuery {
            types: types.to_vec(),
            count: EVERYTHING_PAGE_MAX,
            asked: asked.clone(),
            ..EverythingQuery::default()
        };
        let mut seen: HashSet<RecordRef> = HashSet::new();
        let (mut all, mut bytes) = (Vec::new(), 0usize);
        loop {
            let page = self.everything(caller, patient, &query).await?;
            for (disclosed, _) in page.entries {
                if !seen.insert(disclosed.record.clone()) {
                    continue;
                }
                bytes = bytes.saturating_add(disclosed.body.len());
                if bytes > WHOLE_RECORD_BYTES_MAX {
                    let what = "bytes in the records of one patient (read them by pages with `$everything`)";
                    return Err(VaultError::TooLarge { what, max: WHOLE_RECORD_BYTES_MAX });
                }
                all.push(disclosed);
            }
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return Ok(all),
            }
        }
    }
}
