//! Reading a request's body within its bounds: its own, and that of all bodies held at a time.
//!
//! Room is taken as bytes arrive, not as they are announced, so a client cannot reserve memory with a header.

use crate::error::ApiError;
use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::header::{CONTENT_LENGTH, HeaderMap};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is counted in steps of this many bytes.
const STEP_BYTES: usize = 16 * 1024;

/// The memory that all request bodies share.
pub(crate) struct BodyRoom(Arc<Semaphore>);

impl BodyRoom {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes_max.div_ceil(STEP_BYTES).clamp(1, Semaphore::MAX_PERMITS))))
    }

    fn take(&self, steps: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let steps = u32::try_from(steps).map_err(|_| ApiError::busy())?;
        Arc::clone(&self.0).try_acquire_many_owned(steps).map_err(|_| ApiError::busy())
    }
}

/// A body, with the room that it takes.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Reads a body of at most `bytes_max` bytes. One that arrived in a single piece is not copied.
pub(crate) async fn read(
    room: &BodyRoom,
    headers: &HeaderMap,
    mut body: Body,
    bytes_max: usize,
) -> Result<Held, ApiError> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(ApiError::too_large(bytes_max));
    }
    let mut taken = room.take(1)?;
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let mut length = 0usize;
    while let Some(frame) = body.frame().await {
        // The cause is the client's (it went away, or broke the framing); its text is not ours to repeat.
        let frame = frame.map_err(|_| ApiError::invalid("the body broke off or is not framed as HTTP asks"))?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length > bytes_max {
            return Err(ApiError::too_large(bytes_max));
        }
        let steps = length.div_ceil(STEP_BYTES).saturating_sub(taken.num_permits());
        if steps > 0 {
            taken.merge(room.take(steps)?);
        }
        if first.is_empty() && joined.is_empty() {
            first = data;
            continue;
        }
        if joined.is_empty() {
            let expected = announced.map_or(0, |bytes| bytes.min(length.saturating_mul(4) as u64) as usize);
            joined.reserve(expected.max(length));
            joined.extend_from_slice(&std::mem::take(&mut first));
        }
        joined.extend_from_slice(&data);
    }
    debug_assert!(body.is_end_stream());
    let bytes = if joined.is_empty() { first } else { joined.freeze() };
    Ok(Held { bytes, _room: taken })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_share_their_room() {
        let room = BodyRoom::new(4 * STEP_BYTES);
        let headers = HeaderMap::new();
        let body = |bytes: usize| Body::from(vec![b' '; bytes]);
        let held = read(&room, &headers, body(3 * STEP_BYTES), 1 << 20).await.unwrap();
        assert_eq!(held.bytes.len(), 3 * STEP_BYTES);
        assert!(read(&room, &headers, body(2 * STEP_BYTES), 1 << 20).await.is_err(), "no room");
        assert!(read(&room, &headers, body(STEP_BYTES), 1 << 20).await.is_ok());
        drop(held);
        assert!(read(&room, &headers, body(4 * STEP_BYTES), 1 << 20).await.is_ok(), "room is given back");
        assert!(read(&room, &headers, body(11), 10).await.is_err(), "its own bound");
    }
}
