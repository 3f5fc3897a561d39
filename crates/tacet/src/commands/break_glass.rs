//! `tacet break-glass list`: the emergencies that nobody has reviewed yet. Whose records they opened is not told here.

use crate::args::{BreakGlassArgs, BreakGlassCommand, Global};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use crate::people;
use serde_json::{Value, json};
use tacet_identity::Actor;
use tacet_ledger::PurposeOfUse;
use tacet_types::Timestamp;
use tacet_vault::Role;

pub(crate) fn run(global: &Global, args: &BreakGlassArgs, output: &Output) -> Result<u8, CliError> {
    let BreakGlassCommand::List = args.command;
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let actor = Actor { role: Role::SecurityOfficer, ..people::actor(&caller) };
    let open = people::identity(&opened)?.open_reviews(&actor).map_err(people::told)?;
    opened.vault.close()?;
    let at = |ms: i64| Timestamp::from_ms(ms).to_string();
    let (mut text, mut reviews): (String, Vec<Value>) = (String::new(), Vec::new());
    for review in &open {
        let row = &review.row;
        let word = if review.overdue { "OVERDUE" } else { "due" };
        text += &format!("{} {} {} {}, {word} {}\n", row.id, at(row.from_ms), row.owner, row.reason, review.due);
        reviews.push(json!({
            "id": row.id, "owner": row.owner, "role": row.role, "reason": row.reason, "from": at(row.from_ms),
            "until": at(row.until_ms), "ended": row.ended_ms.map(at), "due": review.due.to_string(),
            "overdue": review.overdue,
        }));
    }
    output.result("break-glass list", json!({ "reviews": reviews }), &text);
    Ok(if open.iter().any(|review| review.overdue) { exit::FINDINGS } else { exit::OK })
}
