//! A hospital in this very process, with the rules on who may see what in force and served over HTTP on a free port of the loopback:
//! the stage of the drills in which the attacker has an account. Its records are synthetic and lie in a scratch directory.

use super::http::Client;
use super::scratch::{Area, Scratch};
use crate::config::Config;
use crate::error::CliError;
use crate::open::{self, MAINTENANCE_LIMITS, Paths};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use tacet_identity::Identity;
use tacet_ledger::{Channel, Entry, Origin, PurposeOfUse};
use tacet_policy::{CareSettings, Policies};
use tacet_seal::SecureRng;
use tacet_seal::root::{PassphraseCost, RootFile, Split};
use tacet_server::{Environment, People, PeopleSettings, Server, ServerConfig};
use tacet_testkit::{Hospital, HospitalOptions, Record, Standing};
use tacet_types::{Clock, OperationId, ResourceId, ResourceType, Timestamp};
use tacet_vault::{AccessSettings, Caller, ImportOptions, ImportUnit, Role, Vault};

/// The present of the played hospital when the drill begins, so that a seed gives the same relations for ever: 3 March 2025 (a
/// Monday), 10:00 UTC.
const PRESENT_MS: i64 = 1_740_996_000_000;

/// The charts end at midnight of that day.
const CHARTS_END_MS: i64 = PRESENT_MS - 10 * 3_600_000;

/// Life of the credentials, in milliseconds: a shift.
const TOKEN_LIFE_MS: i64 = 8 * 3_600_000;

/// Patients of each kind of standing who are brought in beside the ordinary ones.
const SET_APART_OF_EACH: usize = 2;

/// How far the numbers are looked through for somebody who is set apart. Of 1,000 patients 17 are.
const LOOKED_THROUGH_MAX: u64 = 20_000;

/// Patients whose records are imported at once.
const PATIENTS_AT_ONCE: usize = 50;

/// A record that the drill knows to be there.
pub(super) struct Known {
    pub(super) resource_type: ResourceType,
    pub(super) id: ResourceId,
    /// Whose it is, by number; none for what the hospital itself consists of.
    pub(super) patient: Option<u64>,
    pub(super) json: String,
}

impl Known {
    /// `Patient/123`.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.resource_type, self.id.as_str())
    }
}

/// The stage.
pub(super) struct Stage {
    pub(super) vault: Vault,
    pub(super) hospital: Hospital,
    /// The patients by number: the ordinary ones, then those who are set apart.
    pub(super) roster: Vec<u64>,
    /// Every record.
    pub(super) records: Vec<Known>,
    pub(super) address: SocketAddr,
    clock: Arc<dyn Clock>,
    identity: Arc<Identity>,
    runtime: tokio::runtime::Runtime,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    // Dropped last: the store lies in it.
    _scratch: Scratch,
}

/// The machine's clock, moved so that the drill begins at the hospital's present.
struct Moved {
    by_ms: i64,
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        open::clock().now().plus_ms(self.by_ms)
    }
}

impl Stage {
    /// Makes the store, brings in the patients and begins to serve.
    pub(super) fn build(patients: u64, seed: u64, scratch: Option<&Path>) -> Result<Self, CliError> {
        let scratch = Scratch::create(scratch, false)?;
        let clock: Arc<dyn Clock> = Arc::new(Moved { by_ms: PRESENT_MS - open::clock().now().as_ms() });
        let hospital = Hospital::new(HospitalOptions { seed, patients, now: Timestamp::from_ms(CHARTS_END_MS) });
        let roster = roster(&hospital);
        let records = records(&hospital, &roster)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::other("the runtime could not be started", error))?;
        let vault = runtime.block_on(found(&scratch, &clock))?;
        runtime.block_on(fill(&vault, &records))?;
        vault.wait_for_index(&mut |_| ());
        let Served { address, identity, stop } = serve(&runtime, &vault, &clock)?;
        let stop = Some(stop);
        Ok(Self { vault, hospital, roster, records, address, clock, identity, runtime, stop, _scratch: scratch })
    }

    /// Waits for work of the vault.
    pub(super) fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// The accounts.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The present.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A machine of the hospital, with a token of this role.
    pub(super) fn machine(&self, owner: &str, role: Role) -> Result<Client, CliError> {
        let expires = self.now().plus_ms(TOKEN_LIFE_MS);
        let (_, secret) = self.wait(self.vault.create_token(&keeper(), owner, role, expires))?;
        Ok(Client { address: self.address, token: secret.reveal().to_owned(), session: None })
    }

    /// A physician as the rules know one, to ask them what is open.
    pub(super) fn physician(&self, account: &str, practitioner: &ResourceId) -> Caller {
        let origin = Origin { address: None, channel: Channel::Http };
        let (role, operation) = (Role::Clinician, OperationId::random(&SecureRng));
        Caller {
            practitioner: Some(practitioner.clone()),
            account: Some(account.to_owned()),
            strong: true,
            ..Caller::new(account, role, PurposeOfUse::Treatment, origin, operation)
        }
    }

    /// How many entries the ledger has.
    pub(super) fn ledger_size(&self) -> Result<u64, CliError> {
        Ok(self.vault.ledger_head()?.map_or(0, |head| head.size()))
    }

    /// The entries from this place on.
    pub(super) fn entries_from(&self, first: u64) -> Result<Vec<Entry>, CliError> {
        (first..self.ledger_size()?).map(|index| Ok(self.vault.ledger_entry(index)?)).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The server may have ended by itself.
            let _ = stop.send(());
        }
    }
}

/// The keeper of the stage: makes tokens, no more.
fn keeper() -> Caller {
    let origin = Origin { address: None, channel: Channel::CommandLine };
    let operation = OperationId::random(&SecureRng);
    Caller::new("drill", Role::Operator, PurposeOfUse::SystemAdministration, origin, operation)
}

/// The ordinary patients by number, and some of each kind that is set apart.
fn roster(hospital: &Hospital) -> Vec<u64> {
    let ordinary = hospital.options().patients;
    let mut roster: Vec<u64> = (0..ordinary).collect();
    let kinds: [fn(Standing) -> bool; 3] = [
        |standing| standing == Standing::Detained,
        |standing| standing == Standing::Known,
        |standing| matches!(standing, Standing::Staff(_)),
    ];
    for is_one in kinds {
        let there = (0..ordinary).filter(|n| is_one(hospital.standing(*n))).count();
        let more = (ordinary..ordinary + LOOKED_THROUGH_MAX).filter(|n| is_one(hospital.standing(*n)));
        roster.extend(more.take(SET_APART_OF_EACH.saturating_sub(there)));
    }
    roster
}

fn records(hospital: &Hospital, roster: &[u64]) -> Result<Vec<Known>, CliError> {
    let known = |record: Record, patient: Option<u64>| {
        let id =
            ResourceId::parse(&record.id).map_err(|error| CliError::other("a synthetic record has no id", error))?;
        Ok(Known { resource_type: record.resource_type, id, patient, json: record.json })
    };
    let mut records: Vec<Known> =
        hospital.foundation().into_iter().map(|record| known(record, None)).collect::<Result<_, CliError>>()?;
    for n in roster {
        for record in hospital.patient(*n).resources {
            records.push(known(record, Some(*n))?);
        }
    }
    Ok(records)
}

async fn found(scratch: &Scratch, clock: &Arc<dyn Clock>) -> Result<Vault, CliError> {
    let paths = Paths::of(&scratch.area(Area::Data));
    // The key file of a scratch store is worth no thief's time.
    let cost = PassphraseCost::DANGEROUSLY_CHEAP;
    let passphrase = format!("drill {}", OperationId::random(&SecureRng));
    let (root, _) =
        RootFile::create(&paths.root, &passphrase, Split::DEFAULT, cost, &SecureRng).map_err(CliError::Root)?;
    let config = Config::default();
    let options = tacet_vault::VaultOptions {
        clock: Arc::clone(clock),
        index: Some(config.index.settings(&paths.index)),
        access: Some(AccessSettings { policies: Policies::built_in(), care: CareSettings::default() }),
        ..open::vault_options()
    };
    let engine = open::engine(&paths.store, &config)?;
    Ok(Vault::initialize(engine, open::keeper(&root, MAINTENANCE_LIMITS), options, &keeper()).await?)
}

async fn fill(vault: &Vault, records: &[Known]) -> Result<(), CliError> {
    let caller = Caller { role: Role::Integrator, purpose: PurposeOfUse::Operations, ..keeper() };
    let of_patients: Vec<&Known> = records.iter().collect();
    // Each patient's records stay together: they refer to each other.
    for unit in of_patients.chunk_by(|a, b| group(a) == group(b)) {
        let lines = unit.iter().zip(1..).map(|(record, line)| (line, record.json.as_bytes())).collect();
        let options = ImportOptions { strict: true, ..ImportOptions::default() };
        let outcome = vault.import(&caller, &ImportUnit::Resources(lines), options).await?;
        if !outcome.rejected.is_empty() {
            return Err(CliError::Usage("the drill could not be played: the synthetic hospital was refused".into()));
        }
    }
    Ok(())
}

fn group(record: &Known) -> Option<u64> {
    record.patient.map(|n| n / PATIENTS_AT_ONCE as u64)
}

/// What serves.
struct Served {
    address: SocketAddr,
    identity: Arc<Identity>,
    stop: tokio::sync::oneshot::Sender<()>,
}

fn serve(runtime: &tokio::runtime::Runtime, vault: &Vault, clock: &Arc<dyn Clock>) -> Result<Served, CliError> {
    let config = ServerConfig { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..ServerConfig::default() };
    let environment = Environment { clock: Arc::clone(clock), rng: open::rng() };
    let failed = |error| CliError::Server(Box::new(error));
    let server = runtime.block_on(Server::bind(config, vault.clone(), environment.clone())).map_err(failed)?;
    let (rows, settings) = (Arc::new(vault.clone()), PeopleSettings::default());
    let people = People::open(rows, Some(vault.clone()), &environment, &settings, server.base_url());
    let people = runtime.block_on(people).map_err(|error| CliError::Server(Box::new(error)))?;
    let (address, identity) = (server.local_addr(), Arc::clone(people.identity()));
    let server = server.with_people(people);
    let (stop, stopped) = tokio::sync::oneshot::channel();
    runtime.spawn(server.run(async move {
        // Told to stop, or the stage is gone.
        let _ = stopped.await;
    }));
    Ok(Served { address, identity, stop })
}
