//! Sending a refusal through a session whose request may not have been read to its end.

use http::header;
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;

use super::head::set_standing;
use super::leftover;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::request_id::X_REQUEST_ID;
use crate::rewrite::HSTS;

/// Sends a refusal. What the client is still sending is read first where it is little, so that the connection stays
/// usable; else the answer goes out at once and the connection ends.
pub(super) async fn send(session: &mut ServerSession, refusal: Refusal, exchange: Option<&Exchange>) -> Result<()> {
    let ends = refusal.closes() || !leftover::discard_small(session).await;
    if ends {
        session.set_keepalive(None);
    }
    let text = refusal.body();
    let head = head(refusal, exchange, text.len())?;
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

/// What the route's middlewares make of an answer.
pub(super) fn change(head: &mut ResponseHeader, exchange: &Exchange) -> Result<()> {
    for name in exchange.response_changes().names() {
        head.remove_header(name);
    }
    for (name, value) in exchange.response_changes().each() {
        head.insert_header(name, value)?;
    }
    if let Some(value) = exchange.hsts() {
        head.insert_header(HSTS, value)?;
    }
    if let Some((name, value)) = exchange.response_added() {
        head.append_header(name, value)?;
    }
    Ok(())
}

fn head(refusal: Refusal, exchange: Option<&Exchange>, body_bytes: usize) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(refusal.status(), Some(6))?;
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    head.insert_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
    head.insert_header(header::CONTENT_LENGTH, body_bytes)?;
    if let Some(exchange) = exchange {
        head.insert_header(X_REQUEST_ID, exchange.request_id())?;
        change(&mut head, exchange)?;
        if let Some(standing) = exchange.standing() {
            set_standing(standing, &mut head)?;
        }
    }
    for &(name, value) in refusal.headers() {
        head.insert_header(name, value)?;
    }
    Ok(head)
}
