//! `tacet token`.

use crate::args::{Global, TokenArgs, TokenCommand};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS};
use crate::output::Output;
use serde_json::{Value, json};
use tacet_ledger::PurposeOfUse;
use tacet_types::ResourceId;
use tacet_vault::{Role, Token};

/// Longest life of a token, in milliseconds: a year.
const LIFE_MS_MAX: i64 = 366 * 86_400_000;

pub(crate) fn run(global: &Global, args: &TokenArgs, output: &Output) -> Result<u8, CliError> {
    // What is wrong with the words is said before the passphrase is asked for.
    let create = match &args.command {
        TokenCommand::Create { owner, role, expires, practitioner, patient } => {
            let practitioner = practitioner.as_deref().map(parse_id).transpose()?;
            let patients = patient.iter().map(|id| parse_id(id)).collect::<Result<Vec<_>, _>>()?;
            Some((owner, parse_role(role)?, life_ms(expires)?, practitioner, patients))
        }
        _ => None,
    };
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let vault = &opened.vault;
    match (&args.command, create) {
        (_, Some((owner, role, life_ms, practitioner, patients))) => {
            let expires = open::clock().now().plus_ms(life_ms);
            let made =
                vault.create_token_for(&caller, owner, role, expires, practitioner.as_ref(), patients.as_slice());
            let (token, secret) = open::wait(made)?;
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
                opened.vault.close()?;
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
    opened.vault.close()?;
    Ok(exit::OK)
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
        "created": token.created.to_string(), "expires": token.expires.to_string(),
        "practitioner": token.practitioner.as_ref().map(ResourceId::as_str),
        "patients": token.patients.iter().map(ResourceId::as_str).collect::<Vec<_>>(),
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
