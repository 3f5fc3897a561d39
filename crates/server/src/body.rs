//! Reading a request's body within its bounds: its own, and that of all bodies held at a time.
//!
//! Room is taken as bytes arrive, not as they are announced, so a client cannot reserve memory with a header; and as they are
//! unpacked, so that a small body that unpacks to a large one is no way around the bounds.

use crate::error::ApiError;
use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::header::{CONTENT_LENGTH, HeaderMap};
use std::io::Read;
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

/// Unpacks a body that was compressed by gzip to at most `bytes_max` bytes. Takes milliseconds where it is long.
pub(crate) fn unpacked(room: &BodyRoom, held: Held, bytes_max: usize) -> Result<Held, ApiError> {
    let Held { bytes, _room: mut taken } = held;
    let mut packed = MultiGzDecoder::new(&*bytes);
    let mut out = Vec::new();
    let mut piece = vec![0; STEP_BYTES];
    loop {
        let length = packed.read(&mut piece).map_err(|_| ApiError::invalid("the body is not what gzip writes"))?;
        if length == 0 {
            break;
        }
        if out.len() + length > bytes_max {
            return Err(ApiError::too_large(bytes_max));
        }
        let steps = (out.len() + length).div_ceil(STEP_BYTES).saturating_sub(taken.num_permits());
        if steps > 0 {
            taken.merge(room.take(steps)?);
        }
        out.extend_from_slice(piece.get(..length).unwrap_or_default());
    }
    Ok(Held { bytes: Bytes::from_owner(zeroize::Zeroizing::new(out)), _room: taken })
}

impl Held {
    /// The same room with other bytes in it: the body in another form.
    pub(crate) fn with(self, bytes: Bytes) -> Self {
        Self { bytes, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    #[tokio::test]
    async fn what_unpacks_to_too_much_is_refused() {
        let pack = |bytes: usize| {
            let mut packed = GzEncoder::new(Vec::new(), Compression::best());
            packed.write_all(&vec![b'x'; bytes]).unwrap();
            packed.finish().unwrap()
        };
        let room = BodyRoom::new(8 * STEP_BYTES);
        let headers = HeaderMap::new();
        for (bytes, bytes_max, fits) in [(100_000, 100_000, true), (100_001, 100_000, false), (1 << 24, 1 << 30, false)]
        {
            let held = read(&room, &headers, Body::from(pack(bytes)), 1 << 20).await.unwrap();
            let out = unpacked(&room, held, bytes_max);
            assert_eq!(out.is_ok_and(|out| out.bytes.len() == bytes), fits, "{bytes}");
        }
        let mut broken = pack(1000);
        broken.truncate(20);
        let held = read(&room, &headers, Body::from(broken), 1 << 20).await.unwrap();
        assert!(unpacked(&room, held, 1 << 20).is_err());
    }

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
