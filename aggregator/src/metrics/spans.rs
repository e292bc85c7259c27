//! What became of spans. Of the whole process: where edge and aggregator share one, both planes' are in them.

use traces::Counts;

use super::{Exposition, Kind};

pub(super) fn expose(counts: Counts, page: &mut Exposition) {
    page.family(
        "conclave_trace_spans_total",
        Kind::Counter,
        "Spans by what became of them.",
    );
    let each = [
        ("exported", counts.exported),
        ("dropped", counts.dropped),
        ("failed", counts.failed),
    ];
    for (result, count) in each {
        page.sample(&[("result", result)], count);
    }
}
