//! What became of spans, as families.

use prometheus::IntCounterVec;
use prometheus::Opts;
use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;
use traces::Counts;

/// Of the whole process: where edge and aggregator share one, both planes' are in them.
pub(super) fn families(counts: Counts) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let opts = Opts::new("conclave_trace_spans_total", "Spans by what became of them.");
    let family = IntCounterVec::new(opts, &["result"])?;
    let each = [
        ("exported", counts.exported),
        ("dropped", counts.dropped),
        ("failed", counts.failed),
    ];
    for (result, count) in each {
        family.with_label_values(&[result]).inc_by(count);
    }
    Ok(family.collect())
}
