//! Whose turn it is, among members of one model whose long prompt is the same but for its end.
//!
//! A llama-server keeps what it has read by slot: five requests at the same time make it read the prompt five times, five
//! in a row once. So they follow each other where the prompt is long. Nobody waits for long: each goes at the latest when
//! its share of the time is over, so that one that hangs delays the others and does not stop them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Some thousand tokens: what is shorter is read in a moment, and answers at the same time are worth more.
pub(super) const SHARED_BYTES_MIN: usize = 4 << 10;

/// A place in a row. Dropping it lets the next one go.
pub(super) struct Turn {
    over: Arc<watch::Sender<usize>>,
    place: usize,
    latest: Instant,
}

impl Turn {
    /// A row of `count`, of whom each may keep the others waiting for its share of `time`.
    pub(super) fn row(count: usize, time: Duration) -> Vec<Self> {
        let over = Arc::new(watch::Sender::new(0));
        let share = time / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        let now = Instant::now();
        (0..count)
            .map(|place| Self {
                over: Arc::clone(&over),
                place,
                latest: now + share * u32::try_from(place).unwrap_or(u32::MAX),
            })
            .collect()
    }

    /// Resolves when it has come.
    pub(super) async fn come(&self) {
        let mut over = self.over.subscribe();
        tokio::select! {
            _ = over.wait_for(|over| *over >= self.place) => {}
            () = sleep_until(self.latest) => {}
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.over.send_modify(|over| *over += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_follows_the_other_and_nobody_waits_for_a_hung_one_for_ever() {
        let start = Instant::now();
        let mut row = Turn::row(3, Duration::from_secs(30)).into_iter();
        let (first, second, third) = (row.next().unwrap(), row.next().unwrap(), row.next().unwrap());
        first.come().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(first);
        second.come().await;
        assert_eq!(start.elapsed(), Duration::ZERO, "the first is over");
        // The second hangs.
        third.come().await;
        assert_eq!(start.elapsed(), Duration::from_secs(20));
        drop(second);
    }
}
