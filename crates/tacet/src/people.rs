//! Accounts of people at the command line: who stands at the machine is an operator, and nobody's second person.

use crate::config::Config;
use crate::error::CliError;
use crate::open::{self, Opened};
use std::sync::Arc;
use tacet_identity::{Account, Actor, ApprovalId, Identity, IdentityError, Kind, Settings, Url};
use tacet_ledger::Entry;
use tacet_ledger::noted::{NotedRows, RowWrite};
use tacet_vault::{Caller, Vault};

/// Where the pages of the server are, if nothing else is configured.
const HERE: &str = "http://localhost:8443";

/// Accounts over an opened store.
pub(crate) fn identity(opened: &Opened) -> Result<Identity, CliError> {
    identity_over(&opened.vault, &opened.config)
}

/// The same over a store that was opened in another way.
pub(crate) fn identity_over(vault: &Vault, config: &Config) -> Result<Identity, CliError> {
    let mut url = Url::parse(&url_of(config)).map_err(|_| told(IdentityError::Settings))?;
    // Passkeys know names, no addresses.
    if url.domain().is_none() {
        url.set_host(Some("localhost")).map_err(|_| told(IdentityError::Settings))?;
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let rows = Arc::new(vault.clone()) as Arc<dyn NotedRows>;
    Identity::open(rows, open::clock(), open::rng(), Settings::new(&host, url, "Tacet")).map_err(told)
}

/// Where people reach the server.
pub(crate) fn base_url(opened: &Opened) -> String {
    url_of(&opened.config)
}

fn url_of(config: &Config) -> String {
    config.server.base_url.clone().unwrap_or_else(|| HERE.to_owned())
}

/// Whoever runs the command.
pub(crate) fn actor(caller: &Caller) -> Actor {
    Actor::command_line(&caller.owner, caller.operation)
}

/// A refusal, told to whoever runs the command.
pub(crate) fn told(error: IdentityError) -> CliError {
    match error {
        IdentityError::Row(_) | IdentityError::Entry(_) | IdentityError::Rows(_) => {
            CliError::other("the accounts could not be read or changed", error)
        }
        other => CliError::Usage(other.to_string()),
    }
}

/// Whether there are two people, of whom one may ask for this and the other decide.
///
/// Once two administrators have enrolled, those count too who cannot log in now: otherwise whoever has the machine and one administrator's
/// account would suspend the others and decide alone. A hospital that lost its officers makes new accounts by two people, and one that closed every
/// administrator's begins again by `tacet account bootstrap`; until then those count who can log in.
///
/// # Errors
/// The store's.
pub(crate) fn two_can(opened: &Opened, kind: Kind) -> Result<bool, CliError> {
    let (identity, now) = (identity(opened)?, open::clock().now());
    let begins = identity.may_bootstrap().map_err(told)?;
    let enrolled = |account: &&Account| match begins {
        true => account.usable(now) && account.passkeys() > 0,
        false => account.used_ms.is_some() || account.passkeys() > 0,
    };
    let accounts = identity.accounts().map_err(told)?;
    let able: Vec<&Account> = accounts.iter().filter(enrolled).collect();
    let decides = |asker: &&&Account| able.iter().any(|other| other.id != asker.id && kind.may_decide(other.role));
    Ok(able.iter().filter(|account| kind.may_ask(account.role)).any(|asker| decides(&asker)))
}

/// Whether a second person is needed, and none is named: as soon as there are two people ([`two_can`]).
///
/// # Errors
/// What to ask for.
pub(crate) fn require_named(opened: &Opened, kind: Kind, text: &str, approval: Option<&str>) -> Result<(), CliError> {
    if approval.is_some() {
        return Ok(());
    }
    if two_can(opened, kind)? {
        return Err(CliError::Usage(format!(
            "this needs a second person: somebody asks for the kind `{}` with the text `{text}` (POST /_approvals), another \
             allows it, then name it by `--approval`",
            kind.as_str()
        )));
    }
    Ok(())
}

/// Uses what a second person allowed: before anything is done, for exactly this text. Without one named, nothing.
///
/// # Errors
/// An approval that is not for this, or cannot be used.
pub(crate) fn use_approval(
    opened: &Opened,
    caller: &Caller,
    kind: Kind,
    text: &str,
    approval: Option<&str>,
) -> Result<(), CliError> {
    let Some(id) = approval else { return Ok(()) };
    let (identity, actor, id) = for_who_asked(opened, caller, id)?;
    open::wait(identity.use_approval(&actor, &id, kind, text)).map_err(told)?;
    Ok(())
}

/// The same for what is done by a commit of rows: what uses the approval up in that commit, so that neither is without the other.
///
/// # Errors
/// As [`use_approval`].
pub(crate) fn using_approval(
    opened: &Opened,
    caller: &Caller,
    kind: Kind,
    text: &str,
    approval: Option<&str>,
) -> Result<Option<(RowWrite, Entry)>, CliError> {
    let Some(id) = approval else { return Ok(None) };
    let (identity, actor, id) = for_who_asked(opened, caller, id)?;
    let using = identity.using(&actor, &id, kind, text).map_err(told)?;
    Ok(Some((using.write, using.entry)))
}

/// An approval is carried out here for whoever asked; the entry names who stands at the machine.
fn for_who_asked(opened: &Opened, caller: &Caller, id: &str) -> Result<(Identity, Actor, ApprovalId), CliError> {
    let absent = || CliError::Usage("there is no such approval: see `tacet approval list`".into());
    let (id, identity) = (ApprovalId::parse(id).ok_or_else(absent)?, identity(opened)?);
    let found = identity.approval(&id).map_err(told)?.ok_or_else(absent)?;
    let actor = Actor { account: found.asked.account, ..actor(caller) };
    Ok((identity, actor, id))
}
