//! HTTP/2 connections: TLS is done, and pingora-proxy carries their streams.

use std::io;
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::apps::ServerApp as _;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use pingora_core::server::ShutdownWatch;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Downstream;

/// How every client begins (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) struct Http2 {
    app: Arc<Downstream>,
    stopping: ShutdownWatch,
}

impl Http2 {
    pub(crate) fn new(app: Downstream, stopping: ShutdownWatch) -> Self {
        let app = Arc::new(app);
        Self { app, stopping }
    }

    /// Serves a connection to its end. Its first bytes must come in time; pingora would wait for them for ever.
    pub(crate) async fn serve(&self, mut stream: Box<TlsStream<TcpStream>>, within: Duration) {
        let mut preface = [0; PREFACE.len()];
        let read = tokio::time::timeout(within, stream.read_exact(&mut preface)).await;
        if !matches!(read, Ok(Ok(_))) || preface != *PREFACE {
            return;
        }
        let digest = Arc::new(SocketDigest::from_raw_fd(stream.get_ref().0.as_raw_fd()));
        let secured = Secured {
            stream,
            preface_left: PREFACE,
            digest,
        };
        // Nothing comes back: an HTTP/2 connection is used to its end.
        let _ = self.app.process_new(Box::new(secured), &self.stopping).await;
    }
}

/// A client's stream as pingora wants it, with what was read of it before.
#[derive(Debug)]
struct Secured {
    stream: Box<TlsStream<TcpStream>>,
    preface_left: &'static [u8],
    digest: Arc<SocketDigest>,
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.preface_left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let (now, later) = self.preface_left.split_at(self.preface_left.len().min(buf.remaining()));
        buf.put_slice(now);
        self.preface_left = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Secured {
    async fn shutdown(&mut self) {
        let _ = self.stream.shutdown().await;
    }
}

impl UniqueID for Secured {
    fn id(&self) -> i32 {
        self.stream.get_ref().0.as_raw_fd()
    }
}

impl Ssl for Secured {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(ALPN::H2)
    }
}

impl GetTimingDigest for Secured {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Secured {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Secured {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.digest.clone())
    }
}

impl Peek for Secured {}
