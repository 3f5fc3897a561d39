//! The rules in force: which texts of policies apply, kept in a sealed row that changes by two people and never by a file alone.
//!
//! ```text
//! folder ──> offered ──same fingerprint?──> in force
//!                └─ other ─> refused; the row's texts stay in force
//! two people ──> proposed (row) ──approval used up──> in force (row, entry, memory)
//! ```
//!
//! A file can be written by whoever has the machine, so what applies is read from the row. The policies that come with the program are part of
//! the program: where they are in force, a newer program brings newer ones.

use crate::caller::Caller;
use crate::error::VaultError;
use crate::vault::Vault;
use crate::{EventKind, Outcome};
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError};
use tacet_ledger::Entry;
use tacet_ledger::noted::{Expect, NotedRows, RowWrite, RowsError, Table};
use tacet_policy::{BUILT_IN, Policies, PolicyError};
use tacet_types::Timestamp;

/// Largest texts of policies together, in bytes, as they are kept in one row.
pub const RULES_BYTES_MAX: usize = 240 * 1024;

/// Most proposals that wait.
pub const PROPOSALS_MAX: usize = 20;

/// The name of the row that says what is in force.
const IN_FORCE: &[u8] = b"in-force";

/// How names of rows begin that hold what is proposed.
const PROPOSED: &str = "proposed/";

/// Texts of policies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    files: Vec<(String, String)>,
    built_in: bool,
}

/// The row of what is in force.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    rules: Rules,
    since_ms: i64,
    by: String,
}

/// What is in force.
#[derive(Clone, Debug)]
pub struct RulesInForce {
    /// The texts.
    pub rules: Rules,
    /// Since when.
    pub since: Timestamp,
    /// By whose word.
    pub by: String,
}

/// What became of the texts that the configuration names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// They are in force, and were before, or others are in force that two people chose while the configuration names none.
    Unchanged,
    /// They are in force from now on.
    Adopted,
    /// They are not what was approved, and do not apply.
    Refused,
}

/// Why texts are not taken.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// They are no policies.
    #[error(transparent)]
    Policies(#[from] PolicyError),
    /// They are too long.
    #[error("the policies have more than {RULES_BYTES_MAX} bytes together: shorten them")]
    TooLong,
    /// A file's name that is none.
    #[error("names of policy files are up to 100 of a-z, 0-9, `.`, `-` and `_`, and end in `.cedar`")]
    Name,
}

impl From<RulesError> for VaultError {
    fn from(error: RulesError) -> Self {
        Self::Rules(Box::new(error))
    }
}

impl Rules {
    /// Those that come with the program.
    pub fn built_in() -> Self {
        let files = BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Self { files, built_in: true }
    }

    /// The texts of files, by name; they are read and held against the schema.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn of(mut files: Vec<(String, String)>) -> Result<Self, RulesError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let named = |name: &str| name.len() <= 100 && name.ends_with(".cedar") && name.bytes().all(plain);
        if !files.iter().all(|(name, _)| named(name)) {
            return Err(RulesError::Name);
        }
        if files.iter().map(|(name, text)| name.len() + text.len()).sum::<usize>() > RULES_BYTES_MAX {
            return Err(RulesError::TooLong);
        }
        files.sort();
        files.dedup_by(|later, first| later.0 == first.0);
        let rules = Self { files, built_in: false };
        rules.load()?;
        // Written out, they are the same rules.
        Ok(if rules.files == Self::built_in().files { Self::built_in() } else { rules })
    }

    /// Whether they are those that come with the program.
    pub fn is_built_in(&self) -> bool {
        self.built_in
    }

    /// Names and texts, by name.
    pub fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// SHA-256 over each file's name and text, each with its length before it (8 bytes, big-endian), by name: as `sha256:` and hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in self.files.iter().flat_map(|(name, text)| [name, text]) {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digits: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digits}")
    }

    /// What a second person is asked to allow.
    pub fn words(&self) -> String {
        format!("policies {}", self.fingerprint())
    }

    fn load(&self) -> Result<Arc<Policies>, PolicyError> {
        if self.built_in {
            return Ok(Policies::built_in());
        }
        let texts: Vec<(&str, &str)> = self.files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Policies::load(&texts).map(Arc::new)
    }

    /// The policies that they are.
    ///
    /// # Errors
    /// Texts that this version of the program does not take.
    pub fn policies(&self) -> Result<Arc<Policies>, RulesError> {
        Ok(self.load()?)
    }
}

impl Vault {
    /// What is in force. None: nothing was written down yet.
    pub fn rules_in_force(&self) -> Result<Option<RulesInForce>, VaultError> {
        Ok(self.kept_rules()?.map(|(row, _)| RulesInForce {
            rules: row.rules,
            since: Timestamp::from_ms(row.since_ms),
            by: row.by,
        }))
    }

    fn kept_rules(&self) -> Result<Option<(Row, u64)>, VaultError> {
        let Some((row, _)) = self.0.noted_row(Table::Policies, IN_FORCE)? else { return Ok(None) };
        let read: Row = serde_json::from_slice(&row.value)
            .map_err(|_| VaultError::Damaged("the row of the policies in force cannot be read"))?;
        // The program's own are those of this program.
        let rules = if read.rules.built_in { Rules::built_in() } else { read.rules.clone() };
        Ok(Some((Row { rules, ..read }, row.revision)))
    }

    /// Goes by what is in force rather than by what this store was opened with. Nothing is in force before the first start: then it changes nothing.
    ///
    /// # Errors
    /// [`VaultError::Rules`] where this version of the program does not take the texts.
    pub fn go_by_rules_in_force(&self) -> Result<(), VaultError> {
        let _one_at_a_time = self.0.applying_rules.lock().unwrap_or_else(PoisonError::into_inner);
        match self.rules_in_force()? {
            Some(found) => self.apply(&found.rules),
            None => Ok(()),
        }
    }

    fn apply(&self, rules: &Rules) -> Result<(), VaultError> {
        let Some(access) = &self.0.access else { return Ok(()) };
        access.put_in_force(rules.policies()?);
        Ok(())
    }

    /// At a start: holds the texts that the configuration names (`offered`) to those in force, and goes by what comes of it. `alone`: nobody could be
    /// a second person yet, as while a store is set up; then they are taken on the word of who starts the program.
    pub async fn settle_rules(&self, caller: &Caller, offered: &Rules, alone: bool) -> Result<Settled, VaultError> {
        let kept = self.kept_rules()?;
        let settled = match &kept {
            None if offered.built_in || alone => Settled::Adopted,
            None => Settled::Refused,
            Some((row, _)) if row.rules == *offered => Settled::Unchanged,
            Some((row, _)) if offered.built_in && !row.rules.built_in => Settled::Unchanged,
            Some(_) if alone => Settled::Adopted,
            Some(_) => Settled::Refused,
        };
        if settled == Settled::Adopted {
            let by = if kept.is_none() { "the first start" } else { "the start: nobody else could decide" };
            let expect = kept.as_ref().map_or(Expect::Absent, |(_, revision)| Expect::Revision(*revision));
            let write = self.in_force(offered, by, expect)?;
            let detail = format!("{} in force, by {by}", offered.words());
            let entry = self.rules_entry(caller, Outcome::Success, detail);
            self.commit_rules(vec![write], vec![entry]).await?;
        }
        match settled {
            Settled::Refused => {
                let detail = format!("{} in the configuration were not approved and do not apply", offered.words());
                let entry = self.rules_entry(caller, Outcome::Refused, detail);
                self.commit_rules(Vec::new(), vec![entry]).await?;
                let stays = kept.map_or_else(Rules::built_in, |(row, _)| row.rules);
                self.apply(&stays)?;
            }
            Settled::Adopted => self.apply(offered)?,
            Settled::Unchanged => self.go_by_rules_in_force()?,
        }
        Ok(settled)
    }

    /// Keeps texts for a second person to look at, under their fingerprint. `waiting`: the words of proposals that somebody may still decide on or
    /// use; others go.
    pub async fn propose_rules(&self, caller: &Caller, rules: &Rules, waiting: &[String]) -> Result<(), VaultError> {
        let mut writes = Vec::new();
        let mut kept = 0;
        self.0.scan_noted(Table::Policies, &mut |row| {
            let name = String::from_utf8_lossy(&row.name).into_owned();
            if let Some(fingerprint) = name.strip_prefix(PROPOSED) {
                let waits = waiting.iter().any(|words| words.ends_with(fingerprint));
                kept += usize::from(waits);
                if !waits {
                    writes.push(RowWrite {
                        table: Table::Policies,
                        name: row.name,
                        value: None,
                        expect: Expect::Anything,
                    });
                }
            }
            std::ops::ControlFlow::Continue(())
        })?;
        if kept >= PROPOSALS_MAX {
            return Err(VaultError::TooLarge { what: "policies that wait for a decision", max: PROPOSALS_MAX });
        }
        let value = serde_json::to_vec(rules).map_err(|error| VaultError::Internal(Box::new(error)))?;
        writes.retain(|write| write.name != proposed(&rules.fingerprint()));
        writes.push(RowWrite {
            table: Table::Policies,
            name: proposed(&rules.fingerprint()),
            value: Some(value),
            expect: Expect::Anything,
        });
        let entry = self.rules_entry(caller, Outcome::Success, format!("{} proposed", rules.words()));
        self.commit_rules(writes, vec![entry]).await
    }

    /// The texts that were proposed in these words.
    pub fn proposed_rules(&self, words: &str) -> Result<Option<Rules>, VaultError> {
        let Some((_, fingerprint)) = words.split_once(' ') else { return Ok(None) };
        let Some((row, _)) = self.0.noted_row(Table::Policies, &proposed(fingerprint))? else { return Ok(None) };
        let rules: Rules = serde_json::from_slice(&row.value)
            .map_err(|_| VaultError::Damaged("the row of proposed policies cannot be read"))?;
        // INVARIANT: what two people read is what comes into force.
        Ok(Some(rules).filter(|rules| rules.words() == words))
    }

    /// Puts texts in force, for every request that begins after the answer. `by` says whose word it is; `with` uses that word up in the same commit.
    pub async fn put_rules_in_force(
        &self,
        caller: &Caller,
        rules: &Rules,
        by: &str,
        with: Option<(RowWrite, Entry)>,
    ) -> Result<(), VaultError> {
        // Before anything is written: what cannot be loaded does not come into force.
        rules.policies()?;
        let expect = self.kept_rules()?.map_or(Expect::Absent, |(_, revision)| Expect::Revision(revision));
        let mut writes = vec![self.in_force(rules, by, expect)?];
        writes.push(RowWrite {
            table: Table::Policies,
            name: proposed(&rules.fingerprint()),
            value: None,
            expect: Expect::Anything,
        });
        let mut entries =
            vec![self.rules_entry(caller, Outcome::Success, format!("{} in force, by {by}", rules.words()))];
        if let Some((write, entry)) = with {
            writes.push(write);
            entries.push(entry);
        }
        self.commit_rules(writes, entries).await?;
        // What the row has now, one after the other: of two that commit at once, the later stays in memory too.
        self.go_by_rules_in_force()
    }

    fn in_force(&self, rules: &Rules, by: &str, expect: Expect) -> Result<RowWrite, VaultError> {
        let row = Row { rules: rules.clone(), since_ms: self.0.clock.now().as_ms(), by: by.to_owned() };
        let value = serde_json::to_vec(&row).map_err(|error| VaultError::Internal(Box::new(error)))?;
        Ok(RowWrite { table: Table::Policies, name: IN_FORCE.to_vec(), value: Some(value), expect })
    }

    fn rules_entry(&self, caller: &Caller, outcome: Outcome, detail: String) -> Entry {
        let mut entry = caller.entry(self.0.clock.now(), EventKind::ConfigurationChange, outcome, None);
        entry.detail = Some(detail);
        entry
    }

    async fn commit_rules(&self, writes: Vec<RowWrite>, entries: Vec<Entry>) -> Result<(), VaultError> {
        NotedRows::commit(self, writes, entries).await.map_err(|error| match error {
            RowsError::Conflict => VaultError::Conflict,
            RowsError::TooLarge { what, max } => VaultError::TooLarge { what, max },
            error @ RowsError::Store(_) => VaultError::Unavailable(Box::new(error)),
        })
    }
}

fn proposed(fingerprint: &str) -> Vec<u8> {
    format!("{PROPOSED}{fingerprint}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, role: &str) -> (String, String) {
        let text =
            format!("@id(\"x-{role}\") @reason(\"r\") permit (principal == Role::\"{role}\", action, resource);");
        (name.to_owned(), text)
    }

    #[test]
    fn a_fingerprint_is_of_names_and_texts_in_one_order() {
        let (a, b) = (file("a.cedar", "nurse"), file("b.cedar", "clinician"));
        let rules = Rules::of(vec![a.clone(), b.clone()]).unwrap();
        assert_eq!(rules, Rules::of(vec![b.clone(), a.clone()]).unwrap());
        assert_ne!(rules.fingerprint(), Rules::of(vec![a.clone()]).unwrap().fingerprint());
        let renamed = Rules::of(vec![("c.cedar".to_owned(), a.1.clone()), b]).unwrap();
        assert_ne!(rules.fingerprint(), renamed.fingerprint());
        assert_eq!(rules.fingerprint().len(), "sha256:".len() + 64);
        assert!(Rules::of(Rules::built_in().files.clone()).unwrap().is_built_in());
    }

    #[test]
    fn what_are_no_policies_is_refused() {
        let (name, text) = file("a.cedar", "nurse");
        assert!(matches!(Rules::of(vec![("../a.cedar".into(), text.clone())]), Err(RulesError::Name)));
        assert!(matches!(Rules::of(vec![("a.txt".into(), text)]), Err(RulesError::Name)));
        assert!(matches!(Rules::of(vec![(name.clone(), "permit".into())]), Err(RulesError::Policies(_))));
        assert!(matches!(Rules::of(vec![(name, " ".repeat(RULES_BYTES_MAX))]), Err(RulesError::TooLong)));
        assert!(Rules::of(Vec::new()).is_err());
    }
}
