//! A server's answer until its body begins: waited for, and read. What its head says is [`head`]'s.

mod head;
mod stated;

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::chunks::Chunks;
use super::client::Client;
use super::connection::Connection;
use super::lost::Lost;
use super::scratch::{self, Filled};
use crate::exchange::Exchange;
use head::{FinalHead, Parsed, parse};

/// A head is a few hundred bytes; whoever sends more is not a server we know.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Interim answers before the final one: a server that says `102` each second of a long prefill stays below.
const INTERIM_MAX: u16 = 1_000;

/// A server's final answer (or 101), its body about to be read.
pub(super) struct Reply {
    pub(super) status: u16,
    /// For the client, complete.
    pub(super) head: Vec<u8>,
    pub(super) framing: Framing,
    pub(super) form: Form,
    /// What of the body came with the head.
    pub(super) first: Piece,
    /// The server goes on with this connection once the body has ended.
    pub(super) keeps_connection: bool,
    /// The body's end is the end of the client's connection.
    pub(super) ends_client: bool,
}

/// How the server says where its body ends.
#[derive(Debug)]
pub(super) enum Framing {
    /// There is none, whatever the headers say.
    Empty,
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

/// What of the body's bytes the client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    AsTheyCame,
    /// Put into chunks: the server ends its body by closing, which an HTTP/1.1 client could not tell from a cut.
    Chunked,
    /// Taken out of its chunks, for an HTTP/1.0 client.
    Payload,
    /// Something is taken out of an event stream, so it is framed anew: into chunks, or (HTTP/1.0) into none.
    Shortened {
        chunked: bool,
    },
}

/// What one read brought, from some place on.
pub(super) struct Piece {
    read: Read,
    from: usize,
}

enum Read {
    Once(Filled),
    Gathered(Vec<u8>),
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        let all = match &self.read {
            Read::Once(filled) => filled.bytes(),
            Read::Gathered(bytes) => bytes,
        };
        &all[self.from..]
    }
}

/// A refusal's body is a sentence. What is longer, or takes longer, is not waited for.
const SMALL_BODY_BYTES: u64 = 4096;
const SMALL_BODY_TIME: Duration = Duration::from_secs(1);

impl Reply {
    /// With all of its body, where that is small: a server's reason to refuse often comes after its head.
    pub(super) async fn with_small_body(mut self, connection: &mut Connection) -> Self {
        let Framing::Length(length) = self.framing else {
            return self;
        };
        let mut bytes = self.first.bytes().to_vec();
        let missing = |bytes: &[u8]| (bytes.len() as u64) < length;
        if length > SMALL_BODY_BYTES || !missing(&bytes) {
            return self;
        }
        let gather = async {
            while missing(&bytes) {
                match poll_fn(|cx| scratch::poll_read(connection, cx)).await {
                    Ok(filled) if !filled.bytes().is_empty() => bytes.extend_from_slice(filled.bytes()),
                    _ => return,
                }
            }
        };
        let _ = tokio::time::timeout(SMALL_BODY_TIME, gather).await;
        self.first = Piece {
            read: Read::Gathered(bytes),
            from: 0,
        };
        self
    }
}

pub(super) enum ReplyError {
    ClientGone,
    /// Not one byte came: the server had closed the connection.
    Nothing,
    Malformed,
    Timeout,
    /// Its health check failed while it was waited for.
    Lost,
}

pub(super) struct Reader {
    timeout: Option<Duration>,
    pub(super) lost: Option<Lost>,
    /// The client asked for a WebSocket, so the server may switch.
    is_upgrade: bool,
    /// So many heads were interim.
    interim: u16,
}

impl FinalHead {
    /// `begin`: where in what was read this head begins.
    fn with_body(self, read: Read, begin: usize) -> Reply {
        Reply {
            status: self.status,
            head: self.head,
            framing: self.framing,
            form: self.form,
            first: Piece {
                read,
                from: begin + self.bytes,
            },
            keeps_connection: self.keeps_connection,
            ends_client: self.ends_client,
        }
    }
}

/// What a read came to: how many of its bytes were interim heads, and the final one behind them, where it is whole.
struct Progress {
    passed: usize,
    last: Option<FinalHead>,
}

impl Reader {
    pub(super) fn new(timeout: Option<Duration>, is_upgrade: bool, lost: Option<Lost>) -> Self {
        Self {
            timeout,
            lost,
            is_upgrade,
            interim: 0,
        }
    }

    /// Waits for the final head; interim ones are passed on.
    pub(super) async fn read(
        &mut self,
        connection: &mut Connection,
        client: &mut Client,
        exchange: &Exchange,
    ) -> Result<Reply, ReplyError> {
        let first = self.read_or_gone(connection, client).await?;
        self.read_from(first, connection, client, exchange).await
    }

    /// The same, where the head's first bytes have come.
    pub(super) async fn read_from(
        &mut self,
        first: Filled,
        connection: &mut Connection,
        client: &mut Client,
        exchange: &Exchange,
    ) -> Result<Reply, ReplyError> {
        if first.bytes().is_empty() {
            return Err(ReplyError::Nothing);
        }
        // Nearly always the head comes in one piece, and is parsed where it lies.
        let Progress { passed, last } = self.interim_or_final(first.bytes(), client, exchange).await?;
        if let Some(last) = last {
            return Ok(last.with_body(Read::Once(first), passed));
        }
        let gathered = first.bytes()[passed..].to_vec();
        drop(first);
        Box::pin(self.gather(gathered, connection, client, exchange)).await
    }

    async fn gather(
        &mut self,
        mut gathered: Vec<u8>,
        connection: &mut Connection,
        client: &mut Client,
        exchange: &Exchange,
    ) -> Result<Reply, ReplyError> {
        while gathered.len() <= HEAD_BYTES_MAX {
            let filled = self.read_or_gone(connection, client).await?;
            if filled.bytes().is_empty() {
                return Err(ReplyError::Malformed);
            }
            gathered.extend_from_slice(filled.bytes());
            let Progress { passed, last } = self.interim_or_final(&gathered, client, exchange).await?;
            if let Some(last) = last {
                return Ok(last.with_body(Read::Gathered(gathered), passed));
            }
            gathered.drain(..passed);
        }
        Err(ReplyError::Malformed)
    }

    async fn read_or_gone(&mut self, connection: &mut Connection, client: &mut Client) -> Result<Filled, ReplyError> {
        let lost = &mut self.lost;
        let read = poll_fn(|cx| {
            if let Poll::Ready(read) = scratch::poll_read(connection, cx) {
                return Poll::Ready(read.map_err(|_| ReplyError::Nothing));
            }
            if Lost::poll(lost, cx).is_ready() {
                return Poll::Ready(Err(ReplyError::Lost));
            }
            client.poll_gone(cx).map(|()| Err(ReplyError::ClientGone))
        });
        match self.timeout {
            None => read.await,
            Some(limit) => tokio::time::timeout(limit, read)
                .await
                .unwrap_or(Err(ReplyError::Timeout)),
        }
    }

    /// Passes interim heads on.
    async fn interim_or_final(
        &mut self,
        bytes: &[u8],
        client: &mut Client,
        exchange: &Exchange,
    ) -> Result<Progress, ReplyError> {
        let mut passed = 0;
        loop {
            let rest = &bytes[passed..];
            match parse(rest, client.terms, exchange, self.is_upgrade).ok_or(ReplyError::Malformed)? {
                Parsed::Incomplete => return Ok(Progress { passed, last: None }),
                Parsed::Interim { .. } if self.interim == INTERIM_MAX => return Err(ReplyError::Malformed),
                Parsed::Interim { status, bytes, head } => {
                    // The client was told to go on already, and HTTP/1.0 knows no interim answers.
                    if status != 100 && !client.terms.is_http_10 {
                        client.send(&head).await.map_err(|_| ReplyError::ClientGone)?;
                    }
                    passed += bytes;
                    self.interim += 1;
                }
                Parsed::Final(last) => {
                    return Ok(Progress {
                        passed,
                        last: Some(last),
                    });
                }
            }
        }
    }
}
