//! Sending a refusal through a session whose request may not have been read to its end.

use http::header;
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;

use super::leftover;
use crate::error::Refusal;
use crate::request_id::X_REQUEST_ID;

/// Sends a refusal. What the client is still sending is read first where it is little, so that the connection stays
/// usable; else the answer goes out at once and the connection ends.
pub(super) async fn send(session: &mut ServerSession, refusal: Refusal, request_id: Option<&[u8]>) -> Result<()> {
    let ends = refusal.closes() || !leftover::discard_small(session).await;
    if ends {
        session.set_keepalive(None);
    }
    let text = refusal.body();
    let head = head(refusal, request_id, text.len())?;
    session.write_response_header(Box::new(head)).await?;
    if session.req_header().method == http::Method::HEAD {
        session.finish_body().await?;
    } else {
        session.write_response_body(text, true).await?;
    }
    if ends {
        leftover::linger(session).await;
    }
    Ok(())
}

fn head(refusal: Refusal, request_id: Option<&[u8]>, body_bytes: usize) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(refusal.status(), Some(6))?;
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    head.insert_header(header::CONTENT_LENGTH, body_bytes)?;
    if let Some(request_id) = request_id {
        head.insert_header(X_REQUEST_ID, request_id)?;
    }
    for &(name, value) in refusal.headers() {
        head.insert_header(name, value)?;
    }
    Ok(head)
}
