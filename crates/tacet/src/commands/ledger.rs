//! `tacet ledger`.

use crate::args::{Global, LedgerArgs, LedgerCommand, LedgerFilterArgs, LedgerFormArgs, LedgerSessionArgs};
use crate::commands::{ledger_log, ledger_paper, ledger_report, ledger_retain};
use crate::config::data_directory;
use crate::error::CliError;
use crate::exit;
use crate::open::{self, MAINTENANCE_LIMITS, Opened};
use crate::output::Output;
use indicatif::ProgressBar;
use serde_json::json;
use std::collections::BTreeMap;
use tacet_ledger::index::Question;
use tacet_ledger::listing::{CSV_HEADER, csv_cells, csv_line, entry_json, parse_moment};
use tacet_ledger::{Entry, PurposeOfUse, Verification, one_line};
use tacet_report::Inquiry;
use tacet_types::{ResourceId, ResourceType};
use tacet_vault::{EventKind, LEDGER_PAGE_MAX, LedgerLine, LedgerOrder, Outcome, Role, SessionExtent, Vault};

/// How many entries are listed where nothing is asked but what is new.
const NEWEST: usize = 20;

pub(crate) fn run(global: &Global, args: &LedgerArgs, output: &Output) -> Result<u8, CliError> {
    match &args.command {
        LedgerCommand::Verify(args) => match &args.files {
            Some(files) => ledger_log::verify(files, args, output),
            None => verify(global, output),
        },
        LedgerCommand::Report(args) => ledger_report::run(global, args, output),
        LedgerCommand::Key(args) => ledger_log::key(global, args, output),
        LedgerCommand::ExportLog { directory, cosigned } => ledger_log::export(global, directory, *cosigned, output),
        LedgerCommand::Tiles => ledger_log::tiles(global, output),
        LedgerCommand::Succeed { name, lost } => crate::commands::ledger_succeed::run(global, name, lost, output),
        LedgerCommand::Resume { because } => crate::commands::ledger_resume::run(global, because, output),
        LedgerCommand::Retain { dry_run } => ledger_retain::run(global, *dry_run, output),
        LedgerCommand::List(args) => {
            let question = question(&args.filter)?;
            // Whoever asks for something, or carries the answer away, must not take a part of it for all.
            let form = &args.form;
            let whole = question != Question::default() || form.csv || form.ndjson || form.paper.pdf.is_some();
            let count = args.count.or((!whole).then_some(NEWEST));
            answer(global, "ledger list", &question, count, form, output)
        }
        LedgerCommand::WhoSaw(args) => {
            let patient = ResourceType::parse("Patient").zip(ResourceId::parse(&args.patient).ok());
            let patient = patient.ok_or_else(|| CliError::Usage("this can be no id of a Patient".to_owned()))?;
            let question = Question { patient: Some(patient), ..question(&args.wanted.filter)? };
            answer(global, "ledger who-saw", &question, args.wanted.count, &args.wanted.form, output)
        }
        LedgerCommand::WhatDid(args) => {
            let question = Question { person: Some(args.person.clone()), ..question(&args.wanted.filter)? };
            answer(global, "ledger what-did", &question, args.wanted.count, &args.wanted.form, output)
        }
        LedgerCommand::Session(args) if args.entries => {
            let question = Question { session: Some(args.session.clone()), ..Question::default() };
            let paper = args.paper.clone();
            let form = LedgerFormArgs { oldest_first: true, csv: false, ndjson: args.ndjson, paper };
            answer(global, "ledger session", &question, None, &form, output)
        }
        LedgerCommand::Session(args) => session(global, args, output),
    }
}

fn verify(global: &Global, output: &Output) -> Result<u8, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let verification = verified(&opened.vault, output)?;
    let caller = open::caller(global, Role::Auditor, PurposeOfUse::Compliance);
    open::wait(opened.vault.note(&caller, EventKind::LedgerAccess, Outcome::Success))?;
    let stopped: Vec<String> = opened.vault.halts().iter().map(ToString::to_string).collect();
    opened.vault.close()?;

    let size = verification.head.as_ref().map_or(0, |head| head.size());
    let root = verification.derived_root.as_ref().map(ToString::to_string);
    let problems: Vec<String> = verification.problems.iter().map(ToString::to_string).collect();
    let mut text = format!("{size} entries, root {}\n", root.as_deref().unwrap_or("not derivable"));
    for problem in &problems {
        text += &format!("WRONG {problem}\n");
    }
    text += &match (verification.is_sound(), verification.without_key) {
        (false, _) => "The ledger was altered.".to_owned(),
        (true, 0) => "The tree is the one its head says; every entry opens.".to_owned(),
        (true, past) => format!(
            "The tree is the one its head says; {past} entries are past their time and stand in it unread; every other entry opens."
        ),
    };
    for why in &stopped {
        text += &format!("\nDISCLOSURES ARE STOPPED: {why}");
    }
    let value = json!({
        "entries": size, "root": root, "opened": verification.opened, "without_key": verification.without_key,
        "problems": problems, "problems_total": verification.problems_total, "stopped": stopped,
    });
    output.result("ledger verify", value, &text);
    Ok(if verification.is_sound() { exit::OK } else { exit::FINDINGS })
}

/// Derives the ledger of a store again, and shows how far it is.
pub(crate) fn verified(vault: &Vault, output: &Output) -> Result<Verification, CliError> {
    let bar = if output.interactive() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let verification = vault.verify_ledger(&mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    Ok(verification)
}

fn question(filter: &LedgerFilterArgs) -> Result<Question, CliError> {
    let moment = |text: &Option<String>| {
        let wrong = || CliError::Usage("a moment is an instant such as `2026-03-01T08:00:00Z`, or a date".to_owned());
        text.as_ref().map(|text| parse_moment(text).ok_or_else(wrong)).transpose()
    };
    let kind = |text: &String| {
        EventKind::parse(text).ok_or_else(|| {
            let known: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
            CliError::Usage(format!("`{text}` is no kind of entry: there are {}", known.join(", ")))
        })
    };
    let outcome = |text: &String| {
        Outcome::parse(text)
            .ok_or_else(|| CliError::Usage(format!("`{text}` is no outcome: success, refused or failed")))
    };
    let question = Question {
        from: moment(&filter.from)?,
        to: moment(&filter.to)?,
        kinds: filter.kind.iter().map(kind).collect::<Result<_, _>>()?,
        outcome: filter.outcome.as_ref().map(outcome).transpose()?,
        address: filter.address,
        device: filter.device.clone(),
        ..Question::default()
    };
    question.check().map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(question)
}

/// Opens the store with the ledger's index, brought up to date.
pub(crate) fn open_with_index(global: &Global, output: &Output) -> Result<Opened, CliError> {
    let opened = open::open_without_index(global, Some(MAINTENANCE_LIMITS))?;
    let directory = open::Paths::of(&data_directory(global)).ledger_index;
    opened.vault.keep_ledger_index_in(&directory, false)?;
    let bar = if output.interactive() { ProgressBar::new(0) } else { ProgressBar::hidden() };
    opened.vault.bring_up_ledger_index(&mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    Ok(opened)
}

/// Prints the entries that answer a question. Who asks is in the ledger, before anything is shown.
fn answer(
    global: &Global,
    command: &str,
    question: &Question,
    count: Option<usize>,
    form: &LedgerFormArgs,
    output: &Output,
) -> Result<u8, CliError> {
    let language = ledger_paper::language(&form.paper)?;
    let opened = open_with_index(global, output)?;
    let caller = open::caller(global, Role::Auditor, PurposeOfUse::Compliance);
    let order = if form.oldest_first { LedgerOrder::OldestFirst } else { LedgerOrder::NewestFirst };
    let mut reading = open::wait(opened.vault.read_ledger(&caller, question, order, None))?;
    let (mut left, mut entries, mut text) = (count.unwrap_or(usize::MAX), Vec::new(), String::new());
    let mut found = 0_u64;
    let mut inquiry = Inquiry::new(question.clone());
    let mut listened = !form.csv || output.lines(CSV_HEADER);
    while left > 0 && listened && !reading.is_done() {
        let lines = reading.next(left.min(LEDGER_PAGE_MAX))?;
        left -= lines.len().min(left);
        found += lines.len() as u64;
        let mut part = String::new();
        for line in lines {
            match (form.csv, form.ndjson) {
                (true, _) => part += &csv(&line),
                (_, true) => part += &format!("{}\n", value(&line)),
                _ if form.paper.pdf.is_some() => ledger_paper::add(&mut inquiry, line),
                _ => {
                    entries.push(value(&line));
                    text += &self::line(&line);
                }
            }
        }
        listened = part.is_empty() || output.lines(&part);
    }
    let (size, unread, cut) = (reading.size(), reading.unread(), count.is_some() && !reading.is_done());
    drop(reading);
    let kept_since = opened.vault.ledger_kept()?.map(|kept| kept.since);
    let written = match &form.paper.pdf {
        Some(path) => {
            let asked = ledger_paper::asked(&caller, size, unread, kept_since);
            ledger_paper::inquiry(global, &opened, &inquiry, &asked, (path, &form.paper, language))
        }
        None => Ok(()),
    };
    opened.vault.close()?;
    written?;
    if cut {
        output.note(&format!("cut at {found} entries: there may be more, for which give a larger `--count`"));
    }
    if unread > 0 {
        output
            .note(&format!("{unread} entries of the ledger cannot be read: nobody can say whether they would answer"));
    }
    if let Some(since) = kept_since {
        output.note(&format!("entries of before {since} are past their retention: they answer no question any more"));
    }
    let since = kept_since.map(|since| since.to_string());
    if let Some(path) = &form.paper.pdf {
        let value = json!({ "size": size, "found": found, "unread": unread, "kept_since": since, "pdf": path });
        output.result(command, value, &format!("{found} entries. {}", ledger_paper::written_to(path)));
    } else if !form.csv && !form.ndjson {
        if found == 0 {
            text += "No entry answers this.";
        }
        output.result(
            command,
            json!({ "size": size, "entries": entries, "cut": cut, "unread": unread, "kept_since": since }),
            &text,
        );
    }
    Ok(exit::OK)
}

fn value(line: &LedgerLine) -> serde_json::Value {
    match line {
        LedgerLine::Entry { index, entry } => entry_json(*index, entry),
        LedgerLine::Expired { index } => json!({ "index": index, "unreadable": "expired" }),
        LedgerLine::Damaged { index } => json!({ "index": index, "unreadable": "damaged" }),
    }
}

fn csv(line: &LedgerLine) -> String {
    match line {
        LedgerLine::Entry { index, entry } => csv_line(*index, entry),
        LedgerLine::Expired { index } => format!("{index},,(retention is over)\r\n"),
        LedgerLine::Damaged { index } => format!("{index},,(does not open)\r\n"),
    }
}

fn line(line: &LedgerLine) -> String {
    match line {
        LedgerLine::Entry { index, entry } => entry_line(*index, entry),
        LedgerLine::Expired { index } => format!("{index} (its retention is over)\n"),
        LedgerLine::Damaged { index } => format!("{index} DOES NOT OPEN: run `tacet ledger verify`\n"),
    }
}

/// An entry in one line, whoever wrote what is in it: a reason with a line of its own would look like another entry.
pub(crate) fn entry_line(index: u64, entry: &Entry) -> String {
    let patient = entry.patient.as_ref().map(|(kind, id)| format!(" {kind}/{}", id.as_str())).unwrap_or_default();
    let from = entry.origin.address.map(|address| format!(" from {address}")).unwrap_or_default();
    let basis = entry.basis.as_deref().map(|basis| format!(", by {basis}")).unwrap_or_default();
    let detail = entry.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let line = format!(
        "{index} {} {} {} by {} ({}) for {}{patient}, {} records{from}{basis}{detail}",
        entry.at,
        entry.kind,
        entry.outcome,
        entry.agent.owner,
        entry.agent.role,
        entry.purpose,
        entry.records.len()
    );
    one_line(&line) + "\n"
}

/// Prints what one session touched.
fn session(global: &Global, args: &LedgerSessionArgs, output: &Output) -> Result<u8, CliError> {
    let language = ledger_paper::language(&args.paper)?;
    let opened = open_with_index(global, output)?;
    let caller = open::caller(global, Role::Auditor, PurposeOfUse::Compliance);
    let extent = open::wait(opened.vault.session_extent(&caller, &args.session))?;
    let patients = extent.patients.iter().map(|patient| (patient.resource_type, patient.id.clone()));
    let names = match args.paper.names {
        true => ledger_paper::names(global, &opened.vault, patients)?,
        false => BTreeMap::new(),
    };
    let written = match &args.paper.pdf {
        Some(path) => {
            let asked = ledger_paper::asked(&caller, extent.size, extent.unread, extent.kept_since);
            ledger_paper::extent(&opened, &extent, &asked, &names, (path, language))
        }
        None => Ok(()),
    };
    opened.vault.close()?;
    written?;
    if args.csv {
        output.lines(&extent_csv(&extent, &names));
        return Ok(exit::OK);
    }
    let mut text = extent_text(&extent, &names);
    if let Some(path) = &args.paper.pdf {
        text += &format!("\n{}", ledger_paper::written_to(path));
    }
    output.result("ledger session", extent_value(&extent, &names), &text);
    Ok(exit::OK)
}

fn extent_value(extent: &SessionExtent, names: &BTreeMap<String, String>) -> serde_json::Value {
    let mut value = extent.to_json();
    let patients = value.get_mut("patients").and_then(serde_json::Value::as_array_mut).into_iter().flatten();
    for (line, patient) in patients.zip(&extent.patients) {
        if let (Some(line), Some(name)) = (line.as_object_mut(), names.get(patient.id.as_str())) {
            line.insert("name".to_owned(), json!(name));
        }
    }
    value
}

fn extent_csv(extent: &SessionExtent, names: &BTreeMap<String, String>) -> String {
    let mut out = String::from("patient,name,entries,records,refused,first,last,categories\r\n");
    for patient in &extent.patients {
        let categories: Vec<&str> = patient.categories.iter().map(|kind| kind.as_str()).collect();
        out += &csv_cells(&[
            format!("{}/{}", patient.resource_type, patient.id.as_str()),
            names.get(patient.id.as_str()).cloned().unwrap_or_default(),
            patient.entries.to_string(),
            patient.records.to_string(),
            patient.refused.to_string(),
            patient.first.to_string(),
            patient.last.to_string(),
            categories.join(" "),
        ]);
    }
    out
}

fn extent_text(extent: &SessionExtent, names: &BTreeMap<String, String>) -> String {
    let Some((first, last)) = extent.first.zip(extent.last) else {
        return "No entry names this session or token.".to_owned();
    };
    let list = |items: Vec<String>| if items.is_empty() { "-".to_owned() } else { items.join(", ") };
    let mut text = format!("{} entries, {first} to {last}\n", extent.entries);
    text += &format!(
        "by {} ({})\n",
        list(extent.people.iter().cloned().collect()),
        list(extent.roles.iter().cloned().collect())
    );
    text += &format!("from {}", list(extent.addresses.iter().map(ToString::to_string).collect()));
    text += &format!("; devices {}\n", list(extent.devices.iter().cloned().collect()));
    let counts = |counts: &BTreeMap<ResourceType, u64>| {
        list(counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect())
    };
    text += &format!("shown: {}\nchanged: {}\n", counts(&extent.shown), counts(&extent.changed));
    text += &format!("refused or not there: {}\n", extent.refused);
    if !extent.records_exact {
        text += "There are too many records to count each once: some are counted several times.\n";
    }
    if extent.expired + extent.damaged + extent.unread > 0 {
        text += &format!(
            "NOT IN THIS: {} entries of it past their retention, {} that do not open, {} of the ledger that nobody can attribute\n",
            extent.expired, extent.damaged, extent.unread
        );
    }
    if let Some(since) = extent.kept_since {
        text += &format!("NOT IN THIS: anything of before {since}, which is past its retention\n");
    }
    text += &format!("{} patients\n", extent.patients_touched());
    for patient in &extent.patients {
        let name = names.get(patient.id.as_str()).map(|name| format!(" {name}")).unwrap_or_default();
        text += &format!(
            "  {}/{}{name}: {} records in {} entries, {} refused, {} to {}\n",
            patient.resource_type,
            patient.id.as_str(),
            patient.records,
            patient.entries,
            patient.refused,
            patient.first,
            patient.last
        );
    }
    text
}
