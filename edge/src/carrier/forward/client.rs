//! A client's connection: the stream, and what was read of it before its time.

use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use super::scratch::{self, Filled};
use crate::tls::Wire;

/// What a client may send ahead of the answer it waits for. Beyond it the stream is no longer read, and a client that
/// goes is noticed when it is next written to.
const PIPELINED_BYTES_MAX: usize = 64 * 1024;

pub(super) struct Client {
    pub(super) stream: Wire,
    pub(super) address: SocketAddr,
    /// Of the request being served.
    pub(super) terms: Terms,
    /// Read and not consumed: the rest of a head's piece, or the start of the next request.
    pub(super) unread: Bytes,
    /// When it last had an answer.
    pub(super) active_at: Instant,
    /// It is waited for so long to take anything of its answer.
    patience: Duration,
    /// Its answer broke off, and must not look as if it had ended.
    pub(super) is_cut: bool,
}

/// There is nobody left to answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone;

/// What of the request the answer's form depends on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Terms {
    pub(super) keep_alive: bool,
    pub(super) is_http_10: bool,
    pub(super) is_head: bool,
    /// What comes behind a chunked body is told from what only a head may say: it is a stream of HTTP/2 that asked for it.
    pub(super) takes_trailers: bool,
}

impl Client {
    pub(super) fn new(stream: Wire, address: SocketAddr, patience: Duration) -> Self {
        Self {
            stream,
            address,
            terms: Terms::default(),
            unread: Bytes::new(),
            active_at: Instant::now(),
            patience,
            is_cut: false,
        }
    }

    /// All of it, now: a token that waits in a buffer is a late token.
    ///
    /// # Errors
    /// Where it has gone, or takes nothing for longer than its patience: what is sent to it waits in the server, which
    /// could generate for somebody who listens.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        loop {
            match self.stream.try_send(&mut left) {
                Ok(()) => return Ok(()),
                // Boxed: a timer is larger than all else that a stream waits with, and few clients are waited for.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Box::pin(self.takes_more()).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn takes_more(&mut self) -> io::Result<()> {
        let patience = self.patience;
        let writable = tokio::time::timeout(patience, self.stream.writable());
        writable.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Filled>> {
        scratch::poll_read(&mut self.stream, cx)
    }

    /// Reads once, behind what is in `target`; no more than `bytes_max`. 0 once the client has closed.
    pub(super) fn poll_read_into(
        &mut self,
        target: &mut Vec<u8>,
        bytes_max: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        target.reserve(bytes_max);
        let mut target = target.limit(bytes_max);
        // Nothing is lost where it is dropped unfinished.
        pin!(self.stream.read_buf(&mut target)).poll(cx)
    }

    /// Puts bytes that came behind those that are unread.
    pub(super) fn keep_unread(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.unread.is_empty() {
            self.unread = Bytes::copy_from_slice(bytes);
        } else {
            let mut all = BytesMut::from(std::mem::take(&mut self.unread));
            all.extend_from_slice(bytes);
            self.unread = all.freeze();
        }
    }

    /// So many of the bytes that were unread are read. With the last of them goes their buffer: a rest of no bytes would
    /// hold a prompt's for as long as its answer lasts.
    pub(super) fn has_read(&mut self, bytes: usize) {
        if bytes == self.unread.len() {
            self.unread = Bytes::new();
        } else {
            self.unread.advance(bytes);
        }
    }

    /// Waits, unless the client goes.
    pub(super) async fn pause(&mut self, pause: Duration) -> Result<(), Gone> {
        let gone = poll_fn(|cx| self.poll_gone(cx));
        match tokio::time::timeout(pause, gone).await {
            Ok(()) => Err(Gone),
            Err(_) => Ok(()),
        }
    }

    /// Ready once the client has gone. What it sends meanwhile is the start of its next request.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.unread.len() < PIPELINED_BYTES_MAX {
            let mut piece = [0; 512];
            let mut target = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.stream).poll_read(cx, &mut target) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !target.filled().is_empty() => self.keep_unread(target.filled()),
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }
}

impl Terms {
    /// The `Connection` line that the answer needs, if any.
    pub(super) fn connection_line(self) -> &'static [u8] {
        match (self.keep_alive, self.is_http_10) {
            (true, false) => b"",
            (true, true) => b"Connection: keep-alive\r\n",
            (false, _) => b"Connection: close\r\n",
        }
    }
}
