//! `tacet approval list`: what a second person was asked for. Nobody asks or decides here: people do, with their passkeys.

use crate::args::{ApprovalArgs, ApprovalCommand, Global};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use crate::people;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tacet_identity::{Actor, Approval};
use tacet_ledger::PurposeOfUse;
use tacet_types::Timestamp;
use tacet_vault::Role;

pub(crate) fn run(global: &Global, args: &ApprovalArgs, output: &Output) -> Result<u8, CliError> {
    let ApprovalCommand::List { pending } = args.command;
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let identity = people::identity(&opened)?;
    // Each role sees what it decides on; whoever stands at the machine may look at all.
    let mut all: BTreeMap<(i64, String), Approval> = BTreeMap::new();
    for role in [Role::Administrator, Role::SecurityOfficer, Role::Auditor] {
        let actor = Actor { role, ..people::actor(&caller) };
        for approval in identity.approvals(&actor, pending).map_err(people::told)? {
            all.insert((-approval.asked.at_ms, approval.id.as_str().to_owned()), approval);
        }
    }
    opened.vault.close()?;
    let now = open::clock().now();
    let text: String = all.values().map(|approval| line(approval, now)).collect();
    let approvals: Vec<Value> = all.values().map(|approval| describe(approval, now)).collect();
    output.result("approval list", json!({ "approvals": approvals }), &text);
    Ok(exit::OK)
}

fn line(approval: &Approval, now: Timestamp) -> String {
    let (kind, standing) = (approval.act.kind().as_str(), approval.standing(now));
    let asked = Timestamp::from_ms(approval.asked.at_ms);
    format!("{} {kind} {standing}, asked {asked}, ticket {}\n", approval.id, approval.ticket)
}

fn describe(approval: &Approval, now: Timestamp) -> Value {
    let at = |ms: i64| Timestamp::from_ms(ms).to_string();
    let decision = approval.decision.as_ref();
    json!({
        "id": approval.id.as_str(), "kind": approval.act.kind().as_str(), "standing": approval.standing(now),
        "ticket": approval.ticket, "reason": approval.reason,
        "asked_by": approval.asked.name, "asked": at(approval.asked.at_ms), "end": at(approval.end_ms),
        "decided_by": decision.map(|decision| decision.by.name.clone()),
        "decided": decision.map(|decision| at(decision.by.at_ms)),
    })
}
