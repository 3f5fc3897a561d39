//! Bearer tokens: opaque, random, stored as hashes, with owner, role and expiry. The full identity comes with its part.

use crate::caller::Caller;
use crate::error::VaultError;
use crate::layout::{self, RowKey};
use crate::vault::{Inner, Vault};
use crate::{EventKind, Outcome};
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::RwLock;
use tacet_seal::Purpose;
use tacet_store::{Commit, Precondition, Write};
use tacet_types::Role;
use tacet_types::{ResourceId, Rng, Timestamp};
use zeroize::Zeroizing;

/// Random bytes in a token: more than can be guessed, ever.
const SECRET_BYTES: usize = 32;

/// How a token begins, so that scanners for leaked secrets know one.
const PREFIX: &str = "tacet_";

/// Most patients for whom one token stands: a family.
const PATIENTS_MAX: usize = 32;

/// Longest owner name, in bytes.
const OWNER_BYTES_MAX: usize = 200;

/// How long a token found valid is trusted without looking it up again. A revoked token dies within this time.
const CACHE_MS: i64 = 5_000;

/// Most tokens held in memory.
const CACHE_TOKENS_MAX: usize = 10_000;

/// A token's secret: shown once, never stored, and never printed but by [`TokenSecret::reveal`].
pub struct TokenSecret(Zeroizing<String>);

impl std::fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

impl TokenSecret {
    /// The secret as the client sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// What is known of a token. Not its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// Public id: what the ledger and `tacet token list` name it by.
    pub id: String,
    /// The named person or machine that answers for it.
    pub owner: String,
    /// What it may do.
    pub role: Role,
    /// The Practitioner for whom it stands among the records.
    pub practitioner: Option<ResourceId>,
    /// The patients for whom it stands: its own record, or those of its children.
    pub patients: Vec<ResourceId>,
    /// Whether it may copy out many records without another person's approval each time: that was given when it was made.
    pub may_export: bool,
    /// Whether it is a supplier's.
    pub supplier: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct StoredToken {
    id: String,
    owner: String,
    role: String,
    created_ms: i64,
    expires_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    practitioner: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    patients: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    may_export: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    supplier: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// What a token shall be.
#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    /// The named person or machine that answers for it.
    pub owner: &'a str,
    /// What it may do.
    pub role: Role,
    /// When it ends.
    pub expires: Timestamp,
    /// The Practitioner for whom it stands among the records.
    pub practitioner: Option<&'a ResourceId>,
    /// The patients for whom it stands.
    pub patients: &'a [ResourceId],
    /// Whether it may copy out many records without an approval each time.
    pub may_export: bool,
    /// Whether it is a supplier's.
    pub supplier: bool,
}

/// Tokens ended in one commit, where all are: far fewer than a commit may have entries.
const REVOKED_TOGETHER: usize = 100;

/// Tokens found valid lately.
#[derive(Default)]
pub(crate) struct TokenCache(RwLock<HashMap<RowKey, (Token, Timestamp)>>);

impl Vault {
    /// Makes a token for a named owner who is nobody among the records. The secret comes back once and is not kept.
    pub async fn create_token(
        &self,
        caller: &Caller,
        owner: &str,
        role: Role,
        expires: Timestamp,
    ) -> Result<(Token, TokenSecret), VaultError> {
        self.create_token_for(caller, owner, role, expires, None, &[]).await
    }

    /// Makes a token for a named owner: the Practitioner for whom it stands, and the patients for whom it does.
    pub async fn create_token_for(
        &self,
        caller: &Caller,
        owner: &str,
        role: Role,
        expires: Timestamp,
        practitioner: Option<&ResourceId>,
        patients: &[ResourceId],
    ) -> Result<(Token, TokenSecret), VaultError> {
        let new = NewToken { owner, role, expires, practitioner, patients, may_export: false, supplier: false };
        self.create_token_with(caller, new).await
    }

    /// Makes a token with all that one may have. The secret comes back once and is not kept.
    pub async fn create_token_with(
        &self,
        caller: &Caller,
        new: NewToken<'_>,
    ) -> Result<(Token, TokenSecret), VaultError> {
        let NewToken { owner, role, expires, practitioner, patients, may_export, supplier } = new;
        if patients.len() > PATIENTS_MAX {
            return Err(VaultError::TooLarge { what: "patients for whom a token stands", max: PATIENTS_MAX });
        }
        let owner = owner.trim();
        if owner.is_empty() || owner.len() > OWNER_BYTES_MAX || owner.chars().any(char::is_control) {
            return Err(VaultError::NotSupported(
                "a token needs an owner: the name of one person or machine, up to 200 bytes",
            ));
        }
        let now = self.0.clock.now();
        if expires <= now {
            return Err(VaultError::NotSupported("a token must end in the future"));
        }
        let secret = new_secret(self.0.rng.as_ref());
        let row = self.0.token_row(&secret);
        let token = Token {
            id: short_id(self.0.rng.as_ref()),
            owner: owner.to_owned(),
            role,
            practitioner: practitioner.cloned(),
            patients: patients.to_vec(),
            may_export,
            supplier,
            created: now,
            expires,
        };
        let value = self.0.seal_structure(Purpose::Token, &row, &encode(&token)?)?;
        let mut entry = caller.entry(now, EventKind::TokenCreated, Outcome::Success, None);
        let more = match (may_export, supplier) {
            (true, true) => ", may copy out, a supplier's",
            (true, false) => ", may copy out",
            (false, true) => ", a supplier's",
            (false, false) => "",
        };
        entry.detail = Some(format!("token {} created: role {}, expires {expires}{more}", token.id, role.as_str()));
        let commit = Commit {
            preconditions: vec![Precondition::Absent { key: row.to_vec() }],
            writes: vec![Write::Put { key: row.to_vec(), value }],
            feed: None,
            item: vec![tacet_ledger::Prepared::new(&entry)?],
        };
        self.0.store.submit(commit).await?;
        Ok((token, TokenSecret(secret)))
    }

    /// The token of this secret, if there is one and it has not expired.
    pub fn authenticate(&self, secret: &str) -> Result<Option<Token>, VaultError> {
        let plausible = secret.len() == PREFIX.len() + SECRET_BYTES * 2 && secret.starts_with(PREFIX);
        if !plausible {
            return Ok(None);
        }
        let now = self.0.clock.now();
        let row = self.0.token_row(secret);
        if let Some(token) = self.0.tokens.get(&row, now) {
            return Ok(Some(token).filter(|token| token.expires > now));
        }
        let Some(value) = self.0.store.reader().get(&row)? else { return Ok(None) };
        let token = decode(&self.0.open_structure(Purpose::Token, &row, &value)?)?;
        self.0.tokens.put(row, token.clone(), now);
        Ok(Some(token).filter(|token| token.expires > now))
    }

    /// Every token, expired ones too.
    pub fn tokens(&self) -> Result<Vec<Token>, VaultError> {
        let mut tokens: Vec<Token> = self.0.token_rows()?.into_iter().map(|(_, token)| token).collect();
        tokens.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(tokens)
    }

    /// Ends a token at once. False: there is none of this id.
    pub async fn revoke_token(&self, caller: &Caller, id: &str) -> Result<bool, VaultError> {
        let Some((row, token)) = self.0.token_rows()?.into_iter().find(|(_, token)| token.id == id) else {
            return Ok(false);
        };
        let mut entry = caller.entry(self.0.clock.now(), EventKind::TokenRevoked, Outcome::Success, None);
        entry.detail = Some(format!("token {} revoked: role {}", token.id, token.role.as_str()));
        let commit = Commit {
            preconditions: Vec::new(),
            writes: vec![Write::Delete { key: row.clone() }],
            feed: None,
            item: vec![tacet_ledger::Prepared::new(&entry)?],
        };
        self.0.store.submit(commit).await?;
        self.0.tokens.clear();
        Ok(true)
    }

    /// Ends every token, each with its entry, those that cannot be read too. Gives how many. `why` is told in the entries.
    ///
    /// # Errors
    /// The store's; what was ended until then stays so.
    pub async fn revoke_all_tokens(&self, caller: &Caller, why: &str) -> Result<usize, VaultError> {
        let rows = self.0.sealed_tokens()?;
        for some in rows.chunks(REVOKED_TOGETHER) {
            let mut commit = Commit { preconditions: Vec::new(), writes: Vec::new(), feed: None, item: Vec::new() };
            for (row, value) in some {
                let mut entry = caller.entry(self.0.clock.now(), EventKind::TokenRevoked, Outcome::Success, None);
                entry.detail = Some(match self.0.open_token(row, value) {
                    Ok(token) => format!("token {} revoked, {why}: role {}", token.id, token.role.as_str()),
                    Err(_) => format!("a token that cannot be read revoked, {why}"),
                });
                commit.writes.push(Write::Delete { key: row.clone() });
                commit.item.push(tacet_ledger::Prepared::new(&entry)?);
            }
            self.0.store.submit(commit).await?;
        }
        self.0.tokens.clear();
        Ok(rows.len())
    }

    /// How many tokens have not expired. One that cannot be read lets nobody in, and is not among them.
    ///
    /// # Errors
    /// The store's.
    pub fn tokens_in_force(&self) -> Result<usize, VaultError> {
        let now = self.0.clock.now();
        let in_force =
            |(row, value): &(Vec<u8>, Vec<u8>)| self.0.open_token(row, value).is_ok_and(|token| token.expires > now);
        Ok(self.0.sealed_tokens()?.iter().filter(|row| in_force(row)).count())
    }
}

impl Inner {
    fn token_row(&self, secret: &str) -> RowKey {
        layout::token(&self.keys.row_keys, digest::digest(&digest::SHA256, secret.as_bytes()).as_ref())
    }

    /// Every token's row, as it lies.
    fn sealed_tokens(&self) -> Result<Vec<crate::rotate::Row>, VaultError> {
        let (from, to) = layout::bounds(layout::TOKENS);
        let mut rows = Vec::new();
        self.store.reader().range(&from, &to, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    fn open_token(&self, row: &[u8], value: &[u8]) -> Result<Token, VaultError> {
        decode(&self.open_structure(Purpose::Token, row, value)?)
    }

    fn token_rows(&self) -> Result<Vec<(Vec<u8>, Token)>, VaultError> {
        let rows = self.sealed_tokens()?;
        rows.into_iter().map(|(row, value)| self.open_token(&row, &value).map(|token| (row, token))).collect()
    }
}

impl TokenCache {
    fn get(&self, row: &RowKey, now: Timestamp) -> Option<Token> {
        let tokens = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        tokens.get(row).filter(|(_, until)| *until > now).map(|(token, _)| token.clone())
    }

    fn put(&self, row: RowKey, token: Token, now: Timestamp) {
        let mut tokens = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if tokens.len() >= CACHE_TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(row, (token, now.plus_ms(CACHE_MS)));
    }

    fn clear(&self) {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }
}

fn new_secret(rng: &dyn Rng) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    rng.fill(bytes.as_mut_slice());
    let mut secret = Zeroizing::new(String::with_capacity(PREFIX.len() + SECRET_BYTES * 2));
    secret.push_str(PREFIX);
    secret.push_str(&hex(bytes.as_slice()));
    secret
}

fn short_id(rng: &dyn Rng) -> String {
    let mut bytes = [0; 6];
    rng.fill(&mut bytes);
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encode(token: &Token) -> Result<Vec<u8>, VaultError> {
    let stored = StoredToken {
        id: token.id.clone(),
        owner: token.owner.clone(),
        role: token.role.as_str().to_owned(),
        created_ms: token.created.as_ms(),
        expires_ms: token.expires.as_ms(),
        practitioner: token.practitioner.as_ref().map(|id| id.as_str().to_owned()),
        patients: token.patients.iter().map(|id| id.as_str().to_owned()).collect(),
        may_export: token.may_export,
        supplier: token.supplier,
    };
    serde_json::to_vec(&stored).map_err(|error| VaultError::Internal(Box::new(error)))
}

fn decode(bytes: &[u8]) -> Result<Token, VaultError> {
    let stored: StoredToken =
        serde_json::from_slice(bytes).map_err(|_| VaultError::Damaged("a token cannot be read"))?;
    let id = |text: &str| {
        ResourceId::parse(text).map_err(|_| VaultError::Damaged("a token stands for somebody who cannot be"))
    };
    Ok(Token {
        id: stored.id,
        owner: stored.owner,
        role: Role::parse(&stored.role).ok_or(VaultError::Damaged("a token has an unknown role"))?,
        practitioner: stored.practitioner.map(|text| id(&text)).transpose()?,
        patients: stored.patients.iter().map(|text| id(text)).collect::<Result<_, _>>()?,
        may_export: stored.may_export,
        supplier: stored.supplier,
        created: Timestamp::from_ms(stored.created_ms),
        expires: Timestamp::from_ms(stored.expires_ms),
    })
}
