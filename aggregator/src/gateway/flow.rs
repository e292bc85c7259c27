//! A stream on its way to a client: the HTTP body that pulls from the backend.
//!
//! ```text
//!  hyper ──poll_frame──▶ Flow ──poll_frame──▶ the backend's answer
//!                         │ └─▶ Relay
//!                         └─▶ Attempt (in flight)
//! ```
//!
//! Nothing is read ahead: what the client does not take is not asked for. Dropping the body, which is what happens when
//! the client goes, drops the backend's connection with it, so that it stops generating. A stream that fails ends with
//! the dialect's error event and an error of the body, so that its framing is cut and never closed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dialect::{Failure, FailureKind};
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep};

use super::measure::{Measure, word};
use super::relay::Relay;
use crate::fleet::Attempt;

/// Between the error event and the cut: what is written just before a cut may be lost with it.
const CUT_DELAY: Duration = Duration::from_millis(50);

/// The answer's first bytes, which have been looked at, and where the rest comes from.
pub(super) struct Opened {
    pub(super) first: Bytes,
    pub(super) upstream: reqwest::Body,
    pub(super) relay: Relay,
}

pub(super) struct Flow {
    state: State,
    relay: Relay,
    /// Until it has ended.
    measure: Option<Measure>,
    /// How long the backend may be silent.
    silence: Option<(Duration, Pin<Box<Sleep>>)>,
}

enum State {
    First(Bytes, reqwest::Body, Attempt),
    Flowing(reqwest::Body, Attempt),
    /// The error event has been sent.
    Cutting(Pin<Box<Sleep>>),
    Over,
}

impl Flow {
    pub(super) fn new(opened: Opened, attempt: Attempt, measure: Measure) -> Self {
        let Opened { first, upstream, relay } = opened;
        measure.saw(&first);
        let limit = attempt.backend.spec.timeout;
        Self {
            state: State::First(first, upstream, attempt),
            relay,
            measure: Some(measure),
            silence: limit.map(|limit| (limit, Box::pin(sleep(limit)))),
        }
    }

    /// Tells of the failure; the cut follows.
    fn fail(&mut self, before: Bytes, failure: &Failure) -> Bytes {
        if let State::Flowing(_, attempt) = std::mem::replace(&mut self.state, State::Over) {
            tracing::warn!(backend = %attempt.backend.spec.name, failure = ?failure.kind, "a backend's answer broke off");
            attempt.failed();
        }
        self.measured(Some(word(failure.kind)));
        self.state = State::Cutting(Box::pin(sleep(CUT_DELAY)));
        let event = self.relay.fail(failure);
        if before.is_empty() {
            event.into()
        } else {
            [&before[..], &event].concat().into()
        }
    }

    /// The answer is over.
    fn measured(&mut self, error: Option<&'static str>) {
        if let Some(measure) = self.measure.take() {
            measure.used(self.relay.usage());
            measure.end(error);
        }
    }

    /// The next piece of the backend's answer, unless it has been silent for too long.
    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Upstream> {
        let State::Flowing(upstream, _) = &mut self.state else {
            return Poll::Ready(Upstream::Ended);
        };
        match Pin::new(upstream).poll_frame(cx) {
            Poll::Ready(piece) => {
                if let Some((limit, timer)) = &mut self.silence {
                    timer.as_mut().reset(Instant::now() + *limit);
                }
                Poll::Ready(match piece {
                    Some(Ok(frame)) => Upstream::Piece(frame.into_data().unwrap_or_default()),
                    Some(Err(_)) => Upstream::Failed(Failure::cut()),
                    None => Upstream::Ended,
                })
            }
            Poll::Pending => {
                let Some((_, timer)) = &mut self.silence else {
                    return Poll::Pending;
                };
                ready!(timer.as_mut().poll(cx));
                let message = "the backend fell silent in the middle of its answer";
                Poll::Ready(Upstream::Failed(Failure::new(FailureKind::Timeout, message)))
            }
        }
    }
}

impl Drop for Flow {
    /// The client has gone: what was told until then counts.
    fn drop(&mut self) {
        if let Some(measure) = &self.measure {
            measure.used(self.relay.usage());
        }
    }
}

enum Upstream {
    Piece(Bytes),
    Failed(Failure),
    Ended,
}

impl Body for Flow {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Over => return Poll::Ready(None),
                State::Cutting(delay) => {
                    ready!(delay.as_mut().poll(cx));
                    this.state = State::Over;
                    return Poll::Ready(Some(Err(io::Error::other("the backend's answer is not whole"))));
                }
                State::First(..) => {
                    if let State::First(first, upstream, attempt) = std::mem::replace(&mut this.state, State::Over) {
                        this.state = State::Flowing(upstream, attempt);
                        return data(first);
                    }
                }
                State::Flowing(..) => {
                    let step = match ready!(this.poll_upstream(cx)) {
                        Upstream::Piece(bytes) => this.relay.push(bytes),
                        Upstream::Failed(failure) => return data(this.fail(Bytes::new(), &failure)),
                        Upstream::Ended => {
                            let step = this.relay.finish();
                            if step.failed.is_none() {
                                // Gives back what is in flight, too.
                                this.state = State::Over;
                                this.measured(None);
                            }
                            step
                        }
                    };
                    if let Some(failure) = step.failed {
                        return data(this.fail(step.bytes, &failure));
                    }
                    if !step.bytes.is_empty() {
                        if let Some(measure) = &this.measure {
                            measure.saw(&step.bytes);
                        }
                        return data(step.bytes);
                    }
                }
            }
        }
    }
}

fn data(bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
    Poll::Ready(Some(Ok(Frame::data(bytes))))
}
