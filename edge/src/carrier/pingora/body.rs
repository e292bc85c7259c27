//! Reading a body before it is forwarded, in a way that lets pingora-proxy forward it afterwards.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;

use super::head::{content_length, expects_continue};
use crate::error::Refusal;

/// What pingora keeps of a request body for a second attempt.
pub(super) const RETRY_BUFFER_BYTES: u64 = 64 * 1024;

/// The whole body, or why it is not taken.
///
/// pingora forwards an early-read body only where its retry buffer is in use and not overflown, so buffering begins
/// with the last 64 KiB. Where no length was announced the end cannot be foreseen: such a body may have 64 KiB in all.
pub(super) async fn read_whole(session: &mut ServerSession, bytes_max: u64) -> Result<Result<Bytes, Refusal>> {
    let length = content_length(session.req_header());
    if length.is_some_and(|length| length > bytes_max) {
        return Ok(Err(Refusal::BodyTooLarge));
    }
    if expects_continue(session.req_header()) {
        session.write_continue_response().await?;
    }
    let mut body = BytesMut::new();
    loop {
        let left = length.map_or(0, |length| length.saturating_sub(body.len() as u64));
        if left <= RETRY_BUFFER_BYTES {
            session.enable_retry_buffering();
        }
        let Some(piece) = session.read_request_body().await? else {
            break;
        };
        body.extend_from_slice(&piece);
        if session.retry_buffer_truncated() {
            return Ok(Err(Refusal::LengthRequired));
        }
    }
    Ok(Ok(body.freeze()))
}

/// A pool of its own for a connection that nobody else may have used before.
pub(super) fn unique_group() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
