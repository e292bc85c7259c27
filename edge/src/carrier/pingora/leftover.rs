//! What is left of a body that nobody wants.

use pingora_core::protocols::http::ServerSession;

use super::head::{content_length, expects_continue};
use crate::carrier::discard::{LINGER_BYTES_MAX, SMALL_BYTES_MAX, TIME_MAX};

/// Reads what is left of a small announced body. False where it is not small, not announced, or does not come.
pub(super) async fn discard_small(session: &mut ServerSession) -> bool {
    if session.is_body_done() {
        return true;
    }
    let is_small = content_length(session.req_header()).is_some_and(|length| length <= SMALL_BYTES_MAX);
    if !is_small || expects_continue(session.req_header()) {
        return false;
    }
    discard(session, SMALL_BYTES_MAX).await
}

/// After a last answer, so that it is not lost to a client that is still sending.
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
    tokio::time::timeout(TIME_MAX, read).await.unwrap_or(false)
}
