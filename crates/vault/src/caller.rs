//! On whose behalf the vault acts: who asks, in which role, what for, from where.

use std::sync::Arc;
use tacet_ledger::{Agent, Entry, EventKind, Origin, Outcome, PurposeOfUse};
use tacet_policy::Scopes;
use tacet_types::{Labels, OperationId, ResourceId, ResourceType, Role, Timestamp};

/// Who asks, and the circumstances that the ledger keeps.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account's owner: a named person or machine.
    pub owner: String,
    /// The account's role.
    pub role: Role,
    /// Public id of the token that was shown; none on the command line.
    pub token: Option<String>,
    /// What for.
    pub purpose: PurposeOfUse,
    /// From where.
    pub origin: Origin,
    /// The request or command.
    pub operation: OperationId,
    /// The person for whom a machine asks.
    pub on_behalf_of: Option<String>,
    /// Who this is among the records: the Practitioner whose relations to patients count.
    pub practitioner: Option<ResourceId>,
    /// The patients for whom this account stands: its own record, or those of its children.
    pub patients: Vec<ResourceId>,
    /// Whether the login was a strong one: a passkey, or what counts as much.
    pub strong: bool,
    /// Whether this is a session of a supplier.
    pub supplier: bool,
    /// Whether it may copy out many records without another person's approval each time.
    pub may_export: bool,
    /// What the token is good for, where that is less than what the account may do.
    pub scopes: Option<Arc<Scopes>>,
    /// The patient of the launch, for scopes that are about one patient.
    pub launch_patient: Option<ResourceId>,
    /// The id of the account, where it has one beside its owner's name: what break-glass is declared for.
    pub account: Option<String>,
    /// What its rights hang on beyond the request, where that is no token of this store: in the words of who let it in, and who tells whether that still
    /// stands ([`crate::Vault::judge_subscribers`]). For what goes on in its name afterwards.
    pub hangs_on: Option<String>,
    /// What a second person has allowed for this one call, with the labels that they were told of.
    pub approved: Option<Labels>,
    /// The short id of the session in which this is done, or in which the app that asks was let in.
    pub session: Option<String>,
    /// The short id of the device.
    pub device: Option<String>,
    /// The store's own work, for which no policy is asked: it shows nothing to anybody.
    pub own_work: bool,
}

impl Caller {
    /// A caller of whom no more is known than this: no token, nobody among the records.
    pub fn new(
        owner: impl Into<String>,
        role: Role,
        purpose: PurposeOfUse,
        origin: Origin,
        operation: OperationId,
    ) -> Self {
        Self {
            owner: owner.into(),
            role,
            token: None,
            purpose,
            origin,
            operation,
            on_behalf_of: None,
            practitioner: None,
            patients: Vec::new(),
            strong: false,
            supplier: false,
            may_export: false,
            scopes: None,
            launch_patient: None,
            account: None,
            hangs_on: None,
            session: None,
            device: None,
            approved: None,
            own_work: false,
        }
    }

    /// What names the account: its id, or its owner.
    pub fn account(&self) -> &str {
        self.account.as_deref().unwrap_or(&self.owner)
    }

    /// Whether this is who something belongs to that was made by `owner` with the account `account`, none for a machine's token. An account is
    /// compared by its id: a name may be given to another, and a person may be called what a machine's token is.
    pub fn is(&self, owner: &str, account: Option<&str>) -> bool {
        match (self.account.as_deref(), account) {
            (Some(own), Some(account)) => own == account,
            (None, None) => self.owner == owner,
            _ => false,
        }
    }

    /// Marks it as the store's own work.
    pub(crate) fn for_own_work(self) -> Self {
        Self { own_work: true, ..self }
    }

    /// A ledger entry of this caller, without records yet.
    pub(crate) fn entry(
        &self,
        at: Timestamp,
        kind: EventKind,
        outcome: Outcome,
        patient: Option<(ResourceType, ResourceId)>,
    ) -> Entry {
        Entry {
            at,
            kind,
            agent: Agent { owner: self.owner.clone(), role: self.role.as_str().to_owned(), token: self.token.clone() },
            on_behalf_of: self.on_behalf_of.clone(),
            patient,
            records: Vec::new(),
            categories: Vec::new(),
            purpose: self.purpose,
            origin: self.origin,
            operation: self.operation,
            outcome,
            query: None,
            detail: None,
            basis: None,
            account: self.account.clone(),
            session: self.session.clone(),
            device: self.device.clone(),
        }
    }
}
