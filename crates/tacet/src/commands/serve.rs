//! `tacet serve`.

use crate::args::{Global, ServeArgs};
use crate::backing::{Backing, Maker};
use crate::config::LogConfig;
use crate::drilled::Drilled;
use crate::error::CliError;
use crate::exit;
use crate::open;
use crate::output::Output;
use crate::people;
use std::future::Future;
use std::sync::Arc;
use tacet_identity::Kind;
use tacet_ledger::PurposeOfUse;
use tacet_ledger::noted::NotedRows;
use tacet_server::{
    AuditFeeds, Environment, LedgerConfig, Packs, PacksConfig, People, PeopleSettings, Publisher, Retaining, Server,
    ServerConfig, Subscriptions, SubscriptionsConfig, TlsConfig, Tripwires, TripwiresConfig,
};
use tacet_vault::{EventKind, Outcome, Role, Settled, Vault};
use tracing_subscriber::filter::LevelFilter;

pub(crate) fn run(global: &Global, args: &ServeArgs, output: &Output) -> Result<u8, CliError> {
    let (opened, following) = open::open_followed(global)?;
    start_log(&opened.config.log)?;
    let backing = following
        .map(|following| {
            let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
            let data = crate::config::data_directory(global);
            Backing::start(Maker::new(opened.vault.clone(), caller, &opened.config, &data, following)?)
        })
        .transpose()?;
    let served = run_opened(global, args, opened, output);
    // After the store was closed: what that wrote goes out too.
    if let Some(backing) = backing {
        backing.finish();
    }
    served?;
    Ok(exit::OK)
}

/// The same, with a store that is open and a log that is started.
pub(crate) fn run_opened(
    global: &Global,
    args: &ServeArgs,
    opened: open::Opened,
    output: &Output,
) -> Result<(), CliError> {
    let mut config = opened.config.server.clone();
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if args.base_url.is_some() {
        config.base_url = args.base_url.clone();
    }
    if let (Some(certificate), Some(key)) = (&args.tls_certificate, &args.tls_key) {
        let client_certificates = config.tls.as_ref().is_some_and(|tls| tls.client_certificates);
        config.tls = Some(TlsConfig { certificate: certificate.clone(), key: key.clone(), client_certificates });
    }
    settle_rules(global, &opened)?;
    drop(opened.root); // the keeper has its own copy of the keys
    let people = opened.config.people_settings()?;
    let behind = Behind {
        subscriptions: opened.config.subscriptions,
        packs: opened.config.packs,
        tripwires: opened.config.tripwires,
    };
    serve(global, config, behind, &opened.config.ledger, people, opened.vault, |base_url, _| {
        output.note(&format!("serving FHIR R4 at {base_url}"));
        Ok(())
    })
}

/// Holds the configured policies to those that two people agreed on. Others do not apply, and it is said what to do.
fn settle_rules(global: &Global, opened: &open::Opened) -> Result<(), CliError> {
    let offered = opened.config.rules()?;
    let alone = !people::two_can(opened, Kind::PolicyChange)?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    let settled = open::wait(opened.vault.settle_rules(&caller, &offered, alone))?;
    if settled == Settled::Refused {
        let in_force = opened.vault.rules_in_force()?.map(|found| found.rules.fingerprint());
        tracing::error!(
            configured = offered.fingerprint(),
            in_force,
            "the policies in `access.policies` were not approved and do not apply: propose them (`tacet policy propose`, POST \
             /_policy), or put the approved ones back"
        );
    }
    Ok(())
}

/// What goes on behind the requests.
#[derive(Default)]
pub(crate) struct Behind {
    pub(crate) subscriptions: SubscriptionsConfig,
    pub(crate) packs: PacksConfig,
    pub(crate) tripwires: TripwiresConfig,
}

/// Serves until the process is told to stop, then closes the store.
pub(crate) fn serve(
    global: &Global,
    config: ServerConfig,
    behind: Behind,
    ledger: &LedgerConfig,
    people: PeopleSettings,
    vault: Vault,
    ready: impl FnOnce(&str, &People) -> Result<(), CliError>,
) -> Result<(), CliError> {
    crate::measuring::may_listen(config.listen)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::other("the runtime could not be started", error))?;
    let caller = open::caller(global, Role::Operator, PurposeOfUse::SystemAdministration);
    runtime.block_on(async {
        // Before anybody knows that it serves: a stop that comes with the first request is a stop, not a kill.
        let stop = stop_signal()?;
        let environment = Environment { clock: open::clock(), rng: open::rng() };
        let client_certificates = config.tls.as_ref().is_some_and(|tls| tls.client_certificates);
        let server = Server::bind(config, vault.clone(), environment.clone())
            .await
            .map_err(|error| CliError::Server(Box::new(error)))?;
        vault.call_establishment(&people.name);
        let hospital = people.name.clone();
        let rows = Arc::new(vault.clone()) as Arc<dyn NotedRows>;
        let report = ledger.report.settings(&people.name);
        let people = PeopleSettings { client_certificates, ..people };
        let outgoing = people.outgoing.clone();
        let people = People::open(rows, Some(vault.clone()), &environment, &people, server.base_url())
            .await
            .map_err(|error| CliError::Server(Box::new(error)))?;
        vault.note(&caller, EventKind::Start, Outcome::Success).await?;
        // A program for developers serves nobody who would wait, and takes many times as long for it.
        if !cfg!(debug_assertions)
            && let Err(error) = vault.warm()
        {
            tracing::warn!(%error, "the first question of each role takes longer");
        }
        let data = crate::config::data_directory(global);
        let tripwires = Tripwires::start(&vault, &data, &behind.tripwires, &environment).await?;
        let paths = open::Paths::of(&data);
        vault.keep_copies_in(&paths.copies, &caller).await?;
        vault.keep_ledger_index_in(&paths.ledger_index, true)?;
        // Before anything is served: a store that was set back shows nothing.
        let publisher = Publisher::start(vault.clone(), ledger, &outgoing, &environment)
            .await
            .map_err(|error| CliError::Server(Box::new(error)))?;
        let retaining = Retaining::start(vault.clone(), ledger, &environment)
            .await
            .map_err(|error| CliError::Server(Box::new(error)))?;
        // Whoever may write the settings could quietly do without witnesses: it is said aloud, and written down.
        let publication = ledger.publication();
        let less = vault.published_less(&publication)?;
        if !less.is_empty() {
            let detail = format!("the ledger is published less than before: {}", less.join("; "));
            let detail = Some(detail.chars().take(500).collect());
            vault.note_with(&caller, EventKind::ConfigurationChange, Outcome::Success, detail).await?;
        }
        vault.keep_publication(&publication)?;
        vault.derive_ledger_every(ledger.derive_s())?;
        let feeds = AuditFeeds::start(&vault, &ledger.feeds, server.base_url(), &environment, &caller)
            .map_err(|error| CliError::Server(Box::new(error)))?;
        let packs = Packs::start(vault.clone(), &behind.packs, &hospital, &environment)
            .map_err(|error| CliError::Server(Box::new(error)))?;
        let subscriptions = Subscriptions::start(vault.clone(), behind.subscriptions, server.base_url(), environment)
            .map_err(|error| CliError::Server(Box::new(error)))?;
        let drilled = Drilled::start(vault.clone(), &data)?;
        ready(server.base_url(), &people)?;
        let server =
            server.with_audit_feeds(&feeds).with_people(people).with_public_log(ledger.public).with_report(report);
        server.run(stop).await;
        drilled.stop();
        tripwires.stop().await;
        subscriptions.stop().await;
        packs.stop().await;
        feeds.stop().await;
        retaining.stop().await;
        publisher.stop().await;
        // Where the store has failed the entry cannot be written; the log has said why.
        let _ = vault.note(&caller, EventKind::Stop, Outcome::Success).await;
        Ok::<(), CliError>(())
    })?;
    vault.close()?;
    Ok(())
}

/// Resolves at SIGTERM or SIGINT.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let no_signals = |error| CliError::other("signals could not be watched", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Logs to stderr, one event a line. What is logged holds no personal data at any level.
pub(crate) fn start_log(config: &LogConfig) -> Result<(), CliError> {
    let level: LevelFilter = config
        .level
        .parse()
        .map_err(|_| CliError::Usage(format!("`{}` is no log level: use error, warn, info or debug", config.level)))?;
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    let started = if config.json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
    started.map_err(|error| CliError::other("the log could not be started", error))
}
