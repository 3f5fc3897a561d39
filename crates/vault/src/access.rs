//! Who may see what: the caller's visibility, made by the policy from what is known of care, and asked of each record that is shown,
//! counted or changed.
//!
//! ```text
//! Caller ──> Subject ──> policy (policies, care data, time) ──> Visibility, kept for a moment ──> Sights
//!    find:     a guard in every filter, so that what is hidden is not counted
//!    disclose: each record is looked at again, by its own row, before its entry is written; hidden ones are left out
//!    change:   what stands and what shall stand are both looked at
//! ```
//!
//! Nothing is decided here. A vault that was opened without [`AccessSettings`] goes by roles alone.

mod care;
mod declare;
mod narrow;
mod sights;
mod ward;
mod why;

pub(crate) use care::{Care, CareChange};
use declare::Left;
pub use declare::{
    BREAK_GLASS_A_DAY_MAX, BREAK_GLASS_MINUTES_MAX, BREAK_GLASS_OPEN_MAX, BREAK_GLASS_TEXT_BYTES_MIN,
    BreakGlassDeclared,
};
pub(crate) use narrow::Doing;
pub(crate) use sights::Sights;
pub use ward::{WARD_PATIENTS_MAX, WARD_RECORDS_MAX, Ward, WardGaps, WardPatient, WardRecords};

use crate::caller::Caller;
use crate::disclose::Located;
use crate::error::VaultError;
use crate::head::{Method, VersionMeta};
use crate::search::Compiled;
use crate::vault::Inner;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tacet_ledger::{PurposeOfUse, Receipt};
use tacet_policy::{Act, CareAccess, CareData, CareSettings, Maker, Policies, Purpose, Subject};
use tacet_search::document::{Document, Key};
use tacet_search::filter::Filter;
use tacet_search::request::Total;
use tacet_search::{PAGE_COUNT_MAX, Page};
use tacet_store::Ticket;
use tacet_types::{RecordRef, ResourceId, ResourceType, Role, Sight, Timestamp};

/// How long a visibility is used though nothing is known to have changed, in milliseconds: relations begin and end with time alone.
const VISIBILITY_LIFE_MS: i64 = 1_000;

/// Most visibilities held at a time. Each has the sets of its own patients: some tens of kilobytes. What is open of all others is shared.
const VISIBILITIES_MAX: usize = 2_000;

/// How often what is over is let go of, in milliseconds: a minute.
const FORGET_EVERY_MS: i64 = 60_000;

/// The ground that is an emergency.
const BREAK_GLASS: &str = "break-glass";

/// By what is decided who may see what.
#[derive(Clone)]
pub struct AccessSettings {
    /// The rules.
    pub policies: Arc<Policies>,
    /// How long what makes a relation.
    pub care: CareSettings,
}

/// What decisions are made from, and those made lately.
pub(crate) struct Access {
    policies: RwLock<InForce>,
    pub(crate) settings: CareSettings,
    care: RwLock<Care>,
    made: Mutex<HashMap<Wanted, Slot>>,
    /// When what is over was last let go of, in milliseconds since 1970 UTC.
    forgot_ms: AtomicI64,
    /// Commits that say something of care and whose callers have gone away.
    left: Left,
}

/// The rules, and how often they were others before.
#[derive(Clone)]
struct InForce {
    maker: Arc<Maker>,
    generation: u64,
}

/// Where one visibility is kept. Whoever wants it while it is being made waits for it, rather than making it too.
type Slot = Arc<Mutex<Option<Made>>>;

/// What a visibility is made for.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Wanted {
    subject: Subject,
    act: Act,
    narrow: narrow::Narrow,
}

/// A visibility, and how long it is used.
struct Made {
    sights: Arc<Sights>,
    epoch: u64,
    /// By which rules it was made.
    generation: u64,
    /// The moment for which it was made.
    from: Timestamp,
    until: Timestamp,
}

impl Made {
    /// Whether it may be used at a moment. Not long before it was made: a clock was set back, and what it says has not begun yet.
    fn holds_at(&self, now: Timestamp) -> bool {
        now < self.until && self.from < now.plus_ms(VISIBILITY_LIFE_MS)
    }
}

/// Why something is allowed, as the ledger keeps it.
pub(crate) type Ground = Arc<str>;

/// Whether somebody may see a document now.
pub(crate) type Seen = Arc<dyn Fn(&Document) -> bool + Send + Sync>;

/// What comes of looking at a record.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Look {
    /// As if it were not there.
    Hidden,
    /// It is seen, on this ground; none where roles alone decide.
    Seen(Option<Ground>),
}

impl Access {
    pub(crate) fn new(settings: AccessSettings) -> Self {
        let AccessSettings { policies, care } = settings;
        let maker = Arc::new(Maker::new(policies, care.clone()));
        Self {
            policies: RwLock::new(InForce { maker, generation: 0 }),
            settings: care,
            care: RwLock::default(),
            made: Mutex::default(),
            forgot_ms: AtomicI64::new(i64::MIN),
            left: Left::default(),
        }
    }

    /// The rules that apply.
    pub(crate) fn policies(&self) -> Arc<Policies> {
        Arc::clone(self.in_force().maker.policies())
    }

    fn in_force(&self) -> InForce {
        self.policies.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Other rules apply from now on. What was decided by those before is used no more.
    pub(crate) fn put_in_force(&self, policies: Arc<Policies>) {
        let mut now = self.policies.write().unwrap_or_else(PoisonError::into_inner);
        let maker = Arc::new(Maker::new(policies, self.settings.clone()));
        *now = InForce { maker, generation: now.generation + 1 };
    }

    pub(crate) fn care(&self) -> RwLockReadGuard<'_, Care> {
        self.care.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn care_mut(&self) -> RwLockWriteGuard<'_, Care> {
        self.care.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self) -> MutexGuard<'_, HashMap<Wanted, Slot>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what commits say of care. Whoever is answered after this sees by it.
    pub(crate) fn take_in(&self, changes: Vec<CareChange>) {
        if !changes.is_empty() {
            let mut care = self.care_mut();
            changes.into_iter().for_each(|change| care.take_in(change));
        }
    }

    fn sights(&self, caller: &Caller, act: Act, doing: Doing, now: Timestamp) -> Arc<Sights> {
        if self.left.any() {
            self.take_in_left();
        }
        self.forget(now);
        let wanted = Wanted { subject: subject(caller), act, narrow: narrow::Narrow::of(caller, doing) };
        let slot = self.slot(&wanted);
        let mut kept = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.care().data.epoch();
        let InForce { maker, generation } = self.in_force();
        let holds = |made: &&Made| made.epoch == epoch && made.generation == generation && made.holds_at(now);
        if let Some(made) = kept.as_ref().filter(holds) {
            return Arc::clone(&made.sights);
        }
        let made = maker.visibility(self, &wanted.subject, act, now);
        let sights = Arc::new(Sights::new(wanted.narrow.apply(caller, made.visibility, now)));
        let latest = now.plus_ms(VISIBILITY_LIFE_MS);
        // Consents, emergencies and shifts begin and end to the moment.
        let until = made.until.map_or(latest, |until| until.min(latest));
        *kept = Some(Made { sights: Arc::clone(&sights), epoch: made.epoch, generation, from: now, until });
        sights
    }

    fn slot(&self, wanted: &Wanted) -> Slot {
        let mut all = self.made();
        if let Some(slot) = all.get(wanted) {
            return Arc::clone(slot);
        }
        if all.len() >= VISIBILITIES_MAX {
            // Those that nobody is about to use; whoever asks again makes theirs anew.
            all.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(all.entry(wanted.clone()).or_default())
    }

    /// Lets go of what is over, now and then.
    fn forget(&self, now: Timestamp) {
        let (last, now_ms) = (self.forgot_ms.load(Ordering::Relaxed), now.as_ms());
        let due = now_ms >= last.saturating_add(FORGET_EVERY_MS);
        let ours = due && self.forgot_ms.compare_exchange(last, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        // The first time there is nothing to let go of yet: the rows were read a moment ago.
        if ours && last != i64::MIN {
            self.care_mut().forget(now);
        }
    }

    /// Makes ahead what the first questions of each role need.
    pub(crate) fn warm(&self, now: Timestamp, go_on: &dyn Fn() -> bool) {
        self.in_force().maker.warm(self, now, go_on);
    }
}

impl CareAccess for Access {
    fn with<R>(&self, ask: impl FnOnce(&CareData) -> R) -> R {
        ask(&self.care().data)
    }
}

/// The caller as the policy knows them.
pub(crate) fn subject(caller: &Caller) -> Subject {
    Subject {
        account: caller.account().to_owned(),
        role: caller.role,
        practitioner: caller.practitioner.clone(),
        patients: caller.patients.clone(),
        purpose: caller.purpose.as_str(),
        strong: caller.strong,
        supplier: caller.supplier,
        approved: caller.approved,
    }
}

/// Whether a ground is a declared emergency.
pub(crate) fn is_emergency(ground: Option<&Ground>) -> bool {
    ground.is_some_and(|ground| ground.split(' ').next() == Some(BREAK_GLASS))
}

impl Inner {
    /// What this caller may do this with. None: the role decides alone, and allows it.
    pub(crate) fn sights(&self, caller: &Caller, act: Act) -> Result<Option<Arc<Sights>>, VaultError> {
        self.sights_for(caller, act, Doing::of(act))
    }

    /// What this caller may do this with, where scopes tell more apart.
    pub(crate) fn sights_for(
        &self,
        caller: &Caller,
        act: Act,
        doing: Doing,
    ) -> Result<Option<Arc<Sights>>, VaultError> {
        let role = match act {
            Act::Write | Act::Relabel => caller.role.may_write_records(),
            _ => caller.role.may_read_records(),
        };
        if !role {
            return Err(VaultError::Forbidden);
        }
        if caller.own_work {
            return Ok(None);
        }
        Ok(self.access.as_ref().map(|access| access.sights(caller, act, doing, self.clock.now())))
    }

    /// Whether a version is seen, by what stands beside it. Where content decides, by the current version in the search index; where
    /// that does not answer, it is hidden.
    pub(crate) fn look(
        &self,
        sights: Option<&Arc<Sights>>,
        resource_type: ResourceType,
        id: &ResourceId,
        meta: &VersionMeta,
    ) -> Look {
        let Some(sights) = sights else { return Look::Seen(None) };
        let patients = meta.patients();
        let sight = match &patients {
            Some(patients) => sights.visibility.sight(resource_type, patients, meta.labels),
            None if sights.is_everything() => sights.visibility.sight(resource_type, &[], meta.labels),
            None => Sight::AskIndex,
        };
        match sight {
            Sight::Seen(basis) => Look::Seen(sights.ground_of(basis)),
            Sight::Hidden if !sights.under.iter().any(|under| under.concerns(resource_type)) => Look::Hidden,
            Sight::AskIndex | Sight::Hidden => {
                let key = Key { resource_type, id: id.clone() };
                match self.index_sees(sights, &key) {
                    true => Look::Seen(sights.conditional_ground(resource_type, patients.as_deref(), meta.labels)),
                    false => Look::Hidden,
                }
            }
        }
    }

    /// Whether a version is seen that may be an earlier one of the record that is now this.
    ///
    /// An earlier version is cut by its own labels, and one that was set later stands in none of them. So where elements are labelled now that
    /// were not, or the other way round, it is for those alone from whom nothing of either is withheld.
    pub(crate) fn look_back(&self, sights: Option<&Arc<Sights>>, found: &Located, now: &VersionMeta) -> Look {
        let look = self.look_at(sights, found);
        let Some(sights) = sights.filter(|sights| !sights.is_everything() && found.meta.method != Method::Delete)
        else {
            return look;
        };
        match found.meta.inline.beside(now.inline) {
            None => look,
            Some(both) => {
                let cleared = |meta| sights.cleared(found.record.resource_type, meta).0;
                if both.within(cleared(&found.meta)) && both.within(cleared(now)) { look } else { Look::Hidden }
            }
        }
    }

    fn index_sees(&self, sights: &Sights, key: &Key) -> bool {
        self.visible(sights, std::slice::from_ref(key)).is_ok_and(|seen| seen.contains(key))
    }

    /// Of these, those that are seen.
    pub(crate) fn seen_keys(&self, sights: Option<&Arc<Sights>>, keys: Vec<Key>) -> Result<Vec<Key>, VaultError> {
        let Some(sights) = sights.filter(|sights| !sights.is_everything()) else { return Ok(keys) };
        let mut seen = HashSet::new();
        for keys in keys.chunks(PAGE_COUNT_MAX) {
            seen.extend(self.visible(sights, keys)?);
        }
        Ok(keys.into_iter().filter(|key| seen.contains(key)).collect())
    }

    /// Asks the index; at most a page at a time.
    fn visible(&self, sights: &Sights, keys: &[Key]) -> Result<HashSet<Key>, VaultError> {
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let filter = sights.guarded(Filter::Keys(sorted));
        let page = Page { sort: Vec::new(), count: keys.len().max(1), after: None, total: Total::None };
        let hits = self.answering()?.index.search(&filter, &page)?;
        Ok(hits.keys.into_iter().map(|(key, _)| key).collect())
    }

    /// A version that was found, if it is seen both by itself and as the record is now.
    pub(crate) fn still_seen(
        &self,
        sights: Option<&Arc<Sights>>,
        found: Option<Located>,
    ) -> Result<Option<Located>, VaultError> {
        let Some(found) = found.filter(|found| self.look_at(sights, found) != Look::Hidden) else { return Ok(None) };
        let RecordRef { resource_type, id, .. } = &found.record;
        let now = self.head_of(*resource_type, id)?;
        let seen = now.is_some_and(|now| {
            self.look(sights, *resource_type, id, &now.current) != Look::Hidden
                && self.look_back(sights, &found, &now.current) != Look::Hidden
        });
        Ok(seen.then_some(found))
    }

    /// Whether this caller may see a document, asked anew each time. None: everything.
    pub(crate) fn seen_by(&self, caller: Caller) -> Option<Seen> {
        let (access, clock) = (Arc::clone(self.access.as_ref()?), Arc::clone(&self.clock));
        Some(Arc::new(move |document| access.sights(&caller, Act::Read, Doing::Show, clock.now()).sees(document)))
    }

    /// The search, over what this caller may do this with.
    pub(crate) fn for_caller(&self, caller: &Caller, act: Act, compiled: Compiled) -> Result<Compiled, VaultError> {
        let Compiled { mut request, query } = compiled;
        if let Some(sights) = self.sights_for(caller, act, Doing::Search)? {
            request.filter = sights.guarded(self.without_closed(&sights, request.filter));
        }
        Ok(Compiled { request, query })
    }
}

/// What a commit under way says of care.
pub(crate) struct CareNews {
    access: Arc<Access>,
    changes: Vec<CareChange>,
}

impl CareNews {
    /// None where nobody goes by it, or there is none.
    pub(crate) fn of(inner: &Inner, changes: Vec<CareChange>) -> Option<Self> {
        let access = inner.access.as_ref().filter(|_| !changes.is_empty())?;
        Some(Self { access: Arc::clone(access), changes })
    }

    /// The commit is durable.
    pub(crate) fn take_in(self) {
        self.access.take_in(self.changes);
    }

    /// Nobody waits for the commit any more: taken in before the next decision after it is durable.
    pub(crate) fn leave(self, ticket: Ticket<Vec<Receipt>>) {
        self.access.left.add(ticket, self.changes);
    }
}

/// What a caller of this role asks for who says nothing.
pub fn usual_purpose(role: Role) -> PurposeOfUse {
    PurposeOfUse::parse(Purpose::usual(role).as_str()).unwrap_or(PurposeOfUse::Treatment)
}

/// Whether a role is one of people, who are held to more than machines: they choose no ids.
pub(crate) fn is_human(role: Role) -> bool {
    role != Role::Integrator
}
