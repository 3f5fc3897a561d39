//! Holds the manual's pages to the program: every setting with its default, every route, every command and option.

use crate::args::Cli;
use crate::config::{AccessConfig, CareConfig, Config, KeeperConfig, LogConfig, SearchConfig, StoreConfig};
use clap::{Command, CommandFactory};
use std::collections::BTreeSet;
use tacet_server::{Action, Limits, ROUTES, ServerConfig, SubscriptionsConfig};

const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");
const HTTP: &str = include_str!("../../../docs/http-api.md");
const COMMANDS: &str = include_str!("../../../docs/command-line.md");

/// The names that a table of the configuration takes, as its own refusal of a wrong one lists them.
fn settings(table: &str) -> Vec<String> {
    let text = if table.is_empty() { "nonsense = 1".to_owned() } else { format!("[{table}]\nnonsense = 1") };
    let refusal = toml::from_str::<Config>(&text).unwrap_err().message().to_owned();
    let (_, names) = refusal.split_once("expected ").expect("a refusal that lists the names");
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Names that are tables and no settings.
const TABLES: [&str; 21] = [
    "tripwires",
    "packs",
    "transfer",
    "backup",
    "target",
    "keys",
    "ledger",
    "store",
    "index",
    "search",
    "validation",
    "server",
    "keeper",
    "subscriptions",
    "access",
    "care",
    "outgoing",
    "log",
    "tls",
    "limits",
    "adt",
];

#[test]
fn every_setting_stands_in_the_configuration_page() {
    let mut seen = 0;
    for table in [
        "",
        "store",
        "index",
        "search",
        "validation",
        "server",
        "server.tls",
        "server.limits",
        "server.adt",
        "keeper",
        "subscriptions",
        "access",
        "access.care",
        "access.outgoing",
        "oidc.NAME",
        "ledger",
        "ledger.feeds.NAME",
        "ledger.report",
        "transfer",
        "log",
        "backup",
    ] {
        for name in settings(table) {
            seen += 1;
            let is_table = TABLES.contains(&name.as_str());
            let wanted = match name.as_str() {
                "oidc" => "[oidc.NAME]`".to_owned(),
                "feeds" => "[ledger.feeds.NAME]`".to_owned(),
                "report" => "[ledger.report]`".to_owned(),
                name if is_table => format!("{name}]`"),
                name => format!("| `{name}` |"),
            };
            assert!(CONFIGURATION.contains(&wanted), "`{name}` of [{table}] is not in docs/configuration.md");
        }
    }
    assert!(seen > 25, "{seen} settings were found");
}

#[test]
fn every_default_is_the_one_of_the_page() {
    let limits = format!("{:?}", Limits::default());
    let (_, fields) = limits.split_once('{').expect("fields");
    let subscriptions = SubscriptionsConfig::default();
    let mut defaults: Vec<(String, String)> = fields
        .trim_end_matches('}')
        .split(',')
        .map(|field| field.split_once(": ").expect("a field and its value"))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let validation = tacet_vault::ValidationSettings::default();
    let (store, keeper, log) = (StoreConfig::default(), KeeperConfig::default(), LogConfig::default());
    defaults.extend([
        ("engine".to_owned(), store.engine.to_string()),
        ("cache_mib".to_owned(), store.cache_mib.to_string()),
        ("patients_only_by_match".to_owned(), SearchConfig::default().patients_only_by_match.to_string()),
        ("unwraps_per_second".to_owned(), keeper.unwraps_per_second.to_string()),
        ("unwraps_burst".to_owned(), keeper.unwraps_burst.to_string()),
        ("writes".to_owned(), validation.writes.as_str().to_owned()),
        ("imports".to_owned(), validation.imports.as_str().to_owned()),
        ("timeout_ms".to_owned(), subscriptions.timeout_ms.to_string()),
        ("retry_first_ms".to_owned(), subscriptions.retry_first_ms.to_string()),
        ("retry_wait_ms_max".to_owned(), subscriptions.retry_wait_ms_max.to_string()),
        ("attempts_max".to_owned(), subscriptions.attempts_max.to_string()),
        ("retry_ms_max".to_owned(), subscriptions.retry_ms_max.to_string()),
        ("level".to_owned(), log.level),
        ("json".to_owned(), log.json.to_string()),
        ("listen".to_owned(), ServerConfig::default().listen.to_string()),
    ]);
    let (access, care) = (AccessConfig::default(), CareConfig::default());
    defaults.extend([
        ("name".to_owned(), access.name),
        ("tokens_for_people".to_owned(), access.tokens_for_people.to_string()),
        ("session_idle_minutes".to_owned(), access.session_idle_minutes.to_string()),
        ("session_minutes_max".to_owned(), access.session_minutes_max.to_string()),
        ("step_up_minutes".to_owned(), access.step_up_minutes.to_string()),
        ("propose_accounts".to_owned(), format!("{:?}", access.propose_accounts)),
        ("timeout_ms".to_owned(), access.outgoing.timeout_ms.to_string()),
        ("appointment_days_before".to_owned(), care.appointment_days_before.to_string()),
        ("appointment_days_after".to_owned(), care.appointment_days_after.to_string()),
        ("encounter_days_after".to_owned(), care.encounter_days_after.to_string()),
        ("encounter_days_max".to_owned(), care.encounter_days_max.to_string()),
        ("order_days".to_owned(), care.order_days.to_string()),
        ("prescription_days".to_owned(), care.prescription_days.to_string()),
        ("registered_hours".to_owned(), care.registered_hours.to_string()),
        ("shift_margin_minutes".to_owned(), care.shift_margin_minutes.to_string()),
    ]);
    for (name, value) in defaults {
        let row = format!("| `{name}` | `{value}` |");
        assert!(CONFIGURATION.contains(&row), "docs/configuration.md has no row that begins with {row}");
    }
}

#[test]
fn every_variable_stands_in_the_configuration_page() {
    let variables: BTreeSet<String> = commands()
        .iter()
        .flat_map(|(_, command)| command.get_arguments())
        .filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()))
        .collect();
    assert!(variables.len() >= 5);
    for variable in variables {
        assert!(CONFIGURATION.contains(&format!("| `{variable}` |")), "{variable} is not in docs/configuration.md");
    }
}

#[test]
fn every_route_stands_in_the_page_of_the_api() {
    for route in ROUTES {
        let methods: Vec<&str> = route.methods.iter().map(|method| method.as_str()).collect();
        let row = format!("| {} | `{}` |", methods.join(", "), route.pattern);
        let line = HTTP.lines().find(|line| line.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("docs/http-api.md has no row that begins with {row}"));
        assert_eq!(line.contains("501"), matches!(route.action, Action::Absent(_)), "{line}");
    }
}

/// Every command and subcommand with its whole name.
fn commands() -> Vec<(String, Command)> {
    fn walk(name: &str, command: &Command, all: &mut Vec<(String, Command)>) {
        all.push((name.to_owned(), command.clone()));
        for inner in command.get_subcommands() {
            walk(&format!("{name} {}", inner.get_name()), inner, all);
        }
    }
    let mut all = Vec::new();
    walk("tacet", &Cli::command(), &mut all);
    all
}

#[test]
fn every_command_and_option_stands_in_the_page_of_the_command_line() {
    let commands = commands();
    assert!(commands.len() > 15);
    for (name, command) in commands {
        assert!(COMMANDS.contains(&format!("`{name}")), "`{name}` is not in docs/command-line.md");
        for argument in command.get_arguments() {
            let Some(long) = argument.get_long() else { continue };
            assert!(COMMANDS.contains(&format!("`--{long}")), "`--{long}` of `{name}` is not in docs/command-line.md");
        }
    }
}
