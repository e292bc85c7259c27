//! Servers that are spoken to in HTTP/2, by a carrier that speaks HTTP/1.1.
//!
//! ```text
//!  Outgoing ──▶ Connection ═ a pipe in memory ═▶ HTTP/1.1 ─▶ stream ─┐
//!  Outgoing ──▶ Connection ═════════════════════▶ HTTP/1.1 ─▶ stream ─┴▶ one connection of HTTP/2 ──▶ server
//! ```
//!
//! Each exchange has a pipe of its own, whose far end is read as a server would read it and becomes a stream; streams to
//! one server share a connection. So what holds for connections holds for streams: one that is dropped is reset at
//! once. It costs a copy and a second parse; servers of HTTP/1.1 do not pay for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

/// What a pipe holds in each direction: an answer is read in pieces of 32 KiB.
const PIPE_BYTES: usize = 32 << 10;

/// A connection that carried nothing for so long is not used again.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// A connection whose server does not answer a ping within the second time is given up.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_PATIENCE: Duration = Duration::from_secs(10);

/// For one stream, and for all of a connection: a model's answers are small, and pictures are not.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const WINDOW_BYTES: u32 = 4 << 20;

/// Which connection-bound headers HTTP/2 does not have (RFC 9113, 8.2.2).
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// How a call ended.
const GRPC_TRAILERS: &str = "grpc-status, grpc-message, grpc-status-details-bin";

/// Connections of HTTP/2 by where they lead.
pub(super) struct Shared<P> {
    open: Mutex<HashMap<P, Open>>,
}

struct Open {
    sender: SendRequest<Incoming>,
    used: Instant,
}

impl<P: Eq + Hash> Shared<P> {
    pub(super) fn new() -> Self {
        Self { open: Mutex::default() }
    }

    /// One that is there and alive, as far as can be told.
    pub(super) fn get(&self, place: &P, now: Instant) -> Option<SendRequest<Incoming>> {
        let mut all = self.open.lock();
        all.retain(|_, open| !open.sender.is_closed() && now.saturating_duration_since(open.used) < IDLE_MAX);
        let open = all.get_mut(place)?;
        open.used = now;
        Some(open.sender.clone())
    }

    /// Others may use it too. Where two were opened at once, the later one is kept and the other ends with its streams.
    pub(super) fn put(&self, place: P, sender: SendRequest<Incoming>, now: Instant) {
        self.open.lock().insert(place, Open { sender, used: now });
    }
}

/// Begins HTTP/2 on a connection. It ends when nobody can send on it any more and its last stream has ended.
pub(super) async fn begin(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> io::Result<SendRequest<Incoming>> {
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(hyper_util::rt::TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        .handshake(TokioIo::new(io))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a server's connection of HTTP/2 ended");
        }
    });
    Ok(sender)
}

/// A pipe on which one request is sent as by HTTP/1.1 and answered so. Dropping it resets the stream.
pub(super) fn pipe(sender: SendRequest<Incoming>, tls: bool) -> DuplexStream {
    let (ours, far) = tokio::io::duplex(PIPE_BYTES);
    let serve = service_fn(move |request| {
        let mut sender = sender.clone();
        async move {
            let request = translated(request, tls)?;
            let takes_trailers = request.headers().contains_key(TE);
            sender.ready().await.map_err(io::Error::other)?;
            let answer = sender.send_request(request).await.map_err(io::Error::other)?;
            io::Result::Ok(answered(answer, takes_trailers))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .auto_date_header(false)
        .keep_alive(false)
        .max_headers(256)
        .serve_connection(TokioIo::new(far), serve);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a stream to a server ended early");
        }
    });
    ours
}

/// The same request as HTTP/2 says it.
fn translated(request: Request<Incoming>, tls: bool) -> io::Result<Request<Incoming>> {
    let (mut head, body) = request.into_parts();
    let host = head.headers.remove(HOST).ok_or(io::ErrorKind::InvalidInput)?;
    let authority = Authority::try_from(host.as_bytes()).map_err(io::Error::other)?;
    let mut uri = head.uri.into_parts();
    uri.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(authority);
    head.uri = Uri::from_parts(uri).map_err(io::Error::other)?;
    head.version = Version::HTTP_2;
    let takes_trailers = head
        .headers
        .get(TE)
        .is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    without_hops(&mut head.headers);
    head.headers.remove(TE);
    if takes_trailers {
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(Request::from_parts(head, body))
}

fn answered(answer: Response<Incoming>, takes_trailers: bool) -> Response<Incoming> {
    let (mut head, body) = answer.into_parts();
    // What switches protocols has no place in HTTP/2.
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        head.status = StatusCode::BAD_GATEWAY;
    }
    head.version = Version::HTTP_11;
    without_hops(&mut head.headers);
    if takes_trailers {
        announce_trailers(&mut head.headers);
    }
    Response::from_parts(head, body)
}

/// With HTTP/1.1 only trailers that the head names are sent; gRPC names none.
fn announce_trailers(headers: &mut HeaderMap) {
    let kind = headers.get(CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        headers.append(TRAILER, HeaderValue::from_static(GRPC_TRAILERS));
    }
}

fn without_hops(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
