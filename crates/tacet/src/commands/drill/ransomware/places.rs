//! Where the hospital's backup lies: receivers of the drill's own, or the two places that it was told.

use super::cannot;
use super::stage::text;
use crate::commands::drill::scratch::files_below;
use crate::commands::init::private_directory;
use crate::error::CliError;
use crate::open;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tacet_backup::targets::{self, Lock, Ssh, TargetSettings};
use tacet_backup::{Class, Listed, Manifest, ObjectName, PublicKey, Target, list_snapshots, load};

/// The place of a class of objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Content,
    Keys,
}

impl Place {
    pub(super) const BOTH: [Self; 2] = [Self::Content, Self::Keys];

    fn name(self) -> &'static str {
        match self {
            Self::Content => "vault-content",
            Self::Keys => "vault-keys",
        }
    }

    pub(super) fn class(self) -> Class {
        match self {
            Self::Content => Class::Content,
            Self::Keys => Class::Key,
        }
    }
}

/// A place that the drill was told.
struct Given {
    /// As settings describe it.
    text: String,
    settings: TargetSettings,
    target: Arc<dyn Target>,
}

/// Both places.
pub(super) struct Places {
    /// Below it lie the receivers of the drill's own.
    root: PathBuf,
    given: Option<[Given; 2]>,
}

impl Places {
    /// Receivers of the drill's own, in folders below `root`.
    pub(super) fn own(root: &Path) -> Result<Self, CliError> {
        let places = Self { root: root.to_owned(), given: None };
        for place in Place::BOTH {
            private_directory(&places.received(place))?;
            write_reach(&places.reach(place), &places.received(place))?;
        }
        Ok(places)
    }

    /// The places that these files describe, of content and of keys. They have to be empty.
    pub(super) fn given(content: &Path, keys: &Path) -> Result<Self, CliError> {
        let given = [Given::read(content)?, Given::read(keys)?];
        let [one, other] = &given;
        if one.settings == other.settings {
            return Err(CliError::Usage(
                "the content and the keys need two places: `--target` and `--keys-target` name one".into(),
            ));
        }
        Ok(Self { root: PathBuf::new(), given: Some(given) })
    }

    fn of(&self, place: Place) -> Option<&Given> {
        let [content, keys] = self.given.as_ref()?;
        Some(match place {
            Place::Content => content,
            Place::Keys => keys,
        })
    }

    fn received(&self, place: Place) -> PathBuf {
        self.root.join(place.name())
    }

    /// What the server starts to reach the other machine: it stands for `ssh` with a forced command there.
    fn reach(&self, place: Place) -> PathBuf {
        self.root.join(format!("reach-{}", place.name()))
    }

    /// How settings describe a place: what stands below `[backup.target]`, or in the file that a restore is given.
    pub(super) fn described(&self, place: Place) -> Result<String, CliError> {
        match self.of(place) {
            Some(given) => Ok(format!("{}\n", given.text.trim_end())),
            None => {
                let command = self.reach(place);
                let name = place.name();
                Ok(format!("kind = \"ssh\"\nhost = \"{name}.drill.invalid\"\ncommand = {:?}\n", text(&command)?))
            }
        }
    }

    fn settings(&self, place: Place) -> Result<TargetSettings, CliError> {
        toml::from_str(&self.described(place)?).map_err(|error| CliError::other("a place cannot be described", error))
    }

    /// What the server's credential is for there.
    pub(super) fn credential(&self, place: Place) -> Result<Credential, CliError> {
        Ok(match self.settings(place)? {
            TargetSettings::Ssh(settings) => Credential::Receiver(Box::new(Ssh::new(&settings).map_err(unopened)?)),
            TargetSettings::S3(settings) => {
                Credential::Bucket(Box::new(targets::S3::new(&settings).map_err(unopened)?))
            }
            TargetSettings::Folder { .. } => return Err(cannot("a folder has no credential")),
        })
    }

    /// Whether a place is asked to lock what is put.
    pub(super) fn locks(&self) -> bool {
        let mut given = self.given.iter().flatten();
        given.any(|one| matches!(&one.settings, TargetSettings::S3(s3) if s3.lock == Lock::Compliance))
    }

    /// What the places are, for people.
    pub(super) fn told(&self) -> String {
        match &self.given {
            Some([content, keys]) => format!("at {} and {}", content.target.describe(), keys.target.describe()),
            None => "on machines that it reaches by a receiver only".to_owned(),
        }
    }

    /// A place: one of the drill's own as who keeps it sees it.
    fn target(&self, place: Place) -> Result<Arc<dyn Target>, CliError> {
        if let Some(given) = self.of(place) {
            return Ok(Arc::clone(&given.target));
        }
        let settings = TargetSettings::Folder { path: self.received(place) };
        targets::open(&settings, open::clock(), open::rng()).map(Arc::from).map_err(unopened)
    }

    /// The manifests on a place that were signed with this key, the oldest first, not further back than `last`.
    pub(super) fn manifests(&self, place: Place, key: &PublicKey, last: usize) -> Result<Vec<Manifest>, CliError> {
        let target = self.target(place)?;
        let listed = list_snapshots(target.as_ref(), place.class()).map_err(CliError::Backup)?;
        let mut found = Vec::new();
        for one in listed.iter().rev() {
            if found.len() == last {
                break;
            }
            if let Ok(signed) = load(target.as_ref(), &one.object)
                && signed.verify(key).is_ok()
            {
                found.push(signed.unverified().clone());
            }
        }
        found.reverse();
        Ok(found)
    }

    /// Everything that lies on a place, with its length.
    pub(super) fn objects(&self, place: Place) -> Result<Vec<(ObjectName, u64)>, CliError> {
        listed(self.target(place)?.as_ref())
    }

    /// Bytes of everything that lies on a place.
    pub(super) fn bytes(&self, place: Place) -> Result<u64, CliError> {
        Ok(self.objects(place)?.iter().map(|(_, bytes)| bytes).sum())
    }

    /// Names and digests of everything that lies on a place: files where it is the drill's own, what can be read again where it is not.
    pub(super) fn inventory(&self, place: Place) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
        let mut inventory = BTreeMap::new();
        let mut enter = |name: String, bytes: &[u8]| {
            inventory.insert(name, aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec());
        };
        if self.of(place).is_none() {
            for path in files_below(&self.received(place))? {
                let bytes = std::fs::read(&path).map_err(CliError::file(&path, "cannot be read"))?;
                enter(path.to_string_lossy().into_owned(), &bytes);
            }
            return Ok(inventory);
        }
        // Opened anew: nothing that was known of it before counts.
        let target = targets::open(&self.settings(place)?, open::clock(), open::rng()).map_err(unopened)?;
        for (name, _) in listed(target.as_ref())? {
            enter(name.to_string(), &target.read(&name, None).map_err(unopened)?);
        }
        Ok(inventory)
    }
}

/// What somebody with the server's credential has before them.
pub(super) enum Credential {
    Receiver(Box<Ssh>),
    Bucket(Box<targets::S3>),
}

impl Given {
    fn read(file: &Path) -> Result<Self, CliError> {
        let text = std::fs::read_to_string(file).map_err(CliError::file(file, "cannot be read"))?;
        let settings: TargetSettings = toml::from_str(&text).map_err(|error| {
            CliError::Usage(format!("`{}` describes no target: {}", file.display(), error.message()))
        })?;
        if matches!(settings, TargetSettings::Folder { .. }) {
            return Err(CliError::Usage(
                "a folder of the attacked machine is encrypted with it: give the drill a target of the kind `ssh` or `s3`".into(),
            ));
        }
        let target: Arc<dyn Target> =
            targets::open(&settings, open::clock(), open::rng()).map(Arc::from).map_err(unopened)?;
        if !listed(target.as_ref())?.is_empty() {
            return Err(CliError::Usage(format!(
                "{} is not empty: the drill fills it and attacks it, so give it a place of its own",
                target.describe()
            )));
        }
        Ok(Self { text, settings, target })
    }
}

fn unopened(error: tacet_backup::TargetError) -> CliError {
    CliError::other("the drill's backup cannot be used", error)
}

fn listed(target: &dyn Target) -> Result<Vec<(ObjectName, u64)>, CliError> {
    let mut names = Vec::new();
    let mut enter = |listed: Listed| {
        names.push((listed.name, listed.bytes));
        ControlFlow::Continue(())
    };
    target.list("", &mut enter).map_err(unopened)?;
    Ok(names)
}

/// Stands for `ssh` to a machine where the key's forced command is the receiver: whatever it is asked to run, it runs that.
fn write_reach(path: &Path, folder: &Path) -> Result<(), CliError> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::other("the program does not find itself, so it cannot run a second time", error))?;
    let (program, folder) = (text(&program)?, text(folder)?);
    if [program, folder].iter().any(|text| text.contains('\'')) {
        return Err(cannot("the path of the program or of the scratch directory has a quotation mark in it"));
    }
    let script = format!("#!/bin/sh\nexec '{program}' backup receive --append-only --keep-free 0 '{folder}'\n");
    let mut file = std::fs::File::create(path).map_err(CliError::file(path, "cannot be written"))?;
    let written = file.write_all(script.as_bytes()).and_then(|()| {
        file.set_permissions(std::fs::Permissions::from_mode(0o700))?;
        file.sync_all()
    });
    written.map_err(CliError::file(path, "cannot be written"))
}
