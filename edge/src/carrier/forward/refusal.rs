//! Answers of the edge's own, in place of a server's.

use std::io::Write as _;

use super::client::{Client, Terms};
use super::inbound::{Framing, Inbound};
use crate::error::Refusal;
use crate::plane::Plane;

/// Answers a request of which `body` may still be on its way; true where the connection may carry another.
///
/// A small rest is read first, so that the connection stays usable; else the answer goes out at once and the
/// connection ends.
pub(super) async fn send(client: &mut Client, body: &mut Inbound, refusal: Refusal, request_id: &[u8]) -> bool {
    if refusal.closes() || !body.discard_small(client).await {
        client.terms.keep_alive = false;
    }
    let sent = client
        .send(&bytes(refusal, Some(request_id), client.terms))
        .await
        .is_ok();
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

fn bytes(refusal: Refusal, request_id: Option<&[u8]>, terms: Terms) -> Vec<u8> {
    let status = http::StatusCode::from_u16(refusal.status()).unwrap_or(http::StatusCode::BAD_GATEWAY);
    let body = refusal.body();
    let mut bytes = Vec::with_capacity(512 + body.len());
    // Writing to a vector cannot fail.
    let _ = write!(
        bytes,
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    );
    if let Some(request_id) = request_id {
        bytes.extend_from_slice(b"x-request-id: ");
        bytes.extend_from_slice(request_id);
        bytes.extend_from_slice(b"\r\n");
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
