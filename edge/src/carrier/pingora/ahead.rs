//! What this carrier does ahead of time, because pingora-proxy keeps only 64 KiB of a request: it reads what another server
//! may have to get, and sends copies of it.
//!
//! A body that is read ahead is in memory until its request is over, within one budget; what finds no room is forwarded
//! as it comes, and tried once.

use bytes::Bytes;
use http::Method;
use pingora_core::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session;

use super::head::content_length;
use super::{Carried, PingoraCarrier, body};
use crate::error::Refusal;
use crate::exchange::Exchange;

/// For a lone server's second try: a longer body is sent on a fresh connection, as it comes.
const LONE_BYTES_MAX: u64 = 1 << 20;

impl PingoraCarrier {
    /// Reads a body whose length was announced, where another server may get it, or the same one again.
    pub(super) async fn read_ahead(&self, session: &mut Session, carried: &mut Carried) -> Result<Result<(), Refusal>> {
        let exchange = carried.exchange()?;
        let least = if exchange.is_mirrored() {
            1
        } else {
            body::RETRY_BUFFER_BYTES + 1
        };
        let most = if exchange.has_choice() {
            u64::MAX
        } else {
            LONE_BYTES_MAX
        };
        let length = content_length(session.req_header()).filter(|length| (least..=most).contains(length));
        let portion = length
            .and_then(|length| usize::try_from(length).ok())
            .filter(|_| carried.body.is_none())
            .and_then(|length| self.kept.take(length));
        if portion.is_none() {
            return Ok(Ok(()));
        }
        let bytes_max = self.plane.bounds.body_bytes_max;
        let body = match body::read_whole(session.as_downstream_mut(), bytes_max).await? {
            Ok(body) => body,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Err(refusal) = carried.exchange()?.request_chunk(&body) {
            return Ok(Err(refusal));
        }
        carried.body = Some(body).filter(|body| !body.is_empty());
        carried.kept = portion;
        Ok(Ok(()))
    }

    /// Sends copies of a request that is about to be sent, where its service wants them and all of it is here.
    pub(super) fn mirror(&self, request: &RequestHeader, exchange: &mut Exchange, body: Option<&Bytes>) {
        let mirrors = exchange.take_mirrors();
        let is_whole = body.is_some() || (content_length(request).unwrap_or(0) == 0 && !may_bring(&request.method));
        if !mirrors.is_empty() && is_whole && request.headers.contains_key(http::header::HOST) {
            let body = body.map(|body| &**body).unwrap_or_default();
            let copies = &self.plane.copies;
            copies.send(mirrors, self.plane.timeouts.connect, &wire(request), body);
        }
    }
}

/// HTTP/2 need not announce a body.
fn may_bring(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

/// A request's head as HTTP/1.1 has it.
fn wire(request: &RequestHeader) -> Vec<u8> {
    let mut wire = request.method.as_str().as_bytes().to_vec();
    wire.push(b' ');
    wire.extend_from_slice(request.raw_path());
    wire.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in &request.headers {
        wire.extend_from_slice(name.as_str().as_bytes());
        wire.extend_from_slice(b": ");
        wire.extend_from_slice(value.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"\r\n");
    wire
}
