//! Where a page begins, in a link that tells nothing: sealed, bound to whom it was given and to what was asked, and good for an
//! hour.
//!
//! The whole search is in it, so that nothing of it stands in the address that a proxy or a log may keep. It is padded, so that its
//! length tells little of what is asked.

use super::{SearchCall, scope_text};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::vault::Inner;
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tacet_seal::Purpose;
use tacet_search::Position;
use tacet_search::request::Handling;
use tacet_types::Timestamp;

/// How long a link to a page is good, in milliseconds: longer than a person looks at a page, shorter than a shift.
pub const CURSOR_LIFE_MS: i64 = 3_600_000;

/// Format of an opened cursor.
const FORMAT: u8 = 1;

/// Step to which a cursor is padded, in bytes.
const STEP_BYTES: usize = 512;

/// What a cursor's seal is bound to, in the place of a row: no row of the store has this key.
const PLACE: &[u8] = b"search cursor";

/// What was asked for when a cursor was given.
pub(crate) struct OpenedCursor {
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) handling: Handling,
    pub(crate) position: Position,
}

impl Inner {
    pub(crate) fn seal_cursor(
        &self,
        caller: &Caller,
        call: &SearchCall,
        parameters: &[(String, String)],
        handling: Handling,
        position: &Position,
    ) -> Result<String, VaultError> {
        let mut plain = vec![FORMAT];
        plain.extend(holder(caller));
        plain.extend(self.clock.now().plus_ms(CURSOR_LIFE_MS).as_ms().to_be_bytes());
        plain.push(u8::from(handling == Handling::Strict));
        put(&mut plain, scope_text(&call.scope).as_bytes());
        put(&mut plain, &position.encode());
        for (name, value) in parameters {
            put(&mut plain, name.as_bytes());
            put(&mut plain, value.as_bytes());
        }
        // A length beyond all there is marks the end; what follows is padding.
        plain.extend(u32::MAX.to_be_bytes());
        plain.resize(plain.len().next_multiple_of(STEP_BYTES), 0);
        Ok(URL_SAFE_NO_PAD.encode(self.seal_structure(Purpose::State, PLACE, &plain)?))
    }

    pub(crate) fn open_cursor(
        &self,
        caller: &Caller,
        call: &SearchCall,
        cursor: &str,
    ) -> Result<OpenedCursor, VaultError> {
        let sealed = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| VaultError::CursorRefused)?;
        let plain = self.open_structure(Purpose::State, PLACE, &sealed).map_err(|_| VaultError::CursorRefused)?;
        let cursor = decode(&plain).ok_or(VaultError::CursorRefused)?;
        if cursor.holder != holder(caller) || cursor.scope != scope_text(&call.scope) {
            return Err(VaultError::CursorRefused);
        }
        if cursor.expires <= self.clock.now() {
            return Err(VaultError::CursorExpired);
        }
        if !call.parameters.is_empty() && call.parameters != cursor.opened.parameters {
            return Err(VaultError::CursorRefused);
        }
        Ok(cursor.opened)
    }
}

/// Bytes to which a place is padded: two numbers and what separates them.
const PLACE_BYTES: usize = 64;

impl Inner {
    /// A place in a list of which the caller sees a part, as a cursor that tells nothing: neither where it is nor how much lies before it.
    pub(crate) fn seal_place(&self, of: &[u8], place: &str) -> Result<String, VaultError> {
        let mut plain = place.as_bytes().to_vec();
        plain.resize(plain.len().next_multiple_of(PLACE_BYTES), 0);
        Ok(URL_SAFE_NO_PAD.encode(self.seal_structure(Purpose::State, of, &plain)?))
    }

    /// The place that a cursor stands for; none if it is none of this list's.
    pub(crate) fn open_place(&self, of: &[u8], cursor: &str) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let plain = self.open_structure(Purpose::State, of, &sealed).ok()?;
        let end = plain.iter().position(|byte| *byte == 0).unwrap_or(plain.len());
        String::from_utf8(plain.get(..end)?.to_vec()).ok()
    }
}

struct Decoded {
    holder: [u8; 32],
    expires: Timestamp,
    scope: String,
    opened: OpenedCursor,
}

/// Who may follow the link: the account, with the token it was given to.
fn holder(caller: &Caller) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [caller.owner.as_str(), caller.role.as_str(), caller.token.as_deref().unwrap_or_default()] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut out = [0; 32];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

fn put(plain: &mut Vec<u8>, part: &[u8]) {
    // At most a query and a position: far from four gigabytes.
    plain.extend((part.len() as u32).to_be_bytes());
    plain.extend(part);
}

fn decode(plain: &[u8]) -> Option<Decoded> {
    let (format, rest) = plain.split_first()?;
    let (holder, rest) = rest.split_first_chunk::<32>()?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let (strict, rest) = rest.split_first()?;
    if *format != FORMAT {
        return None;
    }
    let mut rest = rest;
    let mut part = || -> Option<Option<&[u8]>> {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length);
        if length == u32::MAX {
            return Some(None);
        }
        let (part, after) = after.split_at_checked(length as usize)?;
        rest = after;
        Some(Some(part))
    };
    let scope = String::from_utf8(part()??.to_vec()).ok()?;
    let position = Position::decode(part()??)?;
    let mut parameters = Vec::new();
    while let Some(name) = part()? {
        let value = part()??;
        parameters.push((String::from_utf8(name.to_vec()).ok()?, String::from_utf8(value.to_vec()).ok()?));
    }
    let handling = if *strict == 1 { Handling::Strict } else { Handling::Lenient };
    let expires = Timestamp::from_ms(i64::from_be_bytes(*expires));
    Some(Decoded { holder: *holder, expires, scope, opened: OpenedCursor { parameters, handling, position } })
}
