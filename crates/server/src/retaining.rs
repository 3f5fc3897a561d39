//! The rule by which the ledger's entries end, run each day while a server serves. What it decides is the vault's ([`tacet_vault::LedgerRetention`]).

use crate::app::Environment;
use crate::publishing::{LedgerConfig, PublishError};
use tacet_ledger::{Channel, Origin, PurposeOfUse};
use tacet_types::{OperationId, Role};
use tacet_vault::{Caller, MonthStep, RETENTION_EVERY, Vault, VaultError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Under which name the ledger has what the rule did.
const NAME: &str = "tacet: retention";

/// The running rule.
pub struct Retaining {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Retaining {
    /// Runs the rule now and then each day.
    ///
    /// # Errors
    /// `keep_years` is out of its bounds, or the ledger cannot be read.
    pub async fn start(vault: Vault, config: &LedgerConfig, environment: &Environment) -> Result<Self, PublishError> {
        let keep_years = config.keep_years;
        vault.plan_retention(keep_years)?;
        let (stop, mut stopped) = watch::channel(false);
        let environment = environment.clone();
        run(&vault, keep_years, &environment).await;
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = stopped.changed() => return,
                    () = tokio::time::sleep(RETENTION_EVERY) => run(&vault, keep_years, &environment).await,
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

/// One run. A failure waits for the next: nothing is kept secret by it, and nothing is lost.
async fn run(vault: &Vault, keep_years: u16, environment: &Environment) {
    let origin = Origin { address: None, channel: Channel::Internal };
    let operation = OperationId::random(environment.rng.as_ref());
    let caller = Caller::new(NAME, Role::Operator, PurposeOfUse::SystemAdministration, origin, operation);
    match vault.retain_ledger(&caller, keep_years).await {
        Ok(found) => {
            let destroyed = found.of(MonthStep::Destroy).count();
            if destroyed > 0 {
                tracing::warn!(destroyed, "keys of months of the ledger were destroyed: their time was over");
            }
            if let Some(month) = found.ahead {
                tracing::warn!(%month, "the clock was once ahead: until that month entries are kept longer than they should be");
            }
        }
        // A store that is locked or being restored destroys nothing.
        Err(VaultError::ReadOnly(why)) => tracing::info!(%why, "the ledger's retention waits"),
        Err(error) => tracing::error!(%error, "the ledger's retention could not be run: it is tried again in a day"),
    }
}
