//! Clients that speak HTTP/2, TLS done or never begun, before a carrier that speaks HTTP/1.1.
//!
//! ```text
//!  client ══ one connection ══╦══ stream ─▶ HTTP/1.1 ═ a pipe in memory ═▶ session ─▶ exchange
//!                             ╚══ stream ─▶ HTTP/1.1 ═ a pipe in memory ═▶ session ─▶ exchange
//! ```
//!
//! Each stream is a connection of its own to the session, which reads one request from it. So whatever holds for a
//! client of HTTP/1.1 holds for a stream, because it is the same code: bounds, waiting, retries, comments, the end of one
//! who leaves. It costs a copy and a second parse, which clients of HTTP/1.1 do not pay.
//!
//! Owned here: the connection, how many streams it has, and when it ends. What a stream says is [`said`]'s, and
//! whether its answer is taken [`taken`]'s.

mod begun;
mod said;
mod taken;

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Forwarder, session};
use crate::tls::Wire;
pub(super) use begun::is_begun;
use said::Answer;
use taken::Patient;

/// At a time, of one connection. An SDK's pool opens another beyond it.
const STREAMS_MAX: u32 = 100;

/// Without a stream for so long, a connection is let go, as one of HTTP/1.1 is.
const IDLE_MAX: Duration = Duration::from_secs(75);

/// A client answers a farewell within its round trip: what it has just sent is still served.
const FAREWELL: Duration = Duration::from_secs(1);

/// A client whose machine has vanished is noticed by a ping that it does not answer: its streams end, and with them what
/// is generated for nobody.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(20);

/// What may be on its way to us unread: of one stream, and of a connection.
const STREAM_WINDOW_BYTES: u32 = 128 << 10;
const WINDOW_BYTES: u32 = 1 << 20;

/// What of one stream's answer may wait for its client, besides what the pipe holds.
const SEND_BYTES_MAX: usize = 64 << 10;

/// What a pipe holds in each direction: an answer is read in pieces of 32 KiB.
const PIPE_BYTES: usize = 32 << 10;

/// Serves a connection to its end, of which `unread` came before. Boxed: a session may come to this, and this begins
/// sessions.
pub(super) fn serve(
    forwarder: Arc<Forwarder>,
    stream: Wire,
    unread: Bytes,
    address: SocketAddr,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(serve_streams(forwarder, stream, unread, address))
}

async fn serve_streams(forwarder: Arc<Forwarder>, stream: Wire, unread: Bytes, address: SocketAddr) {
    let (plane, bounds) = (forwarder.plane.clone(), &forwarder.plane.bounds.head);
    let Some(begun) = begun::read(stream, unread, plane.timeouts.head).await else {
        return;
    };
    let mut builder = Builder::new(Patient(plane.timeouts.client));
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(Some(STREAMS_MAX))
        .max_header_list_size(u32::try_from(bounds.bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE);
    let open = Arc::new(Open::new());
    let streams = open.clone();
    let service = service_fn(move |request| {
        let (forwarder, here) = (forwarder.clone(), streams.enter());
        async move { one(forwarder, request, address, here).await }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(begun), service));
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        () = open.is_idle(IDLE_MAX) => {}
        () = plane.stop.wait() => {}
    }
    // No further streams, and those that are there to their ends.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection.as_mut() => note(ended),
        // Who does not answer the farewell, and has had time enough to take the end of what it was last sent.
        () = async {
            tokio::time::sleep(FAREWELL).await;
            open.is_idle(plane.timeouts.head).await;
        } => {}
    }
}

fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection of HTTP/2 ended");
    }
}

/// One stream: a request, as a session reads it, and what the session answers.
async fn one(
    forwarder: Arc<Forwarder>,
    request: Request<Incoming>,
    address: SocketAddr,
    here: Here,
) -> Result<Response<Answer>, hyper::Error> {
    let (ours, far) = tokio::io::duplex(PIPE_BYTES);
    // It ends with the pipe, whose near end goes with the stream.
    tokio::spawn(session::run(forwarder, Wire::Pipe(Box::new(far)), address, None));
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_headers(said::HEADERS_MAX)
        .handshake(TokioIo::new(ours))
        .await?;
    let pipe = Pipe(tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a stream ended early");
        }
    }));
    let answer = sender.send_request(said::as_http_1(request)).await?;
    Ok(said::as_http_2(answer, (pipe, here)))
}

/// The near end of a stream's pipe. With it goes the session's client.
struct Pipe(JoinHandle<()>);

impl Drop for Pipe {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How many streams a connection has, and since when it has none.
struct Open {
    begun: Instant,
    streams: AtomicUsize,
    quiet_since_ms: AtomicU64,
}

impl Open {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            streams: AtomicUsize::new(0),
            quiet_since_ms: AtomicU64::new(0),
        }
    }

    fn enter(self: &Arc<Self>) -> Here {
        self.streams.fetch_add(1, Ordering::AcqRel);
        Here(self.clone())
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns once there has been no stream for so long.
    async fn is_idle(&self, most: Duration) {
        loop {
            let quiet_ms = self
                .now_ms()
                .saturating_sub(self.quiet_since_ms.load(Ordering::Acquire));
            let quiet = match self.streams.load(Ordering::Acquire) {
                0 => Duration::from_millis(quiet_ms),
                _ => Duration::ZERO,
            };
            if quiet >= most {
                return;
            }
            tokio::time::sleep(most - quiet).await;
        }
    }
}

/// Counts one stream for as long as it lives.
struct Here(Arc<Open>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.quiet_since_ms.store(self.0.now_ms(), Ordering::Release);
        self.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Duration = Duration::from_secs(75);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_so_long_after_its_last_stream() {
        let open = Arc::new(Open::new());
        let begun = Instant::now();
        let streams = open.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(70)).await;
            let (one, another) = (streams.enter(), streams.enter());
            tokio::time::sleep(Duration::from_secs(200)).await;
            drop(one);
            tokio::time::sleep(Duration::from_secs(30)).await;
            drop(another);
        });
        open.is_idle(MOST).await;
        let idle = begun.elapsed().saturating_sub(Duration::from_secs(300));
        assert!(idle >= MOST && idle < MOST + Duration::from_millis(10), "{idle:?}");
    }
}
