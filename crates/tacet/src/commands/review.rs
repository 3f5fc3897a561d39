//! `tacet review`: the periodic review of accesses. Who has an account judges over HTTP, with a passkey; here judges who was named here, while nobody has one.

use crate::args::{Global, ReviewArgs, ReviewCommand, ReviewPrepareArgs};
use crate::commands::ledger::open_with_index;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Opened};
use crate::output::Output;
use crate::people;
use serde_json::{Value, json};
use tacet_identity::{
    AccessReview, Actor, Identity, IdentityError, ItemOutcome, REVIEW_CSV_HEADER, ReviewItem, SampleRule, Terms,
    item_csv, item_json, review_json,
};
use tacet_ledger::index::Question;
use tacet_ledger::listing::parse_moment;
use tacet_ledger::{PurposeOfUse, one_line};
use tacet_types::Timestamp;
use tacet_vault::{Caller, LEDGER_PAGE_MAX, LedgerLine, LedgerOrder, Role};

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

pub(crate) fn run(global: &Global, args: &ReviewArgs, output: &Output) -> Result<u8, CliError> {
    if let ReviewCommand::Prepare(args) = &args.command {
        // What is wrong with it is told before a passphrase is asked for.
        let terms = terms(args)?;
        return prepare(global, args, terms, output);
    }
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let (identity, actor) = (people::identity(&opened)?, actor(&caller(global)));
    let now = open::clock().now();
    let code = match &args.command {
        ReviewCommand::Prepare(_) => exit::OK,
        ReviewCommand::List => list(&identity, &actor, now, output)?,
        ReviewCommand::Show { review, csv } => {
            let read = open::wait(identity.access_review(&actor, review));
            let (review, items) = read.map_err(|error| told(&identity, &actor, review, error))?;
            show(&review, &items, *csv, now, output);
            exit::OK
        }
        ReviewCommand::Decide { review, item, outcome, comment } => {
            let outcome = ItemOutcome::parse(outcome).ok_or_else(|| {
                CliError::Usage("an outcome is `justified`, `not-justified` or `to-be-asked`".to_owned())
            })?;
            let judged = open::wait(identity.judge_access(&actor, review, *item, outcome, comment));
            let judged = judged.map_err(|error| told(&identity, &actor, review, error))?;
            output.result("review decide", item_json(*item, &judged), &item_line(*item, &judged));
            exit::OK
        }
        ReviewCommand::Close { review, text } => {
            let closed = open::wait(identity.close_access_review(&actor, review, text));
            let closed = closed.map_err(|error| told(&identity, &actor, review, error))?;
            output.result("review close", review_json(&closed, now), &line(&closed, now));
            exit::OK
        }
    };
    opened.vault.close()?;
    Ok(code)
}

fn caller(global: &Global) -> Caller {
    open::caller(global, Role::Auditor, PurposeOfUse::Compliance)
}

/// Whoever runs the command, who may look at the ledger: so may whoever has the passphrase and the disk, and is in the ledger for it.
fn actor(caller: &Caller) -> Actor {
    Actor { role: Role::Auditor, ..people::actor(caller) }
}

/// A refusal, with what to do next.
fn told(identity: &Identity, actor: &Actor, id: &str, error: IdentityError) -> CliError {
    let stand = || format!("`tacet review show {id}` says how its items stand");
    let next = match &error {
        IdentityError::Absent("item") => format!("`tacet review show {id}` has their numbers"),
        IdentityError::Absent(_) => "`tacet review list` has them".to_owned(),
        // What is being prepared says itself what to do.
        IdentityError::Review(why) if !why.starts_with("being prepared") => stand(),
        IdentityError::Unjudged(_) => stand(),
        IdentityError::NotReviewer => {
            let reviews = identity.access_reviews(actor).unwrap_or_default();
            let Some(review) = reviews.into_iter().find(|review| review.id == id) else { return people::told(error) };
            judges(&review)
        }
        _ => return people::told(error),
    };
    CliError::Usage(format!("{error}: {next}"))
}

/// How the reviewer of this one judges.
fn judges(review: &AccessReview) -> String {
    let name = &review.reviewer.name;
    match review.reviewer.account {
        Some(_) => format!("{name} judges over HTTP, with a passkey (docs/reviews.md)"),
        None => format!("{name} judges here, with that name in `--operator`"),
    }
}

fn terms(args: &ReviewPrepareArgs) -> Result<Terms, CliError> {
    let usage = |text: &str| CliError::Usage(text.to_owned());
    let day = |text: &str| parse_moment(text).ok_or_else(|| usage("a day is written as `2026-03-01`"));
    let (from, to) = match (&args.month, &args.from, &args.to) {
        (Some(month), _, _) => of_month(month).ok_or_else(|| usage("a month is written as `2026-03`"))?,
        (None, Some(from), Some(to)) => (day(from)?, day(to)?),
        _ => return Err(usage("give `--month`, or `--from` and `--to`")),
    };
    let mut terms = Terms::of(from, to);
    let role = |name: &String| {
        Role::parse(name).ok_or_else(|| {
            let known: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
            usage(&format!("`{name}` is no role: there are {}", known.join(", ")))
        })
    };
    terms.role = args.role.as_ref().map(role).transpose()?;
    terms.person.clone_from(&args.person);
    terms.rule = SampleRule::parse(&args.rule)
        .ok_or_else(|| usage("a rule is `five-percent`, `two-percent` or `one-percent`"))?;
    terms.dormant_days = args.dormant_days;
    terms.failed_logins = args.failed_logins;
    Ok(terms)
}

/// The first day of a month, and that of the next.
fn of_month(month: &str) -> Option<(Timestamp, Timestamp)> {
    let (year, number) = month.split_once('-')?;
    let (year, number): (u16, u8) = (year.parse().ok()?, number.parse().ok()?);
    if !(1..=9998).contains(&year) || !(1..=12).contains(&number) {
        return None;
    }
    let next = if number == 12 { (year + 1, 1) } else { (year, number + 1) };
    let first = |(year, number): (u16, u8)| parse_moment(&format!("{year:04}-{number:02}-01"));
    Some((first((year, number))?, first(next)?))
}

fn prepare(global: &Global, args: &ReviewPrepareArgs, terms: Terms, output: &Output) -> Result<u8, CliError> {
    let opened = open_with_index(global, output)?;
    let now = open::clock().now();
    let review = prepared(&opened, &caller(global), args, terms, now)?;
    opened.vault.close()?;
    output.result("review prepare", review_json(&review, now), &line(&review, now));
    if review.terms.person.is_some() && review.items == 0 && review.accesses == 0 && review.machine_accesses == 0 {
        output.note("nothing in the period is of this person: is the name the one that entries give?");
    }
    output.note(&format!("`tacet review show {}` prints its items; {}", review.id, judges(&review)));
    Ok(exit::OK)
}

fn prepared(
    opened: &Opened,
    caller: &Caller,
    args: &ReviewPrepareArgs,
    terms: Terms,
    now: Timestamp,
) -> Result<AccessReview, CliError> {
    let (identity, actor) = (people::identity(opened)?, actor(caller));
    let due = now.plus_ms(i64::from(args.due_days) * DAY_MS);
    let begun = open::wait(identity.begin_access_review(&actor, terms, &args.reviewer, due));
    let begun = begun.map_err(|error| match error {
        IdentityError::Exists(_) => CliError::Usage(format!("{error}: `tacet review list` has its id")),
        _ => people::told(error),
    })?;
    let mut gathering = identity.gathering(&begun).map_err(people::told)?;
    let (from, to) = (Timestamp::from_ms(begun.terms.from_ms), Timestamp::from_ms(begun.terms.to_ms));
    let question = Question { from: Some(from), to: Some(to), ..Question::default() };
    let mut reading = open::wait(opened.vault.read_ledger(caller, &question, LedgerOrder::OldestFirst, None))?;
    gathering.untold(reading.unread());
    while !reading.is_done() {
        for line in reading.next(LEDGER_PAGE_MAX)? {
            match line {
                LedgerLine::Entry { index, entry } => gathering.take(index, &entry).map_err(people::told)?,
                LedgerLine::Expired { .. } | LedgerLine::Damaged { .. } => gathering.untold(1),
            }
        }
    }
    drop(reading);
    open::wait(identity.finish_access_review(&actor, &begun, gathering)).map_err(people::told)
}

fn list(identity: &Identity, actor: &Actor, now: Timestamp, output: &Output) -> Result<u8, CliError> {
    let reviews = identity.access_reviews(actor).map_err(people::told)?;
    let text: String = reviews.iter().map(|review| line(review, now)).collect();
    let text = if text.is_empty() { "No access was reviewed yet.".to_owned() } else { text };
    let all: Vec<Value> = reviews.iter().map(|review| review_json(review, now)).collect();
    output.result("review list", json!({ "reviews": all }), &text);
    Ok(if reviews.iter().any(|review| review.overdue(now)) { exit::FINDINGS } else { exit::OK })
}

fn show(review: &AccessReview, items: &[ReviewItem], csv: bool, now: Timestamp, output: &Output) {
    if csv {
        let lines = items.iter().enumerate().map(|(number, item)| item_csv(&review.id, number, item));
        output.lines(&(REVIEW_CSV_HEADER.to_owned() + &lines.collect::<String>()));
        return;
    }
    let mut text = line(review, now) + &stands(review, items);
    if review.untold > 0 {
        text += &format!("{} entries of the ledger cannot be read: nobody can say what they hold\n", review.untold);
    }
    items.iter().enumerate().for_each(|(number, item)| text += &item_line(number, item));
    let items: Vec<Value> = items.iter().enumerate().map(|(number, item)| item_json(number, item)).collect();
    output.result("review show", json!({ "review": review_json(review, now), "items": items }), &text);
}

fn day(ms: i64) -> String {
    Timestamp::from_ms(ms).to_string().chars().take(10).collect()
}

fn line(review: &AccessReview, now: Timestamp) -> String {
    let terms = &review.terms;
    let due = if review.overdue(now) { "OVERDUE since" } else { "due" };
    let mut scope = terms.role.map(|role| format!(", role {role}")).unwrap_or_default();
    scope += &terms.person.as_ref().map(|person| format!(", person {person}")).unwrap_or_default();
    let line = format!(
        "{} {} to {}{scope}: {}, {} items, {} accesses of people, reviewer {}, {due} {}",
        review.id,
        day(terms.from_ms),
        day(terms.to_ms),
        review.state.as_str(),
        review.items,
        review.accesses,
        review.reviewer.name,
        day(review.due_ms)
    );
    one_line(&line) + "\n"
}

/// By what the sample was drawn, and how far the judging is or what it came to.
fn stands(review: &AccessReview, items: &[ReviewItem]) -> String {
    let mut text = format!("drawn by {} with the seed {}\n", review.terms.rule.as_str(), review.seed);
    match &review.closed {
        Some(closed) => {
            let outcomes: Vec<String> =
                closed.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
            let outcomes = if outcomes.is_empty() { "nothing to judge".to_owned() } else { outcomes.join(", ") };
            let at = Timestamp::from_ms(closed.at_ms);
            let said = format!("closed by {} at {at} with {outcomes}: {}", closed.by.name, closed.text);
            text += &(one_line(&said) + "\n");
        }
        None => {
            let judged = items.iter().filter(|item| item.judged.is_some()).count();
            text += &format!("{judged} of {} items judged\n", items.len());
        }
    }
    text
}

fn item_line(number: usize, item: &ReviewItem) -> String {
    let patient = item.patient.as_deref().map(|patient| format!(" {patient}")).unwrap_or_default();
    let ground = item.ground.as_deref().map(|ground| format!(", by {ground}")).unwrap_or_default();
    let judged = item.judged.as_ref().map_or_else(
        || "not judged".to_owned(),
        |judged| format!("{} by {}: {}", judged.outcome.as_str(), judged.by.name, judged.comment),
    );
    let entries = match (item.entries, item.entry) {
        (1, Some(entry)) => format!("entry {entry}"),
        (count, Some(entry)) => format!("{count} entries from {entry} on"),
        (count, None) => format!("{count} entries"),
    };
    let line = format!(
        "{number} {} {} {} ({}){patient}, {entries}{ground}: {} [{judged}]",
        item.section.as_str(),
        Timestamp::from_ms(item.first_ms),
        item.owner,
        item.role,
        item.text
    );
    one_line(&line) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_their_days() {
        let days = |month: &str| of_month(month).map(|(from, to)| (to.as_ms() - from.as_ms()) / DAY_MS);
        assert_eq!([days("2026-02"), days("2028-02"), days("2026-12")], [Some(28), Some(29), Some(31)]);
        for wrong in ["", "2026", "2026-00", "2026-13", "2026-255", "65535-12", "0-1", "2026-02-01", "-1-01"] {
            assert_eq!(of_month(wrong), None, "{wrong}");
        }
    }
}
