//! The client's side of an exchange whose request is complete: a bare stream to write the answer to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use pingora_core::apps::{HttpPersistentSettings, ReusedHttpStream};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::error::Refusal;
use crate::exchange::{Exchange, Outcome};

/// What a client may send ahead of the answer it waits for. Beyond it the stream is no longer read, and a client that
/// goes is noticed when it is next written to.
const PIPELINED_BYTES_MAX: usize = 64 * 1024;

pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) terms: Terms,
    settings: HttpPersistentSettings,
    /// The start of the next request, where the client did not wait.
    pub(super) pipelined: BytesMut,
}

/// What of the request the answer's form depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) keep_alive: bool,
    pub(super) is_http_10: bool,
    pub(super) is_head: bool,
}

impl Client {
    /// Dissolves the session. `None` where the client has gone.
    pub(super) async fn of(mut session: ServerSession) -> Option<Self> {
        let request = session.req_header();
        let terms = Terms {
            keep_alive: session.get_keepalive().is_some(),
            is_http_10: request.version != http::Version::HTTP_11,
            is_head: request.method == http::Method::HEAD,
        };
        // Only a session that may go on gives its stream up, and one whose client said `close` may not; whether the
        // connection really goes on is decided with the answer.
        session.req_header_mut().remove_header(&http::header::CONNECTION);
        session.set_keepalive(Some(super::CLIENT_IDLE_SECONDS));
        let settings = HttpPersistentSettings::for_session(&session);
        let (stream, pipelined) = Box::pin(session.finish()).await.ok()??.into_parts();
        Some(Self {
            stream,
            terms,
            settings,
            pipelined: pipelined.unwrap_or_default(),
        })
    }

    /// All of it, now: a token that waits in a buffer is a late token.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Ready once the client has gone. What it sends meanwhile is the start of its next request.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.pipelined.len() < PIPELINED_BYTES_MAX {
            let mut piece = [0; 512];
            let mut target = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.stream).poll_read(cx, &mut target) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !target.filled().is_empty() => self.pipelined.extend_from_slice(target.filled()),
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Answers by ourselves, in place of a server.
    pub(super) async fn refuse(mut self, mut exchange: Box<Exchange>, refusal: Refusal) -> Option<ReusedHttpStream> {
        let sent = self
            .send(&refusal_bytes(refusal, exchange.request_id(), self.terms))
            .await;
        exchange.close(Outcome::Refused(refusal));
        sent.ok()?;
        self.into_reused()
    }

    /// The connection, where it may carry another request.
    pub(super) fn into_reused(self) -> Option<ReusedHttpStream> {
        let mut settings = self.settings;
        if !self.pipelined.is_empty() {
            settings.set_pipelined_prefix(self.pipelined);
        }
        self.terms
            .keep_alive
            .then(|| ReusedHttpStream::new(self.stream, Some(settings)))
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

fn refusal_bytes(refusal: Refusal, request_id: &[u8], terms: Terms) -> Vec<u8> {
    let status = http::StatusCode::from_u16(refusal.status()).unwrap_or(http::StatusCode::BAD_GATEWAY);
    let body = refusal.body();
    let mut bytes = Vec::with_capacity(512);
    let reason = status.canonical_reason().unwrap_or_default();
    bytes.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).as_bytes());
    bytes.extend_from_slice(format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(b"x-request-id: ");
    bytes.extend_from_slice(request_id);
    bytes.extend_from_slice(b"\r\n");
    for (name, value) in refusal.headers() {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(terms.connection_line());
    bytes.extend_from_slice(b"\r\n");
    if !terms.is_head {
        bytes.extend_from_slice(&body);
    }
    bytes
}
