//! How an exchange goes, in time: told to the metrics once it is over.

use std::time::{Duration, Instant};

use super::Exchange;
use crate::limits::set::Tokens;
use crate::metrics::{Counted, Pace};
use crate::response_facts::ResponseFacts;
use crate::rewrite::is_event_stream;
use crate::usage::Events;

/// What was seen of an exchange that was let through.
pub(super) struct Seen {
    counted: Counted,
    first_byte: Option<Duration>,
    stream: Option<Stream>,
    end: Option<Duration>,
}

/// An event stream's tokens, as far as a look at its bytes tells.
#[derive(Default)]
struct Stream {
    first_token: Option<Duration>,
    tokens: u64,
}

impl Seen {
    pub(super) fn of(counted: Counted) -> Self {
        Self {
            counted,
            first_byte: None,
            stream: None,
            end: None,
        }
    }
}

impl Exchange {
    /// Its server is about to be chosen. What was waited for is not the edge's own time.
    pub(super) fn is_ready(&self) {
        if self.attempts.count == 0 && !self.body_is_here && self.seen.is_some() {
            self.plane.metrics.traffic.added(self.started.elapsed());
        }
    }

    /// So long for a slot of its service.
    pub(super) fn waited(&self, wait: Duration) {
        if let Some(seen) = &self.seen {
            seen.counted.waited(wait);
        }
    }

    pub(super) fn pace_sees_head(&mut self, status: u16, facts: &ResponseFacts<'_>) {
        let Some(seen) = &mut self.seen else { return };
        seen.first_byte = Some(self.started.elapsed());
        let is_stream = status == 200
            && facts
                .text("content-type")
                .is_some_and(|kind| is_event_stream(kind.as_bytes()));
        seen.stream = is_stream.then(Stream::default);
    }

    /// Until the first token has come every byte is looked at; after it, events are counted.
    pub(super) fn pace_sees(&mut self, payload: &[u8]) {
        let Some(stream) = self.seen.as_mut().and_then(|seen| seen.stream.as_mut()) else {
            return;
        };
        if stream.first_token.is_some() {
            stream.tokens += memchr::memmem::find_iter(payload, b"data:").count() as u64;
        } else {
            let tokens = Events::default().push(payload);
            if tokens > 0 {
                stream.first_token = Some(self.started.elapsed());
                stream.tokens = tokens;
            }
        }
    }

    /// The answer's end, or the exchange's.
    pub(super) fn pace_ends(&mut self) {
        if let Some(seen) = &mut self.seen {
            seen.end
                .get_or_insert_with(|| Instant::now().saturating_duration_since(self.started));
        }
    }

    pub(super) fn count_tokens(&self, tokens: Tokens) {
        if let Some(seen) = &self.seen {
            seen.counted.tokens(tokens);
        }
    }

    pub(super) fn count_pace(&mut self) {
        self.pace_ends();
        let Some(seen) = self.seen.take() else { return };
        let stream = seen.stream.unwrap_or_default();
        seen.counted.ended(&Pace {
            first_byte: seen.first_byte,
            first_token: stream.first_token,
            end: seen.end.unwrap_or_default(),
            tokens: stream.tokens,
        });
    }
}
