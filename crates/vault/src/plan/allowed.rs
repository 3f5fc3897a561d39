//! Whether the caller may make a planned change: by what stands there, and by what shall stand there.
//!
//! What is hidden is treated as absent, with the same answer: people create nothing under an id of their own choice, so a PUT to an id
//! that they cannot see finds nothing, whether or not there is something.

use super::Plan;
use super::confirm::NOT_STORED;
use crate::access::{CareChange, Doing, Ground, Look, Sights, is_human};
use crate::caller::Caller;
use crate::disclose::json_limits;
use crate::error::VaultError;
use crate::head::{Head, Method, VersionMeta};
use crate::layout::RowKey;
use crate::vault::Inner;
use std::sync::Arc;
use tacet_fhir::json::{self, Json};
use tacet_fhir::security;
use tacet_policy::Act;
use tacet_search::document::{Document, Key};
use tacet_search::parameters::Parameters;
use tacet_types::{Labels, RecordRef};

/// What the caller may do; none where roles alone decide.
#[derive(Default)]
pub(super) struct Rights {
    pub(super) read: Option<Arc<Sights>>,
    create: Option<Arc<Sights>>,
    update: Option<Arc<Sights>>,
    delete: Option<Arc<Sights>>,
    /// Whether somebody is held to the rules at all.
    held: bool,
}

impl Rights {
    pub(super) fn of(inner: &Inner, caller: &Caller) -> Result<Self, VaultError> {
        if inner.access.is_none() || caller.own_work {
            return Ok(Self::default());
        }
        let write = |doing| inner.sights_for(caller, Act::Write, doing);
        Ok(Self {
            read: inner.sights(caller, Act::Read)?,
            create: write(Doing::Create)?,
            update: write(Doing::Update)?,
            delete: write(Doing::Delete)?,
            held: true,
        })
    }
}

/// Whether somebody is told that something is withheld from them.
struct Told(bool);

/// What who sees something and may not change it is told.
const SEEN_ONLY: &str = "this account may see the resource and not change it";

/// What stands where something is to be changed, as the caller sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Nothing.
    Absent,
    /// Something that they may not know of.
    Hidden,
    /// Something that they see.
    Seen,
}

impl Standing {
    pub(super) fn is_hidden(self) -> bool {
        self == Self::Hidden
    }
}

impl Plan<'_> {
    pub(super) fn standing(&self, before: &Option<Head>) -> Standing {
        let Some(before) = before else { return Standing::Absent };
        let RecordRef { resource_type, id, .. } = &before.record;
        match self.inner.look(self.rights.read.as_ref(), *resource_type, id, &before.current) {
            Look::Hidden => Standing::Hidden,
            Look::Seen(_) => Standing::Seen,
        }
    }

    /// Whether this version may be written, and on which ground.
    pub(super) fn may_put(
        &mut self,
        record: &RecordRef,
        before: &Option<Head>,
        standing: Standing,
        after: &VersionMeta,
        resource: &Json<'_>,
        method: Method,
    ) -> Result<Option<Ground>, VaultError> {
        if !self.rights.held {
            return Ok(None);
        }
        let chosen = method == Method::Put && is_human(self.caller.role);
        // First: whether the new version may stand depends on whose it is, and that is known only of a patient who is there.
        if chosen && (before.is_none() || standing.is_hidden()) {
            return Err(VaultError::NotFound);
        }
        let creates = method == Method::Post;
        let sights = if creates { self.rights.create.clone() } else { self.rights.update.clone() };
        let unknown = self.unknown_patient()?;
        let ground = match self.may_stand(sights.as_deref(), record, after, resource, unknown.is_some()) {
            Ok(ground) => ground,
            Err(error) => {
                self.even_out_named(unknown.as_ref())?;
                return Err(error);
            }
        };
        let before = match (before, standing) {
            (_, Standing::Hidden) => return Err(VaultError::NotFound),
            (None, _) => return Ok(ground),
            (Some(before), _) => before.clone(),
        };
        self.may_change(sights.as_ref(), &before)?;
        self.may_relabel(&before, after)?;
        Ok(ground)
    }

    /// Whether a current version may be put anew by this caller, who sees it.
    pub(super) fn may_keep(&mut self, before: &Head) -> Result<(), VaultError> {
        if !self.rights.held {
            return Ok(());
        }
        let sights = self.rights.update.clone();
        self.may_change(sights.as_ref(), before).map(|_| ())
    }

    /// Whether what is there may be deleted, and on which ground.
    pub(super) fn may_delete(&mut self, before: &Head) -> Result<Option<Ground>, VaultError> {
        if !self.rights.held {
            return Ok(None);
        }
        let sights = self.rights.delete.clone();
        self.may_change(sights.as_ref(), before)
    }

    /// Whether what is there may be changed by this caller, who sees it.
    fn may_change(&mut self, sights: Option<&Arc<Sights>>, before: &Head) -> Result<Option<Ground>, VaultError> {
        let RecordRef { resource_type, id, .. } = &before.record;
        let Look::Seen(ground) = self.inner.look(sights, *resource_type, id, &before.current) else {
            return Err(VaultError::NotAllowed(SEEN_ONLY));
        };
        match self.withholds(before)? {
            None => Ok(ground),
            Some(Told(true)) => Err(VaultError::NotAllowed(
                "parts of the resource are withheld from this account, and a change could lose them",
            )),
            // The same words as for whoever may change nothing of the kind.
            Some(Told(false)) => Err(VaultError::NotAllowed(SEEN_ONLY)),
        }
    }

    /// Whether elements of the current version are withheld from this caller, and whether they are told so. It is looked at by the store
    /// itself and shown to nobody.
    fn withholds(&mut self, before: &Head) -> Result<Option<Told>, VaultError> {
        let Some(sights) = self.rights.read.clone().filter(|sights| !sights.is_everything()) else { return Ok(None) };
        if !before.current.labels.meets(Labels::INLINE) || before.is_deleted() {
            return Ok(None);
        }
        let RecordRef { resource_type, id, version } = &before.record;
        let Some(located) = self.inner.locate_version(*resource_type, id, *version)? else {
            return Ok(Some(Told(false)));
        };
        let (cleared, told) = sights.cleared(*resource_type, &before.current);
        let inner = self.inner;
        let text = inner.open_content(self.sealer(&before.current.owner)?, &located)?;
        let whole = json::parse(&text, &json_limits())?;
        let cut = security::without_inline(whole.clone(), cleared, false) != whole;
        Ok(cut.then_some(Told(told)))
    }

    /// Whether labels may be changed as this version changes them. More confidential may be made by whoever may write; less takes the
    /// right to relabel.
    fn may_relabel(&self, before: &Head, after: &VersionMeta) -> Result<(), VaultError> {
        if before.current.labels.within(after.labels) || before.is_deleted() {
            return Ok(());
        }
        let RecordRef { resource_type, id, .. } = &before.record;
        let sights = self.inner.sights(self.caller, Act::Relabel)?;
        match self.inner.look(sights.as_ref(), *resource_type, id, &before.current) {
            Look::Seen(_) => Ok(()),
            Look::Hidden => {
                Err(VaultError::NotAllowed("taking security labels away takes a right that this account does not have"))
            }
        }
    }

    /// Whether a version like this may be written by this caller at all. `of_unknown`: it names a patient who is not there.
    fn may_stand(
        &self,
        sights: Option<&Sights>,
        record: &RecordRef,
        after: &VersionMeta,
        resource: &Json<'_>,
        of_unknown: bool,
    ) -> Result<Option<Ground>, VaultError> {
        let Some(sights) = sights else { return Ok(None) };
        let RecordRef { resource_type, id, version } = record;
        // Where a patient is not there it is refused as for one who is hidden, and with as much work.
        if !of_unknown && let Some(patients) = after.patients() {
            match sights.visibility.sight(*resource_type, &patients, after.labels) {
                tacet_types::Sight::Seen(basis) => return Ok(sights.ground_of(basis)),
                // Its content decides: by a criterion of the policy, or by the query of a scope.
                tacet_types::Sight::Hidden | tacet_types::Sight::AskIndex => {}
            }
        }
        let parameters = self.inner.indexing().map_or_else(Parameters::standard, |indexing| indexing.parameters());
        let key = Key { resource_type: *resource_type, id: id.clone() };
        let document = Document::of(resource, key, *version, self.now, &parameters);
        match sights.sees(&document) && !of_unknown {
            true => Ok(sights.conditional_ground(*resource_type, after.patients().as_deref(), after.labels)),
            false => Err(VaultError::NotAllowed(NOT_STORED)),
        }
    }

    /// Notes what a planned version says of care, and who puts a patient on file.
    pub(super) fn note_care(
        &mut self,
        head: RowKey,
        record: &RecordRef,
        resource: Option<&Json<'_>>,
    ) -> Result<(), VaultError> {
        let RecordRef { resource_type, id, version } = record;
        let mut said: Vec<(CareChange, tacet_store::Write)> = Vec::new();
        // A machine says what others told it; a person may say it of themselves.
        let writer = self.caller.practitioner.as_ref().filter(|_| is_human(self.caller.role) && !self.caller.own_work);
        said.extend(self.inner.care_of(head, (*resource_type, id), *version, (resource, writer), self.now)?);
        let made = resource.is_some() && *version == tacet_types::VersionId::FIRST;
        if made
            && resource_type.as_str() == "Patient"
            && let Some(practitioner) = &self.caller.practitioner
        {
            said.push(self.inner.care_of_registration(id, practitioner, self.now)?);
        }
        for (change, write) in said {
            self.writes.push(write);
            self.care.push(change);
        }
        Ok(())
    }
}
