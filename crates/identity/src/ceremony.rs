//! Ceremonies under way: what a challenge was given for. In memory, bounded, each taken once.
//!
//! Whoever begins a login is unknown yet: nothing is written for them. A restart ends what was under way.

use crate::id::{AccountId, CeremonyId};
use crate::lockout::Source;
use crate::secret::Hashed;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use tacet_types::Timestamp;
use webauthn_rs::prelude::{DiscoverableAuthentication, PasskeyRegistration};

/// Most ceremonies under way: beyond, the oldest ends.
pub(crate) const CEREMONIES_MAX: usize = 20_000;

/// Most ceremonies under way from one source: beyond, none is begun.
pub(crate) const CEREMONIES_OF_SOURCE_MAX: u32 = 1000;

/// What a challenge was given for.
pub(crate) enum Ceremony {
    /// A login.
    Login(DiscoverableAuthentication),
    /// A fresh passkey for this session.
    StepUp(DiscoverableAuthentication, Hashed),
    /// The first passkey, by this invitation.
    Enrolment(PasskeyRegistration, AccountId, Hashed),
    /// A further passkey, by this session.
    Further(PasskeyRegistration, AccountId, Hashed),
}

struct Waiting {
    ceremony: Ceremony,
    source: Source,
    until: Timestamp,
}

#[derive(Default)]
struct State {
    waiting: HashMap<CeremonyId, Waiting>,
    order: VecDeque<(CeremonyId, Timestamp)>,
    of_source: HashMap<Source, u32>,
}

impl State {
    fn remove(&mut self, id: &CeremonyId) -> Option<Waiting> {
        let waiting = self.waiting.remove(id)?;
        if let Some(count) = self.of_source.get_mut(&waiting.source) {
            *count -= 1;
            if *count == 0 {
                self.of_source.remove(&waiting.source);
            }
        }
        Some(waiting)
    }
}

/// Ceremonies under way.
#[derive(Default)]
pub(crate) struct Ceremonies(Mutex<State>);

impl Ceremonies {
    /// Keeps a ceremony until then; false where too many are under way from that source.
    pub(crate) fn put(
        &self,
        id: CeremonyId,
        ceremony: Ceremony,
        source: Source,
        now: Timestamp,
        until: Timestamp,
    ) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((oldest, ends)) = state.order.front().cloned() {
            if now < ends && state.order.len() < CEREMONIES_MAX {
                break;
            }
            state.order.pop_front();
            state.remove(&oldest);
        }
        let count = state.of_source.entry(source.clone()).or_default();
        if *count >= CEREMONIES_OF_SOURCE_MAX {
            return false;
        }
        *count += 1;
        state.order.push_back((id.clone(), until));
        state.waiting.insert(id, Waiting { ceremony, source, until });
        true
    }

    /// Takes a ceremony: there is none a second time.
    pub(crate) fn take(&self, id: &CeremonyId, now: Timestamp) -> Option<Ceremony> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.remove(id).filter(|waiting| now < waiting.until).map(|waiting| waiting.ceremony)
    }
}
