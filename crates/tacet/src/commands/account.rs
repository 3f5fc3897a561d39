//! `tacet account`: the first accounts, and what is done at the machine. All else people do with their passkeys, over HTTP.

use crate::args::{AccountArgs, AccountCommand, Global};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Opened};
use crate::output::Output;
use crate::people;
use serde_json::{Value, json};
use tacet_identity::{Account, Draft, Identity};
use tacet_ledger::PurposeOfUse;
use tacet_types::Timestamp;
use tacet_vault::{Caller, Role};

pub(crate) fn run(global: &Global, args: &AccountArgs, output: &Output) -> Result<u8, CliError> {
    let wanted = match &args.command {
        AccountCommand::Bootstrap { administrator, security_officer, auditor } => {
            drafts(administrator, security_officer, auditor)?
        }
        _ => Vec::new(),
    };
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let done = carry_out(global, args, wanted, &opened, output);
    opened.vault.close()?;
    done.map(|()| exit::OK)
}

fn carry_out(
    global: &Global,
    args: &AccountArgs,
    wanted: Vec<Draft>,
    opened: &Opened,
    output: &Output,
) -> Result<(), CliError> {
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let identity = people::identity(opened)?;
    match &args.command {
        AccountCommand::Bootstrap { .. } => bootstrap(&identity, &caller, wanted, opened, output),
        AccountCommand::List => {
            let accounts = identity.accounts().map_err(people::told)?;
            let text: String = accounts.iter().map(line).collect();
            let all: Vec<Value> = accounts.iter().map(describe).collect();
            output.result("account list", json!({ "accounts": all }), &text);
            Ok(())
        }
        AccountCommand::CloseDue => {
            let closed = open::wait(identity.close_due(&people::actor(&caller))).map_err(people::told)?;
            let all: Vec<Value> =
                closed.iter().map(|due| json!({ "account": due.account.as_str(), "why": due.why.as_str() })).collect();
            let text: String =
                closed.iter().map(|due| format!("{} closed: {}\n", due.account, due.why.as_str())).collect();
            output.result("account close-due", json!({ "closed": all }), &text);
            Ok(())
        }
        AccountCommand::EndSessions => {
            open::wait(identity.end_all_sessions(&people::actor(&caller))).map_err(people::told)?;
            output.result("account end-sessions", json!({}), "Every session is ended.");
            Ok(())
        }
    }
}

fn drafts(administrators: &[String], officers: &[String], auditors: &[String]) -> Result<Vec<Draft>, CliError> {
    let of = |names: &[String], role: Role| {
        let draft = move |text: &String| {
            let (login, display) = text.split_once('=').unwrap_or((text, text));
            Draft::new(login, display, role).checked().map_err(people::told)
        };
        names.iter().map(draft).collect::<Result<Vec<_>, _>>()
    };
    let mut drafts = of(administrators, Role::Administrator)?;
    drafts.extend(of(officers, Role::SecurityOfficer)?);
    drafts.extend(of(auditors, Role::Auditor)?);
    if drafts.is_empty() {
        return Err(CliError::Usage(
            "name at least one account: two with `--administrator` and one with `--security-officer` make a beginning"
                .into(),
        ));
    }
    Ok(drafts)
}

fn bootstrap(
    identity: &Identity,
    caller: &Caller,
    drafts: Vec<Draft>,
    opened: &Opened,
    output: &Output,
) -> Result<(), CliError> {
    let actor = people::actor(caller);
    let base = people::base_url(opened);
    let (mut made, mut text) = (Vec::new(), String::new());
    for draft in drafts {
        let invited = open::wait(identity.bootstrap(&actor, draft)).map_err(people::told)?;
        let (account, first, second) = (&invited.account, invited.first.reveal(), invited.second.reveal());
        // In the fragment: it is sent to no server and stands in no log.
        let link = format!("{base}/auth/enrol#{first}");
        text += &format!("{} {}\n  link: {link}\n  second code: {second}\n", account.role, account.login);
        let mut value = describe(account);
        if let Value::Object(members) = &mut value {
            members.insert("link".into(), json!(link));
            members.insert("first_code".into(), json!(first));
            members.insert("second_code".into(), json!(second));
            members.insert("until".into(), json!(invited.until.to_string()));
        }
        made.push(value);
    }
    output.note(
        "Shown this once. Give each person the link and the second code by two different ways, and not to the same hands; \
         both end after two days, and as soon as two administrators have enrolled: let them be the last.",
    );
    output.result("account bootstrap", json!({ "accounts": made }), &text);
    Ok(())
}

fn describe(account: &Account) -> Value {
    let at = |ms: i64| Timestamp::from_ms(ms).to_string();
    json!({
        "id": account.id.as_str(), "login": account.login, "display": account.display, "role": account.role.as_str(),
        "state": account.state.as_str(), "practitioner": account.practitioner, "supplier": account.supplier,
        "created": at(account.created_ms), "used": account.used_ms.map(at), "passkeys": account.passkeys(),
    })
}

fn line(account: &Account) -> String {
    format!("{} {} {} {}\n", account.id, account.role, account.state.as_str(), account.login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_accounts_are_read() {
        let made = drafts(&["Anna=Anna Arnaud".into(), "bea".into()], &["sec".into()], &[]).unwrap();
        let read: Vec<_> =
            made.iter().map(|draft| (draft.login.as_str(), draft.display.as_str(), draft.role)).collect();
        let expected = [
            ("anna", "Anna Arnaud", Role::Administrator),
            ("bea", "bea", Role::Administrator),
            ("sec", "sec", Role::SecurityOfficer),
        ];
        assert_eq!(read, expected);
        assert!(drafts(&[], &[], &[]).is_err());
        assert!(drafts(&["two words".into()], &[], &[]).is_err());
    }
}
