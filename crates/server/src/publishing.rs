//! Publishing the ledger: signing its head when it has moved, and asking witnesses to cosign it (<https://c2sp.org/tlog-witness>).
//!
//! ```text
//! every publish_seconds:  vault.publish_now ──> latest checkpoint ──> each witness, at the same time: POST <url>/add-checkpoint
//!                                                 200  cosignature, verified, kept with the checkpoint
//!                                                 409  it has seen another size: asked again from there, once
//!                                                      a larger one than there is, or another root: DISCLOSURES STOP
//!                                                 422  it has seen another history: DISCLOSURES STOP
//! ```
//!
//! What a witness answers is believed because the operator chose it: who cannot have a witness stop the house does not list it. One that does
//! not answer stops nothing, unless the operator asks for a number of them. One that objected is the only one that can take it back, by cosigning.

use crate::app::Environment;
use crate::auth::outgoing::{Outgoing, OutgoingConfig};
use crate::reporting::ReportConfig;
use crate::siem::AuditFeedConfig;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tacet_ledger::log::Publication;
use tacet_smart::foreign::{Fetch, FetchRequest};
use tacet_tlog::cosignature::cosignatures;
use tacet_tlog::note::{Signature, SignatureType};
use tacet_tlog::policy::AHEAD_S_MAX;
use tacet_tlog::witness::{AddCheckpoint, parse_size};
use tacet_tlog::{KeyError, SignedCheckpoint, VerifierKey};
use tacet_types::Clock;
use tacet_vault::{Halt, Vault, VaultError};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};

/// Most witnesses that are asked.
const WITNESSES_MAX: usize = 16;

/// Longest time in which all entries are derived again, in hours: a month.
const DERIVE_HOURS_MAX: u64 = 744;

/// How the ledger is published.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerConfig {
    /// The log's name for good, at best the address under which its files are served, without a scheme. Taken when the log is first published.
    /// None: a name made of the establishment's number.
    pub origin: Option<String>,
    /// Whether anybody may fetch the log's files: hashes, sizes and sealed entries. Otherwise only who reads the ledger.
    pub public: bool,
    /// How often the head is signed if it has moved, in seconds.
    pub publish_seconds: u64,
    /// Who is asked to cosign.
    pub witnesses: Vec<WitnessConfig>,
    /// Whether disclosures stop while fewer than `quorum` witnesses have cosigned within `witness_age_seconds`.
    pub require_witnesses: bool,
    /// How many witnesses must have cosigned.
    pub quorum: usize,
    /// How old a cosignature may be to count, in seconds.
    pub witness_age_seconds: u64,
    /// In how many hours all entries are derived again and held against what was signed, over and over: 1 to 744.
    pub derive_hours: u64,
    /// For how many years entries are kept after their month: then the month's key is destroyed.
    pub keep_years: u16,
    /// To which audit record repositories and SIEMs its entries are sent, by name.
    pub feeds: BTreeMap<String, AuditFeedConfig>,
    /// The patient's own report.
    pub report: ReportConfig,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            origin: None,
            public: false,
            publish_seconds: 10,
            witnesses: Vec::new(),
            require_witnesses: false,
            quorum: 1,
            witness_age_seconds: 3600,
            derive_hours: 24,
            keep_years: tacet_vault::KEEP_YEARS_DEFAULT,
            feeds: BTreeMap::new(),
            report: ReportConfig::default(),
        }
    }
}

impl LedgerConfig {
    /// How the ledger is published by this, for the next start to be held against.
    pub fn publication(&self) -> Publication {
        let keys = self.witnesses.iter().filter_map(|witness| VerifierKey::parse(&witness.key).ok());
        Publication {
            public: self.public,
            witnesses: keys.map(|key| key.to_string()).collect(),
            required: self.require_witnesses.then_some((self.quorum as u64, self.witness_age_seconds)),
        }
    }

    /// In how many seconds all entries are derived again.
    pub fn derive_s(&self) -> u64 {
        self.derive_hours.clamp(1, DERIVE_HOURS_MAX) * 3600
    }
}

/// A witness.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Where it is asked: `/add-checkpoint` is put behind. Its host must stand under `access.outgoing.hosts`.
    pub url: String,
    /// Its key, as `tacet witness init` prints it.
    pub key: String,
}

/// Why the ledger cannot be published as configured.
#[derive(Debug, Error)]
pub enum PublishError {
    /// A witness's key is none.
    #[error(
        "a key under `ledger.witnesses` is not one of a witness: take what `tacet witness init` prints on its machine"
    )]
    Key(#[source] Option<KeyError>),
    /// More witnesses than are asked, one twice, or more asked for than there are.
    #[error(
        "`[ledger]` names more than {WITNESSES_MAX} witnesses, one of them twice, or requires none or more than it names"
    )]
    Witnesses,
    /// The file of authorities does not serve.
    #[error("`access.outgoing.roots` cannot be read as a PEM file with certificates of authorities")]
    Roots,
    /// The store refuses.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// The running publisher.
pub struct Publisher {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Publisher {
    /// Names the log if it has no name yet, publishes and asks the witnesses once, and goes on doing so. Before anything is served, so that a
    /// store that was set back shows nothing.
    ///
    /// # Errors
    /// The configuration does not serve, or the store refuses.
    pub async fn start(
        vault: Vault,
        config: &LedgerConfig,
        outgoing: &OutgoingConfig,
        environment: &Environment,
    ) -> Result<Self, PublishError> {
        let mut witnesses: Vec<Arc<Witness>> = Vec::new();
        for witness in &config.witnesses {
            let key = VerifierKey::parse(&witness.key).map_err(|error| PublishError::Key(Some(error)))?;
            if key.kind() != SignatureType::CosignatureEd25519 {
                return Err(PublishError::Key(None));
            }
            if witnesses.iter().any(|other| other.key.name() == key.name()) {
                return Err(PublishError::Witnesses);
            }
            let url = format!("{}/add-checkpoint", witness.url.trim_end_matches('/'));
            witnesses.push(Arc::new(Witness { url, key, known: Mutex::new(Known::default()) }));
        }
        let too_few = config.require_witnesses && !(1..=witnesses.len()).contains(&config.quorum);
        if witnesses.len() > WITNESSES_MAX || too_few {
            return Err(PublishError::Witnesses);
        }
        let origin = config.origin.clone();
        let (name, keys) = blocking(&vault, move |vault| vault.name_log(origin.as_deref())).await?;
        let key = keys.last().map(ToString::to_string).unwrap_or_default();
        tracing::info!(origin = name, key, witnesses = witnesses.len(), "the ledger is published");
        let outgoing = Arc::new(Outgoing::new(outgoing).map_err(|()| PublishError::Roots)?);
        let round = Round { vault, witnesses, outgoing, clock: Arc::clone(&environment.clock), config: config.clone() };
        round.recall().await?;
        round.run().await;
        let (stop, mut stopped) = watch::channel(false);
        let pause = Duration::from_secs(config.publish_seconds.max(1));
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = stopped.changed() => return,
                    () = tokio::time::sleep(pause) => round.run().await,
                }
            }
        });
        Ok(Self { task, stop })
    }

    /// Ends it, after what is under way.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.task.await;
    }
}

async fn blocking<T: Send + 'static>(
    vault: &Vault,
    work: impl FnOnce(&Vault) -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    let vault = vault.clone();
    let done = spawn_blocking(move || work(&vault)).await;
    done.unwrap_or_else(|_| Err(VaultError::Internal("publishing the ledger ended in a panic".into())))
}

struct Witness {
    url: String,
    key: VerifierKey,
    known: Mutex<Known>,
}

/// What is known of a witness.
#[derive(Clone, Copy, Default)]
struct Known {
    /// The size that it cosigned last.
    size: u64,
    /// When it cosigned last, in seconds since 1970.
    at_s: Option<u64>,
}

impl Witness {
    fn known(&self) -> Known {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

/// What came of asking a witness.
enum Asked {
    /// It cosigned, at that time.
    Cosigned(Signature, u64),
    /// It has seen something else.
    Halt(Halt),
    /// Nothing that helps; it was logged.
    Nothing,
}

struct Round {
    vault: Vault,
    witnesses: Vec<Arc<Witness>>,
    outgoing: Arc<Outgoing>,
    clock: Arc<dyn Clock>,
    config: LedgerConfig,
}

impl Round {
    fn now_s(&self) -> u64 {
        u64::try_from(self.clock.now().as_ms() / 1000).unwrap_or_default()
    }

    /// Takes from what is kept when each witness cosigned last.
    async fn recall(&self) -> Result<(), PublishError> {
        let Some(kept) = blocking(&self.vault, |vault| vault.cosigned_checkpoint()).await? else { return Ok(()) };
        let keys: Vec<VerifierKey> = self.witnesses.iter().map(|witness| witness.key.clone()).collect();
        let times: BTreeMap<String, u64> = cosignatures(&kept, &keys)
            .unwrap_or_default()
            .into_iter()
            .map(|cosignature| (cosignature.witness, cosignature.at_s))
            .collect();
        for witness in &self.witnesses {
            if let Some(at_s) = times.get(witness.key.name()) {
                witness.set(Known { size: kept.checkpoint().size(), at_s: Some(*at_s) });
            }
        }
        Ok(())
    }

    async fn run(&self) {
        match blocking(&self.vault, |vault| vault.publish_now()).await {
            Ok(Some(latest)) => self.ask_all(latest).await,
            Ok(None) => {}
            // What stops disclosures was logged where it was found.
            Err(VaultError::Halted(_)) => {}
            Err(error) => tracing::error!(%error, "the ledger could not be published"),
        }
        self.count();
    }

    async fn ask_all(&self, mut latest: SignedCheckpoint) {
        let age_s = self.config.witness_age_seconds;
        let mut asking = JoinSet::new();
        for witness in &self.witnesses {
            let key = &witness.key;
            let signed = latest.note().signatures().iter().any(|signature| key.made(signature));
            // A log that does not move is cosigned again in time.
            let fresh = witness.known().at_s.is_some_and(|at_s| self.now_s().saturating_sub(at_s) < age_s / 2);
            if signed && fresh {
                continue;
            }
            let (vault, outgoing) = (self.vault.clone(), Arc::clone(&self.outgoing));
            let latest_s = self.now_s().saturating_add(AHEAD_S_MAX);
            asking.spawn(ask(vault, outgoing, Arc::clone(witness), latest.clone(), latest_s));
        }
        let mut cosigned = false;
        let size = latest.checkpoint().size();
        let (mut agree, mut halts) = (Vec::new(), Vec::new());
        while let Some(asked) = asking.join_next().await {
            match asked {
                Ok((witness, Asked::Cosigned(signature, at_s))) => {
                    witness.set(Known { size, at_s: Some(at_s) });
                    cosigned |= latest.renew(signature);
                    agree.push(witness.key.to_string());
                }
                Ok((_, Asked::Halt(halt))) => halts.push(halt),
                Ok((_, Asked::Nothing)) | Err(_) => {}
            }
        }
        let said = blocking(&self.vault, move |vault| {
            halts.iter().for_each(|halt| vault.halt(halt));
            agree.iter().try_for_each(|key| vault.witness_agrees(key, size))
        });
        if let Err(error) = said.await {
            tracing::error!(%error, "a witness cosigns the ledger again, and that could not be written down: disclosures stay stopped");
        }
        if cosigned {
            let kept = blocking(&self.vault, move |vault| vault.keep_cosigned(&latest)).await;
            if let Err(error) = kept {
                tracing::error!(%error, "cosignatures of witnesses could not be kept");
            }
        }
    }

    /// Counts the witnesses that have cosigned lately.
    fn count(&self) {
        let oldest = self.now_s().saturating_sub(self.config.witness_age_seconds);
        let times = self.witnesses.iter().filter_map(|witness| witness.known().at_s);
        let lately = times.filter(|at_s| *at_s >= oldest).count();
        let enough = !self.config.require_witnesses || lately >= self.config.quorum;
        self.vault.witnessed(lately as u64, enough);
    }
}

async fn ask(
    vault: Vault,
    outgoing: Arc<Outgoing>,
    witness: Arc<Witness>,
    latest: SignedCheckpoint,
    latest_s: u64,
) -> (Arc<Witness>, Asked) {
    let asked = ask_twice(&vault, &outgoing, &witness, latest, latest_s).await.unwrap_or(Asked::Nothing);
    (witness, asked)
}

/// Asks from the size that is known of the witness, and where it says another, from there. `None`: nothing came of it. `latest_s`: the latest time, in
/// seconds since 1970, that a cosignature may bear.
async fn ask_twice(
    vault: &Vault,
    outgoing: &Outgoing,
    witness: &Witness,
    latest: SignedCheckpoint,
    latest_s: u64,
) -> Option<Asked> {
    let name = witness.key.name();
    let size = latest.checkpoint().size();
    let mut old = witness.known().size;
    // Where something newer was published meanwhile, anybody may have brought it to the witness: that is no other history.
    let ahead = |seen| {
        let now = vault.checkpoint().ok().flatten().map_or(size, |now| now.checkpoint().size());
        (seen > now).then(|| Asked::Halt(Halt::Ahead { witness: witness.key.to_string(), seen, size: now }))
    };
    for _ in 0..2 {
        if old > size {
            return ahead(old);
        }
        let proof = blocking(vault, move |vault| vault.log_consistency(old, size)).await.ok()?;
        let request = AddCheckpoint { old, proof, checkpoint: latest.clone() };
        // The specification asks for no content type.
        let ask = FetchRequest { url: witness.url.clone(), authorization: None, form: Some(request.encode()) };
        let answer = outgoing.fetch(ask).await.ok()?;
        match answer.status {
            200 => return cosignature(witness, &latest, &answer.body, latest_s),
            409 => {
                let seen = parse_size(&answer.body)?;
                if seen > size {
                    return ahead(seen);
                }
                if seen == old {
                    return Some(Asked::Halt(Halt::Disputed { witness: witness.key.to_string() }));
                }
                old = seen;
                witness.set(Known { size: seen, ..witness.known() });
            }
            422 => return Some(Asked::Halt(Halt::Disputed { witness: witness.key.to_string() })),
            status => {
                tracing::warn!(witness = name, status, "a witness did not cosign: see that it knows this log's key");
                return None;
            }
        }
    }
    None
}

/// The witness's own signature in its answer.
fn cosignature(witness: &Witness, latest: &SignedCheckpoint, body: &[u8], latest_s: u64) -> Option<Asked> {
    let signatures = Signature::parse_lines(body).ok()?;
    let signature = signatures.into_iter().find(|signature| witness.key.made(signature))?;
    // Alone on the log's text, so that only this one is looked at.
    let mut note = tacet_tlog::note::Note::new(latest.note().text().to_owned()).ok()?;
    let added = note.add(signature.clone());
    let valid = added && note.verify(std::slice::from_ref(&witness.key)).is_ok();
    if !valid {
        tracing::warn!(witness = witness.key.name(), "a witness gave a cosignature that does not fit its key");
        return None;
    }
    let at_s = signature.bytes().first_chunk().map(|at| u64::from_be_bytes(*at))?;
    // It would count for as long as its clock is ahead, though the witness had long been silent.
    if at_s > latest_s {
        tracing::warn!(witness = witness.key.name(), "a witness's clock is ahead: its cosignature is not taken");
        return None;
    }
    Some(Asked::Cosigned(signature, at_s))
}
