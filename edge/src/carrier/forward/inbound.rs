//! A request's body on its way in: where it ends, which of the client's bytes are payload, and how long they may take.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::chunks::Chunks;
use super::client::Client;
use super::pace::Pace;
use crate::carrier::discard::{LINGER_BYTES_MAX, SMALL_BYTES_MAX, TIME_MAX};

/// How the client says where its body ends.
#[derive(Debug)]
pub(super) enum Framing {
    None,
    /// What is left of it.
    Length(u64),
    Chunked(Chunks),
}

/// Unless the configuration says otherwise.
const WINDOW: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Inbound {
    framing: Framing,
    /// The client sends nothing before it is told to go on.
    awaits_continue: bool,
    pace: Pace,
}

/// Why no more of a body comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    ClientGone,
    Malformed,
    TooSlow,
}

impl Inbound {
    pub(super) fn new(framing: Framing, awaits_continue: bool) -> Self {
        Self {
            framing,
            awaits_continue,
            pace: Pace::new(WINDOW),
        }
    }

    /// A client brings a little of its body in each window of this length, or it is let go.
    pub(super) fn within(&mut self, window: Duration) {
        self.pace = Pace::new(window);
    }

    /// A body that was read to its end, or never was.
    pub(super) fn none() -> Self {
        Self::new(Framing::None, false)
    }

    pub(super) fn framing(&self) -> &Framing {
        &self.framing
    }

    pub(super) fn is_done(&self) -> bool {
        match &self.framing {
            Framing::None | Framing::Length(0) => true,
            Framing::Length(_) => false,
            Framing::Chunked(chunks) => chunks.is_done(),
        }
    }

    /// So much of an announced body was read. True at its end.
    pub(super) fn advance(&mut self, bytes: usize) -> bool {
        self.pace.note(bytes);
        if let Framing::Length(left) = &mut self.framing {
            *left = left.saturating_sub(bytes as u64);
        }
        self.is_done()
    }

    /// Hands the payload among `bytes` to `sink`. Returns how many of the bytes belong to this body.
    pub(super) fn feed(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Result<usize, BodyError> {
        self.pace.note(bytes.len());
        match &mut self.framing {
            Framing::None => Ok(0),
            Framing::Length(left) => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                sink(&bytes[..taken]);
                Ok(taken)
            }
            Framing::Chunked(chunks) => chunks.feed(bytes, sink).map_err(|_| BodyError::Malformed),
        }
    }

    /// While nothing comes: ready when the client was too slow.
    pub(super) fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        self.pace.poll_too_slow(cx).map(|()| BodyError::TooSlow)
    }

    /// Nothing was read of it since `then`, whatever the client sent.
    pub(super) fn was_not_read_since(&mut self, then: Instant) {
        self.pace.waited_for_us(then);
    }

    /// Tells a client that waits to be told that its body is wanted.
    pub(super) async fn invite(&mut self, client: &mut Client) -> Result<(), BodyError> {
        let waits = std::mem::take(&mut self.awaits_continue) && client.unread.is_empty() && !self.is_done();
        if !waits {
            return Ok(());
        }
        let told = Box::pin(client.send(b"HTTP/1.1 100 Continue\r\n\r\n")).await;
        told.map_err(|_| BodyError::ClientGone)
    }

    /// What of the body has come already.
    pub(super) fn feed_unread(&mut self, client: &mut Client, sink: impl FnMut(&[u8])) -> Result<(), BodyError> {
        let taken = self.feed(&client.unread, sink)?;
        client.has_read(taken);
        Ok(())
    }

    /// Waits for more of it.
    async fn more(&mut self, client: &mut Client, mut sink: impl FnMut(&[u8])) -> Result<(), BodyError> {
        self.feed_unread(client, &mut sink)?;
        if self.is_done() {
            return Ok(());
        }
        debug_assert!(client.unread.is_empty(), "what was read before comes before");
        let read = poll_fn(|cx| match client.poll_read(cx) {
            Poll::Ready(read) => Poll::Ready(read.map_err(|_| BodyError::ClientGone)),
            Poll::Pending => self.poll_too_slow(cx).map(Err),
        });
        let filled = read.await?;
        if filled.bytes().is_empty() {
            return Err(BodyError::ClientGone);
        }
        let taken = self.feed(filled.bytes(), sink)?;
        client.keep_unread(&filled.bytes()[taken..]);
        Ok(())
    }

    /// The whole body, or why it is not taken.
    pub(super) async fn read_whole(&mut self, client: &mut Client, bytes_max: u64) -> Result<Bytes, WholeError> {
        self.invite(client).await.map_err(WholeError::Body)?;
        let mut body = BytesMut::new();
        while !self.is_done() {
            self.more(client, |piece| body.extend_from_slice(piece))
                .await
                .map_err(WholeError::Body)?;
            if body.len() as u64 > bytes_max {
                return Err(WholeError::TooLarge);
            }
        }
        Ok(body.freeze())
    }

    /// Reads what is left of a small announced body. False where it is not small, not announced, or does not come.
    pub(super) async fn discard_small(&mut self, client: &mut Client) -> bool {
        match self.framing {
            Framing::Length(left) if left > SMALL_BYTES_MAX => false,
            Framing::Chunked(_) if !self.is_done() => false,
            _ => !self.awaits_continue && self.discard(client, SMALL_BYTES_MAX).await,
        }
    }

    /// After a last answer, so that it is not lost to a client that is still sending.
    pub(super) async fn linger(&mut self, client: &mut Client) {
        let _ = self.discard(client, LINGER_BYTES_MAX).await;
    }

    async fn discard(&mut self, client: &mut Client, bytes_max: u64) -> bool {
        if self.is_done() {
            return true;
        }
        let read = async {
            let mut bytes = 0;
            while !self.is_done() && bytes <= bytes_max {
                if self.more(client, |piece| bytes += piece.len() as u64).await.is_err() {
                    return false;
                }
            }
            self.is_done()
        };
        tokio::time::timeout(TIME_MAX, read).await.unwrap_or(false)
    }
}

#[derive(Debug)]
pub(super) enum WholeError {
    Body(BodyError),
    TooLarge,
}
