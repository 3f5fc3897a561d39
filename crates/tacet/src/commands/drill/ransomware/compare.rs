//! What came back, held against what was acknowledged.
//!
//! No clock has to be believed: a write that was acknowledged before another one was sent is older than that one. So if any write came back, everything
//! that had been acknowledged when it was sent must be back too. Everything that had been acknowledged when the manifest before was written must be back as well.

use super::attacker::Attacked;
use super::crowd::{Chart, What};
use crate::commands::drill::http::{Answer, Client};
use crate::error::CliError;
use serde_json::Value;
use std::time::Duration;
use tacet_backup::Manifest;

/// Clients that read it all again.
const READERS: usize = 4;

/// Tries of a read that the server puts off, and the time between two. It opens so many keys a second and no more, also of the machine that reads a
/// whole day's work again: 5,000 at once and 100 a second where nobody set it otherwise.
const TRIES_MAX: u32 = 300;
const PUT_OFF_FOR: Duration = Duration::from_secs(1);

/// What came of the comparison.
#[derive(Default)]
pub(super) struct Compared {
    /// Writes that were acknowledged.
    pub(super) acknowledged: u64,
    /// Those that are back.
    pub(super) survived: u64,
    /// Acknowledged writes that are gone, by the time of acknowledgement.
    pub(super) lost_ms: Vec<i64>,
    /// Those of them that must not be gone.
    pub(super) missing: u64,
    /// Writes that were under way or unanswered at the end, and are there.
    pub(super) in_flight: u64,
    /// Records with a text that nobody was told about.
    pub(super) foreign: u64,
    /// Records of which the server says neither what they are nor that they are not there.
    pub(super) unread: u64,
    /// Records of the crowd that are there and not deleted.
    pub(super) present: u64,
    /// Records from before the crowd that were compared byte for byte.
    pub(super) sample: u64,
    /// Those of them that are other.
    pub(super) sample_other: u64,
    /// When the youngest write that came back was sent.
    pub(super) youngest_ms: i64,
}

/// What became of one record.
struct Found {
    /// How many of the writes about it are back, from the first.
    back: usize,
    in_flight: bool,
    foreign: bool,
    unread: bool,
    present: bool,
}

pub(super) fn compare(
    client: &Client,
    attacked: &Attacked,
    snapshot: &Manifest,
    before: Option<&Manifest>,
) -> Result<Compared, CliError> {
    let charts = &attacked.day.charts;
    let found = look_at_all(client, charts)?;
    let mut compared = Compared { acknowledged: attacked.day.acknowledged(), ..Compared::default() };
    for (chart, found) in charts.iter().zip(&found) {
        let youngest = chart.writes.get(..found.back).unwrap_or_default().iter().map(|write| write.begun_ms).max();
        compared.youngest_ms = compared.youngest_ms.max(youngest.unwrap_or(0));
    }
    // The snapshot was cut after the one before it was written.
    let cut_ms = before.map_or(0, |before| before.time().as_ms());
    for (chart, found) in charts.iter().zip(&found) {
        if found.unread {
            compared.unread += 1;
            continue;
        }
        for (place, write) in chart.writes.iter().enumerate() {
            let Some(acknowledged_ms) = write.acknowledged_ms else { continue };
            if place < found.back {
                compared.survived += 1;
                continue;
            }
            compared.lost_ms.push(acknowledged_ms);
            if acknowledged_ms < compared.youngest_ms || acknowledged_ms < cut_ms {
                compared.missing += 1;
            }
        }
        compared.in_flight += u64::from(found.in_flight);
        compared.foreign += u64::from(found.foreign);
        compared.present += u64::from(found.present) * chart.records;
    }
    compared.lost_ms.sort_unstable();
    debug_assert!(snapshot.time().as_ms() >= cut_ms, "manifests are in order");
    for (path, text) in &attacked.sample {
        compared.sample += 1;
        let answer = get(client, path)?;
        compared.sample_other += u64::from(answer.status != 200 || answer.body() != *text);
    }
    Ok(compared)
}

fn look_at_all(client: &Client, charts: &[Chart]) -> Result<Vec<Found>, CliError> {
    let share = charts.len().div_ceil(READERS).max(1);
    std::thread::scope(|scope| {
        let readers: Vec<_> = charts
            .chunks(share)
            .map(|charts| scope.spawn(|| charts.iter().map(|chart| look_at(client, chart)).collect::<Vec<_>>()))
            .collect();
        let mut all = Vec::with_capacity(charts.len());
        for reader in readers {
            let found = reader.join().map_err(|_| CliError::Usage("a reader of the drill failed".to_owned()))?;
            all.extend(found);
        }
        all.into_iter().collect()
    })
}

/// Reads, and waits where the server puts it off.
pub(super) fn get(client: &Client, path: &str) -> Result<Answer, CliError> {
    let ask = || {
        let answer = client.ask("GET", path, &[], "");
        answer.map_err(|error| CliError::other("the restored server does not answer", error))
    };
    let mut answer = ask()?;
    for _ in 1..TRIES_MAX {
        if !matches!(answer.status, 429 | 503) {
            break;
        }
        std::thread::sleep(PUT_OFF_FOR);
        answer = ask()?;
    }
    Ok(answer)
}

fn look_at(client: &Client, chart: &Chart) -> Result<Found, CliError> {
    let answer = get(client, &chart.path)?;
    let (status, body) = (answer.status, answer.body());
    let writes = chart.writes.iter().enumerate();
    let nothing = Found { back: 0, in_flight: false, foreign: false, unread: false, present: status == 200 };
    if !matches!(status, 200 | 404 | 410) {
        return Ok(Found { unread: true, ..nothing });
    }
    let same = writes.clone().rev().find(|(_, write)| {
        let as_told = match write.what {
            // Acknowledged, and never asked for again: it is known by what was sent.
            What::Put(ref text) if write.body.is_empty() => status == 200 && is_same_record(text, &answer),
            What::Put(_) => status == 200 && write.body == body,
            What::Delete => status == 410,
        };
        write.acknowledged_ms.is_some() && as_told
    });
    if let Some((place, _)) = same {
        return Ok(Found { back: place + 1, ..nothing });
    }
    if status == 404 {
        return Ok(nothing);
    }
    // Sent, and never answered: it may be there.
    let open = writes.rev().find(|(_, write)| {
        write.acknowledged_ms.is_none()
            && match &write.what {
                What::Put(text) => status == 200 && is_same_record(text, &answer),
                What::Delete => status == 410,
            }
    });
    Ok(match open {
        Some((place, _)) => Found { back: place + 1, in_flight: true, ..nothing },
        None => Found { foreign: true, ..nothing },
    })
}

/// Whether this is the record that was sent, but for what the server adds.
fn is_same_record(sent: &str, answer: &Answer) -> bool {
    let mut sent: Value = serde_json::from_str(sent).unwrap_or_default();
    let mut found = answer.json();
    for value in [&mut sent, &mut found] {
        if let Some(members) = value.as_object_mut() {
            members.remove("meta");
        }
    }
    !sent.is_null() && sent == found
}
