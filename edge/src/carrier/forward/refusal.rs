//! Answers of the edge's own, in place of a server's.

use std::io::Write as _;

use super::client::{Client, Terms};
use super::inbound::{Framing, Inbound};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::plane::Plane;
use crate::rewrite::HSTS;

/// Answers a request of which `body` may still be on its way; true where the connection may carry another.
///
/// A small rest is read first, so that the connection stays usable; else the answer goes out at once and the
/// connection ends.
pub(super) async fn send(client: &mut Client, body: &mut Inbound, refusal: Refusal, exchange: &Exchange) -> bool {
    if refusal.closes() || !body.discard_small(client).await {
        client.terms.keep_alive = false;
    }
    let sent = client.send(&bytes(refusal, Some(exchange), client.terms)).await.is_ok();
    if sent && !body.is_done() {
        body.linger(client).await;
    }
    sent && client.terms.keep_alive
}

/// Answers what was no request: it is counted, and the connection ends.
pub(super) async fn send_without_request(client: &mut Client, refusal: Refusal, plane: &Plane) {
    plane.metrics.refused(refusal);
    plane.metrics.answered(Some(refusal.status()));
    if client.send(&bytes(refusal, None, Terms::default())).await.is_ok() {
        client.unread.clear();
        Inbound::new(Framing::Length(u64::MAX), false).linger(client).await;
    }
}

/// The same as bytes, for a connection that nobody will serve.
pub(super) fn without_request(refusal: Refusal) -> Vec<u8> {
    bytes(refusal, None, Terms::default())
}

fn bytes(refusal: Refusal, exchange: Option<&Exchange>, terms: Terms) -> Vec<u8> {
    let status = http::StatusCode::from_u16(refusal.status()).unwrap_or(http::StatusCode::BAD_GATEWAY);
    let body = refusal.body();
    let mut bytes = Vec::with_capacity(512 + body.len());
    // Writing to a vector cannot fail.
    let _ = write!(
        bytes,
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Length: {}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    );
    if let Some(exchange) = exchange {
        line(&mut bytes, "x-request-id", exchange.request_id());
        for (name, value) in exchange.response_changes().each() {
            line(&mut bytes, name.as_str(), value.as_bytes());
        }
        if let Some((name, value)) = exchange.response_added() {
            line(&mut bytes, name.as_str(), value.as_bytes());
        }
        if let Some(value) = exchange.hsts() {
            line(&mut bytes, HSTS, value.as_bytes());
        }
        if let Some(standing) = exchange.standing() {
            standing.each(|name, value| line(&mut bytes, name, value));
        }
    }
    for (name, value) in refusal.headers() {
        let _ = write!(bytes, "{name}: {value}\r\n");
    }
    bytes.extend_from_slice(terms.connection_line());
    bytes.extend_from_slice(b"\r\n");
    if !terms.is_head {
        bytes.extend_from_slice(&body);
    }
    bytes
}

fn line(bytes: &mut Vec<u8>, name: &str, value: &[u8]) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}
