//! `tacet policy`: the rules on who may see what, looked at, tried and explained before they apply.

use crate::args::{Global, PolicyArgs, PolicyCommand};
use crate::config::{Config, load_policies, load_rules};
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Opened};
use crate::output::Output;
use crate::people;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tacet_identity::Kind;
use tacet_ledger::PurposeOfUse;
use tacet_ledger::noted::NotedRows;
use tacet_ledger::{Agent, Entry, EventKind};
use tacet_policy::{Act, BUILT_IN_CASES, Policies, Verdict, cases, simulate};
use tacet_types::{ResourceId, ResourceType};
use tacet_vault::{Caller, Role, Rules, usual_purpose};

pub(crate) fn run(global: &Global, args: &PolicyArgs, output: &Output) -> Result<u8, CliError> {
    let policies = match &args.policies {
        Some(directory) => Arc::new(load_policies(directory)?),
        None => Config::load(global)?.access_settings()?.policies,
    };
    match &args.command {
        PolicyCommand::Show => Ok(show(&policies, output)),
        PolicyCommand::Test { file } => test(&policies, file.as_deref(), output),
        PolicyCommand::Simulate { directory } => {
            let simulation = simulate(&policies, &load_policies(directory)?);
            let list = |changes: &[tacet_policy::Change]| changes.iter().map(ToString::to_string).collect::<Vec<_>>();
            let (gained, lost) = (list(&simulation.gained), list(&simulation.lost));
            let lines =
                |sign: &str, list: &[String]| list.iter().map(|one| format!("{sign} {one}\n")).collect::<String>();
            let text = format!(
                "{}{}{} situations tried: {} gained, {} lost",
                lines("+", &gained),
                lines("-", &lost),
                simulation.tried,
                gained.len(),
                lost.len()
            );
            let value = json!({ "tried": simulation.tried, "gained": gained, "lost": lost });
            output.result("policy simulate", value, &text);
            Ok(exit::OK)
        }
        PolicyCommand::Propose { directory, ticket, reason } => {
            let rules = load_rules(directory)?;
            let files: serde_json::Map<String, Value> =
                rules.files().iter().map(|(name, text)| (name.clone(), json!(text))).collect();
            let asked = json!({ "files": files, "why": { "ticket": ticket, "reason": reason } });
            let text = asked.to_string();
            output.result("policy propose", json!({ "fingerprint": rules.fingerprint(), "body": asked }), &text);
            Ok(exit::OK)
        }
        PolicyCommand::Apply { directory, approval } => {
            apply(global, directory.as_deref(), approval.as_deref(), output)
        }
        PolicyCommand::Explain { who, what, act } => {
            explain(global, policies, args.policies.is_some(), (who, what, act), output)
        }
    }
}

/// Puts other policies in force: on the word of two people, or of who sets the store up.
fn apply(global: &Global, directory: Option<&Path>, approval: Option<&str>, output: &Output) -> Result<u8, CliError> {
    let rules = directory.map_or_else(|| Ok(Rules::built_in()), load_rules)?;
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let words = rules.words();
    let done = people::require_named(&opened, Kind::PolicyChange, &words, approval)
        .and_then(|()| people::use_approval(&opened, &caller, Kind::PolicyChange, &words, approval))
        .and_then(|()| {
            let by = approval.map_or_else(|| "who set the store up".to_owned(), |id| format!("approval {id}"));
            Ok(open::wait(opened.vault.put_rules_in_force(&caller, &rules, &by, None))?)
        });
    opened.vault.close()?;
    done?;
    let fingerprint = rules.fingerprint();
    let value = json!({ "fingerprint": fingerprint, "built_in": rules.is_built_in() });
    output.result("policy apply", value, &format!("in force: policies {fingerprint}"));
    Ok(exit::OK)
}

fn show(policies: &Policies, output: &Output) -> u8 {
    let (mut text, mut all) = (String::new(), Vec::new());
    for info in policies.infos() {
        let word = if info.permits { "permits" } else { "forbids" };
        text += &format!("{} ({}:{}) {word}: {}\n", info.id, info.file, info.line, info.reason);
        all.push(json!({
            "id": &*info.id, "file": &*info.file, "line": info.line, "permits": info.permits, "reason": &*info.reason,
        }));
    }
    output.result("policy show", json!({ "policies": all }), &text);
    exit::OK
}

fn test(policies: &Policies, file: Option<&Path>, output: &Output) -> Result<u8, CliError> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path).map_err(CliError::file(path, "the cases cannot be read"))?,
        None => BUILT_IN_CASES.to_owned(),
    };
    let cases = cases(&text).map_err(|error| CliError::Usage(error.to_string()))?;
    let tried = policies.test(&cases);
    let failed: Vec<_> = tried.iter().filter(|tried| !tried.passed).collect();
    let word = |permit: bool| if permit { "allow" } else { "deny" };
    let (mut text, mut all): (String, Vec<Value>) = (String::new(), Vec::new());
    for tried in &failed {
        let (expected, is) = (word(tried.expect_permit), word(tried.decision.permit));
        let by: Vec<&str> = tried.decision.policies.iter().map(|id| &**id).collect();
        text += &format!("{}: expected {expected}, is {is} ({})\n", tried.name, by.join(", "));
        all.push(json!({ "case": tried.name, "expected": expected, "is": is, "policies": by }));
    }
    text += &format!("{} cases, {} failed", tried.len(), failed.len());
    output.result("policy test", json!({ "cases": tried.len(), "failed": all }), &text);
    Ok(if failed.is_empty() { exit::OK } else { exit::FINDINGS })
}

fn explain(
    global: &Global,
    policies: Arc<Policies>,
    trial: bool,
    (who, what, act): (&str, &str, &str),
    output: &Output,
) -> Result<u8, CliError> {
    let act = Act::parse(act).ok_or_else(|| {
        let acts: Vec<&str> = Act::ALL.iter().map(|act| act.as_str()).collect();
        CliError::Usage(format!("`--act` must be one of {}", acts.join(", ")))
    })?;
    let record = what.split_once('/');
    let record = record.and_then(|(kind, id)| Some((ResourceType::parse(kind)?, ResourceId::parse(id).ok()?)));
    let (kind, id) = record.ok_or_else(|| CliError::Usage("name the record as `Observation/o1`".into()))?;
    let opened = open::open_by_rules(global, Some(MAINTENANCE_LIMITS), policies)?;
    if !trial {
        opened.vault.go_by_rules_in_force()?;
    }
    let asking = open::caller(global, Role::Operator, PurposeOfUse::Compliance);
    let explained = explained(&opened, &asking, who, act, kind, &id);
    opened.vault.close()?;
    let explanation = explained?;
    let verdict = match &explanation.verdict {
        Verdict::Open(_) => "open",
        Verdict::ContentDecides => "content decides",
        Verdict::Closed => "closed",
    };
    let reasons: Vec<Value> =
        explanation.reasons.iter().map(|(id, reason)| json!({ "policy": id, "reason": reason })).collect();
    let text = explanation.to_string();
    output.result("policy explain", json!({ "verdict": verdict, "reasons": reasons, "text": text }), &text);
    Ok(exit::OK)
}

fn explained(
    opened: &Opened,
    asking: &Caller,
    who: &str,
    act: Act,
    kind: ResourceType,
    id: &ResourceId,
) -> Result<tacet_policy::Explanation, CliError> {
    let about = person(opened, asking, who)?;
    let explanation = opened.vault.explain(&about, act, kind, id)?;
    // Written down before it is told: who may see what of whom is about a patient.
    let patients = explanation.towards.iter().map(|towards| towards.patient.clone());
    let entry = |patient: Option<ResourceId>| {
        let agent = Agent { owner: asking.owner.clone(), role: asking.role.as_str().to_owned(), token: None };
        let now = open::clock().now();
        let mut entry = Entry::new(now, EventKind::Search, agent, asking.purpose, asking.operation);
        entry.origin = asking.origin;
        entry.patient = ResourceType::parse("Patient").zip(patient);
        entry.detail = Some(format!("why somebody may or may not {act} {kind}/{}", id.as_str()));
        entry
    };
    let entries: Vec<Entry> = patients.take(tacet_ledger::ENTRIES_MAX).map(entry).collect();
    open::wait(NotedRows::commit(&opened.vault, Vec::new(), entries))
        .map_err(|error| CliError::other("the explanation could not be written into the ledger", error))?;
    Ok(explanation)
}

/// Somebody: an account by its login, or a role, with its Practitioner where relations shall count.
fn person(opened: &Opened, asking: &Caller, who: &str) -> Result<Caller, CliError> {
    let (role, practitioner) = who.split_once(':').map_or((who, None), |(role, id)| (role, Some(id)));
    let caller =
        |owner: &str, role: Role| Caller::new(owner, role, usual_purpose(role), asking.origin, asking.operation);
    if let Some(role) = Role::parse(role) {
        let practitioner = practitioner.map(ResourceId::parse).transpose();
        let practitioner = practitioner.map_err(|error| CliError::Usage(error.to_string()))?;
        return Ok(Caller { practitioner, strong: true, ..caller(who, role) });
    }
    let account = people::identity(opened)?.account_by_login(who).map_err(people::told)?;
    let account = account.ok_or_else(|| {
        CliError::Usage(
            "there is neither an account of this login nor a role of this name: see `tacet account list`".into(),
        )
    })?;
    Ok(Caller {
        practitioner: account.practitioner_id(),
        patients: account.patient_ids(),
        strong: true,
        supplier: account.supplier,
        account: Some(account.id.as_str().to_owned()),
        ..caller(&account.login, account.role)
    })
}
