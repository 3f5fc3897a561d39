//! What a restore ends before anybody is served, and what it cannot know and people must look at.
//!
//! Between the snapshot and the loss people logged out, took tokens back, used invitations and approvals up, ended emergencies. None of that is in the
//! snapshot, so all of it would be valid again. It ends, all of it: logging in anew costs a minute, and a token in the wrong hands a hospital.

use crate::config::Config;
use crate::error::CliError;
use crate::{open, people};
use serde_json::{Value, json};
use std::fmt::Write;
use tacet_backup::Manifest;
use tacet_smart::Asked;
use tacet_vault::{Caller, Subscription, SubscriptionState, Vault};

/// What came back and was ended, and what is left as it was at the snapshot.
#[derive(Default)]
pub(in crate::commands) struct Ended {
    people: tacet_identity::EndedAfterRestore,
    apps: tacet_smart::EndedAfterRestore,
    tokens: usize,
    tokens_kept: usize,
    subscriptions: usize,
    locked: bool,
    halted: bool,
}

/// Ends it. Done again, as after a kill, it ends what there is then.
pub(in crate::commands) fn end_what_came_back(
    vault: &Vault,
    config: &Config,
    caller: &Caller,
    keep_tokens: bool,
) -> Result<Ended, CliError> {
    let identity = people::identity_over(vault, config)?;
    let now = open::clock().now();
    let asked = Asked { origin: caller.origin, operation: caller.operation };
    let mut ended = Ended {
        people: open::wait(identity.end_after_restore(&people::actor(caller))).map_err(people::told)?,
        apps: open::wait(tacet_smart::end_after_restore(vault, now, &caller.owner, asked))
            .map_err(|error| CliError::other("what apps were given could not be ended", error))?,
        ..Ended::default()
    };
    if keep_tokens {
        ended.tokens_kept = vault.tokens_in_force()?;
    } else {
        ended.tokens = open::wait(vault.revoke_all_tokens(caller, "after a restore"))?;
    }
    // One that cannot be read is no reason to show nothing: then only those are counted whose numbers went on.
    let advanced = open::wait(vault.advance_event_numbers())?;
    let active = |one: &Subscription| one.state == SubscriptionState::Active;
    ended.subscriptions = vault.subscriptions().map_or(advanced, |all| all.into_iter().filter(active).count());
    ended.locked = vault.lockdown_level().is_some();
    ended.halted = vault.halted().is_some();
    Ok(ended)
}

impl Ended {
    /// As JSON.
    pub(super) fn value(&self) -> Value {
        let Self { people, apps, .. } = self;
        json!({
            "ended": {
                "sessions": people.sessions, "invitations": people.invitations, "approvals": people.approvals,
                "break_glass": people.break_glass, "grants": apps.grants, "access_tokens": apps.access_tokens,
                "codes": apps.under_way, "tokens": self.tokens,
            },
            "left": {
                "accounts": people.accounts_open, "unreadable": people.unreadable, "clients": apps.clients_in_use, "tokens": self.tokens_kept,
                "subscriptions": self.subscriptions, "locked": self.locked, "halted": self.halted,
            },
        })
    }

    /// For people: what was ended, and what only they know.
    pub(super) fn text(&self, snapshot: &Manifest) -> String {
        let (people, apps, time) = (&self.people, &self.apps, snapshot.time());
        let mut text = format!(
            "Ended, because what was ended after the snapshot would be valid again: {} sessions, {} invitations, {} open approvals, {} emergencies \
             (break-glass), {} grants to apps, {} access tokens, {} codes and launches, {} machine tokens.\n\
             Nobody but you knows what else was changed after {time}. Look at (docs/restore.md, \"What only people know\"):\n",
            people.sessions,
            people.invitations,
            people.approvals,
            people.break_glass,
            apps.grants,
            apps.access_tokens,
            apps.under_way,
            self.tokens,
        );
        let tokens = match (self.tokens_kept, self.tokens) {
            (0, 0) => String::new(),
            (0, ended) => format!("  tokens         {ended} were ended: give machines new ones\n"),
            (kept, _) => format!("  tokens         {kept} were kept (--keep-tokens): revoke again which was revoked\n"),
        };
        let locked = match self.locked {
            true => "the store was locked at the snapshot, and is: two people lift that",
            false => "the store is not locked: a lockdown of after the snapshot is not in force",
        };
        let _ = write!(
            text,
            "  accounts       {} are open: close, suspend, give the role of now; remove passkeys that were reported lost\n  \
               apps           {} are approved: revoke again which was revoked\n\
             {tokens}  \
               subscriptions  {} are active; numbers of events go on far ahead, so that each subscriber sees that some are missing\n  \
               rules, care    rules of access, patients' refusals and erasures of after the snapshot: again\n  \
               feeds          have every sender send again what it sent since {time}\n  \
               lockdown       {locked}",
            people.accounts_open, apps.clients_in_use, self.subscriptions,
        );
        if people.unreadable > 0 {
            let _ = write!(
                text,
                "\n  UNREADABLE     {} rows of accounts, sessions, approvals or emergencies: let nobody in until somebody looked into it",
                people.unreadable
            );
        }
        if self.halted {
            text += "\n  DISCLOSURES    are stopped, as they were at the snapshot: docs/ledger.md says what to do";
        }
        text
    }
}
