//! A response's body that is kept as it passes: nothing is given to the client before the journal has it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body as AnyBody;
use bytes::Bytes;
use capture::Outcome;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::Kept;

/// How long a piece that must be kept waits for the journal before the answer is cut.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

type Piece = Option<Result<Frame<Bytes>, axum::Error>>;

pub(super) struct Followed {
    body: AnyBody,
    kept: Kept,
    waiting: Option<Waiting>,
}

/// A piece that the journal has not taken yet.
struct Waiting {
    piece: Piece,
    until: Instant,
    pause: Pin<Box<Sleep>>,
}

impl Followed {
    pub(super) fn new(body: AnyBody, kept: Kept) -> Self {
        Self {
            body,
            kept,
            waiting: None,
        }
    }

    fn take(&mut self, piece: &Piece) {
        match piece {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    self.kept.recorder.response_bytes(bytes);
                }
                if self.body.is_end_stream() {
                    self.kept.ends_well();
                }
            }
            Some(Err(_)) => self.kept.ends(Outcome::UpstreamFailed),
            None => self.kept.ends_well(),
        }
    }
}

impl Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        let this = self.get_mut();
        let mut waiting = match this.waiting.take() {
            Some(waiting) => waiting,
            None => {
                let piece = ready!(Pin::new(&mut this.body).poll_frame(cx));
                this.take(&piece);
                if this.kept.recorder.flush().is_ok() {
                    return Poll::Ready(piece);
                }
                Waiting {
                    piece,
                    until: Instant::now() + PATIENCE,
                    pause: Box::pin(sleep(PAUSE)),
                }
            }
        };
        while waiting.pause.as_mut().poll(cx).is_ready() {
            if this.kept.recorder.flush().is_ok() {
                return Poll::Ready(waiting.piece);
            }
            if Instant::now() >= waiting.until {
                tracing::warn!("an answer was cut: it must be kept, and the journal does not take it");
                this.kept.ends(Outcome::UpstreamFailed);
                return Poll::Ready(Some(Err(axum::Error::new("the answer cannot be kept"))));
            }
            waiting.pause.as_mut().reset(Instant::now() + PAUSE);
        }
        this.waiting = Some(waiting);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An empty body is never asked for a piece.
impl Drop for Followed {
    fn drop(&mut self) {
        if self.is_end_stream() {
            self.kept.ends_well();
        }
    }
}
