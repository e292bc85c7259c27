//! What is kept, as families.

use capture::{LATENCY_BOUNDS_NS, Statistics};
use prometheus::proto::{Bucket, Histogram, Metric, MetricFamily, MetricType};

use super::{counter_value, gauge};

pub(super) fn families(kept: &Statistics) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let mut families = Vec::new();
    for (name, help, value) in [
        (
            "conclave_edge_capture_records_total",
            "Records of exchanges in the journal.",
            kept.records,
        ),
        (
            "conclave_edge_capture_bytes_total",
            "Bytes appended to the journal.",
            kept.bytes,
        ),
        (
            "conclave_edge_capture_appends_total",
            "Appends to the journal.",
            kept.appends,
        ),
        (
            "conclave_edge_capture_dropped_total",
            "Records that should have been kept and were not.",
            kept.dropped,
        ),
        (
            "conclave_edge_capture_errors_total",
            "Appends that the journal did not take, or did not confirm.",
            kept.errors,
        ),
    ] {
        families.extend(counter_value(name, help, value)?);
    }
    let folder_bytes = usize::try_from(kept.folder_bytes).unwrap_or(usize::MAX);
    let help = "Bytes in the edge's journal that nobody has taken yet.";
    families.extend(gauge("conclave_edge_capture_journal_bytes", help, folder_bytes)?);
    families.push(append_seconds(kept));
    Ok(families)
}

/// The buckets are counted without the library: its histograms would cost each append more than it measures.
fn append_seconds(kept: &Statistics) -> MetricFamily {
    let mut histogram = Histogram::default();
    let mut buckets = Vec::new();
    let mut so_far = 0;
    for (bound_ns, count) in LATENCY_BOUNDS_NS.iter().zip(kept.append.counts) {
        so_far += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound_ns as f64 / 1e9);
        bucket.set_cumulative_count(so_far);
        buckets.push(bucket);
    }
    histogram.set_bucket(buckets);
    histogram.set_sample_count(kept.append.counts.iter().sum());
    histogram.set_sample_sum(kept.append.sum_ns as f64 / 1e9);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    let mut family = MetricFamily::default();
    family.set_name("conclave_edge_capture_append_seconds".to_owned());
    family.set_help("How long an append to the journal took; one in eight is timed.".to_owned());
    family.set_field_type(MetricType::HISTOGRAM);
    family.set_metric(vec![metric]);
    family
}
