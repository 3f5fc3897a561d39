//! Whether a backup is what was written: every manifest, every segment, every row's place, and that nothing is missing. Reads all of it, opens nothing.

use crate::catalog::{self, Listing};
use crate::classes::{Class, class_of};
use crate::error::BackupError;
use crate::manifest::{Kind, Manifest, ManifestRef, SegmentInfo, Signed, SpaceRows};
use crate::segment::SegmentIndex;
use crate::signing::PublicKey;
use crate::target::{Target, TargetError};
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use tacet_types::{EstablishmentId, Timestamp};

/// Most problems that a report lists; more are counted.
pub const PROBLEMS_MAX: usize = 1000;

/// How much is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Manifests, and that each segment is there with its length.
    Listed,
    /// Every byte.
    Everything,
}

/// A snapshot that should be there: the ledger names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    /// Which.
    pub reference: ManifestRef,
    /// When it was made.
    pub time: Timestamp,
}

/// Something that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The object.
    pub object: String,
    /// What is wrong.
    pub what: String,
}

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Verified {
    /// Snapshots that were read.
    pub snapshots: u64,
    /// Chains that they make.
    pub chains: u64,
    /// Segments that they name.
    pub segments: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// The newest snapshot.
    pub newest: Option<ManifestRef>,
    /// When it was made.
    pub newest_time: Option<Timestamp>,
    /// Snapshots that should be there, by the ledger, and are past the days for which all are kept.
    pub pruned: u64,
    /// Objects that no snapshot names: what a step that was cut off had sent.
    pub unnamed: u64,
    /// What is wrong, at most [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// How much is wrong.
    pub problem_count: u64,
}

impl Verified {
    fn problem(&mut self, object: impl ToString, what: impl ToString) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { object: object.to_string(), what: what.to_string() });
        }
    }
}

/// What is verified, and against what.
pub struct Verification<'a> {
    /// Where.
    pub target: &'a dyn Target,
    /// Which chains.
    pub class: Class,
    /// The establishment's key.
    pub key: PublicKey,
    /// The establishment, where it is known.
    pub establishment: Option<EstablishmentId>,
    /// How much is read.
    pub depth: Depth,
    /// What the ledger names.
    pub expected: &'a [Expected],
    /// Until when snapshots may have been pruned.
    pub pruned_before: Timestamp,
}

impl Verification<'_> {
    /// Does it. `progress` is told bytes done and all.
    ///
    /// # Errors
    /// The target cannot be asked. What is wrong with what it gives is in the report.
    pub fn run(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, BackupError> {
        let mut report = Verified::default();
        let listed = catalog::list_snapshots(self.target, self.class)?;
        let manifests = self.manifests(&listed, &mut report)?;
        self.hold_chains(&manifests, &mut report);
        self.hold_expected(&manifests, &mut report);
        self.hold_segments(&manifests, &mut report, progress)?;
        if let Some((_, newest)) = manifests.last_key_value() {
            (report.newest, report.newest_time) = (Some(newest.reference()), Some(newest.unverified().time()));
        }
        Ok(report)
    }

    fn manifests(
        &self,
        listed: &[Listing],
        report: &mut Verified,
    ) -> Result<BTreeMap<(u64, String), Signed>, BackupError> {
        let mut manifests = BTreeMap::new();
        for listing in listed {
            let signed = catalog::load(self.target, &listing.object).and_then(|signed| {
                signed.verify(&self.key)?;
                Ok(signed)
            });
            match signed {
                Ok(signed) if self.establishment.is_some_and(|id| id != signed.unverified().establishment()) => {
                    report.problem(&listing.object, "it is of another establishment");
                }
                Ok(signed) => {
                    report.snapshots += 1;
                    manifests.insert((listing.number, listing.id.clone()), signed);
                }
                Err(BackupError::Target(error)) if !matches!(error, TargetError::Absent(_)) => return Err(error.into()),
                Err(error) => report.problem(&listing.object, error),
            }
        }
        Ok(manifests)
    }

    /// Each chain is whole from its base to its last log; what stands before a base may have been pruned, but only as a whole.
    fn hold_chains(&self, manifests: &BTreeMap<(u64, String), Signed>, report: &mut Verified) {
        // Only what verifies was written by a server of ours; the rest is named already.
        let ours: Vec<&(u64, String)> = manifests.keys().collect();
        for pair in ours.windows(2) {
            if let [(one, _), (two, id)] = pair
                && one == two
            {
                let object = crate::manifest::manifest_name(self.class, *two, id);
                report.problem(&object, "there are two snapshots of this number: two servers write to this target");
            }
        }
        for signed in manifests.values() {
            let manifest = signed.unverified();
            report.chains += u64::from(manifest.kind == Kind::Base);
            let Some(previous) = &manifest.previous else { continue };
            match manifests.get(&(previous.number, previous.id.clone())) {
                Some(before) if before.reference() != *previous => {
                    report.problem(
                        before.unverified().name(),
                        format!("snapshot {} names another in its place", manifest.number),
                    );
                }
                Some(before) if manifest.kind == Kind::Log => {
                    if let Err(error) = catalog::follows(before, manifest) {
                        report.problem(manifest.name(), error);
                    }
                }
                Some(_) => {}
                None => {
                    // Pruning takes whole chains: where a part of one is left, the rest was taken by somebody else.
                    let left = |other: &Signed| Some(other.unverified().base) == manifest.previous_base;
                    let torn = manifest.kind == Kind::Log || manifests.values().any(left);
                    if torn {
                        report.problem(
                            crate::manifest::manifest_name(self.class, previous.number, &previous.id),
                            format!("it is missing, and snapshot {} goes on from it", manifest.number),
                        );
                    }
                }
            }
        }
    }

    fn hold_expected(&self, manifests: &BTreeMap<(u64, String), Signed>, report: &mut Verified) {
        for expected in self.expected {
            let reference = &expected.reference;
            let object = || crate::manifest::manifest_name(self.class, reference.number, &reference.id);
            match manifests.get(&(reference.number, reference.id.clone())) {
                Some(found) if found.reference() == *reference => {}
                Some(_) => report.problem(object(), "the ledger names another manifest in its place"),
                None if expected.time < self.pruned_before => report.pruned += 1,
                None => report.problem(object(), "it is missing, and the ledger names it"),
            }
        }
    }

    fn hold_segments(
        &self,
        manifests: &BTreeMap<(u64, String), Signed>,
        report: &mut Verified,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), BackupError> {
        let mut named: BTreeMap<&str, &SegmentInfo> = BTreeMap::new();
        for manifest in manifests.values().map(Signed::unverified) {
            for segment in &manifest.segments {
                if let Some(other) = named.insert(segment.object.as_str(), segment)
                    && other != segment
                {
                    report.problem(&segment.object, "snapshots do not agree on what it is");
                }
            }
        }
        let mut there: HashMap<String, u64> = HashMap::new();
        for prefix in segment_prefixes(self.class) {
            self.target.list(prefix, &mut |found| {
                if named.contains_key(found.name.as_str()) {
                    there.insert(found.name.as_str().to_owned(), found.bytes);
                } else {
                    report.unnamed += 1;
                }
                ControlFlow::Continue(())
            })?;
        }
        let all: u64 = named.values().map(|segment| segment.bytes).fold(0, u64::saturating_add);
        let mut spaces_of: HashMap<&str, Vec<SpaceRows>> = HashMap::new();
        for (object, segment) in &named {
            report.segments += 1;
            match there.get(*object) {
                None => report.problem(object, "it is missing"),
                Some(bytes) if *bytes != segment.bytes => {
                    report.problem(object, format!("it has {bytes} bytes and was written with {}", segment.bytes));
                }
                Some(_) if self.depth == Depth::Everything => match self.read(segment)? {
                    Ok(spaces) => {
                        spaces_of.insert(*object, spaces);
                    }
                    Err(what) => report.problem(object, what),
                },
                Some(_) => {}
            }
            report.bytes = report.bytes.saturating_add(segment.bytes);
            progress(report.bytes, all);
        }
        if self.depth == Depth::Everything {
            for manifest in manifests.values().map(Signed::unverified) {
                hold_counts(manifest, &spaces_of, report);
            }
        }
        Ok(())
    }

    /// Reads a segment to its last byte.
    fn read(&self, segment: &SegmentInfo) -> Result<Result<Vec<SpaceRows>, &'static str>, BackupError> {
        let bytes = match self.target.read(&segment.object, Some(0..segment.bytes.saturating_add(1))) {
            Ok(bytes) => bytes,
            Err(TargetError::Absent(_)) => return Ok(Err("it is missing")),
            Err(error) => return Err(error.into()),
        };
        Ok(self.hold(segment, &bytes))
    }

    fn hold(&self, segment: &SegmentInfo, bytes: &[u8]) -> Result<Vec<SpaceRows>, &'static str> {
        let index = SegmentIndex::of(&segment.sha256, bytes)?;
        let (mut rows, mut first, mut strange) = (0, None, false);
        index.rows(bytes, &mut |row| {
            rows += 1;
            strange |= row.key.first().and_then(|space| class_of(*space)) != Some(self.class);
            first.get_or_insert(row.key);
        })?;
        if strange {
            return Err("it has rows of a space that does not belong there");
        }
        if rows != segment.rows || first.as_ref() != Some(&segment.first) || index.last != segment.last {
            return Err("it has other rows than its manifest says");
        }
        Ok(index.spaces)
    }
}

/// What the names of all segments of a class begin with.
pub(crate) fn segment_prefixes(class: Class) -> [&'static str; 1] {
    [if class == Class::Key { "key-segments/" } else { "segments/" }]
}

/// Whether a manifest's rows by space are those of its segments.
fn hold_counts(manifest: &Manifest, spaces_of: &HashMap<&str, Vec<SpaceRows>>, report: &mut Verified) {
    let mut counted = BTreeMap::<u8, (u64, u64)>::new();
    for segment in &manifest.segments {
        // One that is missing or damaged is named already.
        let Some(spaces) = spaces_of.get(segment.object.as_str()) else { return };
        for rows in spaces {
            let counts = counted.entry(rows.space).or_default();
            counts.0 += rows.puts;
            counts.1 += rows.deletes;
        }
    }
    let counted = counted.into_iter().map(|(space, (puts, deletes))| SpaceRows { space, puts, deletes });
    if !counted.eq(manifest.rows.iter().copied()) {
        report.problem(manifest.name(), "its rows are not those of its segments");
    }
}
