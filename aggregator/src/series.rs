//! Plots' figures: a span in equal parts, by key or by backend. From the response store, else from what is remembered.
//!
//! Invariant: summing takes no more than about a twentieth of the time, however many look and however much is stored.

mod span;

pub(crate) use span::Span;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::history::{History, Sample, now_us};
use crate::store::{Store, StoreError, Sums, TimeRequest, TimeSeries};

/// A result is used again for so many times as long as it took.
const KEPT_SHARE: u32 = 20;
const KEPT_MIN: Duration = Duration::from_secs(2);

/// Where figures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Store,
    /// Nothing is stored: what backends were asked since the start, without tokens and keys.
    Memory,
}

/// A span's figures. Each list has one entry a part.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) span: Span,
    pub(crate) source: Source,
    pub(crate) from_us: i64,
    pub(crate) step_us: i64,
    pub(crate) by_key: BTreeMap<String, Vec<Sums>>,
    pub(crate) by_backend: BTreeMap<String, Vec<Sums>>,
    /// Parts at the beginning of which nothing is known.
    pub(crate) missing: usize,
}

/// What was summed lately.
#[derive(Default)]
pub(crate) struct SeriesDesk {
    kept: Mutex<HashMap<Span, Kept>>,
}

struct Kept {
    until: Instant,
    series: Arc<Series>,
}

impl SeriesDesk {
    /// # Errors
    /// Where the store cannot be read.
    pub(crate) async fn series(
        &self,
        span: Span,
        store: Option<&Store>,
        history: &History,
    ) -> Result<Arc<Series>, StoreError> {
        // Held while it is summed: whoever looks meanwhile waits for the same sums.
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.get(&span).filter(|kept| Instant::now() < kept.until) {
            return Ok(Arc::clone(&kept.series));
        }
        let began = Instant::now();
        let series = Arc::new(summed(span, store, history).await?);
        let until = Instant::now() + KEPT_MIN.max(began.elapsed() * KEPT_SHARE);
        let entry = Kept {
            until,
            series: Arc::clone(&series),
        };
        kept.insert(span, entry);
        Ok(series)
    }
}

async fn summed(span: Span, store: Option<&Store>, history: &History) -> Result<Series, StoreError> {
    let (from_us, step_us) = span.place(now_us());
    let (source, sums) = match store {
        None => (
            Source::Memory,
            remembered(&history.since(from_us), span, (from_us, step_us)),
        ),
        Some(store) if span.is_days() => (Source::Store, store.days(from_us / step_us, span.parts()).await?),
        Some(store) => {
            let parts = span.parts();
            let request = TimeRequest {
                from_us,
                step_us,
                parts,
            };
            (Source::Store, store.series(request).await?)
        }
    };
    Ok(Series {
        span,
        source,
        from_us,
        step_us,
        by_key: sums.by_key,
        by_backend: sums.by_backend,
        missing: sums.missing,
    })
}

/// Differences between one sample and the next, each in the part in which it ended.
fn remembered(samples: &[Sample], span: Span, (from_us, step_us): (i64, i64)) -> TimeSeries {
    let part = |at_us: i64| {
        usize::try_from((at_us - from_us) / step_us)
            .unwrap_or(0)
            .min(span.parts() - 1)
    };
    let mut series = TimeSeries {
        missing: samples.first().map_or(span.parts(), |first| part(first.at_us)),
        ..TimeSeries::default()
    };
    for pair in samples.windows(2) {
        let [before, after] = pair else { continue };
        for now in after.backends.iter() {
            let then = before.backends.iter().find(|then| then.name == now.name);
            let (answered, failed) = then.map_or((0, 0), |then| (then.answered, then.failed));
            let sums = Sums {
                requests: now.answered.saturating_sub(answered) + now.failed.saturating_sub(failed),
                errors: now.failed.saturating_sub(failed),
                first_token_us: now.latency_us.unwrap_or(0),
                first_tokens: u64::from(now.latency_us.is_some()),
                ..Sums::default()
            };
            let parts = series
                .by_backend
                .entry(now.name.to_string())
                .or_insert_with(|| vec![Sums::default(); span.parts()]);
            parts[part(after.at_us)].add(&sums);
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::BackendSample;

    #[test]
    fn what_is_remembered_is_the_difference_between_samples() {
        let sample = |at_us, answered, failed| Sample {
            at_us,
            backends: Arc::from([BackendSample {
                name: "gpu".into(),
                answered,
                failed,
                latency_us: Some(2_000),
            }]),
            ..Sample::default()
        };
        let (from, step) = Span::Hour.place(7_200_000_000);
        let samples = [
            sample(from + step, 5, 1),
            sample(from + 2 * step, 8, 1),
            sample(from + 2 * step + 1, 8, 2),
        ];
        let series = remembered(&samples, Span::Hour, (from, step));
        assert_eq!(series.missing, 1);
        let sums = series.by_backend["gpu"][2];
        assert_eq!((sums.requests, sums.errors, sums.first_tokens), (4, 1, 2));
        assert!(series.by_key.is_empty());
    }
}
