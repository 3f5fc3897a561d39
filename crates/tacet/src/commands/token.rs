//! `tacet token`.

use crate::args::{Global, TokenArgs, TokenCommand};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Opened};
use crate::output::Output;
use crate::people;
use serde_json::{Value, json};
use tacet_identity::Kind;
use tacet_ledger::PurposeOfUse;
use tacet_types::{ResourceId, Timestamp};
use tacet_vault::{NewToken, Role, Token};

/// Longest life of a token, in milliseconds: a year.
const LIFE_MS_MAX: i64 = 366 * 86_400_000;

/// How far ahead a supplier's token may end, in milliseconds: twelve hours, as for a supplier's account.
const SUPPLIER_MS_MAX: i64 = 12 * 3_600_000;

/// A token as it was asked for, in words that were checked.
struct Wanted<'a> {
    owner: &'a str,
    role: Role,
    expires: Timestamp,
    practitioner: Option<ResourceId>,
    patients: Vec<ResourceId>,
    may_export: bool,
    supplier: bool,
    approval: Option<&'a str>,
}

pub(crate) fn run(global: &Global, args: &TokenArgs, output: &Output) -> Result<u8, CliError> {
    // What is wrong with the words is said before the passphrase is asked for.
    let wanted = wanted(&args.command)?;
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let done = carry_out(global, &args.command, wanted, &opened, output);
    opened.vault.close()?;
    done.map(|()| exit::OK)
}

fn wanted(command: &TokenCommand) -> Result<Option<Wanted<'_>>, CliError> {
    let TokenCommand::Create { owner, role, expires, practitioner, patient, may_export, supplier_until, approval } =
        command
    else {
        return Ok(None);
    };
    let now = open::clock().now();
    let mut until = now.plus_ms(life_ms(expires)?);
    if let Some(text) = supplier_until {
        let latest = now.plus_ms(SUPPLIER_MS_MAX);
        let end = Timestamp::parse(text).ok().filter(|end| now < *end && *end <= latest);
        let end = end.ok_or_else(|| {
            CliError::Usage(
                "`--supplier-until` must be a time within the next twelve hours: `2026-11-22T18:00:00Z`".into(),
            )
        })?;
        until = until.min(end);
    }
    let role = parse_role(role)?;
    if *may_export && role != Role::Integrator {
        return Err(CliError::Usage("`--may-export` is for machines: the role integrator".into()));
    }
    Ok(Some(Wanted {
        owner,
        role,
        expires: until,
        practitioner: practitioner.as_deref().map(parse_id).transpose()?,
        patients: patient.iter().map(|id| parse_id(id)).collect::<Result<Vec<_>, _>>()?,
        may_export: *may_export,
        supplier: supplier_until.is_some(),
        approval: approval.as_deref(),
    }))
}

fn carry_out(
    global: &Global,
    command: &TokenCommand,
    wanted: Option<Wanted<'_>>,
    opened: &Opened,
    output: &Output,
) -> Result<(), CliError> {
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let vault = &opened.vault;
    match (command, wanted) {
        (_, Some(wanted)) => {
            // A right to records, or to accounts, is no one person's to give.
            if wanted.role.may_read_records() || wanted.role.may_keep_accounts() {
                let text = wanted.text();
                people::require_named(opened, Kind::BroadRights, &text, wanted.approval)?;
                people::use_approval(opened, &caller, Kind::BroadRights, &text, wanted.approval)?;
            }
            let new = NewToken {
                owner: wanted.owner,
                role: wanted.role,
                expires: wanted.expires,
                practitioner: wanted.practitioner.as_ref(),
                patients: &wanted.patients,
                may_export: wanted.may_export,
                supplier: wanted.supplier,
            };
            let (token, secret) = open::wait(vault.create_token_with(&caller, new))?;
            let mut value = describe(&token);
            if let Value::Object(members) = &mut value {
                members.insert("token".into(), json!(secret.reveal()));
            }
            // Without the owner's name: stderr of a script is kept as a log.
            output.note(&format!("token {}, shown this once:", token.id));
            output.result("token create", value, secret.reveal());
        }
        (TokenCommand::Revoke { id }, _) => {
            if !open::wait(vault.revoke_token(&caller, id))? {
                return Err(CliError::Usage("there is no token of this id: see `tacet token list`".into()));
            }
            output.result("token revoke", json!({ "id": id }), "The token is ended.");
        }
        _ => {
            let tokens = vault.tokens()?;
            let text: String = tokens.iter().map(line).collect();
            output.result("token list", json!({ "tokens": tokens.iter().map(describe).collect::<Vec<_>>() }), &text);
        }
    }
    Ok(())
}

impl Wanted<'_> {
    /// What a second person reads and allows.
    fn text(&self) -> String {
        let mut text = format!("token of role {} for {}", self.role, self.owner);
        let patients = self.patients.iter().map(|id| format!(", Patient/{}", id.as_str()));
        let practitioner = self.practitioner.iter().map(|id| format!(", Practitioner/{}", id.as_str()));
        text.extend(practitioner.chain(patients));
        for (is, word) in [(self.may_export, ", may copy out"), (self.supplier, ", a supplier's")] {
            text.push_str(if is { word } else { "" });
        }
        text
    }
}

fn parse_role(name: &str) -> Result<Role, CliError> {
    Role::parse(name).ok_or_else(|| {
        let names: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        CliError::Usage(format!("`{name}` is no role: use {}", names.join(", ")))
    })
}

fn parse_id(text: &str) -> Result<ResourceId, CliError> {
    ResourceId::parse(text).map_err(|_| CliError::Usage("a logical id has 1 to 64 of `A-Z a-z 0-9 - .`".into()))
}

/// Reads `90m`, `8h` or `30d`.
fn life_ms(text: &str) -> Result<i64, CliError> {
    let wrong = || CliError::Usage(format!("`{text}` is no time: use `90m`, `8h` or `30d`, at most a year"));
    let unit_ms = match text.chars().last() {
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        _ => return Err(wrong()),
    };
    let count: i64 = text.get(..text.len() - 1).and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
    count.checked_mul(unit_ms).filter(|ms| (1..=LIFE_MS_MAX).contains(ms)).ok_or_else(wrong)
}

fn describe(token: &Token) -> Value {
    json!({
        "id": token.id, "owner": token.owner, "role": token.role.as_str(),
        "practitioner": token.practitioner.as_ref().map(ResourceId::as_str),
        "patients": token.patients.iter().map(ResourceId::as_str).collect::<Vec<_>>(),
        "may_export": token.may_export, "supplier": token.supplier,
        "created": token.created.to_string(), "expires": token.expires.to_string(),
    })
}

fn line(token: &Token) -> String {
    format!("{} {} {} until {}\n", token.id, token.role.as_str(), token.owner, token.expires)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_are_read() {
        assert_eq!(life_ms("90m").unwrap(), 5_400_000);
        assert_eq!(life_ms("30d").unwrap(), 2_592_000_000);
        for wrong in ["", "d", "30", "-1d", "0h", "9999d", "1é", "99999999999999999999d"] {
            assert!(life_ms(wrong).is_err(), "{wrong}");
        }
    }
}
