//! What passes, by router: how long it took, how soon it began, how many tokens it was.
//!
//! A route keeps its router's figures, so that an exchange finds them without a look-up; counting is an atomic addition
//! on one of a few lines that threads share. Routers beyond [`ROUTERS_MAX`] are counted together as [`OTHER`]: a label's
//! values are bounded, however many keys there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use super::histogram::{Bounds, Histogram, Sum, family};
use super::shard_index;
use crate::limits::set::Tokens;

/// About 1 MiB of figures, and some 20,000 lines of a scrape.
pub(super) const ROUTERS_MAX: usize = 256;

/// The label of all other routers.
const OTHER: &str = "_other";

/// Fewer than threads there may be: two that meet wait some nanoseconds, and each costs memory for every router.
const SHARDS: usize = 4;

const fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

/// From a small model's token to a long answer's end.
const SPANS: Bounds = &[
    us(1_000),
    us(5_000),
    us(20_000),
    us(50_000),
    us(100_000),
    us(250_000),
    us(500_000),
    us(1_000_000),
    us(2_500_000),
    us(5_000_000),
    us(10_000_000),
    us(30_000_000),
    us(60_000_000),
    us(180_000_000),
    us(600_000_000),
];

/// What the edge itself adds is microseconds.
const ADDED: Bounds = &[
    us(50),
    us(100),
    us(200),
    us(350),
    us(500),
    us(1_000),
    us(2_000),
    us(5_000),
    us(10_000),
    us(50_000),
    us(250_000),
];

#[derive(Default)]
pub(crate) struct Traffic {
    routers: Mutex<HashMap<Arc<str>, Arc<Figures>>>,
    other: Arc<Figures>,
    added: [Histogram; SHARDS],
}

/// One router's.
#[derive(Default)]
pub(crate) struct Figures {
    shards: [Shard; SHARDS],
}

#[derive(Default)]
struct Shard {
    in_flight: AtomicI64,
    duration: Histogram,
    first_byte: Histogram,
    first_token: Histogram,
    per_token: Histogram,
    queue_wait: Histogram,
    tokens_in: AtomicU64,
    tokens_out: AtomicU64,
}

/// An exchange in flight, for as long as this lives.
pub(crate) struct Counted(Arc<Figures>);

/// How an exchange went, in time since its head had come.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    pub(crate) first_byte: Option<Duration>,
    pub(crate) first_token: Option<Duration>,
    pub(crate) end: Duration,
    /// Of a stream.
    pub(crate) tokens: u64,
}

impl Traffic {
    /// A router's figures, to be kept.
    pub(crate) fn of(&self, router: &Arc<str>) -> Arc<Figures> {
        let mut routers = self.routers.lock();
        if let Some(figures) = routers.get(router) {
            return figures.clone();
        }
        if routers.len() >= ROUTERS_MAX {
            // Those of routers that are gone make room.
            routers.retain(|_, figures| Arc::strong_count(figures) > 1);
        }
        if routers.len() >= ROUTERS_MAX {
            return self.other.clone();
        }
        routers.entry(router.clone()).or_default().clone()
    }

    /// From a request's head to the choice of its server, where its body was not waited for.
    pub(crate) fn added(&self, latency: Duration) {
        self.added[shard_index() % SHARDS].add(ADDED, latency);
    }

    pub(super) fn families(&self) -> Result<Vec<MetricFamily>, prometheus::Error> {
        let mut all: Vec<(String, Arc<Figures>)> = {
            let routers = self.routers.lock();
            let named = routers
                .iter()
                .map(|(name, figures)| (name.to_string(), figures.clone()));
            named.chain([(OTHER.to_owned(), self.other.clone())]).collect()
        };
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        type Span = (&'static str, &'static str, fn(&Shard) -> &Histogram);
        let spans: [Span; 5] = [
            (
                "conclave_edge_request_duration_seconds",
                "From a request's head to its answer's end.",
                |shard| &shard.duration,
            ),
            (
                "conclave_edge_time_to_first_byte_seconds",
                "From a request's head to the head of its answer.",
                |shard| &shard.first_byte,
            ),
            (
                "conclave_edge_time_to_first_token_seconds",
                "From a request's head to the first content of a stream.",
                |shard| &shard.first_token,
            ),
            (
                "conclave_edge_time_per_output_token_seconds",
                "Of a stream, from its first content to its end, by the tokens between; where nobody counts them, events.",
                |shard| &shard.per_token,
            ),
            (
                "conclave_edge_queue_wait_seconds",
                "For a slot of a service with maxInFlight.",
                |shard| &shard.queue_wait,
            ),
        ];
        let mut families: Vec<_> = spans
            .into_iter()
            .map(|(name, help, of)| {
                let sums = all.iter().map(|(router, figures)| {
                    let sum = Sum::of(figures.shards.iter().map(of));
                    (Some(("router", router.clone())), sum)
                });
                family((name, help), SPANS, sums)
            })
            .collect();
        let added = Sum::of(self.added.iter());
        families.push(family(
            (
                "conclave_edge_added_latency_seconds",
                "What the edge itself takes from a request's head to the choice of its server.",
            ),
            ADDED,
            [(None, added)].into_iter(),
        ));
        families.extend(tokens(&all)?);
        families.extend(in_flight(&all)?);
        Ok(families)
    }
}

impl Figures {
    pub(crate) fn enter(self: &Arc<Self>) -> Counted {
        self.shard().in_flight.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    fn shard(&self) -> &Shard {
        &self.shards[shard_index() % SHARDS]
    }
}

impl Counted {
    /// Its end, told once.
    pub(crate) fn ended(self, pace: &Pace) {
        let shard = self.0.shard();
        shard.duration.add(SPANS, pace.end);
        if let Some(first_byte) = pace.first_byte {
            shard.first_byte.add(SPANS, first_byte);
        }
        let Some(first_token) = pace.first_token else { return };
        shard.first_token.add(SPANS, first_token);
        if let Some(further) = pace
            .tokens
            .checked_sub(1)
            .and_then(|more| u32::try_from(more).ok())
            .filter(|more| *more > 0)
        {
            shard
                .per_token
                .add(SPANS, pace.end.saturating_sub(first_token) / further);
        }
    }

    pub(crate) fn waited(&self, wait: Duration) {
        self.0.shard().queue_wait.add(SPANS, wait);
    }

    pub(crate) fn tokens(&self, tokens: Tokens) {
        let shard = self.0.shard();
        let count =
            |counter: &AtomicU64, tokens: i64| counter.fetch_add(u64::try_from(tokens).unwrap_or(0), Ordering::Relaxed);
        count(&shard.tokens_in, tokens.input);
        count(&shard.tokens_out, tokens.output);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.shard().in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn tokens(all: &[(String, Arc<Figures>)]) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let help = "Tokens of routers whose tokens are counted (tokenLimit, --count-tokens).";
    let family = IntCounterVec::new(Opts::new("conclave_edge_tokens_total", help), &["router", "direction"])?;
    for (router, figures) in all {
        let sum = |of: fn(&Shard) -> &AtomicU64| {
            figures
                .shards
                .iter()
                .map(|shard| of(shard).load(Ordering::Relaxed))
                .sum()
        };
        let (input, output): (u64, u64) = (sum(|shard| &shard.tokens_in), sum(|shard| &shard.tokens_out));
        if input + output > 0 {
            family.with_label_values(&[router, "input"]).inc_by(input);
            family.with_label_values(&[router, "output"]).inc_by(output);
        }
    }
    Ok(family.collect())
}

fn in_flight(all: &[(String, Arc<Figures>)]) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let help = "Requests that were let through and are not over.";
    let family = IntGaugeVec::new(Opts::new("conclave_edge_requests_in_flight", help), &["router"])?;
    for (router, figures) in all {
        let count: i64 = figures
            .shards
            .iter()
            .map(|shard| shard.in_flight.load(Ordering::Relaxed))
            .sum();
        family.with_label_values(&[router]).set(count);
    }
    Ok(family.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(traffic: &Traffic) -> String {
        prometheus::TextEncoder::new()
            .encode_to_string(
                &traffic
                    .families()
                    .expect("families")
                    .into_iter()
                    .filter(|f| !f.get_metric().is_empty())
                    .collect::<Vec<_>>(),
            )
            .expect("text")
    }

    #[test]
    fn routers_beyond_the_cap_are_counted_together() {
        let traffic = Traffic::default();
        let of = |number: usize| traffic.of(&format!("r{number}").into());
        let figures: Vec<_> = (0..ROUTERS_MAX + 10).map(of).collect();
        figures
            .iter()
            .for_each(|figures| figures.enter().ended(&Pace::default()));
        let text = text(&traffic);
        assert!(
            text.contains("request_duration_seconds_count{router=\"r0\"} 1"),
            "{text}"
        );
        assert!(text.contains("request_duration_seconds_count{router=\"_other\"} 10"));
        assert!(!text.contains("router=\"r300\""));
    }

    #[test]
    fn a_stream_s_pace_is_its_tokens_after_the_first() {
        let traffic = Traffic::default();
        let counted = traffic.of(&"a".into()).enter();
        assert!(text(&traffic).contains("conclave_edge_requests_in_flight{router=\"a\"} 1"));
        counted.tokens(Tokens { input: 7, output: 11 });
        counted.ended(&Pace {
            first_byte: Some(us(10)),
            first_token: Some(us(1_000_000)),
            end: us(2_000_000),
            tokens: 11,
        });
        traffic.added(us(60));
        let text = text(&traffic);
        for line in [
            "conclave_edge_time_per_output_token_seconds_sum{router=\"a\"} 0.1",
            "conclave_edge_time_to_first_token_seconds_bucket{router=\"a\",le=\"1\"} 1",
            "conclave_edge_tokens_total{direction=\"output\",router=\"a\"} 11",
            "conclave_edge_added_latency_seconds_bucket{le=\"0.00005\"} 0",
            "conclave_edge_added_latency_seconds_bucket{le=\"0.0001\"} 1",
            "conclave_edge_requests_in_flight{router=\"a\"} 0",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
