//! How slowly a client may send its body: in each window it must bring a little, or it is let go.
//!
//! A connection that trickles holds a task, descriptors and, with a server already asked, a place in its queue. Time that
//! we make the client wait, because the server does not take more, does not count.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// What a window must bring: 500 bytes a second in the default one. A telephone in a tunnel stays above.
const BYTES_A_SECOND_MIN: u64 = 500;

/// Waiting of ours beyond this makes the window begin anew.
const OUR_WAIT_MAX: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pace {
    window: Duration,
    /// Set while the client is waited for; a body that comes at once never has one.
    timer: Option<Pin<Box<Sleep>>>,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            timer: None,
            bytes: 0,
        }
    }

    /// So much came.
    pub(super) fn note(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Ready when the client was too slow. To be asked while it is waited for.
    pub(super) fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let window = self.window;
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(window)));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.bytes < bytes_min(window) {
                return Poll::Ready(());
            }
            self.begin_anew();
        }
    }

    /// The client was made to wait since `then`.
    pub(super) fn waited_for_us(&mut self, then: Instant) {
        if then.elapsed() > OUR_WAIT_MAX {
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        (self.timer, self.bytes) = (None, 0);
    }
}

fn bytes_min(window: Duration) -> u64 {
    (window.as_secs_f64() * BYTES_A_SECOND_MIN as f64).max(1.0) as u64
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    /// How long a client that brings `bytes` every `step` is waited for, an hour at most.
    async fn let_go_after(bytes: usize, step: Duration) -> Option<Duration> {
        let begun = tokio::time::Instant::now();
        let mut pace = Pace::new(WINDOW);
        while begun.elapsed() < Duration::from_secs(3600) {
            let mut piece = Box::pin(tokio::time::sleep(step));
            let came = poll_fn(|cx| match piece.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => pace.poll_too_slow(cx).map(|()| false),
            });
            if !came.await {
                return Some(begun.elapsed());
            }
            pace.note(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn who_brings_too_little_is_let_go_and_who_brings_enough_is_not() {
        let second = Duration::from_secs(1);
        assert_eq!(let_go_after(0, 7200 * second).await, Some(WINDOW), "silence");
        assert_eq!(let_go_after(1, second).await, Some(WINDOW), "a byte a second");
        assert_eq!(let_go_after(600, second).await, None, "600 bytes a second");
        assert_eq!(let_go_after(20_000, 29 * second).await, None, "in bursts");
    }
}
