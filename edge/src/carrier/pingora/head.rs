//! A request's head as an exchange sees it, from a session that has read one.

use std::net::{Ipv4Addr, SocketAddr};

use http::header;
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;
use pingora_http::{RequestHeader, ResponseHeader};

use crate::exchange::Head;
use crate::limits::standing::Standing;
use crate::rewrite::is_event_stream;

/// Calls `with` with the session's head.
pub(super) fn of<T>(session: &ServerSession, tls: bool, with: impl FnOnce(&Head<'_>) -> T) -> T {
    let request = session.req_header();
    let raw = session.to_h1_raw();
    with(&Head {
        client: client_address(session),
        tls,
        method: &request.method,
        target: raw_target(&raw).unwrap_or_else(|| request.raw_path()),
        headers: &request.headers,
        content_length: content_length(request),
    })
}

pub(super) fn content_length(request: &RequestHeader) -> Option<u64> {
    request.headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

pub(super) fn expects_continue(request: &RequestHeader) -> bool {
    let expect = request.headers.get(header::EXPECT);
    expect.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether the request asks for a WebSocket. No other upgrade is passed on: what is upgraded is a tunnel, and one that
/// speaks HTTP (`h2c`) would carry requests past every rule.
pub(super) fn asks_for_websocket(request: &RequestHeader) -> bool {
    let mut protocols = request.headers.get_all(header::UPGRADE).iter();
    let only = protocols.next().filter(|_| protocols.next().is_none());
    only.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// What the key has left, in place of what the server's own client has.
pub(super) fn set_standing(standing: &Standing, head: &mut ResponseHeader) -> Result<()> {
    let names = head
        .headers
        .keys()
        .filter(|name| Standing::owns(name.as_str().as_bytes()));
    for name in names.cloned().collect::<Vec<_>>() {
        head.remove_header(&name);
    }
    let mut set = Ok(());
    standing.each(|name, value| {
        if set.is_ok() {
            set = head.insert_header(name, value);
        }
    });
    set
}

/// An event stream that can be read.
pub(super) fn is_plain_stream(head: &ResponseHeader) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| is_event_stream(kind.as_bytes())) && !head.headers.contains_key(header::CONTENT_ENCODING)
}

/// Its length is not known any more.
pub(super) fn unmeasured(head: &mut ResponseHeader) -> Result<()> {
    if head.remove_header(&header::CONTENT_LENGTH).is_some() {
        head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    Ok(())
}

/// The request target as it came: pingora drops a fragment, which we refuse.
fn raw_target(raw_head: &[u8]) -> Option<&[u8]> {
    let line = raw_head
        .split(|&byte| byte == b'\r' || byte == b'\n')
        .find(|line| !line.is_empty())?;
    line.split(|&byte| byte == b' ')
        .nth(1)
        .filter(|target| !target.is_empty())
}

fn client_address(session: &ServerSession) -> SocketAddr {
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    session
        .client_addr()
        .and_then(|address| address.as_inet().copied())
        .unwrap_or(unknown)
}
