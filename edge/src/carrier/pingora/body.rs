//! Reading a body before it is forwarded, in a way that lets pingora forward it afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header;
use pingora_core::Result;
use pingora_proxy::Session;

use super::content_length;
use crate::error::Refusal;

/// What pingora keeps of a request body for a second attempt.
pub(super) const RETRY_BUFFER_BYTES: u64 = 64 * 1024;

/// The whole body, or why it is not taken.
///
/// pingora forwards an early-read body only where its retry buffer is in use and not overflown, so buffering begins
/// with the last 64 KiB. Where no length was announced the end cannot be foreseen: such a body may have 64 KiB in all.
pub(super) async fn read_whole(
    session: &mut Session,
    length: Option<u64>,
    bytes_max: u64,
) -> Result<Result<Bytes, Refusal>> {
    if length.is_some_and(|length| length > bytes_max) {
        return Ok(Err(Refusal::BodyTooLarge));
    }
    if expects_continue(session) {
        session.as_downstream_mut().write_continue_response().await?;
    }
    let mut body = BytesMut::new();
    loop {
        let left = length.map_or(0, |length| length.saturating_sub(body.len() as u64));
        if left <= RETRY_BUFFER_BYTES {
            session.as_downstream_mut().enable_retry_buffering();
        }
        let Some(piece) = session.as_downstream_mut().read_request_body().await? else {
            break;
        };
        body.extend_from_slice(&piece);
        if session.as_downstream().retry_buffer_truncated() {
            return Ok(Err(Refusal::LengthRequired));
        }
    }
    Ok(Ok(body.freeze()))
}

/// Of a body that nobody wants, so much is read for the sake of the connection: any prompt but a book.
const DISCARD_BYTES_MAX: u64 = 1 << 20;

/// How long a client may take over a body that nobody wants.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(1);

/// Reads what is left of a small announced body. False where it is not small, not announced, or does not come.
pub(super) async fn discard_small(session: &mut Session) -> bool {
    if session.as_downstream_mut().is_body_done() {
        return true;
    }
    let is_small = content_length(session.req_header()).is_some_and(|length| length <= DISCARD_BYTES_MAX);
    if !is_small || expects_continue(session) {
        return false;
    }
    discard(session).await
}

/// After a last answer: closing at once, with bytes unread, would reset the connection and could take the answer from
/// a client that is still sending.
pub(super) async fn linger(session: &mut Session) {
    let _ = discard(session).await;
}

async fn discard(session: &mut Session) -> bool {
    let read = async {
        let mut bytes = 0;
        while let Ok(Some(piece)) = session.as_downstream_mut().read_request_body().await {
            bytes += piece.len() as u64;
            if bytes > DISCARD_BYTES_MAX {
                return false;
            }
        }
        session.as_downstream_mut().is_body_done()
    };
    tokio::time::timeout(DISCARD_TIME_MAX, read).await.unwrap_or(false)
}

/// A pool of its own for a connection that nobody else may have used before.
pub(super) fn unique_group() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn expects_continue(session: &Session) -> bool {
    let expect = session.req_header().headers.get(header::EXPECT);
    expect.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
