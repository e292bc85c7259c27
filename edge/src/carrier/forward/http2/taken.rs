//! Whether a client takes what it is answered.
//!
//! How much of an answer may leave, HTTP/2 lets the client say, stream by stream. One that says nothing would keep its
//! streams, and what waits in them, for as long as it answers pings. So each piece of an answer is accounted for until
//! the last of its bytes is on its way, and a stream of which nothing has left for a client's patience is reset.
//!
//! Invariant: a stream lives as long as a piece of it waits. Its end is said once none does.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::Executor;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

tokio::task_local! {
    /// Of the stream whose task this is: who makes an answer is not told by hyper which stream it is for.
    static OF_THIS_STREAM: Arc<Taken>;
}

/// Runs streams, each with so much patience.
#[derive(Clone, Copy)]
pub(super) struct Patient(pub(super) Duration);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Patient {
    fn execute(&self, stream: F) {
        tokio::spawn(watched(stream, self.0));
    }
}

/// To the stream's end, or until its client has taken nothing for too long: a stream that is dropped is reset.
async fn watched(stream: impl Future<Output = ()>, patience: Duration) {
    let taken = Arc::new(Taken::default());
    let mut stream = pin!(OF_THIS_STREAM.scope(taken.clone(), stream));
    let mut alarm = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        taken.poll_stalled(patience, &mut alarm, cx)
    })
    .await;
}

/// What waits of one stream's answer.
#[derive(Default)]
pub(super) struct Taken(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    pieces: usize,
    /// The first of them came, or something of them left.
    since: Option<Instant>,
    /// Who waits for none to be left.
    task: Option<Waker>,
}

impl Taken {
    pub(super) fn of_this_stream() -> Arc<Self> {
        OF_THIS_STREAM.try_with(Arc::clone).unwrap_or_default()
    }

    pub(super) fn piece(self: &Arc<Self>, bytes: Bytes) -> Piece {
        let mut waiting = self.0.lock();
        if waiting.pieces == 0 {
            waiting.since = Some(Instant::now());
        }
        waiting.pieces += 1;
        drop(waiting);
        Piece {
            bytes,
            taken: self.clone(),
        }
    }

    pub(super) fn poll_all(&self, cx: &Context<'_>) -> Poll<()> {
        let mut waiting = self.0.lock();
        if waiting.pieces == 0 {
            return Poll::Ready(());
        }
        waiting.task = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The alarm is set once, and again when it goes off: what leaves in between costs a look at the clock.
    fn poll_stalled(&self, patience: Duration, alarm: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(since) = self.0.lock().since else {
                return Poll::Pending;
            };
            let end = since + patience;
            let set = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
            if set.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            set.as_mut().reset(end);
        }
    }
}

/// Bytes of an answer.
pub(super) struct Piece {
    bytes: Bytes,
    taken: Arc<Taken>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.taken.0.lock().since = Some(Instant::now());
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut waiting = self.taken.0.lock();
        waiting.pieces -= 1;
        if waiting.pieces == 0 {
            waiting.since = None;
            if let Some(task) = waiting.task.take() {
                task.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn what_nobody_takes_ends_its_stream() {
        let begun = Instant::now();
        watched(
            async {
                let mut piece = Taken::of_this_stream().piece(Bytes::from_static(b"word"));
                for _ in 0..3 {
                    tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
                    piece.advance(1);
                }
                std::future::pending::<()>().await;
            },
            PATIENCE,
        )
        .await;
        let after = begun.elapsed().saturating_sub(3 * (PATIENCE - Duration::from_secs(1)));
        assert!(
            after >= PATIENCE && after < PATIENCE + Duration::from_millis(10),
            "{after:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_its_server_may_wait() {
        let begun = Instant::now();
        watched(
            async {
                let taken = Taken::of_this_stream();
                drop(taken.piece(Bytes::from_static(b"word")));
                poll_fn(|cx| taken.poll_all(cx)).await;
                tokio::time::sleep(100 * PATIENCE).await;
            },
            PATIENCE,
        )
        .await;
        assert!(begun.elapsed() >= 100 * PATIENCE);
    }
}
