//! The listener: accepts, bounds, serves HTTP/1.1, and ends within the drain time-out.
//!
//! Owns every connection: at most [`ServerBounds::connections_max`] at once (more wait in the kernel's backlog), a
//! head must arrive in time, an answer must be read, and a stop lets each exchange finish before what is left is cut.

mod stall;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::stall::StallGuard;
use crate::config::ServerBounds;
use crate::gateway::Peer;
use crate::tasks::Stop;

/// After a failed accept (no file descriptors left, as a rule) a moment passes, so that the loop does not spin.
const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What a request's head may take: llama-server's clients send a few hundred bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How often a drain looks whether a model is still answering.
const WORK_LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Whether a model is answering somebody.
pub(crate) type IsWorking = Box<dyn Fn() -> bool + Send + Sync>;

pub(crate) async fn run(
    listener: TcpListener,
    router: Router,
    bounds: ServerBounds,
    mut stop: Stop,
    is_working: IsWorking,
) {
    let slots = Arc::new(Semaphore::new(bounds.connections_max));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            () = stop.requested() => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            stream = accept(&listener, &slots) => stream,
        };
        connections.spawn(connection(stream, router.clone(), bounds, stop.clone()));
    }
    drop(listener);
    drain(connections, bounds, is_working).await;
}

/// A connection and the slot it fills until it is dropped.
type Admitted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// Cancel-safe: a slot taken by an accept that never came is given back.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Admitted {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, slot),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
            }
        }
    }
}

async fn connection((stream, peer, _slot): Admitted, router: Router, bounds: ServerBounds, mut stop: Stop) {
    // Answers are written whole; waiting to fill a segment only adds latency.
    let _ = stream.set_nodelay(true);
    let stream = StallGuard::new(stream, bounds.stall_timeout);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        router.call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head_timeout)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that goes away or sends no HTTP is its own affair.
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn drain(mut connections: JoinSet<()>, bounds: ServerBounds, is_working: IsWorking) {
    let began = tokio::time::Instant::now();
    let mut deadline = began + bounds.drain_timeout;
    loop {
        match tokio::time::timeout_at(deadline, connections.join_next()).await {
            Ok(Some(ended)) => report(ended),
            Ok(None) => break,
            Err(_) if is_working() && began.elapsed() < bounds.answer_drain_timeout => {
                deadline = tokio::time::Instant::now() + WORK_LOOK_INTERVAL;
            }
            Err(_) => break,
        }
    }
    if !connections.is_empty() {
        tracing::warn!(
            connections = connections.len(),
            "connections were cut at the end of the drain time-out"
        );
    }
    connections.shutdown().await;
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended abnormally");
    }
}
