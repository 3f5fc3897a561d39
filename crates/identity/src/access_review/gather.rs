//! What a review looks at, from the entries of its period.

use super::draw::Draw;
use super::{AccessReview, REVIEW_ITEMS_MAX, ReviewItem, Section, Terms};
use crate::account::Account;
use crate::error::IdentityError;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use tacet_ledger::people::BreakGlassRow;
use tacet_ledger::{Entry, EventKind, Outcome, cut};
use tacet_types::{ResourceType, Role, Timestamp};

/// Longest text of an item, in bytes.
const TEXT_BYTES_MAX: usize = 400;

/// Most categories of data that an item names.
const CATEGORIES_MAX: usize = 12;

/// Most names and addresses whose failed logins are counted apart. Those of further ones are counted together: who fails may take as many
/// addresses as they like.
const FAILING_MAX: usize = 20_000;

/// Most accounts whose use is looked at.
const USERS_MAX: usize = 200_000;

/// Under whose name entries of those further ones stand in the review.
const OTHERS: &str = "(others)";

/// Under what name the ledger has who was not known.
const NOBODY: &str = "(not authenticated)";

/// Before the number of failed tries for which one entry stands.
const STANDS_FOR: &str = "this stands for ";

/// Gathers the items of a review. Entries come oldest first, each once.
pub struct Gathering {
    terms: Terms,
    people: Draw,
    machines: Draw,
    /// By account or owner, and patient.
    emergencies: BTreeMap<(String, String), Vec<(BreakGlassRow, u64)>>,
    /// By section, account or owner, patient and ground.
    groups: BTreeMap<(Section, String, String, String), Several>,
    /// By the request, and who made it.
    exports: BTreeMap<(String, String), Several>,
    failing: BTreeMap<String, (ReviewItem, u64)>,
    /// Accounts that were there in the period, and those that did what their role is for.
    there: BTreeSet<String>,
    worked: BTreeSet<String>,
    untold: u64,
}

impl std::fmt::Debug for Gathering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gathering").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// What several entries are, as one item: the words of the first, and the categories of all.
struct Several {
    /// With the head of its text, until it is made whole.
    item: ReviewItem,
    tail: String,
    categories: BTreeSet<ResourceType>,
    of_patients: u64,
}

impl Several {
    fn of(section: Section, index: u64, entry: &Entry) -> Self {
        let item = ReviewItem { entries: 0, text: head(entry), ..item(section, index, entry) };
        Self { item, tail: tail(entry), categories: BTreeSet::new(), of_patients: 0 }
    }

    fn take(&mut self, entry: &Entry) {
        self.item.entries += 1;
        self.item.last_ms = entry.at.as_ms();
        self.categories.extend(entry.categories.iter().copied());
        self.of_patients += u64::from(entry.patient.is_some());
        if self.item.patient != patient(entry) {
            self.item.patient = None;
        }
    }

    fn item(self) -> ReviewItem {
        let Self { mut item, tail, categories: all, of_patients } = self;
        if item.patient.is_none() && of_patients > 0 {
            item.text += &format!(", {of_patients} of {} entries of patients", item.entries);
        }
        item.text += &(categories(all.iter()) + &tail);
        ReviewItem { text: cut(&item.text, TEXT_BYTES_MAX).to_owned(), ..item }
    }
}

/// What stands about the accounts when a review is finished.
pub(super) struct Standing {
    pub(super) accounts: Vec<Account>,
    /// Passkeys that were never used: whose, and since when, in milliseconds since 1970.
    pub(super) unused_passkeys: Vec<(String, i64)>,
}

impl Gathering {
    pub(super) fn new(review: &AccessReview, declared: Vec<BreakGlassRow>) -> Result<Self, IdentityError> {
        let (terms, size) = (review.terms.clone(), review.terms.rule.size());
        let seed = seed_bytes(&review.seed).ok_or(IdentityError::Row("access reviews"))?;
        let mut emergencies: BTreeMap<(String, String), Vec<(BreakGlassRow, u64)>> = BTreeMap::new();
        for row in declared {
            let of_period = row.from_ms < terms.to_ms && row.ended_ms.unwrap_or(row.until_ms) >= terms.from_ms;
            if of_period && terms.has_role(&row.role) && terms.has_person(&[Some(&row.owner), Some(&row.account)]) {
                emergencies.entry((row.account.clone(), row.patient.clone())).or_default().push((row, 0));
            }
        }
        Ok(Self {
            terms,
            people: Draw::new(seed, size),
            machines: Draw::new(seed, size),
            emergencies,
            groups: BTreeMap::new(),
            exports: BTreeMap::new(),
            failing: BTreeMap::new(),
            there: BTreeSet::new(),
            worked: BTreeSet::new(),
            untold: 0,
        })
    }

    /// Takes in entries that nobody can read any more.
    pub fn untold(&mut self, entries: u64) {
        self.untold = self.untold.saturating_add(entries);
    }

    /// Takes in an entry. One that is not of the period or the scope changes nothing.
    ///
    /// # Errors
    /// There is more to look at than a review holds.
    pub fn take(&mut self, index: u64, entry: &Entry) -> Result<(), IdentityError> {
        let terms = &self.terms;
        let names = [Some(entry.agent.owner.as_str()), entry.account.as_deref(), entry.on_behalf_of.as_deref()];
        let at = entry.at.as_ms();
        if !(terms.from_ms..terms.to_ms).contains(&at) || !terms.has_person(&names) {
            return Ok(());
        }
        // Who fails to log in has no role yet.
        if entry.kind == EventKind::LoginFailed {
            self.failed(index, entry);
            return Ok(());
        }
        if !terms.has_role(&entry.agent.role) {
            return Ok(());
        }
        self.used(entry);
        if entry.outcome != Outcome::Success || !entry.kind.discloses() {
            return Ok(());
        }
        match entry.kind {
            // The declaration: its row says the same, and what its review came to.
            EventKind::BreakGlass => Ok(()),
            EventKind::Export | EventKind::Print | EventKind::TransferMade => self.exported(index, entry),
            _ => self.accessed(index, entry),
        }
    }

    fn accessed(&mut self, index: u64, entry: &Entry) -> Result<(), IdentityError> {
        // Nothing was found: nobody's record was shown.
        if entry.patient.is_none() && entry.records.is_empty() {
            return Ok(());
        }
        let role = Role::parse(&entry.agent.role);
        let ground = entry.basis.as_deref().and_then(|basis| basis.split(' ').next()).unwrap_or("none");
        let section = match ground {
            "break-glass" => {
                if self.in_emergency(entry) {
                    return Ok(());
                }
                Section::WithoutRelation
            }
            "none" | "consent" | "approval" => Section::WithoutRelation,
            "self-declared" => Section::SelfDeclared,
            // Patients look at what is theirs.
            "own-record" => return Ok(()),
            _ if role.is_some_and(Role::is_of_machines) => {
                self.machines.offer(index, || item(Section::MachineSample, index, entry));
                return Ok(());
            }
            _ => {
                self.people.offer(index, || item(Section::Sample, index, entry));
                return Ok(());
            }
        };
        let key = (section, who(entry), patient(entry).unwrap_or_default(), ground.to_owned());
        self.grouped(key, index, entry)
    }

    fn grouped(
        &mut self,
        key: (Section, String, String, String),
        index: u64,
        entry: &Entry,
    ) -> Result<(), IdentityError> {
        let section = key.0;
        if self.groups.len() >= REVIEW_ITEMS_MAX && !self.groups.contains_key(&key) {
            return Err(too_many());
        }
        self.groups.entry(key).or_insert_with(|| Several::of(section, index, entry)).take(entry);
        Ok(())
    }

    /// Counts an access to the emergency under which it was made, if one is kept.
    fn in_emergency(&mut self, entry: &Entry) -> bool {
        let Some((_, id)) = &entry.patient else { return false };
        let Some(of_both) = self.emergencies.get_mut(&(who(entry), id.as_str().to_owned())) else { return false };
        let Some((_, count)) = of_both.iter_mut().find(|(row, _)| row.in_force(entry.at)) else { return false };
        *count += 1;
        true
    }

    fn exported(&mut self, index: u64, entry: &Entry) -> Result<(), IdentityError> {
        let key = (entry.operation.to_string(), who(entry));
        if self.exports.len() >= REVIEW_ITEMS_MAX && !self.exports.contains_key(&key) {
            return Err(too_many());
        }
        self.exports.entry(key).or_insert_with(|| Several::of(Section::Export, index, entry)).take(entry);
        Ok(())
    }

    fn failed(&mut self, index: u64, entry: &Entry) {
        let nobody = entry.agent.owner == NOBODY;
        let mut key = match (nobody, entry.origin.address) {
            (false, _) => entry.agent.owner.clone(),
            (true, Some(address)) => format!("{NOBODY} {}", network(address)),
            (true, None) => NOBODY.to_owned(),
        };
        if self.failing.len() >= FAILING_MAX && !self.failing.contains_key(&key) {
            OTHERS.clone_into(&mut key);
        }
        let (found, tries) = self.failing.entry(key.clone()).or_insert_with(|| {
            let account = entry.account.clone().filter(|_| !nobody);
            (ReviewItem { account, owner: key, entries: 0, ..item(Section::FailedLogins, index, entry) }, 0)
        });
        found.entries += 1;
        found.last_ms = entry.at.as_ms();
        *tries = tries.saturating_add(tries_in(entry));
    }

    fn used(&mut self, entry: &Entry) {
        let Some(account) = &entry.account else { return };
        if entry.outcome != Outcome::Success || self.there.len() >= USERS_MAX {
            return;
        }
        if entry.kind == EventKind::Login && !self.there.contains(account) {
            self.there.insert(account.clone());
        }
        let works = Role::parse(&entry.agent.role).is_some_and(|role| is_work_of(role, entry.kind));
        if works && !self.worked.contains(account) {
            self.worked.insert(account.clone());
        }
    }

    /// Accesses of people, of machines, and entries that nobody can read any more.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        (self.people.offered(), self.machines.offered(), self.untold)
    }

    /// The items, section by section.
    pub(super) fn items(self, standing: &Standing, now: Timestamp) -> Result<Vec<ReviewItem>, IdentityError> {
        let Self { terms, people, machines, emergencies, groups, exports, failing, there, worked, .. } = self;
        let mut items: Vec<ReviewItem> =
            emergencies.into_values().flatten().map(|(row, count)| emergency(&row, count, now)).collect();
        items.extend(groups.into_values().map(Several::item));
        items.extend(exports.into_values().map(Several::item));
        items.extend(people.drawn());
        items.extend(machines.drawn());
        let passed_over = u64::from(terms.failed_logins);
        items.extend(
            failing
                .into_values()
                .filter(|(_, tries)| *tries > passed_over)
                .map(|(item, tries)| ReviewItem { text: format!("{tries} failed logins"), ..item }),
        );
        let dormant_ms = i64::from(terms.dormant_days) * super::DAY_MS;
        for account in standing.accounts.iter().filter(|account| terms.has_account(account)) {
            items.extend(dormant(account, now, dormant_ms));
            let idle = there.contains(account.id.as_str()) && !worked.contains(account.id.as_str());
            if idle && account.role != Role::Patient {
                let text = "was there in the period and did nothing that the role is for".to_owned();
                items.push(of_account(Section::UnusedRole, account, terms.from_ms, text));
            }
            let unused = standing.unused_passkeys.iter().filter(|(of, since_ms)| {
                of == account.id.as_str() && now.as_ms().saturating_sub(*since_ms) >= dormant_ms
            });
            items.extend(unused.map(|(_, since_ms)| {
                of_account(
                    Section::UnusedPasskey,
                    account,
                    *since_ms,
                    "a passkey that was never used to log in".to_owned(),
                )
            }));
        }
        if items.len() > REVIEW_ITEMS_MAX {
            return Err(too_many());
        }
        items.sort_by(|a, b| {
            (a.section, a.first_ms, a.entry, &a.owner).cmp(&(b.section, b.first_ms, b.entry, &b.owner))
        });
        Ok(items)
    }
}

fn too_many() -> IdentityError {
    IdentityError::Invalid {
        field: "period",
        problem: "has more to look at than one review holds: part it, or review role by role",
    }
}

fn seed_bytes(seed: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if seed.len() != 64 {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(seed.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// What names who did it: the account, or the owner of a token.
fn who(entry: &Entry) -> String {
    entry.account.clone().unwrap_or_else(|| entry.agent.owner.clone())
}

fn patient(entry: &Entry) -> Option<String> {
    entry.patient.as_ref().map(|(kind, id)| format!("{kind}/{}", id.as_str()))
}

fn head(entry: &Entry) -> String {
    let mut text = format!("{} for {}", entry.kind, entry.purpose);
    // Whom a machine names, or the app by which somebody asked.
    if let Some(behind) = &entry.on_behalf_of {
        text += &format!(", on behalf of {behind}");
    }
    text
}

/// Those that are named, and how many more there are: the reason that stands after them is to be read, too.
fn categories<'a>(categories: impl ExactSizeIterator<Item = &'a ResourceType>) -> String {
    let more = categories.len().saturating_sub(CATEGORIES_MAX);
    let names: Vec<&str> = categories.take(CATEGORIES_MAX).map(|kind| kind.as_str()).collect();
    match (names.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(": {}", names.join(", ")),
        (false, more) => format!(": {} and {more} more", names.join(", ")),
    }
}

fn tail(entry: &Entry) -> String {
    let query = entry.query.as_ref().map(|query| format!("; asked {query}")).unwrap_or_default();
    let detail = entry.detail.as_ref().map(|detail| format!("; {detail}")).unwrap_or_default();
    query + &detail
}

fn item(section: Section, index: u64, entry: &Entry) -> ReviewItem {
    let at = entry.at.as_ms();
    let text = head(entry) + &categories(entry.categories.iter()) + &tail(entry);
    ReviewItem {
        section,
        account: entry.account.clone(),
        owner: entry.agent.owner.clone(),
        role: entry.agent.role.clone(),
        patient: patient(entry),
        first_ms: at,
        last_ms: at,
        entry: Some(index),
        entries: 1,
        ground: entry.basis.clone(),
        text: cut(&text, TEXT_BYTES_MAX).to_owned(),
        judged: None,
    }
}

fn emergency(row: &BreakGlassRow, count: u64, now: Timestamp) -> ReviewItem {
    let review = match &row.review {
        Some(review) => format!("reviewed: {}", review.outcome.as_str()),
        None if row.overdue(now) => "NOT REVIEWED within 72 hours".to_owned(),
        None => "not reviewed yet".to_owned(),
    };
    ReviewItem {
        section: Section::BreakGlass,
        account: Some(row.account.clone()),
        owner: row.owner.clone(),
        role: row.role.clone(),
        patient: Some(format!("Patient/{}", row.patient)),
        first_ms: row.from_ms,
        last_ms: row.ended_ms.unwrap_or(row.until_ms),
        entry: None,
        entries: count,
        ground: Some("break-glass".to_owned()),
        text: cut(&format!("{review}; {} accesses; {}: {}", count, row.reason, row.text), TEXT_BYTES_MAX).to_owned(),
        judged: None,
    }
}

fn of_account(section: Section, account: &Account, since_ms: i64, text: String) -> ReviewItem {
    ReviewItem {
        section,
        account: Some(account.id.as_str().to_owned()),
        owner: account.login.clone(),
        role: account.role.as_str().to_owned(),
        patient: None,
        first_ms: since_ms,
        last_ms: since_ms,
        entry: None,
        entries: 0,
        ground: None,
        text,
        judged: None,
    }
}

fn dormant(account: &Account, now: Timestamp, dormant_ms: i64) -> Option<ReviewItem> {
    use crate::account::State;
    let since_ms = account.used_ms.unwrap_or(account.created_ms);
    if account.state == State::Closed || now.as_ms().saturating_sub(since_ms) < dormant_ms {
        return None;
    }
    let used = if account.used_ms.is_some() { "last used then" } else { "never used since it was made" };
    let text = format!("{used}; the account is {} and has {} passkeys", account.state.as_str(), account.passkeys());
    Some(of_account(Section::DormantAccount, account, since_ms, text))
}

/// Whether an event of this kind is something that this role is for.
fn is_work_of(role: Role, kind: EventKind) -> bool {
    use EventKind as K;
    if role.may_read_records() {
        return kind.discloses() || kind.changes();
    }
    match role {
        Role::Feed => kind.changes(),
        Role::Administrator => {
            let rights = [K::RightsChange, K::TokenCreated, K::TokenRevoked, K::ApprovalAsked, K::ApprovalDecided];
            rights.contains(&kind) || kind == K::AccountChange
        }
        Role::Auditor | Role::SecurityOfficer => {
            let looks = [K::LedgerAccess, K::ApprovalDecided, K::BreakGlassReviewed, K::AccessReview];
            looks.contains(&kind)
        }
        _ => !matches!(kind, K::Login | K::Logout),
    }
}

/// An address as failures are counted: of IPv6, its /64.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// How many tries one entry stands for.
fn tries_in(entry: &Entry) -> u64 {
    let detail = entry.detail.as_deref().unwrap_or_default();
    let number = detail.split_once(STANDS_FOR).map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_names_so_many_categories_and_counts_the_rest() {
        let of = |count: usize| categories(ResourceType::all().take(count).collect::<Vec<_>>().iter());
        assert_eq!(of(0), "");
        assert!(!of(CATEGORIES_MAX).contains("more") && of(CATEGORIES_MAX).matches(", ").count() == CATEGORIES_MAX - 1);
        assert!(of(CATEGORIES_MAX + 2).ends_with(" and 2 more"));
        assert!(of(CATEGORIES_MAX + 2).starts_with(&of(CATEGORIES_MAX)));
    }
}
