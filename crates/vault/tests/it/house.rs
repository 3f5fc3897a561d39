//! A vault in memory, and short ways to use it.

use pollster::block_on;
use std::sync::Arc;
use tacet_ledger::Channel;
use tacet_seal::root::{PassphraseCost, RootFile, Split};
use tacet_seal::{InProcessKeeper, KeeperLimits, SecureRng};
use tacet_store::memory::{Disk, Faults, MemoryEngine};
use tacet_store::{Engine, StoreOptions};
use tacet_types::{ManualClock, OperationId, ResourceId, ResourceType, Timestamp, VersionId};
use tacet_vault::{Caller, Limits, Origin, PurposeOfUse, Role, Stored, Vault, VaultError, VaultOptions};

/// Where the clock of each test starts.
pub(crate) const START: &str = "2026-03-01T08:00:00Z";

/// What absolute references to this server begin with.
pub(crate) const BASE_URL: &str = "https://tacet.example/fhir";

pub(crate) struct House {
    pub(crate) vault: Vault,
    pub(crate) disk: Disk,
    pub(crate) faults: Faults,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keeper: Arc<InProcessKeeper>,
    pub(crate) root: RootFile,
    /// For the next start.
    pub(crate) patients_only_by_match: bool,
    /// For the next start.
    pub(crate) validation: tacet_vault::ValidationSettings,
    /// For the next start: where the search index is; in memory where it is none.
    pub(crate) index: Option<std::path::PathBuf>,
    /// By what is decided who may see what; by roles alone where it is none.
    pub(crate) access: Option<tacet_vault::AccessSettings>,
    _directory: tempfile::TempDir,
}

pub(crate) fn unbounded() -> KeeperLimits {
    KeeperLimits { burst: u32::MAX, per_second: u32::MAX }
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(unbounded())
    }

    pub(crate) fn with(limits: KeeperLimits) -> Self {
        Self::made(limits, None)
    }

    /// One in which the built-in policies decide who may see what.
    pub(crate) fn guarded() -> Self {
        Self::guarded_with(unbounded())
    }

    pub(crate) fn guarded_with(limits: KeeperLimits) -> Self {
        let settings = tacet_vault::AccessSettings {
            policies: tacet_policy::Policies::built_in(),
            care: tacet_policy::CareSettings::default(),
        };
        Self::made(limits, Some(settings))
    }

    fn made(limits: KeeperLimits, access: Option<tacet_vault::AccessSettings>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (root, _) = RootFile::create(
            &directory.path().join("root.key"),
            "correct horse battery staple",
            Split::DEFAULT,
            PassphraseCost::DANGEROUSLY_CHEAP,
            &SecureRng,
        )
        .unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::parse(START).unwrap()));
        let keeper = Arc::new(InProcessKeeper::new(root.keys(), clock.clone(), Arc::new(SecureRng), limits));
        let (disk, faults) = (Disk::default(), Faults::default());
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::open(&disk, faults.clone()));
        let operator = caller(Role::Operator);
        let options = VaultOptions { access: access.clone(), ..options(&clock) };
        let vault = block_on(Vault::initialize(engine, keeper.clone(), options, &operator)).unwrap();
        Self {
            vault,
            disk,
            faults,
            clock,
            keeper,
            root,
            patients_only_by_match: false,
            validation: tacet_vault::ValidationSettings::default(),
            index: None,
            access,
            _directory: directory,
        }
    }

    /// Closes the vault and opens what is on the disk.
    pub(crate) fn reopen(&mut self) {
        let _ = self.vault.clone().close();
        self.faults.clear();
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::open(&self.disk, self.faults.clone()));
        let mut options = VaultOptions { access: self.access.clone(), ..options(&self.clock) };
        options.limits.patients_only_by_match = self.patients_only_by_match;
        options.limits.validation = self.validation.clone();
        options.index = Some(tacet_vault::IndexSettings { directory: self.index.clone(), ..Default::default() });
        self.vault = Vault::open(engine, self.keeper.clone(), options).unwrap();
    }

    /// The process is killed, and what is on the disk is opened: the store, and the index in this directory.
    pub(crate) fn kill(&mut self, index: &std::path::Path) {
        self.disk = self.disk.crash(tacet_store::memory::Crash::KeepSynced);
        self.faults = Faults::default();
        self.index = Some(index.to_owned());
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::open(&self.disk, self.faults.clone()));
        let mut options = VaultOptions { access: self.access.clone(), ..options(&self.clock) };
        options.index = Some(tacet_vault::IndexSettings { directory: self.index.clone(), ..Default::default() });
        self.vault = Vault::open(engine, self.keeper.clone(), options).unwrap();
    }

    pub(crate) fn read(&self, name: &str, id: &str) -> Result<String, VaultError> {
        let disclosed = block_on(self.vault.read(&clinician(), kind(name), &rid(id)))?;
        Ok(String::from_utf8(disclosed.body.to_vec()).unwrap())
    }

    pub(crate) fn vread(&self, name: &str, id: &str, version: u64) -> Result<String, VaultError> {
        let disclosed = block_on(self.vault.vread(&clinician(), kind(name), &rid(id), VersionId(version)))?;
        Ok(String::from_utf8(disclosed.body.to_vec()).unwrap())
    }

    pub(crate) fn put(&self, name: &str, id: &str, body: &str) -> Result<Stored, VaultError> {
        block_on(self.vault.update(&clinician(), kind(name), &rid(id), body.as_bytes(), BASE_URL, None, false))
    }

    pub(crate) fn delete(&self, name: &str, id: &str) -> Result<tacet_vault::Deleted, VaultError> {
        block_on(self.vault.delete(&clinician(), kind(name), &rid(id), None))
    }

    /// Rows of a space.
    pub(crate) fn disk_rows(&self, space: u8) -> usize {
        let engine = MemoryEngine::open(&self.disk, Faults::default());
        let mut rows = 0;
        tacet_store::Reader::range(&engine, &[space], &[space + 1], &mut |_, _| {
            rows += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        rows
    }

    /// Every row and seal is right.
    pub(crate) fn assert_sound(&self) -> tacet_vault::CheckReport {
        let report = block_on(self.vault.check(&caller(Role::Operator), &mut |_| {})).unwrap();
        assert_eq!(report.findings, [], "tacet check");
        report
    }

    pub(crate) fn ledger(&self) -> Vec<tacet_ledger::Entry> {
        let size = self.vault.ledger_head().unwrap().map_or(0, |head| head.size());
        (0..size).map(|index| self.vault.ledger_entry(index).unwrap()).collect()
    }
}

pub(crate) fn options(clock: &Arc<ManualClock>) -> VaultOptions {
    VaultOptions {
        clock: clock.clone(),
        rng: Arc::new(SecureRng),
        limits: Limits::default(),
        store: StoreOptions::default(),
        index: Some(tacet_vault::IndexSettings::default()),
        access: None,
    }
}

pub(crate) fn caller(role: Role) -> Caller {
    let origin = Origin { address: None, channel: Channel::Http };
    Caller::new("Dr Test", role, PurposeOfUse::Treatment, origin, OperationId::random(&SecureRng))
}

pub(crate) fn clinician() -> Caller {
    caller(Role::Clinician)
}

pub(crate) fn kind(name: &str) -> ResourceType {
    ResourceType::parse(name).unwrap()
}

pub(crate) fn rid(id: &str) -> ResourceId {
    ResourceId::parse(id).unwrap()
}

pub(crate) fn patient(id: &str, family: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"{family}"}}]}}"#)
}

pub(crate) fn observation(id: &str, patient: &str, value: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"Weight"}},"subject":{{"reference":"Patient/{patient}"}},"valueQuantity":{{"value":{value},"unit":"kg"}}}}"#
    )
}
