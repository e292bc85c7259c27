//! Request bodies that are read before, or instead of, being forwarded.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;

use super::head::{content_length, expects_continue};
use crate::error::Refusal;

/// Of a body that nobody wants, so much is read for the sake of the connection: any prompt but a book.
const DISCARD_BYTES_MAX: u64 = 1 << 20;

/// After a last answer so much more is read: the kernel's buffers on both sides, and a client's slow wits.
const LINGER_BYTES_MAX: u64 = 64 << 20;

/// How long a client may take over a body that nobody wants.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(1);

/// The whole body, or why it is not taken.
pub(super) async fn read_whole(session: &mut ServerSession, bytes_max: u64) -> Result<Result<Bytes, Refusal>> {
    if content_length(session.req_header()).is_some_and(|length| length > bytes_max) {
        return Ok(Err(Refusal::BodyTooLarge));
    }
    if expects_continue(session.req_header()) {
        session.write_continue_response().await?;
    }
    let mut body = BytesMut::new();
    while let Some(piece) = session.read_request_body().await? {
        if (body.len() + piece.len()) as u64 > bytes_max {
            return Ok(Err(Refusal::BodyTooLarge));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Ok(body.freeze()))
}

/// Reads what is left of a small announced body. False where it is not small, not announced, or does not come.
pub(super) async fn discard_small(session: &mut ServerSession) -> bool {
    if session.is_body_done() {
        return true;
    }
    let is_small = content_length(session.req_header()).is_some_and(|length| length <= DISCARD_BYTES_MAX);
    if !is_small || expects_continue(session.req_header()) {
        return false;
    }
    discard(session, DISCARD_BYTES_MAX).await
}

/// After a last answer: closing at once, with bytes unread, would reset the connection and could take the answer from
/// a client that is still sending.
pub(super) async fn linger(session: &mut ServerSession) {
    let _ = discard(session, LINGER_BYTES_MAX).await;
}

async fn discard(session: &mut ServerSession, bytes_max: u64) -> bool {
    let read = async {
        let mut bytes = 0;
        while let Ok(Some(piece)) = session.read_request_body().await {
            bytes += piece.len() as u64;
            if bytes > bytes_max {
                return false;
            }
        }
        session.is_body_done()
    };
    tokio::time::timeout(DISCARD_TIME_MAX, read).await.unwrap_or(false)
}
