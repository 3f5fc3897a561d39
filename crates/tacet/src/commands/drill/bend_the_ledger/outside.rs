//! Who looks from outside, with what they carried away: they ask the server for the files of the log and believe only what they derive.

use super::stage::Base;
use crate::commands::drill::http::Client;
use crate::error::CliError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tacet_ledger::Opening;
use tacet_ledger::merkle::leaf_hash;
use tacet_tlog::SignedCheckpoint;
use tacet_tlog::derive::{LogFiles, Trusted, Wrong, verify_files};
use tacet_tlog::policy::WitnessPolicy;
use tacet_tlog::tile::{Resource, TILE_WIDTH, decode_bundle, width_at};
use tacet_types::Clock;

/// Looks before something counts as wrong: the log may move while it is fetched, and a witness answers some milliseconds after it was signed.
const LOOKS: u32 = 4;

/// Wait between two looks.
const BETWEEN: Duration = Duration::from_millis(300);

/// The published files of a server.
pub(super) struct Published(Client);

impl Published {
    pub(super) fn of(address: SocketAddr) -> Self {
        Self(Client { address, token: String::new(), session: None })
    }

    fn get(&self, resource: &Resource) -> io::Result<Option<Vec<u8>>> {
        // Anybody may: no token is shown.
        let answer = self.0.ask("GET", &format!("/_ledger/log/{resource}"), &[("Authorization", "")], "")?;
        match answer.status {
            200 => Ok(Some(answer.body())),
            404 => Ok(None),
            status => Err(io::Error::other(format!("answered {status}"))),
        }
    }

    /// The checkpoint as it is given out now.
    pub(super) fn checkpoint(&self) -> Option<SignedCheckpoint> {
        SignedCheckpoint::parse(&self.get(&Resource::Checkpoint).ok()??).ok()
    }
}

impl LogFiles for Published {
    type Error = io::Error;

    fn read(&mut self, resource: &Resource, _: usize) -> Result<Option<Vec<u8>>, io::Error> {
        self.get(resource)
    }
}

fn again_and_again(mut look: impl FnMut() -> Option<String>) -> Option<String> {
    let mut found = None;
    for number in 0..LOOKS {
        if number > 0 {
            std::thread::sleep(BETWEEN);
        }
        found = look();
        found.as_ref()?;
    }
    found
}

fn derive(address: SocketAddr, trusted: &Trusted) -> Option<String> {
    let wrong: Wrong<io::Error> = verify_files(&mut Published::of(address), trusted, &mut |_, _| ()).err()?;
    Some(wrong.to_string())
}

/// What an auditor finds who has the log's and the witness's keys and an older checkpoint: `None` where all is well.
pub(super) fn auditor(base: &Base, address: SocketAddr, clock: &dyn Clock, age_s_max: u64) -> Option<String> {
    let trusted = Trusted {
        log: base.log.clone(),
        witnesses: vec![base.witness.clone()],
        cosignatures_min: 1,
        known: vec![base.known.checkpoint().clone()],
    };
    let policy = WitnessPolicy { witnesses: vec![base.witness.clone()], quorum: 1, age_s_max: Some(age_s_max) };
    again_and_again(|| {
        if let Some(wrong) = derive(address, &trusted) {
            return Some(wrong);
        }
        let now_s = u64::try_from(clock.now().as_ms() / 1000).unwrap_or_default();
        let fresh = Published::of(address).checkpoint().and_then(|signed| policy.count(&signed, now_s).ok());
        let stale = "the newest cosignature is older than is agreed: nothing new is published".to_owned();
        (!fresh.is_some_and(|quorum| quorum.is_met())).then_some(stale)
    })
}

/// What somebody finds who kept a receipt and the log's key: `None` where all is well.
pub(super) fn holder(base: &Base, address: SocketAddr) -> Result<Option<String>, CliError> {
    let opening = base.receipt.extra.as_deref().and_then(|extra| Opening::parse(extra).ok());
    let leaf = opening
        .ok_or_else(|| CliError::Usage("the drill could not be played: the receipt shows nothing".into()))?
        .leaf();
    let known = base.receipt.checkpoint.checkpoint().clone();
    let trusted = Trusted { log: base.log.clone(), known: vec![known], ..Trusted::default() };
    Ok(again_and_again(|| {
        if let Some(wrong) = derive(address, &trusted) {
            return Some(wrong);
        }
        let published = Published::of(address);
        let size = published.checkpoint()?.checkpoint().size();
        let bundle = base.receipt.index / u64::from(TILE_WIDTH);
        let width = width_at(0, bundle, size);
        let bytes = published.get(&Resource::Entries { index: bundle, width }).ok().flatten().unwrap_or_default();
        let place = usize::try_from(base.receipt.index % u64::from(TILE_WIDTH)).unwrap_or(usize::MAX);
        let entry = decode_bundle(&bytes, width).ok().and_then(|entries| entries.get(place).map(|row| leaf_hash(row)));
        (entry != Some(leaf)).then(|| "the entry of the receipt is not in the log".to_owned())
    }))
}
