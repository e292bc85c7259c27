//! What people are told of a journal that is being caught up with, and of failures: not every second the same.

use std::time::{Duration, Instant};

use journal::Reader;

use super::Failure;
use crate::ingest::metrics::JournalMetrics;

/// Less than this is no backlog to speak of.
const BACKLOG_BYTES: u64 = 16 << 20;
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const FAILURE_REPEATED: Duration = Duration::from_secs(30);

pub(super) struct Progress {
    name: &'static str,
    looked_at: Option<Instant>,
    /// Since when there is a backlog, when it was last told, and how many bytes were read by then.
    backlog: Option<(Instant, Instant, u64)>,
    failed: Option<(Instant, String)>,
}

impl Progress {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            looked_at: None,
            backlog: None,
            failed: None,
        }
    }

    /// How far behind the reader is, about once a second; what a backlog is coming to, every few.
    pub(super) fn look(&mut self, reader: &Reader, interval: Duration, metrics: &JournalMetrics) -> Option<u64> {
        let now = Instant::now();
        if self.looked_at.is_some_and(|at| now.duration_since(at) < LOOK_INTERVAL) {
            return None;
        }
        self.looked_at = Some(now);
        let behind = reader.behind_bytes().ok()?;
        self.tell(now, behind, metrics.bytes.get(), interval);
        Some(behind)
    }

    fn tell(&mut self, now: Instant, behind: u64, read: u64, interval: Duration) {
        let journal = self.name;
        match &mut self.backlog {
            None if behind >= BACKLOG_BYTES => {
                tracing::info!(journal, behind_mib = behind >> 20, "catching up with the journal");
                self.backlog = Some((now, now, read));
            }
            Some((since, ..)) if behind < BACKLOG_BYTES => {
                tracing::info!(
                    journal,
                    seconds = now.duration_since(*since).as_secs(),
                    "caught up with the journal"
                );
                self.backlog = None;
            }
            Some((_, told, read_then)) if now.duration_since(*told) >= interval => {
                let seconds = now.duration_since(*told).as_secs_f64();
                let mib_a_second = (read - *read_then) as f64 / seconds / f64::from(1 << 20);
                tracing::info!(
                    journal,
                    behind_mib = behind >> 20,
                    mib_a_second = format_args!("{mib_a_second:.1}"),
                    "catching up with the journal"
                );
                (*told, *read_then) = (now, read);
            }
            _ => {}
        }
    }

    pub(super) fn failed(&mut self, failure: &Failure) {
        let text = failure.to_string();
        let is_new = self
            .failed
            .as_ref()
            .is_none_or(|(at, before)| at.elapsed() >= FAILURE_REPEATED || *before != text);
        if is_new {
            tracing::error!(journal = self.name, "{text}");
            self.failed = Some((Instant::now(), text));
        }
    }

    pub(super) fn succeeded(&mut self) {
        if self.failed.take().is_some() {
            tracing::info!(journal = self.name, "the journal is ingested again");
        }
    }
}
