//! How an exchange goes, in time: told to the metrics once it is over.

use std::time::{Duration, Instant};

use super::Exchange;
use crate::limits::set::Tokens;
use crate::metrics::{Counted, Pace};
use crate::response_facts::ResponseFacts;
use crate::rewrite::is_event_stream;
use crate::usage::{Endpoint, Events, Meter};

/// What was seen of an exchange that was let through.
pub(super) struct Seen {
    counted: Counted,
    /// For a slot of its service.
    waited: Duration,
    first_byte: Option<Duration>,
    stream: Option<Stream>,
    end: Option<Duration>,
    /// Counts tokens for the metrics alone, where no limit counts them.
    meter: Option<Box<Meter>>,
}

/// An event stream's tokens, as far as a look at its bytes tells.
#[derive(Default)]
struct Stream {
    first_token: Option<Duration>,
    tokens: u64,
}

impl Seen {
    /// `endpoint`: where its tokens are to be counted here.
    pub(super) fn of(counted: Counted, endpoint: Option<Endpoint>) -> Self {
        Self {
            meter: endpoint.map(|endpoint| Box::new(Meter::new(endpoint))),
            counted,
            waited: Duration::ZERO,
            first_byte: None,
            stream: None,
            end: None,
        }
    }
}

impl Exchange {
    /// Its server is about to be chosen. What was waited for is not the edge's own time.
    pub(super) fn is_ready(&self) {
        if let Some(seen) = self
            .seen
            .as_ref()
            .filter(|_| self.attempts.count == 0 && !self.body_is_here)
        {
            let added = self.started.elapsed().saturating_sub(seen.waited);
            self.plane.metrics.traffic.added(added);
        }
    }

    /// So long for a slot of its service.
    pub(super) fn waited(&mut self, wait: Duration) {
        if let Some(seen) = &mut self.seen {
            seen.waited += wait;
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
        if let Some(meter) = &mut seen.meter {
            let kind = facts.text("content-type").unwrap_or_default();
            let coding = facts.text("content-encoding").unwrap_or("identity");
            meter.begin(status, kind.as_bytes(), coding != "identity", self.request_bytes);
        }
    }

    /// Until the first token has come every byte is looked at; after it, events are counted.
    pub(super) fn pace_sees(&mut self, payload: &[u8]) {
        let Some(seen) = &mut self.seen else { return };
        if let Some(meter) = &mut seen.meter {
            meter.push(payload);
        }
        let Some(stream) = &mut seen.stream else { return };
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

    /// How long an event stream may be silent now before its client is told that it is still there: until its first token
    /// has come, and never within an event.
    pub(crate) fn comforts_after(&self) -> Option<Duration> {
        let pause = self.plane.answers.keepalive?;
        let stream = self.seen.as_ref()?.stream.as_ref()?;
        (stream.first_token.is_none() && self.tail.is_between_events()).then_some(pause)
    }

    /// The answer's end, or the exchange's.
    pub(super) fn pace_ends(&mut self) {
        let mut counted = None;
        if let Some(seen) = &mut self.seen {
            if let Some(mut meter) = seen.meter.take() {
                meter.end();
                seen.counted.tokens(meter.total());
                counted = Some(meter.total());
            }
            seen.end
                .get_or_insert_with(|| Instant::now().saturating_duration_since(self.started));
        }
        if let Some(tokens) = counted {
            self.span_counts(tokens);
        }
    }

    pub(super) fn count_tokens(&mut self, tokens: Tokens) {
        self.span_counts(tokens);
        if let Some(seen) = &self.seen {
            seen.counted.tokens(tokens);
        }
    }

    pub(super) fn count_pace(&mut self) {
        self.pace_ends();
        let Some(seen) = self.seen.take() else { return };
        let stream = seen.stream.unwrap_or_default();
        self.span_paced(stream.first_token);
        seen.counted.ended(&Pace {
            first_byte: seen.first_byte,
            first_token: stream.first_token,
            end: seen.end.unwrap_or_default(),
            tokens: stream.tokens,
        });
    }
}
