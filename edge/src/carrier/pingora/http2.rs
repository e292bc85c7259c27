//! HTTP/2 connections, TLS done or never begun: pingora-proxy carries their streams.

use std::io;
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use pingora_core::apps::ServerApp as _;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use pingora_core::server::ShutdownWatch;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::Downstream;
use crate::tls::Wire;

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

    /// Whether this is how a client of HTTP/2 begins, as far as it goes: far enough to be no request of HTTP/1.1.
    pub(crate) fn is_begun(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PRI * HTTP/2") && bytes.iter().zip(PREFACE).all(|(a, b)| a == b)
    }

    /// Serves a connection to its end, of which `unread` came before. Its first bytes must come in time; pingora would
    /// wait for them for ever.
    pub(crate) async fn serve(&self, mut stream: Wire, unread: Bytes, within: Duration) {
        let mut begun = BytesMut::from(unread);
        let read = async {
            while begun.len() < PREFACE.len() {
                if stream.read_buf(&mut begun).await.unwrap_or(0) == 0 {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(within, read).await;
        if !begun.starts_with(PREFACE) {
            return;
        }
        let digest = Arc::new(SocketDigest::from_raw_fd(stream.socket().as_raw_fd()));
        let carried = Carried {
            stream,
            unread: begun.freeze(),
            digest,
        };
        // Nothing comes back: an HTTP/2 connection is used to its end.
        let _ = self.app.process_new(Box::new(carried), &self.stopping).await;
    }
}

/// A client's stream as pingora wants it, with what was read of it before.
#[derive(Debug)]
struct Carried {
    stream: Wire,
    unread: Bytes,
    digest: Arc<SocketDigest>,
}

impl AsyncRead for Carried {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let now = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread.split_to(now));
        if self.unread.is_empty() {
            self.unread = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carried {
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
impl Shutdown for Carried {
    async fn shutdown(&mut self) {
        let _ = self.stream.shutdown().await;
    }
}

impl UniqueID for Carried {
    fn id(&self) -> i32 {
        self.stream.socket().as_raw_fd()
    }
}

impl Ssl for Carried {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(ALPN::H2)
    }
}

impl GetTimingDigest for Carried {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Carried {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Carried {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.digest.clone())
    }
}

impl Peek for Carried {}
