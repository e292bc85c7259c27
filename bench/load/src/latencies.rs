//! Times on the way, kept exactly enough for a p99.9: 1 µs to 100 s at three digits.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

const HIGHEST_NS: u64 = 100_000_000_000;

pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new_with_bounds(100, HIGHEST_NS, 3)?))
    }

    pub(crate) fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// In milliseconds.
    pub(crate) fn summary(&self) -> Value {
        if self.0.is_empty() {
            return json!({ "count": 0 });
        }
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e6;
        json!({
            "count": self.0.len(),
            "p50_ms": at(0.5),
            "p90_ms": at(0.9),
            "p99_ms": at(0.99),
            "p999_ms": at(0.999),
            "max_ms": self.0.max() as f64 / 1e6,
            "mean_ms": self.0.mean() / 1e6,
        })
    }
}
