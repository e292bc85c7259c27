//! How HTTP/2 begins, and a stream of which something was read before.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::tls::Wire;

/// How every client begins (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether this is how a client of HTTP/2 begins, as far as it goes: far enough to be no request of HTTP/1.1.
pub(in crate::carrier::forward) fn is_begun(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PRI * HTTP/2") && bytes.iter().zip(PREFACE).all(|(a, b)| a == b)
}

/// Reads the first bytes, which must come in time. `None`: they did not, or are others.
pub(super) async fn read(mut stream: Wire, unread: Bytes, within: Duration) -> Option<Begun> {
    let mut begun = BytesMut::from(unread);
    let read = async {
        while begun.len() < PREFACE.len() {
            if stream.read_buf(&mut begun).await.unwrap_or(0) == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(within, read).await;
    begun.starts_with(PREFACE).then(|| Begun {
        stream,
        unread: begun.freeze(),
    })
}

/// A client's stream from its first byte on.
pub(super) struct Begun {
    stream: Wire,
    unread: Bytes,
}

impl AsyncRead for Begun {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let now = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread.split_to(now));
        if self.unread.is_empty() {
            // An empty rest would keep its buffer for as long as the connection lives.
            self.unread = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Begun {
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
