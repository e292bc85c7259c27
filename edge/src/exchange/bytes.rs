//! What an exchange sees of the bytes that pass: payloads, free of transfer coding, in their order, before they are sent.
//!
//! ```text
//!  carrier:  request_chunk … request_ready ──▶ send to the server
//!            response_head, response_chunk … response_ready ──▶ send to the client
//! ```
//!
//! A carrier tells what came, and asks whether it may go before it sends it: what has to be kept is kept by then. Of what
//! goes to a server that holds only where the terms are to refuse; else it is kept before anything of its answer is sent.

use std::future::poll_fn;
use std::mem;
use std::task::Poll;
use std::time::Duration;

use super::tail::Tail;
use super::{Exchange, Outcome};
use crate::error::Refusal;
use crate::response_facts::ResponseFacts;

/// How long a body that must be kept waits for the journal before it is cut.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// What was told is to be kept first, and could not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MustWait;

impl Exchange {
    /// A piece of the request's body has come.
    ///
    /// # Errors
    /// Where the body outgrows its bound.
    pub(crate) fn request_chunk(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        self.request_bytes += payload.len() as u64;
        if self.request_bytes > self.plane.bounds.body_bytes_max {
            return Err(Refusal::BodyTooLarge);
        }
        self.check_body()?;
        self.keep_request(payload);
        Ok(())
    }

    /// The body that is sent now was seen already: an attempt failed, and it is sent once more from its first byte.
    pub(crate) fn request_restarts(&mut self) {
        self.request_bytes = 0;
        if let Some(recorder) = &mut self.recorder {
            recorder.request_restarts();
        }
    }

    /// What has come of the request is about to be sent.
    ///
    /// # Errors
    /// Where it must not be: the request is refused ([`Exchange::not_kept`]), or, once its answer has begun, waits
    /// ([`Exchange::wait_until_kept`]).
    pub(crate) fn request_ready(&mut self) -> Result<(), MustWait> {
        self.hand_in().map(|_| ())
    }

    /// A server's final answer begins: from here on nothing is tried again.
    pub(crate) fn response_head(&mut self, status: u16, facts: ResponseFacts<'_>) {
        self.status = Some(status);
        self.limits_see_head(status, &facts);
        self.pace_sees_head(status, &facts);
        if let Some(mut recorder) = self.recorder.take() {
            recorder.response_head(&self.head_kept(status, &facts));
            self.recorder = Some(recorder);
        }
        self.note_answer(status);
        self.tail = Tail::of(status, &facts, self.target.as_ref().map_or("", keymap::Target::path));
    }

    /// The answer that began turned out to be none; nothing of it was sent.
    pub(crate) fn response_was_none(&mut self) {
        self.status = None;
    }

    /// The answer breaks off: what its client is told before the cut, where it can be told anything.
    pub(crate) fn error_event(&mut self) -> Option<String> {
        mem::take(&mut self.tail).error_event()
    }

    /// A piece of the answer's body has come.
    pub(crate) fn response_chunk(&mut self, payload: &[u8]) {
        self.response_bytes += payload.len() as u64;
        self.tail.note(payload);
        self.note_progress();
        self.limits_see(payload);
        self.pace_sees(payload);
        if let Some(recorder) = &mut self.recorder {
            recorder.response_bytes(payload);
        }
    }

    /// What has come of the answer is about to be sent; `ended`: it is all of it.
    ///
    /// # Errors
    /// Where it must not be: see [`Exchange::wait_until_kept`].
    pub(crate) fn response_ready(&mut self, ended: bool) -> Result<(), MustWait> {
        self.response_told(ended);
        self.flush()
    }

    /// The same, for a carrier that can wait for its turn to come again: whatever else its thread has to keep by then is
    /// kept in one append with it, which costs as much for all of them as for one.
    ///
    /// # Errors
    /// As [`Exchange::response_ready`].
    pub(crate) async fn response_in_turn(&mut self, ended: bool) -> Result<(), MustWait> {
        self.response_told(ended);
        if self.hand_in()? {
            next_turn().await;
            self.flush()?;
        }
        Ok(())
    }

    fn response_told(&mut self, ended: bool) {
        if ended {
            self.settle();
            self.pace_ends();
            // With the last bytes, in one append: an end of its own would cost as much as the answer.
            self.end_kept(Outcome::Complete);
        }
    }

    /// Whether what passes may have to wait until it is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.recorder.is_some()
    }

    /// The connection was upgraded: from here on bytes are only counted.
    pub(crate) fn upgraded(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.only_metadata();
        }
    }

    /// So much passed over an upgraded connection.
    pub(crate) fn tunnelled(&mut self, received: usize, sent: usize) {
        self.request_bytes += received as u64;
        self.response_bytes += sent as u64;
        if let Some(recorder) = &mut self.recorder {
            recorder.count(received as u64, sent as u64);
        }
    }

    /// After [`MustWait`]: until what was told is kept, and may be sent.
    ///
    /// # Errors
    /// Where the journal takes nothing for too long.
    pub(crate) async fn wait_until_kept(&mut self) -> Result<(), Refusal> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.flush().is_err() {
            if tokio::time::Instant::now() >= deadline {
                tracing::warn!(
                    router = self.route.as_ref().map(|route| &*route.router.name),
                    "an exchange was cut: it must be kept, and the journal has not taken it for {} s",
                    PATIENCE.as_secs()
                );
                return Err(self.not_kept());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// It is refused because it cannot be kept.
    pub(crate) fn not_kept(&mut self) -> Refusal {
        if let Some(recorder) = &mut self.recorder {
            recorder.abandon();
        }
        Refusal::NotKept
    }

    pub(super) fn keep_request(&mut self, payload: &[u8]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.request_bytes(payload);
        }
    }

    /// True: a flush has something left to do.
    fn hand_in(&mut self) -> Result<bool, MustWait> {
        match &mut self.recorder {
            None => Ok(false),
            Some(recorder) => recorder.hand_in().map_err(|_| MustWait),
        }
    }

    fn flush(&mut self) -> Result<(), MustWait> {
        match &mut self.recorder {
            None => Ok(()),
            Some(recorder) => recorder.flush().map_err(|_| MustWait),
        }
    }
}

/// Until all tasks have run that are awake now. A timer or a look at the sockets would be another system call.
async fn next_turn() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
