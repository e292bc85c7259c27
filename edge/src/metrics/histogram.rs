//! A histogram that is counted with one atomic addition to a bucket and one to the sum.
//!
//! The library's own locks and checks more than an exchange has time for; its form is only made when it is scraped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::proto::{Bucket, Histogram as Shown, LabelPair, Metric, MetricFamily, MetricType};

/// Bounds a histogram may have, the last of its buckets aside, which has none.
pub(super) const BOUNDS_MAX: usize = 15;

pub(super) type Bounds = &'static [Duration];

#[derive(Debug, Default)]
pub(super) struct Histogram {
    counts: [AtomicU64; BOUNDS_MAX + 1],
    sum_ns: AtomicU64,
}

/// Of several histograms of the same bounds, the sum.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    counts: [u64; BOUNDS_MAX + 1],
    sum_ns: u64,
}

impl Histogram {
    pub(super) fn add(&self, bounds: Bounds, value: Duration) {
        let index = bounds.iter().take(BOUNDS_MAX).position(|bound| value <= *bound);
        self.counts[index.unwrap_or(BOUNDS_MAX)].fetch_add(1, Ordering::Relaxed);
        let ns = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }
}

impl Sum {
    pub(super) fn of<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Self {
        let mut sum = Self::default();
        for histogram in histograms {
            for (count, more) in sum.counts.iter_mut().zip(&histogram.counts) {
                *count += more.load(Ordering::Relaxed);
            }
            sum.sum_ns = sum.sum_ns.wrapping_add(histogram.sum_ns.load(Ordering::Relaxed));
        }
        sum
    }

    fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn metric(&self, bounds: Bounds) -> Metric {
        let (mut so_far, mut buckets) = (0, Vec::new());
        for (bound, count) in bounds.iter().zip(self.counts) {
            so_far += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound.as_secs_f64());
            bucket.set_cumulative_count(so_far);
            buckets.push(bucket);
        }
        let mut shown = Shown::default();
        shown.set_bucket(buckets);
        shown.set_sample_count(self.count());
        shown.set_sample_sum(self.sum_ns as f64 / 1e9);
        let mut metric = Metric::default();
        metric.set_histogram(shown);
        metric
    }
}

/// A family, with a label where each has one. Histograms that counted nothing are left out.
pub(super) fn family(
    (name, help): (&str, &str),
    bounds: Bounds,
    sums: impl Iterator<Item = (Option<(&'static str, String)>, Sum)>,
) -> MetricFamily {
    let mut metrics = Vec::new();
    for (label, sum) in sums.filter(|(_, sum)| sum.count() > 0) {
        let mut metric = sum.metric(bounds);
        if let Some((name, value)) = label {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value);
            metric.set_label(vec![pair]);
        }
        metrics.push(metric);
    }
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(MetricType::HISTOGRAM);
    family.set_metric(metrics);
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = &[Duration::from_micros(50), Duration::from_millis(1)];

    #[test]
    fn values_fall_into_the_first_bucket_that_holds_them() {
        let histogram = Histogram::default();
        for us in [1, 50, 51, 1_000, 5_000] {
            histogram.add(BOUNDS, Duration::from_micros(us));
        }
        let family = family(
            ("x_seconds", "X."),
            BOUNDS,
            [(None, Sum::of([&histogram].into_iter()))].into_iter(),
        );
        let shown = family.get_metric()[0].get_histogram();
        let buckets: Vec<_> = shown
            .get_bucket()
            .iter()
            .map(|bucket| bucket.cumulative_count())
            .collect();
        assert_eq!((buckets, shown.get_sample_count()), (vec![2, 4], 5));
        assert!((shown.get_sample_sum() - 0.006102).abs() < 1e-9);
    }
}
