//! HTTP/1.1 on one socket: requests in, responses out, and whether the client is still there. Owns the bytes and
//! carries out what a fault does to them; knows no endpoint. One socket serves one request at a time.

mod request;
mod response;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::fault::{Cut, Faults, Hang};

pub(crate) use request::{ReadError, Request};
pub(crate) use response::Head;

/// Bytes read ahead of a running response (a pipelining client); beyond it the socket is left unread.
const READ_AHEAD_BYTES_MAX: usize = 64 << 10;

/// The connection is over, by the client's doing or a fault's: whatever was going on for it must end.
#[derive(Debug)]
pub(crate) struct Gone;

/// When it is looked whether the client is still there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watch {
    /// At once, as for a stream.
    Always,
    /// At each multiple of `every` since `since`, as for an answer in one piece.
    Polled { since: Instant, every: Duration },
}

pub(crate) struct Conn {
    stream: TcpStream,
    inbound: BytesMut,
    outbound: Vec<u8>,
    /// The fault that the current request met.
    fault: Option<Arc<Faults>>,
    sent_bytes: u64,
    /// The client has gone, but what it asked for goes on without it: nothing is written any more.
    muted: bool,
    closed_at: Option<Instant>,
    chunked: bool,
}

impl Conn {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Tokens are small and each matters at once; a failure only costs time.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            inbound: BytesMut::new(),
            outbound: Vec::new(),
            fault: None,
            sent_bytes: 0,
            muted: false,
            closed_at: None,
            chunked: false,
        }
    }

    /// Begins a response under this fault.
    pub(crate) fn set_fault(&mut self, fault: Option<Arc<Faults>>) {
        self.fault = fault;
        self.sent_bytes = 0;
    }

    pub(crate) fn hangs(&self, at: Hang) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.hang == Some(at))
    }

    /// From now on the client is not looked for and nothing is sent.
    pub(crate) fn mute(&mut self) {
        self.muted = true;
        self.closed_at = None;
    }

    /// Resolves when the client has closed its side. The real server takes a half-closed client for a gone one, too.
    pub(crate) async fn gone(&mut self, watch: Watch) -> Gone {
        // Remembered, so that waits which begin anew with each token agree on the poll that notices it.
        let closed_at = match self.closed_at {
            Some(at) => at,
            None => {
                self.closed().await;
                *self.closed_at.insert(Instant::now())
            }
        };
        if let Watch::Polled { since, every } = watch
            && !every.is_zero()
        {
            let polls = closed_at.duration_since(since).as_nanos() / every.as_nanos() + 1;
            tokio::time::sleep_until(since + every * u32::try_from(polls).unwrap_or(u32::MAX)).await;
        }
        Gone
    }

    async fn closed(&mut self) {
        if self.muted {
            std::future::pending::<()>().await;
        }
        loop {
            if self.inbound.len() >= READ_AHEAD_BYTES_MAX {
                std::future::pending::<()>().await;
            }
            match self.stream.read_buf(&mut self.inbound).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// Lets time pass while the client stays.
    pub(crate) async fn wait(&mut self, until: Instant, watch: Watch) -> Result<(), Gone> {
        if until <= Instant::now() {
            return Ok(());
        }
        tokio::select! {
            biased;
            gone = self.gone(watch) => Err(gone),
            () = tokio::time::sleep_until(until) => Ok(()),
        }
    }

    /// Ends the connection if the fault says that it ends after so many tokens.
    pub(crate) fn cut_after_tokens(&mut self, tokens: u64) -> Result<(), Gone> {
        match self.fault.as_ref().and_then(|fault| fault.cut) {
            Some(Cut::Tokens(at)) if tokens >= at => Err(self.cut()),
            _ => Ok(()),
        }
    }

    async fn send_outbound(&mut self) -> Result<(), Gone> {
        let bytes = std::mem::take(&mut self.outbound);
        let sent = self.send(&bytes).await;
        // The buffer is kept for the next chunk, unless a big body has blown it up.
        if bytes.capacity() <= 4096 {
            self.outbound = bytes;
            self.outbound.clear();
        }
        sent
    }

    async fn send(&mut self, mut bytes: &[u8]) -> Result<(), Gone> {
        if self.muted {
            return Ok(());
        }
        let mut cut = false;
        if let Some(fault) = self.fault.clone() {
            if let Some(delay) = fault.slow {
                self.wait(Instant::now() + delay, Watch::Always).await?;
            }
            if let Some(Cut::Bytes(at)) = fault.cut {
                let left = usize::try_from(at - self.sent_bytes).unwrap_or(usize::MAX);
                cut = bytes.len() >= left;
                bytes = &bytes[..bytes.len().min(left)];
            }
        }
        self.sent_bytes += bytes.len() as u64;
        self.stream.write_all(bytes).await.map_err(|_| Gone)?;
        if cut { Err(self.cut()) } else { Ok(()) }
    }

    pub(crate) fn cut(&mut self) -> Gone {
        if self.fault.as_ref().is_some_and(|fault| fault.reset) {
            let _ = self.stream.set_zero_linger();
        }
        Gone
    }
}
