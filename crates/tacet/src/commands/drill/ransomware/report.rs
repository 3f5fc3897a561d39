//! What the drill says: for people, or as one JSON document.

use super::attacker::Attacked;
use super::credential::Credential;
use super::recovery::{Paper, Recovered};
use super::stage::{PACK_S, Stage};
use crate::args::RansomwareArgs;
use serde_json::{Value, json};
use std::fmt::Write;

/// Within which reading is to work again, in seconds.
const FIRST_READ_S_MAX: f64 = 60.0;

/// What was not tried, in every run.
const NOT_TRIED: [&str; 5] = [
    "the time that people take: to notice, to find a machine, to bring the shares together, to choose the moment",
    "root on the machine that keeps the backup, or a backup that lies in a folder of the attacked machine itself: both can be destroyed (docs/backup.md)",
    "an attacker who was in for weeks and had the server back up what he made of it: then an older snapshot is restored (`--at`)",
    "a network between the machines, and disks other than this one: times are this machine's",
    "the printer on the ward, and whether somebody can read what comes out of it",
];

/// All that came out.
pub(super) struct Report<'a> {
    pub(super) args: &'a RansomwareArgs,
    pub(super) stage: &'a Stage,
    pub(super) attacked: Attacked,
    pub(super) credential: Credential,
    pub(super) paper: Paper,
    pub(super) recovered: Recovered,
    pub(super) seconds: f64,
}

impl Report<'_> {
    /// Each goal, and whether it was met.
    fn goals(&self) -> Vec<(&'static str, bool)> {
        let Self { attacked, credential, paper, recovered, .. } = self;
        let compared = &recovered.compared;
        vec![
            ("the machine's own store was destroyed", !attacked.survived && attacked.files > 0),
            ("the server's credential changed nothing in the backup", credential.is_met()),
            ("the ward had its pack, with whoever lay there, in their beds, and nobody else", paper.is_met()),
            ("that pack was no older than its interval and the making of one", paper.is_fresh()),
            (
                "reading worked within a minute",
                recovered.reads_meanwhile > 0 && recovered.first_read_s <= FIRST_READ_S_MAX,
            ),
            ("until full service every read was answered and every change refused", recovered.astray.is_empty()),
            ("no acknowledged write that reached a copy is lost", compared.missing == 0 && compared.survived > 0),
            ("nothing is there that nobody wrote", compared.foreign == 0),
            ("the server told of every record", compared.unread == 0),
            ("what was there before is the same byte for byte", compared.sample > 0 && compared.sample_other == 0),
            ("as many records are there as must be", recovered.resources == recovered.resources_expected),
            ("who was erased before stays erased", matches!(recovered.erased_status, 404 | 410)),
            ("the ledger is the manifest's, and goes on from it", recovered.ledger_problems.is_empty()),
            ("`tacet ledger verify` finds nothing wrong", recovered.verify_code == Some(0)),
            ("`tacet check` finds nothing wrong", recovered.check_code == Some(0)),
        ]
    }

    pub(super) fn is_met(&self) -> bool {
        self.goals().iter().all(|(_, met)| *met)
    }

    /// Seconds from the first acknowledged write that is lost to the last.
    fn lost_window_s(&self) -> f64 {
        let lost = &self.recovered.compared.lost_ms;
        lost.first().zip(lost.last()).map_or(0.0, |(first, last)| (last - first) as f64 / 1000.0)
    }

    /// Seconds from the snapshot that came back to the end of the server.
    fn snapshot_age_s(&self) -> f64 {
        (self.attacked.killed_ms - self.recovered.snapshot.time().as_ms()) as f64 / 1000.0
    }

    pub(super) fn json(&self) -> Value {
        let Self { args, stage, attacked, credential, paper, recovered, .. } = self;
        let compared = &recovered.compared;
        let goals: serde_json::Map<String, Value> =
            self.goals().into_iter().map(|(goal, met)| (goal.to_owned(), json!(met))).collect();
        let tripwire = attacked.tripwire.as_ref().map(|tripwire| {
            json!({ "after_seconds": round(tripwire.after_s), "files_encrypted": tripwire.files, "locked": tripwire.locked })
        });
        json!({
            "scoreboard": {
                "attacker": "ransomware on the live host, with the backup's credential",
                "lost_that_reached_a_copy": compared.missing, "first_read_seconds": round(recovered.first_read_s),
                "full_service_seconds": round(recovered.full_service_s), "met": self.is_met(),
            },
            "goals": goals, "patients": args.patients, "seed": args.seed, "resources": recovered.resources,
            "backup_lies": stage.places.told(), "import_seconds": round(stage.import_s), "backup_every_seconds": args.backup_seconds,
            "attack": {
                "kill_first": args.kill_first, "files": attacked.files, "bytes_written_over": attacked.bytes, "tripwire": tripwire,
                "seconds": round((attacked.killed_ms - attacked.begun_ms) as f64 / 1000.0),
                "writes_refused_by_lock": attacked.day.refused,
            },
            "credential": {
                "calls_that_must_fail": credential.tried, "let_through": credential.let_through, "objects": credential.objects,
                "objects_changed": credential.changed, "objects_added": credential.added,
            },
            "paper": {
                "seconds": round(paper.seconds), "patients": paper.patients, "expected": paper.held.expected,
                "admitted_that_day": paper.held.admitted, "refused_everybody": paper.held.refused, "refused_and_on_paper": paper.held.exposed,
                "missing": paper.held.missing, "without_their_bed": paper.held.astray,
                "came_while_it_was_made": paper.held.late, "nobody_knows": paper.held.foreign,
                "every_seconds": PACK_S, "age_seconds": round(paper.age_s), "pdf_bytes": paper.pdf_bytes,
            },
            "backup": {
                "first_base_seconds": round(stage.first_base_s), "snapshots": recovered.snapshots, "base": recovered.snapshot.base,
                "restored": recovered.snapshot.number, "bytes": recovered.backup_bytes, "bytes_read_back": recovered.chain_bytes,
                "key_bytes": recovered.key_bytes, "store_bytes_restored": recovered.store_bytes,
            },
            "restore": {
                "first_read_seconds": round(recovered.first_read_s), "full_service_seconds": round(recovered.full_service_s),
                "rows_back_seconds": round(recovered.rows_back_s), "lock_lifted": recovered.lifted,
                "reads_meanwhile": recovered.reads_meanwhile, "changes_refused_meanwhile": recovered.refused_meanwhile,
                "astray": recovered.astray,
            },
            "writes": {
                "acknowledged": compared.acknowledged, "back": compared.survived, "lost": compared.lost_ms.len(),
                "lost_window_seconds": round(self.lost_window_s()), "snapshot_age_seconds": round(self.snapshot_age_s()),
                "lost_that_reached_a_copy": compared.missing, "in_flight_and_there": compared.in_flight,
                "nobody_wrote": compared.foreign, "not_told": compared.unread, "reads": attacked.day.reads, "seconds": round(attacked.worked_s),
            },
            "sample": { "compared": compared.sample, "other": compared.sample_other },
            "erased_patient_status": recovered.erased_status, "ledger_problems": recovered.ledger_problems,
            "ledger_entries_backed_up": recovered.snapshot.ledger.map(|ledger| ledger.entries),
            "not_tried": NOT_TRIED, "seconds": round(self.seconds),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Self { args, stage, attacked, credential, paper, recovered, .. } = self;
        let compared = &recovered.compared;
        writeln!(
            out,
            "A hospital of {} patients (seed {}, {} resources), with a backup every {} s {}, a ward with a workstation, and tripwires as delivered.\n",
            args.patients,
            args.seed,
            stage.resources,
            args.backup_seconds,
            stage.places.told()
        )?;
        writeln!(
            out,
            "Before: {} writes acknowledged and {} reads answered in {:.0} s.",
            compared.acknowledged, attacked.day.reads, attacked.worked_s
        )?;
        let order = if args.kill_first { "killed first, then" } else { "killed when" };
        writeln!(
            out,
            "Attack: {order} {} files encrypted (data, root key file, settings, packs; {} bytes written over here and there) in {:.1} s.",
            attacked.files,
            attacked.bytes,
            (attacked.killed_ms - attacked.begun_ms) as f64 / 1000.0
        )?;
        match &attacked.tripwire {
            Some(tripwire) => writeln!(
                out,
                "Tripwire: after {:.1} s, when {} of {} files were encrypted; {}; {} writes refused by it.",
                tripwire.after_s,
                tripwire.files,
                attacked.files,
                if tripwire.locked { "the store was locked" } else { "the store was not locked yet" },
                attacked.day.refused
            )?,
            None => writeln!(out, "Tripwire: none before the kill (they look every 2 s).")?,
        }
        writeln!(
            out,
            "Backup, with the server's credential: {} calls that must fail, {} let through; {} of {} objects gone or changed; {} objects could be \
             added, as documented, among them manifests newer than all.",
            credential.tried,
            credential.let_through.len(),
            credential.changed,
            credential.objects,
            credential.added
        )?;
        for what in &credential.let_through {
            writeln!(out, "    LET THROUGH: {what}")?;
        }
        writeln!(
            out,
            "Paper: opened in {:.1} s, begun {:.0} s before the attack (every {PACK_S} s). {} lay on the ward then, {} of them admitted that day: {} have no \
             sheet, {} one without their bed; {} more lay there who let nobody see their records: {} have a sheet all the same. {} came while it was made; \
             {} sheets are of nobody. {} came to the ward that day.",
            paper.seconds,
            paper.age_s,
            paper.held.expected,
            paper.held.admitted,
            paper.held.missing,
            paper.held.astray,
            paper.held.refused,
            paper.held.exposed,
            paper.held.late,
            paper.held.foreign,
            attacked.day.admissions.iter().filter(|one| one.acknowledged_ms.is_some()).count()
        )?;
        writeln!(
            out,
            "Restore of snapshot {} (base {}, {} bytes read back) on an empty machine: first read after {:.1} s, full service after {:.1} s; \
             {} reads answered and {} changes refused meanwhile.",
            recovered.snapshot.number,
            recovered.snapshot.base,
            recovered.chain_bytes,
            recovered.first_read_s,
            recovered.full_service_s,
            recovered.reads_meanwhile,
            recovered.refused_meanwhile
        )?;
        if recovered.lifted {
            writeln!(
                out,
                "Everything was back after {:.1} s; the lock of the tripwire came back with it, as it must, and was lifted.",
                recovered.rows_back_s
            )?;
        }
        for what in recovered.astray.iter().take(5) {
            writeln!(out, "    ASTRAY: {what}")?;
        }
        writeln!(
            out,
            "Writes: {} of {} acknowledged ones are back. {} are lost, all acknowledged after the last snapshot, within {:.1} s; that snapshot was \
             {:.1} s old at the end. {} that reached a copy are lost. {} unanswered ones are there; {} records have a text that nobody wrote.",
            compared.survived,
            compared.acknowledged,
            compared.lost_ms.len() as u64 - compared.missing,
            self.lost_window_s(),
            self.snapshot_age_s(),
            compared.missing,
            compared.in_flight,
            compared.foreign
        )?;
        if compared.unread > 0 {
            writeln!(
                out,
                "    NOT TOLD: of {} records the server said neither what they are nor that they are gone",
                compared.unread
            )?;
        }
        writeln!(
            out,
            "Records from before: {} compared, {} other. Resources: {} where {} must be. Sizes: {} bytes of backup, {} of keys.\n",
            compared.sample,
            compared.sample_other,
            recovered.resources,
            recovered.resources_expected,
            recovered.backup_bytes,
            recovered.key_bytes
        )?;
        for (goal, met) in self.goals() {
            writeln!(out, "{}  {goal}", if met { "met    " } else { "NOT MET" })?;
        }
        for problem in recovered.ledger_problems.iter().take(5) {
            writeln!(out, "    ledger: {problem}")?;
        }
        writeln!(out, "\nNot tried:")?;
        for what in NOT_TRIED {
            writeln!(out, "  - {what}")?;
        }
        writeln!(
            out,
            "\nlost of what reached a copy: goal 0, found {} | read-only after {:.1} s, goal {FIRST_READ_S_MAX:.0} s | full service after {:.1} s | \
             {:.0} s in all | {}",
            compared.missing,
            recovered.first_read_s,
            recovered.full_service_s,
            self.seconds,
            if self.is_met() { "met" } else { "NOT MET" }
        )
    }
}

fn round(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
